"""Giannou et al. 2024, sections 3.2.2 and 5, appendix B.1 and Lemma B.8: self-concordance of the logistic loss.

λ_f and λ_g are the Newton decrements of f and g = f/(4μ); ω(t) = t − ln(1 + t), ω*(t) = −t − ln(1 − t).
"""

from __future__ import annotations

from fractions import Fraction

import sympy
from sympy import Rational, diff, sqrt

from ..certificate import Proved, Verdict
from ..newton_examples import loss
from ..newton_paper import (
    check_closed_theorem,
    check_omega_bounds,
    refute_constants_depend_on_mu_only,
    refute_decrement_of_g,
    refute_decrement_upper,
    refuted,
)
from ..newton_proofs import (
    check_decrease,
    check_invariant_ball,
    check_lipschitz,
    check_standard,
    check_third,
    check_value,
    equal,
    no_negative_coefficient,
    omega,
    omega_star,
    symbols,
    verdict,
)
from ..outward import IV, above, ball, below
from .giannou_layers import OWN, SOURCE
from .record import Statement

F = Fraction
_LEAST = (
    "The least constant is 1/(3√3·√μ(1 + 4μ)), and 1/(2√μ) is enough for the next sentence; 1/√μ would make f/(4μ) "
    "self-concordant with the constant 2 only."
)


def check_constant() -> Verdict:
    """M = 1/√μ is valid, since the least constant is smaller."""
    mu = symbols("mu")
    least = check_third()
    return verdict(
        "The least M is 1/(3√3·√μ(1 + 4μ)) (lemma `third`: a square times a positive factor), and 27(1 + 4μ)² ≥ 1.",
        ("least constant", isinstance(least, Proved)),
        ("(1/√μ over the least)² = 27(1 + 4μ)²", equal((3 * sqrt(3) * (1 + 4 * mu)) ** 2, 27 * (1 + 4 * mu) ** 2)),
        ("at least 1", no_negative_coefficient(27 * (1 + 4 * mu) ** 2 - 1)),
    )


def check_standard_scaling() -> Verdict:
    """βf has the constant M/√β; so f/(4μ) has 2√μ M ≤ 1 for M = 1/(2√μ) and for the least M."""
    mu, M, beta, h = symbols("mu M beta h")
    least = 1 / (3 * sqrt(3) * sqrt(mu) * (1 + 4 * mu))
    bound = 2 * M * h ** Rational(3, 2)
    return verdict(
        "|βf'''| ≤ 2Mβ h^{3/2} = 2(M/√β)(βh)^{3/2}. With β = 1/(4μ) and the least M the constant is 2/(3√3(1 + 4μ)) < 1.",
        ("scaling", equal(beta * bound, 2 * (M / sqrt(beta)) * (beta * h) ** Rational(3, 2))),
        ("least M", equal(2 * sqrt(mu) * least, 2 / (3 * sqrt(3) * (1 + 4 * mu)))),
        ("4 ≤ 27(1 + 4μ)²", no_negative_coefficient(27 * (1 + 4 * mu) ** 2 - 4)),
        ("1/(2√μ) gives 1", equal(2 * sqrt(mu) / (2 * sqrt(mu)), 1)),
        ("third derivative", isinstance(check_third(), Proved)),
    )


def check_damped_form() -> Verdict:
    """The step on g written with f."""
    mu, decrement = symbols("mu lambda_f")
    return verdict(
        "∇g = ∇f/(4μ) and ∇²g = ∇²f/(4μ): the Newton step is the same and λ_g = λ_f/(2√μ).",
        ("λ_g²", equal((1 / (4 * mu)) ** 2 * decrement**2 * 4 * mu, (decrement / (2 * sqrt(mu))) ** 2)),
        ("step size", equal(1 / (1 + decrement / (2 * sqrt(mu))), 2 * sqrt(mu) / (2 * sqrt(mu) + decrement))),
    )


def check_decrease_at_quarter() -> Verdict:
    t = ball(F(1, 4))
    x = symbols("x")
    q = x / (1 + x)
    return verdict(
        "A damped step lowers a standard self-concordant g by ω(λ) or more, ω grows, and ω(1/4) = 0.0268….",
        ("ω(1/4) ≥ 0.0268", below(t - IV.log(1 + t)) >= 0.0268),
        ("a step", isinstance(check_decrease(), Proved) and isinstance(check_standard_scaling(), Proved)),
        ("slope of λ²/(1 + λ) − ω*(λ/(1 + λ)) = ω(λ)", equal(diff(x * q - omega_star(q), x), diff(omega(x), x))),
        ("both 0 at 0", equal(omega(x).subs(x, 0), 0) and equal(omega_star(x).subs(x, 0), 0)),
        ("ω grows", no_negative_coefficient(diff(x - sympy.log(1 + x), x))),
    )


