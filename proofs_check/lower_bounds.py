"""Lower bounds beside the figures of a model: layers, heads and rows, each with its argument and what it assumes.

Two kinds. Some hold for every plan (`any_products`): by degree, by the entries that must be placed, by the spectrum.
The others hold for the products that the model chose, and are read off its weights: the longest chain, the rows that are
busy at one time, the rank of a layer. The weights alone are read; names and other hints are not.
"""

# ruff: noqa: E741  (l and u are the ends of a spectrum, as in the statement)
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from math import log10
from typing import Literal

from ..compiler.artifact import Artifact
from ..compiler.dims import size_of
from ..compiler.graph import SYMMETRIC, Graph, InputSpec, Residual, live_nodes
from ..compiler.weights import LayerWeights
from .exact import depth_lower_bound, exact_degree
from .minimax import (
    SPECTRAL_ARGUMENT,
    Given,
    as_rational,
    chebyshev,
    layers_needed,
    residual_degree,
    residual_lower_bound,
    spectral_argument,
)
from .products import Step, chain_lengths, live_rows, map_rank, steps_of, tensor_rank

__all__ = [
    "DEGREE_ARGUMENT",
    "SPECTRAL_ARGUMENT",
    "Given",
    "LowerBound",
    "best",
    "chebyshev",
    "layers_needed",
    "lower_bounds",
    "residual_degree",
    "residual_lower_bound",
    "show_degree",
    "spectral_argument",
    "spectral_bound",
    "stated_bounds",
]


#: The argument by degree. Its steps are statements of the ledger ("degree", "Gram form").
DEGREE_ARGUMENT = """\
claim    An output of degree g in the entries of the inputs needs ⌈log₃ g⌉ layers.
assumes  linear attention only (no softmax, no feed-forward part), with any fixed weights and masks and any number of
         heads, rows and tokens; H_0 affine in the inputs; the output read off affinely, and exact.
proof    A layer is H ← (I + Σ W_V G W_KᵀW_Q) H with G = HHᵀ: each entry is a cubic in the entries of H. So after L
         layers H_L = M(H_0H_0ᵀ)H_0, with M of degree ≤ (3^L − 1)/2, and every entry has degree ≤ 3^L."""


@dataclass(frozen=True)
class LowerBound:
    """At least `value` layers, heads (in some layer) or rows. `argument` says why and `assumes` what is taken for granted,
    each in a line; `any_products`: whatever the plan, not only for the products that this model chose; `proof`: the whole
    argument, in several lines, where it is not in every textbook."""

    what: Literal["layers", "heads", "rows"]
    value: int
    argument: str
    assumes: str
    any_products: bool = False
    proof: str = field(default="", repr=False)


def lower_bounds(artifact: Artifact, degrees: Mapping[str, int | None] | None = None) -> tuple[LowerBound, ...]:
    """Every bound that can be shown for a model. `degrees` saves computing `exact_degree` of its graph again.

    Cost: linear in the number of weight blocks and of layers; no dense matrix is formed.
    """
    degrees = exact_degree(artifact.graph) if degrees is None else degrees
    steps = steps_of(artifact)
    by_degree = _by_degree(degrees, artifact) if artifact.lowered is None else None  # else an output is no polynomial
    by_heads = [_by_map(artifact), _by_rank(artifact)] if artifact.architecture.attention == "linear" else []
    found = [by_degree, _by_chain(artifact, steps), *by_heads]
    found += [bound for residual in artifact.graph.residuals for bound in stated_bounds(artifact.graph, residual)]
    found += [_by_blocks(artifact.graph), _by_entries(artifact), _by_liveness(artifact, steps)]
    return tuple(bound for bound in found if bound is not None)


def best(bounds: Iterable[LowerBound], what: str, any_products: bool) -> int | None:
    """The largest of the bounds of one kind; None where there is none."""
    return max((b.value for b in bounds if b.what == what and b.any_products == any_products), default=None)


