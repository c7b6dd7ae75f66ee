"""Hints for the proof: which rows hold which value after which layer."""

from __future__ import annotations

from collections.abc import Mapping

from .artifact import ValueHint
from .ir import Layout, Slot


def name_values(layout: Layout, starts: Mapping[Slot, int]) -> tuple[ValueHint, ...]:
    """One hint for every computed copy, at the layer that writes it; values of the program before intermediate ones."""
    plan, schedule = layout.schedule.placement.plan, layout.schedule
    hints = []
    for copy in schedule.placement.computed:
        value = plan.values[copy.atom]
        where = starts[layout.slot_of[copy]]
        symmetric = plan.algebra.atoms[copy.atom].symmetric
        layer = schedule.layer[copy]
        local = value.units is not None
        hints.append(ValueHint(layer, where, copy.rows, copy.cols, value.node, copy.flipped, value.name, symmetric, local))
    return tuple(sorted(hints, key=lambda h: (h.boundary, h.local, h.node is None, h.row)))
