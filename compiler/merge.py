"""Merging: the terms of a layer as few heads.

Collect the coefficients of a layer's products in a matrix with a row for every (target, V) and a column for every
(K, Q). A head is a rank-one piece of it: its V part stacks the targets, its K and Q parts stack the pairs. So the
fewest heads for the chosen products is the rank of this matrix, and a rank factorisation is the merge.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from itertools import product
from typing import Any

from .ir import Alternatives, Ref, Slot, SlotHead, SlotTerm

#: Larger integer multiples than this come from coefficients that were never round numbers.
_LARGEST_MULTIPLE = 2**20

_PRIME = 2**61 - 1

_Left = tuple[Slot, Ref]
_Right = tuple[Ref, Ref]
_KQ = tuple[tuple[tuple[tuple[Ref, Fraction], ...], tuple[tuple[Ref, Fraction], ...]], ...]
_Row = dict[_Right, Fraction]
_Matrix = dict[_Left, _Row]


def merge(terms: tuple[Alternatives, ...]) -> tuple[SlotHead, ...]:
    """The heads of one layer: of the equal alternatives, a choice with the lowest rank."""
    matrix = coefficients(_choose(terms))
    pivots, weights = _factorise(matrix)
    heads = []
    for index, pivot in enumerate(pivots):
        V = tuple(
            (target, source, weights[target, source][index]) for target, source in matrix if weights[target, source].get(index)
        )
        heads.append(SlotHead(V, _stack(pivot)))
    return tuple(heads)


def coefficients(terms: list[SlotTerm]) -> _Matrix:
    matrix: _Matrix = {}
    for term in terms:
        row = matrix.setdefault((term.target, term.V), {})
        row[term.K, term.Q] = row.get((term.K, term.Q), Fraction(0)) + term.coefficient
        if not row[term.K, term.Q]:
            del row[term.K, term.Q]
    return {left: row for left, row in matrix.items() if row}


def rank(terms: list[SlotTerm]) -> int:
    """The rank of the coefficient matrix, computed modulo a prime (fast; it only guides the choice of alternatives)."""
    rows = [{key: _residue(c) for key, c in row.items()} for row in coefficients(terms).values()]
    found = 0
    while rows:
        pivot = rows.pop()
        lead = next((key for key, value in pivot.items() if value), None)
        if lead is None:
            continue
        found += 1
        inverse = pow(pivot[lead], -1, _PRIME)
        for row in rows:
            factor = row.get(lead, 0) * inverse % _PRIME
            if factor:
                for key, value in pivot.items():
                    row[key] = (row.get(key, 0) - factor * value) % _PRIME
    return found


@lru_cache(maxsize=65536)
def _residue(value: Fraction) -> int:
    return value.numerator * pow(value.denominator, -1, _PRIME) % _PRIME


def _choose(terms: tuple[Alternatives, ...]) -> list[SlotTerm]:
    """Picks an alternative of every term: exhaustively when there are few combinations, else term by term."""

    def chosen(picks: list[int]) -> list[SlotTerm]:
        return [t for alternatives, i in zip(terms, picks, strict=True) for t in alternatives[i]]

    counts = [len(alternatives) for alternatives in terms]
    combinations = 1
    for count in counts:
        combinations *= count
    if combinations <= 64:
        picks = min((list(p) for p in product(*map(range, counts))), key=lambda p: (rank(chosen(p)), p))
        return chosen(picks)
    picks = [0] * len(terms)
    for index, count in enumerate(counts):
        picks = min(([*picks[:index], i, *picks[index + 1 :]] for i in range(count)), key=lambda p: (rank(chosen(p)), p))
    return chosen(picks)


def _factorise(matrix: _Matrix) -> tuple[list[_Row], dict[_Left, dict[int, Fraction]]]:
    """matrix = weights · pivots with as many pivots as the rank.

    The pivots are rows of the matrix where that keeps every weight a float; else rows over the integers (an echelon
    form), of which integer rows are integer multiples: integers must stay integers in floating point.
    """
    pivots, weights = _express(matrix, list(matrix.values()))
    if all(_is_float(c) for row in weights.values() for c in row.values()):
        return pivots, weights
    echelon = _express(matrix, _integer_echelon(list(matrix.values())))
    plain = all(abs(c.numerator) <= _LARGEST_MULTIPLE for row in echelon[1].values() for c in row.values())
    return echelon if plain else (pivots, weights)


def _is_float(value: Fraction) -> bool:
    return Fraction(float(value)) == value


def _express(matrix: _Matrix, candidates: list[_Row]) -> tuple[list[_Row], dict[_Left, dict[int, Fraction]]]:
    """Every row as a combination of independent candidates (which span the rows)."""
    pivots: list[_Row] = []
    reduced: list[tuple[_Right, _Row, dict[int, Fraction]]] = []

    def eliminate(row: _Row) -> tuple[_Row, dict[int, Fraction]]:
        rest: _Row = dict(row)
        used: dict[int, Fraction] = {}
        for lead, basis, in_pivots in reduced:
            factor = rest.get(lead, Fraction(0))
            if factor:
                _subtract(rest, basis, factor)
                _subtract(used, in_pivots, -factor)
        return rest, used

    for candidate in candidates:
        rest, used = eliminate(candidate)
        if rest:
            lead = min(rest)
            scale = rest[lead]
            combination = {index: -c / scale for index, c in used.items()}
            combination[len(pivots)] = 1 / scale
            reduced.append((lead, {k: c / scale for k, c in rest.items()}, combination))
            pivots.append(dict(candidate))
    return pivots, {left: eliminate(row)[1] for left, row in matrix.items()}


def _integer_echelon(rows: list[_Row]) -> list[_Row]:
    """A basis of all integer combinations of the rows (Euclid's algorithm, column by column)."""
    left = [dict(row) for row in rows]
    basis: list[_Row] = []
    for column in sorted({key for row in rows for key in row}):
        while True:
            holding = sorted((row for row in left if column in row), key=lambda row: abs(row[column]))
            if len(holding) < 2:
                break
            smallest = holding[0]
            for row in holding[1:]:
                _subtract(row, smallest, Fraction(round(row[column] / smallest[column])))
        basis += holding
        left = [row for row in left if row and column not in row]
    return basis


def _subtract(target: dict[Any, Fraction], source: dict[Any, Fraction], factor: Fraction) -> None:
    for key, value in source.items():
        target[key] = target.get(key, Fraction(0)) - factor * value
        if not target[key]:
            del target[key]


def _stack(pivot: _Row) -> _KQ:
    """Σ c Kᵀ Q as few stacked pieces: grouped by K (Q a linear form) or by Q, whichever is shorter."""
    by_k: dict[Ref, list[tuple[Ref, Fraction]]] = {}
    by_q: dict[Ref, list[tuple[Ref, Fraction]]] = {}
    for (k, q), c in pivot.items():
        by_k.setdefault(k, []).append((q, c))
        by_q.setdefault(q, []).append((k, c))
    if len(by_q) < len(by_k):
        return tuple((tuple(ks), ((q, Fraction(1)),)) for q, ks in by_q.items())
    return tuple((((k, Fraction(1)),), tuple(qs)) for k, qs in by_k.items())
