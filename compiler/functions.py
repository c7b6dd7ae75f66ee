"""Scalar functions in programs: `hw.apply` and the named ones."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeAlias

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
    return pointwise(attr, value) if isinstance(value, Expr) else attr.numpy(value)[()]


def _domain(domain: Any, name: str) -> tuple[Fraction, Fraction]:
    try:
        lo, hi = (Fraction(end) for end in domain)
    except (TypeError, ValueError, OverflowError) as error:
        raise ProgramError(
            f"the domain of {name} is {domain!r}: expected two finite numbers (lo, hi)",
            where=location_of(user_frame()),
            fix="pass domain=(lo, hi)",
        ) from error
    if lo >= hi:
        what = f"the domain ({float(lo):g}, {float(hi):g}) of {name} is empty"
        raise ProgramError(what, where=location_of(user_frame()), fix="give lo < hi")
    return lo, hi


def _tolerance(tol: Any, name: str) -> Fraction | None:
    if tol is None:
        return None
    try:
        exact = Fraction(tol)
    except (TypeError, ValueError, OverflowError):
        exact = Fraction(0)
    if exact <= 0:
        what = f"the tolerance of {name} is {tol!r}: expected a finite number above 0"
        raise ProgramError(what, where=location_of(user_frame()), fix="pass tol=1e-4")
    return exact


def _named(name: str) -> Callable[[Any], Any]:
    attr = Pointwise(named(name))

    def function(value: Any) -> Any:
        if isinstance(value, sympy.Basic):  # inside a function that is given to hw.apply, or that function itself
            return attr.function(value)
        return pointwise(attr, value) if isinstance(value, Expr) else attr.numpy(value)[()]

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{name} of every entry, by ReLU units with a proved error (exact where it is piecewise linear)."
    return function


relu, sigmoid, sqrt, reciprocal, exp, tanh, square = map(
    _named, ("relu", "sigmoid", "sqrt", "reciprocal", "exp", "tanh", "square")
)
