"""Noncommutative polynomials with transposes: the arithmetic of matrix programs, for all dimensions at once.

    letter  ::= (atom, transposed?)          an atom is a matrix that we do not look into
    word    ::= letter*                      a product; the empty word is an identity
    poly    ::= Σ rational · word            of one shape

`Algebra` knows facts about its atoms. Words keep the user's order (rounding depends on it), with two reductions:
  * a symmetric atom has no transposed letter;
  * inclusions J(k,l) = [I 0] between token counts compose where no size matters: J(1,k) J(k,l) = J(1,l).
`canonical` goes on to the form in which polynomials are compared:
  * atoms of one family (polynomials in one and the same square atom) commute, and so do scalars: runs are sorted;
  * a 1 × 1 word, also inside a longer one, equals its transpose and commutes with others.
All of these hold for every size, so an equality of canonical forms is a proof for all dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import prod
from typing import TypeAlias

from .dims import Dim, Shape

Letter: TypeAlias = tuple[int, bool]
Word: TypeAlias = tuple[Letter, ...]


#: Polynomials of more words are not multiplied out to see whether they are symmetric. A fact that is not seen costs rows at
#: worst: the value is then stored both ways.
SHORT = 1024


@dataclass(frozen=True)
class Atom:
    name: str
    shape: Shape
    symmetric: bool = False
    family: Hashable = None
    inclusion: bool = False


@dataclass(frozen=True)
class Poly:
    """A polynomial of one shape; `terms` never holds a zero coefficient."""

    shape: Shape
    terms: Mapping[Word, Fraction] = field(default_factory=dict)

    def degree(self) -> int:
        return max((len(word) for word in self.terms), default=0)

    def letters(self) -> set[int]:
        return {atom for word in self.terms for atom, _ in word}

    def __iter__(self) -> Iterator[tuple[Word, Fraction]]:
        return iter(self.terms.items())


class Algebra:
    """A growing set of atoms, and arithmetic on polynomials in them."""

    def __init__(self) -> None:
        self.atoms: list[Atom] = []
        self._inclusions: dict[Shape, int] = {}
        self._parts: dict[Word, Letter] = {}  # J(k, l) Z → A, where the first rows of Z are A

    # -- atoms ---------------------------------------------------------------------------------------------

    def new_atom(self, name: str, shape: Shape, symmetric: bool = False, family: Hashable = None) -> int:
        if shape == (1, 1):
            symmetric, family = True, ("scalar", False)
        elif family is None and shape[0] == shape[1]:
            family = (len(self.atoms), False)
        self.atoms.append(Atom(name, shape, symmetric, family))
        return len(self.atoms) - 1

    def inclusion(self, rows: Dim, cols: Dim) -> Poly:
        """J(rows, cols) = [I 0]: the first columns of an identity, cut or padded to the shape."""
        if rows == cols:
            return self.identity(rows)
        flip = str(rows) > str(cols) if 1 not in (rows, cols) else cols == 1
        key = (cols, rows) if flip else (rows, cols)
        if key not in self._inclusions:
            self._inclusions[key] = len(self.atoms)
            self.atoms.append(Atom(f"J({key[0]},{key[1]})", key, inclusion=True))
        return Poly((rows, cols), {((self._inclusions[key], flip),): Fraction(1)})

    def state_first_rows(self, whole: int, part: int) -> None:
        """A fact: the first rows of the atom `whole` are the atom `part`."""
        rows, total = self.atoms[part].shape[0], self.atoms[whole].shape[0]
        ((inclusion,),) = self.inclusion(rows, total).terms
        pair = (inclusion, (whole, False))
        self._parts[pair] = (part, False)
        self._parts[self.flip_word(pair)] = (part, True)

    def name_atom_after(self, poly: Poly, name: str) -> int:
        """A new atom that stands for `poly`, with the facts that follow from its normal form."""
        return self.new_atom(name, poly.shape, self.is_symmetric(poly), self.family_of(poly))

    def is_symmetric(self, poly: Poly) -> bool:
        return poly.shape[0] == poly.shape[1] and self.equal(self.transpose(poly), poly)

    def is_known_symmetric(self, poly: Poly, sums: Mapping[int, Poly]) -> bool:
        """Whether a polynomial is seen to be symmetric: as it stands, or with the atoms that are `sums` multiplied out where
        that is short. A product of k sums has 2^k words or more; the facts about its letters often settle it before."""
        if poly.shape[0] != poly.shape[1] or self.is_symmetric(poly):
            return poly.shape[0] == poly.shape[1]
        words = sum(prod(len(sums[atom].terms) for atom, _ in word if atom in sums) for word in poly.terms)
        return words <= SHORT and self.is_symmetric(self.substitute(poly, sums.get))

    def family_of(self, poly: Poly) -> Hashable:
        """The family that all letters of `poly` belong to, when there is exactly one."""
        families = {self.letter_family(letter) for word in poly.terms for letter in word}
        return families.pop() if len(families) == 1 and poly.shape[0] == poly.shape[1] else None

    def letter_family(self, letter: Letter) -> Hashable:
        atom = self.atoms[letter[0]]
        if atom.family is None or atom.symmetric or not letter[1]:
            return atom.family
        assert isinstance(atom.family, tuple)
        return atom.family[0], not atom.family[1]

    # -- letters and words ---------------------------------------------------------------------------------

    def letter_shape(self, letter: Letter) -> Shape:
        rows, cols = self.atoms[letter[0]].shape
        return (cols, rows) if letter[1] else (rows, cols)

    def _flip(self, letter: Letter) -> Letter:
        return letter if self.atoms[letter[0]].symmetric else (letter[0], not letter[1])

    def flip_word(self, word: Word) -> Word:
        return tuple(self._flip(letter) for letter in reversed(word))

    def normal(self, word: Word) -> Word:
        return self._joined_inclusions(tuple((a, t and not self.atoms[a].symmetric) for a, t in word))

    def canonical(self, poly: Poly) -> Poly:
        """The form in which polynomials are compared: equal canonical forms are equal matrices, for every size."""

        return self._collect(poly.shape, ((self._canonical_word(word, poly.shape), c) for word, c in poly))

    def _canonical_word(self, word: Word, shape: Shape) -> Word:
        """Cuts the word wherever an inner dimension is 1. The pieces between are scalars: each is replaced by the
        smaller of itself and its transpose, and they are sorted."""
        pieces: list[Word] = [()]
        for letter in word:
            pieces[-1] += (letter,)
            if self.letter_shape(letter)[1] == 1:
                pieces.append(())
        if shape[1] == 1:
            pieces.pop()
        first = [] if shape[0] == 1 or not pieces else [pieces.pop(0)]
        last = [] if shape[1] == 1 or not pieces else [pieces.pop()]
        scalars = sorted(min(self._sorted_runs(p), self._sorted_runs(self.flip_word(p))) for p in pieces)
        return tuple(letter for p in (*map(self._sorted_runs, first), *scalars, *map(self._sorted_runs, last)) for letter in p)

    def equal(self, a: Poly, b: Poly) -> bool:
        return a.shape == b.shape and self.canonical(a).terms == self.canonical(b).terms

    def _joined_inclusions(self, word: Word) -> Word:
        out: list[Letter] = []
        for letter in word:
            out.append(letter)
            if tuple(out[-2:]) in self._parts:
                out[-2:] = [self._parts[tuple(out[-2:])]]
            while len(out) >= 2 and self.atoms[out[-1][0]].inclusion and self.atoms[out[-2][0]].inclusion:
                (rows, middle), cols = self.letter_shape(out[-2]), self.letter_shape(out[-1])[1]
                if middle == 1 or 1 not in (rows, cols):
                    break  # J(k,l) J(l,m) depends on which of the sizes is larger: no rule
                del out[-2:]
                if rows != cols:
                    ((joined,),) = self.inclusion(rows, cols).terms
                    out.append(joined)
        return tuple(out)

    def _sorted_runs(self, word: Word) -> Word:
        out: list[Letter] = []
        run: list[Letter] = []
        family: Hashable = None
        for letter in word:
            this = self.letter_family(letter)
            if this is None or this != family:
                out += sorted(run)
                run, family = [], this
            run.append(letter)
        return tuple(out + sorted(run))

    # -- polynomials ---------------------------------------------------------------------------------------

    def zero(self, shape: Shape) -> Poly:
        return Poly(shape)

    def identity(self, dim: Dim) -> Poly:
        return Poly((dim, dim), {(): Fraction(1)})

    def atom(self, number: int) -> Poly:
        return Poly(self.atoms[number].shape, {((number, False),): Fraction(1)})

    def word(self, word: Word, shape: Shape) -> Poly:
        return Poly(shape, {self.normal(word): Fraction(1)})

    def _collect(self, shape: Shape, terms: Iterator[tuple[Word, Fraction]]) -> Poly:
        out: dict[Word, Fraction] = {}
        for word, coefficient in terms:
            out[word] = out[word] + coefficient if word in out else coefficient
        return Poly(shape, {word: c for word, c in out.items() if c})

    def add(self, a: Poly, b: Poly) -> Poly:
        assert a.shape == b.shape, f"adding {a.shape} and {b.shape}"
        return self.total(a.shape, (a, b))

    def total(self, shape: Shape, polys: Iterable[Poly]) -> Poly:
        """The sum of polynomials of one shape: each term is looked at once, however many there are."""
        return self._collect(shape, (term for poly in polys for term in poly))

    def scale(self, factor: Fraction, a: Poly) -> Poly:
        return Poly(a.shape, {w: factor * c for w, c in a} if factor else {})

    def subtract(self, a: Poly, b: Poly) -> Poly:
        return self.add(a, self.scale(Fraction(-1), b))

    def multiply(self, a: Poly, b: Poly) -> Poly:
        assert a.shape[1] == b.shape[0], f"multiplying {a.shape} and {b.shape}"
        shape = (a.shape[0], b.shape[1])
        return self._collect(shape, ((self.normal(v + w), c * d) for v, c in a for w, d in b))

    def transpose(self, a: Poly) -> Poly:
        shape = (a.shape[1], a.shape[0])
        return self._collect(shape, ((self.normal(self.flip_word(w)), c) for w, c in a))

    def substitute(self, a: Poly, replacement: Callable[[int], Poly | None]) -> Poly:
        """Replaces atoms by polynomials; `replacement` returns None for an atom that stays."""
        return self.total(a.shape, (self._substituted(word, coefficient, a.shape, replacement) for word, coefficient in a))

    def _substituted(self, word: Word, c: Fraction, shape: Shape, replacement: Callable[[int], Poly | None]) -> Poly:
        product = self.scale(c, self.identity(shape[0]))
        for letter in word:
            poly = replacement(letter[0])
            if poly is None:
                factor = Poly(self.letter_shape(letter), {(letter,): Fraction(1)})
            else:
                factor = self.transpose(poly) if letter[1] else poly
            product = self.multiply(product, factor)
        return product

    # -- printing ------------------------------------------------------------------------------------------

    def show_word(self, word: Word) -> str:
        return " ".join(self.atoms[a].name + ("ᵀ" if t else "") for a, t in word) or "I"

    def show(self, poly: Poly) -> str:
        text = ""
        for word, c in poly:
            size = "" if abs(c) == 1 and word else show_number(abs(c)) + (" " if word else "·")
            text += (" − " if c < 0 else " + ") + size + (self.show_word(word) if word or abs(c) == 1 or size else "I")
        return text.removeprefix(" + ").strip() or "0"


def show_number(value: Fraction) -> str:
    """A rational as people write it: exact when short, rounded to six digits otherwise."""
    return str(value) if len(str(value)) <= 9 else f"{float(value):.6g}"
