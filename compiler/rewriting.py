"""A graph rewritten node by node: what lowerings share."""

from __future__ import annotations

from dataclasses import replace

from .dims import Shape
from .graph import Graph, Node, OutputSpec, Residual


class Rewriting:
    """A new graph in the making. `meaning`: for nodes of the old one, the node that stands for it. Equal nodes are one."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[Node] = []
        self.numbers: dict[Node, int] = {}
        self.meaning: dict[int, int] = {}

    def put(self, node: Node) -> int:
        if node not in self.numbers:
            self.numbers[node] = len(self.nodes)
            self.nodes.append(node)
        return self.numbers[node]

    def kept(self, index: int) -> int:
        """The same node, on what stands for its arguments."""
        node = self.graph.nodes[index]
        return self.put(replace(node, args=tuple(self.meaning[a] for a in node.args)))

    def made(self, op: str, args: tuple[int, ...], attr: object, shape: Shape, like: int) -> int:
        """A node that takes the place of the node `like`, or helps to: it has its line of the program."""
        return self.put(Node(op, args, attr, shape, self.graph.nodes[like].where))

    def ones(self, index: int) -> int:
        """A matrix of ones of the shape of a node."""
        rows, cols = self.graph.nodes[index].shape
        column = self.made("ones", (), None, (rows, 1), index)
        if cols == 1:
            return column
        row = self.made("transpose", (self.made("ones", (), None, (cols, 1), index),), None, (1, cols), index)
        return self.made("matmul", (column, row), None, (rows, cols), index)

    def rewritten(self) -> Graph:
        """The new graph: inputs, outputs, labels, facts and residuals where they belong now."""
        graph, meaning = self.graph, self.meaning
        inputs = tuple(replace(spec, node=meaning[spec.node]) for spec in graph.inputs)
        outputs = tuple(OutputSpec(o.name, meaning[o.node], o.shape) for o in graph.outputs)
        labels = {meaning[i]: label for i, label in graph.labels.items() if i in meaning}
        facts = tuple(replace(f, node=meaning[f.node]) for f in graph.facts if f.node in meaning)
        return Graph(
            graph.name, tuple(self.nodes), inputs, outputs, graph.sizes, labels, facts, graph.single_output, self.residuals()
        )

    def residuals(self) -> tuple[Residual, ...]:
        out = []
        for r in self.graph.residuals:
            if all(i in self.meaning for i in (r.solution, *r.roots, *r.squares, *r.ones)):
                roots, squares, ones = (tuple(map(self.meaning.__getitem__, k)) for k in (r.roots, r.squares, r.ones))
                out.append(replace(r, solution=self.meaning[r.solution], roots=roots, squares=squares, ones=ones))
        return tuple(out)
