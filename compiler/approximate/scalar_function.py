"""Scalar functions that can be bounded: built from names, callables, sympy expressions, or a bound on f″."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from ..errors import CompileError, Location
from .enclosure import FLOATS, Intervals, intervals
from .tapes import Unsupported, tape
from .taylor import Series, Tape
from .traced import Traced

Z = sympy.Symbol("z", real=True)
"""The variable of every ScalarFunction."""


class ApproximationError(CompileError):
    """A scalar function that cannot be approximated with a proved bound: the text says what was tried and the fix."""


@dataclass(frozen=True)
class ScalarFunction:
    """A function of one real variable, as a sympy expression in the symbol `Z`; equal when name and expression are.

    `name` is for people. A call evaluates in float64 (numbers, arrays) or substitutes (sympy, another ScalarFunction).
    """

    name: str
    expression: sympy.Expr

    @property
    def tape(self) -> Tape:
        return tape(self.expression, Z)

    def numpy(self, z: Any, order: int = 0) -> Any:
        """f⁽ᵒʳᵈᵉʳ⁾ in float64 at an array; nan or inf where it is undefined or overflows."""
        at = np.asarray(z, dtype=np.float64)
        with np.errstate(all="ignore"):
            value = self.tape.run(FLOATS, at, order)[order] * math.factorial(order)
        return np.broadcast_to(value, at.shape).astype(np.float64)

    def enclose(self, lo: Fraction | None, hi: Fraction | None, order: int = 0, over: Intervals | None = None) -> Series:
        """Intervals that contain f, f′, f″/2, … of every z in [lo, hi] (None: unbounded on that side).

        Raises Undefined where f has no real value on the interval (or the arithmetic cannot exclude it).
        """
        over = over or intervals()
        return self.tape.run(over, over.hull(lo, hi), order)

    def __call__(self, z: Any) -> Any:
        if isinstance(z, ScalarFunction):
            return ScalarFunction(f"{self.name}({z.name})", self.expression.subs(Z, z.expression))
        if isinstance(z, sympy.Basic):
            return self.expression.subs(Z, _exact(z))
        value = self.numpy(z)
        return value if isinstance(z, np.ndarray) else float(value)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class BoundedFunction:
    """A Python function with a stated bound on its second derivative: see `hw_bounded`."""

    name: str
    fn: Callable[[float], float] = field(compare=True)
    second_derivative: Fraction
    convex: bool | None = None
    evaluation_error: Fraction = Fraction(0)

    def numpy(self, z: Any) -> Any:
        return np.vectorize(lambda x: float(self.fn(float(x))), otypes=[np.float64])(np.asarray(z, dtype=np.float64))

    def __call__(self, z: Any) -> Any:
        value = self.numpy(z)
        return value if isinstance(z, np.ndarray) else float(value)


_SIGMOID = 1 / (1 + sympy.exp(-Z))
_NAMED: dict[str, sympy.Expr] = {
    "identity": Z,
    "relu": sympy.Max(0, Z),
    "abs": sympy.Abs(Z),
    "sigmoid": _SIGMOID,
    "sqrt": sympy.sqrt(Z),
    "reciprocal": 1 / Z,
    "exp": sympy.exp(Z),
    "log": sympy.log(Z),
    "tanh": sympy.tanh(Z),
    "square": Z**2,
    "sin": sympy.sin(Z),
    "cos": sympy.cos(Z),
    "tan": sympy.tan(Z),
    "sinh": sympy.sinh(Z),
    "cosh": sympy.cosh(Z),
    "arctan": sympy.atan(Z),
    "erf": sympy.erf(Z),
    "softplus": sympy.log(1 + sympy.exp(Z)),
    "silu": Z * _SIGMOID,
    "gelu": Z * (1 + sympy.erf(Z / sympy.sqrt(2))) / 2,
    "expm1": sympy.exp(Z) - 1,
    "log1p": sympy.log(1 + Z),
}
_SAME = {"absolute": "abs", "fabs": "abs", "atan": "arctan", "expit": "sigmoid", "square_": "square", "logistic": "sigmoid"}
_LIBRARIES = ("numpy", "math", "torch", "_operator", "builtins", "scipy")


def named(name: str, where: Location | None = None) -> ScalarFunction:
    """A function by its name: relu, abs, sigmoid, sqrt, reciprocal, exp, tanh, square, … Raises ApproximationError."""
    known = _SAME.get(name, name)
    if known not in _NAMED:
        raise ApproximationError(
            f"no scalar function is called {name!r}",
            where=where,
            rule=f"the names are {', '.join(sorted(_NAMED))}",
            fix="pass a Python callable or a sympy expression in one symbol",
        )
    return ScalarFunction(known, _NAMED[known])


def from_callable(fn: Any, where: Location | None = None) -> ScalarFunction | BoundedFunction:
    """The scalar function that a user means by `fn`.

    fn may be a ScalarFunction or the result of `hw_bounded`; a name; a sympy expression in one symbol, or a sympy Lambda;
    a function of numpy, math or torch known by its name (np.tanh, math.exp); or a callable, which is called once on a
    sympy symbol, so anything made of + − × ÷, powers, sympy functions and numpy's elementary functions works. Floats inside
    are taken as the exact rationals that they are, and an exponent 0.5 as a square root.

    Raises ApproximationError, with what was tried and the fix, for anything else.
    """
    if isinstance(fn, ScalarFunction | BoundedFunction):
        return fn
    if isinstance(fn, str):
        return named(fn, where)
    name = str(getattr(fn, "__name__", "") or fn)
    if isinstance(fn, sympy.Lambda):
        if len(fn.variables) != 1:
            raise _refuse(str(fn), f"it takes {len(fn.variables)} arguments, not one", where)
        return _checked(str(fn), fn(Z), where)
    if isinstance(fn, sympy.Basic):
        free = fn.free_symbols
        if len(free) > 1:
            raise _refuse(str(fn), f"it has the symbols {', '.join(sorted(map(str, free)))}: one was expected", where)
        return _checked(str(fn), fn.subs(dict.fromkeys(free, Z)), where)
    if isinstance(fn, int | float | Fraction):
        return _checked(name, _number(fn, name, where), where)
    if not callable(fn):
        raise _refuse(repr(fn), "it is not callable", where)
    module = str(getattr(fn, "__module__", None) or type(fn).__module__).partition(".")[0]
    if module in _LIBRARIES and _SAME.get(name, name) in _NAMED:
        return named(name)
    try:
        result = _run(fn)
    except Exception as error:  # whatever the user's code raises is the reason that we report
        raise _refuse(name, f"calling it on a sympy symbol raised {type(error).__name__}: {error}", where) from error
    if isinstance(result, int | float | Fraction):
        result = _number(result, name, where)
    if isinstance(result, np.ndarray) and result.shape == ():
        result = result.item()
    if not isinstance(result, sympy.Expr):
        raise _refuse(name, f"called on a sympy symbol it returned {type(result).__name__}, not an expression", where)
    label = str(result) if name == "<lambda>" else name
    return _checked(label, result, where)


def _run(fn: Any) -> Any:
    """fn on a symbol; if that fails, on a number that numpy functions accept. The first failure is the one to report."""
    try:
        return fn(Z)
    except Exception:
        try:
            result = fn(Traced(Z))
        except Exception:
            result = None
        if not isinstance(result, Traced):
            raise
        return sympy.sympify(result.expression)


def _checked(name: str, expression: sympy.Expr, where: Location | None) -> ScalarFunction:
    extra = expression.free_symbols - {Z}
    if extra:
        raise _refuse(name, f"it still has the symbols {', '.join(sorted(map(str, extra)))}", where)
    exact = _exact(expression)
    if exact.is_rational_function(Z) and (reduced := sympy.cancel(exact)).is_polynomial(Z):
        exact = reduced  # (z² − 1)/(z − 1): nothing is divided by
    function = ScalarFunction(name, exact)
    try:
        _ = function.tape
    except Unsupported as error:
        raise _refuse(name, str(error), where) from error
    return function


def _refuse(name: str, reason: str, where: Location | None) -> ApproximationError:
    return ApproximationError(
        f"cannot bound the scalar function {name}: {reason}",
        where=where,
        rule="a bound is proved from an expression (sympy runs the callable on a symbol) or from a bound on f″",
        fix="write it with + − × ÷ ** and sympy functions (sympy.exp, …), or pass hw.bounded_function(fn, second_derivative=M)",
    )


def _number(value: int | float | Fraction, name: str, where: Location | None) -> sympy.Expr:
    if not math.isfinite(value):
        raise _refuse(name, f"it is {value}, no finite number", where)
    exact = Fraction(value)
    return sympy.Rational(exact.numerator, exact.denominator)


def _exact(expression: sympy.Expr) -> sympy.Expr:
    """Floats become the rationals that they are; so 0.5 in an exponent is a square root."""
    floats = {x: sympy.Rational(*Fraction(float(x)).as_integer_ratio()) for x in expression.atoms(sympy.Float)}
    return expression.xreplace(floats) if floats else expression


def hw_bounded(
    fn: Callable[[float], float],
    *,
    second_derivative: float | Fraction,
    convex: bool | None = None,
    evaluation_error: float | Fraction = 0,
    name: str | None = None,
) -> BoundedFunction:
    """A Python function of a float, with facts that the caller vouches for; the bound is proved from them.

    Contract: on the whole domain f′ is Lipschitz with constant second_derivative (|f″| ≤ it where it exists);
    fn(x) returns f(x) up to `evaluation_error` (absolute; 0 says that the returned double is f(x) itself). With
    convex=True (False) f is convex (concave) on the domain. Then on a piece of width h the chord is within M·h²/8 of f,
    and for convex or concave f shifting it by half of that halves the error.

    Raises ApproximationError: a bound that is negative, infinite or nan; fn not callable.
    """
    label = name or str(getattr(fn, "__name__", "fn"))
    if not callable(fn):
        raise ApproximationError(f"hw_bounded expects a function of a float, got {type(fn).__name__}", fix="pass a callable")
    limits = []
    for what, value in (("second_derivative", second_derivative), ("evaluation_error", evaluation_error)):
        number = isinstance(value, int | float | Fraction) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value < 0:
            raise ApproximationError(
                f"{what} of {label} must be a finite number ≥ 0, got {value!r}", fix="give an upper bound that holds everywhere"
            )
        limits.append(Fraction(value))
    if convex not in (True, False, None):
        raise ApproximationError(f"convex of {label} is {convex!r}: expected True, False (concave) or None", fix="leave it out")
    return BoundedFunction(label, fn, limits[0], convex, limits[1])
