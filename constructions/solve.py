"""`hw.solve` and `hw.inverse`: linear systems inside a program, by the iteration with the fewest layers.

With T = SX and R = I − T, one layer multiplies T, and whatever is being solved for, by I + a R (I + R): the residual
becomes a R³ + (1 − a) R. With the numbers a of `minimax` it is the Chebyshev polynomial of degree 3^k after k layers,
the smallest that there is on the interval. The order of the factors is the one in which rounding is damped: 2I − T on
the left of a (I − T), so that errors of T that are not symmetric shrink (measured in docs/reference/iterations.md).
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..compiler.dims import describe_shape
from ..compiler.errors import CompileError, PrecisionWarning, ShapeError, location_of, user_frame
from ..compiler.expr import Expr
from ..compiler.statements import residual
from ..compiler.statements import spectrum as states
from .minimax import Chain, Interval, chain, check_interval, linear_start

__tracebackhide__ = True  # errors name the program's line, not ours

#: The residual that rounding leaves is at most this times the unit round-off times κ where S is formed, or √κ where the
#: layers act on A (docs/reference/iterations.md).
FLOOR = 8.0


def solve(S: Any, b: Any, *, spectrum: tuple[float, float], tol: float) -> Any:
    """The solution w of S w = b, shape of b: (d,) or (d, k), for symmetric S (d, d) with eigenvalues in `spectrum`.

    spectrum: (l, u), 0 < l ≤ u; u has to be a true bound, an l that is too small costs layers only. tol: in exact
    arithmetic ‖I − SX‖₂ ≤ tol for the X that is used, so ‖b − S w‖ ≤ tol ‖b‖; `hw.verify` proves it. The layers are the
    fewest for which this is proved. Each run refuses an S with eigenvalues outside.

    Raises CompileError for a bad interval or tolerance, ShapeError for shapes that do not fit; warns (PrecisionWarning)
    when float64 cannot reach tol at this condition number.
    """
    plan, alpha = _plan("hw.solve", S, spectrum, tol)
    if isinstance(S, Expr) and isinstance(b, Expr) and (b.ndim not in (1, 2) or b.dims[0] != S.dims[0]):
        raise ShapeError(
            f"hw.solve(S, b): S is {describe_shape(S.dims)} and b is {describe_shape(b.dims)}",
            where=location_of(user_frame()),
            fix="give b as many rows as S, by name",
        )
    w = alpha(b) * b
    T = alpha(S) * S
    for a in plan.tripling:
        w, T = w + _step(T, w, a, right=True), T + _step(T, T, a)
    _state("solve", w, S, (b,), plan)
    return w


def inverse(S: Any, *, spectrum: tuple[float, float], tol: float) -> Any:
    """The inverse of a symmetric S (d, d) with eigenvalues in `spectrum`: ‖I − S X‖₂ ≤ tol. Arguments as `hw.solve`."""
    plan, alpha = _plan("hw.inverse", S, spectrum, tol)
    X = alpha(S) * _identity(S)
    T = alpha(S) * S
    for a in plan.tripling:
        X, T = X + _step(T, X, a), T + _step(T, T, a)
    _state("inverse", X, S, (), plan)
    return X


def _plan(name: str, S: Any, spectrum: Any, tol: Any) -> tuple[Chain, Any]:
    interval = check_interval(name, spectrum, tol)
    if isinstance(S, Expr) and (S.ndim != 2 or S.dims[0] != S.dims[1]):
        raise ShapeError(
            f"{name}: S is {describe_shape(S.dims)}: expected a square matrix",
            where=location_of(user_frame()),
            fix="for least squares pass S = A.T @ A and b = A.T @ y",
        )
    warn_below_floor(name, interval)
    alpha, start = linear_start(interval)
    plan = chain(interval, start, 1)
    if plan is None:
        raise CompileError(f"{name}: spectrum = {spectrum} needs more than 400 layers", fix="rescale the matrix or add a ridge")
    return plan, lambda like: number(alpha, like)


def warn_below_floor(name: str, interval: Interval, power: float = 1.0, growth: float = 1.0, fix: str = "") -> None:
    """Warns when rounding in float64 alone leaves a larger residual than tol: `growth` times what cubics leave.

    `fix` is said where cubics would reach tol.
    """
    cubics = FLOOR * np.finfo(np.float64).eps * interval.kappa**power
    floor = cubics * growth
    if interval.tol < floor:
        hint = f"; {fix}" if fix and interval.tol >= cubics else ""
        warnings.warn(
            f"{name}: tol = {float(interval.tol):.1e} is below what float64 reaches at κ = {interval.kappa:.1e}, about "
            f"{floor:.1e}: the bound holds in exact arithmetic, a run will not reach it{hint}",
            PrecisionWarning,
            stacklevel=5,
        )


def _step(T: Any, value: Any, a: Any, right: bool = False) -> Any:
    """a (I − T)(2I − T) times the value, from the left or (as T is symmetric, the same) from the right."""
    I = _identity(T)
    a = number(a, T)
    return a * (I - T) @ (2 * I - T) @ value if right else value @ (2 * I - T) @ (a * (I - T))


def _identity(S: Any) -> Any:
    if isinstance(S, Expr):
        return Expr(S.tracer, S.tracer.node("eye", (), None, (S.dims[0], S.dims[0])), 2)
    return np.eye(len(S), dtype=int).astype(S.dtype)


def number(value: Any, like: Any) -> Any:
    """A rational as the data compute: a float beside float arrays, else exact."""
    return float(value) if isinstance(like, np.ndarray) and like.dtype != object else value


def _state(name: str, solution: Any, S: Any, ones: tuple[Any, ...], plan: Chain) -> None:
    interval = plan.interval
    states(
        S,
        within=(float(interval.lower), float(interval.upper)),
        closed=True,
        fix=f"pass a spectrum to hw.{name} that contains the eigenvalues",
    )
    residual(
        solution,
        squares=(S,),
        ones=ones,
        power=2,
        chain=plan.polynomials,
        lower=interval.lower,
        upper=interval.upper,
        tol=interval.tol,
        known="matrix",
        method=f"X_0 = 2/(u + l) I, then {len(plan.tripling)} Chebyshev triplings of the residual",
    )
