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
from .ir import Ref, Slot, SlotHead


@dataclass(frozen=True, order=True)
class Block:
    """coefficient · I of the given size, with its upper left corner at (row, col). `dim` names the size: a hint for
    proofs, which tells an identity of size d = 1 from the first row of one."""

    row: int
    col: int
    size: int
    coefficient: Fraction
    dim: Dim = field(default=1, compare=False)


@dataclass(frozen=True)
class BlockMatrix:
    """A d_model × d_model matrix that is the sum of its blocks."""

    d_model: int
    blocks: tuple[Block, ...]

    def dense(self) -> np.ndarray:
        """The matrix in float64, shape (d_model, d_model); each entry is the nearest float to the exact one."""
        out = np.zeros((self.d_model, self.d_model))
        for block in self.blocks:
            index = np.arange(block.size)
            out[block.row + index, block.col + index] += float(block.coefficient)
        return out

    def exact(self) -> np.ndarray:
        """The matrix as an object array of Fractions, shape (d_model, d_model)."""
        out = np.full((self.d_model, self.d_model), Fraction(0), dtype=object)
        for block in self.blocks:
            index = np.arange(block.size)
            out[block.row + index, block.col + index] += block.coefficient
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
class LayerWeights:
    """One layer of eq. (3.1). `ffn` is None: the feed-forward part is not lowered yet."""

    heads: tuple[HeadWeights, ...]
    ffn: None = None


def slot_starts(slots: tuple[Slot, ...], sizes: Mapping[str, int]) -> tuple[dict[Slot, int], int]:
    """The first row of every slot, and the total number of rows."""
    starts, total = {}, 0
    for slot in slots:
        starts[slot] = total
        total += size_of(slot.height, sizes)
    return starts, total


def build_layer(
    heads: tuple[SlotHead, ...], starts: Mapping[Slot, int], d_model: int, sizes: Mapping[str, int]
) -> LayerWeights:
    """The matrices of one layer."""
    return LayerWeights(tuple(_build_head(head, starts, d_model, sizes) for head in heads))


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
