"""Lower bounds: never above a model's figures, exact where they are tight, and each read off the weights as it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import headwright as hw
from headwright.compiler.layout import Placed
from headwright.compiler.weights import Block, BlockMatrix, HeadWeights, LayerWeights
from headwright.proofs_check.exact import decode, encode, random_inputs, run
from headwright.proofs_check.lower_bounds import (
    LowerBound,
    best,
    chebyshev,
    layers_needed,
    lower_bounds,
    residual_degree,
    residual_lower_bound,
    show_degree,
    spectral_argument,
    spectral_bound,
)
from headwright.proofs_check.modular import MODULAR, PRIME
from headwright.proofs_check.products import chain_lengths, live_rows, map_rank, steps_of, tensor_rank

GIVEN = ("examples", "matrix", "gram")


_MODELS: dict[str, hw.Compiled] = {}


def compiled(variant) -> hw.Compiled:
    """The model of a variant, compiled once for this file."""
    return _MODELS.setdefault(str(variant), _MODELS.get(str(variant)) or variant.compile())


def named(model: hw.Compiled, what: str, any_products: bool) -> list[LowerBound]:
    return [b for b in lower_bounds(model.artifact) if b.what == what and b.any_products == any_products]


# -- every model ------------------------------------------------------------------------------------------------------


def test_no_bound_is_above_the_figure_that_it_bounds(variant) -> None:
    model = compiled(variant)
    figures = {"layers": model.depth, "heads": model.max_heads, "rows": model.d_model}
    found = lower_bounds(model.artifact)
    bounded = model.depth and model.attention == "linear"  # heads with ReLUs are not counted by rank
    assert {b.what for b in found} == (set(figures) if bounded else {"layers", "rows"})
    for bound in found:
        assert 0 <= bound.value <= figures[bound.what], bound
        assert bound.argument and bound.assumes and "\n" not in bound.argument + bound.assumes
    (chain,) = named(model, "layers", any_products=False)
    assert chain.value == model.depth, "the compiler takes as many layers as the longest chain of its products"


def test_every_row_that_counts_as_live_changes_the_output_when_it_is_changed(variant) -> None:
    """At each boundary a row is filled with random numbers modulo a prime: where the output stays, it was not needed."""
    model = compiled(variant)
    artifact, rng = model.artifact, np.random.default_rng(0)
    live = live_rows(artifact, steps_of(artifact))
    inputs = {name: MODULAR.array(v) for name, v in random_inputs(artifact.graph, 1, 0, PRIME - 1).items()}
    H = encode(artifact, inputs, MODULAR)
    for boundary in range(model.depth + 1):
        rest = replace(artifact, layers=artifact.layers[boundary:])
        H = run(replace(artifact, layers=artifact.layers[boundary - 1 : boundary]), H, MODULAR) if boundary else H
        want = decode(rest, run(rest, H, MODULAR))
        for row in np.flatnonzero(live[boundary]):
            other = H.copy()
            other[row] = rng.integers(0, PRIME, H.shape[1], dtype=np.uint64)
            got = decode(rest, run(rest, other, MODULAR))
            assert any((got[name] != want[name]).any() for name in want), (boundary, row)


def test_bounds_of_a_large_model_form_no_dense_matrix() -> None:
    """A dense flattening of one layer would have (1026²)² entries."""
    model = hw.constructions.get("least_squares").compile(n=512, d=256, steps=12, alpha=0.125)
    assert model.d_model > 1000
    assert best(lower_bounds(model.artifact), "heads", any_products=False) == model.max_heads


# -- layers and rows, by hand ------------------------------------------------------------------------------------------


def head(d_model: int, V: tuple, K: tuple, Q: tuple) -> HeadWeights:
    """A head from blocks (row, column, size, coefficient)."""
    matrices = (BlockMatrix(d_model, tuple(Block(r, c, s, Fraction(x)) for r, c, s, x in blocks)) for blocks in (V, K, Q))
    return HeadWeights(*matrices)


def artifact_of(
    layers: list[list[HeadWeights]], encoding: dict[str, tuple[str, int, int]], output: tuple[int, int], d_model: int
):
    """An artifact with blocks name → (kind, row, height); its program is of no concern."""
    some = hw.constructions.get("newton_inverse").compile(d=2, steps=1, alpha=1).artifact
    placed = tuple(Placed(kind, name, -1, row, h, h, False, (h, h)) for name, (kind, row, h) in encoding.items())
    read = (Placed("output", "output", -1, *output, output[1], False, (output[1], output[1])),)
    built = tuple(LayerWeights(tuple(heads)) for heads in layers)
    return replace(some, d_model=d_model, n_tokens=3, layers=built, encoding=placed, decoding=read)


EYE, X, Y, Z = 0, 2, 4, 6  # rows of blocks of height 2


def copy_to(target: int, source: int, c: int = 1) -> HeadWeights:
    return head(8, ((target, source, 2, c),), ((0, EYE, 2, 1),), ((0, EYE, 2, 1),))


def product_to(target: int, a: int, b: int) -> HeadWeights:
    return head(8, ((target, a, 2, 1),), ((0, EYE, 2, 1),), ((0, b, 2, 1),))


def example(layers: list[list[HeadWeights]], output: int = Z):
    return artifact_of(layers, {"I": ("eye", EYE, 2), "X": ("input", X, 2), "Y": ("input", Y, 2)}, (output, 2), 8)


def chain_of(artifact) -> int:
    (placed,) = artifact.decoding
    return int(chain_lengths(artifact, steps_of(artifact))[placed.row])


def test_a_layer_that_does_nothing_for_the_output_does_not_lengthen_the_chain() -> None:
    work, idle = [product_to(Z, X, Y)], [copy_to(X, X, -1)]
    assert chain_of(example([work])) == chain_of(example([work, [], idle])) == chain_of(example([[], work])) == 1
    assert chain_of(example([work, [product_to(Z, Z, X)]])) == 2


ERASE_X = (copy_to(X, X, -1), head(8, ((X, EYE, 2, -1),), ((0, EYE, 2, 1),), ((0, X, 2, 1),)))  # −X I I and −I I X


@pytest.mark.parametrize("erase", ERASE_X)
def test_a_chain_ends_where_a_value_is_erased_at_once_or_a_layer_before(erase) -> None:
    start = [[product_to(X, X, Y)], [product_to(X, X, Y)]]
    assert chain_of(example(start, output=X)) == 2
    assert chain_of(example([*start, [erase, copy_to(X, Y)]], output=X)) == 1
    assert chain_of(example([*start, [erase], [copy_to(X, Y)]], output=X)) == 1
    assert chain_of(example([*start, [copy_to(X, X, -2), copy_to(X, Y)]], output=X)) == 3, "X ← Y − X keeps X"


@pytest.mark.parametrize("erase", ERASE_X)
def test_a_value_that_is_only_erased_is_not_live(erase) -> None:
    def before(layer: list[HeadWeights]) -> bool:
        artifact = example([layer], output=X)
        return bool(live_rows(artifact, steps_of(artifact))[0, X])

    assert not before([erase, copy_to(X, Y)])
    assert before([copy_to(X, Y)]) and before([erase, product_to(X, X, Y)])


def test_a_product_that_two_heads_cancel_is_no_link_of_a_chain() -> None:
    plus, minus = product_to(Z, X, Y), head(8, ((Z, X, 2, -1),), ((0, EYE, 2, 1),), ((0, Y, 2, 1),))
    assert chain_of(example([[product_to(X, X, Y)], [plus, minus, copy_to(Z, Y)]])) == 1


def test_live_rows_are_those_that_something_still_reads() -> None:
    artifact = example([[product_to(Z, X, Y)], [product_to(X, Z, Z)]], output=Z)
    blocks = live_rows(artifact, steps_of(artifact))[:, ::2]  # I, X, Y, Z
    assert blocks.tolist() == [[True, True, True, False], [False, False, False, True], [False, False, False, True]]


def test_an_identity_of_which_only_the_first_row_is_read_counts_one_row() -> None:
    one = head(8, ((Z, X, 2, 1),), ((0, EYE, 1, 1),), ((0, EYE, 1, 1),))
    artifact = example([[one]])
    assert live_rows(artifact, steps_of(artifact))[0].tolist() == [True, False, True, True, False, False, False, False]


def test_rows_by_placement_take_the_smaller_side_of_every_input_that_is_read() -> None:
    @hw.program
    def program(A: hw.Matrix["n", "d"], y: hw.Vector["n"], unused: hw.Matrix["n", "n"]):
        return A.T @ y

    blocks, entries = named(hw.compile(program, dims={"n": 7, "d": 3}), "rows", any_products=True)
    assert blocks.value == 3 + 1 and "A, y" in blocks.argument and "unused" not in blocks.argument
    assert entries.value == -(-(21 + 7) // 7)


def test_a_symmetric_input_counts_the_entries_of_one_triangle() -> None:
    @hw.program
    def program(S: hw.Matrix["d", "d"]):
        return S @ hw.symmetric(S)

    _, entries = named(hw.compile(program, dims={"d": 5}), "rows", any_products=True)
    assert entries.argument.startswith("⌈15 / 5⌉") and entries.value == 3


def test_inputs_that_the_program_stacks_share_rows() -> None:
    @hw.program
    def gradient(A: hw.Matrix["n", "d"], Q: hw.Matrix["m", "d"], y: hw.Vector["n"]):
        Z, n = hw.vstack(A, Q), hw.dim("n")
        return (Z @ (Z[:n].T @ y))[n:]

    model = hw.compile(gradient, dims={"n": 6, "m": 5, "d": 2})
    blocks, entries = named(model, "rows", any_products=True)
    assert model.n_tokens == 11
    assert blocks.value == 2 + 1 and entries.value == -(-(12 + 10 + 6) // 11)


def test_a_program_whose_leading_terms_may_cancel_has_no_bound_by_degree() -> None:
    @hw.program
    def cancels(A: hw.Matrix["d", "d"]):
        return A @ A - A @ A + A

    model = hw.compile(cancels, dims={"d": 2})
    assert not [b for b in lower_bounds(model.artifact) if b.what == "layers" and b.any_products]


# -- heads -------------------------------------------------------------------------------------------------------------


def blocks_strategy(d_model: int) -> st.SearchStrategy[tuple]:
    corner = st.integers(0, d_model - 2)
    block = st.tuples(corner, corner, st.integers(1, 2), st.integers(-2, 2).filter(bool))
    return st.lists(block, min_size=1, max_size=2).map(tuple)


HEADS = st.lists(st.tuples(*(blocks_strategy(4),) * 3).map(lambda vkq: head(4, *vkq)), min_size=1, max_size=4)


def flattening(heads: list[HeadWeights]) -> sympy.Matrix:
    """Σ vec(W_V) vec(W_Kᵀ W_Q)ᵀ, dense."""
    total = sympy.zeros(16, 16)
    for h in heads:
        V, K, Q = (sympy.Matrix(m.exact()) for m in h.matrices)
        total += sympy.Matrix(16, 1, list(V)) * sympy.Matrix(1, 16, list(K.T * Q))
    return total


@given(HEADS)
def test_the_rank_on_blocks_is_the_rank_of_the_dense_flattening(heads) -> None:
    assert tensor_rank(LayerWeights(tuple(heads))) == flattening(heads).rank() <= len(heads)


@given(HEADS)
def test_the_rank_of_the_map_is_at_most_the_rank_of_the_products(heads) -> None:
    layer = LayerWeights(tuple(heads))
    assert map_rank(layer, 4) <= tensor_rank(layer)


def test_a_head_written_as_two_halves_counts_once() -> None:
    half = head(8, ((Z, X, 2, Fraction(1, 2)),), ((0, EYE, 2, 1),), ((0, Y, 2, 1),))
    layer = LayerWeights((half, half, product_to(Z, Y, X)))
    assert tensor_rank(layer) == 2 == map_rank(layer, 8)


def test_the_map_of_a_layer_can_do_with_fewer_heads_than_its_products(rng) -> None:
    """Σ_s a_s b_s · c + Σ_s a'_s b_s · c' is two products with V = a, a', and, as scalars commute, one with V = b."""
    a, a2, b, c, c2, o = range(6)
    one, two = (
        head(6, ((o, a, 1, 1),), ((0, b, 1, 1),), ((0, c, 1, 1),)),
        head(6, ((o, a2, 1, 1),), ((0, b, 1, 1),), ((0, c2, 1, 1),)),
    )
    merged = head(6, ((o, b, 1, 1),), ((0, a, 1, 1), (1, a2, 1, 1)), ((0, c, 1, 1), (1, c2, 1, 1)))
    H = rng.integers(-9, 9, (6, 4))

    def layer(heads: list[HeadWeights]) -> np.ndarray:
        matrices = [[m.dense() for m in h.matrices] for h in heads]
        return sum((V @ H @ (K @ H).T @ (Q @ H) for V, K, Q in matrices), H)

    assert np.array_equal(layer([one, two]), layer([merged]))
    assert tensor_rank(LayerWeights((one, two))) == 2
    assert map_rank(LayerWeights((one, two)), 6) == map_rank(LayerWeights((merged,)), 6) == 1


