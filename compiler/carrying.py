"""How errors go from the arguments of a node to the node: by norms, every figure rounded upwards.

Hats mark what the network has in place of the program's values: |â| ≤ |a| + |â − a| is what bounds its factors.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import acosh, cosh, inf, prod

from .approximate.enclosure import above
from .graph import Node, Residual
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


def of_solution(shape: tuple[int, int], claim: Residual, of_matrix: Size, right: Size | None, of_right: Size) -> Size | None:
    """Of x(Ŝ) b̂ against x(S) b, where |1 − λ x(λ)| ≤ tol on [l, u] holds the spectrum of S; None where nothing follows.

    Ŝ is symmetric and its spectrum within δ = ‖Ŝ − S‖ of the interval. There the residual, of degree m, is at most
    tol T_m(1 + 2δ/(u − l)) (Chebyshev: no polynomial grows faster). Without `right` the solution is x(S) itself.
    """
    lower, upper, tol, delta = float(claim.lower), float(claim.upper), float(claim.tol), of_matrix.norm
    chained = claim.pair is None and not claim.descent
    if claim.target != "inverse" or not chained or claim.of_root or not delta < lower or not lower < upper:
        return None
    degree = prod(max(len(polynomial) - 1, 1) for polynomial in claim.chain)
    angle = degree * acosh(1 + 2 * delta / (upper - lower))
    outside = _raised(tol * cosh(angle)) if angle < 300 else inf
    least = (lower - delta) * (1 - 2.0**-50)
    inverses = _raised(delta / (lower * least) + outside / least + tol / lower)
    if right is None:
        return size(shape, norm=inverses)
    return size(shape, norm=_raised(inverses * right.norm + (1 + outside) / least * of_right.norm))


def _raised(value: float) -> float:
    """Above a figure that a few roundings made."""
    return value * (1 + 2.0**-30)


def symmetrised(error: Size) -> Size:
    """Of ½ (E + Eᵀ)."""
    largest = up(max(error.row, error.col))
    return Size(error.entry, largest, largest, error.norm)
