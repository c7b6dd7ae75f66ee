"""Between which spaces a value of a program leads: what makes a matrix identity out of one in numbers, for all sizes.

Write A = U Σ Vᵀ. A matrix *leads* from one of the two spaces to the other where it is U f(Σ) Vᵀ, V f(Σ) Vᵀ and so on; then
sums and products that fit are sums and products of the numbers f(σ). A right-hand side b = V b̃ has a side of its own, which
nothing may meet: so b stands in every word once, at its end, and does not have to commute with anything. What does not fit
has no space: A A for a square A, S b − b S, b (bᵀ S b) − S b (bᵀ b), which all vanish when numbers are put for matrices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from ..compiler.dims import Dim
from ..compiler.graph import Graph

#: 0 and 1: the left and the right space of A; otherwise the number of a right-hand side, whose own side this is.
Space = int | tuple[int]

#: A block: the spaces that it joins, or a multiple of an identity, or zero.
Block = tuple[Space, Space] | str

_EYE, _ZERO = "eye", "zero"


@dataclass(frozen=True)
class _Stack:
    """Blocks above each other (transposed: beside each other), with the dimension of the stacked side of each."""

    blocks: tuple[tuple[Dim, Block], ...]
    transposed: bool = False

    @property
    def single(self) -> Block | None:
        return self.blocks[0][1] if len(self.blocks) == 1 else None


def leads(
    graph: Graph, solution: int, matrices: Mapping[int, tuple[Space, Space]], sides: Sequence[Sequence[int]]
) -> Iterator[Block]:
    """What the solution is, for every way to give one side of each right-hand side to a space of A.

    matrices: nodes that are U f(Σ) Vᵀ and so on. sides: for every right-hand side its node and those that are multiples of it;
    the first names its own space. Nothing is yielded where sums or products do not fit.
    """
    dims: dict[Space, Dim] = {}
    for node, (left, right) in matrices.items():
        dims[left], dims[right] = graph.nodes[node].shape
    ways: list[list[tuple[Space, Space]]] = []
    for node, *_ in sides:
        height, width = graph.nodes[node].shape
        own: Space = (node,)
        ways.append([(s, own) for s in (0, 1) if dims.get(s) == height] + [(own, s) for s in (0, 1) if dims.get(s) == width])
    for way in product(*ways):
        given = {node: block for nodes, block in zip(sides, way, strict=True) for node in nodes}
        found = _walk(graph, solution, {**matrices, **given})
        if found is not None:
            yield found


def _walk(graph: Graph, solution: int, given: Mapping[int, Block]) -> Block | None:
    seen: dict[int, _Stack | None] = {}
    for index, node in enumerate(graph.nodes[: solution + 1]):
        if index in given:
            seen[index] = _Stack(((node.shape[0], given[index]),))
            continue
        below = [seen.get(arg) for arg in node.args]
        known = [stack for stack in below if stack is not None]
        seen[index] = _value(graph, index, known) if len(known) == len(below) else None
    last = seen[solution]
    return None if last is None else last.single


def _value(graph: Graph, index: int, below: list[_Stack]) -> _Stack | None:
    node = graph.nodes[index]
    height = node.shape[0]
    if node.op in ("eye", "zeros"):
        return _Stack(((height, _EYE if node.op == "eye" else _ZERO),))
    if node.op == "scale":
        return below[0]
    if node.op == "transpose":
        (stack,) = below
        flipped = tuple((dim, (b[1], b[0]) if isinstance(b, tuple) else b) for dim, b in stack.blocks)
        if len(flipped) == 1:
            return _Stack(((height, flipped[0][1]),))
        return _Stack(flipped, not stack.transposed)
    if node.op == "add":
        return _sum(*below)
    if node.op == "matmul":
        return _product(height, *below)
    if any(stack.transposed for stack in below):
        return None
    if node.op == "vstack":
        return _Stack(tuple(block for stack in below for block in stack.blocks))
    if node.op in ("top", "bottom"):
        blocks = below[0].blocks if node.op == "top" else below[0].blocks[-1:]
        return _Stack(blocks[:1]) if blocks[0][0] == height else None
    return None


def _sum(a: _Stack, b: _Stack) -> _Stack | None:
    if a.transposed != b.transposed or [dim for dim, _ in a.blocks] != [dim for dim, _ in b.blocks]:
        return None
    blocks = []
    for (dim, x), (_, y) in zip(a.blocks, b.blocks, strict=True):
        both = _plus(x, y)
        if both is None:
            return None
        blocks.append((dim, both))
    return _Stack(tuple(blocks), a.transposed)


def _plus(x: Block, y: Block) -> Block | None:
    if _ZERO in (x, y) or x == y:
        return y if x == _ZERO else x
    for one, other in ((x, y), (y, x)):
        if one == _EYE and other[0] == other[1] and other[0] in (0, 1):
            return other
    return None


def _times(x: Block, y: Block) -> Block | None:
    if _ZERO in (x, y):
        return _ZERO
    if _EYE in (x, y):
        return y if x == _EYE else x
    if not isinstance(x, tuple) or not isinstance(y, tuple) or x[1] != y[0] or x[1] not in (0, 1):
        return None
    return x[0], y[1]


def _product(height: Dim, a: _Stack, b: _Stack) -> _Stack | None:
    """Stacks times one block, one block times blocks beside each other, or blocks beside each other times a stack."""
    if b.single is not None and not a.transposed:
        blocks = [(dim, _times(x, b.single)) for dim, x in a.blocks]
    elif a.single is not None and b.transposed:
        blocks = [(dim, _times(a.single, y)) for dim, y in b.blocks]
    elif a.transposed and not b.transposed and [dim for dim, _ in a.blocks] == [dim for dim, _ in b.blocks]:
        total: Block | None = _ZERO
        for (_, x), (_, y) in zip(a.blocks, b.blocks, strict=True):
            term = _times(x, y)
            total = None if term is None or total is None else _plus(total, term)
        blocks = [(height, total)]
    else:
        return None
    sound = tuple((dim, block) for dim, block in blocks if block is not None)
    return _Stack(sound, b.transposed and b.single is None) if len(sound) == len(blocks) else None