def refute_upper_bound_far() -> Verdict:
    return refuted("M‖y − x‖ = 3/2: ω* would be the logarithm of −1/2", F(1) - F(3, 2) < 0)


def refute_omega_star_far() -> Verdict:
    return refuted(
        "t = 3/2: ω*(t) needs ln(−1/2), and at t = 1 the upper bound divides by 0", 1 - F(3, 2) < 0, 2 * (1 - F(1)) == 0
    )


def check_mean_hessian() -> Verdict:
    M, r, tau = symbols("M r tau")
    low, high = (1 - M * r * tau) ** 2, 1 / (1 - M * r * tau) ** 2
    upper = tau / (1 - M * r * tau)
    return verdict(
        "Theorem B.5 at x + τ(y − x), integrated over τ in [0, 1].",
        ("B.5", isinstance(check_standard(), Proved)),
        ("below", equal(sympy.integrate(sympy.expand(low), (tau, 0, 1)), 1 - M * r + M**2 * r**2 / 3)),
        ("above, integrand", equal(diff(upper, tau), high)),
        ("above", equal(upper.subs(tau, 1) - upper.subs(tau, 0), 1 / (1 - M * r))),
    )


def check_gradient_bounds() -> Verdict:
    e = symbols("e")  # exp(−y x·a)
    steep = abs(loss(1, -30).gradient)  # n = d = 1, a = y = 1: p = 1, nearly
    return verdict(
        "∇f = −mean y_ip_ia_i + μx with 0 < p_i < 1 and ‖a_i‖ ≤ 1: the mean has norm below 1 (triangle inequality, twice). The "
        "upper bound is reached in the limit: n = d = 1, a = y = 1, x = −r.",
        ("1 − p > 0", equal(1 - e / (1 + e), 1 / (1 + e))),
        ("r = 30, μ = 1: 31", 31 - 1e-12 < below(steep) <= above(steep) < 31),
    )


def check_decrement_bounds() -> Verdict:
    """(μr − 1)/√(μ + 1/4) ≤ λ_f ≤ (1 + μr)/√μ, and with a factor 1/(2√μ) for λ_g."""
    mu, r = symbols("mu r")
    return verdict(
        "λ_f² = ∇fᵀH⁻¹∇f lies between ‖∇f‖²/(μ + 1/4) and ‖∇f‖²/μ as μ ≤ H ≤ μ + 1/4; λ_g = λ_f/(2√μ). a = 0, where ∇f = μx "
        "and "
        "H = μ, attains √μ r.",
        ("Hessian", isinstance(check_lipschitz(), Proved)),
        ("λ_g above", equal((1 + mu * r) / sqrt(mu) / (2 * sqrt(mu)), (1 + mu * r) / (2 * mu))),
        ("λ_g below", equal((sqrt(mu + Rational(1, 4)) * 2 * sqrt(mu)) ** 2, mu * (1 + 4 * mu))),
    )


def refute_definite() -> Verdict:
    a, p = sympy.Matrix([[1, 0]]), Rational(1, 2)
    matrix = a.T * (p * (1 - p)) * a
    return refuted(
        "n = 1, d = 2, a = (1, 0): AᵀDA/n = diag(1/4, 0) at x = 0 is singular",
        matrix == sympy.diag(Rational(1, 4), 0),
        matrix.det() == 0,
    )


def check_semidefinite() -> Verdict:
    v, w, a, b, x, y = sympy.symbols("v w a b x y", real=True)
    A, u, D = sympy.Matrix([[a, b], [b, -a]]), sympy.Matrix([x, y]), sympy.diag(v, w)
    whole = (u.T * A.T * D * A * u)[0]
    return verdict(
        "uᵀAᵀDAu = Σ v_i(a_i·u)² ≥ 0, which is all that ∇²f ≥ μ needs (two rows, in symbols).",
        ("Σ v_i(a_i·u)²", equal(whole, v * (a * x + b * y) ** 2 + w * (b * x - a * y) ** 2)),
    )


