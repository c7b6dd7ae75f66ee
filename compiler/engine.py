"""Integer programs for the passes, and HiGHS to solve them (through `scipy.optimize.milp`, the optional extra `search`).

    program ::= minimise Σ c x   subject to   Σ a x ≥ b (each constraint),   0 ≤ x ≤ high,   some x integers

scipy is imported when a program is solved, not before. Nothing here depends on the clock unless seconds are given:
the search is cut off by a number of nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil, inf

import numpy as np

#: What is printed as the engine's name.
NAME = "HiGHS"

#: Slack when a floating-point bound on an integer is rounded up; HiGHS's own tolerances are 1e-6.
_SLACK = 1e-4

#: A linear form Σ coefficient · unknown + constant; the constant stands under the key −1.
Linear = Mapping[int, int]


def missing() -> str:
    """Why there is no engine; empty where there is one."""
    try:
        from scipy.optimize import milp  # noqa: F401
    except ImportError:
        return "not installed: pip install 'headwright[search]'"
    return ""


@dataclass
class Problem:
    """An integer program while it is written down. Unknowns are numbers 0, 1, …; coefficients are integers."""

    highs: list[int] = field(default_factory=list)
    integral: list[bool] = field(default_factory=list)
    rows: list[tuple[Linear, int]] = field(default_factory=list)

    def unknown(self, high: int = 1, integral: bool = True) -> dict[int, int]:
        """A new unknown between 0 and `high`, as a linear form."""
        self.highs.append(high)
        self.integral.append(integral)
        return {len(self.highs) - 1: 1}

    def at_least(self, form: Linear, low: int = 0) -> None:
        """Adds the constraint form ≥ low."""
        self.rows.append(({u: c for u, c in form.items() if c and u >= 0}, low - form.get(-1, 0)))


def total(*terms: tuple[int, Linear]) -> dict[int, int]:
    """Σ factor · form."""
    out: dict[int, int] = {}
    for factor, form in terms:
        for unknown, c in form.items():
            out[unknown] = out.get(unknown, 0) + factor * c
    return out


@dataclass(frozen=True)
class Answer:
    """status: "optimal", "none" (no solution) or "stopped"; `bound`: no solution has a smaller objective (None where
    nothing is known); `values`: the best solution found, by unknown."""

    status: str
    bound: int | None
    values: tuple[float, ...] | None

    def __getitem__(self, form: Linear) -> int:
        """The value of a linear form in integer unknowns."""
        assert self.values is not None
        return round(sum(c * (self.values[u] if u >= 0 else 1) for u, c in form.items()))


def solve(problem: Problem, objective: Linear, nodes: int, seconds: float | None = None) -> Answer:
    """Minimises an integral objective. Raises ImportError without scipy.

    nodes: the most nodes of the branch and bound. seconds: a limit that makes the answer depend on the clock.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    entries = [(row, u, c) for row, (form, _) in enumerate(problem.rows) for u, c in form.items()]
    where, which, what = (np.array(column) for column in zip(*entries, strict=True)) if entries else (np.zeros(0, int),) * 3
    matrix = csr_array((what.astype(float), (where, which)), shape=(len(problem.rows), len(problem.highs)))
    cost = np.array([objective.get(u, 0) for u in range(len(problem.highs))], dtype=float)
    options: dict[str, float] = {"node_limit": nodes, "mip_rel_gap": 0.0}
    if seconds is not None:
        options["time_limit"] = max(seconds, 1e-3)
    result = milp(
        cost,
        integrality=np.array(problem.integral, dtype=int),
        bounds=Bounds(np.zeros(len(problem.highs)), np.array(problem.highs, dtype=float)),
        constraints=LinearConstraint(matrix, np.array([low for _, low in problem.rows], dtype=float), np.inf),
        options=options,
    )
    constant = objective.get(-1, 0)
    values = None if result.x is None else tuple(float(v) for v in result.x)
    if result.status == 2:
        return Answer("none", None, None)
    low = result.mip_dual_bound if result.mip_dual_bound is not None else -inf
    if result.status == 0:
        low = result.fun
    bound = ceil(low - _SLACK) + constant if np.isfinite(low) else None
    return Answer("optimal" if result.status == 0 else "stopped", bound, values)
