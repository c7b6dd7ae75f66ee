"""From polynomials to values: cutting words to at most three letters, as few layers deep as their letters allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

from .algebra import Algebra, Letter, Poly, Word
from .carried import carried_variables, factors
from .choices import Choices, fewest_layers, partitions
from .dims import Dim, Shape, size_of
from .errors import Location
from .folding import foldable
from .graph import SYMMETRIC, Graph, count_uses
from .ir import Leaf, Value
from .sums import SUM, split_sum


class Values:
    """The values chosen so far, and what a polynomial in them costs as a value of its own."""

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

    def leaf(self, leaf: Leaf, shape: Shape, name: str, node: int | None) -> int:
        symmetric = leaf.node in self.stated or leaf.kind in ("spread", "eye")
        if leaf.kind == "constant":
            symmetric = self.graph.nodes[leaf.node].attr.symmetric
        atom = self.algebra.new_atom(name, shape, symmetric=symmetric)
        self.values[atom] = Value(atom, name, shape, 0, leaf=leaf, node=node)
        if leaf.kind == "constant" and self.choices.fold:
            self.folded.add(atom)
        return atom

    def factors_of(self, poly: Poly) -> int:
        """The degree, without constants that weights can hold."""
        if not self.folded:
            return poly.degree()
        return max((sum(atom not in self.folded for atom, _ in word) for word in poly.terms), default=0)

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
        if self.choices.sums != "attention" and (split := split_sum(poly, self.folded, self.choices.sums)) is not None:
            return self.summed(poly, *split, name, node), False
        return self.new_value(poly, self.level(poly), name, node, where), False

    def summed(self, poly: Poly, products: Poly, rest: Poly, factor: Fraction, name: str, node: int) -> int:
        """factor · products + rest, the sum made by units of the layer that makes the products."""
        spec, total = self.graph.nodes[node], rest
        if products.terms:
            made = self.new_value(products, self.level(products), f"{name}′", None, spec.where)
            total = self.algebra.add(rest, self.algebra.scale(factor, self.algebra.atom(made)))
        total = self.algebra.substitute(total, self.linear.get)
        level = self.level_of_units(total)
        while level > 1:  # a sum of the same layer cannot be read yet, but what it is the sum of
            late = {a: self.values[a].args[0] for a in total.letters() if self.is_late(a, level)}
            earlier = self.algebra.substitute(total, late.get)
            if self.level_of_units(earlier) >= level:
                break
            total, level = earlier, self.level_of_units(earlier)
        symmetric = node in self.stated or self.algebra.is_known_symmetric(poly, self.linear)
        atom = self.algebra.new_atom(name, poly.shape, symmetric)
        self.values[atom] = Value(atom, name, poly.shape, level, node=node, where=spec.where, units=SUM, args=(total,))
        self.known[(poly.shape, frozenset(poly.terms.items()))] = atom
        return atom

    def is_late(self, atom: int, level: int) -> bool:
        """Whether the value is a sum of units that no units before those of the layer `level` can read."""
        return self.values[atom].units == SUM and self.read_by_units(atom) >= level

    def read_by_units(self, atom: int) -> int:
        """The first layer whose units can read the value: what attention of the layer wrote, or units before it."""
        return self.values[atom].level + (self.values[atom].units is not None)

    def level_of_units(self, poly: Poly) -> int:
        """The first layer whose units can read all letters."""
        return max([1, *map(self.read_by_units, poly.letters())])

    def new_value(self, poly: Poly, level: int, name: str, node: int | None, where: Location | None) -> int:
        words = sorted(poly.terms, key=lambda word: (-len(word), word))
        cut = {word: self.cut(word, level - 1, where, len(words) > _MANY) for word in words}
        short = self.algebra.total(poly.shape, (Poly(poly.shape, {cut[word]: coefficient}) for word, coefficient in poly))
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
        stored = [atom for atom, _ in word if atom not in self.folded] if foldable(word, self.folded) else [a for a, _ in word]
        levels = tuple(map(self.letter_level, stored))
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
                    cuts = partitions(i, j, self.choices.parts)
                    below = min(sum(cost(p, q, budget - 1) for p, q in pieces) for pieces in cuts)
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
