"""The antiderivative of a smooth function, as a function that can be evaluated, enclosed and fitted: no closed form needed."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from .enclosure import Intervals, Undefined, fraction, intervals
from .prove import NotProved
from .scalar_function import ScalarFunction
from .taylor import Series

ORDER = 14
"""Taylor terms a cell."""
_NEGLIGIBLE = 1e-13


class Integral:
    """Φ(z) = ∫₀ᶻ s on [lo, hi], lo ≤ 0 ≤ hi, from Taylor polynomials of s on equal cells with enclosed remainders.

    Raises NotProved where s is not smooth enough: the remainders stay large however small the cells are.
    """

    def __init__(self, s: ScalarFunction, lo: Fraction, hi: Fraction) -> None:
        self.s, self.name = s, f"∫{s.name}"
        self.over = intervals()
        for cells in (8, 16, 32, 64, 128, 256):
            width = Fraction(math.ceil((hi - lo) / cells * 1024), 1024)
            first = math.floor(lo / width)
            count = math.ceil(hi / width) - first
            table = self._table(first, count, width)
            if table is not None:
                break
        else:
            raise NotProved(float(lo), f"{s.name} is not smooth enough to be integrated with a proof")
        self.width, self.first = width, first
        self.series, self.remainders = table
        zero = self.over.number(Fraction(0))
        right, left = [zero], [zero]  # Φ at the cell edges, outwards from 0, which is an edge
        for k in range(-first, count):
            right.append(right[-1] + self._inside(k, width / 2) - self._inside(k, -width / 2))
        for k in range(-first - 1, -1, -1):
            left.append(left[-1] - (self._inside(k, width / 2) - self._inside(k, -width / 2)))
        self.edges = [*reversed(left[1:]), *right]
        self._floats = np.array([[float(fraction(c.a)) for c in row] for row in self.series])
        self._starts = np.array([float(fraction(e.a)) for e in self.edges])

    def _table(self, first: int, count: int, width: Fraction) -> tuple[list[Series], list[Any]] | None:
        """Coefficients of s at the cell centres, and an enclosure of its next coefficient over each cell."""
        series, rest = [], []
        for k in range(first, first + count):
            try:
                centre = width * k + width / 2
                # Inner cells overlap: a kink that sits on an edge is then inside a cell, and refused.
                left = width * k - (width / 64 if k > first else 0)
                right = width * (k + 1) + (width / 64 if k < first + count - 1 else 0)
                over_cell = self.s.enclose(left, right, ORDER, self.over)[ORDER]
                at = self.s.enclose(centre, centre, ORDER - 1, self.over)
            except Undefined as error:
                raise NotProved(float(width * k), error.reason) from None
            bound = abs(over_cell).b
            if not bound < self.over.context.inf or float(fraction(bound)) * float(width / 2) ** (ORDER + 1) > _NEGLIGIBLE:
                return None
            series.append(at)
            rest.append(over_cell)
        return series, rest

    def _inside(self, k: int, x: Any) -> Any:
        """∫ of s from the centre of cell k to x beyond it (|x| ≤ half a cell)."""
        x = self.over.number(x) if isinstance(x, Fraction) else x
        total = self.remainders[k] / (ORDER + 1)
        for j in range(ORDER - 1, -1, -1):
            total = total * x + self.series[k][j] / (j + 1)
        return total * x

    def _point(self, z: Fraction) -> Any:
        k = min(max(math.floor(z / self.width) - self.first, 0), len(self.series) - 1)
        centre = self.width * (self.first + k) + self.width / 2
        return self.edges[k] + self._inside(k, z - centre) - self._inside(k, -self.width / 2)

    def enclose(self, lo: Fraction | None, hi: Fraction | None, order: int = 0, over: Intervals | None = None) -> Series:
        if lo is None or hi is None:
            raise Undefined("an integral over a half line")
        middle = lo if lo == hi else (lo + hi) / 2
        value = self._point(middle)
        slopes = self.s.enclose(lo, hi, max(order - 1, 0), self.over) if order or lo != hi else []
        if lo != hi:
            value = value + slopes[0] * (self.over.hull(lo, hi) - self.over.number(middle))
        return [value, *(c / (k + 1) for k, c in enumerate(slopes[:order]))]

    def numpy(self, z: Any, order: int = 0) -> Any:
        if order:
            return self.s.numpy(z, order - 1)
        at = np.asarray(z, dtype=np.float64)
        width = float(self.width)
        k = np.clip(np.floor(at / width).astype(int) - self.first, 0, len(self.series) - 1)
        x = at - width * (self.first + k + 0.5)
        return self._starts[k] + self._poly(k, x) - self._poly(k, np.full_like(x, -width / 2))

    def coefficients(self, k: int, low: Fraction, high: Fraction) -> Series:
        """Enclosures of s⁽ᵐ⁾/m!, m < ORDER, over centre + [low, high] of cell k: its Taylor polynomial, shifted."""
        step = self.over.hull(low, high)
        shifted = []
        for m in range(ORDER):
            total = math.comb(ORDER, m) * self.remainders[k]
            for j in range(ORDER - 1, m - 1, -1):
                total = total * step + math.comb(j, m) * self.series[k][j]
            shifted.append(total)
        return shifted

    def _poly(self, k: Any, x: Any) -> Any:
        total = np.zeros_like(x)
        for j in range(ORDER - 1, -1, -1):
            total = total * x + self._floats[k, j] / (j + 1)
        return total * x
