"""`hw.solve` and `hw.inverse`: linear systems inside a program, by the iteration with the fewest layers.

All iterations of `hw.iterations` for the inverse are tuned to the interval and compared when the program is traced; the
claim of the residual says what the others would have taken.
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
from .iterations import Choice, choose
from .minimax import Interval, check_interval

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
    choice = _choose("hw.solve", S, spectrum, tol)
    if isinstance(S, Expr) and isinstance(b, Expr) and (b.ndim not in (1, 2) or b.dims[0] != S.dims[0]):
        raise ShapeError(
            f"hw.solve(S, b): S is {describe_shape(S.dims)} and b is {describe_shape(b.dims)}",
            where=location_of(user_frame()),
            fix="give b as many rows as S, by name",
        )
    # wᵀ = bᵀ X, as S is symmetric
    w = choice.schedule.apply(S, b.T).T if b.ndim == 2 else choice.schedule.apply(S, b)
    _state("solve", w, S, (b,), choice)
    return w


def inverse(S: Any, *, spectrum: tuple[float, float], tol: float) -> Any:
    """The inverse of a symmetric S (d, d) with eigenvalues in `spectrum`: ‖I − S X‖₂ ≤ tol. Arguments as `hw.solve`."""
    choice = _choose("hw.inverse", S, spectrum, tol)
    X = choice.schedule.run(S)
    _state("inverse", X, S, (), choice)
    return X


def _choose(name: str, S: Any, spectrum: Any, tol: Any) -> Choice:
    interval = check_interval(name, spectrum, tol)
    if isinstance(S, Expr) and (S.ndim != 2 or S.dims[0] != S.dims[1]):
        raise ShapeError(
            f"{name}: S is {describe_shape(S.dims)}: expected a square matrix",
            where=location_of(user_frame()),
            fix="for least squares pass S = A.T @ A and b = A.T @ y",
        )
    if interval.kappa * np.finfo(np.float64).eps >= 1:
        raise CompileError(
            f"{name}: κ = u/l = {interval.kappa:.1e} is more than float64 resolves",
            fix="raise l, for example by a ridge: eigenvalues that small are lost in rounding anyway",
        )
    warn_below_floor(name, interval)
    return choose(interval.lower, interval.upper, interval.tol)


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


def number(value: Any, like: Any) -> Any:
    """A rational as the data compute: a float beside float arrays, else exact."""
    return float(value) if isinstance(like, np.ndarray) and like.dtype != object else value


def _state(name: str, solution: Any, S: Any, ones: tuple[Any, ...], choice: Choice) -> None:
    schedule = choice.schedule
    states(
        S,
        within=(float(schedule.l), float(schedule.u)),
        closed=True,
        fix=f"pass a spectrum to hw.{name} that contains the eigenvalues",
    )
    residual(
        solution,
        squares=(S,),
        ones=ones,
        power=2,
        chain=schedule.chain,
        lower=schedule.l,
        upper=schedule.u,
        tol=schedule.tol,
        known="matrix",
        method=choice.why,
        floor=(FLOOR, 1.0),
    )
