"""Giannou et al. 2024: the widths and depths of Theorems 1.1, 5.1 and 5.2."""

from __future__ import annotations

from fractions import Fraction

import sympy
from sympy import Rational

from ..certificate import Proved, Verdict
from ..newton_examples import flat
from ..newton_paper import check_closed_theorem, check_linear_budget, check_phase_two, refuted
from ..newton_proofs import equal, no_negative_coefficient, symbols, verdict
from ..newton_schulz import check_inversion_steps, inversion_steps, inversion_steps_bound
from ..outward import IV, above, ball, below
from .giannou_errors import check_hessian_condition, check_total, check_widths
from .giannou_layers import SOURCE
from .giannou_logistic import check_depth, check_restored
from .record import Statement

F = Fraction


def refute_one_width() -> Verdict:
    def ratio(mu: Fraction) -> Fraction:
        return (1 + mu) ** 2 / mu**2

    return refuted(
        "(1 + μ)⁸/(ε⁴μ¹⁰) over (1 + μ)⁶/(ε⁴μ⁸) is (1 + μ)²/μ²: 121 at μ = 0.1, 10201 at 0.01; Theorem 5.1's width is not "
        "that of "
        "5.2, of which it is made",
        ratio(F(1, 10)) == 121 and ratio(F(1, 100)) == 10201,
    )


def check_width_without_root() -> Verdict:
    """The budget without a square root: for x_0 = 0, μ ≤ 1, ε ≤ 1, N ∼ dG⁴/(ε²μ⁶) for the products of (C.10)."""
    mu, eps = symbols("mu epsilon")
    G = Rational(2126, 1000) + Rational(126, 1000) * mu
    needed = (mu**3 * eps / (32 * G**2)) ** -2  # ‖E_1‖ ≤ μ²·(με/(16G²))/2, and N = d/‖E_1‖² by (C.10)
    u = symbols("u")
    difference = Rational(2253, 1000) ** 4 * 1024 * (1 + mu) ** 6 - 1024 * mu**2 * G**4
    room = sympy.expand(difference.subs(mu, 1 / (1 + u)) * (1 + u) ** 6)
    return verdict(
        "(C.10) with ‖E_1‖ ≤ μ³ε/(32G²) takes N = 1024dG⁴/(ε²μ⁶), at most a constant times d(1 + μ)⁶/(ε⁴μ⁸) for μ ≤ 1, ε ≤ 1; "
        "all other widths are smaller (1/ε).",
        ("budget", isinstance(check_linear_budget(), Proved)),
        ("N", equal(needed, 1024 * G**4 / (eps**2 * mu**6))),
        ("G⁴μ² ≤ 2.253⁴(1 + μ)⁶ on (0, 1]", no_negative_coefficient(room)),
    )


def check_theorem_width() -> Verdict:
    """(C.34) and (C.24) for x_0 = 0, where G = 2.126 + 0.126μ."""
    mu, u = symbols("mu u")
    G = Rational(2126, 1000) + Rational(126, 1000) * mu
    return verdict(
        "G = 1 + Cμ = 2.126 + 0.126μ ≤ 2.126(1 + μ), so the largest width, N = dG⁸/(ε⁴μ¹⁰), is at most 2.126⁸d(1 + "
        "μ)⁸/(ε⁴μ¹⁰); "
        "(C.30) makes ‖ε‖ ≤ ε where μ ≤ G, as for μ ≤ 2.",
        ("widths", isinstance(check_widths(), Proved)),
        ("accuracies", isinstance(check_total(), Proved) and isinstance(check_hessian_condition(), Proved)),
        ("C", isinstance(check_closed_theorem(), Proved)),
        ("G ≤ 2.126(1 + μ)", no_negative_coefficient(Rational(2126, 1000) * (1 + mu) - G)),
        ("μ ≤ G for μ ≤ 2", no_negative_coefficient((G - mu).subs(mu, 2 / (1 + u)))),
    )


