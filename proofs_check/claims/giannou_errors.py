"""Giannou et al. 2024, (C.23)–(C.34), appendices E.2–E.4, and the widths and depths of Theorems 1.1, 5.1 and 5.2."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise

import sympy
from sympy import Rational, sqrt

from ..certificate import Proved, Verdict
from ..newton_examples import flat
from ..newton_paper import check_linear_budget, check_step_size_modulus, refute_step_error, refuted
from ..newton_proofs import check_budget, check_hessian, equal, no_negative_coefficient, symbols, verdict
from ..newton_schulz import check_perturbation
from .giannou_layers import OWN, SOURCE
from .record import Statement

F = Fraction


# -- E.2, E.3, E.4 -------------------------------------------------------------------------------------------------------


def check_tolerance() -> Verdict:
    """(E.1) as a sufficient condition, and the sharp one."""
    mu, e = symbols("mu e")
    root = 2 * sqrt(mu) * e / (1 - e)  # √D for D = 4με²/(1 − ε)²
    return verdict(
        "The largest change of η is √D/(2√μ + √D) (lemma (E.1)), which is ε for D = 4με²/(1 − ε)²; (E.1) has the smaller "
        "4με²/(1 − ε).",
        ("modulus", isinstance(check_step_size_modulus(), Proved)),
        ("at D", equal(root / (2 * sqrt(mu) + root), e)),
        ("smaller", equal((4 * mu * e**2 / (1 - e) ** 2) * (1 - e), 4 * mu * e**2 / (1 - e))),
    )


def refute_singular() -> Verdict:
    return refuted("∇²f = μ (a = 0), E_1 = −μ: ‖E_1‖ ≤ μ, and B = 0 has no inverse", F(1) - F(1) == 0)


def check_weyl() -> Verdict:
    """Property test: eigenvalues counted by Descartes' rule, which is exact for polynomials with real roots only."""
    rng, found = random.Random(0), []
    for _ in range(40):
        A, E = _random_symmetric(rng), _random_symmetric(rng)
        total = tuple(a + e for a, e in zip(A, E, strict=True))
        low = next(F(k, 4) for k in range(60, -61, -1) if _below(E, F(k, 4)) == 0)
        high = next(F(k, 4) for k in range(-60, 61) if _below(E, F(k, 4)) == 3)  # low ≤ λ_min(E), λ_max(E) < high
        found += [_below(A, F(k, 2) - high) <= _below(total, F(k, 2)) <= _below(A, F(k, 2) - low) for k in range(-24, 25)]
    return verdict(
        f"Courant–Fischer is classical and not checked here. Property test: {len(found)} counts of eigenvalues below a "
        f"threshold for "
        "random symmetric 3 × 3 integer matrices, exactly.",
        ("all counts", all(found)),
    )


def _random_symmetric(rng: random.Random) -> tuple[int, ...]:
    """[[a, b, c], [b, d, e], [c, e, f]] as (a, …, f)."""
    return tuple(rng.randint(-3, 3) for _ in range(6))


def _below(S: tuple[int, ...], s: Fraction) -> int:
    """How many eigenvalues are below s: sign changes of det(S − s + t), whose roots are s − λ."""
    a, b, c, d, e, f = S[0] - s, S[1], S[2], S[3] - s, S[4], S[5] - s
    trace, minors = a + d + f, a * d - b * b + a * f - c * c + d * f - e * e
    det = a * (d * f - e * e) - b * (b * f - c * e) + c * (b * e - c * d)
    signs = [x > 0 for x in (F(1), trace, minors, det) if x]
    return sum(x != y for x, y in pairwise(signs))


def refute_weyl() -> Verdict:
    A, E = sympy.Matrix([[0, 1], [0, 0]]), sympy.Matrix([[0, 0], [1, 0]])
    return refuted(
        "A = [[0, 1], [0, 0]], E = Aᵀ: all eigenvalues of A and of E are 0, those of A + E are ±1",
        A.eigenvals() == {0: 2} and E.eigenvals() == {0: 2},
        set((A + E).eigenvals()) == {1, -1},
    )


