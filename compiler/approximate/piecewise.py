"""A continuous piecewise-linear function with a proved bound, and the ReLU units that compute it."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import CompileError
from .enclosure import above

UNIT_ROUNDOFF = {"float32": Fraction(1, 2**24), "float64": Fraction(1, 2**53)}
_DIGITS = {"float32": 24, "float64": 53}
_SLACK = Fraction(1, 10**9)
"""Covers the float64 arithmetic in which a rounding bound itself is added up: a few operations a term, each 2^-53."""


@dataclass(frozen=True)
class Unit:
    """weight · relu(direction · (z − knot)), direction ±1."""

    direction: int
    knot: Fraction
    weight: Fraction


@dataclass(frozen=True)
class ReluUnits:
    """constant + Σ weight·relu(direction·(z − knot)), exactly; equal to the fit on its domain."""

    constant: Fraction
    units: tuple[Unit, ...]

    def __len__(self) -> int:
        return len(self.units)

    def __call__(self, z: Fraction) -> Fraction:
        active = (u for u in self.units if (z > u.knot) == (u.direction > 0))
        return self.constant + sum((u.weight * u.direction * (z - u.knot) for u in active), Fraction(0))

    def rounding(self, dtype: str, lo: Fraction, hi: Fraction) -> Fraction:
        """A bound on the error of the sum in floating point, for every floating-point z in [lo, hi], whatever the order.

        With u the unit roundoff, m units facing one way and S = Σ |weight|·relu(…) at its largest:
        ((1 + u)^(m+3) − 1)·(S + |constant|) for the cast of the weights, the difference, the product and the sum; and
        u·Σ |weight·knot| over the knots that the dtype does not hold exactly. Underflow is not counted.
        """
        u = float(_roundoff(dtype))
        moved = u * math.fsum(abs(float(n.weight) * float(n.knot)) for n in self.units if not _holds(n.knot, dtype))
        worst = 0.0
        for direction, end in ((1, float(hi)), (-1, float(lo))):
            side = [n for n in self.units if n.direction == direction]
            size = math.fsum(abs(float(n.weight)) * max(0.0, direction * (end - float(n.knot))) for n in side)
            k = len(side) + 3
            worst = max(worst, k * u / (1 - k * u) * (size + moved + abs(float(self.constant))))
        return above(Fraction(worst + moved) * (1 + _SLACK))


def _roundoff(dtype: str) -> Fraction:
    if dtype not in UNIT_ROUNDOFF:
        raise CompileError(f"no rounding rule for {dtype!r}", rule=f"known: {', '.join(UNIT_ROUNDOFF)}", fix="use one of these")
    return UNIT_ROUNDOFF[dtype]


def _holds(value: Fraction, dtype: str) -> bool:
    """Whether a float of this dtype equals the value (range aside)."""
    odd = abs(value.numerator)
    odd >>= (odd & -odd).bit_length() - 1 if odd else 0
    return value.denominator & (value.denominator - 1) == 0 and odd.bit_length() <= _DIGITS[dtype]


#: Fits whose number of pieces follows from a formula have at most so many.
MOST_PIECES = 20_000


@dataclass(frozen=True)
class PiecewiseLinear:
    """A continuous piecewise-linear fit of a scalar function.

    function: its name. lo, hi: the domain of the bound; None where it reaches to infinity: the fit is constant there.
    knots (increasing) and values: exact rationals; linear between them. Outside the knots the fit goes on linearly,
    with slope 0 on a side where the domain is infinite.
    bound: sup |f − fit| over the domain is proved to be at most this. how: the kind of proof, piece by piece.
    """

    function: str
    lo: Fraction | None
    hi: Fraction | None
    knots: tuple[Fraction, ...]
    values: tuple[Fraction, ...]
    bound: Fraction
    how: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.knots) != len(self.values) or not self.knots:
            raise CompileError(f"{len(self.knots)} knots and {len(self.values)} values", fix="give one value a knot")
        if any(a >= b for a, b in zip(self.knots, self.knots[1:], strict=False)):
            raise CompileError("the knots of a piecewise-linear fit must increase", fix="sort them")

    @cached_property
    def slopes(self) -> tuple[Fraction, ...]:
        """Slope of every piece, the two outer ones included: one more than there are knots."""
        inner = [
            (v1 - v0) / (t1 - t0)
            for t0, t1, v0, v1 in zip(self.knots, self.knots[1:], self.values, self.values[1:], strict=False)
        ]
        left = Fraction(0) if self.lo is None or not inner else inner[0]
        right = Fraction(0) if self.hi is None or not inner else inner[-1]
        return (left, *inner, right)

    @property
    def n_pieces(self) -> int:
        """Linear pieces on the domain."""
        return len(self.knots) - 1 + (self.lo is None) + (self.hi is None)

    def __call__(self, z: Any) -> Any:
        """Exact for a Fraction or int; float64 for floats and arrays."""
        if isinstance(z, Fraction | int):
            k = bisect_right(self.knots, z)
            at = max(k - 1, 0)
            return self.values[at] + self.slopes[k] * (z - self.knots[at])
        knots = np.array([float(t) for t in self.knots])
        values = np.array([float(v) for v in self.values])
        slopes = np.array([float(s) for s in self.slopes])
        k = np.searchsorted(knots, z, side="right")
        at = np.maximum(k - 1, 0)
        out = values[at] + slopes[k] * (np.asarray(z, dtype=np.float64) - knots[at])
        return out if isinstance(z, np.ndarray) else float(out)

    def units(self, plus: tuple[Fraction | int, Fraction | int] = (0, 0)) -> ReluUnits:
        """The ReLU units of fit(z) + a·z + b, for plus = (a, b), equal to it on the domain.

        plus = (−1, 0) is what replaces a row by its function, since the layer adds to what is there: no extra unit.
        At the split all units end: those right of it face right and those left of it face left, so on either side only
        slopes of that side add up. The split is the one with the fewest units whose rounding in float32 stays below an
        eighth of the bound, or else the least rounding.
        """
        slope, offset = Fraction(plus[0]), Fraction(plus[1])
        slopes = [s + slope for s in self.slopes]
        values = [v + slope * t + offset for t, v in zip(self.knots, self.values, strict=True)]
        return min(
            (self._split(j, slopes, values) for j in self._candidates(slopes, values)),
            key=lambda units: self._price(units),
        )

    def _price(self, units: ReluUnits) -> tuple[Fraction, int, Fraction]:
        rounding = units.rounding("float32", self._first, self._last)
        return (rounding if 8 * rounding > self.bound else Fraction(0), len(units), rounding)

    @property
    def _first(self) -> Fraction:
        return self.knots[0] if self.lo is None else self.lo

    @property
    def _last(self) -> Fraction:
        return self.knots[-1] if self.hi is None else self.hi

    def _candidates(self, slopes: Sequence[Fraction], values: Sequence[Fraction]) -> set[int]:
        """Splits worth a look: the ends, both ends of flat pieces, and the one that rounds least (in float64)."""
        n = len(self.knots)
        flat = {j for k, s in enumerate(slopes) if s == 0 for j in (k - 1, k) if 0 <= j < n}
        t, s = np.array([float(x) for x in self.knots]), np.array([float(x) for x in slopes])
        bend = np.abs(np.diff(s))
        right, left = bend * (t[-1] - t), bend * (t - t[0])
        after = np.concatenate([np.cumsum(right[::-1])[::-1][1:], [0.0]]) + np.abs(s[1:]) * (t[-1] - t)
        before = np.concatenate([[0.0], np.cumsum(left)[:-1]]) + np.abs(s[:-1]) * (t - t[0])
        count = np.arange(n)
        cost = np.maximum(after * (n - count), before * (count + 1)) + np.abs([float(v) for v in values])
        return {0, n - 1, int(np.argmin(cost))} | set(sorted(flat)[:8])

    def _split(self, j: int, slopes: Sequence[Fraction], values: Sequence[Fraction]) -> ReluUnits:
        n = len(self.knots)
        units = []
        for i in range(j, -1, -1):
            weight = -slopes[j] if i == j else slopes[i + 1] - slopes[i]
            if weight and (self.lo is None or i > 0):
                units.append(Unit(-1, self.knots[i], weight))
        for i in range(j, n):
            weight = slopes[j + 1] if i == j else slopes[i + 1] - slopes[i]
            if weight and (self.hi is None or i < n - 1):
                units.append(Unit(1, self.knots[i], weight))
        return ReluUnits(values[j], tuple(units))

    def rounding(self, dtype: str) -> Fraction:
        """A bound on the error of evaluating `units()` in this dtype on the domain: see ReluUnits.rounding.

        With an infinite side, only up to the outermost knot on that side: beyond it the units that face there cancel
        exactly in theory, and grow in size with |z|.
        """
        return self.units().rounding(dtype, self._first, self._last)
