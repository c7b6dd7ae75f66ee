"""The exact optima behind Ahn et al. (2023): moments, step sizes, one layer, GD++."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache

import numpy as np
import pytest

from headwright.compiler.errors import CompileError
from headwright.proofs_check.ahn_descent import certified_radius, derivatives, gd_plus_plus_loss, optimal_gd_plus_plus
from headwright.proofs_check.ahn_optimum import optimal_single_layer, optimal_step_sizes
from headwright.proofs_check.wishart import gauss_rule, trace_moment, trace_moments


@cache
def mean_of_traces(n: int, d: int, powers: tuple[int, ...]) -> int:
    """E Π tr (XXᵀ)^p by Gaussian integration by parts: another derivation than that of the library."""
    ones, powers = powers.count(0), tuple(sorted(p for p in powers if p))
    if not powers:
        return d**ones
    *rest, k = powers
    total = (n + k - 1) * mean_of_traces(n, d, tuple(sorted((*rest, k - 1))))
    total += sum(mean_of_traces(n, d, tuple(sorted((*rest, r, k - 1 - r)))) for r in range(1, k))
    for i, m in enumerate(rest):
        total += 2 * m * mean_of_traces(n, d, tuple(sorted((*rest[:i], *rest[i + 1 :], k + m - 1))))
    return d**ones * total


@pytest.mark.parametrize("n, d", [(1, 4), (3, 2), (2, 3), (20, 5)])
def test_trace_moments_are_those_of_integration_by_parts(n: int, d: int) -> None:
    for power in range(9):
        assert trace_moment(n, d, power) * n**power == mean_of_traces(n, d, (power,))


def test_trace_moments_of_one_feature_are_those_of_chi_square() -> None:
    assert all(trace_moment(7, 1, power) * 7**power == math.prod(7 + 2 * i for i in range(power)) for power in range(27))


def test_the_quadrature_rule_reproduces_the_moments() -> None:
    nodes, weights = gauss_rule(20, 5, 14)
    for power in range(28):
        assert weights @ nodes**power == pytest.approx(float(trace_moment(20, 5, power)), rel=1e-10)


@pytest.mark.parametrize(
    "n, layers, loss, a",
    [
        (20, 1, Fraction(15, 13), [-0.76923]),
        (20, 2, Fraction(1795, 4969), [-0.51537, -1.24957]),
        (20, 3, Fraction(12138645, 90852389), [-0.42241, -0.68913, -1.71422]),
        (10, 1, Fraction(15, 8), [-0.625]),
        (10, 2, Fraction(970, 999), None),
        (10, 3, Fraction(307915, 531468), [-0.30031, -0.52869, -1.64433]),
    ],
)
def test_optimal_step_sizes_and_losses(n: int, layers: int, loss: Fraction, a: list[float] | None) -> None:
    best = optimal_step_sizes(n, 5, layers)
    assert best.loss == loss and best.error < 1e-25 and list(best.a) == sorted(best.a, reverse=True)
    if a is not None:
        assert np.abs(np.array(best.a) - a).max() <= 5.0001e-6  # five printed digits
    for low, high in best.enclosures:  # p changes sign at −1/a
        values = [sum(c * (-1 / end) ** i for i, c in enumerate(best.polynomial)) for end in (low, high)]
        assert values[0] * values[1] <= 0


def test_other_step_sizes_are_worse() -> None:
    best = optimal_step_sizes(10, 5, 3)
    for layer in range(3):
        for shift in (Fraction(1, 1000), Fraction(-1, 1000)):
            a = [Fraction(v) + (shift if i == layer else 0) for i, v in enumerate(best.a)]
            assert gd_plus_plus_loss(tuple(a), (Fraction(0),) * 2, 10, 5) > best.loss


def test_one_layer_agrees_with_the_step_size_for_identity_covariance() -> None:
    one, same = optimal_single_layer(np.eye(5, dtype=int), 20), optimal_step_sizes(20, 5, 1)
    assert one.loss == same.loss and (Fraction(-10, 13) * np.eye(5, dtype=int) == one.A).all()


@pytest.mark.parametrize(
    "n, layers, audited, found",
    [
        (10, 2, 0.425374, 0.38412070),
        (10, 3, 0.0551983, 0.03925932),
        (20, 2, 0.0575012, 0.05750115),
        (20, 3, 0.00104926, 0.00096131),
    ],
)
def test_gd_plus_plus_meets_a_known_local_minimum_and_ends_no_higher(n: int, layers: int, audited: float, found: float) -> None:
    best = optimal_gd_plus_plus(n, 5, layers)
    assert any(abs(value - audited) <= 5.1e-6 * audited for value in best.minima)
    assert float(best.loss) == pytest.approx(found, abs=6e-9) and float(best.loss) == pytest.approx(best.minima[0], rel=1e-9)
    assert best.positive_definite and best.certified
    assert best.radius < Fraction(1, 10**20) and best.gradient < Fraction(1, 10**25)
    assert best.loss == gd_plus_plus_loss(best.a, best.b, n, 5)
    assert best.loss < optimal_step_sizes(n, 5, layers).loss


def test_a_point_that_is_no_minimum_is_not_certified() -> None:
    a, b, moments = [Fraction(-1), Fraction(-2)], [Fraction(1, 2)], trace_moments(10, 5, 8)
    _, gradient, hessian = derivatives(a, b, moments)
    assert certified_radius(a, b, moments, gradient, hessian) is None


@pytest.mark.parametrize(
    "sigma, n, words",
    [
        ([[1, 2], [3, 4]], 3, r"sigma is not symmetric: \[0, 1\] is 2, \[1, 0\] is 3"),
        ([[1, 1], [1, 1]], 3, "sigma is singular"),
        ([[1, 2], [2, 1]], 3, "sigma is not positive definite"),
        ([1, 2], 3, r"sigma has shape \(2,\)"),
        ([[float("nan")]], 3, "not finite"),
        ([[1]], 0, "n is 0: expected a whole number, at least 1"),
        ([[1]], 2.5, "n is 2.5"),
    ],
)
def test_bad_covariances_and_sizes_are_named(sigma, n, words: str) -> None:
    with pytest.raises(CompileError, match=words):
        optimal_single_layer(sigma, n)


@pytest.mark.parametrize("call", [optimal_step_sizes, optimal_gd_plus_plus])
@pytest.mark.parametrize("sizes, name", [((0, 5, 1), "n"), ((5, 0, 1), "d"), ((5, 5, 0), "layers"), ((5, True, 1), "d")])
def test_bad_sizes_are_named(call, sizes, name: str) -> None:
    with pytest.raises(CompileError, match=f"^{name} is "):
        call(*sizes)
