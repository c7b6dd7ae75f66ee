"""The picture of `headwright similarity`: heat maps of Newton's steps against everything else. Needs matplotlib."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .pages import power
from .plots import load_matplotlib, save_figure
from .similarity import Similarities, Study, Subject
from .similarity_facts import NEWTON_TO_DESCENT, PRINTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _GREY = "#222222", "#5c5c5c"
_LOWEST = 0.3  # below, the colour stays the palest
_TALL, _TOP, _BOTTOM, _GAP, _LEFT = 3.7, 1.55, 0.05, 1.0, 0.62  # inches
_WIDTHS, _BETWEEN = (1.5, 3.2, 2.7), 0.42
_MEASURES = (("error", "SimE, similarity of errors"), ("weights", "SimW, similarity of weights"))


def plot_similarity(study: Study, path: str | os.PathLike[str]) -> Path:
    """Draws a PNG, two lines of heat maps for each κ; returns the path. Raises HeadwrightError without matplotlib."""
    figure_type, canvas = load_matplotlib()
    lines = [(found, *measure) for found in study.found for measure in _MEASURES]
    width = _LEFT + sum(_WIDTHS) + 2 * _BETWEEN + 0.75
    height = _TOP + len(lines) * (_TALL + _GAP) + _BOTTOM
    figure: Figure = figure_type(figsize=(width, height), dpi=130, facecolor="white")
    canvas(figure)
    image: Any = None
    for number, (found, measure, name) in enumerate(lines):
        bottom = height - _TOP - number * (_TALL + _GAP) - _TALL
        figure.text(
            0.16 / width, (bottom + _TALL + 0.27) / height, f"κ = {power(found.kappa)}: {name}", fontsize=11, color=_INK
        )
        left = _LEFT
        for panel, wide in enumerate(_WIDTHS):
            axes = figure.add_axes((left / width, bottom / height, wide / width, _TALL / height))
            image = _draw(axes, study, found, measure, panel)
            left += wide + _BETWEEN
        bar = figure.add_axes(((left - _BETWEEN + 0.15) / width, bottom / height, 0.12 / width, _TALL / height))
        figure.colorbar(image, cax=bar, extend="min").ax.tick_params(labelsize=7.5, colors=_GREY, length=2)
    _headline(figure, study, width, height)
    return save_figure(figure, path)


def _draw(axes: Axes, study: Study, found: Similarities, measure: str, panel: int) -> Any:
    newton = found.family("Newton")
    if panel == 0:
        names = _stand_ins(measure)
        values = np.array([[found.at(p, Subject(q), measure) for q in names] for p in newton])
    else:
        family = ("gradient descent", "Chebyshev")[panel - 1]
        values, names = found.table("Newton", family, measure), [str(s.steps) for s in found.family(family)]
    image = axes.imshow(values, aspect="auto", cmap="YlGnBu", vmin=_LOWEST, vmax=1.0, origin="upper")
    axes.set_xticks(range(len(names)), [name.replace(" ", "\n") for name in names], rotation=0 if panel == 0 else 60)
    axes.set_yticks(range(len(newton)), [str(s.steps) for s in newton])
    axes.tick_params(labelsize=7.5, colors=_GREY, length=2, pad=2)
    if panel == 0:
        axes.set_ylabel("Newton steps", fontsize=9, color=_GREY, labelpad=1)
        _numbers(axes, study, found, measure, values)
        return image
    axes.set_xlabel(f"steps of {('gradient descent', 'Chebyshev')[panel - 1]}", fontsize=9, color=_GREY, labelpad=2)
    axes.plot(
        values.argmax(1), range(len(newton)), "o", color="#d55e00", markersize=3.8, markeredgecolor="white", markeredgewidth=0.5
    )
    if panel == 1 and measure == "error" and study.paper_size and found.kappa == 1.0:
        columns = [s.steps for s in found.family("gradient descent")]
        x, y = [columns.index(step) for step in NEWTON_TO_DESCENT.values()], [k - 1 for k in NEWTON_TO_DESCENT]
        axes.plot(x, y, "s", color="none", markersize=8, markeredgecolor="#d55e00", markeredgewidth=1.0)
    return image


def _stand_ins(measure: str) -> list[str]:
    """What stands in for a transformer. The zero predictor has no direction of weights."""
    return ["zero", "least squares"] if measure == "error" else ["least squares"]


def _numbers(axes: Axes, study: Study, found: Similarities, measure: str, values: np.ndarray) -> None:
    """Ours in every cell, the printed figure in bold below the line of its step where there is one."""
    for (row, column), value in np.ndenumerate(values):
        stand_in, step = _stand_ins(measure)[column], found.family("Newton")[row].steps
        place = (found.kappa, measure, stand_in, "Newton", step)
        all_printed = PRINTED if study.paper_size else ()
        printed = [p.value for p in all_printed if (p.kappa, p.measure, p.stand_in, p.family, p.steps) == place]
        text = f"{value:.3f}" + (f" ({printed[0]:.3f})" if printed else "")
        axes.text(
            column, row, text, fontsize=6.2 if printed else 6.8, ha="center", va="center",
            color="white" if value > 0.72 else _INK, fontweight="bold" if printed else "normal",
        )  # fmt: skip


def _headline(figure: Figure, study: Study, width: float, height: float) -> None:
    text = (
        f"Mean cosine over {study.batch} prompts of up to {study.n} examples, d = {study.d}; no transformer is trained. Left: "
        "against the zero predictor, as which a trained transformer starts, and least squares, as which it ends; bold, in "
        "brackets: printed in Fu et al. 2023. Dots: the step most like each Newton step; squares: the same in Figure 26a."
    )
    place: dict[str, Any] = {"color": _INK, "va": "top"}
    title = "Newton's iteration beside first-order methods"
    figure.text(0.16 / width, 1 - 0.14 / height, title, fontsize=14, fontweight="bold", **place)
    wrapped = textwrap.fill(text, int(13.2 * width))
    figure.text(0.16 / width, 1 - 0.46 / height, wrapped, fontsize=8.5, linespacing=1.35, **{**place, "color": _GREY})
