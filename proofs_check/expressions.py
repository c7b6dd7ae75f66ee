"""Expressions of sizes and arguments, read from text of which nothing is executed.

`sympy.sympify` evaluates Python; what stands in a model folder is read by this grammar instead: integers, given names,
+ − * / **, and a few functions.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

import sympy

_FUNCTIONS = {name: getattr(sympy, name) for name in ("Max", "Min", "ceiling", "floor", "log")}
_OPERATIONS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: _power(a, b),
}


def _power(a: Any, b: Any) -> Any:
    if b.is_number and abs(b) > 4096:  # more digits than anybody waits for
        raise ValueError(f"the exponent {b} is too large")
    return a**b


def read_expression(text: str, names: Mapping[str, Any]) -> Any:
    """The sympy expression of such a text, with what `names` gives in the place of names. Raises ValueError for other text."""
    try:
        return _read(ast.parse(text, mode="eval").body, names)
    except (SyntaxError, TypeError, ZeroDivisionError, RecursionError, MemoryError) as error:
        raise ValueError(f"{text!r} is no expression in {', '.join(names) or 'numbers'}: {error}") from error


def _read(tree: ast.expr, names: Mapping[str, Any]) -> Any:
    if isinstance(tree, ast.Constant) and type(tree.value) is int:
        return sympy.Integer(tree.value)
    if isinstance(tree, ast.Name) and tree.id in names:
        return sympy.sympify(names[tree.id], strict=True)
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        return -_read(tree.operand, names)
    if isinstance(tree, ast.BinOp) and type(tree.op) in _OPERATIONS:
        return _OPERATIONS[type(tree.op)](_read(tree.left, names), _read(tree.right, names))
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id in _FUNCTIONS and not tree.keywords:
        return _FUNCTIONS[tree.func.id](*(_read(arg, names) for arg in tree.args))
    raise ValueError(f"{ast.unparse(tree)!r} is not allowed in an expression in {', '.join(names) or 'numbers'}")
