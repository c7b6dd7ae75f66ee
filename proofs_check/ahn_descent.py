"""Step sizes for GD++ (Ahn et al. 2023, Theorem 5's family): A_l = a_l Σ⁻¹ and B_l = b_l I.

There the loss is E tr t(H)² for a polynomial t in the preconditioned H, hence a polynomial in (a, b) with rational
coefficients. It has several local minima. They are sought from many starts with an exact quadrature rule, and the best is
refined and certified over the rationals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from .wishart import check_count, gauss_rule, leading_minors, solve_rational, trace_moments

Floats = NDArray[np.float64]
Poly = list[Fraction]  # in h, constant coefficient first

#: Points are kept as multiples of 2^−DIGITS: rationals stay short and the gradient falls far below float64.
DIGITS = 110


@dataclass(frozen=True)
class CriticalPoint:
    """The best local minimum found. `radius`: a true local minimiser is that near to (a, b), proved; None if not proved."""

    a: tuple[Fraction, ...]  # k step sizes
    b: tuple[Fraction, ...]  # k − 1: what the last layer does to the covariates is not read
    loss: Fraction  # at (a, b), exact
    gradient: Fraction  # largest |entry| of the gradient at (a, b), exact
    positive_definite: bool  # whether the Hessian at (a, b) is, exactly
    radius: Fraction | None
    minima: tuple[float, ...]  # losses of the local minima that were met, increasing (float64)

    @property
    def certified(self) -> bool:
        """Whether a strict local minimiser within `radius` of (a, b) is proved."""
        return self.radius is not None


def optimal_gd_plus_plus(n: int, d: int, layers: int, starts: int = 400) -> CriticalPoint:
    """The best (a, b) found for A_l = a_l Σ⁻¹, B_l = b_l I, x ~ N(0, Σ), w* ~ N(0, Σ⁻¹), any Σ ≻ 0.

    It is the best local minimum met from that many starts; that none is better is not proved. That a minimiser lies within
    `radius` is: exact gradient and Hessian at (a, b), and a bound on the third derivative (Newton–Kantorovich's argument).
    Cost: about a second for 3 layers. Source: the family is that of Ahn et al. (2023), Theorem 5; the values are ours.
    Raises CompileError where an argument is no whole number ≥ 1.
    """
    examples, features, k = check_count("n", n), check_count("d", d), check_count("layers", layers)
    points, losses = _search(examples, features, k, check_count("starts", starts))
    moments = trace_moments(examples, features, 2 * (len(residual_polynomial(*_split(points[0], k))) - 1))
    x = _refine(points[0], k, moments)
    a, b = x[:k], x[k:]
    value, gradient, hessian = derivatives(a, b, moments)
    definite = len(p := leading_minors(hessian)) == len(hessian) and p[-1] > 0
    radius = certified_radius(a, b, moments, gradient, hessian) if definite else None
    largest = max(abs(g) for g in gradient)
    return CriticalPoint(tuple(a), tuple(b), value, largest, definite, radius, tuple(losses))


def gd_plus_plus_loss(a: tuple[Fraction, ...], b: tuple[Fraction, ...], n: int, d: int) -> Fraction:
    """The exact in-context loss of A_l = a_l Σ⁻¹, B_l = b_l I; b as long as a, or one shorter."""
    t = residual_polynomial(list(a), list(b)[: len(a) - 1])
    moments = trace_moments(check_count("n", n), check_count("d", d), 2 * (len(t) - 1))
    return _pair(t, t, moments)


def residual_polynomial(a: Poly, b: Poly) -> Poly:
    """t with T = t(H): t ← t (1 + a_l h g²), g ← g (1 + b_l a_l h g²), from t = g = 1. Degrees 1, 4, 13, …"""
    t, g = [Fraction(1)], [Fraction(1)]
    for a_l, b_l in zip(a, [*b, Fraction(0)], strict=True):
        k = [Fraction(0), *(a_l * c for c in _times(g, g))]
        t, g = _plus(t, _times(t, k)), _plus(g, [b_l * c for c in _times(g, k)]) if b_l else g
    return t


def derivatives(a: Poly, b: Poly, moments: tuple[Fraction, ...]) -> tuple[Fraction, Poly, list[Poly]]:
    """The loss, its gradient (2k − 1,) and its Hessian in (a, b), exactly."""
    k, size = len(a), len(a) + len(b)
    t, g = _Jet.constant(size), _Jet.constant(size)
    for index in range(k):
        s = (g * g).shifted()
        t = t + t * s.scaled(a[index], index)
        if index < k - 1:
            g = g + (g * s.scaled(a[index], index)).scaled(b[index], k + index)
    gradient = [2 * _pair(t.value, one, moments) for one in t.first]
    hessian = [
        [2 * (_pair(t.first[i], t.first[j], moments) + _pair(t.value, t.second[i][j], moments)) for j in range(size)]
        for i in range(size)
    ]
    return _pair(t.value, t.value, moments), gradient, hessian


def certified_radius(
    a: Poly, b: Poly, moments: tuple[Fraction, ...], gradient: Poly, hessian: list[Poly]
) -> Fraction | None:
    """r so that a strict local minimiser lies within r (Euclidean) of the point; None where the argument does not go through.

    The loss has coefficients ≥ 0 as a polynomial in (a, b). So a third derivative within δ of the point is at most that of the
    same polynomial at (|a| + δ, |b| + δ), and their sum over all triples at most 6/δ³ times its value at (|a| + 2δ, |b| + 2δ)
    (Taylor). With Hessian ⪰ μI at the point and L that bound, it is ⪰ (μ/2)I as far as r ≤ μ/(2L), where the loss is then
    strongly convex; its minimiser over that ball is inside if |gradient| < (μ/4) r.
    """
    mu, size = _smallest_eigenvalue(hessian), len(gradient)
    if mu is None:
        return None
    delta = Fraction(1, 100)
    t = residual_polynomial([abs(v) + 2 * delta for v in a], [abs(v) + 2 * delta for v in b])
    bound = 6 * _pair(t, t, moments) / delta**3
    needed = 4 * size * max(abs(g) for g in gradient) / mu + Fraction(1, 2**DIGITS)
    return needed if needed < min(mu / (2 * bound), delta) else None


def _smallest_eigenvalue(hessian: list[Poly]) -> Fraction | None:
    """A positive lower bound on the smallest eigenvalue, verified exactly; None if there is none."""
    guess = float(np.linalg.eigvalsh(np.array([[float(v) for v in row] for row in hessian]))[0])
    if guess <= 0:
        return None
    mu = Fraction(guess) / 2
    shifted = [[v - (mu if i == j else 0) for j, v in enumerate(row)] for i, row in enumerate(hessian)]
    pivots = leading_minors(shifted)
    return mu if len(pivots) == len(hessian) and pivots[-1] > 0 else None


def _refine(start: Floats, k: int, moments: tuple[Fraction, ...]) -> Poly:
    """Newton's method over the rationals, rounded to multiples of 2^−DIGITS, until the step vanishes."""
    x = [Fraction(float(v)) for v in start]
    for _ in range(8):
        _, gradient, hessian = derivatives(x[:k], x[k:], moments)
        step = solve_rational(hessian, gradient)
        x = [Fraction(round((v - s) * 2**DIGITS), 2**DIGITS) for v, s in zip(x, step, strict=True)]
        if max(abs(s) for s in step) < Fraction(1, 2 ** (DIGITS - 10)):
            break
    return x


def _search(n: int, d: int, k: int, starts: int) -> tuple[list[Floats], list[float]]:
    """The local minima met by Levenberg–Marquardt from random starts, best first, and their losses (float64)."""
    nodes, weights = gauss_rule(n, d, len(residual_polynomial([Fraction(1)] * k, [Fraction(1)] * (k - 1))))
    random, root = np.random.default_rng(0), np.sqrt(weights)
    steps, bends = random.uniform(-2, 2.5, (starts, k)), random.uniform(-3, 0.5, (starts, k - 1))
    x = np.concatenate([-np.exp(steps), np.exp(bends)], axis=1)
    damping = np.full(starts, 1.0)
    residual, jacobian = _residuals(x, k, nodes, root)
    value = (residual**2).sum(1)
    for _ in range(400):
        normal = np.einsum("sri,srj->sij", jacobian, jacobian)
        slope = np.einsum("sri,sr->si", jacobian, residual)
        diagonal = np.einsum("sii->si", normal) + 1e-12
        step = np.linalg.solve(normal + (damping[:, None] * diagonal)[:, :, None] * np.eye(x.shape[1]), slope[..., None])
        trial = x - step[..., 0]
        new_residual, new_jacobian = _residuals(trial, k, nodes, root)
        new_value = (new_residual**2).sum(1)
        better = new_value < value
        x[better], residual[better], jacobian[better] = trial[better], new_residual[better], new_jacobian[better]
        value[better] = new_value[better]
        damping = np.clip(np.where(better, damping / 3, damping * 4), 1e-10, 1e10)
    slope = np.abs(np.einsum("sri,sr->si", jacobian, residual)).max(1)
    found = sorted((float(value[i]), int(i)) for i in np.flatnonzero(slope < 1e-6 * np.maximum(1.0, value)))
    if not found:
        raise ArithmeticError(f"no local minimum met from {starts} starts; take more")
    kept: list[tuple[float, int]] = []
    for v, i in found:
        if not kept or v - kept[-1][0] > 1e-6 * v:
            kept.append((v, i))
    return [x[i] for _, i in kept], [v for v, _ in kept]


def _residuals(x: Floats, k: int, nodes: Floats, root: Floats) -> tuple[Floats, Floats]:
    """√weight·t(node) (starts, nodes), whose squares sum to the loss, and its derivatives (starts, nodes, 2k − 1)."""
    shape = (x.shape[0], len(nodes))
    t, g = np.ones(shape), np.ones(shape)
    dt, dg = np.zeros((*shape, x.shape[1])), np.zeros((*shape, x.shape[1]))
    for index in range(k):
        a = x[:, index, None]
        step, dstep = a * nodes * g**2, (2 * a * nodes * g)[..., None] * dg
        dstep[..., index] += nodes * g**2
        dt, t = dt * (1 + step)[..., None] + t[..., None] * dstep, t * (1 + step)
        if index < k - 1:
            b = x[:, k + index, None]
            dnew = dg * (1 + b * step)[..., None] + (g * b)[..., None] * dstep
            dnew[..., k + index] += g * step
            dg, g = dnew, g * (1 + b * step)
    return root * t, root[:, None] * dt


@dataclass(frozen=True)
class _Jet:
    """A polynomial in h with its first and second derivatives in the parameters."""

    value: Poly
    first: list[Poly]
    second: list[list[Poly]]

    @staticmethod
    def constant(size: int) -> _Jet:
        return _Jet([Fraction(1)], [[] for _ in range(size)], [[[] for _ in range(size)] for _ in range(size)])

    def map(self, f: Callable[[Poly], Poly]) -> _Jet:
        return _Jet(f(self.value), [f(p) for p in self.first], [[f(p) for p in row] for row in self.second])

    def shifted(self) -> _Jet:
        """Times h."""
        return self.map(lambda p: [Fraction(0), *p] if p else [])

    def scaled(self, by: Fraction, index: int) -> _Jet:
        """Times the parameter of that index, whose value is `by`."""
        out = self.map(lambda p: [by * c for c in p])
        first, second = list(out.first), [list(row) for row in out.second]
        first[index] = _plus(first[index], self.value)
        for j, one in enumerate(self.first):
            second[index][j] = _plus(second[index][j], one)
            second[j][index] = _plus(second[j][index], one)
        return _Jet(out.value, first, second)

    def __add__(self, other: _Jet) -> _Jet:
        pairs = zip(self.second, other.second, strict=True)
        return _Jet(
            _plus(self.value, other.value),
            [_plus(p, q) for p, q in zip(self.first, other.first, strict=True)],
            [[_plus(p, q) for p, q in zip(*rows, strict=True)] for rows in pairs],
        )

    def __mul__(self, other: _Jet) -> _Jet:
        f, g, size = self, other, range(len(self.first))
        first = [_plus(_times(f.first[i], g.value), _times(f.value, g.first[i])) for i in size]
        upper = {
            (i, j): _plus(
                _plus(_times(f.second[i][j], g.value), _times(f.value, g.second[i][j])),
                _plus(_times(f.first[i], g.first[j]), _times(f.first[j], g.first[i])),
            )
            for i in size
            for j in range(i, len(size))
        }
        second = [[upper[min(i, j), max(i, j)] for j in size] for i in size]
        return _Jet(_times(f.value, g.value), first, second)


def _times(p: Poly, q: Poly) -> Poly:
    out = [Fraction(0)] * (len(p) + len(q) - 1) if p and q else []
    for i, c in enumerate(p):
        if c:
            for j, e in enumerate(q):
                out[i + j] += c * e
    return out


def _plus(p: Poly, q: Poly) -> Poly:
    long, short = (p, q) if len(p) >= len(q) else (q, p)
    return [c + e for c, e in zip(long, short, strict=False)] + long[len(short) :]


def _pair(p: Poly, q: Poly, moments: tuple[Fraction, ...]) -> Fraction:
    """E tr p(H) q(H)."""
    return sum((c * moments[i] for i, c in enumerate(_times(p, q))), Fraction(0))


def _split(x: Floats, k: int) -> tuple[Poly, Poly]:
    exact = [Fraction(float(v)) for v in x]
    return exact[:k], exact[k:]