def refute_condition() -> Verdict:
    """(E.5) for H = I, E = [[0, 1/2], [0, 0]]."""
    B = sympy.Matrix([[1, Rational(1, 2)], [0, 1]])
    squared = (B.T * B).eigenvals()
    ratio = max(squared) / min(squared)
    return refuted(
        "H = I, E = [[0, 1/2], [0, 0]]: the eigenvalues of E are 0, so (E.5) says κ(B) = 1; κ₂(B)² = (9 + √17)/(9 − √17) > 2",
        equal(ratio, (9 + sqrt(17)) / (9 - sqrt(17))),
        bool(ratio > 2),
    )


# -- (C.23)–(C.34) -------------------------------------------------------------------------------------------------------


def check_inverse_error() -> Verdict:
    mu, e1, e2 = symbols("mu e1 e2")
    return verdict(
        "E_2' = E_1' + E_2 with ‖E_1'‖ ≤ ‖E_1‖/(μ(μ − ‖E_1‖)) (Corollary E.2).",
        ("E.2", isinstance(check_perturbation(), Proved)),
        ("sum", equal(e2 + e1 / (mu * (mu - e1)), e1 / (mu * (mu - e1)) + e2)),
    )


def check_hessian_error() -> Verdict:
    a, b, x, y, top, u, n = symbols("a b x y top u n")
    return verdict(
        "wᵀAᵀdiag(u)Aw/n = Σu_i(a_i·w)²/n ≤ max|u_i|·Σ(a_i·w)²/n ≤ max|u_i|‖w‖², as (a_i·w)² ≤ ‖a_i‖²‖w‖² ≤ ‖w‖²; "
        "‖AᵀU_2ᵀ‖ ≤ ‖A‖‖U_2‖ ≤ √n‖U_2‖, as ‖A‖² ≤ Σ‖a_i‖² ≤ n; and ‖Σy_iu_ia_i/n‖ ≤ max|u_i|. For two rows: ‖A‖ is attained.",
        ("(a·w)² ≤ ‖a‖²‖w‖²", equal((a**2 + b**2) * (x**2 + y**2) - (a * x + b * y) ** 2, (a * y - b * x) ** 2)),
        ("max|u| (a·w)² − u(a·w)²", no_negative_coefficient((top + u) * x**2 - u * x**2)),
        ("attained: all a_i equal, u_i = u", equal(n * u * a**2 / n, u * a**2)),
        ("the other forms of Ĥ", isinstance(check_hessian(), Proved)),
    )


def refute_decrement_form() -> Verdict:
    B, b = F(2), F(1)  # d = 1, E_2 = 0
    return refuted("d = 1, B = 2, E_2 = 0, b = 1: bᵀBb = 2, where λ̂² = bᵀB⁻¹b = 1/2", b * B * b == 2, b / B * b == F(1, 2))


def refute_decrement_error() -> Verdict:
    H, g, e = F(1), F(0), F(1)  # E_2' = 0
    change = (g + e) / H * (g + e) - g / H * g
    return refuted(
        "d = 1, H = 1, ∇f = 0, ε_3 = 1, E_2' = 0: λ̂² − λ² = 1, where 2ε_3ᵀH⁻¹(∇f + ε_3) = 2",
        change == 1 and 2 * e / H * (g + e) == 2,
        change == 2 * e / H * g + e / H * e,
    )


def refute_one_source() -> Verdict:
    """|ε̃_4| ≤ ε_4 after (C.28): the units and λ̂² both move the step size. μ = 1/4, so η(z) = 1/(1 + √z)."""
    mu, tol, root = F(1, 4), F(1, 4), F(1, 4)  # λ² = 0, λ̂² = root²
    allowed = 4 * mu * tol**2 / (1 - tol)
    moved = 1 - 1 / (1 + root)
    return refuted(
        "μ = 1/4, ε_4 = 1/4, λ² = 0, λ̂² = 1/16 ≤ 4με_4²/(1 − ε_4) = 1/12: η moves by 1/5, and units that are off by "
        "1/4 the same "
        "way make it 9/20 > 1/4",
        root**2 <= allowed == F(1, 12),
        moved == F(1, 5) <= tol,
        moved + tol == F(9, 20) and tol < moved + tol <= 2 * tol,
    )


