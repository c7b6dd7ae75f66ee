"""A number that numpy functions accept and that records a sympy expression: for callables that use np.exp and the like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy

_UFUNCS: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "power": lambda a, b: a**b,
    "float_power": lambda a, b: a**b,
    "negative": lambda a: -a,
    "positive": lambda a: a,
    "absolute": sympy.Abs,
    "square": lambda a: a**2,
    "sqrt": sympy.sqrt,
    "reciprocal": lambda a: 1 / a,
    "exp": sympy.exp,
    "expm1": lambda a: sympy.exp(a) - 1,
    "log": sympy.log,
    "log1p": lambda a: sympy.log(1 + a),
    "exp2": lambda a: sympy.exp(a * sympy.log(2)),
    "log2": lambda a: sympy.log(a) / sympy.log(2),
    "log10": lambda a: sympy.log(a) / sympy.log(10),
    "maximum": sympy.Max,
    "minimum": sympy.Min,
    **{name: getattr(sympy, name) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    "arctan": sympy.atan,
    "arcsinh": sympy.asinh,
}


class Traced(np.lib.mixins.NDArrayOperatorsMixin):
    """Stands for z in a callable; `_sympy_` makes sympy functions accept it as well."""

    def __init__(self, expression: Any) -> None:
        self.expression = expression

    def _sympy_(self) -> Any:
        return self.expression

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options or ufunc.__name__ not in _UFUNCS:
            raise TypeError(f"np.{ufunc.__name__} has no rule here")
        return Traced(_UFUNCS[ufunc.__name__](*(i.expression if isinstance(i, Traced) else _plain(i) for i in inputs)))


def _plain(value: Any) -> Any:
    return sympy.sympify(value.item() if isinstance(value, np.generic | np.ndarray) else value)
