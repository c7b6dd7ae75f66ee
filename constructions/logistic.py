"""Newton's method and gradient descent for regularised logistic regression, in context.

f(x) = (1/n) Σ log(1 + exp(−y_i a_iᵀx)) + μ/2 ‖x‖², y_i = ±1, ‖a_i‖ ≤ 1. The damped Newton step is x − η H⁻¹∇f with
η = 2√μ/(2√μ + λ), λ² = ∇fᵀH⁻¹∇f (Giannou et al. 2024, Theorems 5.1, 5.2, 5.4).

What a layer needs: ∇f = Aᵀc/n + μx with c = σ(Ax) − (1 + y)/2, linear in y, so that labels gate nothing; H − μI = UᵀU/n with
u_i = √(p(1 − p)) a_i, one layer of units on (a_iᵀx, a_i); and since the spectrum of H is known to lie in [μ, μ + ¼], H⁻¹ is a
polynomial in UᵀU/n, of degree 3 in two layers of attention and 10 in three. No identity block and no d × d matrix is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import sympy

from ..compiler.functions import apply
from ..compiler.program import Matrix, Vector, diag, dim, ones, program, zeros
from ..compiler.statements import bounded, signs
from ..proofs_check.newton_model import NewtonTheory
from .claims import GIANNOU, PaperClaim
from .logistic_budget import plan_steps
from .parameters import Parameter, size
from .registry import Construction, Variant
from .solve import number

_ROWS = "divide A by its largest row norm: w scales with it, and mu by its square"


def spread(z: Any) -> Any:
    """√(p(1 − p)) at margin z, p = σ(z)."""
    return 1 / (sympy.exp(z / 2) + sympy.exp(-z / 2))


def sigma(z: Any) -> Any:
    """The logistic function."""
    return 1 / (1 + sympy.exp(-z))


def _step_size(mu: Fraction) -> Any:
    root = 2 * sympy.sqrt(sympy.Rational(mu.numerator, mu.denominator))

    def eta(z: Any) -> Any:
        return root / (root + sympy.sqrt(sympy.Abs(z)))  # λ² is never negative, but for rounding

    return eta


def _numbers(coefficients, like):
    return tuple(number(c, like) for c in coefficients)


def _direction(A, U, c, x, step, mu):
    """(v, η, scale) of a step with η from λ²: x − scale·η·v is the step."""
    n, ridge = dim("n"), number(mu, A)
    B = U @ (U.T / n) @ U  # B = U S, so that two factors of S meet in one layer
    g = A.T @ c / n + ridge * x
    k = (U @ A.T) @ c / n + ridge * (U @ x)  # k = U g, a layer early
    if step.factors is None:
        q, p = _numbers(step.form.solve, A), _numbers(step.form.decrement, A)
        decrement = p[0] * (g @ g) + (p[1] / n) * (k @ k) + (p[2] / n) * (k @ (B @ g))
        v = g + (q[1] / q[0] / n) * (U.T @ k) + (q[2] / q[0] / n) * (B.T @ k) + (q[3] / q[0] / n) * (B.T @ (B @ g))
        scale = q[0]
    else:
        v, decrement = _factored(U, B, g, k, step, mu)
        scale = number(step.factors.c, A)
    eta = apply(_step_size(mu), decrement, domain=(0, Fraction(step.decrement_range)), tol=step.eta)
    return v, eta, scale


def _factored(U, B, g, k, step, mu):
    """(v, gᵀp(H)g) from the factors h, f, m: v = q(H)g/c. Corrected where the plan says so; then gᵀp(H)g is c g·v."""
    factors = step.factors
    n, scale, ridge = dim("n"), number(factors.c, U), number(mu, U)
    h, f, m = (_numbers(factor, U) for factor in (factors.h, factors.f, factors.m))
    # equal products are written in different ways, so that none of them is stored to be shared
    M = U + m[1] * B + (m[2] / n) * (U @ (U.T @ B)) + (m[3] / n) * ((U @ B.T) @ B)
    f0, f2, f3, f4 = (f[i] / f[1] for i in (0, 2, 3, 4))
    F = B + f0 * U + (f2 / n) * (B @ (U.T @ U)) + (f3 / n) * (B @ (U.T @ B)) + (f4 / n) * (B @ (B.T @ B))

    def solved(r, k):
        """(h(S)r, q(H)r/c), k = U r."""
        w = r + (h[1] / n) * (U.T @ k) + (h[2] / n) * (B.T @ k)
        return w, w + (f[1] / scale / n) * (F.T @ (M @ w))

    w, v = solved(g, k)
    for _ in range(step.form.corrections):
        r = g - (scale * ridge) * v - (scale / n) * (U.T @ (U @ v))
        v = v + solved(r, U @ r)[1]
    if step.form.corrections:
        return v, scale * (g @ v)
    meeting = g @ g + (h[1] / n) * (k @ k) + (h[2] / n) * (k @ (B @ g))  # g·w
    row = k + (m[1] / n) * ((U @ U.T) @ k) + (m[2] / n) * ((B @ U.T) @ k) + (m[3] / n) * ((B @ B.T) @ k)  # M g
    return v, scale * meeting + (f[1] / n) * (row @ (F @ w))


def _gradient_step(A, c, x, step, mu, images):
    """H⁻¹ ≈ q₀ and a constant step size: one layer. (x⁺, X x⁺ for every X of `images`)."""
    n, q = dim("n"), number(step.form.factor * step.form.solve[0], A)
    keep = number(1 - step.form.factor * step.form.solve[0] * mu, A)
    return keep * x - (q / n) * (A.T @ c), [keep * (X @ x) - (q / n) * ((X @ A.T) @ c) for X in images]


def _vector_step(A, U, c, x, step, mu, images):
    """x − c q(H)g for q of degree up to 3 and a number c: two layers, as nothing waits for λ². So are its images X x⁺."""
    n, ridge = dim("n"), number(mu, A)
    q = _numbers([step.form.factor * coefficient for coefficient in step.form.solve], A)
    g = A.T @ c / n + ridge * x
    k = (U @ A.T) @ c / n + ridge * (U @ x)  # k = U g, a layer early
    new = x - q[0] * g - (q[1] / n) * (U.T @ k)
    seen = [X @ x - q[0] * (X @ g) - (q[1] / n) * ((X @ U.T) @ k) for X in images]
    if len(q) == 2:
        return new, seen
    B = U @ (U.T / n) @ U
    new = new - (q[2] / n) * (B.T @ k)
    seen = [s - (q[2] / n) * ((X @ B.T) @ k) for s, X in zip(seen, images, strict=True)]
    if len(q) == 3:
        return new, seen
    seen = [s - (q[3] / n) * (((X @ (U.T / n)) @ U) @ (B.T @ k)) for s, X in zip(seen, images, strict=True)]
    return new - (q[3] / n) * (B.T @ (B @ g)), seen


def _newton_step(A, U, c, x, step, mu, images):
    if step.form.factor is None:
        v, eta, scale = _direction(A, U, c, x, step, mu)
        return x - (scale * eta) * v, [X @ x - (scale * eta) * (X @ v) for X in images]
    if step.layers == 1:
        return _gradient_step(A, c, x, step, mu, images)
    return _vector_step(A, U, c, x, step, mu, images)


def _iterate(A, y, x, plan, zero, Q=None):
    """(x_T, Q x_T) after the steps of the plan from x; `zero`: x = 0, where σ and √(p(1 − p)) are numbers.

    A x of the next step, and Q x, are made in the layer that makes x: A(x − ηv) = A x − η A v.
    """
    bounded(A, rows=1.0, fix=_ROWS)
    signs(y)
    one = ones("n")
    z = None if zero else A @ x
    for t, step in enumerate(plan.steps):
        if z is None:
            U, c = A / 2, -y / 2
        else:
            radius = Fraction(step.radius)
            bounded(z, within=(-radius, radius), fix=_ROWS)
            c = apply(sigma, z, domain=(-radius, radius), tol=step.sigma) - (one + y) / 2
            U = diag(apply(spread, z, domain=(-radius, radius), tol=step.entry)) @ A if step.entry else None
        last = t + 1 == len(plan.steps)
        images = ([] if Q is None else [Q]) if last else [A]
        x, seen = _newton_step(A, U, c, x, step, plan.mu, images)
        z = seen[0] if seen else None
    return x, z


@program
def logistic_newton(A: Matrix["n", "d"], y: Vector["n"], *, plan):
    return {"w": _iterate(A, y, zeros("d"), plan, zero=True)[0]}


@program
def logistic_newton_from(A: Matrix["n", "d"], y: Vector["n"], x0: Vector["d"], *, plan):
    bounded(x0, norm=float(plan.x0_norm), fix="compile with a larger x0_norm")
    return {"w": _iterate(A, y, x0, plan, zero=False)[0]}


@program
def logistic_newton_predict(A: Matrix["n", "d"], y: Vector["n"], Q: Matrix["m", "d"], *, plan):
    w, margin = _iterate(A, y, zeros("d"), plan, zero=True, Q=Q)
    return {"w": w, "margin": margin}


@program
def logistic_newton_from_predict(A: Matrix["n", "d"], y: Vector["n"], x0: Vector["d"], Q: Matrix["m", "d"], *, plan):
    bounded(x0, norm=float(plan.x0_norm), fix="compile with a larger x0_norm")
    w, margin = _iterate(A, y, x0, plan, zero=False, Q=Q)
    return {"w": w, "margin": margin}


def _newton(values: Mapping[str, Any]) -> Variant:
    start = 0.0 if values["start"] == "zeros" else float(values["x0_norm"])
    mu, d, tol, k, form = (values[name] for name in ("mu", "d", "tol", "k", "form"))
    plan = plan_steps("logistic_newton", mu, d, tol, values["steps"], start, k, form)
    theory = NewtonTheory(plan.mu, d, tuple(step.form for step in plan.steps), plan.tol, plan.distance, start)
    cubic = any(step.layers == 2 and len(step.form.solve) == 4 for step in plan.steps)  # A S is stored as well
    # queries and corrections take rows of their own, for which there is no formula; nor where n × n blocks are the smaller ones
    plain = values["m"] is None and not any(step.form.corrections for step in plan.steps)
    plain = plain and (values["n"] > d or not cubic)
    rows = (_CLAIM.rows if cubic else "6*d + 8") if plain else None
    claim = replace(_CLAIM, depth=str(plan.layers), rows=rows, error=f"{float(tol):.3g} a step")
    without, predicting = (
        (logistic_newton_from, logistic_newton_from_predict) if start > 0 else (logistic_newton, logistic_newton_predict)
    )
    chosen = without if values["m"] is None else predicting
    return Variant(chosen, {"plan": plan}, claim=claim, theory=theory)


_CLAIM = PaperClaim(
    GIANNOU,
    "Theorems 5.2 and 5.4",
    "a damped Newton step in 11 + 2k layers, T steps near the minimiser",
    depth="4*steps + 1",
    rows="7*d + 8",
    error="tol a step",
    corrected="the figures are ours: 1 to 4 layers a step; the constants of Theorem 5.4 corrected and sharper",
)

CONSTRUCTIONS = (
    Construction(
        "logistic_newton",
        "regularised logistic regression by damped Newton steps, 1 to 4 layers a step, certified distance to the minimiser",
        logistic_newton,
        _CLAIM,
        (
            size("n", "examples in context"),
            size("d", "features"),
            Parameter("mu", "positive", "ridge: (1/n) Σ log-loss + mu/2 ‖w‖², scikit-learn's C = 1/(n mu)"),
            Parameter("steps", "count", "damped Newton steps; by default, until w is within 1.05 tol", default=None, low=1),
            Parameter("tol", "tolerance", "largest error of a step, certified for all data with ‖a_i‖ ≤ 1", default=1e-3),
            Parameter("k", "count", "corrections v ← v + q(H)(g − Hv); by default, as few as tol needs", default=None),
            Parameter(
                "form",
                "choice",
                "shortest: a step has as few layers as tol allows; full: every step computes its step size η from λ²; vector: "
                "none does, 2 layers at most",
                default="shortest",
                choices=("shortest", "full", "vector"),
            ),
            Parameter("start", "choice", "x_0: zeros, or an input x0", default="zeros", choices=("zeros", "input")),
            Parameter("x0_norm", "positive", "a bound of ‖x0‖, with start='input'", default=1.0),
            Parameter("m", "size", "queries Q (m × d): margins as a second output", default=None),
        ),
        _newton,
    ),
)
