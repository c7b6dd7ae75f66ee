"""Where inputs are placed, where outputs are read, and what every row is called at every layer boundary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from .dims import Shape, size_of
from .graph import part_of_stack
from .ir import Copy, Layout, Slot
from .place import is_identity

#: Label → rows, at one layer boundary.
Labels: TypeAlias = dict[str, range]


@dataclass(frozen=True)
class Placed:
    """A block of the residual stream that encoding writes or decoding reads.

    kind: "input", "vstack", "constant", "ones", "zeros", "eye" or "spread" when written, "output" when read. The block has its
    corner at row `row`, token `token`; `flipped` says that it holds the transpose of the value.
    """

    kind: str
    name: str
    node: int
    row: int
    height: int
    width: int
    flipped: bool
    shape: Shape
    token: int = 0  # the first token
    negated: bool = False  # decoding: the output is minus what stands there


def place_inputs(layout: Layout, starts: Mapping[Slot, int]) -> tuple[tuple[Placed, ...], int]:
    """The blocks that encoding writes, and the number of tokens that all blocks together need."""
    sizes = layout.schedule.placement.plan.graph.sizes
    plan = layout.schedule.placement.plan
    placed = []
    for copy, slot in (*layout.slot_of.items(), *((copy, slot) for slot, copy in layout.twins)):
        value = None if is_identity(copy) else plan.values[copy.atom]
        if value is not None and value.leaf is None:
            continue
        kind, node, name = (
            ("eye", -1, f"I_{copy.rows}")
            if value is None or value.leaf is None
            else (value.leaf.kind, value.leaf.node, value.name)
        )
        placed.append(_placed(kind, name, node, copy, slot, starts, sizes))
    read = [size_of(c.cols, sizes) for c in layout.slot_of]
    return tuple(sorted(placed, key=lambda p: p.row)), max(read, default=1)


def _placed(
    kind: str, name: str, node: int, copy: Copy, slot: Slot, starts: Mapping[Slot, int], sizes: Mapping[str, int]
) -> Placed:
    shape = (copy.cols, copy.rows) if copy.flipped else (copy.rows, copy.cols)
    return Placed(kind, name, node, starts[slot], size_of(copy.rows, sizes), size_of(copy.cols, sizes), copy.flipped, shape)


def place_outputs(layout: Layout, starts: Mapping[Slot, int]) -> tuple[Placed, ...]:
    """The blocks that decoding reads."""
    graph = layout.schedule.placement.plan.graph
    sizes, out = graph.sizes, []
    for spec, copy, flipped in layout.schedule.placement.outputs:
        inner = part_of_stack(graph, spec.node)
        node = graph.nodes[spec.node if inner is None else inner]
        part = copy.cols if inner is None else node.shape[0]
        rows, cols = size_of(copy.rows, sizes), size_of(part, sizes)
        token = size_of(copy.cols, sizes) - cols if node.op == "bottom" else 0
        shape = (part, copy.rows) if flipped else (copy.rows, part)
        start, negated = starts[layout.slot_of[copy]], inner not in (None, spec.node)
        out.append(Placed("output", spec.name, spec.node, start, rows, cols, flipped, shape, token, negated))
    return tuple(out)


def transposed_name(name: str) -> str:
    """The label of a value whose transpose is stored: Aᵀ, or (Aᵀ y)ᵀ for a product."""
    return f"({name})ᵀ" if " " in name else f"{name}ᵀ"


def label_rows(layout: Layout, starts: Mapping[Slot, int]) -> tuple[Labels, ...]:
    """For every boundary 0 … depth (after that many layers): the live values and their rows."""
    plan, schedule = layout.schedule.placement.plan, layout.schedule
    boundaries: list[Labels] = [{} for _ in range(schedule.depth + 1)]
    twins = dict(layout.twins)
    written = {slot: min(schedule.layer[c] for c, at in layout.slot_of.items() if at == slot) for slot in twins}
    local = schedule.placement.local
    overwritten = {(units.target, number) for number, layer in enumerate(layout.local, 1) for units in layer}
    held = [*layout.slot_of.items(), *((copy, slot) for slot, copy in twins.items())]
    for copy, slot in sorted(held, key=lambda item: (starts[item[1]], item[1] not in twins)):
        rows = range(starts[slot], starts[slot] + size_of(slot.height, plan.graph.sizes))
        if is_identity(copy):
            live, name = range(schedule.depth + 1), f"I_{copy.rows}"
        else:
            begin = schedule.layer[copy]
            # labelled where it is written, unless the same layer's feed-forward part clears it or writes something else there
            shortest = begin + ((slot, begin) not in overwritten or copy in local)
            end = min(max(shortest, (schedule.time_of(copy) + 1) // 2), schedule.depth + 1)
            live = range(written[slot]) if twins.get(slot) == copy else range(begin, end)
            name = transposed_name(plan.values[copy.atom].name) if copy.flipped else plan.values[copy.atom].name
        for boundary in live:
            label, count = name, 2
            while label in boundaries[boundary]:
                label, count = f"{name}#{count}", count + 1
            boundaries[boundary][label] = rows
    return tuple(boundaries)
