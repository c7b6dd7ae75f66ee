"""Weights in the form in which others state and publish them: P and Q of Ahn et al., K, Q, V and P of von Oswald et al.

Both write tokens as columns z_j = (x_j, y_j) of Z (d + 1, n + m), the examples first and then the queries (x, 0), and let only
examples be keys, M = diag(I_n, 0):

    Z ← Z + (1/n) P Z M (Zᵀ Q Z)                    Ahn et al. 2023, eq. (3) and (4); prediction −[Z]_{d+1, n+t}
    z_t ← z_t + P Σ_{j≤n} (V z_j) (K z_j)ᵀ (Q z_t)   von Oswald et al. 2023a

So a head with W_V, W_K, W_Q is P = W_V, Q = W_KᵀW_Q.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import torch

from ..compiler.errors import ArchitectureError, InputError
from .compiled import Compiled
from .model import Attention, Head, Layer, Transformer
from .views import LayerView

_FIX = (
    "gradient_descent (without momentum), preconditioned_gradient_descent, optimal_single_layer, gd_plus_plus and chebyshev "
    "have this form on hw.MASKED_ATTENTION"
)


_PAIRS = "pass one pair (P, Q) a layer, each a (d + 1, d + 1) array"


class SelfAttention(NamedTuple):
    """The matrices of one layer of von Oswald et al., each (d + 1, d + 1)."""

    K: np.ndarray
    Q: np.ndarray
    V: np.ndarray
    P: np.ndarray


def to_pq(model: Compiled, *, transposed: bool = False, exact: bool = False) -> list[tuple[np.ndarray, np.ndarray]]:
    """(P_ℓ, Q_ℓ), each (d + 1, d + 1), of every layer: the model as a linear transformer of Ahn et al.

    The model has masked linear attention with scale 1/n, one head a layer and no feed-forward units, and its stream is Z: the
    features of examples and queries, and a row of labels, 0 for queries, from which predictions are read with a minus sign.
    Rows are permuted to that order. Only the product of P_ℓ and Q_ℓ matters: P_ℓ has 1 in its last entry, as in the paper, so
    that Q_ℓ = diag(A_ℓ, 0) and P_ℓ = diag(B_ℓ, 1) for its preconditioners.

    transposed: Q_ℓᵀ in place of Q_ℓ, which is what their published code stores: it computes z_iᵀ Q z_j where the paper has
    z_jᵀ Q z_i. exact: entries are Fractions, dtype object.

    Raises ArchitectureError, naming what differs, for any other model.
    Source: Ahn et al. 2023, eq. (3) and (4).
    """
    if not isinstance(model, Compiled):
        what = f"to_pq: model is a {type(model).__name__}: expected what hw.compile returns"
        raise InputError(what, fix="pass a compiled model")
    order, size, made = _rows(model), model.d_model, {}
    for layer in model.exact.layers:
        if layer not in made:
            P, Q = (W[np.ix_(order, order)] for W in _head(layer, size))
            P, Q = (P / P[-1, -1], Q * P[-1, -1]) if P[-1, -1] else (P, Q)
            made[layer] = (P, Q.T if transposed else Q)
    pairs = [made[layer] for layer in model.exact.layers]
    return pairs if exact else [(P.astype(float), Q.astype(float)) for P, Q in pairs]


def from_pq(pairs: Sequence[tuple[np.ndarray, np.ndarray]], n: int, *, transposed: bool = False) -> Transformer:
    """A module that maps Z_0 (…, d + 1, n + m) to Z_L, from P_ℓ and Q_ℓ: weights that were trained elsewhere, say.

    n: examples, which are the keys. transposed: the pairs hold Q_ℓᵀ, as the published code of Ahn et al. does. The heads are
    W_V = P, W_K = I, W_Q = Q in float64. The prediction for query t is −Z_L[…, d, n + t].

    Raises InputError for matrices that are not square, finite and of one size, and for n below 1.
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise InputError(f"from_pq: n is {n!r}: expected the number of examples, an integer of at least 1", fix="pass n=…")
    if not isinstance(pairs, Sequence) or not pairs:
        what = f"{type(pairs).__name__} of {len(pairs)} layers" if isinstance(pairs, Sequence) else type(pairs).__name__
        raise InputError(f"from_pq: pairs is a {what}: expected a list of (P, Q), one pair a layer", fix="pass [(P_0, Q_0), …]")
    attention, layers, size = Attention("linear", int(n), scale=1 / int(n)), [], None
    for index, pair in enumerate(pairs):
        P, Q = (_matrix(f"{name}_{index}", W, size) for name, W in zip("PQ", _pair(index, pair), strict=True))
        size = P.shape[0]
        if Q.shape != P.shape:
            raise InputError(f"from_pq: P_{index} is {_shape(P)} and Q_{index} is {_shape(Q)}: expected one size", fix=_PAIRS)
        head = Head(P, np.eye(size), Q.T if transposed else Q, torch.float64, attention)
        layers.append(Layer([head], None, attention.scale))
    return Transformer(layers)