def check_two_sources() -> Verdict:
    e, units = symbols("e units")
    return verdict(
        "Each source is at most ε_4: λ̂² by (C.28) and (E.1), the units by (C.20).",
        ("(C.28)", isinstance(check_decrement_condition(), Proved)),
        ("(E.1)", isinstance(check_tolerance(), Proved)),
        ("sum", no_negative_coefficient(2 * (e + units) - (e + units + e))),
    )


def check_decrement_error() -> Verdict:
    g, s, K, E = (sympy.Symbol(name, commutative=False) for name in ("g", "s", "K", "E"))  # K = H⁻¹
    whole = sympy.expand((g + s) * (K + E) * (g + s) - g * K * g)
    parts = sympy.expand(g * K * s + s * K * g + s * K * s + (g + s) * E * (g + s))
    G, a, e, mu = symbols("G a e mu")
    bound = 2 * G * a / mu + a**2 / mu + e * (G + a) ** 2
    printed = (2 * G * a + a**2) / mu + a**2 * e + 2 * G * a * e + G**2 * e
    return verdict(
        "λ̂² − λ² = 2ε_3ᵀH⁻¹∇f + ε_3ᵀH⁻¹ε_3 + (∇f + ε_3)ᵀE_2'(∇f + ε_3), with ‖H⁻¹‖ ≤ 1/μ and ‖∇f‖ ≤ G = 1 + Cμ.",
        ("expansion", sympy.expand(whole - parts) == 0),
        ("(C.26)", equal(bound, printed)),
    )


def check_decrement_condition() -> Verdict:
    """(C.27) ⇒ (C.28) with the constants 1, for v = μ²ε_4²/G² ≤ 0.3027."""
    mu, e4, G = symbols("mu e4 G")
    v = mu**2 * e4**2 / G**2
    s, e = v * G, v / mu
    whole = (2 * G * s + s**2) / mu + s**2 * e + 2 * G * s * e + G**2 * e
    V = F(3027, 10000)
    return verdict(
        "With ‖ε_3‖ = μ²ε_4²/G and ‖E_2'‖ = με_4²/G² the left side of (C.28) is με_4²(3 + 3v + v²), and 3 + 3v + v² < 4.",
        ("ε_3", equal(s, mu**2 * e4**2 / G)),
        ("E_2'", equal(e, mu * e4**2 / G**2)),
        ("sum", equal(whole, mu * e4**2 * (2 + v + (1 + v) ** 2))),
        ("3 + 3v + v²", equal(2 + v + (1 + v) ** 2, 3 + 3 * v + v**2)),
        ("< 4", 3 + 3 * V + V**2 < 4),
    )


def check_step_error() -> Verdict:
    return verdict(
        "η̂(H⁻¹ + E_2')(∇f + ε_3) − ηN = (η̂ − η)(H⁻¹ + E_2')(∇f + ε_3) + ηE_2'(∇f + ε_3) + ηH⁻¹ε_3: the last term, at most "
        "‖ε_3‖/μ, is what (C.29) leaves out; see `linear budget` for all of it without the root.",
        ("expansion", _with_gradient_error()),
        ("step error", isinstance(check_budget(), Proved)),
    )


def _with_gradient_error() -> bool:
    eta, hat, K, E, g, s = (sympy.Symbol(x, commutative=False) for x in ("eta", "hat", "K", "E", "g", "s"))
    whole = hat * (K + E) * (g + s) - eta * K * g
    parts = (hat - eta) * (K + E) * (g + s) + eta * E * (g + s) + eta * K * s
    return bool(sympy.expand(whole - parts) == 0)


