"""The gradient-descent family on masked linear attention: one step a layer, one head, d + 1 rows.

Tokens are the examples (x_j, y_j) and then the queries (x, 0); only the examples are keys. The last row holds the residual
y_j − ⟨w, x_j⟩ of examples, and −⟨w, x⟩ of queries, so that the same head serves both: r_t ← r_t − (η/n) Σ_j r_j ⟨x_j, x_t⟩.
Sources: von Oswald et al. 2023a (gradient descent), Ahn et al. 2023 (Lemma 2, Theorems 1 and 5), von Oswald et al. 2023b
(Neumann series).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from ..compiler.architecture import ARCHITECTURES, MASKED, MASKED_ATTENTION
from ..compiler.errors import CompileError, ConventionWarning
from ..compiler.program import Matrix, Vector, dim, program, vstack, zeros
from ..proofs_check.ahn_descent import optimal_gd_plus_plus
from ..proofs_check.ahn_optimum import inverse as exact_inverse
from .claims import AHN, PaperClaim
from .descent import gd_plus_plus_interval, gd_plus_plus_interval_apart, plan_descent
from .minimax import check_interval
from .parameters import STEPS, Parameter, as_sequence, exact_matrix, size
from .registry import Construction, Variant

#: With more steps, polynomials have more terms than the compiler writes out.
MOST_SHALLOW = 20

#: Architectures without a key mask: queries need rows of their own.
_ALL_KEYS = tuple(a.name for a in ARCHITECTURES if a.key_mask is None)

SIZES = (
    size("n", "examples in context"),
    size("d", "features"),
    size("m", "queries in one pass: input Q (m × d)"),
)


@program
def gradient_descent(A: Matrix["n", "d"], y: Vector["n"], Q: Matrix["m", "d"], *, rates):
    n, Z, r = dim("n"), vstack(A, Q), vstack(y, zeros("m"))
    for rate in rates:
        r = r - rate / n * Z @ (Z[:n].T @ r[:n])
    return {"prediction": -r[n:]}


@program
def heavy_ball(A: Matrix["n", "d"], y: Vector["n"], Q: Matrix["m", "d"], *, rates, momentum):
    n, Z, r = dim("n"), vstack(A, Q), vstack(y, zeros("m"))
    v = -rates[0] / n * Z @ (Z[:n].T @ r[:n])
    r = r + v
    for rate in rates[1:]:
        v = momentum * v - rate / n * Z @ (Z[:n].T @ r[:n])
        r = r + v
    return {"prediction": -r[n:]}


@program
def gradient_descent_shallow(A: Matrix["n", "d"], y: Vector["n"], Q: Matrix["m", "d"], *, rates, momentum):
    """The same polynomial of A, y and Q, with examples and queries apart: the compiler may multiply steps out."""
    n, r, p, earlier = dim("n"), y, zeros("m"), None
    for rate in rates:
        v, u = -rate / n * A @ (A.T @ r), rate / n * Q @ (A.T @ r)
        if momentum and earlier is not None:
            v, u = momentum * (r - earlier[0]) + v, momentum * (p - earlier[1]) + u
        r, p, earlier = r + v, p + u, (r, p)
    return {"prediction": p}


@program
def preconditioned_gradient_descent(A: Matrix["n", "d"], y: Vector["n"], Q: Matrix["m", "d"], *, preconditioners):
    n, Z, r = dim("n"), vstack(A, Q), vstack(y, zeros("m"))
    for A_i in preconditioners:
        r = r + Z @ A_i.T @ (Z[:n].T @ r[:n]) / n
    return {"prediction": -r[n:]}


@program
def gd_plus_plus(A: Matrix["n", "d"], y: Vector["n"], Q: Matrix["m", "d"], *, preconditioners, b):
    n, Z, r = dim("n"), vstack(A, Q), vstack(y, zeros("m"))
    for A_i, b_i in zip(preconditioners, b, strict=True):
        X = Z[:n]
        r, Z = r + Z @ A_i.T @ (X.T @ r[:n]) / n, Z + b_i / n * Z @ A_i.T @ (X.T @ X)
    return {"prediction": -r[n:]}


@program
def gd_plus_plus_apart(A: Matrix["n", "d"], y: Vector["n"], Q: Matrix["m", "d"], *, preconditioners, b):
    """The same, with examples and queries in rows of their own: for machines on which every token is a key."""
    n, r, p, X, V = dim("n"), y, zeros("m"), A, Q
    for A_i, b_i in zip(preconditioners, b, strict=True):
        r, p, X, V = (
            r + X @ A_i.T @ (X.T @ r) / n,
            p - V @ A_i.T @ (X.T @ r) / n,
            X + b_i / n * X @ A_i.T @ (X.T @ X),
            V + b_i / n * V @ A_i.T @ (X.T @ X),
        )
    return {"prediction": p}


@program
def neumann(A: Matrix["n", "d"], y: Vector["n"], Q: Matrix["m", "d"], *, steps, alpha):
    n, Z, E = dim("n"), vstack(A, Q), vstack(A, Q)
    X, p = Z[:n], alpha * Z @ (Z[:n].T @ y)
    for _ in range(steps - 1):
        E = E - alpha * E @ (X.T @ X)
        p = p + alpha * E @ (X.T @ y)
    return {"prediction": p[n:]}


# -- arguments ---------------------------------------------------------------------------------------------------------


def _rates(values: Mapping[str, Any]) -> tuple[Fraction, ...]:
    """One rate for every step. Raises CompileError where there are several, and not as many as steps."""
    rates = as_sequence(values["rate"])
    if not isinstance(values["rate"], tuple):
        rates = rates * values["steps"]
    if len(rates) != values["steps"]:
        what = f"gradient_descent: rate has {len(rates)} numbers and steps is {values['steps']}"
        raise CompileError(what, fix="give one rate for all steps, or one for each")
    return tuple(Fraction(rate) for rate in rates)


def _gradient_descent(values: Mapping[str, Any]) -> Variant:
    rates, momentum = _rates(values), Fraction(values["momentum"])
    if momentum >= 1:
        what = f"gradient_descent: momentum is {values['momentum']!r}: expected a number of at least 0 below 1"
        raise CompileError(what, fix="pass momentum=0 for plain gradient descent, or 0.9")
    if values["prefer"] == "layers":
        if values["steps"] > MOST_SHALLOW:
            what = f"gradient_descent: prefer is 'layers' and steps is {values['steps']}: expected at most {MOST_SHALLOW}"
            raise CompileError(what, fix="take fewer steps, or prefer='rows'")
        return Variant(gradient_descent_shallow, {"rates": rates, "momentum": momentum}, "depth", _SHALLOW)
    if not momentum or not rates:
        return Variant(gradient_descent, {"rates": rates})
    return Variant(heavy_ball, {"rates": rates, "momentum": momentum}, claim=_HEAVY_BALL, arch=MASKED)


def _matrices(name: str, given: tuple[Any, ...], d: int) -> list[np.ndarray]:
    found = []
    for index, one in enumerate(given):
        try:
            found.append(exact_matrix(one, d))
        except CompileError as error:
            raise CompileError(f"{name}: preconditioners[{index}]: {error.what}", fix=f"d is {d}") from error
        if (found[-1] != found[-1].T).any():
            text = f"{name}: preconditioners[{index}] is not symmetric: w moves by its transpose (in Lemma 2 it is symmetric)"
            warnings.warn(text, ConventionWarning, stacklevel=5)
    return found


def _preconditioned(values: Mapping[str, Any]) -> Variant:
    name = "preconditioned_gradient_descent"
    matrices = _matrices(name, values["preconditioners"], values["d"])
    for index, matrix in enumerate(matrices):
        eigenvalues = np.linalg.eigvalsh((matrix + matrix.T).astype(float) / 2)
        if eigenvalues[0] >= 0 and eigenvalues[-1] > 0:
            text = (
                f"{name}: preconditioners[{index}] is positive, with the eigenvalue {eigenvalues[-1]:.3g}: w moves up the "
                "gradient (a step of rate η is −η I: Lemma 2 has the minus sign in A)"
            )
            warnings.warn(text, ConventionWarning, stacklevel=4)
    return Variant(preconditioned_gradient_descent, {"preconditioners": matrices})


def inverse(name: str, sigma: Any, d: int) -> np.ndarray:
    """Σ⁻¹ (d, d), dtype object. Exact; where entries are floats that are no short fractions, the inverse is rounded to
    floats."""
    try:
        full = exact_matrix(sigma, d)
    except CompileError as error:
        raise CompileError(f"{name}: sigma: {error.what}", fix=f"d is {d}") from error
    return inverted(full)


def inverted(matrix: np.ndarray) -> np.ndarray:
    """The inverse of a matrix of Fractions: exact where its entries are short, else rounded to floats."""
    if all(c.denominator.bit_length() + c.numerator.bit_length() <= 40 for c in matrix.ravel()):
        return exact_inverse(matrix)
    rounded = np.linalg.inv(matrix.astype(float))
    wrong = np.abs(rounded @ matrix.astype(float) - np.eye(len(matrix))).max()
    if not wrong <= 1e-6:
        raise CompileError(
            f"sigma is too near to a singular matrix: its inverse in floats is off by {wrong:.1e} (in Σ⁻¹ Σ)",
            fix="pass Fractions, or add a ridge to sigma",
        )
    symmetric: np.ndarray = np.vectorize(Fraction, otypes=[object])((rounded + rounded.T) / 2)
    return symmetric


def optimal_preconditioner(sigma: Any, n: int, d: int) -> np.ndarray:
    """A_0 = −((n + 1)/n Σ + tr(Σ)/n I)⁻¹, the global optimum for one layer: Ahn et al. (2023), Theorem 1. Shape (d, d)."""
    full = exact_matrix(sigma, d)
    found: np.ndarray = -inverted(Fraction(n + 1, n) * full + Fraction(sum(np.diag(full))) / n * exact_matrix(1, d))
    return found


def _optimal(values: Mapping[str, Any]) -> Variant:
    n, d = values["n"], values["d"]
    inverse("optimal_single_layer", values["sigma"], d)  # its size
    A_0 = optimal_preconditioner(values["sigma"], n, d)
    return Variant(preconditioned_gradient_descent, {"preconditioners": [A_0]})


def _plus_plus_needs(values: Mapping[str, Any]) -> tuple[str, ...]:
    if values["spectrum"] is not None or values["tol"] is not None:
        return "spectrum", "tol"
    return ("sigma", "layers") if values["a"] is None and values["b"] is None else ("sigma",)


def _for_interval(values: Mapping[str, Any]) -> Variant:
    """The numbers follow from the spectral interval."""
    for name in ("a", "b", "sigma", "layers"):
        if values[name] is not None:
            what = f"gd_plus_plus: {name} is given beside spectrum, from which all numbers follow"
            raise CompileError(what, fix=f"leave {name} out, or spectrum and tol")
    given = {"spectrum": values["spectrum"], "tol": values["tol"]}
    layers = len(plan_descent(check_interval("gd_plus_plus", *given.values())).steps)
    elsewhere = dict.fromkeys(_ALL_KEYS, gd_plus_plus_interval_apart)
    return Variant(gd_plus_plus_interval, given, claim=replace(_INTERVAL, depth=str(layers)), elsewhere=elsewhere)


def _plus_plus(values: Mapping[str, Any]) -> Variant:
    if values["spectrum"] is not None:
        return _for_interval(values)
    a, b = values["a"], values["b"]
    if a is None:
        if b is not None:
            raise CompileError("gd_plus_plus: a is missing beside b", fix="give a and b, or neither, and layers")
        best = optimal_gd_plus_plus(values["n"], values["d"], values["layers"])
        a, b = best.a, best.b
    if values["layers"] not in (None, len(a)):
        raise CompileError(f"gd_plus_plus: layers is {values['layers']} and a has {len(a)} numbers", fix="give one of them")
    b = () if b is None else b
    if len(b) == len(a) - 1:  # what the last layer does to x is not read
        b = (*b, 0)
    if len(a) != len(b):
        raise CompileError(f"gd_plus_plus: a has {len(a)} numbers and b has {len(b)}", fix="give b as many as a, or one fewer")
    inverted_sigma = inverse("gd_plus_plus", values["sigma"], values["d"])
    constants = {"preconditioners": [Fraction(a_i) * inverted_sigma for a_i in a], "b": tuple(map(Fraction, b))}
    elsewhere = dict.fromkeys(_ALL_KEYS, gd_plus_plus_apart)
    return Variant(gd_plus_plus, constants, claim=replace(_PLUS_PLUS, depth=str(len(a))), elsewhere=elsewhere)


def _neumann(values: Mapping[str, Any]) -> Variant:
    return Variant(neumann, {"steps": values["steps"], "alpha": Fraction(values["alpha"])})


# -- claims ------------------------------------------------------------------------------------------------------------


_OSWALD = PaperClaim(
    "von Oswald et al. 2023a",
    "Proposition 1, repeated",
    "a layer of linear self-attention takes a gradient step",
    depth="steps",
    heads="1",
    rows="d + 1",
)
_SHALLOW = PaperClaim(
    "ours",
    "steps multiplied out",
    "the predictions are polynomials of degree 2·steps + 1, and a layer triples a degree: no fewer layers exist",
    depth="ceiling(log(2*steps + 1, 3))",
)
_OSWALD_LINEAR = PaperClaim("ours", "eq. (3.1) without a mask", "examples stand twice", "steps", "1", "2*d + 1")
_HEAVY_BALL = PaperClaim("Polyak 1964", "heavy ball", "the iteration; the figures are ours", "steps", "1", "d + 2", width="4")


_PRECONDITIONED = PaperClaim(
    AHN,
    "Lemma 2",
    "every layer takes a step of preconditioned gradient descent",
    depth="preconditioners",
    heads="1",
    rows="d + 1",
)
_PLUS_PLUS = PaperClaim(
    AHN,
    "Theorem 5",
    "A_i ∝ Σ⁻¹ and B_i ∝ I contain a critical point: gradient steps, and a step that improves the condition of the data",
    depth="layers",
    heads="1",
    rows="d + 1",
)
_INTERVAL = PaperClaim(
    "ours",
    "GD++ for a spectral interval",
    "the fewest layers for which the residual is proved to be within tol",
    heads="1",
    rows="d + 1",
    error="‖I − SX‖₂ ≤ tol on the spectral interval",
)
_OPTIMAL = PaperClaim(
    AHN, "Theorem 1", "a global optimum of the in-context loss for one layer", depth="1", heads="1", rows="d + 1"
)
_NEUMANN = PaperClaim(
    "von Oswald et al. 2023b",
    "truncated Neumann series of (XXᵀ)⁻¹",
    "layers precondition the tokens, and the last one takes a gradient step; the figures are ours",
    depth="steps",
    heads="1",
    rows="2*d + 3",
    error="‖(I − αS)^steps‖ relative to ‖w‖",
)

CONSTRUCTIONS = (
    Construction(
        "gradient_descent",
        "in-context gradient descent for least squares, one step a layer",
        gradient_descent,
        _OSWALD,
        (
            *SIZES,
            STEPS,
            Parameter("rate", "rates", "step size η, or one for each step: w ← w + (η/n) Aᵀ(y − Aw)"),
            Parameter("momentum", "nonnegative", "β of the heavy ball, below 1: v ← βv + step", default=0),
            Parameter(
                "prefer",
                "choice",
                f'one head and d + 1 rows; or "layers": the fewest there can be, for at most {MOST_SHALLOW} steps',
                "rows",
                ("rows", "layers"),
            ),
        ),
        _gradient_descent,
        arch=MASKED_ATTENTION,
        others={"linear": _OSWALD_LINEAR, "linear attention": _OSWALD_LINEAR, "masked": _OSWALD},
    ),
    Construction(
        "preconditioned_gradient_descent",
        "gradient descent with a matrix A_i for every step: w ← w − A_iᵀ (1/n) Aᵀ(y − Aw)",
        preconditioned_gradient_descent,
        _PRECONDITIONED,
        (
            *SIZES,
            Parameter("preconditioners", "matrices", "A_0, A_1, …: negative semidefinite d × d matrices, or numbers times I"),
        ),
        _preconditioned,
        arch=MASKED_ATTENTION,
    ),
    Construction(
        "optimal_single_layer",
        "the step of preconditioned gradient descent that is best on average, for x_j from N(0, Σ) and w from N(0, I)",
        preconditioned_gradient_descent,
        _OPTIMAL,
        (*SIZES, Parameter("sigma", "covariance", "covariance Σ of the features: a matrix, its diagonal, or a number times I")),
        _optimal,
        arch=MASKED_ATTENTION,
    ),
    Construction(
        "gd_plus_plus",
        "GD++: preconditioned steps that transform the features too",
        gd_plus_plus,
        _PLUS_PLUS,
        (
            *SIZES,
            Parameter("a", "numbers", "A_i = a_i Σ⁻¹, a_i below 0, one for every layer", default=None),
            Parameter("b", "numbers", "B_i = b_i I, one for every layer; the last may be left out", default=None),
            Parameter("sigma", "covariance", "covariance Σ of the features: a matrix, its diagonal, or a number times I", None),
            Parameter("layers", "count", "without a and b: the best known ones for n and d", None, low=1, high=3),
            Parameter("spectrum", "interval", "(l, u) with the nonzero eigenvalues of AᵀA: gives a and b, with Σ = I", None),
            Parameter("tol", "tolerance", "with spectrum: bound of ‖I − SX‖₂, so of the error relative to ‖w‖", None),
        ),
        _plus_plus,
        needs=_plus_plus_needs,
        arch=MASKED_ATTENTION,
    ),
    Construction(
        "neumann",
        "least squares by the first terms of the Neumann series of S⁻¹, S = AᵀA, one term a layer",
        neumann,
        _NEUMANN,
        (
            *SIZES,
            Parameter("steps", "size", "terms α (I − αS)^k, one a layer"),
            Parameter("alpha", "positive", "α, below 2/‖S‖ for convergence"),
        ),
        _neumann,
        arch=MASKED_ATTENTION,
    ),
)