def refute_far_start() -> Verdict:
    """No number of units serves all x_0: far out they are affine in λ² = μr² (a = 0), and the step is off by r|η̂ − η|."""
    r, s, p, mu, q = symbols("r s p mu q")
    eta = 2 / (2 + r)
    here = flat(1, 100)
    return refuted(
        "a = 0: N = x, η = 2/(2 + r), and any number of units makes η̂ = p + qλ², λ² = μr², from some r on. If p = q "
        "= 0, the step "
        "is off by 2r/(2 + r): 100/51 at r = 100. If not, by more and more. So the width has to grow with ‖x_0‖",
        here.damping * here.r == F(100, 51) and equal(here.damping, eta.subs(r, 100)),
        sympy.limit(r * eta, r, sympy.oo) == 2,
        no_negative_coefficient((r * (p - eta) - r * p / 2).subs(r, 4 / p + s)),  # p > 0, q = 0: at least rp/2 from 4/p on
        no_negative_coefficient((r * (p + q * mu * r**2 - eta) - r * p / 2).subs(r, 4 / p + s)),
        sympy.limit((r * (q * mu * r**2 - p - eta)), r, sympy.oo) == sympy.oo,
    )


def check_informal_width() -> Verdict:
    return verdict(
        "The final distance is at most 1.31ε√((1 + 4μ)/μ) for steps with an error of ε, so 1/ε² in the width of a step is "
        "1/ε² in the end: 1/ε⁸ is an upper bound, far from what is needed.",
        ("final distance", isinstance(check_phase_two(), Proved)),
        ("width of a step", isinstance(check_width_without_root(), Proved)),
    )


def check_informal_layers() -> Verdict:
    """T(11 + 2k) with T, k ≤ c + log₂log₂(1/ε)."""
    c, m = symbols("c m")  # m = log₂log₂(1/ε) ≥ 1
    layers = (c + m) * (11 + 2 * (c + m))
    square = (c + 1) * (13 + 2 * c)
    return verdict(
        "T ≤ c + m steps (Theorem 5.4) of 11 + 2k layers each, k ≤ c + m, m = log₂log₂(1/ε): at most (c + 1)(13 + "
        "2c)m² layers, and "
        "11 + 2k ≤ (13 + 2c)m for each step.",
        ("steps", isinstance(check_closed_theorem(), Proved) and isinstance(check_phase_two(), Proved)),
        ("inversion", isinstance(check_inversion_steps(), Proved)),
        ("a step", isinstance(check_depth(), Proved)),
        ("all steps", no_negative_coefficient((square * m**2 - layers).subs(m, 1 + symbols("more")))),
        ("one step", no_negative_coefficient(((13 + 2 * c) * m - (11 + 2 * (c + m))).subs(m, 1 + symbols("more")))),
    )


def refute_informal_layers() -> Verdict:
    """Theorem 5.1 itself has T(11 + 2k) layers, where both T and k grow as log log(1/ε)."""
    m, bound = symbols("m bound")
    layers = m * (11 + 2 * m)
    return refuted(
        "ε = 2^(−2^m): T = m steps of 11 + 2m layers (Theorem 5.1, constants left out) are m(11 + 2m) layers, more "
        "than b·m for "
        "m = b, for every b: not O(log log(1/ε))",
        no_negative_coefficient((layers - bound * m).subs(m, bound)),
        equal(layers / m, 11 + 2 * m),
    )


def check_repeated() -> Verdict:
    T, k = symbols("T k")
    return verdict(
        "A step ends with the stream that the next begins with ((C.3)), so T steps are T times the layers.",
        ("(C.3)", isinstance(check_restored(), Proved)),
        ("a step", isinstance(check_depth(), Proved)),
        ("T steps", equal(T * (11 + 2 * k), 11 * T + 2 * T * k)),
    )


