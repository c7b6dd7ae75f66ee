"""Whether rows hold what they are called: names of the residual stream against the values of the program."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cache

import numpy as np

from ..compiler.artifact import Artifact
from ..compiler.dims import size_of
from ..compiler.graph import Graph, live_nodes
from ..compiler.ops import Arithmetic

_AGAIN = re.compile(r"#\d+$")  # a name that stands for several blocks of rows


def named_nodes(graph: Graph) -> list[int]:
    """The nodes that the user named and that outputs need."""
    return [index for index in live_nodes(graph) if index in graph.labels]


def mislabelled(
    artifact: Artifact, streams: Sequence[np.ndarray], values: Mapping[int, np.ndarray], arithmetic: Arithmetic
) -> str:
    """The first label that its rows do not deserve; "" where all are right.

    streams: the residual stream at every boundary. values: of the named nodes, on the same inputs. A name of the program
    means that value, an output's as decoding reads it; the name of an intermediate product or of what is encoded means what
    stood in its rows when it came there.
    """
    held = _Held(artifact, streams, values)
    if len(artifact.rows) != len(artifact.layers) + 1:
        return f"there are labels for {len(artifact.rows)} boundaries, and {len(artifact.layers)} layers"
    for boundary, labels in enumerate(artifact.rows):
        for label, rows in labels.items():
            found = [streams[boundary][rows.start : rows.stop]]
            if boundary == len(artifact.layers):
                read = [(found[0][:, p.token :], p.negated) for p in artifact.decoding if p.row == rows.start]
                found += [arithmetic.scale(part, Fraction(-1)) if negated else part for part, negated in read]
            meant = held.called(_AGAIN.sub("", label), boundary)
            if not any(_begins_with(part, value) for part in found for value in meant):
                return f"after layer {boundary}, rows {rows.start}–{rows.stop - 1} are called {label}, and hold something else"
    for hint in artifact.hints:
        if hint.node is not None and hint.node in values and hint.name in artifact.graph.labels.values():
            value = values[hint.node].T if hint.flipped else values[hint.node]
            if not any(np.array_equal(value, v) for v in held.called(_shown(hint.name, hint.flipped), hint.boundary)):
                return f"what is called {hint.name} after layer {hint.boundary} is said to be {artifact.graph.label(hint.node)}"
    return ""


def _begins_with(rows: np.ndarray, value: np.ndarray) -> bool:
    return rows.shape[0] == value.shape[0] and np.array_equal(rows[:, : value.shape[1]], value)


def _shown(name: str, flipped: bool) -> str:
    """The label of a block that holds the value, or its transpose; as `compiler.layout` writes it."""
    return name if not flipped else f"({name})ᵀ" if " " in name else f"{name}ᵀ"


class _Held:
    """What names mean."""

    def __init__(self, artifact: Artifact, streams: Sequence[np.ndarray], values: Mapping[int, np.ndarray]) -> None:
        self.artifact, self.streams = artifact, streams
        self.program: dict[str, list[np.ndarray]] = {}
        for node, value in values.items():
            if node in artifact.graph.labels:
                for flipped, stored in ((False, value), (True, value.T)):
                    self.program.setdefault(_shown(artifact.graph.labels[node], flipped), []).append(stored)
        self.called = cache(lambda name, boundary: tuple(self._called(name, boundary)))

    def _called(self, name: str, boundary: int) -> Iterator[np.ndarray]:
        if name in self.program:
            yield from self.program[name]
            return
        sizes = self.artifact.graph.sizes
        for placed in self.artifact.encoding:
            if name == _shown(placed.name, placed.flipped):
                yield self.streams[0][placed.row : placed.row + placed.height, : placed.width]
        for hint in self.artifact.hints:
            if name == _shown(hint.name, hint.flipped) and hint.boundary <= boundary:
                height, width = size_of(hint.rows, sizes), size_of(hint.cols, sizes)
                yield self.streams[hint.boundary][hint.row : hint.row + height, :width]
