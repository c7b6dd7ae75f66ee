"""Newton's iteration for the inverse, of every order: how many steps; and what a perturbed matrix does to its inverse.

    X_{k+1} = X_k Σ_{m<n} (−1)^m C(n, m + 1) (A X_k)^m,     I − A X_{k+1} = (I − A X_k)^n      (3.3, 3.4 of Giannou et al.)

From X_0 = αAᵀ the residual is (1 − ασ²)^(n^k) at each singular value σ of A, at most ρ^(n^k) with ρ = max(|1 − c|, |1 − c/κ²|),
c = ασ_max², κ = σ_max/σ_min. From X_0 = αI with A symmetric and positive definite, κ² is replaced by κ and c is αλ_max.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Literal, TypeAlias, get_args

import sympy

from ..compiler.errors import CompileError
from .arguments import choice, number, show, whole
from .certificate import Verdict
from .minimax import as_rational
from .newton_proofs import equal, no_negative_coefficient, symbols, verdict
from .outward import IV, Ball, above, ball, below, between

#: X_0 = αAᵀ, or X_0 = αI for a symmetric positive definite A.
Start: TypeAlias = Literal["transpose", "identity"]


def initial_residual(kappa: Any, c: Any = None, start: Start = "transpose") -> Fraction:
    """ρ = ‖I − A X_0‖₂ in the worst case, exactly: max(|1 − c|, |1 − c/κ²|), or with κ for X_0 = αI.

    kappa   κ(A) ≥ 1
    c       α σ_max² (α λ_max for X_0 = αI), in (0, 2); None for the best, where ρ = (κ² − 1)/(κ² + 1)
    Raises CompileError where κ < 1 or c is not in (0, 2): there the iteration need not converge.
    """
    k = number("kappa", kappa, least=1, why="it is a condition number")
    spread = k if choice("start", start, get_args(Start)) == "identity" else k * k
    if c is None:
        scale = 2 * spread / (spread + 1)
    else:
        why = "outside, some residual 1 − ασ² is not below 1 in absolute value, and the iteration diverges"
        fix = "leave c out for the best α, 2/(σ_max² + σ_min²)"
        scale = number("c = α·σ_max²", c, above=0, below=2, why=why, fix=fix)
    return max(abs(1 - scale), abs(1 - scale / spread))


def inversion_steps(kappa: Any, tol: Any, *, c: Any = None, order: int = 2, start: Start = "transpose") -> int:
    """The fewest steps k with ρ^(order^k) ≤ tol: then ‖I − A X_k‖₂ ≤ tol for every A with that condition number.

    Arguments as in `initial_residual`; tol in (0, 1); order ≥ 2. Decided with outward rounding: at a tie, one step more.
    Source: (3.3) and (3.4) of Giannou et al. (2024); own derivation of the count.
    Example: inversion_steps(10, 1e-6) == 10.
    """
    goal, n = _tolerance(tol), _order(order)
    rho = initial_residual(kappa, c, start)
    if rho == 0:
        return 0
    # ln(1/ρ) from 1 − ρ, exactly: a logarithm of ρ near 1 would lose it
    wanted, rate, power, steps = -IV.log(ball(goal)), _minus_log(1 - rho), 1, 0
    while below(power * rate - wanted) < 0:
        if power.bit_length() <= 12 and rho**power <= goal:  # a tie, or nearly one, decided exactly
            break
        power, steps = power * n, steps + 1
    return steps


def inversion_steps_bound(kappa: Any, tol: Any, *, c: Any = None) -> int:
    """A closed form that is never below `inversion_steps` of order 2 from X_0 = αAᵀ, and at most one above it where κ ≥ 2:

        best α       max(0, ⌈2 log₂κ + log₂log₂(1/tol) + log₂(ln 2 / 2)⌉)            log₂(ln 2 / 2) = −1.5288
        given c ≤ 1  max(0, ⌈2 log₂κ + log₂log₂(1/tol) + log₂(ln 2 / c)⌉)

    Raises CompileError as `inversion_steps` does, and for c > 1.
    """
    goal, k = _tolerance(tol), number("kappa", kappa, least=1, why="it is a condition number")
    initial_residual(k, c)
    scale = Fraction(2) if c is None else as_rational("c", c)
    if c is not None and scale > 1:
        raise CompileError(f"c is {show(scale)}: the closed form is for c ≤ 1", fix="call inversion_steps instead")
    two = IV.log(ball(2))
    needed = -IV.log(ball(goal)) * ball(k * k / scale)  # 2^steps must reach κ² ln(1/tol)/c
    count = above(IV.log(needed) / two)
    return max(0, _ceiling(count))


def _ceiling(value: float) -> int:
    whole = int(value)
    return whole + (value > whole)


def _tolerance(tol: Any) -> Fraction:
    return number("tol", tol, above=0, below=1)


def _order(order: int) -> int:
    return whole("order", order, least=2, most=10**6)


def _minus_log(gap: Fraction) -> Ball:
    """−ln(1 − gap), 0 < gap ≤ 1, from below and above: gap ≤ −ln(1 − gap) ≤ gap + gap² for gap ≤ 1/2."""
    return -IV.log(ball(1 - gap)) if gap > Fraction(1, 10**9) else between(gap, gap + gap**2)


# -- perturbed matrices --------------------------------------------------------------------------------------------------


def inverse_perturbation(mu: Any, size: Any) -> float:
    """‖(H + E)⁻¹ − H⁻¹‖ ≤ ‖E‖/(μ(μ − ‖E‖)) where ‖H⁻¹‖ ≤ 1/μ and ‖E‖ ≤ size < μ, rounded up; it is attained.

    Raises CompileError where size ≥ μ: H + E may be singular. Source: corollary E.2 of Giannou et al., with < for ≤.
    """
    m, e = _perturbation(mu, size)
    return above(ball(e / (m * (m - e))))


def condition_perturbation(kappa: Any, mu: Any, size: Any) -> float:
    """κ₂(H + E) ≤ (κ + ‖E‖/μ)/(1 − ‖E‖/μ) where σ_min(H) ≥ μ, κ₂(H) ≤ kappa and ‖E‖ ≤ size < μ, symmetric or not; rounded up.

    Source: (E.6) of Giannou et al., whose eigenvalues are right for symmetric E only; singular values are right for all.
    """
    m, e = _perturbation(mu, size)
    k = number("kappa", kappa, least=1, why="it is a condition number")
    return above(ball((k + e / m) / (1 - e / m)))


def _perturbation(mu: Any, size: Any) -> tuple[Fraction, Fraction]:
    m = number("mu", mu, above=0, why="it is a lower bound of the singular values of H")
    e = number("size", size, least=0)
    if e >= m:
        raise CompileError(
            f"size is {show(e)}: expected a number from 0 to below mu = {show(m)}",
            rule="a perturbation as large as the least singular value can make the matrix singular",
            fix="make the Hessian more accurate, or raise mu",
        )
    return m, e


def step_size_change(mu: Any, change: Any) -> float:
    """The largest |η(z) − η(z′)| over z, z′ ≥ 0 with |z − z′| ≤ change, η(z) = 2√μ/(2√μ + √z): √D/(2√μ + √D), rounded up.

    Source: (E.1) of Giannou et al., where 4μ ε²/(1 − ε) is what z may change for a change ε of η; sharp form.
    """
    m, d = number("mu", mu, above=0), number("change", change, least=0)
    root = IV.sqrt(ball(d))
    return above(root / (2 * IV.sqrt(ball(m)) + root))


def step_size_tolerance(mu: Any, change: Any) -> float:
    """How far z may move for η to move by at most `change`, in [0, 1): 4μ ε²/(1 − ε)², rounded down; the inverse of that."""
    m, e = number("mu", mu, above=0), number("change", change, least=0, below=1)
    return below(ball(4 * m * e**2 / (1 - e) ** 2))


# -- proofs --------------------------------------------------------------------------------------------------------------


def check_residuals(orders: range = range(2, 10)) -> Verdict:
    """I − AX₊ = (I − AX)^n and I − X₊A = (I − XA)^n for the iteration of order n and any square A and X."""
    A, X = sympy.symbols("A X", commutative=False)
    parts = []
    for n in orders:
        series = sum((-1) ** m * sympy.binomial(n, m + 1) * (A * X) ** m for m in range(n))
        after = sympy.expand(X * series)
        parts.append((f"order {n}, right", sympy.expand(1 - A * after - sympy.expand((1 - A * X) ** n)) == 0))
        parts.append((f"order {n}, left", sympy.expand(1 - after * A - sympy.expand((1 - X * A) ** n)) == 0))
    return verdict(
        "1 − Σ_{m<n} (−1)^m C(n, m + 1) Y^{m+1} = (1 − Y)^n is the binomial theorem, and X(AX)^m A = (XA)^{m+1}; expanded for "
        f"n = {orders.start}, …, {orders.stop - 1} with matrices that do not commute.",
        *parts,
    )


def check_inversion_steps() -> Verdict:
    """The closed forms of `inversion_steps_bound`."""
    x = sympy.Symbol("x", positive=True)
    u = sympy.Symbol("u", positive=True)
    two = IV.log(ball(2))
    return verdict(
        "For the best α, ln(1/ρ) = ln((κ² + 1)/(κ² − 1)) ≥ 2κ⁻² as ln((1 + x)/(1 − x)) − 2x has slope 2x²/(1 − x²) ≥ 0; for "
        "c ≤ 1, ln(1/ρ) = −ln(1 − c/κ²) ≥ c/κ². So 2^k ≥ κ² ln(1/ε)/2 (or /c) is enough, ln(1/ε) = ln 2 · log₂(1/ε).",
        ("slope, best α", equal(sympy.diff(sympy.log((1 + x) / (1 - x)) - 2 * x, x), 2 * x**2 / (1 - x**2))),
        ("slope, c", equal(sympy.diff(-sympy.log(1 - x) - x, x), x / (1 - x))),
        ("≥ 0 for x = 1/(1 + u)", no_negative_coefficient((2 * x**2 / (1 - x**2)).subs(x, 1 / (1 + u)))),
        ("log₂(ln 2/2) ≤ −1.5287", above(IV.log(two / 2) / two) <= -1.5287),
        ("+1 gives −0.5287", above(IV.log(two / 2) / two + 1) <= -0.5287),
        ("log₂(ln 2) + 1 ≤ 0.4713", above(IV.log(two) / two + 1) <= 0.4713),
    )


def check_perturbation() -> Verdict:
    """The bounds of `inverse_perturbation` and `condition_perturbation`, and that they are attained."""
    A, E, B = sympy.symbols("A E B", commutative=False)  # B = (A + E)⁻¹
    mu, e, k = symbols("mu e k")
    difference = sympy.expand(-(A**-1) * (A + E) * B + A**-1 * A * B + A**-1 * E * B)
    return verdict(
        "(A + E)⁻¹ − A⁻¹ = −A⁻¹E(A + E)⁻¹ and σ_min(A + E) ≥ μ − ‖E‖ (for every unit u, ‖(A + E)u‖ ≥ ‖Au‖ − ‖E‖), "
        "σ_max(A + E) ≤ κμ' + ‖E‖ with μ' = σ_min(A) ≥ μ, and the quotient falls with μ'. Attained by 1 × 1 matrices.",
        ("resolvent", difference == 0),
        ("attained: A = μ, E = −e", equal(1 / (mu - e) - 1 / mu, e / (mu * (mu - e)))),
        ("κ: slope in μ'", equal(sympy.diff((k * mu + e) / (mu - e), mu), -e * (k + 1) / (mu - e) ** 2)),
        ("κ: at μ", equal((k * mu + e) / (mu - e), (k + e / mu) / (1 - e / mu))),
    )


def residual_after(kappa: Any, steps: int, c: Any = None) -> Ball:
    """ρ^(2^steps), enclosed."""
    value = ball(initial_residual(kappa, c))
    for _ in range(steps):
        value = value**2
    return value
