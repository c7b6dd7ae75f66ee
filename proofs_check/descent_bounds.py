"""Proved bounds of the residual of gradient steps that transform the data, layer by layer (GD++).

A layer with the numbers (a, γ) multiplies the residual by 1 − aλ and the features by 1 − γλ, so that λ ← λ(1 − γλ)². The
largest value of every factor on the range of its λ gives a first bound. It counts the worst of each layer together;
where it is too large, the interval is cut into cells, narrower wherever the product of the factors is not yet bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from .modular import PRIME, residue
from .ranges import Interval, image

#: (a, γ) of every layer.
Steps: TypeAlias = tuple[tuple[Fraction, Fraction], ...]

#: Cells that are looked at before the search for a bound gives up.
MOST_CELLS = 200_000


@dataclass(frozen=True)
class DescentBound:
    """|residual| ≤ bound on the interval; or, with `reached`, more than `bound` at the point `reached`."""

    bound: Fraction
    how: str
    reached: Fraction | None = None


@dataclass(frozen=True)
class Progress:
    """What is proved after some layers: the range of λ, and that the product of the factors is at most `bound`."""

    range: Interval
    bound: Fraction = Fraction(1)

    def stepped(self, a: Fraction, gamma: Fraction) -> Progress:
        """After a layer: the largest |1 − aλ| on the range of λ is one more factor."""
        bound = self.bound * max(abs(1 - a * self.range.lo), abs(1 - a * self.range.hi))
        following = image((Fraction(0), Fraction(1), -2 * gamma, gamma**2), self.range)
        return Progress(following, Interval(bound, bound).rounded().hi)


def product_of_factors(steps: Steps, lower: Fraction, upper: Fraction) -> Fraction:
    """A bound of the residual: the product over layers of the largest |1 − aλ| on the range of λ."""
    progress = Progress(Interval(lower, upper))
    for a, gamma in steps:
        progress = progress.stepped(a, gamma)
    return progress.bound


def bound_of_descent(steps: Steps, lower: Fraction, upper: Fraction, tol: Fraction) -> DescentBound:
    """A bound of at most tol, or a point where the residual exceeds it.

    Raises ValueError for numbers a, γ < 0, an interval that is not above 0, and where `MOST_CELLS` cells do not decide.
    """
    bound = product_of_factors(steps, lower, upper)
    if bound <= tol:
        return DescentBound(bound, "extrema of every factor, rational arithmetic")
    if any(a < 0 or gamma < 0 for a, gamma in steps):
        raise ValueError("a step has the wrong sign")
    if not 0 < lower <= upper:
        raise ValueError(f"the interval is [{lower}, {upper}]")
    point = _Fixed(steps, lower, upper, tol)
    cells, seen, largest, reached = _octaves(point.fixed(lower), point.fixed(upper)), 0, 0, 0
    while len(cells):
        seen += len(cells)
        if seen > MOST_CELLS:
            raise ValueError(f"{MOST_CELLS} cells do not decide whether the residual stays below its tolerance")
        least, most = point.residuals(cells[:, 0], cells[:, 1])
        reached = max([reached, *least.tolist()])
        if reached > point.tol:
            where = cells[int(np.argmax(least)), 0]
            return DescentBound(point.exact(reached), "cells", point.exact(where) * upper)
        open_ = most > min(point.tol, max(reached * 51 // 50, point.tol >> 10))  # until hardly more is bounded than reached
        largest = max([largest, *most[~open_].tolist()])
        cells = _halved(cells[open_])
    return DescentBound(point.exact(largest), f"{seen} cells, integer arithmetic rounded outward")


class _Fixed:
    """Cells of λ/upper and residuals on them, as integers times 2^−bits, rounded outward."""

    def __init__(self, steps: Steps, lower: Fraction, upper: Fraction, tol: Fraction) -> None:
        size = (upper / lower / tol).numerator.bit_length()
        self.bits = 64 + 2 * size
        self.one = 1 << self.bits
        self.tol = self.fixed_down(tol)
        self.upper = upper
        self.steps = [(self.both(a * upper), self.both(gamma * upper)) for a, gamma in steps]

    def fixed_down(self, value: Fraction) -> int:
        return (value.numerator << self.bits) // value.denominator

    def both(self, value: Fraction) -> tuple[int, int]:
        low = self.fixed_down(value)
        return low, low + (Fraction(low, self.one) != value)

    def fixed(self, end: Fraction) -> tuple[int, int]:
        return self.both(end / self.upper)

    def exact(self, value: int) -> Fraction:
        return Fraction(int(value), self.one)

    def residuals(self, low: Any, high: Any) -> tuple[Any, Any]:
        """The least and the most that |residual| can be on every cell [low, high]; arrays of Python integers."""
        one, shift = self.one, self.bits
        least = most = np.full(len(low), one, dtype=object)
        for (a_low, a_high), (g_low, g_high) in self.steps:
            near, far = _absolute(one + (-(a_high * high) >> shift), one - ((a_low * low) >> shift))
            least, most = (least * near) >> shift, -((-most * far) >> shift)
            low, high = self._transformed(low, high, g_low, g_high)
        return least, most

    def _transformed(self, low: Any, high: Any, g_low: int, g_high: int) -> tuple[Any, Any]:
        """x (1 − γx)² on cells: between its values at the ends, but for its peak at γx = 1/3 and its zero at γx = 1."""
        one, shift = self.one, self.bits
        ends = []
        for x in (low, high):
            near, far = _absolute(one + (-(g_high * x) >> shift), one - ((g_low * x) >> shift))
            ends.append(((x * near * near) >> (2 * shift), -((-x * far * far) >> (2 * shift))))
        least, most = np.minimum(ends[0][0], ends[1][0]), np.maximum(ends[0][1], ends[1][1])
        t_low, t_high = (g_low * low) >> shift, -((-g_high * high) >> shift)
        if g_low > 0:
            peak = -((-4 * one * one) // (27 * g_low))
            most = np.where((3 * t_low <= one) & (3 * t_high >= one), np.maximum(most, peak), most)
            least = np.where((t_low <= one) & (t_high >= one), 0, least)
        return least, most


def _absolute(low: Any, high: Any) -> tuple[Any, Any]:
    """The least and the largest absolute value on [low, high]."""
    far = np.maximum(np.abs(low), np.abs(high))
    near = np.where((low <= 0) & (high >= 0), 0, np.minimum(np.abs(low), np.abs(high)))
    return near, far


def _octaves(low: tuple[int, int], high: tuple[int, int]) -> Any:
    """Cells that cover the interval, each at most twice as far from 0 at its end as at its beginning."""
    ends = [low[0]]
    while 2 * ends[-1] < high[1]:
        ends.append(2 * ends[-1])
    return np.array(list(zip(ends, [*ends[1:], high[1]], strict=True)), dtype=object)


def _halved(cells: Any) -> Any:
    middle = (cells[:, 0] + cells[:, 1]) // 2
    return np.concatenate([np.stack([cells[:, 0], middle], 1), np.stack([middle, cells[:, 1]], 1)])


def modular_descent(steps: Steps, point: int) -> int:
    """The residual at a point, modulo the prime."""
    value = 1
    for a, gamma in steps:
        value = value * (1 - residue(a) * point) % PRIME
        point = point * pow(1 - residue(gamma) * point, 2, PRIME) % PRIME
    return value


def degree_of_descent(steps: Steps) -> int:
    """The degree of the residual in λ: at most (3^L − 1)/2 in L layers."""
    total, degree = 0, 1
    for a, gamma in steps:
        total += degree if a else 0
        degree *= 3 if gamma else 1
    return total
