"""Which tokens of every row are computed, and the parts of weights that are used: planning for `structured`."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..compiler.weights import Block, BlockMatrix, LayerWeights


def writes(layer: LayerWeights) -> tuple[Block, ...]:
    """The blocks that write to the stream."""
    attention = tuple(b for head in layer.heads for b in head.W_V.blocks)
    return attention if layer.ffn is None else (*attention, *layer.ffn.W_2.blocks)


def restricted(matrix: BlockMatrix, rows: list[tuple[int, int]], cols: list[tuple[int, int]]) -> Tensor:
    """The given rows and columns of a matrix, as a dense tensor in float64."""

    def places(spans: list[tuple[int, int]], size: int) -> np.ndarray:
        at = np.full(size, -1)
        index = [i for start, stop in spans for i in range(start, stop)]
        at[index] = np.arange(len(index))
        return at

    row_at, col_at = places(rows, matrix.shape[0]), places(cols, matrix.shape[1])
    out = np.zeros((int((row_at >= 0).sum()), int((col_at >= 0).sum())))
    for b in matrix.blocks:
        at, of, values = b.entries()
        out[row_at[at], col_at[of]] += values.astype(float)
    return torch.from_numpy(out)


def computed_widths(
    layers: tuple[LayerWeights, ...], support: list[int], needed: list[int], keys: int, everywhere: int = 0
) -> tuple[list[list[int]], list[list[int]]]:
    """How many leading tokens of every row are computed, those that can be nonzero and are read later: at every boundary,
    and in every layer between attention and the feed-forward part. keys: the tokens that heads sum over at most;
    everywhere: the number of tokens where heads write to all of them, also where Q is zero (softmax), else 0."""

    def widest(widths: list[int], blocks: tuple[Block, ...]) -> int:
        return max((max(widths[b.col : b.col + b.width]) for b in blocks), default=0)

    def raised(widths: list[int], blocks: tuple[Block, ...], width: int, read: bool = False) -> None:
        for b in blocks:
            rows = slice(b.col, b.col + b.width) if read else slice(b.row, b.row + b.size)
            widths[rows] = [max(w, width) for w in widths[rows]]

    supports: list[list[int]] = [support]
    between: list[list[int]] = []
    for layer in layers:
        grown = list(supports[-1])
        for head in layer.heads:
            raised(grown, head.W_V.blocks, max(everywhere, widest(supports[-1], head.W_Q.blocks)))
        between.append(list(grown))
        if layer.ffn is not None:
            raised(grown, layer.ffn.W_2.blocks, widest(between[-1], layer.ffn.reads))
        supports.append(grown)
    wanted: list[list[int]] = [list(needed)]
    inside: list[list[int]] = []
    for layer, widths in zip(reversed(layers), reversed(supports[:-1]), strict=True):
        after = list(wanted[0])
        if layer.ffn is not None:
            columns = max((max(wanted[0][b.row : b.row + b.size]) for b in layer.ffn.W_2.blocks), default=0)
            raised(after, layer.ffn.reads, columns, read=True)
        inside.insert(0, after)
        before = list(after)
        for head in layer.heads:
            columns = max((max(after[b.row : b.row + b.size]) for b in head.W_V.blocks), default=0)
            tokens = min(keys, widest(widths, head.W_V.blocks), everywhere or widest(widths, head.W_K.blocks))
            for blocks, width in ((head.W_Q.blocks, columns), (head.W_V.blocks, tokens), (head.W_K.blocks, tokens)):
                raised(before, blocks, width, read=True)
        wanted.insert(0, before)

    def smaller(supports: list[list[int]], wanted: list[list[int]]) -> list[list[int]]:
        return [[max(1, min(s, w)) for s, w in zip(ss, ws, strict=True)] for ss, ws in zip(supports, wanted, strict=True)]

    return smaller(supports, wanted), smaller(between, inside)


def merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Overlapping spans of rows joined."""
    out: list[tuple[int, int]] = []
    for start, stop in spans:
        if out and start < out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], stop))
        else:
            out.append((start, stop))
    return out
