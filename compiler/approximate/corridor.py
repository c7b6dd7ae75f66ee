"""The fewest line segments through a corridor: the optimal continuous piecewise-linear fit of any function.

A fit with error ≤ ε is a path between f − ε and f + ε. The greedy path (each segment reaches as far as any segment can
from the points that the last one can hand over) has the fewest segments there are (Suri 1986; Imai and Iri 1986). Where f
is convex it is the equi-error chord shifted by half its error; at inflections, kinks and ends it is optimal as well.

Lines y = s·x + t through windows l ≤ y ≤ u are points (s, t) of a convex polygon. Because windows arrive by increasing
x, a new upper limit cuts its right end and a new lower limit its left end, so one sweep costs O(1) a window (O'Rourke 1981).

Everything here is float64 and only proposes; `prove` decides.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """y = slope·(x − x0) + y0."""

    slope: float
    x0: float
    y0: float

    def at(self, x: float) -> float:
        return self.slope * (x - self.x0) + self.y0


class _Polygon:
    """The lines that respect all limits so far. Upper limits are kept by increasing x, lower ones by decreasing x."""

    def __init__(self, at: float, width: float, height: float) -> None:
        far, near = at - 2 * width, at - width
        self.upper: deque[Point] = deque([(far, height), (near, height)])
        self.lower: deque[Point] = deque([(near, -height), (far, -height)])
        self.left = _cross(self.upper[0], self.lower[0])
        self.right = _cross(self.upper[-1], self.lower[-1])

    def below(self, x: float, y: float) -> bool:
        """Ask for lines ≤ y at x; False: none is."""
        if self.right[0] * x + self.right[1] <= y:
            return True
        if self.left[0] * x + self.left[1] > y:
            return False
        upper, lower = self.upper, self.lower
        if upper[-1][0] == x and len(upper) > 1:
            upper.pop()
        while len(upper) > 1:
            s, t = _cross(upper[-2], upper[-1])
            if s * x + t < y:
                break
            upper.pop()
        while len(lower) > 1:
            s, t = _cross(lower[-2], lower[-1])
            if s * x + t < y:
                break
            lower.pop()
        upper.append((x, y))
        self.right = _cross(upper[-1], lower[-1]) if lower[-1][0] != x else self.right
        return True

    def above(self, x: float, y: float) -> bool:
        """Ask for lines ≥ y at x; False: none is."""
        if self.left[0] * x + self.left[1] >= y:
            return True
        if self.right[0] * x + self.right[1] < y:
            return False
        upper, lower = self.upper, self.lower
        if lower[0][0] == x and len(lower) > 1:
            lower.popleft()
        while len(upper) > 1:
            s, t = _cross(upper[0], upper[1])
            if s * x + t > y:
                break
            upper.popleft()
        while len(lower) > 1:
            s, t = _cross(lower[0], lower[1])
            if s * x + t > y:
                break
            lower.popleft()
        lower.appendleft((x, y))
        self.left = _cross(upper[0], lower[0]) if upper[0][0] != x else self.left
        return True


def _cross(a: Point, b: Point) -> Point:
    """The line (s, t) through two points."""
    s = (b[1] - a[1]) / (b[0] - a[0])
    return s, a[1] - s * a[0]


def fewest_lines(x: Sequence[float], low: Sequence[float], high: Sequence[float], most: int | None = None) -> list[Line] | None:
    """Lines of the path with the fewest segments between (x, low) and (x, high), left to right.

    x increases strictly and low < high. None: more than `most` segments are needed.
    """
    n, width = len(x), (x[-1] - x[0]) or 1.0
    height = 1e6 * (max(high) - min(low) + 1e-300) + max(abs(max(high)), abs(min(low)))
    steepest = max(((high[i + 1] - low[i]) / (x[i + 1] - x[i]) for i in range(n - 1)), default=1.0)
    fall = max(((high[i] - low[i + 1]) / (x[i + 1] - x[i]) for i in range(n - 1)), default=1.0)
    height += 4 * width * max(steepest, fall)
    lines: list[Line] = []
    j = 0
    origin, stuck = x[0], False
    polygon = _Polygon(0.0, width, height)
    while True:
        left = None
        i = j
        while i < n:
            at = x[i] - origin
            if not polygon.below(at, high[i]):
                left = True
                break
            if not polygon.above(at, low[i]):
                left = False
                break
            i += 1
        if left is None:
            s = (polygon.left[0] + polygon.right[0]) / 2
            t = (polygon.left[1] + polygon.right[1]) / 2
            lines.append(Line(s, origin, t))
            return lines if most is None or len(lines) <= most else None
        s, t = polygon.left if left else polygon.right
        line = Line(s, origin, t)
        lines.append(line)
        if most is not None and len(lines) >= most:
            return None
        # The line touches one side for the last time at `touch` and leaves through the other at `leave`.
        touch = (polygon.lower[0] if left else polygon.upper[-1])[0] + origin
        leave = _exit(line, x[i - 1], x[i], (high if left else low)[i - 1], (high if left else low)[i])
        touch = min(touch, leave)
        handed, origin = (touch, line.at(touch)), leave
        polygon = _Polygon(min(handed[0] - origin, 0.0), width, height)
        if i == j and stuck:  # rounding closed the window: go on from the exit itself
            y = line.at(leave)
            polygon.below(0.0, y + 1e-14 * abs(y))
            polygon.above(0.0, y - 1e-14 * abs(y))
            if leave >= x[i]:
                i += 1
        else:
            k = i
            while k > 0 and x[k - 1] > touch:
                k -= 1
            start, stop = (polygon.above, polygon.below) if left else (polygon.below, polygon.above)
            start(touch - origin, handed[1])
            for m in range(k, i):
                if x[m] < leave:
                    start(x[m] - origin, (low if left else high)[m])
            stop(0.0, line.at(leave))
        stuck = i == j
        j = i


def _exit(line: Line, a: float, b: float, ya: float, yb: float) -> float:
    """Where the line crosses the side of the corridor between two windows."""
    da, db = line.at(a) - ya, line.at(b) - yb
    if da == db:
        return b
    share = da / (da - db)
    return min(max(a + (b - a) * share, a), b)


def corners(lines: Sequence[Line], lo: float, hi: float) -> list[Point]:
    """The corner points of the path, its ends included."""
    points = [(lo, lines[0].at(lo))]
    for a, b in itertools.pairwise(lines):
        x = b.x0 + (b.y0 - a.at(b.x0)) / (a.slope - b.slope) if a.slope != b.slope else b.x0
        points.append((x, b.at(x)))
    points.append((hi, lines[-1].at(hi)))
    return points
