"""The definition: a transformer as a plain torch module. Its parameters are the weight matrices.

Tokens are columns: H has shape (…, D, N), D = d_model rows and N tokens. The default is eq. (3.1) of Giannou et al. (2024);
`Attention` says what other architectures change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Attention:
    """What all heads of a model share. kind: "linear", "relu" or "softmax"; keys: only the first so many tokens are keys
    (None: all); causal: a token's keys end with the token itself; scale: the number in front of all heads."""

    kind: str = "linear"
    keys: int | None = None
    causal: bool = False
    scale: float = 1.0


class Head(nn.Module):
    """One head: V f(Kᵀ Q), with V = W_V H, K = W_K H and Q = W_Q H."""

    def __init__(self, W_V: np.ndarray, W_K: np.ndarray, W_Q: np.ndarray, dtype: torch.dtype, attention: Attention) -> None:
        super().__init__()
        self.attention = attention
        self.W_V = nn.Parameter(torch.tensor(W_V, dtype=dtype))  # (D, D)
        self.W_K = nn.Parameter(torch.tensor(W_K, dtype=dtype))  # (D, D)
        self.W_Q = nn.Parameter(torch.tensor(W_Q, dtype=dtype))  # (D, D)

    def forward(self, H: Tensor) -> Tensor:
        keys = H[..., : self.attention.keys]  # (…, D, n)
        V, K, Q = self.W_V @ keys, self.W_K @ keys, self.W_Q @ H
        if self.attention.kind == "linear" and not self.attention.causal:
            return (V @ K.mT) @ Q  # (…, D, D) @ (…, D, N)
        return V @ activate(K.mT @ Q, self.attention)  # (…, D, n) @ (…, n, N)


def activate(scores: Tensor, attention: Attention) -> Tensor:
    """f of the scores, shape (…, keys, queries), and the causal mask."""
    later = None
    if attention.causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril(-1)
    if attention.kind == "softmax":
        hidden = scores if later is None else scores.masked_fill(later, -torch.inf)
        return torch.softmax(hidden, dim=-2)
    weights = torch.relu(scores) if attention.kind == "relu" else scores
    return weights if later is None else weights.masked_fill(later, 0.0)


class FeedForward(nn.Module):
    """W_2 relu(W_1 H), or W_2 relu(W_1 H)² ("relu2"), or W_2 (W_1 H ⊙ W_3 H) ("gate"), token by token."""

    def __init__(
        self, W_1: np.ndarray, W_2: np.ndarray, dtype: torch.dtype, kind: str = "relu", W_3: np.ndarray | None = None
    ) -> None:
        super().__init__()
        self.kind = kind
        self.W_1 = nn.Parameter(torch.tensor(W_1, dtype=dtype))  # (m, D)
        self.W_2 = nn.Parameter(torch.tensor(W_2, dtype=dtype))  # (D, m)
        self.W_3 = None if W_3 is None else nn.Parameter(torch.tensor(W_3, dtype=dtype))  # (m, D)

    def forward(self, H: Tensor) -> Tensor:
        gate = None if self.W_3 is None else self.W_3 @ H
        return self.W_2 @ activate_units(self.W_1 @ H, self.kind, gate)  # (…, D, N)


def activate_units(units: Tensor, kind: str, gate: Tensor | None) -> Tensor:
    """What a feed-forward part makes of W_1 H, with W_3 H as the gate where it has one."""
    if gate is not None:
        return units * gate
    return torch.relu(units) ** 2 if kind == "relu2" else torch.relu(units)


class Layer(nn.Module):
    """Att(H) = H + scale · Σ_i head_i(H), then Att(H) + FFN(Att(H))."""

    def __init__(self, heads: list[Head], ffn: FeedForward | None = None, scale: float = 1.0) -> None:
        super().__init__()
        self.heads = nn.ModuleList(heads)
        self.ffn = ffn
        self.scale = scale

    def forward(self, H: Tensor) -> Tensor:
        out = H
        for head in self.heads:
            out = torch.add(out, head(H), alpha=self.scale)
        return out if self.ffn is None else out + self.ffn(out)


class Transformer(nn.Module):
    """Layers in order. With `order`, layer i is `layers[order[i]]`: a repeated layer is stored once (and trains as one)."""

    def __init__(self, layers: list[Layer], order: list[int] | None = None) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.order = list(range(len(layers))) if order is None else list(order)

    def forward(self, H: Tensor) -> Tensor:
        """H_0 (…, D, N) → H_L (…, D, N)."""
        for index in self.order:
            H = self.layers[index](H)
        return H
