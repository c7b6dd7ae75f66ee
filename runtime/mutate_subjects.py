# mypy: disable-error-code="name-defined, type-arg, attr-defined, no-untyped-def, operator"
# ruff: noqa: F821, UP037
"""What `headwright mutate` changes: every construction at a small size, programs on other architectures, a few large models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

from .. import constructions
from ..compiler.architecture import GATED, MASKED, RELU_ATTENTION, SQUARED
from ..compiler.errors import CompileError
from ..compiler.functions import exp, relu, sigmoid, tanh
from ..compiler.program import Matrix, Vector, diag, eye, ones, program
from ..compiler.statements import bounded, signs
from .api import compile as compile_program
from .compiled import Compiled
from .subjects import all_subjects, describe

#: Sizes at which all changes of a weight can be tried; different ones, so that no dimension stands for another.
SMALL = {"n": 3, "d": 2, "m": 4}

#: Where the usual spectrum takes many equal layers, one that takes a few.
_FEW: dict[str, Any] = {"spectrum": (Fraction(1, 4), Fraction(1)), "tol": Fraction(1, 10)}
EASY = {"matrix_sign": _FEW, "polar_factor": _FEW}


@program
def products(A: Matrix["n", "d"], w: Vector["d"], v: Vector["n"]):
    """Entrywise products, a scaled matrix and a cube of a vector, exactly."""
    u = A @ w
    return {"cube": u * u * u, "gram": A.T @ diag(v) @ A, "mixed": A.T @ (u * v) - w}


@program
def sums(A: Matrix["n", "d"], y: Vector["n"], w: Vector["d"]):
    """Two steps of gradient descent, and a matrix."""
    r = y - A @ w
    x = w + A.T @ r / 2
    return {"x": x + A.T @ (y - A @ x) / 2, "S": A.T @ A - 3 * eye("d")}


@program
def network(A: Matrix["n", "d"], w: Vector["d"]):
    """Two ReLU layers with biases, and products between them."""
    z = relu(A @ w - ones("n") / 2)
    return {"z": z, "x": relu(A.T @ z + w) - w}


@program
def curvature(A: Matrix["n", "d"], x: Vector["d"]):
    """The Hessian of a logistic loss: units that stand for a function times a value."""
    bounded(A, rows=1.0)
    bounded(x, within=(-1, 1))
    p = sigmoid(A @ x)
    return A.T @ diag(p * (1 - p)) @ A


@program
def chained(A: Matrix["n", "d"], x: Vector["d"], y: Vector["n"]):
    """A function times a sign, a function of that, and a product of two values that are both approximate."""
    bounded(A, rows=1.0)
    bounded(x, within=(-1, 1))
    g = A.T @ (sigmoid(A @ x) * signs(y)) / 3
    return {"g": g, "outer": exp(g) * tanh(x)}


@dataclass(frozen=True)
class Subject:
    """A model to change."""

    title: str
    make: Callable[[], Compiled]


def subjects(only: Sequence[str] | None = None) -> list[Subject]:
    """All of them, or those whose titles begin with one of `only`. Raises CompileError where there is none for a name."""
    found = [*_constructions(), *_programs(), *_large()]
    if only is None:
        return found
    for name in only:
        if not any(subject.title.startswith(name) for subject in found):
            known = sorted({subject.title.split(" ")[0] for subject in found})
            raise CompileError(f"mutate knows no model {name!r}", fix=f"choose among {', '.join(known)}")
    return [subject for subject in found if subject.title.startswith(tuple(only))]


def _constructions() -> list[Subject]:
    out = []
    for name, values in all_subjects():
        small: dict[str, Any] = {k: SMALL[k] if k in SMALL and v is not None else v for k, v in values.items()}
        small |= EASY.get(name, {})
        if name == "logistic_newton" and (small["start"] == "input" or small["m"]):  # the large one has all that they have
            continue
        out.append(Subject(describe(name, small), partial(constructions.get(name).compile, **small)))
    return out


def _programs() -> list[Subject]:
    dims = {"n": 3, "d": 2}
    chosen = [(products, GATED), (products, SQUARED), (network, MASKED), (sums, RELU_ATTENTION)]
    twentieth = partial(compile_program, dims=dims, tol=1 / 20)
    return [
        *(
            Subject(f"{code.fn.__name__} on {arch.name} (n=3 d=2)", partial(compile_program, code, dims=dims, arch=arch))
            for code, arch in chosen
        ),
        *(
            Subject(f"{code.fn.__name__} (n=3 d=2 tol=1/20)", partial(twentieth, code))
            for code in (curvature, chained)
        ),
    ]


def _large() -> list[Subject]:
    thin = (Fraction(1, 10_000), Fraction(1))
    chosen: list[tuple[str, dict[str, Any]]] = [
        ("least_squares_minimal", {"n": 16, "d": 8, "spectrum": thin, "tol": Fraction(1, 100)}),
        ("least_squares", {"n": 24, "d": 6, "steps": 20, "alpha": Fraction(1, 1000)}),
        ("logistic_newton", {"n": 8, "d": 4, "mu": Fraction(1, 2), "steps": 6, "tol": Fraction(1, 100)}),
    ]
    return [
        Subject(f"{describe(name, values)}, large", partial(constructions.get(name).compile, **values))
        for name, values in chosen
    ]
