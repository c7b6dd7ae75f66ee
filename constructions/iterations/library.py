"""The iterations by name. Constants of `Floor` are measured: docs/reference/iterations.md says how, and tests re-measure."""

from __future__ import annotations

import difflib

from ...compiler.errors import CompileError
from .base import Floor, Iteration
from .cubic import InverseRoot, Orthogonalise
from .inverse import Literal, Power, ScaledNewton, Tripling

_CARRIED_R = "R is carried and tends to 0, and its errors with it; X is never formed from S again"
_CARRIED_T = "I − T stands last in every product, so that errors of the carried T = SX shrink; X is never formed from S again"
_ROTATES = "errors of the singular values shrink quadratically; rotations of the singular vectors stay, but do not grow"
_CARRIED_E = "E = I − SX² is carried and tends to 0, and its errors with it; X is never formed from S again"

_ODD_CUBIC = "1 − a − b + (a + 3·b)·R − 3·b·R² + b·R³"
_NEWTON_SCHULZ_CUBIC = "3/2·R² − 1/2·R³"

_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"


#: Heads and blocks of rows by order.
_SIZES = {2: (2, 3), 3: (2, 4), 4: (2, 3), 5: (3, 4), 6: (2, 3), 7: (3, 5), 8: (3, 5), 9: (2, 4)}


def _newton_schulz(order: int) -> Iteration:
    return Iteration(
        f"newton-schulz-{order}",
        "inverse",
        order,
        f"X ← X (I + R + … + R{_SUPERSCRIPTS[order - 1]})" if order > 2 else "X ← X (I + R)",
        f"R{_SUPERSCRIPTS[order]}",
        "damped",
        _CARRIED_R,
        layers_per_step=1 if order <= 3 else 2,
        needs_lower=False,
        heads=_SIZES[order][0],
        blocks=_SIZES[order][1],
        recurrence=Power(order),
        floor_model=Floor(3.0, 1),
    )


