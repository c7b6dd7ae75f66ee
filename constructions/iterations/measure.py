"""Measured rounding floors: iterations compiled to layers, run in float32 and float64, their residuals formed exactly.

`python -m headwright.constructions.iterations.measure` prints the table of docs/reference/iterations.md (minutes).
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

import mpmath
import numpy as np

from ...compiler.program import Matrix, program
from ...compiler.statements import symmetric
from ...runtime.api import compile as compile_program
from ...runtime.compiled import Compiled
from .base import Iteration
from .library import get, names

#: Tolerance of the schedules that are measured: what is left is rounding.
_CONVERGED = Fraction(1, 10**17)


@program
def on_symmetric(S: Matrix["d", "d"], *, iteration, l, u, extra):
    symmetric(S)
    return _extended(iteration, l, u, extra).run(S)


@program
def on_any(A: Matrix["n", "d"], *, iteration, l, u, extra):
    return _extended(iteration, l, u, extra).run(A)


def _extended(name: str, l: Any, u: Any, extra: int) -> Any:
    iteration = get(name)
    return iteration.fixed(len(iteration.schedule(l, u, _CONVERGED).steps) + extra, l, u)


@cache
def compiled(name: str, kappa: float, d: int, extra: int = 0) -> Compiled:
    """The iteration on [1/(2κ), 1.001], converged plus `extra` steps, as layers. The margins are for rounding of the data."""
    polar = get(name).target == "polar"
    sizes = {"n": 2 * d, "d": d} if polar else {"d": d}
    l, u = Fraction(1, 2) / Fraction(kappa), Fraction(1001, 1000)
    return compile_program(on_any if polar else on_symmetric, dims=sizes, iteration=name, l=l, u=u, extra=extra)


def data(iteration: Iteration, kappa: float, d: int, dtype: Any, seed: int) -> np.ndarray:
    """A random matrix with singular values (or absolute eigenvalues) spaced geometrically from 1/κ to 1, in that format."""
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.normal(size=(d, d)))
    values = np.geomspace(1 / kappa, 1, d)
    if iteration.target == "polar":
        U, _ = np.linalg.qr(rng.normal(size=(2 * d, d)))
        return np.asarray((U * values) @ Q.T, dtype)
    signs = rng.choice([-1, 1], size=d) if iteration.target == "sign" else 1
    S = (Q * (signs * values)) @ Q.T
    return np.asarray((S + S.T) / 2, dtype)


def residual(iteration: Iteration, value: np.ndarray, X: np.ndarray) -> float:
    """The residual of a computed X for the matrix that was given, without rounding errors of its own that matter."""
    if iteration.target in ("sign", "polar"):
        return float(np.abs(np.linalg.svd(X.astype(np.float64), compute_uv=False) - 1).max())
    exact_X, factor = _exact(X), _exact(value)
    if iteration.target == "inverse_sqrt":
        with mpmath.workdps(50):
            eigenvalues, Q = mpmath.eigsy(mpmath.matrix(value.astype(float).tolist()))
            root = Q * mpmath.diag([mpmath.sqrt(x) for x in eigenvalues]) * Q.T
            product = root * mpmath.matrix(X.astype(float).tolist())
            left = np.array((mpmath.eye(len(X)) - product).tolist(), dtype=float)
    else:
        left = (_exact(np.eye(len(X))) - factor.dot(exact_X)).astype(float)
    return float(np.linalg.norm(left, 2))


def _exact(array: np.ndarray) -> np.ndarray:
    return np.array([[Fraction(float(x)) for x in row] for row in array], dtype=object)


def floor(name: str, dtype: Any, kappa: float, d: int = 10, seeds: int = 5, extra: int = 0) -> float:
    """The largest residual over the seeds, after `extra` steps more than exact arithmetic needs."""
    iteration, model = get(name), compiled(name, kappa, d, extra)
    found = []
    for seed in range(seeds):
        value = data(iteration, kappa, d, dtype, seed)
        found.append(residual(iteration, value, model.run({model.artifact.graph.inputs[0].name: value}, check=False)))
    return max(found)


def main() -> None:
    kappas = (1e2, 1e4, 1e6)
    print("| iteration | format |" + "".join(f" κ = {kappa:.0e} |" for kappa in kappas) + " ratio to the model |")
    print("|---|---|" + "---|" * (len(kappas) + 1))
    for name in names():
        for dtype in (np.float64, np.float32):
            cells = [floor(name, dtype, kappa) for kappa in kappas]
            ratios = [cell / get(name).floor(dtype, kappa) for cell, kappa in zip(cells, kappas, strict=True)]
            text = "".join(f" {cell:.1e} |" for cell in cells)
            print(f"| {name} | {dtype.__name__} |{text} {min(ratios):.2f}–{max(ratios):.2f} |", flush=True)


if __name__ == "__main__":
    main()
