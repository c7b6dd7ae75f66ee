"""Interval arithmetic with outward rounding, in a context of our own: nobody else's precision setting reaches it.

A bound that leaves this module is a float that was rounded to the safe side.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, TypeAlias

from mpmath.ctx_iv import MPIntervalContext
from mpmath.libmp import from_float, from_int, mpf_cmp, mpf_neg, to_float, to_rational

#: An interval of the context `IV`; mpmath is untyped.
Ball: TypeAlias = Any

IV = MPIntervalContext()
IV.prec = 120


def ball(value: Fraction | float | int) -> Ball:
    """The smallest interval of the context around an exact number; floats are exact."""
    if isinstance(value, float) and math.isfinite(value):
        raw = from_float(float(value))
        return IV.make_mpf((raw, raw))
    exact = Fraction(value)
    top = IV.make_mpf((from_int(exact.numerator, IV.prec, "f"), from_int(exact.numerator, IV.prec, "c")))
    if exact.denominator == 1:
        return top
    return top / IV.make_mpf((from_int(exact.denominator, IV.prec, "f"), from_int(exact.denominator, IV.prec, "c")))


def between(lower: Fraction | float, upper: Fraction | float) -> Ball:
    """An interval that contains [lower, upper]."""
    return IV.make_mpf((ball(lower)._mpi_[0], ball(upper)._mpi_[1]))


def above(x: Ball) -> float:
    """The least float that is no smaller than any point of the interval."""
    return _ceiling(x._mpi_[1])


def below(x: Ball) -> float:
    """The greatest float that is no larger than any point of the interval."""
    return -_ceiling(mpf_neg(x._mpi_[0]))


def ends(x: Ball) -> tuple[Fraction, Fraction]:
    """Both ends, exactly."""
    return Fraction(*to_rational(x._mpi_[0])), Fraction(*to_rational(x._mpi_[1]))


def at_most(x: Ball, y: Ball) -> bool:
    """Whether every point of x is at most every point of y."""
    return bool(mpf_cmp(x._mpi_[1], y._mpi_[0]) <= 0)


def _ceiling(raw: Any) -> float:
    number = to_float(raw)
    if math.isfinite(number) and Fraction(number) < Fraction(*to_rational(raw)):
        return math.nextafter(number, math.inf)
    return float(number)


def plus(x: float, y: float) -> float:
    """x + y, rounded up."""
    total = x + y
    return math.nextafter(total, math.inf) if math.isfinite(total) and Fraction(x) + Fraction(y) > Fraction(total) else total
