"""The typed expression graph: what a traced program means, before anything is decided about layers.

    graph   ::= node*  inputs  outputs  facts
    node    ::= op(node*, attribute) : rows × cols        (see `ops` for the table of operations)

Every value is two-dimensional here: a vector of length n is n × 1, a scalar is 1 × 1. Nodes are stored in
an order in which arguments come first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from .dims import Dim, Shape, describe_shape
from .errors import Location
from .ops import OPS, Arithmetic


@dataclass(frozen=True)
class Node:
    op: str
    args: tuple[int, ...]
    attr: Any
    shape: Shape
    where: Location | None = field(default=None, compare=False)


@dataclass(frozen=True)
class InputSpec:
    """A run-time input: its name, its node, and its shape as the user declared it (0, 1 or 2 dimensions)."""

    name: str
    node: int
    shape: tuple[Dim, ...]


@dataclass(frozen=True)
class OutputSpec:
    name: str
    node: int
    shape: tuple[Dim, ...]


@dataclass(frozen=True)
class Fact:
    """Something the user states about a value: kind is "symmetric", or with `bounds` (lo, hi) "spectrum" (eigenvalues
    inside), "interval" (inside or on the ends) or "interval or 0" (the same, or zero); of entries "within" (inside or on
    the ends) or "signs" (−1 or 1); "rows": every row's Euclidean norm is at most hi;
    "norm": the Frobenius norm is."""

    kind: str
    node: int
    where: Location | None
    bounds: tuple[float, float] | None = None
    fix: str | None = None


#: The kinds of facts that are about symmetric matrices.
SYMMETRIC = ("symmetric", "spectrum", "interval", "interval or 0")


@dataclass(frozen=True)
class Pair:
    """A function of λ on left ≤ λ ≤ right, made of two products that one recursion extends.

    With the lines w = 1 − λ/right and y = 1 − λ/left it is weight · w · v + (1 − weight) · y · s. Here v = s = 1 at first,
    and each step (f, g) of polynomials (coefficients, constant first) does v ← f(n) v and s ← g(n) s with n = w v².
    So √w v follows a recursion of its own, and s is carried along.
    """

    left: Fraction
    right: Fraction
    weight: Fraction
    steps: tuple[tuple[tuple[Fraction, ...], tuple[Fraction, ...]], ...]


@dataclass(frozen=True)
class Residual:
    """A solution that the program only approximates: solution = x(S) · (right-hand side), with a bound on 1 − λ x(λ).

    Put σ for every node of `roots`, σ² for every node of `squares` and 1 for every node of `ones`, all of size 1 × 1:
    then the solution times σ^`power` is 1 − r(σ²), where r = chain[-1] ∘ … ∘ chain[0] is the residual as a composition of
    polynomials (coefficients, constant first), and |r| ≤ tol on [lower, upper]. Where there is a `pair`, the composition
    is applied to it instead of λ. Where there is a `descent`, (a, γ) of every step, it is applied to Π (1 − a_k λ_k), with
    λ_0 = λ and λ_{k+1} = λ_k (1 − γ_k λ_k)².
    With `of_root` the residual is r(σ) instead, and [lower, upper] is an interval of σ.
    `known` says what the layers start from: "factor" (A with S = AᵀA), "matrix" (S itself), or "other".
    `target` says what is approximated: "inverse" (the solution is x(S) times what is given), "inverse_sqrt" (x(S) with
    λ = σ²), "sign" (a polynomial in S with eigenvalues ±σ, so it has to be odd) or "polar" (of A with singular values σ).
    `floor` is (c, p): rounding leaves about c · eps · κ^p of residual, κ = upper/lower.
    """

    solution: int
    roots: tuple[int, ...]
    squares: tuple[int, ...]
    ones: tuple[int, ...]
    power: int
    chain: tuple[tuple[Fraction, ...], ...]
    lower: Fraction
    upper: Fraction
    tol: Fraction
    known: str
    method: str
    pair: Pair | None = None
    descent: tuple[tuple[Fraction, Fraction], ...] = ()
    where: Location | None = None
    of_root: bool = False
    target: str = "inverse"
    floor: tuple[float, float] | None = None


@dataclass(frozen=True)
class Graph:
    name: str
    nodes: tuple[Node, ...]
    inputs: tuple[InputSpec, ...]
    outputs: tuple[OutputSpec, ...]
    sizes: Mapping[str, int]
    labels: Mapping[int, str]
    facts: tuple[Fact, ...] = ()
    single_output: bool = True
    residuals: tuple[Residual, ...] = ()

    def label(self, node: int) -> str:
        """The user's name of a value, or the expression that makes it in parentheses: short, for rows and formulas."""
        if node in self.labels:
            return self.labels[node]
        text = show_node(self.nodes, self.labels, node, lines=False).replace(" ", "")
        short = text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"
        return short if short.isidentifier() else f"({short})"

    def describe(self, node: int) -> str:
        """The user's name of a value, or the expression that makes it: for messages."""
        return show_node(self.nodes, self.labels, node)


