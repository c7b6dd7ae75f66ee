"""The minimax residual of degree (3^L − 1)/2 by a closed recursion, with rational coefficients and a proved bound.

With cos θ = φ(λ) = (u + l − 2λ)/(u − l), m = (3^k − 1)/2 and α = 3^k θ/2, the Chebyshev polynomials of the third and
fourth kind are V = cos α / cos(θ/2) and W = sin α / sin(θ/2), of degree m, and

    T_m(φ) = cos(α − θ/2) = ½ ((1 + φ) V + (1 − φ) W).

The next m is 3m + 1, and tripling α gives V ← V (2(1 + φ)V² − 3), W ← W (2(1 + φ)V² − 1). The degree 3m + 1 is the
most that one layer can make of degree m. W itself is not needed: Y = ½ (1 − φ) W has the recursion of W, so that
H = Y + (ξ + ηλ) v, with numbers ξ and η of the layer, is T_m in the last one and has a recursion with v alone
(headwright, own derivation). Divided by their values at λ = 0, with w = 1 − λ/u and numbers a, b, ρ, δ of the layer:

    v ← v + a (wv² − 1) v
    H ← H + (wv² − 1)(b H + ρ v) + δ λ v

All that is left is to have (wv² − 1)/λ as products without a division. With c = 1/(2u) and G = w (1 − v)/(cλ) + 1,

    wv² − 1 = −cλ (G (1 + v) + 1 − v)
    G ← (1 + 2a) G − a cλ ((G − 1) v (G − 1) + 2 (G + 1) G).

So v, G, H and the data are all the state there is. It holds for every a and b; their rounding only costs accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import mpmath

from ..compiler.graph import Pair
from ..proofs_check.residual import ellipse_at_start
from .minimax import Interval


@dataclass(frozen=True)
class PairStep:
    """The numbers of one layer; see the module's docstring."""

    a: Fraction
    b: Fraction
    rho: Fraction
    delta: Fraction


@dataclass(frozen=True)
class PairPlan:
    """The residual of `pair`, at most `bound` on the interval; one layer for each of `steps`."""

    pair: Pair
    steps: tuple[PairStep, ...]
    half: Fraction
    bound: Fraction


def pair_plan(interval: Interval, at_most: int) -> PairPlan | None:
    """The fewest layers of the closed recursion for which |r| ≤ tol is proved; None where `at_most` do not suffice."""
    if interval.degenerate:
        return None
    left, right = interval.lower, interval.upper
    ellipse = ellipse_at_start(left, right, left, right)
    with mpmath.workdps(60):
        cosine = mpmath.mpf(ellipse.cosine.numerator) / ellipse.cosine.denominator  # cos²α at λ = 0, over v²: u/(u − l) at first
    numbers: list[tuple[Fraction, Fraction]] = []
    while len(numbers) < at_most:
        with mpmath.workdps(60):
            a, b = (Fraction(float(4 * cosine / (4 * cosine - k))) for k in (3, 1))
            cosine *= (4 * cosine - 3) ** 2
        numbers.append((a, b))
        ellipse = ellipse.stepped((1 - a, a), (1 - b, b))
        weight = _weight(interval, numbers)
        bound = ellipse.bound(weight)
        if bound <= interval.tol:
            pair = Pair(left, right, weight, tuple(((1 - a, a), (1 - b, b)) for a, b in numbers))
            return PairPlan(pair, _steps(pair, numbers), 1 / (2 * right), bound)
    return None


def _weight(interval: Interval, numbers: list[tuple[Fraction, Fraction]]) -> Fraction:
    """ξ, for which the terms of degree m + 1 cancel: the product of all a/b is the ratio of the leading coefficients."""
    ratio = interval.lower / interval.upper
    for a, b in numbers:
        ratio *= a / b
    return 1 / (1 - ratio)


def _steps(pair: Pair, numbers: list[tuple[Fraction, Fraction]]) -> tuple[PairStep, ...]:
    """ρ and δ of every layer, from the recursions of Y and v: H = Y + (ξ + ηλ) v before the layer and after it."""
    eta = (1 - pair.weight) / pair.left  # Y = (1 − ξ)(1 − λ/l) and H = 1 at first
    steps = []
    for a, b in numbers:
        following = eta * b / a
        steps.append(PairStep(a, b, (a - b) * pair.weight, following * (1 - a) - eta * (1 - b)))
        eta = following
    return tuple(steps)
