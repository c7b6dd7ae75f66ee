"""Certified fits: the bound holds, it is tight, the counts are those of theory, and what cannot be proved is refused."""

from __future__ import annotations

import dataclasses
import itertools
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy

from headwright.compiler.approximate import (
    ApproximationError,
    NotProved,
    PiecewiseLinear,
    ScalarFunction,
    fit,
    from_callable,
    hw_bounded,
    named,
    product_fit,
    prove,
    scaled_fit,
)
from headwright.compiler.approximate.corridor import fewest_lines
from headwright.compiler.approximate.enclosure import FLOATS, fraction, intervals
from headwright.compiler.approximate.integral import Integral
from headwright.compiler.approximate.scalar_function import Z
from headwright.compiler.errors import CompileError
from headwright.compiler.fits import fit_function
from headwright.compiler.lowered import Approximation
from headwright.compiler.ranges import of_size, size
from headwright.proofs_check.approximations import check_approximation
from headwright.proofs_check.certificate import Proved
from headwright.proofs_check.relu_table import Case, cases

SIGMOID = named("sigmoid")
VARIANCE = from_callable(lambda z: SIGMOID(z) * (1 - SIGMOID(z)))
ETA = from_callable(lambda z: 2 * 0.1**0.5 / (2 * 0.1**0.5 + z**0.5))


def errors(f: ScalarFunction, approximation: PiecewiseLinear, n: int = 300) -> list[mpmath.mpf]:
    """|f − fit| in 40 digits at many points: on a grid, and at the knots and middles, where it is largest."""
    knots = approximation.knots
    lo = approximation.lo if approximation.lo is not None else knots[0] - 30
    hi = approximation.hi if approximation.hi is not None else knots[-1] + 30
    points = {lo + (hi - lo) * k / n for k in range(n + 1)} | set(knots[:80])
    points |= {(a + b) / 2 for a, b in itertools.pairwise(knots[:80])}
    g = sympy.lambdify(Z, f.expression, "mpmath")
    with mpmath.workdps(40):
        number = lambda q: mpmath.mpf(q.numerator) / q.denominator  # noqa: E731
        return [abs(g(number(z)) - number(approximation(z))) for z in points]


FITS = [
    (SIGMOID, -4, 4, {"tol": 1e-3}),
    (SIGMOID, None, None, {"tol": 1e-2}),
    (VARIANCE, -3.7, 3.7, {"tol": 1e-4}),
    (VARIANCE, -1.2, 1.2, {"pieces": 4}),
    (ETA, 0, 18.8, {"tol": 1e-3}),
    (ETA, 0, 18.8, {"tol": 1e-2, "shape": "interpolating"}),
    (named("sqrt"), 0, 1, {"tol": 1e-3, "keep": (0,)}),
    (named("tanh"), 0, None, {"tol": 1e-3, "keep": (0,)}),
    (named("reciprocal"), 0.25, 4, {"tol": 1e-2}),
    (named("gelu"), -5, 5, {"tol": 1e-2}),
    (from_callable(lambda z: sympy.exp(-abs(z))), -1, 3, {"tol": 1e-2}),
    (from_callable(lambda z: sympy.sin(z) + sympy.cos(3 * z)), 0, 6, {"tol": 1e-2}),
    (named("square"), -1, 2, {"pieces": 5}),
]


@pytest.mark.parametrize(("f", "lo", "hi", "options"), FITS, ids=lambda x: str(x)[:24])
def test_the_proved_bound_holds_and_is_tight(f: ScalarFunction, lo: float, hi: float, options: dict[str, object]) -> None:
    found = fit(f, lo, hi, **options)  # type: ignore[arg-type]
    seen = max(errors(f, found))
    assert seen <= mpmath.mpf(found.bound.numerator) / found.bound.denominator
    assert seen >= 0.9 * float(found.bound)
    if "tol" in options:
        assert found.bound <= Fraction(options["tol"])  # type: ignore[arg-type]
    assert len(found.how) == found.n_pieces


