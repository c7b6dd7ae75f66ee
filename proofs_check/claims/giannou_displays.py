"""Giannou et al. 2024, appendices B.2 and E.1: displays and sentences between the numbered ones."""

from __future__ import annotations

from fractions import Fraction

import sympy
from sympy import Rational, diff, sqrt

from ..certificate import Proved, Verdict
from ..newton_examples import flat
from ..newton_paper import check_phase_one, refuted
from ..newton_proofs import (
    check_invariant_ball,
    check_third,
    equal,
    no_negative_coefficient,
    symbols,
    verdict,
)
from ..outward import IV, Ball, above, ball, below, between
from .giannou_concordance import check_standard_scaling
from .giannou_layers import SOURCE
from .giannou_phases import check_local_norm_bound, check_slope_formula, check_slope_sign
from .record import Statement

F = Fraction


def refute_combined() -> Verdict:
    """The display after (B.5): (B.4) and (B.5) together, for ‖ε‖ = μ². a = 0, μ = 2, r = 10."""
    here = flat(2, 10)
    mu, r, eta = here.mu, here.r, here.damping
    far = 1 / mu + r
    printed = r**2 + 2 / mu * eta * r - 2 * mu**2 * eta * r**2 + eta**2 * far**2 + 2 * mu**2 * r + 2 * mu * eta * far + mu**4
    moved = here.after + mu**2
    return refuted(
        f"a = 0, μ = 2, ‖x‖ = 10, ε = 4 along x: ‖x⁺‖² = {float(moved**2):.2f} > {float(printed):.2f}",
        moved**2 > printed,
        moved <= (1 - eta) * r + eta / mu + mu**2,
    )


def check_two_terms() -> Verdict:
    """I₁ = −6μ²‖x‖ + O(1) and I₂ = O(1) as ‖x‖ → ∞, with the printed fractions."""
    r, mu = symbols("r mu")
    first = -8 * mu**3 * r**2 / (4 * mu + 1 + mu * r) + 2 * mu**2 * r + mu**4
    root = 2 * sqrt(mu * (1 + mu))
    second = (
        2 * root * r / (mu * (root - 1 + mu * r)),
        root**2 * (1 / mu + r) ** 2 / (root - 1 + mu * r) ** 2,
        8 * mu * (1 / mu + r) / (4 * mu + 1 + mu * r),
    )
    rest = sympy.cancel(first + 6 * mu**2 * r)
    return verdict(
        "I₁ + 6μ²‖x‖ goes to 32μ² + 8μ + μ⁴, and the three terms of I₂ to 4√(μ(1 + μ))/μ², 4(1 + μ)/μ and 8.",
        ("I₁", equal(sympy.limit(rest, r, sympy.oo), 32 * mu**2 + 8 * mu + mu**4)),
        ("I₂, 1", equal(sympy.limit(second[0], r, sympy.oo), 2 * root / mu**2)),
        ("I₂, 2", equal(sympy.limit(second[1], r, sympy.oo), 4 * (1 + mu) / mu)),
        ("I₂, 3", equal(sympy.limit(second[2], r, sympy.oo), 8)),
    )


# -- h ---------------------------------------------------------------------------------------------------------------------


def _inner(x: Ball, c: Ball, k: Ball) -> Ball:
    """δ̃ = √(x²/(1 + x)² − 2c/(1 + x) + c′)."""
    return IV.sqrt(x**2 / (1 + x) ** 2 - 2 * c / (1 + x) + k)


def _slope(x: Ball, c: Ball, k: Ball) -> Ball:
    """h′ as appendix E.1 has it."""
    delta = _inner(x, c, k)
    return (x + c * (1 + x) - (x**2 + 2 * x) * (1 + x) * (1 - delta)) / ((1 - delta) * (1 + x) ** 3)


