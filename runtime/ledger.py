"""The whole ledger: statements of the sources, of compiled constructions, and the tables of other papers; run and shown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from .. import constructions
from ..compiler.errors import InputError
from ..proofs_check.certificate import Certificate, Proved, Refuted, Unknown, Verdict
from ..proofs_check.claims import Outcome, Statement, decide, find, statements
from ..proofs_check.claims.record import text_of
from . import atomic, ledger_page
from .api import verify as verify_model
from .progress import track
from .subjects import all_subjects, describe

#: The papers whose constructions are statements of the ledger.
SOURCES = ("Giannou et al. 2024", "Ahn et al. 2023", "Fu et al. 2024", "Fu et al. 2023")

PAGE, DATA = "ledger.md", "ledger.json"


def ledger(certificates: Mapping[str, Certificate] | None = None) -> tuple[Statement, ...]:
    """All statements. `certificates`: of models that are verified already, by their description."""
    return (*statements(), *compiled_statements(certificates or {}))


def compiled_statements(certificates: Mapping[str, Certificate]) -> tuple[Statement, ...]:
    """What the papers say about constructions, decided by the certificate of a small compiled model each."""
    found, seen = [], set()
    for name, values in all_subjects():
        claim = constructions.get(name).claim
        if name in seen or claim.paper not in SOURCES:
            continue
        seen.add(name)
        figures = [f"{what} ≤ {f}" for what, f in (("layers", claim.depth), ("heads", claim.heads), ("rows", claim.rows)) if f]
        checked = f"Checked: {', '.join(figures)}." if figures else ""
        found.append(
            Statement(
                claim.paper,
                f"{claim.statement}, compiled",
                f"`{name}`",
                _sentence(claim.says),
                "certificate of a compiled model",
                "holds",
                " ".join(filter(None, (_sentence(claim.corrected), checked))),
                partial(_check_compiled, name, values, certificates),
            )
        )
    return tuple(found)


def chosen(text: str | None, certificates: Mapping[str, Certificate] | None = None) -> tuple[Statement, ...]:
    """All statements, or those that `find` finds. Raises InputError where there is none."""
    known = ledger(certificates)
    return known if text is None else find(text, known)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:].rstrip('.')}." if text else ""


def _check_compiled(name: str, values: Mapping[str, Any], certificates: Mapping[str, Certificate]) -> Verdict:
    title = describe(name, values)
    certificate = certificates.get(title)
    if certificate is None:
        certificate = verify_model(constructions.get(name).compile(**values))
    open_claims = [claim.name for claim in certificate.claims if not isinstance(claim.verdict, Proved)]
    if open_claims:
        return Unknown(f"{title}: not proved: {', '.join(open_claims)}")
    return Proved(f"{title}: {', '.join(claim.name for claim in certificate.claims)}")


def decide_all(chosen: Iterable[Statement]) -> tuple[Outcome, ...]:
    """Runs every check, and shows progress on stderr."""
    return tuple(decide(statement) for statement in track(list(chosen), "checking", unit="statement"))


def rows_of(outcomes: Iterable[Outcome]) -> list[tuple[str, ...]]:
    """Source, number, title, verdict and evidence; a verdict that its check does not confirm is marked."""
    return [
        (o.statement.source, o.statement.number, o.statement.title, _mark(o), o.statement.evidence, f"{o.seconds:.2f}")
        for o in outcomes
    ]


HEADER = ("source", "statement", "about", "verdict", "evidence", "seconds")


def _mark(outcome: Outcome) -> str:
    return outcome.statement.verdict if outcome.confirmed else f"NOT CONFIRMED: {outcome.statement.verdict}"


#: So many statements are shown in full, not as rows of a table.
IN_FULL = 12


def in_full(outcomes: Sequence[Outcome]) -> str:
    """Each statement with what is wrong, what is true, why, and the Python that runs its checks again."""
    return "\n\n".join(_full(outcome) for outcome in outcomes)


def _full(outcome: Outcome) -> str:
    s = outcome.statement
    answers = [v for v in (outcome.found, outcome.second) if v is not None]
    rows = [("says", s.printed), ("verdict", f"{_mark(outcome)} ({outcome.seconds:.2f} s)")]
    rows += [("counterexample", text_of(v)) for v in answers if isinstance(v, Refuted)]
    rows += [("true", s.corrected)] if s.corrected else []
    rows += [("proof", text_of(v)) for v in answers if isinstance(v, Proved)]
    rows += [("undecided", text_of(v)) for v in answers if isinstance(v, Unknown)]
    rows += [("no more, since", s.reason)] if s.reason else []
    rows += [("evidence", s.evidence)]
    rows += [("Python", call) for call in s.code]
    return "\n".join([f"{s.name}: {s.title}", *(f"  {name:<15} {text}" for name, text in rows)])


def summary(outcomes: Sequence[Outcome]) -> str:
    """How many statements there are of each kind, and which are not confirmed, with what was found."""
    kinds: dict[str, int] = {}
    for outcome in outcomes:
        kinds[outcome.statement.verdict] = kinds.get(outcome.statement.verdict, 0) + 1
    bad = [outcome for outcome in outcomes if not outcome.confirmed]
    plural = "" if len(outcomes) == 1 else "s"
    lines = [f"{len(outcomes)} statement{plural}: " + ", ".join(f"{count} {kind}" for kind, count in kinds.items())]
    lines += [f"NOT CONFIRMED {o.statement.name}: {o.found}" + (f"; {o.second}" if o.second else "") for o in bad]
    return "\n".join([*lines, f"{len(outcomes) - len(bad)} of {len(outcomes)} recorded verdicts are confirmed by their checks"])


def to_json(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return {
        "all_confirmed": all(outcome.confirmed for outcome in outcomes),
        "statements": [outcome.to_json() for outcome in outcomes],
    }


def write(outcomes: Sequence[Outcome], folder: str | Path) -> list[str]:
    """Writes ledger.md and ledger.json (the same without run times), each complete or not at all.

    Raises InputError where the folder does not exist.
    """
    place = Path(folder)
    if not place.is_dir():
        raise InputError(f"{place} is not a folder", fix=f"create it first: mkdir -p {place}")
    entries = [{name: value for name, value in o.to_json().items() if name != "seconds"} for o in outcomes]
    text = json.dumps(entries, indent=1, ensure_ascii=False) + "\n"
    atomic.write_file(place / DATA, lambda file: file.write(text.encode()))
    page = ledger_page.to_markdown(entries)
    atomic.write_file(place / PAGE, lambda file: file.write(page.encode()))
    return [str(place / PAGE), str(place / DATA)]