def check_total() -> Verdict:
    """ε_4 = με/(6G) with the constants 1 in (C.27): total ≤ ε, with the missing term of (C.29), for μ ≤ G and ε ≤ 1."""
    v = F(1, 36)  # at least (με_4/G)² = (μ²ε/(6G²))², since μ ≤ G and ε ≤ 1
    mu, G, eps = symbols("mu G epsilon")
    e4 = Rational(1, 6) * mu * eps / G
    s, e = mu**2 * e4**2 / G, mu * e4**2 / G**2
    first, second, third = 2 * e4 * G / mu, e * G, s / mu
    return verdict(
        "|ε̃_4| ≤ 2ε_4 (error of λ̂² and of the units): 2ε_4(1/μ + ‖E_2'‖)(G + ‖ε_3‖) ≤ (ε/3)(1 + v)², ‖E_2'‖(G + ‖ε_3‖) ≤ "
        "(ε/36)(1 + v), ‖ε_3‖/μ ≤ ε/36, v = (με_4/G)² ≤ 1/36.",
        ("2ε_4G/μ", equal(first, eps / 3)),
        ("‖E_2'‖G", equal(second, (mu**3 / G**3) * eps**2 / 36)),
        ("‖ε_3‖/μ", equal(third, (mu**3 / G**3) * eps**2 / 36)),
        ("total", F(1, 3) * (1 + v) ** 2 + F(1, 36) * (1 + v) + F(1, 36) <= 1),
    )


def refute_orders() -> Verdict:
    """(C.30) with the constants 1, where μ is larger than G = 1 + Cμ: a = 0, μ = 100, ‖x‖ = C = 1/100, ε = 1/100."""
    here, eps = flat(100, F(1, 100)), F(1, 100)
    G = 1 + here.mu * here.r
    gradient, allowed = here.mu * here.r, eps**2 * here.mu**3 / G**4
    error = here.damping * allowed * gradient  # E_2' = allowed, ε_3 = 0, η exact: the step is off by ηE_2'∇f
    return refuted(
        f"a = 0, μ = 100, ‖x‖ = C = 1/100, ε = 1/100, constants 1: E_2' = ε²μ³/(1 + Cμ)⁴ = 25/4 moves the step by "
        f"{float(error):.3f} > ε",
        allowed == F(25, 4),
        error > eps,
        here.mu > G,
    )


def refute_homogeneous() -> Verdict:
    mu, bound = symbols("mu bound")
    ratio = (1 + mu + mu**3) / (1 + mu)  # C = 1
    told = [float(ratio.subs(mu, at)) for at in (10, 100)]
    return refuted(
        f"C = 1: (1 + Cμ + Cμ³)/(1 + Cμ) is {told[0]:.0f} at μ = 10 and {told[1]:.0f} at μ = 100: above any bound b "
        f"at μ = b + 1",
        no_negative_coefficient(ratio.subs(mu, bound + 1) - bound),
        91 < told[0] < 93 and 9901 < told[1] < 9903,
    )


def check_bounded_order() -> Verdict:
    mu, most, c = symbols("mu most c")
    ratio = (1 + c * mu + c * mu**3) / (1 + c * mu)
    room = (1 + most**2 - ratio).subs(most, mu + symbols("rest"))
    return verdict(
        "(1 + Cμ + Cμ³)/(1 + Cμ) ≥ 1 for every μ, so the first order is within the second; for μ ≤ m it is at most 1 + m². And "
        "ε_4 = με/(6G) makes ‖ε‖ ≤ ε.",
        ("1 + m²", no_negative_coefficient(room)),
        ("at least 1", no_negative_coefficient(ratio - 1)),
        ("ε_4 = με/(6G)", isinstance(check_total(), Proved)),
    )


def check_hessian_condition() -> Verdict:
    """(C.33) with constants 1/4 and 1/2 gives (C.30) with 1."""
    mu, eps, G = symbols("mu epsilon G")
    target = eps**2 * mu**3 / G**4
    e1, e2 = mu**2 * target / 4, target / 2
    u1, U2 = e1 / 2, e1 / (2 * sqrt(symbols("n")))
    return verdict(
        "‖E_1‖ ≤ μ/2 makes ‖E_1‖/(μ(μ − ‖E_1‖)) ≤ 2‖E_1‖/μ²; with ‖E_1‖ = ε²μ⁵/(4G⁴) and ‖E_2‖ = ε²μ³/(2G⁴) the sum is "
        "ε²μ³/G⁴; ‖u_1‖ = ε²μ⁵/(8G⁴) and ‖U_2‖ = ε²μ⁵/(8√nG⁴) make that ‖E_1‖ by (C.13).",
        ("E_1", equal(e1, eps**2 * mu**5 / (4 * G**4))),
        ("‖E_1‖ ≤ μ/2", equal(e1 / (mu * (mu - mu / 2)), 2 * e1 / mu**2)),
        ("sum", equal(2 * e1 / mu**2 + e2, target)),
        ("(C.34)", equal(u1 + sqrt(symbols("n")) * U2, e1) and isinstance(check_hessian_error(), Proved)),
    )


