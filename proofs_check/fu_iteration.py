"""The iteration of Fu et al. (2023): M_0 = αS, M_{k+1} = 2M_k − M_k S M_k for S = XᵀX. Step size, moments, rates, round-off.

Every M_k is a polynomial in S, so identities in one eigenvalue λ of S are identities of matrices:
1 − λM_k = (1 − αλ²)^(2^k). Checks answer as those of `fu_claims` do.
"""

from __future__ import annotations

from fractions import Fraction
from math import comb
from typing import Any

import numpy as np
import sympy

from .ahn_model import Array, exact, identity
from .certificate import Proved, Refuted, Unknown, Verdict
from .fu_model import newton
from .newton_proofs import equal, verdict
from .outward import IV, above, ball, below

#: S = [[5, 4], [4, 5]] = XᵀX: eigenvalues 9 on (1, 1) and 1 on (1, −1), so that κ(S) = 9 and ‖SSᵀ‖ = 81.
X = exact([[2, 1], [1, 2]])
S = X.T @ X
LARGEST, LEAST = 9, 1
TOP = exact([1, 1])


def check_step_size(factor: Any = 2, steps: int = 6) -> Verdict:
    """M_k → S⁻¹ from M_0 = αS, α = factor/‖SSᵀ‖₂. With factor 2, as printed, it stalls; in (0, 2) it converges for every S > 0.

    At 2 the top eigenvalue has 1 − αλ² = −1, so that M_1 annihilates its direction, and ‖I − M_k S‖ = 1 for every k.
    """
    c = Fraction(factor)
    alpha = c / LARGEST**2
    residuals = [TOP - newton(S, alpha, k) @ S @ TOP for k in range(steps + 1)]
    if any((r != (1 - c) ** (2**k) * TOP).any() for k, r in enumerate(residuals)):
        return Unknown("the residual of the top eigenvector is not (1 − c)^(2^k): the argument does not apply")
    if abs(1 - c) >= 1:
        what = f"S = [[5, 4], [4, 5]], α = {alpha} = {c}/‖SSᵀ‖: (I − M_k S)v = (1 − {c})^(2^k) v for v = (1, 1)"
        return Refuted(f"{what}: ‖I − M_k S‖ ≥ 1 for all k; exact to k = {steps}, and 1 − λM_{{k+1}} = (1 − λM_k)²")
    return verdict(
        "1 − λM_k = (1 − αλ²)^(2^k), and 0 < αλ² ≤ factor < 2 for 0 < λ ≤ ‖S‖: |1 − αλ²| < 1",
        *_squares(),
    )


def _squares() -> list[tuple[str, bool]]:
    """The parts of 1 − λM_k = (1 − αλ²)^(2^k): its start, and its step."""
    m, lam, alpha = sympy.symbols("m lam alpha")
    return [
        ("1 − λ(2m − mλm) = (1 − λm)²", equal(1 - lam * (2 * m - m * lam * m), (1 - lam * m) ** 2)),
        ("1 − λM_0 = 1 − αλ²", equal(1 - lam * (alpha * lam), 1 - alpha * lam**2)),
    ]


def check_convergence(invertible: bool = True) -> Verdict:
    """‖I − M_k S‖ ≤ ‖I − M_0 S‖^(2^k) → 0 for 0 < α < 2/‖S‖². It needs S > 0: on the kernel of S nothing moves.

    There M_k → S⁺ still, since M_k vanishes on the kernel too (`check_pseudo_inverse`).
    """
    if not invertible:
        G = exact([[1, 1], [1, 1]])
        kernel = exact([1, -1])
        if any((kernel - newton(G, Fraction(1, 4), k) @ G @ kernel != kernel).any() for k in range(6)):
            return Unknown("the kernel moved")
        return Refuted("S = [[1, 1], [1, 1]], α = 1/4: (I − M_k S)(1, −1) = (1, −1) for every k, as S(1, −1) = 0")
    return verdict("I − M_{k+1}S = (I − M_k S)², since M_k is a polynomial in S", *_squares())


def check_pseudo_inverse(steps: int = 6) -> Verdict:
    """M_k → S⁺ for singular S ≥ 0 as well: M_k S restricted to the range of S goes to I, and M_k is 0 on the kernel."""
    G, alpha = exact([[1, 1], [1, 1]]), Fraction(1, 8)  # G = 2P, P = G/2; αλ² = 1/2; G⁺ = P/2 = G/4
    same = all((newton(G, alpha, k) == (1 - Fraction(1, 2) ** (2**k)) * G / 4).all() for k in range(steps + 1))
    how = "0 is a fixed point at λ = 0 (M_0 = αλ = 0, 2m − mλm = 0), and 1 − λM_k = (1 − αλ²)^(2^k) elsewhere"
    return verdict(how, *_squares(), (f"M_k = (1 − 2^(−2^k)) S⁺ for S = [[1, 1], [1, 1]], α = 1/8, k ≤ {steps}", same))


# -- moments ------------------------------------------------------------------------------------------------------------------

#: M_k = Σ_j coefficients · α^j S^{2j−1} as printed.
PRINTED_MOMENTS = {1: (2, -4), 2: (4, -12, 16, -16)}


