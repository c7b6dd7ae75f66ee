"""Heads of ReLU attention as heads of linear attention: relu(z) = ½ z + ½ |z|, and the absolute values have to cancel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

from ..compiler.architecture import Architecture
from ..compiler.dims import Dim
from ..compiler.weights import Block, BlockMatrix, HeadWeights
from .contents import NotProved


def linear_heads(heads: tuple[HeadWeights, ...], architecture: Architecture, number: int) -> tuple[HeadWeights, ...]:
    """What the heads of one layer compute, as heads of linear attention. Raises NotProved where they are none.

    With ReLU attention, heads with the same scores up to their sign belong together: of Σ W_V relu(±z), the halves ½ W_V |z|
    must add up to nothing.
    """
    if not heads:
        return ()
    if architecture.causal or architecture.attention not in ("linear", "relu"):
        mask = " with a causal mask" if architecture.causal else ""
        raise NotProved(f"the proof does not know {architecture.attention} attention{mask}")
    if architecture.attention == "linear":
        return heads
    groups: dict[tuple[object, object], list[tuple[int, HeadWeights]]] = {}
    for head in heads:
        sign_k, K = _signed(head.W_K)
        sign_q, Q = _signed(head.W_Q)
        key = tuple(tuple((b, b.dim) for b in matrix.blocks) for matrix in (K, Q))
        groups.setdefault(key, []).append((sign_k * sign_q, HeadWeights(head.W_V, K, Q)))  # type: ignore[arg-type]
    found = []
    for members in groups.values():
        if _total((1, head.W_V) for _, head in members):
            raise NotProved(f"layer {number}: absolute values of scores are left: relu(z) stands without relu(−z)")
        linear = _total((sign, head.W_V) for sign, head in members)
        first = members[0][1]
        blocks = tuple(replace(b, coefficient=c / 2, dim=dim) for (b, dim), c in linear.items())
        if blocks:
            found.append(HeadWeights(replace(first.W_V, blocks=blocks), first.W_K, first.W_Q))
    return tuple(found)


def _signed(matrix: BlockMatrix) -> tuple[int, BlockMatrix]:
    """±1 and the matrix times it: the first coefficient becomes positive."""
    blocks = sorted(matrix.blocks)
    sign = -1 if blocks and blocks[0].coefficient < 0 else 1
    return sign, replace(matrix, blocks=tuple(replace(b, coefficient=sign * b.coefficient) for b in blocks))


def _total(terms: Iterable[tuple[int, BlockMatrix]]) -> dict[tuple[Block, Dim], Fraction]:
    """Σ sign · matrix: the coefficient of every block that is left."""
    total: dict[tuple[Block, Dim], Fraction] = {}
    for sign, matrix in terms:
        for b in matrix.blocks:
            key = (replace(b, coefficient=Fraction(1)), b.dim)
            total[key] = total.get(key, Fraction(0)) + sign * b.coefficient
    return {key: c for key, c in total.items() if c}
