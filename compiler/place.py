"""Orientation: which values are stored as rows, which transposed, and which block plays V, K and Q in each term.

A word f₁ f₂ f₃ is V = f₁, K = f₂ᵀ, Q = f₃, so f₂ must be stored transposed. Words of two letters need an
identity in one of the three places, words of one letter two of them. Values are visited from the last to the
first; each term takes the way that asks for the fewest new rows, given what later terms already ask for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from .algebra import Letter, Word
from .dims import Dim, size_of
from .errors import ArchitectureError
from .ir import Copy, Form, Placement, Plan, Term, whole

_IDENTITY = -1


def identity_copy(dim: Dim) -> Copy:
    return Copy(_IDENTITY, False, dim, dim)


def is_identity(copy: Copy) -> bool:
    return copy.atom == _IDENTITY


@dataclass(frozen=True)
class Taste:
    """What a row is worth when blocks are chosen: the price of a computed row (an input's is 1), and whether all
    named dimensions count alike instead of by their sizes."""

    computed: float = 1.5
    alike: bool = False


def place(plan: Plan, flips: tuple[bool, ...], taste: Taste) -> Placement:
    """Stores output i transposed where flips[i] says so, and everything else as the outputs need it."""
    placing = _Placing(plan, taste)
    outputs = []
    for (spec, atom, flipped), flip in zip(plan.outputs, flips, strict=True):
        if plan.graph.nodes[spec.node].op in ("top", "bottom"):  # cut out of tokens: the stack must lie along them
            flip = not flipped
        copy = placing.stored((atom, flip))
        placing.demand(copy)
        outputs.append((spec, copy, copy.flipped != flipped))
    order = sorted((v for v in plan.values.values() if v.poly is not None), key=lambda v: (-v.level, -v.atom))
    chosen: dict[Copy, list[Term]] = {}
    for value in order:
        for flipped in (False, True):
            copy = placing.stored((value.atom, flipped))
            if copy in placing.demanded and copy not in chosen:
                chosen[copy] = [placing.choose(word, c, copy) for word, c in placing.words(copy)]
    terms = {
        copy: tuple(
            placing.alternatives(word, c, copy, term) for (word, c), term in zip(placing.words(copy), picked, strict=True)
        )
        for copy, picked in chosen.items()
    }
    encoded = tuple(sorted(copy for copy in placing.demanded if copy not in terms))
    return Placement(plan, terms, encoded, tuple(outputs))


class _Placing:
    def __init__(self, plan: Plan, taste: Taste) -> None:
        self.plan, self.algebra, self.taste = plan, plan.algebra, taste
        self.sizes = plan.graph.sizes
        self.demanded: set[Copy] = set()

    def stored(self, letter: Letter, transposed: bool = False) -> Copy:
        """The copy whose rows hold the letter (or its transpose)."""
        value = self.plan.values[letter[0]]
        if value.view is not None:
            copy = self.stored(value.view, transposed=letter[1] != transposed)
            first = value.shape[0]  # as tokens it is a view; as rows nothing can read it
            return replace(copy, cols=first) if letter[1] != transposed else replace(copy, rows=first)
        flipped = (letter[1] != transposed) and not self.algebra.atoms[letter[0]].symmetric
        rows, cols = value.shape
        if value.leaf is not None and value.leaf.kind == "eye":
            return identity_copy(rows)
        return Copy(letter[0], flipped, *((cols, rows) if flipped else (rows, cols)))

    def demand(self, copy: Copy) -> None:
        self.demanded.add(whole(self.plan, copy))

    def readable(self, term: Term) -> bool:
        return all(c.rows == whole(self.plan, c).rows for form in (term.V, term.K, term.Q) for _, c in form)

    def words(self, copy: Copy) -> list[tuple[Word, Fraction]]:
        poly = self.plan.values[copy.atom].poly
        assert poly is not None
        return list(self.algebra.transpose(poly) if copy.flipped else poly)

    def form(self, letter: Letter, transposed: bool = False) -> Form:
        """The stored copies whose combination is the letter (or its transpose)."""
        linear = self.plan.forms.get(letter[0])
        if linear is None:
            return ((Fraction(1), self.stored(letter, transposed)),)
        entries = []
        for word, coefficient in linear:
            flip = letter[1] != transposed
            copy = self.stored((word[0][0], word[0][1] != flip)) if word else identity_copy(linear.shape[0])
            entries.append((coefficient, copy))
        return tuple(entries)

    def ways(self, word: Word, coefficient: Fraction) -> Iterator[Term]:
        """Every way to write a word of at most three letters as V Kᵀ Q."""

        def eye(dim: Dim) -> Form:
            return ((Fraction(1), identity_copy(dim)),)

        if len(word) == 3:
            yield Term(coefficient, self.form(word[0]), self.form(word[1], True), self.form(word[2]))
            return
        if not word:
            return
        rows, cols = self.algebra.letter_shape(word[0])[0], self.algebra.letter_shape(word[-1])[1]
        if len(word) == 2:
            inner = self.algebra.letter_shape(word[0])[1]
            yield Term(coefficient, self.form(word[0]), self.form(word[1], True), eye(cols))
            yield Term(coefficient, self.form(word[0]), eye(inner), self.form(word[1]))
            yield Term(coefficient, eye(rows), self.form(word[0], True), self.form(word[1]))
        else:
            yield Term(coefficient, self.form(word[0]), eye(cols), eye(cols))
            yield Term(coefficient, eye(rows), eye(rows), self.form(word[0]))
            yield Term(coefficient, eye(rows), self.form(word[0], True), eye(cols))

    def options(self, word: Word, coefficient: Fraction, copy: Copy) -> list[Term]:
        if word:
            scalar = (copy.rows, copy.cols) == (1, 1)
            words = [word, self.algebra.flip_word(word)] if scalar else [word]
            found = [way for w in words for way in self.ways(w, coefficient) if self.readable(way)]
            if not found:
                value = self.plan.values[copy.atom]
                raise ArchitectureError(
                    f"{value.name} reads the first rows of a stacked value where they cannot be read",
                    where=value.where,
                    rule="the rows of a stack lie along tokens: a product can sum over them, not have them as its own rows",
                    fix="write the product so that the part is transposed or summed over",
                )
            return found
        eye: Form = ((Fraction(1), identity_copy(copy.rows)),)
        return [Term(coefficient, eye, eye, eye)]

    def new_rows(self, term: Term) -> float:
        """The rows of copies that nothing has asked for yet; a computed one has a price of its own."""
        total = 0.0
        for copy in {whole(self.plan, c) for form in (term.V, term.K, term.Q) for _, c in form}:
            if copy not in self.demanded and not (copy == identity_copy(1) and any(map(is_identity, self.demanded))):
                computed = not is_identity(copy) and self.plan.values[copy.atom].leaf is None
                rows = 16 if self.taste.alike and isinstance(copy.rows, str) else size_of(copy.rows, self.sizes)
                total += rows * (self.taste.computed if computed else 1.0)
        return total

    def choose(self, word: Word, coefficient: Fraction, copy: Copy) -> Term:
        best = min(self.options(word, coefficient, copy), key=self.new_rows)
        for form in (best.V, best.K, best.Q):
            for _, read in form:
                self.demand(read)
        return best

    def alternatives(self, word: Word, coefficient: Fraction, copy: Copy, chosen: Term) -> tuple[Term, ...]:
        """The chosen way, then the other ways that use only copies that exist anyway."""
        others = [t for t in self.options(word, coefficient, copy) if t != chosen]
        usable = [t for t in others if all(whole(self.plan, c) in self.demanded for form in (t.V, t.K, t.Q) for _, c in form)]
        return (chosen, *usable)


def ways(plan: Plan, copy: Copy) -> list[list[Term]]:
    """For every term of a computed copy all ways to write it as V Kᵀ Q, whatever is stored."""
    placing = _Placing(plan, Taste())
    return [placing.options(word, c, copy) for word, c in placing.words(copy)]


def copies_of(plan: Plan, atom: int) -> list[Copy]:
    """The ways in which a value may be stored: as rows, transposed."""
    placing = _Placing(plan, Taste())
    return list(dict.fromkeys(placing.stored((atom, flip)) for flip in (False, True)))


def output_copies(plan: Plan) -> list[dict[Copy, bool]]:
    """For every output the copies that it may be read from, and whether it is read transposed."""
    placing, found = _Placing(plan, Taste()), []
    for spec, atom, flipped in plan.outputs:
        cut = plan.graph.nodes[spec.node].op in ("top", "bottom")  # cut out of tokens: the stack must lie along them
        copies = [placing.stored((atom, flip)) for flip in ((not flipped,) if cut else (False, True))]
        found.append({copy: copy.flipped != flipped for copy in copies})
    return found
