"""How small a residual can be on an interval, by degree: Chebyshev polynomials, in exact or outward-rounded integers.

A polynomial r of degree m with r(0) = 1 satisfies max |r| ≥ 1/T_m((u + l)/(u − l)) on [l, u], 0 < l < u. What L layers of
linear attention do to a linear system is such a polynomial (`SPECTRAL_ARGUMENT`), so this bounds how well they can solve it.
Nothing here is floating point: every comparison is decided, every value is exact or a certified lower value.
"""

# ruff: noqa: E741  (l and u are the ends of a spectrum, as in the statement)
from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from numbers import Integral, Real
from typing import Literal, TypeAlias

from ..compiler.errors import CompileError

#: What the stream is given, and what is asked: "examples" A, y, q → q · w with A w = y, spec(AᵀA) in [l, u];
#: "matrix" A → X with X A = I, spec(AᵀA) in [l, u]; "gram" S → S⁻¹, spec(S) in [l, u].
Given: TypeAlias = Literal["examples", "matrix", "gram"]

_STATEMENT: Mapping[Given, tuple[str, str, str]] = {  # what L layers do, for which data, and the degree m
    "examples": ("predict q·w from A, q and y = A w with |error| ≤ δ ‖q‖ ‖w‖", "A with spec(AᵀA) in [l, u]", "(3^L − 1)/2"),
    "matrix": ("map A to X with ‖I − X A‖ ≤ δ", "A with spec(AᵀA) in [l, u]", "(3^L + 1)/2"),
    "gram": ("map S to X with ‖I − X S‖ ≤ δ", "symmetric S with spec(S) in [l, u]", "3^L + 1"),
}

_STEPS: Mapping[Given, tuple[str, ...]] = {
    "examples": (
        "Take A = σU with UᵀU = I, y = τUe, q = se, where ‖e‖ = 1. Then w = (τ/σ)e, and the answer is sτ/σ.",
        "Average ± the prediction over the eight signs of (σ, s, τ): the error stays within δ|sτ/σ|, and only monomials odd",
        "in each of σ, s, τ remain. So at s = τ = 1 it is σx(σ²), of degree ≤ 3^L − 2 in σ.",
        "With λ = σ², r(λ) = 1 − λx(λ) has r(0) = 1, degree ≤ m, and |r| ≤ δ on [l, u].",
    ),
    "matrix": (
        "Take A = σU with UᵀU = I, and ‖e‖ = 1. Then eᵀ(I − XA)e = 1 − σp(σ) with p = eᵀXUe.",
        "Average over both signs of σ: the residual stays within δ, and only odd monomials of p remain.",
        "So p is σx(σ²), of degree ≤ 3^L in σ.",
        "With λ = σ², r(λ) = 1 − λx(λ) has r(0) = 1, degree ≤ m, and |r| ≤ δ on [l, u].",
    ),
    "gram": (
        "Take S = λI and ‖e‖ = 1. Then eᵀ(I − XS)e = r(λ) = 1 − λx(λ) with x = eᵀXe of degree ≤ 3^L;",
        "r(0) = 1, its degree is ≤ m, and |r| ≤ δ on [l, u].",
    ),
}


def _given(given: Given) -> Given:
    if not isinstance(given, str) or given not in _STATEMENT:
        listed = " or ".join(map(repr, _STATEMENT))
        raise CompileError(f"given is {given!r}: expected {listed}", fix=f"pass given as {listed}, or leave it out")
    return given


def spectral_argument(given: Given = "examples") -> str:
    """The claim, what it assumes, and its proof, in lines of text. Each step is checked in tests/theorems.

    Raises CompileError for another `given`.
    """
    _given(given)
    claim, data, degree = _STATEMENT[given]
    lines = [
        f"claim    If L layers {claim} for all {data},",
        f"         then δ ≥ 1/T_m((u + l)/(u − l)) with m = {degree}.",
        "assumes  linear attention only (no softmax, no feed-forward part), with any fixed weights and masks and any number of",
        "         heads, rows and tokens; H_0 affine in what is given; the answer read off affinely; of the spectrum nothing",
        "         is known but that it lies in [l, u], and the error is the worst over it.",
        "proof    A layer is cubic in H: what is read after L layers has degree ≤ 3^L in the entries of what is given.",
        *(f"         {step}" for step in _STEPS[given]),
        "         Of these r, T_m((u + l − 2λ)/(u − l)) / T_m((u + l)/(u − l)) has the smallest maximum (Chebyshev).",
    ]
    return "\n".join(lines)


