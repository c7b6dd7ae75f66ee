"""The exact step: the fewest rows for each plan by an integer program, and what is proved by it.

The greedy path has run before, so there is always a plan to return: without the engine, or when time or nodes run out,
it stays, and the result says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .artifact import Proven
from .engine import NAME, Answer, missing
from .errors import ArchitectureError
from .exact_rows import ExactRows, TooLarge
from .ir import Plan, Schedule

#: The branch and bound of one program ends after so many nodes. A count, not seconds: the same input gives the same result.
NODES = 300

#: Unknowns of one program in the fewest layers, of one with more layers (there HiGHS needs minutes for a thousand), and of
#: all programs of a compilation: beyond these none is begun.
MOST_UNKNOWNS = 6_000
MOST_UNKNOWNS_DEEP = 200
MOST_WORK = 30_000

ASSUMES = (
    "a value is computed once in an orientation and keeps its rows until it is last read; rows are cleared a layer before "
    "others take them over, except by a sum that contains them or by the same variable; identities stay; "
    f"solved by {NAME} in floating point"
)


@dataclass(frozen=True)
class Bound:
    """No allocation of a plan has fewer than `rows` in up to so many layers."""

    rows: int
    layers: int


@dataclass
class Rows:
    """What is known of the rows of several plans. engine: empty where none was used; `note`: why not, or what it left."""

    plans: Sequence[Plan]
    engine: str = ""
    note: str = ""
    finished: bool = True
    bounds: dict[int, Bound] = field(default_factory=dict)  # by the number of the plan

    def proven(self, chosen: Plan, rows: int) -> tuple[Proven, ...]:
        """The statements about a model of the chosen plan with so many rows."""
        found: list[Proven] = []
        if not self.bounds:
            return ()
        number = next(i for i, plan in enumerate(self.plans) if plan is chosen)
        if number in self.bounds:
            bound = self.bounds[number]
            argument = "no orientations, layers and reuse of rows for these products have fewer"
            found.append(Proven("rows", rows, min(bound.rows, rows), f"{argument}, in up to {bound.layers} layers", ASSUMES))
        if len(self.bounds) == len(self.plans) > 1:
            least, layers = (sorted(getattr(b, of) for b in self.bounds.values()) for of in ("rows", "layers"))
            upto = (
                f"in up to {layers[0]} layers"
                if layers[0] == layers[-1]
                else f"each in up to {layers[0]} to {layers[-1]} layers"
            )
            argument = f"nor for any of the {len(self.plans)} choices of products that were tried, {upto}"
            found.append(Proven("rows", rows, min(least[0], rows), argument, ASSUMES))
        return tuple(found)


def fewest_rows(
    plans: Sequence[Plan],
    first: Plan,
    rows: int,
    deep: bool,
    lay_out: Callable[[Schedule], int | None],
    seconds_left: Callable[[], float | None],
) -> Rows:
    """Looks for fewer rows in every plan, `first` before the others.

    rows: the fewest so far. deep: more layers than a plan needs are welcome where they save rows. lay_out: makes
    layouts of a schedule and returns the fewest rows among those that are better than all before, None where none is.
    seconds_left: None without a limit.
    """
    out = Rows(plans, note=missing())
    if out.note:
        return out
    step = _Step(rows, lay_out, seconds_left)
    for number, plan in sorted(enumerate(plans), key=lambda item: (item[1] is not first, item[0])):
        bound = step.bound(plan, deep)
        if bound is not None:
            out.bounds[number] = bound
        if step.stop:
            break
    out.engine = NAME if step.work else ""
    missed = len(plans) - len(out.bounds)
    if step.note:
        out.note = f"{step.note}: {missed} of {len(plans)} choices of products without a bound" if missed else step.note
    out.finished = not step.out_of_time
    return out


@dataclass
class _Step:
    """The programs solved so far; `rows`: the fewest found."""

    rows: int
    lay_out: Callable[[Schedule], int | None]
    seconds_left: Callable[[], float | None]
    work: int = 0
    note: str = ""
    stop: bool = False
    out_of_time: bool = False

    def bound(self, plan: Plan, deep: bool) -> Bound | None:
        """The bound of one plan; improvements are laid out on the way, those in fewer layers first."""
        try:
            last = self.deepest(plan) if deep else 0
            bound = self.at_depth(plan, last, realise=not last)
            more = 0
            while last and bound is not None and bound.rows < self.rows and more <= last and not self.stop:
                self.at_depth(plan, more)
                more += 1
            return bound
        except (TooLarge, ArchitectureError) as error:
            self.note = str(error)
            return None

    def deepest(self, plan: Plan) -> int:
        """How many layers to add to the fewest: one for each value at most, as long as the program stays small."""
        values = sum(value.poly is not None for value in plan.values.values())
        more = 0
        try:
            while more < values and ExactRows(plan, MOST_UNKNOWNS_DEEP, more + 1).depth <= values:
                more += 1
        except TooLarge:
            pass
        return more

    def at_depth(self, plan: Plan, more: int, realise: bool = True) -> Bound | None:
        """The bound of a plan with so many layers more than it needs; a solution is laid out."""
        exact = ExactRows(plan, MOST_UNKNOWNS, more)
        answer = self.solve(exact)
        if answer is None:
            return None
        bound = Bound(self.rows, exact.depth) if answer.status == "none" else None
        if answer.bound is not None:
            bound = Bound(min(answer.bound, self.rows), exact.depth)
        if answer.values is not None and realise:
            self.rows = min(self.rows, self.lay_out(exact.schedule(answer)) or self.rows)
        return bound

    def solve(self, exact: ExactRows) -> Answer | None:
        """Solutions with fewer rows than found so far; None where the limits do not allow to begin."""
        left = self.seconds_left()
        self.out_of_time = left is not None and left <= 0
        if self.out_of_time or self.work > MOST_WORK:
            self.note = "the time limit came first" if self.out_of_time else f"more than {MOST_WORK:,} unknowns in all"
            self.stop = True
            return None
        self.work += len(exact.problem.highs)
        answer = exact.solve(self.rows, NODES, left)
        if answer.status == "stopped":
            left = self.seconds_left()
            self.out_of_time = left is not None and left <= 0
            self.note = f"a branch and bound stopped at {'the time limit' if self.out_of_time else f'{NODES} nodes'}"
        return answer
