"""The loss of compiled Newton steps against layers: `python -m headwright.runtime.loss_plot FILE`.

As in Giannou et al. 2024, Figures 1 and 7, left. Each point is a compiled transformer of so many steps that was run on
the data; nothing is read from inside a model.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import constructions
from ..compiler.errors import HeadwrightError
from . import atomic
from .plots import load_matplotlib, save_figure
from .progress import track


@dataclass(frozen=True)
class Problem:
    """Regularised logistic regression: f(x) = mean log(1 + exp(−y a·x)) + μ/2 ‖x‖², rows of A of norm at most 1."""

    A: np.ndarray
    y: np.ndarray
    mu: float

    def loss(self, x: np.ndarray) -> float:
        return float(np.logaddexp(0, -self.y * (self.A @ x)).mean() + self.mu / 2 * x @ x)

    def step(self, x: np.ndarray, damped: bool = True) -> np.ndarray:
        """One (damped) Newton step in float64."""
        n, d = self.A.shape
        p = 1 / (1 + np.exp(self.y * (self.A @ x)))
        g = -(self.A.T @ (self.y * p)) / n + self.mu * x
        H = self.A.T @ (self.A * (p * (1 - p))[:, None]) / n + self.mu * np.eye(d)
        v = np.linalg.solve(H, g)
        root = 2 * np.sqrt(self.mu)
        step: np.ndarray = x - (root / (root + np.sqrt(g @ v)) if damped else 1.0) * v
        return step

    def gaps(self, points: Sequence[np.ndarray]) -> list[float]:
        """f(x) − f*, not below what float64 resolves; f* by Newton steps to a fixed point."""
        best = np.zeros(self.A.shape[1])
        for _ in range(60):
            best = self.step(best, damped=False)
        return [max(self.loss(x) - self.loss(best), 1e-16) for x in points]


def problem(n: int = 26, d: int = 5, mu: float = 0.5, seed: int = 0) -> Problem:
    """Random rows in the unit ball, labels of a random linear rule with a tenth of them turned."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, d))
    y = np.sign(A @ rng.standard_normal(d)) * np.where(rng.random(n) < 0.1, -1, 1)
    return Problem(A / np.linalg.norm(A, axis=1).max(), y, mu)


def compiled_losses(given: Problem, tol: float, steps: int) -> tuple[list[int], list[float], float]:
    """Layers, f(x_t) − f* of the compiled models of 1 … steps steps, and the certified bound of the last."""
    layers, points, bound = [0], [np.zeros(given.A.shape[1])], 0.0
    n, d = given.A.shape
    for count in track(range(1, steps + 1), f"loss at {tol:g}", unit="model"):
        model = constructions.get("logistic_newton").compile(n=n, d=d, mu=given.mu, tol=tol, steps=count)
        layers.append(model.depth)
        points.append(model(A=given.A, y=given.y)["w"])
        assert model.theory is not None
        bound = (given.mu + 0.25) / 2 * float(model.theory.distance) ** 2  # the loss bends at most this much
    return layers, given.gaps(points), bound


def plot_loss(path: str | Path, tols: Sequence[float] = (1e-2, 1e-3), steps: int = 4, given: Problem | None = None) -> Path:
    """Draws f(x_t) − f* against layers: exact damped Newton, and compiled models at some tolerances; returns the path."""
    given = problem() if given is None else given
    runs = [(tol, *compiled_losses(given, tol, steps)) for tol in tols]
    exact = [np.zeros(given.A.shape[1])]
    for _ in range(steps):
        exact.append(given.step(exact[-1]))
    figure_type, canvas = load_matplotlib()
    figure: Any = figure_type(figsize=(7.2, 4.4), dpi=110, facecolor="white")
    canvas(figure)
    axes = figure.add_axes((0.115, 0.13, 0.86, 0.79))
    layers = runs[-1][1]  # of the most accurate run, which follows the exact steps longest
    axes.plot(
        layers, given.gaps(exact), color="#222222", lw=1.2, marker="o", ms=7, mfc="white", label="exact damped Newton steps"
    )
    for (tol, at, gaps, bound), colour in zip(runs, ("#c0392b", "#2471a3", "#27824a"), strict=False):
        text = f"transformer, each step within {tol:g}"
        axes.plot(at, gaps, color=colour, lw=1.2, marker="o", ms=4, label=text)
        axes.axhline(bound, color=colour, lw=0.9, ls=(0, (4, 3)))
        axes.text(0, bound * 1.3, f"certified for $x_{{{steps}}}$ at {tol:g}", color=colour, fontsize=8.5)
    axes.set_yscale("log")
    axes.set_xticks(sorted({at for _, run, _, _ in runs for at in run}))
    axes.grid(axis="both", color="#ebebeb", lw=0.7)
    axes.set_axisbelow(True)
    n, d = given.A.shape
    axes.set_xlabel("layers (a mark for every step)", fontsize=10)
    axes.set_ylabel("$f(x_t) - f^*$", fontsize=10)
    axes.set_title(f"Logistic regression in context, n = {n}, d = {d}, μ = {given.mu:g}", fontsize=11.5, loc="left")
    axes.legend(fontsize=9, frameon=False, loc="lower left")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return save_figure(figure, path)


def main(argv: Sequence[str] | None = None) -> int:
    """Draws the picture of the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m headwright.runtime.loss_plot", description="Draws loss against layers.")
    parser.add_argument("file", metavar="FILE", nargs="?", default="loss.png", help="the picture (default: %(default)s)")
    path = Path(parser.parse_args(argv).file)
    try:
        with atomic.output_folder(path.parent):
            print(plot_loss(path))
    except HeadwrightError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