def test_with_one_token_the_map_does_not_determine_its_products_and_gives_no_bound() -> None:
    @hw.program
    def scalar(x: hw.Matrix[1, 1]):
        return x @ x @ x

    assert len(named(hw.compile(scalar, dims={}), "heads", any_products=False)) == 1


# -- Chebyshev polynomials and layers for a spectrum --------------------------------------------------------------------


@pytest.mark.parametrize("m", [0, 1, 2, 3, 4, 7, 13, 40, 41])
@pytest.mark.parametrize("t", [Fraction(0), Fraction(1), Fraction(-3, 7), Fraction(11, 9), Fraction(5)])
def test_chebyshev_is_exact(m, t) -> None:
    assert chebyshev(m, t) == Fraction(str(sympy.chebyshevt(m, sympy.Rational(t.numerator, t.denominator))))


def test_chebyshev_of_a_negative_degree_is_refused() -> None:
    with pytest.raises(ValueError, match="m = -1"):
        chebyshev(-1, 2)


TABLE = {  # (3^L − 1)/2 from examples; 3^L + 1 from S
    ("examples", 10): (3, 4, 5),
    ("examples", 100): (4, 5, 6),
    ("examples", 10**4): (6, 7, 8),
    ("examples", 10**6): (8, 9, 10),
    ("gram", 10): (2, 3, 4),
    ("gram", 100): (3, 4, 5),
    ("gram", 10**4): (6, 6, 7),
    ("gram", 10**6): (8, 9, 9),
}


