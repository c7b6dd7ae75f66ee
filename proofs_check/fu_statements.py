"""The statements of Fu et al. (2023) in one table, with the check of each. Numbers are the paper's, with appendix B."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from . import fu_claims as claims
from . import fu_iteration as iteration
from .certificate import Verdict

SOURCE = "Fu et al. 2023"
IDENTITY, COUNTEREXAMPLE = "exact rational identity", "exact counterexample"
ALGEBRA, INTERVALS = "computer algebra", "interval arithmetic"


@dataclass(frozen=True)
class Statement:
    """One statement of the paper, in our words. `check` decides it as `verdict` says; `second` is the other half.

    That is what is true instead for "false as printed" (Proved), and what fails without the restriction for
    "holds with restriction" (Refuted).
    """

    number: str
    title: str
    statement: str
    verdict: str  # "holds" | "holds with restriction" | "false as printed"
    corrected: str | None
    evidence: str
    check: Callable[[], Verdict]
    second: Callable[[], Verdict] | None = None
    source: str = SOURCE


def _slip(number: str, title: str, statement: str, corrected: str, check: Callable[..., Verdict]) -> Statement:
    fixed = partial(check, corrected=True)
    return Statement(number, title, statement, "false as printed", corrected, COUNTEREXAMPLE, check, fixed)


STATEMENTS = (
    Statement(
        "Theorem 5.1",
        "Newton's iteration in k + 8 layers",
        "for every k there are weights with k + 8 layers and O(d) rows that predict x_testᵀ M_k Xᵀ y on any n examples",
        "holds with restriction",
        "with k + 3 layers, 4d + 4 rows and 3 heads; weights for one n, since they hold n",
        IDENTITY,
        claims.check_theorem_5_1,
        partial(claims.check_theorem_5_1, run_with=6),
    ),
    _slip("(21), (28)", "a pair of heads", "relu(z) + relu(−z) = z", "relu(z) − relu(−z) = z", claims.check_relu_pair),
    _slip(
        "(20) to (22)",
        "the first layers",
        "equal V_1 = V_2 = nα diag(I, 0) leave αS x in every column",
        "V_2 = −V_1 does",
        claims.check_initial_layer,
    ),
    _slip(
        "(28)",
        "a Newton layer",
        "equal V_1 = V_2 = diag(I, 0) take T x to (2T − T S Tᵀ) x",
        "V_2 = −V_1 does, for any T",
        claims.check_newton_layer,
    ),
    _slip(
        "Appendix B, first k + 3 layers",
        "the iteration",
        "the printed weights leave M_k x_j in the column of x_j",
        "they do with V_2 = −V_1 in every layer",
        claims.check_iteration,
    ),
    _slip(
        "Definition B.1",
        "keys",
        "the sum of attention runs over the first n columns",
        "over all 2n + 1 of them, divided by n",
        claims.check_sum_over_columns,
    ),
    Statement(
        "Theorem 5.1, number of examples",
        "weights hold n",
        "the weights compute the iteration for n examples",
        "holds with restriction",
        "for that n only: those for n = 20 fail with 15 examples",
        IDENTITY,
        partial(claims.check_any_number_of_examples, corrected=True),
        claims.check_any_number_of_examples,
    ),
    Statement(
        "Theorem 5.1, x_test",
        "rows of the query",
        "the query does not change M_k",
        "holds with restriction",
        "where x_test has rows of its own; in the rows of the x_j it makes S to S + x_test x_testᵀ",
        IDENTITY,
        partial(claims.check_query_among_examples, corrected=True),
        claims.check_query_among_examples,
    ),
    Statement(
        "Lemma B.3",
        "sum over columns",
        "two heads of a layer write the sum of a row over all columns into every column",
        "holds with restriction",
        "with a row of ones in the state",
        IDENTITY,
        claims.check_lemma_b_3,
        partial(claims.check_lemma_b_3, with_one=False),
    ),
    Statement(
        "Readout, mul",
        "products",
        "the layers that multiply are exact",
        "false as printed",
        "with GeLU they are xy up to terms of degree 4: exact are the Newton layers only",
        INTERVALS,
        iteration.check_product,
        partial(iteration.check_product, corrected=True),
    ),
    Statement(
        "Iterative Newton, α",
        "step size",
        "M_k goes to the pseudo-inverse of S from M_0 = αS with α = 2/‖SSᵀ‖₂",
        "false as printed",
        "for 0 < α < 2/‖S‖²; at 2/‖SSᵀ‖ the residual stays 1 for every k",
        COUNTEREXAMPLE,
        iteration.check_step_size,
        partial(iteration.check_step_size, 1),
    ),
    Statement(
        "Iterative Newton, convergence",
        "residual",
        "‖I − M_{k+1}S‖ ≤ ‖I − M_k S‖² → 0",
        "holds with restriction",
        "for 0 < α < 2/‖S‖² and invertible S; on the kernel of S nothing moves",
        ALGEBRA,
        iteration.check_convergence,
        partial(iteration.check_convergence, invertible=False),
    ),
    Statement(
        "Iterative Newton, limit",
        "pseudo-inverse",
        "M_k goes to S⁺ for singular S as well (0 < α < 2/‖S‖²)",
        "holds",
        None,
        ALGEBRA,
        iteration.check_pseudo_inverse,
    ),
    Statement(
        "Iterative Newton, steps",
        "rate",
        "O(log κ(S) + log log 1/ε) steps for an error ε",
        "holds",
        "for α = 1/‖S‖²: ⌈2 log₂ κ + log₂ ln 1/ε⌉",
        ALGEBRA,
        iteration.check_newton_rate,
    ),
    Statement(
        "Gradient descent, steps",
        "rate",
        "O(κ(S) log 1/ε) steps for an error ε",
        "holds",
        "with step 1/‖S‖: ⌈κ ln 1/ε⌉",
        ALGEBRA,
        iteration.check_descent_rate,
    ),
    *(
        Statement(
            f"Appendix B.3, M_{k}",
            "moments",
            f"M_{k} has coefficients {', '.join(map(str, iteration.PRINTED_MOMENTS[k]))} of α^j S^(2j−1)",
            "false as printed",
            f"(−1)^(j+1) C(2^k, j), j ≤ 2^k, for every k: {', '.join(map(str, iteration.moments(k)))} here",
            ALGEBRA,
            partial(iteration.check_moments, k),
            partial(iteration.check_moments, k, corrected=True),
        )
        for k in (1, 2)
    ),
    Statement(
        "Appendix B, round-off (ours)",
        "antisymmetric errors",
        "a layer T ← 2T − T S Tᵀ doubles the antisymmetric part of T",
        "holds",
        "T ← 2T − T S T squares the error instead; they are equal in exact arithmetic",
        ALGEBRA,
        iteration.check_asymmetry_doubles,
    ),
)
