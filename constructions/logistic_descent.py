"""Gradient descent for regularised logistic regression, one layer a step; robust regression by reweighting.

Gradient descent (Bai et al. 2023, on linear attention): w ← w − η(Aᵀc/n + μw) with c = σ(Aw) − (1 + y)/2. Since A w is carried
along, A w ← (1 − ημ) A w − (η/n) A Aᵀ c, attention makes the next w and the next margins in one layer, and its feed-forward
part the next σ: T steps in T layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from math import ceil, log, log1p
from typing import Any

import sympy

from ..compiler.errors import CompileError
from ..compiler.functions import apply
from ..compiler.program import Matrix, Vector, diag, dim, eye, ones, program
from ..compiler.statements import bounded, signs
from .claims import PaperClaim
from .logistic import sigma
from .parameters import Parameter, size
from .registry import Construction, Variant
from .solve import number, solve

_ROWS = "divide A by its largest row norm"


@program
def logistic_gradient_descent(A: Matrix["n", "d"], y: Vector["n"], *, mu, rate, steps, tol):
    bounded(A, rows=1.0, fix=_ROWS)
    signs(y)
    n, one = dim("n"), ones("n")
    # ‖w_t‖ ≤ ‖w*‖ + ‖w_t − w*‖, both at most 1/(2μ), and what the errors of σ add
    radius = (1 + tol) / mu
    keep, step = number(1 - rate * mu, A), number(rate, A)
    c = -y / 2  # at w = 0
    w = -(step / n) * (A.T @ c)
    z = -(step / n) * ((A @ A.T) @ c)
    for _ in range(steps - 1):
        bounded(z, within=(-radius, radius), fix=_ROWS)
        c = apply(sigma, z, domain=(-radius, radius), tol=mu * tol / 2) - (one + y) / 2
        w = keep * w - (step / n) * (A.T @ c)
        z = keep * z - (step / n) * ((A @ A.T) @ c)
    return {"w": w}


def _descent(values: Mapping[str, Any]) -> Variant:
    mu, tol = Fraction(values["mu"]), Fraction(values["tol"])
    rate = Fraction(values["rate"]) if values["rate"] is not None else 1 / (mu + Fraction(1, 4))
    if not rate <= 1 / (mu + Fraction(1, 4)):
        raise CompileError(
            f"logistic_gradient_descent: rate is {float(rate):.6g}: expected at most {float(1 / (mu + Fraction(1, 4))):.6g}",
            rule="the Hessian is at most mu + 1/4, so that a longer step may overshoot",
            fix="pass rate ≤ 1/(mu + 1/4), or leave it out",
        )
    # ‖w_T − w*‖ ≤ (1 − ημ)^T ‖w*‖ + e/μ, ‖w*‖ ≤ 1/(2μ); errors of σ take one half of tol, the steps the other
    needed = ceil(log(float(mu * tol)) / log1p(-float(rate * mu))) if rate * mu < 1 else 1
    steps = values["steps"] if values["steps"] is not None else max(needed, 1)
    constants = {"mu": mu, "rate": rate, "steps": steps, "tol": tol}
    return Variant(logistic_gradient_descent, constants, claim=replace(_DESCENT, depth=str(steps)))


_DESCENT = PaperClaim(
    "Bai et al. 2023",
    "gradient descent for logistic regression in context",
    "T steps of gradient descent",
    depth="steps",
    rows="3*d + 8",
    error="tol, with steps left out: ‖w − w*‖ ≤ (1 − ημ)^T/(2μ) + tol/2",
    corrected="the figures are ours, for linear attention",
)


def root_weight(delta: Any) -> Any:
    """√w(r) for the weight w(r) = 1/√(1 + (r/δ)²) of the pseudo-Huber loss."""

    def weight(r: Any) -> Any:
        return (1 + (r / sympy.Rational(*Fraction(delta).as_integer_ratio())) ** 2) ** sympy.Rational(-1, 4)

    return weight


@program
def irls(A: Matrix["n", "d"], y: Vector["n"], *, mu, delta, steps, tol):
    bounded(A, rows=1.0, fix=_ROWS)
    bounded(y, within=(-1, 1), fix="divide y by its largest entry: w scales with it")
    n = dim("n")
    reach = 1 + 1 / mu  # |a_i·w − y_i|, since ‖w‖ ≤ ‖Aᵀ W y‖/(n μ) ≤ 1/μ
    U, u = A, y  # all weights are 1 at first: ridge regression
    for step in range(steps):
        S = U.T @ U / n + number(mu, A) * eye("d")
        w = solve(S, U.T @ u / n, spectrum=(mu, mu + Fraction(11, 10)), tol=tol)
        if step + 1 < steps:
            r = A @ w - y
            root = root_weight(delta)
            U = diag(apply(root, r, domain=(-reach, reach), tol=tol)) @ A
            u = apply(root, r, domain=(-reach, reach), tol=tol) * y
    return {"w": w}


def _irls(values: Mapping[str, Any]) -> Variant:
    constants = {name: Fraction(values[name]) for name in ("mu", "delta", "tol")}
    return Variant(irls, {**constants, "steps": values["steps"]})


_IRLS = PaperClaim(
    "headwright",
    "iteratively reweighted least squares for the pseudo-Huber loss",
    "the figures are ours",
    error="tol for every approximated part",
)

_DATA = (size("n", "examples in context"), size("d", "features"))
CONSTRUCTIONS = (
    Construction(
        "logistic_gradient_descent",
        "regularised logistic regression by gradient descent, one layer a step",
        logistic_gradient_descent,
        _DESCENT,
        (
            *_DATA,
            Parameter("mu", "positive", "ridge: (1/n) Σ log-loss + mu/2 ‖w‖²"),
            Parameter("rate", "positive", "step size; by default 1/(mu + 1/4)", default=None),
            Parameter("steps", "count", "steps; by default as many as bring w within tol", default=None, low=1),
            Parameter("tol", "tolerance", "distance to the minimiser that is certified with steps left out", default=1e-2),
        ),
        _descent,
    ),
    Construction(
        "irls",
        "robust regression (pseudo-Huber loss) by iteratively reweighted least squares",
        irls,
        _IRLS,
        (
            *_DATA,
            Parameter("mu", "positive", "ridge"),
            Parameter("delta", "positive", "residuals beyond this count less", default=0.5),
            Parameter("steps", "count", "weighted solves; 1 is ridge regression", default=3, low=1),
            Parameter("tol", "tolerance", "error of every approximated part", default=1e-2),
        ),
        _irls,
    ),
)
