"""Misuse of what is read from models, of stacks, and of dims: refused or right, never silent."""

from __future__ import annotations

import warnings
from fractions import Fraction

import numpy as np
import pytest

import headwright as hw
from headwright.constructions.gradient_descent import inverted, optimal_preconditioner

SIZES = {"n": 3, "m": 2, "d": 2}
DATA = {"A": np.arange(6.0).reshape(3, 2), "Q": np.array([[1.0, -1], [2, 3]]), "y": np.array([1.0, -2, 3])}


def residuals(A, Q, y):
    n, Z, r = hw.dim("n"), hw.vstack(A, Q), hw.vstack(y, hw.zeros("m"))
    return n, r + Z @ (Z[:n].T @ r[:n])


@hw.program
def both_signs(A: hw.Matrix["n", "d"], Q: hw.Matrix["m", "d"], y: hw.Vector["n"]):
    n, r = residuals(A, Q, y)
    return {"a": -r[n:], "b": r[n:]}


@hw.program
def twice(A: hw.Matrix["n", "d"], Q: hw.Matrix["m", "d"], y: hw.Vector["n"]):
    n, r = residuals(A, Q, y)
    return {"a": -r[n:], "b": -r[n:]}


@hw.program
def scaled_before(A: hw.Matrix["n", "d"], Q: hw.Matrix["m", "d"], y: hw.Vector["n"]):
    n, r = residuals(A, Q, y)
    return (-2 * r)[n:]


@pytest.mark.parametrize("program", [both_signs, twice, scaled_before], ids=lambda p: p.fn.__name__)
def test_a_part_of_a_stack_may_be_returned_with_either_sign(program: hw.Program) -> None:
    model = hw.compile(program, dims=SIZES)
    found, expected = model(**DATA), program.reference(**DATA)
    for name in expected if isinstance(expected, dict) else [None]:
        a, b = (found, expected) if name is None else (found[name], expected[name])
        assert np.array_equal(a, b)
    assert all(isinstance(claim.verdict, hw.Proved) for claim in hw.verify(model).claims)


@hw.program
def scaled_after(A: hw.Matrix["n", "d"], Q: hw.Matrix["m", "d"], y: hw.Vector["n"]):
    n, r = residuals(A, Q, y)
    return -2 * r[n:]


@hw.program
def used_again(A: hw.Matrix["n", "d"], Q: hw.Matrix["m", "d"], y: hw.Vector["n"]):
    n, r = residuals(A, Q, y)
    p = -r[n:]
    return {"p": p, "g": Q.T @ p}


@pytest.mark.parametrize("program", [scaled_after, used_again], ids=lambda p: p.fn.__name__)
def test_computing_with_a_part_of_queries_is_refused_with_what_helps(program: hw.Program) -> None:
    with pytest.raises(hw.ArchitectureError, match="cannot compute with") as caught:
        hw.compile(program, dims=SIZES)
    assert "(c * Z)[n:]" in caught.value.fix and caught.value.where.file == __file__


def test_weights_that_are_read_cannot_be_written() -> None:
    model = hw.compile(both_signs, dims=SIZES)
    head = model.layers[0].heads[0]
    for W in (head.W_V, head.W_K, head.W_Q, model.exact.layers[0].heads[0].W_V):
        with pytest.raises(ValueError, match="read-only"):
            W[0, 0] = 1
    copied = head.W_V.copy()
    copied[0, 0] = 7


def test_sizes_that_nothing_needs_are_refused() -> None:
    with pytest.raises(hw.CompileError, match="dims has 'k', which the program does not use") as caught:
        hw.compile(both_signs, dims={**SIZES, "k": 1})
    assert "d, m, n" in caught.value.rule and caught.value.fix

    @hw.program
    def asks(v: hw.Vector["n"]):
        return v / hw.dim("k")

    assert np.array_equal(hw.compile(asks, dims={"n": 2, "k": 4})(v=np.ones(2)), np.full(2, 0.25))


def test_pq_of_no_model_and_of_no_layers() -> None:
    for bad in (None, 3, [], "model"):
        with pytest.raises(hw.InputError, match="to_pq: model is a"):
            hw.to_pq(bad)
    for bad in ([], None, 3):
        with pytest.raises(hw.InputError, match="from_pq: pairs is a"):
            hw.from_pq(bad, 3)


def test_a_preconditioner_that_moves_up_the_gradient_is_warned_of() -> None:
    construction = hw.constructions.get("preconditioned_gradient_descent")
    with pytest.warns(hw.ConventionWarning, match=r"preconditioners\[1\] is positive, with the eigenvalue 0\.5: w moves up"):
        construction.compile(n=3, d=2, m=1, preconditioners=[-0.5, 0.5])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        construction.compile(n=3, d=2, m=1, preconditioners=[-0.5, np.diag([-0.5, 0])])


def test_the_optimum_of_one_layer_is_right_for_a_covariance_near_a_singular_one() -> None:
    sigma = np.array([[1.0, 1.0 - 1e-12], [1.0 - 1e-12, 1.0]])
    found = optimal_preconditioner(sigma, 3, 2).astype(float)
    assert np.abs(found @ (4 / 3 * sigma + np.trace(sigma) / 3 * np.eye(2)) + np.eye(2)).max() <= 1e-15


def test_an_inverse_that_floats_do_not_hold_is_refused() -> None:
    hilbert = np.array([[Fraction(1 / (i + j + 1)) for j in range(12)] for i in range(12)], dtype=object)
    with pytest.raises(hw.CompileError, match="sigma is too near to a singular matrix") as caught:
        inverted(hilbert)
    assert "ridge" in caught.value.fix


def test_the_identity_does_not_speak_of_sizes_that_the_weights_make_up_for() -> None:
    @hw.program
    def gram(A: hw.Matrix["n", "d"], B: hw.Matrix["n", "d"]):
        return A.T @ B

    models = (hw.compile(gram, dims={"n": 3, "d": 2}, arch=arch) for arch in (hw.LINEAR, hw.MASKED))
    plain, masked = (hw.verify(model)["identity"] for model in models)
    assert plain.how.endswith("for all d, n ≥ 1") and masked.how.endswith("for all d ≥ 1, at n = 3")
