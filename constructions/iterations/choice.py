"""Which iteration inverts a matrix in the fewest layers: all are tuned to the interval, and compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...compiler.errors import CompileError
from .base import Schedule, checked
from .library import get, names

_STABILITY = ("damped", "neutral", "amplified")


@dataclass(frozen=True)
class Choice:
    """The schedule with the fewest layers, then heads, rows, the best stability and the smallest residual; `layers` are
    those of every iteration that was compared, the chosen one first."""

    schedule: Schedule
    layers: tuple[tuple[str, int], ...]

    @property
    def why(self) -> str:
        """The iteration, and what the others would have taken, in a line."""
        (_, own), *others = self.layers
        beaten = ", ".join(f"{name} {count}" for name, count in others)
        return f"{self.schedule.method}; {own} layers: fewest layers, then heads, then rows, of hw.iterations ({beaten})"


def choose(l: Any, u: Any, tol: Any) -> Choice:
    """Compares every iteration for the inverse in which X is only a left factor, on [l, u] for that tolerance.

    Raises CompileError as `Iteration.schedule` where none reaches it.
    """
    asked = f"hw.iterations.choose: l = {l!r}, u = {u!r}, tol = {tol!r}"
    l, u, tol = checked(asked, l, u, tol)
    if l <= 0:
        raise CompileError(f"{asked}: l must be above 0", fix="pass a positive lower end; too small is safe, and costs layers")
    found: list[Schedule] = []
    refused: CompileError | None = None
    for name in names("inverse"):
        iteration = get(name)
        if iteration.recurrence.factors:
            try:
                found.append(iteration.schedule(l, u, tol))
            except CompileError as error:
                refused = error
    if not found:
        assert refused is not None
        raise refused
    found.sort(key=_rank)
    return Choice(found[0], tuple((schedule.iteration.name, schedule.layers) for schedule in found))


def _rank(schedule: Schedule) -> tuple[Any, ...]:
    of = schedule.iteration
    return schedule.layers, of.heads, of.blocks, _STABILITY.index(of.stability), schedule.bounds[-1], of.name
