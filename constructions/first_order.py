"""First-order iterations for least squares, one step a layer: for comparison with the second-order ones.

The residual of the labels r = y − Aw is kept instead of w: r ← r − η A Aᵀ r, and predictions grow by η Q Aᵀ r. The same
head does both (examples and queries share rows, and only examples are keys), so a step is one layer of one head.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from ..compiler.architecture import MASKED_ATTENTION
from ..compiler.program import Matrix, Vector, dim, program, vstack, zeros
from ..compiler.statements import spectrum as states
from .claims import PaperClaim
from .minimax import Interval, check_interval
from .parameters import Parameter, size
from .registry import Construction, Variant
from .solve import number


def chebyshev_rates(interval: Interval, steps: int) -> tuple[Fraction, ...]:
    """1/λ_j at the roots λ_j of the minimax polynomial of that degree, in Leja order, which keeps partial products small.

    Source: Young 1953 for the rates; Leja ordering as in Calvetti and Reichel 1996.
    """
    l, u = float(interval.lower), float(interval.upper)
    roots = (u + l) / 2 + (u - l) / 2 * np.cos((2 * np.arange(steps) + 1) * np.pi / (2 * steps))
    order, distance = [0], np.zeros(steps)
    with np.errstate(divide="ignore"):
        for _ in range(steps - 1):
            distance += np.log(np.abs(roots - roots[order[-1]]) / (u if u == l else u - l))
            distance[order] = -np.inf
            order.append(int(np.argmax(distance)))
    return tuple(Fraction(float(1 / roots[j])) for j in order)


@program
def chebyshev(A: Matrix["n", "d"], y: Vector["n"], Q: Matrix["m", "d"], *, spectrum, steps):
    interval = check_interval("chebyshev", spectrum, 0.5)
    S = A.T @ A
    states(S, within=(float(interval.lower), float(interval.upper)), closed=True, zero=True)
    rates = chebyshev_rates(interval, steps)
    n, Z, r = dim("n"), vstack(A, Q), vstack(y, zeros("m"))
    for rate in rates:
        r = r - number(rate, A) * Z @ (Z[:n].T @ r[:n])
    return {"prediction": -r[n:]}


_CHEBYSHEV = PaperClaim(
    "Young 1953",
    "Richardson's iteration with Chebyshev rates",
    "the iteration; the figures are ours",
    depth="steps",
    heads="1",
    rows="d + 1",
    error="1/T_steps((u + l)/(u − l)) relative to ‖w‖",
)

#: Without a key mask the examples stand a second time, alone.
_CHEBYSHEV_LINEAR = replace(_CHEBYSHEV, rows="2*d + 1")


def _chebyshev(values: Mapping[str, Any]) -> Variant:
    return Variant(chebyshev, {"spectrum": values["spectrum"], "steps": values["steps"]})


CONSTRUCTIONS = (
    Construction(
        "chebyshev",
        "least squares by gradient steps with Chebyshev rates, one head, one step a layer",
        chebyshev,
        _CHEBYSHEV,
        (
            size("n", "examples in context"),
            size("d", "features"),
            size("m", "queries in one pass: input Q (m × d)"),
            Parameter("spectrum", "interval", "(l, u) that contains the nonzero eigenvalues of AᵀA"),
            Parameter("steps", "size", "gradient steps, one a layer"),
        ),
        _chebyshev,
        arch=MASKED_ATTENTION,
        others={"linear": _CHEBYSHEV_LINEAR, "linear attention": _CHEBYSHEV_LINEAR, "masked": _CHEBYSHEV},
    ),
)
