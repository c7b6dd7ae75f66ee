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
from ..proofs_check.pair_bounds import ellipse_at_start
from .minimax import Interval

#: More room than this to the right of the interval makes rounding errors hardly smaller.
_ROOM = 0.1


@dataclass(frozen=True)
class PairStep:
    """The numbers of one layer; see the module's docstring."""

    a: Fraction
    b: Fraction
    rho: Fraction
    delta: Fraction


@dataclass(frozen=True)
class PairPlan:
    """The residual of `pair`, at most `bound` on the interval; one layer for each of `steps`, with c = `half`.

    `peak` is about the largest |v| that there is on the interval: rounding errors grow with it.
    """

    pair: Pair
    steps: tuple[PairStep, ...]
    half: Fraction
    bound: Fraction
    peak: float


def pair_plan(interval: Interval, at_most: int) -> PairPlan | None:
    """The fewest layers of the closed recursion for which |r| ≤ tol is proved; None where `at_most` do not suffice.

    V is as large as 2m + 1 where λ = u, and rounding suffers from it (docs/reference/constructions.md). So what tol leaves
    is spent on a right end above u, where V is smaller.
    """
    if interval.degenerate:
        return None
    for layers in range(1, at_most + 1):
        for right in _right_ends(interval, layers):
            plan = _plan(interval, right, layers)
            if plan is not None and plan.bound <= interval.tol:
                return plan
    return None


def _right_ends(interval: Interval, layers: int) -> list[Fraction]:
    """Right ends, largest first, for which T_m is at least 1/tol at λ = 0; none where it is not even for u itself."""
    l, u = interval.lower, interval.upper
    with mpmath.workdps(60):
        tol = _real(interval.tol)
        growth = mpmath.acosh(1 / tol) * 2 / (3**layers - 1)
        room = _real(l / u) / mpmath.tanh(growth / 2) ** 2 - 1  # (t + 1)/(t − 1) with t = cosh(growth) is right/l
    if room < 0:
        return []
    room = Fraction(float(min(room, _ROOM)))
    return [u * (1 + room * share) for share in (Fraction(1023, 1024), Fraction(1, 2), Fraction(0))]


def _plan(interval: Interval, right: Fraction, layers: int) -> PairPlan | None:
    """The plan with that right end; None where floats are too few for its numbers."""
    ellipse = ellipse_at_start(interval.lower, right, interval.lower, interval.upper)
    edge = float(1 - interval.upper / right)  # w, where it is smallest
    numbers: list[tuple[Fraction, Fraction]] = []
    peak = 1.0
    with mpmath.workdps(60):
        first = cosine = _real(right) / _real(right - interval.lower)  # cos²α at λ = 0, with α = θ/2
        for k in range(1, layers + 1):  # 1 − a and 1 − b are floats: a and b themselves would lose digits as they tend to 1
            a, b = (1 + Fraction(float(i / (4 * cosine - i))) for i in (3, 1))
            cosine *= (4 * cosine - 3) ** 2
            if b == 1:
                return None
            numbers.append((a, b))
            ellipse = ellipse.stepped((1 - a, a), (1 - b, b))
            # v² is V²/V(0)²: with cos²α ≤ 1 that is at most first/(cosine w), and where w = 0 it is 9^k first/cosine
            peak = max(peak, float(mpmath.sqrt(first / cosine * min(9**k, 1 / edge if edge else mpmath.inf))))
    ratio = interval.lower / right  # of the leading coefficients of the two terms
    for a, b in numbers:
        ratio *= a / b
    if ratio >= 1:
        return None
    weight = 1 / (1 - ratio)  # the terms of degree m + 1 cancel
    pair = Pair(interval.lower, right, weight, tuple(((1 - a, a), (1 - b, b)) for a, b in numbers))
    return PairPlan(pair, _steps(pair, numbers), 1 / (2 * right), ellipse.bound(weight), peak)


def _real(value: Fraction) -> mpmath.mpf:
    return mpmath.mpf(value.numerator) / value.denominator


def _steps(pair: Pair, numbers: list[tuple[Fraction, Fraction]]) -> tuple[PairStep, ...]:
    """ρ and δ of every layer, from the recursions of Y and v: H = Y + (ξ + ηλ) v before the layer and after it."""
    eta = (1 - pair.weight) / pair.left  # Y = (1 − ξ)(1 − λ/l) and H = 1 at first
    steps = []
    for a, b in numbers:
        following = eta * b / a
        steps.append(PairStep(a, b, (a - b) * pair.weight, following * (1 - a) - eta * (1 - b)))
        eta = following
    return tuple(steps)
