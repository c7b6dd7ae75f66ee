"""Eq. (3.1a) over dense weight matrices, and nothing else: an evaluator that knows neither programs nor blocks nor names.

    H ← H + Σ_i  W_V^i H (W_K^i H)ᵀ (W_Q^i H)          tokens are the columns of H

It reads `layer.heads[i].W_V`, `.W_K`, `.W_Q` of anything that has them, and imports nothing of ours. `run_layers` computes
in float64; `run_precisely` computes with the same matrices in fixed point, so that what is left there is not round-off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

#: Binary places of `run_precisely`: 77 decimal digits after the point.
PLACES = 256
_LARGEST = 1024  # a float64 ends at 2^1024


def run_layers(layers: Sequence[Any], H: np.ndarray) -> np.ndarray:
    """H_L from H_0, shape (…, d_model, n_tokens), in float64."""
    for layer in layers:
        H = H + sum((h.W_V @ H) @ np.swapaxes(h.W_K @ H, -1, -2) @ (h.W_Q @ H) for h in layer.heads)
    return H


def run_precisely(layers: Sequence[Any], H: np.ndarray) -> np.ndarray:
    """The same in fixed point: `H`, shape (d_model, n_tokens), and the result are integers (dtype object) times 2^-PLACES.

    The matrices are taken as they are, exactly but for what is below 2^-PLACES; every product is rounded down to
    2^-PLACES. Rows of W that are zero are left out of the products. Raises OverflowError beyond what a float64 holds.
    """
    for layer in layers:
        update = np.zeros_like(H)
        for head in layer.heads:
            written, met = _used(head.W_V), _used(head.W_K) & _used(head.W_Q)  # rows that are written, that K and Q share
            V, K, Q = (to_fixed(W[rows]) @ H >> PLACES for W, rows in ((head.W_V, written), (head.W_K, met), (head.W_Q, met)))
            update[written] += (V @ K.T >> PLACES) @ Q >> PLACES
        H = H + update
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
