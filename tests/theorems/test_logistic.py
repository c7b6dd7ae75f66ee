"""Theorems 5.2 and 5.4 of Giannou et al.: damped Newton for logistic regression, from the weights to the minimiser."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

import headwright as hw
from headwright.compiler.approximate import fit, from_callable
from headwright.constructions.logistic import logistic_newton, logistic_newton_predict, sigma, spread
from headwright.constructions.logistic_budget import Plan, plan_steps
from headwright.constructions.solve_factors import factored
from headwright.proofs_check.newton_budget import corrected, gram_error, solve_polynomial, step_error
from headwright.proofs_check.newton_steps import best_factor, constant_step_error

LOGISTIC = hw.constructions.get("logistic_newton")
N, D = 26, 5


def data(kind: str, n: int, d: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of norm at most 1 and labels ±1: random, and as bad as they come."""
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n, d))
    y = rng.choice([-1.0, 1.0], size=n)
    if kind == "same point":
        A[:] = A[0]
    elif kind == "opposite pairs":
        A[1::2] = -A[: n - n // 2 : 1][: len(A[1::2])]
    elif kind == "one-hot":
        A = np.eye(d)[rng.integers(d, size=n)]
    elif kind == "separable":
        y = np.sign(A @ rng.normal(size=d))
    elif kind == "one class":
        y[:] = 1.0
    elif kind == "zero rows":
        A[::2] = 0.0
    largest = np.linalg.norm(A, axis=1).max()
    return A / largest, np.where(y == 0, 1.0, y)


KINDS = ("random", "same point", "opposite pairs", "one-hot", "separable", "one class", "zero rows")


def damped_step(A: np.ndarray, y: np.ndarray, mu: float, x: np.ndarray) -> np.ndarray:
    """The exact damped Newton step, from its definition."""
    n, d = A.shape
    p = 1 / (1 + np.exp(-(A @ x)))
    gradient = A.T @ (p - (1 + y) / 2) / n + mu * x
    hessian = A.T @ ((p * (1 - p))[:, None] * A) / n + mu * np.eye(d)
    v = np.linalg.solve(hessian, gradient)
    decrement = np.sqrt(max(gradient @ v, 0.0))
    return x - 2 * mu**0.5 / (2 * mu**0.5 + decrement) * v


def minimiser(A: np.ndarray, y: np.ndarray, mu: float) -> np.ndarray:
    n, d = A.shape

    def f(x):
        return np.logaddexp(0, -y * (A @ x)).mean() + mu / 2 * x @ x

    def gradient(x):
        return -A.T @ (y / (1 + np.exp(y * (A @ x)))) / n + mu * x

    def hessian(x):
        p = 1 / (1 + np.exp(-(A @ x)))
        return A.T @ ((p * (1 - p))[:, None] * A) / n + mu * np.eye(d)

    found = minimize(f, np.zeros(d), jac=gradient, hess=hessian, method="trust-exact", options={"gtol": 1e-12})
    return found.x


def outside(model: hw.Compiled, H: np.ndarray) -> np.ndarray:
    """Eq. (3.1a) and (3.1b) on dense weights, and nothing else."""
    for layer in model.layers:
        H = H + sum(h.W_V @ H @ (h.W_K @ H).T @ (h.W_Q @ H) for h in layer.heads)
        if layer.ffn is not None:
            H = H + layer.ffn.W_2 @ np.maximum(layer.ffn.W_1 @ H, 0)
    return H


#: (μ, a step within) → layers of six steps from 0 at d = 5; the printed construction has 6 (11 + 2k), 90 to 174.
LAYERS = {
    (0.1, 1e-2): (4, 4, 4, 4, 2, 2),
    (0.5, 1e-2): (3, 2, 2, 1, 1, 1),
    (0.5, 1e-3): (3, 3, 2, 1, 1, 1),
    (1.0, 1e-2): (3, 2, 1, 1, 1, 1),
    (1.0, 1e-3): (3, 2, 1, 1, 1, 1),
}


@pytest.fixture(scope="module")
def plans() -> dict[tuple[float, float], Plan]:
    return {(mu, tol): plan_steps("logistic_newton", mu, D, tol, 6, 0.0) for mu, tol in LAYERS}


@pytest.fixture(scope="module")
def six(plans) -> dict[tuple[float, float], hw.Compiled]:
    """T = 6 steps from x_0 = 0 at d = 5."""
    cells = ((0.5, 1e-2), (1.0, 1e-3))
    return {(mu, tol): LOGISTIC.compile(n=N, d=D, mu=mu, steps=6, tol=tol) for mu, tol in cells}


def test_a_step_has_fewer_layers_the_nearer_the_minimiser(plans) -> None:
    for cell, plan in plans.items():
        assert tuple(step.layers for step in plan.steps) == LAYERS[cell]
        assert all(step.largest <= cell[1] for step in plan.steps)
    full = plan_steps("logistic_newton", 0.5, D, 1e-2, 6, 0.0, form="full")
    assert [step.layers for step in full.steps] == [3] * 6


@pytest.mark.parametrize(("mu", "tol", "rows", "units"), [(0.5, 1e-2, 33, 38), (1.0, 1e-3, 38, 108)])
def test_six_steps_are_built_in_the_planned_layers_and_proved(six, mu, tol, rows, units) -> None:
    model = six[mu, tol]
    assert model.depth == sum(LAYERS[mu, tol])
    assert model.d_model <= rows
    assert model.ffn_width <= units
    certificate = hw.verify(model)
    assert certificate.all_proved
    names = {claim.name for claim in certificate.claims}
    assert {"identity", "exact", "approximation", "step", "lemmas", "distance", "layers"} <= names


def test_a_small_ridge_has_four_layers_a_step_and_the_margins_of_an_input_start_one() -> None:
    model = LOGISTIC.compile(n=5, d=2, mu=0.1, steps=1, tol=1e-2, start="input", x0_norm=0.3)
    assert model.depth == 5
    assert hw.verify(model).all_proved
    for kind in KINDS:
        A, y = data(kind, 5, 2, seed=3)
        x0 = np.array([0.18, -0.24])
        assert np.linalg.norm(model(A=A, y=y, x0=x0)["w"] - damped_step(A, y, 0.1, x0)) <= 1e-2


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_iterate_is_as_near_the_minimiser_as_certified(six, kind) -> None:
    A, y = data(kind, N, D, seed=3)
    for (mu, _), model in six.items():
        assert np.linalg.norm(model(A=A, y=y)["w"] - minimiser(A, y, mu)) <= model.theory.distance


def test_vector_steps_compute_no_step_size() -> None:
    """μ = 1: two layers for the first step, within 1.3e-2, and one for each of the others."""
    model = LOGISTIC.compile(n=9, d=3, mu=1.0, steps=6, tol=2e-2, form="vector")
    assert model.depth == 7
    assert hw.verify(model).all_proved
    assert all(form.factor is not None for form in model.theory.forms)
    for kind in KINDS:
        A, y = data(kind, 9, 3, seed=2)
        assert np.linalg.norm(model(A=A, y=y)["w"] - minimiser(A, y, 1.0)) <= model.theory.distance
    with pytest.raises(hw.CompileError, match=r"form='vector', step 1 is certified within 0.0129 only"):
        LOGISTIC.compile(n=9, d=3, mu=1.0, steps=6, tol=1e-2, form="vector")


def test_a_constant_step_size_is_the_best_one_and_its_error_is_reached() -> None:
    """n = d = 1, a = 0: H = μ and N = x, so that every λ up to the bound occurs."""
    mu, largest = 0.5, 0.4
    c = best_factor(mu, largest)
    q = solve_polynomial(mu, mu + 0.25, 3, mu)
    budget = constant_step_error(mu, factor=c, gradient=0, hessian=gram_error(0, 1), solve=q, largest_decrement=largest)
    lam = np.linspace(0, largest, 2001)
    eta = 1 / (1 + lam / (2 * mu**0.5))
    seen = np.abs((float(c) - eta) * lam / mu**0.5).max()
    assert seen <= budget.largest <= seen + 1.1 * float(c * q.residual) * largest / mu**0.5
    for other in (float(c) * 0.99, float(c) * 1.01):
        assert np.abs((other - eta) * lam / mu**0.5).max() > seen


@pytest.fixture(scope="module")
def one_step() -> hw.Compiled:
    """A step from an input x0, where every part is approximated."""
    return LOGISTIC.compile(n=9, d=3, mu=0.5, steps=1, tol=1e-2, start="input", x0_norm=0.8)


@pytest.mark.parametrize("kind", KINDS)
def test_one_step_from_any_start_is_within_tol_of_the_exact_step(one_step, kind) -> None:
    model = one_step
    assert model.depth == 4
    A, y = data(kind, 9, 3, seed=1)
    for seed in range(8):
        x0 = np.random.default_rng(seed).normal(size=3)
        x0 *= 0.8 / np.linalg.norm(x0)
        assert np.linalg.norm(model(A=A, y=y, x0=x0)["w"] - damped_step(A, y, 0.5, x0)) <= 1e-2


def test_a_worse_fit_refutes_the_claim_about_the_step(six) -> None:
    model = six[0.5, 1e-2]
    theory = model.theory
    bounds = [{name: fit.bound for name, fit in step.items()} for step in theory.fits(model.artifact)]
    assert [set(step) for step in bounds] == [{"eta"}] + 2 * [{"sigma", "entry"}] + 3 * [{"sigma"}]
    run, _ = theory.follow(bounds)
    assert all(step.largest <= 1e-2 for step in run)
    for t, step in enumerate(bounds):
        for name in step:
            try:
                worse, _ = theory.follow([*bounds[:t], {**step, name: 60 * step[name]}, *bounds[t + 1 :]])
            except hw.CompileError as refused:  # the spectrum of the Hessian would leave the interval of the polynomials
                assert "interval" in refused.what
            else:
                assert worse[t].largest > 1e-2, (t, name)
    first = replace(theory.forms[0], solve=(*theory.forms[0].solve[:-1], Fraction(0)))
    wrong, _ = replace(theory, forms=(first, *theory.forms[1:])).follow(bounds)
    assert wrong[0].largest > 1e-2
    with pytest.raises(hw.CompileError, match="more fits than its steps need"):
        replace(theory, forms=theory.forms[:-1]).fits(model.artifact)


def test_an_evaluator_that_knows_only_the_formula_gets_the_same_w(six) -> None:
    for model in six.values():
        A, y = data("random", N, D, seed=5)
        H = outside(model, model.encode(A=A, y=y))
        assert np.abs(model.decode(H)["w"] - model(A=A, y=y)["w"]).max() < 1e-11


@pytest.fixture(scope="module")
def accurate() -> hw.Compiled:
    return LOGISTIC.compile(n=N, d=D, mu=1.0, tol=1e-6)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 10**6))
