"""In-context least squares by Newton's method: Theorem 4.2 and Remark 4.4 of Giannou et al. 2024."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..compiler.program import Matrix, Vector, eye, program
from ..compiler.statements import spectrum
from .claims import GIANNOU, PaperClaim
from .parameters import STEPS, Parameter, size
from .registry import Construction, Variant


def _inverse(S, steps, alpha, init):
    """T Newton steps towards S⁻¹ from X_0 = alpha S ("gram", as in the paper) or alpha I ("identity")."""
    if init == "gram":
        spectrum(S, within=(0, (2 / alpha) ** 0.5), fix="compile with alpha < 2/λ_max(S)², or scale A down")
        X = alpha * S
    else:
        spectrum(S, within=(0, 2 / alpha), fix="compile with alpha < 2/λ_max(S), or scale A down")
        X = alpha * eye("d")
    for _ in range(steps):
        X = 2 * X - X @ S @ X
    return X


@program
def least_squares(A: Matrix["n", "d"], y: Vector["n"], q: Vector["d"], *, steps, alpha, init="gram"):
    S = A.T @ A
    X = _inverse(S, steps, alpha, init)
    return q @ X @ A.T @ y


@program
def least_squares_queries(A: Matrix["n", "d"], y: Vector["n"], Q: Matrix["m", "d"], *, steps, alpha, init="gram"):
    S = A.T @ A
    X = _inverse(S, steps, alpha, init)
    return Q @ X @ A.T @ y


@program
def ridge(A: Matrix["n", "d"], y: Vector["n"], q: Vector["d"], *, steps, alpha, mu, init="gram"):
    S = A.T @ A + mu * eye("d")
    X = _inverse(S, steps, alpha, init)
    return q @ X @ A.T @ y


@program
def ridge_queries(A: Matrix["n", "d"], y: Vector["n"], Q: Matrix["m", "d"], *, steps, alpha, mu, init="gram"):
    S = A.T @ A + mu * eye("d")
    X = _inverse(S, steps, alpha, init)
    return Q @ X @ A.T @ y


_THEOREM = PaperClaim(
    GIANNOU,
    "Theorem 4.2",
    "3 + T layers of 2 heads, width 4d + 3, for any n and d",
    depth="steps + 3",
    heads="2",
    rows="4*d + 3",
    corrected="the printed W_K of the Newton layers and both read-out layers are wrong; n < d needs padded tokens",
)
_REMARK = PaperClaim(
    GIANNOU,
    "Remark 4.4",
    "the construction of Theorem 4.2 with AᵀA + μI",
    depth="steps + 3",
    heads="2",
    rows="4*d + 3",
)


def _for_queries(claim: PaperClaim) -> PaperClaim:
    """The paper answers one query; for m of them in one pass the figure for rows is ours."""
    note = "for m queries in one pass the figure for rows is ours"
    return replace(claim, rows="4*d + 2 + Max(m, d)", corrected=f"{claim.corrected}; {note}".removeprefix("; "))


def _least_squares(values: Mapping[str, Any]) -> Variant:
    constants = {name: values[name] for name in ("steps", "alpha", "init")}
    if values["m"] is None:
        return Variant(least_squares, constants)
    return Variant(least_squares_queries, constants, claim=_for_queries(_THEOREM))


def _ridge(values: Mapping[str, Any]) -> Variant:
    constants = {name: values[name] for name in ("steps", "alpha", "mu", "init")}
    if values["m"] is None:
        return Variant(ridge, constants)
    return Variant(ridge_queries, constants, claim=_for_queries(_REMARK))


_SIZES = (
    size("n", "examples in context"),
    size("d", "features"),
    Parameter("m", "size", "queries answered in one pass: input Q (m × d); without it one query, input q", default=None),
    STEPS,
    Parameter("alpha", "positive", 'initial scale: X_0 = alpha S, or alpha I with init="identity"'),
)
_INIT = Parameter("init", "choice", "the start X_0 = alpha S (the paper) or alpha I", "gram", ("gram", "identity"))

CONSTRUCTIONS = (
    Construction(
        "least_squares",
        "predicts q·w with w the least-squares solution of Aw ≈ y, by T Newton steps on AᵀA",
        least_squares,
        _THEOREM,
        (*_SIZES, _INIT),
        _least_squares,
    ),
    Construction(
        "ridge",
        "the same with AᵀA + mu I: ridge regression",
        ridge,
        _REMARK,
        (*_SIZES, Parameter("mu", "nonnegative", "ridge penalty"), _INIT),
        _ridge,
    ),
)
