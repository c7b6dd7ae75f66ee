"""Lowering for feed-forward parts that multiply: every positionwise node that is a polynomial becomes exact units.

A bilinear gate has u · v in one unit, squared ReLUs in four. Functions that are no polynomials are refused by name.
"""

from __future__ import annotations

from fractions import Fraction

import sympy

from . import carrying
from .approximate.scalar_function import ScalarFunction, Z
from .errors import ArchitectureError
from .graph import Graph, Node, live_nodes
from .lowered import Approximation, Lowered
from .ops import OPS
from .pointwise import function_text
from .rewriting import Rewriting
from .tolerances import Tolerances
from .units import Units, product_units, square_units

#: Nothing is approximated.
EXACTLY = Tolerances(Fraction(0), {})


def lower_exactly(graph: Graph, kind: str) -> Lowered:
    """The graph with units of the kind "gate" or "relu2" in place of positionwise nodes.

    Raises ArchitectureError, naming the line, for a function that is no polynomial with rational coefficients.
    """
    return _Lowering(graph, kind).run()


class _Lowering(Rewriting):
    def __init__(self, graph: Graph, kind: str) -> None:
        super().__init__(graph)
        self.kind = kind
        self.made_for: list[Approximation] = []

    def run(self) -> Lowered:
        needed = set(live_nodes(self.graph)) | {spec.node for spec in self.graph.inputs}
        for index in sorted(needed):
            node = self.graph.nodes[index]
            positionwise = OPS[node.op].role == "positionwise"
            self.meaning[index] = self.lower(index, node) if positionwise else self.kept(index)
        errors = dict.fromkeys(self.meaning, carrying.NONE)
        return Lowered(self.rewritten(), self.graph, self.meaning, errors, tuple(self.made_for))

    def lower(self, index: int, node: Node) -> int:
        if node.op == "pointwise":
            return self.polynomial(index, node)
        args = tuple(self.meaning[arg] for arg in node.args)
        if node.op == "diag":
            args = (*args, self.made("eye", (), None, node.shape, index))
        return self.units(index, product_units(self.kind), args, node, "u*v")

    def units(self, index: int, units: Units, args: tuple[int, ...], node: Node, expression: str) -> int:
        made = self.made("units", args, units, node.shape, index)
        text = OPS[node.op].show([self.graph.describe(arg) for arg in node.args], node)
        domain = ((None, None),) * len(args)
        self.made_for.append(
            Approximation(made, index, "polynomial", text, expression, domain, Fraction(0), len(units.units), "an identity")
        )
        return made

    def polynomial(self, index: int, node: Node) -> int:
        """c₀ + c₁ z + c₂ z² + …: powers by products, each of two lower powers."""
        coefficients = self.coefficients(index, node)
        z = self.meaning[node.args[0]]
        powers = {1: z}
        total: int | None = None
        for degree, c in enumerate(coefficients):
            if not c:
                continue
            term = self.ones(index) if degree == 0 else self.power(index, degree, powers, node)
            term = term if c == 1 else self.made("scale", (term,), c, node.shape, index)
            total = term if total is None else self.made("add", (total, term), None, node.shape, index)
        return self.made("scale", (z,), Fraction(0), node.shape, index) if total is None else total

    def power(self, index: int, degree: int, powers: dict[int, int], node: Node) -> int:
        if degree not in powers:
            low, high = degree // 2, degree - degree // 2
            a, b = (self.power(index, part, powers, node) for part in (low, high))
            same = low == high
            units = square_units(self.kind) if same else product_units(self.kind)
            powers[degree] = self.units(index, units, (a,) if same else (a, b), node, "u**2" if same else "u*v")
        return powers[degree]

    def coefficients(self, index: int, node: Node) -> list[Fraction]:
        function = node.attr.function
        if isinstance(function, ScalarFunction):
            found = sympy.Poly(function.expression, Z) if function.expression.is_polynomial(Z) else None
            if found is not None and all(c.is_Rational for c in found.all_coeffs()):
                return [Fraction(int(c.p), int(c.q)) for c in reversed(found.all_coeffs())]
        text = f" = {function_text(function)}" if isinstance(function, ScalarFunction) and function.name == "f" else ""
        units = {"gate": "a bilinear gate multiplies", "relu2": "squared ReLUs multiply"}[self.kind]
        raise ArchitectureError(
            f"{self.graph.name}: {function.name}({self.graph.describe(node.args[0])}){text} is no polynomial",
            where=node.where,
            rule=f"{units} exactly, and the compiler approximates with ReLU units only",
            fix="choose arch=hw.LINEAR, whose ReLU units approximate it with a proved bound",
        )
