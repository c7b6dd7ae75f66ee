"""The transformer of Fu et al. (2023) in plain numpy: full ReLU attention with 1/n, and a linear residual map.

Arrays hold Python integers and Fractions (dtype object): everything here is exact. A state H has shape (rows, tokens).
Tokens alternate, x_1, y_1, …, x_n, y_n, and the last is the query. S = Σ x_j x_jᵀ and M_{k+1} = 2M_k − M_k S M_k from M_0 = αS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from .ahn_model import Array, identity, zeros


@dataclass(frozen=True, eq=False)
class Head:
    """Token t receives (1/n) Σ_j relu(⟨Q h_t, K h_j⟩) V h_j. Shapes: Q and K (p, rows), V (rows, rows)."""

    Q: Array
    K: Array
    V: Array


@dataclass(frozen=True, eq=False)
class Layer:
    """Heads, then H + W H, or nothing where `residual` is None."""

    heads: tuple[Head, ...]
    residual: Array | None = None


def relu(values: Array) -> Array:
    """max(z, 0), entry by entry."""
    positive: Array = np.where(values > 0, values, 0 * values)
    return positive


def layer_forward(H: Array, layer: Layer, n: int, keys: int | None = None, causal: bool = False) -> Array:
    """One layer of Definition B.1. The sum is over all tokens (or the first `keys`), and n divides it.

    `causal`: token t sums over the tokens up to t only.
    """
    source = H[:, :keys]
    total, seen = H, np.triu(np.ones((source.shape[1], H.shape[1]), dtype=int)).astype(object) if causal else 1
    for head in layer.heads:
        total = total + Fraction(1, n) * (head.V @ source @ (seen * relu((head.K @ source).T @ (head.Q @ H))))
    if layer.residual is not None:
        total = total + layer.residual @ total
    return total


def forward(H: Array, layers: Sequence[Layer], n: int, keys: int | None = None) -> Array:
    """The state after all layers."""
    for layer in layers:
        H = layer_forward(H, layer, n, keys)
    return H


def paired_forward(H: Array, layers: Sequence[Layer], n: int) -> Array:
    """`forward` for states of symbols: heads (Q, K, V), (−Q, K, −V) are one head without relu, as relu(z) − relu(−z) = z.

    Raises TypeError where another head has a score that is no number.
    """
    for layer in layers:
        total, left = H, list(layer.heads)
        while left:
            head = left.pop(0)
            other = next((h for h in left if _opposite(head, h)), None)
            scores = (head.K @ H).T @ (head.Q @ H)
            if other is None:
                scores = relu(scores)
            else:
                left.remove(other)
            total = total + Fraction(1, n) * (head.V @ H @ scores)
        H = total if layer.residual is None else total + layer.residual @ total
    return H


def _opposite(one: Head, two: Head) -> bool:
    return all(bool((a == b).all()) for a, b in ((one.Q, -two.Q), (one.K, two.K), (one.V, -two.V)))


def newton(S: Array, alpha: Any, steps: int) -> Array:
    """M_k (d, d)."""
    M: Array = alpha * S
    for _ in range(steps):
        M = 2 * M - M @ S @ M
    return M


# -- the layers of appendix B on the rows [T x; x] ---------------------------------------------------------------------------


def doubled(tokens: Array) -> Array:
    """[x; x] (2d, tokens): what the first layer, a copy, leaves."""
    return np.vstack([tokens, tokens])


def block(rows: int, columns: int, into: int, out_of: int, values: Array) -> Array:
    """Zeros (rows, columns), but for `values` from row `into` and column `out_of` on."""
    full = zeros(rows, columns)
    full[into : into + values.shape[0], out_of : out_of + values.shape[1]] = values
    return full


def initial_layer(d: int, n: int, alpha: Any, sign: int) -> Layer:
    """[x; x] → [αS x; x]. The values of the second head are `sign` times those of the first: +1 as printed, −1 as needed."""
    one = identity(d)
    first, value = block(d, 2 * d, 0, 0, one), block(2 * d, 2 * d, 0, 0, n * alpha * one)
    pair = (Head(first, first, value), Head(-first, first, sign * value))
    return Layer(pair, block(2 * d, 2 * d, 0, d, -one))


def newton_layer(d: int, n: int, sign: int) -> Layer:
    """[T x; x] → [2T x − T S Tᵀ x; x], with weights that hold n."""
    one = identity(d)
    query, key = block(d, 2 * d, 0, d, -Fraction(n, 2) * one), block(d, 2 * d, 0, 0, one)
    value = block(2 * d, 2 * d, 0, 0, one)
    return Layer((Head(query, key, value), Head(-query, key, sign * value)), value)


# -- k + 3 layers on one machine ---------------------------------------------------------------------------------------------


def width(d: int) -> int:
    """Rows of `short_network`: T x, x, the query, a copy of T x, label, position, 1, output."""
    return 4 * d + 4


def short_network(d: int, n: int, alpha: Any, steps: int) -> tuple[Layer, ...]:
    """k Newton steps and their prediction in k + 3 layers, at most 3 heads and 4d + 4 rows. Ours, not the paper's.

    The last layer but one copies T x_j to the token of y_j by relu(z) − 2 relu(z − 1) + relu(z − 2), z = t − s: 1 for
    z = 1 and 0 for other integers. The last one sums ⟨x_query, T x_j⟩ y_j, and leaves it in the query's last row.
    """
    rows = width(d)
    full, one = identity(d), identity(1)
    U, x, query, copy, label, position, constant, out = 0, d, 2 * d, 3 * d, 4 * d, 4 * d + 1, 4 * d + 2, 4 * d + 3

    def read(at: int, values: Array) -> Array:
        return block(values.shape[0], rows, 0, at, values)

    def move(at: int, source: int, values: Array) -> Array:
        return block(rows, rows, at, source, values)

    def pair(q: Array, k: Array, v: Array) -> tuple[Head, Head]:
        return Head(q, k, v), Head(-q, k, -v)

    def difference(z: int) -> Array:  # a query that makes the score t − s − z
        return np.vstack([read(position, one) - z * read(constant, one), read(constant, one)])

    initial = Layer(pair(read(x, full), read(x, full), move(U, x, n * alpha * full)))
    step = Layer(pair(read(x, -Fraction(n, 2) * full), read(U, full), move(U, U, full)), move(U, U, full))
    key = np.vstack([read(constant, one), read(position, -one)])
    shift = Layer(tuple(Head(difference(z), key, move(copy, U, c * n * full)) for z, c in ((0, 1), (1, -2), (2, 1))))
    final = Layer(pair(read(query, full), read(copy, full), move(out, label, n * one)))
    return (initial, *(step,) * steps, shift, final)


def short_prompt(X: Array, y: Array, x_query: Array, shared: bool = False) -> Array:
    """The tokens (4d + 4, 2n + 1) of examples X (n, d), y (n,). `shared`: the query also lies in the rows of the x_j."""
    n, d = X.shape
    H = zeros(width(d), 2 * n + 1)
    H[d : 2 * d, 0:-1:2] = X.T
    H[4 * d, 1::2] = y
    H[2 * d : 3 * d, -1] = x_query
    if shared:
        H[d : 2 * d, -1] = x_query
    H[4 * d + 1] = [*range(2 * n + 1)]
    H[4 * d + 2] = 1
    return H