def spectral_bound(l: Fraction | float, u: Fraction | float, tol: Fraction | float, given: Given = "examples") -> LowerBound:
    """The layers that any solver of linear systems needs for a worst-case residual of tol over spectra in [l, u].

    Raises CompileError unless 0 < l ≤ u and tol > 0. Example: spectral_bound(1, 100, 1e-6).value == 5.
    """
    value = layers_needed(l, u, tol, given)
    span = f"[{_short(l)}, {_short(u)}]"
    argument = "placing and reading alone may have that residual"
    if value:
        degree, least = show_degree(residual_degree(value - 1, given)), _short(residual_lower_bound(value - 1, l, u, given))
        argument = f"after {value - 1} the residual is a polynomial of degree {degree}, at least {least} somewhere in {span}"
    assumes = f"linear attention only; of the spectrum only that it lies in {span}; worst residual ≤ {_short(tol)} over it"
    return LowerBound("layers", value, argument, assumes, True, spectral_argument(given))


def stated_bounds(graph: Graph, residual: Residual) -> tuple[LowerBound, ...]:
    """The spectral bound of an approximate solution, where its matrix is an input, and so all that the layers start from.

    None where the program has feed-forward units: the bound is about layers of attention alone.
    """
    if residual.target != "inverse" or any(graph.nodes[index].op == "units" for index in live_nodes(graph)):
        return ()
    inputs = {spec.node for spec in graph.inputs}
    if residual.known == "factor" and inputs.issuperset(residual.roots):
        return (spectral_bound(residual.lower, residual.upper, residual.tol, "examples"),)
    if residual.known == "matrix" and inputs.issuperset(residual.squares) and not residual.ones:
        return (spectral_bound(residual.lower, residual.upper, residual.tol, "gram"),)
    return ()


def _short(value: Fraction | float) -> str:
    numerator, denominator = as_rational("value", value).as_integer_ratio()
    exact = Decimal(numerator) / Decimal(denominator)
    return f"{float(exact):.6g}" if not exact or -300 < exact.adjusted() < 300 else f"{exact:.3e}"


# -- for every plan ----------------------------------------------------------------------------------------------------


def _by_degree(degrees: Mapping[str, int | None], artifact: Artifact) -> LowerBound | None:
    """None where leading terms may cancel in every output. ReLUs change nothing: a layer with them is of degree 3 on every
    piece, and a polynomial is its own piece."""
    degree = max((d for d in degrees.values() if d is not None), default=None)
    if degree is None:
        return None
    argument = f"⌈log₃ {show_degree(degree)}⌉: the output has that degree, and a layer at most triples a degree"
    bent = artifact.architecture.attention == "relu" or artifact.ffn_width
    assumes = f"{'linear or ReLU attention, ReLU units' if bent else 'linear attention only'}; exact output"
    return LowerBound("layers", depth_lower_bound(degree), argument, assumes, True, DEGREE_ARGUMENT)


def show_degree(degree: int) -> str:
    """A degree as text, also where it has too many digits to print."""
    return str(degree) if degree < 10**12 else f"about 10^{int((degree.bit_length() - 1) * log10(2))}"


def _inputs(graph: Graph) -> list[InputSpec]:
    """The inputs that some output reads."""
    live = set(live_nodes(graph))
    return [spec for spec in graph.inputs if spec.node in live]


def _by_blocks(graph: Graph) -> LowerBound | None:
    """Inputs that the program stacks share rows; all others, and all stacks, have rows of their own."""
    inputs = _inputs(graph)
    if not inputs:
        return None
    group = {spec.node: spec.node for spec in inputs}
    blocks = {spec.node: [spec.node] for spec in inputs}  # group → inputs and stacks that may share rows
    for index in (i for i in live_nodes(graph) if graph.nodes[i].op == "vstack"):
        joined = list(dict.fromkeys(group[node] for node in _placed_in(graph, index)))
        if not joined:  # zeros only
            continue
        first, *others = joined
        blocks[first] += [index, *(node for other in others for node in blocks.pop(other))]
        group = {node: first if g in others else g for node, g in group.items()}
    heights = [max(min(size_of(dim, graph.sizes) for dim in graph.nodes[i].shape) for i in found) for found in blocks.values()]
    argument = f"Σ min(rows, columns) of {', '.join(spec.name for spec in inputs)}"
    assumes = "every input, or stack of them, has rows of its own, as a block or its transpose"
    return LowerBound("rows", sum(heights), argument, assumes, True)


