"""Fits as units: functions of one value, signs, products of two values, each with its proved bound."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import Any

from .approximate.exact import corners, exact_fit
from .approximate.fit import fit
from .approximate.piecewise import PiecewiseLinear
from .approximate.plane import ProductFit, product_fit
from .approximate.ridge import ScaledFit, scaled_fit
from .approximate.scalar_function import ApproximationError, ScalarFunction
from .errors import ArchitectureError, Location
from .pointwise import function_text
from .ranges import Range
from .units import Unit, Units

#: Functions that are piecewise linear are looked at this far beyond their corners.
_FAR = Fraction(2**40)

Interval = tuple[Fraction | None, Fraction | None]


@dataclass(frozen=True)
class Fit:
    """`units` are within `bound` of the function `text` on `domain`; their slope is nowhere steeper than `steepest`.
    `assumed`: the domain rests on what is assumed of inputs."""

    text: str
    expression: str
    units: Units
    domain: Interval
    bound: Fraction
    steepest: Fraction
    how: str
    assumed: bool = False
    tol: Fraction = Fraction(0)


def image(function: Any, lo: float, hi: float) -> tuple[float, float]:
    """An interval that contains the values of a function on [lo, hi]; infinite where none is found."""
    if not isinstance(function, ScalarFunction):
        return -math.inf, math.inf
    ends = [None if math.isinf(x) else Fraction(x) for x in (lo, hi)]
    try:
        (found,) = function.enclose(ends[0], ends[1], 0)
        low, high = float(found.a), float(found.b)
    except ArithmeticError:
        return -math.inf, math.inf
    low, high = math.nextafter(low, -math.inf), math.nextafter(high, math.inf)
    if math.isfinite(lo) and math.isfinite(hi) and lo < hi:
        cuts = [Fraction(lo) + (Fraction(hi) - Fraction(lo)) * k / 32 for k in range(33)]
        try:  # narrower, from smaller pieces
            pieces = [function.enclose(a, b, 0)[0] for a, b in pairwise(cuts)]
        except ArithmeticError:
            return low, high
        low = max(low, math.nextafter(min(float(p.a) for p in pieces), -math.inf))
        high = min(high, math.nextafter(max(float(p.b) for p in pieces), math.inf))
    return low, high


def fit_function(
    function: Any,
    domain: tuple[Fraction, Fraction] | None,
    stated: Range,
    usual: Range,
    tol: Fraction,
    source: str,
    where: Location | None,
) -> Fit:
    """Fits on the stated domain, else on the range that follows from statements, else everywhere, else on the usual range.

    Raises ArchitectureError where no domain is known, ApproximationError where the function cannot be bounded on it.
    """
    if isinstance(function, ScalarFunction):
        bends = corners(function)
        far = 2 * max(map(abs, bends), default=Fraction(0)) + _FAR
        exact = exact_fit(function, -far, far, () if bends else (Fraction(0),))  # units of a line meet where numbers are small
        if exact is not None:
            return _made(function, exact, (None, None))
    if domain is not None:
        return _made(function, _fit(function, *domain, tol, where), domain)
    if stated.finite:
        ends = _ends(stated)
        return _made(function, _fit(function, *ends, tol, where), ends)
    try:
        return _made(function, _fit(function, None, None, tol, where), (None, None))
    except ApproximationError:
        if usual.finite:
            ends = _ends(usual)
            return _made(function, _fit(function, *ends, tol, where), ends, assumed=True)
    raise ArchitectureError(
        f"no bound is known of {source}, to which {function.name} is applied",
        where=where,
        rule="a function is approximated on a bounded domain, unless it settles at both ends",
        fix=f"use hw.apply({function.name}, …, domain=(lo, hi)), or state hw.bounded({source}, within=(lo, hi))",
    )


def _ends(found: Range) -> tuple[Fraction, Fraction]:
    return _wide((Fraction(found.lo), Fraction(found.hi)))


def _fit(function: Any, lo: Fraction | None, hi: Fraction | None, tol: Fraction, where: Location | None) -> PiecewiseLinear:
    try:
        return _cached(function, lo, hi, tol)
    except ApproximationError as error:
        raise ApproximationError(error.what, where=where, rule=error.rule, fix=error.fix) from error


@cache
def _cached(function: Any, lo: Fraction | None, hi: Fraction | None, tol: Fraction) -> PiecewiseLinear:
    return fit(function, lo, hi, tol=tol)


def _made(function: Any, found: PiecewiseLinear, domain: Interval, assumed: bool = False) -> Fit:
    made = found.units()
    units = [Unit((Fraction(u.direction),), -u.direction * u.knot, u.weight) for u in made.units]
    if made.constant:
        units.append(Unit((Fraction(0),), Fraction(1), made.constant))
    steepest = max(map(abs, found.slopes), default=Fraction(0))
    how = ", ".join(dict.fromkeys(found.how))
    expression = function_text(function) if isinstance(function, ScalarFunction) else ""
    return Fit(function.name, expression, Units(function.name, tuple(units)), domain, found.bound, steepest, how, assumed)


def gate(reach: Fraction) -> Units:
    """s · e for |s| ≤ reach and e ∈ {0, 1}: the arguments are s and e.

    relu(s + R(2e − 1)) − relu(−s + R(2e − 1)) is 2s where e = 1 and 0 where e = 0.
    """
    R, half, one = reach, Fraction(1, 2), Fraction(1)
    return Units("gate", (Unit((one, 2 * R), -R, half), Unit((-one, 2 * R), -R, -half)))


def signed_gate(reach: Fraction, slope: Fraction = Fraction(1), offset: Fraction = Fraction(0)) -> Units:
    """s · (slope · y + offset) for |s| ≤ reach and y ∈ {−1, 1}: the arguments are s and y.

    relu(s + R y) − relu(−s + R y) is 2s where y = 1 and 0 where y = −1, that is s (1 + y); what is left is a multiple of s.
    """
    R, none, one, rest = reach, Fraction(0), Fraction(1), slope - offset
    units = [Unit((one, R), none, slope), Unit((-one, R), none, -slope)]
    if rest:
        units += [Unit((-one, none), none, rest), Unit((one, none), none, -rest)]
    return Units("signed", tuple(units))


def gated(found: Fit, reach: Fraction | None, name: str, where: Location | None) -> Units:
    """y · f(z) for y ∈ {−1, 1}: arguments z and y. Each unit relu(u), 0 ≤ relu(u) ≤ M, becomes relu(u + M(y − 1)/2) −
    relu(u − M(y + 1)/2), which is y · relu(u)."""
    if reach is None:
        raise ArchitectureError(
            f"no bound is known of what is multiplied by a sign in {name}",
            where=where,
            rule="a sign is multiplied exactly where the other factor is bounded",
            fix="state a bound with hw.bounded(value, within=(lo, hi))",
        )
    units = []
    for unit in found.units.units:
        (c,) = unit.coefficients
        if not c:  # a constant times y
            units += [
                Unit((Fraction(0), Fraction(1)), Fraction(0), unit.weight * unit.bias),
                Unit((Fraction(0), Fraction(-1)), Fraction(0), -unit.weight * unit.bias),
            ]
            continue
        M = abs(c) * reach + abs(unit.bias)
        units += [
            Unit((c, M / 2), unit.bias - M / 2, unit.weight),
            Unit((c, -M / 2), unit.bias - M / 2, -unit.weight),
        ]
    return Units(f"signed {found.text}", tuple(units))


def fit_product(
    a: tuple[Fraction, Fraction], b: tuple[Fraction, Fraction], tol: Fraction, text: str, where: Location | None
) -> Fit:
    """a · b by two squares. Raises ApproximationError where that takes too many pieces."""
    try:
        found = _product(_wide(a), _wide(b), tol)
    except ApproximationError as error:
        raise ApproximationError(f"{text}: {error.what}", where=where, rule=error.rule, fix=error.fix) from error
    return _of_plane(found, text, "", tol, "two squares, exactly")


def fit_scaled(
    function: ScalarFunction,
    z: tuple[Fraction, Fraction],
    a: tuple[Fraction, Fraction],
    tol: Fraction,
    text: str,
    where: Location | None,
) -> Fit | None:
    """function(z) · a in one layer of units; None where the function is not smooth enough for that."""
    try:
        found = scaled(function, _wide(z), _wide(a), tol)
    except ApproximationError:
        return None
    made = _of_plane(found, text, function_text(function), tol, "difference of fits of the integral; Taylor remainder enclosed")
    return replace(made, steepest=_steepest(function, *found.z_range))


@cache
def scaled(function: ScalarFunction, z: tuple[Fraction, Fraction], a: tuple[Fraction, Fraction], tol: Fraction) -> ScaledFit:
    return scaled_fit(function, z, a, tol)


@cache
def _product(a: tuple[Fraction, Fraction], b: tuple[Fraction, Fraction], tol: Fraction) -> ProductFit:
    return product_fit(a, b, tol)


def plane_units(found: ScaledFit | ProductFit, text: str) -> Units:
    """The units of a fit of two arguments."""
    made = found.units()
    units = [Unit((u.x, u.y), u.offset, u.weight) for u in made.units]
    if made.constant:
        units.append(Unit((Fraction(0), Fraction(0)), Fraction(1), made.constant))
    return Units(text, tuple(units))


def _of_plane(found: ScaledFit | ProductFit, text: str, expression: str, tol: Fraction, how: str) -> Fit:
    return Fit(text, expression, plane_units(found, text), (None, None), found.bound, Fraction(0), how, tol=tol)


def _wide(ends: tuple[Fraction, Fraction]) -> tuple[Fraction, Fraction]:
    """A range that is more than a point."""
    lo, hi = ends
    slack = max(abs(lo), Fraction(1)) / 2**40
    return (lo, hi) if lo < hi else (lo - slack, hi + slack)


def _steepest(function: ScalarFunction, lo: Fraction, hi: Fraction) -> Fraction:
    """A bound of |function′| on an interval."""
    cuts = [lo + (hi - lo) * k / 32 for k in range(33)]
    slopes = [function.enclose(a, b, 1)[1] for a, b in pairwise(cuts)]
    return Fraction(math.nextafter(max(max(abs(float(s.a)), abs(float(s.b))) for s in slopes), math.inf))
