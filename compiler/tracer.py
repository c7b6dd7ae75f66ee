"""The tracer: records the nodes of a program and folds what needs no computation as it goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from .dims import Dim, Shape
from .errors import Location, ProgramError, location_of, program_frame, user_frame
from .graph import Fact, Graph, InputSpec, Node, OutputSpec, Residual, show_node
from .ops import Constant

#: Products of compile-time arrays above this many scalar multiplications stay in the graph.
_FOLD_LIMIT = 2_000_000


def as_rational(value: Any, what: str) -> Fraction:
    """The exact rational value of a Python or numpy number; a float is the binary fraction that it is."""
    if isinstance(value, (bool, np.bool_)):
        value = int(value)
    if isinstance(value, (Fraction, int, np.integer)):
        return Fraction(int(value)) if not isinstance(value, Fraction) else value
    if isinstance(value, (float, np.floating)):
        if not np.isfinite(value):
            raise ProgramError(
                f"{what} is {value}: weights must be finite numbers",
                where=location_of(user_frame()),
                fix="check the compile-time constant that it was computed from",
            )
        return Fraction(float(value))
    raise ProgramError(
        f"{what} has type {type(value).__name__}: expected a real number",
        where=location_of(user_frame()),
        fix="pass a Python int, float or Fraction, or a real numpy number",
    )


def as_exact_array(value: np.ndarray, what: str) -> np.ndarray:
    if value.dtype.kind not in "biufO":
        raise ProgramError(
            f"{what} has dtype {value.dtype}: expected real numbers",
            where=location_of(user_frame()),
            fix="pass an array of ints, floats or Fractions",
        )
    out = np.empty(value.shape, dtype=object)
    flat = out.ravel()
    for i, entry in enumerate(value.ravel().tolist()):
        flat[i] = as_rational(entry, f"an entry of {what}")
    return flat.reshape(value.shape)


class Tracer:
    """Collects the nodes of one program. Methods that return node numbers fold what needs no computation."""

    def __init__(self, name: str, sizes: Mapping[str, int]) -> None:
        self.name, self.sizes = name, dict(sizes)
        self.nodes: list[Node] = []
        self.inputs: list[InputSpec] = []
        self.facts: list[Fact] = []
        self.residuals: list[Residual] = []
        self.asked: set[str] = set()  # dimensions whose sizes the program asks for
        self._numbers: dict[Node, int] = {}
        self._names: dict[int, str] = {}

    # -- nodes ---------------------------------------------------------------------------------------------

    def node(self, op: str, args: tuple[int, ...], attr: Any, shape: Shape) -> int:
        key = Node(op, args, attr, shape)
        if key not in self._numbers:
            self._numbers[key] = len(self.nodes)
            self.nodes.append(replace(key, where=location_of(user_frame())))
        return self._numbers[key]

    def input(self, name: str, shape: tuple[Dim, ...], where: Location) -> int:
        full = (shape[0] if shape else 1, shape[1] if len(shape) == 2 else 1)
        number = self.node("input", (), name, full)
        self.nodes[number] = replace(self.nodes[number], where=where)
        self.inputs.append(InputSpec(name, number, shape))
        self._names[number] = name
        return number

    def zeros(self, shape: Shape) -> int:
        return self.node("zeros", (), None, shape)

    def constant(self, array: np.ndarray, shape: Shape | None = None) -> int:
        if not array.any():
            return self.zeros(shape or (array.shape[0], array.shape[1]))
        return self.node("constant", (), Constant.of(array), shape or (array.shape[0], array.shape[1]))

    def add(self, a: int, b: int) -> int:
        left, right = self.nodes[a], self.nodes[b]
        if left.op == "zeros":
            return b
        if right.op == "zeros":
            return a
        if left.op == right.op == "constant":
            return self.constant(left.attr.array() + right.attr.array(), left.shape)
        return self.node("add", (a, b), None, left.shape)

    def scale(self, factor: Fraction, a: int) -> int:
        node = self.nodes[a]
        if factor == 0:
            return self.zeros(node.shape)
        if factor == 1 or node.op == "zeros":
            return a
        if node.op == "scale":
            return self.scale(factor * node.attr, node.args[0])
        if node.op == "constant":
            return self.constant(node.attr.array() * factor, node.shape)
        if node.op == "diag":
            return self.node("diag", (self.scale(factor, node.args[0]),), None, node.shape)
        return self.node("scale", (a,), factor, node.shape)

    def transpose(self, a: int) -> int:
        node = self.nodes[a]
        flipped = (node.shape[1], node.shape[0])
        if node.op == "transpose":
            return node.args[0]
        if node.op in ("eye", "diag", "spread") or node.shape == (1, 1):
            return a
        if node.op == "zeros":
            return self.zeros(flipped)
        if node.op == "constant":
            return self.constant(node.attr.array().T, flipped)
        if node.op == "scale":
            return self.scale(node.attr, self.transpose(node.args[0]))
        return self.node("transpose", (a,), None, flipped)

    def matmul(self, a: int, b: int) -> int:
        left, right = self.nodes[a], self.nodes[b]
        shape = (left.shape[0], right.shape[1])
        if "zeros" in (left.op, right.op):
            return self.zeros(shape)
        if left.op == "eye":
            return b
        if right.op == "eye":
            return a
        if left.op == "diag":
            return self.rows_scaled(left.args[0], b)
        if right.op == "diag":
            return self.transpose(self.rows_scaled(right.args[0], self.transpose(a)))
        if left.op == right.op == "constant":
            work = left.attr.shape[0] * left.attr.shape[1] * right.attr.shape[1]
            if work <= _FOLD_LIMIT:
                return self.constant(left.attr.array().dot(right.attr.array()), shape)
        return self.node("matmul", (a, b), None, shape)

    def rows_scaled(self, s: int, a: int) -> int:
        """diag(s) @ a: the rows of a, each times a number."""
        node = self.nodes[a]
        if node.op == "diag":
            return self.node("diag", (self.rows_scaled(s, node.args[0]),), None, node.shape)
        return self.node("hadamard" if node.shape[1] == 1 else "rowscale", (s, a), None, node.shape)

    def spread(self, a: int, dim: Dim) -> int:
        """The scalar `a` times the identity of size `dim`."""
        return a if dim == 1 else self.node("spread", (a,), None, (dim, dim))

    def retag(self, number: int, shape: Shape) -> int:
        """A compile-time array of integer shape takes the names of the dimensions that it is used with."""
        node = self.nodes[number]
        return number if node.shape == shape else self.node(node.op, (), node.attr, shape)

    # -- names and the finished graph ----------------------------------------------------------------------

    def note_names(self) -> None:
        """Names the values that the user's variables hold now: labels for errors, rows and proofs."""
        frame = program_frame()
        if frame is not None:
            for name, value in frame.f_locals.items():
                if getattr(value, "tracer", None) is self:
                    self._names.setdefault(value.number, name)

    def name_of(self, number: int) -> str:
        self.note_names()
        return show_node(self.nodes, self._names, number)

    def finish(self, outputs: list[OutputSpec], single: bool) -> Graph:
        for output in outputs:
            if not single:
                self._names.setdefault(output.node, output.name)
        counts: dict[str, int] = {}
        for name in self._names.values():
            counts[name] = counts.get(name, 0) + 1
        seen: dict[str, int] = {}
        labels = {}
        for number in sorted(self._names):
            name = self._names[number]
            labels[number] = name if counts[name] == 1 else f"{name}[{seen.get(name, 0)}]"
            seen[name] = seen.get(name, 0) + 1
        return Graph(
            self.name,
            tuple(self.nodes),
            tuple(self.inputs),
            tuple(outputs),
            dict(self.sizes),
            labels,
            tuple(self.facts),
            single,
            tuple(self.residuals),
        )