def check_layers_of_inversion() -> Verdict:
    kappa, tol, c, m = F(26), F(1, 10**6), symbols("c"), symbols("m")
    steps, bound = inversion_steps(kappa, tol), inversion_steps_bound(kappa, tol)
    return verdict(
        f"2k layers, k ≤ 2log₂κ + log₂log₂(1/ε) − 1.528, rounded up: c = 4log₂κ and 2log₂log₂(1/ε). κ = 26, ε = 1e-6: "
        f"{2 * steps} "
        "layers.",
        ("count", isinstance(check_inversion_steps(), Proved)),
        ("2k", equal(2 * (c + m), 2 * c + 2 * m)),
        ("at κ = 26", steps <= bound),
    )


def refute_data_condition() -> Verdict:
    """κ_f = 1 for a = 0, but α is a weight and has to serve all data, so that α < 2/(μ + 1/4)² (n = d = 1, a = 1, x = 0)."""
    mu = F(1, 100)
    least = 1 - 2 * mu**2 / (mu + F(1, 4)) ** 2  # the residual of a = 0 at the start is larger than this
    value, steps = ball(least), 0
    while below(value) > 1e-6:
        value, steps = value**2, steps + 1
    told = IV.log(IV.log(ball(10**6)) / IV.log(ball(2))) / IV.log(ball(2))
    return refuted(
        f"μ = 0.01, residual 1e-6: data a = 0 have κ_f = 1 and 2log₂κ_f + log₂log₂(1/ε) = {above(told):.2f}; every α that "
        f"converges for all data takes {steps} steps or more there",
        steps > 10,
        above(told) < 5,
    )


def check_depth_condition() -> Verdict:
    mu = symbols("mu")
    steps = inversion_steps(26, F(1, 10**6))
    return verdict(
        "With α chosen for the spectrum of the data at hand, k as for (3.3) with κ_f. For one network: μ ≤ ∇²f ≤ μ + 1/4 for "
        "all data, so κ̄ = 1 + 1/(4μ) serves; then k as for (3.3). μ = 0.01: κ̄ = 26, "
        f"ε = 1e-6, {steps} steps.",
        ("κ̄", equal((mu + Rational(1, 4)) / mu, 1 + 1 / (4 * mu))),
        ("count", isinstance(check_inversion_steps(), Proved)),
        ("within", steps <= inversion_steps_bound(26, F(1, 10**6)) <= _paper_count(26, 10**6)),
    )


