"""How positionwise nodes are made: decided from the program's graph alone, before anything is fitted."""

from __future__ import annotations

from .entrywise import exact_signs, formulas, is_linear, is_open
from .graph import Graph, live_nodes
from .ops import OPS


class Ways:
    """The way of every positionwise node, and which nodes are needed for them."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.formulas = formulas(graph)
        self.signs = exact_signs(graph)
        self.positionwise: dict[int, bool] = {}  # whether units make the node, or a part of the sum that it is
        for index, node in enumerate(graph.nodes):
            own = OPS[node.op].role == "positionwise"
            self.positionwise[index] = own or (node.op in ("add", "scale") and any(self.positionwise[a] for a in node.args))
        #: For every value the live nodes that apply a function to it on a domain that the program gives.
        self.domains: dict[int, list[int]] = {}
        for index in live_nodes(graph):
            node = graph.nodes[index]
            if node.op == "pointwise" and node.attr.domain is not None:
                self.domains.setdefault(node.args[0], []).append(index)

    def strategy(self, index: int) -> tuple[str, tuple[int, ...]]:
        """How a positionwise node is made, and the nodes that it is made from."""
        node, formula = self.graph.nodes[index], self.formulas[index]
        signs = [s for s in formula.sources if s in self.signs]
        others = [s for s in formula.sources if s not in self.signs]
        if node.op == "diag" or (node.op == "rowscale" and self.graph.nodes[node.args[1]].op == "eye"):
            return "diagonal", node.args[:1]
        if node.op == "pointwise" and (node.attr.domain is not None or not is_open(node)):
            return "function", node.args
        if node.op in ("rowscale", "hadamard") and self.scaled_source(index) is not None:
            _, z, a = self.scaled_source(index) or ("", 0, 0)
            return "scaled", (z, a)
        if node.op != "rowscale" and len(others) <= 1 and len(signs) <= 1:
            return "formula", (*others, *signs)
        return ("function", node.args) if node.op == "pointwise" else ("product", node.args)

    def scaled_source(self, index: int) -> tuple[int, int, int] | None:
        """(f, z, a) when a product is f(z) times a value a that attention has: one layer of units does both."""
        node = self.graph.nodes[index]
        for f, a in (node.args, node.args[::-1]) if node.op == "hadamard" else (node.args,):
            inner = self.graph.nodes[f]
            if f not in self.formulas or self.positionwise[a] or a in self.signs:
                continue
            if inner.op == "pointwise" and inner.attr.domain is not None and is_open(inner):
                if not self.positionwise[inner.args[0]]:
                    return f, inner.args[0], a
                continue
            sources = self.formulas[f].sources
            alone = len(sources) == 1 and sources[0] not in self.signs and not self.positionwise[sources[0]]
            if alone and is_linear(self.formulas[f].expression, sources[0]) is None:
                return f, sources[0], a
        return None

    def needed(self) -> set[int]:
        wanted = {o.node for o in self.graph.outputs} | {spec.node for spec in self.graph.inputs}
        wanted |= {fact.node for fact in self.graph.facts}
        wanted |= {i for r in self.graph.residuals for i in (r.solution, *r.roots, *r.squares, *r.ones)}
        for index in range(len(self.graph.nodes) - 1, -1, -1):
            if index in wanted:
                node = self.graph.nodes[index]
                wanted.update(self.strategy(index)[1] if OPS[node.op].role == "positionwise" else node.args)
        return wanted
