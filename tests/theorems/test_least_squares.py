"""Theorem 4.2 and Remark 4.4 of Giannou et al. 2024: figures, exactness, convergence, and what breaks them."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

import headwright as hw
from headwright.runtime.compiled import Compiled

GRID = list(itertools.product([(1, 1), (2, 5), (4, 4), (9, 3), (32, 8)], [0, 1, 2, 5, 10]))


@pytest.mark.parametrize("init", ["gram", "identity"])
@pytest.mark.parametrize("mu", [None, 0.25])
@pytest.mark.parametrize(("shape", "steps"), GRID)
def test_layers_heads_rows_and_accuracy_over_the_grid(shape, steps, init, mu, matrix, rng) -> None:
    (n, d), name = shape, "ridge" if mu is not None else "least_squares"
    extra = {} if mu is None else {"mu": mu}
    model = hw.constructions.get(name).compile(n=n, d=d, steps=steps, alpha=0.5, init=init, **extra)
    assert model.depth <= steps + (2 if init == "identity" else 3)
    assert model.max_heads <= 2
    assert model.d_model <= 4 * d + 3
    assert model.n_tokens == max(n, d)
    A, y, q = matrix(n, d), rng.normal(size=n), rng.normal(size=d)
    got, want = model(A=A, y=y, q=q), model.reference(A=A, y=y, q=q)
    scale = np.linalg.norm(y) * np.linalg.norm(q)  # |q X Aᵀ y| ≤ ‖q‖ ‖X‖ ‖A‖ ‖y‖: relative to the size of the product
    assert abs(got - want) <= 1e-12 * max(abs(want), scale)


@pytest.mark.parametrize("scale", [1e-4, 1e-2, 1.0, 1e2, 1e4, 1e6])
def test_accuracy_does_not_depend_on_the_units_of_the_features(scale, matrix, rng) -> None:
    A, y, q = matrix(20, 4), rng.normal(size=20), rng.normal(size=4)
    model = hw.constructions.get("least_squares").compile(n=20, d=4, steps=6, alpha=1 / scale**2, init="identity")
    got, want = model(A=scale * A, y=y, q=q), model.reference(A=scale * A, y=y, q=q)
    assert abs(got - want) <= 1e-12 * abs(want)


@pytest.mark.parametrize(("n", "d"), [(30, 5), (5, 5), (3, 6), (8, 1)])
@pytest.mark.parametrize("init", ["gram", "identity"])
def test_it_converges_to_the_minimum_norm_least_squares_prediction(n, d, init, matrix, rng) -> None:
    """With singular values in [0.5, 1] the residual is below (1 − 0.25·0.5)^(2^9) = 2e-30 at T = 9 for X_0 = αI; from
    X_0 = αS below (1 − 0.0625·0.9)^(2^10) = 2e-26. Rounding in the null space at most doubles in a step."""
    A, y, q = matrix(n, d), rng.normal(size=n), rng.normal(size=d)
    model = hw.constructions.get("least_squares").compile(n=n, d=d, steps=10, alpha=0.9, init=init)
    want = q @ np.linalg.lstsq(A, y, rcond=1e-8)[0]
    rounding = 2**10 * (n + d) * np.finfo(float).eps / 2
    assert abs(model(A=A, y=y, q=q) - want) <= 2 * rounding * np.linalg.norm(y) * np.linalg.norm(q)


def test_ridge_converges_to_the_ridge_solution(matrix, rng) -> None:
    A, y, q, mu = matrix(12, 4), rng.normal(size=12), rng.normal(size=4), 0.25
    model = hw.constructions.get("ridge").compile(n=12, d=4, steps=9, alpha=0.9, mu=mu, init="identity")
    want = q @ np.linalg.solve(A.T @ A + mu * np.eye(4), A.T @ y)
    assert abs(model(A=A, y=y, q=q) - want) <= 1e-12 * np.linalg.norm(y) * np.linalg.norm(q)


def test_ridge_with_zero_penalty_is_least_squares(matrix, rng) -> None:
    A, y, q = matrix(6, 3), rng.normal(size=6), rng.normal(size=3)
    ridge, plain = (
        hw.constructions.get(name).compile(n=6, d=3, steps=3, alpha=0.5, **extra)
        for name, extra in (("ridge", {"mu": 0}), ("least_squares", {}))
    )
    assert abs(ridge(A=A, y=y, q=q) - plain(A=A, y=y, q=q)) <= 1e-12 * np.linalg.norm(y) * np.linalg.norm(q)


@pytest.mark.parametrize("init", ["gram", "identity"])
@pytest.mark.parametrize("m", [1, 3, 9])
def test_a_matrix_of_queries_is_answered_in_one_pass(init, m, matrix, rng) -> None:
    one = hw.constructions.get("least_squares").compile(n=7, d=3, steps=4, alpha=0.5, init=init)
    many = hw.constructions.get("least_squares").compile(n=7, d=3, m=m, steps=4, alpha=0.5, init=init)
    assert many.depth <= 4 + (2 if init == "identity" else 3) and many.max_heads <= 2 and many.d_model <= 4 * 3 + 2 + m
    A, y, Q = matrix(7, 3), rng.normal(size=7), rng.normal(size=(m, 3))
    each = np.array([one(A=A, y=y, q=q) for q in Q])
    assert abs(many(A=A, y=y, Q=Q) - each).max() <= 1e-12 * np.linalg.norm(y) * np.linalg.norm(Q)


@pytest.mark.parametrize("init", ["gram", "identity"])
def test_removing_any_layer_breaks_it(init) -> None:
    model = hw.constructions.get("least_squares").compile(n=4, d=2, steps=3, alpha=0.25, init=init)
    for index in range(model.depth):
        layers = model.artifact.layers[:index] + model.artifact.layers[index + 1 :]
        certificate = hw.verify(Compiled(replace(model.artifact, layers=layers)))
        assert not isinstance(certificate["identity"], hw.Proved) and isinstance(certificate["exact"], hw.Refuted), index


def test_the_degree_bound_of_the_certificate_is_the_degree_of_the_program() -> None:
    """q X_T Aᵀ y from X_0 = αI: X_T has degree 2^T − 1 in S = AᵀA, so the output has degree 2(2^T − 1) + 3."""
    for steps in (1, 2, 3, 5):
        model = hw.constructions.get("least_squares").compile(n=4, d=2, steps=steps, alpha=0.25, init="identity")
        verdict = hw.verify(model)["depth"]
        assert isinstance(verdict, hw.Proved) and f"degree {2 * (2**steps - 1) + 3}," in verdict.how


@pytest.mark.parametrize(("init", "power"), [("gram", 4), ("identity", 2)])
def test_alpha_above_the_bound_is_refused(init, power, matrix, rng) -> None:
    A, y, q = matrix(8, 3), rng.normal(size=8), rng.normal(size=3)
    limit = 2 / np.linalg.norm(A, 2) ** power
    good, bad = (
        hw.constructions.get("least_squares").compile(n=8, d=3, steps=3, alpha=f * limit, init=init) for f in (0.999, 1.001)
    )
    assert np.isfinite(good(A=A, y=y, q=q))
    with pytest.raises(hw.AssumptionError) as caught:
        bad(A=A, y=y, q=q)
    assert "S" in caught.value.what and "alpha" in caught.value.fix and caught.value.where


def test_without_the_statement_divergence_is_reported(matrix, rng) -> None:
    @hw.program
    def unguarded(A: hw.Matrix["n", "d"], y: hw.Vector["n"], q: hw.Vector["d"], *, steps, alpha):
        S = A.T @ A
        X = alpha * hw.eye("d")
        for _ in range(steps):
            X = 2 * X - X @ S @ X
        return q @ X @ A.T @ y

    A, y, q = matrix(8, 3), rng.normal(size=8), rng.normal(size=3)
    with pytest.raises(hw.DivergenceError, match=r"layer \d+ of"):
        hw.compile(unguarded, dims={"n": 8, "d": 3}, steps=14, alpha=20.0)(A=A, y=y, q=q)
    with pytest.warns(hw.DivergenceWarning):
        hw.compile(unguarded, dims={"n": 8, "d": 3}, steps=5, alpha=1000.0)(A=A, y=y, q=q)


def test_the_whole_training_set_of_twenty_steps_is_proved_for_all_dimensions() -> None:
    model = hw.constructions.get("least_squares").compile(n=32, d=8, steps=20, alpha=0.01)
    certificate = hw.verify(model)
    assert certificate.all_proved, str(certificate)
    assert "for all d, n" in certificate["identity"].how
