"""Wide feed-forward parts as several layers: what units add is a sum, and its parts can be added one after the other.

A layer with more units than asked for becomes a layer with its heads and a first part of its units, and layers without heads
for the other parts. Units read the stream before any of them writes, so a part may not read rows that an earlier part has
written: units that clear rows come after all that read these rows, and together. Nothing else of a model changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate
from typing import TypeAlias

from .artifact import Artifact, ValueHint
from .errors import CompileError
from .layout import Labels
from .weights import Block, BlockMatrix, FeedForwardWeights, LayerWeights

#: The first unit of a block of units, and how many it has.
Span: TypeAlias = tuple[int, int]
#: W_1 or W_3 (0 or 1), the first row that is read, and how many.
_Source: TypeAlias = tuple[int, int, int]
_Direction: TypeAlias = tuple[tuple[_Source, Fraction], ...]


@dataclass(frozen=True)
class Group:
    """Units that stay together: those of one target that bend along one direction, so that relu(z) and relu(−z) meet."""

    spans: tuple[Span, ...]
    reads: frozenset[int]
    writes: frozenset[int]

    @property
    def size(self) -> int:
        return sum(size for _, size in self.spans)


def narrow(artifact: Artifact, most: int | None) -> tuple[Artifact, list[int]]:
    """The same model with at most so many units in a layer, and more layers; and after how many layers of it the old layers
    0, 1, … are done. Raises CompileError where units that have to stay together are more."""
    if most is None or artifact.ffn_width <= most:
        return artifact, list(range(artifact.depth + 1))
    if most < (least := narrowest(artifact)):
        raise CompileError(
            f"{artifact.graph.name}: max_ffn_width is {most}: expected at least {least}",
            rule="units that clear rows, and relu(z) and relu(−z) of every row, have to be in one layer",
            fix=f"pass max_ffn_width={least} or more",
        )
    split = {layer: _split(layer, most) for layer in artifact.unique_layers}
    after = [0, *accumulate(len(split[layer]) for layer in artifact.layers)]  # old boundary → new one
    labels: list[Labels] = [artifact.rows[0]]
    for number, layer in enumerate(artifact.layers, start=1):
        later: set[int] = set()  # rows that are not complete yet
        whole, found = artifact.rows[number], list[Labels]()
        for part in reversed(split[layer]):
            found.append({name: rows for name, rows in whole.items() if not later & set(rows)})
            later |= set() if part.ffn is None else _rows(part.ffn.W_2.blocks)
        labels += reversed(found)
    hints = [replace(h, boundary=_boundary(h, split[artifact.layers[h.boundary - 1]], after)) for h in artifact.hints]
    layers = tuple(part for layer in artifact.layers for part in split[layer])
    return replace(artifact, layers=layers, rows=tuple(labels), hints=tuple(hints)), after


def narrowest(artifact: Artifact) -> int:
    """The smallest width that `narrow` can reach."""
    ffns = [layer.ffn for layer in artifact.unique_layers if layer.ffn is not None]
    return max((sum(g.size for g in groups) for ffn in ffns for groups in _in_order(_groups(ffn))), default=0)


def _boundary(hint: ValueHint, parts: tuple[LayerWeights, ...], after: list[int]) -> int:
    """What attention writes is there after the first part, what units write after the last of them."""
    wrote = [k for k, part in enumerate(parts) if part.ffn is not None and hint.row in _rows(part.ffn.W_2.blocks)]
    return after[hint.boundary - 1] + 1 + (max(wrote, default=len(parts) - 1) if hint.local else 0)


def _rows(blocks: Iterable[Block]) -> set[int]:
    return {row for block in blocks for row in range(block.row, block.row + block.size)}


def _split(layer: LayerWeights, most: int) -> tuple[LayerWeights, ...]:
    if layer.ffn is None or layer.ffn_width <= most:
        return (layer,)
    parts: list[list[Group]] = [[]]
    room = most
    for groups in _in_order(_groups(layer.ffn)):
        size = sum(group.size for group in groups)
        if size > room:
            parts.append([])
            room = most
        parts[-1] += groups
        room -= size
    ffns = [_only(layer.ffn, [span for group in part for span in group.spans]) for part in parts]
    return (replace(layer, ffn=ffns[0]), *(LayerWeights((), ffn) for ffn in ffns[1:]))


def _groups(ffn: FeedForwardWeights) -> list[Group]:
    reads: dict[Span, dict[_Source, Fraction]] = {}
    writes: dict[Span, list[Block]] = {}
    for side, matrix in enumerate((ffn.W_1, ffn.W_3)):
        for block in matrix.blocks if matrix is not None else ():
            inside = reads.setdefault((block.row, block.size), {})
            source = (side, block.col, block.width)
            inside[source] = inside.get(source, Fraction(0)) + block.coefficient
    for block in ffn.W_2.blocks:
        writes.setdefault((block.col, block.size), []).append(block)
    together: dict[tuple[tuple[int, ...], _Direction], list[Span]] = {}
    for span in sorted(reads.keys() | writes.keys()):
        written = tuple(block.row for block in writes.get(span, []))
        together.setdefault((written, _direction(reads.get(span, {}))), []).append(span)
    found = []
    for spans in together.values():
        read = {row for span in spans for _, col, width in reads.get(span, {}) for row in range(col, col + width)}
        target = _rows(block for span in spans for block in writes.get(span, []))
        found.append(Group(tuple(spans), frozenset(read), frozenset(target)))
    return found


def _direction(reads: Mapping[_Source, Fraction]) -> _Direction:
    """What units read, up to a factor."""
    inside = sorted((source, c) for source, c in reads.items() if c)
    return tuple((source, c / inside[0][1]) for source, c in inside)


def _in_order(groups: list[Group]) -> list[list[Group]]:
    """Lists of groups that stay together, each after those that read what it writes; else as they stand."""
    kinds: dict[tuple[frozenset[int], frozenset[int]], list[Group]] = {}
    for group in groups:
        kinds.setdefault((group.reads, group.writes), []).append(group)
    # reaches[a]: the kinds that come no earlier than a, because they write what a reads, or what such a kind reads
    reaches = {a: {b for b in kinds if b[1] & a[0]} for a in kinds}
    for _ in kinds:
        reaches = {a: found.union(*(reaches[b] for b in found)) for a, found in reaches.items()}
    cycles = {a: frozenset(b for b in kinds if b == a or (b in reaches[a] and a in reaches[b])) for a in kinds}
    ordered: list[list[Group]] = []
    waiting = list(dict.fromkeys(cycles.values()))
    while waiting:
        ready = next(c for c in waiting if not any(o != c and any(k in reaches[a] for a in o for k in c) for o in waiting))
        waiting.remove(ready)
        members = [group for kind in kinds if kind in ready for group in kinds[kind]]
        alone = len(ready) == 1 and not any(kind in reaches[kind] for kind in ready)
        ordered += [[group] for group in members] if alone else [members]
    return ordered


def _only(ffn: FeedForwardWeights, spans: list[Span]) -> FeedForwardWeights:
    """The units of some spans."""
    spans = sorted(spans)
    at = dict(zip(spans, accumulate((size for _, size in spans), initial=0), strict=False))
    count = sum(size for _, size in spans)

    def reading(matrix: BlockMatrix) -> BlockMatrix:
        kept = (replace(b, row=at[b.row, b.size]) for b in matrix.blocks if (b.row, b.size) in at)
        return BlockMatrix(matrix.d_model, tuple(sorted(kept)), height=count)

    kept = (replace(b, col=at[b.col, b.size]) for b in ffn.W_2.blocks if (b.col, b.size) in at)
    W_2 = BlockMatrix(ffn.W_2.d_model, tuple(sorted(kept)), width=count)
    return FeedForwardWeights(reading(ffn.W_1), W_2, None if ffn.W_3 is None else reading(ffn.W_3))
