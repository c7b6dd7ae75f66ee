"""Merging: the terms of a layer as few heads.

Collect the coefficients of a layer's products in a matrix with a row for every (target, V) and a column for every
(K, Q). A head is a rank-one piece of it: its V part stacks the targets, its K and Q parts stack the pairs. So a
factorisation of this matrix is a merge, and the rank is the fewest heads. We take factorisations without
cancellation only: writing b as (a + b) − a can save a head, and loses every digit where a is much larger than b.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import gcd, prod
from typing import Any

from .ir import Alternatives, Ref, Slot, SlotHead, SlotTerm

#: Larger integer multiples than this come from coefficients that were never round numbers.
_LARGEST_MULTIPLE = 2**20

_Left = tuple[Slot, Ref]
_Right = tuple[Ref, Ref]
_KQ = tuple[tuple[tuple[tuple[Ref, Fraction], ...], tuple[tuple[Ref, Fraction], ...]], ...]
_Row = dict[_Right, Fraction]
_Direction = tuple[tuple[Any, Fraction], ...]
_Form = tuple[tuple[Ref, Fraction], ...]
_Matrix = dict[_Left, _Row]


def merge(terms: tuple[Alternatives, ...]) -> tuple[SlotHead, ...]:
    """The heads of one layer: of the equal alternatives, a choice with the fewest, and of those one that damps rounding."""
    matrix = coefficients(_choose(terms))
    pivots, weights = _factorise(matrix)
    heads = []
    for index, pivot in enumerate(pivots):
        V = tuple(
            (target, source, weights[target, source][index]) for target, source in matrix if weights[target, source].get(index)
        )
        heads.append(SlotHead(V, _stack(pivot)))
    return tuple(heads)


def _price(terms: list[SlotTerm]) -> tuple[int, Fraction]:
    """The number of heads, and how much of rounding errors the products misread (see `damping`)."""
    misread: dict[Slot, Fraction] = {}
    for term in terms:
        misread[term.target] = misread.get(term.target, Fraction(0)) + term.misread
    return len(_factorise(coefficients(terms))[0]), sum(map(abs, misread.values()), Fraction(0))


def coefficients(terms: list[SlotTerm]) -> _Matrix:
    matrix: _Matrix = {}
    for term in terms:
        row = matrix.setdefault((term.target, term.V), {})
        row[term.K, term.Q] = row.get((term.K, term.Q), Fraction(0)) + term.coefficient
        if not row[term.K, term.Q]:
            del row[term.K, term.Q]
    return {left: row for left, row in matrix.items() if row}


def _choose(terms: tuple[Alternatives, ...]) -> list[SlotTerm]:
    """Picks an alternative of every term: exhaustively when there are few combinations, else term by term."""

    def chosen(picks: tuple[int, ...]) -> list[SlotTerm]:
        return [t for alternatives, i in zip(terms, picks, strict=True) for t in alternatives[i]]

    prices: dict[tuple[int, ...], tuple[int, Fraction]] = {}

    def price(picks: tuple[int, ...]) -> tuple[int, Fraction]:
        if picks not in prices:
            prices[picks] = _price(chosen(picks))
        return prices[picks]

    counts = [len(alternatives) for alternatives in terms]
    if prod(counts) <= 64:
        return chosen(min(product(*map(range, counts)), key=lambda p: (price(p), p)))
    picks = (0,) * len(terms)
    for index, count in enumerate(counts):  # heads first of all
        picks = min((price(way)[0], way) for way in _changed(picks, index, count))[1]
    if price(picks)[1]:
        # from the least misread choice of every term, as one term alone may not leave the head that it shares
        other = tuple(min((_price(list(a))[1], i) for i, a in enumerate(alternatives))[1] for alternatives in terms)
        for index, count in enumerate(counts if price(other)[0] > price(picks)[0] else ()):
            other = min((price(way), way) for way in _changed(other, index, count))[1]
        picks = min((picks, other), key=price)
    return chosen(picks)


def _changed(picks: tuple[int, ...], index: int, count: int) -> list[tuple[int, ...]]:
    return [(*picks[:index], i, *picks[index + 1 :]) for i in range(count)]


def _factorise(matrix: _Matrix) -> tuple[list[_Row], dict[_Left, dict[int, Fraction]]]:
    """matrix = weights · pivots, without cancellation: no entry is a difference of larger ones.

    Proportional rows share a pivot. A row that is a sum of pivots, every term of it with the sign of the sum, needs no
    pivot of its own; small supports come first, so that larger rows can be such sums.
    """
    groups: dict[_Direction, list[_Left]] = {}
    for left, row in matrix.items():
        groups.setdefault(_direction(row), []).append(left)
    pivots: list[_Row] = []
    weights: dict[_Left, dict[int, Fraction]] = {}
    for direction, members in sorted(groups.items(), key=lambda item: len(item[0])):  # stable: else in order
        unit = dict(direction)
        lead = direction[0][0]
        multiples = {left: matrix[left][lead] for left in members}
        parts = _as_sum(unit, pivots)
        if parts is None or not all(_is_float(m * c) for m in multiples.values() for c in parts.values()):
            scale = _common_measure(list(multiples.values()))
            if not all(_in_range(multiple / scale) for multiple in multiples.values()):
                for left in members:  # one weight for all would not fit a float
                    weights[left] = {len(pivots): Fraction(1)}
                    pivots.append(dict(matrix[left]))
                continue
            pivots.append({key: c * scale for key, c in unit.items()})
            parts = {len(pivots) - 1: 1 / scale}
        for left, multiple in multiples.items():
            weights[left] = {index: multiple * c for index, c in parts.items()}
    return pivots, {left: weights[left] for left in matrix}


def _direction(row: _Row) -> _Direction:
    """The row divided by its first entry: the same for proportional rows."""
    entries = sorted(row.items())
    return tuple((key, c / entries[0][1]) for key, c in entries)


def _is_float(value: Fraction) -> bool:
    return _in_range(value) and Fraction(float(value)) == value


def _in_range(value: Fraction) -> bool:
    return not value or Fraction(1, 2**1000) <= abs(value) <= 2**1000


def _common_measure(values: list[Fraction]) -> Fraction:
    """A number of which the values are small integer multiples, so that integers stay integers in floating point.

    Values that are no floats themselves do not count (they round anyway); the first value where there is no such number.
    """
    floats = [value for value in values if _is_float(value)] or values[:1]
    measure = abs(floats[0])
    for value in floats[1:]:
        measure = Fraction(
            gcd(measure.numerator * value.denominator, value.numerator * measure.denominator),
            measure.denominator * value.denominator,
        )
    if max(abs(v) for v in floats) > _LARGEST_MULTIPLE * measure:
        return floats[0]
    return measure if floats[0] > 0 else -measure


def _as_sum(row: _Row, pivots: list[_Row]) -> dict[int, Fraction] | None:
    """The row as a sum of pivots inside its support, all terms of an entry with the sign of the entry; or None."""
    rest = dict(row)
    parts: dict[int, Fraction] = {}
    inside = [(len(p), index, p) for index, p in enumerate(pivots) if p.keys() <= row.keys()]
    for _, index, pivot in sorted(inside, key=lambda item: (-item[0], item[1])):
        if not pivot.keys() <= rest.keys():
            continue
        shares = {rest[key] / c for key, c in pivot.items()}
        if len(shares) == 1:  # it covers these entries completely: no entry is a sum of opposite terms
            (share,) = shares
            parts[index] = share
            _subtract(rest, pivot, share)
    return None if rest else parts


def _subtract(target: dict[Any, Fraction], source: dict[Any, Fraction], factor: Fraction) -> None:
    for key, value in source.items():
        target[key] = target.get(key, Fraction(0)) - factor * value
        if not target[key]:
            del target[key]


def _stack(pivot: _Row) -> _KQ:
    """Σ c Kᵀ Q as few stacked pieces: all K with proportional partners make one linear form, or all Q, whichever gives
    fewer pieces."""
    by_k = _pieces({(k, q): c for (k, q), c in pivot.items()})
    by_q = _pieces({(q, k): c for (k, q), c in pivot.items()})
    if len(by_q) < len(by_k):
        return tuple((partners, forms) for forms, partners in by_q)
    return tuple(by_k)


def _pieces(entries: dict[tuple[Ref, Ref], Fraction]) -> list[tuple[_Form, _Form]]:
    """(linear form of first letters, linear form of their partners), for first letters with proportional partners."""
    rows: dict[Ref, dict[Ref, Fraction]] = {}
    for (first, second), c in entries.items():
        rows.setdefault(first, {})[second] = c
    groups: dict[_Direction, list[tuple[Ref, Fraction]]] = {}
    for first, row in rows.items():
        ((_, lead), *_) = ordered = sorted(row.items())
        direction = tuple((second, c / lead) for second, c in ordered)
        groups.setdefault(direction, []).append((first, lead))
    pieces = []
    for direction, firsts in groups.items():
        scale = firsts[0][1]  # a piece of one letter keeps its coefficient on the other side, as a float has it
        forms = tuple((first, lead / scale) for first, lead in firsts)
        pieces.append((forms, tuple((second, c * scale) for second, c in direction)))
    return pieces
