"""The best linear transformers for linear regression in context, exactly: no training, no sampling.

Setting of Ahn et al. (2023): x_j ~ N(0, Σ), y_j = ⟨w*, x_j⟩, loss E (prediction − ⟨w*, x_q⟩)² (eq. 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from ..compiler.errors import CompileError
from .ahn_model import Array, exact_symmetric, identity
from .wishart import check_count, kernel_polynomial, leading_minors, solve_rational


@dataclass(frozen=True)
class SingleLayer:
    """The global optimum of one layer (Theorem 1), exact: P = diag(0, 1), that is b = e_{d+1}, and Q = diag(A, 0)."""

    A: Array  # (d, d), Fractions; negative definite
    b: Array  # (d + 1,), integers
    loss: Fraction


@dataclass(frozen=True)
class StepSizes:
    """The best A_l = a_l Σ⁻¹ with B = 0, among all polynomials of that degree in the preconditioned H."""

    a: tuple[float, ...]  # increasing in |a|; each is within `error` of the true value
    enclosures: tuple[tuple[Fraction, Fraction], ...]  # rational intervals, one for each a
    polynomial: tuple[Fraction, ...]  # p(h) = Π (1 + a_l h), constant coefficient first; exact
    loss: Fraction

    @property
    def error(self) -> float:
        """The widest enclosure."""
        return float(max(high - low for low, high in self.enclosures))


def optimal_single_layer(sigma: Any, n: int) -> SingleLayer:
    """A = −((n + 1)/n Σ + tr(Σ)/n I)⁻¹ and its loss, for x ~ N(0, Σ), w* ~ N(0, I), exactly over the rationals.

    Shapes: sigma (d, d), any symmetric positive definite matrix (floats are taken as the rationals that they are).
    Source: Ahn et al. (2023), Theorem 1; the value of the loss is ours: tr Σ − tr(Σ² ((n + 1)/n Σ + tr(Σ)/n I)⁻¹).
    Raises CompileError where sigma is not square, symmetric or positive definite, or n is no whole number ≥ 1.
    """
    examples, full = check_count("n", n), positive_definite("sigma", sigma)
    d = full.shape[0]
    weighted = Fraction(examples + 1, examples) * full + Fraction(np.trace(full)) / examples * identity(d)
    A = -inverse(weighted)
    b = identity(d + 1)[d]
    return SingleLayer(A, b, Fraction(np.trace(full) + np.trace(full @ full @ A)))


def optimal_step_sizes(n: int, d: int, layers: int) -> StepSizes:
    """The step sizes a_l that minimise the loss over A_l = a_l Σ⁻¹, B = 0, for x ~ N(0, Σ) and w* ~ N(0, Σ⁻¹), any Σ ≻ 0.

    The product Π (1 + a_l h) is the kernel polynomial of the mean spectrum of H, and a_l = −1/root: real, negative, distinct;
    so this is the global optimum in that family. The order of layers does not matter (Lemma 8); they are sorted by |a|.
    Source: the family is that of Ahn et al. (2023), Theorem 4; the optimum is ours (kernel polynomials: Szegő 1939, 3.1).
    Raises CompileError where n, d or layers is no whole number ≥ 1.
    """
    sizes = check_count("n", n), check_count("d", d), check_count("layers", layers)
    polynomial, loss = kernel_polynomial(*sizes)
    h = sympy.Symbol("h")
    exact = sympy.Poly([sympy.Rational(c.numerator, c.denominator) for c in reversed(polynomial)], h)
    found = exact.intervals(eps=sympy.Rational(1, 10**30))
    if len(found) != layers or any(count != 1 or low <= 0 for (low, _), count in found):
        raise AssertionError("the kernel polynomial of a measure on h > 0 has simple positive roots")
    roots = [(Fraction(int(low.p), int(low.q)), Fraction(int(high.p), int(high.q))) for (low, high), _ in found]
    enclosures = tuple(sorted(((-1 / low, -1 / high) for low, high in roots), key=lambda e: -e[1]))
    return StepSizes(tuple(float((low + high) / 2) for low, high in enclosures), enclosures, polynomial, loss)


def positive_definite(name: str, matrix: Any) -> Array:
    """A symmetric positive definite matrix as Fractions (d, d). Raises CompileError with what is wrong."""
    full = exact_symmetric(name, matrix)
    pivots = leading_minors([list(row) for row in full])
    if pivots[-1] <= 0:
        kind = "singular" if pivots[-1] == 0 and len(pivots) == full.shape[0] else "not positive definite"
        raise CompileError(
            f"{name} is {kind}: pivot {len(pivots)} of {full.shape[0]} is {float(pivots[-1]):.6g}",
            rule="a covariance Σ ≻ 0 is expected",
            fix=f"add a small multiple of the identity, or leave out the features that are combinations of others in {name}",
        )
    return full


def inverse(matrix: Array) -> Array:
    """The exact inverse of an invertible matrix of rationals (d, d)."""
    d, rows = matrix.shape[0], [[Fraction(entry) for entry in row] for row in matrix]
    columns = [solve_rational(rows, [Fraction(int(i == j)) for i in range(d)]) for j in range(d)]
    found: Array = np.array(columns, dtype=object).T
    return found
