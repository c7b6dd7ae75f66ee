"""The ledger: every recorded verdict is confirmed by its check, and the page says what the checks found."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import headwright
from headwright import Proved, Refuted, Unknown
from headwright.proofs_check.certificate import Certificate, Claim
from headwright.proofs_check.claims import KINDS, Statement, decide, from_table, statements
from headwright.runtime import ledger, ledger_page
from headwright.runtime.cli import main

REFERENCE = Path(headwright.__file__).parent / "docs" / "reference"
ENTRIES = json.loads((REFERENCE / ledger.DATA).read_text(encoding="utf-8"))
STATIC = ("source", "number", "title", "printed", "verdict", "corrected", "evidence")


def key(statement: Statement) -> tuple[str, str, str]:
    return statement.source, statement.number, statement.title


COMMITTED = {(e["source"], e["number"], e["title"]): e for e in ENTRIES}


@pytest.mark.parametrize("statement", statements(), ids=lambda s: f"{s.number} {s.title}")
def test_the_check_confirms_the_verdict_and_finds_what_the_page_says(statement: Statement) -> None:
    outcome = decide(statement)
    assert outcome.confirmed, (outcome.found, outcome.second)
    found, committed = outcome.to_json(), COMMITTED[key(statement)]
    assert {k: found[k] for k in ("found", "second")} == {k: committed[k] for k in ("found", "second")}


# -- the page ------------------------------------------------------------------------------------------------------------


def test_the_page_is_the_one_that_is_generated() -> None:
    assert (REFERENCE / ledger.PAGE).read_text(encoding="utf-8") == ledger_page.to_markdown(ENTRIES)


def test_the_page_has_every_statement_in_its_order_and_no_other() -> None:
    now = [{name: getattr(s, name) for name in STATIC} for s in ledger.ledger()]
    assert now == [{name: entry[name] for name in STATIC} for entry in ENTRIES]
    assert len(COMMITTED) == len(ENTRIES), "two statements with the same source, number and title"
    assert all(entry["confirmed"] for entry in ENTRIES)


def test_twenty_errata_and_more_have_a_counterexample_that_runs() -> None:
    refuted = [
        s for s in statements() if "Refuted" in {(COMMITTED[key(s)][half] or {}).get("verdict") for half in ("found", "second")}
    ]
    assert len(refuted) >= 20
    page = (REFERENCE / ledger.PAGE).read_text(encoding="utf-8")
    for statement in refuted:
        assert f"**{statement.number}**, {statement.title}." in page


def test_what_is_false_is_replaced_by_something_that_is_proved() -> None:
    false = [s for s in statements() if s.verdict == "false as printed"]
    assert false and all(s.corrected and s.second is not None for s in false)


def test_the_main_theorems_and_all_the_audited_numbers_have_a_row() -> None:
    numbers = " ".join(s.number for s in statements())
    for number in (
        "Theorem 1.1", "Proposition 3.3", "(3.3)", "(3.4)", "Lemma 4.1", "Theorem 4.2", "Remark 4.3", "Remark 4.4",
        "Remark 4.5",
        "Theorem 5.1", "Theorem 5.2", "Remark 5.3", "Theorem 5.4", "Theorem B.2", "Theorem B.3", "Lemma B.4", "Theorem B.5",
        "Corollary B.6", "Theorem B.7", "Lemma B.8", "Lemma B.9", "Lemma B.10", "Remark B.11", "(B.4)", "(B.5)",
        "(B.6)", "(B.7)",
        "(B.8)", "(B.9)", "(C.1)", "(C.2)", "(C.6)", "(C.10)", "(C.13)", "(C.16)", "(C.20)", "(C.25)", "(C.26)",
        "(C.27)", "(C.28)",
        "(C.29)", "(C.30)", "(C.31)", "(C.32)", "(C.33)", "(C.34)", "Remark C.1", "appendix E.1", "(E.1)", "Theorem E.1",
        "Corollary E.2", "Lemma E.3", "(E.5)", "(E.6)", "phase I", "phase II",
    ):  # fmt: skip
        assert number in numbers, number


# -- what confirms a verdict -----------------------------------------------------------------------------------------------

HOLDS = Statement("A paper", "Lemma 1", "one", "1 = 1.", "identity", "holds", "", lambda: Proved("1 = 1"))
FALSE = Statement("A paper", "Lemma 2", "two", "1 = 2.", "exact", "false as printed", "1 < 2.", lambda: Refuted("1 ≠ 2"))


@pytest.mark.parametrize(
    "statement",
    [
        HOLDS,
        FALSE,
        replace(FALSE, second=lambda: Proved("1 < 2")),
        replace(FALSE, verdict="holds with restriction", check=lambda: Proved("mod 1"), second=lambda: Refuted("1 ≠ 2")),
        replace(HOLDS, verdict="unknown", check=lambda: Unknown("nobody knows")),
    ],
    ids=["holds", "false", "false, corrected proved", "restricted", "unknown with a reason"],
)
def test_a_verdict_is_confirmed_by_the_answer_it_needs(statement: Statement) -> None:
    assert decide(statement).confirmed


def failing() -> Any:
    raise ZeroDivisionError("no")


@pytest.mark.parametrize(
    "statement",
    [
        replace(HOLDS, check=lambda: Refuted("no")),
        replace(HOLDS, check=lambda: Unknown("no")),
        replace(HOLDS, check=failing),
        replace(FALSE, check=lambda: Proved("yes")),
        replace(FALSE, second=lambda: Refuted("the correction is wrong too")),
        replace(FALSE, second=failing),
        replace(FALSE, verdict="holds with restriction"),
        replace(FALSE, verdict="holds with restriction", check=lambda: Proved(""), second=lambda: Proved("holds there too")),
        replace(HOLDS, verdict="unknown", check=lambda: Unknown("")),
        replace(HOLDS, verdict="unknown", check=failing),
        replace(HOLDS, verdict="unknown", check=lambda: Proved("it is known")),
    ],
)
def test_any_other_answer_confirms_nothing(statement: Statement) -> None:
    assert not decide(statement).confirmed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"printed": ""}, "printed is empty"),
        ({"verdict": "wrong"}, "expected one of"),
        ({"corrected": ""}, "what is true instead"),
    ],
)
def test_a_record_without_its_parts_is_refused(change: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(FALSE, **change)


# -- tables of others ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    source: str
    number: str
    title: str
    statement: str
    verdict: str
    corrected: str
    evidence: str
    check: Any


def test_rows_of_other_tables_become_statements() -> None:
    row = Row(
        "Others 2023", "Theorem 3", "optimum", "It is attained.", "restricted", "For n > d.", "identity", lambda: Proved("x")
    )
    mapping = {**vars(row), "kind": "false"}
    del mapping["verdict"]
    found = from_table([row, mapping, HOLDS])
    assert [s.verdict for s in found] == ["holds with restriction", "false as printed", "holds"]
    assert found[0].printed == "It is attained." and found[2] is HOLDS
    assert decide(found[0]).confirmed and not decide(found[1]).confirmed


def test_a_table_that_is_listed_is_part_of_the_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {**{name: getattr(FALSE, name) for name in STATIC}, "source": "Others 2023", "check": FALSE.check}
    monkeypatch.setattr(ledger, "TABLES", ([row],))
    (found,) = [s for s in ledger.ledger() if s.source == "Others 2023"]
    assert decide(found).confirmed


def test_a_row_with_a_missing_field_or_an_unknown_verdict_is_named() -> None:
    with pytest.raises(ValueError, match=r"row 1 .* has no source"):
        from_table([{"number": "1"}])
    row = {"source": "A", "number": "1", "title": "t", "statement": "s", "evidence": "e", "check": failing, "verdict": "maybe"}
    with pytest.raises(ValueError, match="row 2 .*'maybe': expected one of " + ", ".join(KINDS)):
        from_table([HOLDS, row])


# -- the commands ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> list[Statement]:
    chosen = [HOLDS, replace(FALSE, second=lambda: Proved("1 < 2"))]
    monkeypatch.setattr(ledger, "ledger", lambda certificates=None: tuple(chosen))
    return chosen


def test_verify_ledger_is_0_when_every_verdict_is_confirmed(small, capsys) -> None:
    assert main(["verify", "--ledger"]) == 0
    out = capsys.readouterr().out
    assert "2 statements: 1 holds, 1 false as printed" in out and "2 of 2 recorded verdicts are confirmed" in out
    assert main(["verify", "--ledger", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["all_confirmed"] and [s["found"]["verdict"] for s in data["statements"]] == ["Proved", "Refuted"]


def test_verify_ledger_is_1_and_names_what_is_not_confirmed(small, capsys) -> None:
    small.append(replace(FALSE, number="Lemma 3", check=lambda: Proved("true after all")))
    assert main(["verify", "--ledger"]) == 1
    out = capsys.readouterr().out
    assert "NOT CONFIRMED A paper, Lemma 3" in out and "true after all" in out and "2 of 3 recorded" in out


def test_verify_takes_one_subject(capsys) -> None:
    for wrong in (["--all", "--ledger"], ["ridge", "--ledger"], ["--ledger", "--set", "d=3"]):
        assert main(["verify", *wrong]) == 2
    assert "--ledger" in capsys.readouterr().err


def test_the_ledger_is_written_whole_or_not_at_all(small, tmp_path, capsys) -> None:
    assert main(["ledger", "-o", str(tmp_path)]) == 0
    entries = json.loads((tmp_path / ledger.DATA).read_text(encoding="utf-8"))
    assert [e["number"] for e in entries] == ["Lemma 1", "Lemma 2"] and "seconds" not in entries[0]
    assert (tmp_path / ledger.PAGE).read_text(encoding="utf-8") == ledger_page.to_markdown(entries)
    assert sorted(path.name for path in tmp_path.iterdir()) == [ledger.DATA, ledger.PAGE]
    assert main(["ledger", "-o", str(tmp_path / "nowhere")]) == 2
    assert "mkdir -p" in capsys.readouterr().err


def test_a_compiled_statement_is_as_good_as_its_certificate() -> None:
    title = next(title for title in _titles("ridge"))
    good = Certificate(title, (Claim("identity", "…", Proved("x")),))
    bad = Certificate(title, (Claim("identity", "…", Proved("x")), Claim("exact", "…", Refuted("y"))))
    for certificate, confirmed in ((good, True), (bad, False)):
        (statement,) = [s for s in ledger.compiled_statements({title: certificate}) if s.title == "`ridge`"]
        assert decide(statement).confirmed is confirmed


def _titles(name: str) -> list[str]:
    from headwright.runtime.subjects import all_subjects, describe

    return [describe(n, values) for n, values in all_subjects() if n == name]
