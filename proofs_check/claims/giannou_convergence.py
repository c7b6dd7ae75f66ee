"""Giannou et al. 2024, appendix B.2: phase II, Theorem 5.4 and Remark B.11, with the last claim of Theorem 5.1."""

from __future__ import annotations

from fractions import Fraction

import sympy
from sympy import Rational

from ..certificate import Proved, Verdict
from ..newton_examples import BOTH, flat, loss
from ..newton_paper import (
    check_closed_theorem,
    check_phase_two,
    check_telescoping,
    refute_constants_depend_on_mu_only,
    refute_hessian_deviation,
    refute_remark_steps,
    refute_telescoping,
    refuted,
)
from ..newton_proofs import check_decrement, check_standard, equal, no_negative_coefficient, prove_lemmas, symbols, verdict
from ..newton_schulz import check_inversion_steps
from ..newton_theory import closed_error, distance_bound, steps_needed, theorem_distance
from ..outward import IV, above, ball, below
from .giannou_layers import OWN, SOURCE
from .record import Statement

F = Fraction
_STEP = "λ_{t+1} ≤ λ²(1 + 1/(1 + λ))/(1 − ρ) + ρ/(1 − ρ)² ≤ 2.126λ² + 1.130ρ for ρ = ε√((1 + 4μ)/(16μ)) ≤ 0.059."


def check_gap() -> Verdict:
    """(B.7): ω*(λ) ≤ λ²/(2(1 − λ)) ≤ 3λ²/5 for λ ≤ 1/6."""
    t = symbols("t")
    below_bound = t**2 / (2 * (1 - t)) + t + sympy.log(1 - t)
    slope = sympy.diff(below_bound, t).subs(t, 1 / (1 + symbols("u")))
    return verdict(
        "g − g* ≤ ω*(λ) (Theorem B.7, M = 1), ω*(t) ≤ t²/(2(1 − t)) (Lemma B.4), and 1/(2(1 − 1/6)) = 3/5.",
        ("B.7", isinstance(check_standard(), Proved)),
        ("B.4", equal(below_bound.subs(t, 0), 0) and no_negative_coefficient(slope)),
        ("3/5", 1 / (2 * (1 - F(1, 6))) == F(3, 5)),
    )


def check_expansion() -> Verdict:
    H, N, e, mean = sympy.symbols("H N e mean", commutative=False)
    lam = symbols("lam")
    step = -N / (1 + lam) + e
    G = mean - (1 + lam) * H
    rest = sympy.expand(G * step + (1 + lam) * H * e - (H * N + mean * step))
    return verdict(
        "∇g(x_{t+1}) = ∇g + MΔ with the mean Hessian M, G = M − (1 + λ)∇²g, Δ = −N/(1 + λ) + ε and ∇g = ∇²gN; then the "
        "triangle "
        "inequality.",
        ("∇g + MΔ", sympy.simplify(rest) == 0),
    )


def check_mean_deviation() -> Verdict:
    delta, lam = symbols("delta lam")
    return verdict(
        "Corollary B.6 with r = δ, minus 1 + λ.",
        ("below", equal(1 - delta + delta**2 / 3 - (1 + lam), -delta + delta**2 / 3 - lam)),
        ("above", equal(1 / (1 - delta) - 1 - lam, delta / (1 - delta) - lam)),
        ("B.6's source", isinstance(check_standard(), Proved)),
    )


def check_deviation_condition() -> Verdict:
    delta, lam = symbols("delta lam")
    return verdict(
        "δ + λ − (δ/(1 − δ) − λ) = 2λ − δ²/(1 − δ), and the other side needs only δ/(1 − δ) ≥ 0.",
        ("difference", equal(delta + lam - (delta / (1 - delta) - lam), 2 * lam - delta**2 / (1 - delta))),
    )


def refute_half_power() -> Verdict:
    """n = 2, a = 1, y = ±1, μ = 1/100, x = 1/100, no error: GΔ = ∇g(x⁺) − ∇g(x) − (1 + λ)∇²gΔ in one dimension."""
    here = loss(F(1, 100), F(1, 100), BOTH)
    lam, step, scale = here.scaled_decrement, here.step, 4 * ball(here.mu)
    G = abs((here.moved(step).gradient - here.gradient) / scale / step - (1 + lam) * here.scaled_hessian)
    root = IV.sqrt(here.scaled_hessian)
    left, delta = G / root, abs(step) * root
    return refuted(
        f"n = 2, a = 1, y = ±1, μ = x = 1/100, ε = 0: ‖∇²g^(−1/2)G‖ = {below(left):.4f} > (δ + λ)‖∇²g^(−1/2)‖ = "
        f"{above((delta + lam) / root):.4f}",
        below(left) > above((delta + lam) / root),
        above(left) <= below((delta + lam) * root),
        below(delta) > 0 and above(lam) < 1 / 6,
    )


