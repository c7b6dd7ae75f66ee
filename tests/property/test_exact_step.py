"""The exact step of optimize="depth" and "width": proved models with never more rows, the same on every run, and what is
said where there is no engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings

import headwright as hw
from headwright.compiler import improve
from headwright.compiler.architecture import LINEAR_ATTENTION
from headwright.compiler.artifact import Artifact, Search
from headwright.compiler.pipeline import compile_graph
from headwright.proofs_check import strategies as hws
from headwright.proofs_check.exact import exact_degree
from headwright.proofs_check.verify import verify_artifact
from headwright.runtime.codec import to_json
from headwright.runtime.explain import explain_json, explain_text


def without_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)


def rows(search: Search | None) -> list[tuple[int, int]]:
    assert search is not None
    return [(entry.found, entry.least) for entry in search.proven if entry.what == "rows"]


def compile_least_squares(goal: str, **more: float) -> hw.Compiled:
    program = hw.constructions.get("least_squares").program
    return hw.compile(program, dims={"n": 4, "d": 3}, steps=2, alpha=0.125, optimize=goal, **more)


def greedy(case: hws.Case, goal: str) -> Artifact:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(improve, "missing", lambda: "switched off")
        return compile_graph(case.program.trace(case.sizes, {}), LINEAR_ATTENTION, goal)


@pytest.mark.parametrize("goal", ["depth", "width"])
def test_random_programs_are_proved_with_never_more_rows_and_a_bound(goal: str) -> None:
    seen: dict[str, tuple[int, int, int]] = {}

    @settings(max_examples=80)
    @given(hws.cases())
    def holds(case: hws.Case) -> None:
        if case.source in seen:
            return
        model = hw.compile(case.program, dims=case.sizes, optimize=goal, arch=LINEAR_ATTENTION)
        certificate, search = hw.verify(model), model.artifact.search
        assert isinstance(certificate["identity"], hw.Proved), f"{case.source}\n{certificate}"
        assert isinstance(certificate["exact"], hw.Proved), f"{case.source}\n{certificate}"
        assert search is not None and search.finished and search.engine == "HiGHS" and not search.note
        assert all(entry.least <= entry.found for entry in search.proven)
        (found, least), *others = rows(search)
        assert found == model.d_model and all(bound <= found for _, bound in others)
        before = greedy(case, goal)
        assert model.d_model <= before.d_model, case.source
        assert goal == "width" or model.depth == before.depth
        seen[case.source] = found, least, before.d_model

    holds()
    assert len(seen) >= 40
    assert all(found == least for found, least, _ in seen.values()), "a gap: the solution of the program was not realised"
    fewer = sum(found < before for found, _, before in seen.values())
    assert 0 < fewer <= 0.5 * len(seen), f"{fewer} of {len(seen)} have fewer rows than the greedy path finds"


@pytest.mark.parametrize(("goal", "before", "after"), [("depth", 22, 21), ("width", 15, 14)])
def test_least_squares_for_two_queries_saves_a_row(goal: str, before: int, after: int) -> None:
    compiled = hw.constructions.get("least_squares").compile(n=4, d=3, m=2, steps=2, alpha=0.125, init="identity")
    graph = compiled.artifact.graph
    with pytest.MonkeyPatch.context() as patch:
        without_scipy(patch)
        assert compile_graph(graph, LINEAR_ATTENTION, goal).d_model == before
    found = compile_graph(graph, LINEAR_ATTENTION, goal)
    assert found.d_model == after
    assert rows(found.search)[0] == (after, after)
    assert verify_artifact(found, None).all_proved


PRINTING = """
import json, headwright as hw
from headwright.runtime.codec import to_json
program = hw.constructions.get("least_squares").program
model = hw.compile(program, dims={"n": 4, "d": 3}, steps=2, alpha=0.125, optimize="depth")
print(json.dumps(to_json(model.artifact)))
"""


def test_the_result_is_the_same_whatever_the_order_of_sets() -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"}
    run = subprocess.run([sys.executable, "-c", PRINTING], capture_output=True, text=True, check=True, env=environment)
    here = [to_json(compile_least_squares("depth").artifact) for _ in range(2)]
    assert here == [json.loads(run.stdout)] * 2
    assert here[0]["search"]["engine"] == "HiGHS"


def test_without_the_engine_the_greedy_plan_stays_and_the_result_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with_engine = compile_least_squares("depth")
    without_scipy(monkeypatch)
    model = compile_least_squares("depth")
    search = model.artifact.search
    assert search is not None and search.engine == "" and "headwright[search]" in search.note
    assert rows(search) == [] and search.finished
    assert model.d_model >= with_engine.d_model and hw.verify(model).all_proved
    text = explain_text(model.artifact, model.bounds, exact_degree(model.artifact.graph))
    assert "no engine (not installed: pip install 'headwright[search]')" in text


@pytest.mark.parametrize("goal", ["balanced", "heads"])
def test_other_goals_do_not_call_the_engine_and_say_so(goal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without_scipy(monkeypatch)  # an import would fail
    search = compile_least_squares(goal).artifact.search
    assert search is not None and search.engine == "" and "only optimize='depth'" in search.note and rows(search) == []


def test_no_time_leaves_one_plan_and_no_bound() -> None:
    search = compile_least_squares("depth", time_limit=0).artifact.search
    assert search is not None
    assert (search.candidates, search.finished, search.engine) == (1, False, "")
    assert "time limit" in search.note and rows(search) == []


def test_explain_and_json_print_what_is_proved_and_the_gap() -> None:
    model = compile_least_squares("depth")
    arguments = model.bounds, exact_degree(model.artifact.graph)
    data = explain_json(model.artifact, *arguments)
    proven = data["search"]["proven"]
    assert [entry["what"] for entry in proven] == ["rows", "rows", "heads"] and all(entry["gap"] == 0 for entry in proven)
    text = explain_text(model.artifact, *arguments)
    assert "engine HiGHS" in text and "the fewest: no orientations, layers and reuse of rows" in text
    search = model.artifact.search
    assert search is not None
    worse = replace(search, proven=tuple(replace(entry, found=entry.found + 2) for entry in search.proven))
    assert "at most 2 above the fewest" in explain_text(replace(model.artifact, search=worse), *arguments)


def test_twenty_steps_keep_the_limits_of_the_engine() -> None:
    program = hw.constructions.get("least_squares").program
    model = hw.compile(program, dims={"n": 32, "d": 8}, steps=20, alpha=0.01, optimize="depth")
    search = model.artifact.search
    assert search is not None and search.engine == "HiGHS"
    assert rows(search)[0] == (model.d_model, model.d_model)
