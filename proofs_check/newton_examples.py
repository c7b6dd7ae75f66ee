"""Small logistic losses for counterexamples: d = 1, in intervals with outward rounding, and a = 0, where all is rational.

    f(x) = (1/n) Σ log(1 + exp(−y_i a_i x)) + μx²/2,   g = f/(4μ),   N = ∇f/∇²f,   η = 2√μ/(2√μ + λ_f) = 1/(1 + λ_g)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from .outward import IV, Ball, ball

#: (a_i, y_i) with |a_i| ≤ 1 and y_i = ±1.
Examples = Sequence[tuple[int, int]]

#: n = 2, a = 1, y = ±1: even, with its minimum at 0.
BOTH = ((1, 1), (1, -1))


@dataclass(frozen=True)
class Loss:
    """f in one dimension, at a point: every property is an interval that contains the true value."""

    mu: Fraction
    examples: Examples
    x: Ball

    @property
    def value(self) -> Ball:
        total = sum((IV.log(1 + IV.exp(-y * a * self.x)) for a, y in self.examples), ball(0))
        return total / len(self.examples) + ball(self.mu) * self.x**2 / 2

    @property
    def gradient(self) -> Ball:
        total = sum((-y * a / (1 + IV.exp(y * a * self.x)) for a, y in self.examples), ball(0))
        return total / len(self.examples) + ball(self.mu) * self.x

    @property
    def hessian(self) -> Ball:
        total = ball(0)
        for a, y in self.examples:
            z = IV.exp(-y * a * self.x)
            total += a**2 * z / (1 + z) ** 2
        return total / len(self.examples) + ball(self.mu)

    @property
    def newton(self) -> Ball:
        return self.gradient / self.hessian

    @property
    def decrement(self) -> Ball:
        """λ_f."""
        return abs(self.gradient) / IV.sqrt(self.hessian)

    @property
    def scaled_decrement(self) -> Ball:
        """λ_g."""
        return self.decrement / (2 * IV.sqrt(ball(self.mu)))

    @property
    def scaled_hessian(self) -> Ball:
        """∇²g."""
        return self.hessian / (4 * ball(self.mu))

    @property
    def damping(self) -> Ball:
        """η."""
        return 1 / (1 + self.scaled_decrement)

    @property
    def step(self) -> Ball:
        """−ηN, without an error."""
        return -self.damping * self.newton

    def moved(self, by: Ball) -> Loss:
        return Loss(self.mu, self.examples, self.x + by)


def loss(mu: Fraction | int, x: Fraction | int, examples: Examples = ((1, 1),)) -> Loss:
    return Loss(Fraction(mu), examples, ball(Fraction(x)))


@dataclass(frozen=True)
class Flat:
    """All a_i = 0, at ‖x‖ = r, exactly: ∇f = μx, ∇²f = μ, N = x; g = f/(4μ)."""

    mu: Fraction
    r: Fraction

    @property
    def decrement_squared(self) -> Fraction:
        """λ_f² = ∇f·(∇²f)⁻¹∇f."""
        return (self.mu * self.r) ** 2 / self.mu

    @property
    def scaled_decrement(self) -> Fraction:
        """λ_g = √(∇g·(∇²g)⁻¹∇g), ∇g = x/4 and ∇²g = 1/4."""
        return self.r / 4 / Fraction(1, 2)

    @property
    def damping(self) -> Fraction:
        return 1 / (1 + self.scaled_decrement)

    @property
    def after(self) -> Fraction:
        """‖x − ηN‖: where an exact step leads; an error along x is added."""
        return self.r - self.damping * self.r

    @property
    def scaled_gap(self) -> Fraction:
        """g − g*."""
        return self.mu * self.r**2 / 2 / (4 * self.mu)


def flat(mu: Fraction | int, r: Fraction | int) -> Flat:
    return Flat(Fraction(mu), Fraction(r))
