"""GD++ with numbers from the spectral interval: its rule is the best one, its residual is proved, and where it must end."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import mpmath
import numpy as np
import pytest
import sympy

import headwright as hw
from headwright.compiler.graph import Residual
from headwright.constructions.descent import DescentPlan, plan_descent
from headwright.constructions.minimax import check_interval
from headwright.proofs_check.descent_bounds import bound_of_descent, degree_of_descent, product_of_factors
from headwright.proofs_check.minimax import layers_needed
from headwright.proofs_check.residual import check_residual
from headwright.runtime.measuring import distance, prediction_matrix, spectral_data

D = 4
TABLE = {
    10: {1e-2: 3, 1e-6: 5, 1e-12: 6},
    100: {1e-2: 5, 1e-6: 6, 1e-12: 7},
    10**4: {1e-2: 7, 1e-6: 8, 1e-12: 9},
    10**6: {1e-2: 9, 1e-6: 11, 1e-12: 12},
}
CELLS = [(kappa, tol, layers) for kappa, row in TABLE.items() for tol, layers in row.items()]


def plan(kappa: float, tol: float) -> DescentPlan:
    return plan_descent(check_interval("gd_plus_plus", (1 / kappa, 1.0), tol))


def compiled(kappa: float, tol: float, n: int = 7, m: int = 1, arch: hw.Architecture | None = None) -> hw.Compiled:
    given = {"n": n, "d": D, "m": m, "spectrum": (1 / kappa, 1.0), "tol": tol, "arch": arch}
    return hw.constructions.get("gd_plus_plus").compile(**given)


def stated(model: hw.Compiled) -> Residual:
    (claim,) = model.artifact.graph.residuals
    return claim


def residual_at(steps: tuple[tuple[Fraction, Fraction], ...], point: Fraction) -> Fraction:
    value = Fraction(1)
    for a, gamma in steps:
        value, point = value * (1 - a * point), point * (1 - gamma * point) ** 2
    return value


# -- the table ---------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::headwright.PrecisionWarning")
@pytest.mark.parametrize(("kappa", "tol", "layers"), CELLS)
def test_the_depth_table_one_head_and_d_plus_1_rows(kappa: float, tol: float, layers: int) -> None:
    """At most two layers above what any linear attention needs; the residual is that of the weights, in 77 digits."""
    model = compiled(kappa, tol)
    assert (model.depth, model.max_heads, model.d_model) == (layers, 1, D + 1)
    assert 0 <= layers - layers_needed(1 / kappa, 1.0, tol) <= 2
    assert distance(prediction_matrix(model, spectral_data(kappa, 7, D), precisely=True)) <= tol


def test_the_lower_bound_is_attained_in_a_cell() -> None:
    certificate = hw.verify(compiled(10.0, 1e-2))
    assert certificate.all_proved
    assert "the fewest possible" in certificate["fewest"].how
    assert "cells" in certificate["residual"].how  # the rule alone needs a layer more


@pytest.mark.parametrize(
    ("arch", "heads", "rows"),
    [(hw.MASKED, 1, D + 1), (hw.LINEAR, 2, 2 * D + 2), (hw.GATED, 2, 2 * D + 2)],
    ids=lambda value: getattr(value, "name", ""),
)
def test_other_machines(arch: hw.Architecture, heads: int, rows: int) -> None:
    model = compiled(4.0, 1e-2, arch=arch)
    assert (model.depth, model.max_heads, model.d_model) == (3, heads, rows)
    assert hw.verify(model).all_proved


# -- what the layers compute -------------------------------------------------------------------------------------------


def test_every_layer_is_the_recursion_exactly() -> None:
    """In rational numbers, from the weights alone (Ahn's formula): Z ← Z + (1/n) P Z M Zᵀ Q Z on tokens (x, r)."""
    n, m = 4, 2
    model = hw.constructions.get("gd_plus_plus").compile(n=n, d=2, m=m, spectrum=(Fraction(1, 4), 2), tol=0.05)
    A, y, queries = (np.vectorize(Fraction, otypes=[object])(values) for values in (
        np.array([[1, 2], [3, -1], [0, 1], [2, 2]]) , np.array([1, -2, 3, 5]), np.array([[1, 0], [2, 5]])
    ))  # fmt: skip
    A = A / 4
    Z = np.vstack([np.vstack([A, queries]).T, [*y, *[Fraction(0)] * m]])
    X, r = np.vstack([A, queries]), np.array([*y, *[Fraction(0)] * m], dtype=object)
    assert model.depth == len(stated(model).descent) == 3
    for (P, Q), (a, gamma) in zip(hw.to_pq(model, exact=True), stated(model).descent, strict=True):
        Z = Z + P @ Z[:, :n] @ Z[:, :n].T @ Q @ Z / n
        X, r = X - gamma * X @ X[:n].T @ X[:n], r - a * X @ X[:n].T @ r[:n]
        assert np.array_equal(Z, np.vstack([X.T, r]))


@pytest.mark.parametrize("n", [2, 6])
def test_few_examples_or_dependent_features_give_the_minimum_norm_solution(n: int) -> None:
    """Eigenvalues 0 stay 0, and every step is in the range of Aᵀ."""
    rng = np.random.default_rng(n)
    left, right = (np.linalg.qr(rng.normal(size=(size, 2)))[0] for size in (n, D))
    A, y, tol = left * np.sqrt([0.01, 1.0]) @ right.T, rng.normal(size=n), 1e-8
    w = np.linalg.pinv(A) @ y
    found = compiled(100.0, tol, n=n, m=D)(A=A, y=y, Q=np.eye(D))["prediction"]
    assert np.linalg.norm(found - w) <= 1.01 * tol * np.linalg.norm(w)


def test_eigenvalues_outside_are_refused_and_would_not_converge() -> None:
    model, A = compiled(100.0, 1e-6), spectral_data(100.0, 7, D)
    inputs = {"y": np.ones(7), "Q": np.ones((1, D))}
    model(A=A, **inputs)
    with pytest.raises(hw.AssumptionError, match=r"(?s)reaches 1\.1.*contains the eigenvalues of AᵀA"):
        model(A=np.sqrt(1.1) * A, **inputs)
    with pytest.raises(hw.AssumptionError):
        model(A=np.sqrt(0.9) * A, **inputs)
    assert distance(prediction_matrix(model, np.sqrt(1.5) * A)) > 1e3 * 1e-6
    assert distance(prediction_matrix(model, np.sqrt(0.5) * A)) > 1e3 * 1e-6


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"spectrum": (0.1, 1)}, "missing tol"),
        ({"tol": 1e-3}, "missing spectrum"),
        ({"spectrum": (0, 1), "tol": 1e-3}, "spectrum is .*0 < l ≤ u"),
        ({"spectrum": (0.1, 1), "tol": 1e-3, "sigma": 1}, "sigma is given beside spectrum"),
        ({"spectrum": (0.1, 1), "tol": 1e-3, "layers": 2}, "layers is given beside spectrum"),
        ({"a": (-1,), "b": (0,)}, "missing sigma"),
    ],
)
def test_bad_arguments_are_named(given: dict[str, object], message: str) -> None:
    with pytest.raises(hw.CompileError, match=message):
        hw.constructions.get("gd_plus_plus").compile(n=4, d=2, m=1, **given)


