"""The picture of `headwright pareto`: one panel for every κ and ε, layers to the right, rows upwards. Needs matplotlib."""

from __future__ import annotations

import os
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .pages import power, scientific
from .pareto import Point, Report, subjects
from .plots import load_matplotlib, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _GREY, _LINE, _WALL = "#222222", "#5c5c5c", "#e4e4e4", "#efeade"
#: Okabe and Ito's palette, which the colour-blind can tell apart, in the order of the constructions' names.
_COLOURS = ("#e69f00", "#56b4e9", "#0072b2", "#009e73", "#d55e00", "#cc79a7", "#8a7500", "#5b3fa0")
_SHAPES = {1: "o", 2: "s", 3: "^"}  # by heads; more: a diamond
_SIZES = (8.5, 4.5, 2.5)  # points that coincide lie in one another
_REACH = 75  # layers at the right edge; deeper points stand there with their number

_PANEL, _TALL, _LEFT, _RIGHT, _TOP, _BOTTOM, _GAP = 1.9, 1.5, 0.86, 0.14, 1.95, 0.5, 0.14  # inches
_NARROWEST = 7.6


def plot_pareto(report: Report, path: str | os.PathLike[str]) -> Path:
    """Draws the report as a PNG, 9 inches wide for four κ; returns the path. Raises HeadwrightError without matplotlib."""
    figure_type, canvas = load_matplotlib()
    columns, lines = len(report.kappas), len(report.tolerances)
    panel = max(_PANEL, (_NARROWEST - _LEFT - _RIGHT + _GAP) / columns - _GAP)
    width = _LEFT + columns * (panel + _GAP) - _GAP + _RIGHT
    height = _TOP + lines * (_TALL + _GAP) - _GAP + _BOTTOM
    figure: Figure = figure_type(figsize=(width, height), dpi=160, facecolor="white")
    canvas(figure)
    colours = colours_of(report)
    for line, tol in enumerate(report.tolerances):
        for column, kappa in enumerate(report.kappas):
            x, y = _LEFT + column * (panel + _GAP), height - _TOP - line * (_TALL + _GAP) - _TALL
            axes = figure.add_axes((x / width, y / height, panel / width, _TALL / height))
            _draw_panel(axes, report, kappa, tol, colours)
            axes.tick_params(labelbottom=line == lines - 1, labelleft=column == 0)
            if line == 0:
                axes.set_title(f"κ = {power(kappa)}", fontsize=10.5, color=_INK, pad=5)
            if column == 0:
                axes.set_ylabel("rows", fontsize=9, color=_GREY, labelpad=1)
                place = (0.2 / width, (y + _TALL / 2) / height)
                figure.text(*place, f"ε = {power(tol)}", rotation=90, fontsize=10.5, color=_INK, ha="center", va="center")
    middle = (1 + (_LEFT - _RIGHT) / width) / 2
    figure.text(middle, 0.08 / height, "layers, read-out included", fontsize=9, ha="center", color=_GREY)
    _headline(figure, report, width, height)
    _legend(figure, report, colours, width, height)
    return save_figure(figure, path)


def colours_of(report: Report) -> dict[str, str]:
    """A colour for every title, the same in every picture; the paper's figures are drawn in black."""
    known = {subject.title: _COLOURS[i % len(_COLOURS)] for i, subject in enumerate(subjects())}
    return {title: known.get(title, _INK) for title in report.titles}


def _draw_panel(axes: Axes, report: Report, kappa: float, tol: float, colours: dict[str, str]) -> None:
    points = [p for p in report.points if (p.kappa, p.tol) == (kappa, tol)]
    bound, d = report.bounds[kappa, tol], report.d
    top = max(p.rows for p in report.points) / d + 0.7
    _frame(axes, top)
    axes.axvspan(0.1, bound, color=_WALL, zorder=0.6)
    floors = [p.rows_bound for p in points if p.rows_bound is not None]
    if floors:
        axes.axhspan(0, min(floors) / d, color=_WALL, zorder=0.6)
    axes.axvline(bound, color=_INK, linewidth=1.0, linestyle=(0, (3, 2)), zorder=1.5)
    _draw_front(axes, points, d, top)
    text: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8.5, "color": _INK, "ha": "right", "va": "top"}
    axes.annotate(f"≥ {bound}", (bound, top), (-2, -3), **text)
    taken = Counter[tuple[int, int]]()
    for p in sorted(points, key=lambda p: -p.heads):
        _draw_point(axes, p, d, colours[p.title], _SIZES[min(taken[p.layers, p.rows], len(_SIZES) - 1)])
        taken[p.layers, p.rows] += 1
    _draw_notes(axes, points, d)


def _frame(axes: Axes, top: float) -> None:
    axes.set_xscale("log")
    axes.set_xlim(1.75, _REACH * 1.25)
    axes.set_ylim(0.55, top)
    ticks, multiples = [3, 5, 10, 20, 40], list(range(1, int(top) + 1))
    axes.set_xticks(ticks, [str(t) for t in ticks])
    axes.minorticks_off()
    axes.set_yticks(multiples, [f"{k if k > 1 else ''}d" for k in multiples])
    axes.tick_params(labelsize=8.5, colors=_GREY, length=2, pad=2)
    axes.grid(color=_LINE, linewidth=0.5)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_color("#b0b0b0")
        side.set_linewidth(0.6)


