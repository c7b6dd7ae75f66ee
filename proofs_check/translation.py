"""Translation validation: what every intermediate representation of the compiler means, and that passes keep the meaning.

    graph → (units) → plan → placement → schedule → layout → heads → weights

Each is evaluated at the same random point, in exact arithmetic, from its own data alone, and compared with the one before it:
so a pass that goes wrong is named, and not only the end result. Alternatives (a term that can be made in several ways) must all
mean the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from itertools import islice
from typing import TypeVar

import numpy as np

from ..compiler.algebra import Letter, Poly
from ..compiler.allocate import Habits, allocate
from ..compiler.architecture import Architecture
from ..compiler.artifact import Artifact
from ..compiler.dims import size_of
from ..compiler.errors import ArchitectureError
from ..compiler.graph import Graph, evaluate, live_nodes
from ..compiler.ir import Copy, Form, Layout, Local, Placement, Plan, Ref, Schedule, Slot, SlotHead, SlotTerm, SlotUnits, whole
from ..compiler.layout import place_inputs
from ..compiler.merge import merge
from ..compiler.ops import Arithmetic
from ..compiler.pipeline import Compilation, Machine, candidates, cuts_inputs, distinct_plans, emit
from ..compiler.place import is_identity
from ..compiler.units import Units, activate
from ..compiler.weights import slot_starts
from .exact import decode, encode, program_at, streams
from .labels import mislabelled, named_nodes
from .modular import MODULAR, PRIME

T = TypeVar("T")


class WrongPass(AssertionError):
    """A pass changed the meaning; the message begins with its name."""


def need(condition: bool, stage: str, what: str) -> None:
    if not condition:
        raise WrongPass(f"{stage}: {what}")


@dataclass(frozen=True)
class Point:
    """A random point: the program's graph and its inputs."""

    graph: Graph
    inputs: Mapping[str, np.ndarray]
    arithmetic: Arithmetic = MODULAR

    @staticmethod
    def of(graph: Graph, seed: int = 0) -> Point:
        inputs, _ = program_at(graph, MODULAR, seed)
        return Point(graph, inputs, with_random_moduli(seed))

    @cached_property
    def values(self) -> Mapping[int, np.ndarray]:
        return evaluate(self.graph, self.inputs, self.arithmetic, live_nodes(self.graph))

    def node(self, index: int) -> np.ndarray:
        """The value of a node of the program."""
        if index in self.values:
            return self.values[index]
        found: np.ndarray = evaluate(self.graph, self.inputs, self.arithmetic, [index])[index]
        return found

    def size(self, dim: str | int) -> int:
        return size_of(dim, self.graph.sizes)

    def eye(self, dim: str | int) -> np.ndarray:
        return self.arithmetic.array(np.eye(self.size(dim), dtype=int).astype(object))

    def zeros(self, rows: str | int, cols: str | int) -> np.ndarray:
        return np.zeros((self.size(rows), self.size(cols)), dtype=self.arithmetic.dtype)

    def total(self, parts: Sequence[tuple[Fraction, np.ndarray]], shape: tuple[str | int, str | int]) -> np.ndarray:
        """Σ c · part; parts of one row stand for all rows."""
        out = self.zeros(*shape)
        for c, part in parts:
            out = self.arithmetic.reduce(out + self.arithmetic.scale(np.broadcast_to(part, out.shape), c))
        return out

    def units(self, units: Units, args: Sequence[np.ndarray], bias: np.ndarray | None, shape: tuple[int, int]) -> np.ndarray:
        """Σ weight · g(Σ coefficients · args + bias · row of ones), entry by entry."""
        out = self.zeros(*shape)
        for unit in units.units:
            reads = [(c, a) for c, a in zip(unit.coefficients, args, strict=True) if c]
            reads += [(unit.bias, bias)] if unit.bias and bias is not None else []
            inside = self.total(reads, shape)
            gate = self.total([(c, a) for c, a in zip(unit.gate, args, strict=False) if c], shape) if unit.gate else None
            found = activate(units.kind, inside, gate, self.arithmetic)
            out = self.arithmetic.reduce(out + self.arithmetic.scale(found, unit.weight))
        return out


def with_random_moduli(seed: int) -> Arithmetic:
    """Integers modulo 2^61 − 1 in which |a| is a number of its own, drawn when a or −a first occurs: relu(a) = (a + |a|)/2."""
    absolute: dict[int, int] = {0: 0}
    rng = random.Random(seed)

    def relu(values: np.ndarray) -> np.ndarray:
        keys = [min(x, PRIME - x) if x else 0 for x in values.ravel().tolist()]
        for key in keys:
            if key not in absolute:
                absolute[key] = rng.randrange(PRIME)
        moduli = np.array([absolute[key] for key in keys], dtype=np.uint64).reshape(values.shape)
        return MODULAR.scale(MODULAR.reduce(values + moduli), Fraction(1, 2))

    return replace(MODULAR, relu=relu)


