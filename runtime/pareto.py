"""`headwright pareto`: layers, rows and heads of every least-squares construction, for condition numbers κ and tolerances ε.

Every figure is counted in a compiled model, and every residual is measured in what its dense weights compute under
eq. (3.1a) alone (`outside`). Constructions, their options and what they claim come from the registry; the one thing
known here by name is how a number of steps and a step size follow from κ and ε (`RULES`).
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from typing import Any, Literal, TypeAlias

import mpmath

from .. import constructions
from ..compiler.errors import CompileError, PrecisionWarning
from ..constructions.parameters import REQUIRED
from ..constructions.registry import Construction
from ..proofs_check.bounds import Bounds
from ..proofs_check.certificate import Refuted
from ..proofs_check.lower_bounds import best, layers_needed, lower_bounds
from .compiled import Compiled
from .measuring import SEED, distance, places_of, prediction_matrix, spectral_data
from .progress import track
from .workers import worker_pool

KAPPAS, TOLERANCES = (10.0, 1e2, 1e4, 1e6), (1e-2, 1e-6, 1e-12)
D, MOST_LAYERS = 8, 300

#: Constructions that read A and y but answer another question, and why they are not drawn.
LEFT_OUT = {
    "ridge": "the layers, heads and rows of least_squares, for AᵀA + μI",
    "irls": "another loss, by several weighted systems",
    "logistic_newton": "another loss",
    "logistic_gradient_descent": "another loss",
    "gradient_descent": "one rate for all steps: `chebyshev` has the best rates",
    "preconditioned_gradient_descent": "depends on its matrices",
    "optimal_single_layer": "best on average, not for a spectrum",
    "neumann": "as many layers as gradient descent with one rate",
}

AT_DEFAULT = ("prefer",)  # choices that make no difference in any cell of the picture

#: The construction, and its options, whose claim states a paper's own figures: the point of comparison.
PAPER = ("least_squares", {"init": "gram"})

Verdict: TypeAlias = Literal["reached", "round-off", "missed", "not run"]


@dataclass(frozen=True)
class Cell:
    """Eigenvalues of AᵀA in [1/κ, 1], and the tolerance ε for ‖I − SX‖₂."""

    kappa: float
    tol: float

    @property
    def spectrum(self) -> tuple[float, float]:
        return 1 / self.kappa, 1.0


@dataclass(frozen=True)
class Subject:
    """A construction of the registry with values for its choices, such as init=gram."""

    construction: Construction
    options: Mapping[str, Any]

    @property
    def title(self) -> str:
        return " ".join([self.construction.name, *(f"{name}={value}" for name, value in self.options.items())])


@dataclass(frozen=True)
class Point:
    """One construction at one (κ, ε).

    source: "run" (compiled and evaluated), "formula" (what the construction claims; deeper than what is compiled) or
    "paper" (what the paper states). residual: ‖I − M‖₂ in float64; precise: the same with the same weights in 77 digits,
    measured where float64 exceeds tol. answers: "prediction" or "weights" (w itself). exceeds: figures above the claim.
    front: among the run points of this cell with the same answers, none is better in one figure and no worse in the
    other two. rows_bound: rows that no plan can do without, see `proofs_check.lower_bounds`.
    """

    title: str
    construction: str
    kappa: float
    tol: float
    source: Literal["run", "formula", "paper"]
    layers: int
    heads: int
    rows: int
    arguments: Mapping[str, Any]
    answers: str | None = None
    residual: float | None = None
    precise: float | None = None
    exceeds: tuple[str, ...] = ()
    front: bool = False
    rows_bound: int | None = field(default=None, repr=False)

    @property
    def verdict(self) -> Verdict:
        if self.residual is None:
            return "not run"
        if self.residual <= self.tol:
            return "reached"
        return "round-off" if self.precise is not None and self.precise <= self.tol else "missed"


@dataclass(frozen=True)
class Report:
    """All points, cell by cell. titles: those with fewer layers first. bounds[κ, ε]: no linear attention has fewer layers."""

    d: int
    most_layers: int
    kappas: tuple[float, ...]
    tolerances: tuple[float, ...]
    titles: tuple[str, ...]
    points: tuple[Point, ...]
    bounds: Mapping[tuple[float, float], int]

    @property
    def holds(self) -> bool:
        """Every point that was run reaches its tolerance, in float64 or but for round-off, and none exceeds its claim."""
        return all(point.verdict != "missed" and not point.exceeds for point in self.points)

    def at(self, kappa: float, tol: float, title: str) -> Point:
        return next(p for p in self.points if (p.kappa, p.tol, p.title) == (kappa, tol, title))

    def to_json(self) -> dict[str, Any]:
        points = [{**asdict(p), "verdict": p.verdict} for p in self.points]
        for point in points:  # JSON has no infinity
            point |= {key: None for key in ("residual", "precise") if point[key] == math.inf}
        bounds = [{"kappa": kappa, "tol": tol, "layers": layers} for (kappa, tol), layers in self.bounds.items()]
        data = {"spectrum": "[1/kappa, 1]", "d": self.d, "n": _examples(self.d), "seed": SEED, "most_layers": self.most_layers}
        return {**data, "holds": self.holds, "lower_bounds": bounds, "points": points, "left_out": LEFT_OUT}


# -- what is compiled --------------------------------------------------------------------------------------------------


def subjects(names: Sequence[str] | None = None) -> list[Subject]:
    """The least-squares constructions (they read A and y), with every value of their choices.

    Raises CompileError for a name that is not one of them, and for one whose arguments do not follow from κ and ε.
    """
    reads = [c for c in map(constructions.get, constructions.names()) if {"A", "y"} <= c.program.inputs.keys()]
    known = {c.name: c for c in reads if c.name not in LEFT_OUT}
    for name in names or ():
        if name not in known:
            constructions.get(name)  # an unknown name has its own error
            what = f"{name} is not a least-squares construction of `pareto`"
            raise CompileError(what, fix=f"choose among {', '.join(known)}")
    found = []
    for construction in (known[name] for name in known if names is None or name in names):
        choices = [[(p.name, c) for c in p.choices] for p in construction.parameters if p.choices and p.name not in AT_DEFAULT]
        found += [Subject(construction, dict(options)) for options in itertools.product(*choices)]
    for subject in found:
        _check_complete(subject)
    return found


def arguments(subject: Subject, cell: Cell) -> dict[str, Any]:
    """What `compile` takes for this cell, without sizes: its options, and of spectrum, tol, steps, alpha what it has."""
    known = {p.name for p in subject.construction.parameters}
    values: dict[str, Any] = {"spectrum": cell.spectrum, "tol": cell.tol}
    if subject.construction.name in RULES:
        values |= RULES[subject.construction.name](cell, subject.options)
    return {**subject.options, **{name: value for name, value in values.items() if name in known}}


def _sizes(subject: Subject, d: int) -> dict[str, int]:
    """One query; without m where the construction answers one without it, as the paper does."""
    sizes = {"n": _examples(d), "d": d, "m": 1}
    return {p.name: sizes[p.name] for p in subject.construction.parameters if p.name in sizes and p.default is REQUIRED}


def _examples(d: int) -> int:
    return 2 * d


def _check_complete(subject: Subject) -> None:
    given = {**arguments(subject, Cell(10.0, 0.1)), **_sizes(subject, D)}
    missing = [p.name for p in subject.construction.parameters if p.default is REQUIRED and p.name not in given]
    if missing:
        what = f"{subject.title}: nothing says how {', '.join(missing)} follows from κ and ε"
        raise CompileError(what, fix="add a rule to RULES in runtime/pareto.py, or a reason to LEFT_OUT")


def best_alpha(low: Fraction, high: Fraction) -> float:
    """2/(low + high), the step size for eigenvalues in [low, high]; below 2/high, also where low is lost in rounding."""
    alpha = float(2 / (low + high))
    return math.nextafter(alpha, 0.0) if alpha * high >= 2 else alpha


def _newton(cell: Cell, options: Mapping[str, Any]) -> dict[str, Any]:
    """The best step size for X_0 = αS or αI, and the fewest steps: ‖I − SX_T‖₂ = ρ^(2^T) ≤ ε, ρ = ‖I − SX_0‖₂."""
    power = 2 if options["init"] == "gram" else 1
    low, high = (Fraction(end) ** power for end in cell.spectrum)
    alpha = best_alpha(low, high)
    rho = max(abs(1 - Fraction(alpha) * end) for end in (low, high))
    with mpmath.workdps(60):
        doublings = mpmath.log(mpmath.log(cell.tol) / mpmath.log(mpmath.mpf(rho.numerator) / rho.denominator), 2)
        return {"alpha": alpha, "steps": max(0, int(mpmath.ceil(doublings)))}


def _chebyshev(cell: Cell, options: Mapping[str, Any]) -> dict[str, Any]:
    """The fewest steps m with 1/T_m((u + l)/(u − l)) ≤ ε."""
    low, high = map(mpmath.mpf, cell.spectrum)
    with mpmath.workdps(60):
        degree = mpmath.acosh(1 / mpmath.mpf(cell.tol)) / mpmath.acosh((high + low) / (high - low))
        return {"steps": int(mpmath.ceil(degree))}


#: How steps and alpha follow from a cell, for constructions that do not take a spectrum and a tolerance themselves.
RULES: Mapping[str, Callable[[Cell, Mapping[str, Any]], dict[str, Any]]] = {
    "least_squares": _newton,
    "chebyshev": _chebyshev,
    "newton_relu_attention": lambda cell, options: _newton(cell, {"init": "gram"}),
}


# -- computing ---------------------------------------------------------------------------------------------------------


def compute(
    kappas: Sequence[float] = KAPPAS,
    tolerances: Sequence[float] = TOLERANCES,
    d: int = D,
    names: Sequence[str] | None = None,
    most_layers: int = MOST_LAYERS,
    workers: int = 1,
) -> Report:
    """Compiles and runs everything. Same arguments, same figures; residuals vary in their last digits with the BLAS.

    A construction that claims more than most_layers layers is not compiled: its point is what it claims. workers: fresh
    processes that share the work (a script that asks for more than one needs `if __name__ == "__main__":`).
    """
    kappas, tolerances = tuple(sorted(set(kappas))), tuple(sorted(set(tolerances), reverse=True))
    found = subjects(names)
    cells = [Cell(kappa, tol) for kappa in kappas for tol in tolerances]
    jobs = [(cell, s.construction.name, s.options, d, most_layers) for cell in cells for s in found]
    with _mapped(min(workers, len(jobs))) as mapped:
        points = [p for many in track(mapped(_job, jobs), "pareto", len(jobs), "model") for p in many]
    titles = sorted({p.title for p in points}, key=lambda title: (sum(p.layers for p in points if p.title == title), title))
    bounds = {(cell.kappa, cell.tol): layers_needed(*cell.spectrum, cell.tol) for cell in cells}
    return Report(d, most_layers, kappas, tolerances, tuple(titles), tuple(_mark_front(points)), bounds)


@contextmanager
def _mapped(workers: int) -> Iterator[Callable[..., Iterable[list[Point]]]]:
    """`map`, in this process or in fresh ones."""
    if workers <= 1:
        yield map
        return
    with worker_pool(workers, "pareto") as submit:
        yield lambda function, jobs: (future.result() for future in submit(function, ((job,) for job in jobs)))


def _job(job: tuple[Cell, str, Mapping[str, Any], int, int]) -> list[Point]:
    """One construction in one cell; of names and numbers only, so that another process can do it."""
    cell, name, options, d, most_layers = job
    return list(_points(cell, Subject(constructions.get(name), options), d, most_layers))


def _points(cell: Cell, subject: Subject, d: int, most_layers: int) -> Iterator[Point]:
    given = arguments(subject, cell)
    claimed = _claimed(subject, {**given, **_sizes(subject, d)})
    where = (cell.kappa, cell.tol)
    if claimed.depth is not None and claimed.depth > most_layers:
        yield _stated(subject.title, subject, where, "formula", claimed, given)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PrecisionWarning)  # what float64 reaches is measured, and shown instead
            model = subject.construction.compile(**{**given, **_sizes(subject, d)})
        yield _run(model, subject, cell, given, d)
    if (subject.construction.name, subject.options) == PAPER:
        yield _stated(subject.construction.claim.statement, subject, where, "paper", claimed, given)


def _claimed(subject: Subject, given: Mapping[str, Any]) -> Bounds:
    construction = subject.construction
    values = construction.check(given)
    return (construction.prepare(values).claim or construction.claim).bounds(construction.counted(values))


def _stated(
    title: str, subject: Subject, where: tuple[float, float], source: Literal["formula", "paper"], claimed: Bounds, given: Any
) -> Point:
    figures = (claimed.depth, claimed.heads, claimed.rows)
    assert None not in figures, f"{subject.title} claims no figures to draw"
    layers, heads, rows = (int(figure or 0) for figure in figures)
    return Point(title, subject.construction.name, *where, source, layers, heads, rows, given)


def _run(model: Compiled, subject: Subject, cell: Cell, given: Mapping[str, Any], d: int) -> Point:
    A = spectral_data(cell.kappa, _examples(d), d)
    residual = float(distance(prediction_matrix(model, A)))
    precise = None
    if residual > cell.tol:  # also for nan
        try:
            precise = float(distance(prediction_matrix(model, A, precisely=True)))
        except OverflowError:
            precise = float("inf")
    claims = model.bounds.check(model.artifact) if model.bounds is not None else []
    exceeds = [f"{c.statement}; {c.verdict.counterexample}" for c in claims if isinstance(c.verdict, Refuted)]
    figures = (model.depth, model.max_heads, model.d_model)
    point = Point(subject.title, subject.construction.name, cell.kappa, cell.tol, "run", *figures, given)
    answers = "weights" if places_of(model).size == d else "prediction"
    rows_bound = best(lower_bounds(model.artifact), "rows", any_products=True)
    return replace(point, answers=answers, residual=residual, precise=precise, exceeds=tuple(exceeds), rows_bound=rows_bound)


def _mark_front(points: Sequence[Point]) -> Iterator[Point]:
    for p in points:
        rivals = [q for q in points if (q.kappa, q.tol, q.source, q.answers) == (p.kappa, p.tol, "run", p.answers)]
        yield replace(p, front=p.source == "run" and not any(_dominates(q, p) for q in rivals))


def _dominates(p: Point, q: Point) -> bool:
    ours, theirs = ((r.layers, r.heads, r.rows) for r in (p, q))
    return ours != theirs and all(a <= b for a, b in zip(ours, theirs, strict=True))
