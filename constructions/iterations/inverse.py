"""Iterations for the inverse of a symmetric positive definite S: X ← X Σ_k c_k R^k with the residual R = I − SX.

The residual (or T = SX) is carried along instead of being formed again from S: that saves a layer a step, and rounding
errors of a step are then at most about u κ instead of u κ² (docs/reference/iterations.md). The order of factors decides
about rounding too: a head computes V Kᵀ Q, so an error of T that is not symmetric enters with the opposite sign where T
is read as a key.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import sympy

from ...proofs_check.ranges import Interval, Polynomial
from .recurrence import Recurrence, State, Step, identity_like, numbers_like
from .rounding import nearest

__tracebackhide__ = True  # errors name the program's line, not ours

_ONE = Fraction(1)


class _Inverse(Recurrence):
    """X_0 = αI; a step is given by the coefficients (c_0, c_1, …) of X ← X Σ_k c_k R^k."""

    def start(self, l: Fraction, u: Fraction) -> Fraction:
        """2/(u + l), which makes the residual smallest; 1/u where l is not known (0)."""
        return nearest(2 / (u + l)) if l else nearest(1 / u)

    def polynomial(self, step: Step) -> Polynomial:
        """1 − (1 − r) Σ_k c_k r^k."""
        shifted = [*step, 0]
        return tuple(int(k == 0) - c + (shifted[k - 1] if k else 0) for k, c in enumerate(shifted))

    def run(self, start: Any, steps: Sequence[Step], value: Any) -> Any:
        S = value
        X, R = self.begin(start, S)
        for step in steps:
            X, R = self.advance((X, R), step, S)
        return X

    factors: ClassVar[bool] = True

    def apply(self, start: Any, steps: Sequence[Step], value: Any, rows: Any) -> Any:
        _, carried = self.begin(start, value)
        (alpha,) = numbers_like([start], value)
        X = alpha * rows
        for step in steps:
            X, carried = self.advance((X, carried), step, value)
        return X

    def begin(self, start: Any, value: Any) -> State:
        I = identity_like(value)
        (alpha,) = numbers_like([start], value)
        return alpha * I, I - alpha * value

    @abstractmethod
    def advance(self, state: State, step: Step, value: Any) -> State: ...

    def unknowns(self) -> tuple[sympy.Symbol, Any]:
        return sympy.Symbol("x"), sympy.Symbol("s")

    def state_of(self, X: Any, value: Any) -> State:
        return X, self.residual_of(X, value)

    def residual_of(self, X: Any, value: Any) -> Any:
        return 1 - value * X


@dataclass(frozen=True)
class Power(_Inverse):
    """R ← R^order: c_k = 1 for k < order. R is carried; powers of it are shared so that ⌈log₃ order⌉ layers suffice."""

    order: int

    @property
    def symbols(self) -> Step:  # type: ignore[override]
        return (sympy.Integer(1),) * self.order

    def tune(self, residual: Interval) -> tuple[Fraction, ...]:
        return (_ONE,) * self.order

    def advance(self, state: State, step: Step, value: Any) -> State:
        X, R = state
        for stage in _STAGES[self.order]:
            X, R = stage(X, R, identity_like(value))
        return X, R


def _square(X: Any, R: Any, I: Any) -> State:
    X, R = X + X @ R, R @ R
    return X, R


def _cube(X: Any, R: Any, I: Any) -> State:
    X, R = X + X @ (I + R) @ R, R @ R @ R
    return X, R


def _fifth(X: Any, R: Any, I: Any) -> State:
    """(I + R²)(R + R²) = R + R² + R³ + R⁴."""
    P = R @ R
    X, R = X + X @ (I + P) @ (R + P), P @ R @ P
    return X, R


def _seventh(X: Any, R: Any, I: Any) -> State:
    """(I + R³)(R + R² + R³); the sum of powers is formed in the layer that cubes R, as R² of its own would cost a layer."""
    C = R @ R @ R
    U = R + R @ R + C
    X, R = X + X @ (I + C) @ U, C @ R @ C
    return X, R


def _eighth(X: Any, R: Any, I: Any) -> State:
    """(I + R)(I + R² + R⁴ + R⁶), the second factor from C = R³ and U = R² + R³."""
    C = R @ R @ R
    U = R @ R + C
    X = X + X @ R
    X, R = X + X @ (U - C) + X @ (R + C) @ C, (U - C) @ C @ C
    return X, R


#: A step of each order as stages; the composite orders are steps of their factors.
_STAGES = {
    2: (_square,),
    3: (_cube,),
    4: (_square, _square),
    5: (_fifth,),
    6: (_square, _cube),
    7: (_seventh,),
    8: (_eighth,),
    9: (_cube, _cube),
}


@dataclass(frozen=True)
class Literal(_Inverse):
    """R ← R² by X ← 2X − XSX as it is printed: SX is formed anew in every step."""

    symbols: ClassVar[Step] = (sympy.Integer(1),) * 2
    factors: ClassVar[bool] = False

    def tune(self, residual: Interval) -> tuple[Fraction, ...]:
        return _ONE, _ONE

    def run(self, start: Any, steps: Sequence[Step], value: Any) -> Any:
        S = value
        (X,) = self.begin(start, S)
        for step in steps:
            (X,) = self.advance((X,), step, S)
        return X

    def begin(self, start: Any, value: Any) -> State:
        (alpha,) = numbers_like([start], value)
        return (alpha * identity_like(value),)

    def advance(self, state: State, step: Step, value: Any) -> State:
        (X,) = state
        return (2 * X - X @ value @ X,)

    def state_of(self, X: Any, value: Any) -> State:
        return (X,)


@dataclass(frozen=True)
class ScaledNewton(_Inverse):
    """R ← 1 − c + c R², c = 2/(2 − ρ²) for |R| ≤ ρ: T_2(R/ρ)/T_2(1/ρ), the smallest maximum on [−ρ, ρ]."""

    symbols: ClassVar[Step] = (sympy.Symbol("c"),) * 2

    def tune(self, residual: Interval) -> tuple[Fraction, ...]:
        c = nearest(2 / (2 - residual.largest**2))
        return c, c

    def advance(self, state: State, step: Step, value: Any) -> State:
        X, R = state
        c, _ = numbers_like(step, value)
        X, R = c * X + c * X @ R, (1 - c) * identity_like(value) + c * R @ R
        return X, R


@dataclass(frozen=True)
class Tripling(_Inverse):
    """R ← a R³ + (1 − a) R by X ← X + X (2I − T)(a (I − T)); T = SX is carried and multiplied by the same factor.

    One factor for X and T is one head. Tuned, a = 4/(4 − 3ρ²) for |R| ≤ ρ gives T_3(R/ρ)/T_3(1/ρ), the smallest maximum
    on [−ρ, ρ]; from X_0 = 2/(u + l) I on these compose to Chebyshev polynomials of degree 3^k, the smallest of their
    degree (T_3 ∘ T_m = T_3m). With a = 1 nothing depends on l, and the residual is R³.
    """

    tuned: bool

    @property
    def symbols(self) -> Step:  # type: ignore[override]
        a = sympy.Symbol("a") if self.tuned else sympy.Integer(1)
        return sympy.Integer(1), a, a

    def start(self, l: Fraction, u: Fraction) -> Fraction:
        return super().start(l, u) if self.tuned else nearest(1 / u)

    def tune(self, residual: Interval) -> tuple[Fraction, ...]:
        a = nearest(4 / (4 - 3 * residual.largest**2)) if self.tuned else _ONE
        return _ONE, a, a

    def run(self, start: Any, steps: Sequence[Step], value: Any) -> Any:
        S = value
        X, T = self.begin(start, S)
        for step in steps:
            X, T = self.advance((X, T), step, S)
        return X

    def begin(self, start: Any, value: Any) -> State:
        (alpha,) = numbers_like([start], value)
        return alpha * identity_like(value), alpha * value

    def advance(self, state: State, step: Step, value: Any) -> State:
        X, T = state
        I = identity_like(value)
        _, a, _ = numbers_like(step, value)
        # 2I − T is the key: an antisymmetric error of T is then multiplied by 1 − a → 0, and by 1 + a the other way round
        X, T = X + X @ (2 * I - T) @ (a * (I - T)), T + T @ (2 * I - T) @ (a * (I - T))
        return X, T

    def state_of(self, X: Any, value: Any) -> State:
        return X, value * X
