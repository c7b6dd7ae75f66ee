"""What the feed-forward part of a layer adds to each block of rows, read off the weights: linear parts, and units.

relu(p) − relu(−p) = p, so units that stand in such pairs are linear; erasing is one of these. Nothing but the weights is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import numpy as np

from ..compiler.weights import FeedForwardWeights

#: A block of rows that units read: its first row, and whether that one row stands for all rows of the target.
Source: TypeAlias = tuple[int, bool]
#: What one unit takes the relu of.
Inside: TypeAlias = tuple[tuple[Source, Fraction], ...]


@dataclass(frozen=True)
class LocalSum:
    """H[row:] += Σ linear · source + Σ weight · relu(inside), on `height` rows, token by token."""

    row: int
    height: int
    linear: Mapping[Source, Fraction]
    units: tuple[tuple[Fraction, Inside], ...]

    @property
    def own(self) -> Fraction:
        """The multiple of itself that the block gets."""
        return self.linear.get((self.row, False), Fraction(0))

    @property
    def bent(self) -> tuple[Source, ...]:
        """What is read by units that are not linear."""
        return tuple(dict.fromkeys(source for _, inside in self.units for source, _ in inside))

    @property
    def erases(self) -> bool:
        """Whether the old value is subtracted, and enters in no other way."""
        return self.own == -1 and (self.row, False) not in self.bent

    def reads(self, filled: np.ndarray) -> tuple[slice, ...]:
        """The rows that the new value depends on, besides itself, as far as they may be nonzero."""
        sources = [s for s in self.linear if s != (self.row, False)]
        for _, inside in self.units:
            if any(filled[_rows(source, self.height)].any() for source, _ in inside):  # else it is relu(0) = 0
                sources += [source for source, _ in inside]
        rows = (_rows(source, self.height) for source in dict.fromkeys(sources))
        return tuple(r for r in rows if filled[r].any())


def _rows(source: Source, height: int) -> slice:
    first, column = source
    return slice(first, first + (1 if column else height))


def local_sums(ffn: FeedForwardWeights | None, kind: str | None = "relu") -> tuple[LocalSum, ...]:
    """One entry for every block of rows that the units write, in the order of W_2's rows. Units of other kinds than "relu"
    are never linear."""
    if ffn is None:
        return ()
    reads: dict[tuple[int, int], dict[Source, Fraction]] = {}
    for block in ffn.reads:
        inside = reads.setdefault((block.row, block.size), {})
        source = (block.col, block.column)
        inside[source] = inside.get(source, Fraction(0)) + block.coefficient
    targets: dict[tuple[int, int], list[tuple[Fraction, Inside]]] = {}
    for block in ffn.W_2.blocks:
        found = reads.get((block.col, block.size), {})
        inside_ = tuple(sorted((s, c) for s, c in found.items() if c))
        targets.setdefault((block.row, block.size), []).append((block.coefficient, inside_))
    if kind != "relu":
        return tuple(LocalSum(row, height, {}, tuple(units)) for (row, height), units in sorted(targets.items()))
    return tuple(_sum(row, height, units) for (row, height), units in sorted(targets.items()))


def _sum(row: int, height: int, units: list[tuple[Fraction, Inside]]) -> LocalSum:
    """w relu(p) − w relu(−p) = w p: units that have a partner of this kind are linear."""
    linear: dict[Source, Fraction] = {}
    bent: list[tuple[Fraction, Inside]] = []
    for weight, inside in units:
        if not inside:
            continue
        direction, scale, sign = _direction(inside)
        for other in bent:  # the first partner that is not taken yet
            if _direction(other[1]) == (direction, other_scale := -weight * scale / other[0], -sign) and other_scale:
                bent.remove(other)
                for source, c in inside:
                    linear[source] = linear.get(source, Fraction(0)) + weight * c
                break
        else:
            bent.append((weight, inside))
    return LocalSum(row, height, {s: c for s, c in linear.items() if c}, tuple(bent))


def _direction(inside: Inside) -> tuple[Inside, Fraction, int]:
    """The argument divided by its first coefficient, that coefficient's size, and its sign."""
    first = inside[0][1]
    return tuple((source, c / first) for source, c in inside), abs(first), 1 if first > 0 else -1
