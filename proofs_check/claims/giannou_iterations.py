"""Giannou et al. 2024, sections 3.2.1 and 6, appendix A.1: iterations for the inverse, their degrees and step counts."""

from __future__ import annotations

from fractions import Fraction
from functools import partial

import sympy

from ..certificate import Proved, Verdict
from ..minimax import chebyshev
from ..newton_budget import solve_polynomial
from ..newton_examples import loss
from ..newton_paper import refuted
from ..newton_proofs import check_lipschitz, equal, no_negative_coefficient, verdict
from ..newton_schulz import check_inversion_steps, check_residuals, initial_residual, inversion_steps, residual_after
from ..outward import IV, above, ball, below
from .blocks import ONE, ZERO, Head, attend, letter
from .degree import check_degree
from .giannou_layers import OWN, SOURCE
from .record import Statement

F = Fraction


def check_descent_steps() -> Verdict:
    """Gradient descent with the best step: ((κ − 1)/(κ + 1))^t ≤ ε for t ≥ (κ/2) ln(1/ε)."""
    x, u = sympy.symbols("x u", positive=True)
    return verdict(
        "Step 2/(λ_max + λ_min) contracts by (κ − 1)/(κ + 1), and ln((κ + 1)/(κ − 1)) ≥ 2/κ (slope of the difference in "
        "x = 1/κ: 2x²/(1 − x²)). So (κ/2) ln(1/ε) steps are enough.",
        ("slope", equal(sympy.diff(sympy.log((1 + x) / (1 - x)) - 2 * x, x), 2 * x**2 / (1 - x**2))),
        ("sign", no_negative_coefficient((2 * x**2 / (1 - x**2)).subs(x, 1 / (1 + u)))),
    )


def _inside() -> list[tuple[str, bool]]:
    """That (1 − c)² < 1 for 0 < c < 2, and not at c = 2 or beyond; and that a step squares a residual."""
    c, u = sympy.symbols("c u", positive=True)
    room = 1 - (1 - c) ** 2
    return [
        ("1 − (1 − c)² = c(2 − c)", equal(room, c * (2 - c))),
        ("above 0 inside", no_negative_coefficient(room.subs(c, 2 / (1 + u)))),
        ("0 at 2", room.subs(c, 2) == 0),
        ("not above 0 beyond 2", no_negative_coefficient(-room.subs(c, 2 + u))),
        ("a step squares the residual", isinstance(check_residuals(range(2, 3)), Proved)),
    ]


def check_start() -> Verdict:
    """X_0 = αAᵀ converges exactly for α in (0, 2/σ_max²)."""
    A, alpha = letter("A"), sympy.Symbol("alpha")
    return verdict(
        "By the singular values, I − AX_0 = I − αAAᵀ has the eigenvalues 1 − c with c = ασ² (A nonsingular); |1 − c| "
        "< 1 for all "
        "of them if and only if 0 < α < 2/σ_max², and each step squares them. At α = 2/σ_max² one is −1, then 1 for ever.",
        ("I − AX_0", ONE - A @ (alpha * A.T) == ONE - alpha * (A @ A.T)),
        *_inside(),
    )


def check_start_gram() -> Verdict:
    """X_0 = εAᵀA for the inverse of AᵀA: the same with σ = λ."""
    R, eps = letter("R", symmetric=True), sympy.Symbol("epsilon")
    return verdict(
        "I − RX_0 = I − εR² has the eigenvalues 1 − c, c = ελ²: in (−1, 1) if and only if 0 < ε < 2/λ_max² (R nonsingular; "
        "otherwise the iteration goes to the pseudo-inverse, as X_k stays in the range of R).",
        ("I − RX_0", ONE - R @ (eps * R) == ONE - eps * (R @ R)),
        *_inside(),
    )


def refute_uniform_count() -> Verdict:
    counts = [inversion_steps(1, F(1, 10**8), c=c) for c in (F(1, 10**6), 2 - F(1, 10**6), F(1, 10**9), F(1))]
    return refuted(
        f"κ = 1, residual 1e-8: α·λ_max = 1e-6 or 2 − 1e-6 takes {counts[0]} and {counts[1]} steps, 1e-9 takes {counts[2]}, "
        "where log₂κ + log₂log₂(1/ε) = 4.7: no bound holds for all α in the interval",
        min(counts[:2]) >= 24,
        counts[2] > counts[0],
        counts[3] == 0,
    )


