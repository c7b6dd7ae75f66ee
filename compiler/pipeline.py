"""The whole compile on one screen: graph → units → plan → placement → schedule → layout → heads → exact weights.

Several equal programs are built and the best is kept (`optimize` says what best means). Same input, same output.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from itertools import product
from time import perf_counter

from .allocate import Habits, allocate, may_use_twins
from .architecture import Architecture, check_legal
from .artifact import Artifact, Lowering, Proven, Search
from .choices import Choices
from .dims import Dim
from .emit import Compilation, check_range, emit
from .errors import ArchitectureError, CompileError
from .graph import Graph, check_graph, live_nodes
from .head_counts import ARGUMENT, ASSUMES, heads_needed
from .improve import Rows, fewest_rows
from .ir import Plan, Schedule
from .merge import merge
from .narrow import narrow, narrowest
from .ops import OPS
from .place import Taste, place
from .polynomials import EXACTLY, lower_exactly
from .schedule import schedule
from .select import select
from .tolerances import lower_within

#: What each goal minimises, most important first. "balanced" keeps the values that the user named; the others also
#: look through them where that saves layers, at the price of more heads and rows.
GOALS = {
    "balanced": ("depth", "weighted parameters", "heads"),
    "depth": ("depth", "rows", "heads"),
    "width": ("rows", "depth", "heads"),
    "heads": ("heads", "depth", "rows"),
}


#: Programs of more nodes than this are compiled from few candidates.
LONG = 400

#: Plans of more products than this are laid out in few ways, for the same reason.
LARGE = 150

#: How `place` may value rows: computed values dear or cheap (they may reuse dead rows), sizes as they are or alike.
TASTES = tuple(Taste(computed, alike) for alike in (False, True) for computed in (1.5, 0.5))

#: A taste for programs whose units fix the orientation of many blocks.
AHEAD = Taste(ahead=True)


def compile_graph(
    graph: Graph,
    architecture: Architecture,
    optimize: str = "balanced",
    within: Mapping[str, int] | None = None,
    time_limit: float | None = None,
    tol: Fraction | None = None,
    max_ffn_width: int | None = None,
) -> Artifact:
    """Compiles a graph; of equally deep candidates those within the limits ("heads", "rows") come first.

    time_limit: seconds after which no further candidate is begun. Without one the result is always the same.
    tol: how far outputs may be from the program's where it has functions that units approximate.
    max_ffn_width: units in a layer at most; what is more goes to layers of its own (`narrow`).
    Raises ArchitectureError for what cannot be expressed and CompileError for an unknown goal.
    """
    begun = perf_counter()
    if optimize not in GOALS:
        raise CompileError(f"optimize is {optimize!r}: expected a goal", fix=f"choose one of {', '.join(map(repr, GOALS))}")
    check_graph(graph)
    check_legal(graph, architecture)
    lowered = None
    if any(OPS[graph.nodes[index].op].role == "positionwise" for index in live_nodes(graph)):
        graph, lowered = lower_graph(graph, tol, architecture)
        check_graph(graph)
    machine = Machine.of(architecture)
    look_through = ("minor",) if optimize == "balanced" else ("all", "minor")
    several = (graph, look_through, machine.keys is None and cuts_inputs(graph))
    plans = list(distinct_plans(*several, machine.sums))
    if GOALS[optimize][0] == "depth":
        fewest = min(map(depth_of, plans))
        plans = [plan for plan in plans if depth_of(plan) == fewest]
    plans.sort(key=words_of)  # stable: the simplest first
    trial = Trial(optimize, within or {}, machine)

    def seconds_left() -> float | None:
        return None if time_limit is None else time_limit - (perf_counter() - begun)

    def try_all(several: Iterator[tuple[Schedule, Habits]]) -> bool:
        """Lays candidates out until the time is over; whether all were tried."""
        for scheduled, habits in several:
            if trial.best is not None and (left := seconds_left()) is not None and left < 0:
                return False
            trial.lay_out(scheduled, habits)
        return True

    finished = try_all(candidates(plans, machine, trial))
    if trial.best is None:  # of the few choices for a long program none can be laid out: the first of the others that can
        plans += distinct_plans(*several, machine.sums, few=0)
        any(trial.lay_out(*candidate) for candidate in candidates(plans, machine, trial, few=False))
    exact = Rows(plans, note="only optimize='depth' and 'width' use one")
    if lowered is not None:
        exact = Rows(plans, note="programs with feed-forward units are laid out without one")
    elif not architecture.plain or any(plan.folded for plan in plans):
        exact = Rows(plans, note="it knows eq. (3.1) without constants in the weights")
    elif optimize in ("depth", "width"):
        best, deep = trial.chosen, optimize == "width"
        exact = fewest_rows(plans, best.plan, best.costs()["rows"], deep, trial.lay_out_all, seconds_left)
    finished = finished and exact.finished
    if lowered is None and may_help(architecture) and optimize in ("heads", "width"):
        alone, helped = trial.chosen, sorted(distinct_plans(*several, HELPED.sums), key=words_of)
        finished = try_all(candidates(helped, HELPED, trial)) and finished
        if exact.engine and trial.chosen is not alone:
            exact = Rows((), note="it does not know layouts whose rows are cleared and copied by feed-forward units")
    best = trial.chosen
    if max_ffn_width is not None and narrowest(emit(graph, architecture, best)) > max_ffn_width:
        apart = replace(machine, over_read=False)
        trial = Trial(optimize, within or {}, apart)
        finished = try_all(candidates(plans, apart, trial)) and finished
        best = trial.chosen
    check_range(graph, best)
    proven = exact.proven(best.plan, best.costs()["rows"])
    artifact, after = narrow(emit(graph, architecture, best), max_ffn_width)
    proven += heads_proven(best, after) if architecture.attention == "linear" else ()
    search = Search(optimize, trial.tried, finished, exact.engine, exact.note, proven)
    return replace(artifact, search=search, lowered=lowered)


@dataclass(frozen=True)
class Machine:
    """What layouts have to know of an architecture: the key mask, whether rows are cleared by units also where the program
    has none, whether units can do so, whether heads multiply (else nothing is left to them), what may add copies of rows
    (`Choices.sums`), and whether units may write over what units of the same layer read."""

    keys: Dim | None
    by_units: bool
    units_clear: bool
    multiplies: bool = True
    sums: tuple[str, ...] = ("attention",)
    over_read: bool = True

    @staticmethod
    def of(architecture: Architecture) -> Machine:
        relu = architecture.ffn == "relu"
        multiplies = architecture.attention != "softmax" and not architecture.causal
        by_units = relu and not architecture.plain
        sums = ("attention", "scaled", "units") if by_units else ("attention",)
        return Machine(architecture.key_mask, by_units, relu, multiplies, sums)


#: Eq. (3.1).
PLAIN = Machine(None, False, True)

#: Eq. (3.1), with rows cleared and copied by the feed-forward part too.
HELPED = Machine(None, True, True, sums=("scaled",))


def may_help(architecture: Architecture) -> bool:
    """Whether layouts of HELPED are layouts of the architecture."""
    return architecture.plain and architecture.ffn == "relu"


@dataclass
class Trial:
    """Candidates laid out so far, and the best of them."""

    goal: str
    within: Mapping[str, int]
    machine: Machine
    tried: int = 0
    best: Compilation | None = None
    refused: ArchitectureError | None = None

    def __post_init__(self) -> None:
        self.merged = cache(merge)  # layers repeat, within a candidate and between candidates

    @property
    def chosen(self) -> Compilation:
        """The best candidate. Raises what refused them all."""
        if self.best is None:
            assert self.refused is not None
            raise self.refused
        return self.best

    def lay_out(self, scheduled: Schedule, habits: Habits) -> bool:
        """Makes a candidate; whether it is the best so far."""
        self.tried += 1
        try:
            layout = allocate(scheduled, habits)
        except ArchitectureError as error:  # another candidate may do
            self.refused = error
            return False
        candidate = Compilation(layout, tuple(self.merged(terms) for terms in layout.layers))
        if any(candidate.heads) and not self.machine.multiplies:
            what = f"{candidate.plan.graph.name}: rows would be copied or cleared by attention"
            rule = "on this architecture heads multiply no matrices exactly, also not by an identity"
            self.refused = ArchitectureError(what, rule=rule, fix="choose an architecture with ReLU units or linear attention")
            return False
        if self.best is not None and key(candidate, self.goal, self.within) >= key(self.best, self.goal, self.within):
            return False
        self.best = candidate
        return True

    def lay_out_all(self, scheduled: Schedule) -> int | None:
        """The schedule in every way of allocating: the rows of the best candidate, where it is one of these."""
        better = [self.lay_out(scheduled, habits) for habits in habits_for(scheduled, self.machine, by_height=(False, True))]
        return self.chosen.costs()["rows"] if any(better) else None


def lower_graph(graph: Graph, tol: Fraction | None, architecture: Architecture) -> tuple[Graph, Lowering]:
    """What the layers compute exactly in place of the program, and how the two belong together."""
    if architecture.ffn in ("gate", "relu2"):
        found, tolerances = lower_exactly(graph, architecture.ffn), EXACTLY
    else:
        found, tolerances = lower_within(graph, tol)
    assumed = len(found.ideal.facts) - len(graph.facts)
    errors = found.output_errors
    return found.graph, Lowering(
        found.ideal, assumed, found.meaning, found.approximations, errors, tolerances, tol, found.inside
    )


def candidates(
    plans: list[Plan], machine: Machine = PLAIN, trial: Trial | None = None, few: bool = True
) -> Iterator[tuple[Schedule, Habits]]:
    """Every plan with every schedule and every way of allocating; of large plans, few. A plan that cannot be placed is
    left out; `trial` is told why."""
    for plan in plans:
        large = few and words_of(plan) > LARGE
        try:
            for number, scheduled in enumerate(schedules(plan, machine)):
                every = habits_for(scheduled, machine)
                for habits in every[:1] if large else every:
                    yield scheduled, habits
                if large and number == 1:
                    break
        except ArchitectureError as error:
            if trial is None:
                raise
            trial.refused = error


def words_of(plan: Plan) -> int:
    """The products that a plan adds up."""
    return sum(len(value.poly.terms) for value in plan.values.values() if value.poly is not None)


def cuts_inputs(graph: Graph) -> bool:
    """Whether the program reads the first rows of a stack of inputs."""
    cut = (graph.nodes[index].args[0] for index in live_nodes(graph) if graph.nodes[index].op == "top")
    return any(graph.nodes[index].op == "vstack" for index in cut)


def distinct_plans(
    graph: Graph, look_through: tuple[str, ...], apart: bool = False, sums: tuple[str, ...] = ("attention",), few: int = LONG
) -> Iterator[Plan]:
    """Every selection worth trying; see `Choices`. apart: also with the first rows of stacks encoded alone. sums: what may
    add copies of rows. few: of programs with more nodes, only some choices; 0: all of any."""
    seen = set()
    fold = (False, True) if any(graph.nodes[index].op == "constant" for index in live_nodes(graph)) else (False,)
    alone = (False, True) if apart else (False,)
    choices = product(("shared", "named", "either", "carried"), (True, False), look_through, (3, 2), fold, alone, sums)
    if few and len(live_nodes(graph)) > few:  # one way of each kind: the others differ by little and cost much here
        choices = product(("shared", "named", "carried"), (True,), look_through[-1:], (3,), fold, alone, sums)
    for way in choices:
        plan = select(graph, Choices(*way))
        signature = (plan.folded, *((v.name, v.shape, v.level, str(v.poly), str(v.args)) for v in plan.values.values()))
        if signature not in seen:
            seen.add(signature)
            yield plan


def depth_of(plan: Plan) -> int:
    return max((plan.values[atom].level for _, atom, _ in plan.outputs), default=0)


def schedules(plan: Plan, machine: Machine) -> Iterator[Schedule]:
    """Outputs stored plain or transposed, values made early or late."""
    free = [o for _, o, _ in plan.outputs if not plan.algebra.atoms[o].symmetric]
    if len(free) <= 3:
        combinations = list(product((False, True), repeat=len(free)))
    else:
        combinations = [(False,) * len(free), (True,) * len(free)]
    seen = set()
    units = any(value.units is not None for value in plan.values.values())
    for combination, taste in product(combinations, (AHEAD, *TASTES) if units else TASTES):
        picked = dict(zip(free, combination, strict=True))
        placement = place(plan, tuple(picked.get(atom, False) for _, atom, _ in plan.outputs), taste, machine.keys)
        for scheduled in (schedule(placement, late=False), schedule(placement, late=True)):
            signature = (*placement.terms.items(), *placement.local.items(), *scheduled.layer.items())
            if signature not in seen:
                seen.add(signature)
                yield scheduled


def habits_for(scheduled: Schedule, machine: Machine = PLAIN, by_height: tuple[bool, ...] = (False,)) -> list[Habits]:
    """Every way of allocating that makes a difference."""
    twins = (False, True) if may_use_twins(scheduled) else (False,)
    ways = product((False, True), (False, True), twins, by_height)
    return [Habits(*way, machine.by_units, machine.units_clear, machine.over_read) for way in ways]


def heads_proven(best: Compilation, after: Sequence[int]) -> tuple[Proven, ...]:
    """The heads of the layer that has most, and how many it needs; after: the layers of the model when a layer is done."""
    layer, least = heads_needed(best.layout.layers, best.heads)
    found = best.costs()["heads"]
    return (Proven("heads", found, least, ARGUMENT.format(layer=after[layer - 1] + 1, least=least), ASSUMES),) if layer else ()


def key(candidate: Compilation, optimize: str, within: Mapping[str, int]) -> tuple[int, ...]:
    """Candidates are compared by this, the smallest is kept."""
    costs = candidate.costs()
    first, *others = (costs[goal] for goal in GOALS[optimize])
    exceeded = sum(costs[name] > limit for name, limit in within.items())
    return (first, exceeded, *others, costs["parameters"], costs["units"])
