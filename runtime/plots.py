"""Pictures of a compiled model: its weights, and the residual stream over the layers. Needs matplotlib.

Only figure objects on the Agg canvas are used: no window, no global state of pyplot. Files are complete or absent.
"""

from __future__ import annotations

import itertools
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..compiler.errors import HeadwrightError
from ..compiler.layout import Labels
from ..compiler.weights import BlockMatrix
from .atomic import write_file
from .compiled import Compiled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

_INK, _GREY, _LINE = "#222222", "#8a8a8a", "#dcdcdc"
_FLOOR = 0.12  # where the smallest number that is not zero stands, on a scale from 0 (white) to 1
_PALEST = 0.3  # its colour, as a part of the way from white to the darkest


@dataclass(frozen=True)
class SignedLog:
    """Colours for numbers of both signs over many decades: red positive, blue negative, darker is larger, white is 0.

    Numbers below 10**low are drawn as 10**low, so that nothing that is not zero looks like zero.
    """

    low: int
    high: int

    @staticmethod
    def over(values: Iterable[Any], decades: int) -> SignedLog:
        """The decades that the nonzero values span, at most so many, from the largest down."""
        sizes = [abs(float(v)) for v in values if v] or [1.0]
        high = math.ceil(math.log10(max(sizes)) - 1e-9)
        low = math.floor(math.log10(min(sizes)) + 1e-9)
        return SignedLog(max(min(low, high - 1), high - decades), high)

    def shade(self, values: np.ndarray) -> np.ndarray:
        """Numbers in [−1, 1]; NaN for exact zeros."""
        sizes = np.clip(np.abs(np.where(values == 0, 1.0, values)), 10.0**self.low, 10.0**self.high)
        level = _FLOOR + (1 - _FLOOR) * (np.log10(sizes) - self.low) / (self.high - self.low)
        return np.where(values == 0, np.nan, np.sign(values) * level)

    def colours(self) -> Colormap:
        """A colour map on [−1, 1] that is white between −_FLOOR and _FLOOR."""
        from matplotlib import colormaps
        from matplotlib.colors import ListedColormap

        position = np.linspace(-1, 1, 512)
        level = _PALEST + (0.97 - _PALEST) * (np.abs(position) - _FLOOR) / (1 - _FLOOR)
        table = colormaps["RdBu_r"](0.5 + 0.5 * np.sign(position) * level)
        table[np.abs(position) < _FLOOR - 1 / 256] = 1.0
        return ListedColormap(table)


def plot_weights(model: Compiled, path: str | os.PathLike[str]) -> Path:
    """Draws W_V, W_K and W_Q of every head of every distinct layer, with the names of the rows; returns the path.

    Feed-forward weights are not drawn, and the headline says so.
    """
    figure_type, canvas = load_matplotlib()
    order = model.artifact.order
    distinct = model.artifact.unique_layers
    heads = [(index, number, head) for index, layer in enumerate(distinct) for number, head in enumerate(layer.heads, 1)]
    if not heads:
        what = f"{model.name} has no layers with heads: there are no attention weights to draw"
        raise HeadwrightError(what, fix="draw its residual stream")
    found = (b.entries()[2] if b.matrix else [b.coefficient] for _, _, head in heads for m in head.matrices for b in m.blocks)
    scale = SignedLog.over((c for values in found for c in values), decades=20)
    panel, gap, top, bottom, left, right = 2.9, 0.8, 1.75, 0.75, 1.75, 1.35
    width, height = left + 3 * panel + 2 * 1.0 + right, top + len(heads) * (panel + gap) - gap + bottom
    figure: Figure = figure_type(figsize=(width, height), dpi=120, facecolor="white")
    canvas(figure)
    for line, (index, number, head) in enumerate(heads):
        first = order.index(index)
        y = height - top - line * (panel + gap) - panel
        for column, (name, matrix) in enumerate(zip("VKQ", head.matrices, strict=True)):
            x = left + column * (panel + 1.0)
            axes = figure.add_axes((x / width, y / height, panel / width, panel / height))
            _draw_matrix(axes, matrix, scale)
            _name_columns(axes, model.rows[first], {b.col for b in matrix.blocks})
            if name == "V":
                _name_rows(axes, model.rows[first + 1], {b.row for b in matrix.blocks})
            else:
                _number_rows(axes, matrix)
            if line == 0:
                axes.set_title(f"$W_{name}$", fontsize=15, pad=10, color=_INK)
        where = [i + 1 for i, used in enumerate(order) if used == index]
        text = _spans(where)
        several = len(distinct[index].heads) > 1
        text += f", head {number}" if several else ""
        text += f"\n(names as in layer {where[0]})" if len(where) > 1 else ""
        middle = (y + panel / 2) / height
        figure.text(0.42 / width, middle, text, rotation=90, ha="center", va="center", fontsize=11.5, color=_INK)
    repeated = f", {len(distinct)} of them distinct" if len(distinct) < model.depth else ""
    _headline(
        figure, width, height,
        f"{model.name}: every {'attention ' if model.ffn_width else ''}weight of its {model.depth} layers{repeated}",
        f"A head adds $W_V H (W_K H)^T (W_Q H)$ to the residual stream $H$. Every matrix is {model.d_model} × {model.d_model} "
        "and zero outside its blocks (number) · identity.\n"
        "Columns: the named rows that are read. Rows of $W_V$: the named rows that are written. "
        "Rows of $W_K$, $W_Q$: coordinates in which tokens meet."
        + (f" Not drawn: feed-forward parts of up to {model.ffn_width} units." if model.ffn_width else ""),
    )  # fmt: skip
    _colour_bar(figure, scale, "weight", width, height, top)
    return save_figure(figure, path)