@pytest.mark.parametrize(("f", "lo", "hi", "options"), FITS, ids=lambda x: str(x)[:24])
def test_the_units_are_the_fit_exactly(f: ScalarFunction, lo: float, hi: float, options: dict[str, object]) -> None:
    found = fit(f, lo, hi, **options)  # type: ignore[arg-type]
    units, added = found.units(), found.units(plus=(-1, 3))
    low = found.lo if found.lo is not None else found.knots[0] - 7
    high = found.hi if found.hi is not None else found.knots[-1] + 7
    for k in range(29):
        z = low + (high - low) * k / 28
        assert units(z) == found(z)
        assert added(z) == found(z) - z + 3
    flat = any(s == 0 for s in found.slopes)
    assert len(units) <= found.n_pieces - flat


# ReLU units for sup error 1e-2, 1e-3, 1e-4: equi-error interpolants, and the same shifted by half their error.
TABLE = {
    ("p(1−p)", 0.1): ((6, 17, 54), (6, 13, 39)),
    ("p(1−p)", 0.5): ((4, 9, 28), (4, 7, 21)),
    ("p(1−p)", 1.0): ((4, 9, 25), (3, 7, 18)),
    ("p", 0.1): ((8, 22, 64), (6, 16, 46)),
    ("p", 0.5): ((4, 10, 32), (4, 8, 22)),
    ("p", 1.0): ((4, 8, 20), (2, 6, 15)),
    ("2√μ/(2√μ+√z)", 0.1): ((12, 36, 111), (9, 26, 79)),
    ("2√μ/(2√μ+√z)", 0.5): ((9, 26, 81), (7, 19, 57)),
    ("2√μ/(2√μ+√z)", 1.0): ((8, 22, 68), (6, 16, 48)),
}


@pytest.mark.parametrize("case", list(cases()), ids=lambda c: f"{c.label}-{c.mu}")
def test_no_more_units_than_the_shifted_equi_error_fit(case: Case) -> None:
    _, shifted = TABLE[case.label, case.mu]
    for tol, most in zip((1e-2, 1e-3, 1e-4), shifted, strict=True):
        assert len(fit(case.function, case.lo, case.hi, tol=tol).units()) <= most


def test_interpolating_fits_need_no_more_than_the_equi_error_interpolant() -> None:
    for case in (c for c in cases() if c.mu == 0.5):
        most, _ = TABLE[case.label, case.mu]
        for tol, count in zip((1e-2, 1e-3), most, strict=False):
            assert len(fit(case.function, case.lo, case.hi, tol=tol, shape="interpolating").units()) <= count


@pytest.mark.parametrize("case", [c for c in cases() if c.mu == 1.0], ids=lambda c: c.label)
def test_the_error_falls_with_the_square_of_the_pieces_at_the_optimal_constant(case: Case) -> None:
    found = [fit(case.function, case.lo, case.hi, tol=tol) for tol in (1e-4, 1e-6)]
    slope = math.log(found[1].bound / found[0].bound) / math.log(found[1].n_pieces / found[0].n_pieces)
    assert -2.1 < slope < -1.9
    ratio = found[1].n_pieces ** 2 * float(found[1].bound) / case.law()
    assert 0.9 < ratio < 1.1


def test_squares_reach_the_known_optimum_exactly() -> None:
    for n in (1, 2, 5, 16):
        found = fit(named("square"), -1, 1, pieces=n)
        assert found.bound <= Fraction(4, 8 * n * n) * (1 + Fraction(1, 2**48))  # knots are doubles
    assert fit(named("square"), -1, 1, pieces=16).bound == Fraction(4, 8 * 16**2)
    assert len(fit(named("square"), -1, 1, pieces=5).units()) == 4  # the middle piece is flat


