"""Quotients 0/0: (eᶻ − 1)/z, 1/(eᶻ − 1) − 1/z and their like, enclosed across the points where only the expression fails.

Let f = g/h with g and h smooth, and z₀ a zero of h of order k that is at least of that order in g: proved, not seen (z₀ is a
number such as 1/3 or π, and g⁽ʲ⁾(z₀) = 0 holds symbolically for j < k). Then G(z) = g(z)/(z − z₀)ᵏ is a divided difference of
g, k times at z₀ and once at z. So G⁽ⁱ⁾(z)/i! = g⁽ᵏ⁺ⁱ⁾(ξ)/(k + i)! for some ξ between z₀ and z, and the Taylor coefficients of g
over the hull of an interval and z₀ enclose those of G; likewise for h. f = G/H there, without a singularity.

A zero of h that is none of that order in g is a pole: nothing is removed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import sympy

from .enclosure import FLOATS, Floats, Intervals, Undefined, intervals
from .taylor import Field, Series, Tape

#: Zeros of a higher order are not looked for.
_HIGHEST = 8
#: Taylor coefficients at z₀ that sharpen an enclosure; and that floats near z₀ are computed from.
_SHARPER, _TERMS = 5, 24
#: Nearer than this (by Newton's step) to a zero of h, differences cancel, and quotients of intervals are wide.
_CLOSE = 0.5

#: Numbers that a zero may be, by kind: c(q) in floats and exactly, and the q at which c is near x.
_KINDS: dict[str, tuple[Callable[[Fraction], float], Callable[[Any], Any]]] = {
    "q": (float, lambda q: q),
    "q π": (lambda q: float(q) * math.pi, lambda q: q * sympy.pi),
    "log q": (lambda q: math.log(q) if q > 0 else math.nan, sympy.log),
    "√q": (lambda q: math.sqrt(q) if q >= 0 else math.nan, sympy.sqrt),
    "−√q": (lambda q: -math.sqrt(q) if q >= 0 else math.nan, lambda q: -sympy.sqrt(q)),
}


@dataclass(frozen=True)
class Zero:
    """A zero of h of order `order`; `removable` where g has one of that order, too."""

    kind: str
    value: Fraction
    order: int
    removable: bool

    def __float__(self) -> float:
        return _KINDS[self.kind][0](self.value)

    def enclose(self, over: Intervals) -> Any:
        return _enclose(self.kind, self.value, over)


def _enclose(kind: str, value: Fraction, over: Intervals) -> Any:
    q = over.exact(value)
    if kind == "q π":
        return q * over.context.pi
    if kind == "log q":
        return over.context.log(q)
    return q if kind == "q" else over.context.sqrt(q) if kind == "√q" else -over.context.sqrt(q)


@dataclass(frozen=True, eq=False)
class Quotient:
    """f as it is written (`plain`, which divides by `divisors`), and as top/bottom. Equal to itself only."""

    plain: Tape
    divisors: tuple[Tape, ...]
    top: sympy.Expr
    bottom: sympy.Expr
    z: sympy.Symbol
    upper: Tape
    lower: Tape

    def run(self, field: Field, z: Any, order: int) -> Series:
        """The series of f: of the written form, and of G/H where that fails or cancels."""
        if isinstance(field, Floats):
            return self._floats(z, order)
        assert isinstance(field, Intervals)
        return self._intervals(field, z, order)

    # -- intervals -----------------------------------------------------------------------------------------

    def _intervals(self, over: Intervals, z: Any, order: int) -> Series:
        try:
            plain = self.plain.run(over, z, order)
        except Undefined as error:
            found = self._across(over, z, order, fine=False)
            if found is None:
                raise error
            return found
        fine = all(map(over.finite, plain))
        found = self._across(over, z, order, fine) if not fine or self._close(over, z) else None
        return plain if found is None else [over.meet(a, b) for a, b in zip(plain, found, strict=True)]

    def _close(self, over: Intervals, z: Any) -> bool:
        if not over.finite(z):
            return False
        with np.errstate(all="ignore"):
            return bool(_near_zero(self.divisors, np.float64(_middle(z))))

    def _across(self, over: Intervals, z: Any, order: int, fine: bool) -> Series | None:
        """G/H near a zero of h, g/h away from all; None: no luck. fine: the written form is finite."""
        if not over.finite(z):
            return None
        try:
            below = self.lower.run(over, z, order)
            if 0 not in below[0]:
                direct = _divide(self.upper.run(over, z, order), below)
                if not fine:
                    return direct
            else:
                direct = None
        except Undefined:
            direct = None
        zero = next((found for x in (_middle(z), float(z.a), float(z.b)) if (found := self._zero_at(x)) is not None), None)
        if zero is None:
            return direct
        at = zero.enclose(over)
        hull = over.context.mpf([min(z.a, at.a), max(z.b, at.b)])
        if not zero.removable:
            if at in z or not fine:
                raise Undefined("a pole")
            return direct
        if float((hull.b - hull.a).b) > 2 * float((z.b - z.a).b) + 2 * _CLOSE:
            return direct
        try:
            above, below = (self._reduced(over, t, zero.order, at, hull, z - at, order) for t in (self.upper, self.lower))
        except Undefined:
            return direct
        return direct if 0 in below[0] else _divide(above, below)

    @staticmethod
    def _reduced(over: Intervals, tape: Tape, k: int, at: Any, hull: Any, step: Any, order: int) -> Series:
        """The series of tape/(z − z₀)ᵏ, given that z₀ is a zero of that order."""
        last = order + _SHARPER
        near, wide = tape.run(over, at, k + last)[k:], tape.run(over, hull, k + last)[k:]
        out = []
        for i in range(order + 1):
            # Taylor at z₀, with the remainder φ⁽ˡᵃˢᵗ⁾(ξ): φ = tape/(z − z₀)ᵏ has φ⁽ʲ⁾/j! in wide[j]
            total = math.comb(last, i) * wide[last] * step ** (last - i)
            for j in range(last - 1, i - 1, -1):
                total = total + math.comb(j, i) * near[j] * step ** (j - i)
            out.append(over.meet(total, wide[i]))
        return out

    # -- floats --------------------------------------------------------------------------------------------

    def _floats(self, z: Any, order: int) -> Series:
        at = np.asarray(z, dtype=np.float64)
        plain = self.plain.run(FLOATS, at, order)
        with np.errstate(all="ignore"):
            close = _near_zero(self.divisors, at) | ~np.isfinite(plain[0] + at)
            if not np.any(close):
                return plain
            out = [np.array(np.broadcast_to(c, at.shape)) for c in plain]
            again = _divide(self.upper.run(FLOATS, at, order), self.lower.run(FLOATS, at, order))
            for c, found in zip(out, again, strict=True):
                np.copyto(c, found, where=close & np.isfinite(found))
            for zero in self._zeros_at(at[close] if at.ndim else at.reshape(1)):
                above, below, reach = _expansion(self, zero)
                step = at - float(zero)
                here = np.abs(step) <= reach
                upper, lower = (_taylor(c, np.where(here, step, 0.0), order) for c in (above, below))
                for c, found in zip(out, _divide(upper, lower), strict=True):
                    np.copyto(c, found, where=here)
        return out

    def _zeros_at(self, x: Any) -> list[Zero]:
        """The removable zeros that Newton's method finds from these points."""
        places = np.unique(np.round(_newton(self.lower, x), 6))
        found = (self._zero_near(float(place)) for place in places[np.isfinite(places)][:64])
        return list(dict.fromkeys(zero for zero in found if zero is not None and zero.removable))

    # -- zeros ---------------------------------------------------------------------------------------------

    def _zero_at(self, x: float) -> Zero | None:
        with np.errstate(all="ignore"):
            (place,) = _newton(self.lower, np.array([x]))
        return self._zero_near(float(place)) if math.isfinite(place) else None

    def _zero_near(self, x: float) -> Zero | None:
        """A zero of h, exactly: the first simple number near x that is proved to be one."""
        return next((zero for kind, q in _candidates(x) if (zero := _zero(self, kind, q)) is not None), None)


