"""The ledger: every recorded verdict is confirmed by its check, and the page says what the checks found."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import headwright
from headwright import InputError, Proved, Refuted, Unknown
from headwright.proofs_check.certificate import Certificate, Claim
from headwright.proofs_check.claims import Statement, decide, find, statements
from headwright.proofs_check.claims.coverage import WITHOUT_ENTRY
from headwright.runtime import ledger, ledger_page
from headwright.runtime.cli import main

REFERENCE = Path(headwright.__file__).parent / "docs" / "reference"
ENTRIES = json.loads((REFERENCE / ledger.DATA).read_text(encoding="utf-8"))
STATIC = ("source", "number", "title", "printed", "verdict", "corrected", "evidence", "reason")


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
        number, title = map(ledger_page.escaped, (statement.number, statement.title))
        assert f"**{number}**, {title}." in page


def test_what_is_false_is_replaced_by_something_that_is_proved() -> None:
    false = [s for s in statements() if s.verdict == "false as printed"]
    assert false and all(s.corrected and s.second is not None for s in false)


def test_every_restriction_has_a_counterexample_without_it() -> None:
    restricted = [s for s in statements() if s.verdict == "holds with restriction"]
    assert restricted and all(s.second is not None for s in restricted)


def test_the_page_shows_how_to_run_each_erratum_and_what_has_no_entry() -> None:
    page = (REFERENCE / ledger.PAGE).read_text(encoding="utf-8")
    for statement in (s for s in statements() if s.verdict != "holds"):
        assert f'`headwright verify --ledger "{statement.number}"`' in page
        assert statement in find(statement.number), statement.number
    for items in WITHOUT_ENTRY.values():
        assert all(f"{item} {reason}" in page for item, reason in items.items())


# -- what confirms a verdict -----------------------------------------------------------------------------------------------

HOLDS = Statement("A paper", "Lemma 1", "one", "1 = 1.", "identity", "holds", "", lambda: Proved("1 = 1"))
FALSE = Statement(
    "A paper", "Lemma 2", "two", "1 = 2.", "exact", "false as printed", "1 < 2.", lambda: Refuted("1 ≠ 2"), reason="it is clear"
)


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
        ({"reason": ""}, "a counterexample and a proof are needed, or the `reason` why not"),
        ({"reason": "", "verdict": "holds with restriction"}, "or the `reason` why not"),
    ],
)
def test_a_record_without_its_parts_is_refused(change: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(FALSE, **change)


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
    for wrong in (["--all", "--ledger"], ["ridge", "--all"], ["--ledger", "--set", "d=3"], ["x", "--ledger", "--set", "d=3"]):
        assert main(["verify", *wrong]) == 2
    assert "--ledger" in capsys.readouterr().err


def test_one_statement_is_shown_with_its_counterexample_its_proof_and_their_code(capsys) -> None:
    assert main(["verify", "--ledger", "(B.5)"]) == 0
    out = capsys.readouterr().out
    for part in ("a = 0, μ = 2, x = 1: 1 < 7/2", "‖x‖² − ‖x‖/μ", "newton_paper.refute_inner_product()", "1 statement: 1 false"):
        assert part in out, part
    assert main(["verify", "--ledger", "(B.5)", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["statements"]
    assert entry["number"] == "(B.5)" and entry["found"]["verdict"] == "Refuted" and len(entry["code"]) == 2


def test_a_name_that_no_statement_has_is_refused_with_the_nearest(capsys) -> None:
    assert main(["verify", "--ledger", "Lema B.8"]) == 2
    assert "did you mean 'Lemma B.8'" in capsys.readouterr().err


def test_statements_are_found_by_name_by_number_and_by_what_they_contain() -> None:
    assert [s.number for s in find("giannou et al. 2024, (b.5)")] == ["(B.5)"]
    assert {s.source for s in find("Theorem 5.1")} == {"Fu et al. 2023"}, "a number comes before what contains it"
    assert len(find("Lemma B.8")) == 5
    for text in ("", "  ", "no such statement"):
        with pytest.raises(InputError, match="no statement of the ledger"):
            find(text)


def test_the_code_of_a_record_is_where_its_checks_are() -> None:
    for statement in statements():
        for call in statement.code:
            module, _, rest = call.partition("(")[0].rpartition(".")
            assert callable(getattr(importlib.import_module(module), rest)), call
            assert module.startswith("headwright.proofs_check.")


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


def test_asterisks_of_the_text_are_not_emphasis() -> None:
    assert ledger_page.escaped("f* ≤ `a * b`, ω*") == "f\\* ≤ `a * b`, ω\\*"


def test_texts_are_whole_sentences() -> None:
    for statement in ledger.ledger():
        for text in (statement.printed, statement.corrected):
            assert text == text.strip() and "  " not in text and ".." not in text, text
            assert not text or text.endswith((".", ".)", "`)")), text
        for text in (statement.title, statement.evidence, statement.number):
            assert text == text.strip() and not text.endswith("."), text
