"""Proof for all dimensions: the weights, interpreted over blocks of noncommuting symbols.

The rows of the stream are partitioned into blocks, each of the height of one dimension. The content of a block is
a sum Σ_k P_k E_k over token counts k, where E_k = [I_k 0] embeds the first k tokens and P_k is a polynomial in
matrices. Since E_k E_lᵀ = J(k, l) (`Algebra.inclusion`), a head maps such contents to such contents exactly, whatever
the sizes are, leftovers included. After every layer each named block becomes a symbol of its own (so the cost
is linear in the number of layers); where the program has a node for it, its polynomial is compared with the node's.
"""

from __future__ import annotations

import itertools
from fractions import Fraction

from ..compiler.algebra import Algebra, Poly, Word
from ..compiler.artifact import Artifact, ValueHint
from ..compiler.dims import Dim, Shape, size_of
from ..compiler.graph import SYMMETRIC, part_of_stack
from ..compiler.layout import Placed
from ..compiler.weights import Block, HeadWeights, Matrix
from .certificate import Proved, Unknown, Verdict
from .contents import Content, NotProved, Read
from .entry_products import ProductSums
from .exact import wrong_encoding
from .local_proof import equal_apart, interpret_local, local_polynomial
from .relu_sums import ReluSums
from .scores import linear_heads

_MAX_TERMS = 2_000

#: How many program symbols a comparison may write out before it gives up.
_ROUNDS = 12


def prove_for_all_dimensions(artifact: Artifact) -> Verdict:
    """Proved when every output equals the program's polynomial for every size; Unknown with the first failing step."""
    try:
        proof = _Proof(artifact)
        proof.interpret()
        return Proved(proof.conclude())
    except NotProved as failure:
        return Unknown(str(failure))
    except (KeyError, IndexError, AssertionError) as failure:  # hints that contradict each other
        return Unknown(f"the artifact is inconsistent: {type(failure).__name__} {failure}")


