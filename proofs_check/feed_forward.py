"""Feed-forward units in the proof for all dimensions: their linear half exactly, absolute values as symbols."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import pairwise
from typing import Protocol

from ..compiler.algebra import Algebra, Poly
from ..compiler.artifact import Artifact
from ..compiler.dims import Dim, Shape, size_of
from ..compiler.graph import Graph
from ..compiler.weights import Block, FeedForwardWeights
from .contents import Content, NotProved, Read
from .relu_sums import ReluSums


class Products(Protocol):
    """Symbols for sums of entrywise products; see `entry_products`."""

    written_out: Callable[[Poly], Poly]

    def symbol(self, shape: Shape, terms: Iterable[tuple[Fraction, Poly, Poly]]) -> Poly: ...
    def apart(self, atom: int) -> Poly | None: ...


class Proof(Protocol):
    """What a proof in progress knows; see `symbolic`."""

    artifact: Artifact
    graph: Graph
    algebra: Algebra
    heights: dict[int, Dim]
    content: dict[int, Content]
    relus: ReluSums

    @property
    def products(self) -> Products: ...

    def accumulate(self, content: Content, cols: Dim, poly: Poly) -> None: ...
    def combine(self, reads: list[Read]) -> Content: ...
    def read(self, block: Block, number: int) -> Read: ...
    def expand(self, poly: Poly) -> Poly: ...
    def limited(self, poly: Poly) -> Poly: ...
    def polynomial(self, node: int) -> Poly: ...
    def column_of_ones(self, dim: Dim) -> Poly: ...


def interpret_units(proof: Proof, ffn: FeedForwardWeights, number: int) -> None:
    """Adds Σ w relu(reads) to every target: the linear half exactly, the absolute values as symbols."""
    reads: dict[tuple[int, int], list[Block]] = {}
    for block in ffn.W_1.blocks:
        reads.setdefault((block.row, block.size), []).append(block)
    check_units(ffn, number)
    targets: dict[int, list[tuple[Fraction, Content]]] = {}
    for block in ffn.W_2.blocks:
        if (block.col, block.size) not in reads:
            raise NotProved(f"layer {number}: W_2 reads units that W_1 does not make as one block")
        height = proof.heights.get(block.row)
        if height is None or size_of(height, proof.graph.sizes) != block.size or block.dim != height:
            raise NotProved(f"layer {number}: W_2 writes rows that are not a named block, at row {block.row}")
        inside: Content = {}
        for read in reads[block.col, block.size]:
            for cols, poly in read_by_unit(proof, read, height, number).items():
                proof.accumulate(inside, cols, poly)
        targets.setdefault(block.row, []).append((block.coefficient, inside))
    new = {row: dict(content) for row, content in proof.content.items()}
    for row, terms in targets.items():
        for weight, left in proof.relus.dirty(terms):  # |a + b| is no sum: absolute values of one extent only
            if weight:
                raise NotProved(f"layer {number}: units at row {row} read leftovers beside {sorted(map(str, left))}")
        for cols in sorted({cols for _, inside in terms for cols in inside}, key=str):
            shape = (proof.heights[row], cols)
            clean = ((w, proof.expand(inside[cols])) for w, inside in terms if set(inside) == {cols})
            _, absolute = proof.relus.normal(shape, clean)
            linear = proof.algebra.zero(shape)  # in the symbols that the rows hold: what is erased cancels
            for w, inside in terms:
                if cols in inside:
                    linear = proof.algebra.add(linear, proof.algebra.scale(w / 2, inside[cols]))
            proof.accumulate(new[row], cols, proof.algebra.add(linear, proof.relus.symbol(shape, absolute)))
    proof.content = new


def check_units(ffn: FeedForwardWeights, number: int) -> None:
    """Blocks of units are equal or apart: a block of W_1 that overlaps another in part would change units unseen."""
    spans = sorted({(b.row, b.row + b.size) for b in ffn.reads} | {(b.col, b.col + b.size) for b in ffn.W_2.blocks})
    if any(stop > start for (_, stop), (start, _) in pairwise(spans)):
        raise NotProved(f"layer {number}: blocks of feed-forward units overlap in part")
    if any(block.column for block in ffn.W_2.blocks):
        raise NotProved(f"layer {number}: W_2 spreads a unit over several rows")
    counts = {ffn.W_1.shape[0], ffn.W_2.shape[1], *([] if ffn.W_3 is None else [ffn.W_3.shape[0]])}
    if len(counts) > 1 or (spans and not (spans[0][0] >= 0 and spans[-1][1] <= ffn.W_1.shape[0])):
        raise NotProved(f"layer {number}: W_1 and W_2 have different units")


def read_by_unit(proof: Proof, block: Block, height: Dim, number: int) -> Content:
    """What a block of W_1 reads: a block of rows, or one row for all rows of the target."""
    if not block.column:
        if block.dim != height:
            raise NotProved(f"layer {number}: W_1 reads a block of another height at row {block.col}")
        return proof.combine([proof.read(block, number)])
    owner = proof.heights.get(block.col)
    if owner is None:
        raise NotProved(f"layer {number}: W_1 reads a row that begins no named block, at row {block.col}")
    row = proof.combine([Read(block.col, owner, owner != 1, block.coefficient)])
    return {cols: proof.algebra.multiply(proof.column_of_ones(height), poly) for cols, poly in row.items()}


def arguments(proof: Proof, node: int) -> list[Poly]:
    """The arguments of units in the symbols proved so far, each of the shape of the result."""
    spec, algebra, args = proof.graph.nodes[node], proof.algebra, []
    cols = spec.shape[1]
    for arg in spec.args:
        poly = proof.expand(proof.polynomial(arg))
        if poly.shape != spec.shape:  # a column that stands for all columns
            poly = algebra.multiply(poly, algebra.transpose(proof.column_of_ones(cols)))
        args.append(poly)
    return args


def units_polynomial(proof: Proof, node: int, args: list[Poly]) -> Poly:
    """The normal form of a sum of units from its arguments."""
    spec, algebra = proof.graph.nodes[node], proof.algebra
    rows, cols = spec.shape
    ones = algebra.multiply(proof.column_of_ones(rows), algebra.transpose(proof.column_of_ones(cols)))
    terms = []
    for unit in spec.attr.units:
        total = algebra.scale(unit.bias, ones)
        for c, poly in zip(unit.coefficients, args, strict=True):
            total = algebra.add(total, algebra.scale(c, poly)) if c else total
        terms.append((unit.weight, total))
    linear, absolute = proof.relus.normal(spec.shape, terms)
    return algebra.add(linear, proof.relus.symbol(spec.shape, absolute))