# -- the bound ---------------------------------------------------------------------------------------------------------


def test_the_bound_holds_and_is_nearly_reached() -> None:
    """Of random numbers, not only planned ones, against the residual at points, exactly."""
    rng = random.Random(3)
    for _ in range(12):
        steps = tuple(
            (Fraction(rng.randrange(1, 160), 64), Fraction(rng.randrange(90), 64)) for _ in range(rng.randrange(1, 4))
        )
        lower, upper = Fraction(1, rng.randrange(2, 30)), Fraction(1)
        values = [abs(residual_at(steps, lower + (upper - lower) * k / 400)) for k in range(401)]
        roomy, tight = max(values) * Fraction(11, 10), max(values) * Fraction(9, 10)
        assert max(values) <= bound_of_descent(steps, lower, upper, roomy).bound <= roomy
        refuted = bound_of_descent(steps, lower, upper, tight)
        assert refuted.reached is not None
        assert tight < refuted.bound <= abs(residual_at(steps, refuted.reached))


def test_another_number_or_a_smaller_tolerance_is_refuted() -> None:
    model = compiled(10.0, 1e-2)
    graph, claim = model.artifact.graph, stated(model)
    assert isinstance(check_residual(graph, claim), hw.Proved)
    smaller = check_residual(graph, replace(claim, tol=Fraction(8, 1000)))
    assert isinstance(smaller, hw.Refuted) and "reaches" in smaller.counterexample
    (a, gamma), *others = claim.descent
    for bent in ((a + Fraction(1, 10**12), gamma), (a, gamma + Fraction(1, 10**12))):
        assert isinstance(check_residual(graph, replace(claim, descent=(bent, *others))), hw.Refuted)
    assert isinstance(check_residual(graph, replace(claim, upper=2 * claim.upper)), hw.Refuted)
    assert isinstance(check_residual(graph, replace(claim, lower=Fraction(0))), hw.Unknown)
    assert degree_of_descent(claim.descent) == (3**3 - 1) // 2