def test_a_moved_value_gets_a_larger_bound() -> None:
    found = fit(ETA, 0, 18.8, tol=1e-2)
    for k in range(len(found.values)):
        for shift in (Fraction(1, 100), Fraction(-1, 100)):
            values = tuple(v + shift * (i == k) for i, v in enumerate(found.values))
            bound, _ = prove(ETA, found.lo, found.hi, found.knots, values)
            assert bound > found.bound
            moved = dataclasses.replace(found, values=values, bound=bound)
            assert max(errors(ETA, moved)) <= float(bound) * (1 + 1e-15)


def test_fewer_lines_do_not_exist_through_a_corridor() -> None:
    x = np.linspace(0, 1, 400)
    for eps in (1e-2, 1e-3, 1e-4):
        lines = fewest_lines(x.tolist(), (x**2 - eps).tolist(), (x**2 + eps).tolist())
        assert lines is not None
        assert len(lines) == math.ceil(1 / math.sqrt(8 * eps))  # n pieces reach exactly 1/(8n²)


@pytest.mark.parametrize(
    ("expression", "units"),
    [
        (sympy.Max(0, Z), 1),
        (sympy.Abs(Z), 2),
        (3 * Z - 1, 1),
        (sympy.Integer(5), 0),
        (sympy.Max(0, sympy.Min(1, Z)), 2),
        (sympy.Max(Z, -Z, sympy.Rational(1, 2)), 2),
    ],
)
def test_piecewise_linear_functions_are_exact(expression: sympy.Expr, units: int) -> None:
    found = fit(from_callable(expression), -2, 2, tol=1e-3)
    assert found.bound == 0
    assert len(found.units()) == units
    for k in range(-20, 21):
        z = Fraction(k, 10)
        assert found(z) == found.units()(z) == Fraction(str(expression.subs(Z, sympy.Rational(k, 10))))


def test_kept_points_and_ranges_are_respected() -> None:
    for at in (0, Fraction(1, 2), 1):
        assert fit(named("square"), -1, 1, tol=1e-2, keep=(at,))(Fraction(at)) == Fraction(at) ** 2
    assert fit(named("tanh"), -3, 3, tol=1e-2, keep=(0,))(0) == 0
    below = fit(VARIANCE, -10, 10, tol=1e-2, within=(0, None))
    assert min(below.values) >= 0 > min(fit(VARIANCE, -10, 10, tol=1e-2).values)


def test_saturating_functions_are_fitted_on_the_whole_line() -> None:
    found = fit(SIGMOID, None, math.inf, tol=1e-3)
    assert found.slopes[0] == found.slopes[-1] == 0
    for z in (-(10**6), -50, 50, 10**6):
        assert abs(found(z) - SIGMOID(float(z))) <= found.bound
    with pytest.raises(ApproximationError, match="does not settle"):
        fit(named("exp"), 0, None, tol=1e-2)


def test_left_facing_hinges_keep_the_step_size_exact_in_float32() -> None:
    found = fit(ETA, 0, 18.8, tol=2e-5)
    units = found.units()
    assert all(u.direction == -1 for u in units.units if u.knot < 1)  # the steep end is to the left

    def in_float32(constant: float, rows: list[tuple[int, Fraction, Fraction]]) -> float:
        z = np.linspace(0, 18.8, 4001, dtype=np.float32)
        total = np.full_like(z, constant)
        for direction, knot, weight in rows:
            total += np.float32(weight) * np.maximum(np.float32(direction) * (z - np.float32(knot)), np.float32(0))
        return float(np.abs(total - found(z.astype(np.float64))).max())

    left = in_float32(float(units.constant), [(u.direction, u.knot, u.weight) for u in units.units])
    assert left <= found.rounding("float32") < 2 * found.bound
    bends = [b - a for a, b in zip(found.slopes, found.slopes[1:], strict=False)]
    right = in_float32(
        float(found.values[0]), [(1, t, w) for t, w in zip(found.knots[:-1], [found.slopes[1], *bends[1:-1]], strict=True)]
    )
    assert right > 100 * left
    assert found.rounding("float64") < Fraction(1, 10**9) * found.rounding("float32") * 10
    with pytest.raises(CompileError, match="float16"):
        found.rounding("float16")


