"""Noncommutative polynomials: against sympy where sympy can do it, against numbers where it cannot."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from headwright.compiler.algebra import Algebra, Poly

COEFFICIENTS = st.sampled_from([Fraction(-2), Fraction(-1), Fraction(1), Fraction(3), Fraction(1, 3)])
LETTERS = st.tuples(st.integers(0, 2), st.booleans())
WORDS = st.lists(LETTERS, max_size=3).map(tuple)
POLYS = st.dictionaries(WORDS, COEFFICIENTS, max_size=4).map(lambda terms: Poly(("d", "d"), terms))


def three_squares() -> Algebra:
    algebra = Algebra()
    for name in "ABC":
        algebra.new_atom(name, ("d", "d"))
    return algebra


SYMBOLS = {(i, t): sympy.Symbol("ABC"[i] + ("t" if t else ""), commutative=False) for i in range(3) for t in (False, True)}


def to_sympy(poly: Poly) -> sympy.Expr:
    return sympy.Add(
        *(sympy.Rational(c.numerator, c.denominator) * sympy.Mul(*(SYMBOLS[letter] for letter in word)) for word, c in poly)
    )


def sympy_transposed(poly: Poly) -> sympy.Expr:
    flipped = {tuple((a, not t) for a, t in reversed(word)): c for word, c in poly}
    return to_sympy(Poly(poly.shape, flipped))


@given(POLYS, POLYS)
def test_the_product_is_sympys_expanded_noncommutative_product(p: Poly, q: Poly) -> None:
    product = three_squares().multiply(p, q)
    assert sympy.expand(to_sympy(p) * to_sympy(q) - to_sympy(product)) == 0


@given(POLYS, POLYS)
def test_sums_and_differences_are_sympys(p: Poly, q: Poly) -> None:
    algebra = three_squares()
    assert sympy.expand(to_sympy(p) + to_sympy(q) - to_sympy(algebra.add(p, q))) == 0
    assert sympy.expand(to_sympy(p) - to_sympy(q) - to_sympy(algebra.subtract(p, q))) == 0


@given(POLYS, POLYS)
def test_transposition_reverses_products(p: Poly, q: Poly) -> None:
    algebra = three_squares()
    assert to_sympy(algebra.transpose(p)) == sympy_transposed(p)
    assert algebra.transpose(algebra.multiply(p, q)) == algebra.multiply(algebra.transpose(q), algebra.transpose(p))
    assert algebra.transpose(algebra.transpose(p)) == p


@given(POLYS, POLYS, POLYS)
def test_substitution_is_a_homomorphism(p: Poly, q: Poly, r: Poly) -> None:
    algebra = three_squares()
    replace = {1: r}.get
    assert algebra.substitute(algebra.multiply(p, q), replace) == algebra.multiply(
        algebra.substitute(p, replace), algebra.substitute(q, replace)
    )


@given(POLYS)
def test_without_facts_the_canonical_form_changes_nothing(p: Poly) -> None:
    assert three_squares().canonical(p) == p


def test_two_matrices_without_facts_do_not_commute() -> None:
    algebra = three_squares()
    A, B = algebra.atom(0), algebra.atom(1)
    assert not algebra.equal(algebra.multiply(A, B), algebra.multiply(B, A))
    assert not algebra.equal(A, algebra.transpose(A))
    assert not algebra.equal(algebra.multiply(A, algebra.transpose(A)), algebra.multiply(algebra.transpose(A), A))


def test_a_symmetric_letter_equals_its_transpose() -> None:
    algebra = Algebra()
    S = algebra.atom(algebra.new_atom("S", ("d", "d"), symmetric=True))
    assert algebra.equal(S, algebra.transpose(S))


def test_a_polynomial_in_one_matrix_commutes_with_it_and_with_no_other() -> None:
    algebra = Algebra()
    A, B = (algebra.atom(algebra.new_atom(name, ("d", "d"))) for name in "AB")
    square = algebra.add(algebra.multiply(A, A), algebra.identity("d"))
    P = algebra.atom(algebra.name_atom_after(square, "P"))
    assert algebra.equal(algebra.multiply(P, A), algebra.multiply(A, P))
    assert not algebra.equal(algebra.multiply(P, B), algebra.multiply(B, P))
    assert not algebra.equal(algebra.multiply(P, algebra.transpose(A)), algebra.multiply(algebra.transpose(A), P))


def test_the_shape_of_sums_and_products_is_checked() -> None:
    algebra = Algebra()
    A = algebra.atom(algebra.new_atom("A", ("n", "d")))
    with pytest.raises(AssertionError, match="multiplying"):
        algebra.multiply(A, A)
    with pytest.raises(AssertionError, match="adding"):
        algebra.add(A, algebra.transpose(A))


SIZES = {"n": 4, "d": 3, 1: 1}


def evaluate(algebra: Algebra, poly: Poly, values: dict[int, np.ndarray]) -> np.ndarray:
    total = np.zeros([SIZES[dim] for dim in poly.shape], dtype=object)
    for word, c in poly:
        product = np.eye(SIZES[poly.shape[0]], dtype=int).astype(object)
        for atom, flipped in word:
            product = product.dot(values[atom].T if flipped else values[atom])
        total = total + c * product
    return total


def rich_algebra() -> tuple[Algebra, dict[int, np.ndarray]]:
    """A, B general; S symmetric; P a polynomial in A, R one in S; vectors u, v (d × 1), y (n × 1); a scalar; inclusions."""
    rng, algebra, values = np.random.default_rng(5), Algebra(), {}

    def fresh(name: str, shape: tuple, symmetric: bool = False) -> Poly:
        value = np.array(rng.integers(-3, 4, [SIZES[d] for d in shape]).tolist(), dtype=object)
        atom = algebra.new_atom(name, shape, symmetric)
        values[atom] = value + value.T if symmetric else value
        return algebra.atom(atom)

    A, _, S = fresh("A", ("d", "d")), fresh("B", ("d", "d")), fresh("S", ("d", "d"), True)
    for name, base in (("P", A), ("R", S)):
        poly = algebra.add(algebra.multiply(base, base), algebra.scale(Fraction(2), base))
        values[algebra.name_atom_after(poly, name)] = evaluate(algebra, poly, values)
    fresh("u", ("d", 1)), fresh("v", ("d", 1)), fresh("y", ("n", 1)), fresh("s", (1, 1)), fresh("M", ("n", "d"))
    for rows, cols in ((1, "d"), (1, "n"), ("d", "n")):
        ((word, _),) = algebra.inclusion(rows, cols).terms.items()
        shape = algebra.atoms[word[0][0]].shape
        values[word[0][0]] = np.array(np.eye(SIZES[shape[0]], SIZES[shape[1]], dtype=int).tolist(), dtype=object)
    return algebra, values


ALGEBRA, VALUES = rich_algebra()


@st.composite
def typed_words(draw: st.DrawFn, rows: object, cols: object) -> tuple:
    word, at = [], rows
    letters = [(a, t) for a in VALUES for t in (False, True)]
    for _ in range(draw(st.integers(0, 6))):
        options = [x for x in letters if ALGEBRA.letter_shape(x)[0] == at]
        word.append(draw(st.sampled_from(options)))
        at = ALGEBRA.letter_shape(word[-1])[1]
    last = [x for x in letters if ALGEBRA.letter_shape(x) == (at, cols)]
    if at != cols or not word:
        word.append(draw(st.sampled_from(last)))
    return tuple(word)


@given(typed_words("d", "d"))
def test_normal_and_canonical_forms_do_not_change_a_matrix(word: tuple) -> None:
    raw = evaluate(ALGEBRA, Poly(("d", "d"), {word: Fraction(1)}), VALUES)
    poly = ALGEBRA.word(word, ("d", "d"))
    assert (evaluate(ALGEBRA, poly, VALUES) == raw).all()
    assert (evaluate(ALGEBRA, ALGEBRA.canonical(poly), VALUES) == raw).all()
    assert (evaluate(ALGEBRA, ALGEBRA.transpose(poly), VALUES) == raw.T).all()


@given(typed_words(1, "d"), typed_words("d", 1))
def test_a_scalar_equals_its_transpose_and_moves_freely(left: tuple, right: tuple) -> None:
    scalar = ALGEBRA.word(left + right, (1, 1))
    assert ALGEBRA.equal(scalar, ALGEBRA.transpose(scalar))
    assert (evaluate(ALGEBRA, ALGEBRA.canonical(scalar), VALUES) == evaluate(ALGEBRA, scalar, VALUES)).all()
    row = ALGEBRA.word(left, (1, "d"))
    assert ALGEBRA.equal(
        ALGEBRA.multiply(scalar, ALGEBRA.multiply(scalar, row)),
        ALGEBRA.multiply(ALGEBRA.transpose(scalar), ALGEBRA.multiply(scalar, row)),
    )


@given(typed_words("d", "d"), typed_words("d", "d"))
def test_words_with_equal_canonical_forms_are_equal_matrices(p: tuple, q: tuple) -> None:
    a, b = ALGEBRA.word(p, ("d", "d")), ALGEBRA.word(q, ("d", "d"))
    for left, right in ((a, b), (ALGEBRA.multiply(a, b), ALGEBRA.multiply(b, a)), (a, ALGEBRA.transpose(a))):
        if ALGEBRA.equal(left, right):
            assert (evaluate(ALGEBRA, left, VALUES) == evaluate(ALGEBRA, right, VALUES)).all()


def test_symmetry_is_seen_from_the_letters_of_a_product_however_long() -> None:
    """A product of k sums has 2^k words; polynomials in one symmetric matrix commute, so none has to be written out."""
    algebra = Algebra()
    S = algebra.new_atom("S", ("d", "d"), symmetric=True)
    one, poly, sums = algebra.identity("d"), algebra.atom(S), {}
    for k in range(60):
        factor = algebra.subtract(algebra.scale(Fraction(k + 2), one), algebra.atom(S))
        atom = algebra.name_atom_after(factor, f"F{k}")
        sums[atom] = factor
        poly = algebra.multiply(poly, algebra.atom(atom))
    assert algebra.is_known_symmetric(poly, sums)


def test_symmetry_that_only_shows_multiplied_out_is_seen_where_that_is_short() -> None:
    algebra = Algebra()
    A, B = (algebra.new_atom(name, ("d", "d")) for name in "AB")
    total = algebra.add(algebra.transpose(algebra.atom(A)), algebra.atom(B))
    F = algebra.name_atom_after(total, "Aᵀ + B")
    BA = algebra.multiply(algebra.transpose(algebra.atom(B)), algebra.transpose(algebra.atom(A)))
    poly = algebra.add(algebra.multiply(algebra.atom(A), algebra.atom(F)), BA)  # A (Aᵀ + B) + Bᵀ Aᵀ
    assert algebra.is_known_symmetric(poly, {F: total})
    assert not algebra.is_known_symmetric(algebra.multiply(algebra.atom(A), algebra.atom(F)), {F: total})