@pytest.mark.filterwarnings("ignore::headwright.PrecisionWarning")
@pytest.mark.parametrize("spectrum", [(1, 1), (Fraction(1, 3), Fraction(1, 3)), (1e-30, 1), (1e-200, 1e-190), (1, 1e13)])
@pytest.mark.parametrize("tol", [0.9, 1e-5, 1e-40])
def test_every_spectrum_and_tolerance_has_a_plan(spectrum: tuple[float, float], tol: float) -> None:
    interval = check_interval("gd_plus_plus", spectrum, tol)
    found = plan_descent(interval)
    proved = bound_of_descent(found.steps, interval.lower, interval.upper, interval.tol)
    assert proved.reached is None and proved.bound <= interval.tol and found.bound <= interval.tol


# -- the rule ----------------------------------------------------------------------------------------------------------

s, t = sympy.symbols("s t", positive=True)
STEP = t * (1 - t) ** 2  # γ times the next λ, with t = γλ


def next_condition(kappa: sympy.Expr) -> sympy.Expr:
    """κ after a layer of the rule, for κ = s²."""
    return (4 * (s**2 + s + 1) ** 3 / (27 * s**2 * (s + 1) ** 2)).subs(s, sympy.sqrt(kappa))


def test_the_rule_has_equal_ends_and_its_condition_number() -> None:
    """l = 1, u = s²: γ = 1/(s² + s + 1), both ends are mapped to one value, and 1/(3γ), where the peak is, lies between."""
    gamma = 1 / (s**2 + s + 1)
    at_l, at_u = (sympy.factor(STEP.subs(t, gamma * end) / gamma) for end in (1, s**2))
    assert sympy.simplify(at_l - at_u) == 0
    assert sympy.solve(sympy.diff(STEP, t), t) == [sympy.Rational(1, 3), 1]
    peak = STEP.subs(t, sympy.Rational(1, 3)) / gamma
    assert sympy.simplify(peak / at_l - next_condition(s**2)) == 0
    assert sympy.factor(1 / (3 * gamma) - 1) == (s - 1) * (s + 2) / 3  # 1 ≤ 1/(3γ)
    assert sympy.factor(s**2 - 1 / (3 * gamma)) == (s - 1) * (2 * s + 1) / 3  # 1/(3γ) ≤ s²


