"""Least squares in the fewest layers: minimax residuals built on tokens, without identity blocks and for any n.

Every row of the stream is a polynomial in S = AᵀA times a row of the data; X is never formed. With R = I − SX the
state is A, XA-like rows X = x(S)A, residual rows E = R·[A; Q] on examples and queries, the dual row z = x(AAᵀ)y and the
predictions p. One layer composes the residual with a cubic (headwright, own construction; compare Theorem 4.2 of
Giannou et al. 2024, which needs 3 + T layers for T Newton steps). Where that needs a layer more than the lower bound,
the recursion of `pair` takes its place, with another block of rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

from ..compiler.errors import CompileError
from ..compiler.program import Matrix, Vector, dim, eye, program, vstack
from ..compiler.statements import residual
from ..compiler.statements import spectrum as states
from .claims import GIANNOU, PaperClaim
from .minimax import Chain, Interval, Quartic, chain, check_interval, linear_start, quartic_start
from .pair import PairPlan, pair_plan
from .parameters import Parameter, size
from .registry import Construction, Variant
from .solve import number, warn_below_floor

_FIX = "compile for a spectrum that contains the eigenvalues of AᵀA, or rescale A"


@dataclass(frozen=True)
class Minimal:
    """What the programs here run: cubics after a start (of degree 1 in one layer, or 4 in two), or the recursion of a pair."""

    alpha: Fraction
    plan: Chain | PairPlan
    quartic: Quartic | None = None

    @property
    def layers(self) -> int:
        if isinstance(self.plan, PairPlan):
            return len(self.plan.steps)
        return (1 if self.quartic is None else 2) + len(self.plan.tripling)


def plan_cubics(interval: Interval) -> tuple[Fraction, Chain]:
    """The linear start 1 − αλ and the fewest cubics after it: degree 3^(L−1) in L layers. Raises CompileError for a κ near
    the inverse of the unit round-off or beyond, where 1 − αλ with a float α is no start."""
    alpha, linear = linear_start(interval)
    plain = chain(interval, linear, 1)
    if plain is None:
        raise CompileError(
            f"least_squares_minimal: κ = u/l = {interval.kappa:.1e} is more than float coefficients resolve",
            fix="raise l, for example by a ridge: eigenvalues that small are lost in rounding anyway",
        )
    return alpha, plain


def plan_minimal(interval: Interval, prefer: str = "layers") -> Minimal:
    """The plan with the fewest layers, and of these the one with the fewest rows; prefer="rows": cubics only.

    Degrees in L layers: 3^(L−1) from the linear start (3d + 2 rows), 4·3^(L−2) from the quartic one (3d + 3), both in 2
    heads; (3^L − 1)/2, the most that there can be, as a pair (4d + 3 rows, 6 heads).
    """
    cubics = _plan_of_cubics(interval)
    pair = pair_plan(interval, at_most=cubics.layers - 1) if prefer == "layers" else None
    return cubics if pair is None else Minimal(cubics.alpha, pair)


@lru_cache(maxsize=64)  # asked for once by the claim, once by the program
def _plan_of_cubics(interval: Interval) -> Minimal:
    alpha, plain = plan_cubics(interval)
    best = Minimal(alpha, plain)
    quartic = quartic_start(interval)
    longer = chain(interval, quartic.residual, 4, at_most=best.layers - 3) if quartic is not None else None
    return best if longer is None else Minimal(alpha, longer, quartic)


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


def _paired(A, y, Z, pair):
    """Every layer does a step of `pair`: rows v and H on examples and queries, G and z = G y on examples.

    `kept` is 1 + 2a, the factor by which G and z would grow: they stay in place, times the compile-time number `scale`.
    """
    n = dim("n")
    c, (first, *others) = pair.half, pair.steps

    def rest(s):  # what H loses to the data at the first step, where v = H = G = 1
        return number(2 * c * (s.b + s.rho) - s.delta, A)

    kept = 1 + 2 * first.a
    start = number(4 * c * first.a / kept, A)
    v = Z - number(2 * c * first.a, A) * Z @ A.T @ A
    H = Z - rest(first) * Z @ A.T @ A
    G = A - start * A @ A.T @ A
    z = y - start * A @ A.T @ y
    p = rest(first) * Z @ A.T @ y
    scale = kept
    for s in others:
        kept = 1 + 2 * s.a
        full, half = number(scale, A), number(c, A)
        g, x = full * G - A, full * z - y
        K, mixed = A + v[:n], number(s.b, A) * H + number(s.rho, A) * v
        plain = 2 * half * mixed - number(s.delta, A) * v
        p = p + half * mixed @ K.T @ x + plain @ A.T @ y
        H = H - half * mixed @ K.T @ g - plain @ A.T @ A
        v_next = v - number(s.a, A) * (half * v @ K.T @ g + 2 * half * v @ A.T @ A)
        step, turned = number(s.a * c / (kept * scale), A), number(2 * s.a * c / kept, A)
        z_next = z - step * g @ v[:n].T @ x - turned * (g + 2 * A) @ A.T @ z
        G = G - step * g @ v[:n].T @ g - turned * (g + 2 * A) @ A.T @ G
        v, z, scale = v_next, z_next, kept * scale
    return p


def _interval(A, spectrum, tol):
    interval = check_interval("least_squares_minimal", spectrum, tol)
    S = A.T @ A
    states(S, within=(float(interval.lower), float(interval.upper)), closed=True, zero=True, fix=_FIX)
    return interval


def _state(solution, A, ones, power, interval, minimal):
    plan = minimal.plan
    if isinstance(plan, PairPlan):
        pair, polynomials, method = plan.pair, (), f"the minimax polynomial of degree {(3 ** len(plan.steps) - 1) // 2}"
    else:
        degree = 1 if minimal.quartic is None else 4
        pair, polynomials = None, plan.polynomials
        method = f"a minimax start of degree {degree}, then {len(plan.tripling)} Chebyshev triplings"
    residual(
        solution,
        roots=(A,),
        ones=ones,
        power=power,
        pair=pair,
        chain=polynomials,
        lower=interval.lower,
        upper=interval.upper,
        tol=interval.tol,
        known="factor",
        method=method,
    )


def _predictions(A, y, Q, spectrum, tol, prefer):
    interval = _interval(A, spectrum, tol)
    minimal = plan_minimal(interval, prefer)
    growth = minimal.plan.peak**2 if isinstance(minimal.plan, PairPlan) else 1.0
    warn_below_floor("least_squares_minimal", interval, 0.5, growth, fix='prefer="rows" reaches it, with one more layer')
    Z = vstack(A, Q)
    if isinstance(minimal.plan, PairPlan):
        p = _paired(A, y, Z, minimal.plan)
    else:
        quartic = minimal.quartic
        start = _linear_start(A, y, Z, minimal.alpha) if quartic is None else _quartic_start(A, y, Z, quartic)
        E, X, z, p, scale = start
        p = _tripled(A, E, X, z, p, scale, minimal.plan.tripling)
    n = dim("n")
    answer = p[n:] if Q.ndim == 2 else p[n]
    _state(answer, A, (y, Q), 1, interval, minimal)
    return answer


@program
def least_squares_minimal(A: Matrix["n", "d"], y: Vector["n"], Q: Matrix["m", "d"], *, spectrum, tol, prefer="layers"):
    return _predictions(A, y, Q, spectrum, tol, prefer)


@program
def least_squares_minimal_one(A: Matrix["n", "d"], y: Vector["n"], q: Vector["d"], *, spectrum, tol, prefer="layers"):
    return _predictions(A, y, q, spectrum, tol, prefer)


@program
def least_squares_block(A: Matrix["n", "d"], y: Vector["n"], Q: Matrix["m", "d"], *, spectrum, tol):
    interval = _interval(A, spectrum, tol)
    warn_below_floor("least_squares_minimal", interval)
    start, plan = plan_cubics(interval)
    I, alpha = eye("d"), number(start, A)
    T = alpha * A.T @ A
    w = alpha * A.T @ y
    E = Q - alpha * Q @ A.T @ A
    p = alpha * Q @ A.T @ y
    for a in plan.tripling:  # E = QR, so that p = QXAᵀy grows without X, and no layer is left for reading out
        a = number(a, A)
        p = p + a * E @ (2 * I - T) @ w
        E_next = E - a * E @ (2 * I - T) @ T
        w = w + a * (I - T) @ (2 * I - T) @ w
        T_next = T + T @ (2 * I - T) @ (a * (I - T))
        E, T = E_next, T_next
    _state(p, A, (y, Q), 1, interval, Minimal(start, plan))
    return p


@program
def least_squares_weights(A: Matrix["n", "d"], y: Vector["n"], *, spectrum, tol):
    interval = _interval(A, spectrum, tol)
    warn_below_floor("least_squares_minimal", interval)
    start, plan = plan_cubics(interval)
    I, alpha = eye("d"), number(start, A)
    T = alpha * A.T @ A
    w = alpha * A.T @ y
    for a in plan.tripling:
        a = number(a, A)
        w = w + a * (I - T) @ (2 * I - T) @ w
        T = T + T @ (2 * I - T) @ (a * (I - T))
    _state(w, A, (y,), 1, interval, Minimal(start, plan))
    return w


_THEOREM = PaperClaim(
    GIANNOU,
    "Theorem 4.2",
    "3 + T layers of 2 heads, width 4d + 3, T Newton steps from X_0 = αS",
    heads="6",
    rows="4*d + 3",
    error="‖I − SX‖₂ ≤ tol on the spectral interval",
    corrected="the figures are ours: the fewest layers there can be; 2 heads and 3d + 3 rows where cubics have them too",
)
_CUBICS = replace(
    _THEOREM, heads="2", rows="3*d + 3", corrected="the figures are ours: as many layers as the residual needs, 3d + 3 rows"
)
_BLOCK = replace(_CUBICS, rows="4*d + 3", corrected="the figures are ours, with queries in rows of their own")
_WEIGHTS = replace(_CUBICS, heads="1", rows="3*d + 2", corrected="the figures are ours, for w instead of a prediction")


def _minimal(values: Mapping[str, Any]) -> Variant:
    constants = {name: values[name] for name in ("spectrum", "tol", "prefer")}
    minimal = plan_minimal(check_interval("least_squares_minimal", values["spectrum"], values["tol"]), values["prefer"])
    claim = _THEOREM if isinstance(minimal.plan, PairPlan) else _CUBICS
    return Variant(least_squares_minimal_one if values["m"] is None else least_squares_minimal, constants, claim=claim)


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
            Parameter(
                "prefer",
                "choice",
                'the fewest layers; or "rows": 2 heads and 3d + 3 rows, which one spectrum and tol in ten pays with a layer',
                "layers",
                ("layers", "rows"),
            ),
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
