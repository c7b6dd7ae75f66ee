"""Random programs with functions, products, gates and scaled rows: proved, and never further off than certified."""

from __future__ import annotations

import os
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headwright as hw
from headwright.compiler.graph import evaluate
from headwright.compiler.ops import EXACT
from headwright.proofs_check import strategies as hws

EXAMPLES = max(20, int(os.environ.get("HEADWRIGHT_FUZZ_EXAMPLES", "0")))

#: Larger than every bound that occurs: fits are then made within 1/100, whatever the program is.
LOOSE = 1e6


def compiled(case: hws.Case, optimize: str = "balanced", tol: float = LOOSE) -> hw.Compiled:
    return hw.compile(case.program, dims=case.sizes, optimize=optimize, tol=tol)


def floats(case: hws.Case) -> dict[str, np.ndarray]:
    return {name: value.astype(float) for name, value in case.inputs.items()}


def certified(model: hw.Compiled) -> dict[str, float]:
    lowered = model.artifact.lowered
    return dict.fromkeys((o.name for o in model.artifact.graph.outputs), 0.0) if lowered is None else dict(lowered.errors)


@settings(max_examples=EXAMPLES)
@given(hws.positionwise_cases(), st.sampled_from(["balanced", "depth", "width"]))
def test_random_programs_are_proved_and_within_the_certified_error(case: hws.Case, optimize: str) -> None:
    model = compiled(case, optimize)
    certificate = hw.verify(model)
    # an output such as A − A has no degree that is known: then the claim on depth is open, and right so
    open_claims = [c for c in certificate.claims if not isinstance(c.verdict, hw.Proved) and c.name != "depth"]
    assert not open_claims, f"{case.source}\n{certificate}"
    exact = model.exact.run(**case.inputs)
    want, bound = model.reference(**floats(case)), certified(model)
    two_d = {n: v.reshape(v.shape + (1,) * (2 - v.ndim)) for n, v in case.inputs.items()}
    graph = model.artifact.graph
    meaning = evaluate(graph, two_d, EXACT)
    for output in graph.outputs:
        shape = exact[output.name].shape
        assert (exact[output.name] == meaning[output.node].reshape(shape)).all(), case.source
        # the reference is in float64: its own roundings are far below 1e-12 at these sizes
        far = np.abs(exact[output.name].astype(float) - want[output.name]).max()
        assert far <= bound[output.name] + 1e-12, f"{case.source}\n{output.name}: {far} > {bound[output.name]}"


@pytest.mark.parametrize("tol", [0.2, 0.06, 0.05])
def test_a_constant_that_stands_for_a_function_on_the_whole_line_is_proved(tol: float) -> None:
    @hw.program
    def flat(A: hw.Matrix["n", "d"]):
        return hw.sigmoid(hw.sigmoid(A * A))

    model = hw.compile(flat, dims={"n": 2, "d": 1}, tol=tol)
    assert hw.verify(model).all_proved
    A = np.array([[0.0], [1e3]])  # both ends of the range, σ(½) and σ(1)
    exact = model.exact.run(A=[[0], [1000]]).astype(float)  # a run in floats rounds A + c − A
    assert np.abs(exact - flat.reference(A=A)).max() <= max(certified(model).values()) + 1e-15 <= tol


@settings(max_examples=EXAMPLES)
@given(hws.positionwise_cases(max_steps=3))
def test_structured_dense_and_exact_runs_agree(case: hws.Case) -> None:
    model = compiled(case)
    exact, inputs = model.exact.run(**case.inputs), floats(case)
    for found in (model(**inputs), model.run(inputs, dense=True)):
        for name, value in exact.items():
            # products of two values are sums of squares of up to the gate's reach, weights of fits are below 1e3
            assert np.abs(found[name] - value.astype(float)).max() <= 1e-9 * max(1.0, np.abs(value).max()), case.source


@settings(max_examples=max(6, EXAMPLES // 4))
@given(hws.positionwise_cases(max_steps=2), st.sampled_from([Fraction(1, 10), Fraction(1, 100)]))
def test_an_asked_tolerance_is_proved_for_every_output(case: hws.Case, tol: Fraction) -> None:
    model = compiled(case, tol=float(tol))
    assert max(certified(model).values()) <= tol
    want = model.reference(**floats(case))
    for name, value in model.exact.run(**case.inputs).items():
        assert np.abs(value.astype(float) - want[name]).max() <= float(tol) + 1e-12, case.source