def plot_stream(model: Compiled, inputs: Mapping[str, Any], path: str | os.PathLike[str]) -> Path:
    """Draws the residual stream before the first and after every layer, rows labelled; returns the path.

    inputs: as for a call, without batch dimensions. Raises HeadwrightError when they have some.
    """
    figure_type, canvas = load_matplotlib()
    streams = residual_stream(model, inputs)
    sample = (v for stream in streams for v in stream[stream != 0][:: max(1, stream.size // 10000)])
    scale = SignedLog.over(sample, decades=9)
    columns = min(len(streams), 5)
    lines = math.ceil(len(streams) / columns)
    tall, wide, gap_x, gap_y = 1.7 + model.d_model / 60, 2.35, 0.95, 0.62
    top, bottom, left, right = 1.75, 0.6, 1.0, 1.35
    width, height = left + columns * (wide + gap_x) - gap_x + right, top + lines * (tall + gap_y) - gap_y + bottom
    figure: Figure = figure_type(figsize=(width, height), dpi=120, facecolor="white")
    canvas(figure)
    split = _narrow_tokens(streams[-1] != 0, model.n_tokens)
    edges = _token_edges(split, model.n_tokens)
    for number, (stream, labels) in enumerate(zip(streams, model.rows, strict=True)):
        x = left + (number % columns) * (wide + gap_x)
        y = height - top - (number // columns) * (tall + gap_y) - tall
        axes = figure.add_axes((x / width, y / height, wide / width, tall / height))
        shades = np.ma.masked_invalid(scale.shade(stream))
        axes.pcolormesh(edges, np.arange(model.d_model + 1), shades, cmap=scale.colours(), vmin=-1, vmax=1, rasterized=True)
        _frame(axes, 1.0, model.d_model)
        written = set(labels) - set(model.rows[number - 1]) if number else set(labels)
        _name_rows(axes, labels, {labels[name].start for name in written})
        if split:
            axes.axvline(edges[split], color=_GREY, linewidth=0.6, linestyle=(0, (2, 2)))
        marks = sorted({0, split, model.n_tokens})
        axes.set_xticks([edges[i] for i in marks], [str(i) for i in marks])
        axes.tick_params(axis="x", labelsize=8, length=2, colors=_GREY, pad=2)
        axes.set_title("encoded input" if number == 0 else f"after layer {number}", fontsize=10.5, color=_INK, pad=4)
    faint = min((float(np.abs(s[s != 0]).min()) for s in streams if s.any()), default=1.0) < 10.0**scale.low
    pale = f", palest: below $10^{{{scale.low}}}$" if faint else ""
    stretched = f" The first {split} are drawn wider." if split else ""
    _headline(
        figure, width, height,
        f"{model.name}: the residual stream over its {model.depth} layers",
        f"{model.d_model} rows by {model.n_tokens} tokens (left to right), computed with the dense weights.{stretched}\n"
        f"Bold: written by this layer. Rows without a name: no longer read. White: exactly 0{pale}.",
    )  # fmt: skip
    _colour_bar(figure, scale, "entry", width, height, top)
    return save_figure(figure, path)


def residual_stream(model: Compiled, inputs: Mapping[str, Any]) -> list[np.ndarray]:
    """H_0 … H_L, each of shape (d_model, n_tokens), computed with the dense weight matrices in float64."""
    module = model.torch_module().requires_grad_(False)
    H = torch.as_tensor(np.asarray(model.encode(**inputs), dtype=np.float64))
    if H.ndim != 2:
        raise HeadwrightError(
            f"the residual stream has shape {tuple(H.shape)}: expected {(model.d_model, model.n_tokens)}",
            fix="pass inputs without batch dimensions",
        )
    streams = [H.numpy()]
    for index in module.order:
        H = module.layers[index](H)
        streams.append(H.numpy())
    return streams


# -- matrices and names --------------------------------------------------------------------------------------------


def _draw_matrix(axes: Axes, matrix: BlockMatrix, scale: SignedLog) -> None:
    """The nonzero weights, a pale square behind every block, and its number in the square's upper right half."""
    from matplotlib.patches import Rectangle

    size, colours = matrix.d_model, scale.colours()
    for b in matrix.blocks:
        shade = float(scale.shade(np.array([float(b.coefficient)]))[0])
        tint = "#d6604d" if shade > 0 else "#4393c3"
        axes.add_patch(Rectangle((b.col, b.row), b.width, b.size, facecolor=tint, alpha=0.13, linewidth=0, zorder=1))
    shades = np.ma.masked_invalid(scale.shade(matrix.dense()))
    axes.imshow(shades, cmap=colours, vmin=-1, vmax=1, interpolation="nearest", extent=(0, size, size, 0), zorder=2)
    for b in (b for b in matrix.blocks if not b.matrix):
        inside = b.size > 0.13 * size
        at_edge = b.col + b.size > 0.8 * size
        text = _number(float(b.coefficient))
        fits = len(text) * 0.024 * size < 0.7 * b.size
        beside = b.col - 0.02 * size if at_edge else b.col + b.size + 0.02 * size
        x = b.col + (0.97 if fits else 0.3) * b.size if inside else beside
        y = b.row + 0.16 * b.size if inside else b.row + b.size / 2
        align = "right" if (inside and fits) or (not inside and at_edge) else "left"
        axes.text(x, y, text, fontsize=8, ha=align, va="center", color=_INK, zorder=4)
    _frame(axes, size, size)


def _number(value: float) -> str:
    text = f"{value:.2g}" if abs(value) < 0.01 or abs(value) >= 10000 else f"{value:.4g}"
    return re.sub(r"e([+-])0*(\d+)", lambda m: f"e{'−' * (m[1] == '-')}{m[2]}", text).replace("-", "−")


def _blocks(labels: Labels) -> list[tuple[int, int, str]]:
    """(first row, end, names) of every block that has a name, in order."""
    spans: dict[tuple[int, int], list[str]] = {}
    for name, rows in labels.items():
        spans.setdefault((rows.start, rows.stop), []).append(_pretty(name))
    return [(start, stop, ", ".join(names)) for (start, stop), names in sorted(spans.items())]


def _pretty(name: str) -> str:
    short = name if len(name) <= 11 else name[:10] + "…"
    return re.sub(r"^I_(\w+)$", r"$I_{\1}$", short)


def _name_rows(axes: Axes, labels: Labels, bold: set[int]) -> None:
    """Names beside the middle of their rows; names too close to each other move apart."""
    blocks, length = _blocks(labels), axes.get_ylim()[0]
    tall = axes.get_window_extent().height * 72 / axes.figure.dpi  # points
    places = _spread([(a + b) / 2 for a, b, _ in blocks], length * 10.5 / tall)
    left = -0.03 * axes.get_xlim()[1]
    for (start, stop, name), place in zip(blocks, places, strict=True):
        heavy = start in bold
        weight, colour = ("bold", _INK) if heavy else ("normal", _GREY)
        axes.text(left, place, name, ha="right", va="center", fontsize=8.5, color=colour, fontweight=weight)
        for edge in (start, stop):
            axes.axhline(edge, color=_LINE, linewidth=0.6, zorder=0.5)


def _name_columns(axes: Axes, labels: Labels, bold: set[int]) -> None:
    """Names below the middle of their columns, on a second line where the first is taken."""
    length = axes.get_xlim()[1]
    wide = axes.get_window_extent().width * 72 / axes.figure.dpi  # points
    ends = [-math.inf, -math.inf, -math.inf]
    for start, stop, name in _blocks(labels):
        middle, half = (start + stop) / 2, 0.5 * length * (5.4 * len(re.sub(r"[${}_\\]", "", name)) + 5) / wide
        line = next((i for i, end in enumerate(ends) if middle - half >= end), len(ends) - 1)
        ends[line] = middle + half
        heavy = start in bold
        axes.text(
            middle, length * (1.02 + 0.06 * line), name, ha="center", va="top", fontsize=8.5,
            color=_INK if heavy else _GREY, fontweight="bold" if heavy else "normal",
        )  # fmt: skip
        for edge in (start, stop):
            axes.axvline(edge, color=_LINE, linewidth=0.6, zorder=0.5)


def _number_rows(axes: Axes, matrix: BlockMatrix) -> None:
    for start, size in sorted({(b.row, b.size) for b in matrix.blocks}):
        text = str(start) if size == 1 else f"{start}–{start + size - 1}"
        axes.text(-0.03 * matrix.d_model, start + size / 2, text, ha="right", va="center", fontsize=8, color=_GREY)
        for edge in (start, start + size):
            axes.axhline(edge, color=_LINE, linewidth=0.6, zorder=0.5)


def _spread(places: list[float], gap: float) -> list[float]:
    """Positions at least `gap` apart, near the given ones, in the same order."""
    moved = list(places)
    for _ in range(200):
        close = [i for i in range(len(moved) - 1) if moved[i + 1] - moved[i] < gap - 1e-6]
        for i in close:
            missing = gap - (moved[i + 1] - moved[i])
            moved[i], moved[i + 1] = moved[i] - missing / 2, moved[i + 1] + missing / 2
        if not close:
            break
    return moved


# -- the token axis ------------------------------------------------------------------------------------------------


def _narrow_tokens(nonzero: np.ndarray, n_tokens: int) -> int:
    """How many leading tokens hold the narrow blocks, where the wide ones are more than three times wider; else 0."""
    reach = sorted({int(np.flatnonzero(row)[-1]) + 1 for row in nonzero if row.any()} | {n_tokens})
    jumps = [(wide / narrow, narrow) for narrow, wide in itertools.pairwise(reach) if narrow >= 4]
    ratio, narrow = max(jumps, default=(1.0, 0))
    return narrow if ratio > 3 else 0


def _token_edges(split: int, n_tokens: int) -> np.ndarray:
    """Token boundaries on [0, 1]: the first `split` tokens take 45 % of the width."""
    if not split:
        return np.linspace(0, 1, n_tokens + 1)
    return np.concatenate([np.linspace(0, 0.45, split + 1), np.linspace(0.45, 1, n_tokens - split + 1)[1:]])


# -- figures -------------------------------------------------------------------------------------------------------


def load_matplotlib(otherwise: str = "") -> tuple[Any, Any]:
    """The figure and canvas types. Raises HeadwrightError, with what to do (`otherwise` too), where matplotlib is missing."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        fix = f"pip install matplotlib {otherwise}".strip()
        raise HeadwrightError("pictures need matplotlib, which is not installed", fix=fix) from error
    return Figure, FigureCanvasAgg


def _frame(axes: Axes, width: float, height: float) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    for side in axes.spines.values():
        side.set_color("#9a9a9a")
        side.set_linewidth(0.7)


def _headline(figure: Figure, width: float, height: float, title: str, text: str) -> None:
    figure.text(0.3 / width, 1 - 0.25 / height, title, fontsize=16, color=_INK, va="top", fontweight="bold")
    figure.text(0.3 / width, 1 - 0.62 / height, text, fontsize=10.5, color="#555555", va="top", linespacing=1.5)


def _colour_bar(figure: Figure, scale: SignedLog, label: str, width: float, height: float, top: float) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    tall = min(height - top - 0.75, 6.5)
    axes = figure.add_axes((1 - 0.98 / width, 1 - (top + tall) / height, 0.16 / width, tall / height))
    bar = figure.colorbar(ScalarMappable(Normalize(-1, 1), scale.colours()), cax=axes)
    decades = np.arange(scale.low, scale.high + 1)[:: -max(1, math.ceil((scale.high - scale.low + 1) / 6))]
    levels = scale.shade(10.0**decades)
    bar.set_ticks([*(-levels), 0.0, *levels[::-1]])
    bar.set_ticklabels([*(f"$-10^{{{e}}}$" for e in decades), "0", *(f"$10^{{{e}}}$" for e in decades[::-1])])
    bar.minorticks_off()
    bar.ax.tick_params(labelsize=9, colors=_INK, length=2)
    bar.ax.set_title(label, fontsize=9.5, color=_INK, pad=8)
    bar.outline.set_linewidth(0.5)


def _spans(numbers: list[int]) -> str:
    """`layers 3–17`, `layer 1`, `layers 1, 4–6`."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    text = ", ".join(str(p[0]) if len(p) == 1 else f"{p[0]}–{p[-1]}" for p in parts)
    return f"layer{'s' * (len(numbers) > 1)} {text}"


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Writes a PNG, complete or not at all."""
    write_file(Path(path), lambda file: figure.savefig(file, format="png"))
    return Path(path)
