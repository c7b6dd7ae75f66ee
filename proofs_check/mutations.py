"""Wrong models made from right ones: every single change of a weight, a head, a layer, a place that is read or written.

A change is data: a `Family` counts the changes of one kind that a model has, and makes any of them by its number, so that a
campaign can try all or draw some without listing the rest. `mutations_of_claims` and `mutations_of_bounds` change what is
stated instead of weights.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations
from typing import Any

from ..compiler.artifact import Artifact
from ..compiler.dims import size_of
from ..compiler.weights import Block, BlockMatrix, FeedForwardWeights, HeadWeights, LayerWeights
from .bounds import Bounds
from .newton_model import NewtonTheory

#: The smallest change of a weight: far below what a float32 run would show.
NUDGE = Fraction(1, 10**9)


@dataclass(frozen=True)
class Claimed:
    """What a certificate is about: weights with the program that they should compute, and what else is stated of them.
    `stated`: the contents of program.json, where they are not what follows from the rest."""

    artifact: Artifact
    bounds: Bounds | None = None
    theory: NewtonTheory | None = None
    stated: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Mutant:
    """`false`: why the statement is false now, where that is known when it is changed; else it remains to be found out."""

    kind: str
    place: str
    claimed: Claimed
    false: str = ""


@dataclass(frozen=True)
class Family:
    """`count` changes of one kind; make(i) is None where number i changes nothing or cannot be made."""

    kind: str
    count: int
    make: Callable[[int], Mutant | None]

    def all(self) -> Iterator[Mutant]:
        """Every mutant of the family."""
        yield from filter(None, map(self.make, range(self.count)))

    def sample(self, number: int, rng: random.Random) -> Iterator[Mutant]:
        """`number` different mutants, or all where there are no more."""
        order = rng.sample(range(self.count), self.count) if self.count <= 20_000 else _draws(self.count, rng)
        for index in order:
            if number <= 0:
                return
            mutant = self.make(index)
            if mutant is not None:
                number -= 1
                yield mutant


def _draws(count: int, rng: random.Random) -> Iterator[int]:
    """Different numbers below `count`, drawn one by one."""
    seen: set[int] = set()
    while len(seen) < count:
        index = rng.randrange(count)
        if index not in seen:
            seen.add(index)
            yield index


def listed(kind: str, changes: Sequence[tuple[str, Callable[[], Claimed | None]]]) -> Family:
    """The family of a list of (place, change). A change that leaves everything as it is, or is None, is no mutant."""

    def make(index: int) -> Mutant | None:
        place, change = changes[index]
        changed = change()
        return None if changed is None else Mutant(kind, place, changed)

    return Family(kind, len(changes), make)


def family_of(mutants: Sequence[Mutant]) -> Family:
    """The family of mutants of one kind that are made already."""
    return Family(mutants[0].kind, len(mutants), lambda index: mutants[index])


# -- places in the weights -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """One matrix of one layer; head: its number, None for the feed-forward part."""

    layer: int
    head: int | None
    name: str
    matrix: BlockMatrix

    def __str__(self) -> str:
        return f"layer {self.layer + 1} " + ("" if self.head is None else f"head {self.head + 1} ") + self.name


def places(artifact: Artifact) -> list[Place]:
    """All matrices, layer by layer (a repeated layer every time)."""
    found = []
    for number, layer in enumerate(artifact.layers):
        for j, head in enumerate(layer.heads):
            found += [Place(number, j, name, getattr(head, name)) for name in ("W_V", "W_K", "W_Q")]
        if layer.ffn is not None:
            named = [(name, getattr(layer.ffn, name)) for name in ("W_1", "W_2", "W_3")]
            found += [Place(number, None, name, matrix) for name, matrix in named if matrix is not None]
    return found


def with_layer(claimed: Claimed, number: int, layer: LayerWeights) -> Claimed:
    layers = list(claimed.artifact.layers)
    layers[number] = layer
    return replace(claimed, artifact=replace(claimed.artifact, layers=tuple(layers)))


def with_matrix(claimed: Claimed, place: Place, matrix: BlockMatrix) -> Claimed | None:
    """The model with another matrix in a place; None where that is the same, or reaches beyond its shape."""
    rows, cols = matrix.shape
    inside = all(min(b.row, b.col) >= 0 and b.row + b.size <= rows and b.col + b.width <= cols for b in matrix.blocks)
    if not inside or entries_of(matrix) == entries_of(place.matrix):
        return None
    layer = claimed.artifact.layers[place.layer]
    if place.head is None:
        assert layer.ffn is not None
        return with_layer(claimed, place.layer, replace(layer, ffn=replace(layer.ffn, **{place.name: matrix})))
    heads = list(layer.heads)
    heads[place.head] = replace(heads[place.head], **{place.name: matrix})
    return with_layer(claimed, place.layer, replace(layer, heads=tuple(heads)))


def entries_of(matrix: BlockMatrix) -> dict[tuple[int, int], Fraction]:
    """The nonzero entries: what a sum of blocks means."""
    found: dict[tuple[int, int], Fraction] = {}
    for block in matrix.blocks:
        for i, j, value in zip(*block.entries(), strict=True):
            at = int(i), int(j)
            found[at] = found.get(at, Fraction(0)) + value
    return {at: value for at, value in found.items() if value}


def with_entry(matrix: BlockMatrix, row: int, col: int, value: Fraction) -> BlockMatrix:
    """The matrix with one entry changed. Blocks that cover it are cut, so that no entry is a sum of several."""
    blocks: list[Block] = []
    for block in matrix.blocks:
        cells = [(int(i), int(j), v) for i, j, v in zip(*block.entries(), strict=True)]
        if not any((i, j) == (row, col) for i, j, _ in cells):
            blocks.append(block)
        elif block.matrix:
            blocks += [Block(i, j, 1, v) for i, j, v in cells if (i, j) != (row, col)]
        else:
            before = row - block.row
            after = block.size - before - 1
            step = 0 if block.column else 1
            if before:
                blocks.append(replace(block, size=before, dim=before))
            if after:
                blocks.append(replace(block, row=row + 1, col=col + step, size=after, dim=after))
    if value:
        blocks.append(Block(row, col, 1, value))
    return replace(matrix, blocks=tuple(sorted(blocks)))


def weight_families(claimed: Claimed) -> list[Family]:
    """Changes of one weight: its value, its sign, its position; dropped; or one where there is none."""
    found = places(claimed.artifact)
    filled = [entries_of(place.matrix) for place in found]
    nonzero = [(k, at, value) for k, entries in enumerate(filled) for at, value in sorted(entries.items())]

    def changed(kind: str, to: Callable[[Fraction], Fraction]) -> Family:
        def make(index: int) -> Mutant | None:
            k, (i, j), value = nonzero[index]
            place = found[k]
            new = with_matrix(claimed, place, with_entry(place.matrix, i, j, to(value)))
            return None if new is None else Mutant(kind, f"{place}[{i}, {j}] = {value} becomes {to(value)}", new)

        return Family(kind, len(nonzero), make)

    steps = ((-1, 0), (1, 0), (0, -1), (0, 1))

    def moved(index: int) -> Mutant | None:
        (k, (i, j), value), (down, right) = nonzero[index // 4], steps[index % 4]
        place = found[k]
        rows, cols = place.matrix.shape
        to = ((i + down) % rows, (j + right) % cols)
        there = filled[k].get(to, Fraction(0))
        without = with_entry(place.matrix, i, j, Fraction(0))
        new = with_matrix(claimed, place, with_entry(without, *to, there + value)) if to != (i, j) else None
        return None if new is None else Mutant("weight moved", f"{place}[{i}, {j}] moves to {list(to)}", new)

    ends, total = [], 0
    for place in found:
        total += place.matrix.shape[0] * place.matrix.shape[1]
        ends.append(total)

    def spurious(index: int) -> Mutant | None:
        k = bisect_right(ends, index)
        place = found[k]
        i, j = divmod(index - (ends[k - 1] if k else 0), place.matrix.shape[1])
        if (i, j) in filled[k]:
            return None
        new = with_matrix(claimed, place, with_entry(place.matrix, i, j, Fraction(1)))
        return None if new is None else Mutant("spurious weight", f"{place}[{i}, {j}] = 0 becomes 1", new)

    return [
        changed("weight nudged", lambda value: value + NUDGE),
        changed("weight negated", lambda value: -value),
        changed("weight dropped", lambda value: Fraction(0)),
        Family("weight moved", 4 * len(nonzero), moved),
        Family("spurious weight", total, spurious),
    ]


# -- blocks: what the compiler writes at once ------------------------------------------------------------------------


def block_families(claimed: Claimed) -> list[Family]:
    """Changes of a whole block of weights, which the proof for all dimensions has to see by itself."""
    artifact = claimed.artifact
    changes: list[tuple[str, Callable[[], Claimed | None]]] = []
    extra: list[tuple[str, Callable[[], Claimed | None]]] = []

    def put(place: Place, blocks: Sequence[Block]) -> Callable[[], Claimed | None]:
        return lambda: with_matrix(claimed, place, replace(place.matrix, blocks=tuple(sorted(blocks))))

    for place in places(artifact):
        blocks = place.matrix.blocks
        for k, block in enumerate(blocks):
            others = (*blocks[:k], *blocks[k + 1 :])
            for what, new in _block_changes(block, artifact):
                changes.append((f"{place} block {k + 1} {what}", put(place, (*others, *([] if new is None else [new])))))
        for start, height in artifact.partition:
            size = size_of(height, artifact.graph.sizes)
            corners = {"W_1": (0, start), "W_3": (0, start), "W_2": (start, 0)}
            row, col = corners.get(place.name, (start, start))
            new = Block(row, col, size, Fraction(1), height)
            extra.append((f"{place}: a block at rows {start}", put(place, (*blocks, new))))
    return [listed("block changed", changes), listed("spurious block", extra)]


def _block_changes(block: Block, artifact: Artifact) -> Iterator[tuple[str, Block | None]]:
    yield "dropped", None
    yield "negated", replace(block, coefficient=-block.coefficient)
    yield "doubled", replace(block, coefficient=2 * block.coefficient)
    yield "nudged", replace(block, coefficient=block.coefficient + NUDGE)
    for step in (-1, 1):
        yield f"row {step:+d}", replace(block, row=block.row + step)
        yield f"column {step:+d}", replace(block, col=block.col + step)
    if block.matrix:
        yield "with its first row doubled", replace(block, matrix=(tuple(2 * x for x in block.matrix[0]), *block.matrix[1:]))
        return
    if block.size > 1:
        yield "shortened", replace(block, size=block.size - 1)
        yield "shortened to one named row", replace(block, size=1, dim=1)
    yield "of one column or not", replace(block, column=not block.column)
    for start, height in artifact.partition:
        if size_of(height, artifact.graph.sizes) == block.size or block.column:
            yield f"reads rows {start}", replace(block, col=start)
            yield f"writes rows {start}", replace(block, row=start)


# -- heads, rows, layers ----------------------------------------------------------------------------------------------


def structure_families(claimed: Claimed) -> list[Family]:
    """Heads dropped, doubled and mixed up; rows permuted; layers dropped, repeated, exchanged, shifted; units dropped."""
    return [listed(kind, changes) for kind, changes in _structure(claimed).items()]


_Changes = dict[str, list[tuple[str, Callable[[], Claimed | None]]]]


def _structure(claimed: Claimed) -> _Changes:
    layers = claimed.artifact.layers
    found: _Changes = {"heads": [], "rows permuted": [], "layers": [], "units dropped": []}

    def heads(number: int, new: Sequence[HeadWeights]) -> Callable[[], Claimed | None]:
        layer = replace(layers[number], heads=tuple(new))
        return lambda: None if layer == layers[number] else with_layer(claimed, number, layer)

    def order(indices: Sequence[int]) -> Callable[[], Claimed | None]:
        new = tuple(layers[i] for i in indices)
        changed = replace(claimed, artifact=replace(claimed.artifact, layers=new))
        return lambda: None if new == layers else changed

    for number, layer in enumerate(layers):
        name, all_heads = f"layer {number + 1}", layer.heads
        for j, head in enumerate(all_heads):
            before, after = all_heads[:j], all_heads[j + 1 :]
            found["heads"].append((f"{name} without head {j + 1}", heads(number, (*before, *after))))
            found["heads"].append((f"{name} with head {j + 1} twice", heads(number, (*before, head, head, *after))))
            for a, b in combinations(("W_V", "W_K", "W_Q"), 2):
                new = replace(head, **{a: getattr(head, b), b: getattr(head, a)})
                found["heads"].append((f"{name} head {j + 1}: {a} and {b} exchanged", heads(number, (*before, new, *after))))
            for k, part in ((k, part) for k in range(j) for part in ("W_V", "W_K", "W_Q")):
                mixed = list(all_heads)
                mixed[j] = replace(head, **{part: getattr(all_heads[k], part)})
                mixed[k] = replace(all_heads[k], **{part: getattr(head, part)})
                found["heads"].append((f"{name}: {part} of heads {k + 1} and {j + 1} exchanged", heads(number, mixed)))
        if layer.ffn is not None:
            found["units dropped"] += _without_units(claimed, number, layer.ffn)
    for place in places(claimed.artifact):
        for i in range(place.matrix.shape[0] - 1):
            found["rows permuted"].append((f"{place}: rows {i} and {i + 1} exchanged", _exchanged(claimed, place, i)))
    depth = len(layers)
    for i in range(depth):
        found["layers"].append((f"without layer {i + 1}", order([k for k in range(depth) if k != i])))
        found["layers"].append((f"layer {i + 1} twice", order([*range(i + 1), *range(i, depth)])))
    for i, k in combinations(range(depth), 2):
        swapped = {i: k, k: i}
        found["layers"].append((f"layers {i + 1} and {k + 1} exchanged", order([swapped.get(j, j) for j in range(depth)])))
    if depth > 1:
        found["layers"].append(("layers shifted by one", order([*range(1, depth), 0])))
    return {kind: changes for kind, changes in found.items() if changes}


def _without_units(claimed: Claimed, number: int, ffn: FeedForwardWeights) -> list[tuple[str, Callable[[], Claimed | None]]]:
    layer = claimed.artifact.layers[number]
    out: list[tuple[str, Callable[[], Claimed | None]]] = []
    out.append((f"layer {number + 1} without units", lambda: with_layer(claimed, number, replace(layer, ffn=None))))
    place = Place(number, None, "W_2", ffn.W_2)
    for unit in range(ffn.W_2.shape[1]):

        def silent(unit: int = unit) -> Claimed | None:
            matrix = ffn.W_2
            for i, j in (at for at in entries_of(ffn.W_2) if at[1] == unit):
                matrix = with_entry(matrix, i, j, Fraction(0))
            return with_matrix(claimed, place, matrix)

        out.append((f"layer {number + 1} without unit {unit + 1}", silent))
    return out


def _exchanged(claimed: Claimed, place: Place, row: int) -> Callable[[], Claimed | None]:
    """Two neighbouring rows of a matrix exchanged."""

    def change() -> Claimed | None:
        matrix, entries = place.matrix, entries_of(place.matrix)
        for i, j in (at for at in entries if at[0] in (row, row + 1)):
            matrix = with_entry(matrix, i, j, entries.get((2 * row + 1 - i, j), Fraction(0)))
        for i, j in (at for at in entries if at[0] in (row, row + 1)):
            matrix = with_entry(matrix, 2 * row + 1 - i, j, entries[i, j])
        return with_matrix(claimed, place, matrix)

    return change
