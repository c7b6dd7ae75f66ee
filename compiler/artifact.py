"""What a compile hands over: the program, the weights, where inputs go and outputs are read, and names for rows.

This is all that running, proving, printing and saving need. Names and the row partition are hints: the proof does
not trust them (a wrong hint makes it fail, never succeed).
"""

from __future__ import annotations

from dataclasses import dataclass

from .architecture import Architecture
from .dims import Dim
from .graph import Graph
from .layout import Labels, Placed
from .weights import LayerWeights


@dataclass(frozen=True)
class ValueHint:
    """After layer `boundary`, the rows from `row` hold a value of this stored shape (rows × cols); `node` is the
    program node that it equals (None for an intermediate product), `flipped`: the transpose of the node is stored."""

    boundary: int
    row: int
    rows: Dim
    cols: Dim
    node: int | None
    flipped: bool
    name: str
    symmetric: bool = False  # for printing only


@dataclass(frozen=True)
class Proven:
    """The model has `found` rows, or heads in some layer, and no plan of the kind that `argument` names has fewer than
    `least`. The bounds of `proofs_check.lower_bounds` are about all networks; this one is about these products."""

    what: str
    found: int
    least: int
    argument: str
    assumes: str

    @property
    def gap(self) -> int:
        """0: a proven optimum."""
        return self.found - self.least


@dataclass(frozen=True)
class Search:
    """How the plan was found: the goal, how many candidates were laid out, and whether all were.

    engine: what solved the exact step, empty where it was not used; `note` says why not, or what it left out.
    proven: the optimum, or how far the model may be from it.
    """

    goal: str
    candidates: int
    finished: bool
    engine: str = ""
    note: str = ""
    proven: tuple[Proven, ...] = ()


@dataclass(frozen=True)
class Artifact:
    graph: Graph
    architecture: Architecture
    d_model: int
    n_tokens: int
    layers: tuple[LayerWeights, ...]
    encoding: tuple[Placed, ...]
    decoding: tuple[Placed, ...]
    partition: tuple[tuple[int, Dim], ...]  # (first row, height) of every block of rows
    hints: tuple[ValueHint, ...]
    rows: tuple[Labels, ...]  # for every boundary 0 … depth
    search: Search | None = None

    @property
    def depth(self) -> int:
        """The number of layers."""
        return len(self.layers)

    @property
    def heads_per_layer(self) -> list[int]:
        return [len(layer.heads) for layer in self.layers]

    @property
    def max_heads(self) -> int:
        return max(self.heads_per_layer, default=0)

    @property
    def n_parameters(self) -> int:
        """Entries of all weight matrices, a repeated layer counted every time."""
        return 3 * self.d_model**2 * sum(self.heads_per_layer)

    @property
    def n_unique_parameters(self) -> int:
        """Entries of all weight matrices, a repeated layer counted once."""
        return 3 * self.d_model**2 * sum(len(layer.heads) for layer in self.unique_layers)

    @property
    def nonzeros(self) -> int:
        """Nonzero weights, a repeated layer counted every time."""
        return sum(m.nonzeros for layer in self.layers for head in layer.heads for m in head.matrices)

    @property
    def order(self) -> list[int]:
        """For every layer the index of its weights among the distinct ones: a repeated layer is stored once."""
        seen: dict[LayerWeights, int] = {}
        return [seen.setdefault(layer, len(seen)) for layer in self.layers]

    @property
    def unique_layers(self) -> list[LayerWeights]:
        return list(dict.fromkeys(self.layers))
