"""One damped Newton step for regularised logistic regression: the inequalities, evaluated with outward rounding.

    f(x) = (1/n) Σ log(1 + exp(−y_i a_i·x)) + (μ/2) ‖x‖²,   y_i = ±1,  ‖a_i‖ ≤ 1,  μ > 0
    x⁺ = x − N/(1 + mλ) + ε,   N = H⁻¹∇f,  λ² = ∇fᵀH⁻¹∇f,  m = 1/(2√μ),   ‖ε‖ ≤ a + b‖N‖      (eq. 3.6 of Giannou et al.)

With K = μ + 1/4 (so that μ ≤ H ≤ K), L = 1/(6√3), M = 1/(3√3 √μ (1 + 4μ)), q = λ/(1 + mλ), ρ = √K (a + b‖N‖), Q = q + ρ,
e = ‖x − x*‖, E = ‖x − x*‖_H, ω(t) = t − ln(1 + t), ω*(t) = −t − ln(1 − t):

    third        |D³f(x)[u, u, u]| ≤ 2M (uᵀHu)^{3/2}: f is self-concordant with the constant M, which is the least one
    lipschitz    ‖H(x) − H(x')‖ ≤ L ‖x − x'‖
    newton       ‖x − x* − N‖ ≤ min(L e²/(2μ), M E²/((1 − ME)√μ))
    length       ‖N‖ ≤ min(λ/√μ, e + ‖x − x* − N‖)
    moved        ‖x⁺ − x‖ ≤ (λ/√μ)/(1 + mλ) + a + b‖N‖
    distance     ‖x⁺ − x*‖ ≤ min((1 − η)‖N‖ + g, (1 − η)e + ηg) + a + b‖N‖  with g = ‖x − x* − N‖, 1 − η = mλ/(1 + mλ)
    decrement    λ⁺ ≤ (mλ²/(1 + mλ) + ρ + MQ²/(1 − MQ)) / (1 − MQ)                              where MQ < 1
    decrease     f(x) − f(x⁺) ≥ qλ − λρ − ω*(M(q − ρ))/M²                                       where ρ ≤ q, Q/(1 − MQ) ≤ λ
    value        ω(Mλ)/M² ≤ f(x) − f* ≤ min(ω*(Mλ)/M² where Mλ < 1, Kλ²/(2μ), K e²/2)
    radius       ‖x*‖ ≤ r for every r with sup_{s ≤ r} s σ(−s) ≤ μr²
    start        λ ≤ min((σ(r) + μr)/√μ, e^{r/2}/√(1 + 4μ) + √μ r) where ‖x‖ ≤ r
    first        from x = 0, where H is largest: λ⁺ ≤ (mλ²/(1 + mλ) + ρ + s²Q/(12(1 + 4μ)))/√θ, θ = (4v(s) + 4μ)/(1 + 4μ),
                 v(s) = σ(s)σ(−s), s ≥ ‖x⁺‖; f(0) − f(x⁺) ≥ qλ − λρ − (q − ρ)²/2; ‖N‖ ≤ 1/(2√μ), and 2/(1 + 4μ) if 4μ ≥ 1

Each is checked by machine in `newton_proofs`. Source: Giannou et al. 2024, section 3.2 and appendix B, corrected and
sharpened (the paper uses M = m in "decrement" and "decrease", which loses a factor 3√3(1 + 4μ)/2 ≥ 2.6); own derivation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from .arguments import number
from .outward import IV, Ball, above, at_most, ball, below, between


@dataclass(frozen=True)
class StepError:
    """‖ε_t‖ ≤ absolute + relative·‖N_t‖ + min(cap, capped·‖N_t‖), N_t = H⁻¹∇f the exact Newton step. No cap: None.

    Since ‖N_t‖ ≤ λ_t/√μ ≤ ‖∇f(x_t)‖/μ, a bound relative to these follows.
    """

    absolute: Fraction
    relative: Fraction = Fraction(0)
    capped: Fraction = Fraction(0)
    cap: Fraction | None = None

    def __post_init__(self) -> None:
        """Raises CompileError for a part that is no number ≥ 0."""
        for name in ("absolute", "relative", "capped", "cap"):
            value = getattr(self, name)
            if name != "cap" or value is not None:
                object.__setattr__(self, name, number(f"StepError: {name}", value, least=0))

    def __str__(self) -> str:
        text = f"{float(self.absolute):.4g} + {float(self.relative):.4g}·‖N‖"
        if self.capped and self.cap is None:
            return f"{float(self.absolute):.4g} + {float(self.relative + self.capped):.4g}·‖N‖"
        return text + (f" + min({float(self.cap):.4g}, {float(self.capped):.4g}·‖N‖)" if self.capped and self.cap else "")

    def at(self, length: Ball) -> Ball:
        """The bound where ‖N‖ ≤ length; it grows with the length."""
        total = ball(self.absolute) + ball(self.relative) * length
        capped = ball(self.capped) * length
        if self.cap is not None and at_most(ball(self.cap), capped):
            return total + ball(self.cap)
        return total + capped


@dataclass(frozen=True)
class Damped:
    """The inequalities for given μ and errors. Arguments are upper bounds as floats; so are results, but for `decrease`."""

    mu: Fraction
    error: StepError

    @cached_property
    def root(self) -> Ball:
        """√μ."""
        return IV.sqrt(ball(self.mu))

    @cached_property
    def m(self) -> Ball:
        return 1 / (2 * self.root)

    @cached_property
    def M(self) -> Ball:
        return 1 / (3 * IV.sqrt(ball(3)) * self.root * (1 + 4 * ball(self.mu)))

    @cached_property
    def K(self) -> Ball:
        return ball(self.mu + Fraction(1, 4))

    @cached_property
    def lipschitz(self) -> Ball:
        return 1 / (6 * IV.sqrt(ball(3)))

    def curved(self, q: Ball) -> Ball | None:
        """Mq²/(1 − Mq): how far the gradient is from linear over a step of length q; None where Mq ≥ 1."""
        t = self.M * q
        return q * t / (1 - t) if below(1 - t) > 0 else None

    def newton(self, decrement: float, distance: float) -> float:
        """A bound on ‖x − x* − N‖."""
        bound = math.inf
        local = self.local(decrement, distance)
        if distance < math.inf:
            bound = above(self.lipschitz * ball(distance) ** 2 / (2 * ball(self.mu)))
        if local < math.inf and (curved := self.curved(ball(local))) is not None:
            bound = min(bound, above(curved / self.root))
        return bound

    def local(self, decrement: float, distance: float) -> float:
        """A bound on E = ‖x − x*‖_H: √K e, and λ/(1 − Mλ) where Mλ < 1."""
        bound = above(IV.sqrt(self.K) * ball(distance)) if distance < math.inf else math.inf
        rest = 1 - self.M * ball(decrement)
        return min(bound, above(ball(decrement) / rest)) if below(rest) > 0 else bound

    def length(self, decrement: float, distance: float) -> float:
        """A bound on ‖N‖."""
        bound = above(ball(decrement) / self.root)
        gap = self.newton(decrement, distance)
        return min(bound, above(ball(distance) + ball(gap))) if max(distance, gap) < math.inf else bound

    def moved(self, decrement: float) -> float:
        """A bound on ‖x⁺ − x‖: η‖N‖ ≤ (λ/√μ)/(1 + mλ), which grows with λ, and the error."""
        length = ball(decrement) / self.root
        return above(length / (1 + self.m * ball(decrement)) + self.error.at(length))

    def next_distance(self, decrement: float, distance: float) -> float:
        gap = self.newton(decrement, distance)
        if gap == math.inf:
            return math.inf
        damping = self.m * ball(decrement)
        length = ball(self.length(decrement, distance))
        kept, error = damping / (1 + damping), self.error.at(length)
        bound = above(length * kept + ball(gap) + error)
        if gap < distance:  # (1 − η)e + ηg = g + (1 − η)(e − g) grows with λ, with e and with g
            bound = min(bound, above(ball(gap) + (ball(distance) - ball(gap)) * kept + error))
        return bound

    def next_decrement(self, decrement: float, length: float | None = None) -> float:
        """`length` bounds ‖N‖; λ/√μ where it is not given."""
        x = ball(decrement)
        damping = self.m * x
        error = IV.sqrt(self.K) * self.error.at(x / self.root if length is None else ball(length))
        q = x / (1 + damping) + error
        curved = self.curved(q)
        if curved is None:
            return math.inf
        return above((x * damping / (1 + damping) + error + curved) / (1 - self.M * q))

    def decrease(self, low: float, high: float) -> float:
        """A lower bound on f(x) − f(x⁺) for every decrement in [low, high]; negative where no decrease is proved.

        For a fixed ρ the bound is increasing in λ wherever its two conditions hold at λ = low: see `newton_proofs`.
        """
        error = IV.sqrt(self.K) * self.error.at(ball(high) / self.root)
        x = ball(low)
        q = x / (1 + self.m * x)
        rest = 1 - self.M * (q + error)
        if at_most(error, q) and below(rest) > 0 and at_most((q + error) / rest, x):
            return below(q * x - x * error - self.omega_star(self.M * (q - error)) / self.M**2)
        x = ball(high)  # no decrease: only how far the value can rise, by f(x + h) ≤ f(x) + ∇f·h + ω*(M‖h‖_H)/M²
        largest = self.M * (x / (1 + self.m * x) + error)
        if below(1 - largest) <= 0:
            return -math.inf
        return below(-x * error - self.omega_star(largest) / self.M**2)

    def first_decrement(self, low: float, high: float) -> float:
        """λ after a step from x = 0, for every decrement in [low, high] there."""
        x = ball(high)
        damping = self.m * x
        length = x / self.root
        reach = ball(min(above(1 / (2 * self.root)), above(2 / (1 + 4 * ball(self.mu))) if 4 * self.mu >= 1 else math.inf))
        error = self.error.at(length)
        s = ball(min(above(length / (1 + damping)), above(reach / (1 + self.m * ball(low))))) + error
        rho = IV.sqrt(self.K) * error
        four_v = 4 * _sigmoid(s) * _sigmoid(-s)
        lift = 1 + 4 * ball(self.mu)
        curved = s**2 * (x / (1 + damping) + rho) / (12 * lift)
        return above((x * damping / (1 + damping) + rho + curved) / IV.sqrt((four_v + 4 * ball(self.mu)) / lift))

    def first_decrease(self, low: float, high: float) -> float:
        """`decrease` for a step from x = 0."""
        error = IV.sqrt(self.K) * self.error.at(ball(high) / self.root)
        x = ball(low)
        q = x / (1 + self.m * x)
        if not at_most(error, q):
            return self.decrease(low, high)
        return below(q * x - x * error - (q - error) ** 2 / 2)

    def least_value(self, decrement: float) -> float:
        """A lower bound on f − f* for every decrement at least as large."""
        t = self.M * ball(decrement)
        return max(0.0, below((t - IV.log(1 + t)) / self.M**2))

    def greatest_value(self, decrement: float, distance: float = math.inf) -> float:
        """An upper bound on f − f*."""
        x = ball(decrement)
        bound = above(self.K * x**2 / (2 * ball(self.mu)))
        t = self.M * x
        if below(1 - t) > 0:
            bound = min(bound, above(self.omega_star(t) / self.M**2))
        return min(bound, above(self.K * ball(distance) ** 2 / 2)) if distance < math.inf else bound

    def distance_of(self, decrement: float, value: float) -> float:
        """A bound on ‖x − x*‖ from λ and f − f*: E/√μ and √(2(f − f*)/μ), and ‖∇f‖/μ ≤ √K λ/μ."""
        bound = above(IV.sqrt(self.K) * ball(decrement) / ball(self.mu))
        local = self.local(decrement, math.inf)
        if local < math.inf:
            bound = min(bound, above(ball(local) / self.root))
        return min(bound, above(IV.sqrt(2 * ball(value) / ball(self.mu)))) if value < math.inf else bound

    def decrement_of(self, distance: float) -> float:
        """A bound on λ from ‖x − x*‖: E/(1 − ME) with E ≤ √K e, and ‖∇f‖/√μ ≤ K e/√μ."""
        if distance == math.inf:
            return math.inf
        bound = above(self.K * ball(distance) / self.root)
        local = IV.sqrt(self.K) * ball(distance)
        rest = 1 - self.M * local
        return min(bound, above(local / rest)) if below(rest) > 0 else bound

    def start(self, norm: float) -> float:
        """A bound on λ at every x with ‖x‖ ≤ norm; 1/√(1 + 4μ) at x = 0."""
        r = ball(norm)
        bound = above((_sigmoid(r) + ball(self.mu) * r) / self.root)
        if norm > 60:
            return bound
        return min(bound, above(IV.exp(r / 2) / IV.sqrt(1 + 4 * ball(self.mu)) + self.root * r))

    @staticmethod
    def omega_star(t: Ball) -> Ball:
        return -t - IV.log(1 - t)

    # -- where the minimiser lies ---------------------------------------------------------------------------------------

    @cached_property
    def radius(self) -> float:
        """A bound on ‖x*‖."""
        low, high = 0.0, 1 / (2 * float(self.mu)) * (1 + 1e-12)  # ‖x*‖ ≤ ‖∇f(0)‖/μ ≤ 1/(2μ)
        for _ in range(100):
            middle = (low + high) / 2
            low, high = (low, middle) if self._beyond(middle) else (middle, high)
        return high

    def _beyond(self, r: float) -> bool:
        """Whether sup_{s ≤ r} s σ(−s) ≤ μ r²: then it is so for every larger r, and no minimiser lies outside."""
        return at_most(_largest_pull(r), ball(self.mu) * ball(r) ** 2)

    @cached_property
    def least(self) -> float:
        """A lower bound on f*: the least of ln(1 + e^{−r}) + μr²/2, by strong convexity from a point close to it."""
        low, high = 0.0, 1 / (2 * float(self.mu))
        for _ in range(100):
            r = (low + high) / 2
            low, high = (low, r) if float(self.mu) * r > 1 / (1 + math.exp(min(r, 700))) else (r, high)
        r = ball(high)
        slope = ball(self.mu) * r - _sigmoid(-r)
        return below(_softplus(-r) + ball(self.mu) * r**2 / 2 - slope**2 / (2 * ball(self.mu)))

    def first_value(self, norm: float) -> float:
        """A bound on f(x) at every x with ‖x‖ ≤ norm."""
        r = ball(norm)
        return above(_softplus(r) + ball(self.mu) * r**2 / 2)

    def norm_of(self, value: float) -> float:
        """A bound on ‖x‖ where f(x) ≤ value: f(x) ≥ ln(1 + e^{−r}) + μr²/2 with r = ‖x‖, which is convex in r."""
        high = above(IV.sqrt(2 * ball(value) / ball(self.mu)))
        low = self.radius_of_least
        for _ in range(30):
            middle = (low + high) / 2
            r = ball(middle)
            if at_most(ball(value), _softplus(-r) + ball(self.mu) * r**2 / 2):
                high = middle
            else:
                low = middle
        return high

    @cached_property
    def radius_of_least(self) -> float:
        """Where ln(1 + e^{−r}) + μr²/2 is proved to increase: a point with a positive derivative (it is convex)."""
        high = 1 / (2 * float(self.mu)) * (1 + 1e-12)
        low = 0.0
        for _ in range(80):
            r = (low + high) / 2
            if at_most(_sigmoid(-ball(r)), ball(self.mu) * ball(r)):
                high = r
            else:
                low = r
        return high


def _sigmoid(x: Ball) -> Ball:
    return 1 / (1 + IV.exp(-x))


def _softplus(x: Ball) -> Ball:
    """ln(1 + e^x), without overflow for large x."""
    return IV.log(1 + IV.exp(x)) if below(x) < 60 else x + IV.log(1 + IV.exp(-x))


#: s σ(−s) increases up to the root s₀ of 1 = s σ(s), where it is s₀ − 1; s₀ lies between these (checked in `newton_proofs`).
PEAK = (Fraction(12784645427610, 10**13), Fraction(12784645427611, 10**13))


def _largest_pull(r: float) -> Ball:
    """An upper bound on sup of s σ(−s) over s ≤ r."""
    if Fraction(r) <= PEAK[0]:
        return ball(r) * _sigmoid(-ball(r))
    return between(PEAK[0] - 1, PEAK[1] - 1)
