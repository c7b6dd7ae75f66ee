"""Giannou et al. 2024, appendix B.2: the invariant ball (Lemmas B.9, B.10), phase I, and appendix E.1.

With all a_i = 0 (allowed): f = ln 2 + μ‖x‖²/2, H = μI, N = x, λ_g = r/2, and the step is x ↦ x·r/(2 + r) + ε, r = ‖x‖.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import sympy
from sympy import Rational, diff, sqrt

from ..certificate import Proved, Verdict
from ..newton_examples import BOTH, flat, loss
from ..newton_paper import (
    check_phase_one,
    refute_decrease_constant,
    refute_decrement_of_g,
    refute_inner_product,
    refute_norm_decrease,
    refute_norm_display,
    refute_quarter,
    refute_value_display,
    refuted,
)
from ..newton_proofs import check_invariant_ball, equal, no_negative_coefficient, symbols, verdict
from ..outward import IV, Ball, above, ball, below, between
from .giannou_concordance import check_decrement_bounds, check_gradient_bounds
from .giannou_layers import SOURCE
from .record import Statement

F = Fraction
_BALL = (
    "For ‖ε‖ ≤ ε₀ < 2 and C₁ = (2 + ε₀(1 + 2μ))/(μ(2 − ε₀)): ‖x⁺‖ ≤ ‖x‖ where ‖x‖ ≥ C₁, and ‖x⁺‖ ≤ C₁ where ‖x‖ ≤ C₁. "
    "So ‖x_t‖ ≤ C = max(‖x_0‖, C₁), which depends on ‖x_0‖ too."
)


def refute_error_term() -> Verdict:
    """(B.4) at n = d = 1, a = y = 1, x = 0, μ = 2, ε = μ² = 4 away from the step: N = −2/9, λ_f = 1/3."""
    here = loss(2, 0)
    size, eps = abs(here.step), ball(here.mu**2)
    moved = here.step + eps  # the step goes up, and so does the error
    printed, corrected = (size**2 + 2 * factor * size + eps**2 for factor in (ball(here.mu), eps))
    return refuted(
        f"n = d = 1, a = y = 1, x = 0, μ = 2, ε = 4: ‖x⁺‖² = {below(moved**2):.3f} > {above(printed):.3f}",
        below(moved**2) > above(printed),
        overlap(moved**2, corrected),
    )


def overlap(x: Ball, y: Ball) -> bool:
    """Whether two enclosures of what should be equal have a point in common."""
    return below(x) <= above(y) and below(y) <= above(x)


def check_error_term() -> Verdict:
    eta, n, r, e = symbols("eta n r e")
    return verdict(
        "2ε·(x − ηN) ≤ 2‖ε‖(‖x‖ + η‖N‖), with ‖ε‖ ≤ μ²: the term is 2μ²η‖N‖.",
        ("expansion", equal(2 * e * (r + eta * n), 2 * e * r + 2 * e * eta * n)),
    )


def refute_bounded() -> Verdict:
    r = symbols("r")
    after = r * r / (2 + r) + 2
    gain = sympy.expand(sympy.cancel((after + 2) ** 2 - (r + 2) ** 2))
    return refuted(
        "a = 0, μ² = 2, ε_t of length 2 along x_t: ‖x⁺‖ = ‖x‖ + 4/(2 + ‖x‖), and (‖x⁺‖ + 2)² ≥ (‖x‖ + 2)² + 8: no bound holds",
        equal(after - r, 4 / (2 + r)),
        equal(gain, 8 + 16 / (2 + r) ** 2),
    )


def refute_local_norm() -> Verdict:
    e, hessian = F(1, 10), F(1, 4)  # a = 0, x = 0: ∇²g = μ/(4μ), and the step is ε
    return refuted("a = 0, x = 0: δ² = ε²/4, but εᵀ(∇²g)⁻¹ε = 4ε²", e * hessian * e == e**2 / 4, e / hessian * e == 4 * e**2)


def check_local_norm() -> Verdict:
    H, N, e = sympy.symbols("H N e", commutative=False)  # N = (∇²g)⁻¹∇g; rows and columns are not told apart
    x = symbols("x")
    step = -N / (1 + x) + e
    square = sympy.expand(step * H * step)
    return verdict(
        "δ² = (−N/(1 + λ) + ε)ᵀ∇²g(−N/(1 + λ) + ε) = λ²/(1 + λ)² − 2ε·∇g/(1 + λ) + εᵀ∇²gε with NᵀHN = λ², HN = ∇g (as "
        "appendix E.1 has it).",
        ("expansion", sympy.simplify(square - (N * H * N / (1 + x) ** 2 - (N * H * e + e * H * N) / (1 + x) + e * H * e)) == 0),
    )


def check_local_norm_bound() -> Verdict:
    mu, eps, x, rho = symbols("mu epsilon x rho")
    return verdict(
        "εᵀ∇²gε ≤ ε²(μ + 1/4)/(4μ) = ε²(1 + 4μ)/(16μ); and without the root of ε: δ ≤ λ/(1 + λ) + ρ by the triangle "
        "inequality.",
        ("(μ + 1/4)/(4μ)", equal((mu + Rational(1, 4)) / (4 * mu), (1 + 4 * mu) / (16 * mu))),
        ("√(a + b + c) ≤ √a + √(b + c)", equal((x + rho) ** 2 - (x**2 + rho**2), 2 * x * rho)),
        ("ρ²", equal((eps * sqrt((1 + 4 * mu) / (16 * mu))) ** 2, eps**2 * (1 + 4 * mu) / (16 * mu))),
    )


def check_root_of_error() -> Verdict:
    mu, eps, C = symbols("mu epsilon C")
    printed = eps * (1 + C * mu) / (2 * mu) + eps**2 / 4
    rho = eps**2 * (1 + 4 * mu) / (16 * mu)
    return verdict(
        "δ ≤ λ/(1 + λ) + ρ by the triangle inequality, and ε(1 + Cμ)/(2μ) + ε²/4 − ρ² = ε(8(1 + Cμ) − ε)/(16μ): the first term "
        "makes up for the second. δ < 1 where ρ < 1/(1 + λ).",
        ("triangle inequality", isinstance(check_local_norm_bound(), Proved)),
        ("difference", equal(printed - rho, eps * (8 * (1 + C * mu) - eps) / (16 * mu))),
        ("≥ 0 for ε ≤ 8", no_negative_coefficient((printed - rho).subs(eps, 8 / (1 + symbols("u"))))),
    )


def refute_root_of_error() -> Verdict:
    """n = 2, a = 1, y = ±1, x = x* = 0 (so that C = 0 serves for this step), μ = 1/4, ε = 9."""
    mu, eps = F(1, 4), F(9)
    square = eps**2 * (F(1, 4) + mu) / (4 * mu)  # δ² = εᵀ∇²gε, as N = 0
    printed = eps / (2 * mu) + eps**2 / 4
    return refuted(
        "n = 2, a = 1, y = ±1, x = x* = 0, C = 0, μ = 1/4, ε = 9: δ² = 40.5 > 38.25",
        below(loss(mu, 0, BOTH).scaled_hessian) == 0.5 == above(loss(mu, 0, BOTH).scaled_hessian),
        square == F(81, 2) and printed == F(153, 4),
    )


def check_slope_formula() -> Verdict:
    x, c, k = symbols("x c k")
    delta = sqrt(x**2 / (1 + x) ** 2 - 2 * c / (1 + x) + k)
    h = -(x**2) / (1 + x) + c - sympy.log(1 - delta) - delta
    printed = (x + c * (1 + x) - (x**2 + 2 * x) * (1 + x) * (1 - delta)) / ((1 - delta) * (1 + x) ** 3)
    return verdict(
        "Both sides are rational in x, c and δ̃, and δ̃' = (x + c(1 + x))/(δ̃(1 + x)³).",
        ("δ̃'", equal(diff(delta**2, x) / 2, (x + c * (1 + x)) / (1 + x) ** 3)),
        ("h'", _same_at_rational_root(diff(h, x), printed, x, c, k)),
    )


def _same_at_rational_root(left: sympy.Expr, right: sympy.Expr, x: sympy.Symbol, c: sympy.Symbol, k: sympy.Symbol) -> bool:
    """Equality of two expressions rational in δ̃: k is replaced so that δ̃ is a free symbol."""
    s = symbols("s")
    free = s**2 - x**2 / (1 + x) ** 2 + 2 * c / (1 + x)
    difference = (left - right).subs(k, free)
    return bool(sympy.simplify(difference.subs(sqrt(s**2), s)) == 0)


def check_slope_sign() -> Verdict:
    """h' ≤ −0.02 on x in [1/6, 1], |c| ≤ 0.06, 0 ≤ c' ≤ 0.012, where δ̃ is real."""
    boxes, worst, todo = 0, -1.0, [(F(1, 6), F(1), F(-6, 100), F(6, 100), 12)]
    while todo:
        x0, x1, c0, c1, left = todo.pop()
        boxes += 1
        value = above(_slope(between(x0, x1), between(c0, c1)))
        if value <= -0.02:
            worst = max(worst, value)
            continue
        if left == 0:
            return verdict("", ("branch and bound", False))
        xs, cs = (x0, (x0 + x1) / 2, x1), (c0, (c0 + c1) / 2, c1)
        todo += [(xs[i], xs[i + 1], cs[j], cs[j + 1], left - 1) for i, j in product((0, 1), (0, 1))]
    return verdict(
        f"(1 + x)³h' = (x + c(1 + x))/(1 − δ̃) − (x² + 2x)(1 + x) grows with δ̃, so c' = 0.012 is worst; branch and bound with "
        f"outward rounding, {boxes} boxes.",
        ("x + c(1 + x) > 0", F(1, 6) - F(6, 100) * F(7, 6) > 0),
        ("negative", worst <= -0.02),
    )


def _slope(x: Ball, c: Ball) -> Ball:
    """An upper bound of h' over a box, at c' = 0.012."""
    q = x / (1 + x)
    square = max(above(q * q - 2 * c / (1 + x) + ball(F(12, 1000))), 0.0)
    rest = 1 - IV.sqrt(ball(square))
    if below(rest) <= 0:
        return ball(1)
    return ((x + c * (1 + x)) / rest - (x * x + 2 * x) * (1 + x)) / (1 + x) ** 3


def refute_inner_error() -> Verdict:
    """a = 0: ∇g = x/4. The second part: |y| ≤ 0.01 for ε ≤ min(0.01, 0.04μ/(1 + μ))."""
    here = flat(1, 10)
    gradient, printed, corrected = here.r / 4, (1 + here.mu) / (4 * here.mu), (1 + here.r * here.mu) / (4 * here.mu)
    eps = min(F(1, 100), F(4, 100) * here.mu / (1 + here.mu))
    return refuted(
        "a = 0, μ = 1, ‖x‖ = 10, ε along x: ε·∇g = 10ε/4, but ε(1 + μ)/(4μ) = 2ε/4; for ε = 0.01 that is 0.025 > 0.01",
        gradient == F(10, 4) and printed == F(2, 4),
        gradient <= corrected,
        eps * gradient == F(25, 1000),
    )


STATEMENTS: tuple[Statement, ...] = (
    Statement(
        SOURCE, "(B.4)", "the error term",
        "The cross term of ε and the step is at most 2μη‖H⁻¹∇f‖ for ‖ε‖ ≤ μ².",
        "interval arithmetic", "false as printed", "2μ²η‖H⁻¹∇f‖ (so the printed one is right for μ ≤ 1).",
        refute_error_term, check_error_term,
    ),
    Statement(
        SOURCE, "(B.5)", "x against the Newton step",
        "xᵀH⁻¹∇f(x) ≥ −‖x‖/μ + μ²‖x‖².",
        "exact counterexample", "false as printed", "xᵀH⁻¹∇f(x) ≥ ‖x‖² − ‖x‖/μ for every μ (printed: true for μ ≤ 1 only).",
        refute_inner_product, check_invariant_ball,
    ),
    Statement(
        SOURCE, "after (B.5)", "length of the Newton step",
        "‖H⁻¹∇f(x)‖ ≤ 1/μ + ‖x‖.",
        "identity", "holds", "More: ‖H⁻¹∇f(x) − x‖ ≤ 1/μ.", check_invariant_ball,
    ),
    Statement(
        SOURCE, "Lemma B.9, last display", "the norm after a step",
        "‖x⁺‖² ≤ ‖x‖² − I₁ + I₂, with the printed fractions.",
        "interval arithmetic", "false as printed", _BALL, refute_norm_display, check_invariant_ball,
    ),
    Statement(
        SOURCE, "Lemma B.9", "norms shrink far out",
        "For ‖ε‖ ≤ μ² there is a C with ‖x⁺‖ ≤ ‖x‖ where ‖x‖ ≥ C.",
        "identity, exact counterexample", "holds with restriction", "True for μ < √2, false for every μ ≥ √2. " + _BALL,
        check_invariant_ball, refute_norm_decrease,
    ),
    Statement(
        SOURCE, "Lemma B.10", "iterates are bounded",
        "For ‖ε_t‖ ≤ μ² all ‖x_t‖ ≤ C with C depending on μ.",
        "identity, exact counterexample", "holds with restriction", "For μ < √2. " + _BALL + " (`hw.theory.region_radius`)",
        check_invariant_ball, refute_bounded,
    ),
    Statement(
        SOURCE, "before (B.6)", "the local norm of a step",
        "δ² = λ²/(1 + λ)² − 2ε·∇g/(1 + λ) + εᵀ(∇²g)⁻¹ε.",
        "exact counterexample", "false as printed", "The last term is εᵀ∇²gε, as in appendix "
        "E.1.", refute_local_norm, check_local_norm,
    ),
    Statement(
        SOURCE, "before (B.6), |ε·∇g|", "the error against the gradient",
        "|ε·∇g(x_t)| ≤ ε(1 + Cμ)/(4μ).",
        "triangle inequality", "holds", "", check_gradient_bounds,
    ),
    Statement(
        SOURCE, "before (B.6), quadratic term", "the error in the local norm",
        "|εᵀ(∇²g)⁻¹ε| ≤ ε²/4.",
        "exact counterexample", "false as printed", "εᵀ∇²gε ≤ ε²(1 + 4μ)/(16μ).", refute_quarter, check_local_norm_bound,
    ),
    Statement(
        SOURCE, "(B.6)", "bound of the local norm",
        "δ ≤ λ/(1 + λ) + √(ε(1 + Cμ)/(2μ) + ε²/4).",
        "polynomial certificate", "holds with restriction",
        "For ε ≤ 8(1 + Cμ), as Theorem 5.4 has it, although ε²/4 alone is too small (see before (B.6)). Better, "
        "without a root "
        "of ε: δ ≤ λ/(1 + λ) + ρ, ρ = ε√((1 + 4μ)/(16μ)).",
        check_root_of_error, refute_root_of_error,
    ),
    Statement(
        SOURCE, "after (B.6)", "the decrement is bounded",
        "λ(x_t) ≤ (1 + Cμ)/(2√μ), where λ is that of g.",
        "exact counterexample", "false as printed", "λ_g(x_t) ≤ (1 + Cμ)/(2μ).", refute_decrement_of_g, check_decrement_bounds,
    ),
    Statement(
        SOURCE, "phase I, display", "change of the value",
        "g(x⁺) − g(x) ≤ −λ²/(1 + λ) + ε·∇g + ω*(δ²).",
        "interval arithmetic", "false as printed",
        "ω*(δ), as in appendix E.1; in closed form −ω(λ) + ω*((1 + λ)ρ) where (1 + λ)ρ < "
        "1.", refute_value_display, check_phase_one,
    ),
    Statement(
        SOURCE, "phase I", "constant decrease",
        "g(x_{t+1}) − g(x_t) ≤ −0.01 while λ(x_t) ≥ 1/6, for small ε (from h(1/6) ≤ 0.01, where −0.01 is meant).",
        "identity, interval arithmetic", "holds",
        "Where ρ ≤ 0.059 and (1 + Λ)ρ ≤ 1/2, Λ = (1 + Cμ)/(2μ), ρ = ε√((1 + 4μ)/(16μ)).", check_phase_one,
    ),
    Statement(
        SOURCE, "appendix E.1, h'", "the derivative of h",
        "h' = (x + c(1 + x) − (x² + 2x)(1 + x)(1 − δ̃))/((1 − δ̃)(1 + x)³).",
        "identity", "holds", "", check_slope_formula,
    ),
    Statement(
        SOURCE, "appendix E.1, monotonicity", "h falls",
        "h' is at most about −0.02 on x in [1/6, 1] with |c| ≤ 0.06 (read off a plot).",
        "interval arithmetic, branch and bound", "holds", "For 0 ≤ c' ≤ 0.012 and where δ̃ is real; h is needed for λ > 1 "
        "too, where the "
        "closed form of phase I takes its place.", check_slope_sign,
    ),
    Statement(
        SOURCE, "appendix E.1, |c| and |y|", "the size of c and of y",
        "|c| ≤ ‖ε‖‖∇g‖ ≤ ε(1 + μ)/(4μ), and so |y| ≤ 0.01.",
        "exact counterexample", "false as printed", "ε(1 + Cμ)/(4μ), C a bound of "
        "‖x_t‖.", refute_inner_error, check_gradient_bounds,
    ),
    Statement(
        SOURCE, "appendix E.1, constant", "a decrease of 0.01",
        "For |y| ≤ 0.01 and z ≤ 0.012 the decrease is at least 0.01 (read off a plot).",
        "interval arithmetic", "false as printed",
        "With z as large as that, h(1/6) > −0.0054; for ρ ≤ 0.059 the closed form gives "
        "0.01.", refute_decrease_constant, check_phase_one,
    ),
)  # fmt: skip
