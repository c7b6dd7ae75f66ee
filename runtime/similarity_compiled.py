"""The algorithms of `similarity` beside compiled transformers, on a few prompts.

Weights hold α, the rates and the spectrum, which depend on the prompt here; so a model is compiled for every prompt.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import constructions
from ..compiler.errors import PrecisionWarning
from .outside import run_model
from .similarity import Moments, chebyshev, draw, gradient_descent, newton

D, N, PROMPTS, STEPS, RATE = 4, 10, 3, 6, 0.02


@dataclass(frozen=True)
class Match:
    """A compiled construction and the algorithm here. difference: the largest between predictions, relative to the largest."""

    construction: str
    family: str
    steps: int
    layers: int
    prompts: int
    difference: float


def compiled_matches(seed: int = 0) -> list[Match]:
    """The first- and second-order algorithms, each as dense weights run by the outside evaluator, in float64."""
    X, y = draw(np.random.default_rng([seed, 7]), 1.0, PROMPTS, N, D)
    moments = Moments.of(X, y)
    S = moments.S[:, -1]
    alphas = 2 / np.linalg.norm(S @ S, axis=(-2, -1))
    ends = np.linalg.eigvalsh(S)[:, [0, -1]]
    second, first = newton(moments, [STEPS], np.float64)[0][:, -1], gradient_descent(moments, STEPS, RATE)[:, -1]
    rules: dict[str, tuple[str, np.ndarray, Callable[[int], dict[str, Any]]]] = {
        "gradient_descent": ("gradient descent", first, lambda i: {"rate": RATE * N}),  # its rate is divided by n
        "newton_relu_attention": ("Newton", second, lambda i: {"alpha": float(alphas[i])}),
        "least_squares": ("Newton", second, lambda i: {"alpha": float(alphas[i]), "init": "gram"}),
        "chebyshev": ("Chebyshev", chebyshev(moments, STEPS)[:, -1], lambda i: {"spectrum": tuple(map(float, ends[i]))}),
    }
    return [_match(name, X, y, *rule) for name, rule in rules.items()]


def _match(
    name: str, X: np.ndarray, y: np.ndarray, family: str, weights: np.ndarray, given: Callable[[int], dict[str, Any]]
) -> Match:
    want, found, layers = (weights * X[:, -1]).sum(-1), [], 0
    construction = constructions.get(name)
    for prompt, labels, index in zip(X, y, range(len(X)), strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PrecisionWarning)  # the difference is measured
            model = construction.compile(n=N, d=D, m=1, steps=STEPS, **given(index))
            read = model.decode(run_model(model, model.encode(A=prompt[:-1], y=labels[:-1], Q=prompt[-1:])))
        found.append(float(np.ravel(read["prediction"] if isinstance(read, dict) else read)[0]))
        layers = model.depth
    difference = float(np.abs(np.array(found) - want).max() / np.abs(want).max())
    return Match(name, family, STEPS, layers, len(X), difference)
