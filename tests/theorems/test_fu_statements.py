"""Fu et al. (2023): Theorem 5.1 and its iteration hold, are tight, and break without their hypotheses: exactly."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import sympy

import headwright as hw
from headwright.proofs_check import fu_claims as claims
from headwright.proofs_check import fu_iteration as iteration
from headwright.proofs_check.ahn_model import exact, identity
from headwright.proofs_check.certificate import Proved, Refuted, Unknown
from headwright.proofs_check.claims.fu import SOURCE, STATEMENTS
from headwright.proofs_check.fu_model import (
    Head,
    Layer,
    doubled,
    forward,
    initial_layer,
    layer_forward,
    newton,
    newton_layer,
    paired_forward,
    short_network,
    width,
)


def test_the_table_says_once_what_each_number_states() -> None:
    mine = [statement for statement in STATEMENTS if statement.source == SOURCE]
    assert len({statement.number for statement in mine}) == len(mine)


def test_a_causal_mask_changes_the_iterate_from_the_second_token_on() -> None:
    """Remark B.6 stays open; what is certain is that the same weights do not do it."""
    found = claims.check_causal()
    assert isinstance(found, Unknown) and "at the first token only" in found.reason


# -- the machine -------------------------------------------------------------------------------------------------------


def test_the_evaluator_divides_by_n_masks_keys_and_applies_the_residual_map_last() -> None:
    one, H = exact([[2]]), exact([[1, -3, 5]])
    layer = Layer((Head(one, one, one),), exact([[4]]))
    # scores 4 h_t h_j, values 2 h_j, h_j in (1, −3), over n = 2; then times 1 + 4
    assert layer_forward(H, layer, 2, keys=2).tolist() == [[5 * (1 + 4), 5 * (-3 - 3 * 36), 5 * (5 + 20)]]


@pytest.mark.parametrize("sign", [1, -1])
def test_pairs_of_heads_are_linear_only_with_opposite_values(sign: int) -> None:
    layers = [initial_layer(2, 3, claims.ALPHA, sign), newton_layer(2, 3, sign)]
    H = doubled(claims.X.T)
    assert (forward(H, layers, 3) == paired_forward(H, layers, 3)).all()
    x = doubled(np.array([sympy.symbols("x:2")] * 3, dtype=object).T)
    if sign == 1:
        with pytest.raises(TypeError):
            paired_forward(x, layers, 3)
    else:
        assert paired_forward(x, layers, 3).shape == (4, 3)


# -- Theorem 5.1 -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_theorem_5_1_holds_at_every_depth(steps: int) -> None:
    assert isinstance(claims.check_theorem_5_1(steps), Proved)
    assert isinstance(claims.check_iteration(steps, corrected=True), Proved)
    assert isinstance(claims.check_iteration(steps), Refuted)


@pytest.mark.parametrize("d", [1, 2, 7])
def test_five_layers_fewer_than_stated_with_three_heads_and_4d_plus_4_rows(d: int) -> None:
    layers = short_network(d, 4, claims.ALPHA, 6)
    assert len(layers) == 6 + 3 <= 6 + 8
    assert max(len(layer.heads) for layer in layers) == 3
    assert {head.V.shape for layer in layers for head in layer.heads} == {(width(d), width(d))} == {(4 * d + 4, 4 * d + 4)}


@pytest.mark.parametrize("dropped", [{"run_with": 2}, {"run_with": 4}, {"shared": True}], ids=str)
def test_theorem_5_1_needs_its_number_of_examples_and_a_query_in_rows_of_its_own(dropped) -> None:
    assert isinstance(claims.check_theorem_5_1(**dropped), Refuted)


def test_theorem_5_1_refuses_sizes_that_mean_nothing() -> None:
    for wrong in ({"steps": -1}, {"run_with": 0}):
        with pytest.raises(ValueError, match="expected steps from 0 and examples from 1 on"):
            claims.check_theorem_5_1(**wrong)


def test_the_printed_weights_are_right_where_no_score_is_negative() -> None:
    """Tight: |z| = z there, which hides the sign on positive examples; for the Newton layer all scores are negative."""
    X = exact([[1, 2], [3, 1], [2, 2]])
    H = doubled(X.T)
    first = [initial_layer(2, 3, claims.ALPHA, sign) for sign in (1, -1)]
    assert (layer_forward(H, first[0], 3) == layer_forward(H, first[1], 3)).all()
    state = layer_forward(H, first[1], 3)
    T, S = claims.ALPHA * X.T @ X, X.T @ X
    assert (layer_forward(state, newton_layer(2, 3, 1), 3)[:2] == (2 * T + T @ S @ T.T) @ X.T).all()


def test_printed_weights_leave_any_bound_while_the_corrected_ones_converge() -> None:
    S, target = claims.X.T @ claims.X, claims.X.T
    for sign, far in ((1, True), (-1, False)):
        layers = (initial_layer(2, 3, claims.ALPHA, sign), *[newton_layer(2, 3, sign)] * 7)
        left = forward(doubled(claims.X.T), layers, 3)[:2]
        assert (max(abs(entry) for entry in (S @ left - target).ravel()) > 10**6) == far


def test_the_compiled_transformer_predicts_the_same_exactly() -> None:
    """`newton_relu_attention` with its weights over the rationals: one layer fewer, as tokens hold (x_j, y_j) together."""
    model = hw.constructions.get("newton_relu_attention").compile(n=3, d=2, m=1, steps=3, alpha=claims.ALPHA)
    found = model.exact.run(A=claims.X, y=claims.Y, Q=claims.QUERY[None])["prediction"]
    assert found[0] == claims.QUERY @ newton(claims.X.T @ claims.X, claims.ALPHA, 3) @ claims.X.T @ claims.Y
    assert model.depth == 3 + 2


# -- the iteration -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("factor", "kind"), [("1/1000", Proved), ("1999/1000", Proved), (2, Refuted), ("2001/1000", Refuted)])
def test_two_over_the_norm_squared_is_the_end_of_the_step_sizes(factor, kind) -> None:
    assert isinstance(iteration.check_step_size(Fraction(factor)), kind)


def test_at_the_printed_step_size_the_residual_is_1_for_ever_and_beside_it_not() -> None:
    assert set(iteration.residual_norms(Fraction(2, 81), 10)[1:]) == {1}
    below, above = (iteration.residual_norms(Fraction(2, 81) * (1 + Fraction(e, 100)), 12)[-1] for e in (-1, 1))
    assert below < Fraction(1, 10**30) and above > 10**30


def test_residuals_square_in_every_step() -> None:
    norms = iteration.residual_norms(Fraction(1, 100), 5)
    assert all(after == before**2 for before, after in pairwise(norms))


@pytest.mark.parametrize("steps", [0, 3, 4])
def test_moments_are_binomial_coefficients_at_every_step(steps: int) -> None:
    assert isinstance(iteration.check_moments(steps, corrected=True), Proved)
    assert len(iteration.moments(steps)) == 2**steps and sum(iteration.moments(steps)) == 1


@pytest.mark.parametrize("bits", [1, 40, 400])
def test_the_number_of_newton_steps_is_enough_and_tight(bits: int) -> None:
    assert isinstance(iteration.check_newton_rate(bits), Proved)
    assert isinstance(iteration.check_newton_rate(bits, fewer=2), Refuted)


def test_ten_times_the_digits_cost_ten_times_the_descent_steps_but_four_newton_steps() -> None:
    assert isinstance(iteration.check_newton_rate(40, fewer=1), Refuted)
    assert isinstance(iteration.check_descent_rate(400), Proved)
    assert isinstance(iteration.check_descent_rate(400, fewer=0.1), Refuted)


def test_a_layer_doubles_what_is_antisymmetric_and_T_S_T_forgets_it() -> None:
    S, T = iteration.S, identity(2) + exact([[0, 3], [-1, 2]])
    layer, other = 2 * T - T @ S @ T.T, 2 * T - T @ S @ T
    assert (layer - layer.T == 2 * (T - T.T)).all() and (other - other.T != 2 * (T - T.T)).any()


def test_measured_round_off_grows_in_the_layers_and_not_in_the_iteration() -> None:
    """Measured in floats: after 40 steps of T S Tᵀ no digit of float32 is left, those of T S T are all there."""
    assert iteration.measured_drift(np.float32, 40) > 1 > 1e-3 > iteration.measured_drift(np.float32, 40, transposed=False)
    assert iteration.measured_drift(np.float64, 12) < 1e-9 < iteration.measured_drift(np.float64, 50)
