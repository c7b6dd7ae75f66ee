"""The figures that Fu et al. 2023 print, beside what `similarity` computes, and why some of them cannot agree.

The paper compares with the layers of a trained transformer. Its first layer predicts almost 0, and its last almost as least
squares does: the first and the last column of its heat maps follow without it, with "zero" and "least squares" in its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from .similarity import Similarities, Study, Subject

#: Printed with three digits, for another draw of prompts.
TOLERANCE = 0.005

_LAST = "layer 12 is not quite least squares: in print gradient descent stays at 0.988, to least squares it goes on to 1"
_FLOAT32 = "round-off of float32 after 2²³-fold growth: depends on the order of the operations, which is not printed"
_TRAINED = "needs the trained transformer; ours has least squares in its place"


@dataclass(frozen=True)
class Printed:
    """One figure of the paper. stand_in: what takes the place of the transformer; cannot: why ours may differ, "" if not.

    steps None: the best over all steps (or rates).
    """

    where: str
    measure: str
    kappa: float
    stand_in: str
    family: str
    steps: int | None
    value: float
    cannot: str = ""


def _column(where: str, stand_in: str, family: str, values: dict[int, float], cannot: str = "", **other: Any) -> list[Printed]:
    measure, kappa = other.get("measure", "error"), other.get("kappa", 1.0)
    return [Printed(where, measure, kappa, stand_in, family, steps, value, cannot) for steps, value in values.items()]


_FIRST, _OLS, _N, _GD = "zero", "least squares", "Newton", "gradient descent"

PRINTED: tuple[Printed, ...] = (
    *_column("Figure 8, layer 1", _FIRST, _N, {1: 0.920, 8: 0.619, 16: 0.517}),
    *_column("Figure 8, layer 12", _OLS, _N, {14: 0.977, 18: 0.991, 21: 0.994, 23: 0.990}),
    *_column("Figure 16, layer 1", _FIRST, _N, {1: 0.885, 5: 0.593}, kappa=100.0),
    *_column("Figure 16, layer 12", _OLS, _N, {21: 0.988}, kappa=100.0),
    *_column("Figure 16, layer 12", _OLS, _N, {23: 0.975}, _FLOAT32, kappa=100.0),
    # the steps of the first two of these are those whose figures fit
    *_column("Figure 9, layer 12", _OLS, _N, {1: 0.712, 4: 0.846, 21: 0.974}, measure="weights"),
    *_column("Figure 10, layer 1", _FIRST, _GD, {64: 0.563, 1024: 0.509}),
    *_column("Figure 10, layer 12", _OLS, _GD, {1: 0.602, 4: 0.725}),
    *_column("Figure 10, layer 12", _OLS, _GD, {16: 0.865, 64: 0.947, 1024: 0.986}, _LAST),
    Printed("Table 1", "error", 1.0, _OLS, _N, None, 0.991, _TRAINED),
    Printed("Table 1", "error", 1.0, _OLS, _GD, None, 0.957, _TRAINED),
    Printed("Table 1", "error", 1.0, _OLS, "online gradient descent", None, 0.806, _TRAINED),
)

#: Best-matching steps by layer of the trained transformer, κ = 1: Figures 3 and 8 (Newton), Figure 10 (gradient descent).
LAYERS: tuple[tuple[int, tuple[int, int], int], ...] = (
    (1, (1, 1), 1),
    (3, (2, 2), 4),
    (5, (8, 8), 32),
    (6, (10, 10), 64),
    (7, (14, 14), 256),
    (8, (16, 19), 512),
    (9, (20, 20), 1024),
    (10, (20, 22), 4096),
    (11, (21, 21), 4096),
    (12, (21, 21), 4096),
)

#: The step of gradient descent that is most like each step of Newton's iteration: Figure 26a, κ = 1.
NEWTON_TO_DESCENT = dict(zip((1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23), (2**j for j in (0, 1, *range(3, 13))), strict=True))


@dataclass(frozen=True)
class Compared:
    """A printed figure and ours. error: standard error of ours over the prompts (0 where it is not estimated)."""

    printed: Printed
    ours: float
    at: Subject
    error: float

    @property
    def difference(self) -> float:
        return self.ours - self.printed.value

    @property
    def verdict(self) -> Literal["agrees", "within sampling error", "differs"]:
        """Within TOLERANCE; else within TOLERANCE and three standard errors of this draw; else neither."""
        off = abs(self.difference)
        return "agrees" if off <= TOLERANCE else "within sampling error" if off <= TOLERANCE + 3 * self.error else "differs"

    def to_json(self) -> dict[str, Any]:
        figures = {"ours": self.ours, "difference": self.difference, "standard_error": self.error, "verdict": self.verdict}
        return {**asdict(self.printed), **figures, "at": self.at.title}


def compare(study: Study) -> list[Compared]:
    """The printed figures that this study has: none at other sizes than the paper's."""
    return list(_compare(study)) if study.paper_size else []


def _compare(study: Study) -> Iterator[Compared]:
    for p in PRINTED:
        found = study.for_kappa(p.kappa)
        if found is None:
            continue
        reference = Subject(p.stand_in)
        subject = found.best(reference, p.family, p.measure) if p.steps is None else Subject(p.family, p.steps)
        spread = found.at(reference, subject, "spread") if p.measure == "error" else 0.0
        yield Compared(p, found.at(reference, subject, p.measure), subject, spread)


def holds(study: Study) -> bool:
    """Every printed figure that has no reason to differ agrees, or but for sampling."""
    return all(c.verdict != "differs" for c in compare(study) if not c.printed.cannot)


def matches(found: Similarities, measure: str = "error") -> list[dict[str, Any]]:
    """For every Newton step the step of the first-order methods that is most like it, and how alike they are."""
    rows = []
    for subject in found.family("Newton"):
        row: dict[str, Any] = {"newton": subject.steps}
        for family in ("gradient descent", "Chebyshev"):
            best = found.best(subject, family, measure)
            row[family] = best.steps
            row[f"{family} similarity"] = found.at(subject, best, measure)
        rows.append(row)
    return rows
