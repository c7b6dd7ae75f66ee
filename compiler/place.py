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
from .damping import limits, misread, other_orders
from .dims import Dim, size_of
from .errors import ArchitectureError
from .folding import segments
from .graph import part_of_stack
from .ir import Copy, Form, Local, Placement, Plan, Term, Value, whole

_IDENTITY = -1


def sums_over_keys(term: Term, keys: Dim | None) -> bool:
    """Whether the sum over tokens of V Kᵀ is complete though only the first `keys` tokens are keys."""
    return keys is None or all(copy.cols in (keys, 1) for form in (term.V, term.K) for _, copy in form)


def identity_copy(dim: Dim) -> Copy:
    return Copy(_IDENTITY, False, dim, dim)


def is_identity(copy: Copy) -> bool:
    return copy.atom == _IDENTITY


@dataclass(frozen=True)
class Taste:
    """What a row is worth when blocks are chosen: the price of a computed row (an input's is 1), whether all named
    dimensions count alike instead of by their sizes, and whether the rows count that a new block will itself ask for."""

    computed: float = 1.5
    alike: bool = False
    ahead: bool = False


def place(plan: Plan, flips: tuple[bool, ...], taste: Taste, keys: Dim | None = None) -> Placement:
    """Stores output i transposed where flips[i] says so, and everything else as the outputs need it.

    keys: only the first so many tokens are keys; None: all are.
    """
    placing = _Placing(plan, taste, keys)
    outputs = []
    for (spec, atom, flipped), flip in zip(plan.outputs, flips, strict=True):
        if part_of_stack(plan.graph, spec.node) is not None:  # cut out of tokens: the stack must lie along them
            flip = not flipped
        copy = placing.stored((atom, flip))
        if not placing.storable(copy):
            copy = placing.stored((atom, not flip))
        placing.demand(copy)
        outputs.append((spec, copy, copy.flipped != flipped))
    order = sorted((v for v in plan.values.values() if v.computed), key=lambda v: (-v.level, -v.atom))
    chosen: dict[Copy, list[Term]] = {}
    local: dict[Copy, Local] = {}
    for value in order:
        for flipped in (False, True):
            copy = placing.stored((value.atom, flipped))
            if copy in placing.demanded and value.units is not None:
                local[copy] = placing.local(value, copy)
            elif copy in placing.demanded and copy not in chosen:
                chosen[copy] = [placing.choose(word, c, copy) for word, c in placing.words(copy)]
    terms = {
        copy: tuple(
            placing.alternatives(word, c, copy, term) for (word, c), term in zip(placing.words(copy), picked, strict=True)
        )
        for copy, picked in chosen.items()
    }
    encoded = tuple(sorted(copy for copy in placing.demanded if copy not in terms and copy not in local))
    return Placement(plan, terms, encoded, tuple(outputs), local, placing.limits, keys)


