"""What a positionwise node computes, as one formula in the values that it starts from.

p = sigmoid(z), then p * (1 − p): as a formula in z this is one function of one number, which one layer of units fits, more
exactly than a chain of fits does. A formula in z and in labels y ∈ {−1, 1} splits into an even and an odd part,
f(y, z) = e(z) + y o(z): often o is a number, so that nothing is multiplied.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import sympy

from .approximate.scalar_function import ScalarFunction, Z
from .graph import Graph, Node
from .ops import OPS

#: Formulas with more operations than this are cut: a part is computed first, in a layer of its own.
_LONGEST = 60


@dataclass(frozen=True)
class Formula:
    """`expression` in the symbols v<node>, one for each node that it starts from."""

    expression: sympy.Expr

    @property
    def sources(self) -> tuple[int, ...]:
        return tuple(sorted(int(symbol.name[1:]) for symbol in self.expression.free_symbols))


def symbol(node: int) -> sympy.Symbol:
    return sympy.Symbol(f"v{node}", real=True)


def formulas(graph: Graph) -> dict[int, Formula]:
    """The formula of every positionwise node."""
    reader = _Reader(graph)
    return {
        index: Formula(reader.formula(index, top=True))
        for index, node in enumerate(graph.nodes)
        if OPS[node.op].role == "positionwise"
    }


def exact_signs(graph: Graph) -> set[int]:
    """The nodes that are stated to be −1 or 1 and that the network has without error."""
    near = [False] * len(graph.nodes)  # whether units make the node, or one that it is computed from
    for index, node in enumerate(graph.nodes):
        near[index] = OPS[node.op].role == "positionwise" or any(near[arg] for arg in node.args)
    return {fact.node for fact in graph.facts if fact.kind == "signs" and not near[fact.node]}


class _Reader:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.made: dict[int, sympy.Expr] = {}
        self.signs = exact_signs(graph)
        self.mixed: dict[int, bool] = {}  # whether a node is positionwise, or a sum that contains such a node
        for index, node in enumerate(graph.nodes):
            linear = node.op in ("add", "scale")
            self.mixed[index] = OPS[node.op].role == "positionwise" or (linear and any(self.mixed[a] for a in node.args))

    def formula(self, index: int, top: bool = False) -> sympy.Expr:
        """In as few symbols as may be; a part that is long, or whose domain the program states, is a symbol itself."""
        node = self.graph.nodes[index]
        if index not in self.made:
            self.made[index] = self.read(index, node)
        found = self.made[index]
        kept = node.op == "rowscale" or (node.op == "pointwise" and (node.attr.domain is not None or not is_open(node)))
        opaque = kept or sympy.count_ops(found) > _LONGEST or len(found.free_symbols) > 2
        return symbol(index) if opaque and not top else found

    def read(self, index: int, node: Node) -> sympy.Expr:
        if constant(self.graph, index) is not None:
            return _rational(constant(self.graph, index) or Fraction(0))
        if node.op == "scale" and (self.mixed[index] or constant(self.graph, node.args[0]) is None):
            return _rational(node.attr) * self.formula(node.args[0])
        if not self.mixed[index]:
            return symbol(index)
        parts = [self.formula(arg) for arg in node.args]
        if node.op == "add":
            return parts[0] + parts[1]
        if node.op in ("hadamard", "rowscale"):
            return parts[0] * parts[1]
        if node.op == "pointwise" and node.attr.domain is None and is_open(node):
            several = len({s for s in parts[0].free_symbols if int(s.name[1:]) not in self.signs}) > 1
            return node.attr.function(symbol(node.args[0]) if several else parts[0])
        if node.op == "pointwise":
            return node.attr.function(symbol(node.args[0])) if is_open(node) else symbol(node.args[0])
        return symbol(index)


def is_open(node: Node) -> bool:
    """Whether the function is an expression that can be looked into."""
    return isinstance(node.attr.function, ScalarFunction)


def constant(graph: Graph, index: int) -> Fraction | None:
    """The number that all entries of a node are, when that is known."""
    node = graph.nodes[index]
    if node.op in ("zeros", "ones"):
        return Fraction(int(node.op == "ones"))
    if node.op == "scale":
        inner = constant(graph, node.args[0])
        return None if inner is None else inner * node.attr
    if node.op == "transpose":
        return constant(graph, node.args[0])
    if node.op == "constant":
        return Fraction(node.attr.entries[0]) if len(set(node.attr.entries)) == 1 else None
    if node.op == "matmul" and graph.nodes[node.args[0]].shape[1] == 1:
        left, right = (constant(graph, arg) for arg in node.args)
        return None if left is None or right is None else left * right
    return None


def _rational(value: Fraction) -> sympy.Rational:
    return sympy.Rational(value.numerator, value.denominator)


def of_one(expression: sympy.Expr, source: int, name: str) -> ScalarFunction:
    """A formula in one symbol as a function of one number."""
    return ScalarFunction(name, expression.subs(symbol(source), Z))


@cache
def parts(expression: sympy.Expr, sign: int) -> tuple[sympy.Expr, sympy.Expr]:
    """(e, o) with formula = e + y·o for y = ±1, y the symbol of the node `sign`; simplified."""
    y = symbol(sign)
    plus, minus = expression.subs(y, 1), expression.subs(y, -1)
    return sympy.simplify((plus + minus) / 2), sympy.simplify((plus - minus) / 2)


def line_of_sign(graph: Graph, index: int, signs: set[int]) -> tuple[int, Fraction, Fraction] | None:
    """(y, a, b) when the node is a·y + b with y one of `signs`, by sums and multiples, such as (1 + y)/2."""
    node = graph.nodes[index]
    if index in signs:
        return index, Fraction(1), Fraction(0)
    if node.op == "scale":
        inner = line_of_sign(graph, node.args[0], signs)
        return None if inner is None else (inner[0], node.attr * inner[1], node.attr * inner[2])
    if node.op == "add":
        for part, rest in (node.args, node.args[::-1]):
            inner, offset = line_of_sign(graph, part, signs), constant(graph, rest)
            if inner is not None and offset is not None:
                return inner[0], inner[1], inner[2] + offset
    return None


def as_number(expression: sympy.Expr) -> Fraction | None:
    return Fraction(int(expression.p), int(expression.q)) if expression.is_Rational else None


def number_near(expression: sympy.Expr) -> tuple[Fraction, Fraction]:
    """(value, error): the number that a formula without symbols is; error 0 where it is rational."""
    exact = as_number(sympy.simplify(expression))
    if exact is not None:
        return exact, Fraction(0)
    (found,) = ScalarFunction("number", expression).enclose(Fraction(0), Fraction(0), 0)
    low, high = Fraction(float(found.a)), Fraction(float(found.b))
    return low, abs(high - low) + Fraction(1, 2**50) * abs(low)


def is_linear(expression: sympy.Expr, source: int) -> tuple[Fraction, Fraction] | None:
    """(a, b) when the formula is a·v + b with rational numbers."""
    v = symbol(source)
    slope = sympy.diff(expression, v)
    a, b = as_number(slope), as_number(sympy.simplify(expression - slope * v)) if slope.is_Rational else None
    return None if a is None or b is None else (a, b)


def show(graph: Graph, expression: sympy.Expr) -> str:
    """The formula with the user's names, in brackets where they are sums or products and more than that stands around them."""
    names: dict[sympy.Symbol, sympy.Symbol] = {}
    for s in expression.free_symbols:
        name = graph.describe(int(s.name[1:]))
        alone = expression == s or " " not in name
        names[s] = sympy.Symbol(name if alone else f"({name})")
    return str(expression.subs(names))
