"""Proved ranges of polynomials on intervals, in rational arithmetic with outward rounding.

Cubics and multiples of powers have their extrema at the ends and at critical points that a square root gives; it is
enclosed. For other polynomials the range is guessed in floating point, widened, and then proved: p stays below M where
M − p has no real root on the interval (Sturm's theorem).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import TypeAlias

import numpy as np
import sympy

#: Coefficients of a polynomial, the constant first.
Polynomial: TypeAlias = tuple[Fraction, ...]

#: Significant bits that bounds keep. Without rounding, the length of an exact bound would triple in every step.
BITS = 80

#: Bounds closer to 0 than this are widened to it: residuals are squared in every step, and so are their exponents.
TINY = Fraction(1, 2**1000)


@dataclass(frozen=True)
class Interval:
    """The numbers from lo to hi, lo ≤ hi, ends included."""

    lo: Fraction
    hi: Fraction

    @property
    def largest(self) -> Fraction:
        """The largest absolute value in it."""
        return max(abs(self.lo), abs(self.hi))

    def rounded(self, bits: int = BITS) -> Interval:
        """A hardly wider interval whose ends have at most so many significant bits and are not below `TINY`, unless 0."""
        return Interval(_round_down(self.lo, bits), -_round_down(-self.hi, bits))


def _round_down(value: Fraction, bits: int) -> Fraction:
    """A number of at most that many significant bits, or `TINY` or 0, that is hardly below the value."""
    if abs(value) < TINY:
        return -TINY if value < 0 else Fraction(0)
    shift = bits - (abs(value.numerator).bit_length() - value.denominator.bit_length())
    scale = Fraction(2) ** shift
    scaled = value * scale
    return Fraction(scaled.numerator // scaled.denominator) / scale


def square_root(value: Fraction, bits: int = 2 * BITS) -> Interval:
    """Bounds of the square root of a number ≥ 0, that far apart in relation to it."""
    if not value:
        return Interval(value, value)
    size = value.numerator.bit_length() - value.denominator.bit_length()
    shift = bits - size // 2
    scaled = value * Fraction(4) ** shift
    root = isqrt(scaled.numerator // scaled.denominator)
    exact = Fraction(root * root) == scaled
    unit = Fraction(2) ** shift
    return Interval(Fraction(root) / unit, Fraction(root if exact else root + 1) / unit)


def value_at(polynomial: Sequence[Fraction], point: Fraction) -> Fraction:
    """The polynomial at a point, exactly."""
    total = Fraction(0)
    for coefficient in reversed(polynomial):
        total = total * point + coefficient
    return total


def image(polynomial: Polynomial, interval: Interval) -> Interval:
    """Proved bounds of a polynomial on an interval, hardly wider than needed, rounded outward to 80 bits."""
    degree = max((k for k, c in enumerate(polynomial) if c), default=0)
    points = [interval.lo, interval.hi]
    enclosures: list[Interval] = []
    if all(not c for c in polynomial[:degree]):
        points += [Fraction(0)] if interval.lo < 0 < interval.hi else []
    elif degree <= 3:
        enclosures = [e for e in _critical_points(polynomial) if e.hi > interval.lo and e.lo < interval.hi]
    elif interval.lo < interval.hi:
        return _image_by_sturm(polynomial, interval)
    values = [Interval(v, v) for v in (value_at(polynomial, point) for point in points)]
    values += [_image_by_parts(polynomial, enclosure) for enclosure in enclosures]
    return Interval(min(v.lo for v in values), max(v.hi for v in values)).rounded()


def _critical_points(polynomial: Polynomial) -> list[Interval]:
    """Enclosures of the real zeros of the derivative c + 2b x + 3a x² of a cubic."""
    _, c, b, a = (*polynomial[:4], *[Fraction(0)] * (4 - len(polynomial)))
    if not a:
        return [Interval(-c / (2 * b), -c / (2 * b))] if b else []
    discriminant = b * b - 3 * a * c
    if discriminant < 0:
        return []
    root = square_root(discriminant)
    found = []
    for low, high in ((-b - root.hi, -b - root.lo), (-b + root.lo, -b + root.hi)):
        ends = sorted((low / (3 * a), high / (3 * a)))
        found.append(Interval(ends[0], ends[1]))
    return found


def _image_by_parts(polynomial: Polynomial, interval: Interval) -> Interval:
    """Bounds by Horner's rule in interval arithmetic: tight only where the interval is tiny."""
    lo = hi = Fraction(0)
    for coefficient in reversed(polynomial):
        products = [x * y for x in (lo, hi) for y in (interval.lo, interval.hi)]
        lo, hi = min(products) + coefficient, max(products) + coefficient
    return Interval(lo, hi)


def _image_by_sturm(polynomial: Polynomial, interval: Interval) -> Interval:
    """Bounds that no value reaches: p − bound has no root on the interval."""
    found = _guess(polynomial, interval.lo, interval.hi)
    widening = max(found.hi - found.lo, found.largest) / 10**14
    p = sympy.Poly([sympy.Rational(c.numerator, c.denominator) for c in reversed(polynomial)], sympy.Symbol("x"))
    ends = [sympy.Rational(end.numerator, end.denominator) for end in (interval.lo, interval.hi)]
    middle = value_at(polynomial, (interval.lo + interval.hi) / 2)
    while True:
        found = Interval(found.lo - widening, found.hi + widening).rounded()
        rationals = [sympy.Rational(bound.numerator, bound.denominator) for bound in (found.lo, found.hi)]
        if found.lo < middle < found.hi and all((p - bound).count_roots(*ends) == 0 for bound in rationals):
            return found
        widening *= 16


def _guess(polynomial: Polynomial, lower: Fraction, upper: Fraction) -> Interval:
    """The least and greatest value at the ends and at the critical points, as floats find them."""
    # in units of the interval, so that tiny intervals do not underflow
    scaled = [float(c * upper**i) for i, c in enumerate(polynomial)] if upper else [float(c) for c in polynomial]
    roots = np.roots([i * c for i, c in enumerate(scaled)][:0:-1])
    points = [Fraction(float(r.real)) * (upper or 1) for r in roots if abs(r.imag) < 1e-6 * (1 + abs(r.real))]
    values = [value_at(polynomial, point) for point in (lower, upper, *(p for p in points if lower < p < upper))]
    return Interval(min(values), max(values))
