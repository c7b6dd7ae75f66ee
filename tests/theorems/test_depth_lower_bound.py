"""The lower bound for linear systems, step by step as `spectral_argument` prints it, by computer algebra.

    L layers of linear attention have a worst residual of at least 1/T_m((u + l)/(u − l)), m = (3^L − 1)/2.

It holds (each step of the proof), it is tight (compiled weights attain it), and it breaks without its hypotheses.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import product
from math import isqrt, prod
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from sympy import QQ, ZZ, ring

import headwright as hw
from headwright.proofs_check.lower_bounds import chebyshev, layers_needed, residual_degree, residual_lower_bound

# -- a layer is cubic --------------------------------------------------------------------------------------------------


def random_net(rng: np.random.Generator, layers: int, rows: int, heads: int) -> list[list[tuple[np.ndarray, ...]]]:
    """(W_V, W_K, W_Q) of every head, with entries in −2 … 2."""
    shape = (3, rows, rows)
    return [[tuple(rng.integers(-2, 3, shape).astype(object)) for _ in range(heads)] for _ in range(layers)]


def run(net: list[list[tuple[np.ndarray, ...]]], H: np.ndarray) -> np.ndarray:
    """Eq. (3.1a), over whatever ring the entries of H are from."""
    for layer in net:
        H = H + sum((W_V.dot(H)).dot((W_K.dot(H)).T).dot(W_Q.dot(H)) for W_V, W_K, W_Q in layer)
    return H


def symbols(rows: int, tokens: int) -> tuple[Any, np.ndarray]:
    """A polynomial ring and a matrix of its generators."""
    names = [f"h{i}{j}" for i in range(rows) for j in range(tokens)]
    polynomials, *generators = ring(names, ZZ)
    return polynomials, np.array(generators, dtype=object).reshape(rows, tokens)


@pytest.mark.parametrize(("layers", "rows", "tokens"), [(1, 2, 2), (1, 3, 2), (2, 2, 1), (2, 1, 2), (2, 2, 2)])
def test_what_is_read_after_l_layers_is_odd_and_of_degree_3_to_the_l_and_no_less(layers, rows, tokens, rng) -> None:
    reached = set()
    for _ in range(3):
        _, H = symbols(rows, tokens)
        for entry in run(random_net(rng, layers, rows, heads=2), H).ravel():
            degrees = {sum(powers) for powers in entry.itermonoms()}
            assert all(d % 2 == 1 and d <= 3**layers for d in degrees)
            reached |= degrees
    assert max(reached) == 3**layers


@pytest.mark.parametrize(("layers", "rows", "tokens"), [(1, 2, 3), (2, 2, 2)])
def test_layers_multiply_the_stream_by_a_function_of_its_gram_matrix(layers, rows, tokens, rng) -> None:
    """H_L = M(H_0 H_0ᵀ) H_0 with M ← (I + Σ W_V M G Mᵀ W_KᵀW_Q) M: nothing but mixing rows, by what tokens have in common."""
    net = random_net(rng, layers, rows, heads=2)
    _, H = symbols(rows, tokens)
    G, M = H.dot(H.T), np.eye(rows, dtype=int).astype(object)
    for layer in net:
        S = M.dot(G).dot(M.T)
        M = M + sum(W_V.dot(S).dot(W_K.T).dot(W_Q) for W_V, W_K, W_Q in layer).dot(M)
    assert (run(net, H) == M.dot(H)).all()


# -- the reduction to one variable -------------------------------------------------------------------------------------


def test_the_family_of_examples_has_the_answer_s_tau_over_sigma() -> None:
    """A = σU, y = τUe, q = se with UᵀU = I, ‖e‖ = 1: AᵀA = σ²I and w = (τ/σ)e."""
    sigma, tau, s = sympy.symbols("sigma tau s", nonzero=True)
    U = sympy.Matrix([[3, 0], [4, 0], [0, 5]]) / 5
    e = sympy.Matrix([5, 12]) / 13
    A, y, q, w = sigma * U, tau * U * e, s * e, tau / sigma * e
    assert (A.T * A - sigma**2 * sympy.eye(2)).is_zero_matrix and (A * w - y).expand().is_zero_matrix
    assert sympy.simplify((q.T * (A.T * A).inv() * A.T * y)[0] - s * tau / sigma) == 0


def along_the_family(rng: np.random.Generator, layers: int, rows: int, tokens: int, heads: int) -> Any:
    """A prediction in ℤ[σ, τ, s]: H_0 affine in (A, y, q), so along the family in (σ, τ, s); random weights and read-out."""
    polynomials, *variables = ring("sigma,tau,s", ZZ)

    def draw() -> np.ndarray:
        return rng.integers(-2, 3, (rows, tokens)).astype(object)

    H = draw() * polynomials.one + sum(draw() * v for v in variables)
    return int(rng.integers(-2, 3)) + (draw() * run(random_net(rng, layers, rows, heads), H)).sum()


def averaged(prediction: Any, variables: tuple[Any, ...]) -> Any:
    """The mean over all signs of the variables of (product of the signs) · prediction."""
    total = 0
    for signs in product((1, -1), repeat=len(variables)):
        total += prod(signs) * prediction.compose([(v, sign * v) for v, sign in zip(variables, signs, strict=True)])
    assert all(c % 2 ** len(variables) == 0 for c in total.coeffs())
    return total.quo_ground(2 ** len(variables))


@pytest.mark.parametrize(("layers", "rows", "tokens", "heads"), [(1, 3, 3, 2), (2, 3, 2, 1), (2, 2, 3, 2), (3, 2, 1, 1)])
def test_after_averaging_over_signs_a_residual_of_the_stated_degree_is_left(layers, rows, tokens, heads, rng) -> None:
    plain, left = 0, 0
    lam = sympy.Symbol("lambda")
    for _ in range(3):
        prediction = along_the_family(rng, layers, rows, tokens, heads)
        variables = prediction.ring.gens
        average = averaged(prediction, variables)
        for powers in average.itermonoms():
            assert all(power % 2 == 1 for power in powers) and powers[0] <= 3**layers - 2
        plain = max(plain, prediction.degree(variables[0]))
        terms = [(powers[0], c) for powers, c in average.iterterms()]  # at s = τ = 1: σ x(σ²)
        residual = sympy.Poly(1 - sum(int(c) * lam ** ((power + 1) // 2) for power, c in terms), lam)  # 1 − λ x(λ)
        assert residual.eval(0) == 1 and residual.degree() <= residual_degree(layers)
        left = max(left, residual.degree())
    assert plain == 3**layers, "without averaging the degree in σ is larger"
    assert left == residual_degree(layers) == (3**layers - 1) // 2, "the degree that is allowed is reached"


@pytest.mark.parametrize("layers", [1, 2])
def test_for_an_inverse_the_residual_has_the_degree_of_its_case(layers, rng) -> None:
    """A = σU: after averaging over the sign of σ, 1 − σp(σ) of degree 3^L + 1 in σ. S = λI: 1 − λx(λ) of degree 3^L + 1."""
    polynomials, sigma = ring("sigma", ZZ)
    reached = {"matrix": 0, "gram": 0}
    for _ in range(3):
        H = rng.integers(-2, 3, (3, 3)) * polynomials.one + rng.integers(-2, 3, (3, 3)).astype(object) * sigma
        read = run(random_net(rng, layers, 3, 1), H)[0, 0]
        odd = averaged(read, (sigma,))
        assert all(power % 2 == 1 for (power,) in odd.itermonoms())
        reached["matrix"] = max(reached["matrix"], (1 - sigma * odd).degree() // 2)  # in λ = σ²
        reached["gram"] = max(reached["gram"], (1 - sigma * read).degree())  # here σ stands for λ
    assert reached == {case: residual_degree(layers, case) for case in reached}


# -- Chebyshev ---------------------------------------------------------------------------------------------------------


def is_extremal(P: sympy.Poly) -> bool:
    """A certificate that every polynomial p of degree ≤ m = deg P with p(t) = P(t), t > 1, has max |p| ≥ 1 on [−1, 1].

    Let ω = (x² − 1)P′, positive at t. Checked in ℚ[x]: ω has m + 1 different roots x_k, all in [−1, 1]; P(x_k) = ±1;
    and P ω′ > 0 at each of them. The weights of interpolation at t, ω(t)/((t − x_k) ω′(x_k)), then have the signs of
    P(x_k), so p(t) = Σ weight_k p(x_k) ≤ max |p| Σ |weight_k| = max |p| Σ weight_k P(x_k) = max |p| P(t).
    """
    x, m = P.gen, P.degree()
    omega = sympy.Poly(x**2 - 1, x) * P.diff()
    if (
        P.LC() < 0
        or (P**2 - 1).rem(omega) != 0
        or omega.degree() != m + 1
        or not omega.is_sqf
        or omega.count_roots(-1, 1) != m + 1
    ):
        return False
    inside = (P * omega.diff()).rem(P.diff()) if m > 1 else sympy.Poly(1, x)  # at the roots of P′
    ends = [P.eval(at) * omega.diff().eval(at) for at in (-1, 1)]
    return inside.degree() == 0 and inside.LC() > 0 and min(ends) > 0


x = sympy.Symbol("x")


@pytest.mark.parametrize("m", [*range(1, 15), 40])
def test_chebyshev_polynomials_are_extremal(m) -> None:
    assert is_extremal(sympy.Poly(sympy.chebyshevt(m, x), x, domain=QQ))


@pytest.mark.parametrize(
    "other",
    [
        x**3,
        sympy.legendre(3, x),
        sympy.chebyshevu(4, x) / 5,
        sympy.chebyshevt(3, x) + x / 10,
        sympy.chebyshevt(4, x) / 2,
    ],
)
def test_the_certificate_refuses_other_polynomials(other) -> None:
    assert not is_extremal(sympy.Poly(other, x, domain=QQ))


@pytest.mark.parametrize("m", [1, 2, 3, 4, 6])
def test_the_weights_at_the_alternation_points_alternate_and_sum_to_the_chebyshev_polynomial(m) -> None:
    """With the points as radicals and t a symbol: Σ (−1)^k weight_k(t) = T_m(t)."""
    t = sympy.Symbol("t")
    points = [sympy.cos(sympy.pi * k / m) for k in range(m + 1)]
    weights = [sympy.prod([(t - q) / (p - q) for q in points if q != p]) for p in points]
    total = sum((-1) ** k * w for k, w in enumerate(weights))
    assert sympy.radsimp(sympy.expand(total - sympy.chebyshevt(m, t))) == 0
    assert all(((-1) ** k * w.subs(t, 2)).is_positive for k, w in enumerate(weights))


coefficients = st.lists(st.fractions(-3, 3, max_denominator=9), min_size=0, max_size=3)


@given(coefficients, st.fractions(Fraction(1, 9), 3), st.fractions(Fraction(1, 9), 9))
def test_no_residual_polynomial_is_below_the_bound_at_all_alternation_points(rest, l, width) -> None:
    """r(λ) = 1 + c₁λ + …, degree m ≤ 3: there the points are rational."""
    m, u = len(rest), l + width
    points = {0: [0], 1: [1, -1], 2: [1, 0, -1], 3: [1, Fraction(1, 2), Fraction(-1, 2), -1]}[m]
    values = [
        sum((c * at ** (k + 1) for k, c in enumerate(rest)), Fraction(1)) for at in ((u + l - p * (u - l)) / 2 for p in points)
    ]
    assert max(map(abs, values)) >= 1 / chebyshev(m, (u + l) / (u - l))


# -- it is tight -------------------------------------------------------------------------------------------------------


@hw.program
def one_layer(A: hw.Matrix["n", "d"], y: hw.Vector["n"], q: hw.Vector["d"], *, c):
    return c[0] * (q @ A.T @ y)


@hw.program
def two_layers(A: hw.Matrix["n", "d"], y: hw.Vector["n"], q: hw.Vector["d"], *, c):
    """q (c₀ + c₁S + c₂S² + c₃S³) Aᵀ y from three products of degree 3."""
    u, B, v = q @ A.T @ A, A.T @ A @ A.T, A @ A.T @ y
    return c[0] * (q @ A.T @ y) + c[1] * (u @ A.T @ y) + c[2] * (u @ A.T @ v) + c[3] * (u @ B @ v)


def optimal(m: int, low: int, high: int) -> sympy.Poly:
    """T_m((u + l − 2λ)/(u − l)) / T_m((u + l)/(u − l)), in λ."""
    scaled = sympy.chebyshevt(m, (high + low - 2 * x) / (high - low))
    return sympy.Poly(scaled / sympy.chebyshevt(m, sympy.Rational(high + low, high - low)), x, domain=QQ)


def residual(model: hw.Compiled, sigma: Fraction) -> Fraction:
    """1 − prediction/answer of the weights at A = σU, y = τUe, q = se, without rounding."""
    U = np.array([[3, 0], [4, 0], [0, 5]], dtype=object) * Fraction(1, 5)
    e = np.array([5, 12], dtype=object) * Fraction(1, 13)
    tau, s = Fraction(2), Fraction(3)
    return 1 - model.exact.run(A=sigma * U, y=tau * U.dot(e), q=s * e) * sigma / (s * tau)


@pytest.mark.parametrize(("program", "layers"), [(one_layer, 1), (two_layers, 2)])
@pytest.mark.parametrize(("low", "high"), [(1, 9), (1, 4), (4, 25)])
def test_compiled_weights_attain_the_bound(program, layers, low, high) -> None:
    """The weights compute the extremal polynomial exactly, and no polynomial of its degree is better."""
    best = optimal(residual_degree(layers), low, high)
    x_of_S = [Fraction(int(-c.p), int(c.q)) for c in reversed(best.all_coeffs()[:-1])]  # (1 − r(λ))/λ
    model = hw.compile(program, dims={"n": 3, "d": 2}, c=tuple(x_of_S))
    assert model.depth == layers and hw.verify(model).all_proved
    bound = residual_lower_bound(layers, low, high)
    first, last = isqrt(low), isqrt(high)
    found = {sigma: residual(model, sigma) for sigma in (first + Fraction(k, 8) * (last - first) for k in range(9))}
    for sigma, r in found.items():
        exact = best.eval(sympy.Rational(sigma.numerator, sigma.denominator) ** 2)
        assert r == Fraction(int(exact.p), int(exact.q)) and abs(r) <= bound
    assert max(map(abs, found.values())) == bound == 1 / chebyshev(residual_degree(layers), Fraction(high + low, high - low))


def solvers() -> list[tuple[str, Callable[[], hw.Compiled]]]:
    make = hw.constructions.get("least_squares").compile
    return [
        (f"{steps} Newton steps from {init}", lambda s=steps, i=init, a=alpha: make(n=3, d=2, steps=s, alpha=a, init=i))
        for steps in (0, 1, 2, 3)
        for init, alpha in (("identity", Fraction(1, 5)), ("gram", Fraction(1, 41)))
    ]


@pytest.mark.parametrize("make", [m for _, m in solvers()], ids=[name for name, _ in solvers()])
def test_no_compiled_solver_is_better_than_the_bound(make) -> None:
    model = make()
    worst = max(abs(residual(model, Fraction(k, 8))) for k in range(8, 25))  # λ from 1 to 9
    assert worst >= residual_lower_bound(model.depth, 1, 9) > 0
    assert layers_needed(1, 9, worst) <= model.depth


# -- it breaks without its hypotheses ----------------------------------------------------------------------------------


def test_a_spectrum_that_is_known_better_is_solved_in_fewer_layers() -> None:
    """Eigenvalues 1 and 9 only: (1 − λ)(1 − λ/9) is 0 on both, of degree 2 ≤ (3² − 1)/2."""
    model = hw.compile(two_layers, dims={"n": 3, "d": 2}, c=(Fraction(10, 9), Fraction(-1, 9), 0, 0))
    assert residual(model, Fraction(1)) == residual(model, Fraction(3)) == 0 < residual_lower_bound(model.depth, 1, 9)
    assert abs(residual(model, Fraction(2))) > residual_lower_bound(model.depth, 1, 9)


def test_weights_chosen_after_the_data_are_not_bound() -> None:
    """With the step size 1/λ for each λ, one layer is exact; for all λ at once it is not."""
    for sigma in (Fraction(1), Fraction(2), Fraction(3)):
        assert residual(hw.compile(one_layer, dims={"n": 3, "d": 2}, c=(1 / sigma**2,)), sigma) == 0
    assert residual_lower_bound(1, 1, 9) == Fraction(4, 5)


def test_an_average_error_over_the_spectrum_can_be_smaller_than_the_bound() -> None:
    model = hw.compile(one_layer, dims={"n": 3, "d": 2}, c=(Fraction(1, 5),))
    errors = [abs(residual(model, Fraction(k, 8))) for k in range(8, 25)]
    assert sum(errors) / len(errors) < residual_lower_bound(1, 1, 9) == max(errors)
