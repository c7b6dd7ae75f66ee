"""Programs that once gave a wrong answer, hung or crashed, found by people who tried to break the compiler."""

from __future__ import annotations

import numpy as np
import pytest

import headwright as hw


def test_updating_in_place_is_refused_since_numpy_would_change_aliases() -> None:
    @hw.program
    def alias(A: hw.Matrix["d", "d"], B: hw.Matrix["d", "d"]):
        Y = A @ B
        Z = Y
        Y += A
        return {"Z": Z, "Y": Y}

    with pytest.raises(hw.TraceError, match="update in place the traced value") as caught:
        hw.compile(alias, dims={"d": 2})
    assert caught.value.where is not None and "Y += A" in caught.value.where.code and caught.value.fix


@pytest.mark.parametrize("optimize", ["balanced", "depth", "heads", "width"])
def test_outputs_of_very_different_scale_do_not_share_a_weight(optimize: str) -> None:
    @hw.program
    def scales(A: hw.Matrix["n", "d"], v: hw.Vector["d"]):
        return {"small": 1e-200 * (A @ v), "large": 1e200 * (A @ v)}

    model = hw.compile(scales, dims={"n": 2, "d": 3}, optimize=optimize)
    got = model(A=np.ones((2, 3)), v=np.ones(3))
    assert (got["small"] == 3e-200).all() and (got["large"] == 3e200).all()


def test_a_weight_that_is_no_float_is_refused() -> None:
    @hw.program
    def tiny(A: hw.Matrix["n", "d"], v: hw.Vector["d"], *, c):
        for _ in range(5):
            v = c * v
        return A @ v

    with pytest.raises(hw.CompileError, match="a weight is about 2\\^-") as caught:
        hw.compile(tiny, dims={"n": 2, "d": 3}, c=1e-100)
    assert caught.value.fix


@pytest.mark.parametrize("optimize", ["balanced", "depth", "width"])
def test_two_hundred_gradient_steps_compile_and_are_proved(optimize: str) -> None:
    @hw.program
    def descent(A: hw.Matrix["n", "d"], b: hw.Vector["n"], *, rate, steps):
        S, g = A.T @ A, A.T @ b
        w = rate * g
        for _ in range(steps):
            w = w - rate * (S @ w - g)
        return w

    model = hw.compile(descent, dims={"n": 6, "d": 3}, rate=0.01, steps=200, optimize=optimize)
    assert model.depth == 201 and isinstance(hw.verify(model)["identity"], hw.Proved)


def test_exact_runs_check_names_shapes_and_stated_symmetry() -> None:
    @hw.program
    def uses(A: hw.Matrix["d", "d"]):
        hw.symmetric(A)
        return A.T @ A @ A

    model = hw.compile(uses, dims={"d": 2})
    with pytest.raises(hw.InputError):
        model.exact.run()
    with pytest.raises(hw.InputError):
        model.exact.run(A=[[1, 2, 3], [4, 5, 6]])
    with pytest.raises(hw.AssumptionError):
        model.exact.run(A=[[1, 2], [3, 4]])


def test_an_output_beside_one_of_other_units_loses_no_digit() -> None:
    """A head shared by way of (a + b) − a would return 0 here."""

    @hw.program
    def mixed(A: hw.Matrix["n", "d"], B: hw.Matrix["n", "d"], q: hw.Vector["d"]):
        return {"sum": A - 3 * B, "w": (2 * A - B) @ q}

    A = np.full((1, 1), 1e150)
    assert hw.compile(mixed, dims={"n": 1, "d": 1})(A=A, B=2 * A, q=np.full(1, 1e150))["sum"] == -5e150


def test_an_empty_batch_is_refused() -> None:
    model = hw.constructions.get("newton_inverse").compile(d=2, steps=1, start="input")
    with pytest.raises(hw.InputError, match="the batch is empty"):
        model(A=np.ones((0, 2, 2)), X0=np.ones((2, 2)))
