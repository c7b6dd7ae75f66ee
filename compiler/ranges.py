"""How large values can be: an interval for the entries, and norms, for every node of a graph.

What is stated about inputs (`hw.bounded`, `hw.signs`) and about values (`hw.spectrum`, the domain of `hw.apply`) is
followed through sums and products. Floats are rounded outwards, so every figure is a bound.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from .approximate.enclosure import above
from .dims import size_of
from .graph import SYMMETRIC, Fact, Graph, Node

_INF = math.inf


def up(value: float) -> float:
    """The next float above a nonnegative result that was rounded to nearest."""
    return math.nextafter(value, _INF) if value > 0 else value


def _times(a: float, b: float) -> float:
    return 0.0 if a == 0 or b == 0 else math.nextafter(a * b, _INF)


@dataclass(frozen=True)
class Size:
    """Upper bounds of the entries' absolute values, the Euclidean norms of rows and columns, and the spectral norm."""

    entry: float
    row: float
    col: float
    norm: float

    @property
    def known(self) -> bool:
        return self.entry < _INF


def size(shape: tuple[int, int], entry: float = _INF, row: float = _INF, col: float = _INF, norm: float = _INF) -> Size:
    """The best bounds that follow from the ones given, for a matrix of this shape."""
    r, c = (up(math.sqrt(n)) for n in shape)
    for _ in range(2):
        row = min(row, norm, _times(c, entry))
        col = min(col, norm, _times(r, entry))
        norm = min(norm, _times(r, row), _times(c, col))
        entry = min(entry, row, col)
    return Size(entry, row, col, norm)


def smaller(shape: tuple[int, int], a: Size, b: Size) -> Size:
    """Both bounds at once."""
    return size(shape, min(a.entry, b.entry), min(a.row, b.row), min(a.col, b.col), min(a.norm, b.norm))


def added(a: Size, b: Size) -> Size:
    return Size(up(a.entry + b.entry), up(a.row + b.row), up(a.col + b.col), up(a.norm + b.norm))


def scaled(a: Size, factor: float) -> Size:
    """Sizes times |factor|, where `factor` may have been rounded."""
    c = up(abs(factor))
    return Size(*(_times(x, c) for x in (a.entry, a.row, a.col, a.norm)))


def flipped(a: Size) -> Size:
    return Size(a.entry, a.col, a.row, a.norm)


def multiplied(shape: tuple[int, int], a: Size, b: Size) -> Size:
    """Of the matrix product, which has this shape."""
    return size(shape, _times(a.row, b.col), _times(a.row, b.norm), _times(a.norm, b.col), _times(a.norm, b.norm))


def entrywise(shape: tuple[int, int], a: Size, b: Size, column: bool = False) -> Size:
    """Of the entrywise product; `column`: a is one column that stands for all of them, so that diag(a) b is meant.

    The spectral norm of an entrywise product is at most the largest row of one factor times the largest column of the
    other (Schur).
    """
    row, col = _times(a.entry, b.row), _times(a.entry, b.col)
    if column:
        return size(shape, _times(a.entry, b.entry), row, col, _times(a.entry, b.norm))
    norm = min(_times(a.row, b.col), _times(a.col, b.row))
    return size(shape, _times(a.entry, b.entry), min(row, _times(a.row, b.entry)), min(col, _times(a.col, b.entry)), norm)


@dataclass(frozen=True)
class Range:
    """Entries within [lo, hi], and the sizes."""

    lo: float
    hi: float
    size: Size

    @property
    def finite(self) -> bool:
        return self.lo > -_INF and self.hi < _INF


def _scaled_up(value: float, factor: Fraction) -> float:
    """value · factor, rounded up."""
    if not factor or not math.isfinite(value):
        return math.copysign(_INF, value) * (1 if factor > 0 else -1) if factor else 0.0
    try:
        return float(above(Fraction(value) * factor))
    except OverflowError:
        return math.copysign(_INF, value * factor.numerator)


def between(shape: tuple[int, int], lo: float, hi: float, size_: Size | None = None) -> Range:
    """The range of entries in [lo, hi], and inside the sizes where they are given."""
    found = size(shape, max(abs(lo), abs(hi)))
    found = found if size_ is None else smaller(shape, found, size_)
    return Range(max(lo, -found.entry), min(hi, found.entry), found)


def of_size(found: Size) -> Range:
    return Range(-found.entry, found.entry, found)


def shape_of(node: Node, sizes: Mapping[str, int]) -> tuple[int, int]:
    rows, cols = (size_of(dim, sizes) for dim in node.shape)
    return rows, cols


