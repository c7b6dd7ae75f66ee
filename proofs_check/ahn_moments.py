"""The in-context loss of one linear layer, exactly, for Gaussian prompts x ~ N(0, Σ), w* ~ N(0, I) (Ahn et al. 2023, sec. 4).

With C = (1/n) Z_0 M Z_0ᵀ (d + 1, d + 1), the last row b of P and the first d columns Q_j of Q, the layer predicts
−Σ_j ⟨C, b Q_jᵀ⟩ x_q[j]. So the loss is a quadratic F of the matrices X_j = b Q_jᵀ, convex when they are free.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from .ahn_model import Array, zeros


@dataclass(frozen=True)
class SingleLayerLoss:
    """F(X_1, …, X_d) = Σ_jl Σ_jl E (⟨C, X_j⟩ + w_j)(⟨C, X_l⟩ + w_l)."""

    sigma: Array  # (d, d)
    second: Array  # E C_ab C_ce, shape (d + 1,) * 4
    mixed: Array  # E C_ab w_j, shape (d + 1, d + 1, d)

    def of(self, b: Array, Q: Array) -> Any:
        """The loss of b (d + 1,) and Q (d + 1, d)."""
        return self.relaxed(_products(b, Q))

    def relaxed(self, X: Array) -> Any:
        """F for free matrices X (d, d + 1, d + 1)."""
        linear = np.tensordot(X, self.mixed, axes=2)
        quadratic = np.tensordot(np.tensordot(X, self.second, axes=2), X, axes=([1, 2], [1, 2]))
        return (self.sigma * (quadratic + linear + linear.T)).sum() + np.trace(self.sigma)

    def slope(self, X: Array) -> Array:
        """∂F/∂X_j, shape (d, d + 1, d + 1)."""
        inner = np.tensordot(X, self.second, axes=2) + np.moveaxis(self.mixed, 2, 0)
        found: Array = 2 * np.tensordot(self.sigma, inner, axes=1)
        return found

    def gradient(self, b: Array, Q: Array) -> Array:
        """The gradient in b, then in Q row by row, shape ((d + 1)²,)."""
        slope, tangents = self.slope(_products(b, Q)), _tangents(b, Q)
        return np.array([(slope * t).sum() for t in tangents], dtype=object)

    def hessian(self, b: Array, Q: Array) -> Array:
        """The Hessian in the same order."""
        size, d = len(b), Q.shape[1]
        slope, tangents = self.slope(_products(b, Q)), _tangents(b, Q)
        moved = [2 * np.tensordot(self.sigma, np.tensordot(t, self.second, axes=2), axes=1) for t in tangents]
        found = np.array([[(m * t).sum() for t in tangents] for m in moved], dtype=object)
        for a in range(size):
            for c in range(size):
                for j in range(d):
                    found[a, size + c * d + j] += slope[j, a, c]
                    found[size + c * d + j, a] += slope[j, a, c]
        return found


def single_layer_loss(sigma: Array, n: Any) -> SingleLayerLoss:
    """The loss for a covariance of rationals (d, d) and n examples, from the second moments of H (Isserlis) and of w*.

    Entries of sigma, and n, may be symbols too.
    """
    d = sigma.shape[0]
    pairs = np.multiply.outer(sigma, sigma)  # [i, j, k, l] = Σ_ij Σ_kl
    share = Fraction(1, n) if isinstance(n, int) else 1 / n
    H = pairs + share * (np.einsum("ikjl->ijkl", pairs) + np.einsum("iljk->ijkl", pairs))
    second, mixed = zeros(d + 1, d + 1, d + 1, d + 1), zeros(d + 1, d + 1, d)
    second[:d, :d, :d, :d] = H
    traced = sum(H[:, :, m, m] for m in range(d))  # E H wᵀHw
    second[:d, :d, d, d] = second[d, d, :d, :d] = traced
    columns = sum(H[:, m, :, m] for m in range(d))  # E (Hw)(Hw)ᵀ
    second[:d, d, :d, d] = second[:d, d, d, :d] = second[d, :d, :d, d] = second[d, :d, d, :d] = columns
    second[d, d, d, d] = sum(H[m, m, p, p] + 2 * H[m, p, m, p] for m in range(d) for p in range(d))
    mixed[:d, d, :] = mixed[d, :d, :] = sigma
    return SingleLayerLoss(sigma, second, mixed)


def _products(b: Array, Q: Array) -> Array:
    return np.array([np.multiply.outer(b, column) for column in Q.T], dtype=object)


def _tangents(b: Array, Q: Array) -> list[Array]:
    """The derivatives of (X_j) in every parameter."""
    size, d = Q.shape
    found = []
    for a in range(size):
        X = zeros(d, size, size)
        X[:, a, :] = Q.T
        found.append(X)
    for c in range(size):
        for j in range(d):
            X = zeros(d, size, size)
            X[j, :, c] = b
            found.append(X)
    return found
