"""Minimax polynomials in a Gram matrix, in the forms that two or three layers of attention build.

With S = UᵀU/n and H = S + μI, q(H) stands for H⁻¹. Two layers build any q of degree 3 in S. Three layers build
q = h · (c + S f m) with h of degree 2, f of degree 4 and m of degree 3: the factors are what one layer makes of U and US.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np

from ..compiler.errors import CompileError
from ..proofs_check.newton_budget import InversePolynomial, certified, solve_polynomial

Coefficients = tuple[Fraction, ...]


@dataclass(frozen=True)
class Factors:
    """h, f, m and c, constants first, in powers of S; h, f' = the coefficient of S, and m begin with 1."""

    h: Coefficients
    f: Coefficients
    m: Coefficients
    c: Fraction
    whole: InversePolynomial


def cubic(lower: Fraction, upper: Fraction, centre: Fraction, degree: int = 3) -> InversePolynomial:
    """The minimax polynomial of degree 3 (or less) for 1/t on [lower, upper], in powers of t − centre; proved."""
    return solve_polynomial(lower, upper, degree, centre)


@cache
def factored(lower: Fraction, upper: Fraction, centre: Fraction) -> Factors:
    """The minimax polynomial of degree 10, factored over the reals and rounded to floats; its residual is proved.

    Of all ways to share the roots, the one whose rounded product has the smallest residual, or nearly. Raises CompileError
    where none is usable.
    """
    exact = solve_polynomial(lower, upper, 10, centre)
    q = np.array([float(c) for c in exact.coefficients])
    grid = np.linspace(float(lower - centre), float(upper - centre), 501)
    ways: list[tuple[float, int, tuple[Any, Any, Any, float]]] = []
    groups = _conjugates(np.roots(q[::-1]))
    for pair in (g for g in _unions(groups, 2)):
        h = _from_roots(pair, 1.0)
        rest = np.polynomial.polynomial.polydiv(q, h)[0]
        c, tail = rest[0], rest[1:]
        inner = _conjugates(np.roots(tail[::-1]))
        for four in _unions(inner, 4):
            three = [root for group in inner for root in group if not _in(root, four)]
            if len(three) != 3:
                continue
            m = _from_roots(three, 1.0)
            f = np.polynomial.polynomial.polydiv(tail, m)[0]
            if abs(f[1]) < 1e-9 * abs(f).max():
                continue
            value = np.polynomial.polynomial.polyval
            whole = value(grid, h) * (c + grid * value(grid, f) * value(grid, m))
            ways.append((float(np.abs(1 - (grid + float(centre)) * whole).max()), len(ways), (h, f, m, c)))
    best = _certified(*min(ways, key=lambda way: way[:2])[2], lower, upper, centre) if ways else None
    if best is None or best.whole.residual >= 1:
        raise CompileError(f"no usable factors of the polynomial on [{float(lower):.6g}, {float(upper):.6g}]", fix="raise mu")
    return best


def _certified(h: Any, f: Any, m: Any, c: float, lower: Fraction, upper: Fraction, centre: Fraction) -> Factors:
    H, F, M = (tuple(Fraction(float(x)) for x in p) for p in (h, f, m))
    C = Fraction(float(c))
    product = _times(F, M)
    whole = _times(H, (C, *product))
    return Factors(H, F, M, C, certified(whole, lower, upper, centre))


def _times(a: Coefficients, b: Coefficients) -> Coefficients:
    out = [Fraction(0)] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            out[i + j] += x * y
    return tuple(out)


def _conjugates(roots: Any) -> list[list[complex]]:
    """Real roots, and pairs of conjugate ones."""
    real = [[complex(r.real)] for r in roots if abs(r.imag) < 1e-9 * max(1.0, abs(r))]
    return real + [[r, r.conjugate()] for r in roots if r.imag >= 1e-9 * max(1.0, abs(r))]


def _unions(groups: list[list[complex]], size: int) -> list[list[complex]]:
    """Sets of `size` roots that are closed under conjugation."""
    out = []
    for count in range(1, len(groups) + 1):
        for chosen in combinations(groups, count):
            flat = [root for group in chosen for root in group]
            if len(flat) == size:
                out.append(flat)
    return out


def _in(root: complex, roots: list[complex]) -> bool:
    return any(root == other for other in roots)


def _from_roots(roots: list[complex], constant: float) -> Any:
    """The real polynomial with these roots and this constant coefficient."""
    p = np.array([1.0 + 0j])
    for root in roots:
        p = np.convolve(p, [1.0, -1.0 / root])
    return constant * p.real