def algebraic(node: Node, args: list[Range], sizes: Mapping[str, int]) -> Range:
    """The range of a node that is no positionwise function, from those of its arguments."""
    shape = shape_of(node, sizes)
    if node.op == "constant":
        values = [float(x) for x in node.attr.entries]
        return between(shape, math.nextafter(min(values), -_INF), math.nextafter(max(values), _INF))
    if node.op == "eye":
        return between(shape, 0.0, 1.0, Size(1.0, 1.0, 1.0, 1.0))
    if node.op in ("zeros", "ones"):
        value = float(node.op == "ones")
        return between(shape, value, value)
    if node.op == "add":
        a, b = args
        low, high = math.nextafter(a.lo + b.lo, -_INF), math.nextafter(a.hi + b.hi, _INF)
        return between(shape, low, high, added(a.size, b.size))
    if node.op == "scale":
        low, high = sorted((args[0].lo, args[0].hi), key=lambda x: x if node.attr > 0 else -x)
        low, high = -_scaled_up(-low, node.attr), _scaled_up(high, node.attr)
        return between(shape, low, high, scaled(args[0].size, float(above(abs(node.attr)))))
    if node.op == "transpose":
        return Range(args[0].lo, args[0].hi, flipped(args[0].size))
    if node.op == "matmul":
        return of_size(multiplied(shape, args[0].size, args[1].size))
    if node.op == "spread":
        bound = args[0].size.entry
        return between(shape, min(args[0].lo, 0.0), max(args[0].hi, 0.0), Size(bound, bound, bound, bound))
    if node.op == "vstack":
        a, b = args
        return between(shape, min(a.lo, b.lo), max(a.hi, b.hi), Size(_INF, max(a.size.row, b.size.row), _INF, _INF))
    if node.op in ("top", "bottom"):
        return between(shape, args[0].lo, args[0].hi, args[0].size)
    return of_size(size(shape))


def product_range(shape: tuple[int, int], a: Range, b: Range, column: bool = False) -> Range:
    """Of the entrywise product; `column` as in `entrywise`."""
    ends = [x * y if x and y else 0.0 for x in (a.lo, a.hi) for y in (b.lo, b.hi)]
    low, high = math.nextafter(min(ends), -_INF), math.nextafter(max(ends), _INF)
    return between(shape, low, high, entrywise(shape, a.size, b.size, column))


def stated_range(graph: Graph, index: int, ranges: Mapping[int, Range] | None = None) -> Range:
    """What the program states about a node: intervals, signs, rows, spectra, and solutions of systems."""
    shape = shape_of(graph.nodes[index], graph.sizes)
    found = of_size(size(shape))
    for fact in graph.facts:
        if fact.node != index:
            continue
        if fact.kind in ("within", "signs") and fact.bounds is not None:
            found = between(shape, *fact.bounds, found.size)
        elif fact.kind == "rows" and fact.bounds is not None:
            found = between(shape, found.lo, found.hi, smaller(shape, found.size, size(shape, row=fact.bounds[1])))
        elif fact.kind == "norm" and fact.bounds is not None:
            found = between(shape, found.lo, found.hi, smaller(shape, found.size, size(shape, norm=fact.bounds[1])))
        elif fact.kind in SYMMETRIC and fact.bounds is not None:
            largest = max(map(abs, fact.bounds))
            found = between(shape, found.lo, found.hi, smaller(shape, found.size, size(shape, norm=largest)))
    for residual in graph.residuals:
        if residual.solution == index and residual.known == "matrix" and len(residual.ones) <= 1:
            # x(λ) λ is within tol of 1 on the interval, so |x(λ)| ≤ (1 + tol)/l
            norm = up(up(1 + float(residual.tol)) / math.nextafter(float(residual.lower), 0))
            for right in residual.ones:
                norm = _times(norm, (ranges or {})[right].size.norm)
            found = between(shape, found.lo, found.hi, smaller(shape, found.size, size(shape, norm=norm)))
    return found


def both(shape: tuple[int, int], a: Range, b: Range) -> Range:
    return between(shape, max(a.lo, b.lo), min(a.hi, b.hi), smaller(shape, a.size, b.size))


def assumed_facts(graph: Graph, relied: Collection[int], stated: Mapping[int, Range]) -> list[Fact]:
    """Entries in [−1, 1], for every input above a node whose usual range was relied upon and of which nothing is stated."""
    above_them = set(relied)
    for index in range(len(graph.nodes) - 1, -1, -1):
        if index in above_them:
            above_them.update(graph.nodes[index].args)
    fix = "state how large it is in the program: hw.bounded({0}, within=(lo, hi))"
    return [
        Fact("within", s.node, graph.nodes[s.node].where, (-1.0, 1.0), fix.format(s.name))
        for s in graph.inputs
        if s.node in above_them and not stated[s.node].finite
    ]


def domain_facts(graph: Graph, domains: Mapping[int, Sequence[int]], natural: Mapping[int, Range]) -> tuple[Fact, ...]:
    """That values are inside the domains that the program gives, unless that follows from other statements."""
    facts = []
    for source in (index for index in domains if index in natural):
        for node in (graph.nodes[index] for index in domains[source]):
            (lo, hi), found = node.attr.domain, natural[source]
            if not (lo <= found.lo and found.hi <= hi):
                fix = f"give hw.apply a domain that contains the data, or bound {graph.describe(source)}"
                facts.append(Fact("within", source, node.where, (float(lo), float(hi)), fix))
    return tuple(dict.fromkeys(facts))