def check_half_power() -> Verdict:
    s, h = symbols("s h")
    return verdict("h^{−1/2}·s·h = s·h^{1/2}.", ("power", equal(s * h / sympy.sqrt(h), s * sympy.sqrt(h))))


def refute_root_bound() -> Verdict:
    hessian = flat(1, 1).mu / (4 * flat(1, 1).mu)
    return refuted("a = 0: ∇²g = 1/4, so ‖(∇²g)^{−1/2}‖ = 2 > 1/2", hessian == F(1, 4) and 1 / hessian == 2**2, F(1, 2) < 2)


def check_root_bound() -> Verdict:
    mu, v = symbols("mu v")
    return verdict("∇²g ≥ μ/(4μ) = 1/4.", ("Hessian", no_negative_coefficient((v + mu) / (4 * mu) - Rational(1, 4))))


def refute_recurrence() -> Verdict:
    """n = 2, a = 1, y = ±1, μ = ε = 1/1000, x = 4/1000, the error pointing away from 0."""
    here, eps = loss(F(1, 1000), F(4, 1000), BOTH), F(1, 1000)
    lam, step = here.scaled_decrement, here.step + ball(eps)
    delta = abs(step) * IV.sqrt(here.scaled_hessian)
    after = here.moved(step).scaled_decrement
    root = IV.sqrt(ball((1 + here.mu) / (4 * here.mu)))
    printed = lam * (delta + lam) / ((1 + lam) * (1 - delta)) + ball(eps) * (delta + lam) / (1 - delta) * (ball(F(1, 2)) + root)
    rho = ball(eps) * IV.sqrt(ball((1 + 4 * here.mu) / (16 * here.mu)))
    corrected = lam**2 * (1 + 1 / (1 + lam)) / (1 - rho) + rho / (1 - rho) ** 2
    return refuted(
        f"n = 2, a = 1, y = ±1, μ = ε = 1e-3, x = 0.004: √ε < λ = {below(lam):.5f}, next {below(after):.5f} > "
        f"{above(printed):.5f}",
        below(lam - IV.sqrt(ball(eps))) > 0 and above(lam) < 1 / 6,
        below(after) > above(printed),
        above(after) <= below(corrected),
    )


def check_quadratic() -> Verdict:
    mu, eps = symbols("mu epsilon")
    rho = eps * sympy.sqrt((1 + 4 * mu) / (16 * mu))
    return verdict(
        "2.126 ≤ 3, and 1.130ρ = 0.2825 ε√((1 + 4μ)/μ); the step is lemma `phase two`, from the exact damped step plus ε.",
        ("phase two", isinstance(check_phase_two(), Proved)),
        ("C'", equal(Rational(1130, 1000) * rho, Rational(2825, 10000) * eps * sympy.sqrt((1 + 4 * mu) / mu))),
    )


def refute_gap_constant() -> Verdict:
    eps, big = F(1, 10000), F(2)
    here = flat(1, 2 * big * F(1, 100))  # λ = C''√ε
    return refuted(
        "a = 0, C'' = 2, λ = 2√ε: g − g* = λ²/2 = 2ε > (3·2/5)ε",
        here.scaled_decrement**2 == big**2 * eps and here.scaled_gap == 2 * eps,
        here.scaled_gap > 3 * big / 5 * eps,
        here.scaled_gap <= 3 * big**2 / 5 * eps,
    )


def check_gap_constant() -> Verdict:
    return verdict(
        "g − g* ≤ (3/5)λ² = (3/5)C''²ε by (B.7); the recurrence leads on to λ ≤ 2.26ρ = O(ε), where g − g* ≤ 2.95ρ² = O(ε²).",
        ("(B.7)", isinstance(check_gap(), Proved)),
        ("phase two", isinstance(check_phase_two(), Proved)),
    )


def check_remark_steps() -> Verdict:
    """T = log₂ln(1/(3ε')) − log₂ln(1/(1/2 − 3α)): u = 3(λ − α) is squared in each step, from 3(1/6 − α) to 3ε'."""
    gap, alpha = symbols("gap alpha")
    two, target = IV.log(ball(2)), F(3, 10**12)
    count = (IV.log(-IV.log(ball(target))) - IV.log(-IV.log(ball(F(1, 2) - F(3, 10))))) / two
    return verdict(
        f"u ↦ u² gives u_T = u_0^(2^T), so 2^T ln(1/u_0) = ln(1/(3ε')). α = 0.1, ε' = 1e-12: {above(count):.2f}, so 5 steps.",
        ("squares", equal(3 * (3 * gap**2), (3 * gap) ** 2)),
        ("start", equal(3 * (Rational(1, 6) - alpha), Rational(1, 2) - 3 * alpha)),
        ("5 steps, not 4", below(count) > 4 and F(1, 5) ** 32 <= target < F(1, 5) ** 16),
    )