@pytest.mark.parametrize(
    ("f", "lo", "hi", "options", "says"),
    [
        (named("reciprocal"), -1, 1, {"tol": 1e-2}, "a pole near z = 0"),
        (named("reciprocal"), 0, 1, {"tol": 1e-2}, "near z = 0"),
        (named("tan"), 0, 3, {"tol": 1e-2}, "a pole near z = 1.570"),
        (named("sqrt"), -1, 1, {"tol": 1e-2}, "root of a negative number near z = -1"),
        (named("log"), 0, 1, {"tol": 1e-2}, "logarithm"),
        (SIGMOID, 1, 1, {"tol": 1e-2}, "is empty"),
        (SIGMOID, 0, 1, {"tol": 0}, "tol must be a positive number"),
        (SIGMOID, 0, 1, {"tol": math.nan}, "tol must be a positive number"),
        (SIGMOID, 0, 1, {}, "exactly one of tol and pieces"),
        (SIGMOID, 0, 1, {"tol": 1e-2, "pieces": 3}, "exactly one of tol and pieces"),
        (SIGMOID, 0, 1, {"pieces": 0}, "at least one piece"),
        (SIGMOID, math.nan, 1, {"tol": 1e-2}, "the domain ends at nan"),
        (SIGMOID, 0, 1, {"tol": 1e-2, "keep": (2,)}, "outside the domain"),
        (SIGMOID, 0, 1, {"tol": 1e-2, "within": (0.7, 1)}, "no path obeys"),
        (named("exp"), 0, 1, {"tol": 1e-13}, "tens of thousands"),
    ],
)
def test_what_cannot_be_proved_is_refused(
    f: ScalarFunction, lo: float, hi: float, options: dict[str, object], says: str
) -> None:
    with pytest.raises(ApproximationError, match=says) as error:
        fit(f, lo, hi, **options)  # type: ignore[arg-type]
    assert error.value.fix


def test_a_proof_refuses_where_f_has_no_value() -> None:
    with pytest.raises(NotProved, match="a pole"):
        prove(named("reciprocal"), Fraction(-1), Fraction(1), [Fraction(-1), Fraction(1)], [Fraction(0), Fraction(0)])


def test_callables_are_read_by_running_them_on_a_symbol() -> None:
    mu = 0.1
    f = from_callable(lambda z: 2 * mu**0.5 / (2 * mu**0.5 + z**0.5))
    assert f.expression.has(sympy.sqrt(Z)) and not f.expression.atoms(sympy.Float)
    assert f(np.array([4.0]))[0] == pytest.approx(2 * mu**0.5 / (2 * mu**0.5 + 2), rel=1e-15)
    assert from_callable(np.tanh) == from_callable("tanh") == from_callable(math.tanh) == named("tanh")
    numpy_one = from_callable(lambda z: np.float64(2) * np.exp(-z) / (1 + np.maximum(z, 0)) ** 2)
    assert numpy_one.expression == 2 * sympy.exp(-Z) / (1 + sympy.Max(0, Z)) ** 2
    x, q = sympy.symbols("x q")
    assert from_callable(x**2).expression == from_callable(sympy.Lambda(q, q**2)).expression == Z**2
    assert SIGMOID(named("square")).expression == SIGMOID.expression.subs(Z, Z**2)


@pytest.mark.parametrize(
    ("fn", "says"),
    [
        (lambda z: z if z > 0 else 0, "calling it on a sympy symbol raised TypeError"),
        (lambda z: [z], "returned list"),
        (lambda z: math.exp(z), "Cannot convert expression to float"),
        (lambda z: np.floor(z), "TypeError"),
        (lambda z: sympy.gamma(z), "no rule for gamma"),
        (lambda z: sympy.sign(z), "jumps"),
        (sympy.Symbol("a") * sympy.Symbol("b"), "the symbols a, b"),
        (sympy.Lambda(sympy.symbols("a b"), sympy.Symbol("a")), "2 arguments"),
        ("foo", "no scalar function is called 'foo'"),
        (None, "not callable"),
    ],
)
def test_a_function_that_cannot_be_bounded_is_refused_with_the_reason(fn: object, says: str) -> None:
    with pytest.raises(ApproximationError, match=says) as error:
        from_callable(fn)
    assert error.value.fix


