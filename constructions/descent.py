"""GD++ for a spectral interval: gradient steps that transform the data, with numbers from the interval alone.

A layer with the numbers (a, γ) makes of an eigenvalue λ of XXᵀ and of the residual r at it

    r ← (1 − aλ) r,    λ ← λ (1 − γλ)²,

in one head and d + 1 rows (Ahn et al. 2023, Theorem 5, with A ∝ I; the numbers are headwright's own derivation). The rule:
γ = 1/(u + √(ul) + l) has equal values at both ends of [l, u], which makes κ = u/l as small as one layer can, and
a = 2/(l + u) has the smallest largest factor. With κ = s² the next condition number is 4(s² + s + 1)³/(27 s²(s + 1)²): about
4κ/27 where κ is large, and 1 + (3/16)(κ − 1)² near 1. Since not every eigenvalue meets the worst factor in each layer,
numbers found together need a layer less on some intervals: `_refined`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from ..compiler.program import Matrix, Vector, dim, program, vstack, zeros
from ..compiler.statements import residual
from ..compiler.statements import spectrum as states
from ..proofs_check.descent_bounds import Progress, Steps, bound_of_descent
from ..proofs_check.minimax import layers_needed
from ..proofs_check.ranges import Interval as Range
from ..proofs_check.ranges import square_root
from .minimax import Interval, check_interval
from .solve import number, warn_below_floor

NAME = "gd_plus_plus"

#: A search for better numbers starts where the rule is at most so far from the tolerance: it gains no more than this.
_GAIN = 32

#: The residual has up to 2^layers maxima, and the search looks at all of them: in a second up to here.
_DEEPEST = 10

#: Exponents 2q of the norms of the residual that the search makes smaller one after the other: the last is nearly its maximum.
_NORMS = (4, 16, 64)


@dataclass(frozen=True)
class DescentPlan:
    """(a, γ) of every layer, γ = 0 in the last; |r| ≤ bound on the interval is proved."""

    steps: Steps
    bound: Fraction


@lru_cache(maxsize=64)  # asked for once by the claim, once by the program
def plan_descent(interval: Interval) -> DescentPlan:
    """The fewest layers of the rule for which |r| ≤ tol is proved, or one fewer where numbers found together suffice."""
    steps: list[tuple[Fraction, Fraction]] = []
    proved = [Progress(Range(interval.lower, interval.upper))]
    while proved[-1].bound > interval.tol:
        steps.append(_rule(proved[-1].range.lo, proved[-1].range.hi))
        proved.append(proved[-1].stepped(*steps[-1]))
    fewer = len(steps) - 1
    worth = 1 < fewer <= _DEEPEST and proved[-2].bound <= _GAIN * interval.tol
    if worth and fewer >= layers_needed(interval.lower, interval.upper, interval.tol):
        better = _refined(interval, fewer)
        if better is not None:
            return better
    return DescentPlan(_ended(steps), proved[-1].bound)


def _rule(l: Fraction, u: Fraction) -> tuple[Fraction, Fraction]:
    """2/(l + u) and 1/(u + √(ul) + l), as floats."""
    return Fraction(float(2 / (l + u))), Fraction(float(1 / (u + square_root(u * l).lo + l)))


def _ended(steps: list[tuple[Fraction, Fraction]]) -> Steps:
    """The same with no step on the data in the last layer, where nothing reads them."""
    return (*steps[:-1], (steps[-1][0], Fraction(0)))


# -- numbers found together --------------------------------------------------------------------------------------------


def _refined(interval: Interval, layers: int) -> DescentPlan | None:
    """Numbers with |r| ≤ tol in so many layers, proved; None where the search finds none."""
    l, u = (float(end / interval.upper) for end in (interval.lower, interval.upper))
    tol = float(interval.tol)
    cosines = (1 - np.cos(np.linspace(0, np.pi, 200 + 16 * 2**layers))) / 2
    points = np.exp(math.log(l) * (1 - cosines))
    for start in _starts(l, u, tol, layers):
        with np.errstate(all="ignore"):  # a bad step overflows, and is not taken
            numbers = _smallest(start, points, 0.98 * tol)
        if numbers is None:
            continue
        given = [Fraction(float(x)) / interval.upper for x in numbers]
        steps = tuple(zip(given[:layers], [*given[layers:], Fraction(0)], strict=True))
        try:
            bound = bound_of_descent(steps, interval.lower, interval.upper, interval.tol)
        except ValueError:
            continue
        if bound.reached is None:
            return DescentPlan(steps, bound.bound)
    return None


def _starts(l: float, u: float, tol: float, layers: int) -> Iterator[np.ndarray]:
    """The rule; and the rule after layers with a = γ = 4/(3u), which divide u by 9, more than the rule can: what they
    transform to nearly 0 they have solved as well, but only up to about 3^−layers."""
    for first in range(layers - 1):
        if first and (tol < 3.0**-layers or u / l < 3 * 9**first):
            return
        low, high = l, u
        a, gamma = [], []
        for layer in range(layers):
            if layer < first:
                a.append(4 / (3 * high))
                gamma.append(a[-1])
                low, high = low * (1 - gamma[-1] * low) ** 2, high / 9
            else:
                a.append(2 / (low + high))
                gamma.append(1 / (high + math.sqrt(low * high) + low))
                low, high = low * (1 - gamma[-1] * low) ** 2, 4 / (27 * gamma[-1])
        yield np.array([*a, *gamma[:-1]])


def _smallest(numbers: np.ndarray, points: np.ndarray, enough: float) -> np.ndarray | None:
    """Numbers (the a of all layers, then the γ but for the last) with |r| ≤ enough at the points; None where none are found.

    Damped Newton steps on the logarithm of a norm of r, in relative changes of the numbers.
    """
    values, slopes = _residuals(numbers, points)
    for q in _NORMS:
        damping, norm = 1e-2, _norm(values, q)
        for _ in range(20):
            largest = np.abs(values).max()
            if largest <= enough:
                return numbers
            scaled = values / largest
            weights = np.abs(scaled) ** (2 * q - 2)
            weights /= weights @ scaled**2
            relative = slopes * numbers / largest
            gradient, curvature = (weights * scaled) @ relative, (2 * q - 1) * (relative.T * weights) @ relative
            for _ in range(8):
                damped = curvature + damping * np.diag(np.diag(curvature) + 1e-12 * np.trace(curvature))
                step = -np.linalg.solve(damped, gradient)
                following = numbers * (1 + step / max(1.0, 2 * np.abs(step).max()))
                new_values, new_slopes = _residuals(following, points)
                new_norm = _norm(new_values, q)
                if new_norm < norm:
                    break
                damping *= 4
            else:
                break
            gained, norm = norm - new_norm, new_norm
            numbers, values, slopes, damping = following, new_values, new_slopes, damping / 5
            if gained < 1e-3:
                break
    return None


def _norm(values: np.ndarray, q: int) -> float:
    """The logarithm of the norm of exponent 2q; nan counts as infinite."""
    largest = np.abs(values).max()
    found = math.log(largest) + math.log(np.mean((np.abs(values) / largest) ** (2 * q))) / (2 * q) if largest else -math.inf
    return found if found == found else math.inf


def _residuals(numbers: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """r at the points, shape (points,), and its derivatives by the numbers, shape (points, numbers)."""
    layers = (len(numbers) + 1) // 2
    x, slopes_of_x = points, np.zeros((len(points), layers - 1))
    factors, slopes_of_factors = [], []
    for layer in range(layers):
        a = numbers[layer]
        slope = np.zeros((len(points), len(numbers)))
        slope[:, layer], slope[:, layers:] = -x, -a * slopes_of_x
        factors.append(1 - a * x)
        slopes_of_factors.append(slope)
        if layer < layers - 1:
            gamma = numbers[layers + layer]
            kept = 1 - gamma * x
            slopes_of_x = slopes_of_x * (kept * (1 - 3 * gamma * x))[:, None]
            slopes_of_x[:, layer] = -2 * x**2 * kept
            x = x * kept**2
    before, after = [np.ones(len(points))], [np.ones(len(points))]
    for factor, other in zip(factors[:-1], factors[:0:-1], strict=True):
        before.append(before[-1] * factor)
        after.append(after[-1] * other)
    slopes = sum(s * (b * c)[:, None] for s, b, c in zip(slopes_of_factors, before, reversed(after), strict=True))
    return before[-1] * factors[-1], np.asarray(slopes)


# -- the program -------------------------------------------------------------------------------------------------------


def _interval(A: Any, spectrum: Any, tol: Any) -> tuple[Interval, DescentPlan]:
    interval = check_interval(NAME, spectrum, tol)
    fix = "compile for a spectrum that contains the eigenvalues of AᵀA, or rescale A"
    states(A.T @ A, within=(float(interval.lower), float(interval.upper)), closed=True, zero=True, fix=fix)
    warn_below_floor(NAME, interval, growth=1 / 32)
    return interval, plan_descent(interval)


def _state(prediction: Any, A: Any, y: Any, Q: Any, interval: Interval, plan: DescentPlan) -> None:
    residual(
        prediction,
        roots=(A,),
        ones=(y, Q),
        power=1,
        descent=plan.steps,
        chain=(),
        lower=interval.lower,
        upper=interval.upper,
        tol=interval.tol,
        known="factor",
        method=f"{len(plan.steps)} gradient steps that transform the data",
    )


@program
def gd_plus_plus_interval(A: Matrix["n", "d"], y: Vector["n"], Q: Matrix["m", "d"], *, spectrum, tol):
    interval, plan = _interval(A, spectrum, tol)
    n, Z, r = dim("n"), vstack(A, Q), vstack(y, zeros("m"))
    for a, gamma in plan.steps:
        a, gamma, X = number(a, A), number(gamma, A), Z[:n]
        r, Z = r - a * Z @ (X.T @ r[:n]), Z - gamma * Z @ (X.T @ X)
    prediction = -r[n:]
    _state(prediction, A, y, Q, interval, plan)
    return {"prediction": prediction}


@program
def gd_plus_plus_interval_apart(A: Matrix["n", "d"], y: Vector["n"], Q: Matrix["m", "d"], *, spectrum, tol):
    """The same, with examples and queries in rows of their own: for machines on which every token is a key."""
    interval, plan = _interval(A, spectrum, tol)
    r, p, X, V = y, zeros("m"), A, Q
    for a, gamma in plan.steps:
        a, gamma = number(a, A), number(gamma, A)
        r, p, X, V = (
            r - a * X @ (X.T @ r),
            p + a * V @ (X.T @ r),
            X - gamma * X @ (X.T @ X),
            V - gamma * V @ (X.T @ X),
        )
    _state(p, A, y, Q, interval, plan)
    return {"prediction": p}
