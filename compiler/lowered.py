"""What lowering hands over: a graph that layers compute exactly, and how far it is from the program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from .graph import Fact, Graph
from .ranges import Size


@dataclass(frozen=True)
class Approximation:
    """The units node `node` of the lowered graph is within `bound` of `text` where the arguments are within `domain`
    (None: everywhere); `ideal` is the program's node. kind: "function", "product", or "scaled": a function of the first
    argument times the second. `tol` is what a scaled fit was asked for."""

    node: int
    ideal: int
    kind: str
    text: str
    expression: str
    domain: tuple[tuple[Fraction | None, Fraction | None], ...]
    bound: Fraction
    units: int
    how: str
    tol: Fraction = Fraction(0)


@dataclass(frozen=True)
class Lowered:
    """`graph` is exact for layers; `meaning` gives for nodes of `ideal` (the program, with what is assumed of its data) the
    node that stands for it, `errors` how far they are apart at most."""

    graph: Graph
    ideal: Graph
    meaning: Mapping[int, int]
    errors: Mapping[int, Size]
    approximations: tuple[Approximation, ...]
    inside: tuple[Fact, ...] = ()  # of `graph`: where fits are proved that go on no further

    @property
    def output_errors(self) -> dict[str, float]:
        """How far every entry of an output is from the program's at most; infinite where no bound is known."""
        return {output.name: self.errors[output.node].entry for output in self.ideal.outputs}