def check_final_distance() -> Verdict:
    """1.31ε√((1 + 4μ)/μ) ≤ 1.8√(ε(1 + μ)/(4μ)) for ε ≤ c(μ)."""
    mu = symbols("mu")
    room = (Rational(18, 10) ** 2 * (1 + mu) / 4) - Rational(131, 100) ** 2 * Rational(236, 1000) * ((1 + 8 * mu) / 4)
    return verdict(
        "Squared and divided by ε/μ: 1.31²ε(1 + 4μ) ≤ 1.8²(1 + μ)/4. As ε ≤ 0.236√(μ/(1 + 4μ)), ε(1 + 4μ) ≤ 0.236√(μ(1 + "
        "4μ)) ≤ "
        "0.236(1 + 8μ)/4.",
        ("geometric mean", equal(((1 + 8 * mu) / 4) ** 2 - mu * (1 + 4 * mu), Rational(1, 16))),
        ("0.236 = 4·0.059", 4 * F(59, 1000) == F(236, 1000)),
        ("room", no_negative_coefficient(room)),
        ("Theorem 5.4", isinstance(check_closed_theorem(), Proved)),
    )


def check_functions() -> Verdict:
    """`steps_needed` and `distance_bound` at points, against the closed form."""
    parts = []
    for mu in (F(1, 100), F(1, 10), F(1, 2), F(1)):
        eps = F(closed_error(mu)) / 2
        steps = steps_needed(mu, eps)
        closed = F(1733, 100) / mu + 8
        parts.append((f"μ = {mu}: steps", steps is not None and steps <= closed))
        parts.append((f"μ = {mu}: distance", steps is not None and distance_bound(mu, eps, steps) <= theorem_distance(mu, eps)))
    return verdict(
        "The functions rest on the lemmas of `newton_lemmas` (each proved), carried from step to step with outward "
        "rounding; at "
        "half of c(μ), μ = 1/100, …, 1, they need fewer steps than the closed form.",
        ("lemmas", prove_lemmas().all_proved),
        *parts,
    )


def check_additive_constants() -> Verdict:
    return verdict(
        "T = T₁ + O(log log(1/ε)) with T₁ ≤ 17.33/μ (x_0 = 0), and k = 2log₂κ + log₂log₂(1/ε) + O(1).",
        ("T", isinstance(check_closed_theorem(), Proved)),
        ("k", isinstance(check_inversion_steps(), Proved)),
    )


