"""Changes of the errors, hypotheses, lines and fits that program.json states: the checker kills them, or they state less."""

from __future__ import annotations

import copy
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import headwright as hw
from headwright.proofs_check import checker
from headwright.proofs_check.mutations import Claimed
from headwright.proofs_check.mutations_of_bounds import bound_families
from headwright.proofs_check.mutations_of_errors import FOLLOWED, HYPOTHESIS, LOOSER, STATED, follow, stated_families, weaker
from headwright.runtime import mutate, mutate_report, normal_form
from headwright.runtime.mutate import ACCEPTED, Opinion


@hw.program
def grown(x: hw.Vector["n"], y: hw.Vector["n"]):
    """A function of a function, and a sign."""
    hw.bounded(x, within=(-1, 1))
    return hw.exp(hw.exp(x) / 4) + hw.signs(y)


@pytest.fixture(scope="module")
def model() -> hw.Compiled:
    return hw.compile(grown, dims={"n": 2}, tol=0.1)


@pytest.fixture(scope="module")
def program(model: hw.Compiled) -> Any:
    return json.loads(normal_form.checked_files(model)["program.json"])


def test_the_checker_kills_what_states_more_and_accepts_what_states_less(model, program, tmp_path: Path) -> None:
    judge, unchecked = mutate.by_checker(model, tmp_path)
    assert not unchecked
    original = Claimed(model.artifact, model.bounds, model.theory, program)
    seen: Counter[str] = Counter()
    for family in stated_families(original, program):
        for mutant in family.sample(10, mutate.random.Random(0)):
            opinion = judge(mutant.claimed)
            seen[mutant.kind] += 1
            why = weaker(mutant.claimed.stated, program)
            assert opinion.killed or why, (mutant.kind, mutant.place)
            assert mutant.kind != LOOSER or opinion == Opinion(ACCEPTED), mutant.place
            assert mutant.kind != FOLLOWED or opinion.detail == "errors", mutant.place
    assert seen.keys() == set(STATED) and sum(seen.values()) >= 50
    assert judge(original) == Opinion(ACCEPTED)


def test_a_checker_that_does_not_look_at_errors_lets_them_survive(model, program) -> None:
    """The harness can fail. `verify` is not shown what it does not read."""
    judges = {"verify": mutate.by_verify(model.artifact), "checker": lambda claimed: Opinion(ACCEPTED)}
    result = mutate.examine("grown", model, judges, sample=30, small=0, program=program)
    stated = [s for s in result.survivors if s.kind in STATED]
    assert {s.judge for s in stated} == {"checker"} and len(stated) > 10
    assert not any(s.kind == LOOSER for s in stated)
    assert result.shown("verify") < result.shown("checker") == result.mutants
    lines = mutate_report.summary(mutate_report.Report(20, 0, (result,)))
    assert any("errors and fits that program.json states: 0 of" in line for line in lines)


def test_what_follows_from_a_false_line_fits_but_for_that_line(program) -> None:
    """The lines as they are follow; after a change of one, all others do, and one is refused."""
    same = copy.deepcopy(program)
    follow(same)
    shapes = [tuple(same["sizes"].get(dim, dim) for dim in node["shape"]) for node in same["nodes"]]
    read = checker.Matrix(nodes=same["nodes"], shapes=shapes, program=same)
    assert checker.beside().check_errors(checker, read)
    (family,) = [f for f in stated_families(Claimed(None), program) if f.kind == FOLLOWED]  # type: ignore[arg-type]
    for mutant in family.sample(8, mutate.random.Random(1)):
        number = int(mutant.place.split()[1].rstrip(":"))
        read = checker.Matrix(nodes=program["nodes"], shapes=shapes, program=mutant.claimed.stated)
        with pytest.raises(checker.Refused, match=rf"^node {number}, by the rule"):
            checker.beside().check_errors(checker, read)


