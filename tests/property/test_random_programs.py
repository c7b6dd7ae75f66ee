"""At least 200 random programs a run: proved for all dimensions, exact without rounding, and bit for bit in float64.

The same programs on every run, unless HEADWRIGHT_FUZZ_EXAMPLES asks for new ones.
"""

from __future__ import annotations

from fractions import Fraction
from math import lcm

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headwright as hw
from headwright.compiler.graph import live_nodes
from headwright.proofs_check import strategies as hws

EXAMPLES = settings.default.max_examples


def named(outputs: object) -> dict[str, np.ndarray]:
    return {k: np.asarray(v) for k, v in (outputs if isinstance(outputs, dict) else {"output": outputs}).items()}


def floats(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array.astype(np.float64) for name, array in inputs.items()}


def grain(H: np.ndarray) -> int:
    """The least common denominator of the entries, if it is a power of two; else 0."""
    common = lcm(*(Fraction(x).denominator for x in H.ravel()))
    return common if common & (common - 1) == 0 else 0


def never_rounds(model: hw.Compiled, inputs: dict[str, np.ndarray]) -> bool:
    """Whether float64 holds every number of the run exactly, in any order of summation: all are multiples of 1/grain
    and, with absolute values throughout, below 2^53 / grain."""
    H = np.vectorize(Fraction, otypes=[object])(model.encode(**floats(inputs)))
    for layer in model.exact.layers:
        total, bound, common = H, abs(H), grain(H)
        for head in layer.heads:
            V, K, Q = head.W_V.dot(H), head.W_K.dot(H), head.W_Q.dot(H)
            parts = [abs(W).dot(abs(H)) for W in (head.W_V, head.W_K, head.W_Q)]
            grains = [grain(M) for M in (V, K, Q, head.W_V, head.W_K, head.W_Q)]
            if 0 in grains:
                return False
            scores = parts[0].dot(parts[1].T)
            for values, size in (*zip(parts, [grain(H) * g for g in grains[3:]], strict=True), (scores, grains[0] * grains[1])):
                if values.max() * size >= 2**53:
                    return False
            update = scores.dot(parts[2])
            common = max(common, grains[0] * grains[1] * grains[2])
            bound = bound + update
            total = total + V.dot(K.T).dot(Q)
        if common == 0 or bound.max() * common >= 2**53:
            return False
        H = total
    return True


def test_every_program_is_proved_exact_and_bit_for_bit(capsys: pytest.CaptureFixture[str]) -> None:
    seen, fitting, nested, multiple = set(), 0, 0, 0

    @settings(max_examples=5 * EXAMPLES)  # hypothesis repeats programs: the count below is of different ones
    @given(hws.cases())
    def holds(case: hws.Case) -> None:
        nonlocal fitting, nested, multiple
        if case.source in seen:
            return
        model = hw.compile(case.program, dims=case.sizes)
        certificate = hw.verify(model)
        assert isinstance(certificate["identity"], hw.Proved), f"{case.source}\n{certificate}"
        assert isinstance(certificate["exact"], hw.Proved), f"{case.source}\n{certificate}"
        want, exact = named(case.program.reference(**case.inputs)), named(model.exact.run(**case.inputs))
        structured, dense = named(model(**floats(case.inputs))), named(model.run(floats(case.inputs), dense=True))
        reference = named(case.program.reference(**floats(case.inputs)))
        fits = never_rounds(model, case.inputs)
        for name, value in want.items():
            assert exact[name].shape == value.shape == structured[name].shape == dense[name].shape
            assert (exact[name] == value).all(), f"{case.source}\n{name}"
            if fits:
                assert np.array_equal(structured[name], reference[name]), f"{case.source}\n{name}"
                assert np.array_equal(dense[name], reference[name]), f"{case.source}\n{name}"
        seen.add(case.source)
        fitting += fits
        graph = case.program.trace(case.sizes, {})
        nested += sum(graph.nodes[i].op == "matmul" for i in live_nodes(graph)) >= 3
        multiple += len(graph.outputs) > 1

    holds()
    with capsys.disabled():
        print(f"\n{len(seen)} different programs proved")
    assert len(seen) >= EXAMPLES, "too few different programs"
    assert fitting >= 0.75 * len(seen), "too few cases are small enough for float64 to be exact"
    assert EXAMPLES < 200 or (nested >= 10 and multiple >= 30)


@given(hws.cases(max_steps=5), hws.sizes())
def test_a_program_is_the_same_function_at_every_size(case: hws.Case, other: dict[str, int]) -> None:
    model = hw.compile(case.program, dims=other)
    rng = np.random.default_rng(0)
    inputs = {
        n: np.array(rng.integers(-2, 3, [other[d] for d in dims]).tolist(), dtype=object) for n, dims in hws.INPUTS.items()
    }
    want, got = named(case.program.reference(**inputs)), named(model.exact.run(**inputs))
    assert all((got[n] == want[n]).all() for n in want)


RATIONALS = st.fractions(min_value=-3, max_value=3, max_denominator=7)


@given(RATIONALS, RATIONALS, RATIONALS, hws.sizes(), st.data())
@settings(max_examples=max(50, EXAMPLES // 4))
def test_rational_coefficients_stay_exact(
    a: Fraction, b: Fraction, c: Fraction, sizes: dict[str, int], data: st.DataObject
) -> None:
    @hw.program
    def rational(A: hw.Matrix["n", "d"], u: hw.Vector["d"], *, a, b, c):
        S = a * A.T @ A + b * hw.eye("d")
        X = c * S - S @ S @ S / 3
        return {"X": X, "w": b * X @ u + a * u, "q": c * (u @ X @ u)}

    inputs = {"A": data.draw(hws.integers((sizes["n"], sizes["d"]))), "u": data.draw(hws.integers((sizes["d"],)))}
    constants = {"a": a, "b": b, "c": c}
    model = hw.compile(rational, dims={"n": sizes["n"], "d": sizes["d"]}, **constants)
    want, got = rational.reference(**inputs, **constants), model.exact.run(**inputs)
    assert all((np.asarray(got[name]) == np.asarray(want[name])).all() for name in want)
    assert isinstance(hw.verify(model)["identity"], hw.Proved)


@given(hws.cases(max_steps=5), st.integers(0, 2**31))
def test_dense_and_structured_runs_agree_on_random_floats(case: hws.Case, seed: int) -> None:
    """Both sum the same products in another order. In float64 each of the L layers errs by at most γ = (2N + 4D + 3) u
    per head in the run with absolute values throughout, and later layers amplify as that run does: so L γ times its
    result at 1 + 3^L-fold sensitivity bounds the difference."""
    model = hw.compile(case.program, dims=case.sizes)
    rng = np.random.default_rng(seed)
    inputs = {n: rng.normal(size=[case.sizes[d] for d in dims]) for n, dims in hws.INPUTS.items()}
    structured, dense = named(model(**inputs)), named(model.run(inputs, dense=True))
    H = abs(model.encode(**inputs))
    for layer in model.layers:
        H = H + sum((abs(h.W_V) @ H) @ (abs(h.W_K) @ H).T @ (abs(h.W_Q) @ H) for h in layer.heads)
    unit = np.finfo(np.float64).eps / 2
    heads = max(model.max_heads, 1)
    gamma = (2 * model.n_tokens + 4 * model.d_model + 3 + heads) * unit
    sensitivity = sum(3**i for i in range(model.depth)) * gamma
    bound = named(model.decode(H))
    for name in dense:
        assert (abs(structured[name] - dense[name]) <= 2 * sensitivity * bound[name]).all(), case.source
