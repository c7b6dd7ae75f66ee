"""`headwright rates`: how fast least squares is solved in context, layer by layer, by every construction of the library.

Every point is a compiled transformer whose dense weights an outside evaluator has run; nothing is taken from a formula. The
error is ‖I − M‖₂, where M_ij is what the weights predict for the query e_i from labels y = A e_j. As in Giannou et al. 2024,
figure 2, and Fu et al. 2023, figure 8, with weights that are constructed instead of trained.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from .. import constructions
from ..compiler.errors import CompileError, PrecisionWarning
from .measuring import SEED, distance, prediction_matrix, spectral_data
from .pages import power, table_lines, write_page
from .pareto import best_alpha
from .progress import track

Order = Literal["first", "second"]

KAPPAS, D, MOST_LAYERS = (10.0, 100.0, 1e4), 5, 64

#: Below this an error is round-off, and deeper models are not made.
_LEAST = 1e-15

#: Constructions that read A and y, and why they have no curve.
LEFT_OUT = {
    "ridge": "least_squares for AᵀA + μI",
    "irls": "another loss",
    "logistic_newton": "another loss",
    "logistic_gradient_descent": "another loss",
    "optimal_single_layer": "one layer, best on average over data",
    "preconditioned_gradient_descent": "depends on its matrices; with multiples of I it is gradient descent",
    "least_squares_block": "the layers of least_squares_minimal or one more",
    "least_squares_weights": "the layers of least_squares_minimal or one more; w itself",
}


@dataclass(frozen=True)
class Series:
    """One curve: a construction, and the arguments of its models, the shallowest first, for a spectrum [low, 1], n examples and
    at most so many layers."""

    title: str
    construction: str
    order: Order
    models: Callable[[Fraction, int, int], Iterator[Mapping[str, Any]]]


@dataclass(frozen=True)
class Point:
    """A compiled model: its layers and its error. `arguments` as its construction takes them."""

    title: str
    order: Order
    kappa: float
    layers: int
    heads: int
    rows: int
    error: float
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Report:
    d: int
    most_layers: int
    kappas: tuple[float, ...]
    points: tuple[Point, ...]

    def curve(self, kappa: float, title: str) -> list[Point]:
        return sorted((p for p in self.points if (p.kappa, p.title) == (kappa, title)), key=lambda p: p.layers)

    def layers_for(self, kappa: float, title: str, tol: float) -> int | None:
        """The fewest layers among the models whose error is at most tol."""
        return min((p.layers for p in self.curve(kappa, title) if p.error <= tol), default=None)

    def to_json(self) -> dict[str, Any]:
        points = [{**asdict(p), "arguments": {k: _text(v) for k, v in p.arguments.items()}} for p in self.points]
        data = {"spectrum": "[1/kappa, 1]", "d": self.d, "n": 2 * self.d, "seed": SEED, "most_layers": self.most_layers}
        return {**data, "points": points, "left_out": LEFT_OUT}


# -- what is drawn -----------------------------------------------------------------------------------------------------


def _grid(most: int) -> Iterator[int]:
    """1, 2, 3, 4, 6, 8, 12, 16, … up to `most`."""
    steps = sorted({round(2 ** (k / 2)) for k in range(2 * most.bit_length() + 1)} | {1, 2, 3})
    yield from (s for s in steps if s <= most)


def _descent(low: Fraction, n: int, most: int) -> Iterator[Mapping[str, Any]]:
    for steps in _grid(most):
        yield {"steps": steps, "rate": 2 * n / (1 + low)}


def _heavy_ball(low: Fraction, n: int, most: int) -> Iterator[Mapping[str, Any]]:
    """Polyak's rate and momentum for the interval; the first step, which has no momentum yet, is the best single one."""
    root = math.sqrt(low)
    rate, momentum = 4 * n / (1 + root) ** 2, ((1 - root) / (1 + root)) ** 2
    for steps in _grid(most):
        yield {"steps": steps, "rate": (2 * n / (1 + float(low)), *[rate] * (steps - 1)), "momentum": momentum}


def _chebyshev(low: Fraction, n: int, most: int) -> Iterator[Mapping[str, Any]]:
    for steps in _grid(most):
        yield {"steps": steps, "spectrum": (float(low), 1.0)}


def _neumann(low: Fraction, n: int, most: int) -> Iterator[Mapping[str, Any]]:
    for steps in _grid(most + 1):
        yield {"steps": steps, "alpha": 2 / (1 + low)}


def _newton(power_of: int, **options: Any) -> Callable[[Fraction, int, int], Iterator[Mapping[str, Any]]]:
    """Steps 0, 1, 2, … from αS (power 2) or αI (power 1) with the best α of the interval."""

    def models(low: Fraction, n: int, most: int) -> Iterator[Mapping[str, Any]]:
        alpha = best_alpha(low**power_of, Fraction(1))
        for steps in range(most):
            yield {"steps": steps, "alpha": alpha, **options}

    return models