def refute_always_falling() -> Verdict:
    """h rises again before δ̃ = 1: c = −0.06, c′ = 0.012, x = 155."""
    x, c, k = F(155), F(-6, 100), F(12, 1000)
    delta, slope = _inner(ball(x), ball(c), ball(k)), _slope(ball(x), ball(c), ball(k))
    return refuted(
        f"c = −0.06, c' = 0.012, x = 155: δ̃ = {above(delta):.6f} < 1, so h is defined, and h' = {below(slope):.3f} > 0",
        above(delta) < 1,
        below(slope) > 1,
    )


def check_falling_far(far: int = 150) -> Verdict:
    """h′ < 0 for 1 ≤ x ≤ far, |c| ≤ 0.06 and 0 ≤ c′ ≤ 0.012, by branch and bound."""
    k, boxes, todo = ball(F(12, 1000)), 0, [(F(1), F(far), F(-6, 100), F(6, 100), 20)]
    while todo:
        x0, x1, c0, c1, left = todo.pop()
        boxes += 1
        x, c = between(x0, x1), between(c0, c1)
        square = (1 - 1 / (1 + x)) ** 2 - 2 * c / (1 + x) + k
        rest = 1 - IV.sqrt(ball(max(above(square), 0.0)))
        if below(rest) > 0 and above((1 / (1 + x) + c / x) / rest - x - 2) < 0:
            continue
        if left == 0:
            return verdict("", (f"x in [{float(x0):.4g}, {float(x1):.4g}]", False))
        if (x1 - x0) / (1 + x0) ** 2 * 2 > (c1 - c0) / (1 + x0):
            todo += [(x0, (x0 + x1) / 2, c0, c1, left - 1), ((x0 + x1) / 2, x1, c0, c1, left - 1)]
        else:
            todo += [(x0, x1, c0, (c0 + c1) / 2, left - 1), (x0, x1, (c0 + c1) / 2, c1, left - 1)]
    y, s, d = symbols("y s d")
    slope = (y + s * (1 + y) - (y**2 + 2 * y) * (1 + y) * (1 - d)) / ((1 - d) * (1 + y) ** 3)
    form = (1 / (1 + y) + s / y) / (1 - d) - y - 2
    return verdict(
        f"On [1/6, 1] by appendix E.1, monotonicity; on [1, {far}] by branch and bound with outward rounding, {boxes} boxes: "
        "h' has the sign of (1/(1 + x) + c/x)/(1 − δ̃) − x − 2, which grows with δ̃, so c' = 0.012 is worst.",
        ("[1/6, 1]", isinstance(check_slope_sign(), Proved)),
        ("h'", isinstance(check_slope_formula(), Proved)),
        ("sign", equal(slope * (1 + y) ** 2 / y, form)),
        ("1/(1 + x) + c/x > 0", F(1, 2) - F(6, 100) > 0),
    )


def check_value_at_sixth() -> Verdict:
    y, z = symbols("y z")
    x = Rational(1, 6)
    return verdict(
        "λ²/(1 + λ) = 1/42, λ²/(1 + λ)² = 1/49 and 2y/(1 + λ) = 12y/7 at λ = 1/6.",
        ("1/42", x**2 / (1 + x) == Rational(1, 42)),
        ("1/49", (x / (1 + x)) ** 2 == Rational(1, 49)),
        ("12y/7", equal(2 * y / (1 + x), 12 * y / 7)),
        ("under the root", equal((x / (1 + x)) ** 2 - 2 * y / (1 + x) + z, Rational(1, 49) - 12 * y / 7 + z)),
    )


def check_size_of_z() -> Verdict:
    mu, eps = symbols("mu epsilon")
    true, printed = eps**2 * (1 + 4 * mu) / (16 * mu), eps**2 * (1 + mu) / (4 * mu)
    most = Rational(1, 100) * Rational(4, 100) / 4  # ε ≤ 0.01 and ε(1 + μ)/μ ≤ 0.04
    return verdict(
        "εᵀ∇²gε ≤ ε²(1 + 4μ)/(16μ) ≤ ε²(1 + μ)/(4μ) ≤ 0.01·0.04/4 = 1e-4 for ε ≤ min(0.01, 0.04μ/(1 + μ)).",
        ("∇²g", isinstance(check_local_norm_bound(), Proved)),
        ("printed − true", no_negative_coefficient(printed - true)),
        ("1e-4", most == Rational(1, 10000)),
        ("ε·(ε(1 + μ)/μ)/4", equal(printed, eps * (eps * (1 + mu) / mu) / 4)),
    )