def test_the_minimiser_is_within_the_certified_distance_in_float64(accurate, kind, seed) -> None:
    A, y = data(kind, N, D, seed)
    assert accurate.theory.distance <= 1.05e-6
    assert np.linalg.norm(accurate(A=A, y=y)["w"] - minimiser(A, y, 1.0)) <= accurate.theory.distance


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 10**6))
def test_the_minimiser_is_within_the_certified_distance_in_float32(six, kind, seed) -> None:
    model = six[1.0, 1e-3]
    A, y = data(kind, N, D, seed)
    w = model(A=A.astype(np.float32) * np.float32(1 - 1e-6), y=y.astype(np.float32))["w"]
    assert w.dtype == np.float32
    assert np.linalg.norm(w - minimiser(A, y, 1.0)) <= model.theory.distance


@pytest.mark.parametrize("mu", [0.1, 0.5])
def test_the_factors_of_three_layers_multiply_to_a_polynomial_with_a_proved_residual(mu) -> None:
    m = Fraction(mu)
    found = factored(m, m + Fraction(51, 200), m)
    assert found.h[0] == found.m[0] == 1
    t = np.linspace(mu, mu + 0.25, 1001)
    s = t - mu
    h, f, g = (np.polynomial.polynomial.polyval(s, [float(c) for c in p]) for p in (found.h, found.f, found.m))
    q = h * (float(found.c) + s * f * g)
    assert np.abs(1 - t * q).max() <= float(found.whole.residual) * (1 + 1e-6) + 1e-13


