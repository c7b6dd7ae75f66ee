"""The fast path: the same layers, run on the blocks of the weights instead of dense D × D matrices.

Weights here are sums of coefficient · I blocks. Reading a block is a slice of the stream, so a head costs what its
nonzero rows and tokens cost. Which tokens of a row can be nonzero follows from H_0 and the weights alone.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..compiler.weights import Block, BlockMatrix, LayerWeights


@dataclass(frozen=True)
class _Piece:
    """Rows [row, row + size) of the stream, times a number, added at row `at` of the gathered matrix."""

    row: int
    size: int
    at: int
    factor: float


@dataclass(frozen=True)
class _Gather:
    """A matrix of gathered rows: `height` rows over `width` tokens."""

    pieces: tuple[_Piece, ...]
    height: int
    width: int


@dataclass(frozen=True)
class _Head:
    V: _Gather
    K: _Gather
    Q: _Gather
    targets: tuple[tuple[int, int, int], ...]  # (row in the gathered V, row in the stream, size)


class Structured(nn.Module):
    """Runs block weights. `support[r]` is the number of leading tokens that can be nonzero in row r of H_0.

    Any dtype and device; leading batch dimensions; differentiable in H; no D × D matrix is made.
    """

    def __init__(self, layers: tuple[LayerWeights, ...], d_model: int, n_tokens: int, support: list[int] | None = None) -> None:
        super().__init__()
        self.d_model, self.n_tokens = d_model, n_tokens
        self.starts = _row_groups(layers, d_model)
        self.programs: list[tuple[tuple[_Head, ...], tuple[int, ...]]] = []
        widths = [n_tokens] * d_model if support is None else list(support)
        self.widths = [tuple(widths)]
        for layer in layers:
            heads = tuple(h for h in (_plan_head(head.matrices, widths) for head in layer.heads) if h is not None)
            grown = list(widths)
            for head in heads:
                for _, row, size in head.targets:
                    grown[row : row + size] = [max(w, head.Q.width) for w in grown[row : row + size]]
            widths = grown
            group_widths = tuple(max(widths[a:b]) for a, b in zip(self.starts, self.starts[1:], strict=False))
            self.programs.append((heads, group_widths))
            self.widths.append(tuple(widths))

    def forward(self, H: Tensor) -> Tensor:
        """H_0 (…, D, N) → H_L (…, D, N)."""
        return self.join(self.run(self.split(H)))

    def split(self, H: Tensor) -> list[Tensor]:
        """The stream as groups of rows, each cut to the tokens that can be nonzero."""
        first = [max(self.widths[0][a:b]) for a, b in zip(self.starts, self.starts[1:], strict=False)]
        return [H[..., a:b, :w] for a, b, w in zip(self.starts, self.starts[1:], first, strict=False)]

    def join(self, groups: list[Tensor]) -> Tensor:
        return torch.cat([_widen(group, self.n_tokens) for group in groups], dim=-2)

    def run(self, groups: list[Tensor], watch: list[list[Tensor]] | None = None) -> list[Tensor]:
        """Runs all layers on the groups; `watch` collects the groups after every layer."""
        for heads, widths in self.programs:
            updates: list[Tensor | None] = [None] * len(groups)
            for head in heads:
                V, K, Q = (self._gather(groups, g) for g in (head.V, head.K, head.Q))
                width = min(V.shape[-1], K.shape[-1])
                product = (V[..., :width] @ K[..., :width].mT) @ Q
                for at, row, size in head.targets:
                    self._add(updates, groups, row, product[..., at : at + size, :], widths)
            groups = [g if u is None else _widen(g, w) + _widen(u, w) for g, u, w in zip(groups, updates, widths, strict=True)]
            if watch is not None:
                watch.append(groups)
        return groups

    def rows(self, groups: list[Tensor], row: int, size: int, width: int) -> Tensor:
        """Rows [row, row + size) of the stream over the first `width` tokens (fewer where the rest is zero)."""
        parts = []
        for index, (a, b) in enumerate(zip(self.starts, self.starts[1:], strict=False)):
            low, high = max(a, row), min(b, row + size)
            if low < high:
                parts.append(groups[index][..., low - a : high - a, :width])
        if len(parts) == 1:
            return parts[0]
        return torch.cat([_widen(part, max(p.shape[-1] for p in parts)) for part in parts], dim=-2)

    def _gather(self, groups: list[Tensor], gather: _Gather) -> Tensor:
        """The linear forms of a head's V, K or Q as one matrix."""
        rows: dict[tuple[int, int], Tensor] = {}
        for piece in gather.pieces:
            part = self.rows(groups, piece.row, piece.size, gather.width)
            part = part if piece.factor == 1.0 else part * piece.factor
            part = _widen(part, gather.width)
            key = (piece.at, piece.size)
            rows[key] = rows[key] + part if key in rows else part
        if len(rows) == 1 and next(iter(rows)) == (0, gather.height):
            return next(iter(rows.values()))
        ordered = sorted(rows.items())
        ends = ordered[0][0][0] == 0 and sum(ordered[-1][0]) == gather.height
        if ends and all(at + size == nxt for ((at, size), _), ((nxt, _), _) in itertools.pairwise(ordered)):
            return torch.cat([part for _, part in ordered], dim=-2)
        first = ordered[0][1]
        total = first.new_zeros((*first.shape[:-2], gather.height, gather.width))
        for (at, size), part in ordered:  # pieces that overlap in part are summed
            total = torch.cat([total[..., :at, :], total[..., at : at + size, :] + part, total[..., at + size :, :]], dim=-2)
        return total

    def _add(self, updates: list[Tensor | None], groups: list[Tensor], row: int, part: Tensor, widths: tuple[int, ...]) -> None:
        index = next(i for i, (a, b) in enumerate(zip(self.starts, self.starts[1:], strict=False)) if a <= row < b)
        a, b = self.starts[index], self.starts[index + 1]
        if (row, row + part.shape[-2]) != (a, b):
            above, below = row - a, b - row - part.shape[-2]
            part = torch.nn.functional.pad(part, (0, 0, above, below))
        old = updates[index]
        width = widths[index]
        updates[index] = part if old is None else _widen(old, width) + _widen(part, width)