# -- phase II ----------------------------------------------------------------------------------------------------------------


def refute_equality() -> Verdict:
    """(B.9), second line: ‖∇²g^{−1/2}GΔ‖ = ‖η∇²g^{−1/2}G(∇²g)⁻¹∇g‖ + ‖∇²g^{−1/2}Gε‖. a = 0, x = 1/5, ε = ηx: Δ = 0."""
    here = flat(1, F(1, 5))
    eps = here.damping * here.r
    hessian, lam = F(1, 4), here.scaled_decrement
    G = hessian - (1 + lam) * hessian  # the mean Hessian is ∇²g
    root = F(1, 2)
    left, right = abs(G * (eps - here.damping * here.r)) / root, abs(G * here.damping * here.r) / root + abs(G * eps) / root
    return refuted(
        f"a = 0, x = 1/5, ε = ηx: Δ = −ηx + ε = 0, so the left side is 0 and the right side {right}",
        root**2 == hessian and left == 0,
        right == F(1, 55),
        left <= right,
    )


def check_triangle() -> Verdict:
    g, n, e, eta = symbols("g n e eta")
    return verdict(
        "Δ = −ηN + ε, and ‖u + v‖ ≤ ‖u‖ + ‖v‖ (in one dimension equal where N and ε have opposite signs).",
        ("equal there", equal(g * (eta * n + e), g * eta * n + g * e)),
        ("at most elsewhere", no_negative_coefficient((g * eta * n + g * e) ** 2 - (g * eta * n - g * e) ** 2)),
    )


def check_local_size_of_G() -> Verdict:
    """With the least constant M = 2/(3√3(1 + 4μ)) of g: M²r² + … ≤ δ + λ for every δ < 1."""
    M, u, v, lam = symbols("M u v lam")
    delta, half = 1 / (1 + u), 1 / (2 + v)  # δ in (0, 1), M in (0, 1/2)
    above_side = (delta + 2 * lam - M * delta / (1 - M * delta)).subs(M, half)
    below_side = (delta + lam + (-M * delta + M**2 * delta**2 / 3 - lam)).subs(M, half)
    return verdict(
        "Corollary B.6 with the least constant of g, M = 2/(3√3(1 + 4μ)) < 1/2: −(δ + λ) ≤ −Mδ + M²δ²/3 − λ and 1/(1 "
        "− Mδ) − 1 − λ ≤ "
        "δ + λ for δ < 1.",
        ("M", isinstance(check_standard_scaling(), Proved) and isinstance(check_third(), Proved)),
        ("(2/(3√3))² < 1/4", F(4, 27) < F(1, 4)),
        ("above", no_negative_coefficient(above_side)),
        ("below", no_negative_coefficient(below_side)),
    )


def refute_local_size_of_G() -> Verdict:
    """Corollary B.6 with M = 1 gives 1/(1 − δ) − 1 − λ only, which is above δ + λ at λ = 1/1000, δ = 1/10."""
    lam, delta = F(1, 1000), F(1, 10)
    return refuted(
        "λ = 1/1000, δ = 1/10: with M = 1 the bound of Corollary B.6 is 0.1101, above δ + λ = 0.101",
        1 / (1 - delta) - 1 - lam == F(991, 9000),
        F(991, 9000) > delta + lam,
    )


