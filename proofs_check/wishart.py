"""Exact moments of the spectrum of a sample covariance of Gaussian examples, and the quadrature that they define.

H = (1/n) Σ_i x_i x_iᵀ with n examples x_i ~ N(0, I_d). Everything that depends on one prompt only through the eigenvalues
of H, one at a time, has an exact mean: E tr q(H) for a polynomial q is a rational number.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..compiler.errors import CompileError

Floats = NDArray[np.float64]


def check_count(name: str, value: object) -> int:
    """A positive whole number, or CompileError that names the argument."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < 1:
        raise CompileError(f"{name} is {value!r}: expected a whole number, at least 1", fix=f"pass {name} as an int, 1 or more")
    return int(value)


@lru_cache(maxsize=1024)
def trace_moment(n: int, d: int, power: int) -> Fraction:
    """E tr H^power, exactly.

    The power sum is expanded in Jack polynomials with α = 2 (zonal polynomials), whose Wishart means are products over
    boxes; only partitions without the box (3, 2) occur, so the number of terms is quadratic in the power.
    Source: Macdonald, Symmetric Functions and Hall Polynomials, VI.10 (power sums); Muirhead 1982, 7.2 (Wishart means).
    """
    if power == 0:
        return Fraction(d)
    total = Fraction(0)
    for shape in _near_hooks(power):
        if len(shape) <= min(n, d):
            total += _term(shape, n, d)
    return 2 * power * total / Fraction(n) ** power


def _near_hooks(size: int) -> Iterator[tuple[int, ...]]:
    """Partitions of `size` with at most two rows longer than 1."""
    for first in range(1, size + 1):
        left = size - first
        for second in range(min(first, left) + 1):
            if second != 0 or left == 0:
                yield (first, *((second,) if second else ()), *(1,) * (left - second))


def _term(shape: tuple[int, ...], n: int, d: int) -> Fraction:
    columns = [sum(row > j for row in shape) for j in range(shape[0])]
    numerator = denominator = 1
    for i, row in enumerate(shape):
        for j in range(row):
            content, arm, leg = 2 * j - i, row - j - 1, columns[j] - i - 1
            numerator *= (content or 1) * (n + content) * (d + content)
            denominator *= (2 * arm + leg + 1) * (2 * arm + leg + 2)
            if content == 0 and (i, j) != (0, 0):
                return Fraction(0)
    return Fraction(numerator, denominator)


def trace_moments(n: int, d: int, highest: int) -> tuple[Fraction, ...]:
    """E tr H^j for j = 0 … highest."""
    return tuple(trace_moment(n, d, j) for j in range(highest + 1))


def recurrence(moments: tuple[Fraction, ...], nodes: int) -> tuple[list[Fraction], list[Fraction]]:
    """The three-term recurrence (α_j, β_j), j < nodes, of the monic orthogonal polynomials of a measure, exactly.

    Needs the moments 0 … 2·nodes − 1. Source: Chebyshev's algorithm, as in Gautschi 2004, 2.1.7.
    """
    alpha, beta = [moments[1] / moments[0]], [moments[0]]
    before, row = [Fraction(0)] * (2 * nodes), list(moments[: 2 * nodes])
    for k in range(1, nodes):
        new = [Fraction(0)] * (2 * nodes)
        for j in range(k, 2 * nodes - k):
            new[j] = row[j + 1] - alpha[-1] * row[j] - (beta[-1] if k > 1 else 0) * before[j]
        alpha.append(new[k + 1] / new[k] - row[k] / row[k - 1])
        beta.append(new[k] / row[k - 1])
        before, row = row, new
    return alpha, beta


def gauss_rule(n: int, d: int, nodes: int) -> tuple[Floats, Floats]:
    """Nodes and weights: Σ w q(h) = E tr q(H) for every polynomial q of degree below 2·nodes, up to rounding (float64).

    The recurrence is exact; only its Jacobi matrix, whose eigenvalue problem is well conditioned, is rounded.
    """
    alpha, beta = recurrence(trace_moments(n, d, 2 * nodes - 1), nodes)
    off = np.sqrt([float(b) for b in beta[1:]])
    values, vectors = np.linalg.eigh(np.diag([float(a) for a in alpha]) + np.diag(off, 1) + np.diag(off, -1))
    return values, float(beta[0]) * vectors[0] ** 2


def kernel_polynomial(n: int, d: int, degree: int) -> tuple[tuple[Fraction, ...], Fraction]:
    """The polynomial p of that degree with p(0) = 1 and the smallest E tr p(H)², and that value, exactly.

    p is the kernel polynomial K(h, 0)/K(0, 0) of the mean spectrum. Coefficients begin with the constant one.
    """
    moments = trace_moments(n, d, 2 * degree)
    size = degree + 1
    gram = [[moments[i + j] for j in range(size)] for i in range(size)]
    first = solve_rational(gram, [Fraction(int(i == 0)) for i in range(size)])
    return tuple(c / first[0] for c in first), 1 / first[0]


def solve_rational(matrix: list[list[Fraction]], right: list[Fraction]) -> list[Fraction]:
    """x with matrix·x = right by Gaussian elimination. Raises ZeroDivisionError where the matrix is singular."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for k in range(len(rows)):
        pivot = next((i for i in range(k, len(rows)) if rows[i][k]), None)
        if pivot is None:
            raise ZeroDivisionError("singular matrix")
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [entry / rows[k][k] for entry in rows[k]]
        for i in range(len(rows)):
            if i != k and rows[i][k]:
                factor = rows[i][k]
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[k], strict=True)]
    return [row[-1] for row in rows]


def leading_minors(matrix: list[list[Fraction]]) -> list[Fraction]:
    """The pivots of elimination without exchanges; all are positive exactly if a symmetric matrix is positive definite."""
    rows, pivots = [list(row) for row in matrix], []
    for k in range(len(rows)):
        pivots.append(rows[k][k])
        if rows[k][k] <= 0:
            break
        for i in range(k + 1, len(rows)):
            factor = rows[i][k] / rows[k][k]
            rows[i] = [a - factor * b for a, b in zip(rows[i], rows[k], strict=True)]
    return pivots
