"""Least squares in the fewest layers: minimax residuals built on tokens, without identity blocks and for any n.

Every row of the stream is a polynomial in S = AᵀA times a row of the data; X is never formed. With R = I − SX the
state is A, XA-like rows X = x(S)A, residual rows E = R·[A; Q] on examples and queries, the dual row z = x(AAᵀ)y and the
predictions p. One layer composes the residual with a cubic (headwright, own construction; compare Theorem 4.2 of
Giannou et al. 2024, which needs 3 + T layers for T Newton steps).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from ..compiler.program import Matrix, Vector, dim, eye, program, vstack
from ..compiler.statements import residual
from ..compiler.statements import spectrum as states
from .claims import GIANNOU, PaperClaim
from .minimax import Chain, Interval, Quartic, chain, check_interval, linear_start, quartic_start
from .parameters import Parameter, size
from .registry import Construction, Variant
from .solve import number, warn_below_floor

_FIX = "compile for a spectrum that contains the eigenvalues of AᵀA, or rescale A"


@dataclass(frozen=True)
class Minimal:
    """What `least_squares_minimal` runs: a start (of degree 1 in one layer, or 4 in two) and cubics after it."""

    chain: Chain
    alpha: Fraction
    quartic: Quartic | None

    @property
    def layers(self) -> int:
        return (1 if self.quartic is None else 2) + len(self.chain.tripling)


def plan_minimal(interval: Interval, quartic: bool = True) -> Minimal:
    """The start with the fewer layers; the shorter one where they tie, or where `quartic` is not allowed."""
    alpha, linear = linear_start(interval)
    plain = chain(interval, linear, 1)
    assert plain is not None
    longer = quartic_start(interval) if quartic else None
    if longer is not None:
        found = chain(interval, longer.residual, 4, at_most=len(plain.tripling) - 2)
        if found is not None:
            return Minimal(found, alpha, longer)
    return Minimal(plain, alpha, None)


def _tripled(A, E, X, y, p, scale, cubics):
    """r ← a r³ + (1 − a) r in every layer: X and z carry a compile-time factor `scale`, so that they grow in place.

    With SX = I − R: E ← E − a·X(I + R)-products, and X R (I + R) = 2X − X Sᵀ-products (see the module's docstring).
    """
    n, z = dim("n"), y
    for a in cubics:
        step, kept = number(a * scale, A), number(a * scale / (1 + 2 * a), A)
        p = p + step * E @ (A + E[:n]).T @ z
        E_next = E - step * E @ (A + E[:n]).T @ X
        z = z - kept * X @ (2 * A + E[:n]).T @ z
        X = X - kept * X @ (2 * A + E[:n]).T @ X
        E, scale = E_next, (1 + 2 * a) * scale
    return p


def _linear_start(A, y, Z, alpha):
    """One layer: x = α."""
    c = number(alpha, A)
    E = Z - c * Z @ A.T @ A
    p = c * Z @ A.T @ y
    return E, A, y, p, alpha


def _quartic_start(A, y, Z, q):
    """Two layers: the minimax polynomial of degree 4."""
    zeta, gamma = number(q.zeta, A), number(q.gamma, A)
    X = A + zeta * A @ A.T @ A
    z = y + zeta * A @ A.T @ y
    E = Z + gamma * Z @ A.T @ A
    p = -gamma * Z @ A.T @ y

    def linear(c, plain, first):  # (c0 + c1 λ) · plain, where first = (1 + ζλ) · plain
        return number(c[0] - c[1] / q.zeta, A) * plain + number(c[1] / q.zeta, A) * first

    for v, k in q.products:
        p = p - E @ linear(k, A, X).T @ linear(v, y, z)
    E_next = E
    for v, k in q.products:
        E_next = E_next + E @ linear(k, A, X).T @ linear(v, A, X)
    z_next = z + linear((q.beta, q.delta), A, X) @ A.T @ z
    X_next = X + linear((q.beta, q.delta), A, X) @ A.T @ X
    return E_next, X_next, z_next, p, q.scale


def _interval(A, spectrum, tol, power):
    interval = check_interval("least_squares_minimal", spectrum, tol)
    warn_below_floor("least_squares_minimal", interval, power)
    S = A.T @ A
    states(S, within=(float(interval.lower), float(interval.upper)), closed=True, zero=True, fix=_FIX)
    return interval


def _state(solution, A, ones, power, plan):
    degree = 1 if plan.quartic is None else 4
    residual(
        solution,
        roots=(A,),
        ones=ones,
        power=power,
        chain=plan.chain.polynomials,
        lower=plan.chain.interval.lower,
        upper=plan.chain.interval.upper,
        tol=plan.chain.interval.tol,
        known="factor",
        method=f"a minimax start of degree {degree}, then {len(plan.chain.tripling)} Chebyshev triplings",
    )


def _predictions(A, y, Q, spectrum, tol):
    plan = plan_minimal(_interval(A, spectrum, tol, power=0.5))
    Z = vstack(A, Q)
    start = _linear_start(A, y, Z, plan.alpha) if plan.quartic is None else _quartic_start(A, y, Z, plan.quartic)
    E, X, z, p, scale = start
    p = _tripled(A, E, X, z, p, scale, plan.chain.tripling)
    n = dim("n")
    answer = p[n:] if Q.ndim == 2 else p[n]
    _state(answer, A, (y, Q), 1, plan)
    return answer


@program
def least_squares_minimal(A: Matrix["n", "d"], y: Vector["n"], Q: Matrix["m", "d"], *, spectrum, tol):
    return _predictions(A, y, Q, spectrum, tol)


@program
def least_squares_minimal_one(A: Matrix["n", "d"], y: Vector["n"], q: Vector["d"], *, spectrum, tol):
    return _predictions(A, y, q, spectrum, tol)


@program
def least_squares_block(A: Matrix["n", "d"], y: Vector["n"], Q: Matrix["m", "d"], *, spectrum, tol):
    plan = plan_minimal(_interval(A, spectrum, tol, power=1), quartic=False)
    I, alpha = eye("d"), number(plan.alpha, A)
    T = alpha * A.T @ A
    w = alpha * A.T @ y
    E = Q - alpha * Q @ A.T @ A
    p = alpha * Q @ A.T @ y
    for a in plan.chain.tripling:  # E = QR, so that p = QXAᵀy grows without X, and no layer is left for reading out
        a = number(a, A)
        p = p + a * E @ (2 * I - T) @ w
        E_next = E - a * E @ (2 * I - T) @ T
        w = w + a * (I - T) @ (2 * I - T) @ w
        T_next = T + T @ (2 * I - T) @ (a * (I - T))
        E, T = E_next, T_next
    _state(p, A, (y, Q), 1, plan)
    return p


@program
def least_squares_weights(A: Matrix["n", "d"], y: Vector["n"], *, spectrum, tol):
    plan = plan_minimal(_interval(A, spectrum, tol, power=1), quartic=False)
    I, alpha = eye("d"), number(plan.alpha, A)
    T = alpha * A.T @ A
    w = alpha * A.T @ y
    for a in plan.chain.tripling:
        a = number(a, A)
        w = w + a * (I - T) @ (2 * I - T) @ w
        T = T + T @ (2 * I - T) @ (a * (I - T))
    _state(w, A, (y,), 1, plan)
    return w


_THEOREM = PaperClaim(
    GIANNOU,
    "Theorem 4.2",
    "3 + T layers of 2 heads, width 4d + 3, T Newton steps from X_0 = αS",
    heads="2",
    rows="3*d + 3",
    error="‖I − SX‖₂ ≤ tol on the spectral interval",
    corrected="the figures are ours: as many layers as the residual needs, 3d + 3 rows",
)
_BLOCK = replace(_THEOREM, rows="4*d + 3", corrected="the figures are ours, with queries in rows of their own")
_WEIGHTS = replace(_THEOREM, heads="1", rows="3*d + 2", corrected="the figures are ours, for w instead of a prediction")


def _minimal(values: Mapping[str, Any]) -> Variant:
    constants = {name: values[name] for name in ("spectrum", "tol")}
    return Variant(least_squares_minimal_one if values["m"] is None else least_squares_minimal, constants)


def _block(values: Mapping[str, Any]) -> Variant:
    return Variant(least_squares_block, {name: values[name] for name in ("spectrum", "tol")})


def _weights(values: Mapping[str, Any]) -> Variant:
    constants = {name: values[name] for name in ("spectrum", "tol")}
    return Variant(least_squares_weights, constants, optimize="heads")


_DATA = (size("n", "examples in context"), size("d", "features"))
_GOAL = (
    Parameter("spectrum", "interval", "(l, u) that contains the nonzero eigenvalues of AᵀA"),
    Parameter("tol", "tolerance", "bound of ‖I − SX‖₂, so of the error relative to ‖w‖"),
)

CONSTRUCTIONS = (
    Construction(
        "least_squares_minimal",
        "least squares in the fewest layers for a given spectrum and tolerance, any n, no identity blocks",
        least_squares_minimal_one,
        _THEOREM,
        (
            *_DATA,
            Parameter("m", "size", "queries in one pass: input Q (m × d); without it one query, input q", default=None),
            *_GOAL,
        ),
        _minimal,
    ),
    Construction(
        "least_squares_block",
        "the same on d × d blocks beside an identity, for comparison",
        least_squares_block,
        _BLOCK,
        (*_DATA, size("m", "queries in one pass: input Q (m × d)"), *_GOAL),
        _block,
    ),
    Construction(
        "least_squares_weights",
        "the weight vector w itself in the fewest layers, one head",
        least_squares_weights,
        _WEIGHTS,
        (*_DATA, *_GOAL),
        _weights,
    ),
)