def refute_largest_alpha() -> Verdict:
    four, five = residual_after(2, 4, 1), residual_after(2, 5, 1)
    count = 2 + IV.log(ball(7)) / IV.log(ball(2))
    return refuted(
        f"α = 1/σ_max², κ = 2, ε = 2⁻⁷: 2log₂κ + log₂log₂(1/ε) = {above(count):.3f}, and after 4 steps the residual is "
        f"(3/4)^16 = {below(four):.5f} > {1 / 128:.5f}: it takes 5",
        above(count) < 5,
        below(four) > 1 / 128,
        above(five) <= 1 / 128,
    )


def check_logarithm_base() -> Verdict:
    """n^k ≥ κ² ln(1/ε)/2 is enough: the base of all logarithms becomes n, the overhead 2 log_n κ too."""
    kappa, tol, orders = 1000, F(1, 10**8), (2, 3, 4, 8)
    counts = {n: inversion_steps(kappa, tol, order=n) for n in orders}
    needed = ball(F(kappa**2, 2)) * -IV.log(ball(tol))
    enough = {n: next(k for k in range(99) if below(n**k - needed) >= 0) for n in orders}
    return verdict(
        "n^k ln(1/ρ) ≥ ln(1/ε) with ln(1/ρ) ≥ 2κ⁻² for the best α, so k = ⌈log_n(κ² ln(1/ε)/2)⌉ is enough. κ = 1000, ε = 1e-8: "
        + ", ".join(f"order {n}: {k}" for n, k in counts.items()),
        ("order n", isinstance(check_residuals(), Proved)),
        ("ln(1/ρ) ≥ 2κ⁻²", isinstance(check_inversion_steps(), Proved)),
        ("never more than ⌈log_n(…)⌉", all(counts[n] <= enough[n] <= counts[n] + 1 for n in orders)),
        ("falls with n", list(counts.values()) == sorted(counts.values(), reverse=True)),
        ("order 4 is order 2 twice", counts[4] == -(-counts[2] // 2)),
    )


def check_degrees() -> Verdict:
    """From X_0 = αA, A symmetric: order 2 has powers 3 and 7 after one and two steps, order 3 has 5 and 17."""
    t = sympy.Symbol("t")
    found = {}
    for n in (2, 3):
        x = t
        for k in (1, 2):
            x = sympy.expand(x * sum((-1) ** m * sympy.binomial(n, m + 1) * (t * x) ** m for m in range(n)))
            found[n, k] = sympy.Poly(x, t).degree()
    n, k = sympy.symbols("n k", positive=True)
    return verdict(
        "The degrees of the iterates, expanded: order n takes a degree r to nr + n − 1, so 2n^k − 1 after k "
        "steps. A layer of linear attention triples a degree at most: 3, 9, 3^k (`degree`), and 3^k − (2^(k + 1) − 1) grows.",
        ("degrees", found == {(2, 1): 3, (2, 2): 7, (3, 1): 5, (3, 2): 17}),
        ("2n^k − 1", equal(n * (2 * n**k - 1) + n - 1, 2 * n * n**k - 1)),
        ("layers", isinstance(check_degree(), Proved)),
        ("the gap grows", all(3**j - 2 ** (j + 1) < 3 ** (j + 1) - 2 ** (j + 2) for j in range(1, 40))),
    )


def refute_outperform() -> Verdict:
    """One layer makes every cubic in A. The best of them beats one step of order 3 from the best start."""
    A = letter("A", symmetric=True)
    c = sympy.symbols("c:4")
    layer = attend(
        {"X": ZERO, "A": A, "I": ONE},
        Head([("X", 1, "A")], [(c[3], "A"), (c[2], "A"), (c[1], "I")], [(1, "A"), (1, "I"), (1, "I")]),
        Head([("X", c[0], "I")], [(1, "I")], [(1, "I")]),
    )
    made = c[0] * ONE + c[1] * A + c[2] * (A @ A) + c[3] * (A @ A @ A)
    best, cubic = 1 / chebyshev(4, F(5, 4)), solve_polynomial(1, 9, 3).residual
    step = initial_residual(9) ** 3  # α = 2/(1 + 81): |1 − αλ²| ≤ 80/82 on [1, 9], and no α does better at both ends
    return refuted(
        f"spec(A) in [1, 9]: one layer of 2 heads makes c_0 I + c_1 A + c_2 A² + c_3 A³, with residual {float(cubic):.4f}; "
        f"one step "
        f"of order 3 from αA has {float(step):.4f} for the best α",
        layer["X"] == made,
        abs(cubic - best) < F(1, 10**9),
        cubic < step,
    )


def check_order_three_layer() -> Verdict:
    """With E = I − AX and its transpose in the stream, a step of order 3 is one layer of 3 heads, for every A."""
    X, E = letter("X"), letter("E")
    after = attend(
        {"X": X, "E": E, "F": E.T, "I": ONE},
        Head([("X", 1, "X")], [(1, "F"), (1, "I")], [(1, "E"), (1, "E")]),
        Head([("E", 1, "E")], [(1, "F"), (1, "I")], [(1, "E"), (-1, "I")]),
        Head([("F", 1, "F")], [(1, "E"), (1, "I")], [(1, "F"), (-1, "I")]),
    )
    return verdict(
        "X ← X + X(E + E²), E ← E + E(E² − I), and the same for Eᵀ; with (1 − E)(1 + E + E²) = 1 − E³ that is order 3.",
        ("X", after["X"] == X @ (ONE + E + E @ E)),
        ("E", after["E"] == E @ E @ E),
        ("Eᵀ", after["F"] == (E @ E @ E).T),
        ("order three", (ONE - E) @ (ONE + E + E @ E) == ONE - E @ E @ E),
    )


def check_thirteen_layers() -> Verdict:
    mu = F(10)
    kappa = 1 + 1 / (4 * mu)
    return verdict(
        "11 + 2k = 13 for k = 1, which is enough where the residual (κ̄² − 1)²/(κ̄² + 1)² of one step is small enough; μ = 10: "
        f"{float(initial_residual(kappa)) ** 2:.2g}.",
        ("11 + 2", 11 + 2 * 1 == 13),
        ("one step", inversion_steps(kappa, F(1, 1000)) == 1),
    )


def refute_thirteen_layers() -> Verdict:
    steps = inversion_steps(1 + F(10, 4), F(1, 100))
    return refuted(f"μ = 0.1 (that of the experiments), residual 0.01: k = {steps}, {11 + 2 * steps} layers", steps > 1)


def check_identity_start() -> Verdict:
    """X_0 = αI for a symmetric positive definite matrix: ρ = (κ − 1)/(κ + 1)."""
    k, m = sympy.symbols("kappa m", positive=True)
    alpha = 2 / (m + k * m)
    pairs = [
        (inversion_steps(kappa, F(1, 10**8), start="identity"), inversion_steps(kappa, F(1, 10**8)))
        for kappa in (10, 100, 1000)
    ]
    return verdict(
        "With α = 2/(λ_min + λ_max) both ends of the spectrum leave (κ − 1)/(κ + 1), and ln((κ + 1)/(κ − 1)) ≥ 2/κ: κ in "
        "place of "
        f"κ². Steps to 1e-8 for κ = 10, 100, 1000: {', '.join(f'{a} instead of {b}' for a, b in pairs)}.",
        ("lower end", equal(1 - alpha * m, (k - 1) / (k + 1))),
        ("upper end", equal(1 - alpha * k * m, -(k - 1) / (k + 1))),
        ("logarithm", isinstance(check_inversion_steps(), Proved)),
        ("fewer", all(a < b for a, b in pairs)),
    )


def check_alpha_of_the_hessian() -> Verdict:
    mu = sympy.Symbol("mu", positive=True)
    top = mu + sympy.Rational(1, 4)
    best = 2 / (top**2 + mu**2)
    return verdict(
        "μ ≤ ∇²f ≤ μ + 1/4 for all data with ‖a_i‖ ≤ 1, so αBᵀ converges for α in (0, 2/(μ + 1/4)²), αI for α in (0, 2/(μ + "
        "1/4)); "
        "n = d = 1, a = 1, x = 0 attains μ + 1/4, so no larger α serves all data.",
        *_inside(),
        ("Hessian", isinstance(check_lipschitz(), Proved)),
        ("attained", above(loss(F(1, 2), 0).hessian) == 0.75 == below(loss(F(1, 2), 0).hessian)),
        ("the best α, both ends", equal(1 - best * top**2, -(1 - best * mu**2))),
    )


STATEMENTS: tuple[Statement, ...] = (
    Statement(
        SOURCE, "section 3.2.1", "steps of gradient descent",
        "Gradient descent for least squares takes O(κ(AᵀA) log(1/ε)) steps.",
        "identity", "holds", "(κ/2) ln(1/ε) steps with the best step size.", check_descent_steps,
    ),
    Statement(
        SOURCE, "(3.3)", "quadratic convergence",
        "X ← X(2I − AX) squares the residual I − AX.",
        "identity, noncommuting", "holds", "For every square A and X, on both sides.", partial(check_residuals, range(2, 3)),
    ),
    Statement(
        SOURCE, "(3.3), start", "where X_0 = αAᵀ converges",
        "The iteration converges for α in (0, 2/λ_max(AᵀA)).",
        "identity", "holds", "And for no other α > 0.", check_start,
    ),
    Statement(
        SOURCE, "(3.3), steps", "number of steps",
        "For α in (0, 2/λ_max(AᵀA)) the estimate is ε-accurate after O(log₂κ(A) + log₂log₂(1/ε)) steps.",
        "identity, interval arithmetic", "holds with restriction",
        "For the best α, ⌈2log₂κ + log₂log₂(1/ε) − 1.528⌉ steps make the residual ≤ ε; for α = c/σ_max², c ≤ 1 fixed, "
        "⌈2log₂κ + log₂log₂(1/ε) + log₂(ln 2/c)⌉. No bound is uniform in α. (`hw.theory.inversion_steps`)",
        check_inversion_steps, refute_uniform_count,
    ),
    Statement(
        SOURCE, "Theorems 5.1 and 5.2, k", "the constant of the count",
        "k ≤ 2log₂κ + log₂log₂(1/ε) Newton steps reach the accuracy ε (α is not given).",
        "interval arithmetic", "holds with restriction",
        "True for the best α, with 0.528 to spare; for α = 1/σ_max² add 0.4713. ε is the residual ‖I − AX‖.",
        check_inversion_steps, refute_largest_alpha,
    ),
    Statement(
        SOURCE, "(3.4)", "convergence of order n",
        "I − X_{k+1}A = (I − X_kA)^n.",
        "identity, noncommuting", "holds", "Also I − AX_{k+1} = (I − AX_k)^n; for every X_0, square A.", check_residuals,
    ),
    Statement(
        SOURCE, "(3.4), rate", "logarithms to base n",
        "The logarithms of the count get base n, and the overhead for the condition number shrinks too.",
        "identity, interval arithmetic", "holds", "log_n(κ² ln(1/ε)/2) steps; but a step of order n costs ⌈log₃ n⌉ layers.",
        check_logarithm_base,
    ),
    Statement(
        SOURCE, "(A.1)", "start of the iteration",
        "X_0 = εAᵀ with ε in (0, 2/λ_1(AAᵀ)) converges.",
        "identity", "holds", "", check_start,
    ),
    Statement(
        SOURCE, "Theorem 4.2, start", "X_0 = εAᵀA",
        "ε may be in (0, 2/λ_max(AᵀA)²).",
        "identity", "holds", "ε is a weight, so the network is right for data whose λ_max obeys the bound, not for all data.",
        check_start_gram,
    ),
    Statement(
        SOURCE, "section 6, powers", "degrees of iterates and layers",
        "Layers reach the powers 3 and 9 of A, order 2 reaches 3 and 7, order 3 reaches 5 and 17; the gap between "
        "layers and order 2 "
        "grows.",
        "identity, computer algebra", "holds", "", check_degrees,
    ),
    Statement(
        SOURCE, "section 6, conclusion", "a bound by order three",
        "An LSA Transformer cannot outperform Newton's iteration of order three, because it reaches smaller powers of A.",
        "identity, rational arithmetic", "false as printed",
        "The power does not decide: the best polynomial of lower degree has a smaller residual. And with E = I − AX kept in "
        "the "
        "stream a step of order 3 is itself one layer.",
        refute_outperform, check_order_three_layer,
    ),
    Statement(
        SOURCE, "section 6, logistic regression", "13 layers a step",
        "By Theorem 5.2 a step of Newton's method is equivalent to 13 layers.",
        "rational arithmetic", "holds with restriction", "For k = 1, which is enough for large μ only; 11 + 2k in general.",
        check_thirteen_layers, refute_thirteen_layers,
    ),
    Statement(
        SOURCE, "appendix C, α", "the start of the inversion (the range of α is not given)",
        "X_0 = αBᵀ with some weight α starts the inversion of the Hessian for all data.",
        "identity", "holds", "For α in (0, 2/(μ + 1/4)²), up to the error of B; the best is 2/((μ + 1/4)² + "
        "μ²).", check_alpha_of_the_hessian,
    ),
    Statement(
        OWN, "X_0 = αI", "half the overhead for a symmetric positive definite matrix",
        "From X_0 = αI, log₂κ + log₂log₂(1/ε) steps are enough: κ takes the place of κ².",
        "identity, interval arithmetic", "holds", "", check_identity_start,
    ),
)  # fmt: skip