def test_no_gamma_has_a_smaller_condition_number() -> None:
    """Case by case in γ, with l = 1, u = s² ≥ 1; t ↦ t(1 − t)² rises on (0, 1/3) and falls on (1/3, 1).

    1/(3s²) ≤ γ ≤ γ*: at least peak/value at l = 4/(27 t(1 − t)²) with t = γ < 1/3, which falls with γ.
    γ* ≤ γ < 1/s²:    at least peak/value at u = 4/(27 t(1 − t)²) with t = γs² > 1/3, which rises with γ.
    0 ≤ γ ≤ 1/(3s²):  no peak inside; value at u / value at l falls with γ. At γ = 1/(3s²) the first case takes over.
    γ < 0, γ > 1:     value at u / value at l exceeds s². In between a value is 0.
    """
    assert sympy.factor(sympy.diff(STEP, t)) == (t - 1) * (3 * t - 1)
    gamma = sympy.Symbol("gamma", real=True)
    root = (1 - gamma * s**2) / (1 - gamma)  # of value at u / (s² · value at l)
    assert sympy.simplify(sympy.diff(root, gamma) + (s**2 - 1) / (gamma - 1) ** 2) == 0  # it falls with γ
    assert sympy.limit(root, gamma, sympy.oo) == s**2  # for γ > 1 it falls to s² > 1, and for γ < 0 from s² to 1
    assert sympy.limit(root, gamma, -sympy.oo) == s**2 and root.subs(gamma, 0) == 1
    for kappa in (1.2, 7.0, 40.0):  # and on a fine grid of γ
        best = min(_condition(g, kappa) for g in np.linspace(-1, 2, 12001))
        rule = float(next_condition(sympy.Float(kappa)))
        assert rule <= best * (1 + 1e-9) and best <= rule * 1.05
        assert _condition(1 / (kappa + math.sqrt(kappa) + 1), kappa) == pytest.approx(rule, rel=1e-12)


def _condition(gamma: float, kappa: float) -> float:
    inside = [x for x in (1 / (3 * gamma), 1 / gamma) if 1 <= x <= kappa] if gamma else []
    values = [x * (1 - gamma * x) ** 2 for x in (1.0, kappa, *inside)]
    return max(values) / min(values) if min(values) else math.inf


def test_the_condition_number_falls_by_27_quarters_and_in_the_end_quadratically() -> None:
    excess = sympy.factor(next_condition(s**2) - 1)
    assert sympy.simplify(excess - ((s - 1) * (s + 2) * (2 * s + 1)) ** 2 / (27 * s**2 * (s + 1) ** 2)) == 0
    assert sympy.limit(next_condition(s**2) / s**2, s, sympy.oo) == sympy.Rational(4, 27)
    assert sympy.limit(excess / (s**2 - 1) ** 2, s, 1) == sympy.Rational(3, 16)


def test_numbers_found_together_are_never_more_layers_than_the_rule() -> None:
    for kappa, tol, layers in CELLS:
        found = plan(kappa, tol)
        rule = Fraction(2) / (1 + Fraction(1 / kappa))
        by_rule = len(found.steps) == layers and abs(found.steps[0][0] - rule) < Fraction(1, 10**9)
        assert by_rule == (product_of_factors(found.steps, Fraction(1 / kappa), Fraction(1)) <= Fraction(tol))
    saved = {cell[:2] for cell in CELLS if plan(*cell[:2]).steps[0][0] != Fraction(float(2 / (1 + Fraction(1 / cell[0]))))}
    assert saved == {(10, 1e-2), (10**4, 1e-6), (10**6, 1e-2)}


