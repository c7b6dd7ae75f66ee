"""Ahn et al. (2023): every statement holds, is tight, and breaks when a hypothesis is dropped. All arithmetic is exact."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from headwright.proofs_check import ahn_claims as claims
from headwright.proofs_check.ahn_model import exact, loss_on, prompt, reduced_form, token_forward, zeros
from headwright.proofs_check.ahn_moments import single_layer_loss
from headwright.proofs_check.ahn_optimum import optimal_single_layer
from headwright.proofs_check.certificate import Proved, Refuted, Unknown
from headwright.proofs_check.claims import ahn_words, decide
from headwright.proofs_check.claims.ahn import REMARKS


@pytest.mark.parametrize("statement", REMARKS, ids=lambda s: f"{s.number}: {s.title}")
def test_what_a_reader_may_add_is_false(statement) -> None:
    assert decide(statement).confirmed


# -- for all dimensions, in words and symbols ------------------------------------------------------------------------------


def test_a_layer_of_words_is_the_layer_of_tokens() -> None:
    X, w, x = exact([[1, 2, -1], [0, 1, 3]]), exact([2, -1]), exact([1, 3])
    A, B = exact([[1, 2], [0, -1]]), exact([[3, 1], [1, 1]])
    of = {"X": X, "x": x[:, None], "y": (w @ X)[None, :], "q": exact([[0]]), "A": A, "B": B}
    after = ahn_words.layer(ahn_words.state(*(ahn_words.letter(n) for n in "Xyxq")), *map(ahn_words.letter, "AB"))
    P, Q = zeros(3, 3), zeros(3, 3)
    P[:2, :2], P[2, 2], Q[:2, :2] = B, 1, A
    found = np.block([[number(block, of) for block in row] for row in after])
    assert (found == token_forward(prompt(X, w, x), [(P, Q)])[-1]).all()


def number(block, of: dict[str, np.ndarray]) -> np.ndarray:
    """The matrix that a block of words stands for, with n = 3."""
    total = 0
    for word, c in block.terms.items():
        product = None
        for name, transposed in word:
            factor = of[name].T if transposed else of[name]
            product = factor if product is None else product @ factor
        total = total + Fraction(str(c.subs(next(iter(c.free_symbols)), 3) if c.free_symbols else c)) * product
    return total


def test_lemma_10_and_lemma_9_need_the_mask_in_words_too() -> None:
    Z, c = ahn_words.state(*(ahn_words.letter(n) for n in "Xyxq")), ahn_words.letter("c")
    other = [Z[0], [Z[1][0], Z[1][1] + c]]
    everything = [[ahn_words.ONE, ahn_words.ZERO], [ahn_words.ZERO, ahn_words.ONE]]
    for mask, same in ((ahn_words.MASK, True), (everything, False)):
        one, two = (ahn_words.layer(state, ahn_words.letter("A"), mask=mask) for state in (Z, other))
        assert (one[1][1] + c == two[1][1] and one[1][0] == two[1][0]) is same


@pytest.mark.parametrize("d", [1, 2, 4])
def test_lemmas_6_and_7_hold_in_symbols_and_are_tight(d: int) -> None:
    assert isinstance(ahn_words.check_component(d), Proved)
    assert isinstance(ahn_words.check_component(d, isotropic=True), Proved)
    assert not isinstance(ahn_words.check_component(d, factor=2), Proved)


def test_the_moments_are_those_of_another_covariance_too() -> None:
    assert isinstance(ahn_words.check_moments((2, 3)), Proved)


def test_gradients_are_in_the_span_for_one_layer_too() -> None:
    assert isinstance(ahn_words.check_span(1), Proved)


@pytest.mark.parametrize(
    "dropped", [{"symmetric": False}, {"sign": -1}, {"masked": False}, {"divisor_shift": 1}], ids=lambda d: next(iter(d))
)
def test_lemma_2_needs_symmetric_A_its_sign_the_mask_and_division_by_n(dropped) -> None:
    assert isinstance(claims.check_lemma_2(**dropped), Refuted)


@pytest.mark.parametrize("with_B", [True, False])
def test_the_reduced_form_is_the_token_model(with_B: bool) -> None:
    assert isinstance(claims.check_reduced_form(with_B), Proved)


@pytest.mark.parametrize("n", [1, 2, 20])
@pytest.mark.parametrize("sigma", [((3,),), ((1, 0, 0), (0, 2, 0), (0, 0, 5)), ((2, 1), (1, 3))], ids=lambda s: f"d={len(s)}")
def test_theorem_1_is_the_global_optimum(sigma, n: int) -> None:
    assert isinstance(claims.check_theorem_1(sigma, n), Proved)


@pytest.mark.parametrize("d", [2, 3])
def test_the_optimum_of_one_layer_is_unique_up_to_scale_from_two_features_on(d: int) -> None:
    assert isinstance(claims.check_single_minimum_up_to_scale(d), Proved)


@pytest.mark.parametrize("scale", [Fraction(999, 1000), Fraction(1001, 1000), -1])
def test_theorem_1_is_tight_in_its_step_size(scale) -> None:
    assert isinstance(claims.check_theorem_1(scale=scale), Refuted)


def test_the_loss_of_theorem_1_is_that_of_the_token_model() -> None:
    """A law on five integers with the normal moments up to order 5, and ±1 for the query: the mean is exact."""
    law = {-2: Fraction(1, 12), -1: Fraction(1, 6), 0: Fraction(1, 2), 1: Fraction(1, 6), 2: Fraction(1, 12)}
    for power, moment in enumerate((1, 0, 1, 0, 3, 0)):
        assert sum(p * v**power for v, p in law.items()) == moment
    b, Q, root, mean = exact([2, -1]), exact([[3], [-2]]), 3, Fraction(0)
    P, full = zeros(2, 2), zeros(2, 2)
    P[1], full[:, :1] = b, Q
    for x_1, x_2, w in product(law, repeat=3):
        Z = prompt(exact([[root * x_1, root * x_2]]), exact([w]), exact([root]))
        error = token_forward(Z, [(P, full)])[-1][1, 2] + w * root
        mean += law[x_1] * law[x_2] * law[w] * error**2
    assert single_layer_loss(exact([[root**2]]), 2).of(b, Q) == mean


def test_a_small_eigenvalue_gives_a_saddle_and_not_a_local_minimum() -> None:
    assert isinstance(claims.check_no_spurious_minima((1, 2), feature=0), Unknown)
    loss, Q = single_layer_loss(exact(np.diag([1, 2])), 3), exact(zeros(3, 2))
    Q[2, 0] = -1 / (Fraction(4, 3) + 1)
    hessian = loss.hessian(exact([1, 0, 0]), Q)
    assert (loss.gradient(exact([1, 0, 0]), Q) == 0).all()
    direction = np.linalg.eigh(hessian.astype(float))[1][:, 0]
    v = exact(np.round(direction * 64).astype(int))
    assert v @ hessian @ v < 0


def test_the_gradient_of_one_layer_is_the_derivative_of_its_loss() -> None:
    loss = single_layer_loss(exact([[2, 1], [1, 3]]), 3)
    b, Q = exact([1, -2, 3]), exact([[1, 2], [0, -1], [2, 1]])
    theta = np.concatenate([b, Q.ravel()])

    def along(t: int, v: np.ndarray) -> Fraction:
        moved = theta + t * v
        return loss.of(moved[:3], moved[3:].reshape(3, 2))

    v = exact([1, 0, -1, 2, 1, 0, 1, -1, 3])
    f = {t: along(t, v) for t in range(-2, 3)}  # degree 4: five values give both derivatives exactly
    assert (8 * (f[1] - f[-1]) - (f[2] - f[-2])) / 12 == loss.gradient(b, Q) @ v
    assert (16 * (f[1] + f[-1]) - f[2] - f[-2] - 30 * f[0]) / 12 == v @ loss.hessian(b, Q) @ v


def test_theorem_3_needs_an_isotropic_prior() -> None:
    assert isinstance(claims.check_theorem_3(rotation_invariant=False), Refuted)


@pytest.mark.parametrize("check", [claims.check_theorem_4, claims.check_theorem_5], ids=["Theorem 4", "Theorem 5"])
@pytest.mark.parametrize("dropped", ["inverse_prior", "rotations"])
def test_theorems_4_and_5_need_the_prior_and_the_mean_over_rotations(check, dropped: str) -> None:
    assert isinstance(check(layers=2, **{dropped: False}), Refuted)


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_gradients_of_theorem_4_stay_in_its_span_at_every_depth(layers: int) -> None:
    assert isinstance(claims.check_theorem_4(layers), Proved)


def test_theorem_4_is_tight_the_gradient_vanishes_at_the_optimum_of_S_only() -> None:
    best = optimal_single_layer(np.eye(2, dtype=int), 4)  # Σ = I: one layer of S
    loss, away = single_layer_loss(exact(np.eye(2, dtype=int)), 4), exact(np.vstack([2 * best.A, zeros(1, 2)]))
    assert (loss.gradient(exact(best.b), away) != 0).any()


@pytest.mark.parametrize("dropped", [{"with_B": True}, {"proportional": False}], ids=["B", "proportional"])
def test_lemma_8_needs_B_zero_and_proportional_A(dropped) -> None:
    assert isinstance(claims.check_lemma_8(**dropped), Refuted)


def test_lemma_8_holds_for_two_layers_with_B_only_in_the_last() -> None:
    """Tight: what the last layer does to the covariates is never read, so B there is harmless."""
    X = exact([[1, 2], [3, -1]])
    H, A, B = X @ X.T, [exact(-np.eye(2, dtype=int))] * 2, [exact(zeros(2, 2)), exact([[1, 2], [3, 4]])]
    assert (reduced_form(H, A, B)[0] == reduced_form(H, A)[0]).all()
    assert loss_on(H, A, B[::-1], exact(np.eye(2, dtype=int)), exact(np.eye(2, dtype=int))) != loss_on(
        H, A, None, exact(np.eye(2, dtype=int)), exact(np.eye(2, dtype=int))
    )


def test_lemmas_9_and_10_need_sparse_parameters_and_the_mask() -> None:
    assert isinstance(claims.check_lemma_9(sparse=False), Refuted)
    assert isinstance(claims.check_lemma_10(sparse=False), Refuted)
    assert isinstance(claims.check_lemma_10(masked=False), Refuted)
