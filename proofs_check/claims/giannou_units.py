"""Giannou et al. 2024, appendix C and the sketch of Theorem 5.2: what the feed-forward parts compute, and the step size."""

from __future__ import annotations

from fractions import Fraction

import sympy
from sympy import Rational, diff, sqrt

from ..certificate import Proved, Verdict
from ..newton_paper import refute_derivative, refuted
from ..newton_proofs import equal, no_negative_coefficient, symbols, verdict
from ..outward import IV, above, ball, below
from .giannou_layers import SOURCE
from .record import Statement

F = Fraction


def refute_residual() -> Verdict:
    x = F(1, 2)
    return refuted(
        "step 6, y = −1, x = 1/2: (3.1b) adds the units to the row, x + (o_1 + o_2) = 0, not xy = −1/2",
        x + _gate(x, -1) == 0,
        _gate(x, -1) == -x,
    )


def _gate(x: Fraction, y: int) -> Fraction:
    """o_1 + o_2 of step 6."""

    def relu(t: Fraction) -> Fraction:
        return max(t, F(0))

    return relu(x / 2 + 2 * y) - relu(-x / 2 + 2 * y) + relu(x / 2 - 2 * y) * -1 + relu(-x / 2 - 2 * y)


def check_gate() -> Verdict:
    ends = all(_gate(F(x), y) == x * y for x in (-4, 0, 4) for y in (-1, 1))
    outside = _gate(F(6), 1) != 6
    return verdict(
        "For |x| ≤ 4 no argument of a unit changes its sign, so both sides are linear in x: equal at −4, 0 and 4, they are "
        "equal.",
        ("ends", ends),
        ("not beyond", outside),
    )


def check_removed() -> Verdict:
    x = sympy.Symbol("x", real=True)
    removed = sympy.Max(-x, 0) - sympy.Max(x, 0)
    return verdict(
        "relu(−x) − relu(x) = −x: two units more, in each of the steps 1, 2, 5, 6 and 8.",
        ("positive", equal(removed.subs(x, symbols("t")), -symbols("t"))),
        ("negative", equal(removed.subs(x, -symbols("t")), symbols("t"))),
    )


def refute_symmetric() -> Verdict:
    p = 1 / (1 + IV.exp(ball(1)))
    return refuted(
        "p(1, 1) < 1/2 < p(1, −1): p is not symmetric in y, so one set of units does not serve both",
        above(p) < 0.5 < below(1 - p),
    )


def check_labels() -> Verdict:
    x = sympy.Symbol("x", real=True)
    e = sympy.exp(x)
    logistic = e / (1 + e)
    return verdict(
        "y p(x, y) = (1 + y)/2 − σ(x) for y = ±1: units of x alone make y_ip_i, without gating (two gated copies need 4/ε).",
        ("y = 1", equal(1 / (1 + e), 1 - logistic)),
        ("y = −1", equal(-e / (1 + e), -logistic)),
    )


def check_curvature() -> Verdict:
    """(C.6): p(1 − p) within 4/N by levels."""
    s = sympy.Symbol("s", real=True)
    v = sympy.exp(s) / (1 + sympy.exp(s)) ** 2
    return verdict(
        "v = p(1 − p) is even in x, has values in (0, 1/4] and rises on x ≤ 0, so levels at a distance 4/N need N/16 steps "
        "on each "
        "side, of two units a step (a ramp stays between two levels): N/4 + O(1) units, in the sup norm.",
        ("even", equal(v.subs(s, -s), v)),
        ("monotone", equal(diff(v, s), v * (1 - sympy.exp(s)) / (1 + sympy.exp(s)))),
        ("units over N: range/step, two sides, two units", F(1, 4) / 4 * 2 * 2 == F(1, 4)),
    )


def refute_two_norm() -> Verdict:
    return refuted("u_1 = (4/N, 4/N): ‖u_1‖₂ = √2·4/N > 4/N", 2 * F(4) ** 2 > F(4) ** 2)


def check_product() -> Verdict:
    """d a = (u² − v²)/4, u = cd + a/c, v = cd − a/c; squares by interpolation."""
    c, d, a, h, t = symbols("c d a h t")
    gap = (t * h) - t**2
    return verdict(
        "Interpolating z² on knots at a distance h is off by at most h²/4 (halved by a shift: h²/8): error O(1/N²) a "
        "product with 2N units, d "
        "products a token: 2dN units in all.",
        ("product", equal(((c * d + a / c) ** 2 - (c * d - a / c) ** 2) / 4, a * d)),
        ("gap at the middle", equal(gap.subs(t, h / 2), h**2 / 4)),
        ("largest there", equal(diff(gap, t).subs(t, h / 2), 0)),
    )


def check_cleared() -> Verdict:
    """σ(−x/2 + 5) − σ(x/2 + 5) = −x for |x| ≤ 10, and a row of step 9 is no longer than 2."""
    lam, mu = symbols("lam mu")

    def units(x: Fraction) -> Fraction:
        return max(5 - x / 2, F(0)) - max(5 + x / 2, F(0))

    length = 2 * sqrt(mu) / (2 * sqrt(mu) + lam) * lam / sqrt(mu)
    return verdict(
        "Linear in x between −10 and 10; η‖N‖ ≤ 2λ/(2√μ + λ) < 2, as ‖N‖ ≤ λ/√μ. (relu(−x) − relu(x) needs no bound.)",
        ("ends", all(units(F(x)) == -x for x in (-10, 0, 10))),
        ("length", no_negative_coefficient(2 - length.subs(mu, symbols("m") ** 2))),
    )


