"""Of equal products the compiler takes the one that damps rounding: however a step is written, extra steps do no harm."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import headwright as hw
from headwright.compiler.damping import limits, other_orders
from headwright.compiler.select import Choices, select
from headwright.constructions.iterations import measure

#: A step of order 2 or 3 on T = SX as people write it; the same factor multiplies X.
WRITINGS = {
    "T + T (I − T)": (2, lambda M, T, I: M + M @ (I - T)),
    "T (2I − T)": (2, lambda M, T, I: M @ (2 * I - T)),
    "2T − T T": (2, lambda M, T, I: 2 * M - M @ T),
    "T + T (2I − T)(I − T)": (3, lambda M, T, I: M + M @ (2 * I - T) @ (I - T)),
    "T + T (I − T)(2I − T)": (3, lambda M, T, I: M + M @ (I - T) @ (2 * I - T)),
}


@hw.program
def inverse(S: hw.Matrix["d", "d"], *, step, steps):
    hw.symmetric(S)
    I = hw.eye("d")
    X, T = I, S
    for _ in range(steps):
        X, T = step(X, T, I), step(T, T, I)
    return X


@pytest.mark.parametrize("writing", WRITINGS)
def test_extra_steps_leave_rounding_at_the_floor_however_the_step_is_written(writing) -> None:
    """After convergence an error that is misread doubles in every layer: 8 layers more would be 256 floors."""
    order, step = WRITINGS[writing]
    kappas = (1e2, 1e4, 1e6)
    steps = {2: 24 + 8, 3: 16 + 8}[order]  # from X = I, R = 1 − 1/κ: (1 − 1e-6)^(2^24) < 1e-7
    model = hw.compile(inverse, dims={"d": 6}, step=step, steps=steps)
    carried = hw.iterations.get(f"newton-schulz-{order}")
    for dtype in (np.float32, np.float64):
        for kappa in kappas:
            S = measure.data(carried, kappa, 6, dtype, seed=1)
            found = measure.residual(carried, S, model.run({"S": S}, check=False))
            assert found <= 3 * carried.floor(dtype, kappa), (dtype, kappa, found)


def test_a_swapped_factor_is_put_where_it_is_harmless_without_more_heads() -> None:
    damped, swapped = (
        hw.compile(inverse, dims={"d": 4}, step=WRITINGS[name][1], steps=5)
        for name in ("T + T (2I − T)(I − T)", "T + T (I − T)(2I − T)")
    )
    assert (swapped.depth, swapped.max_heads, swapped.d_model) == (damped.depth, damped.max_heads, damped.d_model)
    assert swapped.artifact.layers[-2:] == damped.artifact.layers[-2:]
    assert hw.verify(swapped).all_proved


@hw.program
def recurrence(S: hw.Matrix["d", "d"], *, step, steps):
    hw.symmetric(S)
    T = S
    for _ in range(steps):
        T = step(T, T, hw.eye("d"))
    return T


@pytest.mark.parametrize(
    ("step", "limit"),
    [
        (lambda M, T, I: M + M @ (I - T), 1),
        (lambda M, T, I: 2 * M - Fraction(1, 3) * M @ T, 3),
        (lambda M, T, I: M @ T, 0),
        (lambda M, T, I: M + Fraction(7, 2) * M @ (2 * I - T) @ (I - T), 1),
    ],
)
def test_the_limit_of_a_recurrence_is_its_attracting_fixed_point(step, limit) -> None:
    plan = select(recurrence.trace({"d": 3}, {"step": step, "steps": 4}), Choices(keep="named"))
    found = limits(plan)
    assert len(found) == 4 and set(found.values()) == {limit}  # the last one too, though nothing is made of it


def test_factors_change_places_only_where_they_commute() -> None:
    @hw.program
    def triple(A: hw.Matrix["d", "d"], S: hw.Matrix["d", "d"]):
        hw.symmetric(S)
        T = S @ S
        return {"one": T @ S @ T, "other": T @ A @ S}

    plan = select(triple.trace({"d": 3}, {}), Choices())
    letters = {value.name: (value.atom, False) for value in plan.values.values()}
    S, T, A = letters["S"], letters["T"], letters["A"]
    assert list(other_orders(plan.algebra, (T, S, T))) == [(T, T, S), (S, T, T)]
    assert not list(other_orders(plan.algebra, (T, A, S)))


def test_limits_stay_short_numbers_where_an_iteration_diverges() -> None:
    """Exact values of X ← 2X − XSX triple in length in every step; 30 of them would never end."""

    @hw.program
    def diverging(A: hw.Matrix["n", "d"], *, steps):
        S = A.T @ A
        X = 20 * hw.eye("d")
        for _ in range(steps):
            X = 2 * X - X @ S @ X
        return X

    found = limits(select(diverging.trace({"n": 3, "d": 2}, {"steps": 30}), Choices(keep="named")))
    assert all(value.denominator <= 2**64 and abs(value) < 2**64 for value in found.values())
