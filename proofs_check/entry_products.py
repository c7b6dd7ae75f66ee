"""Feed-forward units that multiply, in the proof for all dimensions: entrywise products as symbols.

p ⊙ q is bilinear and does not depend on the order, so a sum of such products is a sum of pairs of words. Equal sums get the
same symbol, and a sum of transposes its transpose: weights and program go through the same normal form. Squared ReLUs are
relu(z)² = ½ z ⊙ z + ½ z |z|, and the halves z |z| have to cancel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import TypeAlias

from ..compiler.algebra import Algebra, Poly, Word
from ..compiler.dims import Shape, size_of
from ..compiler.weights import Block, FeedForwardWeights
from .contents import Content, NotProved
from .feed_forward import Proof, check_units, read_by_unit

#: Σ coefficient · (word ⊙ word), the two words of a pair in order.
_Sum: TypeAlias = dict[tuple[Word, Word], Fraction]

#: weight, and the two forms that are multiplied.
_Term: TypeAlias = tuple[Fraction, Poly, Poly]

_MAX_PAIRS = 2_000


class ProductSums:
    """Symbols for sums of entrywise products of polynomials of one algebra."""

    def __init__(self, algebra: Algebra, written_out: Callable[[Poly], Poly]) -> None:
        self.algebra, self.written_out = algebra, written_out
        self._symbols: dict[tuple[Shape, frozenset[tuple[tuple[Word, Word], Fraction]]], tuple[int, bool]] = {}
        self._sums: dict[int, tuple[Shape, _Sum]] = {}  # what a symbol stands for

    def symbol(self, shape: Shape, terms: Iterable[_Term]) -> Poly:
        """Σ weight · (p ⊙ q) as a symbol; zero for an empty sum."""
        total: _Sum = {}
        for weight, p, q in terms:
            p, q = (self.algebra.canonical(self.written_out(poly)) for poly in (p, q))
            if len(p.terms) * len(q.terms) > _MAX_PAIRS:
                raise NotProved(f"an entrywise product has more than {_MAX_PAIRS} terms")
            for v, c in p:
                for w, d in q:
                    pair = (min(v, w), max(v, w))
                    total[pair] = total.get(pair, Fraction(0)) + weight * c * d
        return self._of(shape, {pair: c for pair, c in total.items() if c})

    def _of(self, shape: Shape, total: _Sum) -> Poly:
        if not total:
            return self.algebra.zero(shape)
        key = (shape, frozenset(total.items()))
        if key not in self._symbols:
            flipped = ((shape[1], shape[0]), frozenset((self._transposed(shape, pair), c) for pair, c in total.items()))
            atom = self.algebra.new_atom(f"⊙{len(self._symbols)}", shape, symmetric=flipped == key)
            self._sums[atom] = (shape, total)
            self._symbols[flipped] = (atom, True)
            self._symbols[key] = (atom, False)
        atom, flip = self._symbols[key]
        return self.algebra.transpose(self.algebra.atom(atom)) if flip else self.algebra.atom(atom)

    def apart(self, atom: int) -> Poly | None:
        """A symbol as the sum of symbols of single products; None for one of these, and for other symbols."""
        shape, total = self._sums.get(atom, ((1, 1), {}))
        if list(total.values()) in ([], [1]):
            return None
        parts = (self.algebra.scale(c, self._of(shape, {pair: Fraction(1)})) for pair, c in total.items())
        return self.algebra.total(shape, parts)

    def _transposed(self, shape: Shape, pair: tuple[Word, Word]) -> tuple[Word, Word]:
        v, w = (self._flipped(shape, word) for word in pair)
        return (min(v, w), max(v, w))

    def _flipped(self, shape: Shape, word: Word) -> Word:
        (found,) = self.algebra.canonical(self.algebra.transpose(Poly(shape, {word: Fraction(1)}))).terms
        return found


def interpret_products(proof: Proof, ffn: FeedForwardWeights, kind: str, number: int) -> None:
    """Adds what units of the kind "gate" or "relu2" compute to their targets."""
    check_units(ffn, number)
    if (kind == "gate") != (ffn.W_3 is not None):
        raise NotProved(f"layer {number}: W_3 belongs to gates, and to nothing else")
    first, third = _reads(ffn.W_1.blocks), _reads(ffn.W_3.blocks if ffn.W_3 is not None else ())
    new = {row: dict(content) for row, content in proof.content.items()}
    targets: dict[int, list[tuple[Fraction, Content, Content]]] = {}
    for block in ffn.W_2.blocks:
        height = proof.heights.get(block.row)
        if height is None or size_of(height, proof.graph.sizes) != block.size or block.dim != height:
            raise NotProved(f"layer {number}: W_2 writes rows that are not a named block, at row {block.row}")
        sides: list[Content] = []
        for reads in (first, third if kind == "gate" else first):
            inside: Content = {}
            for read in reads.get((block.col, block.size), []):
                for cols, poly in read_by_unit(proof, read, height, number).items():
                    proof.accumulate(inside, cols, poly)
            sides.append(inside)
        targets.setdefault(block.row, []).append((block.coefficient, sides[0], sides[1]))
    for row, terms in targets.items():
        kept = [(w, a, b) for w, a, b in terms if a and b]
        if any(len(a) != 1 or a.keys() != b.keys() for _, a, b in kept):
            raise NotProved(f"layer {number}: units at row {row} read blocks of different tokens, or leftovers")
        for cols in sorted({cols for _, a, _ in kept for cols in a}, key=str):
            found = [(w, a[cols], b[cols]) for w, a, b in kept if cols in a]
            poly = combined(proof, (proof.heights[row], cols), found, kind)
            proof.accumulate(new[row], cols, poly)
    proof.content = new


def _reads(blocks: Iterable[Block]) -> dict[tuple[int, int], list[Block]]:
    found: dict[tuple[int, int], list[Block]] = {}
    for block in blocks:
        found.setdefault((block.row, block.size), []).append(block)
    return found


def combined(proof: Proof, shape: Shape, terms: list[_Term], kind: str) -> Poly:
    """Σ weight · (p ⊙ q), or Σ weight · relu(p)² where q is p."""
    if kind == "gate":
        return proof.products.symbol(shape, terms)
    odd: dict[frozenset[tuple[Word, Fraction]], Fraction] = {}
    for weight, p, _ in terms:
        poly = proof.algebra.canonical(proof.products.written_out(p))
        if poly.terms:
            scale = poly.terms[min(poly.terms)]
            key = frozenset((word, c / scale) for word, c in poly)
            odd[key] = odd.get(key, Fraction(0)) + weight * abs(scale) * scale
    if any(odd.values()):
        raise NotProved("a squared ReLU stands alone: z |z| does not cancel")
    return proof.products.symbol(shape, [(weight / 2, p, p) for weight, p, _ in terms])


def products_polynomial(proof: Proof, node: int, args: list[Poly]) -> Poly:
    """The normal form of a node of such units, from its arguments as polynomials of the node's own shape."""
    spec, algebra = proof.graph.nodes[node], proof.algebra

    def form(coefficients: tuple[Fraction, ...]) -> Poly:
        total = algebra.zero(spec.shape)
        for c, poly in zip(coefficients, args, strict=True):
            total = algebra.add(total, algebra.scale(c, poly))
        return total

    if spec.attr.biased:
        raise NotProved(f"{spec.attr.name}: biases of units that multiply are not known to the proof")
    terms = [(u.weight, form(u.coefficients), form(u.gate if u.gate else u.coefficients)) for u in spec.attr.units]
    return combined(proof, spec.shape, terms, spec.attr.kind)
