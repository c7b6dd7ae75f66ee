"""Functions that are piecewise linear already: found symbolically, returned with bound 0."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy

from .piecewise import PiecewiseLinear
from .scalar_function import ScalarFunction, Z


@dataclass(frozen=True)
class _Exact:
    """Breaks by increasing z; the pieces (a, b) meaning a·z + b, one more than breaks; continuous."""

    breaks: tuple[Fraction, ...]
    pieces: tuple[tuple[Fraction, Fraction], ...]

    def at(self, z: Fraction) -> Fraction:
        a, b = self.pieces[bisect_right(self.breaks, z)]
        return a * z + b

    def refined(self, breaks: Sequence[Fraction]) -> list[tuple[Fraction, Fraction]]:
        """The piece on each interval of a finer partition."""
        if not breaks:
            return [self.pieces[0]]
        inside = [breaks[0] - 1, *breaks]
        return [self.pieces[bisect_right(self.breaks, z)] for z in inside]


def _made(breaks: Sequence[Fraction], pieces: Sequence[tuple[Fraction, Fraction]]) -> _Exact:
    kept_breaks, kept = [], [pieces[0]]
    for t, piece in zip(breaks, pieces[1:], strict=True):
        if piece != kept[-1]:
            kept_breaks.append(t)
            kept.append(piece)
    return _Exact(tuple(kept_breaks), tuple(kept))


def _sum(f: _Exact, g: _Exact) -> _Exact:
    breaks = sorted({*f.breaks, *g.breaks})
    both = zip(f.refined(breaks), g.refined(breaks), strict=True)
    return _made(breaks, [(a + c, b + d) for (a, b), (c, d) in both])


def _scaled(f: _Exact, factor: Fraction) -> _Exact:
    return _made(f.breaks, [(factor * a, factor * b) for a, b in f.pieces])


def _absolute(f: _Exact) -> _Exact:
    breaks, edges = set(f.breaks), [None, *f.breaks, None]
    for (a, b), left, right in zip(f.pieces, edges, edges[1:], strict=False):
        if a and (left is None or left < -b / a) and (right is None or -b / a < right):
            breaks.add(-b / a)
    ordered = sorted(breaks)
    probes = [Fraction(0)]
    if ordered:
        probes = [ordered[0] - 1, *((s + t) / 2 for s, t in itertools.pairwise(ordered)), ordered[-1] + 1]
    pieces = f.refined(ordered)
    signs = [-1 if a * z + b < 0 else 1 for (a, b), z in zip(pieces, probes, strict=True)]
    return _made(ordered, [(s * a, s * b) for s, (a, b) in zip(signs, pieces, strict=True)])


def _read(e: Any) -> _Exact | None:
    """The exact form of an expression, or None if it is not seen to be piecewise linear with rational coefficients."""
    if e == Z:
        return _Exact((), ((Fraction(1), Fraction(0)),))
    if e.is_Rational:
        return _Exact((), ((Fraction(0), Fraction(int(e.p), int(e.q))),))
    if e.is_Add:
        parts = [_read(a) for a in e.args]
        total = parts[0]
        for part in parts[1:]:
            total = _sum(total, part) if total is not None and part is not None else None
        return total
    if e.is_Mul:
        coefficient, rest = e.as_coeff_Mul()
        inner = _read(rest) if coefficient.is_Rational and coefficient != 1 else None
        return None if inner is None else _scaled(inner, Fraction(int(coefficient.p), int(coefficient.q)))
    if isinstance(e, sympy.Abs):
        inner = _read(e.args[0])
        return None if inner is None else _absolute(inner)
    if isinstance(e, sympy.Max | sympy.Min):
        a, *others = e.args
        f, g = _read(a), _read(e.func(*others))
        if f is None or g is None:
            return None
        sign = Fraction(1 if isinstance(e, sympy.Max) else -1, 2)
        gap = _absolute(_sum(f, _scaled(g, Fraction(-1))))
        return _sum(_scaled(_sum(f, g), Fraction(1, 2)), _scaled(gap, sign))
    return None


def corners(f: ScalarFunction) -> tuple[Fraction, ...]:
    """Where a function that is seen to be piecewise linear bends; nothing for others."""
    found = _read(f.expression) or _read(sympy.expand(f.expression))
    return () if found is None else found.breaks


def exact_fit(f: ScalarFunction, lo: Fraction | None, hi: Fraction | None, keep: Sequence[Fraction]) -> PiecewiseLinear | None:
    """f itself, if it is piecewise linear (and constant at an infinite end); None if it is not seen to be."""
    found = _read(f.expression) or _read(sympy.expand(f.expression))
    if found is None:
        return None
    if (lo is None and found.pieces[0][0]) or (hi is None and found.pieces[-1][0]):
        return None
    inside = [t for t in found.breaks if (lo is None or lo < t) and (hi is None or t < hi)]
    ends = [x for x in (lo, hi) if x is not None]
    knots = sorted({*ends, *inside, *keep}) or [Fraction(0)]
    pieces = len(knots) - 1 + (lo is None) + (hi is None)
    return PiecewiseLinear(
        f.name, lo, hi, tuple(knots), tuple(found.at(t) for t in knots), Fraction(0), ("exact",) * pieces
    )
