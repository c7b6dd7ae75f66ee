"""`hw.iterations`: recurrences, proved bounds, layer counts and rounding floors; each holds, is tight, and can be refuted."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import headwright as hw
from headwright.compiler import allocate, place
from headwright.constructions.iterations import measure
from headwright.constructions.iterations.cubic import best_odd_cubic
from headwright.constructions.iterations.inverse import Power, Tripling
from headwright.constructions.iterations.rounding import nearest
from headwright.proofs_check.ranges import Interval, image, square_root, value_at

NAMES = hw.iterations.names()
TOLERANCES = (1e-2, 1e-6, 1e-12)
KAPPAS = (10, 1e2, 1e4, 1e6)


def residual_at(schedule: hw.iterations.Schedule, value: Fraction) -> Fraction:
    """The residual at one eigenvalue or singular value, by composing the polynomials exactly."""
    residual = 1 - schedule.start * value
    for polynomial in schedule.polynomials:
        residual = value_at(polynomial, residual)
    return residual


def largest_residual(schedule: hw.iterations.Schedule, steps: int) -> float:
    """The maximum over [l, u] after some steps, on a fine grid with both ends, in floating point."""
    grid = np.concatenate([np.geomspace(float(schedule.l), float(schedule.u), 20_001), [float(schedule.l)]])
    root = np.sqrt(grid) if schedule.iteration.target == "inverse_sqrt" else grid
    residual = 1 - float(schedule.start) * root
    for polynomial in schedule.polynomials[:steps]:
        residual = np.polynomial.polynomial.polyval(residual, np.array(polynomial, dtype=float))
    return float(abs(residual).max())


# -- names ---------------------------------------------------------------------------------------------------------


def test_the_iterations_are_found_by_name_and_by_target() -> None:
    assert {f"newton-schulz-{order}" for order in range(2, 10)} <= set(hw.iterations.names("inverse"))
    assert {"third-order", "chebyshev", "scaled-newton"} <= set(hw.iterations.names("inverse"))
    assert hw.iterations.names("polar") == ["minimax-polar", "newton-schulz-polar"]
    assert hw.iterations.names("sign") == ["minimax-sign", "newton-schulz-sign"]
    assert hw.iterations.names("inverse_sqrt") == ["minimax-inverse-sqrt", "newton-schulz-inverse-sqrt"]
    assert sorted(itertools.chain(*map(hw.iterations.names, ("inverse", "polar", "sign", "inverse_sqrt")))) == NAMES
    with pytest.raises(hw.CompileError, match="did you mean chebyshev"):
        hw.iterations.get("chebychev")
    with pytest.raises(hw.CompileError, match="inverse_sqrt"):
        hw.iterations.names("cube root")


@pytest.mark.parametrize("name", NAMES)
def test_the_record_of_an_iteration_is_complete(name) -> None:
    iteration = hw.iterations.get(name)
    assert iteration.name == name and iteration.summary and iteration.stability_note
    assert iteration.stability in ("damped", "neutral", "amplified")
    if iteration.target == "inverse":
        assert 3 ** (iteration.layers_per_step - 1) < iteration.order <= 3**iteration.layers_per_step


# -- the recurrences -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_recurrence_is_proved(name) -> None:
    verdict = hw.iterations.get(name).prove()
    assert isinstance(verdict, hw.Proved) and hw.iterations.get(name).residual in verdict.how


@dataclass(frozen=True)
class _ForgetsT(Tripling):
    """Multiplies X, but leaves T = SX as it was."""

    def advance(self, state, step, value):
        return (super().advance(state, step, value)[0], state[1])


@dataclass(frozen=True)
class _WrongFactor(Tripling):
    """(2I − T)(I − T) without the a."""

    def advance(self, state, step, value):
        return super().advance(state, (1, 1, 1), value)


@dataclass(frozen=True)
class _WrongStart(Power):
    """Carries αS where the residual I − αS belongs."""

    def begin(self, start, value):
        return (super().begin(start, value)[0], start * value)


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("third-order", {"residual": "R²"}, "the formula R²"),
        ("chebyshev", {"residual": "a·R³ + (1 + a)·R"}, "the formula"),
        ("newton-schulz-polar", {"residual": "3/2·R² + 1/2·R³"}, "the formula"),
        ("chebyshev", {"recurrence": _ForgetsT(tuned=True)}, "a step, value 1"),
        ("chebyshev", {"recurrence": _WrongFactor(tuned=True)}, "the residual after a step"),
        ("newton-schulz-7", {"recurrence": _WrongStart(7)}, "the start, value 1"),
        ("newton-schulz-7", {"recurrence": Power(8)}, "the formula R⁷"),
    ],
)
def test_a_wrong_recurrence_or_formula_is_refuted_with_the_difference(name, change, says) -> None:
    verdict = replace(hw.iterations.get(name), **change).prove()
    assert isinstance(verdict, hw.Refuted)
    assert verdict.counterexample.startswith(says) and "differ by" in verdict.counterexample


# -- layers ----------------------------------------------------------------------------------------------------------

# Layers for residual 1e-2, 1e-6, 1e-12 at κ = 10, 1e2, 1e4, 1e6; for chebyshev they are the fewest possible ones (a residual
# polynomial of degree at most 3^L + 1 is at least 1/T_{3^L + 1}).
LAYERS = {
    "chebyshev": ((2, 3, 4), (3, 4, 5), (6, 6, 7), (8, 9, 9)),
    "third-order": ((4, 5, 6), (6, 7, 8), (10, 11, 12), (14, 15, 16)),
    "scaled-newton": ((4, 5, 6), (5, 7, 8), (9, 10, 11), (12, 13, 14)),
    "newton-schulz-2": ((5, 7, 8), (8, 10, 11), (15, 17, 18), (22, 23, 24)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_layer_table(name) -> None:
    iteration = hw.iterations.get(name)
    found = tuple(tuple(iteration.layers(kappa, tol) for tol in TOLERANCES) for kappa in KAPPAS)
    assert found == LAYERS[name]


def chebyshev_polynomial(degree: int, t: Fraction) -> Fraction:
    below, value = Fraction(1), t
    for _ in range(degree - 1):
        below, value = value, 2 * t * value - below
    return value if degree else below


@pytest.mark.parametrize("kappa", [2, 10, 100])
@pytest.mark.parametrize(("name", "base"), [("chebyshev", 3), ("scaled-newton", 2)])
def test_no_polynomial_of_the_degree_has_a_smaller_residual(name, base, kappa) -> None:
    """1/T_m((κ+1)/(κ−1)) is a lower bound for degree m, also for rounded coefficients: compared exactly. From above: the start
    is rounded to 53 bits, of which κ and the degree take fewer than 23; and rounding a moves R by 2^-52 of the R before."""
    schedule = hw.iterations.get(name).fixed(3, 1, kappa)
    before = Fraction(1)
    for step, bound in enumerate(schedule.bounds):
        best = 1 / chebyshev_polynomial(base**step, Fraction(kappa + 1, kappa - 1))
        assert best <= bound <= best * (1 + Fraction(1, 2**30)) + before / 2**51
        before = bound


@pytest.mark.parametrize("order", range(2, 10))
def test_newton_schulz_raises_the_residual_to_its_order_in_every_step(order) -> None:
    schedule = hw.iterations.get(f"newton-schulz-{order}").fixed(3, 1, 10)
    first = max(abs(1 - schedule.start * 1), abs(1 - schedule.start * 10))
    for step, bound in enumerate(schedule.bounds):
        assert first ** (order**step) <= bound <= first ** (order**step) * (1 + Fraction(order**step, 2**77))


# -- schedules and their bounds --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kappa", KAPPAS)
@pytest.mark.parametrize("name", NAMES)
def test_the_bounds_hold_and_are_tight_and_no_step_is_wasted(name, kappa) -> None:
    iteration, l, u = hw.iterations.get(name), 3.0, 3.0 * kappa
    for tol in (1e-2, 1e-6):
        schedule = iteration.schedule(l, u, tol)
        assert len(schedule.bounds) == len(schedule.steps) + 1 and schedule.bounds[-1] <= Fraction(tol)
        assert schedule.layers == len(schedule.steps) * iteration.layers_per_step
        for step, bound in enumerate(schedule.bounds):
            # the grid is finite and floats round: by κ u in the first residual, which steps multiply by less than 3 each
            found = largest_residual(schedule, step)
            rounding = 3.0**step * kappa * np.finfo(float).eps
            assert found <= float(bound) + min(rounding, 1e-4) and float(bound) <= found * 1.001 + min(rounding, 1e-4)
        if schedule.steps:
            assert schedule.bounds[-2] > Fraction(tol)


@pytest.mark.parametrize("name", NAMES)
def test_coefficients_are_float64_numbers_and_bounds_are_short(name) -> None:
    schedule = hw.iterations.get(name).schedule(Fraction(1, 3), 7, 1e-9)
    for number in itertools.chain([schedule.start], *schedule.steps):
        assert Fraction(float(number)) == number
    assert all(bound.numerator.bit_length() <= 81 for bound in schedule.bounds)


@pytest.mark.parametrize("name", NAMES)
def test_the_residual_of_a_run_in_rational_arithmetic_is_the_composed_polynomial(name, rng) -> None:
    iteration = hw.iterations.get(name)
    schedule = iteration.fixed(2, Fraction(1, 4), 4)
    values = [Fraction(1, 4), Fraction(1), Fraction(9, 4), Fraction(4)]
    result = schedule.run(np.diag(np.array(values, dtype=object)))
    for value, X in zip(values, np.diag(result), strict=True):
        if iteration.target == "inverse":
            left, point = 1 - value * X, value
        elif iteration.target == "inverse_sqrt":
            point = square_root(value).lo
            assert point * point == value
            left = 1 - point * X
        else:
            left, point = 1 - X, value
        assert left == residual_at(schedule, point) and abs(left) <= schedule.bounds[-1]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [1, Fraction(1, 3), 1e-6, 7e8])
def test_an_interval_of_one_point_needs_hardly_a_step(name, value) -> None:
    schedule = hw.iterations.get(name).schedule(value, value, 1e-12)
    assert schedule.layers <= 1 and schedule.bounds[-1] <= Fraction(1, 10**12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("l", "u", "tol", "limit"),
    [
        (0, 1, 1e-3, 100),
        (-1, 1, 1e-3, 100),
        (2, 1, 1e-3, 100),
        (-2, -1, 1e-3, 100),
        (0.5, 1, 0, 100),
        (0.5, 1, 1, 100),
        (0.5, 1, -1e-3, 100),
        (float("nan"), 1, 1e-3, 100),
        (0.5, float("inf"), 1e-3, 100),
        ("a", 1, 1e-3, 100),
        (1e-6, 1, 1e-3, 2),
        (1e-200, 1, 1e-3, 100),
    ],
)
def test_what_cannot_be_scheduled_is_refused_with_the_numbers(name, l, u, tol, limit) -> None:
    with pytest.raises(hw.CompileError) as caught:
        hw.iterations.get(name).schedule(l, u, tol, limit)
    assert f"l = {l!r}, u = {u!r}, tol = {tol!r}" in caught.value.what


def test_the_limit_is_the_largest_number_of_steps_that_is_allowed() -> None:
    needed = len(hw.iterations.get("chebyshev").schedule(1, 1e4, 1e-6).steps)
    assert len(hw.iterations.get("chebyshev").schedule(1, 1e4, 1e-6, needed).steps) == needed
    with pytest.raises(hw.CompileError, match=f"after {needed - 1} steps"):
        hw.iterations.get("chebyshev").schedule(1, 1e4, 1e-6, needed - 1)


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_lower_end_is_allowed_exactly_where_coefficients_do_not_need_it(name) -> None:
    iteration = hw.iterations.get(name)
    if iteration.needs_lower:
        with pytest.raises(hw.CompileError, match="l must be above 0"):
            iteration.fixed(4, 0, 2)
        assert iteration.fixed(4, 1, 2).steps != iteration.fixed(4, Fraction(1, 2), 2).steps
    else:
        assert set(iteration.fixed(4, 0, 2).bounds) == {1}
        assert iteration.fixed(4, 0, 2).steps == iteration.fixed(4, 1, 2).steps


def test_a_lower_end_that_is_too_small_costs_steps_and_an_upper_end_that_is_too_small_breaks_chebyshev() -> None:
    schedule = hw.iterations.get("chebyshev").fixed(6, Fraction(1, 100), 1)
    assert abs(residual_at(schedule, Fraction(1, 200))) < Fraction(1, 10**6)
    assert abs(residual_at(schedule, Fraction(101, 100))) > Fraction(99, 100)
    third = hw.iterations.get("third-order").fixed(6, Fraction(1, 100), 1)
    assert abs(residual_at(third, Fraction(101, 100))) < Fraction(1, 10**6)


# -- the arithmetic that the bounds rest on ----------------------------------------------------------------------------

rationals = st.fractions(min_value=-8, max_value=8, max_denominator=64)


@given(st.lists(rationals, min_size=1, max_size=4), rationals, rationals, st.fractions(0, 1, max_denominator=32))
def test_the_image_of_a_cubic_contains_every_value_and_touches_both_ends(coefficients, a, b, share) -> None:
    interval, polynomial = Interval(min(a, b), max(a, b)), tuple(coefficients)
    found = image(polynomial, interval)
    point = interval.lo + share * (interval.hi - interval.lo)
    assert found.lo <= value_at(polynomial, point) <= found.hi
    grid = np.linspace(float(interval.lo), float(interval.hi), 4001)
    values = np.polynomial.polynomial.polyval(grid, np.array(polynomial, dtype=float))
    # between grid points a cubic moves away from its extremum by at most |p''|/2 times half the spacing, squared
    reach = max(abs(interval.lo), abs(interval.hi))
    curvature = sum(k * (k - 1) * abs(c) * reach ** max(k - 2, 0) for k, c in enumerate(polynomial))
    slack = float(curvature) / 2 * (float(interval.hi - interval.lo) / 8000) ** 2 + 1e-12 * (1 + float(abs(values).max()))
    assert float(found.hi) <= values.max() + slack and float(found.lo) >= values.min() - slack


@given(st.integers(2, 9), rationals, rationals)
def test_the_image_of_a_power_is_exact_up_to_its_rounding(power, a, b) -> None:
    interval = Interval(min(a, b), max(a, b))
    found = image((*[Fraction(0)] * power, Fraction(1)), interval)
    exact = [a**power, b**power] + ([Fraction(0)] if interval.lo < 0 < interval.hi else [])
    assert found.lo <= min(exact) and max(exact) <= found.hi
    assert found.hi - max(exact) <= abs(max(exact)) / 2**78 and min(exact) - found.lo <= abs(min(exact)) / 2**78


@given(st.lists(rationals, min_size=5, max_size=7), rationals, rationals, st.fractions(0, 1, max_denominator=32))
def test_the_image_of_a_longer_polynomial_contains_every_value_and_is_hardly_wider(coefficients, a, b, share) -> None:
    interval, polynomial = Interval(min(a, b), max(a, b)), tuple(coefficients)
    found = image(polynomial, interval)
    assert found.lo <= value_at(polynomial, interval.lo + share * (interval.hi - interval.lo)) <= found.hi
    grid = np.linspace(float(interval.lo), float(interval.hi), 4001)
    values = np.polynomial.polynomial.polyval(grid, np.array(polynomial, dtype=float))
    reach = max(abs(interval.lo), abs(interval.hi))
    curvature = sum(k * (k - 1) * abs(c) * reach ** max(k - 2, 0) for k, c in enumerate(polynomial))
    slack = float(curvature) / 2 * (float(interval.hi - interval.lo) / 8000) ** 2 + 1e-12 * (1 + float(abs(values).max()))
    assert float(found.hi) <= values.max() + slack and float(found.lo) >= values.min() - slack


@given(st.fractions(min_value=Fraction(1, 10**30), max_value=10**30))
def test_the_nearest_number_of_53_bits_is_the_float_and_square_roots_are_enclosed(value) -> None:
    assert nearest(value) == Fraction(float(value)) and nearest(-value) == -nearest(value)
    root = square_root(value)
    assert root.lo**2 <= value <= root.hi**2 and root.hi - root.lo <= root.hi / 2**150
    assert square_root(value**2) == Interval(value, value) or square_root(value**2).lo < value < square_root(value**2).hi


@pytest.mark.parametrize(("l", "u"), [(Fraction(1, 10), 1), (Fraction(1, 1000), Fraction(3, 2)), (1, 2), (5, 5)])
def test_no_odd_cubic_is_closer_to_1_than_the_best_one(l, u, rng) -> None:
    """Its deviations at l, at the maximum and at u are equal with alternating signs. So another cubic, which differs from it
    by an odd cubic with at most one positive zero, deviates at least as much at one of the three (de la Vallée Poussin)."""
    l, u = Fraction(l), Fraction(u)
    a, b = best_odd_cubic(l, u)
    points = (l, square_root((l * l + l * u + u * u) / 3).lo, u)
    deviations = [1 - a * x - b * x**3 for x in points]
    level = min(map(abs, deviations))
    assert max(map(abs, deviations)) - level <= Fraction(1, 2**48)  # a and b are rounded to 53 bits
    assert (deviations[0] > 0 > deviations[1] and deviations[2] > 0) or l == u
    for scale, _ in itertools.product([1e-1, 1e-4, 1e-8], range(50)):
        other = (a + Fraction(float(scale * rng.normal())), b + Fraction(float(scale * rng.normal())))
        assert max(abs(1 - other[0] * x - other[1] * x**3) for x in points) >= level


# -- as layers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_as_layers_it_takes_as_many_as_stated_and_is_proved(name) -> None:
    iteration = hw.iterations.get(name)
    sizes = {"n": 5, "d": 3} if iteration.target == "polar" else {"d": 3}
    program = measure.on_any if iteration.target == "polar" else measure.on_symmetric
    steps = len(iteration.schedule(Fraction(1, 10), 1, 1e-17).steps)
    model = hw.compile(program, dims=sizes, iteration=name, l=Fraction(1, 10), u=1, extra=4 - steps)
    layers = iteration.fixed(4, Fraction(1, 10), 1).layers
    # X ← 2X − XSX twice from αI has degree 3 in S: the compiler does the first two steps in one layer
    assert model.depth == layers - (name == "newton")
    polar = iteration.target == "polar"
    assert max(model.heads_per_layer[1:]) == iteration.heads
    assert model.d_model == (5 + 3 if polar else 3 * iteration.blocks) and (not polar or iteration.blocks == 2)
    certificate = hw.verify(model)
    assert isinstance(certificate["identity"], hw.Proved) and isinstance(certificate["exact"], hw.Proved)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
def test_the_floor_bounds_what_layers_leave_and_is_not_far_above(name, dtype) -> None:
    iteration = hw.iterations.get(name)
    for kappa in (1e2, 1e4):
        measured, modelled = measure.floor(name, dtype, kappa, seeds=3), iteration.floor(dtype, kappa)
        assert modelled / 100 <= measured <= modelled, (kappa, measured, modelled)


@pytest.mark.parametrize("name", NAMES)
def test_rounding_errors_do_not_grow_in_further_layers(name) -> None:
    """Six more steps stay below the same floor; an error that doubled in a layer would be 64 times as large."""
    assert measure.floor(name, np.float64, 1e2, seeds=3, extra=6) <= hw.iterations.get(name).floor(np.float64, 1e2)


def test_with_the_factors_in_the_other_order_rounding_errors_grow_unless_the_compiler_changes_it(monkeypatch) -> None:
    """T read as a key within a (I − T): an antisymmetric error is multiplied by 1 + a = 2 in every layer."""

    @hw.program
    def swapped(S: hw.Matrix["d", "d"], *, steps, l):
        hw.symmetric(S)
        I, schedule = hw.eye("d"), hw.iterations.get("chebyshev").schedule(l, 1, 1e-17)
        X, T = schedule.start * I, schedule.start * S
        for _, a, _ in (*schedule.steps, *[(1, Fraction(1), Fraction(1))] * steps):
            X, T = X + X @ (a * (I - T)) @ (2 * I - T), T + T @ (a * (I - T)) @ (2 * I - T)
        return X

    chebyshev, kappa = hw.iterations.get("chebyshev"), 1e4
    S = measure.data(chebyshev, kappa, 10, np.float64, seed=0)

    def left() -> float:
        model = hw.compile(swapped, dims={"d": 10}, steps=8, l=0.5 / kappa)
        return measure.residual(chebyshev, S, model.run({"S": S}, check=False))

    assert left() < chebyshev.floor(np.float64, kappa)
    for module in (place, allocate):
        monkeypatch.setattr(module, "misread", lambda *_: Fraction(0))
    assert left() > 10 * chebyshev.floor(np.float64, kappa)


@pytest.mark.parametrize("name", ["chebyshev", "scaled-newton", "newton-schulz-2", "minimax-inverse-sqrt", "minimax-polar"])
def test_what_rounding_leaves_is_below_the_bound_that_is_derived(name) -> None:
    """At several κ, sizes and seeds, in both formats; and the bound grows as stated."""
    iteration = hw.iterations.get(name)
    for kappa, d in ((1e1, 3), (1e3, 6), (1e5, 4)):
        schedule = iteration.schedule(0.5 / kappa, 1.001, 1e-17)
        for dtype in (np.float32, np.float64):
            size = 2 * d if iteration.target == "polar" else d
            assert measure.floor(name, dtype, kappa, d=d, seeds=4) <= schedule.bound_rounding(dtype, size)
    assert schedule.bound_rounding(np.float32, 2) == 2**29 * schedule.bound_rounding(np.float64, 2)
    assert schedule.bound_rounding(np.float64, 6) == 9 * schedule.bound_rounding(np.float64, 2)


def test_no_bound_is_given_for_an_iteration_that_amplifies_errors() -> None:
    with pytest.raises(hw.CompileError, match="newton amplifies"):
        hw.iterations.get("newton").schedule(0.1, 1, 1e-3).bound_rounding(np.float64, 3)


def test_the_floor_takes_numpy_and_torch_formats_and_refuses_others() -> None:
    iteration = hw.iterations.get("chebyshev")
    assert iteration.floor("float32", 10) == iteration.floor(np.float32, 10) == iteration.floor(torch.float32, 10)
    assert iteration.floor(torch.float32, 10) == 2**29 * iteration.floor(torch.float64, 10)
    for bad in (np.int64, "float31", torch.int32):
        with pytest.raises(hw.CompileError, match="float format"):
            iteration.floor(bad, 10)


def test_carrying_t_is_what_keeps_the_floor_linear_in_kappa() -> None:
    """X ← 2X − XSX as printed loses a factor κ against the same residuals with R carried."""
    printed, carried = (measure.floor(name, np.float64, 1e6, seeds=1) for name in ("newton", "newton-schulz-2"))
    assert printed > 1000 * carried