SPECTRAL_ARGUMENT = spectral_argument()

#: After so many layers the bound is below 1/_HUGE wherever κ = u/l is at most MOST_KAPPA.
MOST_LAYERS = 1000

#: The largest u/l.
MOST_KAPPA = Fraction(10) ** 120

#: Lower bounds smaller than 1/_HUGE are reported as 0.
_HUGE = Fraction(2**4096)
_EXACT_BITS = 8192  # values of that length are kept exact


def chebyshev(m: int, t: Fraction | int) -> Fraction:
    """T_m(t), exactly: T_2j = 2T_j² − 1 and T_2j+1 = 2T_j T_j+1 − t.

    Cost: numbers of m times the digits of t. Raises ValueError for m < 0. Example: chebyshev(3, 2) == 26.
    """
    if m < 0:
        raise ValueError(f"chebyshev got m = {m}: expected m ≥ 0")
    p, q = Fraction(t).as_integer_ratio()
    a, b, power = 1, p, 1  # T_j = a/q^j, T_j+1 = b/q^(j+1), power = q^j
    for digit in bin(m)[2:]:
        square = power * power
        odd = 2 * a * b - p * square
        if digit == "0":
            a, b, power = 2 * a * a - square, odd, square
        else:
            a, b, power = odd, 2 * b * b - square * q * q, square * q
    return Fraction(a, power)


