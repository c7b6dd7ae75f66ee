"""Sums that feed-forward units make: copies of rows on their own tokens, times numbers.

Attention copies rows with an identity, which has as many rows as there are tokens, and which a key mask cuts off. Units copy
a row to another, or multiply it by a number, in two units a row: relu(z) − relu(−z) = z.
"""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction

from .algebra import Poly
from .units import Units, linear_units

#: The sum of the rows that its argument reads.
SUM = Units("sum", linear_units((Fraction(1),)))


def split_sum(poly: Poly, folded: Collection[int], how: str) -> tuple[Poly, Poly, Fraction] | None:
    """(p, rest, c) with poly = c · p + rest: p is made by attention, the sum by units. None where attention alone does it.

    how: "units" leaves all copies of rows to units; "scaled" leaves one in p, with coefficient 1, which costs nothing where p
    can be written over that very value.
    """
    copies = {word: c for word, c in poly if len(word) <= 1 and not {atom for atom, _ in word} & set(folded)}
    products = {word: c for word, c in poly if word not in copies}
    in_place = products and len(copies) == 1 and list(copies.values()) == [1] and () not in copies
    if not copies or in_place:
        return None
    factor = Fraction(1)
    kept = next((word for word in copies if word), None)
    if how == "scaled" and products and kept is not None:
        factor = copies.pop(kept)
        products = {kept: Fraction(1), **{word: c / factor for word, c in products.items()}}
    return Poly(poly.shape, products), Poly(poly.shape, copies), factor
