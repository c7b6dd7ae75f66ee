"""Newton–Schulz iterations for inverses and pseudo-inverses: Lemma 4.1 and eq. (3.4) of Giannou et al. 2024."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import matmul
from typing import Any

from ..compiler.program import Matrix, eye, program
from ..compiler.statements import spectrum
from .claims import GIANNOU, PaperClaim
from .parameters import STEPS, Parameter, size
from .registry import Construction, Variant

_ALPHA = Parameter("alpha", "positive", "initial scale: X_0 = alpha Aᵀ, below 2/λ_max(AᵀA)")
_FIX = "compile with alpha < 2/λ_max(AᵀA), or scale A down"


def _newton_steps(A, X, steps):
    """X ← 2X − XAX, eq. (3.3)."""
    for _ in range(steps):
        X = 2 * X - X @ A @ X
    return X


@program
def newton_inverse(A: Matrix["d", "d"], *, steps, alpha):
    S = A.T @ A
    spectrum(S, within=(0, 2 / alpha), fix=_FIX)
    return _newton_steps(A, alpha * A.T, steps)


@program
def newton_inverse_from(A: Matrix["d", "d"], X0: Matrix["d", "d"], *, steps):
    return _newton_steps(A, X0, steps)


@program
def pseudo_inverse(A: Matrix["n", "d"], *, steps, alpha):
    S = A.T @ A
    spectrum(S, within=(0, 2 / alpha), fix=_FIX)
    return _newton_steps(A, alpha * A.T, steps)


@program
def newton_inverse_order(A: Matrix["d", "d"], *, order, steps, alpha):
    S = A.T @ A
    spectrum(S, within=(0, 2 / alpha), fix=_FIX)
    I = eye("d")
    X = alpha * A.T
    E = I - A @ X
    for _ in range(steps):
        series = I
        for _ in range(order - 1):
            series = I + E @ series
        X, E = X @ series, reduce(matmul, [E] * order)
    return X


@program
def newton_inverse_order_literal(A: Matrix["d", "d"], *, order, steps, alpha):
    S = A.T @ A
    spectrum(S, within=(0, 2 / alpha), fix=_FIX)
    I = eye("d")
    X = alpha * A.T
    for _ in range(steps):
        series = I
        for _ in range(order - 1):
            series = I + (I - A @ X) @ series
        X = X @ series
    return X


def _newton(values: Mapping[str, Any]) -> Variant:
    if values["start"] == "input":
        return Variant(newton_inverse_from, {"steps": values["steps"]})
    return Variant(newton_inverse, {"steps": values["steps"], "alpha": values["alpha"]})


def _pseudo(values: Mapping[str, Any]) -> Variant:
    return Variant(pseudo_inverse, {"steps": values["steps"], "alpha": values["alpha"]})


_KEPT = PaperClaim(
    GIANNOU,
    "eq. (3.4)",
    "the iteration of order n; no layer count",
    depth="Max(1, 1 + steps*ceiling(log(order, 3)))",
    corrected="the figure is ours: with E = I − AX kept in the stream, ⌈log₃ order⌉ layers a step and one to form E",
)
_LITERAL = PaperClaim(
    GIANNOU,
    "eq. (3.4)",
    "the iteration of order n; no layer count",
    depth="Max(1, steps*ceiling(log(2*order - 1, 3)))",
    corrected="the figure is ours: a step has degree 2·order − 1 in X and A, and a layer at most triples a degree",
)


def _order(values: Mapping[str, Any]) -> Variant:
    constants = {name: values[name] for name in ("order", "steps", "alpha")}
    if values["keep"] == "residual":
        return Variant(newton_inverse_order, constants)
    return Variant(newton_inverse_order_literal, constants, optimize="depth", claim=_LITERAL)


CONSTRUCTIONS = (
    Construction(
        "newton_inverse",
        "T Newton–Schulz steps X ← 2X − XAX towards the inverse of any square A",
        newton_inverse,
        PaperClaim(
            GIANNOU,
            "Lemma 4.1",
            "one step of Newton's iteration in 2 layers of 2 heads, width 4d",
            depth="2*Max(steps, 1)",
            heads="2",
            rows="4*d",
            corrected="one layer with one head and 3d rows does a step for every square A; the symmetric case is not special",
        ),
        (
            size("d", "rows and columns of A"),
            STEPS,
            Parameter("alpha", "positive", _ALPHA.meaning, default=None),
            Parameter("start", "choice", 'X_0 = alpha Aᵀ, or "input": X0 is a run-time input', "alpha", ("alpha", "input")),
        ),
        _newton,
        needs=lambda values: () if values["start"] == "input" else ("alpha",),
    ),
    Construction(
        "pseudo_inverse",
        "T Newton–Schulz steps towards the pseudo-inverse of a rectangular or rank-deficient A",
        pseudo_inverse,
        PaperClaim(
            GIANNOU, "eq. (3.3)", "the iteration, for a square A", error="0 (an identity); the limit is the pseudo-inverse"
        ),
        (size("n", "rows of A"), size("d", "columns of A"), STEPS, _ALPHA),
        _pseudo,
    ),
    Construction(
        "newton_inverse_order",
        "T steps of order 2 to 10: the residual I − AX is raised to that power in every step",
        newton_inverse_order,
        _KEPT,
        (
            size("d", "rows and columns of A"),
            Parameter("order", "size", "power of the residual", low=2, high=10),
            STEPS,
            _ALPHA,
            Parameter(
                "keep",
                "choice",
                'keep the residual E, or "nothing": the formula as printed',
                "residual",
                ("residual", "nothing"),
            ),
        ),
        _order,
    ),
)