# -- what such layers can and cannot do --------------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_without_a_lower_end_they_make_chebyshevs_polynomial_of_the_largest_degree(layers: int) -> None:
    """a = γ = 4/(3u), then u/9: √λ r(λ) = ± T_m(√λ)/m with m = 3^L on [0, 1], so ‖A(w_L − w*)‖ ≤ √u ‖w*‖/3^L for every A.

    No linear attention of L layers does better: λr(λ²) is odd of degree at most 3^L with derivative 1 at 0, and by
    Bernstein's inequality such a polynomial is at least 3^−L somewhere on [−1, 1].
    """
    x = sympy.Symbol("x")
    r, lam = sympy.Integer(1), x**2
    for layer in range(layers):
        a = sympy.Rational(4, 3) * 9**layer
        r, lam = sympy.expand(r * (1 - a * lam)), sympy.expand(lam * (1 - a * lam) ** 2)
    m = 3**layers
    assert sympy.expand(x * r * m - (-1) ** ((m - 1) // 2) * sympy.chebyshevt(m, x)) == 0
    assert sympy.expand(lam - (x * r) ** 2) == 0
    assert sympy.degree(r, x) == m - 1


def test_a_root_of_the_residual_has_at_most_order_2_to_the_layers_minus_1() -> None:
    """λ ↦ λ(1 − γλ)² has no point with two derivatives 0, so λ_k − c has roots of order at most 2^k; orders add up."""
    lam, gamma = sympy.symbols("lambda gamma", positive=True)
    step = lam * (1 - gamma * lam) ** 2
    both = sympy.solve([sympy.diff(step, lam), sympy.diff(step, lam, 2)], [lam, gamma], dict=True)
    assert both == []
    # attained, at λ = 1 in 3 layers: 1 is a peak of every map, and a root of every factor
    x, value, point = sympy.Symbol("x"), sympy.Integer(1), lam
    for _ in range(3):
        here = point.subs(lam, 1)
        value, point = value * (1 - point / here), point * (1 - point / (3 * here)) ** 2
    order = sympy.Poly(sympy.expand(value.subs(lam, 1 + x)), x).monoms()[-1][0]
    assert order == 2**3 - 1


def least_residual(kappa: float, layers: int) -> mpmath.mpf:
    """No numbers a, γ leave less on a spectral interval of that condition number.

    Let h = (log κ)/4. On the first or on the last quarter of the interval (in log λ) |1 − aλ| ≥ 1 − e^−h, as 1/a is a
    quarter away from it. On a half of that quarter, cut where γλ = 1/3, λ ↦ λ(1 − γλ)² is monotone and its logarithm has,
    at x = log(3γλ), a slope of at least 1 − e^−|x|: so its image has the length ψ = h/2 − 1 + e^(−h/2) at least, in logs.
    """
    with mpmath.workdps(2000):
        found, length = mpmath.mpf(1), mpmath.log(kappa)
        for _ in range(layers):
            quarter = length / 4
            found *= 1 - mpmath.exp(-quarter)
            length = quarter / 2 - 1 + mpmath.exp(-quarter / 2)
        return found


def test_the_slope_that_the_lower_bound_takes_for_granted() -> None:
    """d log(λ(1 − γλ)²)/d log λ = (1 − 3t)/(1 − t) with t = γλ: at least 1 − e^−|x| in size, for t = e^x/3 > 0 and t ≤ 0."""
    slope = sympy.simplify(sympy.diff(sympy.log(STEP), t) * t)
    assert sympy.simplify(slope - (1 - 3 * t) / (1 - t)) == 0
    below, above = sympy.symbols("below above", positive=True)  # y = e^x = 1/(1 + below) ≤ 1, y = 1 + above in (1, 3)
    gap = {b: (1 - b) / (1 - b / 3) for b in (1 / (1 + below), 1 + above)}
    assert sympy.simplify(gap[1 / (1 + below)] - below / (1 + below) - below / ((1 + below) * (3 * below + 2))) == 0
    assert sympy.simplify(-gap[1 + above] - above / (1 + above) - above * (4 * above + 1) / ((1 + above) * (2 - above))) == 0
    for value in np.linspace(0.001, 12, 20001):  # both sides of y = 1, and beyond the zero at y = 3
        if value != 3:
            assert abs((1 - value) / (1 - value / 3)) >= 1 - math.exp(-abs(math.log(value))) - 1e-12
    for value in np.linspace(-50, 0, 1001):
        assert (1 - 3 * value) / (1 - value) >= 1


def test_the_lower_bound_is_no_larger_than_what_is_reached() -> None:
    for kappa in (2, 10, 10**4):
        for tol in (0.3, 1e-2, 1e-6, 1e-12):
            found = plan(kappa, tol)
            assert least_residual(kappa, len(found.steps)) <= float(found.bound)


def test_no_numbers_attain_the_lower_bound_for_every_tolerance() -> None:
    """The order of the residual doubles with each layer, while the degree, and the best residual, triples: at κ = 10 and
    a tolerance of 10^−250, seven layers suffice for linear attention, and not for these."""
    tol = Fraction(1, 10**250)
    assert layers_needed(Fraction(1, 10), Fraction(1), tol) == 7
    assert least_residual(10, 7) > mpmath.mpf(10) ** -250
    logs = [float(-mpmath.log(least_residual(10, layers), 10)) for layers in range(6, 12)]
    assert all(later / earlier == pytest.approx(2, rel=0.05) for earlier, later in pairwise(logs))
