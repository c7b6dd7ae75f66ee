"""A scalar function as an attribute of graph nodes that can be saved."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
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

_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_FUNCTIONS = ("exp", "log", "sqrt", "tanh", "sin", "cos", "tan", "sinh", "cosh", "atan", "erf", "Abs", "Max", "Min", "sign")


def function_text(function: ScalarFunction) -> str:
    return str(function.expression)


@cache
def function_from_text(name: str, text: str) -> ScalarFunction:
    """The function of that expression in z. Raises ValueError for anything but numbers, z, arithmetic and known functions."""
    try:
        return ScalarFunction(name, sympy.sympify(_read(ast.parse(text, mode="eval").body)))
    except (SyntaxError, TypeError, RecursionError, CompileError) as error:
        raise ValueError(f"{text!r} is no expression in z: {error}") from error


def _read(tree: ast.expr) -> Any:
    if isinstance(tree, ast.Constant) and type(tree.value) is int:
        return sympy.Integer(tree.value)
    if isinstance(tree, ast.Name) and tree.id in ("z", "pi", "E"):
        return {"z": Z, "pi": sympy.pi, "E": sympy.E}[tree.id]
    if isinstance(tree, ast.BinOp) and type(tree.op) in _OPERATORS:
        return _OPERATORS[type(tree.op)](_read(tree.left), _read(tree.right))
    if isinstance(tree, ast.UnaryOp) and type(tree.op) in _OPERATORS:
        return _OPERATORS[type(tree.op)](_read(tree.operand))
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id in _FUNCTIONS and not tree.keywords:
        return getattr(sympy, tree.func.id)(*map(_read, tree.args))
    raise ValueError(f"{ast.unparse(tree)!r} is not allowed in a scalar function")
