"""The fast path: the same layers, run on the blocks of the weights instead of dense D × D matrices.

Weights here are sums of blocks coefficient · I (and of constants of the program). Reading a block is a slice of the stream,
so a head costs what its nonzero rows and tokens cost. Which tokens of a row can be nonzero follows from H_0 and the weights
alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..compiler.weights import Block, FeedForwardWeights, LayerWeights
from .model import Attention, activate, activate_units
from .widths import computed_widths, merged, restricted, writes


@dataclass(frozen=True)
class _Part:
    """Rows [low, high) of one row group."""

    group: int
    low: int
    high: int


@dataclass(frozen=True)
class _Piece:
    """Rows of the stream times a number, or times a matrix of `size` rows, added at row `at` of a gathered matrix."""

    parts: tuple[_Part, ...]
    size: int
    at: int
    factor: float
    matrix: Tensor | None = None


@dataclass(frozen=True)
class _Gather:
    """A matrix of gathered rows, `height` × `width`, times `scale`. `identity`: it is [I 0], nothing needs gathering."""

    pieces: tuple[_Piece, ...]
    height: int
    width: int
    scale: float
    identity: bool


@dataclass(frozen=True)
class _Target:
    """Rows [at, at + size) of a head's output are added to rows [low, low + size) of a group."""

    at: int
    size: int
    group: int
    low: int
    whole: bool  # the rows are the whole group


@dataclass(frozen=True)
class _Head:
    """V and the stacked pairs (K_j, Q_j): the head adds Σ_j V K_jᵀ Q_j to its targets."""

    V: _Gather
    pairs: tuple[tuple[_Gather, _Gather], ...]
    targets: tuple[_Target, ...]


@dataclass(frozen=True)
class _FeedForward:
    """W_2 relu(W_1 ·) on the rows that it reads: `first` has a column for every row read, `second` a row for every row
    written; `gate` stands for W_3. `width`: the tokens on which it is computed."""

    reads: tuple[_Part, ...]
    first: Tensor
    second: Tensor
    gate: Tensor | None
    targets: tuple[_Target, ...]
    width: int


