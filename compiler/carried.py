"""How a program uses its values: which are multiplied, and which variables a loop adds to."""

from __future__ import annotations

from .graph import Graph
from .ops import OPS


def factors(graph: Graph) -> set[int]:
    """The nodes that are multiplied, directly or inside a linear combination without a name."""
    found: set[int] = set()
    for index in reversed(range(len(graph.nodes))):
        node = graph.nodes[index]
        inside = index in found and index not in graph.labels
        if OPS[node.op].role == "product" or inside:
            found.update(node.args)
    return found


def carried_variables(graph: Graph) -> set[str]:
    """The user's variables that are updated by adding to their own old value: p in p = p + …."""
    held: list[set[str]] = []  # the variables that a node is a sum of
    found: set[str] = set()
    for index, node in enumerate(graph.nodes):
        linear = OPS[node.op].role == "linear"
        below = set[str]().union(*(held[arg] for arg in node.args)) if linear else set()
        name = variable(graph.labels[index]) if index in graph.labels else None
        if name in below and name is not None:
            found.add(name)
        held.append({name} if name is not None else below)
    return found


def variable(label: str) -> str:
    """The user's variable in a label: X for X[3]."""
    return label.split("[")[0] if label.endswith("]") else label