@pytest.mark.parametrize("cell", [*LAYERS, "full", "vector"])
def test_the_program_is_the_run_that_the_theory_speaks_of(plans, cell) -> None:
    """x ← x − c q(H)g, or −η(gᵀp(H)g) q(H)g, for the polynomials of the plan, whatever way the program writes it."""
    if cell == "full":
        plan = plan_steps("logistic_newton", 0.1, D, 1e-2, 3, 0.0, form="full")
    elif cell == "vector":
        plan = plan_steps("logistic_newton", 1.0, D, 2e-2, 3, 0.0, form="vector")
    else:
        plan = plans[cell]
    A, y = data("random", 9, 3, seed=2)
    mu, x = float(plan.mu), np.zeros(3)

    def of(coefficients, values, vectors):
        powers = np.polynomial.polynomial.polyval(values, [float(c) for c in coefficients])
        return vectors @ np.diag(powers) @ vectors.T

    for step in plan.steps:
        p = 1 / (1 + np.exp(-(A @ x)))
        g = A.T @ (p - (1 + y) / 2) / 9 + mu * x
        spectrum = np.linalg.eigh(A.T @ ((p * (1 - p))[:, None] * A) / 9)
        form = step.form
        decrement = g @ of(form.decrement, *spectrum) @ g
        eta = 2 * mu**0.5 / (2 * mu**0.5 + decrement**0.5) if form.factor is None else float(form.factor)
        x = x - eta * (of(form.solve, *spectrum) @ g)
    assert np.abs(logistic_newton.reference(A=A, y=y, plan=plan)["w"] - x).max() < 1e-12
    Q = np.random.default_rng(1).normal(size=(4, 3)) / 4
    assert np.abs(logistic_newton_predict.reference(A=A, y=y, Q=Q, plan=plan)["margin"] - Q @ x).max() < 1e-12


