"""Architectures: what a layer may contain, as a value. `LINEAR` is eq. (3.1) of Giannou et al. (2024)."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import ArchitectureError
from .graph import Graph, live_nodes
from .ops import OPS


@dataclass(frozen=True)
class Architecture:
    """A transformer layer's shape.

    attention: "linear" (no softmax). scale: the factor in front of every head. ffn: "relu", or None for
    attention only. A layer computes Att(H) = H + scale · Σ W_V H (W_K H)ᵀ (W_Q H), then adds the FFN of Att(H).
    """

    name: str
    attention: str = "linear"
    scale: float = 1.0
    ffn: str | None = "relu"


#: Linear attention and ReLU feed-forward, no softmax, no bias, no LayerNorm: eq. (3.1a) and (3.1b).
LINEAR = Architecture("linear")

#: Linear attention alone: eq. (3.1a).
LINEAR_ATTENTION = Architecture("linear attention only", ffn=None)


def check_legal(graph: Graph, architecture: Architecture) -> None:
    """Raises ArchitectureError, naming every line, when the program needs what the architecture or compiler lacks."""
    if not isinstance(architecture, Architecture):
        raise ArchitectureError(
            f"arch is a {type(architecture).__name__}: expected an Architecture",
            fix="pass arch=hw.LINEAR or arch=hw.LINEAR_ATTENTION",
        )
    if architecture.attention != "linear" or architecture.scale != 1.0 or architecture.ffn not in (None, "relu"):
        raise ArchitectureError(
            f"architecture {architecture.name!r} ({architecture}) has no lowering",
            rule="the compiler lowers to linear attention with scale 1, with or without a ReLU feed-forward part",
            fix="use arch=hw.LINEAR or arch=hw.LINEAR_ATTENTION",
        )
    bad = [index for index in live_nodes(graph) if OPS[graph.nodes[index].op].role == "positionwise"]
    if not bad or architecture.ffn == "relu":
        return
    node = graph.nodes[bad[0]]
    what = OPS[node.op].show([graph.label(arg) for arg in node.args], node)
    others = "".join(f"\n  also at {graph.nodes[i].where}" for i in bad[1:4] if graph.nodes[i].where != node.where)
    rule = (
        "linear attention alone computes M(H Hᵀ) H, which is linear in every token's own column: "
        "no product or nonlinear function of a token's own rows exists"
    )
    fix = "choose an architecture with a feed-forward part, such as hw.LINEAR"
    raise ArchitectureError(f"{graph.name}: {what} needs a feed-forward part{others}", where=node.where, rule=rule, fix=fix)
