"""Where a function is looked at while searching for a fit: a grid on which it is nearly linear, and the corridor there."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from .enclosure import Undefined, fraction, intervals
from .prove import Enclosable, NotProved

Array = npt.NDArray[np.float64]
_FINE = 1 / 256
"""Sag of f between two samples, as a share of ε: the corridor loses that much width, so n grows by a fifth of a percent."""
_MOST = 1_500_000
"""Samples, about 35 a piece."""


@dataclass(frozen=True)
class Corridor:
    """Windows low ≤ y ≤ high at increasing x."""

    x: Array
    low: Array
    high: Array

    def __len__(self) -> int:
        return len(self.x)

    def part(self, a: float, b: float) -> Corridor:
        keep = (self.x >= a) & (self.x <= b)
        return Corridor(self.x[keep], self.low[keep], self.high[keep])

    def mirrored(self) -> Corridor:
        return Corridor(-self.x[::-1], self.low[::-1], self.high[::-1])

    def flat_start(self) -> Corridor:
        """Far to the left a window like the first one: the first line must be nearly horizontal."""
        far = self.x[0] - 1e4 * (self.x[-1] - self.x[0])
        low, high = (np.concatenate([v[:1], v]) for v in (self.low, self.high))
        return Corridor(np.concatenate([[far], self.x]), low, high)


def corridor(f: Enclosable, lo: float, hi: float, eps: float, points: tuple[float, ...] = ()) -> Corridor:
    """The windows [f − ε, f + ε], narrowed where f sags between samples so that a path through them is within ε of f."""
    x = np.unique(np.concatenate([np.linspace(lo, hi, 65), points]))
    y = f.numpy(x)
    over = under = np.zeros(0)
    for _ in range(1100):  # halvings of a double
        a, b, fa, fb = x[:-1], x[1:], y[:-1], y[1:]
        if not np.isfinite(y).all():
            at = float(x[np.argmin(np.isfinite(y))])
            raise NotProved(at, "f is no finite number in floating point (0·∞, or an overflow)")
        middle = a + (b - a) / 2
        fm = f.numpy(middle)
        sag = (fa + fb) / 2 - fm
        quarter = f.numpy(a + (b - a) / 4)
        sag = np.where(np.abs(sag) > np.abs(0.75 * fa + 0.25 * fb - quarter), sag, 0.75 * fa + 0.25 * fb - quarter)
        split = (np.abs(sag) > _FINE * eps) & (middle > a) & (middle < b) & (b - a > 1e-15 * np.maximum(np.abs(a), np.abs(b)))
        over, under = np.maximum(sag, 0), np.maximum(-sag, 0)
        if not split.any():
            break
        if len(x) > _MOST:
            raise NotProved(float(x[np.argmax(split)]), "tens of thousands of pieces would be needed")
        order = np.argsort(np.concatenate([x, middle[split]]), kind="stable")
        x = np.concatenate([x, middle[split]])[order]
        y = np.concatenate([y, fm[split]])[order]
    over, under = np.minimum(over, _FINE * eps), np.minimum(under, _FINE * eps)
    return Corridor(x, y - eps + _beside(under), y + eps - _beside(over))


def _beside(gaps: Array) -> Array:
    """At every sample the larger of the values on the two gaps beside it."""
    most: Array = np.maximum(np.concatenate([gaps, [0.0]]), np.concatenate([[0.0], gaps]))
    return most


def extrema(f: Enclosable, c: Corridor) -> list[float]:
    """Places inside the domain where f turns, up to the sampling."""
    y = (c.low + c.high) / 2
    rise = np.sign(np.diff(y))
    turns = np.nonzero(rise[1:] * rise[:-1] < 0)[0] + 1
    found = []
    for k in turns[:8]:
        a, b = float(c.x[k - 1]), float(c.x[k + 1])
        sa = float(f.numpy(a, 1))
        for _ in range(60):
            m = (a + b) / 2
            sm = float(f.numpy(m, 1))
            if sm == 0:
                a = b = m
                break
            a, b = (m, b) if (sm > 0) == (sa > 0) else (a, m)
        found.append((a + b) / 2)
    return found


def check_defined(f: Enclosable, lo: Fraction | None, hi: Fraction | None) -> None:
    """f is real and finite on [lo, hi]: shown by intervals. Raises NotProved with the place and the reason."""
    left = lo if lo is not None else min(Fraction(-1), (hi or Fraction(0)) - 1)
    right = hi if hi is not None else max(Fraction(1), left + 1)
    for _ in range(60):
        if lo is not None or _finite(_value(f, None, left)):
            break
        left *= 2
    for _ in range(60):
        if hi is not None or _finite(_value(f, right, None)):
            break
        right *= 2
    todo = [(left, right, 0)]
    while todo:
        a, b, depth = todo.pop()
        value = _value(f, a, b)
        if _finite(value):
            continue
        if depth >= 50:
            wider = _value(f, a - (b - a), b + (b - a))
            reason = next((v for v in (value, wider) if isinstance(v, str)), "f is unbounded, or cannot be enclosed,")
            raise NotProved(_nice(a, b), reason)
        m = (a + b) / 2
        todo += [(m, b, depth + 1), (a, m, depth + 1)]


def _nice(a: Fraction, b: Fraction) -> float:
    """The shortest number of a tiny interval: 0 rather than 3e-16."""
    if a <= 0 <= b:
        return 0.0
    for digits in range(1, 17):
        x = float(f"{float(a + (b - a) / 2):.{digits}g}")
        if a <= Fraction(x) <= b:
            return x
    return float(a)


def _value(f: Enclosable, a: Fraction | None, b: Fraction | None) -> Any:
    """The enclosure of f on [a, b], or why there is none."""
    try:
        return f.enclose(a, b, 0)[0]
    except Undefined as error:
        return error.reason


def _finite(value: Any) -> bool:
    over = intervals().context
    return not isinstance(value, str) and bool(value.a > -over.inf and value.b < over.inf)


def settled(f: Enclosable, start: Fraction, sign: int, width: float) -> float:
    """How far out f stays within `width` of its limit, from `start` on. Raises NotProved if it has none there."""
    step = max(abs(start), Fraction(1))
    for _ in range(40):
        at = start + sign * step
        value = _value(f, at, None) if sign > 0 else _value(f, None, at)
        if _finite(value) and float(fraction(value.b) - fraction(value.a)) <= width:
            return float(at)
        step = step * 5 / 4
    raise NotProved(float("inf") * sign, "f does not settle at a constant, so no finite number of pieces is enough,")
