"""Newton's iteration on ReLU attention, in the form of Fu et al. 2023: T x_j is kept instead of T.

With U = A Tᵀ, the step T ← 2T − T S Tᵀ is U ← 2U − A (UᵀU): two heads, relu(z) − relu(−z) = z, and units for 2U.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from ..compiler.architecture import RELU_ATTENTION
from ..compiler.program import Matrix, Vector, program
from ..compiler.statements import spectrum
from .claims import FU, PaperClaim
from .parameters import STEPS, Parameter, size
from .registry import Construction, Variant


@program
def newton_relu_attention(A: Matrix["n", "d"], y: Vector["n"], Q: Matrix["m", "d"], *, steps, alpha):
    S = A.T @ A
    fix = "take alpha below 2/‖AᵀA‖²; at 2/‖AᵀA‖² itself, as printed, the iteration stalls"
    spectrum(S, within=(0, (2 / float(alpha)) ** 0.5), zero=True, fix=fix)
    U = alpha * A @ S
    for _ in range(steps):
        U = 2 * U - A @ (U.T @ U)
    return {"prediction": Q @ (U.T @ y)}


def _prepare(values: Mapping[str, Any]) -> Variant:
    return Variant(newton_relu_attention, {"steps": values["steps"], "alpha": Fraction(values["alpha"])})


_CLAIM = PaperClaim(
    FU,
    "Theorem 5.1",
    "k + 8 layers with O(d) rows run k Newton steps from M_0 = αS; k + 3 layers, 4d + 4 rows and 3 heads with V_2 = −V_1",
    depth="steps + 2",
    heads="2",
    rows="3*d + 2",
    corrected="the heads of a pair need opposite W_V: relu(z) + relu(−z) is |z|. α = 2/‖SSᵀ‖ stalls: α < 2/‖S‖² is needed.",
    width="2*d",
)

_CLAIM_LINEAR = PaperClaim("ours", "eq. (3.1) without ReLUs in attention", "the same iteration", "steps + 2", "2")

CONSTRUCTIONS = (
    Construction(
        "newton_relu_attention",
        "least squares by Newton's iteration for (AᵀA)⁻¹ on ReLU attention",
        newton_relu_attention,
        _CLAIM,
        (
            size("n", "examples in context"),
            size("d", "features"),
            size("m", "queries in one pass: input Q (m × d)"),
            STEPS,
            Parameter("alpha", "positive", "M_0 = αS, S = AᵀA, below 2/‖S‖²"),
        ),
        _prepare,
        arch=RELU_ATTENTION,
        others={"linear": _CLAIM_LINEAR, "linear attention": _CLAIM_LINEAR},
    ),
)
