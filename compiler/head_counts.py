"""How many heads a layer needs at least, whichever of its equal alternatives are taken.

The coefficients of a layer's products form a matrix (see `merge`); a head adds rank one. So no heads for these products
are fewer than the smallest rank over the alternatives. The rank is taken modulo a prime, which can only lower it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import product
from math import lcm

from .ir import Alternatives, Ref, SlotHead
from .merge import coefficients

_Right = tuple[Ref, Ref]

_PRIME = 2**61 - 1

#: Of the alternatives of a layer so many combinations are tried; the terms beyond are left out, with all that they touch.
_MOST_COMBINATIONS = 64

ARGUMENT = "layer {layer}: whichever equal ways are taken, Σ V ⊗ KᵀQ has rank ≥ {least}, and a head adds one"
ASSUMES = "these products in these layers and rows; we factorise without cancellation, which may need more"


def fewest_heads(terms: tuple[Alternatives, ...]) -> int:
    """A lower bound on the heads of one layer."""
    tried, combinations = [], 1
    undecided = []
    for alternatives in terms:
        if combinations * len(alternatives) <= _MOST_COMBINATIONS:
            combinations *= len(alternatives)
            tried.append(alternatives)
        else:
            undecided.append(alternatives)
    touched = {(t.target, t.V) for alternatives in undecided for way in alternatives for t in way}
    least: int | None = None
    for picks in product(*tried):
        matrix = coefficients([term for way in picks for term in way])
        found = _rank([row for left, row in matrix.items() if left not in touched], least)
        least = found if least is None else min(least, found)
    return least or 0


def heads_needed(layers: Sequence[tuple[Alternatives, ...]], heads: Sequence[tuple[SlotHead, ...]]) -> tuple[int, int]:
    """(the number of a layer, the heads that it needs at least): the largest such bound. (0, 0) without layers."""
    best = (0, 0)
    seen: set[tuple[Alternatives, ...]] = set()
    for index in sorted(range(len(layers)), key=lambda i: (-len(heads[i]), i)):
        if len(heads[index]) <= best[1]:
            break
        if layers[index] not in seen:
            seen.add(layers[index])
            best = max(best, (index + 1, fewest_heads(layers[index])), key=lambda item: item[1])
    return best


def _rank(rows: list[Mapping[_Right, Fraction]], stop: int | None) -> int:
    """The rank modulo a prime, or `stop` where it is at least that."""
    basis: list[tuple[_Right, dict[_Right, int]]] = []
    for row in rows:
        scale = lcm(*(c.denominator for c in row.values()))
        rest = {key: value for key, c in row.items() if (value := int(c * scale) % _PRIME)}
        for lead, pivot in basis:
            factor = rest.get(lead, 0) * pow(pivot[lead], -1, _PRIME) % _PRIME
            if factor:
                for key, value in pivot.items():
                    rest[key] = (rest.get(key, 0) - factor * value) % _PRIME
                rest = {key: value for key, value in rest.items() if value}
        if rest:
            basis.append((next(iter(rest)), rest))
            if len(basis) == stop:
                break
    return len(basis)
