"""Proof of a recurrence by computer algebra: its own text, run on symbols, has the residual that is claimed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy

from ...proofs_check.certificate import Proved, Refuted, Verdict
from .recurrence import Recurrence

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


def prove(recurrence: Recurrence, formula: str) -> Verdict:
    """Proves that a step maps the residual R to the formula (in R and the coefficients), and keeps what it carries.

    The text that programs run is run on 1 × 1 matrices of symbols. That is a proof for matrices of every size: X and what
    is carried are polynomials in one symmetric matrix, which commute and are determined by their values at eigenvalues;
    for Y Yᵀ Y they are diagonal between the singular vectors. Refuted with the difference where sympy does not expand
    one of the differences to zero.
    """
    for what, left, right in _identities(recurrence, formula):
        difference = sympy.expand(left - right)
        if difference != 0:
            return Refuted(f"{what}: the two sides differ by {difference}")
    return Proved(
        f"a step maps R to {formula} and keeps what is carried with X: sympy expands the differences to zero, on the text "
        "that programs run; polynomials in one matrix commute"
    )


def _identities(recurrence: Recurrence, formula: str) -> Iterator[tuple[str, Any, Any]]:
    X, value = recurrence.unknowns()
    matrix = sympy.Matrix([[value]])
    R, scale = sympy.Symbol("R"), sympy.Symbol("alpha")
    first = recurrence.begin(scale, matrix)
    yield from _entries("the start", first, recurrence.state_of(first[0][0, 0], value))
    before = tuple(sympy.Matrix([[entry]]) for entry in recurrence.state_of(X, value))
    after = recurrence.advance(before, recurrence.symbols, matrix)
    yield from _entries("a step", after, recurrence.state_of(after[0][0, 0], value))
    old, new = recurrence.residual_of(X, value), recurrence.residual_of(after[0][0, 0], value)
    polynomial = sum(c * R**k for k, c in enumerate(recurrence.polynomial(recurrence.symbols)))
    yield "the residual after a step", new, polynomial.subs(R, old)
    yield f"the formula {formula}", parse_formula(formula), polynomial


def _entries(what: str, found: tuple[Any, ...], expected: tuple[Any, ...]) -> Iterator[tuple[str, Any, Any]]:
    for number, (left, right) in enumerate(zip(found, expected, strict=True)):
        yield f"{what}, value {number}", left[0, 0], right


def parse_formula(formula: str) -> Any:
    """A printed formula such as "a·R³ + (1 − a)·R" as a sympy expression."""
    text = ""
    for character in formula:
        text += f"**{character.translate(_SUPERSCRIPTS)}" if character in "⁰¹²³⁴⁵⁶⁷⁸⁹" else character
    text = text.replace("·", "*").replace("−", "-")
    return sympy.sympify(text, locals={name: sympy.Symbol(name) for name in ("R", "a", "b", "c")}, rational=True)
