"""Instruction selection: from the expression graph to values that are sums of ternary products V Kᵀ Q.

A node becomes a polynomial in the values chosen so far. It is given rows of its own (a value) when it is not linear
and is shared, or named by the user; linear combinations cost nothing (heads read them directly) and become forms.
Words longer than three letters are cut into parts, as few layers deep as the levels of their letters allow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

from .algebra import Algebra, Letter, Poly, Word
from .carried import carried_variables, factors, variable
from .choices import Choices, fewest_layers, partitions
from .dims import Dim, Shape, size_of
from .errors import ArchitectureError, Location
from .folding import foldable
from .graph import SYMMETRIC, Graph, Node, count_uses, part_of_stack
from .ir import Leaf, Plan, Value


def select(graph: Graph, choices: Choices) -> Plan:
    """Chooses the values of a plan. Raises ArchitectureError for an operation that attention alone cannot do."""
    return _Selection(graph, choices).plan()


class _Selection:
    def __init__(self, graph: Graph, choices: Choices) -> None:
        self.graph, self.choices = graph, choices
        self.max_terms = choices.max_terms * (10 if choices.inline == "all" else 1)
        self.algebra = Algebra()
        self.values: dict[int, Value] = {}
        self.linear: dict[int, Poly] = {}  # atom of a form -> the linear polynomial that it stands for
        self.origin: dict[int, Poly] = {}  # atom of a value -> its polynomial before cutting
        self.views: dict[Letter, int] = {}  # stacked letter → the atom of its first rows
        self.known: dict[tuple[Shape, frozenset[tuple[Word, Fraction]]], int] = {}
        self.single: dict[Word, tuple[int, bool]] = {}  # words that values hold, as they are or transposed
        self.shallowest: dict[tuple[int, ...], int] = {}
        self.polys: dict[int, Poly] = {}
        self.ones: dict[Dim, int] = {}
        self.folded: set[int] = set()  # constants that go into weights where that is possible
        self.uses = count_uses(graph)
        self.factors, self.carried = factors(graph), carried_variables(graph)
        self.stated = {fact.node for fact in graph.facts if fact.kind in SYMMETRIC}

    def plan(self) -> Plan:
        parts = {spec.node: part_of_stack(self.graph, spec.node) for spec in self.graph.outputs}
        cut_out = {n for output, part in parts.items() if part is not None for n in (output, part)}  # what is only read
        for index, node in enumerate(self.graph.nodes):
            if self.uses[index] and not (index in cut_out and self.uses[index] == 1):
                self.polys[index] = self.translate(index, node)
        outputs = []
        for spec in self.graph.outputs:
            part = parts[spec.node]
            read = spec.node if part is None else self.graph.nodes[part].args[0]
            atom, flipped = self.as_value(self.polys[read], read, spec.name)
            outputs.append((spec, atom, flipped))
        return Plan(self.graph, self.algebra, self.values, self.linear, tuple(outputs), self.ones, frozenset(self.folded))

    # -- nodes to polynomials ------------------------------------------------------------------------------

    def translate(self, index: int, node: Node) -> Poly:
        algebra = self.algebra
        args = [self.polys[arg] for arg in node.args]
        if node.op == "zeros":
            return algebra.zero(node.shape)
        if node.op == "eye":
            return algebra.identity(node.shape[0])
        if node.op in ("input", "constant", "ones", "vstack"):
            return algebra.atom(self.leaf(Leaf(node.op, index), node.shape, self.leaf_name(index), index))
        if node.op == "spread":
            return self.spread(index, node)
        if node.op == "add":
            poly = algebra.add(*args)
        elif node.op == "scale":
            poly = algebra.scale(node.attr, args[0])
        elif node.op == "transpose":
            poly = algebra.transpose(args[0])
        elif node.op == "top":
            poly = self.top(args[0], index, node)
        elif node.op == "bottom":
            raise ArchitectureError(
                f"cannot compute with {self.graph.describe(index)}",
                where=node.where,
                rule="products sum over the first tokens: only the first part of a stacked value can enter them",
                fix="return it, or give these rows an input of their own",
            )
        elif node.op == "matmul":
            poly = self.product(node.args[0], node.args[1])
        elif node.op == "units":
            return algebra.atom(self.units(index, node))
        else:
            raise ArchitectureError(f"{node.op} needs a feed-forward part", where=node.where)
        if (self.factors_of(poly) >= 2 and self.kept(index)) or (len(poly.terms) >= 2 and self.updated(index)):
            atom, flipped = self.as_value(poly, index, self.graph.label(index))
            poly = algebra.transpose(algebra.atom(atom)) if flipped else algebra.atom(atom)
        return poly

    def factors_of(self, poly: Poly) -> int:
        """The degree, without constants that weights can hold."""
        if not self.folded:
            return poly.degree()
        return max((sum(atom not in self.folded for atom, _ in word) for word in poly.terms), default=0)

    def units(self, index: int, node: Node) -> int:
        """A feed-forward value: it reads what attention of its own layer writes, and what is there before."""
        args = tuple(self.readable(self.polys[arg], arg) for arg in node.args)
        letters = {atom for poly in args for atom in poly.letters()}
        level = max((self.values[a].level + (self.values[a].units is not None) for a in letters), default=0)
        if node.attr.biased:
            for dim in node.shape:
                self.bias(dim)
        made = node.attr.name if node.attr.name.isidentifier() else f"[{node.attr.name.replace(' ', '')}]"
        name, where = self.graph.labels.get(index, made), node.where
        atom = self.algebra.new_atom(name, node.shape, index in self.stated)
        self.values[atom] = Value(atom, name, node.shape, max(level, 1), node=index, where=where, units=node.attr, args=args)
        return atom

    def readable(self, poly: Poly, node: int) -> Poly:
        """A linear polynomial in values: what a row of W_1 can read."""
        poly = self.algebra.substitute(poly, self.linear.get)
        return poly if poly.degree() <= 1 else self.stored(poly, node)

    def bias(self, dim: Dim) -> None:
        """The column of ones of that length, of which the transpose is the row that biases read."""
        if dim == 1 or dim in self.ones:
            return
        index = next(i for i, n in enumerate(self.graph.nodes) if n.op == "ones" and n.shape == (dim, 1))
        if index in self.polys:
            (((self.ones[dim], _),),) = self.polys[index].terms
        else:
            self.ones[dim] = self.leaf(Leaf("ones", index), (dim, 1), self.leaf_name(index), index)
            self.polys[index] = self.algebra.atom(self.ones[dim])

    def leaf_name(self, index: int) -> str:
        node = self.graph.nodes[index]
        nameless = node.op == "ones" and index not in self.graph.labels
        return f"1_{node.shape[0]}" if nameless else self.graph.label(index)

    def top(self, poly: Poly, index: int, node: Node) -> Poly:
        """The first rows of a stacked value: of the first letter of every word."""
        poly, out = self.algebra.substitute(poly, self.linear.get), self.algebra.zero(node.shape)
        for word, c in poly:
            if not word:
                raise ArchitectureError(f"cannot cut {self.graph.describe(index)} out of an identity", where=node.where)
            first, shape = word[0], (node.shape[0], self.algebra.letter_shape(word[0])[1])
            if self.choices.apart and (alone := self.first_part(first, node.shape[0])) is not None:
                out = self.algebra.add(out, self.algebra.multiply(alone, Poly((shape[1], node.shape[1]), {word[1:]: c})))
                continue
            if first not in self.views:
                name = f"{self.algebra.show_word((first,))}[:{node.shape[0]}]"
                self.views[first] = self.algebra.new_atom(name, shape)
                self.values[self.views[first]] = Value(self.views[first], name, shape, self.letter_level(first[0]), view=first)
            out = self.algebra.add(out, Poly(node.shape, {((self.views[first], False), *word[1:]): c}))
        return out

    def first_part(self, letter: Letter, rows: Dim) -> Poly | None:
        """The input that the first rows of an encoded stack are."""
        leaf = self.values[letter[0]].leaf if letter[0] in self.values else None
        if leaf is None or leaf.kind != "vstack" or letter[1]:
            return None
        first = self.graph.nodes[leaf.node].args[0]
        return self.polys[first] if self.graph.nodes[first].op == "input" and self.graph.nodes[first].shape[0] == rows else None

    def kept(self, index: int) -> bool:
        shared, named = self.uses[index] > 1, index in self.graph.labels
        carried = index in self.factors or variable(self.graph.label(index)) in self.carried
        return {"shared": shared, "named": named, "either": shared or named, "carried": named and carried}[self.choices.keep]

    def updated(self, index: int) -> bool:
        """Whether "carried" keeps this linear combination: the new value of a variable that a loop adds to."""
        label = self.graph.labels.get(index)
        return self.choices.keep == "carried" and label is not None and variable(label) in self.carried

    def leaf(self, leaf: Leaf, shape: Shape, name: str, node: int | None) -> int:
        symmetric = leaf.node in self.stated or leaf.kind in ("spread", "eye")
        if leaf.kind == "constant":
            symmetric = self.graph.nodes[leaf.node].attr.symmetric
        atom = self.algebra.new_atom(name, shape, symmetric=symmetric)
        self.values[atom] = Value(atom, name, shape, 0, leaf=leaf, node=node)
        if leaf.kind == "constant" and self.choices.fold:
            self.folded.add(atom)
        return atom

    def spread(self, index: int, node: Node) -> Poly:
        scalar = node.args[0]
        if self.graph.nodes[scalar].op != "input":
            raise ArchitectureError(
                f"cannot scale a matrix by the computed scalar {self.graph.label(scalar)}",
                where=node.where,
                rule="attention multiplies stored matrices; a computed scalar has no stored multiple of the identity",
                fix="scale a vector instead (v * s), make the scalar an input, or write it into one of the products",
            )
        return self.algebra.atom(self.leaf(Leaf("spread", index), node.shape, f"{self.graph.label(scalar)}·I", index))

    def product(self, a: int, b: int) -> Poly:
        left, right = self.factor(self.polys[a]), self.factor(self.polys[b])
        too_large = len(left.terms) * len(right.terms) > self.choices.max_terms
        too_high = self.factors_of(left) + self.factors_of(right) > self.choices.max_degree
        if too_large or too_high:
            left, right = self.stored(left, a), self.stored(right, b)
        return self.algebra.multiply(left, right)

    def factor(self, poly: Poly) -> Poly:
        """A linear combination of several letters becomes one letter, a form."""
        if not self.choices.forms or poly.degree() != 1 or len(poly.terms) < 2:
            return poly
        expanded = self.algebra.substitute(poly, self.linear.get)
        key = (expanded.shape, frozenset(expanded.terms.items()))
        if key not in self.known:
            atom = self.algebra.name_atom_after(expanded, f"({self.algebra.show(expanded)})")
            self.known[key], self.linear[atom] = atom, expanded
        return self.algebra.atom(self.known[key])

    def stored(self, poly: Poly, node: int) -> Poly:
        if poly.degree() < 2:
            return poly
        atom, flipped = self.as_value(poly, node, self.graph.label(node))
        return self.algebra.transpose(self.algebra.atom(atom)) if flipped else self.algebra.atom(atom)

    # -- polynomials to values -----------------------------------------------------------------------------

    def as_value(self, poly: Poly, node: int, name: str) -> tuple[int, bool]:
        """The value that holds `poly` (made now if need be), and whether it holds the transpose."""
        if len(poly.terms) == 1:
            ((word, coefficient),) = poly.terms.items()
            if coefficient == 1 and len(word) == 1 and word[0][0] in self.values:
                return word[0]
            if coefficient == 1 and not word:
                return self.leaf(Leaf("eye", node), poly.shape, name, node), False
        if not poly.terms:
            return self.leaf(Leaf("zeros", node), poly.shape, name, node), False
        poly = self.look_through(poly)
        for candidate, flipped in ((poly, False), (self.algebra.transpose(poly), True)):
            key = (candidate.shape, frozenset(candidate.terms.items()))
            if key in self.known and self.known[key] in self.values:
                return self.known[key], flipped
        where = self.graph.nodes[node].where
        return self.new_value(poly, self.level(poly), name, node, where), False

    def new_value(self, poly: Poly, level: int, name: str, node: int | None, where: Location | None) -> int:
        words = sorted(poly.terms, key=lambda word: (-len(word), word))
        cut = {word: self.cut(word, level - 1, where, len(words) > _MANY) for word in words}
        short = self.algebra.zero(poly.shape)
        for word, coefficient in poly:
            short = self.algebra.add(short, Poly(poly.shape, {cut[word]: coefficient}))
        symmetric = node in self.stated or self.algebra.is_known_symmetric(poly, self.linear)
        atom = self.algebra.new_atom(name, poly.shape, symmetric, self.algebra.family_of(poly))
        self.values[atom] = Value(atom, name, poly.shape, level, poly=short, node=node, where=where)
        self.origin[atom] = poly
        self.known[(poly.shape, frozenset(poly.terms.items()))] = atom
        if list(poly.terms.values()) == [1]:
            (word,) = poly.terms
            self.single.setdefault(self.algebra.normal(self.algebra.flip_word(word)), (atom, True))
            self.single[self.algebra.normal(word)] = (atom, False)
        return atom

    def letter_level(self, atom: int) -> int:
        if atom in self.linear:
            return max((self.values[a].level for a in self.linear[atom].letters()), default=0)
        return self.values[atom].level

    def level(self, poly: Poly) -> int:
        """The layer after which a value of this polynomial can be in the stream."""
        return max(map(self.word_level, poly.terms), default=1)

    def word_level(self, word: Word) -> int:
        """The level of a word as a value: of the shallowest tree of products."""
        levels = tuple(self.letter_level(atom) for atom, _ in word if atom not in self.folded) or (0,)
        if levels not in self.shallowest:
            self.shallowest[levels] = fewest_layers(levels, self.choices.parts)
        return self.shallowest[levels]

    def find(self, word: Word) -> tuple[int, bool] | None:
        """A value that is exactly this word, if one exists, and whether it holds the transpose."""
        return self.single.get(self.algebra.normal(word))

    def cut(self, word: Word, budget: int, where: Location | None, many: bool = False) -> Word:
        """The word as at most three letters that exist by level `budget`, with the fewest rows of new values.

        Of `many` words each is cut where it finds the most letters that exist, without looking further ahead.
        """
        if len(word) <= 1 or (foldable(word, self.folded) and self.word_level(word) <= budget + 1):
            return word
        cost = self.immediate_cost(word) if many else self.cutting_cost(word)
        options = [p for p in partitions(0, len(word), self.choices.parts) if all(cost(i, j, budget) < _NEVER for i, j in p)]
        best = min(options, key=lambda pieces: (sum(cost(i, j, budget) for i, j in pieces), -len(pieces), pieces))
        return tuple(self.as_letter(word[i:j], budget, where) for i, j in best)

    def immediate_cost(self, word: Word) -> Callable[[int, int, int], float]:
        """cost(i, j, budget): the letters of word[i:j], unless it is a value already."""

        def cost(i: int, j: int, budget: int) -> float:
            part = word[i:j]
            too_late = self.letter_level(part[0][0]) if len(part) == 1 else self.word_level(part)
            if too_late > budget:
                return _NEVER
            return 0.0 if len(part) == 1 or self.find(part) else float(j - i)

        return cost

    def cutting_cost(self, word: Word) -> Callable[[int, int, int], float]:
        """cost(i, j, budget): the rows of new values that make word[i:j] available by level `budget`."""
        table: dict[tuple[int, int, int], float] = {}

        def cost(i: int, j: int, budget: int) -> float:
            if j - i == 1:
                return 0.0 if self.letter_level(word[i][0]) <= budget else _NEVER
            if (i, j, budget) not in table:
                existing = self.find(word[i:j])
                if existing is not None:
                    result = 0.0 if self.values[existing[0]].level <= budget else _NEVER
                elif budget < 1:
                    result = _NEVER
                else:
                    below = min(sum(cost(p, q, budget - 1) for p, q in pieces) for pieces in partitions(i, j, self.choices.parts))
                    rows, cols = self.algebra.letter_shape(word[i])[0], self.algebra.letter_shape(word[j - 1])[1]
                    result = below + min(size_of(rows, self.graph.sizes), size_of(cols, self.graph.sizes))
                table[i, j, budget] = result
            return table[i, j, budget]

        return cost

    def as_letter(self, word: Word, budget: int, where: Location | None) -> tuple[int, bool]:
        if len(word) == 1:
            return word[0]
        existing = self.find(word)
        if existing is not None and self.values[existing[0]].level <= budget:
            return existing
        shape = (self.algebra.letter_shape(word[0])[0], self.algebra.letter_shape(word[-1])[1])
        poly = self.algebra.word(word, shape)
        return self.new_value(poly, self.level(poly), self.algebra.show_word(word), None, where), False

    def look_through(self, poly: Poly) -> Poly:
        """Replaces letters by their definitions where that lowers the level: in the words that are late, the latest.

        With inline="all" it goes on while a level is not reached yet, as long as there are few enough terms.
        """
        best, level = poly, self.level(poly)
        while level > 1:
            wanted = level
            late = {word: self.latest(word) for word in poly.terms if self.word_level(word) >= wanted}
            if not all(late.values()):
                return best
            deeper = Poly(poly.shape, {word: c for word, c in poly if word not in late})
            for word, atoms in late.items():
                inside = {a: self.linear.get(a) or self.origin[a] for a in atoms}
                one = Poly(poly.shape, {word: poly.terms[word]})
                if not self.fits(one, inside) or len(deeper.terms) > self.max_terms:
                    return best
                deeper = self.algebra.add(deeper, self.algebra.substitute(one, inside.get))
            if len(deeper.terms) > self.max_terms:
                return best
            poly = deeper
            if self.level(poly) < level:
                best, level = poly, self.level(poly)
            elif self.choices.inline != "all":
                return best
        return best

    def latest(self, word: Word) -> set[int]:
        """The letters of a word that may be looked through and are computed last."""
        open_to_view = {atom for atom, _ in word if self.may_inline(atom)}
        last = max(map(self.letter_level, open_to_view), default=0)
        return {atom for atom in open_to_view if self.letter_level(atom) == last}

    def fits(self, poly: Poly, inside: Mapping[int, Poly]) -> bool:
        """Whether the polynomial with letters written out stays small: checked before the work is done."""
        terms = 0
        for word in poly.terms:
            product, degree = 1, 0
            for atom, _ in word:
                product *= len(inside[atom].terms) if atom in inside else 1
                degree += inside[atom].degree() if atom in inside else 1
            terms += product
            if terms > 4 * self.max_terms or degree > self.choices.max_degree:
                return False
        return True

    def may_inline(self, atom: int) -> bool:
        """Computed letters; with inline="minor" not those that the user named and multiplies more than once."""
        if self.letter_level(atom) == 0 or (atom in self.values and self.values[atom].poly is None):
            return False
        if self.choices.inline == "all":
            return True
        node = self.values[atom].node if atom in self.values else None
        if atom not in self.values or node not in self.graph.labels or node is None:
            return atom in self.values
        return self.uses[node] <= 1 or node not in self.factors


_NEVER = float("inf")

#: Polynomials of more words than this are cut without looking ahead.
_MANY = 24
