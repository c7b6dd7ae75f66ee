"""The closed recursion of degree (3^L − 1)/2: the lower bound of depth is attained for every spectrum and tolerance."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from functools import cache

import mpmath
import numpy as np
import pytest
import sympy

import headwright as hw
from headwright.compiler.graph import Pair
from headwright.constructions.minimal import plan_minimal
from headwright.constructions.minimax import Interval
from headwright.constructions.pair import PairPlan, pair_plan
from headwright.constructions.solve import FLOOR
from headwright.proofs_check.lower_bounds import layers_needed
from headwright.proofs_check.pair_bounds import range_of_pair
from headwright.proofs_check.residual import check_residual

D = 4


def least(kappa: float, layers: int) -> float:
    """1/T_m((κ + 1)/(κ − 1)), m = (3^layers − 1)/2: no net of so many layers has a smaller residual on [1/κ, 1]."""
    with mpmath.workdps(60):
        k = mpmath.mpf(kappa)
        return float(1 / mpmath.cosh((3**layers - 1) // 2 * mpmath.acosh((k + 1) / (k - 1))))


def interval(kappa: float, tol: float) -> Interval:
    return Interval(Fraction(1 / kappa), Fraction(1), Fraction(tol))


def value(pair: Pair, point: Fraction) -> Fraction:
    """The definition of a pair, in rational numbers."""
    w, y, v, s = 1 - point / pair.right, 1 - point / pair.left, Fraction(1), Fraction(1)
    for f, g in pair.steps:
        n = w * v * v
        v, s = (
            v * sum((c * n**i for i, c in enumerate(f)), Fraction(0)),
            s * sum((c * n**i for i, c in enumerate(g)), Fraction(0)),
        )
    return pair.weight * w * v + (1 - pair.weight) * y * s


def evaluated(model: hw.Compiled, dtype: type = np.float64, **inputs: np.ndarray) -> np.ndarray:
    """Eq. (3.1a) and nothing else."""
    H = model.encode(**inputs).astype(dtype)
    for layer in model.layers:
        heads = [(h.W_V.astype(dtype), h.W_K.astype(dtype), h.W_Q.astype(dtype)) for h in layer.heads]
        H = H + sum(V @ H @ (K @ H).T @ (Q @ H) for V, K, Q in heads)
    return model.decode(H.astype(np.float64))


def data(kappa: float, n: int = 7, seed: int = 0) -> np.ndarray:
    """A (n, D) whose AᵀA has eigenvalues from 1/kappa to 1."""
    rng = np.random.default_rng(seed)
    left, _ = np.linalg.qr(rng.normal(size=(n, D)))
    right, _ = np.linalg.qr(rng.normal(size=(D, D)))
    return left * np.sqrt(np.geomspace(1 / kappa, 1, D)) @ right.T


@cache
def compiled(kappa: float, tol: float, **options: object) -> hw.Compiled:
    sizes = {"n": 7, "d": D, "m": D, "spectrum": (1 / kappa, 1.0), "tol": tol}
    return hw.constructions.get("least_squares_minimal").compile(**sizes, **options)


# -- the mathematics ---------------------------------------------------------------------------------------------------


def test_minimax_polynomials_are_made_of_third_and_fourth_kind_ones_that_triple() -> None:
    x = sympy.Symbol("x")
    V, W = sympy.Integer(1), sympy.Integer(1)
    for layers in range(1, 4):
        V, W = sympy.expand(V * (2 * (1 + x) * V**2 - 3)), sympy.expand(W * (2 * (1 + x) * V**2 - 1))
        degree = (3**layers - 1) // 2
        assert sympy.degree(V, x) == sympy.degree(W, x) == degree
        assert sympy.expand(((1 + x) * V + (1 - x) * W) / 2 - sympy.chebyshevt(degree, x)) == 0


def test_the_state_closes_without_a_division() -> None:
    """G follows its own recursion, and so stays w(1 − v)/(cλ) + 1, for every a."""
    v, a, c, lam = sympy.symbols("v a c lam")
    w = 1 - 2 * c * lam
    G = w * (1 - v) / (c * lam) + 1
    product = -c * lam * (G * (1 + v) + 1 - v)
    assert sympy.expand(product - (w * v**2 - 1)) == 0
    following = (1 + 2 * a) * G - a * c * lam * ((G - 1) * v * (G - 1) + 2 * (G + 1) * G)
    assert sympy.simplify(following - (w * (1 - v - a * (w * v**2 - 1) * v) / (c * lam) + 1)) == 0


@pytest.mark.parametrize("kappa", [10, 10**4, 10**8])
@pytest.mark.parametrize("layers", [1, 2, 3, 4, 5])
def test_the_residual_is_the_minimax_polynomial(kappa: int, layers: int) -> None:
    """Exact values at extrema of T_m, and the proved bound: all equal ±1/T_m to seven digits."""
    plan = pair_plan(interval(kappa, min(least(kappa, layers) * (1 + 1e-7), 1 - 1e-15)), layers)
    assert plan is not None
    assert len(plan.steps) == layers
    assert float(plan.bound) == pytest.approx(least(kappa, layers), rel=2e-7)
    left, right, degree = plan.pair.left, plan.pair.right, (3**layers - 1) // 2
    bound = least(float(right / left), layers)
    for j in range(0, degree + 1, 1 + degree // 7):
        point = left + (right - left) * Fraction(np.sin(j * np.pi / degree / 2) ** 2)
        assert float(value(plan.pair, point)) == pytest.approx((-1) ** j * bound, rel=1e-7)


def test_one_layer_less_is_impossible() -> None:
    for kappa, layers in [(10, 3), (100, 4), (10**4, 5)]:
        below = least(kappa, layers) * (1 - 1e-9)
        assert pair_plan(interval(kappa, below), layers) is None
        assert layers_needed(1 / kappa, 1, below) == layers + 1


def test_depth_is_the_lower_bound_wherever_cubics_miss_it() -> None:
    """Random spectra and tolerances; cubics alone miss the bound in about a tenth of them."""
    rng = random.Random(3)
    missed = 0
    for _ in range(60):
        kappa, tol = 10 ** rng.uniform(0.5, 8), 10 ** rng.uniform(-14, -1)
        goal = interval(kappa, tol)
        needed = layers_needed(goal.lower, goal.upper, goal.tol)
        cubics = plan_minimal(goal, "rows")
        assert cubics.layers - needed in (0, 1)
        if cubics.layers > needed:
            missed += 1
            assert plan_minimal(goal).layers == needed
        else:
            assert not isinstance(plan_minimal(goal).plan, PairPlan)  # rows are not spent where no layer is saved
    assert 3 <= missed <= 15


# -- compiled ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kappa", "layers"), [(10, 1), (10, 2), (10, 3), (100, 3), (100, 4), (10**4, 5)])
def test_a_net_attains_the_bound_and_no_more(kappa: int, layers: int) -> None:
    tol = least(kappa, layers) * (1 + 1e-6)
    model = compiled(kappa, tol)
    assert model.depth == layers == layers_needed(1 / kappa, 1, tol)
    A = data(kappa)
    columns = [evaluated(model, A=A, y=A @ e, Q=np.eye(D)) for e in np.eye(D)]
    error = np.linalg.norm(np.eye(D) - np.stack(columns, 1), 2)
    assert error == pytest.approx(tol, rel=3e-6)  # λ = l is an extremum of the residual


def test_a_pair_is_proved_and_its_rows_and_heads_are_counted() -> None:
    model = compiled(10, least(10, 3) * 1.01)
    assert (model.depth, model.max_heads, model.d_model) == (3, 6, 4 * D + 3)
    certificate = hw.verify(model)
    assert certificate.all_proved
    assert "of degree 13" in certificate["residual"].how
    assert "the fewest possible" in certificate["fewest"].how


def test_cubics_take_a_layer_more_and_a_block_of_rows_less() -> None:
    model = compiled(10, least(10, 3) * 1.01, prefer="rows")
    assert (model.depth, model.max_heads) == (4, 2)
    assert model.d_model <= 3 * D + 3
    assert hw.verify(model).all_proved


def test_one_query_and_fewer_examples_than_features() -> None:
    kappa, tol = 100, least(100, 4) * 1.01
    A = np.linalg.svd(np.random.default_rng(1).normal(size=(2, D)), full_matrices=False)
    A = A[0] * np.sqrt([1.0, 1 / kappa]) @ A[2]
    y, q = np.array([0.3, -0.7]), np.array([0.1, -0.2, 0.5, 0.4])
    model = hw.constructions.get("least_squares_minimal").compile(n=2, d=D, spectrum=(1 / kappa, 1.0), tol=tol)
    assert model.depth == 4
    w = np.linalg.pinv(A) @ y
    assert abs(model(A=A, y=y, q=q) - q @ w) <= tol * np.linalg.norm(q) * np.linalg.norm(w)


def test_rounding_leaves_what_the_warning_says() -> None:
    """Labels with noise, float64 and float32, an easy and a marginal tolerance."""
    kappa = 10**4
    for room in (1.2, 1 + 1e-4):
        tol = least(kappa, 6) * room
        plan = plan_minimal(interval(kappa, tol)).plan
        assert isinstance(plan, PairPlan)
        model, A = compiled(kappa, tol), data(kappa)
        y = np.random.default_rng(5).normal(size=7)
        w = np.linalg.lstsq(A, y, rcond=None)[0]
        exact = evaluated(model, np.longdouble, A=A, y=y, Q=np.eye(D))
        for dtype in (np.float64, np.float32):
            error = np.linalg.norm(evaluated(model, dtype, A=A, y=y, Q=np.eye(D)) - exact) / np.linalg.norm(w)
            assert error <= FLOOR * np.finfo(dtype).eps * kappa**0.5 * plan.peak**2


def test_room_in_the_tolerance_makes_rounding_smaller() -> None:
    narrow, wide = (pair_plan(interval(10**6, least(10**6, 8) * room), 8) for room in (1 + 1e-6, 1.2))
    assert narrow is not None
    assert wide is not None
    assert wide.pair.right > narrow.pair.right >= 1
    assert wide.peak < narrow.peak / 50


def test_cubics_are_proposed_where_only_they_reach_the_tolerance() -> None:
    kappa = 570_000
    tol = least(kappa, 9) * (1 + 1e-4)  # 1e-11, above the floor of cubics
    with pytest.warns(hw.PrecisionWarning, match=r'below what float64 reaches.*prefer="rows"'):
        compiled(kappa, tol)


@pytest.mark.parametrize(("upper", "tol"), [(1 + 2**-52, 1e-40), (1 + 1e-9, 1e-30), (1.5, 1e-100), (10, 1e-300), (1e5, 1e-99)])
def test_tiny_tolerances_and_narrow_spectra_have_a_plan(upper: float, tol: float) -> None:
    """Where floats are too few for the recursion the cubics stay; no plan is below the bound."""
    goal = Interval(Fraction(1), Fraction(upper), Fraction(tol))
    assert plan_minimal(goal).layers - layers_needed(1, upper, goal.tol) in (0, 1)


def test_a_spectrum_wider_than_floats_resolve_is_refused() -> None:
    with pytest.raises(hw.CompileError, match="more than float coefficients resolve"):
        compiled(1e30, 0.1)


# -- what breaks it ----------------------------------------------------------------------------------------------------


def test_an_eigenvalue_above_u_is_refused_and_would_diverge() -> None:
    kappa, tol = 100, least(100, 4) * 1.01
    model, A = compiled(kappa, tol), np.sqrt(1.1) * data(100)
    with pytest.raises(hw.AssumptionError, match=r"reaches 1\.1"):
        model(A=A, y=np.ones(7), Q=np.eye(D))
    columns = [evaluated(model, A=A, y=A @ e, Q=np.eye(D)) for e in np.eye(D)]
    assert np.linalg.norm(np.eye(D) - np.stack(columns, 1), 2) > 100 * tol


def test_another_recursion_or_a_smaller_tolerance_is_refuted() -> None:
    graph = compiled(10, least(10, 3) * 1.01).artifact.graph
    (claim,) = graph.residuals
    pair = claim.pair
    assert pair is not None
    assert isinstance(check_residual(graph, claim), hw.Proved)
    assert isinstance(check_residual(graph, replace(claim, tol=claim.tol * Fraction(98, 100))), hw.Refuted)
    bent = replace(pair, weight=pair.weight + Fraction(1, 10**9))
    assert isinstance(check_residual(graph, replace(claim, pair=bent)), hw.Refuted)
    *steps, ((f0, f1), g) = pair.steps
    bent = replace(pair, steps=(*steps, ((f0, f1 + Fraction(1, 10**9)), g)))
    assert isinstance(check_residual(graph, replace(claim, pair=bent)), hw.Refuted)
    assert isinstance(check_residual(graph, replace(claim, lower=claim.lower / 2)), hw.Unknown)


def test_the_ellipse_encloses_any_pair() -> None:
    """Random recursions, not only Chebyshev's: no value in the interval is above the proved bound."""
    rng = random.Random(7)

    def number(low: float, high: float) -> Fraction:
        return Fraction(round(rng.uniform(low, high) * 64), 64)

    for _ in range(25):
        left = number(0.1, 1)
        right = left + number(0.5, 3)
        steps = tuple(((number(-2, -0.1), number(0.1, 2)), (number(0.1, 2), number(-2, 2))) for _ in range(rng.randrange(4)))
        pair = Pair(left, right, number(-2, 2), steps)
        low, high = range_of_pair(pair, left, right)
        points = [left + (right - left) * Fraction(i, 40) for i in range(41)]
        assert all(low <= value(pair, point) <= high for point in points)
    with pytest.raises(ValueError, match="says nothing about"):
        range_of_pair(pair, left / 2, right)