def check_feasible() -> Verdict:
    """Theorem B.2 from the value: f stays finite on the open Dikin ellipsoid."""
    u = symbols("u")
    return verdict(
        "Along a ray the Hessian is at most (1 − Mrτ)⁻² times that at x, so f(x + h) ≤ f + ∇f·h + ω*(Mr)/M² is finite for "
        "Mr < 1; "
        "f is closed, so the ray does not leave dom f before. For (3.5) dom f = R^d.",
        ("Hessian and value", isinstance(check_standard(), Proved)),
        ("Mr = 1/(1 + u) is below 1", no_negative_coefficient(1 - 1 / (1 + u))),
    )


def check_penalty() -> Verdict:
    """Without the ridge |D³φ|/(2(D²φ)^{3/2}) = √(1 − 4v)/(2√v) for n = d = 1, which has no bound as v → 0."""
    w, M = symbols("w M")  # v = w²
    ratio = w**2 * sqrt(1 - 4 * w**2) / (2 * (w**2) ** Rational(3, 2))
    far = 1 / (4 * M + 4)  # at w = 1/(4M + 4): (1 − 4w²)/(4w²) > M²
    return verdict(
        "n = d = 1, a = 1: D²φ = v and |D³φ| = v√(1 − 4v), so the constant would have to be at least √(1 − 4v)/(2√v), which "
        "is above every M at "
        "√v = 1/(4M + 4).",
        ("ratio", equal(ratio**2, (1 - 4 * w**2) / (4 * w**2))),
        ("above M", no_negative_coefficient(((1 - 4 * far**2) / (4 * far**2)) - M**2)),
    )


def check_normal_equations() -> Verdict:
    S, A, y = sympy.symbols("S A y", commutative=False)  # A stands for Aᵀ
    return verdict(
        "For ŵ = (AᵀA)⁻¹Aᵀy the gradient Aᵀ(Aŵ − y) is 0, and the Hessian AᵀA is positive definite.",
        ("gradient", sympy.expand(S * (S**-1 * A * y) - A * y) == 0),
    )


def refute_normal_equations() -> Verdict:
    A = sympy.Matrix([[1, 0]])
    gram = A.T * A
    return refuted("n = 1, d = 2, A = (1, 0): AᵀA = diag(1, 0) has no inverse", gram == sympy.diag(1, 0), gram.det() == 0)