def test_weaker_is_less_and_nothing_else(program) -> None:
    def changed(change: Any) -> str:
        new = copy.deepcopy(program)
        change(new)
        return weaker(new, program)

    name = next(iter(program["errors"]["outputs"]))
    fit = next(k for k, node in enumerate(program["nodes"]) if node.get("fit"))
    assert changed(lambda p: None)
    assert changed(lambda p: p["errors"]["outputs"].update({name: "5"}))
    assert changed(lambda p: p["errors"]["lines"].clear())  # a proof less, no statement more
    assert changed(lambda p: p.update(errors=None))
    assert changed(lambda p: p["errors"]["given"].append({"node": 0, "kind": "within", "from": "0", "to": "1/2"}))
    assert not changed(lambda p: p["errors"]["outputs"].update({name: "1/1000"}))
    assert changed(lambda p: p["errors"]["given"].pop())  # y is only added: errors do not depend on it
    assert changed(lambda p: p["errors"]["given"][0].update(kind="norm"))
    assert not changed(lambda p: p["errors"]["given"].pop(0))
    assert not changed(lambda p: p["errors"]["given"][0].update(to="2"))
    assert changed(lambda p: p["errors"]["given"][0].update(kind="signs"))
    assert not changed(lambda p: p["nodes"][fit]["fit"].update(bound="1/100000"))
    assert not changed(lambda p: p["nodes"][fit].pop("fit"))
    assert not changed(lambda p: p.update(name="another"))


def test_no_hypothesis_is_dropped_of_which_the_bound_does_not_depend(program) -> None:
    """Such a change would state something true."""
    (family,) = [f for f in stated_families(Claimed(None), program) if f.kind == HYPOTHESIS]  # type: ignore[arg-type]
    more = copy.deepcopy(program)
    more["errors"]["given"].append({"node": 0, "kind": "norm", "from": "0", "to": "1000"})
    (longer,) = [f for f in stated_families(Claimed(None), more) if f.kind == HYPOTHESIS]  # type: ignore[arg-type]
    assert {mutant.place for mutant in longer.all()} == {mutant.place for mutant in family.all()}
    assert any("within of node 0 not stated" in mutant.place for mutant in family.all())


def test_models_of_an_earlier_run_are_kept(model, program, tmp_path: Path) -> None:
    judges = {"checker": lambda claimed: Opinion("refused")}
    first, second, again = (
        mutate.examine(title, model, judges, sample=sample, small=0, program=program)
        for title, sample in (("first", 2), ("second", 3), ("first", 4))
    )
    mutate_report.write(mutate_report.Report(2, 0, (first,)), tmp_path)
    report = mutate_report.added_to(mutate_report.Report(3, 0, (second,)), tmp_path)
    assert [r.title for r in report.results] == ["first", "second"] and report.mutants == first.mutants + second.mutants
    mutate_report.write(report, tmp_path)
    last = mutate_report.added_to(mutate_report.Report(4, 0, (again,)), tmp_path)
    assert [(r.title, r.sample) for r in last.results] == [("first", 4), ("second", 3)]
    assert last.mutants == again.mutants + second.mutants
    page = mutate_report.to_markdown(last)
    assert "--sample 4 --seed 0 --only first`, then `headwright mutate -o docs/benchmarks --add --sample 3" in page
    with pytest.raises(hw.ModelFolderError, match="no figures to add to"):
        mutate_report.added_to(report, tmp_path / "nowhere")


def test_residuals_of_long_chains_are_left_alone() -> None:
    """Exact values of eleven polynomials, one of another, would take for ever."""
    model = hw.constructions.get("matrix_sign").compile(d=2, iteration="minimax")
    (residual,) = model.artifact.graph.residuals
    assert 6 < len(residual.chain) <= 12 and max(map(len, residual.chain)) >= 4
    kinds = {mutant.kind for family in bound_families(Claimed(model.artifact, model.bounds)) for mutant in family.all()}
    assert kinds == {"bound shrunk", "residual changed"}
