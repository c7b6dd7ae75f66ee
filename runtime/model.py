"""The definition: a transformer of eq. (3.1) as a plain torch module. Its parameters are the weight matrices.

Tokens are columns: H has shape (…, D, N), D = d_model rows and N tokens.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn


class Head(nn.Module):
    """One head of linear attention: W_V H (W_K H)ᵀ (W_Q H)."""

    def __init__(self, W_V: np.ndarray, W_K: np.ndarray, W_Q: np.ndarray, dtype: torch.dtype) -> None:
        super().__init__()
        self.W_V = nn.Parameter(torch.tensor(W_V, dtype=dtype))  # (D, D)
        self.W_K = nn.Parameter(torch.tensor(W_K, dtype=dtype))  # (D, D)
        self.W_Q = nn.Parameter(torch.tensor(W_Q, dtype=dtype))  # (D, D)

    def forward(self, H: Tensor) -> Tensor:
        V, K, Q = self.W_V @ H, self.W_K @ H, self.W_Q @ H  # each (…, D, N)
        return (V @ K.mT) @ Q  # (…, D, D) @ (…, D, N)


class FeedForward(nn.Module):
    """W_2 relu(W_1 H), token by token."""

    def __init__(self, W_1: np.ndarray, W_2: np.ndarray, dtype: torch.dtype) -> None:
        super().__init__()
        self.W_1 = nn.Parameter(torch.tensor(W_1, dtype=dtype))  # (m, D)
        self.W_2 = nn.Parameter(torch.tensor(W_2, dtype=dtype))  # (D, m)

    def forward(self, H: Tensor) -> Tensor:
        return self.W_2 @ torch.relu(self.W_1 @ H)  # (…, D, N)


class Layer(nn.Module):
    """Att(H) = H + Σ_i W_V^i H (W_K^i H)ᵀ (W_Q^i H), then Att(H) + W_2 relu(W_1 Att(H))."""

    def __init__(self, heads: list[Head], ffn: FeedForward | None = None) -> None:
        super().__init__()
        self.heads = nn.ModuleList(heads)
        self.ffn = ffn

    def forward(self, H: Tensor) -> Tensor:
        out = H
        for head in self.heads:
            out = out + head(H)
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