class _Placing:
    def __init__(self, plan: Plan, taste: Taste, keys: Dim | None = None) -> None:
        self.plan, self.algebra, self.taste, self.keys = plan, plan.algebra, taste, keys
        self.sizes = plan.graph.sizes
        self.demanded: set[Copy] = set()
        special = any(value.units is not None or value.view is not None for value in plan.values.values())
        self.restricted = bool(keys or plan.folded or special)
        self.makeable: dict[Copy, bool] = {}
        for value in sorted(plan.values.values(), key=lambda v: v.level):  # arguments first: no deep recursion
            for flipped in (False, True):
                self.storable(whole(plan, self.stored((value.atom, flipped))))
        self.limits = limits(plan)

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
        copies = [c for form in (term.V, term.K, term.Q) for _, c in form]
        # a copy as it is may be in place already: `allocate` sees to it
        if not sums_over_keys(term, self.keys) and not (is_identity(copies[-1]) and is_identity(copies[-2])):
            return False
        stored = [(c, whole(self.plan, c)) for c in copies]
        return all((c.fold or c.rows == at.rows) and self.storable(at) for c, at in stored)

    def storable(self, copy: Copy) -> bool:
        """Whether a value can be made in this orientation: units that scale rows write them along tokens only."""
        if not self.restricted:
            return True
        if copy not in self.makeable:
            value = self.plan.values.get(copy.atom)
            if value is None or not value.computed:
                self.makeable[copy] = True
            elif value.units is not None:
                along = copy.flipped or not self.along_tokens(copy.atom)
                self.makeable[copy] = along and all(map(self.storable, self.read_by_units(value, copy)))
            else:
                words = [word for word, _ in self.words(copy) if word]
                self.makeable[copy] = all(any(map(self.readable, self.all_ways(word, copy))) for word in words)
        return self.makeable[copy]

    def along_tokens(self, atom: int) -> bool:
        """Whether the value can only be stored transposed: units that scale rows need each row on a token of its own."""
        value = self.plan.values.get(atom)
        if value is None or value.units is None or value.shape[1] == 1:
            return False
        return any(arg.shape[1] == 1 for arg in value.args)

    def local(self, value: Value, copy: Copy) -> Local:
        """The rows that the units of a feed-forward value read, in the orientation in which it is stored."""
        assert value.units is not None
        args = []
        for poly in value.args:
            args.append(tuple((c, self.unit_read(word, copy)) for word, c in poly))
        bias = None
        if value.units.biased:
            dim = copy.cols
            row = identity_copy(1) if dim == 1 else Copy(self.plan.ones[dim], True, 1, dim)
            bias = ((Fraction(1), row),)
        local = Local(value.units, tuple(args), bias)
        wrong = [read for read in self.read_by_units(value, copy) if not self.storable(read)]
        if wrong or not self.storable(copy):
            names = ", ".join(sorted({self.describe(self.plan.values[read.atom]) for read in wrong}))
            raise ArchitectureError(
                f"{self.describe(value)} needs the rows of {names or 'its factors'} on other tokens than they are on",
                where=value.where,
                rule="units combine numbers of one token; a matrix whose rows were scaled has a row on every token",
                fix="scale both factors along the same dimension, or multiply before scaling",
            )
        for form in local.reads:
            for _, read in form:
                self.demand(read)
        return local

    def describe(self, value: Value) -> str:
        return value.name if value.node is None else self.plan.graph.describe(value.node)

    def unit_read(self, word: Word, copy: Copy) -> Copy:
        """What units that write a copy read for a letter (or for the identity) of their argument."""
        return self.stored((word[0][0], word[0][1] != copy.flipped)) if word else identity_copy(copy.rows)

    def read_by_units(self, value: Value, copy: Copy) -> list[Copy]:
        reads = [self.unit_read(word, copy) for poly in value.args for word, _ in poly]
        return [whole(self.plan, read) for read in reads if not is_identity(read)]

    def words(self, copy: Copy) -> list[tuple[Word, Fraction]]:
        poly = self.plan.values[copy.atom].poly
        assert poly is not None
        return list(self.algebra.transpose(poly) if copy.flipped else poly)

    def folded_ways(self, word: Word, coefficient: Fraction) -> Iterator[Term]:
        """The ways in which constants of a word multiply rows while these are read: from the left of V and Q, and transposed
        from the right of K."""
        found = segments(word, self.plan.folded)
        if found is None or len(found.letters) > 3:
            return
        letters, (first, *inner, last) = found.letters, found.constants
        rows, cols = self.algebra.letter_shape(word[0])[0], self.algebra.letter_shape(word[-1])[1]

        def key(i: int, constant: Word) -> Form | None:
            return self.folded_form(letters[i], True, self.algebra.flip_word(constant))

        def other(i: int, constant: Word) -> Form | None:
            return self.folded_form(letters[i], False, constant)

        def eye(dim: Dim) -> Form:
            return ((Fraction(1), identity_copy(dim)),)

        options: list[tuple[Form | None, Form | None, Form | None]] = []
        if len(letters) == 3 and not inner[0] and not last:
            options = [(other(0, first), key(1, inner[1]), other(2, ()))] if inner[1] else []
            options.append((other(0, first), key(1, ()), other(2, inner[1])))
        elif len(letters) == 2:
            middle = self.algebra.letter_shape(letters[0])[1]
            if not last:
                options.append((other(0, first), eye(middle), other(1, inner[0])))
            if not inner[0]:
                options.append((other(0, first), key(1, last), eye(cols)))
            if not first and not last:
                options += [(eye(rows), key(0, inner[0]), other(1, ())), (eye(rows), key(0, ()), other(1, inner[0]))]
        elif len(letters) == 1:
            if not last:
                options += [(other(0, first), eye(cols), eye(cols)), (eye(rows), eye(rows), other(0, first))]
            if not first:
                options.append((eye(rows), key(0, last), eye(cols)))
        for V, K, Q in options:
            if V is not None and K is not None and Q is not None:
                yield Term(coefficient, V, K, Q)

    def folded_form(self, letter: Letter, transposed: bool, constant: Word) -> Form | None:
        """The letter (or its transpose) times a constant from the left; None where an identity would be multiplied."""
        form = self.form(letter, transposed)
        if not constant:
            return form
        if any(is_identity(copy) for _, copy in form):
            return None
        rows = self.algebra.letter_shape(constant[0])[0]
        return tuple((c, replace(copy, rows=rows, fold=constant[0])) for c, copy in form)

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

    def all_ways(self, word: Word, copy: Copy) -> Iterator[Term]:
        """Every way to write a word as V Kᵀ Q; a number may be written transposed, too."""
        words = (word, self.algebra.flip_word(word)) if (copy.rows, copy.cols) == (1, 1) else (word,)
        for either in words:
            if len(either) <= 3:
                yield from self.ways(either, Fraction(1))
            yield from self.folded_ways(either, Fraction(1))

    def options(self, word: Word, coefficient: Fraction, copy: Copy) -> list[Term]:
        if word:
            found = [replace(way, coefficient=coefficient) for way in self.all_ways(word, copy) if self.readable(way)]
            if not found:
                value = self.plan.values[copy.atom]
                unmasked = _Placing(self.plan, self.taste)
                if any(unmasked.readable(way) for way in self.all_ways(word, copy)):
                    raise ArchitectureError(
                        f"{self.describe(value)} sums over tokens that are no keys",
                        where=value.where,
                        rule=f"only the first {self.keys} tokens are keys here, so that products sum over {self.keys}",
                        fix=f"sum over the part [:{self.keys}] of a stack, or choose an architecture without a key mask",
                    )
                raise ArchitectureError(
                    f"{self.describe(value)} reads the first rows of a stacked value where they cannot be read",
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
                value = None if is_identity(copy) else self.plan.values[copy.atom]
                computed = value is not None and value.leaf is None
                if value is not None and value.units is not None:  # each row has units of its own
                    total += size_of(copy.rows, self.sizes) * len(value.units.units) / 4
                rows = 16 if self.taste.alike and isinstance(copy.rows, str) else size_of(copy.rows, self.sizes)
                total += rows * (self.taste.computed if computed else 1.0)
                total += self.asked_for(copy) if computed and self.taste.ahead else 0.0
        return total

    def asked_for(self, copy: Copy, seen: int = 2) -> float:
        """About how many rows that nothing has asked for yet a computed copy will need, so many layers back."""
        value = self.plan.values[copy.atom]
        if value.poly is None or not seen:
            return 0.0
        blocks: set[Copy] = set()
        for word, _ in self.words(copy):
            ways = [w for w in self.all_ways(word, copy) if self.readable(w)] if word else []
            needs = [{whole(self.plan, c) for form in (w.V, w.K, w.Q) for _, c in form} - self.demanded for w in ways]
            blocks |= min(needs, key=lambda need: sum(size_of(c.rows, self.sizes) for c in need), default=set())
        below = sum(self.asked_for(c, seen - 1) for c in blocks if not is_identity(c))
        return below + sum(size_of(c.rows, self.sizes) for c in blocks)

    def choose(self, word: Word, coefficient: Fraction, copy: Copy) -> Term:
        best = min(self.options(word, coefficient, copy), key=self.new_rows)
        for form in (best.V, best.K, best.Q):
            for _, read in form:
                self.demand(read)
        return best

    def misread(self, term: Term) -> Fraction:
        return abs(misread(self.plan, self.limits, term))

    def alternatives(self, word: Word, coefficient: Fraction, copy: Copy, chosen: Term) -> tuple[Term, ...]:
        """The chosen way, then the other ways that use only copies that exist anyway; of commuting factors in another order,
        one that damps better."""
        others = [t for t in self.options(word, coefficient, copy) if t != chosen]
        reordered = [t for order in other_orders(self.algebra, word) for t in self.ways(order, coefficient) if self.readable(t)]
        best = min(reordered, key=self.misread, default=chosen)
        if self.misread(best) < self.misread(chosen):
            others.append(best)
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
        cut = part_of_stack(plan.graph, spec.node) is not None  # cut out of tokens: the stack must lie along them
        copies = [placing.stored((atom, flip)) for flip in ((not flipped,) if cut else (False, True))]
        found.append({copy: copy.flipped != flipped for copy in copies})
    return found
