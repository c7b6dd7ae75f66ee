"""Ahn et al. 2023 (Transformers learn to implement preconditioned gradient descent), statement by statement."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from .. import ahn_claims as claims
from .. import ahn_slips as slips
from ..certificate import Proved, Verdict
from .ahn_words import (
    check_absorbed,
    check_additive,
    check_component,
    check_dynamics,
    check_flow,
    check_labels_in_words,
    check_moments,
    check_order,
    check_products,
    check_rotated,
    check_span,
    check_steps,
    check_two_layers,
)
from .record import Statement

SOURCE = "Ahn et al. 2023"
_WORDS = "identity of blocks, all dimensions"
_COUNTER = "exact counterexample"


def _all_hold(*checks: Callable[[], Verdict]) -> Verdict:
    """All checks; the arguments of all, in their order."""
    found = [check() for check in checks]
    wrong = next((v for v in found if not isinstance(v, Proved)), None)
    if wrong is not None:
        return wrong
    return Proved(" ".join(_sentence(v.how) for v in found if isinstance(v, Proved)))


def _both(*checks: Callable[[], Verdict]) -> Callable[[], Verdict]:
    return partial(_all_hold, *checks)


def _sentence(text: str) -> str:
    text = text[0].upper() + text[1:]
    return text if text.endswith(".") else text + "."


def _holds(number: str, title: str, printed: str, evidence: str, check: Callable[[], Verdict], note: str = "") -> Statement:
    return Statement(SOURCE, number, title, printed, evidence, "holds", note, check)


def _slip(number: str, title: str, printed: str, corrected: str, check: Callable[..., Verdict]) -> Statement:
    fixed = partial(check, corrected=True)
    return Statement(SOURCE, number, title, printed, _COUNTER, "false as printed", corrected, check, fixed)


check_lemma_2 = _both(check_steps, claims.check_lemma_2)
check_lemma_8 = _both(check_order, claims.check_lemma_8)
check_lemma_9 = _both(check_additive, claims.check_lemma_9)
check_lemma_10 = _both(check_additive, claims.check_lemma_10)
check_theorem_1 = _both(check_component, claims.check_theorem_1)
check_theorem_3 = _both(check_two_layers, claims.check_theorem_3)
check_theorem_4 = _both(check_products, check_span, claims.check_theorem_4)
check_theorem_5 = _both(check_products, check_span, claims.check_theorem_5)
_INSTANCE = "The general argument is in words and symbols, for all d, n and Σ; one instance is computed exactly besides."

STATEMENTS: tuple[Statement, ...] = (
    # -- one layer -----------------------------------------------------------------------------------------------------------
    _slip("(5)", "how many layers", "Z_k is what layers 0, …, k leave.", "It is Z_{k+1}, as in (23).", slips.check_layer_count),
    _slip("(6)", "the loss of one layer", "The loss is the mean of the error.", "The mean of its square, as in (5).",
        slips.check_loss_is_squared),
    _slip("below (6)", "parameters that count", "Of Q the first n columns count.", "The first d columns.",
        slips.check_columns_of_Q),
    _holds("Theorem 1", "the optimum of one layer", "(8) is a global minimum of the loss of one layer.",
        "computer algebra (d = 3, any n and Λ), exact rational certificate", check_theorem_1,
        "The rescaling (γb, A/γ) has the same products bA_jᵀ, on which alone the loss depends."),
    Statement(SOURCE, "section 1", "uniqueness", "The global optimum of one layer is unique (up to the rescalings of "
        "Theorem 1).",
        "exact rational certificate (d = 2, n = 3), exact counterexample", "holds with restriction",
        "For d ≥ 2. For d = 1, b = e_1 with A = c e_2 is optimal too.",
        partial(claims.check_single_minimum_up_to_scale, 2), claims.check_single_minimum_up_to_scale),
    _holds("below Theorem 1", "isotropic data", "For Σ = I, A = −1/((n − 1)/n + (d + 2)/n)·[I; 0].", "computer algebra (d = 2)",
        partial(check_component, 2, True), "It is (8): (n − 1)/n + (d + 2)/n = (n + 1)/n + d/n."),
    _slip("section 4, remark 1", "many examples", "A ≈ Σ⁻¹ for large n.", "A ≈ −Σ⁻¹, with the signs of (8).",
        slips.check_sign_of_A),
    _holds("Lemma 6", "one component, Σ = I", "f_j has a global minimum at −E_{d+1,j}/((n − 1)/n + (d + 2)/n).",
        "computer algebra (d = 3, any n)", partial(check_component, 3, True)),
    _holds("Lemma 7", "one component", "f_j has a global minimum at −E_{d+1,j}/((n + 1)/n λ_j + Σλ/n).",
        "computer algebra (d = 3, any n and Λ)", check_component),
    Statement(SOURCE, "proofs of Lemmas 6 and 7, combining", "uniqueness of the component",
        "X_j is the unique global minimum of f_j.", _COUNTER, "false as printed",
        "Unique up to antisymmetric matrices (C is symmetric), which is enough.",
        claims.check_unique_relaxation, partial(claims.check_single_minimum_up_to_scale, 2)),
    _slip("proof of Lemma 6, C", "the corner of C", "The corner of C is the mean of y^{(i)ᵀ}.", "The mean of (y^{(i)})².",
        slips.check_corner_of_C),
    _holds("(15)–(21)", "moments of C", "E w*[j]C = λ_j(E_{d+1,j} + E_{j,d+1}), and E⟨C, E_{d+1,j}⟩C = "
        "((n + 1)/n λ_j² + λ_jΣλ/n)(E_{d+1,j} + E_{j,d+1}).", "exact rational identity (d = 2, any n), computer algebra",
        _both(check_moments, check_component)),
    _slip("before (18)", "a factor 1/n", "⟨C, E_{d+1,j}⟩ = Σ_i ⟨w*, x^{(i)}⟩x^{(i)}[j].", "(1/n) times that, as C has 1/n.",
        slips.check_scale_of_C),
    _slip("A.3, step 2", "labels of rotated examples", "The label of Ux̃^{(i)} is ⟨Ux^{(i)}, w*⟩.", "⟨Ux̃^{(i)}, w*⟩.",
        slips.check_label_of_rotated),
    # -- several layers ------------------------------------------------------------------------------------------------------
    _slip("(11)", "preconditioned descent", "Steps go along ∇R_{w_k}(w_k).", "Along ∇R_{w*}(w_k), as in Lemma 2.",
        slips.check_gradient_of_11),
    _holds("Lemma 2", "layers are steps", "Layers of (9) are steps w ← w + A_l∇R(w), and the prediction is ⟨w, x_q⟩.",
        _WORDS, check_lemma_2, "(9) has symmetric A_l; for others the step is w + A_lᵀ∇R(w)."),
    _holds("Theorem 3", "two layers", "For Σ = I some global minimum has diagonal A_0 and A_1.",
        _WORDS, check_theorem_3, _INSTANCE),
    _slip("section 5.2, distorted data", "the task", "w* = Σ^{−1/2}w̄ keeps the labels.", "w* = W⁻ᵀw̄ does; both have one law.",
        slips.check_distorted_task),
    _slip("section 5.2, Hessian", "the Hessian of R", "∇²R = XXᵀ/(2n).", "XXᵀ/n.", slips.check_hessian),
    _slip("section 5.2, covariance", "the inverse covariance", "Σ⁻¹ = (E XXᵀ)⁻¹.", "(E XXᵀ/n)⁻¹.",
        slips.check_inverse_covariance),
    _holds("Theorem 4", "k layers", "Over A_l = a_lΣ⁻¹ the gradient of the loss comes arbitrarily near to 0.",
        _WORDS + "; exact rational certificate", check_theorem_4,
        _INSTANCE + " On S the derivative in a_l is d·c_l; it comes arbitrarily near to 0 as the loss is ≥ 0 (Ekeland)."),
    _slip("Figure 1d", "the loss in the end", "Training goes to a loss of almost 0, at parameters that match Theorem 4, "
        "A_l ∝ Σ⁻¹ (B = 0, n = 20, d = 5, three layers).",
        "Such parameters have a loss of 0.1336 or more (it starts at 5).", slips.check_loss_goes_to_zero),
    _holds("Theorem 5", "k layers that change features", "Over A_l = a_lΣ⁻¹, B_l = b_lI the gradient comes "
        "arbitrarily near to 0.",
        _WORDS + "; exact rational certificate", check_theorem_5, _INSTANCE),
    Statement(SOURCE, "Theorem 5, Σ", "which covariances", "Σ is any positive semidefinite matrix.", _COUNTER,
        "holds with restriction", "Positive definite, as its next sentence has it.",
        partial(slips.check_invertible_covariance, True), slips.check_invertible_covariance),
    _holds("section 6.1, footnote", "the last B", "The loss does not depend on the last B.", _WORDS, check_products),
    # -- appendix B ------------------------------------------------------------------------------------------------------------
    _slip("B.1, first display", "which token counts", "f is a trace over all tokens.", "Of the query only: (I − M) on "
        "both sides.",
        slips.check_projection),
    _holds("(22)", "the labels", "Y ← Y(I + MXᵀA_lX), with 1/n absorbed into A_l.", _WORDS, check_absorbed,
        "The text says that it drops 1/n; with A_l as in (9), Y ← Y(I + (1/n)MXᵀA_lX)."),
    _slip("B.2, G", "a sign", "G = X Π(I − MXᵀA_lX), with 1/n absorbed into A_l.", "I + MXᵀA_lX, as in (22).",
        slips.check_sign_of_G),
    _slip("B.2 and B.3, w*", "an outer product", "E Y'ᵀY' = E Gᵀw*ᵀw*G = E GᵀΣ⁻¹G.", "w*w*ᵀ in the middle.",
        slips.check_outer_product),
    _slip("(25), R̃", "the direction in A", "R̃_l = r_lI.", "r_lΣ⁻¹, as at the end of B.2.", slips.check_direction_in_A),
    _holds("(26)", "the flow in S", "df/dt ≤ −Σ‖∇_{A_l}f‖² along A_l' = −r_lΣ⁻¹.", "computer algebra (d = 3, any Σ)",
        check_flow, "d times as fast; the flow stays in S."),
    _holds("(27)–(30)", "a rotation of the data", "G(U_ΣX_0) = U_ΣG(X_0), and its derivative along R is that along "
        "U_ΣᵀRU_Σ.", _WORDS,
        check_rotated),
    _slip("(34), S̃", "the direction in B", "Ṡ along S̃_l = s_lΣ⁻¹.", "s_lI, as the next line has it.",
        slips.check_direction_in_B),
    Statement(SOURCE, "(35)", "the flow in S", "df/dt ≤ −Σ‖∇f‖² along A_l' = −r_lΣ⁻¹, B_l' = −s_lΣ⁻¹.", _COUNTER,
        "false as printed", "With B_l' = −s_lI, which stays in S.", partial(check_flow, True), check_flow),
    _holds("(36)–(41), (43)–(52)", "a rotation of the data", "X_i(U_ΣX_0) = U_ΣX_i(X_0), and derivatives along S and "
        "R turn with it.",
        _WORDS, check_rotated, "Up to the slips listed for (42) and after (48)."),
    _slip("(42)", "a factor", "dX_{j+1}/dt ends in A_j.", "In A_jX_j.", slips.check_shape_of_42),
    _slip("after (48)", "a factor", "dX_{j+1}/dt along R_j ends in M X_jᵀA_j.", "In M X_jᵀR_jX_j.",
        slips.check_derivative_of_A),
    _holds("Lemma 8", "order", "The order of layers A_l = a_lΣ⁻¹ does not matter.", _WORDS, check_lemma_8,
        "Even prompt by prompt; not with B ≠ 0."),
    # -- appendix C ------------------------------------------------------------------------------------------------------------
    _holds("(31), (53), (54), (56)", "dynamics", "(53) is X ← X + (1/n)BXMXᵀAX, Y ← Y + (1/n)YMXᵀAX.",
        _WORDS, check_dynamics,
        "(31) leaves 1/n to A."),
    _holds("Lemma 9, (55)", "the loss", "The error is the query's label, started at ⟨w*, x_q⟩.", _WORDS, check_lemma_9),
    _holds("Lemma 10", "the query's label", "It enters additively, and nothing else reads it.", _WORDS, check_lemma_10),
    _slip("Lemma 10, C", "a shape", "C is in R^{(d+1)×1}.", "In R^{1×(n+1)}.", slips.check_shape_of_C),
    _holds("(57), (58)", "labels after a layer", "Labels get (1/n)Σ_j xᵀA_lx_jy_j, for A_l symmetric as in (9).", _WORDS,
        check_labels_in_words, "For other A_l it is x_jᵀA_lx."),
    _holds("(59), (60), (63), (64)", "θ and w", "Labels are ⟨θ, x⟩ + y, θ ← θ + (1/n)AXXᵀ(θ + w*), w = −θ.", _WORDS,
        check_steps, "(θ = −v there; “(64) is equivalent to (64)” means (63).)"),
    _slip("(61)", "which token", "The label of token i has x^{(n+1)}.", "x^{(i)}.", slips.check_token_in_61),
)  # fmt: skip

#: Sentences that a reader may add, and that are false: `check` is Refuted.
REMARKS: tuple[Statement, ...] = (
    Statement(SOURCE, "Lemma 2, any A_l", "layers are steps", "The same recursion for any square A_l.", _COUNTER,
        "false as printed",
        "Not claimed. For A_l that are not symmetric the step is w ← w + A_lᵀ∇R(w).",
        partial(claims.check_lemma_2, symmetric=False), claims.check_lemma_2_transposed),
    Statement(SOURCE, "section 4, landscape", "one layer", "Every local minimum of one layer is global.", _COUNTER,
        "false as printed",
        "Not claimed. There are local minima b ∝ e_j for dominant eigenvalues λ_j.",
        partial(claims.check_no_spurious_minima, feature=1), reason="the counterexample is all there is to say"),
)  # fmt: skip
