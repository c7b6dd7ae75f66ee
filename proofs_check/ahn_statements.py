"""The statements of Ahn et al. (2023) in one table, with the check of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from . import ahn_claims as claims
from . import ahn_slips as slips
from .certificate import Verdict

SOURCE = "Ahn et al. 2023"
IDENTITY, COUNTEREXAMPLE = "exact rational identity", "exact counterexample"
CERTIFICATE = "exact rational certificate"
NOT_CLAIMED = "not claimed, and false"


@dataclass(frozen=True)
class Statement:
    """One statement of the paper, in our words. `check` tests it as printed, `check_corrected` what is true instead."""

    number: str
    title: str
    statement: str
    kind: str  # "holds" | "holds with restriction" | "false as printed" | "not claimed, and false" (in REMARKS)
    corrected: str | None
    evidence: str
    check: Callable[[], Verdict]
    check_corrected: Callable[[], Verdict] | None = None
    source: str = SOURCE


def _holds(number: str, title: str, statement: str, evidence: str, check: Callable[[], Verdict]) -> Statement:
    return Statement(number, title, statement, "holds", None, evidence, check)


def _slip(number: str, title: str, statement: str, corrected: str, check: Callable[..., Verdict]) -> Statement:
    fixed = partial(check, corrected=True)
    return Statement(number, title, statement, "false as printed", corrected, COUNTEREXAMPLE, check, fixed)


STATEMENTS = (
    _holds(
        "Lemma 2",
        "layers are steps",
        "layers of eq. (9) with symmetric A_l are steps w ← w + A_l ∇R(w)",
        IDENTITY,
        claims.check_lemma_2,
    ),
    _holds(
        "Theorem 1", "one layer", "eq. (8) is a global minimum of the loss of one layer", CERTIFICATE, claims.check_theorem_1
    ),
    Statement(
        "Section 1",
        "uniqueness",
        "the global optimum of one layer is unique (up to the rescalings of Theorem 1)",
        "holds with restriction",
        "for d ≥ 2; for d = 1 also b = e_1, A = c e_2 is optimal",
        COUNTEREXAMPLE,
        claims.check_single_minimum_up_to_scale,
        partial(claims.check_single_minimum_up_to_scale, 2),
    ),
    Statement(
        "Proof of Theorem 1",
        "relaxed minimiser",
        "the free matrices X_j that minimise the lower bound are unique",
        "false as printed",
        "they are unique up to antisymmetric matrices",
        COUNTEREXAMPLE,
        claims.check_unique_relaxation,
    ),
    _holds("Theorem 3", "two layers", "for Σ = I some global minimum is diagonal", IDENTITY, claims.check_theorem_3),
    _holds("Theorem 4", "k layers", "A_l ∝ Σ⁻¹ holds critical points of the loss", CERTIFICATE, claims.check_theorem_4),
    _holds("Theorem 5", "k layers", "A_l ∝ Σ⁻¹, B_l ∝ I hold critical points", CERTIFICATE, claims.check_theorem_5),
    _holds("Lemma 8", "order", "the order of layers A_l = a_l Σ⁻¹ does not matter", IDENTITY, claims.check_lemma_8),
    _holds("Lemma 9", "loss", "the error is the query's label started at ⟨w*, x_q⟩", IDENTITY, claims.check_lemma_9),
    _holds("Lemma 10", "query", "the query's label enters additively, nothing else reads it", IDENTITY, claims.check_lemma_10),
    _slip("(6)", "loss of one layer", "the mean of the error", "the mean of its square", slips.check_loss_is_squared),
    _slip("below (6)", "parameters", "only n columns of Q matter", "only d columns matter", slips.check_columns_of_Q),
    _slip("Section 4, remark 1", "many examples", "A ≈ Σ⁻¹", "A ≈ −Σ⁻¹", slips.check_sign_of_A),
    _slip("(11)", "descent", "steps along ∇R_{w_k}(w_k)", "steps along ∇R_{w*}(w_k)", slips.check_gradient_of_11),
    _slip("(5)", "layers", "Z_k after layers 0 … k", "Z_{k+1}", slips.check_layer_count),
    _slip("(58)", "proof of Lemma 2", "x_qᵀ A x_j", "x_jᵀ A x_q, equal for symmetric A only", slips.check_symmetry_in_58),
    _slip("(61)", "proof of Lemma 2", "x^{(n+1)} in the label of token i", "x^{(i)}", slips.check_token_in_61),
    _slip("Section 5.2", "Hessian", "∇²R = XXᵀ/(2n)", "∇²R = XXᵀ/n", slips.check_hessian),
    _slip("Section 5.2", "covariance", "Σ⁻¹ = (E XXᵀ)⁻¹", "Σ⁻¹ = (E XXᵀ/n)⁻¹", slips.check_inverse_covariance),
    _slip("Section 5.2", "distorted data", "w* = Σ^{−1/2} w̄ keeps labels", "w* = W⁻ᵀ w̄ does", slips.check_distorted_task),
    _slip("B.2", "G", "G = X Π (I − M Xᵀ A_l X)", "plus, and 1/n", slips.check_sign_of_G),
    _slip("(22)", "labels", "Y ← Y (I + M Xᵀ A_l X)", "Y ← Y (I + (1/n) M Xᵀ A_l X)", slips.check_scale_of_22),
    _slip("(25)", "direction in A", "R̃_l = r_l I", "R̃_l = r_l Σ⁻¹", slips.check_direction_in_A),
    _slip("B.3", "direction in B", "S̃_l = s_l Σ⁻¹", "S̃_l = s_l I", slips.check_direction_in_B),
    _slip("Figure 1d", "loss", "the loss goes to almost 0 (B = 0, n = 20)", "to 0.1336", slips.check_loss_goes_to_zero),
)

#: Sentences that a reader may add, and that are false: `check` is Refuted.
REMARKS = (
    Statement(
        "Lemma 2, any A_l",
        "layers are steps",
        "the same recursion for any square A_l",
        NOT_CLAIMED,
        "for A_l that are not symmetric the step is w ← w + A_lᵀ ∇R(w)",
        COUNTEREXAMPLE,
        partial(claims.check_lemma_2, symmetric=False),
        claims.check_lemma_2_transposed,
    ),
    Statement(
        "Section 4, landscape",
        "one layer",
        "every local minimum of one layer is global",
        NOT_CLAIMED,
        "there are local minima b ∝ e_j for dominant eigenvalues λ_j",
        COUNTEREXAMPLE,
        partial(claims.check_no_spurious_minima, feature=1),
    ),
)


def as_rows() -> tuple[dict[str, Any], ...]:
    """The table as rows of the ledger, where `check` decides what holds under a restriction, and `second` fails without it."""
    rows = []
    for s in STATEMENTS:
        row: dict[str, Any] = {key: getattr(s, key) for key in ("source", "number", "title", "statement", "evidence", "check")}
        row |= {"verdict": s.kind, "corrected": s.corrected, "second": s.check_corrected}
        if s.kind == "holds with restriction":
            row |= {"check": s.check_corrected, "second": s.check}
        rows.append(row)
    return tuple(rows)