def test_the_certified_error_is_within_a_factor_20_of_the_largest_seen(one_step) -> None:
    """One step from a start where all parts are approximated, over bad data and starts."""
    worst, model = 0.0, one_step
    assert isinstance(hw.verify(model)["step"], hw.Proved)
    for kind in KINDS:
        for seed in range(40):
            A, y = data(kind, 9, 3, seed)
            x0 = np.random.default_rng(seed).normal(size=3)
            x0 *= 0.8 / np.linalg.norm(x0)
            worst = max(worst, np.linalg.norm(model(A=A, y=y, x0=x0)["w"] - damped_step(A, y, 0.5, x0)))
    assert worst <= 1e-2 <= 20 * worst


def test_breast_cancer_coefficients_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression

    X, target = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))
    train, test = order[:400], order[400:]
    Z = (X - X[train].mean(0)) / X[train].std(0)
    Z = np.c_[Z, np.ones(len(Z))]
    Z /= np.linalg.norm(Z[train], axis=1).max()
    y, mu = 2.0 * target - 1, 0.5
    model = LOGISTIC.compile(n=400, d=31, mu=mu, tol=1e-3)
    w = model(A=Z[train], y=y[train])["w"]
    known = LogisticRegression(C=1 / (400 * mu), fit_intercept=False, tol=1e-12, max_iter=10_000)
    want = known.fit(Z[train], y[train]).coef_[0]
    assert np.abs(w / want - 1).max() < 1e-3
    assert (np.sign(Z[test] @ w) == np.sign(Z[test] @ want)).all()


def test_queries_are_predicted_in_the_same_layers() -> None:
    model = LOGISTIC.compile(n=5, d=2, m=4, mu=1.0, steps=2, tol=1e-2)
    assert model.depth == plan_steps("logistic_newton", 1.0, 2, 1e-2, 2, 0.0).layers
    A, y = data("random", 5, 2, seed=2)
    Q = np.random.default_rng(1).normal(size=(4, 2)) / 4
    out = model(A=A, y=y, Q=Q)
    assert np.abs(out["margin"] - Q @ out["w"]).max() < 1e-12
    assert np.linalg.norm(out["w"] - minimiser(A, y, 1.0)) <= model.theory.distance
    moved = LOGISTIC.compile(n=5, d=2, m=4, mu=1.0, steps=1, tol=2e-2, start="input", x0_norm=0.1)
    out = moved(A=A, y=y, x0=np.full(2, 0.05), Q=Q)
    assert np.abs(out["margin"] - Q @ out["w"]).max() < 1e-12


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mu": 0}, "mu is 0"),
        ({"mu": -1.0}, "mu is -1"),
        ({"tol": 0}, "tol is 0"),
        ({"tol": 0.9}, "tol is 0.9: expected at most"),
        ({"mu": 1e-4}, "tol is 0.01: expected at most 0.005"),
        ({"mu": 0.02, "tol": 1e-3, "steps": 6, "k": 0}, "out of reach"),
        ({"tol": 1e-14}, "tol is 1e-14.*units"),
        ({"tol": 1e-30}, "logistic_newton: tol is 1e-30: expected a size between"),
        ({"k": 1, "form": "vector"}, "k is 1 and form is 'vector'"),
        ({"form": "fast"}, "form is 'fast'"),
        ({"steps": 0}, "steps is 0"),
    ],
)
def test_parameters_out_of_range_are_refused_by_name(change, words) -> None:
    with pytest.raises(hw.CompileError, match=words):
        LOGISTIC.compile(**{"n": 9, "d": 3, "mu": 0.5, "tol": 1e-2, **change})


