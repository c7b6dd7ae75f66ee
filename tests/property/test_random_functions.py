"""For random compositions of smooth functions on random intervals: the proved bound is never exceeded, and never far off."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from headwright.compiler.approximate import ApproximationError, fit, from_callable, product_fit
from headwright.compiler.approximate.scalar_function import Z

OUTER = [
    sympy.exp, sympy.sin, sympy.cos, sympy.tanh, sympy.atan, sympy.Abs,
    lambda u: 1 / (1 + u**2), lambda u: 1 / (1 + sympy.exp(-u)), lambda u: sympy.sqrt(1 + u**2), lambda u: u**2,
    lambda u: sympy.log(2 + u), lambda u: sympy.sqrt(u), lambda u: 1 / u, lambda u: sympy.Max(u, sympy.Rational(1, 3)),
]  # fmt: skip
numbers = st.fractions(min_value=-2, max_value=2, max_denominator=8)

widths = st.fractions(min_value=Fraction(1, 8), max_value=3, max_denominator=8)


@st.composite
def expressions(draw: st.DrawFn) -> sympy.Expr:
    a, b = (sympy.Rational(q.numerator, q.denominator) for q in (draw(numbers), draw(numbers)))
    inner = a * Z + b if draw(st.booleans()) else Z
    e = draw(st.sampled_from(OUTER))(inner)
    if draw(st.booleans()):
        e = draw(st.sampled_from([lambda u, v: u + v, lambda u, v: u * v]))(e, draw(st.sampled_from(OUTER))(Z))
    if draw(st.booleans()):
        e = draw(st.sampled_from(OUTER))(e / 2)
    return sympy.sympify(e)


@settings(max_examples=25)
@given(expressions(), numbers, widths, st.sampled_from([1e-1, 1e-2]))
def test_the_bound_of_any_fit_holds(expression: sympy.Expr, lo: Fraction, width: Fraction, tol: float) -> None:
    try:
        f = from_callable(expression)
        found = fit(f, lo, lo + width, tol=tol)
    except ApproximationError as error:  # complex values and poles: refused with the place
        assert any(word in str(error) for word in ("near z =", "zoo", "nan", "no rule")), error
        return
    assert found.bound <= tol
    g = sympy.lambdify(Z, f.expression, "mpmath")
    points = {lo + width * k / 64 for k in range(65)} | set(found.knots)
    with mpmath.workdps(30):
        number = lambda q: mpmath.mpf(q.numerator) / q.denominator  # noqa: E731
        worst = max(abs(g(number(z)) - number(found(z))) for z in points)
        assert worst <= number(found.bound) + mpmath.mpf(10) ** -25
    dense = np.linspace(float(lo), float(lo + width), 4001)
    assert np.abs(f.numpy(dense) - found(dense)).max() >= 0.85 * found.bound - 1e-12
    units = found.units()
    assert all(units(z) == found(z) for z in sorted(points)[:: len(points) // 5])


@settings(max_examples=20)
@given(st.tuples(numbers, numbers), st.tuples(numbers, numbers), st.data())
def test_the_bound_of_any_product_holds(
    u: tuple[Fraction, Fraction], v: tuple[Fraction, Fraction], data: st.DataObject
) -> None:
    (a, b), (c, d) = sorted(u), sorted(v)
    if a == b or c == d:
        return
    product = product_fit((a, b), (c, d), 1e-2)
    units = product.units()
    share = st.fractions(min_value=0, max_value=1, max_denominator=97)
    for _ in range(20):
        x, y = a + (b - a) * data.draw(share), c + (d - c) * data.draw(share)
        assert abs(product(x, y) - x * y) <= product.bound <= Fraction(1e-2)
        assert units(x, y) == product(x, y)
        assert product(Fraction(0), y) == product(x, Fraction(0)) == 0 or not (a <= 0 <= b and c <= 0 <= d)