STATEMENTS: tuple[Statement, ...] = (
    Statement(
        SOURCE, "(B.7)", "gap and decrement in phase II",
        "g(x_t) − g* ≤ 3λ²/5 for λ ≤ 1/6.",
        "polynomial certificate", "holds", "", check_gap,
    ),
    Statement(
        SOURCE, "(B.8)", "decrement after a step",
        "λ(x_{t+1}) ≤ ‖∇²g(x_t)^{−1/2}∇g(x_{t+1})‖/(1 − δ).",
        "identity (classical comparison)", "holds", "", check_standard,
    ),
    Statement(
        SOURCE, "(B.9)", "the gradient after a step",
        "∇g(x_{t+1}) = GΔ + (1 + λ)∇²gε, and the bound of its local norm by three terms.",
        "identity, noncommuting", "holds", "", check_expansion,
    ),
    Statement(
        SOURCE, "after (B.9)", "bounds of G",
        "(−δ + δ²/3 − λ)∇²g ≤ G ≤ (1/(1 − δ) − 1 − λ)∇²g.",
        "identity", "holds", "", check_mean_deviation,
    ),
    Statement(
        SOURCE, "after (B.9), deviation", "the size of the bounds of G",
        "0 ≤ δ/(1 − δ) − λ ≤ δ + λ.",
        "exact counterexample", "false as printed",
        "|δ/(1 − δ) − λ| ≤ δ + λ if and only if δ²/(1 − δ) ≤ 2λ. What it is for, the "
        "local size of G, holds for the logistic loss where δ < 1.",
        refute_hessian_deviation, check_deviation_condition,
    ),
    Statement(
        SOURCE, "after (B.9), norm of ∇²g^{−1/2}G", "a half power",
        "‖∇²g^{−1/2}G‖ ≤ (δ + λ)‖∇²g^{−1/2}‖.",
        "exact counterexample", "false as printed", "‖∇²g^{−1/2}G‖ ≤ (δ + λ)‖∇²g^{1/2}‖.", refute_half_power, check_half_power,
    ),
    Statement(
        SOURCE, "after (B.9), norm of ∇²g^{−1/2}", "the factor 1/2",
        "‖∇²g^{−1/2}‖ ≤ 1/2.",
        "exact counterexample", "false as printed", "‖∇²g^{−1/2}‖ ≤ 2.", refute_root_bound, check_root_bound,
    ),
    Statement(
        SOURCE, "phase II, recurrence before 3λ² + C'ε", "one step with an error",
        "λ_{t+1} ≤ λ(δ + λ)/((1 + λ)(1 − δ)) + ε(δ + λ)/(1 − δ)·(1/2 + √((1 + μ)/(4μ))) where √ε < λ < 1/6.",
        "interval arithmetic", "false as printed", _STEP, refute_recurrence, check_phase_two,
    ),
    Statement(
        SOURCE, "phase II", "quadratic convergence with an error",
        "λ_{t+1} ≤ 3λ_t² + C'ε where λ_t < 1/6.",
        "rational arithmetic", "holds", "With C' = 0.283√((1 + 4μ)/μ) for ρ ≤ 0.059; " + _STEP, check_quadratic,
    ),
    Statement(
        SOURCE, "phase II, telescoping", "completing the square",
        "3λ² + C'ε + α = 3(λ − α)² for α = √(C'ε/3).",
        "exact counterexample", "false as printed", "3λ² + C'ε − α ≤ 3(λ − α)² for λ ≤ "
        "1/6.", refute_telescoping, check_telescoping,
    ),
    Statement(
        SOURCE, "end of the proof of Theorem 5.4", "the final gap",
        "λ ≤ C''√ε gives g − g* ≤ (3C''/5)ε.",
        "exact counterexample", "false as printed", "(3/5)C''²ε; and one step more gives g − g* ≤ 2.95ρ² = 0.185ε²(1 + 4μ)/μ.",
        refute_gap_constant, check_gap_constant,
    ),
    Statement(
        SOURCE, "Theorem 5.4", "inexact damped Newton converges",
        "There are c, C₁, C₂ depending on μ only with g(x_t) − g* ≤ ε for ‖ε_t‖ ≤ ε ≤ c and t ≥ C₁ + C₂ log log(1/ε).",
        "identity, interval arithmetic", "holds with restriction",
        "The constants depend on ‖x_0‖ too. x_0 = 0: c = 4√(μ/(1 + 4μ))·min(0.059, μ/(2.126(1 + μ))), C₁ = 17.33/μ + O(1), and "
        "‖x_t − x*‖ ≤ 1.31ε√((1 + 4μ)/μ) in the end. (`hw.theory.steps_needed`, `distance_bound`, `closed_error`)",
        check_closed_theorem, refute_constants_depend_on_mu_only,
    ),
    Statement(
        SOURCE, "Remark B.11", "steps of phase II",
        "log log(1/(1/2 + 3α)) + log log(1/ε') steps reach α + ε'.",
        "interval arithmetic", "false as printed",
        "T = log₂ln(1/(3ε')) − log₂ln(1/(1/2 − 3α)); and α is no floor: λ goes on to O(ε).",
        refute_remark_steps, check_remark_steps,
    ),
    Statement(
        SOURCE, "Theorem 5.1, last sentence", "distance to the minimiser",
        "‖w̃ − ŵ‖ ≤ O(√(ε(1 + μ)/(4μ))).",
        "polynomial certificate", "holds", "With the constant 1.8 (x_0 = 0); but the true order is ε: 1.31ε√((1 + "
        "4μ)/μ).", check_final_distance,
    ),
    Statement(
        SOURCE, "Remark C.1", "additive constants",
        "T and k have one additive constant each: the steps until λ < 1/6, and 2⌈log κ⌉.",
        "interval arithmetic", "holds", "That of T is at most 17.33/μ for x_0 = 0.", check_additive_constants,
    ),
    Statement(
        OWN, "Theorem 5.4 as functions", "step counts and distances",
        "`steps_needed`, `distance_bound`, `value_bound` and `region_radius` hold for all data, starts and errors in their "
        "arguments.",
        "identity, interval arithmetic", "holds", "", check_functions,
    ),
    Statement(
        OWN, "decrement", "one step, sharp constants",
        "λ⁺ ≤ (mλ²/(1 + mλ) + ρ + MQ²/(1 − MQ))/(1 − MQ) with the least M of self-concordance.",
        "identity", "holds", "", check_decrement,
    ),
)  # fmt: skip
