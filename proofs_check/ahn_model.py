"""The linear transformer of Ahn et al. (2023) in plain numpy, by its tokens and in reduced form.

Arrays of Python integers, Fractions (dtype object) or floats all work: with the first two everything here is exact.
Prompts are Z_0 = [[x_1 … x_n, x_q], [y_1 … y_n, 0]], shape (d + 1, n + 1), with y_j = ⟨w*, x_j⟩ (their eq. 1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import permutations, product
from typing import Any

import numpy as np

from ..compiler.errors import CompileError

Array = np.ndarray[Any, np.dtype[Any]]
Pair = tuple[Array, Array]


def prompt(X: Array, w: Array, x_q: Array) -> Array:
    """Z_0 (d + 1, n + 1) of examples X (d, n), task w (d,) and query x_q (d,): the query has label 0."""
    return np.block([[X, x_q[:, None]], [(w @ X)[None, :], np.zeros((1, 1), dtype=X.dtype)]])


def token_layer(Z: Array, P: Array, Q: Array, mask: Array | None = None, scale: Any = None) -> Array:
    """Z + (1/n) P Z M (Zᵀ Q Z): eqs. (3) and (4), with M = diag(1, …, 1, 0). Shapes: Z (d + 1, n + 1), P and Q (d + 1, d + 1).

    `mask` (n + 1,) and `scale` replace M and 1/n, to try what happens without them.
    """
    n = Z.shape[1] - 1
    keys = np.array([1] * n + [0]) if mask is None else mask
    factor = Fraction(1, n) if scale is None else scale
    if Z.dtype != object:
        factor = float(factor)
    update: Array = factor * (P @ (Z * keys) @ (Z.T @ Q @ Z))
    return Z + update


def token_forward(Z: Array, layers: Sequence[Pair], mask: Array | None = None, scale: Any = None) -> list[Array]:
    """Z_0, Z_1, …, Z_k for k pairs (P, Q); see `token_layer`."""
    states = [Z]
    for P, Q in layers:
        states.append(token_layer(states[-1], P, Q, mask, scale))
    return states


def predictions(states: Sequence[Array]) -> list[Any]:
    """−[Z_l]_{d+1, n+1} for every state: the prediction of ⟨w*, x_q⟩ after l layers (their section 3, D)."""
    return [-Z[-1, -1] for Z in states]


def sparse_pair(A: Array, B: Array | None = None) -> Pair:
    """(P, Q) of eq. (9), or of eq. (13) where B (d, d) is given: P = diag(B, 1) and Q = diag(A, 0)."""
    d = A.shape[0]
    P, Q = zeros(d + 1, d + 1), zeros(d + 1, d + 1)
    P[d, d], Q[:d, :d] = 1, A
    if B is not None:
        P[:d, :d] = B
    return P, Q


def reduced_form(H: Array, A: Sequence[Array], B: Sequence[Array] | None = None) -> tuple[Array, Array]:
    """(T, G) after all layers of eq. (13), from H = (1/n) X Xᵀ alone: X_l = G_l X_0, and labels are residuals T_lᵀ w*.

    T_0 = G_0 = I and with K = Gᵀ A_l G: T ← T (I + H K), G ← (I + B_l G H Gᵀ A_l) G. Then the query holds
    [Z_k]_{d+1, n+1} = w*ᵀ (T_k − I) x_q. H may be a stack (…, d, d).
    """
    d = H.shape[-1]
    T = G = identity(d)
    for index, A_l in enumerate(A):
        T = T + T @ H @ np.swapaxes(G, -1, -2) @ A_l @ G
        if B is not None:
            G = G + B[index] @ G @ H @ np.swapaxes(G, -1, -2) @ A_l @ G
    return T, G


def loss_on(H: Array, A: Sequence[Array], B: Sequence[Array] | None, query: Array, prior: Array) -> Any:
    """The in-context loss given H: tr(prior · T · query · Tᵀ), with E x_q x_qᵀ = query and E w* w*ᵀ = prior (eq. 5)."""
    T, _ = reduced_form(H, A, B)
    return np.trace(prior @ T @ query @ np.swapaxes(T, -1, -2), axis1=-2, axis2=-1)


def derivative(
    H: Array, A: Sequence[Array], B: Sequence[Array] | None, layer: int, which: str, R: Array
) -> tuple[Array, Array]:
    """T of `reduced_form`, and its exact derivative where A_layer (or B_layer) moves along R: dual numbers, ε² = 0."""
    d = H.shape[-1]
    T, G, dT, dG = identity(d), identity(d), zeros(d, d), zeros(d, d)
    for index, A_l in enumerate(A):
        dA = R if (which, index) == ("A", layer) else zeros(d, d)
        dB = R if (which, index) == ("B", layer) else zeros(d, d)
        K, dK = G.T @ A_l @ G, dG.T @ A_l @ G + G.T @ dA @ G + G.T @ A_l @ dG
        T, dT = T + T @ H @ K, dT + dT @ H @ K + T @ H @ dK
        if B is not None:
            U, dU = G @ H @ K, dG @ H @ K + G @ H @ dK
            G, dG = G + B[index] @ U, dG + dB @ U + B[index] @ dU
    return T, dT


def orbit_gradient(
    H: Array,
    A: Sequence[Array],
    B: Sequence[Array] | None,
    layer: int,
    which: str,
    frame: Array,
    query: Array,
    prior: Array,
    group: Sequence[Array],
) -> Array:
    """The gradient (d, d) in A_layer or B_layer of the loss, summed over the prompts frame·g·H·gᵀ·frameᵀ, g in the group.

    With Σ = frame·frameᵀ these prompts all have the same density under x ~ N(0, Σ), so the mean loss is a mean of such sums.
    """
    d = H.shape[0]
    total = zeros(d, d)
    for g in group:
        moved = frame @ g @ H @ g.T @ frame.T
        for i, j in product(range(d), repeat=2):
            R = zeros(d, d)
            R[i, j] = 1
            T, dT = derivative(moved, A, B, layer, which, R)
            total[i, j] += 2 * np.trace(prior @ dT @ query @ T.T)
    return total


def signed_permutations(d: int) -> list[Array]:
    """The sign flips times the cyclic shifts (d, d): a group with mean of gᵀRg = tr(R)/d · I for every R."""
    group = []
    for shift in range(d):
        order = np.roll(np.arange(d), shift)
        for signs in product((1, -1), repeat=d):
            g = zeros(d, d)
            g[np.arange(d), order] = signs
            group.append(g)
    return group


def orders(items: Sequence[Any]) -> list[tuple[Any, ...]]:
    """All orders of the items."""
    return list(permutations(items))


def identity(d: int) -> Array:
    """I (d, d) of Python integers."""
    return integers(np.eye(d, dtype=int))


def zeros(*shape: int) -> Array:
    """Python zeros, dtype object."""
    return integers(np.zeros(shape, dtype=int))


def integers(values: Any) -> Array:
    """An array of Python integers (dtype object), which never overflow."""
    exact: Array = np.vectorize(int, otypes=[object])(np.asarray(values))
    return exact


def random_integers(seed: int, *shape: int, bound: int = 3) -> Array:
    """Integers between −bound and bound, the same for the same seed."""
    return integers(np.random.default_rng(seed).integers(-bound, bound + 1, size=shape))


def exact(matrix: Any) -> Array:
    """The same numbers as Fractions."""
    converted: Array = np.vectorize(Fraction, otypes=[object])(np.asarray(matrix))
    return converted


def exact_symmetric(name: str, matrix: Any) -> Array:
    """A symmetric matrix of Fractions. Raises CompileError, by that name, where it is not square, finite or symmetric."""
    given = np.asarray(matrix)
    if given.ndim != 2 or given.shape[0] != given.shape[1] or given.shape[0] == 0:
        raise CompileError(f"{name} has shape {given.shape}: expected a square matrix (d, d)", fix="np.diag for a diagonal")
    convert: Callable[[Any], Array] = np.vectorize(Fraction, otypes=[object])
    try:
        full = convert(given)
    except (TypeError, ValueError, OverflowError) as error:
        raise CompileError(
            f"{name} has entries that are not finite numbers", fix=f"pass {name} as an array of floats, integers or fractions"
        ) from error
    where = np.argwhere(full != full.T)
    if len(where):
        i, j = where[0]
        raise CompileError(
            f"{name} is not symmetric: [{i}, {j}] is {given[i, j]}, [{j}, {i}] is {given[j, i]}",
            fix=f"pass ({name} + {name}.T) / 2 where only rounding makes the difference",
        )
    return full
