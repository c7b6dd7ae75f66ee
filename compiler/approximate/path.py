"""From a corridor to corner points: ends that must be flat, points that must be kept, and the rounding to short numbers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from .corridor import Line, Point, corners, fewest_lines
from .prove import Enclosable
from .sample import Corridor, corridor, extrema

_PINCH = 1e-4
"""Half width of the corridor at a kept point, as a share of ε; the kept value is put there afterwards."""


@dataclass(frozen=True)
class Path:
    """Corner points by increasing x; the path goes on horizontally beyond an end that is flat."""

    points: tuple[Point, ...]
    flat_left: bool
    flat_right: bool

    @property
    def n_pieces(self) -> int:
        return len(self.points) - 1 + self.flat_left + self.flat_right

    @property
    def n_units(self) -> int:
        """ReLU units: one a piece, less one if a piece is horizontal (the constant is free)."""
        y = [p[1] for p in self.points]
        flat = self.flat_left or self.flat_right or any(a == b for a, b in itertools.pairwise(y))
        return self.n_pieces - flat


def search(
    f: Enclosable,
    ends: tuple[float, float, bool, bool],
    keep: Sequence[float],
    within: Sequence[float | None],
    eps: float,
    interpolating: bool,
    small: int,
) -> list[Path]:
    """Paths within ε of f (the error of interpolation is at most twice that of a path through the corridor of ε/2).

    ends: lo, hi, and whether the path must be flat beyond them. Up to `small` pieces also paths that are flat at an end
    or at a turning point of f are tried: they save a unit. An empty list: the conditions exclude each other.
    """
    lo, hi, flat_left, flat_right = ends
    width = eps / 2 if interpolating else eps
    c = _limited(corridor(f, lo, hi, width, tuple(keep)), within, width)
    pinned = _pinched(f, c, keep, width)
    if (pinned.low >= pinned.high).any():
        return []
    cuts = sorted({lo, *keep, hi})
    sections = [pinned.part(a, b) for a, b in itertools.pairwise(cuts)]
    paths = [_joined(sections, flat_left, flat_right)]
    if len(paths[0].points) <= small and len(sections) == 1:
        if not flat_left:
            paths.append(_joined(sections, True, flat_right))
        if not flat_right:
            paths.append(_joined(sections, flat_left, True))
        paths += [_turning(pinned, at, flat_left, flat_right) for at in extrema(f, c)]
    paths = [_closed(p, ends) for p in paths]
    return [_on_graph(f, p) for p in paths] if interpolating else paths


def _limited(c: Corridor, within: Sequence[float | None], eps: float) -> Corridor:
    low, high = within
    c = c if low is None else replace(c, low=np.maximum(c.low, low + 1e-9 * eps))
    return c if high is None else replace(c, high=np.minimum(c.high, high - 1e-9 * eps))


def _pinched(f: Enclosable, c: Corridor, keep: Sequence[float], eps: float) -> Corridor:
    low, high = c.low.copy(), c.high.copy()
    for x in keep:
        k, y = int(np.searchsorted(c.x, x)), float(f.numpy(x))
        low[k], high[k] = y - _PINCH * eps, y + _PINCH * eps
    return replace(c, low=low, high=high)


def _lines(c: Corridor, flat_left: bool, flat_right: bool) -> list[Line]:
    """The fewest lines; a flat end is a window far outside."""
    lo, hi = float(c.x[0]), float(c.x[-1])
    wide = c.flat_start() if flat_left else c
    if flat_right:
        wide = _both(wide, c)
    lines = fewest_lines(wide.x.tolist(), wide.low.tolist(), wide.high.tolist()) or []
    if flat_left:
        lines[0] = Line(0.0, lo, lines[0].at(lo))
    if flat_right:
        lines[-1] = Line(0.0, hi, lines[-1].at(hi))
    return lines


def _both(wide: Corridor, c: Corridor) -> Corridor:
    far = c.mirrored().flat_start().mirrored()
    return Corridor(
        np.append(wide.x, far.x[-1]), np.append(wide.low, far.low[-1]), np.append(wide.high, far.high[-1])
    )


def _joined(sections: Sequence[Corridor], flat_left: bool, flat_right: bool) -> Path:
    points: list[Point] = []
    for k, section in enumerate(sections):
        first, last = k == 0, k == len(sections) - 1
        lines = _lines(section, flat_left and first, flat_right and last)
        new = corners(lines, float(section.x[0]), float(section.x[-1]))
        points = [*points[:-1], *new]
    return Path(tuple(points), flat_left, flat_right)


def _turning(c: Corridor, at: float, flat_left: bool, flat_right: bool) -> Path:
    """Horizontal around a turning point, and greedy from there to both ends."""
    right = _lines(c.part(at, math.inf), True, flat_right)
    left = _lines(c.part(-math.inf, at).mirrored(), True, flat_left)
    lo, hi = float(c.x[0]), float(c.x[-1])
    height = (right[0].y0 + left[0].y0) / 2
    back = [Line(-line.slope, -line.x0, line.y0) for line in reversed(left[1:])]
    lines = [*back, Line(0.0, at, height), *right[1:]]
    return Path(tuple(corners(lines, lo, hi)), flat_left, flat_right)


def _closed(path: Path, ends: tuple[float, float, bool, bool]) -> Path:
    """Corners that float64 cannot tell apart are one; an infinite flat end begins at its corner, a finite one is a piece."""
    _, _, endless_left, endless_right = ends
    points = list(path.points)
    if endless_left and len(points) > 1:
        points = points[1:]
    if endless_right and len(points) > 1:
        points = points[:-1]
    kept = [points[0]]
    for p in points[1:]:
        if p[0] > kept[-1][0]:
            kept.append(p)
        elif p is points[-1]:
            kept[-1] = p
    return Path(tuple(kept), endless_left, endless_right)


def _on_graph(f: Enclosable, path: Path) -> Path:
    y = f.numpy([x for x, _ in path.points])
    return replace(path, points=tuple((x, float(v)) for (x, _), v in zip(path.points, y, strict=True)))


def rounded(path: Path, keep: Mapping[Fraction, Fraction], ends: tuple[Fraction | None, Fraction | None]) -> tuple[
    tuple[Fraction, ...], tuple[Fraction, ...]
]:
    """Knots that are doubles, and slopes on one grid of powers of two, so that the weights of the units are doubles too.

    Starting at the flattest piece, every slope is rounded so that the next knot comes out nearest to its corner: errors
    do not add up. A kept value is met exactly, if need be with a slope off the grid.
    """
    knots = [Fraction(x) for x, _ in path.points]
    if ends[0] is not None:
        knots[0] = ends[0]
    if ends[1] is not None:
        knots[-1] = ends[1]
    wanted = [keep.get(t, Fraction(y)) for t, (_, y) in zip(knots, path.points, strict=True)]
    if len(knots) == 1:
        return tuple(knots), tuple(wanted)
    rise = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in zip(path.points, path.points[1:], strict=False)]
    steepest = max(map(abs, rise))
    grid = Fraction(2) ** (math.frexp(steepest)[1] - 52) if steepest else Fraction(1)
    anchors = [k for k, t in enumerate(knots) if t in keep] or [min(range(len(rise)), key=lambda k: abs(rise[k]))]
    start = anchors[0]
    values: dict[int, Fraction] = {start: wanted[start]}
    for ordered in (range(start + 1, len(knots)), range(start - 1, -1, -1)):
        for k in ordered:
            before = k - 1 if k > start else k + 1
            slope = (wanted[k] - values[before]) / (knots[k] - knots[before])
            piece = min(k, before)
            if rise[piece] == 0:
                slope = Fraction(0)
            elif knots[k] not in keep:
                slope = round(slope / grid) * grid
            values[k] = values[before] + slope * (knots[k] - knots[before])
    return tuple(knots), tuple(values[k] for k in range(len(knots)))