def test_a_bound_on_the_second_derivative_is_enough() -> None:
    plain = fit(hw_bounded(math.sin, second_derivative=1, evaluation_error=Fraction(1, 2**53)), 0, 6, tol=1e-3)
    convex = fit(hw_bounded(math.exp, second_derivative=Fraction(2719, 1000), convex=True), 0, 1, tol=1e-3)
    z = np.linspace(0, 6, 5001)
    assert np.abs(plain(z) - np.sin(z)).max() <= plain.bound <= Fraction(1, 1000)
    z = np.linspace(0, 1, 5001)
    assert 0.9 * 0.8 * convex.bound <= np.abs(convex(z) - np.exp(z)).max() <= convex.bound <= Fraction(1, 1000)
    for wrong in (-1, math.inf, math.nan, "1"):
        with pytest.raises(ApproximationError, match="second_derivative of sin"):
            hw_bounded(math.sin, second_derivative=wrong)  # type: ignore[arg-type]
    with pytest.raises(ApproximationError, match="evaluation error"):
        fit(hw_bounded(math.sin, second_derivative=1, evaluation_error=0.1), 0, 6, tol=1e-3)


ENCLOSED = [
    sympy.exp(Z), 1 / (1 + sympy.exp(-Z)), sympy.sqrt(Z), Z ** sympy.Rational(-2, 3), sympy.log(Z), sympy.atan(Z),
    sympy.tanh(Z), sympy.sin(Z) * sympy.cos(2 * Z), sympy.erf(Z), Z**5, Z**-2, sympy.pi**Z + sympy.E,
]  # fmt: skip


@pytest.mark.parametrize("expression", ENCLOSED)
def test_taylor_coefficients_enclose_the_derivatives(expression: sympy.Expr) -> None:
    f = from_callable(expression)
    at = sympy.Rational(7, 10)
    narrow = f.enclose(Fraction(7, 10), Fraction(7, 10), 4)
    wide = f.enclose(Fraction(6, 10), Fraction(9, 10), 4)
    floats = f.tape.run(FLOATS, np.array([0.7]), 4)
    for k in range(5):
        true = Fraction(str(sympy.Rational(str((sympy.diff(expression, Z, k).subs(Z, at) / sympy.factorial(k)).evalf(50)))))
        for series in (narrow, wide):
            assert fraction(series[k].a) - Fraction(1, 10**40) <= true <= fraction(series[k].b) + Fraction(1, 10**40)
        assert fraction(narrow[k].b) - fraction(narrow[k].a) < Fraction(1, 10**20)
        assert float(np.ravel(floats[k])[0]) == pytest.approx(float(true), rel=1e-13, abs=1e-14)


def test_products_stay_within_their_bound_and_vanish_on_the_axes() -> None:
    counts = []
    for tol, most in ((1e-2, 10), (1e-3, 26), (1e-4, 74)):
        product = product_fit((0, Fraction(1, 4)), (-1, 1), tol)
        units = product.units()
        counts.append(len(units))
        assert len(units) <= most
        worst = Fraction(0)
        for i in range(21):
            for j in range(21):
                u, v = Fraction(i, 80), Fraction(j, 10) - 1
                assert product(u, v) == units(u, v)
                worst = max(worst, abs(product(u, v) - u * v))
        assert 0.7 * product.bound <= worst <= product.bound <= Fraction(tol)
        assert product(Fraction(0), Fraction(1, 3)) == product(Fraction(1, 7), Fraction(0)) == 0
    assert counts == [8, 24, 72]
    for bad in (((1, 1), (0, 1)), ((0, 1), (2, 1))):
        with pytest.raises(ApproximationError, match="is empty"):
            product_fit(*bad, 1e-2)
    with pytest.raises(ApproximationError, match="tol"):
        product_fit((0, 1), (0, 1), 0)