def moments(steps: int) -> tuple[int, ...]:
    """The coefficients (−1)^{j+1} C(2^k, j) of α^j S^{2j−1} in M_k, j = 1, …, 2^k."""
    return tuple((-1) ** (j + 1) * comb(2**steps, j) for j in range(1, 2**steps + 1))


def check_moments(steps: int = 1, corrected: bool = False) -> Verdict:
    """Appendix B.3 writes M_1 and M_2 as sums of moments of S. The coefficients are (−1)^{j+1} C(2^k, j), for every k.

    That is (1 − (1 − αλ²)^(2^k))/λ by the binomial theorem. As printed they have other coefficients for k = 1 and 2.
    """
    alpha, lam = sympy.symbols("alpha lam")
    m = alpha * lam
    for _ in range(steps):
        m = sympy.expand(2 * m - m * lam * m)
    true = moments(steps)
    if not corrected:
        printed = PRINTED_MOMENTS[steps]
        if len(printed) == len(true) and all(a == b for a, b in zip(printed, true, strict=True)):
            return Proved("the printed coefficients are those of the iteration")
        one = m.subs({alpha: 1, lam: 1})
        return Refuted(f"k = {steps}: printed {printed}, true {true}; at S = α = 1 that is {sum(printed)} instead of {one}")
    claimed = sum(c * alpha**j * lam ** (2 * j - 1) for j, c in enumerate(true, start=1))
    return verdict(
        "(1 − (1 − αλ²)^(2^k))/λ and the binomial theorem; the expansion by sympy agrees",
        *_squares(),
        (f"the coefficients of M_{steps}", sympy.expand(m - claimed) == 0),
    )


# -- rates --------------------------------------------------------------------------------------------------------------------


def check_newton_rate(bits: int = 40, fewer: int = 0) -> Verdict:
    """O(log κ(S) + log log 1/ε) steps: ⌈2 log₂ κ + log₂ ln 1/ε⌉ do for α = 1/‖S‖², and for κ = 9, ε = 2^−bits none fewer.

    ‖I − M_k S‖ = (1 − κ⁻²)^(2^k) ≤ exp(−2^k/κ²). `fewer` takes so many steps away.
    """
    if bits < 1:
        raise ValueError(f"bits is {bits}: expected 1 or more")
    steps = -1
    while True:  # the least k with 2^k ≥ κ² ln(1/ε), with a certified logarithm
        steps += 1
        if 2**steps >= above(ball(LARGEST**2 * bits) * IV.log(IV.mpf(2))):
            break
    power = Fraction(LARGEST**2 - 1, LARGEST**2) ** (2 ** max(steps - fewer, 0))
    if power > Fraction(1, 2**bits):
        return Refuted(f"κ = 9, α = 1/‖S‖², k = {steps - fewer}: ‖I − M_k S‖ = {float(power):.4g} > ε = 2^−{bits}")
    return verdict(
        f"(1 − κ⁻²)^(2^k) ≤ exp(−2^k/κ²) ≤ ε by 1 − t ≤ exp(−t); for κ = 9, ε = 2^−{bits} that is k = {steps}",
        *_squares(),
        ("the residual of the least eigenvector", _least_residual(min(steps, 6))),
    )


def _least_residual(steps: int) -> bool:
    """Whether (I − M_k S)v = (1 − κ⁻²)^(2^k) v exactly for v = (1, −1), α = 1/‖S‖²."""
    v = exact([1, -1])
    left = v - newton(S, Fraction(1, LARGEST**2), steps) @ S @ v
    return bool((left == Fraction(LARGEST**2 - 1, LARGEST**2) ** (2**steps) * v).all())


def check_descent_rate(bits: int = 40, fewer: float = 0.0) -> Verdict:
    """Gradient descent needs O(κ(S) log 1/ε) steps: with step 1/‖S‖, ⌈κ ln 1/ε⌉ do, as (1 − 1/κ)^k ≤ exp(−k/κ).

    `fewer` takes away that part of the steps: with 1/10 less the error of the least eigenvector is above ε (κ = 9).
    """
    if not 0 <= fewer < 1:
        raise ValueError(f"fewer is {fewer}: expected a part of the steps, in [0, 1)")
    enough = int(above(ball(LARGEST * bits) * IV.log(IV.mpf(2)))) + 1
    steps = int(enough * (1 - Fraction(fewer)))
    w, target = exact([0, 0]), exact([1, -1])
    for _ in range(min(steps, 8)):  # w − w* shrinks by 1 − 1/κ along (1, −1)
        w = w - Fraction(1, LARGEST) * (S @ (w - target))
    shrinks = bool((w - target == -(Fraction(LARGEST - 1, LARGEST) ** min(steps, 8)) * target).all())
    power = Fraction(LARGEST - 1, LARGEST) ** steps
    if power > Fraction(1, 2**bits):
        return Refuted(f"κ = 9, step 1/‖S‖, k = {steps}: the error is {float(power):.4g} > ε = 2^−{bits}")
    return verdict(
        f"(1 − 1/κ)^k ≤ exp(−k/κ) ≤ ε by 1 − t ≤ exp(−t); for κ = 9, ε = 2^−{bits} that is k = {enough}",
        ("the error of the least eigenvector", shrinks),
    )


