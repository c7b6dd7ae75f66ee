"""Lemma 4.1 and eq. (3.3)–(3.4) of Giannou et al. 2024: each holds, is tight, and breaks without a hypothesis."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

import headwright as hw
from headwright.proofs_check.exact import depth_lower_bound, exact_degree
from headwright.runtime.compiled import Compiled


def exact_matrix(rng, n, d, low=-3, high=4):
    return np.array(rng.integers(low, high, (n, d)).tolist(), dtype=object).reshape(n, d)


def without_layer(model: hw.Compiled, index: int) -> hw.Compiled:
    layers = model.artifact.layers
    return Compiled(replace(model.artifact, layers=layers[:index] + layers[index + 1 :]), model.program, model.constants)


@pytest.mark.parametrize("d", [1, 2, 5, 16])
def test_a_newton_step_for_any_square_matrix_is_one_layer_one_head_and_3d_rows(d, rng) -> None:
    model = hw.constructions.get("newton_inverse").compile(d=d, steps=1, start="input")
    assert model.depth == 1 and model.max_heads == 1 and model.d_model <= 3 * d
    A, X = exact_matrix(rng, d, d), exact_matrix(rng, d, d)
    assert (model.exact.run(A=A, X0=X) == 2 * X - X.dot(A).dot(X)).all()
    assert hw.verify(model).all_proved


@pytest.mark.parametrize("steps", [1, 2, 5, 12])
def test_every_newton_step_is_one_layer(steps, matrix) -> None:
    model = hw.constructions.get("newton_inverse").compile(d=4, steps=steps, alpha=1.0)
    assert model.depth <= steps + 1 and model.max_heads <= 2 and model.d_model <= 4 * 4
    A = matrix(4, 4)
    assert abs(model(A=A) - model.reference(A=A)).max() <= 1e-12 * abs(model.reference(A=A)).max()


def test_no_fewer_layers_can_do_a_newton_step() -> None:
    model = hw.constructions.get("newton_inverse").compile(d=3, steps=1, start="input")
    (degree,) = exact_degree(model.artifact.graph).values()
    assert degree == 3 and depth_lower_bound(degree) == 1 == model.depth
    assert not hw.verify(without_layer(model, 0)).all_proved


@pytest.mark.parametrize("index", [0, 1, 2])
def test_removing_any_layer_breaks_three_newton_steps(index) -> None:
    model = hw.constructions.get("newton_inverse").compile(d=3, steps=3, start="input")
    certificate = hw.verify(without_layer(model, index))
    assert not isinstance(certificate["identity"], hw.Proved)
    assert isinstance(certificate["exact"], hw.Refuted)


def test_the_matrix_must_be_square() -> None:
    @hw.program
    def step(A: hw.Matrix["n", "d"], X: hw.Matrix["n", "d"]):
        return 2 * X - X @ A @ X

    with pytest.raises(hw.ShapeError, match="inner dimensions d and n differ"):
        hw.compile(step, dims={"n": 3, "d": 3})


def test_it_converges_to_the_inverse_of_a_nonsymmetric_matrix(matrix) -> None:
    A = matrix(6, 6)  # singular values in [0.5, 1]: the residual norm is at most (1 − 0.25)^(2^T) = 1e-16 at T = 7
    X = hw.constructions.get("newton_inverse").compile(d=6, steps=8, alpha=1.0)(A=A)
    assert np.linalg.norm(X @ A - np.eye(6), 2) <= 6 * 6 * np.finfo(float).eps * np.linalg.cond(A) * 4


def test_alpha_above_the_bound_is_refused_and_the_bound_is_the_right_one(matrix) -> None:
    A = matrix(4, 4)
    largest = np.linalg.norm(A, 2) ** 2
    inside = hw.constructions.get("newton_inverse").compile(d=4, steps=3, alpha=1.999 / largest)
    assert np.isfinite(inside(A=A)).all()
    outside = hw.constructions.get("newton_inverse").compile(d=4, steps=3, alpha=2.001 / largest)
    with pytest.raises(hw.AssumptionError, match="2/λ_max") as caught:
        outside(A=A)
    assert caught.value.fix and caught.value.where
    assert "%" not in caught.value.what, "an internal number instead of a name of the program"


def test_without_the_statement_a_large_alpha_diverges_and_is_named(matrix) -> None:
    @hw.program
    def unguarded(A: hw.Matrix["d", "d"], *, steps, alpha):
        X = alpha * A.T
        for _ in range(steps):
            X = 2 * X - X @ A @ X
        return X

    A = matrix(3, 3)
    model = hw.compile(unguarded, dims={"d": 3}, steps=12, alpha=30.0)
    with pytest.raises(hw.DivergenceError) as caught:
        model(A=A)
    assert "X" in caught.value.what and "layer" in caught.value.what and caught.value.fix
    assert caught.value.where.file == __file__ and "X @ A @ X" in caught.value.where.code
    fewer = hw.compile(unguarded, dims={"d": 3}, steps=6, alpha=30.0)
    with pytest.warns(hw.DivergenceWarning, match="unguarded"):
        fewer(A=A)


@pytest.mark.parametrize(("n", "d", "rank"), [(6, 3, 3), (3, 6, 3), (6, 4, 2), (4, 4, 1), (5, 1, 1)])
def test_the_pseudo_inverse_of_rectangular_and_rank_deficient_matrices(n, d, rank, matrix) -> None:
    """Rounding in the null space at most doubles in a step: 2^T u ‖X‖, and the residual is below 1e-16 at T = 8."""
    A, steps = matrix(n, d, rank), 8
    model = hw.constructions.get("pseudo_inverse").compile(n=n, d=d, steps=steps, alpha=1.0)
    unit = np.finfo(float).eps / 2
    assert abs(model(A=A) - np.linalg.pinv(A, rcond=1e-8)).max() <= 2**steps * (n + d) * unit * 2 + 1e-13
    assert abs(model(A=A) - model.reference(A=A)).max() <= 1e-12 * abs(model.reference(A=A)).max()


def test_an_order_n_step_raises_the_residual_to_the_power_n_exactly(rng) -> None:
    """eq. (3.4): I − X_1 A = (I − X_0 A)^n, over the rationals, for any square A."""
    A = exact_matrix(rng, 2, 2)
    alpha = Fraction(1, 50)
    residual = np.array([[Fraction(int(i == j)) for j in range(2)] for i in range(2)], dtype=object) - alpha * A.T.dot(A)
    for order in range(2, 11):
        for keep in ("residual", "nothing"):
            model = hw.constructions.get("newton_inverse_order").compile(d=2, order=order, steps=1, alpha=alpha, keep=keep)
            X, power = model.exact.run(A=A), np.eye(2, dtype=int).astype(object)
            for _ in range(order):
                power = power.dot(residual)
            assert (np.eye(2, dtype=int).astype(object) - X.dot(A) == power).all(), (order, keep)


@pytest.mark.parametrize("steps", [1, 2, 4, 7])
def test_order_three_keeping_the_residual_is_one_layer_a_step_with_three_heads(steps, matrix) -> None:
    model = hw.constructions.get("newton_inverse_order").compile(d=4, order=3, steps=steps, alpha=1.0)
    assert model.depth <= steps + 1 and model.max_heads <= 3
    A = matrix(4, 4)
    want = model.reference(A=A)
    assert abs(model(A=A) - want).max() <= 1e-12 * abs(want).max()
    assert hw.verify(model).all_proved


@pytest.mark.parametrize("order", range(2, 11))
def test_orders_two_to_ten_meet_their_depth_formula(order) -> None:
    for keep, bound in (("residual", 1 + 2 * depth_lower_bound(order)), ("nothing", 2 * depth_lower_bound(2 * order - 1))):
        model = hw.constructions.get("newton_inverse_order").compile(d=3, order=order, steps=2, alpha=0.125, keep=keep)
        certificate = hw.verify(model)
        assert model.depth <= bound, (order, keep)
        assert isinstance(certificate["identity"], hw.Proved) and isinstance(certificate["exact"], hw.Proved)


def test_users_order_three_program_for_nonsymmetric_matrices_is_one_layer_a_step() -> None:
    @hw.program
    def order_three(X: hw.Matrix["d", "d"], E: hw.Matrix["d", "d"], *, steps):
        for _ in range(steps):
            X, E = X @ (hw.eye("d") + E + E @ E), E @ E @ E
        return {"X": X, "E": E}

    for steps in (1, 3):
        model = hw.compile(order_three, dims={"d": 3}, steps=steps)
        assert model.depth == steps and model.max_heads <= 3
        assert hw.verify(model).all_proved