def _placed_in(graph: Graph, node: int) -> list[int]:
    """The inputs below a node that only places: a stack, a transpose."""
    spec = graph.nodes[node]
    return [node] if spec.op == "input" else [found for arg in spec.args for found in _placed_in(graph, arg)]


def _by_entries(artifact: Artifact) -> LowerBound | None:
    graph, tokens = artifact.graph, artifact.n_tokens
    symmetric = {fact.node for fact in graph.facts if fact.kind in SYMMETRIC}
    entries = 0
    for spec in _inputs(graph):
        rows, cols = (size_of(dim, graph.sizes) for dim in graph.nodes[spec.node].shape)
        entries += rows * (rows + 1) // 2 if spec.node in symmetric else rows * cols
    if not entries:
        return None
    argument = f"⌈{entries} / {tokens}⌉: {entries} different entries of inputs have to be somewhere in {tokens} tokens"
    return LowerBound("rows", -(-entries // tokens), argument, f"{tokens} tokens; encoding places entries, one in a cell", True)


# -- for the chosen products -------------------------------------------------------------------------------------------


def _by_chain(artifact: Artifact, steps: Sequence[Step]) -> LowerBound:
    chain = chain_lengths(artifact, steps)
    value = max((int(chain[p.row : p.row + p.height].max()) for p in artifact.decoding), default=0)
    if artifact.ffn_width:
        argument = "the longest chain of products and sums of units, each reading the one before; a layer has one of each"
        return LowerBound("layers", value, argument, "these products and units")
    return LowerBound("layers", value, "the longest chain of products, each reading the one before", "these products")


def _by_liveness(artifact: Artifact, steps: Sequence[Step]) -> LowerBound:
    counts = live_rows(artifact, steps).sum(axis=1)
    boundary = int(counts.argmax())
    where = f"after layer {boundary}" if boundary else "before layer 1"
    argument = f"{where} so many rows hold what later layers or the output still read"
    what = "products and units" if artifact.ffn_width else "products"
    assumes = f"these {what}, each in its layer; no two values in one row"
    return LowerBound("rows", int(counts[boundary]), argument, assumes)


def _by_rank(artifact: Artifact) -> LowerBound | None:
    ranks = {layer: tensor_rank(layer) for layer in artifact.unique_layers}
    argument = "Σ W_V ⊗ W_KᵀW_Q has rank {rank}, and a head adds one"
    return _in_a_layer(artifact, ranks, argument, "these products and erasures in one layer")


def _by_map(artifact: Artifact) -> LowerBound | None:
    """None where the stream has one token: then the map does not determine M."""
    if artifact.n_tokens < 2:
        return None
    ranks = {layer: map_rank(layer, artifact.d_model) for layer in artifact.unique_layers}
    argument = "in H ← (I + M(HHᵀ))H, M(ggᵀ) has rank {rank}, and a head adds one"
    part = "the attention of a layer" if artifact.ffn_width else "a layer"
    return _in_a_layer(artifact, ranks, argument, f"this map of {part} on all streams, whatever its products")


def _in_a_layer(artifact: Artifact, ranks: Mapping[LayerWeights, int], argument: str, assumes: str) -> LowerBound | None:
    """The bound by the layer with the largest rank; None where no layer has heads."""
    rank = max(ranks.values(), default=0)
    if not rank:
        return None
    number = 1 + next(i for i, layer in enumerate(artifact.layers) if ranks[layer] == rank)
    return LowerBound("heads", rank, f"layer {number}: " + argument.format(rank=rank), assumes)
