"""Every pass of the compiler keeps the meaning of random programs: at least 200 different ones, a third of them with units.

`make fuzz` tries thousands, other ones each time (HEADWRIGHT_FUZZ_EXAMPLES, HEADWRIGHT_FUZZ_SEED).
"""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

import headwright as hw
from headwright.compiler.graph import Graph, evaluate
from headwright.compiler.lowered import Lowered
from headwright.compiler.ops import EXACT, FLOAT64
from headwright.compiler.pipeline import Machine, candidates, distinct_plans, lower_graph
from headwright.compiler.polynomials import lower_exactly
from headwright.compiler.tolerances import lower_within
from headwright.proofs_check import meanings, translation
from headwright.proofs_check import strategies as hws
from headwright.proofs_check.fuzzing import try_distinct
from headwright.proofs_check.meanings import WrongPass
from headwright.proofs_check.translation import validate

FUZZ = int(os.environ.get("HEADWRIGHT_FUZZ_EXAMPLES", "0"))
NUMBER = max(210, FUZZ)
START = int(os.environ.get("HEADWRIGHT_FUZZ_SEED", "0")) or (time.time_ns() % 10**9 if FUZZ else 0)

#: Fits are made within 1/100: what matters here is that the units mean the same in every stage.
LOOSE = Fraction(10**6)

ARCHITECTURES = (hw.LINEAR, hw.GATED, hw.RELU_ATTENTION, hw.SQUARED, hw.MASKED)


def two_dimensional(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: value.reshape(value.shape + (1,) * (2 - value.ndim)) for name, value in inputs.items()}


def test_every_pass_keeps_the_meaning_of_a_random_program(capsys: pytest.CaptureFixture[str]) -> None:
    laid_out: Counter[str] = Counter()

    def check(case: hws.Case) -> None:
        graph = case.program.trace(case.sizes, {})
        # tracing: the graph is the program's Python, in exact arithmetic
        want = case.program.reference(**case.inputs)
        found = evaluate(graph, two_dimensional(case.inputs), EXACT)
        for output in graph.outputs:
            assert (found[output.node].reshape(np.shape(want[output.name])) == want[output.name]).all(), case.source
        arch = hw.RELU_ATTENTION if len(case.source) % 5 == 0 else hw.LINEAR
        laid_out[arch.name] += validate(graph, arch, most=2)

    number = NUMBER * 2 // 3
    begun = time.process_time()
    seen = try_distinct(hws.cases(), number, check, START)
    with capsys.disabled():
        seconds = time.process_time() - begun
        print(f"\n{len(seen)} different programs from seed {START}, candidates {dict(laid_out)}, {seconds:.0f} s of CPU")
    assert len(seen) >= number
    assert min(laid_out.values()) > len(seen) // 10


def test_every_pass_keeps_the_meaning_of_a_random_program_with_units(capsys: pytest.CaptureFixture[str]) -> None:
    laid_out: Counter[str] = Counter()
    refused: Counter[str] = Counter()

    def check(case: hws.Case) -> None:
        chosen = sum(map(ord, case.source)) % len(ARCHITECTURES)
        for arch in (ARCHITECTURES[chosen], hw.LINEAR):
            graph = case.program.trace(case.sizes, {})
            try:
                lowered = lower_exactly(graph, arch.ffn) if arch.ffn in ("gate", "relu2") else lower_within(graph, LOOSE)[0]
            except hw.ArchitectureError:  # a sigmoid where units only multiply
                refused[arch.name] += 1
                continue
            check_lowering(lowered, graph, case)
            assert lower_graph(graph, LOOSE, arch)[0] == lowered.graph
            laid_out[arch.name] += validate(lowered.graph, arch, most=2)
            return

    number = NUMBER - NUMBER * 2 // 3
    begun = time.process_time()
    seen = try_distinct(hws.positionwise_cases(), number, check, START)
    with capsys.disabled():
        seconds = time.process_time() - begun
        what = f"{len(seen)} different programs with units from seed {START}"
        print(f"\n{what}, candidates {dict(laid_out)}, {seconds:.0f} s of CPU")
    assert len(seen) >= number
    assert laid_out.keys() == {arch.name for arch in ARCHITECTURES}


def check_lowering(lowered: Lowered, graph: Graph, case: hws.Case) -> None:
    """Rewriting: what stands for a node is as near to it as is claimed, for every node and not only for outputs."""
    exactly = two_dimensional(case.inputs)
    floats = {name: value.astype(float) for name, value in exactly.items()}
    nodes = sorted(lowered.meaning)
    want = evaluate(graph, floats, FLOAT64, nodes)
    got = evaluate(lowered.graph, exactly, EXACT, [lowered.meaning[node] for node in nodes])
    for node in nodes:
        bound = lowered.errors[node].entry
        far = np.abs(got[lowered.meaning[node]].astype(float) - want[node]).max()
        # the reference is in float64: its own roundings are far below 1e-9 at these sizes
        slack = 1e-9 * max(1.0, np.abs(want[node]).max())
        assert far <= bound + slack, f"{case.source}\n{graph.describe(node)}: {far} > {bound}"


