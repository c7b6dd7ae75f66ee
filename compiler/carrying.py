"""How errors go from the arguments of a node to the node: by norms, every figure rounded upwards.

Hats mark what the network has in place of the program's values: |â| ≤ |a| + |â − a| is what bounds its factors.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from .approximate.enclosure import above
from .graph import Node
from .ranges import Range, Size, added, entrywise, flipped, multiplied, scaled, size, up

NONE = Size(0.0, 0.0, 0.0, 0.0)


def of_fit(shape: tuple[int, int], bound: Fraction) -> Size:
    """Entries that are each within `bound`."""
    return size(shape, float(above(bound))) if bound else NONE


def total(shape: tuple[int, int], *errors: Size) -> Size:
    """Errors that add up."""
    found = NONE
    for error in errors:
        found = added(found, error) if found.entry else error
    return size(shape, found.entry, found.row, found.col, found.norm)


def moved(shape: tuple[int, int], error: Size, slope: Fraction) -> Size:
    """|f(ẑ) − f(z)| for a function that is nowhere steeper than `slope`, entry by entry (so the spectral norm is no bound)."""
    steep = scaled(error, float(above(slope)))
    return size(shape, steep.entry, steep.row, steep.col) if error.entry else NONE


def of_product(shape: tuple[int, int], a: Range, b: Range, errors: tuple[Size, Size], column: bool) -> Size:
    """â b̂ − a b = (â − a) b + â (b̂ − b), entry by entry; `column` as in `ranges.entrywise`."""
    ea, eb = errors
    return added(entrywise(shape, ea, b.size, column), entrywise(shape, added(a.size, ea), eb, column))


def carried(node: Node, shape: tuple[int, int], errors: Sequence[Size], usual: Sequence[Range]) -> Size:
    """The error of a node that is no positionwise function, from those of its arguments."""
    if not errors or not any(e.entry for e in errors):
        return NONE
    if node.op == "add":
        return total(shape, *errors)
    if node.op == "scale":
        return scaled(errors[0], float(above(abs(node.attr))))
    if node.op == "transpose":
        return flipped(errors[0])
    if node.op == "matmul":
        a, b = (found.size for found in usual)
        return total(shape, multiplied(shape, errors[0], b), multiplied(shape, added(a, errors[0]), errors[1]))
    return size(shape, errors[0].entry, errors[0].row, errors[0].col, errors[0].norm)


def symmetrised(error: Size) -> Size:
    """Of ½ (E + Eᵀ)."""
    largest = up(max(error.row, error.col))
    return Size(error.entry, largest, largest, error.norm)
