"""Translation validation: what every intermediate representation of the compiler means, and that passes keep the meaning.

    graph → (units) → plan → placement → schedule → layout → heads → weights

Each is evaluated at the same random point, in exact arithmetic, from its own data alone, and compared with the one before it:
so a pass that goes wrong is named, and not only the end result. Alternatives (a term that can be made in several ways) must all
mean the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from typing import TypeVar

import numpy as np

from ..compiler.allocate import Habits, allocate
from ..compiler.architecture import Architecture
from ..compiler.artifact import Artifact
from ..compiler.emit import Compilation, emit
from ..compiler.errors import ArchitectureError
from ..compiler.graph import Graph
from ..compiler.ir import Layout, Plan, Ref, Schedule, Slot, SlotHead, SlotTerm, SlotUnits
from ..compiler.layout import place_inputs
from ..compiler.merge import merge
from ..compiler.narrow import narrow, narrowest
from ..compiler.pipeline import HELPED, Machine, candidates, cuts_inputs, distinct_plans, may_help
from ..compiler.place import is_identity
from ..compiler.weights import slot_starts
from .exact import decode, encode, streams
from .labels import mislabelled, named_nodes
from .meanings import PlanMeaning, Point, check_placement, check_plan, check_schedule, name_of, need, written_at

T = TypeVar("T")

_Stream = dict[Slot, np.ndarray]
_Attend = Callable[[_Stream, int], _Stream]


@dataclass(frozen=True)
class SlotMachine:
    """The stream over slots; `tokens` columns, of which the first `keys` are keys."""

    layout: Layout
    meaning: PlanMeaning
    tokens: int
    keys: int

    def read(self, ref: Ref, stream: _Stream) -> np.ndarray:
        rows = stream[ref.slot][:1] if ref.first else stream[ref.slot]
        return self.meaning.point.arithmetic.matmul(self.meaning.letter(ref.fold), rows) if ref.fold else rows

    def product(self, V: np.ndarray, K: np.ndarray, Q: np.ndarray) -> np.ndarray:
        matmul = self.meaning.point.arithmetic.matmul
        return matmul(matmul(V[:, : self.keys], K[:, : self.keys].T), Q)

    def add(self, stream: _Stream, target: Slot, value: np.ndarray, c: Fraction = Fraction(1)) -> None:
        arithmetic = self.meaning.point.arithmetic
        stream[target] = arithmetic.reduce(stream[target] + arithmetic.scale(value, c))

    def terms(self, pick: Callable[[int], int]) -> _Attend:
        """Attention as the layout has it; pick: which of so many alternatives."""

        def attend(stream: _Stream, number: int) -> _Stream:
            new = dict(stream)
            for alternatives in self.layout.layers[number]:
                chosen: tuple[SlotTerm, ...] = alternatives[pick(len(alternatives))]
                for t in chosen:
                    V, K, Q = (self.read(ref, stream) for ref in (t.V, t.K, t.Q))
                    self.add(new, t.target, self.product(V, K, Q), t.coefficient)
            return new

        return attend

    def heads(self, heads: Sequence[Sequence[SlotHead]]) -> _Attend:
        """Attention as merged heads have it."""
        point = self.meaning.point

        def form(parts: Sequence[tuple[Ref, Fraction]], stream: _Stream) -> np.ndarray:
            read = [(c, self.read(ref, stream)) for ref, c in parts]
            return point.total(read, (read[0][1].shape[0], self.tokens))

        def attend(stream: _Stream, number: int) -> _Stream:
            new = dict(stream)
            for head in heads[number]:
                stack = [(form(keys, stream), form(queries, stream)) for keys, queries in head.KQ]
                for target, source, c in head.V:
                    V = self.read(source, stream)
                    for K, Q in stack:
                        self.add(new, target, self.product(V, K, Q), c)
            return new

        return attend

    def feed_forward(self, stream: _Stream, units: Sequence[SlotUnits]) -> _Stream:
        point, new = self.meaning.point, dict(stream)
        for entry in units:
            shape = stream[entry.target].shape
            args = [point.total([(c, self.read(ref, stream)) for ref, c in arg], shape) for arg in entry.args]
            bias = None if entry.bias is None else self.read(entry.bias, stream)
            self.add(new, entry.target, point.units(entry.units, args, bias, (shape[0], shape[1])))
        return new

    def run(self, start: _Stream, attend: _Attend) -> list[_Stream]:
        """The stream at every half layer: after H_0, after attention, after units, …"""
        out = [start]
        for number, units in enumerate(self.layout.local):
            out.append(attend(out[-1], number))
            out.append(self.feed_forward(out[-1], units))
        return out

    def check(self, half_layers: list[_Stream], stage: str) -> None:
        """Every copy is in its rows, on its own tokens, from when it is written until it is read last."""
        schedule = self.layout.schedule
        for copy, slot in self.layout.slot_of.items():
            identity = is_identity(copy)
            last = 2 * schedule.depth if identity else max(schedule.time_of(copy) - 1, 0)
            want = self.meaning.copy(copy)
            for time in range(0 if identity else written_at(schedule, copy), min(last, 2 * schedule.depth) + 1):
                found = half_layers[time][slot][:, : want.shape[1]]
                what = f"{name_of(schedule.placement.plan, copy)} is not in its rows at half layer {time}"
                need(np.array_equal(found, want), stage, what)


def _encoded(layout: Layout, meaning: PlanMeaning, tokens: int) -> _Stream:
    point = meaning.point
    stream = {slot: point.zeros(slot.height, tokens) for slot in layout.slots}
    placed = [*layout.slot_of.items(), *((copy, slot) for slot, copy in layout.twins)]
    for copy, slot in placed:
        if is_identity(copy) or not layout.schedule.placement.plan.values[copy.atom].computed:
            value = meaning.copy(copy)
            stream[slot][:, : value.shape[1]] = value
    return stream


def check_candidate(layout: Layout, meaning: PlanMeaning, architecture: Architecture) -> Artifact:
    """Allocation, merging and the emission of weights, of one candidate; the artifact that is emitted."""
    point = meaning.point
    starts, _ = slot_starts(layout.slots, point.graph.sizes)
    _, tokens = place_inputs(layout, starts)
    machine = SlotMachine(layout, meaning, tokens, architecture.keys(point.graph.sizes, tokens))
    start = _encoded(layout, meaning, tokens)
    for pick in (lambda count: 0, lambda count: count - 1):
        machine.check(machine.run(start, machine.terms(pick)), "allocate")
    heads = tuple(merge(terms) for terms in layout.layers)
    merged = machine.run(start, machine.heads(heads))
    machine.check(merged, "merge")
    artifact = emit(point.graph, architecture, Compilation(layout, heads))
    whole = [_stacked(stream, layout) for stream in merged[::2]]
    check_weights(artifact, point, whole, range(len(whole)))
    narrowed, after = narrow(artifact, narrowest(artifact) or None)
    check_weights(narrowed, point, whole, after)
    return artifact


def _stacked(stream: _Stream, layout: Layout) -> np.ndarray:
    return np.concatenate([stream[slot] for slot in layout.slots]) if layout.slots else np.zeros((0, 0))


def check_weights(artifact: Artifact, point: Point, merged: list[np.ndarray], after: Sequence[int]) -> None:
    """The weights compute what the heads over slots do, on every row and token; encoding, decoding and labels are right.
    after: how many layers of the weights are done at every boundary of the layout."""
    found = list(streams(artifact, encode(artifact, point.inputs, point.arithmetic), point.arithmetic))
    need(np.array_equal(found[0], merged[0]), "emit", "the encoding is not what the layout starts from")
    need(len(found) == after[-1] + 1, "emit", f"there are {len(found) - 1} layers, and {after[-1]} are said to be")
    for number, theirs in zip(after, merged, strict=True):
        need(np.array_equal(found[number], theirs), "emit", f"the stream after layer {number} is not that of the heads")
    outputs = decode(artifact, found[-1], point.arithmetic)
    for output in point.graph.outputs:
        need(np.array_equal(outputs[output.name], point.node(output.node)), "emit", f"output {output.name} is another value")
    named = {node: point.node(node) for node in named_nodes(point.graph)}
    need(not (wrong := mislabelled(artifact, found, named, point.arithmetic)), "labels", wrong)


def validate(graph: Graph, architecture: Architecture, most: int = 3, look_through: Sequence[str] = ("all", "minor")) -> int:
    """Validates every pass on a graph whose units are lowered already, for up to `most` plans and as many candidates that can
    be laid out (they are spread over all); how many were. Raises WrongPass."""
    point, plans = Point.of(graph), []
    plain = Machine.of(architecture)
    for machine in (plain, replace(plain, over_read=False), *((HELPED,) if may_help(architecture) else ())):
        several = distinct_plans(graph, tuple(look_through), machine.keys is None and cuts_inputs(graph), machine.sums)
        plans += [(plan, machine) for plan in several]
    laid_out = 0
    for plan, machine in _spread(plans, most):
        meaning = check_plan(plan, point)
        checked: set[int] = set()
        for scheduled, habits in _spread(_candidates(plan, machine), most):
            if id(scheduled) not in checked:
                checked.add(id(scheduled))
                check_placement(scheduled.placement, meaning)
                check_schedule(scheduled)
            try:
                layout = allocate(scheduled, habits)
            except ArchitectureError:  # the pipeline goes on to another one, too
                continue
            if machine.multiplies or not any(layout.layers):
                check_candidate(layout, meaning, architecture)
                laid_out += 1
    return laid_out


def _candidates(plan: Plan, machine: Machine) -> list[tuple[Schedule, Habits]]:
    try:
        return list(islice(candidates([plan], machine), _CANDIDATES))
    except ArchitectureError:  # it cannot be placed
        return []


#: Candidates of one plan that are made, to choose from.
_CANDIDATES = 24


def _spread(items: Sequence[T], most: int) -> list[T]:
    """The first of the items, the last, and some in between."""
    if len(items) <= most:
        return list(items)
    return [items[i * (len(items) - 1) // (most - 1)] for i in range(most)] if most > 1 else list(items[:1])