def test_data_out_of_range_are_refused_by_name() -> None:
    model = LOGISTIC.compile(n=9, d=3, mu=0.5, steps=2, tol=1e-2)
    A, y = data("random", 9, 3, seed=2)
    with pytest.raises(hw.AssumptionError, match=r"A reaches 2.*rows of norm at most 1"):
        model(A=2 * A, y=y)
    with pytest.raises(hw.AssumptionError, match=r"y reaches 0.*−1 or 1"):
        model(A=A, y=(y + 1) / 2)


@pytest.mark.parametrize(("n", "d"), [(1, 1), (2, 3)])
def test_few_examples_and_one_feature(n, d) -> None:
    model = LOGISTIC.compile(n=n, d=d, mu=1.0, tol=2e-2)
    A, y = data("random", n, d, seed=2)
    assert np.linalg.norm(model(A=A, y=y)["w"] - minimiser(A, y, 1.0)) <= model.theory.distance


def test_plans_of_tighter_tolerances_ask_more_of_every_part(plans) -> None:
    loose, tight = (plans[0.5, tol].steps[0] for tol in (1e-2, 1e-3))
    assert tight.eta < loose.eta and tight.layers == loose.layers == 3
    loose, tight = (plans[1.0, tol].steps[1] for tol in (1e-2, 1e-3))
    assert tight.sigma < loose.sigma and tight.entry < loose.entry and tight.layers == loose.layers == 2


def test_gradient_descent_takes_one_layer_a_step_and_comes_within_tol() -> None:
    model = hw.constructions.get("logistic_gradient_descent").compile(n=N, d=D, mu=0.5, tol=1e-2)
    assert model.depth == len(model.artifact.layers) == 5
    for kind in KINDS:
        A, y = data(kind, N, D, seed=4)
        assert np.linalg.norm(model(A=A, y=y)["w"] - minimiser(A, y, 0.5)) <= 1e-2
    assert hw.verify(model).all_proved
    with pytest.raises(hw.CompileError, match="rate is 9"):
        hw.constructions.get("logistic_gradient_descent").compile(n=N, d=D, mu=0.5, rate=9.0)


def test_robust_regression_composes_the_same_pieces() -> None:
    mu, delta, steps, n, d = 2.0, 0.5, 2, 6, 2
    model = hw.constructions.get("irls").compile(n=n, d=d, mu=mu, delta=delta, steps=steps, tol=1e-2)
    rng = np.random.default_rng(0)
    A = rng.normal(size=(n, d))
    A /= np.linalg.norm(A, axis=1).max()
    y = np.clip(A @ rng.normal(size=d), -1, 1)
    w, weights = np.zeros(d), np.ones(n)
    for _ in range(steps):
        w = np.linalg.solve(A.T @ (weights[:, None] * A) / n + mu * np.eye(d), A.T @ (weights * y) / n)
        weights = 1 / np.sqrt(1 + ((A @ w - y) / delta) ** 2)
    assert np.abs(model(A=A, y=y)["w"] - w).max() < 2e-2
    certificate = hw.verify(model)
    assert all(isinstance(c.verdict, hw.Proved) for c in certificate.claims if c.name != "error"), str(certificate)


