"""Sums of absolute values and their transposes: the same symbol exactly where the values are the same.

A polynomial is divided by its first coefficient, and the first word of a transpose may be another: what it was divided by
belongs to the sum. Without it a transposed sum was equal to one with wrong coefficients, and unequal to the right one.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headwright as hw
from headwright.compiler.algebra import Algebra, Poly
from headwright.proofs_check.relu_sums import ReluSums

COEFFICIENTS = st.sampled_from([Fraction(-2), Fraction(-1), Fraction(1), Fraction(3), Fraction(1, 3)])
LETTERS = st.tuples(st.integers(0, 2), st.booleans())
WORDS = st.lists(LETTERS, min_size=1, max_size=2).map(tuple)
POLYS = st.dictionaries(WORDS, COEFFICIENTS, min_size=1, max_size=3).map(lambda terms: Poly(("d", "d"), terms))
TERMS = st.lists(st.tuples(COEFFICIENTS, POLYS), min_size=1, max_size=3)


def absolute(terms: list[tuple[Fraction, Poly]], transposed: bool, first: bool) -> list[Poly]:
    """The symbols of Σ w |p| and of a sum given as transposed polynomials, made in either order."""
    algebra = Algebra()
    for name in "ABC":
        algebra.new_atom(name, ("d", "d"))
    sums = ReluSums(algebra, lambda poly: poly)
    given_ = [(w, algebra.transpose(p) if transposed else p) for w, p in terms]
    both = [terms, given_] if first else [given_, terms]
    found = [sums.symbol(("d", "d"), sums.normal(("d", "d"), one)[1]) for one in both]
    found = found if first else found[::-1]
    return [found[0], algebra.transpose(found[1]) if transposed else found[1]]


@given(TERMS, st.booleans())
def test_the_transpose_of_a_sum_is_the_sum_of_the_transposes(terms: list[tuple[Fraction, Poly]], first: bool) -> None:
    one, other = absolute(terms, transposed=True, first=first)
    assert one == other


def test_a_sum_with_other_coefficients_is_not_the_transpose() -> None:
    algebra = Algebra()
    a, b = (algebra.new_atom(name, ("d", "d")) for name in "AB")
    p = algebra.add(  # A + 4 BᵀA: the first word of the transpose is another
        algebra.atom(a), algebra.scale(Fraction(4), algebra.multiply(algebra.transpose(algebra.atom(b)), algebra.atom(a)))
    )
    seen = set()
    for factor in (Fraction(1), Fraction(1, 4), Fraction(4), Fraction(2)):
        sums = ReluSums(algebra, lambda poly: poly)
        plain = sums.symbol(("d", "d"), sums.normal(("d", "d"), [(Fraction(1), p)])[1])
        turned = sums.symbol(("d", "d"), sums.normal(("d", "d"), [(factor, algebra.transpose(p))])[1])
        equal = plain == algebra.transpose(turned)
        assert equal == (factor == 1)
        seen.add(equal)
    assert seen == {True, False}


@pytest.mark.parametrize("C", [np.array([[2]]), np.array([[1, 2], [3, 4]])], ids=["d = 1", "d = 2"])
def test_products_with_a_constant_factor_are_proved(C: np.ndarray) -> None:
    @hw.program
    def product(A: hw.Matrix["n", "d"], B: hw.Matrix["n", "d"], S: hw.Matrix["d", "d"]):
        hw.bounded(A, rows=1)
        hw.bounded(B, rows=1)
        hw.bounded(S, norm=1)
        return (A @ S) * (B @ C)

    certificate = hw.verify(hw.compile(product, dims={"n": 3, "d": len(C)}, tol=0.5))
    assert all(isinstance(claim.verdict, hw.Proved) for claim in certificate.claims), certificate