def test_an_integral_without_closed_form_is_enclosed() -> None:
    phi = Integral(from_callable(sympy.sqrt(VARIANCE.expression)), Fraction(-3), Fraction(3))
    with mpmath.workdps(40):
        for z in (Fraction(-3), Fraction(-1, 3), Fraction(0), Fraction(5, 2)):
            true = 2 * mpmath.atan(mpmath.tanh(mpmath.mpf(z.numerator) / z.denominator / 4))
            inside = phi.enclose(z, z, 0)[0]
            assert fraction(inside.a) <= Fraction(str(true)) <= fraction(inside.b)
            assert float(phi.numpy(float(z))) == pytest.approx(float(true), abs=1e-14)


@pytest.mark.parametrize(("tol", "most"), [(1e-1, 2), (1e-2, 14), (1e-3, 54)])
def test_a_scaled_function_takes_one_hidden_layer(tol: float, most: int) -> None:
    s, reach = from_callable(sympy.sqrt(VARIANCE.expression)), math.sqrt(4 * math.log(2))
    found = scaled_fit(s, (-reach, reach), (-1, 1), tol)
    units = found.units()
    assert len(units) <= most
    z, a = np.meshgrid(np.linspace(-reach, reach, 301), np.linspace(-1, 1, 61))
    value = np.zeros_like(z)
    for n in units.units:
        value += float(n.weight) * np.maximum(float(n.x) * z + float(n.y) * a + float(n.offset), 0)
    seen = float(np.abs(value - s.numpy(z) * a).max())
    assert 0.6 * found.bound <= seen <= found.bound <= Fraction(tol)
    assert units(Fraction(1, 3), Fraction(0)) == 0
    assert found.smooth < found.bound
    for z1, a1 in ((Fraction(1, 3), Fraction(1, 2)), (Fraction(-3, 2), Fraction(-1))):
        direct = Fraction(0)
        for c, h, f in zip(found.weights, found.steps, found.fits, strict=True):
            direct += c / (2 * h) * (f(z1 + h * a1) - f(z1 - h * a1))
        assert direct == units(z1, a1) == found.units(with_linear=False)(z1, a1) + found.linear * a1


def test_a_function_that_is_not_smooth_is_not_scaled_in_one_layer() -> None:
    with pytest.raises(ApproximationError, match=r"smooth|enclosed"):
        scaled_fit(from_callable(lambda z: 1 + abs(z)), (-1, 1), (-1, 1), 1e-2)


def test_intervals_do_not_change_the_precision_of_others() -> None:
    before = mpmath.iv.prec, mpmath.mp.prec
    intervals().exact(Fraction(1, 3))
    fit(SIGMOID, -1, 1, tol=1e-2)
    assert (mpmath.iv.prec, mpmath.mp.prec) == before


@pytest.mark.parametrize("tol", [0.00022533809104412035, 1e-3, 1e-2])
def test_a_bound_is_proved_again_as_it_was_found(tol: float) -> None:
    """Pieces of this fit are enclosed by halving them; a goal that is only slightly smaller would halve others."""
    function = ScalarFunction("weight", 1 / (1 + sympy.sqrt(sympy.tanh(Z) ** 2 + sympy.Rational(0.1))))
    everywhere = of_size(size((1, 1)))
    found = fit_function(function, None, everywhere, everywhere, Fraction(tol), "v", None)
    assert 0 < found.bound <= Fraction(tol)
    units = len(found.units.units)
    claim = Approximation(0, 0, "function", found.text, found.expression, (found.domain,), found.bound, units, found.how)
    assert isinstance(check_approximation(found.units, claim), Proved)
    less = dataclasses.replace(claim, bound=found.bound * Fraction(999, 1000))
    assert not isinstance(check_approximation(found.units, less), Proved)