# -- plan --------------------------------------------------------------------------------------------------------------


@dataclass
class PlanMeaning:
    """The value of every atom of a plan."""

    plan: Plan
    point: Point
    known: dict[int, np.ndarray] = field(default_factory=dict)

    def letter(self, letter: Letter) -> np.ndarray:
        value = self.atom(letter[0])
        return value.T if letter[1] else value

    def atom(self, atom: int) -> np.ndarray:
        if atom not in self.known:
            self.known[atom] = self._atom(atom)
        return self.known[atom]

    def _atom(self, atom: int) -> np.ndarray:
        if atom in self.plan.forms:
            return self.poly(self.plan.forms[atom])
        value, point = self.plan.values[atom], self.point
        if value.view is not None:
            return self.letter(value.view)[: point.size(value.shape[0])]
        if value.leaf is not None:
            made = {"eye": lambda: point.eye(value.shape[0]), "zeros": lambda: point.zeros(*value.shape)}
            return made[value.leaf.kind]() if value.leaf.kind in made else point.node(value.leaf.node)
        if value.units is not None:
            ones = point.arithmetic.ones((1, 1))
            shape = (point.size(value.shape[0]), point.size(value.shape[1]))
            return point.units(value.units, [self.poly(arg) for arg in value.args], ones, shape)
        assert value.poly is not None
        return self.poly(value.poly)

    def poly(self, poly: Poly) -> np.ndarray:
        parts = []
        for word, c in poly:
            product = None
            for letter in word:
                found = self.letter(letter)
                product = found if product is None else self.point.arithmetic.matmul(product, found)
            parts.append((c, self.point.eye(poly.shape[0]) if product is None else product))
        return self.point.total(parts, poly.shape)

    # -- copies ------------------------------------------------------------------------------------------------

    def copy(self, copy: Copy) -> np.ndarray:
        """What the rows of a copy hold, on its own tokens."""
        if is_identity(copy):
            return self.point.eye(copy.rows)
        if copy.fold:
            rest = Copy(copy.atom, copy.flipped, whole(self.plan, copy).rows, copy.cols)
            return self.point.arithmetic.matmul(self.letter(copy.fold), self.copy(rest))
        value = self.atom(copy.atom)
        stored = value.T if copy.flipped else value
        return stored[: self.point.size(copy.rows), : self.point.size(copy.cols)]

    def form(self, form: Form) -> np.ndarray:
        parts = [(c, self.copy(copy)) for c, copy in form]
        rows = max(part.shape[0] for _, part in parts)
        return self.point.total(parts, (rows, parts[0][1].shape[1]))


def check_plan(plan: Plan, point: Point) -> PlanMeaning:
    """Every value that stands for a node of the program is that node, and so are the outputs."""
    meaning = PlanMeaning(plan, point)
    for atom, value in plan.values.items():
        found = meaning.atom(atom)
        shape = (point.size(value.shape[0]), point.size(value.shape[1]))
        need(found.shape == shape, "select", f"{value.name} has shape {found.shape}, expected {shape}")
        if value.node is not None and value.leaf is None and value.view is None:
            same = np.array_equal(found, point.node(value.node))
            need(same, "select", f"{value.name} is not node {value.node} of the program")
        if plan.algebra.atoms[atom].symmetric:
            need(np.array_equal(found, found.T), "select", f"{value.name} is called symmetric")
    for spec, atom, flipped in plan.outputs:
        found, want = meaning.letter((atom, flipped)), point.node(spec.node)
        inside = any(np.array_equal(part, want) for part in _parts(found, want.shape[0], point))
        need(inside, "select", f"output {spec.name} is another value")
    return meaning


def _parts(found: np.ndarray, rows: int, point: Point) -> Iterator[np.ndarray]:
    """The value, its first and last rows, and these negated: where outputs are cut out when they are read."""
    for part in (found[:rows], found[len(found) - rows :]):
        yield from (part, point.arithmetic.scale(part, Fraction(-1)))


# -- placement and schedule ------------------------------------------------------------------------------------------


