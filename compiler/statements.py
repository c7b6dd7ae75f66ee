"""What a program states about its values: facts that the compiler may use, and that verification and each run check."""

from __future__ import annotations

from typing import Any

from .dims import describe_shape
from .errors import ProgramError, ShapeError, location_of, user_frame
from .expr import Expr
from .graph import Fact, Residual


def symmetric(value: Any) -> Any:
    """States that a square matrix is symmetric. The compiler may use it; verification and each run check it."""
    return _stated("symmetric", value, None, None)


def spectrum(
    value: Any, within: tuple[float, float], fix: str | None = None, *, closed: bool = False, zero: bool = False
) -> Any:
    """States that a symmetric matrix has its eigenvalues in an interval: from within[0] to strictly below within[1].

    closed: the upper end belongs to the interval. zero: eigenvalues 0 are allowed too. Each run checks it (up to
    rounding) and raises AssumptionError, naming this line, when the data break it. `fix` is printed then.
    """
    lo, hi = _ends("hw.spectrum", "within", within)
    if not (lo < hi or (closed and lo == hi)):
        raise ProgramError(
            f"hw.spectrum got the interval ({lo}, {hi}), which is empty: expected lo < hi",
            where=location_of(user_frame()),
            fix="give lo < hi",
        )
    kind = "spectrum" if not closed else "interval or 0" if zero else "interval"
    return _stated(kind, value, (float(lo), float(hi)), fix)


def bounded(
    value: Any,
    within: tuple[Any, Any] | None = None,
    *,
    rows: Any | None = None,
    norm: Any | None = None,
    fix: str | None = None,
) -> Any:
    """States how large a value can be: every entry in `within` = (lo, hi), ends included; every row's Euclidean norm at
    most `rows`; the norm of a vector (of a matrix: Frobenius) at most `norm`. Approximations are proved for such data; each
    run checks it and raises AssumptionError.

    Inputs of which nothing is stated are taken to have entries in [−1, 1] where a proof needs a bound.
    """
    if within is None and rows is None and norm is None:
        raise ProgramError(
            "hw.bounded states nothing: expected within, rows or norm",
            where=location_of(user_frame()),
            fix="pass within=(lo, hi) or rows=r",
        )
    stated: dict[str, Any] = {
        "within": within,
        "rows": None if rows is None else (0.0, rows),
        "norm": None if norm is None else (0.0, norm),
    }
    for kind, bounds in stated.items():
        if bounds is not None:
            lo, hi = _ends("hw.bounded", kind, bounds)
            if not (lo <= hi and max(abs(lo), abs(hi)) < float("inf")):
                text = f"hw.bounded got the interval ({lo}, {hi}), which is empty or infinite: expected finite lo ≤ hi"
                raise ProgramError(text, where=location_of(user_frame()), fix="give finite lo ≤ hi")
            _noted(kind, value, (lo, hi), fix)
    return value


def _ends(function: str, kind: str, bounds: Any) -> tuple[float, float]:
    try:
        lo, hi = (float(end) for end in bounds)
    except (TypeError, ValueError, OverflowError) as error:
        what = bounds if kind == "within" else bounds[1]
        expected = "two finite numbers (lo, hi)" if kind == "within" else "a finite number"
        raise ProgramError(
            f"{function} got {kind}={what!r}: expected {expected}",
            where=location_of(user_frame()),
            fix="pass within=(lo, hi)" if kind == "within" else f"pass {kind}=r",
        ) from error
    return lo, hi


def signs(value: Any) -> Any:
    """States that every entry is −1 or 1, as labels are: products with it are exact. Each run checks it."""
    return _noted("signs", value, (-1.0, 1.0), "pass −1 and 1, for example 2 * y − 1 for labels 0 and 1")


def residual(solution: Any, **statement: Any) -> None:
    """States that `solution` is approximate (see `graph.Residual`); only helpers such as `hw.solve` use it.

    Values in `roots`, `squares` and `ones` are traced values; run on numbers, it does nothing.
    """
    if isinstance(solution, Expr):
        for key in ("roots", "squares", "ones"):
            statement[key] = tuple(value.number for value in statement.get(key, ()))
        solution.tracer.residuals.append(Residual(solution.number, **statement, where=location_of(user_frame())))


def _stated(kind: str, value: Any, bounds: tuple[float, float] | None, fix: str | None) -> Any:
    if not isinstance(value, Expr):
        return value
    value.tracer.note_names()
    if value.ndim != 2 or value.dims[0] != value.dims[1]:
        raise ShapeError(
            f"hw.{kind} takes a square matrix, got {value.tracer.name_of(value.number)} {describe_shape(value.dims)}",
            where=location_of(user_frame()),
            rule="rows and columns have the same dimension, by name",
            fix="state it of a square matrix, for example A.T @ A",
        )
    return _noted(kind, value, bounds, fix)


def _noted(kind: str, value: Any, bounds: tuple[float, float] | None, fix: str | None) -> Any:
    if isinstance(value, Expr):
        value.tracer.note_names()
        value.tracer.facts.append(Fact(kind, value.number, location_of(user_frame()), bounds, fix))
    return value
