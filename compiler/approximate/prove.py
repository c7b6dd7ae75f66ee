"""The proof: a rigorous upper bound on |f − fit| for given rational knots and values.

Nothing of how the fit was found is used. On every piece, with g = f − line:
  convex, concave  interval arithmetic shows that f″ keeps its sign. Then one side of g is decided by its two ends, and
                   the other by a tangent at any point c: a convex g is nowhere below g(c) + g′(c)(z − c).
  ball arithmetic  otherwise the enclosure of g itself, of g(c) + g′·(z − c), or of g(c) + g′(c)(z − c) + ½g″·(z − c)².
Where neither is good enough the piece is halved; singular ends such as √z at 0 end in tiny pieces on which f itself
hardly moves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from .enclosure import Intervals, Undefined, above, fraction, intervals
from .scalar_function import ApproximationError
from .taylor import Series

CONVEX, CONCAVE, BALL, EXACT = "convex", "concave", "ball arithmetic", "exact"
_DEEPEST = 200
_NOTHING, _BEYOND = Fraction(1, 2**2000), 2**2000


class Enclosable(Protocol):
    """What is needed of a function: float64 values and derivatives to search with, and enclosures to prove with."""

    @property
    def name(self) -> str: ...
    def numpy(self, z: Any, order: int = 0) -> Any: ...
    def enclose(self, lo: Fraction | None, hi: Fraction | None, order: int = 0, over: Intervals | None = None) -> Series: ...


@dataclass(frozen=True)
class _Piece:
    """The line through (x0, y0) with a slope; and the estimate of the error that a proof should come near to."""

    x0: Fraction
    y0: Fraction
    slope: Fraction
    target: float


class NotProved(Exception):
    """The bound of a piece could not be proved; `where` is near the place, `reason` says what stands against it."""

    def __init__(self, where: float, reason: str) -> None:
        self.where, self.reason = where, reason
        super().__init__(f"{reason} near z = {where:.6g}")


def prove(
    f: Enclosable,
    lo: Fraction | None,
    hi: Fraction | None,
    knots: Sequence[Fraction],
    values: Sequence[Fraction],
    goal: float = math.inf,
    precision: int | None = None,
) -> tuple[Fraction, tuple[str, ...]]:
    """(bound, how): sup over [lo, hi] of |f − fit| ≤ bound, and the kind of proof of each piece.

    goal: a bound that would be good enough; it only saves work. Raises NotProved where f is not defined and finite on
    the domain, or cannot be enclosed.
    """
    prover = _Prover(f, intervals() if precision is None else intervals(precision))
    seen = estimate(f, lo, hi, knots, values)
    target = min(1.001 * seen, goal) if seen * (1 - 1e-9) < goal else 1.001 * seen  # `seen` is rounded
    prover.look_ahead(knots, values)
    bound, how = Fraction(0), []
    pieces: list[tuple[Fraction | None, Fraction | None, Fraction, Fraction, Fraction]] = []
    if lo is None:
        pieces.append((None, knots[0], knots[0], values[0], Fraction(0)))
    for t0, t1, v0, v1 in zip(knots, knots[1:], values, values[1:], strict=False):
        pieces.append((t0, t1, t0, v0, (v1 - v0) / (t1 - t0)))
    if hi is None:
        pieces.append((knots[-1], None, knots[-1], values[-1], Fraction(0)))
    for a, b, x0, y0, slope in pieces:
        found, kind = prover.piece(a, b, _Piece(x0, y0, slope, target))
        bound = max(bound, found)
        how.append(kind)
    return above(bound), tuple(how)


def estimate(
    f: Enclosable, lo: Fraction | None, hi: Fraction | None, knots: Sequence[Fraction], values: Sequence[Fraction]
) -> float:
    """The error seen at a few points of every piece: what a proof aims at. It decides nothing."""
    t, v = np.array([float(x) for x in knots]), np.array([float(x) for x in values])
    if len(t) == 1:
        return float(abs(f.numpy(t) - v)[0])
    at = (t[:-1, None] + np.diff(t)[:, None] * np.linspace(0, 1, 33)).ravel()
    seen = np.abs(f.numpy(at) - np.interp(at, t, v))
    return float(np.nanmax(np.where(np.isfinite(seen), seen, 0.0))) + 1e-300


class _Prover:
    def __init__(self, f: Enclosable, over: Intervals) -> None:
        self.f, self.over = f, over
        self._points: dict[Fraction, Any] = {}
        self._turns: dict[tuple[Fraction, Fraction], Fraction] = {}

    def look_ahead(self, knots: Sequence[Fraction], values: Sequence[Fraction]) -> None:
        """Where f′ equals the slope, by bisection on all pieces at once. Wrong guesses cost tightness only."""
        t, v = np.array([float(x) for x in knots]), np.array([float(x) for x in values])
        if len(t) < 2:
            return
        low, high, slope = t[:-1].copy(), t[1:].copy(), np.diff(v) / np.diff(t)
        right = self.f.numpy(high, 1) > slope
        turns = (self.f.numpy(low, 1) > slope) != right
        for _ in range(60):
            middle = low + (high - low) / 2
            same = (self.f.numpy(middle, 1) > slope) == right
            low, high = np.where(same, low, middle), np.where(same, middle, high)
        for a, b, c, turn in zip(knots, knots[1:], low, turns, strict=False):
            if turn and a < Fraction(float(c)) < b:
                self._turns[a, b] = Fraction(float(c))

    def piece(self, a: Fraction | None, b: Fraction | None, line: _Piece) -> tuple[Fraction, str]:
        """A bound of |f − line| on [a, b] and the kind of proof."""
        if a is None or b is None:
            return self._tail(a, b, line), BALL
        kinds: set[str] = set()
        todo, bound = [(a, b, 0)], Fraction(0)
        target = Fraction(line.target)
        while todo:
            low, high, depth = todo.pop()
            # A part that is already below what another part reached needs no better bound.
            found, kind, reason = self._attempt(low, high, line, max(bound, target))
            if found is not None:
                bound = max(bound, found)
                kinds.add(kind)
                continue
            if depth >= _DEEPEST or float(high) - float(low) <= 1e-290:
                raise NotProved(float(low), self._reason(low, high) or reason)
            middle = self._halve(low, high)
            todo += [(middle, high, depth + 1), (low, middle, depth + 1)]
        return bound, kinds.pop() if len(kinds) == 1 else BALL

    def _reason(self, low: Fraction, high: Fraction) -> str | None:
        """Why f has no value near here, if that is so."""
        try:
            self.f.enclose(low - (high - low), high + (high - low), 0, self.over)
        except Undefined as error:
            return error.reason
        return None

    @staticmethod
    def _halve(low: Fraction, high: Fraction) -> Fraction:
        """A double between: the middle, or much nearer to an end that a singular point may sit on."""
        middle = Fraction(float((low + high) / 2))
        return middle if low < middle < high else (low + high) / 2

    def _attempt(self, a: Fraction, b: Fraction, line: _Piece, goal: Fraction) -> tuple[Fraction | None, str, str]:
        try:
            rough = self.f.enclose(a, b, 2, self.over)
        except Undefined as error:
            try:
                rough = [*self.f.enclose(a, b, 0, self.over), self.over.everything, self.over.everything]
            except Undefined:
                return None, BALL, error.reason
        number = self.over.number
        slope = number(line.slope)
        convex, concave = rough[2].a >= 0, rough[2].b <= 0
        if convex or concave:
            try:
                return self._by_sign(a, b, line, slope, bool(convex)), CONVEX if convex else CONCAVE, ""
            except Undefined as error:
                return None, BALL, error.reason
        span = self.over.hull(a, b)
        straight = number(line.y0) + slope * (span - number(line.x0))
        best = self._size(rough[0] - straight)
        c = self._halve(a, b)
        try:
            at = self.f.enclose(c, c, 1, self.over)
            gap, tilt = at[0] - (number(line.y0) + slope * (number(c) - number(line.x0))), at[1] - slope
            step = span - number(c)
            for form in (gap + (rough[1] - slope) * step, gap + tilt * step + rough[2] * abs(step) ** 2):
                size = self._size(form)
                best = size if best is None or (size is not None and size < best) else best
        except Undefined:
            pass
        reason = "f cannot be enclosed tightly" if best is not None else "f is unbounded, or its enclosure is"
        return (best if best is not None and best <= goal else None), BALL, reason

    def _by_sign(self, a: Fraction, b: Fraction, line: _Piece, slope: Any, convex: bool) -> Fraction:
        """g = f − line is convex (or concave): its ends bound it on one side, a tangent on the other."""
        ends = [self._gap(x, line, slope) for x in (a, b)]
        outer = max(e.b if convex else -e.a for e in ends)
        c = self._stationary(a, b, float(line.slope))
        at = self.f.enclose(c, c, 1, self.over)
        gap = at[0] - (self.over.number(line.y0) + slope * (self.over.number(c) - self.over.number(line.x0)))
        tangent = gap + (at[1] - slope) * (self.over.hull(a, b) - self.over.number(c))
        inner = -tangent.a if convex else tangent.b
        size = self.over.context.mpf(max(outer, inner))
        found = self._upper(size)
        if found is None:
            raise Undefined("f or f′ is not finite at a point of the domain")
        return max(Fraction(0), found)

    def _gap(self, x: Fraction, line: _Piece, slope: Any) -> Any:
        if x not in self._points:
            self._points[x] = self.f.enclose(x, x, 0, self.over)[0]
        return self._points[x] - (self.over.number(line.y0) + slope * (self.over.number(x) - self.over.number(line.x0)))

    def _stationary(self, a: Fraction, b: Fraction, slope: float) -> Fraction:
        """Near the point of [a, b] where g = f − line is extreme: any point is right, this one is tight."""
        if (a, b) in self._turns:
            return self._turns[a, b]
        low, high = float(a), float(b)
        derivative: Callable[[float], float] = lambda x: float(self.f.numpy(x, 1)) - slope  # noqa: E731
        fl, fh = derivative(low), derivative(high)
        if math.isfinite(fl) and math.isfinite(fh) and (fl > 0) == (fh > 0):
            return a if abs(fl) < abs(fh) else b
        if not (math.isfinite(fl) or math.isfinite(fh)):
            return (a + b) / 2
        c = Fraction(_root(derivative, low, high, fl, fh))
        return min(max(a, c), b)

    def _tail(self, a: Fraction | None, b: Fraction | None, line: _Piece) -> Fraction:
        """A constant on a half line: finite parts as usual, and beyond them the enclosure of f up to infinity."""
        sign, start = (1, a) if b is None else (-1, b)
        assert start is not None
        bound, step, at = Fraction(0), max(abs(start), Fraction(1)), start
        for _ in range(64):
            low, high = (at, None) if sign > 0 else (None, at)
            try:
                size = self._size(self.f.enclose(low, high, 0, self.over)[0] - self.over.number(line.y0))
            except Undefined:
                size = None
            if size is not None and size <= max(bound, Fraction(line.target)):
                return max(bound, size)
            further = Fraction(float(at + sign * step))
            bound = max(bound, self.piece(min(at, further), max(at, further), line)[0])
            at, step = further, 2 * step
        raise NotProved(math.inf * sign, "f does not settle at a constant")

    def _size(self, x: Any) -> Fraction | None:
        """sup |x|, None if it is infinite."""
        return self._upper(abs(x))

    def _upper(self, x: Any) -> Fraction | None:
        """A rational that is no smaller than any point of x, None if there is none or it is beyond every float."""
        if not self._finite(x):
            return None
        if abs(x).b < self.over.number(_NOTHING):  # a rational of a reasonable length
            return _NOTHING
        return None if x.b > _BEYOND else fraction(x.b)

    def _finite(self, x: Any) -> bool:
        return bool(x.a > -self.over.context.inf and x.b < self.over.context.inf)


def _root(derivative: Callable[[float], float], low: float, high: float, fl: float, fh: float) -> float:
    """Where a monotone function changes sign (Illinois); at most one end may be infinite or nan. Else the end next to it."""
    for _ in range(1100):  # halve until the singular end is cut off
        if math.isfinite(fl) and math.isfinite(fh):
            break
        x = low + (high - low) / 2
        fx = derivative(x)
        known = fl if math.isfinite(fl) else fh
        if not low < x < high or not math.isfinite(fx):
            return high if math.isfinite(fh) else low
        if math.isfinite(fl) == ((fx > 0) == (known > 0)):
            low, fl = x, fx
        else:
            high, fh = x, fx
    if (fl > 0) == (fh > 0):
        return low if abs(fl) < abs(fh) else high
    size = max(abs(fl), abs(fh))
    for _ in range(100):
        x = (low * fh - high * fl) / (fh - fl)
        if not low < x < high:
            x = low + (high - low) / 2
        fx = derivative(x)
        if abs(fx) <= 1e-13 * size or not low < x < high:
            break
        if (fx > 0) == (fh > 0):
            high, fh, fl = x, fx, fl / 2
        else:
            low, fl, fh = x, fx, fh / 2
    return x


def refuse(f: Enclosable, lo: Fraction | None, hi: Fraction | None, error: NotProved) -> ApproximationError:
    """What the user is told when a bound could not be proved."""
    many = "pieces" in error.reason
    if (value := _removable(f, error.where)) is not None:
        return ApproximationError(
            f"no proved bound for {f.name}: it is 0/0, or nearly, at z = {error.where:.6g}, "
            f"where it seems to tend to {value:.6g}",
            rule="a quotient is followed across such a point where top and bottom are smooth and proved to vanish alike; "
            "floats are the binary fractions that they are, so 0.1 ** 2 and 0.01 differ",
            fix="write its constants as Fractions, write f without the quotient, keep the domain away from the point, or pass "
            "hw.bounded_function(fn, second_derivative=M) with fn defined there",
        )
    if "out of reach" in error.reason:
        return ApproximationError(
            f"{f.name}: {error.reason}",
            rule="slopes are rounded to doubles on one grid: where f is very steep at an end, flat parts have few digits",
            fix="ask for a larger tolerance, or keep the domain away from the steep end",
        )
    domain = f"[{'−∞' if lo is None else float(lo)}, {'∞' if hi is None else float(hi)}]"
    return ApproximationError(
        f"no proved bound for {f.name} on {domain}: {error.reason} near z = {error.where:.6g}",
        rule="n pieces are within a constant / n² of a smooth function: a hundredth of the error takes ten times the pieces"
        if many
        else "f must be continuous and finite on the whole domain, and interval arithmetic must be able to see it",
        fix="ask for a larger tolerance, or shrink the domain"
        if many
        else "shrink the domain to where f is defined (where none is given: hw.bounded(z, within=(lo, hi))), or rewrite f so "
        "that z − z and 0·∞ do not occur",
    )


def _removable(f: Enclosable, where: float) -> float | None:
    """The value that f seems to have at a point where its expression has none; None for a pole. Only for messages."""
    if not math.isfinite(where):
        return None
    with np.errstate(all="ignore"):
        seen = [float(f.numpy(np.array([where + s]))[0]) for s in (-1e-4, -1e-5, 0.0, 1e-5, 1e-4)]
    around = seen[:2] + seen[3:]
    if math.isfinite(seen[2]) or not all(map(math.isfinite, around)):
        return None
    return sum(around) / 4 if max(around) - min(around) <= 1e-2 * (1 + abs(around[0])) else None