def to_von_oswald(model: Compiled) -> list[SelfAttention]:
    """K, Q, V and P of every layer, for a model of gradient descent, in the form of von Oswald et al.

    K = Q = diag(I, 0), V = diag(0, −1) and P = diag(0, η/n), η the rate of that layer. A layer that is not a step of gradient
    descent with a scalar rate has no such form.

    Raises ArchitectureError for such a layer, and where `to_pq` does.
    Source: von Oswald et al. 2023a, Proposition 1, with W_0 = 0.
    """
    found, n = [], round(1 / model.attention_scale)
    for index, (P, Q) in enumerate(to_pq(model)):
        d = len(P) - 1
        features, label = np.diag([1.0] * d + [0.0]), np.diag([0.0] * d + [1.0])
        rate = -Q[0, 0]
        if not (np.array_equal(P, label) and np.array_equal(Q, -rate * features)):
            raise ArchitectureError(
                f"to_von_oswald: layer {index} of {model.name} is no step of gradient descent with a scalar rate",
                rule="P has to be diag(0, 1), and Q a multiple of diag(I, 0)",
                fix="take hw.to_pq, which has every preconditioner",
            )
        found.append(SelfAttention(features, features, 0.0 - label, rate / n * label))
    return found


def _rows(model: Compiled) -> np.ndarray:
    """The rows of the stream in the order of Z: features, then labels."""
    keys, problems = int(model.key_mask.sum()), []
    if model.attention != "linear" or model.arch.causal:
        problems.append(f"its attention is {'causal ' if model.arch.causal else ''}{model.attention}: expected linear")
    if model.arch.key_mask is None or keys == model.n_tokens:
        problems.append("every token is a key: expected examples only, and queries on tokens of their own")
    elif model.attention_scale != 1 / keys:
        problems.append(f"its attention has scale {model.attention_scale:.6g}: expected 1/{keys}, one over the keys")
    if model.ffn_width:
        problems.append(f"it has feed-forward units ({model.ffn_width} in a layer): expected attention only")
    if model.max_heads > 1:
        problems.append(f"it has {model.max_heads} heads in a layer: expected one")
    order = None if problems else _order(model, keys)
    if order is None:
        problems = problems or [
            f"its stream of {model.d_model} rows is not Z: features of examples and queries, and one row of labels, "
            "0 for queries, from which predictions are read with a minus sign"
        ]
        raise ArchitectureError(f"{model.name} on {model.arch.name} has no P and Q: {'; '.join(problems)}", fix=_FIX)
    return order


def _order(model: Compiled, n: int) -> np.ndarray | None:
    """Where every row of Z stands, found by encoding numbers that are all different; None where some row is no row of Z."""
    marks, start = {}, 2.0
    for spec in model.artifact.graph.inputs:
        shape = tuple(d if isinstance(d, int) else model.artifact.graph.sizes[d] for d in spec.shape)
        marks[spec.name] = start + np.arange(np.prod(shape, dtype=int)).reshape(shape)
        start += marks[spec.name].size
    H, outputs = np.asarray(model.encode(**marks)), model.artifact.decoding
    if len(outputs) != 1 or outputs[0].height != 1 or not outputs[0].negated or outputs[0].token != n:
        return None
    label = outputs[0].row
    features = np.delete(np.arange(model.d_model), label)
    whole = outputs[0].width == model.n_tokens - n
    if not whole or (H[features] < 2).any() or (H[label, :n] < 2).any() or H[label, n:].any():
        return None
    order: np.ndarray = np.append(features[np.argsort(H[features, 0])], label)
    return order


def _head(layer: LayerView, size: int) -> tuple[np.ndarray, np.ndarray]:
    """W_V and W_KᵀW_Q of the one head of a layer, exactly; zeros where it has none."""
    P, Q = (np.full((size, size), Fraction(0), dtype=object) for _ in range(2))
    for head in layer.heads:
        W_K, W_Q, P = head.W_K, head.W_Q, head.W_V
        for k, i in np.argwhere(W_K):  # few: a product of Fractions is slow
            Q[i] += W_K[k, i] * W_Q[k]
    return P, Q


def _pair(index: int, pair: object) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise InputError(f"from_pq: layer {index} is a {type(pair).__name__}: expected a pair (P, Q)", fix=_PAIRS)
    return pair[0], pair[1]


def _matrix(name: str, value: object, size: int | None) -> np.ndarray:
    try:
        W = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"from_pq: {name} is a {type(value).__name__}: expected an array of numbers", fix=_PAIRS) from error
    if W.ndim != 2 or W.shape[0] != W.shape[1] or len(W) < 2 or not np.isfinite(W).all():
        what = f"from_pq: {name} has shape {W.shape}: expected (d + 1, d + 1), d ≥ 1, all entries finite"
        raise InputError(what, fix=_PAIRS)
    if size is not None and len(W) != size:
        raise InputError(f"from_pq: {name} is {_shape(W)}, and layer 0 has {size} rows: expected one size", fix=_PAIRS)
    return W


def _shape(W: np.ndarray) -> str:
    return " × ".join(map(str, W.shape))
