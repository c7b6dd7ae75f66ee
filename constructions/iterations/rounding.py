"""Rational arithmetic with outward rounding: intervals, square roots from both sides, and images of polynomials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import TypeAlias

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


def nearest(value: Fraction) -> Fraction:
    """The nearest number with 53 significant bits: a float64, except that the exponent has no limits."""
    if not value:
        return value
    shift = 53 - (abs(value.numerator).bit_length() - value.denominator.bit_length())
    scaled = value * Fraction(2) ** shift  # between 2^52 and 2^54: one bit too many half of the time
    if abs(scaled) >= 2**53:
        shift -= 1
        scaled /= 2
    return Fraction(round(scaled)) / Fraction(2) ** shift


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
    """Proved bounds of a polynomial on an interval, rounded outward to 80 bits: of degree ≤ 3, or any multiple of a power.

    The extrema are at the ends and at the critical points inside; a critical point that is irrational is enclosed, and
    the polynomial is bounded on the enclosure. Raises ValueError for other polynomials.
    """
    degree = max((k for k, c in enumerate(polynomial) if c), default=0)
    points = [interval.lo, interval.hi]
    enclosures: list[Interval] = []
    if all(not c for c in polynomial[:degree]):
        points += [Fraction(0)] if interval.lo < 0 < interval.hi else []
    elif degree <= 3:
        enclosures = [e for e in _critical_points(polynomial) if e.hi > interval.lo and e.lo < interval.hi]
    else:
        raise ValueError(f"image takes polynomials of degree at most 3 and multiples of powers, got degree {degree}")
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
