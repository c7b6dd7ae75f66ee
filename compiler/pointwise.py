"""A scalar function as an attribute of graph nodes that can be saved."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import sympy

from .approximate.scalar_function import BoundedFunction, ScalarFunction, Z
from .errors import CompileError

#: The error of a function for which neither the program nor `compile` gives a tolerance.
DEFAULT_TOLERANCE = Fraction(1, 10_000)


@dataclass(frozen=True)
class Pointwise:
    """A function of every entry. `domain`: where the program says that the entries lie; `tol`: the error that it allows."""

    function: ScalarFunction | BoundedFunction
    domain: tuple[Fraction, Fraction] | None = None
    tol: Fraction | None = None

    @property
    def name(self) -> str:
        return self.function.name

    def numpy(self, value: Any) -> np.ndarray:
        return np.asarray(self.function.numpy(np.asarray(value, dtype=np.float64)))


# -- as text, for model folders: only what this grammar knows is ever read back -------------------------------------------

_ARITHMETIC = ("Add", "Mul", "Pow")
_FUNCTIONS = (
    *("exp", "log", "tanh", "sin", "cos", "tan", "sinh", "cosh", "atan", "erf", "Abs", "Max", "Min", "sign"),
    *("cot", "coth", "asinh", "erfc"),
    *_ARITHMETIC,
)
_CONSTANTS = {"z": Z, "pi": sympy.pi, "E": sympy.E}


def function_text(function: ScalarFunction) -> str:
    """The expression as nested calls, exactly as it is built: "Pow(Add(1, exp(Mul(-1, z))), -1)"."""
    return _write(function.expression)


def _write(e: sympy.Basic) -> str:
    if e.is_Rational:
        return str(e.p) if e.q == 1 else f"{e.p}/{e.q}"
    for name, known in _CONSTANTS.items():
        if e == known:
            return name
    return f"{e.func.__name__}({', '.join(map(_write, e.args))})"


@cache
def function_from_text(name: str, text: str) -> ScalarFunction:
    """The function of that expression in z. Raises ValueError for anything but numbers, z, arithmetic and known functions."""
    try:
        return ScalarFunction(name, _read(ast.parse(text, mode="eval").body))
    except (SyntaxError, TypeError, ZeroDivisionError, RecursionError, CompileError) as error:
        raise ValueError(f"{text!r} is no expression in z: {error}") from error


def _read(tree: ast.expr) -> Any:
    if isinstance(tree, ast.Constant) and type(tree.value) is int:
        return sympy.Integer(tree.value)
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        return -_read(tree.operand)
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Div):
        return sympy.Rational(_read(tree.left), _read(tree.right))
    if isinstance(tree, ast.Name) and tree.id in _CONSTANTS:
        return _CONSTANTS[tree.id]
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id in _FUNCTIONS and not tree.keywords:
        return getattr(sympy, tree.func.id)(*map(_read, tree.args), evaluate=False)
    raise ValueError(f"{ast.unparse(tree)!r} is not allowed in a scalar function")