# -- round-off ----------------------------------------------------------------------------------------------------------------


def check_asymmetry_doubles() -> Verdict:
    """The layer T ← 2T − T S Tᵀ doubles the antisymmetric part of T, whatever T is: T S Tᵀ is symmetric. (Ours.)

    T ← 2T − T S T, equal in exact arithmetic, forgets it: an error E of T = S⁻¹ becomes −E S E.
    """
    T = sympy.Matrix(3, 3, sympy.symbols("t:9"))
    s = sympy.symbols("s:6")
    G = sympy.Matrix([[s[0], s[1], s[2]], [s[1], s[3], s[4]], [s[2], s[4], s[5]]])
    after = 2 * T - T * G * T.T
    doubles = (after - after.T - 2 * (T - T.T)).expand() == sympy.zeros(3, 3)
    E, H = sympy.Matrix(2, 2, sympy.symbols("e:4")), G[:2, :2]
    inverse = H.inv()
    moved = inverse + E
    forgets = (2 * moved - moved * H * moved - inverse + E * H * E).applyfunc(sympy.cancel) == sympy.zeros(2, 2)
    return verdict(
        "T' − T'ᵀ = 2(T − Tᵀ) by sympy for d = 3, and in general as (T S Tᵀ)ᵀ = T S Tᵀ",
        ("T' − T'ᵀ = 2(T − Tᵀ)", doubles),
        ("S⁻¹ + E goes to S⁻¹ − E S E with T S T", forgets),
    )


def measured_drift(dtype: Any, steps: int, transposed: bool = True, seed: int = 0) -> float:
    """Measured in floats, not proved: ‖T S − I‖₂ after the steps T ← 2T − T S Tᵀ (or T S T) from α = 1/‖S‖².

    Gaussian data with n = 20, d = 5; dtype np.float32 or np.float64. inf where it overflows.
    """
    A = np.random.default_rng(seed).standard_normal((20, 5)).astype(dtype)
    G: Array = A.T @ A
    T = G / np.linalg.norm(G, 2) ** 2
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(steps):
            T = 2 * T - T @ G @ (T.T if transposed else T)
    if not np.isfinite(T).all():
        return float("inf")
    return float(np.linalg.norm(T.astype(float) @ G.astype(float) - np.eye(5), 2))


# -- the readout --------------------------------------------------------------------------------------------------------------


def check_product(corrected: bool = False) -> Verdict:
    """Layers 2 and 5 of the readout multiply exactly. With GeLU they only approximate: √(π/2)(g(x + y) − g(x) − g(y)).

    That is xy up to terms of degree 4 (the source of this layer says 3), g(x) = x(1 + erf(x/√2))/2.
    """
    if corrected:
        x, y, t = sympy.symbols("x y t")
        product = sympy.sqrt(sympy.pi / 2) * (_gelu(t * (x + y)) - _gelu(t * x) - _gelu(t * y))
        series = sympy.expand(sympy.series(product, t, 0, 5).removeO())
        parts = [sympy.simplify(series.coeff(t, degree)) for degree in range(5)]
        return verdict(
            "Taylor's series at 0: the terms of degree 0, 1, 3 vanish, that of degree 2 is xy",
            ("terms of degree 0, 1, 3", parts[0] == parts[1] == parts[3] == 0),
            ("the term of degree 2", equal(parts[2], x * y)),
            ("the term of degree 4 is there", parts[4] != 0),
        )
    found = IV.sqrt(IV.pi / 2) * (_gelu_ball(2) - 2 * _gelu_ball(1))
    if below(found) <= 1 <= above(found):
        return Unknown("the enclosure of the product contains 1")
    return Refuted(f"1 · 1 comes out as {below(found):.6f} (interval arithmetic)")


def _gelu(x: Any) -> Any:
    return x * (1 + sympy.erf(x / sympy.sqrt(2))) / 2


def _gelu_ball(x: int) -> Any:
    return ball(x) * (1 + _erf(ball(x) / IV.sqrt(IV.mpf(2)))) / 2


def _erf(z: Any, terms: int = 60) -> Any:
    """erf on an interval in [0, 2]: its alternating series, whose tail is below the first term left out."""
    total, power = IV.mpf(0), z
    for k in range(terms):
        total += (-1) ** k * power / (2 * k + 1)
        power = power * z * z / (k + 1)
    tail = above(power)
    return 2 / IV.sqrt(IV.pi) * (total + IV.mpf([-tail, tail]))


def residual_norms(alpha: Any, steps: int) -> list[Fraction]:
    """‖I − M_k S‖₂ for k = 0, …, steps on S = [[5, 4], [4, 5]], exactly: its eigenvectors are those of S."""
    found = []
    for k in range(steps + 1):
        R = identity(2) - newton(S, Fraction(alpha), k) @ S
        found.append(max(abs(R[0, 0] + R[0, 1]), abs(R[0, 0] - R[0, 1])))
    return found
