"""Polar factor, matrix sign and inverse square root: odd cubics σ ← aσ + bσ³, one layer a step (see `iterations`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from ..compiler.program import Matrix, Program, dim, program
from ..compiler.statements import residual, symmetric
from ..compiler.statements import spectrum as states
from .claims import PaperClaim
from .iterations import Schedule, get
from .parameters import Parameter, size
from .registry import Construction, Variant


@program
def polar_factor(A: Matrix["n", "d"], *, spectrum, tol, steps=None, iteration="newton-schulz"):
    smaller = A @ A.T if dim("n") < dim("d") else A.T @ A  # the larger one is singular
    l, u = _allowed(spectrum, steps)
    fix = "compile for a spectrum that contains the singular values of A, or rescale A"
    states(smaller, within=(float(l) ** 2, float(u) ** 2), closed=True, fix=fix)
    return _run(plan("polar", iteration, steps, spectrum, tol), A, roots=(A,))


@program
def matrix_sign(S: Matrix["d", "d"], *, spectrum, tol, steps=None, iteration="newton-schulz"):
    symmetric(S)
    l, u = _allowed(spectrum, steps)
    fix = "compile for a spectrum that contains the absolute values of the eigenvalues of S, or rescale S"
    states(S @ S, within=(float(l) ** 2, float(u) ** 2), closed=True, fix=fix)
    return _run(plan("sign", iteration, steps, spectrum, tol), S, roots=(S,))


@program
def inverse_sqrt(S: Matrix["d", "d"], *, spectrum, tol, steps=None, iteration="newton-schulz"):
    l, u = _allowed(spectrum, steps)
    fix = "compile for a spectrum that contains the eigenvalues of S, or rescale S"
    states(S, within=(float(l), float(u)), closed=True, fix=fix)
    return _run(plan("inverse-sqrt", iteration, steps, spectrum, tol), S, squares=(S,))


def _run(schedule: Schedule, value: Any, roots: tuple[Any, ...] = (), squares: tuple[Any, ...] = ()) -> Any:
    """The iteration on a value, and the statement of its residual, which `hw.verify` proves."""
    result = schedule.run(value)
    interval, floor = schedule.of_numbers, schedule.iteration.floor_model  # κ of roots is the root of κ
    residual(
        result,
        roots=roots,
        squares=squares,
        ones=(),
        power=1 if squares else 0,
        chain=schedule.chain,
        lower=interval.lo,
        upper=interval.hi,
        tol=schedule.tol,
        known="other",
        method=schedule.method,
        of_root=True,
        target=schedule.iteration.target,
        floor=(floor.factor, floor.power * (2 if squares else 1)),
    )
    return result


def _allowed(spectrum: Any, steps: int | None) -> tuple[Any, Any]:
    """What data may have: without a promised residual, values below l only converge later, but none may be above u."""
    l, u = spectrum
    return (l if steps is None else 0), u


def plan(target: str, iteration: str, steps: int | None, spectrum: Any, tol: Any) -> Schedule:
    """The schedule for the options of these constructions: that many `steps`, or else as many as `tol` needs.

    Raises CompileError where the interval and the tolerance cannot be had (see `Iteration.schedule`).
    """
    found = get(f"{iteration}-{target}")
    l, u = spectrum
    return found.schedule(l, u, tol) if steps is None else found.fixed(steps, l, u)


def _construction(
    target: str, of: Program, summary: str, claim: PaperClaim, sizes: tuple[Parameter, ...], spectrum: Parameter
) -> Construction:
    def prepare(values: Mapping[str, Any]) -> Variant:
        constants = {name: values[name] for name in ("spectrum", "tol", "steps", "iteration")}
        if values["steps"] is not None:
            return Variant(of, constants)
        schedule = plan(target, values["iteration"], None, values["spectrum"], values["tol"])
        bound = f"{len(schedule.steps)} steps reach tol: {float(schedule.bounds[-1]):.2g} is proved"
        # the formula is in steps, and these follow from tol
        return Variant(
            of, constants, claim=replace(claim, depth=f"Max(1, {schedule.layers})", corrected=f"{claim.corrected}; {bound}")
        )

    parameters = (
        *sizes,
        spectrum,
        Parameter("tol", "tolerance", "without steps: the fewest with a proved residual of at most that", Fraction(1, 10**6)),
        Parameter("steps", "count", "iterations, one layer each; then values below l are allowed, and tol is not used", None),
        Parameter(
            "iteration",
            "choice",
            "3/2 σ − 1/2 σ³ in every step, or the best cubics for the spectrum",
            "newton-schulz",
            ("newton-schulz", "minimax"),
        ),
    )
    return Construction(of.fn.__name__, summary, of, claim, parameters, prepare)


#: The spectrum when none is given: matrices of norm at most 1, as Muon and Polar Express take them.
_NORMALISED = (Fraction(1, 1000), Fraction(1))

_ERROR = "max |1 − σ| on the spectrum, bounded in rational arithmetic by `hw.iterations`"

CONSTRUCTIONS = (
    _construction(
        "polar",
        polar_factor,
        "orthonormal rows or columns: the polar factor U Vᵀ of A = U Σ Vᵀ, by odd cubics, one layer a step",
        PaperClaim(
            "Jordan et al. 2024 (Muon)",
            "Newton–Schulz orthogonalisation",
            "an odd polynomial in a momentum matrix, iterated, replaces its singular values by about 1; no layer count",
            depth="Max(1, steps)",
            heads="1",
            rows="n + d",
            error=_ERROR,
            corrected="the figures are ours, for cubic steps: one layer each (Muon's quintic has degree 5, so it takes two)",
        ),
        (size("n", "rows of A"), size("d", "columns of A")),
        Parameter("spectrum", "interval", "(l, u) that contains the singular values of A", _NORMALISED),
    ),
    _construction(
        "sign",
        matrix_sign,
        "the sign of a symmetric S: eigenvalues become 1 or −1, by odd cubics, one layer a step",
        PaperClaim(
            "Chen and Chow 2014",
            "scaled Newton–Schulz iteration",
            "cubics scaled to the spectrum converge faster to the sign of a Hermitian matrix; no layer count",
            depth="Max(1, steps)",
            heads="1",
            rows="2*d",
            error=_ERROR,
            corrected="the figures are ours",
        ),
        (size("d", "rows and columns of S"),),
        Parameter("spectrum", "interval", "(l, u) that contains the absolute values of the eigenvalues of S", _NORMALISED),
    ),
    _construction(
        "inverse-sqrt",
        inverse_sqrt,
        "S^(−1/2) of a symmetric positive definite S, by odd cubics, one layer a step",
        PaperClaim(
            "Higham 2008",
            "coupled Newton–Schulz iteration",
            "products only, for the square root and its inverse; no layer count",
            depth="Max(1, steps)",
            heads="3",
            rows="3*d",
            error=_ERROR,
            corrected="the figures are ours, with E = I − SX² carried instead of the square root",
        ),
        (size("d", "rows and columns of S"),),
        Parameter("spectrum", "interval", "(l, u) that contains the eigenvalues of S"),
    ),
)