def check_widths() -> Verdict:
    mu, eps, G, d, n, c = symbols("mu epsilon G d n c")
    hessian, gradient, size = eps**2 * mu**5 / G**4, eps**2 * mu**4 / G**3, mu * eps / G
    return verdict(
        "1/N = ε²μ⁵/G⁴ (u_1), √d/√(nN) = ε²μ⁵/(√nG⁴) (U_2), 1/N = ε²μ⁴/G³ (ε_3) and 1/N = εμ/G (ε_4), solved for N.",
        ("u_1", equal(1 / hessian, G**4 / (eps**2 * mu**5))),
        ("U_2", equal((sqrt(d) / sqrt(n * c)).subs(c, d * G**8 / (eps**4 * mu**10)), hessian / sqrt(n))),
        ("ε_3", equal(1 / gradient, G**3 / (eps**2 * mu**4))),
        ("ε_4", equal(1 / size, G / (eps * mu))),
    )


STATEMENTS: tuple[Statement, ...] = (
    Statement(SOURCE, "appendix E.2, (E.1)", "tolerance of the step size",
        "|z − z'| ≤ 4με_4²/(1 − ε_4) keeps η within ε_4.", "identity", "holds",
        "The difference of the values, not the function. Sharp: |z − z'| ≤ 4με_4²/(1 − ε_4)². "
        "(`hw.theory.step_size_tolerance`)", check_tolerance),
    Statement(SOURCE, "Theorem E.1", "perturbed inverse", "‖Ã⁻¹ − A⁻¹‖ ≤ ‖A⁻¹‖‖E‖‖Ã⁻¹‖ for Ã = A + E; and "
        "‖Ã⁻¹‖ ≤ ‖A⁻¹‖/(1 − ‖A⁻¹‖‖E‖) where ‖A⁻¹‖‖E‖ < 1.", "identity, noncommuting", "holds", "", check_perturbation),
    Statement(SOURCE, "Corollary E.2", "perturbed inverse Hessian", "‖B⁻¹ − (∇²f)⁻¹‖ ≤ ‖E_1‖/(μ(μ − ‖E_1‖)) for ‖E_1‖ ≤ μ.",
        "identity, noncommuting", "holds with restriction", "For ‖E_1‖ < μ; then it is attained. "
        "(`hw.theory.inverse_perturbation`)",
        check_perturbation, refute_singular),
    Statement(SOURCE, "Lemma E.3, (E.2)–(E.4)", "Weyl", "Eigenvalues of A + E lie in [λ_i + λ_min(E), λ_i + λ_max(E)].",
        "property test (exact rational arithmetic)", "holds with restriction",
        "For symmetric A and E (∇f is to be read as ∇²f, ε_m as ε_n).", check_weyl, refute_weyl),
    Statement(SOURCE, "(E.5), (E.6)", "perturbed condition number", "κ(B) is bounded by the eigenvalues of E = E_1.",
        "exact counterexample", "false as printed",
        "E_1 = Aᵀdiag(u_1)A/n + AᵀU_2ᵀ is not symmetric. κ₂(B) ≤ (κ + ‖E‖/μ)/(1 − ‖E‖/μ) by singular values. "
        "(`hw.theory.condition_perturbation`)", refute_condition, check_perturbation),
    Statement(SOURCE, "(C.25)", "error of the inverse", "‖E_2'‖ ≤ ‖E_2‖ + ‖E_1‖/(μ(μ − ‖E_1‖)).", "identity, noncommuting",
    "holds",
    "",
        check_inverse_error),
    Statement(SOURCE, "(C.13), (C.19), (C.32)", "errors of Hessian and gradient", "‖E_1‖ ≤ ‖u_1‖ + √n‖U_2‖ and ‖ε_3‖ ≤ ‖u_3‖.",
        "polynomial certificate (norm inequalities)", "holds", "With the maximum norm of u_1 and u_3.", check_hessian_error),
    Statement(SOURCE, "before (C.26)", "λ̂²", "λ̂² = bᵀBb.", "exact counterexample", "false as printed",
        "λ̂² = bᵀ(B⁻¹ + E_2)b, as in step 8.", refute_decrement_form, check_decrement_error),
    Statement(SOURCE, "before (C.26), ε_4'", "error of λ²", "λ̂² − λ² contains 2ε_3ᵀH⁻¹(∇f + ε_3).", "exact counterexample",
    "false as printed",
        "2ε_3ᵀH⁻¹∇f + ε_3ᵀH⁻¹ε_3.", refute_decrement_error, check_decrement_error),
    Statement(SOURCE, "(C.26)", "bound of ε_4'", "The bound by G, ‖ε_3‖ and ‖E_2'‖.", "identity, noncommuting", "holds",
        "With ≤; it belongs to the corrected ε_4'.", check_decrement_error),
    Statement(SOURCE, "(C.27), (C.28)", "what makes λ̂² accurate", "‖E_2'‖ = O(με_4²/G²) and ‖ε_3‖ = O(μ²ε_4²/G) give (C.28).",
        "polynomial certificate", "holds", "With the constants 1, for με_4/G ≤ 0.55.", check_decrement_condition),
    Statement(SOURCE, "after (C.28)", "|ε̃_4|", "|ε̃_4| ≤ ε_4, the error of the units included.", "exact counterexample",
    "false as printed",
        "|ε̃_4| ≤ 2ε_4: the error of λ̂² and that of the units add up.", refute_one_source, check_two_sources),
    Statement(SOURCE, "(C.29)", "error of the step", "‖ε‖ ≤ |ε̃_4|(1/μ + ‖E_2'‖)(G + ‖ε_3‖) + ‖E_2'‖(G + ‖ε_3‖).",
        "interval arithmetic", "false as printed", "A term ‖ε_3‖/μ is missing.",
        refute_step_error, check_step_error),
    Statement(SOURCE, "(C.30)", "accuracies that make ‖ε‖ ≤ ε", "With these orders of ‖E_2'‖ and ‖ε_3‖, and of ε_4, ‖ε‖ ≤ ε.",
        "rational arithmetic", "holds with restriction", "For μ ≤ G and ε ≤ 1, with ε_4 = με/(6G) and the constants 1 in "
        "(C.27); the constants of the O's depend on μ where C is small beside 1.", check_total, refute_orders),
    Statement(SOURCE, "(C.31)", "the order of ε_4", "ε_4 = O(με/(1 + Cμ + Cμ³)) = O(με/(1 + Cμ)), and so ‖ε‖ ≤ ε.",
        "polynomial certificate, exact counterexample", "holds with restriction",
        "Read from left to right, as O is meant: what is O of the first is O of the second, which is what ‖ε‖ ≤ ε takes. As "
        "one order, which the equality sign may suggest, for μ bounded above only; Cμ³ may be left out.",
        check_bounded_order, refute_homogeneous),
    Statement(SOURCE, "(C.33), (C.34)", "accuracy of the Hessian", "‖E_1‖ = O(ε²μ⁵/G⁴) and ‖E_2‖ = O(ε²μ³/G⁴) are enough.",
        "identity", "holds", "For (C.30), which is what has to hold (the text says (C.27)).", check_hessian_condition),
    Statement(SOURCE, "end of appendix C, widths", "units of each part", "N ∼ G⁴/(ε²μ⁵), dG⁸/(ε⁴μ¹⁰), G³/(ε²μ⁴), G/(εμ).",
        "identity", "holds", "They follow from the accuracies before; far fewer are needed (`linear budget`).", check_widths),
    Statement(OWN, "linear budget", "no square root", "‖ε_3‖ ≤ μ²ε/(8Gk), ‖E_2'‖ ≤ με/(8G²k) and units within με/(8Gk), k = "
    "max(1, μ), "
        "give a step error ≤ 0.64ε (x_0 = 0, ε ≤ 1).", "rational arithmetic", "holds", "", check_linear_budget),
)  # fmt: skip