def _middle(z: Any) -> float:
    low, high = float(z.a), float(z.b)
    return low + (high - low) / 2


def _near_zero(tapes: tuple[Tape, ...], x: Any) -> Any:
    """Whether Newton's step says that one of them has a zero near x."""
    steps = (tape.run(FLOATS, x, 1) for tape in tapes)
    return np.any([np.abs(value) < _CLOSE * np.abs(slope) for value, slope in steps], axis=0)


def _newton(tape: Tape, x: Any) -> Any:
    """Newton's method for u = h/h′, whose zeros are simple. Where it ends proves nothing."""
    for _ in range(12):
        value, slope, bend = tape.run(FLOATS, x, 2)
        u = value / slope
        step = u / (1 - 2 * u * bend / slope)
        x = x - np.where(np.isfinite(step), step, 0.0)
    return x


def _candidates(x: float) -> list[tuple[str, Fraction]]:
    """Simple numbers near x, the simplest first; at last the double itself."""
    exact, found = Fraction(x), []
    for most in (1, 12, 1000):
        found.append(("q", exact.limit_denominator(most)))
    for kind, near, most in (
        ("q π", x / math.pi, 24),
        ("log q", math.exp(min(x, 50.0)), 100),
        ("√q" if x > 0 else "−√q", x * x, 100),
    ):
        found.append((kind, Fraction(near).limit_denominator(most)))
    found += [("q", exact.limit_denominator(10**6)), ("q", Fraction(float(f"{x:.9g}"))), ("q", exact)]
    slack = 1e-4 * max(1.0, abs(x))
    return [(kind, q) for kind, q in dict.fromkeys(found) if abs(_KINDS[kind][0](q) - x) <= slack]


