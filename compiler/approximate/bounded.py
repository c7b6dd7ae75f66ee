"""Fits from a bound on the second derivative: no expression, only what the caller vouches for (`hw_bounded`)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from .enclosure import above
from .piecewise import PiecewiseLinear
from .scalar_function import ApproximationError, BoundedFunction

Number = int | float | Fraction
_MOST = 1_000_000


def fit_bounded(
    f: BoundedFunction,
    lo: Fraction | None,
    hi: Fraction | None,
    *,
    tol: Number | None,
    pieces: int | None,
    shape: str,
    keep: Sequence[Fraction],
    within: tuple[Number | None, Number | None],
) -> PiecewiseLinear:
    """Uniform knots: the chord errs by at most M·h²/8, on one side only if f is convex or concave (then half, shifted).

    Added to the bound: the evaluation error that the caller states, and the rounding of the values to doubles.
    """
    if lo is None or hi is None:
        raise ApproximationError(f"{f.name}: a bound on f″ covers a finite domain only", fix="give finite lo and hi")
    if keep or any(w is not None for w in within):
        raise ApproximationError(
            f"{f.name}: keep and within need an expression", fix="pass a callable that sympy can run, or drop them"
        )
    shift = f.convex is not None and shape == "shifted"
    constant = f.second_derivative * (hi - lo) ** 2 / (16 if shift else 8)
    if pieces is None:
        room = Fraction(tol or 0) - f.evaluation_error
        if room <= 0:
            raise ApproximationError(
                f"{f.name}: tol = {float(tol or 0):.3g} is not above its evaluation error {float(f.evaluation_error):.3g}",
                fix="raise tol, or compute f more accurately",
            )
        n = max(1, math.ceil(math.sqrt(constant / room) * (1 + 1e-12)))
        while n < _MOST:
            found = _uniform(f, lo, hi, n, constant, shift)
            if found.bound <= Fraction(tol or 0):
                return found
            n = max(n + 1, math.ceil(n * 1.001))
        raise ApproximationError(f"{f.name}: more than {_MOST} pieces", fix="raise tol, or give an expression")
    return _uniform(f, lo, hi, pieces, constant, shift)


def _uniform(f: BoundedFunction, lo: Fraction, hi: Fraction, n: int, constant: Fraction, shift: bool) -> PiecewiseLinear:
    inner = [Fraction(float(lo + (hi - lo) * k / n)) for k in range(1, n)]
    knots = (lo, *inner, hi)
    if any(a >= b for a, b in itertools.pairwise(knots)):
        raise ApproximationError(f"{f.name}: doubles cannot hold {n} pieces on the domain", fix="raise tol or widen the domain")
    at = [float(t) for t in knots]
    seen = _values(f, at)
    for x, y in zip(at, seen, strict=True):
        if not math.isfinite(y):
            raise ApproximationError(
                f"{f.name}({x:.6g}) is {y}: expected a finite number", fix="shrink the domain to where f is finite"
            )
    _check_stated(f, lo, hi)
    widest = max(b - a for a, b in itertools.pairwise(knots))
    sag = f.second_derivative * widest**2 / 8
    move = Fraction(0)
    if shift:
        move = -sag / 2 if f.convex else sag / 2
    values = tuple(Fraction(float(Fraction(float(y)) + move)) for y in seen)
    slip = max(abs(v - Fraction(float(y)) - move) for v, y in zip(values, seen, strict=True))
    bound = above((sag / 2 if shift else sag) + f.evaluation_error + slip)
    return PiecewiseLinear(f.name, lo, hi, knots, values, bound, ("second derivative",) * n)


def _values(f: BoundedFunction, at: list[float]) -> Any:
    try:
        return f.numpy(at)
    except Exception as error:  # the user's own code: what it raises is the reason
        raise ApproximationError(
            f"{f.name} cannot be evaluated between {min(at):.6g} and {max(at):.6g}: {type(error).__name__}: {error}",
            rule="it takes a float of the domain and returns one",
            fix="shrink the domain to where f has values, or make it return real numbers",
        ) from error


def _check_stated(f: BoundedFunction, lo: Fraction, hi: Fraction) -> None:
    """Second differences at many points: one that the statement does not allow refutes it. Raises ApproximationError."""
    points = sorted({Fraction(float(lo + (hi - lo) * k / _LOOKS)) for k in range(_LOOKS + 1)})
    seen = [float(y) for y in _values(f, [float(t) for t in points])]
    for (a, b, c), (fa, fb, fc) in zip(
        zip(points, points[1:], points[2:], strict=False), zip(seen, seen[1:], seen[2:], strict=False), strict=True
    ):
        if not all(map(math.isfinite, (fa, fb, fc))):
            what = f"{f.name} near {float(b):.6g} has the values {fa}, {fb}, {fc}: expected finite numbers"
            raise ApproximationError(what, fix="shrink the domain to where f is finite")
        # f[a, b, c] = f″(ξ)/2 for some ξ, up to the errors of three values, each at least a rounding
        wrong = f.evaluation_error + 2 * Fraction(math.ulp(max(abs(fa), abs(fb), abs(fc))))
        slack = wrong * (1 / (b - a) + 1 / (c - b)) * 2 / (c - a)
        bend = 2 * ((Fraction(fc) - Fraction(fb)) / (c - b) - (Fraction(fb) - Fraction(fa)) / (b - a)) / (c - a)
        turned = f.convex is not None and (bend if f.convex else -bend) < -2 * slack
        if abs(bend) > f.second_derivative + 2 * slack or turned:
            stated = f"convex={f.convex}" if turned else f"second_derivative={float(f.second_derivative):.6g}"
            raise ApproximationError(
                f"{f.name} is not what is stated of it: near {float(b):.6g} its second derivative is about {float(bend):.6g}, "
                f"and {stated} is stated",
                rule="the bound of the fit rests on these statements",
                fix="state a bound of |f″| that holds on the whole domain, or shrink the domain",
            )


#: Places at which a statement about f″ is looked at.
_LOOKS = 256
