"""Fu et al. 2023/2024 (arXiv 2310.17086), statement by statement: Theorem 5.1 with appendix B, and Newton's iteration.

The numbers in brackets are those of the arXiv text as our notes of it have them; unlike those of the other papers they could
not be compared with the text again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from .. import fu_claims as claims
from .. import fu_iteration as iteration
from ..certificate import Verdict
from .record import Statement

SOURCE = "Fu et al. 2023"
_SYMBOLS = "computer algebra (d = n = 2), exact rational identity"
_COUNTER = "exact counterexample"
_ALGEBRA = "computer algebra"


def _slip(number: str, title: str, printed: str, corrected: str, check: Callable[..., Verdict]) -> Statement:
    fixed = partial(check, corrected=True)
    return Statement(SOURCE, number, title, printed, _COUNTER, "false as printed", corrected, check, fixed)


STATEMENTS: tuple[Statement, ...] = (
    Statement(SOURCE, "Iterative Newton, α", "step size", "M_k goes to the pseudo-inverse of S from M_0 = αS with α = "
        "2/‖SSᵀ‖₂.",
        _COUNTER, "false as printed", "For 0 < α < 2/‖S‖². At 2/‖SSᵀ‖₂ the residual stays 1 for every k.",
        iteration.check_step_size, partial(iteration.check_step_size, 1)),
    Statement(SOURCE, "Iterative Newton, convergence", "residual", "‖I − M_{k+1}S‖ ≤ ‖I − M_kS‖² → 0.", _ALGEBRA,
        "holds with restriction", "For 0 < α < 2/‖S‖² and invertible S; on the kernel of S nothing moves.",
        iteration.check_convergence, partial(iteration.check_convergence, invertible=False)),
    Statement(SOURCE, "Iterative Newton, limit", "pseudo-inverse", "M_k goes to S⁺ for singular S as well (0 < α < 2/‖S‖²).",
        _ALGEBRA, "holds", "", iteration.check_pseudo_inverse),
    Statement(SOURCE, "Iterative Newton, steps", "rate", "O(log κ(S) + log log(1/ε)) steps for an error ε.", _ALGEBRA, "holds",
        "For α = 1/‖S‖²: ⌈2log₂κ + log₂ln(1/ε)⌉.", iteration.check_newton_rate),
    Statement(SOURCE, "Gradient descent, steps", "rate", "O(κ(S) log(1/ε)) steps for an error ε.", _ALGEBRA, "holds",
        "With step 1/‖S‖: ⌈κ ln(1/ε)⌉.", iteration.check_descent_rate),
    Statement(SOURCE, "Theorem 5.1", "Newton's iteration in k + 8 layers",
        "For every k there are weights with k + 8 layers and O(d) rows that predict x_testᵀM_kXᵀy on any n examples.", _SYMBOLS,
        "holds with restriction", "With k + 3 layers, 4d + 4 rows and 3 heads; weights for one n, since they hold n.",
        claims.check_theorem_5_1, partial(claims.check_theorem_5_1, run_with=6)),
    Statement(SOURCE, "Theorem 5.1, number of examples", "weights hold n", "The weights compute the iteration for n examples.",
        "exact rational identity (one prompt)", "holds with restriction", "For that n only: those for n = 20 fail "
        "with 15 examples.",
        partial(claims.check_any_number_of_examples, corrected=True), claims.check_any_number_of_examples),
    Statement(SOURCE, "Theorem 5.1, x_test", "rows of the query", "The query does not change M_k.",
        "exact rational identity (one prompt)", "holds with restriction",
        "Where x_test has rows of its own; in the rows of the x_j it makes S to S + x_test x_testᵀ.",
        partial(claims.check_query_among_examples, corrected=True), claims.check_query_among_examples),
    _slip("Definition B.1", "keys", "The sum of attention runs over the first n columns.", "Over all 2n + 1 of them, "
        "divided by n.",
        claims.check_sum_over_columns),
    _slip("(20) to (22)", "the first layers", "Equal V_1 = V_2 = nα diag(I, 0) leave αSx in every column.", "V_2 = −V_1 does.",
        claims.check_initial_layer),
    _slip("(21), (28)", "a pair of heads", "relu(z) + relu(−z) = z.", "relu(z) − relu(−z) = z.", claims.check_relu_pair),
    _slip("(28)", "a Newton layer", "Equal V_1 = V_2 = diag(I, 0) take Tx to (2T − TSTᵀ)x.", "V_2 = −V_1 does, for any T.",
        claims.check_newton_layer),
    _slip("appendix B, first k + 3 layers", "the iteration", "The printed weights leave M_kx_j in the column of x_j.",
        "They do with V_2 = −V_1 in every layer.", claims.check_iteration),
    Statement(SOURCE, "Lemma B.3", "sum over columns", "Two heads of a layer write the sum of a row over all columns "
        "into every column.",
        "computer algebra (five columns), exact rational identity", "holds with restriction", "With a row of ones in "
        "the state.",
        claims.check_lemma_b_3, partial(claims.check_lemma_b_3, with_one=False)),
    Statement(SOURCE, "appendix B, readout", "products", "The layers that multiply are exact.", "interval arithmetic",
        "false as printed", "With GeLU they are xy up to terms of degree 4: exact are the Newton layers only.",
        iteration.check_product, partial(iteration.check_product, corrected=True)),
    Statement(SOURCE, "Remark B.6", "causal attention", "The construction carries over to causal attention (a sketch).",
        "exact rational arithmetic", "unknown", "", claims.check_causal),
    *(
        Statement(SOURCE, f"appendix B.3, M_{k}", "moments",
            f"M_{k} has coefficients {', '.join(map(str, iteration.PRINTED_MOMENTS[k]))} of α^jS^(2j−1).", _ALGEBRA,
            "false as printed",
            f"(−1)^(j+1)C(2^k, j), j ≤ 2^k, for every k: {', '.join(map(str, iteration.moments(k)))} here.",
            partial(iteration.check_moments, k), partial(iteration.check_moments, k, corrected=True))
        for k in (1, 2)
    ),
    Statement("headwright", "round-off in Fu et al.'s layers", "antisymmetric errors",
        "A layer T ← 2T − TSTᵀ doubles the antisymmetric part of T.", _ALGEBRA, "holds",
        "T ← 2T − TST squares the error instead; they are equal in exact arithmetic.", iteration.check_asymmetry_doubles),
)  # fmt: skip
