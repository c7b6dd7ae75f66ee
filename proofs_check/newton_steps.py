"""A run of damped Newton steps that are not all made alike: the error of each step, and what is certain after it.

A step is x − η̂ q(Ĥ)ĝ. Far from the minimiser η̂ is a function of the decrement; near it a number will do, because η changes
little where λ is small, and a polynomial of low degree will do too, because its error is relative to N = H⁻¹∇f. With a number c
for η̂, the step is off by (c − η)N, and for λ ≤ Λ

    |c − η(λ)|·‖N‖ ≤ max(2(1 − √c)², (c − η(Λ))·‖N‖_max),   η(λ) = 1/(1 + mλ),  m = 1/(2√μ)

(`check_constant` proves it). States are carried from step to step by the lemmas of `newton_lemmas`, each step with its error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from .minimax import as_rational
from .newton_budget import (
    Budget,
    HessianError,
    InversePolynomial,
    certified,
    check_interval,
    corrected,
    gram_error,
    step_error,
)
from .newton_cells import State
from .newton_lemmas import Damped, StepError
from .outward import IV, above, ball, plus


@dataclass(frozen=True)
class StepForm:
    """What one step is made of: polynomials in H − μI for H⁻¹ in the direction (`solve`) and in λ² (`decrement`), constants
    first, on [μ, upper]; factor: the constant step size c, and then there is no λ²; None: η(λ²).
    corrections: how often v ← v + q(H)(g − Hv) follows; then λ² is g·v as well.
    """

    solve: tuple[Fraction, ...]
    decrement: tuple[Fraction, ...]
    upper: Fraction
    factor: Fraction | None = None
    corrections: int = 0

    def polynomials(self, mu: Fraction) -> tuple[InversePolynomial, InversePolynomial]:
        """q and p, with their proved residuals; p is q where there is no λ², and where the corrected step is what meets g."""
        q = corrected(certified(self.solve, mu, self.upper, mu), self.corrections)
        plain = self.factor is not None or self.corrections > 0 or self.decrement == self.solve
        return q, q if plain else certified(self.decrement, mu, self.upper, mu)


def constant_step_error(
    mu: Any, *, factor: Any, gradient: Any, hessian: HessianError, solve: InversePolynomial, largest_decrement: Any
) -> Budget:
    """A bound a + b‖N‖ on the error of x − c·q(Ĥ)ĝ against the damped step, λ ≤ largest_decrement; else as `step_error`.

    factor is c, in (0, 1]; the polynomial of degree 0 does not use Ĥ.
    """
    m, c = as_rational("mu", mu), ball(as_rational("factor", factor))
    check_interval(m, hessian, solve, "solve")
    s, largest = ball(as_rational("gradient", gradient)), ball(as_rational("largest_decrement", largest_decrement))
    root = IV.sqrt(ball(m))
    length, eta = largest / root, 1 / (1 + largest / (2 * root))
    crossed = ball(0) if solve.degree == 0 else ball(solve.largest) * ball(Fraction(hessian.size))
    spread = crossed * length
    if solve.degree and hessian.factor is not None:
        delta, r = ball(Fraction(hessian.factor)), ball(solve.residual)
        crossed = _least(crossed, delta * ((1 + r) / (2 * root) + ball(solve.largest) / 2))
        both = delta * root * IV.sqrt(((1 + r) / (2 * ball(m))) ** 2 + ball(solve.largest) ** 2)
        spread = _least(crossed * length, both * length)
    apart = IV.mpf([0, max(above(1 - c), above(c - eta), 0.0)])
    peak, end = 2 * (1 - IV.sqrt(c)) ** 2, (c - eta) * length
    absolute = {"gradient": c * ball(solve.largest) * s}
    relative = {"solve polynomial": c * ball(solve.residual), "Hessian": c * crossed, "constant step size": apart}
    total = StepError(Fraction(above(sum(absolute.values(), ball(0)))), Fraction(above(sum(relative.values(), ball(0)))))
    worst = absolute["gradient"] + c * (ball(solve.residual) * length + spread) + max(above(peak), above(end), 0.0)
    return Budget(
        total,
        {k: above(v) for k, v in absolute.items()},
        {k: above(v) for k, v in relative.items()},
        min(above(worst), above(total.at(length))),
    )


def _least(a: Any, b: Any) -> Any:
    return a if above(a) <= above(b) else b


def form_error(
    mu: Fraction,
    d: int,
    polynomials: tuple[InversePolynomial, InversePolynomial],
    factor: Fraction | None,
    decrement: float,
    *,
    sigma: Any = 0,
    entry: Any = 0,
    eta: Any = 0,
) -> Budget:
    """The error of a step where λ ≤ decrement: σ within sigma, each entry of √(p(1 − p)) a_i within entry, η within eta."""
    q, p = polynomials
    hessian = gram_error(entry, d)
    if factor is not None:
        return constant_step_error(mu, factor=factor, gradient=sigma, hessian=hessian, solve=q, largest_decrement=decrement)
    return step_error(mu, gradient=sigma, hessian=hessian, solve=q, decrement=p, eta=eta, largest_decrement=decrement)


def best_factor(mu: Any, decrement: float) -> Fraction:
    """The constant step size that is best for λ ≤ decrement: where both bounds of (c − η)N are equal."""
    root = math.sqrt(float(mu))
    eta, length = 1 / (1 + decrement / (2 * root)), decrement / root
    low, high = eta, 1.0
    for _ in range(60):
        c = (low + high) / 2
        low, high = (c, high) if 2 * (1 - math.sqrt(c)) ** 2 > (c - eta) * length else (low, c)
    return Fraction(high)


def after(mu: Fraction, state: State, error: Budget, known: State, first: bool = False) -> State:
    """What is certain after one more step with this error, beside `known`, which holds after it anyway; first: from x = 0."""
    decrement, distance, norm = known.decrement, known.distance, known.norm
    sizes = [error.error] + ([] if error.largest is None else [StepError(Fraction(error.largest))])
    for size in sizes:
        damped = Damped(mu, size)
        decrement = min(decrement, damped.next_decrement(state.decrement, damped.length(state.decrement, state.distance)))
        if first:
            ends = np.linspace(0, state.decrement, 33)
            decrement = min(decrement, max(damped.first_decrement(low, high) for low, high in pairwise(ends)))
        distance = min(distance, damped.next_distance(state.decrement, state.distance))
        norm = min(norm, plus(state.norm, damped.moved(state.decrement)))
    exact = Damped(mu, StepError(Fraction(0)))
    gap = known.gap
    for _ in range(2):
        decrement = min(decrement, exact.decrement_of(distance))
        gap = min(gap, exact.greatest_value(decrement, distance))
        distance = min(distance, exact.distance_of(decrement, gap))
    return State(decrement, distance, gap, min(norm, plus(_radius(mu), distance)), min(known.value, plus(gap, 0.6932)))


@lru_cache(maxsize=64)
def _radius(mu: Fraction) -> float:
    return Damped(mu, StepError(Fraction(0))).radius
