"""Architectures: what a layer may contain, as a value. `LINEAR` is eq. (3.1) of Giannou et al. (2024).

    Att(H) = H + s · Σ_i  W_V^i H M f((W_K^i H)ᵀ (W_Q^i H))          f: identity, relu, or softmax over the keys
    TF(H)  = Att(H) + W_2 g(W_1 Att(H))                              g: relu, relu², or ⊙ W_3 Att(H) (a bilinear gate)

M keeps the keys: all tokens, or the first n (Ahn et al. 2023, eq. 3: diag(I_n, 0)).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from .dims import size_of
from .errors import ArchitectureError
from .graph import Graph, live_nodes, show_node
from .ops import OPS

ATTENTIONS = ("linear", "relu", "softmax")
FEED_FORWARDS = (None, "relu", "relu2", "gate")


@dataclass(frozen=True)
class Architecture:
    """A transformer layer's shape.

    attention: "linear", "relu" or "softmax" (over the keys, for every query). scale: the factor in front of all heads,
    "1" or one over a dimension, such as "1/n". ffn: "relu", "relu2" (squared), "gate" (bilinear, without nonlinearity), or
    None for attention only. key_mask: a dimension, such as "n": only the first n tokens are keys; None: all tokens are.
    causal: a token's keys end with the token itself.
    """

    name: str
    attention: str = "linear"
    scale: str = "1"
    ffn: str | None = "relu"
    key_mask: str | None = None
    causal: bool = False

    def factor(self, sizes: Mapping[str, int]) -> Fraction:
        """The number in front of all heads."""
        return Fraction(1) if self.scale == "1" else Fraction(1, size_of(self.scale.removeprefix("1/"), sizes))

    def keys(self, sizes: Mapping[str, int], n_tokens: int) -> int:
        """The number of tokens that are keys: the first ones."""
        return n_tokens if self.key_mask is None else min(n_tokens, size_of(self.key_mask, sizes))

    @property
    def plain(self) -> bool:
        """Whether attention is that of eq. (3.1a), which the compiler knows most about."""
        return self.attention == "linear" and self.key_mask is None and not self.causal


#: Linear attention and ReLU feed-forward, no softmax, no bias, no LayerNorm: eq. (3.1a) and (3.1b).
LINEAR = Architecture("linear")

#: Linear attention alone: eq. (3.1a).
LINEAR_ATTENTION = Architecture("linear attention", ffn=None)

#: Masked linear attention with scale 1/n, alone: Ahn et al. (2023), eq. (3) and (4); queries are on tokens of their own.
MASKED_ATTENTION = Architecture("masked attention", scale="1/n", ffn=None, key_mask="n")

#: The same with a ReLU feed-forward part.
MASKED = Architecture("masked", scale="1/n", key_mask="n")

#: ReLU attention with scale 1/n over all tokens: Fu et al. (2023), definition B.1.
RELU_ATTENTION = Architecture("relu attention", attention="relu", scale="1/n")

#: Softmax attention over the examples.
SOFTMAX = Architecture("softmax", attention="softmax", key_mask="n")

#: Linear attention with a bilinear gate: W_2 ((W_1 H) ⊙ (W_3 H)).
GATED = Architecture("gated", ffn="gate")

#: Linear attention with squared ReLUs: W_2 relu(W_1 H)².
SQUARED = Architecture("squared relu", ffn="relu2")

ARCHITECTURES = (LINEAR, LINEAR_ATTENTION, MASKED, MASKED_ATTENTION, RELU_ATTENTION, SOFTMAX, GATED, SQUARED)

_NAMES = "hw.LINEAR, hw.LINEAR_ATTENTION, hw.MASKED, hw.MASKED_ATTENTION, hw.RELU_ATTENTION, hw.SOFTMAX, hw.GATED or hw.SQUARED"


def check_legal(graph: Graph, architecture: Architecture) -> None:
    """Raises ArchitectureError, naming every line, when the program needs what the architecture or compiler lacks."""
    if not isinstance(architecture, Architecture):
        raise ArchitectureError(
            f"arch is a {type(architecture).__name__}: expected an Architecture",
            fix=f"pass arch={_NAMES}",
        )
    check_architecture(architecture)
    _check_dimensions(graph, architecture)
    live = live_nodes(graph)
    if architecture.causal:
        _refuse_products(graph, live, _CAUSAL, "leave causal=False, and keep queries out of the sums with key_mask")
    if architecture.attention == "softmax":
        _refuse_products(graph, live, _SOFTMAX, "choose linear or ReLU attention, such as hw.MASKED or hw.RELU_ATTENTION")
    bad = [index for index in live if OPS[graph.nodes[index].op].role == "positionwise"]
    if not bad or architecture.ffn is not None:
        return
    rule = (
        "linear attention alone computes M(H Hᵀ) H, which is linear in every token's own column: "
        "no product or nonlinear function of a token's own rows exists"
    )
    if architecture.attention != "linear":
        rule = "the compiler makes functions of a token's own rows with the feed-forward part"
    fix = "choose an architecture with a feed-forward part, such as hw.LINEAR"
    raise _refusal(graph, bad, " needs a feed-forward part", rule, fix)


_CAUSAL = (
    "under a causal mask a token's sums end with the token itself, so that a matrix product, a sum over all tokens, is "
    "complete on the last token only"
)


_SOFTMAX = (
    "softmax attention takes averages with positive weights that add up to 1: no finite weights make it multiply two matrices "
    "of data, and headwright compiles what is exact"
)


def check_architecture(architecture: Architecture) -> None:
    """Raises ArchitectureError for a field that no machine has, naming all such fields."""
    a, problems = architecture, []
    if a.attention not in ATTENTIONS:
        problems.append(f"attention is {a.attention!r}: expected one of {', '.join(map(repr, ATTENTIONS))}")
    if not isinstance(a.scale, str) or not (a.scale == "1" or (a.scale.startswith("1/") and a.scale[2:].isidentifier())):
        problems.append(f"scale is {a.scale!r}: expected '1', or one over a dimension, such as '1/n'")
    if a.ffn not in FEED_FORWARDS:
        problems.append(f"ffn is {a.ffn!r}: expected one of {', '.join(map(repr, FEED_FORWARDS))}")
    if a.key_mask is not None and not (isinstance(a.key_mask, str) and a.key_mask.isidentifier()):
        problems.append(f"key_mask is {a.key_mask!r}: expected the name of a dimension, such as 'n', or None")
    if not isinstance(a.causal, bool):
        problems.append(f"causal is {a.causal!r}: expected True or False")
    if problems:
        raise ArchitectureError(f"architecture {a.name!r}: {'; '.join(problems)}", fix=f"or take {_NAMES}")


def _check_dimensions(graph: Graph, architecture: Architecture) -> None:
    scaled = architecture.scale.removeprefix("1/")
    for what, dim in (("scale 1/", scaled), ("key mask ", architecture.key_mask)):
        if dim not in (None, "1") and dim not in graph.sizes:
            raise ArchitectureError(
                f"{graph.name}: architecture {architecture.name!r} has the {what}{dim}, and the program has no dimension {dim}",
                rule=f"its dimensions are {', '.join(graph.sizes) or 'none'}",
                fix=f"name the dimension of the examples {dim}, or pass dataclasses.replace(arch, scale=…, key_mask=…)",
            )


def _refuse_products(graph: Graph, live: list[int], rule: str, fix: str) -> None:
    bad = [index for index in live if graph.nodes[index].op == "matmul"]
    if bad:
        raise _refusal(graph, bad, "", rule, fix)


def _refusal(graph: Graph, bad: list[int], lacks: str, rule: str, fix: str) -> ArchitectureError:
    """The error for the first of the nodes, with the lines of the next few."""
    node = graph.nodes[bad[0]]
    names = {index: name for index, name in graph.labels.items() if index != bad[0]}
    what = show_node(graph.nodes, names, bad[0])
    also = "".join(f"\n  also at {graph.nodes[i].where}" for i in bad[1:4] if graph.nodes[i].where != node.where)
    return ArchitectureError(f"{graph.name}: {what}{lacks}{also}", where=node.where, rule=rule, fix=fix)
