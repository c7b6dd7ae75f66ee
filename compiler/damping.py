"""Which of two equal products damps rounding: heads read keys transposed.

In V Kᵀ Q a symmetric value T may stand in any place in exact arithmetic. Its rounding error E need not be symmetric: read as
a key it enters as Eᵀ. What is not symmetric in it then enters with the opposite sign, and is no longer mapped by the
derivative of the program's own step, which is small where the step converges. From T + T (I − T) with I − T as the key it
is doubled in every layer; with I − T as the query it vanishes.

`misread` is the size of that: the weight with which the error of a key enters, the other factors taken at the value to
which the iteration converges. There it is a factor such as I − T, which tends to 0, that tells a harmless key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import lru_cache
from itertools import permutations

import numpy as np

from .algebra import Algebra, Poly, Word
from .carried import variable
from .ir import Copy, Form, Plan, Term

#: Limits are smaller, and are rounded where they have longer denominators: exact ones would triple in length in every step.
_LARGEST = 2**64


def limits(plan: Plan) -> Mapping[int, Fraction]:
    """The number to which each value tends, for values that a polynomial in the value before makes: T_k+1 = p(T_k).

    It is the fixed point of p that attracts most. Others follow from the values that they are made of, where these are
    known.
    """
    found: dict[int, Fraction] = {}
    values = sorted((v for v in plan.values.values() if v.poly is not None), key=lambda v: v.atom)
    steps = [(value, _letters(plan, value.poly)) for value in values if value.poly is not None]
    # a variable of the user's that is overwritten comes before what else is made of it
    for value, letters in sorted(steps, key=lambda s: [variable(s[0].name)] != [variable(plan.values[a].name) for a in s[1]]):
        if len(letters) == 1 and value.shape[0] == value.shape[1]:
            (atom,) = letters
            point = _attracting(_coefficients(plan, value.atom))
            if point is not None and plan.values[atom].leaf is None:
                found.setdefault(atom, point)
    for value, letters in steps:
        if value.poly is not None and value.atom not in found and letters and letters <= found.keys():
            limit = sum((c * _at(plan, word, found) for word, c in value.poly), Fraction(0))
            if abs(limit) < _LARGEST:  # else it has no limit: it diverges
                found[value.atom] = limit if limit.denominator < _LARGEST else Fraction(float(limit))
    return found


def _letters(plan: Plan, poly: Poly) -> set[int]:
    """The values that a polynomial reads, those inside its forms included."""
    return {a for atom in poly.letters() for a in (plan.forms[atom].letters() if atom in plan.forms else {atom})}


def _at(plan: Plan, word: Word, at: Mapping[int, Fraction]) -> Fraction:
    product = Fraction(1)
    for atom, _ in word:
        product *= sum((c * _at(plan, w, at) for w, c in plan.forms[atom]), Fraction(0)) if atom in plan.forms else at[atom]
    return product


def _coefficients(plan: Plan, atom: int) -> tuple[Fraction, ...]:
    """A value's polynomial in its one letter, constant first."""
    total: dict[int, Fraction] = {}
    poly = plan.values[atom].poly
    assert poly is not None
    for word, c in poly:
        product = {0: c}
        for letter, _ in word:
            factor = {len(w): f for w, f in plan.forms[letter]} if letter in plan.forms else {1: Fraction(1)}
            product = _times(product, factor)
        for degree, value in product.items():
            total[degree] = total.get(degree, Fraction(0)) + value
    return tuple(total.get(k, Fraction(0)) for k in range(max(total, default=0) + 1))


def _times(a: Mapping[int, Fraction], b: Mapping[int, Fraction]) -> dict[int, Fraction]:
    out: dict[int, Fraction] = {}
    for i, x in a.items():
        for j, y in b.items():
            out[i + j] = out.get(i + j, Fraction(0)) + x * y
    return out


@lru_cache(maxsize=4096)
def _attracting(p: tuple[Fraction, ...]) -> Fraction | None:
    """The real fixed point of a polynomial at which its derivative is smallest; None where there is none."""
    if any(abs(c) > 2**1000 for c in p):  # no such weight is compiled
        return None
    shifted = [float(c) - (k == 1) for k, c in enumerate(p)]
    if len(p) < 3 or not np.isfinite(shifted).all():
        return None
    slope = [k * float(c) for k, c in enumerate(p)][1:]
    real = [float(r.real) for r in np.roots(shifted[::-1]) if abs(r.imag) < 1e-6 * (1 + abs(r))]
    if not real:
        return None
    return _simple(min(real, key=lambda r: (round(abs(float(np.polyval(slope[::-1], r))), 6), abs(r))), p)


def _simple(root: float, p: tuple[Fraction, ...]) -> Fraction:
    """The short fraction beside a root where it is a root itself, so that products that vanish are exactly 0."""
    short = Fraction(root).limit_denominator(1000)
    return short if sum(c * short**k for k, c in enumerate(p)) == short else Fraction(root)


def misread(plan: Plan, at: Mapping[int, Fraction], term: Term) -> Fraction:
    """The weight with which what is not symmetric in the errors of its keys enters a product with the wrong sign.

    Rounding errors are relative to what is rounded: those of a value that tends to 0 vanish with it.
    """
    keys = sum((c * at.get(copy.atom, Fraction(1)) for c, copy in term.K if errs(plan, copy)), Fraction(0))
    return keys and term.coefficient * keys * _value(at, term.V) * _value(at, term.Q)


def errs(plan: Plan, copy: Copy) -> bool:
    """Whether a copy is of a symmetric matrix that layers compute, so that its rounded rows need not be symmetric."""
    computed = copy.atom in plan.values and copy.rows != 1 and plan.values[copy.atom].leaf is None
    return computed and plan.algebra.atoms[copy.atom].symmetric


def _value(at: Mapping[int, Fraction], form: Form) -> Fraction:
    """A factor at the limits of its values; 1 for an identity and for a value whose limit is not known."""
    return sum((c * at.get(copy.atom, Fraction(1)) for c, copy in form), Fraction(0))


def other_orders(algebra: Algebra, word: Word) -> Iterable[Word]:
    """The word with its three factors in other orders, where they commute: polynomials in one symmetric matrix."""
    families = {algebra.letter_family(letter) for letter in word}
    if len(word) != 3 or len(families) > 1 or None in families or not all(algebra.atoms[a].symmetric for a, _ in word):
        return ()
    return (order for order in dict.fromkeys(permutations(word)) if order != word)
