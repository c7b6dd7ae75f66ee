"""The two fields that a tape runs on: float64 arrays (to search) and intervals (to prove)."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from typing import Any

import mpmath
import numpy as np

from .taylor import Series

PRECISION = 90
"""Bits of the interval arithmetic. Knots and weights are doubles (53 bits); 90 leaves slack for cancellation."""


class Undefined(ArithmeticError):
    """The expression has no real value somewhere on an interval: `reason` says why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


#: exp of more than this is far beyond every float.
_LARGEST = 2**80

#: No rational of more binary digits is written out.
_LONGEST = 2**20


class Floats:
    """float64 arrays. Undefined values are nan or inf, as numpy has them."""

    def number(self, value: Fraction) -> Any:
        return float(value)

    def power(self, x: Any, r: Fraction) -> Any:
        if r.denominator == 1:
            return np.asarray(x, dtype=float) ** int(r)
        if r.denominator == 2:
            return np.sqrt(x) ** r.numerator
        return np.asarray(x, dtype=float) ** float(r)

    def apply(self, name: str, x: Any) -> Any:
        if name in ("pi", "e"):
            return getattr(math, name)
        if name == "erf":
            return np.vectorize(math.erf, otypes=[float])(x)
        return getattr(np, "arctan" if name == "atan" else name)(x)

    def absolute(self, series: Series) -> Series:
        sign = np.where(np.asarray(series[0]) < 0, -1.0, 1.0)
        return [sign * c for c in series]


FLOATS = Floats()


class Intervals:
    """mpmath intervals at a fixed precision, in a context of their own: nobody else's precision changes."""

    def __init__(self, precision: int = PRECISION) -> None:
        self.context = mpmath.ctx_iv.MPIntervalContext()
        self.context.prec = precision
        self.mp = mpmath.MPContext()
        self.mp.prec = precision + 20
        self._numbers: dict[Fraction, Any] = {}
        self.everything = self.context.mpf([-self.context.inf, self.context.inf])

    def number(self, value: Fraction) -> Any:
        if value not in self._numbers:
            if len(self._numbers) > 4096:
                self._numbers.clear()
            self._numbers[value] = self.exact(value)
        return self._numbers[value]

    def exact(self, value: Fraction) -> Any:
        """The interval of a rational: its two neighbours at this precision."""
        return self.context.mpf(value.numerator) / self.context.mpf(value.denominator)

    def hull(self, a: Fraction | None, b: Fraction | None) -> Any:
        """[a, b]; None is −∞ as a and +∞ as b."""
        low = -self.context.inf if a is None else self.number(a).a
        high = self.context.inf if b is None else self.number(b).b
        return self.context.mpf([low, high])

    def finite(self, x: Any) -> bool:
        return bool(x.a > -self.context.inf and x.b < self.context.inf)

    def meet(self, a: Any, b: Any) -> Any:
        """What two enclosures of the same numbers leave."""
        return self.context.mpf([max(a.a, b.a), min(a.b, b.b)])

    def power(self, x: Any, r: Fraction) -> Any:
        if r < 0 and x.a <= 0 <= x.b and (x.a < 0 < x.b or x.a == x.b):
            raise Undefined("a pole")
        if r.denominator == 1:
            n = int(r)
            if n == 2 or (n > 0 and n % 2 == 0):
                return abs(x) ** n
            return x**n if n >= 0 else 1 / (abs(x) ** -n if n % 2 == 0 else x**-n)
        if x.a < 0:
            raise Undefined("a root of a negative number")
        root = self.context.sqrt(x) if r.denominator == 2 else self._root(x, r.denominator)
        n = r.numerator
        return root**n if n >= 0 else 1 / root**-n

    def _root(self, x: Any, q: int) -> Any:
        if x.b == 0:
            return x
        top = self.context.exp(self.context.log(x.b) / q)
        low = 0 if x.a == 0 else self.context.exp(self.context.log(x.a) / q).a
        return self.context.mpf([low, top.b])

    def apply(self, name: str, x: Any) -> Any:
        ctx = self.context
        if name == "exp":
            return self._exp(x)
        if name in ("sinh", "cosh") and not (x.a >= -_LARGEST and x.b <= _LARGEST):
            raise Undefined("a value beyond every float")
        if name == "pi":
            return +ctx.pi
        if name == "e":
            return ctx.exp(ctx.mpf(1))
        if name == "log":
            if x.a < 0 or x.b == 0:
                raise Undefined("a logarithm of a number that is not positive")
            return ctx.log(x)
        if name == "tanh":
            return 1 - 2 / (self._exp(2 * x) + 1)
        if name == "atan":
            return ctx.mpf([self._point("atan", x.a)[0], self._point("atan", x.b)[1]])
        if name == "erf":
            return ctx.mpf([self._point("erf", x.a)[0], self._point("erf", x.b)[1]])
        if name in ("sin", "cos") and not (x.a > -ctx.inf and x.b < ctx.inf):
            return ctx.mpf([-1, 1])
        return getattr(ctx, name)(x)

    def _exp(self, x: Any) -> Any:
        """exp; coarse where it is beyond every float, since numbers get as long as the argument is large."""
        if x.a >= -_LARGEST and x.b <= _LARGEST:
            return self.context.exp(x)
        ends = (
            self.context.mpf(_LARGEST) if e > _LARGEST else self.context.mpf(-_LARGEST) if e < -_LARGEST else e
            for e in (x.a, x.b)
        )
        low, high = (self.context.exp(self.context.mpf(end)) for end in ends)
        return self.context.mpf([0 if x.a < -_LARGEST else low.a, self.context.inf if x.b > _LARGEST else high.b])

    def _point(self, name: str, x: Any) -> tuple[Any, Any]:
        """An increasing function at a point, widened by 2^-precision relative: 20 bits more than its working error."""
        value = getattr(self.mp, name)(self.mp.mpf(x))
        slack = abs(value) * self.mp.ldexp(1, -self.context.prec)
        return value - slack, value + slack

    def absolute(self, series: Series) -> Series:
        u = series[0]
        if u.a >= 0:
            return series
        if u.b <= 0:
            return [-c for c in series]
        rest = [self.context.mpf([-abs(c).b, abs(c).b]) for c in series[1:2]] + [self.everything] * len(series[2:])
        return [abs(u), *rest]


@cache
def intervals(precision: int = PRECISION) -> Intervals:
    return Intervals(precision)


def fraction(x: Any) -> Fraction:
    """The exact rational of one end of an interval (or of an mpf). OverflowError: it is infinite, or far beyond floats."""
    sign, man, exp, _ = x._mpf_ if hasattr(x, "_mpf_") else x._mpi_[0]
    if not man and exp:
        raise OverflowError("not finite")
    if man and abs(exp) > _LONGEST:
        raise OverflowError("a rational with millions of digits")
    value = Fraction(int(man)) * Fraction(2**exp if exp >= 0 else Fraction(1, 2**-exp))
    return -value if sign else value


def above(value: Fraction) -> Fraction:
    """The smallest double that is not below a rational."""
    near = float(value)
    return Fraction(near if Fraction(near) >= value else math.nextafter(near, math.inf))
