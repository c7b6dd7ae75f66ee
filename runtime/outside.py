"""The architecture's formula over dense weight matrices, and nothing else: an evaluator that knows neither programs nor blocks.

    H ← H + s Σ_i  W_V^i H M f((W_K^i H)ᵀ (W_Q^i H)), then H ← H + W_2 g(W_1 H)          tokens are the columns of H

It reads `layer.heads[i].W_V`, `.W_K`, `.W_Q`, `layer.ffn.W_1`, `.W_2`, `.W_3` of anything that has them, and imports nothing
of ours. `run_layers` computes in float64; `run_precisely` computes with the same matrices in fixed point, so that what is
left there is not round-off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

#: Binary places of `run_precisely`: 77 decimal digits after the point.
PLACES = 256
_LARGEST = 1024  # a float64 ends at 2^1024


def run_model(model: Any, H: np.ndarray) -> np.ndarray:
    """H_L from H_0, shape (…, d_model, n_tokens), in float64, with what the model says of its architecture."""
    facts = (model.attention, model.attention_scale, int(np.sum(model.key_mask)), model.arch.ffn, model.arch.causal)
    return run_layers(model.layers, H, *facts)


def run_layers(
    layers: Sequence[Any],
    H: np.ndarray,
    attention: str = "linear",
    scale: float = 1.0,
    keys: int | None = None,
    ffn: str | None = "relu",
    causal: bool = False,
) -> np.ndarray:
    """H_L from H_0, shape (…, d_model, n_tokens), in float64. keys: the first so many tokens are keys; None: all."""
    for layer in layers:
        H = H + scale * sum((_head(head, H, attention, keys, causal) for head in layer.heads), np.zeros_like(H))
        if getattr(layer, "ffn", None) is not None:
            H = H + _feed_forward(layer.ffn, H, ffn)
    return H


def _head(head: Any, H: np.ndarray, attention: str, keys: int | None, causal: bool) -> Any:
    V, K, Q = head.W_V @ H[..., :keys], head.W_K @ H[..., :keys], head.W_Q @ H
    if attention == "linear" and not causal:
        return V @ np.swapaxes(K, -1, -2) @ Q
    scores = np.swapaxes(K, -1, -2) @ Q
    seen = np.arange(scores.shape[-2])[:, None] <= np.arange(scores.shape[-1]) if causal else np.ones(scores.shape[-2:], bool)
    if attention == "softmax":
        powers = np.exp(np.where(seen, scores - scores.max(axis=-2, keepdims=True), -np.inf))
        return V @ (powers / powers.sum(axis=-2, keepdims=True))
    return V @ np.where(seen, np.maximum(scores, 0) if attention == "relu" else scores, 0.0)


def _feed_forward(ffn: Any, H: np.ndarray, kind: str | None) -> Any:
    if kind == "gate":
        return ffn.W_2 @ ((ffn.W_1 @ H) * (ffn.W_3 @ H))
    units = np.maximum(ffn.W_1 @ H, 0)
    return ffn.W_2 @ (units**2 if kind == "relu2" else units)


def run_precisely(
    layers: Sequence[Any], H: np.ndarray, attention: str = "linear", over: int = 1, keys: int | None = None
) -> np.ndarray:
    """The same in fixed point, for linear and ReLU attention and ReLU units: `H`, shape (d_model, n_tokens), and the result
    are integers (dtype object) times 2^-PLACES. over: heads are divided by that integer; keys: as above.

    The matrices are taken as they are, exactly but for what is below 2^-PLACES; every product is rounded down to
    2^-PLACES. Rows of W that are zero are left out of the products. Raises OverflowError beyond what a float64 holds.
    """
    for layer in layers:
        update = np.zeros_like(H)
        for head in layer.heads:
            written, met = _used(head.W_V), _used(head.W_K) & _used(head.W_Q)  # rows that are written, that K and Q share
            V, K, Q = (to_fixed(W[rows]) @ H >> PLACES for W, rows in ((head.W_V, written), (head.W_K, met), (head.W_Q, met)))
            V, K = V[:, :keys], K[:, :keys]
            if attention == "relu":
                update[written] += V @ np.maximum(K.T @ Q >> PLACES, 0) >> PLACES
            else:
                update[written] += (V @ K.T >> PLACES) @ Q >> PLACES
        H = H + update // over
        if layer.ffn is not None:
            units = np.maximum(to_fixed(layer.ffn.W_1) @ H >> PLACES, 0)
            H = H + (to_fixed(layer.ffn.W_2) @ units >> PLACES)
        if any(abs(entry) >> (PLACES + _LARGEST) for entry in H.flat):
            raise OverflowError("an entry of the residual stream is above 2^1024")
    return H


def _used(W: np.ndarray) -> np.ndarray:
    """Which rows of W are not zero."""
    used: np.ndarray = np.any(W != 0, axis=1)
    return used


def to_fixed(values: np.ndarray) -> np.ndarray:
    """float64 numbers as integers times 2^-PLACES, rounded down where they are not multiples of it."""
    ratios = map(float.as_integer_ratio, values.ravel().tolist())
    integers = [(numerator << PLACES) // denominator for numerator, denominator in ratios]
    return np.array(integers, dtype=object).reshape(values.shape)


def to_float(values: np.ndarray) -> np.ndarray:
    """Integers times 2^-PLACES, each rounded once to float64."""
    return np.array([int(value) / (1 << PLACES) for value in values.flat], dtype=np.float64).reshape(values.shape)