class _Proof:
    def __init__(self, artifact: Artifact) -> None:
        self.artifact, self.graph = artifact, artifact.graph
        self.algebra = Algebra()
        self.heights = dict(artifact.partition)
        self.factor = artifact.architecture.factor(artifact.graph.sizes)
        self.check_partition()
        self.stated = {fact.node: fact for fact in self.graph.facts if fact.kind in SYMMETRIC}
        self.assumed: list[str] = []
        self.node_atom: dict[int, int] = {}  # program node → the symbol that is proved to be it
        self.definition: dict[int, Poly] = {}  # symbols of intermediate values → what the weights compute
        self.origin: dict[int, Poly] = {}  # program symbols → their polynomial in earlier symbols
        self.program: dict[int, Poly] = {}
        self.content: dict[int, Content] = {row: {} for row in self.heights}
        self.constants: dict[tuple[Matrix, Shape], Poly] = {}
        for node in (i for i, spec in enumerate(self.graph.nodes) if spec.op == "constant"):
            self.leaf(node)
        self.relus = ReluSums(self.algebra, self.written_out)
        self.products = ProductSums(self.algebra, self.written_out)
        self.ones: dict[Dim, int] = {}
        for placed in artifact.encoding:
            self.encode(placed)

    def check_partition(self) -> None:
        rows = sorted((start, size_of(height, self.graph.sizes)) for start, height in self.heights.items())
        ends = [start + size for start, size in rows]
        if [0, *ends] != [*(start for start, _ in rows), self.artifact.d_model]:
            raise NotProved("the row partition does not tile the residual stream")
        columns = {h.cols for h in self.artifact.hints}
        for dim in columns | {p.shape[0 if p.flipped else 1] for p in self.artifact.encoding + self.artifact.decoding}:
            if size_of(dim, self.graph.sizes) > self.artifact.n_tokens:
                raise NotProved(f"{self.artifact.n_tokens} tokens cannot hold a block of {dim} columns")

    # -- leaves --------------------------------------------------------------------------------------------

    def encode(self, placed: Placed) -> None:
        problem = wrong_encoding(self.graph, placed)
        if problem:
            raise NotProved(problem)
        rows = placed.shape[0]
        if placed.kind == "zeros":
            return
        poly = self.algebra.identity(rows) if placed.kind == "eye" else self.leaf(placed.node)
        poly = self.algebra.transpose(poly) if placed.flipped else poly
        fits = (size_of(poly.shape[0], self.graph.sizes), size_of(poly.shape[1], self.graph.sizes)) == (
            placed.height,
            placed.width,
        )
        if self.heights.get(placed.row) != poly.shape[0] or not fits or self.content[placed.row]:
            raise NotProved(f"{placed.name} is not placed on a block of its own height")
        self.content[placed.row] = {poly.shape[1]: poly}

    def leaf(self, node: int) -> Poly:
        spec = self.graph.nodes[node]
        if spec.op == "ones":
            return self.column_of_ones(spec.shape[0])
        if spec.op == "constant":
            return self.constant(spec.attr.rows, spec.shape, node)
        return self.algebra.atom(self.leaf_atom(node))

    def constant(self, rows: Matrix, shape: Shape, node: int | None = None) -> Poly:
        """A matrix of numbers: equal ones, and transposes, have one symbol, that of a constant of the program."""
        if (rows, shape) not in self.constants:
            if node is None:
                raise KeyError(shape)
            poly = self.algebra.atom(self.leaf_atom(node))
            self.constants[tuple(zip(*rows, strict=True)), (shape[1], shape[0])] = self.algebra.transpose(poly)
            self.constants[rows, shape] = poly
        return self.constants[rows, shape]

    def column_of_ones(self, dim: Dim) -> Poly:
        """One symbol for every dimension; the number 1 for dimension 1."""
        if dim == 1:
            return self.algebra.identity(1)
        if dim not in self.ones:
            self.ones[dim] = self.algebra.new_atom(f"1_{dim}", (dim, 1))
        return self.algebra.atom(self.ones[dim])

    def leaf_atom(self, node: int) -> int:
        if node not in self.node_atom:
            spec = self.graph.nodes[node]
            symmetric = spec.op == "spread" or (spec.op == "constant" and spec.attr.symmetric)
            if node in self.stated and not symmetric:
                symmetric = True
                self.assumed.append(f"{self.graph.describe(node)} symmetric")
            self.node_atom[node] = self.algebra.new_atom(self.graph.label(node), spec.shape, symmetric)
            first = self.graph.nodes[spec.args[0]] if spec.op == "vstack" else None
            if first is not None and first.op == "input":
                self.algebra.state_first_rows(self.node_atom[node], self.leaf_atom(spec.args[0]))
        return self.node_atom[node]

    # -- the machine ---------------------------------------------------------------------------------------

    def interpret(self) -> None:
        hints: dict[tuple[int, bool], list[ValueHint]] = {}
        # values of the program in its order: what a later one is in earlier ones is then a short polynomial
        for hint in sorted(self.artifact.hints, key=lambda h: (h.node is None, h.node or 0)):
            hints.setdefault((hint.boundary, hint.local), []).append(hint)
        for number, layer in enumerate(self.artifact.layers, start=1):
            new = {row: dict(content) for row, content in self.content.items()}
            for head in linear_heads(layer.heads, self.artifact.architecture, number):
                self.apply(head, new, number)
            self.content = new
            for hint in hints.get((number, False), []):
                self.name(hint)
            if layer.ffn is not None:
                interpret_local(self, layer.ffn, number)
            for hint in hints.get((number, True), []):
                self.name(hint)

    def apply(self, head: HeadWeights, new: dict[int, Content], number: int) -> None:
        stack = self.stack(head, number)
        right = [(self.combine(keys), self.combine(queries)) for keys, queries in stack]
        for block in head.W_V.blocks:
            target, read = block.row, self.read(block, number)
            if self.heights.get(target) != read.rows:
                raise NotProved(f"layer {number}: W_V writes a block of rows of another height at row {target}")
            V = self.combine([read])
            for K, Q in right:
                for a, left in V.items():
                    for b, key in K.items():
                        # V Kᵀ = P_a E_a E_bᵀ R_bᵀ = P_a J(a, b) R_bᵀ
                        scores = self.algebra.multiply(
                            self.algebra.multiply(left, self.shared_tokens(a, b)), self.algebra.transpose(key)
                        )
                        for c, query in Q.items():
                            self.accumulate(new[target], c, self.algebra.multiply(scores, query))

    def shared_tokens(self, a: Dim, b: Dim) -> Poly:
        """s E_a M E_bᵀ: the tokens of two extents that are keys, times the factor in front of heads."""
        keys = self.artifact.architecture.key_mask
        if keys is None:
            shared = self.algebra.inclusion(a, b)
        else:
            shared = self.algebra.multiply(self.algebra.inclusion(a, keys), self.algebra.inclusion(keys, b))
        return self.algebra.scale(self.factor, shared)

    def read(self, block: Block, number: int) -> Read:
        """A weight block as a read of one block of rows; refuses weights that are not of that form."""
        height = self.heights.get(block.col)
        if block.column:
            raise NotProved(f"layer {number}: a column of equal weights stands where a block is read, at row {block.col}")
        if block.matrix and height is not None:
            poly = self.constant(block.matrix, (block.dim, height))
            if (len(block.matrix), block.width) != (block.size, size_of(height, self.graph.sizes)):
                raise NotProved(f"layer {number}: the constant at ({block.row}, {block.col}) cuts across named rows")
            return Read(block.col, height, False, block.coefficient, poly)
        if height is not None and block.dim in (height, 1) and size_of(block.dim, self.graph.sizes) == block.size:
            return Read(block.col, height, block.dim != height, block.coefficient)
        raise NotProved(
            f"layer {number}: a weight block at ({block.row}, {block.col}) of size {block.size} cuts across named rows"
        )

    def stack(self, head: HeadWeights, number: int) -> list[tuple[list[Read], list[Read]]]:
        """The pieces of the stacked K and Q: blocks with the same rows of the key space."""
        pieces: dict[int, tuple[int, list[Read], list[Read]]] = {}
        for index, matrix in ((1, head.W_K), (2, head.W_Q)):
            for block in matrix.blocks:
                size, *lists = pieces.setdefault(block.row, (block.size, [], []))
                if size != block.size:
                    raise NotProved(f"layer {number}: pieces of different height share row {block.row} of the key space")
                lists[index - 1].append(self.read(block, number))
        ordered = sorted((row, size) for row, (size, _, _) in pieces.items())
        if any(row + size > following for (row, size), (following, _) in itertools.pairwise(ordered)):
            raise NotProved(f"layer {number}: pieces of the key space overlap")
        for _, keys, queries in pieces.values():
            if len({r.rows for r in keys + queries}) > 1:
                raise NotProved(f"layer {number}: K and Q stack blocks of different dimensions")
        return [(keys, queries) for _, keys, queries in pieces.values()]

    def combine(self, reads: list[Read]) -> Content:
        total: Content = {}
        for read in reads:
            for cols, poly in self.content[read.row].items():
                part = self.algebra.scale(read.coefficient, poly)
                if read.constant is not None:
                    part = self.algebra.multiply(read.constant, part)
                if read.first:
                    part = self.algebra.multiply(self.algebra.inclusion(1, read.height), part)
                self.accumulate(total, cols, part)
        return total

    def accumulate(self, content: Content, cols: Dim, poly: Poly) -> None:
        """Adds P E_cols; a word that ends in J(1, cols) belongs to E_1, since J(1, cols) E_cols = E_1."""
        stay: dict[Word, Fraction] = {}
        move: dict[Word, Fraction] = {}
        unit = next(iter(self.algebra.inclusion(1, cols).terms))[0] if cols != 1 else None
        for word, c in poly:
            if unit is not None and word and word[-1] == unit:
                move[word[:-1]] = c
            else:
                stay[word] = c
        for dim, terms in ((cols, stay), (1, move)):
            if terms:
                part = Poly((poly.shape[0], dim), terms)
                total = self.algebra.add(content[dim], part) if dim in content else part
                content[dim] = self.limited(total)
                if not total.terms:
                    del content[dim]

    # -- names ---------------------------------------------------------------------------------------------

    def restricted(self, row: int, cols: Dim) -> Poly:
        """The first `cols` columns of a block: Σ P_k E_k E_colsᵀ."""
        total = self.algebra.zero((self.heights[row], cols))
        for k, poly in self.content[row].items():
            total = self.algebra.add(total, self.algebra.multiply(poly, self.algebra.inclusion(k, cols)))
        return total

    def name(self, hint: ValueHint) -> None:
        """Gives the value in a block a symbol; the block is then the symbol plus leftovers beyond its columns."""
        if self.heights.get(hint.row) != hint.rows:
            raise NotProved(f"{hint.name} is named on rows of another height")
        computed = self.restricted(hint.row, hint.cols)
        plain = self.algebra.transpose(computed) if hint.flipped else computed
        symbol = self.algebra.atom(self.symbol(hint, plain))
        symbol = self.algebra.transpose(symbol) if hint.flipped else symbol
        # the content is the symbol on its own columns, plus Σ_k P_k (E_k − J(k, cols) E_cols): leftovers beyond them
        left = {k: self.leftover(poly, hint) for k, poly in self.content[hint.row].items() if k != hint.cols}
        self.content[hint.row] = {}
        self.accumulate(self.content[hint.row], hint.cols, symbol)
        for k, poly in left.items():
            self.accumulate(self.content[hint.row], k, poly)
            inside = self.algebra.multiply(poly, self.algebra.inclusion(k, hint.cols))
            self.accumulate(self.content[hint.row], hint.cols, self.algebra.scale(Fraction(-1), inside))

    def leftover(self, poly: Poly, hint: ValueHint) -> Poly:
        """A symbol for what is left beyond a value's columns, so that leftovers do not grow from layer to layer."""
        if len(poly.terms) <= 1:
            return poly
        atom = self.algebra.name_atom_after(poly, f"left beside {hint.name}")
        self.definition[atom] = poly
        return self.algebra.atom(atom)

    def symbol(self, hint: ValueHint, plain: Poly) -> int:
        if hint.node is not None and self.graph.nodes[hint.node].shape == plain.shape:
            meaning = self.translate(hint.node)
            if self.same(plain, meaning):
                if hint.node not in self.node_atom:
                    self.node_atom[hint.node] = self.node_symbol(hint.node, meaning)
                return self.node_atom[hint.node]
        atom = self.algebra.name_atom_after(plain, hint.name)
        self.definition[atom] = plain
        return atom

    def node_symbol(self, node: int, meaning: Poly) -> int:
        symmetric = self.algebra.is_symmetric(self.expand(meaning))
        if node in self.stated and not symmetric:
            self.assumed.append(f"{self.graph.describe(node)} symmetric")
            symmetric = True
        atom = self.algebra.new_atom(self.graph.label(node), meaning.shape, symmetric, self.algebra.family_of(meaning))
        self.origin[atom] = meaning
        return atom

    def same(self, a: Poly, b: Poly) -> bool:
        """Whether two polynomials are equal: as they stand, or with the latest program symbols written out."""
        a, b = self.expand(a), self.expand(b)
        for _ in range(_ROUNDS):
            if equal_apart(self, a, b):
                return True
            symbols = (a.letters() | b.letters()) & self.origin.keys()
            if not symbols:
                return False
            late = max(symbols)
            a, b = (self.expand(self.limited(self.algebra.substitute(p, {late: self.origin[late]}.get))) for p in (a, b))
        return False

    def expand(self, poly: Poly) -> Poly:
        """Intermediate symbols replaced by what the weights compute for them, until only program symbols remain."""
        while any(atom in self.definition for atom in poly.letters()):
            poly = self.limited(self.algebra.substitute(poly, self.definition.get))
        return poly

    def written_out(self, poly: Poly) -> Poly:
        """Without intermediate symbols and without program symbols that are linear combinations of others: units read those."""
        linear = {atom: origin for atom, origin in self.origin.items() if origin.degree() <= 1}
        poly = self.expand(poly)
        while poly.letters() & linear.keys():
            poly = self.expand(self.limited(self.algebra.substitute(poly, linear.get)))
        return poly

    def limited(self, poly: Poly) -> Poly:
        if len(poly.terms) > _MAX_TERMS:
            raise NotProved(f"a polynomial has more than {_MAX_TERMS} terms")
        return poly

    # -- the program ---------------------------------------------------------------------------------------

    def polynomial(self, node: int) -> Poly:
        """A program node in the symbols proved so far: its own symbol, if it has one."""
        if node in self.node_atom:
            return self.algebra.atom(self.node_atom[node])
        if node not in self.program:
            self.program[node] = self.translate(node)
        return self.program[node]

    def translate(self, node: int) -> Poly:
        """What a program node does to the polynomials of its arguments."""
        spec, algebra = self.graph.nodes[node], self.algebra
        if spec.op == "zeros":
            return algebra.zero(spec.shape)
        if spec.op == "eye":
            return algebra.identity(spec.shape[0])
        if spec.op in ("input", "vstack", "constant", "ones", "spread"):
            return self.leaf(node)
        args = [self.polynomial(arg) for arg in spec.args]
        if spec.op == "add":
            return algebra.add(*args)
        if spec.op == "scale":
            return algebra.scale(spec.attr, args[0])
        if spec.op == "transpose":
            return algebra.transpose(args[0])
        if spec.op == "top":
            return algebra.multiply(algebra.inclusion(spec.shape[0], args[0].shape[0]), args[0])
        if spec.op == "matmul":
            if len(args[0].terms) * len(args[1].terms) > _MAX_TERMS:
                raise NotProved(f"the polynomial of {self.graph.describe(node)} has more than {_MAX_TERMS} terms")
            return algebra.multiply(*args)
        if spec.op == "units":
            return local_polynomial(self, node)
        raise NotProved(f"{spec.op} is not algebraic")

    def decoded(self, placed: Placed) -> tuple[int, Dim]:
        """The node that the rows of an output hold over which tokens: for a part of a stack, the whole of it."""
        part = part_of_stack(self.graph, placed.node)
        spec = self.graph.nodes[placed.node if part is None else part]
        if placed.negated != (part not in (None, placed.node)):
            raise NotProved(f"output {placed.name} is read with the wrong sign")
        if part is None:
            if placed.token:
                raise NotProved(f"output {placed.name} is read from token {placed.token}")
            return placed.node, placed.shape[0 if placed.flipped else 1]
        (arg,) = spec.args
        stack = self.graph.nodes[arg].shape[0]
        first = size_of(stack, self.graph.sizes) - placed.width if spec.op == "bottom" else 0
        if not placed.flipped or placed.token != first or placed.width != size_of(spec.shape[0], self.graph.sizes):
            raise NotProved(f"output {placed.name} is not read where that part of the stack lies")
        return arg, stack

    def conclude(self) -> str:
        for placed in self.artifact.decoding:
            node, cols = self.decoded(placed)
            machine = self.restricted(placed.row, cols)
            machine = self.algebra.transpose(machine) if placed.flipped else machine
            program = self.polynomial(node)
            if not self.same(machine, program):
                sides = (self.algebra.canonical(self.expand(side)) for side in (machine, program))
                text = self.algebra.show(self.algebra.subtract(*sides))
                raise NotProved(f"output {placed.name}: the weights minus the program leave {text[:200]}")
        held = self.artifact.architecture.scale.removeprefix("1/")  # weights make up for a scale 1/n: they hold n
        dims = {d for p in self.artifact.encoding for d in p.shape if isinstance(d, str) and "+" not in d} - {held}
        at = f", at {held} = {self.graph.sizes[held]}" if held in self.graph.sizes else ""
        given = f", given {', '.join(sorted(set(self.assumed)))}" if self.assumed else ""
        return f"noncommutative identity, layer by layer, for all {', '.join(sorted(dims)) or 'sizes'} ≥ 1{at}{given}"
