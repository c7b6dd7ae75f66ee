"""How to select: the choices that the pipeline tries, and the layers that a product needs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Choices:
    """How to select: the pipeline tries several and keeps the best.

    keep: which nodes beyond degree one get rows: the "shared" ones, those that the user "named", "either", or of
    the named only the "carried" ones: factors, and variables that a loop adds to;
    forms: use linear combinations as factors (else multiply them out);
    inline: look through late values where that saves a layer: "minor" ones (without a name, read once, or only ever
    added to others), or "all";
    parts: the most factors that a cut may have (2 avoids columns, 3 is shallowest);
    fold: constants that multiply rows become a part of the weights (else they are stored);
    sums: what adds copies of rows: "attention", or units ("units", "scaled": see `sums`);
    apart: the first rows of an encoded stack are encoded once more, alone: they are zero on the other tokens.
    """

    keep: str = "shared"
    forms: bool = True
    inline: str = "minor"
    parts: int = 3
    fold: bool = False
    apart: bool = False
    sums: str = "attention"
    max_terms: int = 24  # times ten with inline="all"
    max_degree: int = 27


def fewest_layers(levels: tuple[int, ...], parts: int) -> int:
    """The layer after which the product of letters can be stored, when each is there after its level and a layer
    multiplies up to `parts` neighbours.

    Joining neighbours as soon as they are there leaves the fewest factors at every time, so it is optimal.
    """
    factors, level = list(levels), 0
    while len(factors) > parts or any(at > level for at in factors):
        joined: list[int] = []
        run = 0
        for at in [*factors, level + 1]:
            if at <= level:
                run += 1
                continue
            joined += [level] * -(-run // parts) + [at]
            run = 0
        factors, level = joined[:-1], level + 1
    return level + 1


def partitions(i: int, j: int, parts: int) -> list[list[tuple[int, int]]]:
    """All ways to cut [i, j) into at most `parts` pieces, two or three (one piece only where it is a single letter)."""
    if j - i <= 1:
        return [[(i, j)]] if j > i else []
    cuts = [[(i, k), (k, j)] for k in range(i + 1, j)]
    if parts == 3:
        cuts += [[(i, k), (k, m), (m, j)] for k in range(i + 1, j) for m in range(k + 1, j)]
    return cuts