def check_fifth() -> Verdict:
    lam, u = symbols("lam u")
    grown = lam / (1 + lam)
    return verdict(
        "δ ≤ λ/(1 + λ) + ρ ≤ 1/7 + ρ for λ ≤ 1/6, and 1/7 + 2/35 = 1/5: c_2 is where ρ = ε√((1 + 4μ)/(16μ)) = 2/35.",
        ("δ", isinstance(check_local_norm_bound(), Proved)),
        ("grows", no_negative_coefficient(diff(grown, lam))),
        ("1/7", grown.subs(lam, Rational(1, 6)) == Rational(1, 7)),
        ("1/5", F(1, 7) + F(2, 35) == F(1, 5)),
        ("below 1/5 for smaller ρ", no_negative_coefficient(Rational(1, 5) - Rational(1, 7) - Rational(2, 35) / (1 + u))),
    )


STATEMENTS: tuple[Statement, ...] = (
    Statement(SOURCE, "after (B.5), combined", "the norm after a step",
        "‖x⁺‖² ≤ ‖x‖² + 2η‖x‖/μ − 2μ²η‖x‖² + η²(1/μ + ‖x‖)² + 2μ²‖x‖ + 2μη(1/μ + ‖x‖) + μ⁴.",
        "exact counterexample", "false as printed",
        "True for μ ≤ 1, where (B.4) and (B.5) are. For every μ, ‖x⁺‖ ≤ (1 − η)‖x‖ + η/μ + ‖ε‖.",
        refute_combined, check_invariant_ball),
    Statement(SOURCE, "Lemma B.9, I₁ and I₂", "the orders of the printed fractions",
        "I₁ ≈ −6μ²‖x‖ and I₂ = O(1) for large ‖x‖.", "identity (limits)", "holds", "", check_two_terms),
    Statement(SOURCE, "phase I, h", "h falls everywhere",
        "h falls for all x ≥ 1/6 where |c| ≤ 0.06.", "interval arithmetic", "false as printed",
        "For c' ≤ 0.012 it falls on [1/6, 150], and rises just before δ̃ = 1. The closed form of phase I needs no monotonicity.",
        refute_always_falling, check_falling_far),
    Statement(SOURCE, "appendix E.1, h(1/6)", "h at λ = 1/6",
        "h(1/6) = −1/42 + y − log(1 − √(1/49 − 12y/7 + z)) − √(1/49 − 12y/7 + z).", "identity", "holds",
        "(In the last display z is missing under the second root.)", check_value_at_sixth),
    Statement(SOURCE, "appendix E.1, |z|", "the size of z",
        "|z| ≤ ε²(1 + μ)/(4μ) ≤ 0.012 for ε ≤ min(0.01, 0.04μ/(1 + μ)).", "polynomial certificate", "holds",
        "Even |z| ≤ 1e-4, with which h(1/6) < −0.01 (see appendix E.1, constant).", check_size_of_z),
    Statement(SOURCE, "(B.9), second line", "an equality sign",
        "The norm of ∇²g^{−1/2}GΔ equals the sum of two norms.", "exact counterexample", "false as printed",
        "It is at most the sum, which is what is needed.", refute_equality, check_triangle),
    Statement(SOURCE, "after (B.9), norm of ∇²g^{−1/2}G∇²g^{−1/2}", "the local size of G",
        "‖∇²g^{−1/2}G∇²g^{−1/2}‖ ≤ δ + λ.", "polynomial certificate", "holds with restriction",
        "For δ < 1, by the least constant of self-concordance; with M = 1, as in the text, it does not follow.",
        check_local_size_of_G, refute_local_size_of_G),
    Statement(SOURCE, "phase II, δ", "δ ≤ 1/5", "δ ≤ 1/5 where λ < 1/6 and ε < c_2.", "polynomial certificate", "holds",
        "c_2 = (2/35)√(16μ/(1 + 4μ)).", check_fifth),
    Statement(SOURCE, "after (B.6), c_1", "δ < 1", "There is c_1 with δ < 1 for ε ≤ c_1.", "polynomial certificate", "holds",
        "c_1 is where (1 + Λ)ρ = 1, Λ = (1 + Cμ)/(2μ); it depends on ‖x_0‖ through C.", check_phase_one),
)  # fmt: skip


