"""Damped Newton for regularised logistic regression with an error in every step: certified distances and step counts.

The corrected Theorem 5.4 of Giannou et al. (2024) as functions. For every data set with labels ±1 and ‖a_i‖ ≤ 1, every
start with ‖x_0‖ ≤ x0_norm and every sequence of errors with ‖ε_t‖ ≤ eps + relative·‖N_t‖ (N_t the exact Newton step), the
bounds hold after each step; the inequalities are those of `newton_lemmas`. Two recurrences run side by side:

* numbers: upper bounds of the decrement λ_t, the distance ‖x_t − x*‖, f(x_t) and ‖x_t‖, each the least that follows;
* a worst case over states: the decrements are cut into cells, and each cell that can be reached carries the largest
  f(x_t) − f* there. A large decrement means a large decrease, a small one the quadratic recurrence; neither bound alone
  is good at small μ or far from the minimiser. This takes the place of the paper's two phases.

Results are floats rounded up. Arithmetic errors of a machine that runs the step belong into `eps`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from ..compiler.errors import CompileError
from .arguments import LARGE, number, whole
from .newton_cells import LOCAL, Cells, State, decrement_at
from .newton_lemmas import Damped, StepError
from .outward import IV, above, at_most, ball, below, plus

#: f* ≤ f(0) = ln 2, rounded up.
_LOG_2 = 0.6932

#: A bound that still rises after so many steps is taken for unbounded.
_RISING = 300

#: So many steps are followed before more of them are counted at once.
_FOLLOWED = 150

#: The longest run that is followed.
MOST_STEPS = 5_000


class _Run:
    """The states of one run, as far as anybody asked."""

    def __init__(self, damped: Damped, start: State) -> None:
        self.damped, self.states = damped, [start]
        self.cells: Cells | None = None
        self.settled = self.rising = False

    def _local(self, decrement: float) -> bool:
        """Whether the numbers alone converge fast from here."""
        return at_most(self.damped.m * ball(decrement), ball(LOCAL)) or self.damped.next_decrement(decrement) <= decrement / 3

    def __getitem__(self, step: int) -> State:
        while len(self.states) <= step and not self.settled:
            self._advance()
        return self.states[min(step, len(self.states) - 1)]

    def states_up_to(self, steps: int) -> Iterator[State]:
        """The states of steps 0, 1, …; ends early where all further ones are equal to the last."""
        for t in range(steps + 1):
            state = self[t]
            if t >= len(self.states):
                return
            yield state

    def largest_norm(self) -> float:
        """A bound on ‖x_t‖ for all t. Without cells a step is a growing function of decrement and distance: once both fall,
        they fall for ever, and no norm exceeds ‖x*‖ plus the distance."""
        largest, last, fallen = 0.0, math.inf, False
        for t, state in enumerate(self.states_up_to(MOST_STEPS)):
            if self.rising and t > _RISING:
                break
            largest = max(largest, state.norm)
            falls = t > 0 and state.decrement <= self[t - 1].decrement and state.distance <= self[t - 1].distance
            fallen = fallen or (falls and self.cells is None and t > last)
            if fallen and plus(self.damped.radius, state.distance) <= largest:
                return largest
            if self.cells is None:
                last = min(last, t)
        return largest if self.settled else math.inf

    def ahead(self, goal: float) -> tuple[int, _Run] | None:
        """(steps, a run that goes on after them): steps of the cells, counted at once, to where the numbers alone converge or
        the distance is at most `goal`. None where the last state has no cells, or no decrease is proved all the way."""
        damped, now = self.damped, self.states[-1]
        if self.cells is None:
            return None

        def near(gap: float) -> bool:
            decrement = decrement_at(damped, gap)
            return damped.distance_of(decrement, gap) <= goal or self._local(decrement)

        low, high = now.gap / 2, now.gap
        while not near(low):
            low, high = low / 2, low
        for _ in range(12):
            middle = (low + high) / 2
            low, high = (middle, high) if near(middle) else (low, middle)
        count = self.cells.descent(low)
        if count is None:
            return None
        decrement, value = decrement_at(damped, low), plus(low, _LOG_2)
        distance = damped.distance_of(decrement, low)
        norm = min(plus(damped.radius, distance), damped.norm_of(value))
        return count, _Run(damped, State(decrement, distance, low, norm, value))

    def _advance(self) -> None:
        damped, now = self.damped, self.states[-1]
        if now.decrement == math.inf:  # nothing is known any more
            self.states.append(State(math.inf, math.inf, math.inf, math.inf, math.inf))
            self.settled = True
            return
        if len(self.states) == 1 and not self._local(now.decrement):
            self.cells = Cells(damped, now)
        cells = self.cells
        decrement = damped.next_decrement(now.decrement, damped.length(now.decrement, now.distance))
        if len(self.states) == 1 and now.norm == 0:
            ends = np.linspace(0, now.decrement, 33)  # the last is the bound itself: no decrement at 0 lies outside
            decrement = min(decrement, max(damped.first_decrement(low, high) for low, high in pairwise(ends)))
        distance = damped.next_distance(now.decrement, now.distance)
        gap, value, before = math.inf, math.inf, None
        if cells is not None:
            before = cells.gap
            reached, rise = cells.step()
            decrement, gap, value = min(decrement, reached), cells.largest, plus(now.value, rise)
        decrement, distance, gap = self._closed(decrement, distance, gap)
        norm = min(plus(damped.radius, distance), plus(now.norm, damped.moved(now.decrement)))
        if cells is not None:
            cells.meet(decrement, gap)
            norm = min(norm, damped.norm_of(value)) if value < math.inf else norm
        new = State(decrement, distance, gap, norm, min(value, plus(gap, _LOG_2)))
        same = cells is None or bool((before == cells.gap).all())
        grown = cells is None or bool((before <= cells.gap).all())
        self.settled = new == now and same
        self.rising = grown and now.decrement <= decrement and now.distance <= distance and now.gap <= gap
        if decrement < math.inf and self._local(decrement):
            self.cells = None
        self.states.append(new)

    def _closed(self, decrement: float, distance: float, gap: float) -> tuple[float, float, float]:
        """Each of the three bounds replaced by the least that follows from the other two."""
        damped = self.damped
        if self.cells is not None and gap < math.inf:
            decrement = min(decrement, decrement_at(damped, gap))
        for _ in range(2):
            decrement = min(decrement, damped.decrement_of(distance))
            if decrement < math.inf:
                gap = min(gap, damped.greatest_value(decrement, distance))
                distance = min(distance, damped.distance_of(decrement, gap))
        return decrement, distance, gap


@lru_cache(maxsize=256)
def _run(mu: Fraction, error: StepError, x0_norm: float) -> _Run:
    damped = Damped(mu, error)
    value = damped.first_value(x0_norm)
    gap = above(ball(value) - ball(damped.least))
    decrement = min(damped.start(x0_norm), decrement_at(damped, gap))
    gap = min(gap, damped.greatest_value(decrement))
    distance = min(damped.distance_of(decrement, gap), plus(damped.radius, x0_norm))
    return _Run(damped, State(decrement, distance, gap, x0_norm, value))


def trajectory(mu: Any, eps: Any, steps: int, x0_norm: Any = 0, relative: Any = 0) -> tuple[State, ...]:
    """What is certain before the first step and after each of `steps` steps (see `State`).

    `eps` is a number, or a `StepError` such as `step_error` gives; `relative` is added to its relative part.

    Cost: where λ is large a few milliseconds a step, and 1/μ steps or so of that kind.
    Raises CompileError unless μ > 0, eps, relative and x0_norm are at least 0, all of a size from 1e-20 to 1e20, and steps is a
    whole number up to MOST_STEPS.
    Example: trajectory(1/2, 0, 4)[4].distance < 1e-6.
    """
    last = whole("steps", steps, most=MOST_STEPS)
    run = _checked(mu, eps, x0_norm, relative)
    return tuple(run[t] for t in range(last + 1))


def distance_bound(mu: Any, eps: Any, steps: int, x0_norm: Any = 0, relative: Any = 0) -> float:
    """A bound on ‖x_T − x*‖ after T = `steps` damped steps, each with an error of at most eps + relative·‖N_t‖.

    ∞ where the error is so large that nothing follows. Raises as `trajectory` does.
    Source: Theorem 5.4 of Giannou et al. (2024), corrected; own derivation.
    """
    return trajectory(mu, eps, steps, x0_norm, relative)[-1].distance


def value_bound(mu: Any, eps: Any, steps: int, x0_norm: Any = 0, relative: Any = 0) -> float:
    """A bound on f(x_T) − f(x*), otherwise as `distance_bound`."""
    return trajectory(mu, eps, steps, x0_norm, relative)[-1].gap


def region_radius(mu: Any, eps: Any, x0_norm: Any = 0, relative: Any = 0, steps: int | None = None) -> float:
    """A bound on ‖x_t‖, and so on every margin a_i·x_t, for t = 0, …, steps (for all t where steps is None).

    The least of three: f(x_t) bounds ‖x_t‖; ‖x*‖ plus the distance; and max(x0_norm, C₁) with
    C₁ = (2 + ε(1 + 2μ))/(μ(2 − ε)) for errors of size ε < 2 (Lemma B.10, corrected; no relative part). ∞ where none holds.
    """
    last = 0 if steps is None else whole("steps", steps, most=MOST_STEPS)
    run = _checked(mu, eps, x0_norm, relative)
    largest = max(state.norm for state in run.states_up_to(last))
    if steps is None:
        largest = run.largest_norm()
    error, m = run.damped.error, run.damped.mu
    a = error.absolute if error == StepError(error.absolute) else Fraction(2)
    if a < 2:
        invariant = above(ball((2 + a * (1 + 2 * m)) / (m * (2 - a))))
        largest = min(largest, max(run[0].norm, invariant))
    return largest


def steps_needed(mu: Any, eps: Any, x0_norm: Any = 0, distance: Any = None, relative: Any = 0) -> int | None:
    """The least T for which ‖x_T − x*‖ ≤ `distance` is certified; None where none is.

    T counts the states of `trajectory` up to 150. Beyond, where λ is still large, steps are counted in closed form, for all
    cells at once: T is about 1/(10 μ) then, a little more than the least, and found in a few seconds for every μ.
    Without `distance` it is that of the corrected Theorem 5.4, 1.31 eps √((1 + 4μ)/μ).
    Raises CompileError where `distance` is not above 0, or missing although eps = 0.
    """
    run = _checked(mu, eps, x0_norm, relative)
    goal = theorem_distance(mu, run.damped.error.absolute) if distance is None else below(ball(number("distance", distance)))
    if goal <= 0:
        raise CompileError(
            f"steps_needed: the distance to reach is {goal:.6g}: expected a number above 0",
            rule="exact damped Newton steps come as close as you wish, but not to distance 0",
            fix="pass distance=1e-6, for example",
        )
    found = _first_within(run, goal, _FOLLOWED)
    if found is None and not (run.settled or run.rising) and (ahead := run.ahead(goal)) is not None:
        count, rest = ahead
        found = _first_within(rest, goal, MOST_STEPS)
        found = None if found is None else len(run.states) - 1 + count + found
    return _first_within(run, goal, MOST_STEPS) if found is None else found


def _first_within(run: _Run, goal: float, most: int) -> int | None:
    """The first state of a run up to `most` that is certified to be so near to the minimiser."""
    for t, state in enumerate(run.states_up_to(most)):
        if state.distance <= goal:
            return t
        if run.rising and t == len(run.states) - 1:  # the step is a growing function of the state: it will rise for ever
            return None
    return None


def theorem_distance(mu: Any, eps: Any) -> float:
    """1.31 ε √((1 + 4μ)/μ): the distance of the corrected Theorem 5.4, rounded down; μ > 0 and eps ≥ 0, or CompileError."""
    m, e = _ridge(mu), number("eps", eps, least=0)
    return below(ball(Fraction(131, 100) * e) * IV.sqrt(ball((1 + 4 * m) / m)))


def admissible_error(mu: Any, x0_norm: Any = 0) -> float:
    """The largest error per step (to two digits) for which the iterates are proved to come to distance `theorem_distance`.

    The proof: above some decrement every step lowers f, and from there on the recurrence of the decrement leads down.
    It is at least the constant c(μ) of `closed_error`; from error 2 on the claim is false (all a_i = 0).
    Raises CompileError unless μ > 0 and x0_norm ≥ 0.
    """
    low, high = 0.0, 2.0
    start = _checked(mu, 0, x0_norm, 0)[0]
    m = _ridge(mu)
    while high - low > 0.01 * high:
        middle = math.sqrt(low * high) if low else high / 4
        low, high = (middle, high) if _converges(Damped(m, StepError(Fraction(middle))), start) else (low, middle)
        if not low and high < 1e-12:
            break
    return max(low, closed_error(mu, x0_norm))


def _converges(damped: Damped, start: State) -> bool:
    cells = Cells(damped, start, most=64)
    rising = np.flatnonzero(cells.decrease[:-1] <= 0)
    first = int(rising[-1]) + 1 if len(rising) else 0
    decrement = float(cells.edges[first])
    if cells.after[:first].max(initial=0.0) > decrement:
        return False
    goal = below(ball(damped.error.absolute) * ball(Fraction(131, 100)) * IV.sqrt(4 * damped.K / ball(damped.mu)))
    distance = damped.distance_of(decrement, math.inf)
    for _ in range(200):
        if distance <= goal:
            return True
        distance, decrement = damped.next_distance(decrement, distance), min(decrement, damped.next_decrement(decrement))
    return False


def closed_error(mu: Any, x0_norm: Any = 0) -> float:
    """c(μ) in closed form, rounded down: 4√(μ/(1 + 4μ)) min{0.059, 1/(2(1 + Λ))}, Λ = (1 + Cμ)/(2μ), C = max(x0_norm, C₁(c)).

    With x0_norm = 0 it is 4√(μ/(1 + 4μ)) min{0.059, μ/(2.126(1 + μ))}; see `newton_paper.check_closed_theorem`.
    Raises CompileError unless μ > 0 and x0_norm ≥ 0.
    """
    m, r = _ridge(mu), number("x0_norm", x0_norm, least=0, size=LARGE)
    inner = max(Fraction(1126, 1000) + Fraction(126, 1000) * m, r * m)
    slope = min(Fraction(59, 1000), 1 / (2 * (1 + (1 + inner) / (2 * m))), m / (Fraction(2126, 1000) * (1 + m)))
    return below(4 * IV.sqrt(ball(m / (1 + 4 * m))) * ball(slope))


def _checked(mu: Any, eps: Any, x0_norm: Any, relative: Any) -> _Run:
    m, more = _ridge(mu), number("relative", relative, least=0, size=LARGE)
    norm = above(ball(number("x0_norm", x0_norm, least=0, size=LARGE)))
    if isinstance(eps, StepError):
        return _run(m, replace(eps, relative=eps.relative + more), norm)
    return _run(m, StepError(number("eps", eps, least=0, size=LARGE), more), norm)


def _ridge(mu: Any) -> Fraction:
    why = "without a ridge separable data have no minimiser, and no step count holds for all data"
    return number("mu", mu, above=0, size=LARGE, why=why, fix="pass mu > 0, for example mu=0.1")
