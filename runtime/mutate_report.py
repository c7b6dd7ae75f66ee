"""The figures of `headwright mutate` as a page and as JSON."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..compiler.errors import ModelFolderError
from ..proofs_check.mutations_of_errors import STATED
from .atomic import write_file
from .mutate import ACCEPTED, CHECKER, CRASHED, REFUSED, REFUTED, SMALL, UNCHECKED, UNKNOWN, UNSEEN, Result, Survivor, Tally

PAGE, DATA = "mutation.md", "mutation.json"


@dataclass(frozen=True)
class Report:
    """All models of one campaign."""

    sample: int
    seed: int
    results: tuple[Result, ...]
    only: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """No judge accepted a mutant that is not proved to be the same, and none crashed."""
        return all(result.holds for result in self.results)

    @property
    def mutants(self) -> int:
        return sum(result.mutants for result in self.results)

    def to_json(self) -> dict[str, Any]:
        models = []
        for r in self.results:
            tallies = {kind: asdict(t) for kind, t in r.tallies.items()}
            survivors = [asdict(s) for s in r.survivors]
            asked = {"title": r.title, "sample": r.sample, "seed": r.seed}
            known = {**asked, "layers": r.layers, "rows": r.rows, "weights": r.weights, "mutants": r.mutants}
            models.append(
                {**known, "unchecked": list(r.unchecked), "kinds": tallies, "survivors": survivors, "crashes": list(r.crashes)}
            )
        asked = {"sample": self.sample, "seed": self.seed, "only": list(self.only)}
        return {**asked, "mutants": self.mutants, "holds": self.holds, "models": models}


def added_to(report: Report, folder: Path) -> Report:
    """The report with the models of the one in the folder that it has not itself, in the order of the titles given there first.

    Raises ModelFolderError where mutation.json is missing or none of ours."""
    try:
        data = json.loads((folder / DATA).read_bytes())
        earlier = [_result(entry, data) for entry in data["models"]]
    except (OSError, ValueError, TypeError, KeyError) as error:
        fix = "leave out --add, and all models of the page are made anew"
        raise ModelFolderError(f"{folder / DATA} has no figures to add to ({type(error).__name__})", fix=fix) from error
    ours = {result.title: result for result in report.results}
    kept = [ours.pop(result.title, result) for result in earlier]
    found = (*kept, *ours.values())
    return Report(report.sample, report.seed, found, tuple(result.title for result in found))


def _result(entry: Mapping[str, Any], data: Mapping[str, Any]) -> Result:
    """One model of mutation.json, of which earlier files have the sample only once."""
    tallies = {kind: Tally(**tally) for kind, tally in entry["kinds"].items()}
    survivors, asked = tuple(Survivor(**s) for s in entry["survivors"]), {**data, **entry}
    size = (entry["layers"], entry["rows"], entry["weights"], tuple(entry["unchecked"]))
    return Result(entry["title"], asked["sample"], asked["seed"], *size, tallies, survivors, tuple(entry["crashes"]), 0.0)


def write(report: Report, folder: Path) -> list[str]:
    """Writes mutation.md and mutation.json, each complete or not at all."""
    page, data = folder / PAGE, folder / DATA
    text = json.dumps(report.to_json(), indent=1, ensure_ascii=False) + "\n"
    write_file(page, lambda file: file.write(to_markdown(report).encode()))
    write_file(data, lambda file: file.write(text.encode()))
    return [str(page), str(data)]


HEADER = ("model", "weights", "mutants", "verify kills", "same", "checker kills", "same", "unseen", "survivors")


def rows_of(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """A row for every model; "same": accepted, and proved to be the same."""
    rows = []
    for r in results:
        counts = []
        for judge in ("verify", "checker"):
            left = r.count(judge, ACCEPTED, UNSEEN)
            counts += [f"{r.shown(judge) - left:,}", f"{r.equivalent(judge):,}"]
        unseen = f"{r.count('checker', UNSEEN):,}"
        rows.append((r.title, f"{r.weights:,}", f"{r.mutants:,}", *counts, unseen, str(len(r.survivors))))
    return rows


def summary(report: Report) -> list[str]:
    """How many of the mutants that are not the same were killed, and who survives."""
    lines = []
    for judge in ("verify", "checker"):
        accepted = sum(r.count(judge, ACCEPTED) for r in report.results)
        same = sum(r.equivalent(judge) for r in report.results)
        unseen = sum(r.count(judge, UNSEEN) for r in report.results)
        wrong = sum(r.shown(judge) for r in report.results) - same - unseen
        killed = wrong - (accepted - same)
        how = [
            f"{sum(r.count(judge, outcome) for r in report.results):,} {outcome}"
            for outcome in (REFUTED, UNKNOWN, REFUSED, UNCHECKED, CRASHED)
            if any(r.count(judge, outcome) for r in report.results)
        ]
        rate = 100 * killed / wrong if wrong else 100.0
        text = f"{judge}: {killed:,} of {wrong:,} mutants that are not proved the same are killed "
        text += f"({rate:.2f} %: {', '.join(how)}); {same:,} are accepted and proved the same"
        lines.append(text + (f"; {unseen:,} unseen" if unseen else ""))
    lines += _stated(report)
    for result in report.results:
        found = [f"SURVIVES {s.judge}: {result.title}: {s.kind}: {s.place} ({s.answer}: {s.how})" for s in result.survivors]
        found += [f"CRASHED {result.title}: {crash}" for crash in result.crashes]
        lines += found[:_SHOWN]
        lines += [f"and {len(found) - _SHOWN} more of {result.title}: see {DATA}"] if len(found) > _SHOWN else []
    return lines


def _stated(report: Report) -> list[str]:
    """Of the mutants that only the checker sees, how many were killed."""
    tallies = [tally for r in report.results for kind, tally in r.tallies.items() if kind in STATED]
    total = sum(tally.mutants for tally in tallies)
    accepted = sum(tally.opinions[CHECKER].get(ACCEPTED, 0) for tally in tallies)
    weaker = sum(tally.accepted_equivalent.get(CHECKER, 0) for tally in tallies)
    if not total:
        return []
    text = f"checker, of errors and fits that program.json states: {total - accepted:,} of {total - weaker:,} are killed"
    return [f"{text}; {weaker:,} state less than before, and are accepted"]


#: Survivors of one model that the text lists; the data have all.
_SHOWN = 12


_INTRODUCTION = """\
# Mutation: wrong models, and who notices

