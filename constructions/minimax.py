"""Minimax residuals on an interval as compositions of short polynomials, with rational coefficients and proved bounds.

With t = (u + l)/(u − l) and φ(λ) = (u + l − 2λ)/(u − l), the residual T_m(φ(λ))/T_m(t) is the smallest polynomial of
degree m on [l, u] among those with value 1 at 0. Since T_{3m} = T_3 ∘ T_m, it follows from that of degree m by
r ← a r³ + (1 − a) r with a = 4 T_m(t)² / (4 T_m(t)² − 3): three times the degree in one layer (headwright, own
derivation; the step without `a` is the third-order iteration).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import mpmath
import numpy as np

from ..compiler.errors import CompileError
from ..proofs_check.residual import range_of

#: Coefficients of a polynomial, the constant first.
Coefficients: TypeAlias = tuple[Fraction, ...]

#: No interval that a float can hold needs more layers.
_MOST = 400


@dataclass(frozen=True)
class Interval:
    """A spectral interval [lower, upper] and the tolerance that the residual has to reach on it."""

    lower: Fraction
    upper: Fraction
    tol: Fraction

    @property
    def kappa(self) -> float:
        try:
            return float(self.upper / self.lower)
        except OverflowError:
            return math.inf

    @property
    def degenerate(self) -> bool:
        return self.lower == self.upper


def _number(value: Any) -> Fraction:
    """A finite number, exactly. Raises TypeError for text and truth values, and ValueError or OverflowError for nan and inf."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, Fraction, np.integer, np.floating)):
        raise TypeError
    return Fraction(value) if isinstance(value, (int, Fraction)) else Fraction(float(value))


def check_interval(name: str, spectrum: Any, tol: Any) -> Interval:
    """The interval and tolerance as exact numbers. Raises CompileError naming `name`, what came, and the fix."""
    try:
        if isinstance(spectrum, (str, bytes)):
            raise TypeError
        lower, upper = (_number(end) for end in spectrum)
    except (TypeError, ValueError, OverflowError) as error:
        raise CompileError(
            f"{name}: spectrum is {spectrum!r}: expected two finite numbers (l, u)", fix="pass spectrum=(l, u), 0 < l ≤ u"
        ) from error
    if lower <= 0:
        raise CompileError(
            f"{name}: spectrum = ({float(lower):.6g}, {float(upper):.6g}): l must be above 0",
            fix="pass a positive lower bound of the eigenvalues; too small is safe and costs layers; a ridge μI gives l ≥ μ",
        )
    if lower > upper:
        raise CompileError(
            f"{name}: spectrum = ({float(lower):.6g}, {float(upper):.6g}): l is above u", fix="pass spectrum=(l, u) with l ≤ u"
        )
    try:
        exact = _number(tol)
    except (TypeError, ValueError, OverflowError) as error:
        raise CompileError(f"{name}: tol is {tol!r}: expected a number", fix="pass 0 < tol < 1") from error
    if not 0 < exact < 1:
        raise CompileError(
            f"{name}: tol is {float(exact):.6g}: expected 0 < tol < 1", fix="tol bounds ‖I − SX‖₂, for example 1e-6"
        )
    return Interval(lower, upper, exact)


def a_priori(n: int, radius: Any, ridge: Any) -> tuple[Fraction, Fraction]:
    """A spectral interval of AᵀA + μI that needs no look at the data: n rows with ‖a_i‖ ≤ radius, ridge μ > 0.

    λ_max(AᵀA) ≤ tr AᵀA = Σ ‖a_i‖² ≤ n radius², and AᵀA is positive semidefinite; exact in the numbers given.
    Raises CompileError unless n ≥ 1, radius > 0 and ridge > 0. Example: a_priori(10, 1, 0.5) == (1/2, 21/2).
    """
    for name, value in (("n", n), ("radius", radius), ("ridge", ridge)):
        number = isinstance(value, (int, float, Fraction, np.integer, np.floating)) and not isinstance(value, bool)
        if not number or not 0 < value < float("inf"):
            raise CompileError(
                f"a_priori: {name} is {value!r}: expected a finite number above 0",
                fix="without a ridge nothing bounds the eigenvalues from below: give ridge > 0, or a spectrum of your own",
            )
    r, low = (Fraction(x) if isinstance(x, (int, Fraction)) else Fraction(float(x)) for x in (radius, ridge))
    return low, int(n) * r**2 + low


def linear_start(interval: Interval) -> tuple[Fraction, Coefficients]:
    """α = 2/(u + l) as a float, and the residual 1 − αλ."""
    alpha = Fraction(float(2 / (interval.upper + interval.lower)))
    return alpha, (Fraction(1), -alpha)


@dataclass(frozen=True)
class Chain:
    """A residual as a composition: `start` in λ, then r ← a r³ + (1 − a) r for every a of `tripling`.

    `bounds` are proved bounds of |r| on the interval, after the start and after every cubic.
    """

    interval: Interval
    start: Coefficients
    tripling: tuple[Fraction, ...]
    bounds: tuple[Fraction, ...]

    @property
    def polynomials(self) -> tuple[Coefficients, ...]:
        return (self.start, *((Fraction(0), 1 - a, Fraction(0), a) for a in self.tripling))