@pytest.mark.parametrize(("given_", "kappa"), TABLE)
def test_layers_needed_for_a_condition_number(given_, kappa) -> None:
    assert tuple(layers_needed(1, kappa, tol, given_) for tol in (1e-2, 1e-6, 1e-12)) == TABLE[given_, kappa]


@pytest.mark.parametrize("kappa", [1.5, 10, 1e4, 1e6, 1e9, 1e12])
@pytest.mark.parametrize("given_", GIVEN)
def test_layers_needed_agrees_with_the_hyperbolic_formula(kappa, given_) -> None:
    """T_m(t) = cosh(m arccosh t), with 60 digits; equality does not occur at these numbers."""
    with mpmath.workdps(60):
        angle = mpmath.acosh((mpmath.mpf(kappa) + 1) / (mpmath.mpf(kappa) - 1))
        for tol in (0.5, 1e-2, 1e-6, 1e-12, 1e-100):
            want = next(L for L in range(99) if mpmath.cosh(residual_degree(L, given_) * angle) >= 1 / mpmath.mpf(tol))
            assert layers_needed(1, kappa, tol, given_) == want


rationals = st.fractions(min_value=Fraction(1, 50), max_value=50, max_denominator=50)


@given(rationals, rationals, st.integers(0, 4), st.sampled_from(GIVEN))
def test_ties_are_decided_exactly(a, b, layers, given_) -> None:
    """At tol = the bound itself, that many layers may be enough; just below it they are not."""
    low, high = sorted((a, b))
    tol = residual_lower_bound(layers, low, high, given_)
    if tol:
        assert layers_needed(low, high, tol, given_) <= layers
        assert layers_needed(low, high, tol * (1 - Fraction(1, 10**200)), given_) == layers + 1


