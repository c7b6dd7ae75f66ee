"""s(z)·a in one hidden layer, straight from the rows z and a.

With Φ′ = s,   Φ(z + ha) − Φ(z − ha) = 2h·a·s(z) + (ha)³s″(z)/3 + …,   so s(z)·a is a difference of ridge functions.
Several h are combined so that the next orders cancel (Richardson), and every Φ is replaced by an optimal fit:

    value = Σ_k c_k/(2h_k) · [F_k(z + h_k a) − F_k(z − h_k a)]

Error: Σ |c_k|·sup|F_k − Φ|/h_k, plus what is left of the series, enclosed from Taylor coefficients of s. At a = 0 the
value is 0.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from .enclosure import above, fraction
from .fit import Points, Search
from .integral import ORDER, Integral
from .piecewise import MOST_PIECES, PiecewiseLinear
from .plane import Number, PlaneUnit, PlaneUnits
from .prove import NotProved, estimate, refuse
from .sample import check_defined
from .scalar_function import ApproximationError, ScalarFunction


@dataclass(frozen=True)
class ScaledFit:
    """s(z)·a ≈ Σ_k weights[k]/(2·steps[k])·[fits[k](z + steps[k]·a) − fits[k](z − steps[k]·a)].

    bound: sup over |a| ≤ reach, z in z_range is proved to be at most this; `smooth` is the part that more pieces do not
    reduce. linear: the value is linear·a + ReLU units; `units` adds two units for it unless told not to.
    """

    function: str
    z_range: tuple[Fraction, Fraction]
    reach: Fraction
    steps: tuple[Fraction, ...]
    weights: tuple[Fraction, ...]
    fits: tuple[PiecewiseLinear, ...]
    smooth: Fraction
    bound: Fraction

    @cached_property
    def _parts(self) -> tuple[Fraction, tuple[PlaneUnit, ...]]:
        linear, units = Fraction(0), []
        for h, c, fit in zip(self.steps, self.weights, self.fits, strict=True):
            # Every F is taken as a line through its middle piece and hinges away from it on both sides.
            middle = sum(1 for t in fit.knots[1:-1] if t <= 0)
            linear += c * fit.slopes[middle + 1]
            for k, t in enumerate(fit.knots[1:-1]):
                bend = fit.slopes[k + 2] - fit.slopes[k + 1]
                side = 1 if k >= middle else -1
                for sign in (1, -1):
                    units.append(PlaneUnit(Fraction(side), side * sign * h, -side * t, sign * c * bend / (2 * h)))
        return linear, tuple(units)

    @property
    def linear(self) -> Fraction:
        """What multiplies a outside the ReLU units."""
        return self._parts[0]

    def units(self, with_linear: bool = True) -> PlaneUnits:
        """The units on (z, a); with_linear=False leaves out linear·a, for a compiler that has a free linear path."""
        linear, units = self._parts
        zero = Fraction(0)
        extra = tuple(PlaneUnit(zero, Fraction(s), zero, s * linear) for s in (1, -1) if with_linear and linear)
        return PlaneUnits(zero, units + extra)


def scaled_fit(
    s: ScalarFunction, z_range: tuple[Number, Number], a_range: tuple[Number, Number], tol: Number, most_steps: int = 3
) -> ScaledFit:
    """s(z)·a on a box in one hidden layer with few units and a proved bound ≤ tol; s must be smooth on and near z_range.

    The number of steps h (at most most_steps), their sizes and the share of the error that each fit may have are chosen for
    the fewest units. Raises ApproximationError: tol ≤ 0, an empty box, s not smooth or not defined near the box.
    """
    low, high = Fraction(z_range[0]), Fraction(z_range[1])
    reach = max(abs(Fraction(a_range[0])), abs(Fraction(a_range[1])))
    if low >= high or not reach:
        raise ApproximationError(f"{s.name}·a: the box {z_range} × {a_range} is empty", fix="give (low, high) ranges")
    if not (math.isfinite(tol) and tol > 0):
        raise ApproximationError(f"{s.name}·a: tol must be positive, got {tol}", fix="give the largest error you accept")
    try:
        check_defined(s, low, high)
        return _Ridge(s, low, high, reach, float(tol)).best(most_steps)
    except NotProved as error:
        raise refuse(s, low, high, error) from None


def richardson(steps: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
    """Weights with Σ c = 1 and Σ c·h^2j = 0 for j = 1 … K − 1: Lagrange interpolation in h², taken at 0."""
    squares = [h * h for h in steps]
    return tuple(Fraction(math.prod(q / (q - p) for q in squares if q != p)) for p in squares)


class _Ridge:
    def __init__(self, s: ScalarFunction, low: Fraction, high: Fraction, reach: Fraction, tol: float) -> None:
        self.s, self.low, self.high, self.reach, self.tol = s, low, high, reach, tol
        self.widest, self.integral = self._widest()
        margin = self.widest * reach
        z = np.linspace(float(low - margin), float(high + margin), 4001)
        bend = np.sqrt(np.abs(s.numpy(z, 1)))
        self._z = z
        self._mass = np.concatenate([[0.0], np.cumsum((bend[1:] + bend[:-1]) / 2 * np.diff(z))])
        self._drafts: dict[tuple[Fraction, int], tuple[Points, float]] = {}
        self._fits: dict[tuple[Fraction, int], PiecewiseLinear] = {}

    def _widest(self) -> tuple[Fraction, Integral]:
        """The largest step worth a look (s must stay smooth that far outside the range), and Φ that far."""
        smallest = Fraction(1, 1024)
        for margin in (*(Fraction(2, 2**k) for k in range(6)), smallest):
            try:
                check_defined(self.s, self.low - margin, self.high + margin)
                ends = min(self.low - margin, Fraction(0)), max(self.high + margin, Fraction(0))
                return margin / self.reach, Integral(self.s, *ends)
            except NotProved:
                if margin > 1:  # is it smooth at all?
                    Integral(self.s, min(self.low, Fraction(0)), max(self.high, Fraction(0)))
        raise NotProved(float(self.low), f"{self.s.name} is not smooth on the closed range")

    def best(self, most_steps: int) -> ScaledFit:
        plans = sorted(itertools.chain.from_iterable(self._plans(k) for k in range(1, most_steps + 1)))
        found: ScaledFit | None = None
        for units, steps, pieces in plans[:40]:
            if found is not None and units >= len(found.units()):
                break
            fitted = self._fitted(steps, pieces)
            if fitted is not None and (found is None or len(fitted.units()) < len(found.units())):
                found = fitted
        if found is None:
            raise NotProved(float(self.low), f"no combination of {most_steps} steps is proved within {self.tol:.3g}")
        return found

    def _plans(self, k: int) -> Iterator[tuple[float, tuple[Fraction, ...], tuple[int, ...]]]:
        """(estimated units, steps, pieces) of promising choices with k steps, from the asymptotic law of optimal fits."""
        ratios = (1.3, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0)
        best: list[tuple[float, tuple[Fraction, ...], tuple[int, ...]]] = []
        for ratio in ratios if k > 1 else ratios[:1]:
            for largest in np.geomspace(0.01, 1.0, 41) * float(self.widest):
                steps = tuple(Fraction(round(largest / ratio**j * 4096), 4096) for j in range(k - 1, -1, -1))
                if len(set(steps)) < k or not all(steps):
                    continue
                weights = richardson(steps)
                room = self.tol - self._left_over(steps, weights)
                if room <= 0:
                    continue
                mass = np.array([self._bend(h) for h in steps])
                load = np.array([abs(float(c / h)) for c, h in zip(weights, steps, strict=True)])
                share = (mass / load) ** (2 / 3)
                eps = room * share / float(load @ share)
                n = np.ceil(mass / (4 * np.sqrt(eps)) - 0.35).clip(1)
                if n.sum() > MOST_PIECES:
                    continue
                n = n.astype(int)
                best.append((2.0 * (n.sum() - k) + 2 + 1e-3 * float((mass / np.sqrt(eps)).sum()), steps, tuple(n.tolist())))
        return iter(sorted(best)[:25])

    def _bend(self, h: Fraction) -> float:
        """∫ √|Φ″| over the range that step h reaches."""
        margin = float(h * self.reach)
        ends = np.interp([float(self.low) - margin, float(self.high) + margin], self._z, self._mass)
        return float(ends[1] - ends[0])

    def _left_over(self, steps: tuple[Fraction, ...], weights: tuple[Fraction, ...]) -> float:
        """The smooth error seen at some points: what a plan counts with."""
        z = np.linspace(float(self.low), float(self.high), 41)[:, None]
        a = np.array([0.6, 0.8, 1.0]) * float(self.reach)
        value = -self.s.numpy(z) * a
        for h, c in zip(map(float, steps), map(float, weights), strict=True):
            value = value + c / (2 * h) * (self.integral.numpy(z + h * a) - self.integral.numpy(z - h * a))
        return float(np.abs(value).max())

    def _fitted(self, steps: tuple[Fraction, ...], pieces: tuple[int, ...]) -> ScaledFit | None:
        """The plan carried out, with a few more pieces where drafts miss the tolerance; proved once drafts meet it."""
        weights = tuple(Fraction(float(c)) for c in richardson(steps))
        smooth = self.smooth_error(steps, weights)
        if smooth >= self.tol:
            return None
        counts = list(pieces)
        load = [float(abs(c) / h) for c, h in zip(weights, steps, strict=True)]
        for _ in range(4 * len(steps)):
            parts = [q * self._draft(h, n)[1] for q, h, n in zip(load, steps, counts, strict=True)]
            if float(smooth) + sum(parts) <= self.tol:
                fits = tuple(self._proved(h, n) for h, n in zip(steps, counts, strict=True))
                rest = sum((abs(c) * f.bound / h for c, h, f in zip(weights, steps, fits, strict=True)), Fraction(0))
                bound = above(smooth + rest)
                if bound <= self.tol:
                    return ScaledFit(self.s.name, (self.low, self.high), self.reach, steps, weights, fits, smooth, bound)
            worst = max(range(len(steps)), key=lambda k: parts[k] / counts[k])
            counts[worst] += max(1, counts[worst] // 50)
        return None

    def _search(self, h: Fraction) -> Search:
        margin = h * self.reach
        return Search(self.integral, self.low - margin, self.high + margin, flat=False)

    def _draft(self, h: Fraction, pieces: int) -> tuple[Points, float]:
        """A fit of Φ on the range of step h, and the error seen at some points."""
        if (h, pieces) not in self._drafts:
            search = self._search(h)
            points = search.draft(pieces)
            self._drafts[h, pieces] = points, estimate(self.integral, search.lo, search.hi, *points)
        return self._drafts[h, pieces]

    def _proved(self, h: Fraction, pieces: int) -> PiecewiseLinear:
        if (h, pieces) not in self._fits:
            self._fits[h, pieces] = self._search(h).proved(*self._draft(h, pieces)[0])
        return self._fits[h, pieces]

    def smooth_error(self, steps: tuple[Fraction, ...], weights: tuple[Fraction, ...]) -> Fraction:
        """A proved bound of |Σ c/(2h)·[Φ(z + ha) − Φ(z − ha)] − s(z)·a| on the box.

        It is |Σ_j μ_j·a^(2j+1)·s⁽²ʲ⁾(z)/(2j+1)!| with μ_j = Σ c·h^2j (less 1 for j = 0), up to a remainder of order ORDER.
        Evaluated in float64 intervals on parts of the box, all a ≥ 0 (the sum is odd in a); their rounding is added.
        """
        half = ORDER // 2
        moments = [sum((c * h ** (2 * j) for c, h in zip(weights, steps, strict=True)), Fraction(0)) for j in range(half)]
        moments[0] -= 1
        last = sum((abs(c) * h**ORDER for c, h in zip(weights, steps, strict=True)), Fraction(0))
        most = max(fraction(abs(r).b) for r in self.integral.remainders)
        remainder = last * self.reach ** (ORDER + 1) / (ORDER + 1) * most
        edges = np.linspace(0, 1, 65) * float(self.reach) * (1 + 1e-15)
        low, high = edges[:-1] ** 2, edges[1:] ** 2
        factors = np.array([float(mu / (2 * j + 1)) for j, mu in enumerate(moments)])
        ends = self._coefficients * factors  # (2, parts of the z range, half)
        bottom, top = ends.min(axis=0)[:, :, None], ends.max(axis=0)[:, :, None]
        lower, upper = bottom[:, -1] + 0 * low, top[:, -1] + 0 * high
        size = np.abs(ends).max(axis=0)[:, :, None]
        total = size[:, -1] + 0 * high
        for j in range(half - 2, -1, -1):
            lower = np.minimum(lower * low, lower * high) + bottom[:, j]
            upper = np.maximum(upper * low, upper * high) + top[:, j]
            total = total * high + size[:, j]
        reach = edges[1:]
        seen = (np.maximum(np.abs(lower), np.abs(upper)) + 8 * ORDER * 2.0**-53 * total) * reach
        return above(Fraction(float(seen.max())) * (1 + Fraction(1, 10**12)) + remainder)

    @cached_property
    def _coefficients(self) -> Any:
        """Outward-rounded ends of s⁽²ʲ⁾/(2j)! on small parts of the z range: (2, parts, ORDER/2)."""
        width, rows = self.integral.width, []
        for k in range(len(self.integral.series)):
            start = (self.integral.first + k) * width
            for piece in range(8):
                left, right = start + width * piece / 8, start + width * (piece + 1) / 8
                if right > self.low and left < self.high:
                    middle = start + width / 2
                    at = self.integral.coefficients(k, left - middle, right - middle)[::2]
                    rows.append([[-float(above(-fraction(t.a))) for t in at], [float(above(fraction(t.b))) for t in at]])
        return np.array(rows).transpose(1, 0, 2)