def chain(interval: Interval, start: Coefficients, degree: int, at_most: int = _MOST) -> Chain | None:
    """The fewest cubics after a start of that Chebyshev degree for which |r| ≤ tol is proved; None where `at_most` do not
    suffice."""
    t = _chebyshev_at_zero(interval, degree)
    cubics: list[Fraction] = []
    low, high = range_of(start, interval.lower, interval.upper)
    bounds = [max(abs(low), abs(high))]
    while bounds[-1] > interval.tol:
        if len(cubics) == at_most or bounds[-1] >= 1:
            return None
        with mpmath.workdps(60):
            a = Fraction(float(4 * t**2 / (4 * t**2 - 3)))
            t = 4 * t**3 - 3 * t
        cubics.append(a)
        low, high = range_of((Fraction(0), 1 - a, Fraction(0), a), low, high)
        bounds.append(max(abs(low), abs(high)))
    return Chain(interval, start, tuple(cubics), tuple(bounds))


def _chebyshev_at_zero(interval: Interval, degree: int) -> Any:
    """T_degree(t), t = (u + l)/(u − l), to 60 digits."""
    if interval.degenerate:
        return mpmath.mpf(10) ** 300
    with mpmath.workdps(60):
        t = (interval.upper + interval.lower) / (interval.upper - interval.lower)
        return mpmath.cosh(degree * mpmath.acosh(mpmath.mpf(t.numerator) / t.denominator))


@dataclass(frozen=True)
class Quartic:
    """The minimax residual of degree 4, in the form in which two layers build it (see `least_squares_minimal`).

    residual = (1 + γλ)(1 + λ Σ_j v_j(λ) k_j(λ)) with v_j, k_j linear, and
    x = (1 − residual)/λ = scale · (1 + ζλ)(1 + λ (β + δ λ)), ζ = −1/(u + l).
    """

    gamma: Fraction
    products: tuple[tuple[Coefficients, Coefficients], ...]
    zeta: Fraction
    scale: Fraction
    beta: Fraction
    delta: Fraction

    @property
    def residual(self) -> Coefficients:
        inner: Coefficients = (Fraction(0),)
        for v, k in self.products:
            inner = _add(inner, _multiply(v, k))
        return _multiply((Fraction(1), self.gamma), _add((Fraction(1),), (Fraction(0), *inner)))


def quartic_start(interval: Interval) -> Quartic | None:
    """The degree-4 start; None on a degenerate interval.

    T_4 is even, so the residual is 1 again at λ = u + l: x has that root, and ζ is exact. The other numbers are floats,
    but for one that makes the residual exactly 1 there.
    """
    if interval.degenerate:
        return None
    l, u = float(interval.lower), float(interval.upper)
    roots = [(u + l) / 2 - (u - l) / 2 * np.cos((2 * j + 1) * np.pi / 8) for j in range(4)]
    mirror = interval.upper + interval.lower
    for left_out in (2, 1, 3, 0):  # one product suffices where the rest of some root factors over the reals
        a, b, c = (1 / root for j, root in enumerate(roots) if j != left_out)
        e1, e2, e3 = a + b + c, a * b + b * c + c * a, a * b * c
        discriminant = e2**2 - 4 * e1 * e3
        if discriminant <= 1e-6 * e2**2:
            continue
        larger = (e2 + np.sqrt(discriminant)) / (2 * e1)  # e1 − e2 λ + e3 λ² = e1 (1 − λ·larger)(1 − λ·smaller)
        v = (Fraction(1), Fraction(-larger))
        k1 = Fraction(-(e3 / e1) / larger)
        gamma = Fraction(-1 / roots[left_out])
        k0 = _value_at_mirror(gamma, mirror) / _at(v, mirror) / (1 + k1 * mirror)
        return _finished(gamma, ((v, (k0, k0 * k1)),), mirror)
    a, b, c = (1 / root for root in roots[1:])
    gamma, second, third = Fraction(-1 / roots[0]), Fraction(a * b + b * c + c * a), Fraction(-a * b * c)
    first = _value_at_mirror(gamma, mirror) - second * mirror - third * mirror**2
    one, lam = (Fraction(1), Fraction(0)), (Fraction(0), Fraction(1))
    return _finished(gamma, ((one, (first, second)), (lam, (Fraction(0), third))), mirror)


def _value_at_mirror(gamma: Fraction, mirror: Fraction) -> Fraction:
    """What Σ v k has to be at u + l for the residual to be 1 there."""
    return -gamma / (1 + gamma * mirror)


def _finished(gamma: Fraction, products: tuple[tuple[Coefficients, Coefficients], ...], mirror: Fraction) -> Quartic:
    zeta = -1 / mirror
    residual = Quartic(gamma, products, zeta, Fraction(1), Fraction(0), Fraction(0)).residual
    x = tuple(-c for c in residual[1:])
    quotient = [x[0]]  # x = (1 + ζλ)(q0 + q1 λ + q2 λ²), term by term
    for c in x[1:-1]:
        quotient.append(c - zeta * quotient[-1])
    assert x[-1] == zeta * quotient[-1], "u + l is a root of x"
    scale, *rest = quotient
    return Quartic(gamma, products, zeta, scale, rest[0] / scale, rest[1] / scale)


def _multiply(a: Coefficients, b: Coefficients) -> Coefficients:
    out = [Fraction(0)] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            out[i + j] += x * y
    return tuple(out)


def _add(a: Coefficients, b: Coefficients) -> Coefficients:
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    return tuple(x + (shorter[i] if i < len(shorter) else 0) for i, x in enumerate(longer))


def _at(polynomial: Coefficients, point: Fraction) -> Fraction:
    return sum((c * point**i for i, c in enumerate(polynomial)), Fraction(0))