class Structured(nn.Module):
    """Runs block weights on H of shape (…, D, N).

    support: for every row the number of leading tokens that can be nonzero in H_0 (default: all).
    needed: for every row the number of leading tokens that will be read from H_L (default: all); what no later read
    needs is not computed.
    identities: blocks (first row, size) that hold [I 0] in every H_0 that will be given; products with the ones that no
    layer writes are left out.
    attention, ffn: what the architecture says of heads and of units.

    Any dtype and device; leading batch dimensions; differentiable in H; no D × D matrix is made.
    """

    def __init__(
        self,
        layers: tuple[LayerWeights, ...],
        d_model: int,
        n_tokens: int,
        support: list[int] | None = None,
        identities: tuple[tuple[int, int], ...] = (),
        needed: list[int] | None = None,
        attention: Attention | None = None,
        ffn: str | None = "relu",
    ) -> None:
        super().__init__()
        self.d_model, self.n_tokens = d_model, n_tokens
        self.attention, self.ffn = attention or Attention(), ffn or "relu"
        self.keys = n_tokens if self.attention.keys is None else self.attention.keys
        self.by_scores = self.attention.kind != "linear" or self.attention.causal  # Kᵀ Q is formed, a matrix of tokens
        full = [n_tokens] * d_model
        everywhere = n_tokens if self.attention.kind == "softmax" else 0
        widths = computed_widths(layers, support or full, full if needed is None else needed, self.keys, everywhere)
        planner = _Planner(layers, d_model, widths, identities, self.by_scores)
        self.starts = planner.starts
        self.first_widths = planner.group_widths()
        self.programs = [planner.layer(layer) for layer in layers]

    def forward(self, H: Tensor) -> Tensor:
        """H_0 (…, D, N) → H_L (…, D, N)."""
        return self.join(self.run(self.split(H)))

    def split(self, H: Tensor) -> list[Tensor]:
        """The stream as groups of rows, each cut to the tokens that can be nonzero."""
        return [H[..., a:b, :w] for (a, b), w in zip(pairwise(self.starts), self.first_widths, strict=True)]

    def join(self, groups: list[Tensor]) -> Tensor:
        return torch.cat([_widen(group, self.n_tokens) for group in groups], dim=-2)

    def run(self, groups: list[Tensor], watch: list[list[Tensor]] | None = None) -> list[Tensor]:
        """Runs all layers on the groups; `watch` collects the groups after every layer."""
        for (heads, ffn), widths in self.programs:
            new = [group[..., :width] for group, width in zip(groups, widths, strict=True)]
            for head in heads:
                V = self._gather(groups, head.V)
                if self.by_scores:
                    self._attend_by_scores(groups, new, V, head, widths)
                    continue
                for K, Q in head.pairs:
                    self._attend(groups, new, V, head, K, Q, widths)
            groups = new if ffn is None else self._feed_forward(new, ffn)
            if watch is not None:
                watch.append(groups)
        return groups

    def rows(self, groups: list[Tensor], row: int, size: int, width: int) -> Tensor:
        """Rows [row, row + size) of the stream over the first `width` tokens (fewer where the rest is zero)."""
        return _read(groups, _parts(self.starts, row, size), width)

    def _attend(
        self, groups: list[Tensor], new: list[Tensor], V: Tensor, head: _Head, K: _Gather, Q: _Gather, widths: list[int]
    ) -> None:
        """Adds V Kᵀ Q to the targets."""
        scale = head.V.scale * K.scale * Q.scale * self.attention.scale
        if K.identity:
            scores = _widen(V[..., : min(K.height, self.keys)], K.height)
        else:
            keys = self._gather(groups, K)
            width = min(V.shape[-1], keys.shape[-1], self.keys)
            scores = V[..., :width] @ keys[..., :width].mT
        gathered = None if Q.identity else self._gather(groups, Q)
        for target in head.targets:
            part = scores if len(head.targets) == 1 else scores[..., target.at : target.at + target.size, :]
            old = new[target.group]
            queries = None if gathered is None else gathered[..., : widths[target.group]]
            fits = target.whole and queries is not None and queries.shape[-1] == widths[target.group] == old.shape[-1]
            if fits and queries is not None and old.ndim == part.ndim == queries.ndim <= 3:
                fused = torch.addmm if old.ndim == 2 else torch.baddbmm
                new[target.group] = fused(old, part, queries, alpha=scale)
                continue
            update = part if queries is None else part @ queries
            if not target.whole:
                below = old.shape[-2] - target.low - target.size
                update = nn.functional.pad(update, (0, 0, target.low, below))
            width = widths[target.group]
            new[target.group] = torch.add(_widen(old, width), _widen(update, width)[..., :width], alpha=scale)

    def _attend_by_scores(
        self, groups: list[Tensor], new: list[Tensor], V: Tensor, head: _Head, widths: list[int]
    ) -> None:
        """Adds V f(Kᵀ Q) to the targets."""
        width = max(widths[target.group] for target in head.targets)
        if head.pairs:
            ((K, Q),) = head.pairs
            keys, queries = self._gather(groups, K)[..., : self.keys], self._gather(groups, Q)[..., :width]
            scores = keys.mT @ queries * (K.scale * Q.scale)
        else:
            scores = V.new_zeros((*V.shape[:-2], 1, 1))
        if self.attention.kind == "softmax":  # every key counts, and every query
            scores = _widen(_widen(scores, width).mT, self.keys).mT
        shared = min(V.shape[-1], scores.shape[-2])
        update = V[..., :shared] @ activate(scores, self.attention)[..., :shared, :]
        for target in head.targets:
            old, wide = new[target.group], widths[target.group]
            part = nn.functional.pad(
                update[..., target.at : target.at + target.size, :wide],
                (0, 0, target.low, old.shape[-2] - target.low - target.size),
            )
            new[target.group] = torch.add(_widen(old, wide), _widen(part, wide), alpha=head.V.scale * self.attention.scale)

    def _feed_forward(self, groups: list[Tensor], ffn: _FeedForward) -> list[Tensor]:
        """The groups plus what the units add, a slice of units at a time."""
        if not ffn.reads:  # units of what is identically 0 add nothing
            return groups
        found = [_widen(groups[part.group][..., part.low : part.high, : ffn.width], ffn.width) for part in ffn.reads]
        rows = torch.cat(found, dim=-2)
        first, second, gate = (
            None if matrix is None else matrix.to(device=rows.device, dtype=rows.dtype)
            for matrix in (ffn.first, ffn.second, ffn.gate)
        )
        assert first is not None and second is not None
        units = max(1, _MOST_ENTRIES // max(1, rows.numel() // rows.shape[-2]))
        update = rows.new_zeros((*rows.shape[:-2], second.shape[0], ffn.width))
        for start in range(0, first.shape[0], units):
            part = slice(start, start + units)
            gated = None if gate is None else gate[part] @ rows
            update = update + second[:, part] @ activate_units(first[part] @ rows, self.ffn, gated)
        new = list(groups)
        for target in ffn.targets:
            old = new[target.group]
            added = update[..., target.at : target.at + target.size, :]
            if not target.whole:
                below = old.shape[-2] - target.low - target.size
                added = nn.functional.pad(added, (0, 0, target.low, below))
            new[target.group] = _widen(old, ffn.width) + _widen(added, old.shape[-1])
        return new

    def _gather(self, groups: list[Tensor], gather: _Gather) -> Tensor:
        """The linear forms of a head's V, K or Q as one matrix (without `scale`)."""
        rows: dict[tuple[int, int], Tensor] = {}
        for piece in gather.pieces:
            part = _read(groups, piece.parts, gather.width)
            if piece.matrix is not None:
                part = piece.matrix.to(device=part.device, dtype=part.dtype) @ part
            part = _widen(part if piece.factor == 1.0 else part * piece.factor, gather.width)
            key = (piece.at, piece.size)
            rows[key] = rows[key] + part if key in rows else part
        ordered = sorted(rows.items(), key=lambda item: item[0])
        edges = [0, *(at + size for (at, size), _ in ordered)]
        if [at for (at, _), _ in ordered] == edges[:-1] and edges[-1] == gather.height:
            return ordered[0][1] if len(ordered) == 1 else torch.cat([part for _, part in ordered], dim=-2)
        total = ordered[0][1].new_zeros((*ordered[0][1].shape[:-2], gather.height, gather.width))
        for (at, size), part in ordered:  # pieces that overlap in part, or leave gaps
            total = total + nn.functional.pad(part, (0, 0, at, gather.height - at - size))
        return total


def _tensor(block: Block) -> Tensor | None:
    return torch.tensor([[float(c) for c in row] for row in block.matrix], dtype=torch.float64) if block.matrix else None


def _widen(part: Tensor, width: int) -> Tensor:
    missing = width - part.shape[-1]
    return part if missing <= 0 else nn.functional.pad(part, (0, missing))


def _read(groups: list[Tensor], parts: tuple[_Part, ...], width: int) -> Tensor:
    found = [groups[part.group][..., part.low : part.high, :width] for part in parts]
    if len(found) == 1:
        return found[0]
    widest = max(part.shape[-1] for part in found)
    return torch.cat([_widen(part, widest) for part in found], dim=-2)


def _parts(starts: list[int], row: int, size: int) -> tuple[_Part, ...]:
    found = []
    for group, (a, b) in enumerate(pairwise(starts)):
        low, high = max(a, row), min(b, row + size)
        if low < high:
            found.append(_Part(group, low - a, high - a))
    return tuple(found)


#: Feed-forward units are run in slices whose activations have at most this many entries.
_MOST_ENTRIES = 2**24


class _Planner:
    """Turns weights into reads and writes of row groups, following which tokens of every row can be nonzero."""

    def __init__(
        self,
        layers: tuple[LayerWeights, ...],
        d_model: int,
        widths: tuple[list[list[int]], list[list[int]]],
        identities: tuple[tuple[int, int], ...],
        by_scores: bool,
    ) -> None:
        self.by_scores = by_scores
        spans = sorted({(b.row, b.row + b.size) for layer in layers for b in writes(layer)})
        written = merged(spans)
        self.starts = sorted({0, d_model, *(edge for span in written for edge in span)})
        self.computed, self.middle = widths
        self.widths = self.computed[0]
        self.done = 0
        untouched = [(row, size) for row, size in identities if not any(a < row + size and row < b for a, b in written)]
        self.identity_rows = dict(untouched)

    def group_widths(self) -> list[int]:
        return self.widest(self.widths)

    def widest(self, widths: list[int]) -> list[int]:
        return [max(widths[a:b]) for a, b in pairwise(self.starts)]

    def layer(self, layer: LayerWeights) -> tuple[tuple[tuple[_Head, ...], _FeedForward | None], list[int]]:
        """The heads and the feed-forward part of a layer, and the widths of the groups between them."""
        heads, middle = self.heads(layer), self.middle[self.done]
        self.done += 1
        self.widths = self.computed[self.done]
        return (heads, None if layer.ffn is None else self.feed_forward(layer.ffn, middle)), self.widest(middle)

    def feed_forward(self, ffn: FeedForwardWeights, middle: list[int]) -> _FeedForward:
        reads = merged(sorted({(b.col, b.col + b.width) for b in ffn.reads}))
        writes = merged(sorted({(b.row, b.row + b.size) for b in ffn.W_2.blocks}))
        first = restricted(ffn.W_1, [(0, ffn.W_1.shape[0])], reads)
        second = restricted(ffn.W_2, writes, [(0, ffn.W_2.shape[1])])
        gate = None if ffn.W_3 is None else restricted(ffn.W_3, [(0, ffn.W_3.shape[0])], reads)
        read = max((middle[row] for start, stop in reads for row in range(start, stop)), default=1)
        wanted = max(self.computed[self.done][row] for start, stop in writes for row in range(start, stop))
        parts = tuple(part for start, stop in reads for part in _parts(self.starts, start, stop - start))
        return _FeedForward(parts, first, second, gate, tuple(self.targets(writes)), min(read, wanted))

    def targets(self, spans: list[tuple[int, int]]) -> list[_Target]:
        """Where the rows of a product, one span below the other, are added; a span may cross groups."""
        found, offset = [], 0
        for start, stop in spans:
            for part in _parts(self.starts, start, stop - start):
                size = part.high - part.low
                whole = size == self.starts[part.group + 1] - self.starts[part.group]
                found.append(_Target(offset, size, part.group, part.low, whole))
                offset += size
        return found

    def heads(self, layer: LayerWeights) -> tuple[_Head, ...]:
        heads = []
        for head in layer.heads:
            scored = head.W_K.blocks and head.W_Q.blocks
            if not head.W_V.blocks or not (scored or self.by_scores):
                continue
            spans = merged(sorted({(b.row, b.row + b.size) for b in head.W_V.blocks}))
            offsets = [sum(b - a for a, b in spans[:i]) for i in range(len(spans))]
            where = {
                b.row: next(o + b.row - s for o, (s, e) in zip(offsets, spans, strict=True) if s <= b.row < e)
                for b in head.W_V.blocks
            }
            V = self.gather([(b, where[b.row]) for b in head.W_V.blocks], sum(e - s for s, e in spans))
            pairs = tuple(self.pairs(head.W_K.blocks, head.W_Q.blocks)) if scored else ()
            heads.append(_Head(V, pairs, tuple(self.targets(spans))))
        return tuple(heads)

    def pairs(self, keys: tuple[Block, ...], queries: tuple[Block, ...]) -> list[tuple[_Gather, _Gather]]:
        """The stack of K and Q as separate pairs, cut where neither has a block across the cut."""
        spans = merged(sorted({(b.row, b.row + b.size) for b in (*keys, *queries)}))
        if self.by_scores:
            spans = [(spans[0][0], spans[-1][1])]
        found = []
        for start, stop in spans:
            K, Q = ([(b, b.row - start) for b in side if start <= b.row < stop] for side in (keys, queries))
            if K and Q:
                found.append((self.gather(K, stop - start), self.gather(Q, stop - start)))
        return found

    def gather(self, blocks: list[tuple[Block, int]], height: int) -> _Gather:
        width = max(max(self.widths[b.col : b.col + b.width]) for b, _ in blocks)
        if len(blocks) == 1 and not blocks[0][0].matrix:  # the number moves to the end, where it costs nothing
            block, at = blocks[0]
            identity = at == 0 and block.size == height and self.identity_rows.get(block.col, 0) >= block.size
            identity = identity and (block.size == 1 or self.identity_rows[block.col] == block.size)
            piece = _Piece(_parts(self.starts, block.col, block.size), block.size, at, 1.0)
            return _Gather((piece,), height, height if identity else width, float(block.coefficient), identity)
        pieces = [
            _Piece(_parts(self.starts, b.col, b.width), b.size, at, float(b.coefficient), _tensor(b)) for b, at in blocks
        ]
        return _Gather(tuple(pieces), height, width, 1.0, False)
