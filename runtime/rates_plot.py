"""The picture of `headwright rates`: one panel for every κ, layers to the right, errors upwards, both on log scales."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from .pages import power
from .plots import load_matplotlib, save_figure
from .rates import SERIES, Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_INK, _GREY, _LINE = "#222222", "#5c5c5c", "#e4e4e4"
_COLOURS = ("#e69f00", "#8a7500", "#cc79a7", "#d55e00", "#56b4e9", "#5b3fa0", "#0072b2", "#222222", "#009e73")
_MARKS = "osD^vP<X*"


def plot_rates(report: Report, path: str | os.PathLike[str]) -> Path:
    """Draws the report as a PNG; returns the path. Raises HeadwrightError without matplotlib."""
    figure_type, canvas = load_matplotlib()
    panels = len(report.kappas)
    width, height = max(7.5, 3.2 * panels + 0.8), 5.1
    figure: Figure = figure_type(figsize=(width, height), dpi=160, facecolor="white")
    canvas(figure)
    left, right, low, high = 0.75 / width, 1 - 0.15 / width, 0.5 / height, 1 - 1.75 / height
    wide = (right - left) / panels
    for column, kappa in enumerate(report.kappas):
        axes = figure.add_axes((left + column * wide, low, wide - 0.12 / width, high - low))
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(0.9, report.most_layers * 1.15)
        axes.set_ylim(1e-16, 3)
        for series, colour, mark in zip(SERIES, _COLOURS, _MARKS, strict=True):
            curve = report.curve(kappa, series.title)
            axes.plot(
                [p.layers for p in curve], [max(p.error, 1e-16) for p in curve], color=colour, marker=mark, markersize=4.5,
                markeredgecolor="white", markeredgewidth=0.4, linewidth=1.3, label=series.title,
                linestyle="-" if series.order == "second" else (0, (4, 1.5)),
            )  # fmt: skip
        ticks = [t for t in (1, 2, 4, 8, 16, 32, 64, 128, 256) if t <= report.most_layers]
        axes.set_xticks(ticks, [str(t) for t in ticks])
        axes.minorticks_off()
        axes.tick_params(labelsize=8.5, colors=_GREY, length=2, labelleft=column == 0)
        axes.grid(color=_LINE, linewidth=0.5)
        axes.set_axisbelow(True)
        axes.set_title(f"κ = {power(kappa)}", fontsize=10.5, color=_INK, pad=5)
        if column == 0:
            axes.set_ylabel("‖I − M‖₂, from the weights", fontsize=9, color=_GREY)
        for side in axes.spines.values():
            side.set_color("#b0b0b0")
            side.set_linewidth(0.6)
    figure.text(0.12 / width, 1 - 0.12 / height, "Least squares in context: error against layers", fontsize=13.5,
                fontweight="bold", color=_INK, va="top")  # fmt: skip
    text = (
        f"Every mark is a compiled transformer (d = {report.d}) whose dense weights were run. Dashed: first order, 1 head.\n"
        "Solid: second order. Spectra in [1/κ, 1]; step sizes and starts are the best for the interval."
    )
    figure.text(0.12 / width, 1 - 0.42 / height, text, fontsize=8.5, color=_GREY, va="top", linespacing=1.35)
    figure.text(0.5, 0.1 / height, "layers, read-out included", fontsize=9, ha="center", color=_GREY)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, ncols=4, loc="upper left", bbox_to_anchor=(0.06 / width, 1 - 0.85 / height), fontsize=8.5,
        frameon=False, labelcolor=_INK, handletextpad=0.4, columnspacing=1.2, borderaxespad=0.0,
    )  # fmt: skip
    return save_figure(figure, path)
