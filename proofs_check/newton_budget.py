"""The error of one damped Newton step that is made of approximate parts, and the polynomials that take the place of H⁻¹.

A network computes ĝ with ‖ĝ − ∇f‖ ≤ s, a matrix Ĥ with ‖Ĥ − H‖ ≤ h, v = q(Ĥ)ĝ, ẑ = max(0, ĝᵀp(Ĥ)ĝ), a factor η̂(ẑ), and
x⁺ = x − η̂v. Here q and p are polynomials with |1 − tq(t)| ≤ r_q and |1 − tp(t)| ≤ r_p on an interval that contains the
spectra of H and Ĥ. Against the exact step x − ηN its error is at most a + b‖N‖ + min(c, d‖N‖), N = H⁻¹∇f, where

    v − N = q(Ĥ)(ĝ − ∇f) − (1 − tq)(Ĥ) N − q(Ĥ)(Ĥ − H) N,
    η̂v − ηN = (η̂ − η(ẑ)) v + η(ẑ)(v − N) + (η(ẑ) − η(λ²)) N.

Only s makes a: everything else is relative to N, so that it fades as the iteration converges ("only p decides the final
accuracy"). Each step is checked in `newton_proofs`. Source: Giannou et al. 2024, (C.24)–(C.34), where the step-size error
costs a square root; own derivation without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import comb
from typing import Any

from ..compiler.errors import CompileError
from .arguments import number, whole
from .minimax import as_rational, chebyshev
from .newton_lemmas import StepError
from .outward import IV, above, ball
from .residual import range_of

#: The highest degree of a polynomial that takes the place of an inverse.
MOST_DEGREE = 1000

#: Coefficients, the constant first.
Coefficients = tuple[Fraction, ...]


@dataclass(frozen=True)
class InversePolynomial:
    """q with |1 − t q(t)| ≤ residual and |q(t)| ≤ largest on [lower, upper], both proved.

    `coefficients` are those of powers of (t − centre), the constant first; each is a float.
    """

    coefficients: Coefficients
    centre: Fraction
    lower: Fraction
    upper: Fraction
    residual: Fraction
    largest: Fraction

    @property
    def degree(self) -> int:
        return len(self.coefficients) - 1

    def at(self, centre: Fraction) -> Coefficients:
        """The coefficients of powers of (t − centre), exactly."""
        return _moved(self.coefficients, centre - self.centre)

    def remainder(self, centre: Fraction) -> Coefficients:
        """1 − t q(t), in powers of (t − centre)."""
        q = self.at(centre)
        product = [centre * c for c in q] + [Fraction(0)]
        for k, c in enumerate(q):
            product[k + 1] += c
        return (1 - product[0], *(-c for c in product[1:]))


def solve_polynomial(lower: Any, upper: Any, degree: int, centre: Any = 0) -> InversePolynomial:
    """The polynomial q of that degree whose residual 1 − tq(t) is least on [lower, upper], rounded to floats; proved.

    Its residual is close to 1/T_{degree + 1}((u + l)/(u − l)) (Chebyshev). `centre` = μ gives q in powers of H − μI.
    Raises CompileError unless 0 < lower ≤ upper and degree ≥ 0.
    Example: solve_polynomial(0.5, 0.75, 3).residual < 2.1e-4.
    """
    low, high, middle = number("lower", lower), number("upper", upper), number("centre", centre)
    if not 0 < low <= high:
        raise CompileError(
            f"solve_polynomial: the interval is [{float(low):.6g}, {float(high):.6g}]: expected 0 < lower ≤ upper",
            fix="with a ridge μ and ‖a_i‖ ≤ 1 the spectrum of H lies in [μ, μ + 1/4]",
        )
    exact = _moved(_inverse(low, high, whole("solve_polynomial: degree", degree, most=MOST_DEGREE)), middle)
    return certified(tuple(Fraction(float(c)) for c in exact), low, high, middle)


def decrement_polynomial(lower: Any, upper: Any, degree: int, centre: Any = 0) -> InversePolynomial:
    """p for λ² ≈ gᵀp(H)g: |gᵀp(H)g − λ²| ≤ residual·λ², and the least such residual; it is that of `solve_polynomial`."""
    return solve_polynomial(lower, upper, degree, centre)


def certified(coefficients: Coefficients, lower: Any, upper: Any, centre: Any = 0) -> InversePolynomial:
    """The proved residual and maximum of any q given by its coefficients in powers of (t − centre) (Sturm's theorem)."""
    low, high, middle = as_rational("lower", lower), as_rational("upper", upper), as_rational("centre", centre)
    q = InversePolynomial(tuple(map(Fraction, coefficients)), middle, low, high, Fraction(0), Fraction(0))
    residual = max(map(abs, range_of(q.remainder(Fraction(0)), low, high)))
    largest = max(map(abs, range_of(q.at(Fraction(0)), low, high)))
    return InversePolynomial(q.coefficients, middle, low, high, residual, largest)


def corrected(polynomial: InversePolynomial, times: int) -> InversePolynomial:
    """q after v ← v + q(H)(g − Hv), `times` times: (1 − R^(times + 1))/t where R = 1 − tq(t); its residual is R^(times + 1)."""
    if not times:
        return polynomial
    once = polynomial.remainder(polynomial.centre)
    power = once
    for _ in range(times):
        power = _multiplied(power, once)
    left, rest = [Fraction(0), *(-c for c in power[1:])], []
    left[0] = 1 - power[0]
    for k in range(len(left) - 1):  # divide by t = centre + (t − centre): constants first, so centre must not be 0
        rest.append(left[k] / polynomial.centre)
        left[k + 1] -= rest[-1]
    residual = polynomial.residual ** (times + 1)
    return InversePolynomial(
        tuple(rest), polynomial.centre, polynomial.lower, polynomial.upper, residual, (1 + residual) / polynomial.lower
    )


def _multiplied(a: Coefficients, b: Coefficients) -> Coefficients:
    out = [Fraction(0)] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            out[i + j] += x * y
    return tuple(out)


def _inverse(low: Fraction, high: Fraction, degree: int) -> Coefficients:
    """(1 − R(t))/t for R(t) = T_m(φ(t))/T_m(φ(0)), φ(t) = (u + l − 2t)/(u − l), m = degree + 1; in powers of t."""
    if low == high:
        return (1 / low, *[Fraction(0)] * degree)
    slope, constant = -2 / (high - low), (high + low) / (high - low)
    before: list[Fraction] = [Fraction(1)]
    now = [constant, slope]
    for _ in range(degree):
        twice = [2 * constant * c for c in now] + [Fraction(0)]
        for k, c in enumerate(now):
            twice[k + 1] += 2 * slope * c
        for k, c in enumerate(before):
            twice[k] -= c
        before, now = now, twice
    top = chebyshev(degree + 1, constant)
    return tuple(-c / top for c in now[1:])


def _moved(coefficients: Coefficients, by: Fraction) -> Coefficients:
    """Coefficients of the same polynomial in powers of (t − by)."""
    n = len(coefficients)
    return tuple(sum((coefficients[k] * comb(k, j) * by ** (k - j) for k in range(j, n)), Fraction(0)) for j in range(n))


# -- Hessian errors ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HessianError:
    """‖Ĥ − H‖ ≤ size; the spectrum of Ĥ lies in [μ, μ + reach] where Ĥ is symmetric.

    factor: δ with ‖Û − U‖ ≤ δ√n, where Ĥ = ÛᵀÛ/n + μI and H = UᵀU/n + μI; None for other forms.
    """

    size: float
    reach: float
    symmetric: bool
    factor: float | None = None


def gram_error(entry: Any, d: int) -> HessianError:
    """Ĥ = ÛᵀÛ/n + μI with rows û_i = √(p_i(1 − p_i)) a_i + δ_i, |δ_ij| ≤ entry: ‖Ĥ − H‖ ≤ δ + δ², δ = √d·entry."""
    delta = IV.sqrt(ball(whole("d", d, least=1))) * ball(number("entry", entry, least=0))
    return HessianError(above(delta + delta**2), above((ball(Fraction(1, 2)) + delta) ** 2), True, above(delta))


def weighted_error(entry: Any, d: int) -> HessianError:
    """Ĥ = D̂ᵀA/n + μI with rows d̂_i = p_i(1 − p_i) a_i + δ_i, |δ_ij| ≤ entry: ‖Ĥ − H‖ ≤ √d·entry; Ĥ is not symmetric."""
    delta = IV.sqrt(ball(whole("d", d, least=1))) * ball(number("entry", entry, least=0))
    return HessianError(above(delta), above(ball(Fraction(1, 4)) + delta), False)


def weight_error(weight: Any) -> HessianError:
    """Ĥ = Aᵀdiag(v̂)A/n + μI with 0 ≤ v̂_i and |v̂_i − p_i(1 − p_i)| ≤ weight: ‖Ĥ − H‖ ≤ weight."""
    size = number("weight", weight, least=0)
    return HessianError(above(ball(size)), above(ball(Fraction(1, 4) + size)), True)


# -- the step ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Budget:
    """The error of a step, with what each source contributes to its absolute and to its relative part.

    `largest` bounds ‖ε‖ where λ ≤ largest_decrement, if that was given. It is less than `error` at ‖N‖ = λ/√μ: the error of
    v is shortened by η as v is, and an error of U counts by ‖UN‖/√n and by ‖N‖, which are not both large:
    ‖UN‖²/n + μ‖N‖² = λ².
    """

    error: StepError
    absolute: Mapping[str, float] = field(hash=False)
    relative: Mapping[str, float] = field(hash=False)
    largest: float | None = None

    def __str__(self) -> str:
        lines = [str(self.error)]
        for what, parts in (("absolute", self.absolute), ("relative", self.relative)):
            lines += [f"  {what:<9} {name:<26} {size:.3g}" for name, size in parts.items() if size]
        return "\n".join(lines)


def step_error(
    mu: Any,
    *,
    gradient: Any,
    hessian: HessianError,
    solve: InversePolynomial,
    decrement: InversePolynomial,
    eta: Any,
    eta_weighted: Any = None,
    largest_decrement: Any = None,
    extra: Any = 0,
) -> Budget:
    """A bound a + b‖N‖ + min(c, d‖N‖) on the error of a step made of parts, for `distance_bound` and its companions.

    gradient            s: ‖ĝ − ∇f‖ ≤ s. With ĝ = Aᵀĉ/n + μx and |ĉ_i − c_i| ≤ s it is s, since ‖Aᵀδ/n‖ ≤ max|δ_i|
    hessian             see `gram_error`, `weighted_error`, `weight_error`
    solve, decrement    q and p, on an interval that contains [μ, μ + max(1/4, hessian.reach)]
    eta                 |η̂(z) − η(z)| for every z ≥ 0 that can come, η(z) = 2√μ/(2√μ + √z)
    eta_weighted        |η̂(z) − η(z)|·√z for the same z, if known: then this error is no more than that over √μ, roughly
    largest_decrement   a bound on λ_t, if known: the smaller, the less the error of ẑ counts
    extra               everything else, such as rounding, as an absolute error

    Raises CompileError where the interval is too short, or the decrement's relative error is not below 1.
    """
    m = number("mu", mu, above=0)
    check_interval(m, hessian, solve, "solve")
    check_interval(m, hessian, decrement, "decrement")
    parts = (("gradient", gradient), ("hessian", hessian.size), ("extra", extra), ("eta", eta))
    s, h, rest, e_eta = (ball(number(name, value, least=0)) for name, value in parts)
    M = ball(m)
    r_q, Q = _perturbed(solve, hessian)
    r_p, P = _perturbed(decrement, hessian)
    # v − N: its absolute part; the part relative to N is β below
    alpha = Q * s
    # ẑ = λ²(1 + τ₂) + τ₁‖N‖ + τ₀ with |τ_i| as follows
    back = 1 + r_p + h * P  # ‖H p(Ĥ)‖
    crossed = Q * h  # ‖q(Ĥ)(Ĥ − H)N‖/‖N‖
    if hessian.symmetric:
        among = h / M  # |Nᵀ(Ĥ − H)N|/λ²
        if hessian.factor is not None:
            delta = ball(Fraction(hessian.factor))
            among = _least(among, delta / IV.sqrt(M) + delta**2 / M)
            crossed = _least(crossed, delta * ((1 + r_q) / (2 * IV.sqrt(M)) + Q / 2))
        tau2 = r_p * (1 + among) + among + 2 * r_p * h / M + P * h**2 / M
    else:
        commuting = ball(decrement.residual) + _lipschitz(decrement.remainder, decrement, h) * h * IV.sqrt(1 + 1 / (4 * M))
        tau2 = commuting + back * h / M
    beta = r_q + crossed
    tau1, tau0 = s * (1 + r_p + P * h) + back * s, P * s**2
    if above(tau2) >= 1:
        raise CompileError(
            f"step_error: λ² is only known to a factor {above(tau2):.3g}: expected below 1",
            fix="give the decrement polynomial a higher degree, or make the Hessian more accurate",
        )
    low = IV.sqrt(1 - tau2)
    damping = ball(1)
    if largest_decrement is not None:
        x = ball(number("largest_decrement", largest_decrement, least=0)) / (2 * IV.sqrt(M))
        damping = x / (1 + x)
    absolute = {"gradient": alpha * (1 + e_eta), "gradient, through η": tau0 / (2 * M * low), "extra": rest}
    relative = {
        "solve polynomial": ball(solve.residual),
        "Hessian": beta - ball(solve.residual),
        "gradient, through η": tau1 / (2 * M * low),
        "decrement, through η": (1 - low) * damping,
    }
    cap = None
    if eta_weighted is not None and hessian.symmetric:
        # ‖v‖² ≤ ẑ sup q²/p, and q²/p = (1 − R_q)²/(t(1 − R_p)) with R = 1 − tq, 1 − tp
        ratio = (1 + r_q) / IV.sqrt(ball(solve.lower) * (1 - r_p))
        cap = above(ball(number("eta_weighted", eta_weighted, least=0)) * ratio)
    total = StepError(
        Fraction(above(sum(absolute.values(), ball(0)))),
        Fraction(above(sum(relative.values(), ball(0)))),
        Fraction(above(e_eta * (1 + beta))),
        None if cap is None else Fraction(cap),
    )
    largest = None
    if largest_decrement is not None:
        decrease = ball(number("largest_decrement", largest_decrement, least=0))
        length = decrease / IV.sqrt(M)
        taken = 2 * damping  # η(λ²)‖N‖ ≤ (λ/√μ)/(1 + mλ)
        apart, apart_taken = crossed * length, crossed * taken
        if hessian.factor is not None:
            # δ(‖N‖(1 + r_q)/(2√μ) + Q√(λ² − μ‖N‖²)): Cauchy–Schwarz in (√μ‖N‖, √(λ² − μ‖N‖²))
            spread = ball(Fraction(hessian.factor)) * IV.sqrt(M) * IV.sqrt(((1 + r_q) / (2 * M)) ** 2 + Q**2)
            apart, apart_taken = _least(apart, spread * length), _least(apart_taken, spread * taken)
        mistaken = (relative["gradient, through η"] + relative["decrement, through η"]) * length
        mistaken += absolute["gradient, through η"]  # |η(ẑ) − η(λ²)|·‖N‖
        stepped = e_eta * (length * (1 + r_q) + apart)
        stepped = stepped if cap is None else _least(stepped, ball(Fraction(cap)))
        largest = above(absolute["gradient"] + rest + r_q * taken + apart_taken + mistaken * (1 + beta) + stepped)
        largest = min(largest, above(total.at(length)))
    return Budget(total, {k: above(v) for k, v in absolute.items()}, {k: above(v) for k, v in relative.items()}, largest)


def _least(a: Any, b: Any) -> Any:
    """Of two upper bounds, the smaller."""
    return a if above(a) <= above(b) else b


def check_interval(mu: Fraction, hessian: HessianError, polynomial: InversePolynomial, name: str) -> None:
    upper = mu + max(Fraction(1, 4), Fraction(hessian.reach) if hessian.symmetric else Fraction(0))
    if polynomial.lower > mu or polynomial.upper < upper:
        raise CompileError(
            f"step_error: the {name} polynomial is for [{float(polynomial.lower):.6g}, {float(polynomial.upper):.6g}]: "
            f"expected an interval that contains [{float(mu):.6g}, {float(upper):.6g}]",
            rule="the bound of its residual has to hold on the spectrum of the approximate Hessian",
            fix="make it for mu and mu + hessian.reach: solve_polynomial(mu, mu + hessian.reach, degree)",
        )


def _perturbed(polynomial: InversePolynomial, hessian: HessianError) -> tuple[Any, Any]:
    """Bounds of ‖(1 − tq)(Ĥ)‖ and ‖q(Ĥ)‖. A symmetric Ĥ has its spectrum in the interval; another is close to H."""
    residual, largest = ball(polynomial.residual), ball(polynomial.largest)
    if hessian.symmetric:
        return residual, largest
    h = ball(Fraction(hessian.size))
    return (
        residual + _lipschitz(polynomial.remainder, polynomial, h) * h,
        largest + _lipschitz(polynomial.at, polynomial, h) * h,
    )


def _lipschitz(powers: Any, polynomial: InversePolynomial, h: Any) -> Any:
    """L with ‖P(Ĥ) − P(H)‖ ≤ L‖Ĥ − H‖ for ‖Ĥ − H‖ ≤ h: telescoped powers about the middle of the interval."""
    middle = (polynomial.lower + polynomial.upper) / 2
    reach = ball((polynomial.upper - polynomial.lower) / 2) + h
    total = ball(0)
    for k, c in enumerate(powers(middle)):
        if k:
            total += k * abs(ball(c)) * reach ** (k - 1)
    return total
