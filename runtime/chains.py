"""Residuals of solutions as compositions of polynomials, which are easy to read and to check."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import zip_longest

from ..compiler.graph import Pair, Residual

#: Pairs of this degree or less are written as one polynomial.
_LONGEST = 60


def chain_of(residual: Residual) -> list[tuple[Fraction, ...]] | None:
    """The residual as a composition of polynomials; None where a part of it is too long to write."""
    if residual.pair is None and not residual.descent:
        return list(residual.chain)
    found = _of_descent(residual.descent) if residual.pair is None else _of_pair(residual.pair)
    return None if found is None else [found, *residual.chain]


def _of_descent(steps: Sequence[tuple[Fraction, Fraction]]) -> tuple[Fraction, ...] | None:
    """Π (1 − a λ_k), λ_{k+1} = λ_k (1 − γ λ_k)², as one polynomial in λ."""
    total: tuple[Fraction, ...] = (Fraction(1),)
    value: tuple[Fraction, ...] = (Fraction(0), Fraction(1))  # λ_k, which has no constant
    for a, gamma in steps:
        total = _times(total, (Fraction(1), *(-a * c for c in value[1:])))
        if len(total) > _LONGEST:
            return None
        rest = (Fraction(1), *(-gamma * c for c in value[1:]))
        value = _times(value, _times(rest, rest))
    return total


def _of_pair(pair: Pair) -> tuple[Fraction, ...] | None:
    """A pair as one polynomial in λ."""
    w, u = (Fraction(1), -1 / pair.right), (Fraction(1), -1 / pair.left)
    v: tuple[Fraction, ...] = (Fraction(1),)
    s = v
    for f, g in pair.steps:
        n = _times(w, _times(v, v))
        v, s = _times(v, _composed(f, n)), _times(s, _composed(g, n))
        if max(len(v), len(s)) > _LONGEST:
            return None
    parts = (_times((pair.weight,), _times(w, v)), _times((1 - pair.weight,), _times(u, s)))
    return tuple(a + b for a, b in zip_longest(*parts, fillvalue=Fraction(0)))


def _times(p: Sequence[Fraction], q: Sequence[Fraction]) -> tuple[Fraction, ...]:
    out = [Fraction(0)] * (len(p) + len(q) - 1)
    for i, a in enumerate(p):
        for j, b in enumerate(q):
            out[i + j] += a * b
    return tuple(out)


def _composed(outer: Sequence[Fraction], inner: Sequence[Fraction]) -> tuple[Fraction, ...]:
    total: tuple[Fraction, ...] = (Fraction(0),)
    for c in reversed(outer):
        total = tuple(a + b for a, b in zip_longest(_times(total, inner), (c,), fillvalue=Fraction(0)))
    return total
