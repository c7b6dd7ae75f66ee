"""Exact weights: every matrix is a sparse sum of blocks coefficient · I, with rational coefficients.

`build_layer` turns heads over slots into matrices; nothing is rounded before `BlockMatrix.dense`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate

import numpy as np

from .dims import Dim, size_of
from .ir import Ref, Slot, SlotHead, SlotUnits


@dataclass(frozen=True, order=True)
class Block:
    """coefficient · I of the given size, with its upper left corner at (row, col). `dim` names the size: a hint for
    proofs, which tells an identity of size d = 1 from the first row of one. `column`: a column of `size` equal entries
    instead, which gives every row of a block the same number of the token."""

    row: int
    col: int
    size: int
    coefficient: Fraction
    dim: Dim = field(default=1, compare=False)
    column: bool = False

    @property
    def width(self) -> int:
        """The columns of the matrix that the block covers."""
        return 1 if self.column else self.size


@dataclass(frozen=True)
class BlockMatrix:
    """A matrix that is the sum of its blocks: d_model × d_model, or of `height` rows, or of `width` columns."""

    d_model: int
    blocks: tuple[Block, ...]
    height: int | None = None
    width: int | None = None

    @property
    def shape(self) -> tuple[int, int]:
        return (self.d_model if self.height is None else self.height, self.d_model if self.width is None else self.width)

    def dense(self) -> np.ndarray:
        """The matrix in float64; each entry is the nearest float to the exact one."""
        out = np.zeros(self.shape)
        for block in self.blocks:
            index = np.arange(block.size)
            out[block.row + index, block.col + index * (not block.column)] += float(block.coefficient)
        return out

    def exact(self) -> np.ndarray:
        """The matrix as an object array of Fractions."""
        out = np.full(self.shape, Fraction(0), dtype=object)
        for block in self.blocks:
            index = np.arange(block.size)
            out[block.row + index, block.col + index * (not block.column)] += block.coefficient
        return out

    @property
    def nonzeros(self) -> int:
        return sum(block.size for block in self.blocks)


@dataclass(frozen=True)
class HeadWeights:
    W_V: BlockMatrix
    W_K: BlockMatrix
    W_Q: BlockMatrix

    @property
    def matrices(self) -> tuple[BlockMatrix, BlockMatrix, BlockMatrix]:
        return self.W_V, self.W_K, self.W_Q


@dataclass(frozen=True)
class FeedForwardWeights:
    """W_2 relu(W_1 H): W_1 has shape (units, d_model), W_2 (d_model, units)."""

    W_1: BlockMatrix
    W_2: BlockMatrix


@dataclass(frozen=True)
class LayerWeights:
    """One layer of eq. (3.1); `ffn` is None where the layer has no feed-forward part."""

    heads: tuple[HeadWeights, ...]
    ffn: FeedForwardWeights | None = None

    @property
    def matrices(self) -> tuple[BlockMatrix, ...]:
        """All matrices of the layer."""
        ffn = () if self.ffn is None else (self.ffn.W_1, self.ffn.W_2)
        return (*(m for head in self.heads for m in head.matrices), *ffn)

    @property
    def ffn_width(self) -> int:
        """The number of feed-forward units."""
        return 0 if self.ffn is None else self.ffn.W_1.shape[0]


def slot_starts(slots: tuple[Slot, ...], sizes: Mapping[str, int]) -> tuple[dict[Slot, int], int]:
    """The first row of every slot, and the total number of rows."""
    starts, total = {}, 0
    for slot in slots:
        starts[slot] = total
        total += size_of(slot.height, sizes)
    return starts, total


def build_layer(
    heads: tuple[SlotHead, ...],
    local: tuple[SlotUnits, ...],
    starts: Mapping[Slot, int],
    d_model: int,
    sizes: Mapping[str, int],
) -> LayerWeights:
    """The matrices of one layer."""
    built = tuple(_build_head(head, starts, d_model, sizes) for head in heads)
    return LayerWeights(built, _build_units(local, starts, d_model, sizes) if local else None)


def _build_units(
    local: tuple[SlotUnits, ...], starts: Mapping[Slot, int], d_model: int, sizes: Mapping[str, int]
) -> FeedForwardWeights:
    """All units of a layer below each other: every unit once for each row of its target."""
    first: list[Block] = []
    second: list[Block] = []
    at = 0
    for entry in local:
        height = size_of(entry.target.height, sizes)
        for unit in entry.units.units:
            reads = [(ref, c * f) for c, arg in zip(unit.coefficients, entry.args, strict=True) for ref, f in arg if c]
            if unit.bias and entry.bias is not None:
                reads.append((entry.bias, unit.bias))
            for ref, c in reads:
                column = size_of(ref.height, sizes) == 1 and ref.height != entry.target.height
                first.append(Block(at, starts[ref.slot], height, c, entry.target.height, column))
            second.append(Block(starts[entry.target], at, height, unit.weight, entry.target.height))
            at += height
    return FeedForwardWeights(
        BlockMatrix(d_model, tuple(sorted(first)), height=at), BlockMatrix(d_model, tuple(sorted(second)), width=at)
    )


def _build_head(head: SlotHead, starts: Mapping[Slot, int], d_model: int, sizes: Mapping[str, int]) -> HeadWeights:
    W_V = _assemble(d_model, [(starts[target], source, c) for target, source, c in head.V], starts, sizes)
    heights = [size_of(keys[0][0].height, sizes) for keys, _ in head.KQ]
    if not _fits(heights, d_model):
        return HeadWeights(W_V, *_multiplied(head, starts, d_model, sizes))
    K: list[tuple[int, Ref, Fraction]] = []
    Q: list[tuple[int, Ref, Fraction]] = []
    for (keys, queries), offset in zip(head.KQ, accumulate(heights, initial=0), strict=False):
        K += [(offset, ref, c) for ref, c in keys]
        Q += [(offset, ref, c) for ref, c in queries]
    return HeadWeights(W_V, _assemble(d_model, K, starts, sizes), _assemble(d_model, Q, starts, sizes))


def _fits(heights: list[int], d_model: int) -> bool:
    return sum(heights) <= d_model


def _multiplied(
    head: SlotHead, starts: Mapping[Slot, int], d_model: int, sizes: Mapping[str, int]
) -> tuple[BlockMatrix, BlockMatrix]:
    """W_K and W_Q of a stack that is higher than d_model: (K H)ᵀ (Q H) = Hᵀ (Kᵀ Q) H, so W_Q = Kᵀ Q, and W_K is the
    identity on the rows that keys read. Kᵀ Q is again a sum of blocks coefficient · I."""
    total: dict[tuple[int, int, int, Dim], Fraction] = {}
    read: dict[int, Block] = {}
    for keys, queries in head.KQ:
        for key, k in keys:
            row, size = starts[key.slot], size_of(key.height, sizes)
            if row not in read or read[row].size < size:
                read[row] = Block(row, row, size, Fraction(1), key.height)
            for query, q in queries:
                at = (row, starts[query.slot], size, key.height)
                total[at] = total.get(at, Fraction(0)) + k * q
    product = [Block(row, col, size, c, dim) for (row, col, size, dim), c in total.items() if c]
    return BlockMatrix(d_model, tuple(sorted(read.values()))), BlockMatrix(d_model, tuple(sorted(product)))


def _assemble(
    d_model: int, entries: list[tuple[int, Ref, Fraction]], starts: Mapping[Slot, int], sizes: Mapping[str, int]
) -> BlockMatrix:
    blocks = [Block(row, starts[ref.slot], size_of(ref.height, sizes), c, ref.height) for row, ref, c in entries]
    return BlockMatrix(d_model, tuple(sorted(blocks)))
