"""Weights as numpy arrays, as users and outside evaluators read them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..compiler.weights import FeedForwardWeights, HeadWeights, LayerWeights


class HeadView:
    """The matrices of one head, dense, shape (d_model, d_model)."""

    def __init__(self, weights: HeadWeights, rational: bool) -> None:
        self.weights, self._rational = weights, rational

    @property
    def W_V(self) -> np.ndarray:
        return self.weights.W_V.exact() if self._rational else self.weights.W_V.dense()

    @property
    def W_K(self) -> np.ndarray:
        return self.weights.W_K.exact() if self._rational else self.weights.W_K.dense()

    @property
    def W_Q(self) -> np.ndarray:
        return self.weights.W_Q.exact() if self._rational else self.weights.W_Q.dense()


class FeedForwardView:
    """The matrices of a layer's feed-forward part, dense: W_1 (units, d_model), W_2 (d_model, units); W_3 like W_1 where the
    architecture has a gate, else None."""

    def __init__(self, weights: FeedForwardWeights, rational: bool) -> None:
        self.weights, self._rational = weights, rational

    @property
    def W_1(self) -> np.ndarray:
        return self.weights.W_1.exact() if self._rational else self.weights.W_1.dense()

    @property
    def W_2(self) -> np.ndarray:
        return self.weights.W_2.exact() if self._rational else self.weights.W_2.dense()

    @property
    def W_3(self) -> np.ndarray | None:
        if self.weights.W_3 is None:
            return None
        return self.weights.W_3.exact() if self._rational else self.weights.W_3.dense()


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
