"""Layers of linear attention on a stream of blocks, for all dimensions: entries are noncommuting words with transposes.

    H ← H + Σ W_V H (W_K H)ᵀ (W_Q H)        W_V, W_K, W_Q select blocks of rows and scale them      (eq. 3.1a of Giannou et al.)

A block is a sum of words over the tokens. The letters J = [I_d 0] (d × n, n ≥ d), u = e_1ᵀ (1 × d) and o = 1_n have the rules
J Jᵀ = I_d, u uᵀ = 1 and u J o = 1; every other letter is free, so that an equality holds for all matrices of all sizes. What
the feed-forward part makes of a block is a new letter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import sympy

#: A letter and whether it is transposed; None for a symmetric letter.
Letter: TypeAlias = tuple[str, bool | None]

_RULES: tuple[tuple[Letter, ...], ...] = (
    (("J", False), ("J", True)),
    (("u", False), ("u", True)),
    (("u", False), ("J", False), ("o", False)),
    (("o", True), ("J", True), ("u", True)),
)


@dataclass(frozen=True)
class Block:
    """A sum of words with coefficients (numbers or sympy expressions)."""

    terms: Mapping[tuple[Letter, ...], Any] = field(default_factory=dict)

    def __add__(self, other: Block) -> Block:
        return _collect([*self.terms.items(), *other.terms.items()])

    def __sub__(self, other: Block) -> Block:
        return self + (-1) * other

    def __rmul__(self, factor: Any) -> Block:
        return _collect([(word, sympy.sympify(factor) * c) for word, c in self.terms.items()])

    def __matmul__(self, other: Block) -> Block:
        return _collect([(v + w, c * e) for v, c in self.terms.items() for w, e in other.terms.items()])

    @property
    def T(self) -> Block:
        flipped = [(tuple((a, t if t is None else not t) for a, t in reversed(w)), c) for w, c in self.terms.items()]
        return _collect(flipped)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Block) and not (self - other).terms

    __hash__ = None  # type: ignore[assignment]  # equality is that of polynomials


def _reduced(word: tuple[Letter, ...]) -> tuple[Letter, ...]:
    out: list[Letter] = []
    for letter in word:
        out.append(letter)
        while any(tuple(out[-len(rule) :]) == rule for rule in _RULES):
            rule = next(rule for rule in _RULES if tuple(out[-len(rule) :]) == rule)
            del out[-len(rule) :]
    return tuple(out)


def _collect(terms: Sequence[tuple[tuple[Letter, ...], Any]]) -> Block:
    found: dict[tuple[Letter, ...], Any] = {}
    for word, c in terms:
        reduced = _reduced(word)
        found[reduced] = sympy.expand(found.get(reduced, sympy.Integer(0)) + c)
    return Block({word: c for word, c in found.items() if c != 0})


def letter(name: str, symmetric: bool = False) -> Block:
    return Block({((name, None if symmetric else False),): sympy.Integer(1)})


ONE = Block({(): sympy.Integer(1)})
ZERO = Block()
J, E1, ONES = letter("J"), letter("u"), letter("o")

#: The rows of the stream by name, from top to bottom.
Stream: TypeAlias = Mapping[str, Block]

#: Rows to read, each with a factor; "B[1]" is the first row of B.
Rows: TypeAlias = Sequence[tuple[Any, str]]


@dataclass(frozen=True)
class Head:
    """V: (where to, factor, what) triples; K, Q: rows that are contracted pairwise."""

    V: Sequence[tuple[str, Any, str]]
    K: Rows
    Q: Rows


def _row(H: Stream, name: str) -> Block:
    return E1 @ H[name.removesuffix("[1]")] if name.endswith("[1]") else H[name]


def attend(H: Stream, *heads: Head) -> Stream:
    """One layer of linear attention."""
    after = dict(H)
    for head in heads:
        mixed = ZERO
        for (a, k), (b, q) in zip(head.K, head.Q, strict=True):
            mixed = mixed + (sympy.sympify(a) * sympy.sympify(b)) * (_row(H, k).T @ _row(H, q))
        for to, c, what in head.V:
            after[to] = after[to] + c * (_row(H, what) @ mixed)
    return after


def differing(H: Stream, wanted: Stream) -> list[str]:
    """The names of the rows in which a stream is not what is wanted; rows that `wanted` leaves out are not compared."""
    return [name for name, block in wanted.items() if H[name] != block]
