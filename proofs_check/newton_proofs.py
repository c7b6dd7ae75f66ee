"""Machine-checked proofs of the inequalities of `newton_lemmas` and `newton_budget`.

Each check verifies the identities, signs and numbers that its argument needs (computer algebra, rational numbers, interval
arithmetic with outward rounding) and answers Proved, with the argument in words, or Unknown, naming the part that failed.
The words cite what is classical and is not checked here: Banach's theorem that a symmetric trilinear form attains its norm
on the diagonal, comparison of scalar differential inequalities, Jensen, Cauchy–Schwarz.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import sympy
from sympy import Rational, diff, log, sqrt

from .certificate import Certificate, Claim, Proved, Unknown, Verdict
from .newton_lemmas import PEAK
from .outward import IV, ball, below, between

#: One part of a check: what it says, and whether it holds.
Part = tuple[str, bool]

_POSITIVE: dict[str, Any] = {"positive": True}


def symbols(names: str) -> Any:
    return sympy.symbols(names, positive=True)


def equal(left: Any, right: Any) -> bool:
    """Whether two expressions are identical: their difference cancels to 0."""
    difference = sympy.together(sympy.sympify(left) - right)
    return bool(sympy.cancel(difference) == 0 or sympy.simplify(difference) == 0)


def no_negative_coefficient(expression: Any) -> bool:
    """Whether an expression is a quotient of polynomials with coefficients ≥ 0: then it is ≥ 0 for positive symbols."""
    parts = sympy.fraction(sympy.cancel(sympy.together(expression)))
    return all(c >= 0 for part in parts for c in sympy.Poly(part, *_free(part)).coeffs())


def _free(expression: Any) -> list[Any]:
    return sorted(expression.free_symbols, key=str) or [sympy.Symbol("unused")]


def positive_on(function: Callable[[Any], Any], lower: Fraction, upper: Fraction, depth: int = 24) -> bool:
    """Whether a function of an interval is above 0 on [lower, upper]: branch and bound with outward rounding."""
    todo = [(Fraction(lower), Fraction(upper), depth)]
    while todo:
        low, high, left = todo.pop()
        if below(function(between(low, high))) > 0:
            continue
        if left == 0:
            return False
        middle = (low + high) / 2
        todo += [(low, middle, left - 1), (middle, high, left - 1)]
    return True


def verdict(how: str, *parts: Part) -> Verdict:
    failed = [what for what, holds in parts if not holds]
    return Unknown(f"these parts did not check: {'; '.join(failed)}") if failed else Proved(how)


def omega(t: Any) -> Any:
    return t - log(1 + t)


def omega_star(t: Any) -> Any:
    return -t - log(1 - t)


# -- f itself ------------------------------------------------------------------------------------------------------------


def check_third() -> Verdict:
    """|D³f(x)[u,u,u]| ≤ 2M (uᵀHu)^{3/2} with M = 1/(3√3 √μ (1 + 4μ)), and no smaller M will do."""
    v, mu, t, w, p = symbols("v mu t w p")
    certificate = (v * (1 + 12 * mu) - 2 * mu) ** 2 * (12 * mu * v + mu + 4 * v)
    cubic = 4 * (v + mu) ** 3 - 27 * mu * (1 + 4 * mu) ** 2 * v**2 * (1 - 4 * v)
    worst, M = 2 * mu / (1 + 12 * mu), 1 / (3 * sqrt(3) * sqrt(mu) * (1 + 4 * mu))
    return verdict(
        "Let ‖u‖ = 1, t_i = |a_i·u| ≤ 1, v_i = p_i(1 − p_i). |D³f| ≤ mean v_i√(1 − 4v_i) t_i³ ≤ mean w_i√(1 − 4w_i) with "
        "w_i = v_i t_i², which is ≤ D√(1 − 4D), D = mean w_i, by concavity (Jensen); and D²(1 − 4D)·27μ(1 + 4μ)² ≤ 4(D + μ)³ "
        "by a square times a positive factor. Equality at n = 1, ‖a‖ = 1, v = 2μ/(1 + 12μ).",
        ("(1 − 2p)² = 1 − 4p(1 − p)", equal((1 - 2 * p) ** 2, 1 - 4 * p * (1 - p))),
        ("t_i³ → w_i", equal((v * t**2) ** 2 * (1 - 4 * v * t**2) - (v * t**3) ** 2 * (1 - 4 * v), v**2 * t**4 * (1 - t**2))),
        ("concavity", equal(diff(w * sqrt(1 - 4 * w), w, 2), 4 * (3 * w - 1) / (1 - 4 * w) ** Rational(3, 2))),
        ("the certificate", equal(cubic, certificate) and no_negative_coefficient(12 * mu * v + mu + 4 * v)),
        ("equality is reached", equal(cubic.subs(v, worst), 0) and no_negative_coefficient(Rational(1, 4) - worst)),
        ("(2M)² = 4/(27μ(1 + 4μ)²)", equal((2 * M) ** 2, 4 / (27 * mu * (1 + 4 * mu) ** 2))),
    )


def check_lipschitz() -> Verdict:
    """‖H(x) − H(x')‖ ≤ ‖x − x'‖/(6√3), and μ ≤ H ≤ μ + 1/4."""
    v, p = symbols("v p")
    return verdict(
        "v = p(1 − p) has derivative ±v√(1 − 4v) in the margin, and v²(1 − 4v) ≤ 1/108; ‖a_i‖ ≤ 1; v ≤ 1/4.",
        ("1/108 − v²(1 − 4v)", equal(Rational(1, 108) - v**2 * (1 - 4 * v), (1 - 6 * v) ** 2 * (1 + 12 * v) / 108)),
        ("1/4 − p(1 − p)", equal(Rational(1, 4) - p * (1 - p), (Rational(1, 2) - p) ** 2)),
    )


def check_standard() -> Verdict:
    """(1 − Mr)²H ≤ H(x + h) ≤ H/(1 − Mr)²; gradient remainder ≤ Mr²/(1 − Mr); ω(Mr)/M² and ω*(Mr)/M² for the value."""
    M, r, tau = symbols("M r tau")
    inverse = 1 / (1 - M * r * tau) ** 2
    primitive = 1 / (M * r * (1 - M * r * tau)) - tau
    larger, smaller = 1 / (1 - tau) ** 2 - 1, 1 - (1 - tau) ** 2
    starts = [d.subs(r, 0) for w in (omega, omega_star) for d in (w(M * r), diff(w(M * r), r))]
    return verdict(
        "From `third` by Banach's theorem |D³f[u,u,h]| ≤ 2M‖u‖²‖h‖ in local norms. So ‖h‖ at x + τh is at most r/(1 − Mrτ), "
        "|d ln uᵀHu/dτ| ≤ 2Mr/(1 − Mrτ), and integrating gives the Hessians; integrating these over τ gives the gradient, and "
        "twice the value.",
        ("Hessian", equal(diff(-log((1 - M * r * tau) ** 2), tau), 2 * M * r / (1 - M * r * tau))),
        ("(1 − Mr)⁻² − 1 is the larger deviation", equal(larger - smaller, smaller**2 / (1 - tau) ** 2)),
        ("remainder, integrand", equal(diff(primitive, tau), inverse - 1)),
        ("remainder, integral", equal((primitive.subs(tau, 1) - primitive.subs(tau, 0)) * r, M * r**2 / (1 - M * r))),
        ("value above", equal(diff(omega_star(M * r) / M**2, r, 2), 1 / (1 - M * r) ** 2)),
        ("value below", equal(diff(omega(M * r) / M**2, r, 2), 1 / (1 + M * r) ** 2)),
        ("both start at 0 with slope 0", all(equal(value, 0) for value in starts)),
    )


# -- one step ------------------------------------------------------------------------------------------------------------


def check_newton() -> Verdict:
    """‖x − x* − N‖ ≤ min(Le²/(2μ), ME²/((1 − ME)√μ)); E ≤ λ/(1 − Mλ) and λ ≤ E/(1 − ME); ‖N‖ ≤ λ/√μ."""
    M, E, lam, tau = symbols("M E lam tau")
    return verdict(
        "∇f(x*) = 0 is ∇f(x) − H(x − x*) + ζ, so x − x* − N = H⁻¹ζ with ‖ζ‖ ≤ Le²/2 and ‖ζ‖_{H⁻¹} ≤ ME²/(1 − ME); H ≥ μ. "
        "∇f(x)·(x − x*) ≥ E²/(1 + ME) and ≤ λE; ‖∇f‖_{H⁻¹} ≤ ∫ E/(1 − MEτ)² dτ.",
        ("∫₀¹ E dτ/(1 + MEτ)²", equal(diff(E * tau / (1 + M * E * tau), tau), E / (1 + M * E * tau) ** 2)),
        ("∫₀¹ E dτ/(1 − MEτ)²", equal(diff(E * tau / (1 - M * E * tau), tau), E / (1 - M * E * tau) ** 2)),
        ("E/(1 + ME) at E = λ/(1 − Mλ)", equal((E / (1 + M * E)).subs(E, lam / (1 - M * lam)), lam)),
        ("E/(1 + ME) grows", no_negative_coefficient(diff(E / (1 + M * E), E))),
    )


def check_distance() -> Verdict:
    """‖x⁺ − x*‖ ≤ min((1 − η)‖N‖ + g, (1 − η)e + ηg) + ‖ε‖, and the bound grows with λ, e and g."""
    lam, m, e, g, kept, N, x = symbols("lam m e g kept N x")
    eta = 1 / (1 + m * lam)
    return verdict(
        "x⁺ − x* = (1 − η)N + (x − x* − N) + ε = (1 − η)(x − x*) + η(x − x* − N) + ε, and 1 − η = mλ/(1 + mλ) grows with λ; "
        "the second bound is g + (1 − η)(e − g), used where g < e.",
        ("first form", equal(x - eta * N, (1 - eta) * N + (x - N))),
        ("second form", equal(x - eta * N, (1 - eta) * x + eta * (x - N))),
        ("1 − η grows", equal(1 - eta, m * lam / (1 + m * lam)) and no_negative_coefficient(diff(1 - eta, lam))),
        ("in κ, e, g", equal(g + kept * (e - g), kept * e + (1 - kept) * g)),
    )


def check_decrement() -> Verdict:
    """λ⁺ ≤ (mλ²/(1 + mλ) + ρ + MQ²/(1 − MQ))/(1 − MQ), Q = λ/(1 + mλ) + ρ, and the bound grows with λ and ρ."""
    lam, m, M, Q = symbols("lam m M Q")
    q = lam / (1 + m * lam)
    curved, t = M * Q**2 / (1 - M * Q), sympy.Symbol("t", positive=True)
    slope = sympy.cancel(diff(curved, Q).subs(Q, (1 - t) / M))  # t = 1 − MQ in (0, 1)
    return verdict(
        "∇f(x⁺) = (1 − η)∇f + Hε + ζ(h), h = −ηN + ε, ‖h‖_H ≤ Q; ‖ζ‖_{H⁻¹} ≤ MQ²/(1 − MQ); H(x⁺) ≥ (1 − MQ)²H; "
        "‖ε‖_H ≤ √K ‖ε‖. Every term grows with λ and ρ.",
        ("(1 − η)λ", equal((1 - 1 / (1 + m * lam)) * lam, m * lam**2 / (1 + m * lam))),
        ("(1 − η)λ grows", no_negative_coefficient(diff(m * lam**2 / (1 + m * lam), lam))),
        ("ηλ grows", no_negative_coefficient(diff(q, lam))),
        ("the remainder grows", equal(slope, (1 - t) * (1 + t) / t**2)),
    )


def check_decrease() -> Verdict:
    """f(x) − f(x⁺) ≥ qλ − λρ − ω*(M(q − ρ))/M² where ρ ≤ q and Q/(1 − MQ) ≤ λ; it grows with λ at fixed ρ."""
    lam, m, M, rho, q, mu = symbols("lam m M rho q mu")
    step = lam / (1 + m * lam)
    low = q * lam - lam * rho - omega_star(M * (q - rho)) / M**2
    high = q * lam + lam * rho - omega_star(M * (q + rho)) / M**2
    slope = diff(low.subs(q, step), lam)
    return verdict(
        "f(x + h) ≤ f + ∇f·h + ω*(M‖h‖_H)/M², which for ‖ε‖_H = ρ' is convex in c = ∇f·ε on [−λρ', λρ'] (ω* is a power series "
        "with coefficients ≥ 0 in ‖h‖², affine in c): the worst c is an end. The end c = λρ' is worst at ρ' = ρ, since "
        "(q − ρ')/(1 − M(q − ρ')) ≤ q/(1 − Mq) ≤ λ for M ≤ m; the end c = −λρ' only improves on ρ' = 0 where Q/(1 − MQ) ≤ λ. "
        "If that holds at λ then mq ≥ MQ, so λ − Q/(1 − MQ) has slope η²(1 − mq)⁻² − η²(1 − MQ)⁻² ≥ 0: it holds beyond.",
        ("λ = q/(1 − mq)", equal((q / (1 - m * q)).subs(q, step), lam)),
        ("the end c = λρ'", equal(diff(low, rho), -lam + (q - rho) / (1 - M * (q - rho)))),
        ("the end c = −λρ'", equal(diff(high, rho), lam - (q + rho) / (1 - M * (q + rho)))),
        ("M ≤ m", no_negative_coefficient(27 * (1 + 4 * mu) ** 2 - 4)),
        (
            "growth in λ",
            equal(slope, (step - rho) + (lam - (step - rho) / (1 - M * (step - rho))) / (1 + m * lam) ** 2),
        ),
        ("slope of q/(1 − mq)", equal(diff(q / (1 - m * q), q), 1 / (1 - m * q) ** 2)),
    )


def check_value() -> Verdict:
    """ω(Mλ)/M² ≤ f − f* ≤ min(ω*(Mλ)/M², Kλ²/(2μ), Ke²/2)."""
    lam, M, t, r = symbols("lam M t r")
    along = t * lam**2 - omega_star(M * t * lam) / M**2
    across = lam * r - omega(M * r) / M**2
    best, farthest = 1 / (1 + M * lam), lam / (1 - M * lam)
    return verdict(
        "Below: the step −tN lowers f by at least tλ² − ω*(Mtλ)/M², which at t = 1/(1 + Mλ) is ω(Mλ)/M². Above: f − f* ≤ λr − "
        "ω(Mr)/M² for r = ‖x − x*‖_H, which is largest at r = λ/(1 − Mλ); f − f* ≤ ‖∇f‖²/(2μ) ≤ Kλ²/(2μ); f is K-smooth. "
        "(Values are compared by their slopes in λ, from 0 at λ = 0.)",
        ("value below", equal(diff(along.subs(t, best), lam), diff(omega(M * lam) / M**2, lam))),
        ("the largest r", equal(diff(across, r).subs(r, farthest), 0) and no_negative_coefficient(-diff(across, r, 2))),
        ("value above", equal(diff(across.subs(r, farthest), lam), diff(omega_star(M * lam) / M**2, lam))),
    )


# -- where it starts -----------------------------------------------------------------------------------------------------


def check_radius() -> Verdict:
    """‖x*‖ ≤ r where sup_{s ≤ r} sσ(−s) ≤ μr², and PEAK encloses the maximum of sσ(−s)."""
    s = sympy.Symbol("s", positive=True)
    pull = s / (1 + sympy.exp(s))
    low, high = (ball(end) for end in PEAK)
    falling = -(1 + sympy.exp(s) + s * sympy.exp(s)) / (s * (1 + sympy.exp(s))) ** 2
    return verdict(
        "∇f(x*)·x* = 0 says μ‖x*‖² = mean s_iσ(−s_i) with s_i ≤ ‖x*‖. sσ(−s) has slope σ(−s)(1 − sσ(s)), positive up to the "
        "root of s = 1 + e^{−s}, where it is s − 1; beyond its peak, and below it divided by r², it only falls.",
        ("slope", equal(diff(pull, s), (1 - s / (1 + sympy.exp(-s))) / (1 + sympy.exp(s)))),
        ("root is bracketed", below(1 + IV.exp(-low) - low) > 0 and below(high - 1 - IV.exp(-high)) > 0),
        ("σ(−r)/r falls", equal(diff(1 / (s * (1 + sympy.exp(s))), s), falling)),
    )


def check_start() -> Verdict:
    """λ ≤ min((σ(r) + μr)/√μ, e^{r/2}/√(1 + 4μ) + √μ r) where ‖x‖ ≤ r."""
    d, mu, p = symbols("d mu p")
    return verdict(
        "‖∇f‖ ≤ σ(r) + μr since p_i ≤ σ(r). With D = mean v_i a_i a_iᵀ: |mean y_i p_i a_i·w| ≤ √(mean p_i²/v_i) ‖w‖_D "
        "(Cauchy–Schwarz), p²/v = p/(1 − p) ≤ e^r, and D ≤ H/(1 + 4μ) because d/(d + μ) grows up to d = 1/4.",
        ("p²/v", equal(p**2 / (p * (1 - p)), p / (1 - p))),
        ("d/(d + μ) grows", no_negative_coefficient(diff(d / (d + mu), d))),
        ("at 1/4", equal((d / (d + mu)).subs(d, Rational(1, 4)), 1 / (1 + 4 * mu))),
    )


def check_first() -> Verdict:
    """The step from x = 0: see `first` in `newton_lemmas`."""
    s, d, mu, v, q, m, lam, rho, w = symbols("s d mu v q m lam rho w")
    share = (4 * v * d + mu) / (d + mu)
    step = lam / (1 + m * lam)
    low = q * lam - lam * rho - (q - rho) ** 2 / 2
    e = sympy.exp(s)
    return verdict(
        "v ≤ 1/4 = v(0), so H(x) ≤ H(0); v(‖x‖) ≤ v_i, so H(x) ≥ θH(0). ζ = mean ξ_i a_i, |ξ_i| ≤ ∫ (1/4 − v(τδ))|δ| dτ ≤ "
        "(s²/12)|δ_i|/4, and ‖·‖_D² ≤ ‖·‖_H²/(1 + 4μ) twice. The value is affine in c = ∇f·ε with slope 1 − η ≥ 0, and its "
        "slope in ρ' is λ − (q − ρ') ≥ 0. N = H⁻¹B^{1/2}c, B = AᵀA/n ≤ 1, ‖c‖ ≤ 1/2, and √b/(b/4 + μ) ≤ 1/√μ.",
        ("1/4 − v(s) = tanh²(s/2)/4", equal(Rational(1, 4) - e / (1 + e) ** 2, ((e - 1) / (e + 1)) ** 2 / 4)),
        ("∫ τ²s²/16 dτ", equal(sympy.integrate(w**2 * s**2 / 16, (w, 0, 1)), s**2 / 12 / 4)),
        ("θ falls with d", equal(diff(share, d), -mu * (1 - 4 * v) / (d + mu) ** 2)),
        ("θ at d = 1/4", equal(share.subs(d, Rational(1, 4)), (4 * v + 4 * mu) / (1 + 4 * mu))),
        ("slope in ρ", equal(diff(low, rho), -(lam - (q - rho)))),
        ("slope in λ", equal(diff(low.subs(q, step), lam), (step - rho) + (lam - (step - rho)) / (1 + m * lam) ** 2)),
        ("b/4 + μ ≥ √(bμ)", equal(w**2 / 4 + s**2 - w * s, (w / 2 - s) ** 2)),
        ("√b/(b/4 + μ) grows up to b = 4μ", equal(diff(w / (w**2 / 4 + mu), w), (mu - w**2 / 4) / (w**2 / 4 + mu) ** 2)),
    )


def check_invariant_ball() -> Verdict:
    """‖N − x‖ ≤ 1/μ everywhere; {‖x‖ ≤ C₁} is kept by errors ≤ ε < 2, C₁ = (2 + ε(1 + 2μ))/(μ(2 − ε)) (Lemmas B.9, B.10)."""
    s = sympy.Symbol("s", real=True)
    mu, r, eps = symbols("mu r epsilon")
    p = 1 / (1 + sympy.exp(s))
    v = sympy.exp(s) / (1 + sympy.exp(s)) ** 2
    F = r - 2 * (mu * r - 1) / (2 * mu + 1 + mu * r) + eps
    C = (2 + eps * (1 + 2 * mu)) / (mu * (2 - eps))
    return verdict(
        "H(N − x) = −mean y_i(p_i + v_i s_i)a_i, and p + vs falls from 1 to 0 since its slope is −sv tanh(s/2). So "
        "‖x⁺‖ ≤ r − η(r − 1/μ) + ε ≤ F(r) for r ≥ 1/μ with η ≥ 2μ/(2μ + 1 + μr); F is convex, rises from 1/μ on, F(C₁) = C₁; "
        "for r ≤ 1/μ, ‖x⁺‖ ≤ 1/μ + ε ≤ C₁; F(r) ≤ r for r ≥ C₁.",
        ("slope of p + vs", equal(diff(p + v * s, s).rewrite(sympy.exp), (-s * v * (sympy.exp(s) - 1) / (sympy.exp(s) + 1)))),
        ("F(C₁) = C₁", equal(F.subs(r, C), C)),
        ("F'(1/μ) = 1/(1 + μ)", equal(diff(F, r).subs(r, 1 / mu), 1 / (1 + mu))),
        ("F convex", no_negative_coefficient(diff(F, r, 2))),
        ("1/μ + ε ≤ C₁", equal((C - 1 / mu - eps) * mu * (2 - eps), eps * (2 + mu * eps))),
        ("F(r) ≤ r from C₁ on", equal((2 * (mu * r - 1) - eps * (2 * mu + 1 + mu * r)), mu * (2 - eps) * (r - C))),
        ("λ_g ≤ (1 + μr)/(2μ)", equal(1 / (1 + (1 + mu * r) / (2 * mu)), 2 * mu / (2 * mu + 1 + mu * r))),
    )


# -- the parts of a step -------------------------------------------------------------------------------------------------


def check_budget() -> Verdict:
    """The bound of `newton_budget.step_error`."""
    q, p, E, H, N, c, v = sympy.symbols("q p E H N c v", commutative=False)
    eta, used, hat_eta, tau, t = sympy.symbols("eta used hat_eta tau t", positive=True)
    m, z, a, r, s = symbols("m z a r s")
    hat, both = H + E, sqrt(1 + tau) + sqrt(1 - tau)
    U, F, Ut, Ft = sympy.symbols("U F Ut Ft", commutative=False)
    mu, b, R = symbols("mu b R")
    inverse = 1 - (1 - hat * p)  # Ĥp(Ĥ) by its remainder
    return verdict(
        "R(Ĥ) = 1 − Ĥq(Ĥ) is small because the spectrum of a symmetric Ĥ lies in the interval; otherwise R(Ĥ) − R(H) is "
        "telescoped. ẑ − λ² = (ĝ − ∇f)·w + ∇f·(w − N), w = p(Ĥ)ĝ, with ∇f = HN and ‖Hp(Ĥ)‖ ≤ 1 + r_p + hP; N·HR(H)N ≤ r_pλ² "
        "since R(H) commutes with H. For a symmetric Ĥ = H + E, Hp(Ĥ)H − H = −HR(Ĥ) − (1 − R(Ĥ) − Ep(Ĥ))E and HR(Ĥ) = "
        "ĤR(Ĥ) − ER(Ĥ), where ĤR(Ĥ) is within r_pĤ and N·ĤN = λ² + N·EN. With Ĥ = ÛᵀÛ/n + μ and Û = U + F, ‖F‖ ≤ δ√n: "
        "|N·EN| ≤ 2δ‖UN‖‖N‖ + δ²‖N‖² ≤ (δ/√μ + δ²/μ)λ², as ‖UN‖² + μ‖N‖² = λ² (n = 1), and q(Ĥ)EN = q(Ĥ)ÛᵀFN + q(Ĥ)FᵀUN with "
        "‖q(Ĥ)Ûᵀ‖² ≤ sup (t − μ)(1 + r_q)²/t² and ‖UN‖ ≤ ‖N‖/2. For λ ≤ Λ: η(λ²)λ grows with λ, η(ẑ) ≤ η(λ²) + |η(ẑ) − η|. "
        "|√ẑ − λ| ≤ λ(1 − √(1 − τ₂)) + (τ₁‖N‖ + τ₀)/(λ√(1 − τ₂)), ‖N‖ ≤ λ/√μ, "
        "|η(ẑ) − η(λ²)| ≤ m|√ẑ − λ|/(1 + mλ). ‖v‖² = ĝᵀq²ĝ ≤ ẑ sup q²/p and q²/p = (1 − R_q)²/(t(1 − R_p)).",
        ("v − N", sympy.expand(q * (H * N + c) - N - (q * c - (1 - q * hat) * N - q * E * N)) == 0),
        ("η̂v − ηN", sympy.expand(hat_eta * v - eta * N - ((hat_eta - used) * v + used * (v - N) + (used - eta) * N)) == 0),
        ("Hp(Ĥ)", sympy.expand(H * p - (hat * p - E * p)) == 0),
        ("η(ẑ) − η(λ²), a = √ẑ", equal(1 / (1 + m * a) - 1 / (1 + m * z), m * (z - a) / ((1 + m * a) * (1 + m * z)))),
        ("√(1 + τ) − 1 ≤ 1 − √(1 − τ)", equal(sympy.expand(both**2), 2 + 2 * sqrt(1 - tau) * sqrt(1 + tau))),
        ("HpH − H", sympy.expand(H * p * H - H + H * (1 - p * hat) + H * p * E) == 0),
        ("HpE", sympy.expand(H * p * E - (inverse - E * p) * E) == 0),
        ("ÛᵀÛ − UᵀU", sympy.expand((Ut + Ft) * (U + F) - Ut * U - (Ut + Ft) * F - Ft * U) == 0),
        ("2ab ≤ a² + b²", equal((a - mu * b) ** 2, a**2 + (mu * b) ** 2 - 2 * a * mu * b)),
        ("(t − μ)/t² ≤ 1/(4μ)", equal(1 / (4 * mu) - (t - mu) / t**2, (t - 2 * mu) ** 2 / (4 * mu * t**2))),
        ("Cauchy–Schwarz", equal((a**2 + b**2) * (R**2 + r**2) - (a * R + b * r) ** 2, (a * r - b * R) ** 2)),
        ("η(λ²)λ grows", no_negative_coefficient(diff(z / (1 + m * z), z))),
        ("q²/p", equal(((1 - r) / t) ** 2 / ((1 - s) / t), (1 - r) ** 2 / (t * (1 - s)))),
    )


def check_hessian() -> Verdict:
    """‖Ĥ − H‖ ≤ δ + δ² for Ĥ = ÛᵀÛ/n + μI, ≤ δ for D̂ᵀA/n + μI, and spec(Ĥ) ⊂ [μ, μ + (1/2 + δ)²] for the first."""
    u, e = sympy.symbols("u e", commutative=False)
    delta = symbols("delta")
    return verdict(
        "With rows of norm ‖√v_i a_i‖ ≤ 1/2 and errors of norm ≤ δ = √d·entry, (u + e)(u + e)ᵀ − uuᵀ = ueᵀ + euᵀ + eeᵀ has "
        "norm ≤ 2δ/2 + δ²; a mean of positive semidefinite matrices of norm ≤ (1/2 + δ)².",
        ("expansion", sympy.expand((u + e) * (u + e) - u * u - (u * e + e * u + e * e)) == 0),
        ("2·½·δ + δ²", equal((Rational(1, 2) + delta) ** 2 - Rational(1, 4), delta + delta**2)),
    )


def check_constant() -> Verdict:
    """|c − η(λ)|·‖N‖ ≤ max(2(1 − √c)², (c − η(Λ))·‖N‖_max) for λ ≤ Λ: the bound of `newton_steps.constant_step_error`."""
    lam, m, c, mu = symbols("lam m c mu")
    q, H, N, e = sympy.symbols("q H N e", commutative=False)
    eta = 1 / (1 + m * lam)
    rest = (sqrt(c) * (1 + m * lam) - 1) ** 2 / (m * (1 + m * lam))
    split = c * (q * (H * N + e) - N) + (c - sympy.Symbol("eta")) * N
    return verdict(
        "cv − ηN = c(v − N) + (c − η)N, and v − N is that of `step error`. Where η ≥ c, (η − c)‖N‖ ≤ (η − c)λ/√μ ≤ "
        "(1 − √c)²/(m√μ), m√μ = 1/2; where c ≥ η, c − η grows with λ as ‖N‖'s bound does.",
        ("the step", sympy.expand(split - (c * q * (H * N + e) - sympy.Symbol("eta") * N)) == 0),
        ("the peak of (η − c)λ", equal((1 - sqrt(c)) ** 2 / m - (eta - c) * lam, rest)),
        ("m√μ", equal(1 / (2 * sqrt(mu)) * sqrt(mu), Rational(1, 2))),
        ("η falls", no_negative_coefficient(-diff(eta, lam))),
    )


def check_moved() -> Verdict:
    """‖x⁺ − x‖ ≤ (λ/√μ)/(1 + mλ) + ‖ε‖, which grows with λ."""
    lam, m, root = symbols("lam m root")
    return verdict(
        "x⁺ − x = −ηN + ε and ‖N‖ ≤ λ/√μ.",
        ("ηλ/√μ grows", no_negative_coefficient(diff(lam / root / (1 + m * lam), lam))),
    )


#: Name of the lemma → its check. `newton_lemmas` and `newton_budget` state what each says.
LEMMAS: dict[str, Callable[[], Verdict]] = {
    "third": check_third,
    "lipschitz": check_lipschitz,
    "standard": check_standard,
    "newton": check_newton,
    "distance": check_distance,
    "decrement": check_decrement,
    "decrease": check_decrease,
    "value": check_value,
    "radius": check_radius,
    "start": check_start,
    "first": check_first,
    "invariant ball": check_invariant_ball,
    "Hessian error": check_hessian,
    "step error": check_budget,
    "constant step size": check_constant,
    "moved": check_moved,
}


def certify(checks: dict[str, Callable[[], Verdict]], subject: str) -> Certificate:
    """One claim per check; the statement is the first line of its docstring."""
    claims = [Claim(name, (check.__doc__ or "").strip().splitlines()[0], check()) for name, check in checks.items()]
    return Certificate(subject, tuple(claims))


def prove_lemmas() -> Certificate:
    """Everything that `distance_bound`, `steps_needed`, `value_bound`, `region_radius` and `step_error` rest on."""
    return certify(LEMMAS, "damped Newton for regularised logistic regression")
