"""The convergence claims of Giannou et al. (2024), section 5 and appendices B, C, E: what holds, and what is false as printed.

`CORRECTED` proves the closed-form version of Theorem 5.4 and the inequalities of the paper that hold (some after a repair);
`PRINTED` runs a counterexample for each statement that is false, in rational or interval arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import sympy
from sympy import Rational, diff, sqrt

from .certificate import Refuted, Unknown, Verdict
from .newton_examples import BOTH, flat, loss
from .newton_proofs import equal, no_negative_coefficient, omega, omega_star, symbols, verdict
from .outward import IV, Ball, above, at_most, ball, below

F = Fraction


# -- Theorem 5.4, corrected ----------------------------------------------------------------------------------------------


def check_phase_one() -> Verdict:
    """g(x⁺) − g(x) ≤ −ω(λ) + ω*((1 + λ)ρ), at most −0.01 for λ in [1/6, Λ] if ρ ≤ 0.059 and (1 + Λ)ρ ≤ 1/2 (λ, ρ of g)."""
    x, rho, s, u = symbols("x rho s u")
    minus, plus = (-(x**2) / (1 + x) + sign * x * rho + omega_star(x / (1 + x) - sign * rho) for sign in (-1, 1))
    bound, other = -omega(x) + omega_star((1 + x) * rho), -omega(x) + omega((1 + x) * rho)
    t, inside = ball(F(7, 6) * F(59, 1000)), {s: 1 / (1 + u)}
    worst = _omega(ball(F(1, 6))) - _omega_star(t)
    return verdict(
        "The bound of the value is convex in ∇g·ε on [−λρ, λρ]; the ends give −ω(λ) + ω*((1 + λ)ρ) and −ω(λ) + ω((1 + λ)ρ), "
        "and ω ≤ ω*. Its slope in λ is at most −1/7 + ρ·1 < 0, so λ = 1/6, ρ = 0.059 is worst: there it is below −0.01.",
        # s = δ in (0, 1); δ² is affine in c, and the slope of ω*(δ) in δ² is 1/(2(1 − δ))
        ("convex in c", no_negative_coefficient(diff(diff(omega_star(s), s) / (2 * s), s).subs(inside))),
        ("ω ≤ ω*", no_negative_coefficient(diff(omega_star(s) - omega(s), s).subs(inside))),
        ("end c = −λρ", _same_value(minus, bound, rho)),
        ("end c = λρ", _same_value(plus, other, rho)),
        ("slope", equal(diff(bound, x), -x / (1 + x) + rho * (1 + x) * rho / (1 - (1 + x) * rho))),
        ("−1/7 + 0.059·(1/2)/(1/2) < 0", F(59, 1000) < F(1, 7)),
        ("ω(1/6) − ω*(0.0688…) ≥ 0.01", below(worst - ball(F(1, 100))) >= 0),
    )


def _same_value(left: Any, right: Any, at_zero: Any) -> bool:
    """Whether two expressions with logarithms are equal: same slope in a symbol, and the same where it is 0."""
    rest = sympy.expand_log(sympy.expand((left - right).subs(at_zero, 0)), force=True)
    return equal(diff(left, at_zero), diff(right, at_zero)) and sympy.simplify(sympy.logcombine(rest, force=True)) == 0


def check_phase_two() -> Verdict:
    """λ⁺ ≤ 2.126λ² + 1.130ρ, λ < 1/6 is kept, λ ≤ 2.26ρ is kept; then g − g* ≤ 2.95ρ² and ‖x − x*‖ ≤ 5.22ρ (ρ ≤ 0.059)."""
    rho, a, b = F(59, 1000), F(2126, 1000), F(1130, 1000)
    lam, x = F(226, 100), symbols("x")
    q = x / (1 + x)
    return verdict(
        "λ⁺ ≤ λ²(1 + 1/(1 + λ))/(1 − ρ) + ρ/(1 − ρ)²: the exact damped step with M = 1 has ∇g⁺ = (J − (1 + λ)∇²g)Δ with "
        "the mean Hessian J ≤ ∇²g/(1 − δ) = (1 + λ)∇²g, so ‖∇g⁺‖ ≤ (λ + δ)δ, over 1 − δ in the new norm; then the error. "
        "With a = 2.126, b = 1.130: aλ² + bρ ≤ 2bρ for λ ≤ 2bρ because 4abρ < 1. g − g* ≤ ω*(λ) ≤ λ²/(2(1 − λ)), "
        "‖x − x*‖ ≤ 2λ/(1 − λ).",
        ("2/(1 − ρ) ≤ a", 2 / (1 - rho) <= a),
        ("1/(1 − ρ)² ≤ b", 1 / (1 - rho) ** 2 <= b),
        ("1/(1 − δ) = 1 + λ at δ = λ/(1 + λ)", equal(1 / (1 - q), 1 + x)),
        ("exact step", equal((x + q) * q * (1 + x), x**2 * (1 + 1 / (1 + x)))),
        ("1 + 1/(1 + λ) ≤ 2", no_negative_coefficient(2 - (1 + 1 / (1 + x)))),
        ("1/6 is kept", a / 36 + b * rho < F(1, 6)),
        ("4abρ < 1", 4 * a * b * rho < 1),
        ("2.95", lam**2 / (2 * (1 - lam * rho)) <= F(295, 100)),
        ("5.22", 2 * lam / (1 - lam * rho) <= F(522, 100)),
    )


def check_closed_theorem() -> Verdict:
    """Theorem 5.4, x_0 = 0: ε ≤ 4√(μ/(1 + 4μ)) min{0.059, μ/(2.126(1 + μ))}, T₁ ≤ 17.33/μ, distance ≤ 1.31ε√((1 + 4μ)/μ)."""
    mu, eps = symbols("mu epsilon")
    C = (2 + eps * (1 + 2 * mu)) / (2 - eps)  # C₁ μ
    most = F(118, 1000)  # 4 · ½ · 0.059
    stated = Rational(1126, 1000) + Rational(126, 1000) * mu
    room, slope = stated - C.subs(eps, Rational(118, 1000)), 1 + (1 + stated) / (2 * mu)
    return verdict(
        "ε ≤ c(μ) ≤ 0.118 gives C₁μ ≤ 1.126 + 0.126μ, so 1 + Λ ≤ 1.063(1 + 1/μ), and ρ = ε√((1 + 4μ)/(16μ)) has ρ ≤ 0.059, "
        "(1 + Λ)ρ ≤ 1/2. Phase one: (ln 2/4μ)/0.01 steps at most. Phase two: 5.22ρ = 1.305ε√((1 + 4μ)/μ).",
        ("c(μ) ≤ 0.118", 4 * F(1, 2) * F(59, 1000) == most),
        ("C₁ grows with ε", equal(diff(C, eps), 4 * (1 + mu) / (2 - eps) ** 2)),
        ("C₁μ", no_negative_coefficient(room)),
        ("1 + Λ", equal(slope, Rational(1063, 1000) * (1 + 1 / mu))),
        ("ln 2/0.04 ≤ 17.33", above(IV.log(ball(2)) / ball(F(4, 100))) <= 17.33),
        ("5.22/4 ≤ 1.31", F(522, 400) <= F(131, 100)),
    )


def check_telescoping() -> Verdict:
    """3λ² + C'ε − α ≤ 3(λ − α)² for α = √(C'ε/3) and λ ≤ 1/6 (the printed equality with + α is false)."""
    lam, alpha = symbols("lam alpha")
    return verdict(
        "With C'ε = 3α² the difference is α(1 − 6λ) ≥ 0.",
        ("difference", equal(3 * (lam - alpha) ** 2 - (3 * lam**2 + 3 * alpha**2 - alpha), alpha * (1 - 6 * lam))),
    )


def check_omega_bounds() -> Verdict:
    """t²/(2(1 + 2t/3)) ≤ ω(t) ≤ t²/(2 + t) for t ≥ 0; t²/(2 − t) ≤ ω*(t) ≤ t²/(2(1 − t)) for t < 1 (Lemma B.4)."""
    t, u = symbols("t u")
    inside = {t: 1 / (1 + u)}  # t in (0, 1)
    gaps = {
        "ω below": (omega(t) - t**2 / (2 * (1 + 2 * t / 3)), {}),
        "the first of the two lower bounds": (t**2 / (2 * (1 + 2 * t / 3)) - t**2 / (2 * (1 + t)), {}),
        "ω above": (t**2 / (2 + t) - omega(t), {}),
        "ω* below": (omega_star(t) - t**2 / (2 - t), inside),
        "ω* above": (t**2 / (2 * (1 - t)) - omega_star(t), inside),
    }
    return verdict(
        "Every difference is 0 at t = 0 and has a slope that is a quotient of polynomials with coefficients ≥ 0 (for ω* in "
        "u = 1/t − 1).",
        *(
            (name, equal(gap.subs(t, 0), 0) and no_negative_coefficient(diff(gap, t).subs(at)))
            for name, (gap, at) in gaps.items()
        ),
    )


def check_step_size_modulus() -> Verdict:
    """sup over |z − z'| ≤ D of |η(z) − η(z')| = √D/(2√μ + √D), η(z) = 2√μ/(2√μ + √z) (E.1)."""
    w, m, D = symbols("w m D")
    slope = diff(1 / (1 + m * w), w) / (2 * w)  # dη/dz at z = w²
    return verdict(
        "η falls and is convex in z, so a change of D counts most at z = 0: 1 − η(D).",
        ("falls", no_negative_coefficient(-slope)),
        ("convex", no_negative_coefficient(diff(slope, w))),
        ("at 0", equal(1 - 1 / (1 + m * sqrt(D)), m * sqrt(D) / (1 + m * sqrt(D)))),
    )


def check_linear_budget() -> Verdict:
    """s ≤ μ²ε/(8Gk), e ≤ με/(8G²k), relu ≤ με/(8Gk) give a step error ≤ 0.64ε, without a square root (x_0 = 0, ε ≤ 1)."""
    g = F(1000, 2126)  # 1/G ≤ 1/2.126, as G = 1 + Cμ ≥ 2.126 + 0.126μ
    share = F(1) / (8 * 4 * F(2126, 1000) * F(126, 1000))  # s/G ≤ μ/(8G²), largest where 0.126μ = 2.126
    total = g / 8 + g * (1 + share) / 8 + (2 + share) / 16 + (1 + share) ** 2 / 16 + (1 + share) ** 2 / 8
    mu = symbols("mu")
    square = (Rational(2126, 1000) + Rational(126, 1000) * mu) ** 2 - 4 * Rational(2126 * 126, 10**6) * mu
    return verdict(
        "k = max(1, μ), s = ‖ε_3‖, e = ‖E_2'‖. The five terms of s/μ + e(G + s) + [(2Gs + s²)/μ + e(G + s)²]/(2μ) "
        "+ relu(1/μ + e)(G + s), each in units of ε.",
        ("4ab x ≤ (a + bx)²", equal(square, (Rational(2126, 1000) - Rational(126, 1000) * mu) ** 2)),
        ("total", total <= F(64, 100)),
    )


CORRECTED: dict[str, Callable[[], Verdict]] = {
    "phase one": check_phase_one,
    "phase two": check_phase_two,
    "Theorem 5.4": check_closed_theorem,
    "telescoping": check_telescoping,
    "Lemma B.4": check_omega_bounds,
    "(E.1)": check_step_size_modulus,
    "linear budget": check_linear_budget,
}


# -- false as printed ----------------------------------------------------------------------------------------------------
# Each counterexample also satisfies what is true instead. `flat` has all a_i = 0, which Assumption 3.2 allows.


def refuted(text: str, *facts: bool) -> Verdict:
    return Refuted(text) if all(facts) else Unknown(f"the counterexample did not come out: {text}")


def refute_decrement_upper() -> Verdict:
    """Lemma B.8: λ_f(x) ≤ (1 + μ‖x‖)/(2√μ)."""
    here, there = flat(1, 2), loss(1, 20, BOTH)
    printed = (1 + here.mu * here.r) ** 2 / (4 * here.mu)  # its square
    return refuted(
        f"a = 0, μ = 1, x = 2: 2 > 3/2; also n = 2, a = 1, y = ±1, μ = 1, x = 20: {below(there.decrement):.4f} > 21/2",
        here.decrement_squared == 4 and printed == F(9, 4),
        here.decrement_squared <= 4 * printed,
        below(there.decrement) > F(21, 2) and above(there.decrement) <= 21,
    )


def refute_decrement_of_g() -> Verdict:
    """Lemma B.8 read for λ_g: (μ‖x‖ − 1)/√(1 + μ) ≤ λ_g ≤ (1 + μ‖x‖)/(2√μ)."""
    high, low = flat(F(1, 4), 5), flat(3, 10)
    upper = (1 + high.mu * high.r) ** 2 / (4 * high.mu)  # squares
    lower = (low.mu * low.r - 1) ** 2 / (1 + low.mu)
    return refuted(
        "a = 0: μ = 1/4, x = 5 has 5/2 > 9/4; μ = 3, x = 10 has 5 < 29/2",
        high.scaled_decrement == F(5, 2) and upper == F(9, 4) ** 2,
        low.scaled_decrement == 5 and lower == F(29, 2) ** 2,
        high.scaled_decrement <= (1 + high.mu * high.r) / (2 * high.mu),
        low.scaled_decrement**2 >= (low.mu * low.r - 1) ** 2 / (low.mu * (1 + 4 * low.mu)),
    )


def refute_inner_product() -> Verdict:
    """(B.5): x·H⁻¹∇f(x) ≥ −‖x‖/μ + μ²‖x‖²."""
    mu, r = F(2), F(1)
    product, printed = r * r, -r / mu + mu**2 * r**2  # a = 0: H⁻¹∇f = x
    return refuted(
        "a = 0, μ = 2, x = 1: 1 < 7/2", printed == F(7, 2) and product < printed, product >= r**2 - r / mu and product == 1
    )


def refute_norm_display() -> Verdict:
    """The last display of the proof of Lemma B.9 (with ‖ε‖ = μ²)."""
    mu, r = F(1), F(10)
    moved = flat(mu, r).after + mu**2
    root = 2 * IV.sqrt(ball(mu * (1 + mu)))
    largest_eta = root / (root - 1 + ball(mu * r))
    shrunk = r**2 - 8 * mu**3 * r**2 / (4 * mu + 1 + mu * r) + 2 * mu**2 * r + mu**4
    grown = 2 / ball(mu) * largest_eta * ball(r) + largest_eta**2 * ball(1 / mu + r) ** 2
    printed = ball(shrunk) + grown + ball(8 * mu * (1 / mu + r) / (4 * mu + 1 + mu * r))
    return refuted(
        f"a = 0, μ = 1, ‖x‖ = 10: {float(moved**2):.2f} > {above(printed):.2f}",
        above(printed) < moved**2,
        moved < r,
        below(printed) > 85.22,
    )


def refute_norm_decrease() -> Verdict:
    """Lemma B.9: ‖x⁺‖ ≤ ‖x‖ for all large ‖x‖ when ‖ε‖ ≤ μ²."""
    r = symbols("r")
    change = r * r / (2 + r) + 2 - r
    return refuted("a = 0, μ² = 2: ‖x⁺‖ − ‖x‖ = 4/(2 + r) > 0 for every r, so the norms diverge", equal(change, 4 / (2 + r)))


def refute_constants_depend_on_mu_only() -> Verdict:
    """Theorem 5.4: constants c, C₁, C₂ that depend on μ only, for every x_0."""
    steps = {}
    for start in (100, 1000):
        r, count = F(start), 0
        while r > F(1, 1000):
            r, count = F(int(r * r / (2 + r) * 2**80), 2**80), count + 1  # rounded down: r²/(2 + r) grows with r
        steps[start] = count
    return refuted(
        f"a = 0, ε = 0, every μ: distance 1/1000 takes {steps[100]} steps from ‖x_0‖ = 100 and {steps[1000]} from 1000",
        steps[1000] > 500,
        steps[1000] > 8 * steps[100],
    )


def refute_value_display() -> Verdict:
    """The display after (B.6): g(x⁺) − g(x) ≤ −λ²/(1 + λ) + ω*(δ²) for ε = 0 (δ² where δ belongs)."""
    here = flat(1, F(1, 3))
    change = flat(1, here.after).scaled_gap - here.scaled_gap
    lam, delta = here.scaled_decrement, (here.r - here.after) / 2  # ∇²g = 1/4
    printed, corrected = (ball(-(lam**2) / (1 + lam)) + _omega_star(ball(d)) for d in (delta**2, delta))
    return refuted(
        f"a = 0, λ = 1/6: {float(change):.6f} > {above(printed):.6f}",
        lam == F(1, 6) and delta == lam / (1 + lam),
        above(printed) < change,
        change <= below(corrected),
    )


def refute_quarter() -> Verdict:
    """|ε·(∇²g)⁻¹ε| ≤ ε²/4 before (B.6), or with ∇²g."""
    mu = F(1, 10)
    seven, most = (F(1, 4) + mu) / (4 * mu), (1 + 4 * mu) / (16 * mu)
    return refuted("a = 0: (∇²g)⁻¹ = 4; a = 1, x = 0, μ = 1/10: ∇²g = 7/8", seven == F(7, 8) == most, F(1, 4) < seven < 4)


def refute_decrease_constant() -> Verdict:
    """Appendix E.1: the decrease is at least 0.01 for |y| ≤ 0.01, z ≤ 0.012."""
    lam, y = F(1, 6), F(0)

    def h(z: Fraction) -> Ball:
        root = IV.sqrt(ball((lam / (1 + lam)) ** 2 - 2 * y / (1 + lam) + z))
        return ball(y - lam**2 / (1 + lam)) - IV.log(1 - root) - root

    value = h(F(12, 1000))
    return refuted(
        f"y = 0, z = 0.012: h(1/6) = {below(value):.5f} > −0.01",
        below(value) > -0.00536,
        above(h(F(0))) < -0.01,
    )


def refute_hessian_deviation() -> Verdict:
    """0 ≤ δ/(1 − δ) − λ, after Corollary B.6: a = 0, x = 1/5, ε = 1/1000 along x, so that √ε < λ = 1/10 < 1/6."""
    here, error = flat(1, F(1, 5)), F(1, 1000)
    lam, delta = here.scaled_decrement, (here.r - here.after - error) / 2
    middle = delta / (1 - delta) - lam
    return refuted(
        f"a = 0, x = 1/5, ε = 1/1000 along x: λ = 1/10, δ = {float(delta):.5f}, δ/(1 − δ) − λ = {float(middle):.5f} < 0",
        error < lam**2 and lam == F(1, 10),
        middle < 0,
        abs(middle) <= delta + lam,
    )


def refute_telescoping() -> Verdict:
    """3λ² + C'ε + α = 3(λ − α)² with α = √(C'ε/3)."""
    lam = alpha = F(1, 12)
    return refuted("λ = α = 1/12: 1/8 ≠ 0", 3 * lam**2 + 3 * alpha**2 + alpha == F(1, 8), 3 * (lam - alpha) ** 2 == 0)


def refute_remark_steps() -> Verdict:
    """Remark B.11: T = log₂log₂(1/(1/2 + 3α)) + log₂log₂(1/ε') phase-two steps reach α + ε'."""
    alpha, target = F(1, 10), F(1, 10**12)
    gap = F(1, 6) - alpha  # λ − α ↦ 3(λ − α)²
    for _ in range(4):
        gap = 3 * gap**2

    def log2(x: Ball) -> Ball:
        return IV.log(x) / IV.log(ball(2))

    count = log2(log2(1 / ball(F(1, 2) + 3 * alpha))) + log2(log2(ball(1 / target)))
    told = f"α = 0.1, ε' = 1e-12: T = {above(count):.2f}, so 4 steps; they give {float(gap):.3g}"
    return refuted(told, above(count) <= 4, gap > target)


def refute_step_error() -> Verdict:
    """(C.29): ‖ε‖ ≤ |ε̃_4|(1/μ + ‖E_2'‖)(1 + Cμ + ‖ε_3‖) + ‖E_2'‖(1 + Cμ + ‖ε_3‖): a term ‖ε_3‖/μ is missing."""
    s = F(1, 100)
    root = IV.sqrt(ball(1 + s**2))  # a = 0, μ = 1, x = (1, 0), E_2' = 0, ε_3 = (0, s): λ̂ = √(1 + s²), λ = 1
    eta, exact = 2 / (2 + root), ball(F(2, 3))
    error = IV.sqrt((eta - exact) ** 2 + (eta * ball(s)) ** 2)
    printed = abs(eta - exact) * (2 + ball(s))
    told = f"a = 0, μ = 1, x = (1, 0), ε_3 = (0, 0.01): {below(error):.3g} > {above(printed):.2g}"
    return refuted(told, at_most(100 * printed, error))


def refute_derivative() -> Verdict:
    """Proof sketch of Theorem 5.2: the derivative of 1/(1 + √z) is −2√z/(1 + √z)."""
    z = symbols("z")
    at = sympy.Integer(1)
    return refuted("z = 1: −1/8, not −1", diff(1 / (1 + sqrt(z)), z).subs(z, at) == Rational(-1, 8))


PRINTED: dict[str, Callable[[], Verdict]] = {
    "Lemma B.8": refute_decrement_upper,
    "Lemma B.8, λ_g": refute_decrement_of_g,
    "(B.5)": refute_inner_product,
    "Lemma B.9, display": refute_norm_display,
    "Lemma B.9": refute_norm_decrease,
    "Theorem 5.4, constants": refute_constants_depend_on_mu_only,
    "phase I, display": refute_value_display,
    "before (B.6)": refute_quarter,
    "Appendix E.1": refute_decrease_constant,
    "after Corollary B.6": refute_hessian_deviation,
    "telescoping, with +α": refute_telescoping,
    "Remark B.11": refute_remark_steps,
    "(C.29)": refute_step_error,
    "Theorem 5.2, sketch": refute_derivative,
}


def _omega(t: Ball) -> Ball:
    return t - IV.log(1 + t)


def _omega_star(t: Ball) -> Ball:
    return -t - IV.log(1 - t)