#: Longer expressions are named by their line.
_LONG, _SHORT = 80, 24
_WORDS = {
    "constant": "constant", "add": "sum", "scale": "multiple", "transpose": "transpose", "matmul": "product",
    "hadamard": "entrywise product", "rowscale": "scaled rows", "diag": "diagonal matrix", "pointwise": "function",
}  # fmt: skip
#: Operations whose text needs brackets inside others, and those that put their arguments into brackets or between commas.
_LOOSE, _CLOSED = ("add", "scale", "spread", "matmul", "hadamard", "rowscale"), ("vstack", "diag", "pointwise", "units")


def show_node(nodes: Sequence[Node], names: Mapping[int, str], index: int, lines: bool = True) -> str:
    """A value as the user may know it: its name, or the expression that makes it, or (`lines`) what is made in which line."""
    texts: dict[int, str] = {}

    def place(node: Node) -> str:
        return f" in line {node.where.line}" if lines and node.where is not None else ""

    def bracketed(arg: int, node: Node, first: bool) -> str:
        inner, text = nodes[arg], texts[arg]
        if arg in names or node.op in _CLOSED or inner.op not in _LOOSE:
            return text
        plain = inner.op == node.op and (first or node.op != "hadamard")
        same = plain or node.op == "add" or (inner.op == "scale" and first and node.op != "transpose")
        return text if same else f"({text})"

    def visit(i: int) -> None:
        node = nodes[i]
        if i in texts:
            return
        if i in names:
            texts[i] = names[i]
            return
        for arg in node.args:
            visit(arg)
        if node.op == "constant":
            texts[i] = f"(the constant{place(node)})" if lines else "constant"
            return
        parts = [bracketed(arg, node, k == 0) for k, arg in enumerate(node.args)]
        columns = [nodes[arg].op == "transpose" and nodes[nodes[arg].args[0]].shape[1] == 1 for arg in node.args]
        if node.op == "transpose" and nodes[node.args[0]].shape[1] == 1:  # in numpy a vector is its own transpose
            text = texts[node.args[0]]
        elif node.op == "matmul" and columns[1] and node.shape[0] != 1 and nodes[node.args[0]].shape[1] == 1:
            text = f"outer({', '.join(texts[arg] for arg in node.args)})"
        else:
            text = OPS[node.op].show(parts, node)
        texts[i] = text if len(text) <= _LONG else f"(the {_WORDS.get(node.op, node.op)}{place(node)})"

    visit(index)
    text = texts[index]
    return text[1:-1] if text.startswith("(the ") and text.endswith(")") else text


def count_uses(graph: Graph) -> list[int]:
    """How many times each node is read, by live nodes and by outputs."""
    uses = [0] * len(graph.nodes)
    for output in graph.outputs:
        uses[output.node] += 1
    for index in reversed(range(len(graph.nodes))):
        if uses[index]:
            for arg in graph.nodes[index].args:
                uses[arg] += 1
    return uses


def live_nodes(graph: Graph) -> list[int]:
    """The nodes that some output needs, in order: everything else is dead code."""
    return [index for index, uses in enumerate(count_uses(graph)) if uses]


def part_of_stack(graph: Graph, node: int) -> int | None:
    """Where an output is a part of a stack, or minus one: the node of that part. It is cut out when it is read."""
    spec = graph.nodes[node]
    inner = spec.args[0] if spec.op == "scale" and spec.attr == -1 else node
    return inner if graph.nodes[inner].op in ("top", "bottom") else None


def evaluate(
    graph: Graph, inputs: Mapping[str, Any], arithmetic: Arithmetic, wanted: list[int] | None = None
) -> dict[int, Any]:
    """The values of the wanted nodes (default: the outputs) on two-dimensional `inputs`, in the given arithmetic."""
    wanted = [output.node for output in graph.outputs] if wanted is None else wanted
    needed = set(wanted)
    for index in range(len(graph.nodes) - 1, -1, -1):
        if index in needed:
            needed.update(graph.nodes[index].args)
    values: dict[int, Any] = {}
    for index in sorted(needed):
        node = graph.nodes[index]
        if node.op == "input":
            values[index] = inputs[node.attr]
        else:
            values[index] = OPS[node.op].evaluate([values[arg] for arg in node.args], node, graph.sizes, arithmetic)
    return {index: values[index] for index in wanted}


def check_graph(graph: Graph) -> None:
    """Raise AssertionError unless arguments precede uses and every shape follows from its arguments."""
    for index, node in enumerate(graph.nodes):
        assert all(arg < index for arg in node.args), f"node {index} reads a later node"
        shapes = [graph.nodes[arg].shape for arg in node.args]
        assert OPS[node.op].shape(shapes, node) == node.shape, f"node {index} ({node.op}) has the wrong shape"


def describe_graph(graph: Graph) -> str:
    """One line a node: `%3 S : d × d = %2 @ %1`."""
    lines = []
    for index in live_nodes(graph):
        node = graph.nodes[index]
        text = OPS[node.op].show([graph.labels.get(arg, f"%{arg}") for arg in node.args], node)
        lines.append(f"%{index:<3} {graph.labels.get(index, f'%{index}'):<10} {describe_shape(node.shape):<10} = {text}")
    lines.append("return " + ", ".join(f"{o.name} = {graph.labels.get(o.node, f'%{o.node}')}" for o in graph.outputs))
    return "\n".join(lines)