STATEMENTS: tuple[Statement, ...] = (
    Statement(
        SOURCE, "(3.2)", "least squares in closed form",
        "The least-squares solution is (AᵀA)⁻¹Aᵀy.",
        "identity, noncommuting", "holds with restriction",
        "For A of full column rank; else the iteration goes to the pseudo-inverse, and to the solution of least norm.",
        check_normal_equations, refute_normal_equations,
    ),
    Statement(
        SOURCE, "section 3.2.2, penalty", "the penalty is needed",
        "Without the L2 penalty the logistic loss is not self-concordant.",
        "polynomial certificate", "holds", "", check_penalty,
    ),
    Statement(
        SOURCE, "section 3.2.2, steps", "steps of the exact method",
        "The exact damped Newton method takes c + log log(1/ε) steps.",
        "interval arithmetic", "holds with restriction", "c depends on μ and on ‖x_0‖; for x_0 = 0 it is at most 17.33/μ + "
        "O(1).",
        check_closed_theorem, refute_constants_depend_on_mu_only,
    ),
    Statement(
        SOURCE, "Proposition 3.3", "self-concordance",
        "The regularised logistic loss is self-concordant with M_f = 1/√μ.",
        "polynomial certificate", "holds", _LEAST, check_constant,
    ),
    Statement(
        SOURCE, "Proposition 3.3, second sentence", "standard self-concordance",
        "f/(4μ) is standard self-concordant.",
        "polynomial certificate", "holds",
        "It has the constant 2/(3√3(1 + 4μ)) ≤ 0.385; f/(27μ(1 + 4μ)²) is standard too, and no smaller multiple is.",
        check_standard_scaling,
    ),
    Statement(
        SOURCE, "section 5, update", "the step on g in terms of f",
        "x − (1 + λ_g)⁻¹(∇²g)⁻¹∇g = x − 2√μ/(2√μ + λ_f)·(∇²f)⁻¹∇f for g = f/(4μ).",
        "identity", "holds", "", check_damped_form,
    ),
    Statement(
        SOURCE, "section 3.2.2", "decrease of an exact step",
        "While λ ≥ 1/4, g falls by at least 0.02 per damped Newton step.",
        "interval arithmetic", "holds", "By at least 0.0268.", check_decrease_at_quarter,
    ),
    Statement(
        SOURCE, "Theorem B.2", "Dikin ellipsoid",
        "The open Dikin ellipsoid of radius 1/M_f lies in dom f.",
        "identity (classical comparison)", "holds", "Immediate for (3.5), whose domain is R^d.", check_feasible,
    ),
    Statement(
        SOURCE, "Theorem B.3", "bounds of the value",
        "f(x) + ∇f·h + ω(M‖h‖)/M² ≤ f(x + h) ≤ f(x) + ∇f·h + ω*(M‖h‖)/M² for all points of the domain.",
        "identity (classical comparison)", "holds with restriction",
        "The upper bound needs M‖h‖ < 1; the lower bound holds always.", check_standard, refute_upper_bound_far,
    ),
    Statement(
        SOURCE, "Lemma B.4", "bounds of ω and ω*",
        "t²/(2 + 2t) ≤ t²/(2 + 4t/3) ≤ ω(t) ≤ t²/(2 + t) and t²/(2 − t) ≤ ω*(t) ≤ t²/(2 − 2t) for every t ≥ 0.",
        "polynomial certificate", "holds with restriction", "Those of ω* need t < "
        "1.", check_omega_bounds, refute_omega_star_far,
    ),
    Statement(
        SOURCE, "Theorem B.5", "bounds of the Hessian",
        "(1 − Mr)²∇²f(x) ≤ ∇²f(y) ≤ (1 − Mr)⁻²∇²f(x) in the Dikin ellipsoid.",
        "identity (classical comparison)", "holds", "", check_standard,
    ),
    Statement(
        SOURCE, "Corollary B.6", "the mean Hessian",
        "(1 − Mr + M²r²/3)∇²f ≤ ∫∇²f(x + τ(y − x))dτ ≤ ∇²f/(1 − Mr).",
        "identity", "holds", "", check_mean_hessian,
    ),
    Statement(
        SOURCE, "Theorem B.7", "gap and decrement",
        "f(x) − f* ≤ ω*(Mλ)/M² where Mλ < 1.",
        "identity (classical comparison)", "holds", "Also f(x) − f* ≥ ω(Mλ)/M², for every λ.", check_value,
    ),
    Statement(
        SOURCE, "Lemma B.8, gradient", "bounds of the gradient",
        "−1 + μ‖x‖ ≤ ‖∇f(x)‖ ≤ 1 + μ‖x‖.",
        "triangle inequality", "holds", "", check_gradient_bounds,
    ),
    Statement(
        SOURCE, "Lemma B.8, Hessian", "bounds of the Hessian",
        "μ ≤ ‖∇²f(x)‖ ≤ 1 + μ.",
        "polynomial certificate", "holds", "‖∇²f‖ ≤ 1/4 + μ, attained for n = 1, ‖a‖ = 1, x = 0.", check_lipschitz,
    ),
    Statement(
        SOURCE, "Lemma B.8, proof", "definiteness",
        "AᵀDA/n is positive definite.",
        "exact counterexample", "false as printed", "Positive semidefinite, which is "
        "enough.", refute_definite, check_semidefinite,
    ),
    Statement(
        SOURCE, "Lemma B.8, decrement", "upper bound of λ_f",
        "λ_f(x) ≤ (1 + μ‖x‖)/(2√μ).",
        "exact counterexample, interval arithmetic", "false as printed", "λ_f ≤ (1 + μ‖x‖)/√μ.",
        refute_decrement_upper, check_decrement_bounds,
    ),
    Statement(
        SOURCE, "Lemma B.8, decrement", "read for λ_g",
        "(μ‖x‖ − 1)/√(1 + μ) ≤ λ_g(x) ≤ (1 + μ‖x‖)/(2√μ).",
        "exact counterexample", "false as printed",
        "(μ‖x‖ − 1)/√(μ(1 + 4μ)) ≤ λ_g ≤ (1 + μ‖x‖)/(2μ).", refute_decrement_of_g, check_decrement_bounds,
    ),
    Statement(
        OWN, "Newton step", "where a Newton step points",
        "‖(∇²f(x))⁻¹∇f(x) − x‖ ≤ 1/μ for every x.",
        "identity", "holds", "It replaces (B.4), (B.5) and the displays after them.", check_invariant_ball,
    ),
)  # fmt: skip
