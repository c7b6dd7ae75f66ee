"""How accurate the parts of a damped Newton step have to be, for a certified error of the step.

Giannou et al. 2024, Theorem 5.2 asks for a step within ε. The parts are: σ for the gradient, √(p(1 − p)) a_i for the Hessian,
polynomials for H⁻¹ and for the decrement, and the step size η. `proofs_check.newton_budget` adds them up; here they are
chosen, and `proofs_check.newton_theory` says how near the iterates come to the minimiser.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import sqrt
from typing import Any

from ..compiler.errors import CompileError
from ..proofs_check.newton_budget import Budget, InversePolynomial, corrected, gram_error, step_error
from ..proofs_check.newton_lemmas import StepError
from ..proofs_check.newton_theory import State, admissible_error, region_radius, steps_needed, trajectory
from .solve_factors import Factors, cubic, factored


def _reach(tol: Fraction) -> Fraction:
    """How far above 1/4, relatively, the spectrum of ÛᵀÛ/n may be: the polynomials count with it."""
    return min(max(Fraction(1, 50), 8 * tol), Fraction(1, 4))


@dataclass(frozen=True)
class StepPlan:
    """What a compiled step is made of.

    layers: 3 or 4 a step, and `correction_layers` more with corrections: v ← v + q(H)(g − Hv) so many times. sigma, entry,
    eta: errors allowed to σ, to the entries of √(p(1 − p)) a_i, and to η. radius bounds
    ‖x_t‖, so |a_i·x_t|; decrement bounds what η is applied to. `error` is the certified error of a step,
    a + b‖N‖ + min(c, d‖N‖), and `largest` its largest value along the run: at most tol.
    """

    mu: Fraction
    steps: int
    layers: int
    solve: InversePolynomial
    decrement: InversePolynomial
    factors: Factors | None
    sigma: float
    entry: float
    eta: float
    radius: float
    decrement_range: float
    error: StepError
    largest: float
    distance: float
    x0_norm: float
    corrections: int = 0

    def __str__(self) -> str:
        return f"{self.steps} steps of {self.layers} layers, each within {self.largest:.3g}"


def plan_steps(name: str, mu: Any, d: int, tol: Any, steps: int | None, x0_norm: float, k: int | None = None) -> StepPlan:
    """The cheapest plan whose every step is certified within tol. steps=None: as many as come within 1.05 tol of the minimiser.
    k: corrections of the direction; None: none if 3 or 4 layers suffice, else the fewest.

    Raises CompileError where mu or tol is out of range: μ ≤ 0, tol ≤ 0, tol larger than the theory allows.
    """
    m, eps = Fraction(mu), Fraction(tol)
    limit = admissible_error(m, x0_norm)
    if float(eps) > limit:
        raise CompileError(
            f"{name}: tol is {float(eps):.3g}: expected at most {limit:.3g} for mu = {float(m):.3g}",
            rule="with larger errors the iterates are not proved to come near the minimiser (Theorem 5.4, corrected)",
            fix="ask for a smaller tol, or a larger mu",
        )
    count = steps if steps is not None else steps_needed(m, eps, x0_norm, distance=_near(eps))
    if count is None:
        raise CompileError(f"{name}: no number of steps is proved to come near the minimiser", fix="ask for a smaller tol")
    states = trajectory(m, eps, max(count, 1), x0_norm)
    lower, upper = m, m + Fraction(1, 4) * (1 + _reach(eps))
    reached = 1.0
    for layers, times in _FORMS if k is None else ((4, k),):
        factors = None if layers == 3 else factored(lower, upper, m)
        q = cubic(lower, upper, m) if factors is None else corrected(factors.whole, times)
        p = cubic(lower, upper, m, 2) if factors is None else q
        plan = _accuracies(m, d, eps, count, x0_norm, states, layers, q, p, factors)
        if plan is not None:
            return replace(plan, layers=layers + correction_layers(times), corrections=times)
        reached = float(q.residual)
    raise CompileError(
        f"{name}: tol = {float(eps):.3g} is out of reach at mu = {float(m):.3g}: H⁻¹ is made within {reached:.2g} relative",
        rule="with 3 or 4 layers a step, H⁻¹ is a polynomial of degree 3 or 10 on [μ, μ + ¼], residual r; k corrections give "
        "r^(k + 1)",
        fix="raise mu or tol" if k is None else "raise k (k=None chooses it), mu or tol",
    )


#: Layers of a step without corrections, and the corrections, in the order of their cost.
_FORMS = ((3, 0), *((4, k) for k in range(9)))


def correction_layers(times: int) -> int:
    """Layers that corrections add to a step: four each, and one for g·v."""
    return 4 * times + 1 if times else 0


def _near(eps: Fraction) -> Fraction:
    return eps * Fraction(21, 20)


def _accuracies(
    mu: Fraction,
    d: int,
    tol: Fraction,
    steps: int,
    x0_norm: float,
    states: tuple[State, ...],
    layers: int,
    q: InversePolynomial,
    p: InversePolynomial,
    factors: Factors | None,
) -> StepPlan | None:
    """Errors for σ, Û and η such that every step is within tol; None where the polynomials alone take too much."""
    largest = max(state.decrement for state in states)
    first = 1 if x0_norm == 0 else 0  # at x = 0, σ and √(p(1 − p)) are numbers

    def budget(sigma: float, entry: float, eta: float, decrement: float) -> Budget:
        hessian = gram_error(entry, d)
        return step_error(mu, gradient=sigma, hessian=hessian, solve=q, decrement=p, eta=eta, largest_decrement=decrement)

    def worst(sigma: float, entry: float, eta: float, begin: int) -> float:
        """The largest error of a step, from step `begin` on."""
        run = states[begin:steps] or states[:1]
        try:
            return max(budget(sigma, entry, eta, s.decrement).largest or 0.0 for s in run)
        except CompileError:  # the decrement is not known well enough for any bound
            return float("inf")

    goal = float(tol)
    alone = worst(0.0, 0.0, 0.0, 0)  # what the polynomials take
    if alone > 0.9 * goal:
        return None
    limit = 0.499 * (sqrt(1 + float(_reach(tol))) - 1) / sqrt(d)  # so that the spectrum of ÛᵀÛ/n stays inside
    choices = []
    for share in (0.05, 0.1, 0.2, 0.3, 0.5) if steps > first else (0.95,):
        eta = _most(lambda e, share=share: worst(0.0, 0.0, e, 0) <= alone + share * (goal - alone), goal)
        if eta is None:
            continue
        if steps <= first:  # no step approximates σ or √(p(1 − p))
            choices.append((0.0, eta, 0.0, 0.0))
            break
        for part in (0.5, 0.3, 0.15, 0.08, 0.04, 0.02):
            found = _most(lambda e, part=part: float(budget(e, 0.0, 0.0, largest).error.absolute) <= part * goal, goal)
            entry = found and _most(lambda e, s=found, h=eta: worst(s, e, h, first) <= 0.99 * goal, min(limit, 0.1))
            if found and entry:
                # units of the two layers, about: σ and Û are in one, η is in another
                choices.append((max(d * 0.75 * entry**-0.6 + 1.5 * found**-0.5, 0.9 * eta**-0.5), eta, found, entry))
    if not choices:
        return None
    _, eta, sigma, entry = min(choices)
    exact_first = worst(0.0, 0.0, eta, 0) if first else 0.0
    largest_error = max(worst(sigma, entry, eta, first), exact_first)
    error = budget(sigma, entry, eta, largest).error
    distance = trajectory(mu, error, steps, x0_norm)[-1].distance
    top = sqrt(mu + q.upper - mu) * largest + sigma
    return StepPlan(
        mu,
        steps,
        layers,
        q,
        p,
        factors,
        sigma,
        entry,
        eta,
        region_radius(mu, tol, x0_norm, steps=steps) * (1 + 1e-9),
        float(p.largest) * top**2 * (1 + 1e-9),
        error,
        largest_error,
        distance,
        x0_norm,
    )


def _most(fits: Any, top: float) -> float | None:
    """The largest power of 2^(1/16) times `top`, downwards, that fits; None where even a tiny one does not. By bisection."""
    low, high = -1, 640  # top · 2^(−low/16) does not fit
    if not fits(top * 2.0**-40):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(top * 2.0 ** (-middle / 16)) else (middle, high)
    return float(top * 2.0 ** (-high / 16))
