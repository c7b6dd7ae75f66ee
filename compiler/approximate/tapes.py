"""From a sympy expression to a tape."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

import sympy

from .quotient import Quotient, quotient
from .taylor import Node, Tape


class Unsupported(Exception):
    """An expression uses something that has no rule here; the text names it."""


_FUNCTIONS = {
    sympy.exp: "exp",
    sympy.log: "log",
    sympy.sin: "sin",
    sympy.cos: "cos",
    sympy.tanh: "tanh",
    sympy.atan: "atan",
    sympy.erf: "erf",
}
_HALF = sympy.Rational(1, 2)
_REWRITE = {
    sympy.tan: lambda u: sympy.sin(u) / sympy.cos(u),
    sympy.cot: lambda u: sympy.cos(u) / sympy.sin(u),
    sympy.sinh: lambda u: (sympy.exp(u) - sympy.exp(-u)) / 2,
    sympy.cosh: lambda u: (sympy.exp(u) + sympy.exp(-u)) / 2,
    sympy.coth: lambda u: 1 / sympy.tanh(u),
    sympy.asinh: lambda u: sympy.log(u + sympy.sqrt(u**2 + 1)),
    sympy.erfc: lambda u: 1 - sympy.erf(u),
}
_POLES = (sympy.tan, sympy.cot, sympy.coth)
_JUMPS = (sympy.Heaviside, sympy.sign, sympy.floor, sympy.ceiling)


@cache
def tape(expression: sympy.Expr, z: sympy.Symbol) -> Tape:
    """The program of a sympy expression in z. Its quotients may be 0/0 where they have a limit.

    Raises Unsupported: a symbol other than z, a function without a rule, complex or infinite numbers, a jump.
    """
    return _tape(expression, z, whole=True)


@cache
def _tape(expression: sympy.Expr, z: sympy.Symbol, whole: bool) -> Tape:
    """whole: the expression itself is looked at as a quotient, too, not only the parts of it."""
    nodes: list[Node] = []
    known: dict[Any, int] = {}

    def put(node: Node) -> int:
        key = (node.kind, node.uses, node.value, node.part)
        if key not in known:
            nodes.append(node)
            known[key] = len(nodes) - 1
        return known[key]

    def make(kind: str, *uses: int, value: Fraction = Fraction(0)) -> int:
        return put(Node(kind, uses, value, all(nodes[i].constant for i in uses)))

    def visit(e: Any) -> int:
        if e not in known:
            part = _removed(e, z) if whole or e != expression else None
            known[e] = rule(e) if part is None else put(Node("part", constant=False, part=part))
        return known[e]

    def rule(e: Any) -> int:
        if e == z:
            return put(Node("z", constant=False))
        if e.is_Rational:
            return make("number", value=Fraction(int(e.p), int(e.q)))
        if e is sympy.pi:
            return make("pi")
        if e is sympy.E:
            return make("e")
        if e.is_Add or e.is_Mul:
            rest = [visit(a) for a in e.args]
            return make("add" if e.is_Add else "mul", *rest)
        if e.is_Pow:
            base, exponent = e.args
            if base is sympy.E:
                return make("exp", visit(exponent))
            if exponent.is_Rational:
                return make("power", visit(base), value=Fraction(int(exponent.p), int(exponent.q)))
            return visit(sympy.exp(exponent * sympy.log(base), evaluate=False))
        if isinstance(e, sympy.exp):
            return make("exp", visit(e.args[0]))
        if isinstance(e, sympy.Abs):
            return make("absolute", visit(e.args[0]))
        if isinstance(e, sympy.Max | sympy.Min):  # max(a, b) = (a + b + |a − b|)/2
            sign = 1 if isinstance(e, sympy.Max) else -1
            a, *others = sorted(e.args, key=sympy.default_sort_key)
            b = e.func(*others)
            return visit(_HALF * (a + b) + sign * _HALF * sympy.Abs(a - b, evaluate=False))
        if e.func in _FUNCTIONS:
            return make(_FUNCTIONS[e.func], visit(e.args[0]))
        if e.func in _REWRITE:
            return visit(_REWRITE[e.func](e.args[0]))
        if isinstance(e, _JUMPS):
            raise Unsupported(f"{e} jumps: no continuous function is near it")
        if e.is_Symbol:
            raise Unsupported(f"the symbol {e} has no value")
        raise Unsupported(f"no rule for {e.func.__name__ if e.args else e}")

    last = visit(expression)
    if last != len(nodes) - 1:  # the expression was met before as a part of itself: e.g. the bare z
        nodes.append(Node("add", (last,), constant=nodes[last].constant))
    return Tape(tuple(nodes))


def _removed(e: Any, z: sympy.Symbol) -> Quotient | None:
    """A sum, product or power as a quotient that may be 0/0; None for others."""
    if not ((e.is_Add or e.is_Mul or e.is_Pow) and e.has(z)):
        return None
    split = e.replace(lambda x: x.func in _POLES, lambda x: _REWRITE[x.func](x.args[0])) if e.has(*_POLES) else e
    return quotient(split, z, lambda: _tape(e, z, whole=False), lambda part: tape(part, z))
