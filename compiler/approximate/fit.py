"""Optimal piecewise-linear fits of scalar functions, with a proved bound.

    fit(f, lo, hi, tol=1e-3)      the fewest pieces whose bound is proved to be ≤ 1e-3
    fit(f, lo, hi, pieces=16)     the smallest bound that 16 pieces reach

The search (sample, corridor) is float64; the proof (prove) is about the rationals that come out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

import sympy

from .bounded import fit_bounded
from .exact import exact_fit
from .path import Path, rounded, search
from .piecewise import MOST_PIECES, PiecewiseLinear
from .prove import Enclosable, NotProved, prove, refuse
from .sample import check_defined, settled
from .scalar_function import ApproximationError, BoundedFunction, ScalarFunction, Z

Shape = Literal["shifted", "interpolating"]
Number = int | float | Fraction
Points = tuple[tuple[Fraction, ...], tuple[Fraction, ...]]
_SMALL = 64
"""Up to so many pieces, several starts are tried to save one unit, and the error is evened out."""


def fit(
    f: ScalarFunction | BoundedFunction,
    lo: Number | None,
    hi: Number | None,
    *,
    tol: Number | None = None,
    pieces: int | None = None,
    shape: Shape = "shifted",
    keep: Sequence[Number] = (),
    within: tuple[Number | None, Number | None] = (None, None),
) -> PiecewiseLinear:
    """The best continuous piecewise-linear fit of f on [lo, hi] (None or ±inf: unbounded, where f settles at a constant).

    tol: the fewest pieces with a proved bound ≤ tol. pieces: the smallest bound with at most so many linear pieces.
    shape: "shifted" (free values: half the error) or "interpolating" (the fit meets f at the knots).
    keep: points that become knots, where the fit equals f (exactly if f is rational there, else its nearest double).
    within: (least, most) value of the fit on the domain; f must obey it too.

    Piecewise-linear f is returned as it is, with bound 0. Error: n²·bound → (∫√|f″|)²/16 for n pieces.
    Raises ApproximationError: a pole or complex values in the domain (with the place), a bound that cannot be proved,
    tol ≤ 0, an empty domain, a point of `keep` outside.
    """
    low, high = _end(lo, -1), _end(hi, 1)
    _check(f, low, high, tol, pieces, keep)
    points = tuple(sorted({Fraction(k) for k in keep}))
    if isinstance(f, BoundedFunction):
        return fit_bounded(f, low, high, tol=tol, pieces=pieces, shape=shape, keep=points, within=within)
    try:
        found = exact_fit(f, low, high, points)
        if found is not None:
            return found
        check_defined(f, low, high)
        search = Search(f, low, high, points, within, shape)
        return search.for_tolerance(Fraction(tol)) if tol is not None else search.for_pieces(int(pieces or 1))
    except NotProved as error:
        raise refuse(f, low, high, error) from None


def _end(x: Number | None, sign: int) -> Fraction | None:
    if x is None or (isinstance(x, float) and math.isinf(x) and (x > 0) == (sign > 0)):
        return None
    if isinstance(x, float) and not math.isfinite(x):
        raise ApproximationError(f"the domain ends at {x}", fix="give finite numbers, or None for an infinite side")
    return Fraction(x)


def _check(
    f: ScalarFunction | BoundedFunction,
    lo: Fraction | None,
    hi: Fraction | None,
    tol: Number | None,
    pieces: int | None,
    keep: Sequence[Number],
) -> None:
    if lo is not None and hi is not None and lo >= hi:
        raise ApproximationError(
            f"the domain [{float(lo)}, {float(hi)}] of {f.name} is empty", fix="give lo < hi: domain=(lo, hi)"
        )
    if (tol is None) == (pieces is None):
        raise ApproximationError(f"{f.name}: give exactly one of tol and pieces", fix="fit(f, lo, hi, tol=1e-3)")
    if tol is not None and not (math.isfinite(tol) and tol > 0):
        raise ApproximationError(f"{f.name}: tol must be a positive number, got {tol}", fix="give the largest error you accept")
    if pieces is not None and pieces < 1:
        raise ApproximationError(f"{f.name}: at least one piece is needed, got {pieces}", fix="give pieces ≥ 1")
    for k in keep:
        if (lo is not None and k < lo) or (hi is not None and k > hi):
            raise ApproximationError(f"{f.name}: the point {k} to keep is outside the domain", fix="widen the domain")


class Search:
    """Fits of one function on one domain."""

    def __init__(
        self,
        f: Enclosable,
        lo: Fraction | None,
        hi: Fraction | None,
        keep: tuple[Fraction, ...] = (),
        within: tuple[Number | None, Number | None] = (None, None),
        shape: Shape = "shifted",
        flat: bool = True,
    ) -> None:
        """flat: try paths with a horizontal piece, which saves a unit where slopes cost one."""
        self.small = _SMALL if flat else 0
        self.f, self.lo, self.hi, self.keep = f, lo, hi, keep
        self.within = tuple(None if w is None else float(w) for w in within)
        self.interpolating = shape == "interpolating"

    def for_tolerance(self, tol: Fraction) -> PiecewiseLinear:
        """The fewest pieces proved ≤ tol. The rounding of knots and weights is met by a slightly narrower corridor."""
        last = self._parabola(tol, None)
        if last is not None:
            return last
        eps = float(tol) * (1 - 1e-4)
        for _ in range(6):
            path = self._fewest_units(eps)
            if path is None:
                break
            even = self._even(path.n_pieces, path.n_units, eps) if path.n_pieces <= _SMALL else None
            before: PiecewiseLinear | None = last
            last = self.proved(*self._rounded(even or path), goal=float(tol))
            if last.bound <= tol:
                return last
            if before is not None and last.bound >= before.bound:  # more pieces, and steeper ones: rounding is what is left
                last = before
                break
            eps *= min(0.999, float(tol / last.bound) * 0.9999)
        known = f"the best proved bound is {float(last.bound):.3g}" if last else "no path obeys all conditions"
        raise NotProved(float(self.keep[0] if self.keep else self.lo or 0), f"tol = {float(tol):.3g} is out of reach: {known}")

    def for_pieces(self, pieces: int) -> PiecewiseLinear:
        """The smallest bound of at most so many linear pieces."""
        exact = self._parabola(None, pieces)
        if exact is not None:
            return exact
        return self.proved(*self.draft(pieces))

    def draft(self, pieces: int) -> Points:
        """Knots and values of the best fit with so many pieces, without a proof."""
        path = self._even(pieces, pieces, None)
        if path is None:
            raise NotProved(float(self.lo or 0), f"{pieces} pieces are too few for what is asked,")
        return self._rounded(path)

    def proved(self, knots: Sequence[Fraction], values: Sequence[Fraction], goal: float = math.inf) -> PiecewiseLinear:
        """The fit with these knots and values, and its bound."""
        bound, how = prove(self.f, self.lo, self.hi, knots, values, goal)
        return PiecewiseLinear(self.f.name, self.lo, self.hi, tuple(knots), tuple(values), bound, how)

    def _rounded(self, path: Path) -> Points:
        return rounded(path, {x: self._kept(x) for x in self.keep}, (self.lo, self.hi))

    def _parabola(self, tol: Fraction | None, pieces: int | None) -> PiecewiseLinear | None:
        """The known optimum for a·z² + b·z + c: n equal pieces, error |a|·h²/8 (twice that if it must meet f at the knots)."""
        if not isinstance(self.f, ScalarFunction):
            return None
        a = sympy.diff(self.f.expression, Z, 2) / 2
        if not a.is_Rational or self.lo is None or self.hi is None or self.keep or self.within != (None, None):
            return None
        curve = Fraction(int(a.p), int(a.q))
        width, share = self.hi - self.lo, 4 if self.interpolating else 8
        n = pieces or 1
        if tol is not None:
            n = max(1, math.isqrt(math.floor(abs(curve) * width**2 / (share * tol))))
        while True:
            if tol is not None and n > MOST_PIECES:
                raise NotProved(float(self.lo), "tens of thousands of pieces would be needed")
            inner = (self.lo + width * k / n for k in range(1, n))
            knots = (self.lo, *(Fraction(float(t)) for t in inner), self.hi)
            move = 0 if self.interpolating else -curve * (width / n) ** 2 / 8
            values = tuple(self._kept(t) + move for t in knots)
            found = self.proved(knots, values)
            if tol is None or found.bound <= tol:
                return found
            if 4 * abs(curve) * (width / n) ** 2 < share * tol:  # more pieces do not help: what is left is rounding
                best = f"the best proved bound is {float(found.bound):.3g}"
                raise NotProved(float(self.lo), f"tol = {float(tol):.3g} is out of reach: {best}")
            n += max(1, n // 64)

    def _kept(self, x: Fraction) -> Fraction:
        """f(x), exactly where it is rational, else the nearest double."""
        at = sympy.Rational(x.numerator, x.denominator)
        value = self.f.expression.subs(Z, at) if isinstance(self.f, ScalarFunction) else None
        if value is not None and value.is_Rational:
            return Fraction(int(value.p), int(value.q))
        return Fraction(float(self.f.numpy(float(x))))

    def _paths(self, eps: float) -> list[Path]:
        lo = float(self.lo) if self.lo is not None else settled(self.f, min(Fraction(0), self.hi or Fraction(0)), -1, eps / 256)
        hi = float(self.hi) if self.hi is not None else settled(self.f, max(Fraction(0), self.lo or Fraction(0)), 1, eps / 256)
        ends = (lo, hi, self.lo is None, self.hi is None)
        return search(self.f, ends, tuple(map(float, self.keep)), self.within, eps, self.interpolating, self.small)

    def _fewest_units(self, eps: float) -> Path | None:
        return min(self._paths(eps), key=lambda p: (p.n_units, p.n_pieces), default=None)

    def _even(self, pieces: int, units: int, known: float | None) -> Path | None:
        """The path with at most so many pieces and units at the least ε; `known` is an ε that is large enough."""

        def best_at(eps: float) -> Path | None:
            allowed = (p for p in self._paths(eps) if p.n_pieces <= pieces and p.n_units <= units)
            return min(allowed, key=lambda p: (p.n_units, p.n_pieces), default=None)

        good = known if known is not None else self._spread()
        best = best_at(good)
        if best is None:
            return None
        bad, close = 0.0, 1.01 if known is not None else 1.001 if pieces <= _SMALL else 1.002
        guess = 0.9 * good if known is not None else good * (best.n_pieces / (pieces + 0.5)) ** 2
        # one piece more, of at least one, makes ε at most four times smaller: below that, corners fall together in float64
        floor = max(1e-15 * (1 + self._spread()), 0.0 if known is None else known / 5)
        while good > close * bad and good > floor:
            found = best_at(guess)
            if found is not None:
                best, good = found, guess
            else:
                bad = guess
            guess = math.sqrt(good * bad) if bad else min(good / 1.1, good * (best.n_pieces / (pieces + 0.5)) ** 2)
        return best

    def _spread(self) -> float:
        """An ε at which few pieces are enough."""
        lo = float(self.lo) if self.lo is not None else -1e3
        hi = float(self.hi) if self.hi is not None else 1e3
        y = self.f.numpy([lo + (hi - lo) * k / 256 for k in range(257)])
        return (2 if self.interpolating else 1) * float(y.max() - y.min()) + 1e-12
