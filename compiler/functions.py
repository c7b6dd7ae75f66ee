"""Scalar functions in programs: `hw.apply` and the named ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import sympy

from .approximate.scalar_function import from_callable, named
from .errors import ProgramError, location_of, user_frame
from .expr import Expr, pointwise
from .pointwise import Pointwise

Real: TypeAlias = float | Fraction


def apply(fn: Any, value: Any, domain: tuple[Real, Real], tol: Real | None = None) -> Any:
    """fn of every entry of `value`, compiled to ReLU units with a proved error of at most `tol` on `domain`.

    fn: a callable of one number that also works on a sympy symbol (made of + − × ÷ ** and sympy functions), a function of
    numpy or math known by its name, a sympy expression in one symbol, or an `hw.bounded_function`. domain: (lo, hi); data
    that leave it are reported when they are run. tol: absolute; by default what `compile` needs for its own tolerance.

    Raises CompileError for a function that cannot be bounded on the domain (a pole, a complex value, unknown code), an
    empty domain or a tolerance that is not positive; the text says what was tried.
    """
    function = from_callable(fn, location_of(user_frame()))
    attr = Pointwise(function, _domain(domain, function.name), _tolerance(tol, function.name))
    return _applied(attr, value)


def _applied(attr: Pointwise, value: Any) -> Any:
    if isinstance(value, Expr):
        return pointwise(attr, value)
    try:
        if value is not None:  # which numpy takes for nan
            return attr.numpy(np.asarray(value, dtype=np.float64))[()]
    except (TypeError, ValueError):
        pass
    raise ProgramError(
        f"{attr.name} is applied to a {type(value).__name__}: expected a traced value, or real numbers",
        where=location_of(user_frame()),
        fix=f"write hw.apply({attr.name}, value, domain=(lo, hi)) with a value of the program",
    )


def _domain(domain: Any, name: str) -> tuple[Fraction, Fraction]:
    ends = tuple(domain) if isinstance(domain, (tuple, list, np.ndarray)) else ()
    lo, hi = (_real(end) for end in ends) if len(ends) == 2 else (None, None)
    if lo is None or hi is None:
        raise ProgramError(
            f"the domain of {name} is {domain!r}: expected two finite numbers (lo, hi)",
            where=location_of(user_frame()),
            fix="pass domain=(lo, hi)",
        )
    if lo >= hi:
        what = f"the domain ({float(lo):g}, {float(hi):g}) of {name} is empty: expected lo < hi"
        raise ProgramError(what, where=location_of(user_frame()), fix="give lo < hi")
    return lo, hi


def _real(value: Any) -> Fraction | None:
    """The exact value of a finite real number; None for anything else, such as True or "1"."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, Fraction, np.integer, np.floating)):
        return None
    return Fraction(value.item() if isinstance(value, np.generic) else value) if math.isfinite(value) else None


def _tolerance(tol: Any, name: str) -> Fraction | None:
    if tol is None:
        return None
    exact = _real(tol)
    if exact is None or exact <= 0:
        what = f"the tolerance of {name} is {tol!r}: expected a finite number above 0"
        raise ProgramError(what, where=location_of(user_frame()), fix="pass tol=1e-4")
    return exact


def _named(name: str) -> Callable[[Any], Any]:
    attr = Pointwise(named(name))

    def function(value: Any) -> Any:
        if isinstance(value, sympy.Basic):  # inside a function that is given to hw.apply, or that function itself
            return attr.function(value)
        return _applied(attr, value)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{name} of every entry, by ReLU units with a proved error (exact where it is piecewise linear)."
    return function


relu, sigmoid, sqrt, reciprocal, exp, tanh, square = map(
    _named, ("relu", "sigmoid", "sqrt", "reciprocal", "exp", "tanh", "square")
)