@cache
def _zero(f: Quotient, kind: str, value: Fraction) -> Zero | None:
    """What is proved of h and g at a number; None where h is not zero there, or nothing is proved."""
    over = intervals()
    at = _enclose(kind, value, over)
    point = _KINDS[kind][1](sympy.Rational(value.numerator, value.denominator))
    order = _order(f.bottom, f.lower, f.z, point, over, at, _HIGHEST)
    if not order:
        return None
    above = _order(f.top, f.upper, f.z, point, over, at, order)
    return None if above is None else Zero(kind, value, order, above >= order)


def _order(e: sympy.Expr, tape: Tape, z: sympy.Symbol, point: Any, over: Intervals, at: Any, most: int) -> int | None:
    """How often e vanishes at a point, up to `most`; None where that is not proved."""
    try:
        series = tape.run(over, at, most)
    except Undefined:
        return None
    for k in range(most):
        if not over.finite(series[k]):
            return None
        if 0 not in series[k]:
            return k
        if not _vanishes(sympy.diff(e, z, k).subs(z, point)):
            return None
    return most if over.finite(series[most]) else None


def _vanishes(value: Any) -> bool:
    if value.is_zero is None and value.is_finite is not False and sympy.count_ops(value) <= 200:
        value = sympy.simplify(value)
    return bool(value.is_zero)


@cache
def _expansion(f: Quotient, zero: Zero) -> tuple[Any, Any, float]:
    """Taylor coefficients of G and H at a zero, and how far off they give G and H to all digits."""
    over = intervals()
    at, parts, reach = zero.enclose(over), [], 0.25
    for tape in (f.upper, f.lower):
        series = tape.run(over, at, zero.order + _TERMS)[zero.order :]
        numbers = np.array([float(c.mid) if over.finite(c) else math.nan for c in series])
        most = max(np.max(np.abs(numbers[:4])), 1e-300)
        for j in range(_TERMS - 4, _TERMS + 1):
            if numbers[j]:
                reach = min(reach, (1e-17 * most / abs(numbers[j])) ** (1 / j))
        parts.append(numbers)
    return parts[0], parts[1], reach


def _taylor(numbers: Any, step: Any, order: int) -> Series:
    """The series, at `step` from z₀, of the polynomial with these Taylor coefficients at z₀."""
    out = []
    for i in range(order + 1):
        total = np.zeros_like(step)
        for j in range(_TERMS, i - 1, -1):
            total = total * step + math.comb(j, i) * numbers[j]
        out.append(total)
    return out


def _divide(above: Series, below: Series) -> Series:
    out: Series = []
    for n, c in enumerate(above):
        out.append(sum((-(below[j] * out[n - j]) for j in range(1, n + 1)), c) / below[0])
    return out


def quotient(
    e: sympy.Expr, z: sympy.Symbol, plain: Callable[[], Tape], build: Callable[[sympy.Expr], Tape]
) -> Quotient | None:
    """e as a quotient that may be 0/0 at some z; None where it is none. `plain` makes its tape as written, `build` any."""
    if not _divides(e, z) or e.has(*_BENT):
        return None
    divisors = tuple(found for base in dict.fromkeys(_divisors(e, z)) if _may_vanish(found := build(base)))
    if not divisors:
        return None
    top, bottom = sympy.fraction(sympy.together(e))
    return Quotient(plain(), divisors, top, bottom, z, build(top), build(bottom))


#: No quotient of these is looked at: they have no derivatives where they bend.
_BENT = (sympy.Abs, sympy.Max, sympy.Min, sympy.sign, sympy.Heaviside)


def _divides(e: sympy.Expr, z: sympy.Symbol) -> bool:
    """Whether something may be divided by zero here and have a limit: not in 1/(z + 1), but in 1/(1 + 1/z)."""
    if e.is_Pow:
        return bool(e.exp.is_Integer and e.exp < 0 and _divisors(e.base, z))
    return bool((e.is_Add or sum(a.has(z) for a in e.args) > 1) and _divisors(e, z))


def _divisors(e: sympy.Expr, z: sympy.Symbol) -> list[sympy.Expr]:
    """What sums, products and powers divide by."""
    if e.is_Pow and e.exp.is_Rational:
        return ([e.base] if e.exp < 0 and e.base.has(z) else []) + _divisors(e.base, z)
    return [base for a in e.args for base in _divisors(a, z)] if e.is_Add or e.is_Mul else []


def _may_vanish(tape: Tape) -> bool:
    over = intervals()
    try:
        return any(0 in tape.run(over, over.hull(a, b), 0)[0] for a, b in ((None, Fraction(0)), (Fraction(0), None)))
    except Undefined:
        return True