def test_a_gate_of_a_value_that_is_identically_zero_is_still_a_gate() -> None:
    """Found by a campaign: v − v reads no row, so W_3 had no entries and was left out of the layer."""
    body = 't0 = -1 * v + v\nreturn {"t": hw.square(t0)}'
    program = hws.from_source(body, hws.POSITIONWISE_INPUTS)
    graph = lower_graph(program.trace({"n": 2, "d": 1}, {}), None, hw.GATED)[0]
    assert validate(graph, hw.GATED) > 0
    model = hw.compile(program, dims={"n": 2, "d": 1}, arch=hw.GATED)
    assert isinstance(hw.verify(model)["exact"], hw.Proved)
    found = model(A=np.ones((2, 1)), B=np.ones((2, 1)), v=np.ones(2), w=np.ones(1), y=np.ones(2))
    assert not found["t"].any()


# -- the validation itself can fail ------------------------------------------------------------------------------------


@pytest.fixture
def graph() -> Graph:
    body = 't0 = A.T @ (B - 2 * A)\nt1 = t0 @ M + M.T\nt2 = t1 @ u\nreturn {"t1": t1, "w": t2 - s * u, "p": t2 @ t2}'
    return hws.from_source(body).trace({"n": 3, "d": 2, "k": 2}, {})


def test_a_wrong_plan_is_named(graph: Graph) -> None:
    point = meanings.Point.of(graph)
    plan = next(iter(distinct_plans(graph, ("all", "minor"))))
    atom, value = next((a, v) for a, v in plan.values.items() if v.poly is not None and v.node is not None)
    doubled = replace(value.poly, terms={word: 2 * c for word, c in value.poly.terms.items()})
    wrong = replace(plan, values={**plan.values, atom: replace(value, poly=doubled)})
    with pytest.raises(WrongPass, match=r"^select: "):
        meanings.check_plan(wrong, point)


def test_a_wrong_placement_and_a_wrong_schedule_are_named(graph: Graph) -> None:
    plan = next(iter(distinct_plans(graph, ("all", "minor"))))
    meaning = meanings.check_plan(plan, meanings.Point.of(graph))
    scheduled, _ = next(iter(candidates([plan], Machine.of(hw.LINEAR))))
    placement = scheduled.placement
    copy, ((term, *_), *rest) = next(iter(placement.terms.items()))
    wrong = replace(placement, terms={**placement.terms, copy: ((replace(term, coefficient=-term.coefficient),), *rest)})
    with pytest.raises(WrongPass, match=r"^place: "):
        meanings.check_placement(wrong, meaning)
    last = max(scheduled.layer, key=lambda c: scheduled.layer[c])
    early = replace(scheduled, layer={**scheduled.layer, last: 1})
    with pytest.raises(WrongPass, match=r"^schedule: .* too early"):
        meanings.check_schedule(early)


@pytest.mark.parametrize("stage", ["allocate", "merge", "emit", "labels"])
def test_a_wrong_later_pass_is_named(graph: Graph, stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if stage == "allocate":  # a product is lost
        right = translation.allocate

        def allocate(*given):
            layout = right(*given)
            return replace(layout, layers=(layout.layers[0][1:], *layout.layers[1:]))

        monkeypatch.setattr(translation, "allocate", allocate)
    elif stage == "merge":  # a head is lost
        monkeypatch.setattr(translation, "merge", lambda terms, merge=translation.merge: merge(terms)[1:])
    else:
        right_emit = translation.emit

        def emit(*given):
            artifact = right_emit(*given)
            if stage == "emit":
                return replace(artifact, layers=(*artifact.layers[:-1], replace(artifact.layers[-1], heads=())))
            names = list(artifact.rows[-1])
            first, second = names[:2]
            swapped = {**artifact.rows[-1], first: artifact.rows[-1][second], second: artifact.rows[-1][first]}
            return replace(artifact, rows=(*artifact.rows[:-1], swapped))

        monkeypatch.setattr(translation, "emit", emit)
    with pytest.raises(WrongPass, match=f"^{stage}: "):
        validate(graph, hw.LINEAR)


def test_the_count_is_of_different_programs() -> None:
    tried: list[str] = []
    seen = try_distinct(hws.cases(max_steps=2), 12, lambda case: tried.append(case.source), 5, draws=20)
    assert len(tried) == len(set(tried)) == 12 and set(tried) == seen
    with pytest.raises(AssertionError, match="run dry"):
        try_distinct(hws.cases(max_steps=1).map(lambda c: replace(c, source="the same")), 2, lambda case: None, draws=20)