def check_placement(placement: Placement, meaning: PlanMeaning) -> None:
    """Every copy is the sum of its terms, whichever alternative is taken, or what its units make of what they read."""
    point, arithmetic = meaning.point, meaning.point.arithmetic
    for copy, terms in placement.terms.items():
        parts = []
        for alternatives in terms:
            made = []
            for term in alternatives:
                V, K, Q = (meaning.form(form) for form in (term.V, term.K, term.Q))
                made.append(arithmetic.scale(arithmetic.matmul(arithmetic.matmul(V, K.T), Q), term.coefficient))
            alike = all(np.array_equal(m, made[0]) for m in made)
            need(alike, "place", f"the ways to make a term of {_name(meaning.plan, copy)} differ")
            parts.append((Fraction(1), made[0]))
        same = np.array_equal(point.total(parts, (copy.rows, copy.cols)), meaning.copy(copy))
        need(same, "place", f"the terms of {_name(meaning.plan, copy)} do not add up to it")
    for copy, local in placement.local.items():
        found = _local(local, copy, meaning)
        same = np.array_equal(found, meaning.copy(copy))
        need(same, "place", f"the units of {_name(meaning.plan, copy)} make something else")
    for spec, copy, flipped in placement.outputs:
        stored, want = meaning.copy(copy), point.node(spec.node)
        parts_of = _parts(stored.T if flipped else stored, want.shape[0], point)
        need(any(np.array_equal(p, want) for p in parts_of), "place", f"output {spec.name} is read from another copy")


def _local(local: Local, copy: Copy, meaning: PlanMeaning) -> np.ndarray:
    args = [meaning.form(arg) if arg else meaning.point.zeros(1, copy.cols) for arg in local.args]
    bias = None if local.bias is None else meaning.form(local.bias)
    return meaning.point.units(local.units, args, bias, (meaning.point.size(copy.rows), meaning.point.size(copy.cols)))


def _name(plan: Plan, copy: Copy) -> str:
    name = plan.values[copy.atom].name if copy.atom in plan.values else f"I_{copy.rows}"
    return f"{name} (transposed)" if copy.flipped else name


def check_schedule(schedule: Schedule) -> None:
    """Everything is written before it is read, and called dead only after."""
    placement = schedule.placement
    for copy in placement.computed:
        local = copy in placement.local
        if local:
            forms: Sequence[Form] = placement.local[copy].reads
        else:
            forms = [f for alternatives in placement.terms[copy] for term in alternatives for f in (term.V, term.K, term.Q)]
        time = 2 * schedule.layer[copy] - (not local)  # in half layers
        need(1 <= schedule.layer[copy] <= schedule.depth, "schedule", f"{_name(placement.plan, copy)} has no layer")
        for source in {whole(placement.plan, c) for form in forms for _, c in form}:
            written = _written(schedule, source)
            need(written < time, "schedule", f"{_name(placement.plan, copy)} reads {_name(placement.plan, source)} too early")
            need(schedule.time_of(source) >= time, "schedule", f"{_name(placement.plan, source)} is called dead too early")


def _written(schedule: Schedule, copy: Copy) -> int:
    """The half layer after which a copy is there: 0 for what is encoded."""
    layer = schedule.layer.get(copy, 0)
    return 2 * layer if copy in schedule.placement.local else max(2 * layer - 1, 0)


# -- layout, heads, weights ------------------------------------------------------------------------------------------

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
            for time in range(0 if identity else _written(schedule, copy), min(last, 2 * schedule.depth) + 1):
                found = half_layers[time][slot][:, : want.shape[1]]
                what = f"{_name(schedule.placement.plan, copy)} is not in its rows at half layer {time}"
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
    check_weights(artifact, point, [_stacked(stream, layout) for stream in merged[::2]])
    return artifact


def _stacked(stream: _Stream, layout: Layout) -> np.ndarray:
    return np.concatenate([stream[slot] for slot in layout.slots]) if layout.slots else np.zeros((0, 0))


def check_weights(artifact: Artifact, point: Point, merged: list[np.ndarray]) -> None:
    """The weights compute what the heads over slots do, on every row and token; encoding, decoding and labels are right."""
    found = list(streams(artifact, encode(artifact, point.inputs, point.arithmetic), point.arithmetic))
    need(np.array_equal(found[0], merged[0]), "emit", "the encoding is not what the layout starts from")
    for number, (ours, theirs) in enumerate(zip(found, merged, strict=True)):
        need(np.array_equal(ours, theirs), "emit", f"the stream after layer {number} is not that of the heads")
    outputs = decode(artifact, found[-1], point.arithmetic)
    for output in point.graph.outputs:
        need(np.array_equal(outputs[output.name], point.node(output.node)), "emit", f"output {output.name} is another value")
    named = {node: point.node(node) for node in named_nodes(point.graph)}
    need(not (wrong := mislabelled(artifact, found, named, point.arithmetic)), "labels", wrong)


def validate(graph: Graph, architecture: Architecture, most: int = 3, look_through: Sequence[str] = ("all", "minor")) -> int:
    """Validates every pass on a graph whose units are lowered already, for up to `most` plans and as many candidates that can
    be laid out (they are spread over all); how many were. Raises WrongPass."""
    point, machine = Point.of(graph), Machine.of(architecture)
    plans = list(distinct_plans(graph, tuple(look_through), machine.keys is None and cuts_inputs(graph), machine.by_units))
    laid_out = 0
    for plan in _spread(plans, most):
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
