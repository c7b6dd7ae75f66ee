"""What compiled least squares leaves: data of a given condition, and the predictions of the weights, as one matrix."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .compiled import Compiled
from .outside import PLACES, run_model, run_precisely, to_fixed, to_float

SEED = 0


def spectral_data(kappa: float, n: int, d: int, seed: int = SEED) -> np.ndarray:
    """A (n, d), n ≥ d: AᵀA has eigenvalues from 1/kappa to 1, both included, geometrically spaced, in random directions."""
    rng = np.random.default_rng(seed)
    left, _ = np.linalg.qr(rng.normal(size=(n, d)))
    right, _ = np.linalg.qr(rng.normal(size=(d, d)))
    A: np.ndarray = left * np.sqrt(np.geomspace(1 / kappa, 1, d)) @ right.T
    return A


def prediction_matrix(model: Compiled, A: np.ndarray, precisely: bool = False) -> np.ndarray:
    """M (d, d): M_ij is what the weights predict for the query e_i from A (n, d) and labels y = A e_j. Least squares has M = I.

    Where the model's output is w, column j is w. precisely: in 77 digits, as integers times 2^-PLACES (dtype object).
    Only `model.encode` (which places numbers), the dense weights, and the places that `model.decode` reads are used.
    """
    names, d = {spec.name for spec in model.artifact.graph.inputs}, A.shape[1]
    queries = np.eye(d) if names & {"q", "Q"} else np.eye(1)
    shape = (d, len(queries))  # a run for every column of labels and every query
    inputs = {"A": A, "y": A.T[:, None, :], "q": queries, "Q": queries[:, None, :]}
    inputs = {name: np.broadcast_to(inputs[name], (*shape, *_own_shape(inputs, name))) for name in names}
    H, places, sign = model.encode(**inputs), np.abs(places_of(model)).ravel(), _sign(model)
    if precisely:
        flat = H.reshape(-1, *H.shape[-2:])
        over = model.arch.factor(model.artifact.graph.sizes).denominator
        facts = (model.attention, over, int(model.key_mask.sum()))
        read = np.array([run_precisely(model.layers, to_fixed(H), *facts).ravel()[places] for H in flat], dtype=object)
    else:
        with np.errstate(over="ignore", invalid="ignore"):  # what diverges is seen in the residual
            read = run_model(model, H).reshape(-1, H.shape[-1] * H.shape[-2])[:, places]
    return read.reshape(d, d).T * sign


def _own_shape(inputs: Mapping[str, np.ndarray], name: str) -> tuple[int, ...]:
    """The shape of an input without the axes of the runs."""
    return inputs[name].shape[-2 if name in ("A", "Q") else -1 :]


def places_of(model: Compiled) -> np.ndarray:
    """Where in H_L, row by row, the output stands: decoding 0, 1, 2, … tells it."""
    count = model.d_model * model.n_tokens
    read = model.decode(np.arange(count, dtype=float).reshape(model.d_model, model.n_tokens))
    if isinstance(read, dict):
        (read,) = read.values()
    return np.asarray(read).astype(int)


def _sign(model: Compiled) -> int:
    """−1 where decoding reads minus what stands in the stream."""
    return -1 if model.artifact.decoding[0].negated else 1


def distance(M: np.ndarray) -> float:
    """‖I − M‖₂; the difference is formed before rounding where M is given in fixed point. Not finite: inf."""
    exact = M.dtype == object
    off = to_float((np.eye(len(M), dtype=int).astype(object) << PLACES) - M) if exact else np.eye(len(M)) - M
    return float(np.linalg.norm(off, 2)) if np.isfinite(off).all() else float("inf")