def _draw_point(axes: Axes, p: Point, d: int, colour: str, size: float) -> None:
    run, beyond = p.source == "run", p.layers > _REACH
    x, y = min(p.layers, _REACH), p.rows / d
    axes.plot(
        [x], [y], linestyle="none", marker=">" if beyond else _SHAPES.get(p.heads, "D"), markersize=size if run else 8.5,
        markerfacecolor=colour if run else "none", markeredgecolor="white" if run else colour,
        markeredgewidth=0.6 if run else 1.1, zorder=3 if run else 3.5,
    )  # fmt: skip
    if beyond:
        text = f"{p.layers:,}" if run else f"{p.layers:,}, not run"
        axes.annotate(text, (x, y), (4, 6), textcoords="offset points", ha="right", va="bottom", fontsize=8, color=_GREY)


def _draw_front(axes: Axes, points: Sequence[Point], d: int, top: float) -> None:
    """The staircase below and left of which no model that was run predicts."""
    front = sorted((p.layers, p.rows) for p in points if p.front and p.answers == "prediction")
    x: list[float] = []
    y: list[float] = []
    lowest = top * d
    for layers, rows in front:
        if rows < lowest:
            x += [min(layers, _REACH)] * 2
            y += [lowest / d, rows / d]
            lowest = rows
    if x:
        axes.plot([*x, 2 * _REACH], [*y, lowest / d], color="#9c9c9c", linewidth=1.0, zorder=1.4)


def _draw_notes(axes: Axes, points: Sequence[Point], d: int) -> None:
    """What float64 leaves, beside every point that it keeps from ε: above the deepest and those near the axis, else below."""
    noted = sorted((p for p in points if p.verdict in ("round-off", "missed")), key=lambda p: -p.layers)
    text: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8, "color": _INK, "ha": "center"}
    for number, p in enumerate(noted):
        sign = "†" if p.verdict == "round-off" else "MISSES ε:"
        low = p.rows < 2 * d
        above = number == 0 or low
        where, offset = (min(p.layers, _REACH), p.rows / d), 20 if low else 9 if above else 5 - 10 * number
        axes.annotate(f"{sign} {scientific(p.residual or 0.0)}", where, (0, offset), va="bottom" if above else "top", **text)


def _headline(figure: Figure, report: Report, width: float, height: float) -> None:
    text = (
        "A panel: Aw ≈ y solved in context to ‖I − SX‖₂ ≤ ε for every A with eigenvalues of S = AᵀA in [1/κ, 1]. Filled marks "
        f"are compiled transformers (d = {report.d}) whose weights were run and measured; grey line: the best of them. Shaded: "
        "fewer layers than any linear attention needs, or fewer rows than the inputs take."
    )
    if any(p.verdict == "round-off" for p in report.points):
        text += " †: reaches ε but for round-off; beside it what float64 leaves."
    title = "Least squares by linear attention: layers against rows"
    figure.text(0.12 / width, 1 - 0.12 / height, title, fontsize=13.5, fontweight="bold", color=_INK, va="top")
    lines = textwrap.fill(text, int(15.4 * width))
    figure.text(0.12 / width, 1 - 0.42 / height, lines, fontsize=8.5, color=_GREY, va="top", linespacing=1.35)


def _legend(figure: Figure, report: Report, colours: dict[str, str], width: float, height: float) -> None:
    from matplotlib.lines import Line2D

    def mark(shape: str, face: str, edge: str, label: str) -> Line2D:
        return Line2D([], [], ls="none", marker=shape, markersize=7, markerfacecolor=face, markeredgecolor=edge, label=label)

    made, shapes = [], []
    for title in report.titles:
        first = next(p for p in report.points if p.title == title)
        shape, colour = _SHAPES.get(first.heads, "D"), colours[title]
        if first.source == "paper":
            made.append(mark(shape, "none", colour, f"{title}: the paper's figures"))
        else:
            made.append(mark(shape, colour, "white", title + " (w itself)" * (first.answers == "weights")))
    for heads in sorted({p.heads for p in report.points}):
        shapes.append(mark(_SHAPES.get(heads, "D"), _GREY, "white", f"{heads} head{'s' * (heads > 1)}"))
    shapes.append(mark("o", "none", _GREY, "hollow: not run"))
    if any(p.layers > _REACH for p in report.points):
        shapes.append(mark(">", _GREY, "white", "beyond the axis"))
    look: dict[str, Any] = {"fontsize": 8.5, "frameon": False, "handletextpad": 0.1, "labelspacing": 0.3, "labelcolor": _INK}
    place: dict[str, Any] = {"loc": "upper left", "borderaxespad": 0.0, "borderpad": 0.0, "columnspacing": 1.2}
    top = 1 - 1.02 / height
    figure.legend(handles=made, ncols=3, bbox_to_anchor=(0.06 / width, top), **place, **look)
    figure.legend(handles=shapes, ncols=1, **{**place, "loc": "upper right"}, bbox_to_anchor=(1 - 0.12 / width, top), **look)
