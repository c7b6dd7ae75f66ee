"""Odd cubics: the sign of a symmetric matrix, the polar factor of any matrix, and the inverse square root.

All three apply p(σ) = aσ + bσ³ again and again to numbers σ > 0 until they are 1: to the singular values (polar factor),
to the absolute eigenvalues (sign), or to the square roots of eigenvalues times those of X (inverse square root). The
residual is R = 1 − σ. A step multiplies three matrices: one layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import sympy

from ...proofs_check.ranges import Interval, Polynomial, image, square_root
from .recurrence import Recurrence, State, Step, identity_like, numbers_like
from .rounding import nearest

__tracebackhide__ = True  # errors name the program's line, not ours

_NEWTON_SCHULZ = (Fraction(3, 2), Fraction(-1, 2))


@dataclass(frozen=True)
class _OddCubic(Recurrence):
    """tuned: the odd cubic closest to 1 on the interval in every step; else 3/2 σ − 1/2 σ³, which needs no lower end."""

    tuned: bool

    @property
    def symbols(self) -> Step:  # type: ignore[override]
        return sympy.symbols("a b") if self.tuned else (sympy.Rational(3, 2), sympy.Rational(-1, 2))

    def start(self, l: Fraction, u: Fraction) -> Fraction:
        """1/u, so that σ ≤ 1; tuned cubics do not depend on the scale of their argument, and 2/(u + l) centres it."""
        return nearest(2 / (u + l)) if self.tuned else nearest(1 / u)

    def tune(self, residual: Interval) -> tuple[Fraction, ...]:
        if not self.tuned:
            return _NEWTON_SCHULZ
        best = best_odd_cubic(1 - residual.hi, 1 - residual.lo)
        # close to 1 the rounding of the best one costs more than it gains: 3/2 and −1/2 are exact
        return min((best, _NEWTON_SCHULZ), key=lambda step: image(self.polynomial(step), residual).largest)

    def polynomial(self, step: Step) -> Polynomial:
        """1 − a(1 − r) − b(1 − r)³."""
        a, b = step
        return 1 - a - b, a + 3 * b, -3 * b, b


def best_odd_cubic(l: Fraction, u: Fraction) -> tuple[Fraction, Fraction]:
    """(a, b), numbers of 53 bits: aσ + bσ³ deviates from 1 on [l, u], 0 < l ≤ u, as little as an odd cubic can.

    The best one has equal deviations at l, at its maximum m = √((l² + lu + u²)/3), and at u, with alternating signs.
    Source: Chen and Chow 2014 and Grishina et al. 2025 for the cubic; that no composition of odd cubics is better than the
    one of best cubics: Amsel et al. 2025.
    """
    third = (l * l + l * u + u * u) / 3
    b = 2 / (l * u * (l + u) + 2 * third * square_root(third).lo)
    return nearest(3 * b * third), -nearest(b)


@dataclass(frozen=True)
class Orthogonalise(_OddCubic):
    """Y ← aY + b Y Yᵀ Y, from Y_0 = start · A: the singular vectors stay, every singular value σ becomes aσ + bσ³.

    For symmetric A = QΛQᵀ this is Q sign(Λ) Qᵀ in the limit: the sign.
    """

    def run(self, start: Any, steps: Sequence[Step], value: Any) -> Any:
        (Y,) = self.begin(start, value)
        for step in steps:
            (Y,) = self.advance((Y,), step, value)
        return Y

    def begin(self, start: Any, value: Any) -> State:
        (scale,) = numbers_like([start], value)
        return (scale * value,)

    def advance(self, state: State, step: Step, value: Any) -> State:
        (Y,) = state
        a, b = numbers_like(step, value)
        return (a * Y + b * (Y @ Y.T @ Y),)

    def unknowns(self) -> tuple[sympy.Symbol, Any]:
        return sympy.Symbol("y"), sympy.Symbol("s")

    def state_of(self, X: Any, value: Any) -> State:
        return (X,)

    def residual_of(self, X: Any, value: Any) -> Any:
        return 1 - X


@dataclass(frozen=True)
class InverseRoot(_OddCubic):
    """X ← X (aI + bM), M ← (aI + bM) M (aI + bM) with M = S X², from X_0 = start · I; σ = √λ x.

    E = I − M is carried, whose rounding errors vanish with it. l and u are eigenvalues of S, and σ covers their roots.
    """

    symbols_of_value: ClassVar[sympy.Symbol] = sympy.Symbol("q", positive=True)

    def start(self, l: Fraction, u: Fraction) -> Fraction:
        return super().start(square_root(l).lo, square_root(u).hi)

    def numbers(self, l: Fraction, u: Fraction) -> Interval:
        return Interval(square_root(l).lo, square_root(u).hi)

    def run(self, start: Any, steps: Sequence[Step], value: Any) -> Any:
        X, E = self.begin(start, value)
        for step in steps:
            X, E = self.advance((X, E), step, value)
        return X

    def begin(self, start: Any, value: Any) -> State:
        I = identity_like(value)
        scale, square = numbers_like([start, start * start], value)
        return scale * I, I - square * value

    def advance(self, state: State, step: Step, value: Any) -> State:
        """aI + bM = wI − bE with w = a + b, and I − (I − E)(wI − bE)² as a polynomial in E."""
        X, E = state
        I = identity_like(value)
        a, b = step
        w = a + b
        w, b, e0, e1, e2, e3 = numbers_like([w, b, 1 - w * w, w * w + 2 * w * b, -2 * w * b - b * b, b * b], value)
        X, E = w * X - b * X @ E, e0 * I + e1 * E + E @ (e2 * I + e3 * E) @ E
        return X, E

    def unknowns(self) -> tuple[sympy.Symbol, Any]:
        return sympy.Symbol("x"), self.symbols_of_value**2

    def state_of(self, X: Any, value: Any) -> State:
        return X, 1 - value * X**2

    def residual_of(self, X: Any, value: Any) -> Any:
        return 1 - sympy.sqrt(value) * X