def _minimal(low: Fraction, n: int, most: int) -> Iterator[Mapping[str, Any]]:
    for exponent in range(1, 15):
        yield {"spectrum": (low, Fraction(1)), "tol": 10.0**-exponent}


SERIES = (
    Series("gradient_descent", "gradient_descent", "first", _descent),
    Series("neumann", "neumann", "first", _neumann),
    Series("gradient_descent, momentum", "gradient_descent", "first", _heavy_ball),
    Series("chebyshev", "chebyshev", "first", _chebyshev),
    Series("least_squares, X₀ = αS", "least_squares", "second", _newton(2, init="gram")),
    Series("newton_relu_attention", "newton_relu_attention", "second", _newton(2)),
    Series("least_squares, X₀ = αI", "least_squares", "second", _newton(1, init="identity")),
    Series("gd_plus_plus", "gd_plus_plus", "second", _minimal),
    Series("least_squares_minimal", "least_squares_minimal", "second", _minimal),
)


# -- computing ---------------------------------------------------------------------------------------------------------


def compute(kappas: Sequence[float] = KAPPAS, d: int = D, most_layers: int = MOST_LAYERS) -> Report:
    """Compiles and runs everything up to that many layers. Raises CompileError for a κ that is not above 1."""
    if not kappas or not all(math.isfinite(k) and k > 1 for k in kappas):
        raise CompileError(f"rates: kappa is {list(kappas)}: expected numbers above 1", fix="for example 10 100 10000")
    jobs = [(kappa, series) for kappa in sorted(set(kappas)) for series in SERIES]
    points = [p for kappa, series in track(jobs, "rates", len(jobs), "curve") for p in _curve(series, kappa, d, most_layers)]
    return Report(d, most_layers, tuple(sorted(set(kappas))), tuple(points))


def _curve(series: Series, kappa: float, d: int, most_layers: int) -> Iterator[Point]:
    A, seen = spectral_data(kappa, 2 * d, d), set[int]()
    construction = constructions.get(series.construction)
    for given in series.models(1 / Fraction(kappa), 2 * d, most_layers):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PrecisionWarning)  # what float64 reaches is what is measured
            model = construction.compile(n=2 * d, d=d, m=1, **given)
        if model.depth > most_layers:
            return
        if model.depth in seen:  # the best model of a depth is the last one: tolerances fall
            continue
        seen.add(model.depth)
        error = distance(prediction_matrix(model, A))
        if not math.isfinite(error):
            return
        yield Point(series.title, series.order, kappa, model.depth, model.max_heads, model.d_model, error, given)
        if error < _LEAST:
            return


def _text(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_text(v) for v in value]
    return float(value) if isinstance(value, Fraction) else value


# -- printing ----------------------------------------------------------------------------------------------------------

TOLERANCES = (1e-1, 1e-3, 1e-6)


def table(report: Report) -> list[str]:
    """Layers of every construction to each error, for every κ, as lines of markdown."""
    wanted = " / ".join(map(power, TOLERANCES))
    header = [f"layers to an error of {wanted}", "order", "heads", "rows", *(f"κ = {power(k)}" for k in report.kappas)]
    body = []
    for series in SERIES:
        found = [p for p in report.points if p.title == series.title]
        if not found:
            continue
        figures = []
        for kappa in report.kappas:
            layers = [report.layers_for(kappa, series.title, tol) for tol in TOLERANCES]
            figures.append(" / ".join("–" if count is None else str(count) for count in layers))
        heads, rows = (max(getattr(p, of) for p in found) for of in ("heads", "rows"))
        body.append([f"`{series.title}`", series.order, str(heads), str(rows), *figures])
    return table_lines(header, "ll" + "r" * (len(header) - 2), body)


def to_markdown(report: Report, picture: str | None) -> str:
    lines = ["# Error against layers", "", *table(report), ""]
    lines += [f"–: not within {report.most_layers} layers, or not in float64. Rows at d = {report.d}.", ""]
    if picture is not None:
        lines += [f"![Error against layers for every construction]({picture})", ""]
    lines += [
        f"Made by `headwright rates`: d = {report.d}, n = {2 * report.d}; AᵀA has eigenvalues from 1/κ to 1, spaced",
        "geometrically, in random directions (fixed seed). The error is ‖I − M‖₂, where M_ij is what the dense weights of a",
        "compiled model predict for the query e_i from labels A e_j, under the formula of its architecture, in float64. Step",
        "sizes, momentum and starts are the best for the interval. First-order constructions and `gd_plus_plus` run on masked",
        "linear attention, `newton_relu_attention` on ReLU attention, the others on eq. (3.1).",
        "",
        *(f"Not drawn: `{name}` ({reason})." for name, reason in LEFT_OUT.items()),
    ]
    return "\n".join([*lines, ""])


def write(report: Report, folder: Path, picture: str | None) -> list[str]:
    """Writes rates.md (which shows `picture`, a file beside it) and rates.json, each complete or not at all."""
    return write_page(folder, "rates", to_markdown(report, picture), report.to_json())
