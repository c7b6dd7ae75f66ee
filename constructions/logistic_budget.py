"""How accurate the parts of a damped Newton step have to be, for a certified error of the step.

Giannou et al. 2024, Theorem 5.2 asks for a step within ε. The parts are: σ for the gradient, √(p(1 − p)) a_i for the Hessian,
polynomials for H⁻¹ and for the decrement, and the step size η. `proofs_check.newton_budget` and `newton_steps` add them up;
here they are chosen, step by step: what is certain of an iterate (`newton_steps.after`) says how small λ, how short N and how
small the margins are in the next step, and so how little will do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from math import sqrt
from typing import Any

from ..compiler.errors import CompileError
from ..proofs_check.arguments import LARGE, number
from ..proofs_check.newton_budget import InversePolynomial, corrected
from ..proofs_check.newton_cells import State
from ..proofs_check.newton_steps import StepForm, after, best_factor, form_error
from ..proofs_check.newton_theory import admissible_error, closed_error, steps_needed, trajectory
from .solve_factors import Factors, cubic, factored


def _reach(tol: Fraction) -> Fraction:
    """How far above 1/4, relatively, the spectrum of ÛᵀÛ/n may be: the polynomials count with it."""
    return min(max(Fraction(1, 50), 8 * tol), Fraction(1, 4))


@dataclass(frozen=True)
class StepPlan:
    """What one compiled step is made of.

    layers: 1 (a gradient step), 2 (a vector step: H⁻¹ of degree up to 3 and a constant step size), 3 or 4 (of degree 3 or 10,
    η from λ²), and `correction_layers` more with corrections. sigma, entry, eta: errors allowed to σ, to the entries of
    √(p(1 − p)) a_i, and to η; 0 where it is not approximated. radius bounds ‖x‖, so |a_i·x|; decrement_range what η is
    applied to. largest: the certified error of the step.
    """

    layers: int
    form: StepForm
    factors: Factors | None
    sigma: float
    entry: float
    eta: float
    radius: float
    decrement_range: float
    largest: float


@dataclass(frozen=True)
class Plan:
    """A run: its steps, and how far the last iterate is from the minimiser at most."""

    mu: Fraction
    tol: Fraction
    x0_norm: float
    steps: tuple[StepPlan, ...]
    distance: float

    @property
    def layers(self) -> int:
        """Of all steps; an input x0 takes one more, for its margins."""
        return sum(step.layers for step in self.steps) + (self.x0_norm > 0)

    def __str__(self) -> str:
        layers = ", ".join(str(step.layers) for step in self.steps)
        return f"steps of {layers} layers, each within {max(step.largest for step in self.steps):.3g}"


@dataclass(frozen=True)
class _Candidate:
    """A way to make a step."""

    layers: int
    q: InversePolynomial
    p: InversePolynomial
    factors: Factors | None = None
    corrections: int = 0
    constant: bool = False


def plan_steps(
    name: str,
    mu: Any,
    d: int,
    tol: Any,
    steps: int | None,
    x0_norm: float,
    k: int | None = None,
    form: str = "shortest",
) -> Plan:
    """Steps that are each certified within tol, with the fewest layers. steps=None: as many as come within 1.05 tol of the
    minimiser. k: corrections of the direction, in every step; None: none where a step does without.
    form: "shortest"; "full": every step computes η from λ²; "vector": no step does.

    Raises CompileError where mu or tol is out of range: μ ≤ 0, tol ≤ 0, tol larger than the theory allows, or smaller than
    what the form reaches.
    """
    m, eps = (number(f"{name}: {what}", value, above=0, size=LARGE) for what, value in (("mu", mu), ("tol", tol)))
    limit = closed_error(m, x0_norm)  # quickly known, and below the largest admissible one
    if float(eps) > limit and float(eps) > (limit := admissible_error(m, x0_norm)):
        raise CompileError(
            f"{name}: tol is {float(eps):.3g}: expected at most {limit:.3g} for mu = {float(m):.3g}",
            rule="with larger errors the iterates are not proved to come near the minimiser (Theorem 5.4, corrected)",
            fix="ask for a smaller tol, or a larger mu",
        )
    if form == "vector" and k is not None:
        raise CompileError(
            f"{name}: k is {k} and form is 'vector': expected one of them",
            rule="corrections are for steps that compute η from λ²; a vector step is a polynomial of degree 3 at most",
            fix="leave out k, or form",
        )
    if k is not None and k > _MOST_CORRECTIONS:
        raise CompileError(
            f"{name}: k is {k}: expected at most {_MOST_CORRECTIONS}",
            rule="each correction takes 4 layers and multiplies the residual of H⁻¹ once more, until rounding is left",
            fix="leave out k, which takes as few as tol needs",
        )
    count = steps if steps is not None else steps_needed(m, eps, x0_norm, distance=eps * Fraction(21, 20))
    if count is None:
        raise CompileError(f"{name}: no number of steps is proved to come near the minimiser", fix="ask for a smaller tol")
    known = trajectory(m, eps, max(count, 1), x0_norm)
    state, plans = known[0], []
    for t in range(max(count, 1)):
        exact = t == 0 and x0_norm == 0
        step, best = _shortest(m, d, eps, state, exact, k, form)
        if step is None:
            raise _unreachable(name, eps, m, t, best, k, form)
        units = _units(d, step.radius, step.sigma, step.entry, step.eta)
        if units > _MOST_UNITS:
            raise CompileError(
                f"{name}: tol is {float(eps):.3g}, x0_norm is {x0_norm:.3g}: step {t + 1} would take about {units:.1g} units",
                rule=f"units grow as 1/√tol and with the range of the margins; at most about {_MOST_UNITS} a layer are made",
                fix="ask for a larger tol" + (" or a smaller x0_norm" if x0_norm else ""),
            )
        parts = {"sigma": step.sigma, "entry": step.entry, "eta": step.eta}
        error = form_error(m, d, step.form.polynomials(m), step.form.factor, state.decrement, **parts)
        plans.append(replace(step, largest=error.largest or float("inf")))
        state = after(m, state, error, known[t + 1], first=exact)
    return Plan(m, eps, x0_norm, tuple(plans), state.distance * (1 + 1e-9))


def _shortest(
    mu: Fraction, d: int, tol: Fraction, state: State, exact: bool, k: int | None, form: str
) -> tuple[StepPlan | None, float]:
    """(the step with the fewest layers, None where no form is certified within tol; the least error with exact parts)."""
    step, best = None, float("inf")
    for most in _ALONE:
        for layers, made in _candidates(mu, mu + Fraction(1, 4) * (1 + _reach(tol)), k, form):
            if step is not None and layers > step.layers:
                break
            found, reached = _accuracies(mu, d, tol, state, exact, made(), most)
            # of steps with equally many layers the one of the lowest degree, unless it takes much and a higher one far less
            if found is not None and (step is None or (best > 0.25 * float(tol) and reached < 0.5 * best)):
                step = found
            best = min(best, reached)
        if step is not None:
            break
    return step, best


def _unreachable(name: str, tol: Fraction, mu: Fraction, step: int, best: float, k: int | None, form: str) -> CompileError:
    what = f"{name}: tol = {float(tol):.3g} is out of reach at mu = {float(mu):.3g}"
    if form == "vector":
        return CompileError(
            f"{what}: with form='vector', step {step + 1} is certified within {best:.3g} only, even with exact parts",
            rule="a vector step has a constant step size, so that its error grows with the square of the decrement",
            fix="raise mu or tol, or leave out form",
        )
    return CompileError(
        f"{what}: with exact units, step {step + 1} is certified within {best:.3g} only",
        rule="with 3 or 4 layers a step, H⁻¹ is a polynomial of degree 3 or 10 on [μ, μ + ¼], residual r; k corrections give "
        "r^(k + 1)",
        fix="raise mu or tol" if k is None else "raise k (k=None chooses it), mu or tol",
    )


def _candidates(lower: Fraction, upper: Fraction, k: int | None, form: str) -> Iterator[tuple[int, Callable[[], _Candidate]]]:
    """Ways to make a step with their layers, the fewest first; they are made when called."""

    def constant(degree: int) -> _Candidate:
        q = cubic(lower, upper, lower, degree)
        return _Candidate(min(degree, 1) + 1, q, q, constant=True)

    def general(times: int) -> _Candidate:
        factors = factored(lower, upper, lower)
        q = corrected(factors.whole, times)
        return _Candidate(4 + correction_layers(times), q, q, factors, times)

    def three() -> _Candidate:
        return _Candidate(3, cubic(lower, upper, lower), cubic(lower, upper, lower, 2))

    if form != "full" and k is None:
        yield from ((min(degree, 1) + 1, partial(constant, degree)) for degree in range(4))
    if form == "vector":
        return
    if k is None:
        yield 3, three
    yield from ((4 + correction_layers(times), partial(general, times)) for times in (range(9) if k is None else (k,)))


def correction_layers(times: int) -> int:
    """Layers that corrections add to a step: four each, and one for g·v."""
    return 4 * times + 1 if times else 0


#: How much of the tolerance exact parts may take, what is left being for the units; more only where nothing else is left.
_ALONE = (0.75, 0.95)


def _accuracies(
    mu: Fraction, d: int, tol: Fraction, state: State, exact: bool, way: _Candidate, most: float
) -> tuple[StepPlan | None, float]:
    """(errors for σ, Û and η such that a step is within tol, with few units; the error with exact parts).

    The first is None where exact parts take more than `most` of the tolerance.
    """
    factor = best_factor(mu, state.decrement) if way.constant else None
    goal, polynomials = float(tol), (way.q, way.p)

    def worst(sigma: float, eta: float, entry: float) -> float:
        try:
            error = form_error(mu, d, polynomials, factor, state.decrement, sigma=sigma, entry=entry, eta=eta)
        except CompileError:  # the decrement is not known well enough for any bound
            return float("inf")
        return float("inf") if error.largest is None else error.largest

    alone = worst(0.0, 0.0, 0.0)
    if alone > most * goal:
        return None, alone
    limit = 0.499 * (sqrt(1 + float(_reach(tol))) - 1) / sqrt(d)  # so that the spectrum of ÛᵀÛ/n stays inside
    room = 0.99 * goal - alone
    per_sigma = (worst(1e-3 * goal, 0.0, 0.0) - alone) / (1e-3 * goal)  # nearly linear
    choices = []
    for share in (0.0,) if way.constant else (0.95,) if exact else (0.01, 0.02, 0.05, 0.1, 0.2):
        eta = _largest(lambda e: worst(0.0, e, 0.0), alone + share * room, goal) if share else 0.0
        if exact:
            choices.append((0.0, eta, 0.0, 0.0))
            continue
        for part in (0.3, 0.15, 0.08, 0.04, 0.02) if way.q.degree else (0.04,):  # σ alone is cheap, and it decides the distance
            sigma = part * room / per_sigma
            entry = 0.0
            if way.q.degree:
                entry = _largest(partial(worst, sigma, eta), 0.99 * goal, min(limit, 0.1))
            elif worst(sigma, eta, 0.0) > 0.99 * goal:
                continue
            if entry or not way.q.degree:
                choices.append((_units(d, state.norm, sigma, entry, eta), eta, sigma, entry))
    if not choices:
        return None, alone
    _, eta, sigma, entry = min(choices)
    form = StepForm(
        (way.factors.whole if way.factors else way.q).coefficients,
        (way.factors.whole if way.factors else way.p).coefficients,
        way.q.upper,
        factor,
        way.corrections,
    )
    top = sqrt(way.q.upper) * state.decrement + sigma
    return (
        StepPlan(
            way.layers,
            form,
            way.factors,
            sigma,
            entry,
            eta,
            state.norm * (1 + 1e-9),
            float(way.p.largest) * top**2 * (1 + 1e-9),
            goal,
        ),
        alone,
    )


#: No direction is corrected more often.
_MOST_CORRECTIONS = 16

#: No layer is made wider.
_MOST_UNITS = 100_000


def _units(d: int, radius: float, sigma: float, entry: float, eta: float) -> float:
    """Units of the wider of the two layers of a step, about: σ and Û are in one, η is in another; then of both."""
    margins = (0.13 * radius * sigma**-0.5 if sigma else 0.0) + (0.5 * d * radius * entry**-0.6 if entry else 0.0)
    size = 0.7 * eta**-0.5 if eta else 0.0
    return max(margins, size) + 0.01 * (margins + size)


def _largest(error: Callable[[float], float], goal: float, top: float) -> float:
    """Nearly the largest x ≤ top with error(x) ≤ goal, for a growing error; 0 where even a tiny x is too much."""
    if error(top) <= goal:
        return top
    low, high = 0.0, top
    for _ in range(40):
        start = error(low)
        x = low + (high - low) * 0.5
        ends = error(high)
        if ends < float("inf"):  # regula falsi, a little to the safe side
            x = low + (high - low) * min(max((goal - start) / (ends - start) * 0.995, 0.02), 0.98)
        low, high = (x, high) if error(x) <= goal else (low, x)
        if high - low < 0.02 * high or (low and error(low) > 0.99 * goal):
            break
    return low
