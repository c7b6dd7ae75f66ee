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

from ..compiler.functions import apply, sigmoid
from ..compiler.program import Matrix, Vector, diag, dim, ones, program, zeros
from ..compiler.statements import bounded, signs
from .claims import GIANNOU, PaperClaim
from .logistic_budget import StepPlan, plan_steps
from .parameters import Parameter, size
from .registry import Construction, Variant

_ROWS = "divide A by its largest row norm: w scales with it, and mu by its square"


def spread(z: Any) -> Any:
    """√(p(1 − p)) at margin z, p = σ(z)."""
    return 1 / (sympy.exp(z / 2) + sympy.exp(-z / 2))


def _logistic(z: Any) -> Any:
    return 1 / (1 + sympy.exp(-z))


def _step_size(mu: Fraction) -> Any:
    root = 2 * sympy.sqrt(sympy.Rational(mu.numerator, mu.denominator))

    def eta(z: Any) -> Any:
        return root / (root + sympy.sqrt(z))

    return eta


def _newton_step(A, U, c, x, plan):
    """The direction v and the step size η, both without the factor `scale`: x − scale·η·v is the step."""
    n, mu = dim("n"), plan.mu
    B = U @ (U.T / n) @ U  # B = U S, so that two factors of S meet in one layer
    g = A.T @ c / n + mu * x
    k = (U @ A.T) @ c / n + mu * (U @ x)  # k = U g, a layer early
    if plan.factors is None:
        q, p = plan.solve.coefficients, plan.decrement.coefficients
        decrement = p[0] * (g @ g) + (p[1] / n) * (k @ k) + (p[2] / n) * (k @ (B @ g))
        v = g + (q[1] / q[0] / n) * (U.T @ k) + (q[2] / q[0] / n) * (B.T @ k) + (q[3] / q[0] / n) * (B.T @ (B @ g))
        scale = q[0]
    else:
        h, f, m, scale = plan.factors.h, plan.factors.f, plan.factors.m, plan.factors.c
        # equal products are written in different ways, so that none of them is stored to be shared
        w = g + (h[1] / n) * (U.T @ k) + (h[2] / n) * (B.T @ k)
        meeting = g @ g + (h[1] / n) * (k @ k) + (h[2] / n) * (k @ (B @ g))  # g·w
        M = U + m[1] * B + (m[2] / n) * (U @ (U.T @ B)) + (m[3] / n) * ((U @ B.T) @ B)
        f0, f2, f3, f4 = (f[i] / f[1] for i in (0, 2, 3, 4))
        F = B + f0 * U + (f2 / n) * (B @ (U.T @ U)) + (f3 / n) * (B @ (U.T @ B)) + (f4 / n) * (B @ (B.T @ B))
        row = k + (m[1] / n) * ((U @ U.T) @ k) + (m[2] / n) * ((B @ U.T) @ k) + (m[3] / n) * ((B @ B.T) @ k)  # M g
        v = w + (f[1] / scale / n) * (F.T @ (M @ w))
        decrement = scale * meeting + (f[1] / n) * (row @ (F @ w))
    top = Fraction(plan.decrement_range)
    eta = apply(_step_size(mu), decrement, domain=(0, top), tol=plan.eta)
    return v, eta, scale


def _states(A, y, x, plan, zero):
    """T damped Newton steps from x; `zero`: x = 0, where σ and √(p(1 − p)) are numbers."""
    bounded(A, rows=1.0, fix=_ROWS)
    signs(y)
    radius = Fraction(plan.radius)
    n_tokens = ones("n")
    z = None if zero else A @ x
    for step in range(plan.steps):
        if z is None:
            U, c = A / 2, -y / 2
        else:
            bounded(z, within=(-radius, radius), fix=_ROWS)
            c = apply(_logistic, z, domain=(-radius, radius), tol=plan.sigma) - (n_tokens + y) / 2
            U = diag(apply(spread, z, domain=(-radius, radius), tol=plan.entry)) @ A
        v, eta, scale = _newton_step(A, U, c, x, plan)
        if step + 1 < plan.steps:  # A x of the next step in the layer that makes x
            z = A @ x - (scale * eta) * (A @ v)
        x = x - (scale * eta) * v
    return x


@program
def logistic_newton(A: Matrix["n", "d"], y: Vector["n"], *, plan):
    return {"w": _states(A, y, zeros("d"), plan, zero=True)}


@program
def logistic_newton_from(A: Matrix["n", "d"], y: Vector["n"], x0: Vector["d"], *, plan):
    bounded(x0, within=(-plan.start, plan.start))
    return {"w": _states(A, y, x0, plan, zero=False)}