def residual_degree(layers: int, given: Given = "examples") -> int:
    """The largest degree in λ that the residual 1 − λx(λ) of so many layers can have."""
    reach: int = 3**layers
    return {"examples": (reach - 1) // 2, "matrix": (reach + 1) // 2, "gram": reach + 1}[given]


def residual_lower_bound(layers: int, l: Fraction | float, u: Fraction | float, given: Given = "examples") -> Fraction:
    """A certified lower bound on the worst relative residual of so many layers over spectra in [l, u].

    1/T_m((u + l)/(u − l)) with m = `residual_degree`. Exact while numbers are short (always for one layer); else from
    below, within 2^-64 of it, and 0 below 2^-4096. l = u gives 0 (one step is exact) unless m = 0, which gives 1.
    Raises CompileError unless 0 < l ≤ u and layers ≥ 0. Example: residual_lower_bound(1, 1, 9) == Fraction(4, 5).
    """
    low, high = _interval(l, u)
    good = isinstance(layers, Integral) and not isinstance(layers, bool)
    if not good or not 0 <= layers <= MOST_LAYERS:
        raise CompileError(
            f"layers is {str(layers)[:40]}: expected 0 or more, to {MOST_LAYERS}", fix="pass the number of layers as an int"
        )
    m = residual_degree(int(layers), _given(given))
    if m == 0 or low == high:
        return Fraction(int(m == 0))
    t = (high + low) / (high - low)
    if m * t.numerator.bit_length() <= _EXACT_BITS:
        return 1 / chebyshev(m, t)
    bits = 128 + _lost_bits(t)
    while True:
        below, above = _enclose(m, t, bits, _HUGE)
        if below >= _HUGE * 2**bits:
            return Fraction(0)
        if above is not None and above - below <= below >> 65:
            return Fraction(2**bits, above)
        bits *= 2


def layers_needed(l: Fraction | float, u: Fraction | float, tol: Fraction | float, given: Given = "examples") -> int:
    """The smallest number of layers whose lower bound on the residual is at most tol: no fewer can reach tol.

    Decided exactly, for floats at their exact values. l = u needs one layer from examples, none from a matrix (tol < 1).
    Raises CompileError unless 0 < l ≤ u and tol > 0. Example: layers_needed(1, 100, 1e-6) == 5.
    """
    low, high = _interval(l, u)
    wanted = as_rational("tol", tol)
    _given(given)
    if wanted <= 0:
        raise CompileError(
            f"tol is {tol}: expected more than 0", rule="no number of layers has residual 0", fix="pass tol=1e-6, say"
        )
    layers = 0
    while not _reached(residual_degree(layers, given), low, high, 1 / wanted):
        layers += 1
    return layers


def _reached(m: int, low: Fraction, high: Fraction, level: Fraction) -> bool:
    """Whether T_m((high + low)/(high − low)) ≥ level."""
    if m == 0 or low == high:
        return level <= 1 or m > 0
    t = (high + low) / (high - low)
    bits = 64 + _lost_bits(t)
    while bits < 2 * m * t.numerator.bit_length():
        below, above = _enclose(m, t, bits, level)
        if below >= level * 2**bits:
            return True
        if above is not None and above < level * 2**bits:
            return False
        bits *= 2
    return chebyshev(m, t) >= level


def _lost_bits(t: Fraction) -> int:
    """About as many bits as the recursion loses: T_m(t) reaches 2 at m² ≈ 1/(t − 1), and rounding t counts m² times."""
    gap = t - 1
    return max(0, 2 * (gap.denominator.bit_length() - gap.numerator.bit_length()))


def _enclose(m: int, t: Fraction, bits: int, level: Fraction) -> tuple[int, int | None]:
    """(a, b) with a ≤ 2^bits T_m(t) ≤ b for t ≥ 1, rounding outward to `bits` binary places.

    b is None when the recursion stopped early: T_j(t) passed `level` at some j < m (T grows with j, so a holds for m
    too), or the enclosure became too wide to be of use.
    """
    one = 1 << bits
    t_low, t_high = (t.numerator << bits) // t.denominator, -((-t.numerator << bits) // t.denominator)
    enough = -(-level.numerator * one // level.denominator)
    useless = 4 * enough * enough >> bits  # T_2j < 2T_j²: beyond this T_j < level and T_j ≥ level are both possible
    (a, A), (b, B) = (one, one), (t_low, t_high)  # T_j in [a, A], T_j+1 in [b, B]
    for digit in bin(m)[2:]:
        odd = max((2 * a * b >> bits) - t_high, one), -(-2 * A * B >> bits) - t_low
        if digit == "0":
            (a, A), (b, B) = (max((2 * a * a >> bits) - one, one), -(-2 * A * A >> bits) - one), odd
        else:
            (a, A), (b, B) = odd, (max((2 * b * b >> bits) - one, one), -(-2 * B * B >> bits) - one)
        if a >= enough or useless < A:
            return a, None
    return a, A


def _interval(l: Fraction | float, u: Fraction | float) -> tuple[Fraction, Fraction]:
    low, high = as_rational("l", l), as_rational("u", u)
    if not 0 < low <= high:
        raise CompileError(
            f"the spectrum lies in [{l}, {u}]: expected 0 < l ≤ u",
            rule="with an eigenvalue 0 there is no inverse, and no number of layers bounds the residual",
            fix="pass the smallest and the largest eigenvalue; for singular data add a ridge, or take the least one above 0",
        )
    if high > MOST_KAPPA * low:
        raise CompileError(f"the spectrum lies in [{l}, {u}]: expected u/l up to 1e120", fix="raise l, or add a ridge")
    return low, high



def as_rational(name: str, value: Fraction | float) -> Fraction:
    """The exact value of a number. Raises CompileError for anything else; NaN, infinity and bools are no numbers here."""
    try:
        if isinstance(value, bool):
            pass
        elif isinstance(value, Fraction):
            return value
        elif isinstance(value, Integral):
            return Fraction(int(value))
        elif isinstance(value, Real):
            return Fraction(float(value))
    except (ValueError, OverflowError):
        pass
    raise CompileError(f"{name} is {value!r}: expected a finite number", fix=f"pass {name} as an int, a float or a Fraction")
