"""The layers of a model as products, read off the weights: data flow between layers, and ranks within one.

A layer adds products H[row:] += c · H[source:] (H[key:])ᵀ H[query:] of blocks of rows, and then its feed-forward part adds
sums of units. From them follow which rows are still needed when, how long the chains of products are, and how many heads a
layer needs at least. Nothing but the weights, the encoding and the decoding is read; no dense matrix is formed.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from ..compiler.artifact import Artifact
from ..compiler.weights import Block, HeadWeights, LayerWeights
from .local_sums import LocalSum, local_sums


@dataclass(frozen=True)
class Product:
    """H[row:] += H[source:] (H[key:])ᵀ H[query:], with `height` rows of row and source, `inner` rows of key and query."""

    row: int
    source: int
    height: int
    key: int
    query: int
    inner: int


def products_of(layer: LayerWeights) -> dict[Product, Fraction]:
    """The products of a layer with their coefficients; those that cancel between heads are left out."""
    total: dict[Product, Fraction] = {}
    for head in layer.heads:
        for b in _key_query(head):
            for v in in_parts(head.W_V.blocks):
                product = Product(v.row, v.col, v.size, b.row, b.col, b.size)
                total[product] = total.get(product, Fraction(0)) + v.coefficient * b.coefficient
    return {product: c for product, c in total.items() if c}


def _key_query(head: HeadWeights) -> list[Block]:
    """W_Kᵀ W_Q as blocks: a pair of blocks that share rows of the key space gives a block of that many rows."""
    pairs = []
    queries = in_parts(head.W_Q.blocks)
    for k in in_parts(head.W_K.blocks):
        for q in queries:
            start, stop = max(k.row, q.row), min(k.row + k.size, q.row + q.size)
            if start < stop:
                corner = k.col + start - k.row, q.col + start - q.row
                pairs.append(Block(*corner, stop - start, k.coefficient * q.coefficient))
    return pairs


def in_parts(blocks: Iterable[Block]) -> list[Block]:
    """The blocks, with those that hold a constant of the program taken apart into single entries."""
    found = []
    for block in blocks:
        if block.matrix:
            found += [Block(int(row), int(col), 1, c) for row, col, c in zip(*block.entries(), strict=True)]
        else:
            found.append(block)
    return found


# -- data flow ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """A layer as data flow. `erased`: rows whose old value is subtracted; `filled`: rows that may be nonzero before.
    After attention come the sums of the feed-forward part: `between` and `cleared` are the same for these.

    When in doubt a dependency is left out: that can only make a lower bound smaller.
    """

    products: tuple[Product, ...]
    erased: np.ndarray
    filled: np.ndarray
    local: tuple[LocalSum, ...]
    cleared: np.ndarray
    between: np.ndarray


def steps_of(artifact: Artifact) -> list[Step]:
    """Every layer as data flow, from the first to the last."""
    products = {layer: products_of(layer) for layer in artifact.unique_layers}
    local = {layer: local_sums(layer.ffn, artifact.architecture.ffn) for layer in artifact.unique_layers}
    filled = np.zeros(artifact.d_model, dtype=bool)
    for placed in artifact.encoding:
        filled[placed.row : placed.row + placed.height] |= placed.kind != "zeros"
    eyes = {placed.row: placed.height for placed in artifact.encoding if placed.kind == "eye"}  # until written over
    steps = []
    for layer in artifact.layers:
        step = _step(products[layer], local[layer], filled, eyes)
        steps.append(step)
        filled = step.between & ~step.cleared
        for q in step.local:
            filled[q.row : q.row + q.height] |= bool(q.reads(step.between))
        written = [(p.row, p.row + p.height) for p in products[layer]]
        written += [(q.row, q.row + q.height) for q in local[layer]]
        eyes = {row: h for row, h in eyes.items() if not any(a < row + h and row < b for a, b in written)}
    return steps


def _step(
    products: Mapping[Product, Fraction], local: tuple[LocalSum, ...], filled: np.ndarray, eyes: Mapping[int, int]
) -> Step:
    own: dict[tuple[int, int], Fraction] = {}  # what multiple of itself a block gets
    for p, c in products.items():
        if _is_own(p, eyes):
            own[p.row, p.height] = own.get((p.row, p.height), Fraction(0)) + c
    erased = np.zeros_like(filled)
    for (row, height), c in own.items():
        erased[row : row + height] |= c == -1
    kept = tuple(
        p
        for p in products
        if not (_is_own(p, eyes) and own[p.row, p.height] == -1)
        and filled[p.source : p.source + p.height].any()
        and filled[p.key : p.key + p.inner].any()
        and filled[p.query : p.query + p.inner].any()
    )
    between = filled & ~erased
    for p in kept:
        between[p.row : p.row + p.height] = True
    cleared = np.zeros_like(filled)
    for q in local:
        cleared[q.row : q.row + q.height] |= q.erases
    return Step(kept, erased, filled, local, cleared, between)


def _is_own(p: Product, eyes: Mapping[int, int]) -> bool:
    """Whether a product adds a block to itself: V I I, I I Q, or, of a symmetric block, I Kᵀ I."""
    read = (p.source, p.key, p.query)
    if p.row == p.source:
        return p.key in eyes and p.query in eyes
    return p.height == p.inner and p.row in read and all(at in eyes for at in read if at != p.row)


def chain_lengths(artifact: Artifact, steps: Sequence[Step]) -> np.ndarray:
    """For every row after the last layer, the fewest layers for the longest chain that leads to it. Shape (d_model,).

    A chain counts in half layers: a product of attention is made in a first half, at odd times, a sum of units in a
    second half, at even times, and reads what attention of its own layer writes.
    """
    chain = np.zeros(artifact.d_model, dtype=int)
    for step in steps:
        new = np.where(step.erased, 0, chain)
        for p in step.products:
            inner = max(chain[p.key : p.key + p.inner].max(), chain[p.query : p.query + p.inner].max())
            rows = slice(p.row, p.row + p.height)
            latest = np.maximum(chain[p.source : p.source + p.height], inner)
            new[rows] = np.maximum(new[rows], latest + 1 + latest % 2)  # the next odd time
        chain, new = new, np.where(step.cleared, 0, new)
        for q in step.local:
            rows = slice(q.row, q.row + q.height)
            for read in q.reads(step.between):
                latest = chain[read]
                new[rows] = np.maximum(new[rows], latest + 2 - latest % 2)  # the next even time
        chain = new
    return (chain + 1) // 2


def live_rows(artifact: Artifact, steps: Sequence[Step]) -> np.ndarray:
    """For every boundary 0 … depth (after that many layers) and row, whether it holds what is still read.

    Shape (depth + 1, d_model), boolean. A row that may or may not be needed counts as not live.
    """
    live = np.zeros((len(steps) + 1, artifact.d_model), dtype=bool)
    for placed in artifact.decoding:
        live[-1, placed.row : placed.row + placed.height] = True
    for boundary in range(len(steps) - 1, -1, -1):
        step, after, before = steps[boundary], live[boundary + 1], live[boundary]
        if step.local:
            middle = after & ~step.cleared
            for q in step.local:
                read = after[q.row : q.row + q.height]
                if read.any():
                    for rows in q.reads(step.between):
                        middle[rows] |= read if rows.stop - rows.start == q.height else True
            after = middle & step.between
        before |= after & ~step.erased
        for p in step.products:
            read = after[p.row : p.row + p.height]
            if read.any():
                before[p.source : p.source + p.height] |= read
                before[p.key : p.key + p.inner] = before[p.query : p.query + p.inner] = True
        before &= step.filled
    return live


# -- ranks -------------------------------------------------------------------------------------------------------------


def tensor_rank(layer: LayerWeights) -> int:
    """The rank over ℚ of Σ vec(W_V) vec(W_Kᵀ W_Q)ᵀ over the heads of a layer, exactly. A head adds rank one.

    On each diagonal, blocks are cut where another one begins or ends: the pieces are independent matrices.
    """
    left = _in_pieces([in_parts(head.W_V.blocks) for head in layer.heads])
    right = _in_pieces([_key_query(head) for head in layer.heads])
    matrix: dict[Any, dict[Any, Fraction]] = {}
    for V, B in zip(left, right, strict=True):
        for v, a in V.items():
            row = matrix.setdefault(v, {})
            for b, c in B.items():
                row[b] = row.get(b, Fraction(0)) + a * c
    return len(row_basis(matrix.values()))


def _in_pieces(matrices: Sequence[Sequence[Block]]) -> list[dict[tuple[int, int], Fraction]]:
    """Coordinates of sums of blocks c · I: (diagonal, first row of a piece) → coefficient."""
    cuts: dict[int, set[int]] = {}
    for block in (block for matrix in matrices for block in matrix):
        cuts.setdefault(block.row - block.col, set()).update((block.row, block.row + block.size))
    out = []
    for matrix in matrices:
        vector: dict[tuple[int, int], Fraction] = {}
        for block in matrix:
            diagonal = block.row - block.col
            for row in cuts[diagonal]:
                if block.row <= row < block.row + block.size:
                    vector[diagonal, row] = vector.get((diagonal, row), Fraction(0)) + block.coefficient
        out.append(vector)
    return out


def map_rank(layer: LayerWeights, d_model: int) -> int:
    """The rank of M(ggᵀ) at one g, where the layer is H ← (I + M(HHᵀ)) H with M(G) = Σ W_V G W_KᵀW_Q.

    For symmetric G, the layer's map on streams of two or more tokens determines M(G): its entries are the coefficients
    of the monomials H_as H_bs H_ct with s ≠ t. A head contributes (W_V g)(gᵀ W_KᵀW_Q), of rank one, so no layer with
    this map has fewer heads than that rank, whatever its products are. Any g gives a bound; this one is random.
    """
    chance = random.Random(0)
    g = [Fraction(chance.randrange(1, 1 << 16)) for _ in range(d_model)]
    written: dict[int, dict[int, Fraction]] = {}  # row of H → head → entry of W_V g
    read: dict[int, dict[int, Fraction]] = {}  # row of H → head → entry of (W_KᵀW_Q)ᵀ g
    for index, head in enumerate(layer.heads):
        transposed = [Block(b.col, b.row, b.size, b.coefficient) for b in _key_query(head)]
        for target, blocks in ((written, in_parts(head.W_V.blocks)), (read, transposed)):
            for block in blocks:
                for i in range(block.size):
                    entry = target.setdefault(block.row + i, {})
                    entry[index] = entry.get(index, Fraction(0)) + block.coefficient * g[block.col + i]
    # rank(L Rᵀ) = rank(B Cᵀ) for row bases B of L and C of R
    left, right = (row_basis(rows.values(), stop=len(layer.heads)) for rows in (written, read))
    gram = [{j: sum((a * r.get(i, 0) for i, a in row.items()), Fraction(0)) for j, r in enumerate(right)} for row in left]
    return len(row_basis(gram))


def row_basis(rows: Iterable[Mapping[Any, Fraction]], stop: int | None = None) -> list[dict[Any, Fraction]]:
    """Independent combinations that span the rows (Gaussian elimination over ℚ); ends early at `stop` of them."""
    basis: list[tuple[Any, dict[Any, Fraction]]] = []  # each with an entry that the later ones lack
    for row in rows:
        rest = {key: c for key, c in row.items() if c}
        for lead, pivot in basis:
            factor = rest.get(lead, Fraction(0)) / pivot[lead]
            if factor:
                for key, c in pivot.items():
                    rest[key] = rest.get(key, Fraction(0)) - factor * c
                rest = {key: c for key, c in rest.items() if c}
        if rest:
            basis.append((next(iter(rest)), rest))
            if len(basis) == stop:
                break
    return [pivot for _, pivot in basis]
