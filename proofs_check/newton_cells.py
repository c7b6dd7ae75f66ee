"""A worst case over the states of damped Newton: decrements cut into cells, and the largest f(x_t) − f* in each.

A large decrement means a large decrease of f, a small one the quadratic recurrence; neither bound alone is good at small μ or
far from the minimiser. The inequalities are those of `newton_lemmas`; `newton_theory` runs the cells beside its numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from .newton_lemmas import Damped

#: The ratio of neighbouring cell ends, and the most cells.
_RATIO, _MOST_CELLS = 1.0125, 400

#: Decrements λ/(2√μ) up to this are one cell: there the quadratic recurrence is better than any cells.
LOCAL = Fraction(1, 10)


@dataclass(frozen=True)
class State:
    """What is certain after a step: upper bounds on λ_t = √(∇fᵀH⁻¹∇f), ‖x_t − x*‖, f(x_t) − f*, ‖x_t‖ and f(x_t)."""

    decrement: float
    distance: float
    gap: float
    norm: float
    value: float


class Cells:
    """The largest f − f* for every cell of decrements; −∞ where no state can be."""

    def __init__(self, damped: Damped, start: State, most: int = _MOST_CELLS) -> None:
        top = max(start.decrement, decrement_at(damped, start.gap)) * (1 + 1e-9)
        low = min(float(LOCAL) * 2 * math.sqrt(damped.mu), top / 2)
        cells = min(math.ceil(math.log(top / low) / math.log(_RATIO)), most)
        finite = np.concatenate([[0.0], np.geomspace(low, top, cells + 1)])
        pairs = list(pairwise(finite))
        # the last cell is everything beyond: only a rise of f can lead there, and nothing is known of it
        self.edges = np.append(finite, np.inf)
        self.decrease = np.array([*(damped.decrease(lo, hi) for lo, hi in pairs), -np.inf])
        self.after = np.array([*(damped.next_decrement(hi) for hi in finite[1:]), np.inf])
        self.least = np.array([damped.least_value(lo) for lo in finite])
        self.cap = np.array([*(damped.greatest_value(hi) for hi in finite[1:]), np.inf])
        self.first: tuple[np.ndarray, np.ndarray] | None = None
        if start.norm == 0:
            self.first = (
                np.array([*(damped.first_decrement(lo, hi) for lo, hi in pairs), np.inf]),
                np.array([*(damped.first_decrease(lo, hi) for lo, hi in pairs), -np.inf]),
            )
        self.gap = np.minimum(start.gap, self.cap)
        self.meet(start.decrement, start.gap)

    def step(self) -> tuple[float, float]:
        """Moves on by one step. Returns the largest decrement that it allows, and the largest rise of f."""
        after, decrease = self.after, self.decrease
        if self.first is not None:
            after, decrease = np.minimum(after, self.first[0]), np.maximum(decrease, self.first[1])
            self.first = None
        full = np.flatnonzero(self.gap > -np.inf)
        gap = np.nextafter(self.gap[full] - decrease[full], np.inf)
        rise = float(np.max(-decrease[full], initial=0.0))
        reached = (self.edges[None, :-1] <= after[full, None]) & (self.least[None, :] <= gap[:, None])
        best = np.where(reached, gap[:, None], -np.inf).max(axis=0, initial=-np.inf)
        largest = float(after[full].max(initial=0.0))
        self.gap = np.minimum(best, self.cap)
        full = np.flatnonzero(self.gap > -np.inf)
        return min(largest, float(self.edges[full[-1] + 1])), rise

    def meet(self, decrement: float, gap: float) -> None:
        """Keeps only what these upper bounds allow."""
        possible = (self.least <= gap) & (self.edges[:-1] <= decrement)
        self.gap = np.where(possible, np.minimum(self.gap, gap), -np.inf)

    @property
    def largest(self) -> float:
        return float(self.gap.max())

    def descent(self, target: float) -> int | None:
        """Steps after which f − f* ≤ target whatever the cells, counted in closed form; None where no decrease is proved.

        A step from cell i leads to at most min(cap_i, G) − d_i, where G bounds f − f* before it and d_i is the decrease that is
        certain in the cell. Between neighbouring caps that is max(B, G − D) with constants B and D, so that many steps are one
        division. Moves from cell to cell are not followed: any cell whose least f − f* is at most G may come.
        """
        gap, steps = self.largest, 0
        order = np.argsort(self.cap[:-1], kind="stable")
        cap, decrease, least = self.cap[:-1][order], self.decrease[:-1][order], self.least[:-1][order]
        left = np.maximum.accumulate(np.concatenate([[-np.inf], np.nextafter(cap - decrease, np.inf)]))
        while gap > target:
            if self.least[-1] <= gap:  # a decrement of which nothing is known
                return None
            k = int(np.searchsorted(cap, gap))  # cap[k − 1] < gap ≤ cap[k]
            beyond = decrease[k:][least[k:] <= gap]
            drop = float(beyond.min()) if len(beyond) else math.inf
            floor = max(target, float(cap[k - 1]) if k else 0.0, float(left[k]))
            if drop <= 0 or floor >= gap:
                return None
            count = math.ceil((gap - floor) / drop) if drop < math.inf else 1
            lower = gap - count * drop + 4e-15 * gap  # rounded up
            gap, steps = max(lower, float(left[k])), steps + count
        return steps


def decrement_at(damped: Damped, gap: float) -> float:
    """A bound on λ where f − f* ≤ gap: ω(Mλ)/M² ≤ gap."""
    low, high = 0.0, 1.5 * math.sqrt(gap) + 1e-300
    while damped.least_value(high) < gap:
        low, high = high, 2 * high
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if damped.least_value(middle) < gap else (low, middle)
    return high