def _widen(part: Tensor, width: int) -> Tensor:
    missing = width - part.shape[-1]
    return part if missing <= 0 else torch.nn.functional.pad(part, (0, missing))


def _row_groups(layers: tuple[LayerWeights, ...], d_model: int) -> list[int]:
    """Boundaries of the row groups: every written block lies in one group, and untouched rows form the others."""
    spans = sorted({(b.row, b.row + b.size) for layer in layers for head in layer.heads for b in head.W_V.blocks})
    merged: list[list[int]] = []
    for start, stop in spans:
        if merged and start < merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], stop)
        else:
            merged.append([start, stop])
    return sorted({0, d_model, *(edge for span in merged for edge in span)})


def _plan_head(matrices: tuple[BlockMatrix, BlockMatrix, BlockMatrix], widths: list[int]) -> _Head | None:
    W_V, W_K, W_Q = matrices
    if not (W_V.blocks and W_K.blocks and W_Q.blocks):
        return None
    spans: list[tuple[int, int]] = []
    for start, size in sorted({(b.row, b.size) for b in W_V.blocks}):
        if spans and start < spans[-1][0] + spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][0] + spans[-1][1], start + size) - spans[-1][0])
        else:
            spans.append((start, size))
    offset, targets, at_of = 0, [], {}
    for start, size in spans:
        targets.append((offset, start, size))
        at_of[start] = offset
        offset += size
    where = {b.row: next(at_of[s] + b.row - s for s, z in spans if s <= b.row < s + z) for b in W_V.blocks}
    height = max(b.row + b.size for b in W_K.blocks + W_Q.blocks)
    keys = _gather_plan(W_K.blocks, {b.row: b.row for b in W_K.blocks}, height, widths)
    queries = _gather_plan(W_Q.blocks, {b.row: b.row for b in W_Q.blocks}, height, widths)
    return _Head(_gather_plan(W_V.blocks, where, offset, widths), keys, queries, tuple(targets))


def _gather_plan(blocks: tuple[Block, ...], where: dict[int, int], height: int, widths: list[int]) -> _Gather:
    pieces = tuple(_Piece(b.col, b.size, where[b.row], float(b.coefficient)) for b in blocks)
    width = max(max(widths[p.row : p.row + p.size]) for p in pieces)
    return _Gather(pieces, height, width)
