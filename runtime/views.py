"""Weights as numpy arrays, as users and outside evaluators read them: read-only, since a model does not change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..compiler.weights import BlockMatrix, FeedForwardWeights, HeadWeights, LayerWeights


def _read_only(weights: BlockMatrix, rational: bool) -> np.ndarray:
    """A copy that cannot be written to: that would not change the model."""
    found: np.ndarray = weights.exact() if rational else weights.dense()
    found.flags.writeable = False
    return found


class HeadView:
    """The matrices of one head, dense, shape (d_model, d_model)."""

    def __init__(self, weights: HeadWeights, rational: bool) -> None:
        self.weights, self._rational = weights, rational

    @property
    def W_V(self) -> np.ndarray:
        return _read_only(self.weights.W_V, self._rational)

    @property
    def W_K(self) -> np.ndarray:
        return _read_only(self.weights.W_K, self._rational)

    @property
    def W_Q(self) -> np.ndarray:
        return _read_only(self.weights.W_Q, self._rational)


class FeedForwardView:
    """The matrices of a layer's feed-forward part, dense: W_1 (units, d_model), W_2 (d_model, units); W_3 like W_1 where the
    architecture has a gate, else None."""

    def __init__(self, weights: FeedForwardWeights, rational: bool) -> None:
        self.weights, self._rational = weights, rational

    @property
    def W_1(self) -> np.ndarray:
        return _read_only(self.weights.W_1, self._rational)

    @property
    def W_2(self) -> np.ndarray:
        return _read_only(self.weights.W_2, self._rational)

    @property
    def W_3(self) -> np.ndarray | None:
        if self.weights.W_3 is None:
            return None
        return _read_only(self.weights.W_3, self._rational)


@dataclass(frozen=True)
class LayerView:
    """One layer: `heads`, and `ffn` (None: no feed-forward part)."""

    heads: tuple[HeadView, ...]
    ffn: FeedForwardView | None = None


def _view(layer: LayerWeights, rational: bool) -> LayerView:
    heads = tuple(HeadView(head, rational) for head in layer.heads)
    return LayerView(heads, None if layer.ffn is None else FeedForwardView(layer.ffn, rational))


def views(layers: tuple[LayerWeights, ...], rational: bool) -> tuple[LayerView, ...]:
    made = {layer: _view(layer, rational) for layer in dict.fromkeys(layers)}
    return tuple(made[layer] for layer in layers)
