"""What plans, placements and schedules mean at a random point, in exact arithmetic; `translation` goes on from there."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property

import numpy as np

from ..compiler.algebra import Letter, Poly
from ..compiler.dims import size_of
from ..compiler.graph import Graph, evaluate, live_nodes
from ..compiler.ir import Copy, Form, Local, Placement, Plan, Schedule, whole
from ..compiler.ops import Arithmetic
from ..compiler.place import is_identity
from ..compiler.units import Units, activate
from .exact import program_at
from .modular import MODULAR, PRIME


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
            need(alike, "place", f"the ways to make a term of {name_of(meaning.plan, copy)} differ")
            parts.append((Fraction(1), made[0]))
        same = np.array_equal(point.total(parts, (copy.rows, copy.cols)), meaning.copy(copy))
        need(same, "place", f"the terms of {name_of(meaning.plan, copy)} do not add up to it")
    for copy, local in placement.local.items():
        found = _local(local, copy, meaning)
        same = np.array_equal(found, meaning.copy(copy))
        need(same, "place", f"the units of {name_of(meaning.plan, copy)} make something else")
    for spec, copy, flipped in placement.outputs:
        stored, want = meaning.copy(copy), point.node(spec.node)
        parts_of = _parts(stored.T if flipped else stored, want.shape[0], point)
        need(any(np.array_equal(p, want) for p in parts_of), "place", f"output {spec.name} is read from another copy")


def _local(local: Local, copy: Copy, meaning: PlanMeaning) -> np.ndarray:
    args = [meaning.form(arg) if arg else meaning.point.zeros(1, copy.cols) for arg in local.args]
    bias = None if local.bias is None else meaning.form(local.bias)
    return meaning.point.units(local.units, args, bias, (meaning.point.size(copy.rows), meaning.point.size(copy.cols)))


def name_of(plan: Plan, copy: Copy) -> str:
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
        need(1 <= schedule.layer[copy] <= schedule.depth, "schedule", f"{name_of(placement.plan, copy)} has no layer")
        for source in {whole(placement.plan, c) for form in forms for _, c in form}:
            written = written_at(schedule, source)
            name = name_of(placement.plan, source)
            need(written < time, "schedule", f"{name_of(placement.plan, copy)} reads {name} too early")
            need(schedule.time_of(source) >= time, "schedule", f"{name} is called dead too early")


def written_at(schedule: Schedule, copy: Copy) -> int:
    """The half layer after which a copy is there: 0 for what is encoded."""
    layer = schedule.layer.get(copy, 0)
    return 2 * layer if copy in schedule.placement.local else max(2 * layer - 1, 0)