ITERATIONS = (
    *(_newton_schulz(order) for order in range(2, 10)),
    Iteration(
        "newton",
        "inverse",
        2,
        "X ← 2X − XSX as printed in Giannou et al. 2024, eq. (3.3): fewest heads, but SX is formed anew in every step",
        "R²",
        "amplified",
        "errors of X in earlier steps are corrected, but forming SX rounds by about u κ, which X multiplies by κ again",
        layers_per_step=1,
        needs_lower=False,
        heads=1,
        blocks=3,
        recurrence=Literal(),
        floor_model=Floor(0.1, 2),
    ),
    Iteration(
        "scaled-newton",
        "inverse",
        2,
        "X ← c X (I + R): the residual is the minimax polynomial of degree 2^k on [l, u] after k steps",
        "1 − c + c·R²",
        "damped",
        _CARRIED_R,
        layers_per_step=1,
        needs_lower=True,
        heads=3,
        blocks=3,
        recurrence=ScaledNewton(),
        floor_model=Floor(3.0, 1),
    ),
    Iteration(
        "third-order",
        "inverse",
        3,
        "X ← X + X R (I + R) with T = SX carried, from X_0 = I/u: one head a step, and l need not be known",
        "R³",
        "damped",
        _CARRIED_T,
        layers_per_step=1,
        needs_lower=False,
        heads=1,
        blocks=3,
        recurrence=Tripling(tuned=False),
        floor_model=Floor(3.0, 1),
    ),
    Iteration(
        "chebyshev",
        "inverse",
        3,
        "X ← X + a X R (I + R) with T = SX carried: after k steps the residual is minimax on [l, u], of degree 3^k",
        "a·R³ + (1 − a)·R",
        "damped",
        _CARRIED_T,
        layers_per_step=1,
        needs_lower=True,
        heads=1,
        blocks=3,
        recurrence=Tripling(tuned=True),
        floor_model=Floor(3.0, 1),
    ),
    Iteration(
        "newton-schulz-sign",
        "sign",
        2,
        "Y ← 3/2 Y − 1/2 Y Yᵀ Y on symmetric S",
        _NEWTON_SCHULZ_CUBIC,
        "neutral",
        _ROTATES,
        layers_per_step=1,
        needs_lower=False,
        heads=1,
        blocks=2,
        recurrence=Orthogonalise(tuned=False),
        floor_model=Floor(6.0, 0),
    ),
    Iteration(
        "minimax-sign",
        "sign",
        2,
        "Y ← a Y + b Y Yᵀ Y on symmetric S, every cubic the best one on the interval that the ones before leave",
        _ODD_CUBIC,
        "neutral",
        _ROTATES,
        layers_per_step=1,
        needs_lower=True,
        heads=1,
        blocks=2,
        recurrence=Orthogonalise(tuned=True),
        floor_model=Floor(6.0, 0),
    ),
    Iteration(
        "newton-schulz-polar",
        "polar",
        2,
        "Y ← 3/2 Y − 1/2 Y Yᵀ Y: the polar factor of any matrix (Muon orthogonalises with such polynomials)",
        _NEWTON_SCHULZ_CUBIC,
        "neutral",
        _ROTATES,
        layers_per_step=1,
        needs_lower=False,
        heads=1,
        blocks=2,
        recurrence=Orthogonalise(tuned=False),
        floor_model=Floor(6.0, 0),
    ),
    Iteration(
        "minimax-polar",
        "polar",
        2,
        "Y ← a Y + b Y Yᵀ Y, every cubic the best one on the interval that the ones before leave",
        _ODD_CUBIC,
        "neutral",
        _ROTATES,
        layers_per_step=1,
        needs_lower=True,
        heads=1,
        blocks=2,
        recurrence=Orthogonalise(tuned=True),
        floor_model=Floor(6.0, 0),
    ),
    Iteration(
        "newton-schulz-inverse-sqrt",
        "inverse_sqrt",
        2,
        "X ← X (3/2 I − 1/2 SX²), E = I − SX² carried",
        _NEWTON_SCHULZ_CUBIC,
        "damped",
        _CARRIED_E,
        layers_per_step=1,
        needs_lower=False,
        heads=2,
        blocks=3,
        recurrence=InverseRoot(tuned=False),
        floor_model=Floor(0.5, 1),
    ),
    Iteration(
        "minimax-inverse-sqrt",
        "inverse_sqrt",
        2,
        "X ← X (aI + b SX²), E = I − SX² carried, every cubic the best one on the interval that the ones before leave",
        _ODD_CUBIC,
        "damped",
        _CARRIED_E,
        layers_per_step=1,
        needs_lower=True,
        heads=3,
        blocks=3,
        recurrence=InverseRoot(tuned=True),
        floor_model=Floor(1.0, 1),
    ),
)

_BY_NAME = {iteration.name: iteration for iteration in ITERATIONS}


def names(target: str | None = None) -> list[str]:
    """The names of all iterations, sorted; with a target ("inverse", "sign", "polar", "inverse_sqrt") of those only.

    Raises CompileError for an unknown target.
    """
    targets = sorted({iteration.target for iteration in ITERATIONS})
    if target is not None and target not in targets:
        raise CompileError(f"no iteration has the target {target!r}", fix=f"the targets are {', '.join(targets)}")
    return sorted(name for name, iteration in _BY_NAME.items() if target in (None, iteration.target))


def get(name: str) -> Iteration:
    """The iteration of that name. Raises CompileError with the nearest names when there is none."""
    if name not in _BY_NAME:
        close = difflib.get_close_matches(str(name), _BY_NAME, 3)
        hint = f"did you mean {' or '.join(close)}?" if close else f"the names are {', '.join(sorted(_BY_NAME))}"
        raise CompileError(f"no iteration is named {name!r}", fix=hint)
    return _BY_NAME[name]
