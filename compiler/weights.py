"""Exact weights: every matrix is a sparse sum of blocks coefficient · I or coefficient · C, with rational coefficients.

`build_layer` turns heads over slots into matrices; nothing is rounded before `BlockMatrix.dense`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import accumulate
from operator import mul
from typing import Any, TypeAlias

import numpy as np

from .dims import Dim, size_of
from .ir import Fold, Ref, Slot, SlotHead, SlotUnits

#: A compile-time matrix, row by row.
Matrix: TypeAlias = tuple[tuple[Fraction, ...], ...]


@dataclass(frozen=True, order=True)
class Block:
    """coefficient · I of the given size, with its upper left corner at (row, col). `dim` names the size: a hint for
    proofs, which tells an identity of size d = 1 from the first row of one. `column`: a column of `size` equal entries
    instead, which gives every row of a block the same number of the token. `matrix`: that matrix of `size` rows instead."""

    row: int
    col: int
    size: int
    coefficient: Fraction
    dim: Dim = field(default=1, compare=False)
    column: bool = False
    matrix: Matrix = ()

    @property
    def width(self) -> int:
        """The columns of the matrix that the block covers."""
        return len(self.matrix[0]) if self.matrix else 1 if self.column else self.size

    def entries(self) -> tuple[Any, Any, np.ndarray]:
        """(rows, columns, values) of the nonzero entries; values are Fractions."""
        index = np.arange(self.size)
        if not self.matrix:
            values = np.full(self.size, self.coefficient, dtype=object)
            return self.row + index, self.col + index * (not self.column), values
        full = np.empty((self.size, self.width), dtype=object)
        full[...] = self.matrix
        at = np.nonzero(full)
        return self.row + at[0], self.col + at[1], full[at] * self.coefficient


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
            rows, cols, values = block.entries()
            out[rows, cols] += values.astype(float)
        return out

    def exact(self) -> np.ndarray:
        """The matrix as an object array of Fractions."""
        out = np.full(self.shape, Fraction(0), dtype=object)
        for block in self.blocks:
            rows, cols, values = block.entries()
            out[rows, cols] += values
        return out

    @property
    def nonzeros(self) -> int:
        return sum(len(block.entries()[2]) if block.matrix else block.size for block in self.blocks)


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
    """W_2 relu(W_1 H), or W_2 (W_1 H ⊙ W_3 H): W_1 and W_3 have shape (units, d_model), W_2 (d_model, units)."""

    W_1: BlockMatrix
    W_2: BlockMatrix
    W_3: BlockMatrix | None = None

    @property
    def reads(self) -> tuple[Block, ...]:
        """The blocks that read the stream."""
        return self.W_1.blocks if self.W_3 is None else (*self.W_1.blocks, *self.W_3.blocks)

    @property
    def matrices(self) -> tuple[BlockMatrix, ...]:
        return (self.W_1, self.W_2) if self.W_3 is None else (self.W_1, self.W_2, self.W_3)


@dataclass(frozen=True)
class LayerWeights:
    """One layer of eq. (3.1); `ffn` is None where the layer has no feed-forward part."""

    heads: tuple[HeadWeights, ...]
    ffn: FeedForwardWeights | None = None

    @property
    def matrices(self) -> tuple[BlockMatrix, ...]:
        """All matrices of the layer."""
        ffn = () if self.ffn is None else self.ffn.matrices
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
    constants: Mapping[Fold, Matrix] | None = None,
    factor: Fraction = Fraction(1),
) -> LayerWeights:
    """The matrices of one layer. `constants`: the matrices that are folded into weights; `factor` multiplies all W_V, where
    the architecture divides by it."""
    builder = _Builder(starts, d_model, sizes, constants or {}, factor)
    return LayerWeights(tuple(map(builder.head, heads)), _build_units(local, starts, d_model, sizes) if local else None)


def with_both_signs(layer: LayerWeights) -> LayerWeights:
    """The layer for ReLU attention: relu(z) − relu(−z) = z, so every head becomes two."""
    heads = []
    for head in layer.heads:
        heads += [head, HeadWeights(_negated(head.W_V), head.W_K, _negated(head.W_Q))]
    return replace(layer, heads=tuple(heads))


def _negated(matrix: BlockMatrix) -> BlockMatrix:
    return replace(matrix, blocks=tuple(replace(b, coefficient=-b.coefficient) for b in matrix.blocks))


def _build_units(
    local: tuple[SlotUnits, ...], starts: Mapping[Slot, int], d_model: int, sizes: Mapping[str, int]
) -> FeedForwardWeights:
    """All units of a layer below each other: every unit once for each row of its target."""
    first: list[Block] = []
    second: list[Block] = []
    third: list[Block] = []
    at = 0

    def read(ref: Ref, c: Fraction, target: Slot) -> Block:
        height = size_of(target.height, sizes)
        column = size_of(ref.height, sizes) == 1 and ref.height != target.height
        return Block(at, starts[ref.slot], height, c, target.height, column)

    for entry in local:
        height = size_of(entry.target.height, sizes)
        for unit in entry.units.units:
            reads = [(ref, c * f) for c, arg in zip(unit.coefficients, entry.args, strict=True) for ref, f in arg if c]
            if unit.bias and entry.bias is not None:
                reads.append((entry.bias, unit.bias))
            gates = [(ref, c * f) for c, arg in zip(unit.gate, entry.args, strict=False) for ref, f in arg if c]
            first += [read(ref, c, entry.target) for ref, c in reads]
            third += [read(ref, c, entry.target) for ref, c in gates]
            second.append(Block(starts[entry.target], at, height, unit.weight, entry.target.height))
            at += height
    gated = any(entry.units.kind == "gate" for entry in local)  # also where all arguments are identically 0
    return FeedForwardWeights(
        BlockMatrix(d_model, tuple(sorted(first)), height=at),
        BlockMatrix(d_model, tuple(sorted(second)), width=at),
        BlockMatrix(d_model, tuple(sorted(third)), height=at) if gated else None,
    )


def _fits(heights: list[int], d_model: int) -> bool:
    return sum(heights) <= d_model


@dataclass(frozen=True)
class _Builder:
    """Makes the matrices of heads."""

    starts: Mapping[Slot, int]
    d_model: int
    sizes: Mapping[str, int]
    constants: Mapping[Fold, Matrix]
    factor: Fraction

    def head(self, head: SlotHead) -> HeadWeights:
        W_V = self.assemble([(self.starts[target], source, c * self.factor) for target, source, c in head.V])
        heights = [size_of(keys[0][0].height, self.sizes) for keys, _ in head.KQ]
        if not _fits(heights, self.d_model):
            return HeadWeights(W_V, *self.multiplied(head))
        K: list[tuple[int, Ref, Fraction]] = []
        Q: list[tuple[int, Ref, Fraction]] = []
        for (keys, queries), offset in zip(head.KQ, accumulate(heights, initial=0), strict=False):
            K += [(offset, ref, c) for ref, c in keys]
            Q += [(offset, ref, c) for ref, c in queries]
        return HeadWeights(W_V, self.assemble(K), self.assemble(Q))

    def multiplied(self, head: SlotHead) -> tuple[BlockMatrix, BlockMatrix]:
        """W_K and W_Q of a stack that is higher than d_model: (K H)ᵀ (Q H) = Hᵀ (Kᵀ Q) H, so W_Q = Kᵀ Q, and W_K is the
        identity on the rows that keys read. Kᵀ Q is again a sum of blocks."""
        total: dict[tuple[Block, Dim], Fraction] = {}
        read: dict[int, Block] = {}
        for keys, queries in head.KQ:
            for key, k in keys:
                row, dim = self.starts[key.slot], key.slot.height if key.fold else key.height
                size = size_of(dim, self.sizes)
                if row not in read or read[row].size < size:
                    read[row] = Block(row, row, size, Fraction(1), dim)
                for query, q in queries:
                    block = Block(row, self.starts[query.slot], size, Fraction(1), dim, matrix=self.product(key, query))
                    total[block, dim] = total.get((block, dim), Fraction(0)) + k * q
        product = [replace(block, coefficient=c) for (block, _), c in total.items() if c]
        return BlockMatrix(self.d_model, tuple(sorted(read.values()))), BlockMatrix(self.d_model, tuple(sorted(product)))

    def product(self, key: Ref, query: Ref) -> Matrix:
        """The folded constants of a key, transposed, times those of a query."""
        left, right = (self.constants[ref.fold] if ref.fold else () for ref in (key, query))
        columns = tuple(zip(*left, strict=True))
        if not left or not right:
            return columns or right
        return tuple(tuple(sum(map(mul, row, col), Fraction(0)) for col in zip(*right, strict=True)) for row in columns)

    def assemble(self, entries: list[tuple[int, Ref, Fraction]]) -> BlockMatrix:
        blocks = [
            Block(
                row, self.starts[ref.slot], size_of(ref.height, self.sizes), c, ref.height,
                matrix=self.constants[ref.fold] if ref.fold else (),
            )
            for row, ref, c in entries
        ]  # fmt: skip
        return BlockMatrix(self.d_model, tuple(sorted(blocks)))