@pytest.mark.parametrize("mu", [0.1, 0.5, 1.0])
def test_the_error_of_a_step_falls_as_the_square_of_the_knots_and_is_within_20_of_its_bound(mu) -> None:
    """d = 5, n = 26: σ, √(p(1 − p)) and η as fits of N pieces; all data kinds; polynomials of degree 10."""
    d, n, m = 5, 26, Fraction(mu)
    factors = factored(m, m + Fraction(27, 100), m)
    q = [float(c) for c in factors.whole.coefficients]
    radius = 1.0
    root = 2 * mu**0.5
    functions = [from_callable(f) for f in (sigma, spread, lambda z: root / (root + sympy.sqrt(z)))]
    problems = [(*data(kind, n, d, seed), seed) for kind in KINDS for seed in range(6)]
    found, proved, counts = [], [], (8, 16, 32, 64)
    for pieces in counts:
        fits = [fit(f, -radius, radius, pieces=pieces) for f in functions[:2]]
        last = fit(functions[2], 0, 8, pieces=pieces)
        curves = [([float(t) for t in f.knots], [float(v) for v in f.values]) for f in (*fits, last)]
        # |δ_i| ≤ the bound of the fit, as ‖a_i‖ ≤ 1: that of one entry at d = 1
        parts = {"gradient": fits[0].bound, "hessian": gram_error(fits[1].bound, 1), "eta": last.bound}
        worst = bound = 0.0
        for A, y, seed in problems:
            x = np.random.default_rng(seed).normal(size=d)
            x *= radius / np.linalg.norm(x)
            p, s = (np.interp(A @ x, *curve) for curve in curves[:2])
            U = s[:, None] * A
            g = A.T @ (p - (1 + y) / 2) / n + mu * x
            values, vectors = np.linalg.eigh(U.T @ U / n)
            v = vectors @ (np.polynomial.polynomial.polyval(values, q) * (vectors.T @ g))
            step = x - np.interp(max(g @ v, 0), *curves[2]) * v
            worst = max(worst, np.linalg.norm(step - damped_step(A, y, mu, x)))
            exact = A.T @ (1 / (1 + np.exp(-A @ x)) - (1 + y) / 2) / n + mu * x
            H = A.T @ ((w := 1 / (2 + 2 * np.cosh(A @ x)))[:, None] * A) / n + mu * np.eye(d)
            assert w.max() <= 0.25
            bound = max(bound, float(np.sqrt(exact @ np.linalg.solve(H, exact))))
        whole = factors.whole
        budget = step_error(m, solve=whole, decrement=whole, largest_decrement=bound * (1 + 1e-9), **parts)
        found.append(worst)
        proved.append(budget.largest)
    slopes = [np.polyfit(np.log(counts), np.log(errors), 1)[0] for errors in (found, proved)]
    assert all(-2.2 <= slope <= -1.8 for slope in slopes)
    assert all(f <= b <= 20 * f for f, b in zip(found, proved, strict=True))


@pytest.mark.parametrize("k", [0, 1, 2])
def test_corrections_raise_the_residual_to_a_power(k) -> None:
    m = Fraction(1, 50)
    once = factored(m, m + Fraction(51, 200), m).whole
    many = corrected(once, k)
    for t in (m + Fraction(j, 40) for j in range(11)):
        one, all_ = (1 - t * sum(c * (t - m) ** i for i, c in enumerate(r.coefficients)) for r in (once, many))
        assert all_ == one ** (k + 1)
        assert abs(all_) <= many.residual == once.residual ** (k + 1)


def test_a_small_ridge_takes_the_general_route() -> None:
    """μ = 0.02: degree 10 is off by 4e-3 relative, and one correction leaves the square of that."""
    model = LOGISTIC.compile(n=9, d=2, mu=0.02, steps=1, tol=1e-3)
    assert model.depth == 9 and model.theory.forms[0].corrections == 1
    assert hw.verify(model).all_proved
    for kind in KINDS:
        A, y = data(kind, 9, 2, seed=1)
        assert np.linalg.norm(model(A=A, y=y)["w"] - damped_step(A, y, 0.02, np.zeros(2))) <= 1e-3


def test_more_corrections_than_are_of_use_are_refused_at_once() -> None:
    with pytest.raises(hw.CompileError, match="k is 100: expected at most 16") as caught:
        hw.constructions.get("logistic_newton").compile(n=2, d=1, mu=0.5, k=100, steps=1)
    assert "leave out k" in caught.value.fix