Made by {commands}; do not edit.
[How we attack it](../explanation/how-we-attack-it.md) says what is changed, and why an accepted mutant can be harmless.

Every mutant is a model with one change: a weight, a block, a head, a layer, a unit, a row that is read or written, a name, the
program, the architecture, a bound, a domain.

- *verify* is `hw.verify`: a mutant is killed where a claim is refuted or unknown.
- *checker* is the independent program `proofs_check/checker.py`, on the mutant saved as a folder with its hashes and floats
  made anew: a mutant is killed where a verdict is worse than the one on the model itself.
- *same*: the judge accepts it, and it is proved that the change makes no difference: no entry of the stream that can differ
  meets an output, or the outputs are the same polynomials at a random point modulo a random prime (wrong with probability
  below 2⁻⁸⁰). Of what program.json states: larger bounds for fewer data, which follow from those before.
- *unseen*: the change is in none of the files that the checker goes by (names of rows, for example, which only `headwright`
  reads), or only errors change, which these files state as they are derived anew: what it accepts is not what was changed.
- *survivors*: accepted, and not proved to be the same. They are mistakes of a judge.

Of a small model (at most {small:,} such changes) every nonzero weight was changed in every way, and as many other mutants as
`--sample` says were drawn where there are more; of a large one so many in all. So many changes were drawn, too, of the errors
and fits that program.json states, which only the checker goes by (kinds *stated …* below): bounds of outputs shrunk, a line
smaller, missing or under another rule, a false line with all that follows from it, hypotheses wider, missing or about another
node, fits with other bounds, domains and functions.

"""


def to_markdown(report: Report) -> str:
    lines = [_INTRODUCTION.format(commands=_commands(report), small=SMALL)]
    lines += [f"- {line}" for line in summary(report)]
    lines += ["", *_table(HEADER, rows_of(report.results)), "", "## By kind of change", ""]
    kinds: dict[str, Tally] = {}
    for result in report.results:
        for kind, tally in result.tallies.items():
            _add(kinds.setdefault(kind, Tally()), tally)
    header = ("change", "possible", "tried", *(f"{j} {o}" for j, o in _COLUMNS), *(f"same: {how}" for how in _SAME))
    lines += _table(header, [_kind_row(kind, tally) for kind, tally in kinds.items()])
    unchecked = [(r.title, ", ".join(r.unchecked)) for r in report.results if r.unchecked]
    if unchecked:
        lines += ["", "## What the checker leaves open of the model itself", "", *_table(("model", "claims"), unchecked)]
    return "\n".join(lines) + "\n"


def _commands(report: Report) -> str:
    """What to type for these figures: one command for all models of one sample and seed."""
    runs: dict[tuple[int, int], list[str]] = {}
    for result in report.results:
        runs.setdefault((result.sample, result.seed), []).append(result.title)
    texts = []
    for number, ((sample, seed), titles) in enumerate(runs.items()):
        only = report.only if len(runs) == 1 else titles
        names = " --only " + " ".join(map(shlex.quote, only)) if only else ""
        more = " --add" if number else ""
        texts.append(f"`headwright mutate -o docs/benchmarks{more} --sample {sample} --seed {seed}{names}`")
    return ", then ".join(texts)


_COLUMNS = (
    ("verify", REFUTED), ("verify", UNKNOWN), ("verify", ACCEPTED),
    ("checker", REFUSED), ("checker", UNCHECKED), ("checker", UNSEEN), ("checker", ACCEPTED),
)  # fmt: skip

_SAME = ("unread", "equal", "weaker")


def _kind_row(kind: str, tally: Tally) -> tuple[str, ...]:
    counts = [f"{tally.opinions.get(judge, {}).get(outcome, 0):,}" for judge, outcome in _COLUMNS]
    same = [f"{tally.equivalent.get(how, 0):,}" for how in _SAME]
    return (kind, f"{tally.possible:,}", f"{tally.mutants:,}", *counts, *same)


def _add(total: Tally, part: Tally) -> None:
    total.possible += part.possible
    total.mutants += part.mutants
    for judge, outcomes in part.opinions.items():
        _sum(total.opinions.setdefault(judge, {}), outcomes)
    _sum(total.equivalent, part.equivalent)


def _sum(total: dict[str, int], part: Mapping[str, int]) -> None:
    for key, count in part.items():
        total[key] = total.get(key, 0) + count


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        "| " + " | ".join(header) + " |",
        "| --- |" + " --: |" * (len(header) - 1),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]