def refute_cleared_far() -> Verdict:
    return refuted("x = 12: σ(−1) − σ(11) = −11, not −12", max(F(5) - 6, F(0)) - (F(5) + 6) == -11)


def check_levels() -> Verdict:
    w, m = symbols("w m")
    return verdict(
        "η(z) falls from 1 to 0, so levels at a distance 2/N take N/2 steps of two units.",
        ("slope at z = w²", no_negative_coefficient(-diff(1 / (1 + m * w), w) / (2 * w))),
    )


def refute_root_of_change() -> Verdict:
    eps = F(1, 10**6)
    change = 1 / (1 + IV.sqrt(ball(1 - eps))) - ball(F(1, 2))
    return refuted(
        f"z = 1, a change of ε = 1e-6: g moves by {above(change):.3g}, not √ε = 1e-3",
        above(change) < 1.3e-7,
    )


def check_root_of_change() -> Verdict:
    w = symbols("w")
    return verdict(
        "g' = −1/(2√z(1 + √z)²) is bounded where z is; the root appears at z = 0 only, where g(0) − g(ε) = √ε/(1 + √ε).",
        ("slope at z = w²", equal(diff(1 / (1 + w), w) / (2 * w), -1 / (2 * w * (1 + w) ** 2))),
        ("at 0", equal(1 - 1 / (1 + w), w / (1 + w))),
        ("at 1", Rational(-1, 8) == (-1 / (2 * w * (1 + w) ** 2)).subs(w, 1)),
    )


def check_ends() -> Verdict:
    """η at z = 4με²/(1 − ε)² is 1 − ε, at z = 4μ(1 − ε)²/ε² it is ε."""
    m, e = symbols("m e")  # m = √μ

    def eta(root: sympy.Expr) -> sympy.Expr:
        return 2 * m / (2 * m + root)

    return verdict(
        "η falls in z, and its values there are 1 − ε_4 and ε_4.",
        ("near 0", equal(eta(2 * m * e / (1 - e)), 1 - e)),
        ("far", equal(eta(2 * m * (1 - e) / e), e)),
        ("falls", isinstance(check_levels(), Proved)),
    )


STATEMENTS: tuple[Statement, ...] = (
    Statement(SOURCE, "sketch of Theorem 5.2, step 3", "derivative of the step size",
        "g(z) = 1/(1 + √z) has g' = −2√z/(1 + √z).", "exact counterexample", "false as printed", "g' = −1/(2√z(1 + √z)²).",
        refute_derivative, check_root_of_change),
    Statement(SOURCE, "sketch of Theorem 5.2, step 3", "what an error of λ² costs",
        "For z of constant order a change of ε moves g(z) by the order of √ε.", "interval arithmetic", "false as printed",
        "By the order of ε; √ε only for z of the order of ε. And there the step is short, so nothing is lost (see `linear "
        "budget`).",
        refute_root_of_change, check_root_of_change),
    Statement(SOURCE, "(C.6)", "accuracy of p(1 − p)", "‖u_1‖ ≤ 4/N with N units.", "identity, counting",
    "holds with restriction",
        "In the maximum norm, which is what (C.13) needs.", check_curvature, refute_two_norm),
    Statement(SOURCE, "(C.10)", "width of the products D̂ ⊙ Aᵀ", "N units a token make D̂ ⊙ Aᵀ with an error of order "
    "√d/(√n N).",
        "identity", "holds with restriction",
        "N is for one entry there, and a token has d of them. Two squares an entry make it with 2dN units and error "
        "O(1/N²).", check_product),
    Statement(SOURCE, "(C.16)", "units for p", "2/ε units approximate p(x, y) to ε, as in step 1.", "interval arithmetic",
    "false as printed",
        "p is not symmetric in y: two gated copies, 4/ε units. Or none gated: y p(x, y) = (1 + y)/2 − "
        "σ(x).", refute_symmetric, check_labels),
    Statement(SOURCE, "step 6", "o_1 + o_2", "o_1 + o_2 = xy for x in (0, 1) and y = ±1.", "identity", "holds",
    "For |x| ≤ 4.", check_gate),
    Statement(SOURCE, "steps 1, 2, 5, 6 and 8", "the residual of the feed-forward part",
    "The units replace the row by their value.",
        "exact counterexample", "false as printed", "(3.1b) adds the units to the row: two more, relu(−x) − relu(x), take "
        "it away.",
        refute_residual, check_removed),
    Statement(SOURCE, "(C.20)", "accuracy of the step size", "2√μ/(2√μ + √z) falls and takes 2/ε units.", "identity, counting",
    "holds",
    "",
        check_levels),
    Statement(SOURCE, "step 9, end", "a row is cleared", "σ(−x/2 + 5) − σ(x/2 + 5) = −x.", "identity", "holds with restriction",
        "For |x| ≤ 10, which holds: entries are below 2 plus their error.", check_cleared, refute_cleared_far),
    Statement(SOURCE, "appendix E.2, ends", "the step size near 0 and far out",
        "η ≥ 1 − ε_4 for z ≤ 4με_4²/(1 − ε_4)², and η ≤ ε_4 for z ≥ 4μ(1 − ε_4)²/ε_4².", "identity", "holds", "", check_ends),
)  # fmt: skip
