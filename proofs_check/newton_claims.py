"""What is claimed of T damped Newton steps with errors, as verdicts: proved by the theory, or refuted by a data set."""

from __future__ import annotations

from decimal import ROUND_CEILING, Context
from fractions import Fraction
from typing import Any

from ..compiler.errors import CompileError
from .certificate import Claim, Proved, Refuted, Unknown, Verdict
from .minimax import as_rational
from .newton_lemmas import StepError
from .newton_proofs import LEMMAS, prove_lemmas
from .newton_theory import region_radius, trajectory
from .outward import IV, Ball, at_most, ball, below, between

#: Data sets on which damped Newton is slow, n = d = 1 and y = 1, and in which way the error pushes: a = 0, where
#: x ↦ x|x|/(2 + |x|) + ε, and a = 1, the slowest start that we know.
_SLOW = ((0, 1), (1, -1))


def check_distance(mu: Any, eps: Any, steps: int, tol: Any, x0_norm: Any = 0, relative: Any = 0) -> Verdict:
    """Whether ‖x_T − x*‖ ≤ tol for all data, all starts and all errors that `distance_bound` speaks of.

    Refuted comes with a data set, a start 0 and errors that end further away (interval arithmetic).
    Raises CompileError where an argument is out of range.
    """
    goal = as_rational("tol", tol)
    if goal <= 0:
        raise CompileError(f"tol is {float(goal):.6g}: expected a number above 0", fix="pass the distance that is to be proved")
    state = trajectory(mu, eps, steps, x0_norm, relative)[-1]
    if state.distance <= goal:
        return Proved(
            f"‖x_T − x*‖ ≤ {up(state.distance)} after T = {steps} steps, by the recurrences of {len(LEMMAS)} lemmas that are "
            "checked by computer algebra, evaluated with outward rounding"
        )
    for a, _ in _SLOW:
        reached = farthest(a, mu, eps, steps, relative)
        if reached > goal:
            return Refuted(f"n = d = 1, a = {a}, y = 1, x_0 = 0, errors away from x*: ‖x_T − x*‖ ≥ {reached:.4g}, T = {steps}")
    return Unknown(f"proved is {up(state.distance)} only, after {steps} steps")


def theory_claims(mu: Any, eps: Any, steps: int, tol: Any, x0_norm: Any = 0, relative: Any = 0) -> tuple[Claim, ...]:
    """The claims of a model that makes T damped steps with these errors, for its certificate."""
    last = trajectory(mu, eps, steps, x0_norm, relative)[-1]
    radius = region_radius(mu, eps, x0_norm, relative, steps=steps)
    statement = f"‖x_T − x*‖ ≤ {float(as_rational('tol', tol)):.4g} for all data with ‖a_i‖ ≤ 1, y_i = ±1 (T = {steps})"
    found: list[tuple[str, str, Verdict]] = [
        ("distance", statement, check_distance(mu, eps, steps, tol, x0_norm, relative)),
    ]
    same = Proved("the same recurrences")
    if last.gap < float("inf"):
        found.append(("value", f"f(x_T) − f(x*) ≤ {up(last.gap)}", same))
    if radius < float("inf"):
        found.append(("region", f"‖x_t‖ ≤ {up(radius)}, so |a_i·x_t| is too, for t ≤ T", same))
    return (lemma_claim(), *(Claim(*claim) for claim in found))


def lemma_claim() -> Claim:
    """That the inequalities hold on which everything here rests."""
    lemmas = prove_lemmas()
    every: Verdict = Proved("; ".join(claim.name for claim in lemmas.claims))
    failed = next((c.verdict for c in lemmas.claims if not isinstance(c.verdict, Proved)), every)
    return Claim("lemmas", "the inequalities of damped Newton with errors", failed)


def farthest(a: int, mu: Any, eps: Any, steps: int, relative: Any = 0) -> float:
    """A lower bound on ‖x_T − x*‖ for n = d = 1, y = 1, x_0 = 0 and errors of full size away from x*; a is 0 or 1."""
    m = as_rational("mu", mu)
    error = eps if isinstance(eps, StepError) else StepError(as_rational("eps", eps))
    share = error.relative + as_rational("relative", relative)
    root = 2 * IV.sqrt(ball(m))
    target, away = _minimiser(a, m), dict(_SLOW)[a]
    x = ball(0)
    for _ in range(steps):
        p = 1 / (1 + IV.exp(a * x))
        gradient, hessian = -a * p + ball(m) * x, a * p * (1 - p) + ball(m)
        newton = gradient / hessian
        length = abs(newton)
        size = ball(error.absolute) + ball(share) * length + _capped(error, length)
        x = x - root / (root + abs(gradient) / IV.sqrt(hessian)) * newton + away * size
    return max(below(abs(x - target)), 0.0)


def _capped(error: StepError, length: Ball) -> Ball:
    part = ball(error.capped) * length
    return part if error.cap is None or at_most(part, ball(error.cap)) else ball(min(error.cap, Fraction(below(part))))


def _minimiser(a: int, mu: Fraction) -> Ball:
    """The root of μx = aσ(−ax), enclosed by bisection with proved signs."""
    low, high = Fraction(0), a / (2 * mu)
    for _ in range(100 if a else 0):
        middle = (low + high) / 2
        if at_most(ball(mu * middle), 1 / (1 + IV.exp(ball(middle)))):
            low = middle
        elif at_most(1 / (1 + IV.exp(ball(middle))), ball(mu * middle)):
            high = middle
        else:
            break
    return between(low, high)


def up(value: float) -> str:
    """Four digits, rounded up: what is printed is a bound as well."""
    return f"{float(Context(prec=4, rounding=ROUND_CEILING).create_decimal(value)):.4g}"