@given(rationals, rationals, st.integers(0, 7), st.sampled_from(GIVEN))
def test_the_bound_is_never_above_the_exact_value_and_close_to_it(a, b, layers, given_) -> None:
    low, high = sorted((a, b))
    found = residual_lower_bound(layers, low, high, given_)
    if low < high:
        exact = 1 / chebyshev(residual_degree(layers, given_), (high + low) / (high - low))
        assert exact * (1 - Fraction(1, 2**64)) <= found <= exact or (found == 0 and exact <= Fraction(1, 2**4096))


def test_one_layer_is_one_gradient_step() -> None:
    assert residual_lower_bound(1, 1, 9) == Fraction(8, 10)
    assert residual_lower_bound(0, 1, 9) == 1


def test_a_spectrum_of_one_value_takes_one_step() -> None:
    assert layers_needed(3, 3, 1e-12) == 1 and layers_needed(3, 3, 1e-12, "gram") == 0
    assert residual_lower_bound(1, 3, 3) == 0 and residual_lower_bound(0, 3, 3) == 1


def test_tiny_bounds_are_reported_as_zero_and_huge_depths_cost_nothing() -> None:
    assert residual_lower_bound(200, 1, 1e12) == 0
    assert 0 < residual_lower_bound(16, 1, 1e12) < 1e-17


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: layers_needed(0, 1, 0.1), "0 < l ≤ u"),
        (lambda: layers_needed(-1, 1, 0.1), "0 < l ≤ u"),
        (lambda: layers_needed(2, 1, 0.1), "0 < l ≤ u"),
        (lambda: layers_needed(1, 2, 0), "tol is 0"),
        (lambda: layers_needed(1, 2, -1.0), "tol is -1"),
        (lambda: layers_needed(1, float("nan"), 0.1), "u is nan"),
        (lambda: layers_needed(1, float("inf"), 0.1), "u is inf"),
        (lambda: layers_needed("1", 2, 0.1), "l is '1'"),
        (lambda: residual_lower_bound(-1, 1, 2), "layers is -1"),
        (lambda: spectral_bound(0, 1, 0.1), "0 < l ≤ u"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(call: Callable[[], object], match: str) -> None:
    with pytest.raises(hw.CompileError, match=match):
        call()


@pytest.mark.parametrize("given_", GIVEN)
def test_the_spectral_bound_carries_its_argument_and_assumptions(given_) -> None:
    bound = spectral_bound(1, 100, 1e-6, given_)
    assert bound.value == layers_needed(1, 100, 1e-6, given_) and bound.any_products
    assert "linear attention only" in bound.assumes and "[1, 100]" in bound.assumes and "1e-06" in bound.assumes
    assert bound.proof == spectral_argument(given_) and "worst over it" in bound.proof


def test_a_degree_is_shown_whatever_its_size() -> None:
    assert show_degree(163) == "163" and show_degree(3**60) == "about 10^28" and show_degree(1 << 20000) == "about 10^6020"