def _paper_count(kappa: int, inverse_tol: int) -> float:
    """⌈2log₂κ + log₂log₂(1/ε)⌉."""
    two = IV.log(ball(2))
    return -(-above(2 * IV.log(ball(kappa)) / two + IV.log(IV.log(ball(inverse_tol)) / two) / two) // 1)


def refute_accuracies() -> Verdict:
    mu, eps = F(1, 100), F(1, 10)
    last, theorem, needed = (1 + mu) ** 3 / (eps * mu**2), (1 + mu) ** 3 / (eps**2 * mu**2), (1 + mu) ** 4 / (eps**2 * mu**3)
    return refuted(
        "μ = 0.01, ε = 0.1, C = 1: (1 + Cμ)³/(εμ²) = 1.03e5, (1 + μ)³/(ε²μ²) = 1.03e6, and (C.33) asks for (1 + Cμ)⁴/(ε²μ³) "
        "= 1.04e8",
        last == F(1030301, 10) and theorem == 10 * last,
        needed == F(101**4, 1) and last < theorem < needed,
    )


def check_accuracies() -> Verdict:
    mu, eps, G = symbols("mu epsilon G")
    return verdict(
        "‖E_2‖ ≤ ε²μ³/G⁴ is a residual of at most ε²μ⁴/G⁴, as ‖X − B⁻¹‖ ≤ ‖I − BX‖/μ: k = ⌈2log₂κ̄ + log₂log₂(G⁴/(ε²μ⁴)) − "
        "1.528⌉; "
        "only the argument of log log changes.",
        ("residual", equal(eps**2 * mu**4 / G**4 / mu, eps**2 * mu**3 / G**4)),
        ("(C.33)", isinstance(check_hessian_condition(), Proved)),
        ("count", isinstance(check_inversion_steps(), Proved)),
    )


STATEMENTS: tuple[Statement, ...] = (
    Statement(SOURCE, "Theorem 5.1, proof of the width", "the width follows from Theorem 5.2",
        "The width d(1 + μ)⁶/(ε⁴μ⁸) of Theorem 5.1 comes from Theorem 5.2.", "exact counterexample", "false as printed",
        "Theorem 5.2 and appendix C give d(1 + Cμ)⁸/(ε⁴μ¹⁰).", refute_one_width, check_widths),
    Statement(SOURCE, "Theorem 5.1, width", "d(1 + μ)⁶/(ε⁴μ⁸) units", "O(d(1 + μ)⁶/(ε⁴μ⁸)) units are enough.",
        "polynomial certificate", "holds with restriction",
        "For x_0 = 0 and μ ≤ 1, by the budget without a square root; in general the width grows with ‖x_0‖.",
        check_width_without_root, refute_far_start),
    Statement(SOURCE, "Theorem 5.2, width", "d(1 + μ)⁸/(ε⁴μ¹⁰) units", "O(d(1 + μ)⁸/(ε⁴μ¹⁰)) units are enough.",
        "polynomial certificate", "holds with restriction",
        "For x_0 = 0 and μ ≤ 2; in general 1 + Cμ takes the place of 1 + μ, and C contains ‖x_0‖. Without the root "
        "dG⁴/(ε²μ⁶) are "
        "enough.", check_theorem_width, refute_far_start),
    Statement(SOURCE, "Theorem 1.1, width", "the informal theorem", "1/ε⁸ width for an error of ε.",
        "polynomial certificate", "holds", "As an upper bound for fixed μ ≤ 1 and x_0 = 0: 1/ε² is enough.",
        check_informal_width),
    Statement(SOURCE, "Theorem 1.1, layers", "the informal theorem", "Only log log(1/ε) layers for an error of ε.",
        "polynomial certificate", "holds with restriction",
        "For each step. Theorem 5.1 has T(11 + 2k) layers, where T and k both grow as log log(1/ε), so (log log(1/ε))² in all; "
        "whether O(log log(1/ε)) can be had is not decided here.", check_informal_layers, refute_informal_layers),
    Statement(SOURCE, "Theorem 5.1, depth, (C.3)", "T(11 + 2k) layers", "T steps take T(11 + 2k) layers.",
        "identity of blocks, all dimensions", "holds", "With step 4's blocks restored.", check_repeated),
    Statement(SOURCE, "after (C.24)", "layers of the inversion", "c + 2log log(1/ε) layers make ‖E_2‖ ≤ ε.",
        "interval arithmetic", "holds", "c contains 4log₂κ; with one layer a step both halve.", check_layers_of_inversion),
    Statement(SOURCE, "Theorems 5.1 and 5.2, κ_f", "the condition number",
        "k ≤ 2log κ_f + …, κ_f = max_x κ(∇²f(x)) of the data at hand.", "interval arithmetic", "holds with restriction",
        "Where α, a weight, may depend on the data through κ_f. One network for all data, as in-context learning has it, needs "
        "κ̄ = 1 + 1/(4μ) in the place of κ_f.",
        check_depth_condition, refute_data_condition),
    Statement(SOURCE, "Theorem 5.2, log log", "accuracy of the inversion",
        "The argument of log log is (1 + μ)³/(ε²μ²), which the end of appendix C has as (1 + Cμ)³/(εμ²).",
        "exact counterexample", "false as printed",
        "Three different numbers: (C.33) needs a residual of ε²μ⁴/G⁴, so G⁴/(ε²μ⁴). Only log log of it counts.",
        refute_accuracies, check_accuracies),
)  # fmt: skip
