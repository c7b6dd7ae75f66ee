"""The range of every node of a program, positionwise ones included, and what is assumed of inputs to have one."""

from __future__ import annotations

import math
from collections.abc import Mapping

import sympy

from .approximate.enclosure import above
from .entrywise import number_near, of_one, parts
from .errors import ArchitectureError
from .fits import image
from .graph import Fact, Graph, Node
from .ops import OPS
from .ranges import (
    Range,
    Size,
    algebraic,
    assumed_facts,
    between,
    both,
    domain_facts,
    product_range,
    shape_of,
    stated_range,
    up,
)
from .ways import Ways


class Bounding:
    """Ranges from what the program states, and `usual` ones: with entries in [−1, 1] of inputs of which nothing is stated."""

    def __init__(self, graph: Graph, ways: Ways) -> None:
        self.graph, self.ways = graph, ways
        self.ranges: dict[int, Range] = {}
        self.usual: dict[int, Range] = {}
        self.natural: dict[int, Range] = {}  # `ranges`, without the domains that hw.apply gives for the value
        self.assumed: set[int] = set()  # nodes whose usual range was relied upon

    def facts(self) -> tuple[Fact, ...]:
        """What has to hold of the data for the ranges that were relied upon, beside what the program states."""
        stated = domain_facts(self.graph, self.ways.domains, self.natural)
        return (*stated, *assumed_facts(self.graph, self.assumed, self.ranges))

    def bound(self, index: int) -> None:
        """The ranges of a node of the program, from those of its arguments."""
        node = self.graph.nodes[index]
        shape = shape_of(node, self.graph.sizes)
        for ranges in (self.ranges, self.usual):
            if node.op == "input":
                found = between(shape, -math.inf, math.inf)
            elif OPS[node.op].role == "positionwise":
                found = self.positionwise_range(index, node, shape, ranges)
            else:
                found = algebraic(node, [ranges[arg] for arg in node.args], self.graph.sizes)
            found = both(shape, found, stated_range(self.graph, index, ranges))
            if ranges is self.ranges:
                self.natural[index] = found
            for lo, hi in (self.graph.nodes[f].attr.domain for f in self.ways.domains.get(index, ())):
                found = both(shape, found, between(shape, -float(above(-lo)), float(above(hi))))
            if node.op == "input" and not found.finite and ranges is self.usual:
                found = between(shape, -1.0, 1.0)
            if found.lo > found.hi:
                found = self.contradicted(index, ranges is self.usual)
            ranges[index] = found

    def contradicted(self, index: int, usual: bool) -> Range:
        """What is assumed of inputs gives way to what the program states; statements that exclude each other are refused."""
        if usual:
            return self.ranges[index]
        lines = [self.graph.nodes[f].where for f in self.ways.domains.get(index, ())]
        lines += [fact.where for fact in self.graph.facts if fact.node == index]
        raise ArchitectureError(
            f"no value of {self.graph.describe(index)} is within all that is stated of it",
            where=next((w for w in lines if w is not None), self.graph.nodes[index].where),
            rule="domains of hw.apply and hw.bounded are intersected with what follows from the inputs' ranges",
            fix="widen the domain, or correct the bounds of the inputs",
        )

    def trusted(self, index: int) -> Range:
        """What follows from statements if it is bounded; else what is assumed of inputs comes in, and is noted."""
        if self.ranges[index].finite:
            return self.ranges[index]
        self.assumed.add(index)
        return self.usual[index]

    def positionwise_range(self, index: int, node: Node, shape: tuple[int, int], ranges: Mapping[int, Range]) -> Range:
        kind, sources = self.ways.strategy(index)
        if kind == "formula" and not sources:
            return self.near(self.ways.formulas[index].expression, shape)
        if kind == "formula" and len(sources) == 1 and sources[0] not in self.ways.signs:
            (source,) = sources
            function = of_one(self.ways.formulas[index].expression, source, "f")
            return self.image(function, ranges[source], shape)
        if kind == "formula":
            signs = [s for s in sources if s in self.ways.signs]
            even, odd = parts(self.ways.formulas[index].expression, signs[0])
            pieces = [ranges[s] for s in sources if s not in self.ways.signs]
            images = [
                self.image(of_one(part, sources[0], "f"), pieces[0], shape) if part.free_symbols else self.near(part, shape)
                for part in (even, odd)
            ]
            reach = max(abs(images[1].lo), abs(images[1].hi))
            return between(shape, -up(-images[0].lo + reach), up(images[0].hi + reach))
        if kind == "function":
            assert node.op == "pointwise"
            return self.image(node.attr.function, ranges[node.args[0]], shape)
        if kind == "scaled":
            f = (self.ways.scaled_source(index) or (0, 0, 0))[0]
            if f not in ranges:
                self.bound(f)
        if kind == "diagonal":
            largest = ranges[sources[0]].size.entry
            found = ranges[sources[0]]
            return between(shape, min(found.lo, 0.0), max(found.hi, 0.0), Size(largest, largest, largest, largest))
        a, b = (ranges[arg] for arg in node.args)
        return product_range(shape, a, b, column=node.op == "rowscale")

    def near(self, expression: sympy.Expr, shape: tuple[int, int]) -> Range:
        """The range of a formula without symbols."""
        value, error = number_near(expression)
        return between(shape, -float(above(error - value)), float(above(value + error)))

    def image(self, function: object, domain: Range, shape: tuple[int, int]) -> Range:
        return between(shape, *image(function, domain.lo, domain.hi))
