"""Sums of relu of polynomials in a normal form: Σ w relu(p) = ½ Σ w p + ½ Σ w |p|.

|c p| = |c| |p|, so every p is divided by its first coefficient and equal ones are added: w relu(p) − w relu(−p) = w p loses its
absolute value. What is left, a sum of absolute values entry by entry, becomes a symbol; equal sums get the same symbol, and a
sum of transposes its transpose. Weights and program go through the same normal form, so equal symbols are equal matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import TypeAlias

from ..compiler.algebra import Algebra, Poly, Word
from ..compiler.dims import Dim, Shape

#: A polynomial divided by its first coefficient.
_Key: TypeAlias = frozenset[tuple[Word, Fraction]]
_Sum: TypeAlias = dict[_Key, Fraction]


class ReluSums:
    """Symbols for sums of absolute values of polynomials of one algebra."""

    def __init__(self, algebra: Algebra, written_out: Callable[[Poly], Poly]) -> None:
        """written_out: one form for polynomials that are equal because a symbol is a linear combination of others."""
        self.algebra, self.written_out = algebra, written_out
        self._symbols: dict[tuple[Shape, frozenset[tuple[_Key, Fraction]]], tuple[int, bool]] = {}
        self._sums: dict[int, tuple[Shape, _Sum]] = {}  # what a symbol stands for
        self._flipped: dict[_Key, tuple[_Key, Fraction]] = {}

    def normal(self, shape: Shape, terms: Iterable[tuple[Fraction, Poly]]) -> tuple[Poly, _Sum]:
        """(linear part, absolute values) of Σ weight · relu(poly)."""
        algebra = self.algebra
        linear: dict[Word, Fraction] = {}
        absolute: _Sum = {}
        for weight, poly in terms:
            poly = algebra.canonical(poly)
            for word, c in poly:
                linear[word] = linear.get(word, Fraction(0)) + weight * c / 2
            poly = algebra.canonical(self.written_out(poly))
            if not poly.terms:
                continue
            scale = poly.terms[min(poly.terms)]
            key = frozenset((word, c / scale) for word, c in poly)
            absolute[key] = absolute.get(key, Fraction(0)) + weight * abs(scale) / 2
        return Poly(shape, {w: c for w, c in linear.items() if c}), {k: c for k, c in absolute.items() if c}

    def dirty(self, terms: Iterable[tuple[Fraction, Mapping[Dim, Poly]]]) -> list[tuple[Fraction, Mapping[Dim, Poly]]]:
        """The absolute values that are left of arguments with more than one extent, with their coefficients."""
        left: dict[object, tuple[Fraction, Mapping[Dim, Poly]]] = {}
        for weight, inside in terms:
            if len(inside) > 1:
                ordered = sorted(inside.items(), key=lambda item: str(item[0]))
                polys = {cols: self.algebra.canonical(self.written_out(poly)) for cols, poly in ordered}
                if not any(poly.terms for poly in polys.values()):
                    continue
                scale = next(c for poly in polys.values() for _, c in sorted(poly))
                key = frozenset((cols, word, c / scale) for cols, poly in polys.items() for word, c in poly)
                before = left.get(key, (Fraction(0), inside))[0]
                left[key] = (before + weight * abs(scale) / 2, inside)
        return list(left.values())

    def symbol(self, shape: Shape, absolute: _Sum) -> Poly:
        """Σ c |p| as a symbol; zero for an empty sum."""
        algebra = self.algebra
        if not absolute:
            return algebra.zero(shape)
        key = (shape, frozenset(absolute.items()))
        if key not in self._symbols:
            turned = ((*self._transposed(shape, k), c) for k, c in absolute.items())
            flipped = ((shape[1], shape[0]), frozenset((k, c * abs(scale)) for k, scale, c in turned))
            atom = algebra.new_atom(f"|…|{len(self._symbols)}", shape, symmetric=flipped == key)
            self._sums[atom] = (shape, dict(absolute))
            self._symbols[flipped] = (atom, True)
            self._symbols[key] = (atom, False)
        atom, flip = self._symbols[key]
        return algebra.transpose(algebra.atom(atom)) if flip else algebra.atom(atom)

    def apart(self, atom: int) -> Poly | None:
        """A symbol as the sum of symbols of single absolute values; None for one of these, and for other symbols."""
        shape, absolute = self._sums.get(atom, ((1, 1), {}))
        if list(absolute.values()) in ([], [1]):
            return None
        parts = (self.algebra.scale(c, self.symbol(shape, {key: Fraction(1)})) for key, c in absolute.items())
        return self.algebra.total(shape, parts)

    def _transposed(self, shape: Shape, key: _Key) -> tuple[_Key, Fraction]:
        """The transpose of a polynomial, divided by its own first coefficient, which may be another word's; and that."""
        if key not in self._flipped:
            poly = self.algebra.canonical(self.algebra.transpose(Poly(shape, dict(key))))
            scale = poly.terms[min(poly.terms)]
            self._flipped[key] = frozenset((word, c / scale) for word, c in poly), scale
        return self._flipped[key]
