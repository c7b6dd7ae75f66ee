"""What a compile hands over: the program, the weights, where inputs go and outputs are read, and names for rows.

This is all that running, proving, printing and saving need. Names and the row partition are hints: the proof does
not trust them (a wrong hint makes it fail, never succeed).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from .architecture import Architecture
from .dims import Dim
from .graph import Fact, Graph
from .layout import Labels, Placed
from .lowered import Approximation
from .tolerances import Tolerances
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
    local: bool = False  # written by the feed-forward part


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
class Lowering:
    """How `Artifact.graph` stands for the program where that has functions which units only approximate.

    `ideal` is the program's graph; the last `assumed` of its facts are what is assumed of its data. `meaning` gives for
    nodes of it the node of `Artifact.graph` that stands for it. `approximations` are claims, proved again by `hw.verify`,
    as is `errors`: how far every output is from the program's at most. `tolerances` are what lowering was told. `inside` are
    facts of `Artifact.graph`, so of the network's own values: each run checks them.
    """

    ideal: Graph
    assumed: int
    meaning: Mapping[int, int]
    approximations: tuple[Approximation, ...]
    errors: Mapping[str, float]
    tolerances: Tolerances
    tol: Fraction | None
    inside: tuple[Fact, ...] = ()

    @property
    def traced(self) -> Graph:
        """The program's graph with what it states itself only."""
        return replace(self.ideal, facts=self.ideal.facts[: len(self.ideal.facts) - self.assumed])


@dataclass(frozen=True)
class Artifact:
    """`graph` is what the layers compute exactly: the program, or what stands for it (see `Lowering`)."""

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
    lowered: Lowering | None = None

    @property
    def program(self) -> Graph:
        """The program as the user wrote it."""
        return self.graph if self.lowered is None else self.lowered.ideal

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
    def ffn_width(self) -> int:
        """The largest number of feed-forward units in a layer."""
        return max((layer.ffn_width for layer in self.layers), default=0)

    @property
    def n_parameters(self) -> int:
        """Entries of all weight matrices, a repeated layer counted every time."""
        return sum(self._entries(layer) for layer in self.layers)

    @property
    def n_unique_parameters(self) -> int:
        """Entries of all weight matrices, a repeated layer counted once."""
        return sum(self._entries(layer) for layer in self.unique_layers)

    def _entries(self, layer: LayerWeights) -> int:
        return 3 * self.d_model**2 * len(layer.heads) + 2 * self.d_model * layer.ffn_width

    @property
    def nonzeros(self) -> int:
        """Nonzero weights, a repeated layer counted every time."""
        return sum(m.nonzeros for layer in self.layers for m in layer.matrices)

    @property
    def order(self) -> list[int]:
        """For every layer the index of its weights among the distinct ones: a repeated layer is stored once."""
        seen: dict[LayerWeights, int] = {}
        return [seen.setdefault(layer, len(seen)) for layer in self.layers]

    @property
    def unique_layers(self) -> list[LayerWeights]:
        return list(dict.fromkeys(self.layers))
