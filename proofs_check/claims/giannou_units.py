"""Giannou et al. 2024, appendix C and the sketch of Theorem 5.2: what the feed-forward parts compute, and the step size."""

from __future__ import annotations

from fractions import Fraction

import sympy
from sympy import Rational, diff, sqrt

from ..certificate import Proved, Verdict
from ..newton_paper import refute_derivative, refuted
from ..newton_proofs import equal, no_negative_coefficient, symbols, verdict
from ..outward import IV, Ball, above, ball, below
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
    p, q = (1 / (1 + IV.exp(ball(y))) for y in (1, -1))
    return refuted(
        f"p(1, 1) = {below(p):.4f}, p(1, −1) = {below(q):.4f}: p is not symmetric in y, so the units for one label do "
        f"not serve "
        "the other",
        above(p) < 0.5 < below(q),
        below(p + q) <= 1 <= above(p + q),
    )


def check_labels() -> Verdict:
    x = sympy.Symbol("x", real=True)
    e, eps = sympy.exp(x), symbols("epsilon")
    logistic = e / (1 + e)
    levels = 1 / (2 * eps)  # of a monotone function with values in (0, 1), to ε by their middles
    return verdict(
        "A copy for each label, gated by y (|x| is bounded by ‖x_0‖), of 1/(2ε) middles of levels with two units "
        "each: 2/ε units. "
        "Without gates: y p(x, y) = (1 + y)/2 − σ(x) for y = ±1, so 1/ε units of x alone make y_ip_i.",
        ("half a level", equal(1 / levels / 2, eps)),
        ("two copies, two units a level", equal(2 * 2 * levels, 2 / eps)),
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


def refute_two_norm(units: int = 4) -> Verdict:
    """No N units do it for every n. They have N corners at most, so on one of N + 1 intervals their sum is a line, and is off
    by a quarter of v(x − h) − 2v(x) + v(x + h) or more at one of three points there; n tokens with that margin have √n times
    the error."""
    half = F(3, 2) / (units + 1)  # of an interval: N + 1 of them fill [2, 5]
    middles = [2 + half * (2 * k + 1) for k in range(units + 1)]

    def curvature(x: Fraction) -> Ball:
        e = IV.exp(ball(x))
        return e / (1 + e) ** 2

    bends = [curvature(x - half) - 2 * curvature(x) + curvature(x + half) for x in middles]
    error = min(below(bend) for bend in bends) / 4
    tokens = 1 + int((F(4, units) / F(error)) ** 2) if error > 0 else 0
    return refuted(
        f"N = {units}: the sum of any {units} units is off by {error:.2g} or more at some margin in [2, 5], so n = {tokens} "
        f"tokens with that margin have ‖u_1‖₂ > 4/N",
        error > 0,
        tokens * F(error) ** 2 > F(4, units) ** 2,
    )


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


def refute_count_of_product() -> Verdict:
    """(C.10) from its own source: 1/(n²ε²) units make one product to ε, and a token has d of them."""
    d, scaled = F(4), F(1, 10)  # d, and nε
    units = d / scaled**2
    told, true = d / units, d * scaled**2  # squares of √d/√N and of √(dn)·ε, both times √n
    return refuted(
        "d = 4, nε = 1/10: 100 units a product, 400 a token; entries off by ε make ‖U_2‖_F = √(dn)ε = 0.2/√n, where "
        "(C.10) with "
        "N = 400 has √d/√(nN) = 0.1/√n",
        units == 400 and told == F(1, 10) ** 2,
        true == F(2, 10) ** 2,
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
    w, m, N = symbols("w m N")
    slope = diff(1 / (1 + m * w), w) / (2 * w)  # at z = w²; η(z) = 1/(1 + m√z), m = 1/(2√μ)
    root = 1 / (2 * m)  # √μ
    return verdict(
        "η(z) falls from 1 to 0, so levels at a distance 2/N take N/2 steps of two units.",
        ("the printed derivative", equal(slope, -2 * root / (2 * (2 * root + w) ** 2 * w))),
        ("falls", no_negative_coefficient(-slope)),
        ("from 1 to 0", equal((1 / (1 + m * w)).subs(w, 0), 1) and sympy.limit(1 / (1 + m * w), w, sympy.oo) == 0),
        ("units", equal(1 / (2 / N) * 2, N)),
    )


def refute_root_of_change() -> Verdict:
    z, eps = F(1), F(1, 10**6)
    change, near = (1 / (1 + IV.sqrt(ball(at - by))) - 1 / (1 + IV.sqrt(ball(at))) for at, by in ((z, eps), (eps, eps)))
    return refuted(
        f"z = 1, a change of ε = 1e-6: g moves by {above(change):.3g}, not √ε = 1e-3 (which it does from z = ε to 0)",
        1.2e-7 < below(change) <= above(change) < 1.3e-7,
        9.9e-4 < below(near) <= above(near) < 1e-3,
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
        "In the maximum norm, which is what (C.13) needs; in the 2-norm over n tokens, √n times that.",
        check_curvature, refute_two_norm),
    Statement(SOURCE, "(C.10)", "width of the products D̂ ⊙ Aᵀ", "N units a token make D̂ ⊙ Aᵀ with an error of order "
    "√d/√(nN).",
        "identity", "holds with restriction",
        "For fixed d: the source has N units for one product, and a token has d of them, so d/√(nN). Two squares an "
        "entry do it with "
        "2dN units and an error of O(1/N²) in each.", check_product, refute_count_of_product),
    Statement(SOURCE, "(C.16)", "units for p", "2/ε units approximate p(x, y) to ε, as in step 1.",
    "identity, counting", "holds with restriction",
        "Not by the symmetry of step 1, since p is not symmetric in y: by a gated copy for each label, with the "
        "middles of levels. "
        "Or none gated: y p(x, y) = (1 + y)/2 − σ(x).", check_labels, refute_symmetric),
    Statement(SOURCE, "step 6", "o_1 + o_2", "o_1 + o_2 = xy for x in (0, 1) and y = ±1.", "identity", "holds",
    "For |x| ≤ 4.", check_gate),
    Statement(SOURCE, "steps 1, 2, 5, 6 and 8", "the residual of the feed-forward part",
    "The units replace the row by their value.",
        "exact counterexample", "false as printed", "(3.1b) adds the units to the row: two more, relu(−x) − relu(x), take "
        "it away.",
        refute_residual, check_removed),
    Statement(SOURCE, "(C.20)", "accuracy of the step size", "2√μ/(2√μ + √z) falls, with the printed derivative, and "
        "takes 2/ε units.", "identity, counting",
    "holds",
    "",
        check_levels),
    Statement(SOURCE, "step 9, end", "a row is cleared", "σ(−x/2 + 5) − σ(x/2 + 5) = −x.", "identity", "holds with restriction",
        "For |x| ≤ 10, which holds: entries are below 2 plus their error.", check_cleared, refute_cleared_far),
    Statement(SOURCE, "appendix E.2, ends", "the step size near 0 and far out",
        "η ≥ 1 − ε_4 for z ≤ 4με_4²/(1 − ε_4)², and η ≤ ε_4 for z ≥ 4μ(1 − ε_4)²/ε_4².", "identity", "holds", "", check_ends),
)  # fmt: skip
