"""Sentences of Ahn et al. (2023) that are false as printed: each check returns Refuted with an exact counterexample.

Every function takes `corrected`: with True it checks the corrected sentence instead, which is Proved on the same example.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from .ahn_claims import FRAME, gradient
from .ahn_model import (
    Array,
    exact,
    identity,
    orbit_gradient,
    predictions,
    prompt,
    random_integers,
    signed_permutations,
    sparse_pair,
    token_forward,
    zeros,
)
from .ahn_optimum import inverse, optimal_single_layer, optimal_step_sizes
from .certificate import Proved, Refuted, Verdict

X = exact([[1, 2, -1], [0, 1, 3]])  # d = 2, n = 3
W = exact([2, -1])
QUERY = exact([1, 3])


def check_loss_is_squared(corrected: bool = False) -> Verdict:
    """(6) has no square: then its mean over x_q and −x_q is 0 for all P and Q, and every parameter is a minimum."""
    zero = (zeros(3, 3), zeros(3, 3))
    errors = [token_forward(prompt(X, W, q), [zero])[-1][2, 3] + W @ q for q in (QUERY, -QUERY)]
    mean = sum(e ** (2 if corrected else 1) for e in errors) / 2
    return _verdict(mean > 0, f"P = Q = 0 and x_q = ±{_text(QUERY)}: the mean is {mean}, though ⟨w*, x_q⟩ ≠ 0")


def check_columns_of_Q(corrected: bool = False) -> Verdict:
    """Below (6): only the last row of P and the first n columns of Q matter. It is the first d."""
    x, w, q = X[:, :1], W, QUERY  # n = 1 < d = 2
    P, Q = zeros(3, 3), zeros(3, 3)
    P[2, 2] = Q[0, 0] = 1
    changed = Q.copy()
    changed[:, 2 if corrected else 1] = [5, 7, 11]
    values = [token_forward(prompt(x, w, q), [(P, M)])[-1][2, 1] for M in (Q, changed)]
    return _verdict(values[0] == values[1], f"n = 1, d = 2: column 2 of Q moves the prediction {-values[0]} to {-values[1]}")


def check_sign_of_A(corrected: bool = False) -> Verdict:
    """After Theorem 1: A ≈ Σ⁻¹ for many examples. It is −Σ⁻¹: n(A + Σ⁻¹) stays bounded."""
    sigma, sign = FRAME @ FRAME.T, 1 if corrected else -1
    gaps = [np.abs(optimal_single_layer(sigma, n).A + sign * inverse(sigma)).max() for n in (10**3, 10**6)]
    return _verdict(gaps[1] * 500 < gaps[0], f"Σ = {_text(sigma)}: at n = 10⁶ the largest difference is {float(gaps[1]):.4g}")


def check_gradient_of_11(corrected: bool = False) -> Verdict:
    """(11) steps along ∇R_{w_k}(w_k), which is 0: labels come from w*, so it is ∇R_{w*}(w_k)."""
    A, v = -identity(2), exact(zeros(2))
    v = v + A @ gradient(X, W if corrected else v, v)
    predicted = predictions(token_forward(prompt(X, W, QUERY), [sparse_pair(A)]))[-1]
    return _verdict(v @ QUERY == predicted, f"A_0 = −I: (11) predicts {v @ QUERY}, the layer {predicted}")


def check_layer_count(corrected: bool = False) -> Verdict:
    """(5) reads Z_k after layers P_0 … P_k: then P_k, Q_k do not matter. It is Z_{k+1}, as in (23)."""
    layers = [[sparse_pair(-identity(2)), sparse_pair(c * identity(2))] for c in (-1, -2)]  # A_0, A_1: k = 1
    read = [predictions(token_forward(prompt(X, W, QUERY), pairs))[2 if corrected else 1] for pairs in layers]
    return _verdict(read[0] != read[1], f"k = 1: A_1 = −I and A_1 = −2I both give {read[0]}")


def check_token_in_61(corrected: bool = False) -> Verdict:
    """(61) updates the label of token i with x^{(n+1)}. It is x^{(i)}."""
    A = -identity(2)
    Z = token_forward(prompt(X, W, QUERY), [sparse_pair(A)])[-1]
    y, x = W @ X, X[:, 0] if corrected else QUERY
    label = y[0] + Fraction(1, 3) * (y @ (X.T @ A @ x))
    return _verdict(Z[2, 0] == label, f"A = −I: label 1 is {Z[2, 0]}, (61) gives {label}")


def check_hessian(corrected: bool = False) -> Verdict:
    """Section 5.2: the Hessian of R is (1/2n) XXᵀ. It is (1/n) XXᵀ (second differences of a quadratic are exact)."""
    columns = [gradient(X, W, e) - gradient(X, W, exact(zeros(2))) for e in identity(2)]
    hessian, said = np.array(columns, dtype=object).T, Fraction(1, 3 if corrected else 6) * (X @ X.T)
    return _verdict((hessian == said).all(), f"the Hessian is {_text(hessian)}, not {_text(said)}")


def check_inverse_covariance(corrected: bool = False) -> Verdict:
    """Section 5.2: Σ⁻¹ = (E XXᵀ)⁻¹. E XXᵀ = nΣ, so it is (E XXᵀ/n)⁻¹."""
    n, sigma = 3, FRAME @ FRAME.T
    mean = n * sigma * Fraction(1, n if corrected else 1)
    left, right = inverse(mean), inverse(sigma)
    return _verdict((left == right).all(), f"n = {n}: (E XXᵀ)⁻¹ = {_text(left)}, Σ⁻¹ = {_text(right)}")


def check_distorted_task(corrected: bool = False) -> Verdict:
    """Section 5.2: with x = W x̄, Σ = WWᵀ, w* = Σ^{−1/2} w̄ keeps the labels ⟨x̄, w̄⟩. It is w* = W⁻ᵀ w̄ (same law)."""
    root = exact(np.diag([1, 2]))  # Σ^{1/2}
    distortion = root @ exact([[0, -1], [1, 0]])
    w = (inverse(distortion).T if corrected else inverse(root)) @ W
    labels, meant = (distortion @ X).T @ w, X.T @ W
    return _verdict((labels == meant).all(), f"W = {_text(distortion)}: labels are {_text(labels)}, not {_text(meant)}")


def check_sign_of_G(corrected: bool = False) -> Verdict:
    """B.2: G = X Π (I − M Xᵀ A_l X). Labels are w*ᵀ X Π (I + M Xᵀ A_l X). 1/n is absorbed into A_l, as before (22)."""
    return _product(1 if corrected else -1)


def _product(sign: int) -> Verdict:
    A = [-identity(2), exact([[-2, 1], [1, -3]])]
    full = np.hstack([X, QUERY[:, None]])
    M, product = np.diag([1, 1, 1, 0]).astype(object), identity(4)
    for A_l in A:
        product = product @ (identity(4) + sign * Fraction(1, 3) * (M @ full.T @ A_l @ full))
    Z = prompt(X, W, QUERY)
    Z[2, 3] = W @ QUERY
    labels, meant = W @ full @ product, token_forward(Z, [sparse_pair(A_l) for A_l in A])[-1][2]
    return _verdict((labels == meant).all(), f"two layers: the query's label is {meant[3]}, the product gives {labels[3]}")


def check_direction_in_A(corrected: bool = False) -> Verdict:
    """B.2, B.3: moving A along r_l I, r = tr(Σ^{1/2} R Σ^{1/2})/d, decreases f at least as fast as along R. It is r_l Σ⁻¹."""
    return _direction("A", corrected)


def check_direction_in_B(corrected: bool = False) -> Verdict:
    """B.3: the same for B along s_l Σ⁻¹, s = tr(S)/d. It is s_l I."""
    return _direction("B", corrected)


def _direction(which: str, corrected: bool) -> Verdict:
    sigma, base = FRAME @ FRAME.T, random_integers(10, 2, 4)
    inverted = inverse(sigma)
    A, B = [-inverted, -2 * inverted], [identity(2), identity(2)]
    slope = orbit_gradient(base @ base.T, A, B, 0, which, FRAME, sigma, inverted, signed_permutations(2))
    for R in (identity(2), -identity(2)):
        r = Fraction(np.trace(sigma @ R) if which == "A" else np.trace(R), 2)
        along = r * (inverted if corrected == (which == "A") else identity(2))
        if (slope * along).sum() > (slope * R).sum():
            return Refuted(f"Σ = {_text(sigma)}, R = {_text(R)}: slope {(slope * along).sum()} > {(slope * R).sum()}")
    return Proved("equal slopes along both, exactly")


def check_loss_goes_to_zero(corrected: bool = False) -> Verdict:
    """Figure 1d: for B = 0, n = 20, d = 5 and three layers the loss goes to almost 0. Its least value on S is 0.1336."""
    floor, said = optimal_step_sizes(20, 5, 3).loss, Fraction(1336, 10**4) if corrected else Fraction(0)
    return _verdict(said <= floor < said + Fraction(1, 10**4), f"the optimum in S is {floor} ≈ {float(floor):.7f}")


# -- what has the wrong type, or leaves something out -------------------------------------------------------------------------


def check_corner_of_C(corrected: bool = False) -> Verdict:
    """A.2, A.3: the corner of C is the mean of y^{(i)ᵀ} = y^{(i)}. It is the mean of (y^{(i)})²."""
    Z = prompt(X, W, QUERY)[:, :3]
    corner = Fraction(1, 3) * (Z @ Z.T)[2, 2]
    said = Fraction(1, 3) * sum(y ** (2 if corrected else 1) for y in Z[2])
    return _verdict(corner == said, f"labels {_text(Z[2])}: (1/n) Σ z zᵀ has the corner {corner}, the printed one is {said}")


def check_scale_of_C(corrected: bool = False) -> Verdict:
    """Before (18): ⟨C, E_{d+1,j}⟩ = Σ_i ⟨w*, x^{(i)}⟩ x^{(i)}[j]. It has the factor 1/n of C."""
    Z = prompt(X, W, QUERY)[:, :3]
    entry = Fraction(1, 3) * (Z @ Z.T)[2, 0]
    said = Fraction(1, 3 if corrected else 1) * sum((W @ X) * X[0])
    return _verdict(entry == said, f"j = 1, n = 3: ⟨C, E_31⟩ = {entry}, printed {said}")


def check_label_of_rotated(corrected: bool = False) -> Verdict:
    """A.3, step 2: the label of x = U x̃ is ⟨Ux, w*⟩. It is ⟨Ux̃, w*⟩ = ⟨x, w*⟩."""
    U = exact([[Fraction(3, 5), Fraction(-4, 5)], [Fraction(4, 5), Fraction(3, 5)]])
    x = X[:, 1]
    label, said = W @ x, W @ (U @ (U.T @ x if corrected else x))
    return _verdict(label == said, f"U of 3/5, 4/5: ⟨x, w*⟩ = {label}, ⟨Ux, w*⟩ = {said}")


def check_outer_product(corrected: bool = False) -> Verdict:
    """B.2, B.3: Y = w*ᵀG, so YᵀY = Gᵀ(w*ᵀw*)G. w*ᵀw* is a number; it is Gᵀ(w*w*ᵀ)G, whose mean has Σ⁻¹."""
    G = X
    Y = (W @ G)[None, :]
    said = G.T @ np.outer(W, W) @ G if corrected else (W @ W) * (G.T @ G)
    return _verdict((said == Y.T @ Y).all(), f"YᵀY has the corner {(Y.T @ Y)[0, 0]}, printed {said[0, 0]} (w*ᵀw* = {W @ W})")


def check_projection(corrected: bool = False) -> Verdict:
    """B.1, first display: f = E tr over all n + 1 tokens. It is that of the query: (I − M) on both sides, as in (23)."""
    full = np.hstack([X, QUERY[:, None]])  # A_0 = A_1 = 0: no layer changes a label
    labels = W @ full
    keep = np.array([0, 0, 0, 1]) if corrected else np.array([1, 1, 1, 1])
    said, loss = sum(keep * labels**2), (W @ QUERY) ** 2
    return _verdict(said == loss, f"A_0 = A_1 = 0: the squared error is {loss}, the trace over all tokens {said}")


def check_shape_of_42(corrected: bool = False) -> Verdict:
    """(42): U⁻¹ dX_{j+1}/dt = U⁻¹S_jU X_j M X_jᵀ A_j, d × d. The last X_j is missing: d × (n + 1)."""
    full = np.hstack([X, QUERY[:, None]])
    mask, S, A = np.diag([1, 1, 1, 0]).astype(object), exact([[1, 2], [0, 1]]), -identity(2)
    moved = full + S @ full @ mask @ full.T @ A @ full  # B_j moves from 0 along S; U = I
    said = S @ full @ mask @ full.T @ A
    said = said @ full if corrected else said
    same = said.shape == moved.shape and (moved - full == said).all()
    return _verdict(bool(same), f"d = 2, n = 3: X_{{j+1}} has shape {moved.shape}, the printed derivative {said.shape}")


def check_derivative_of_A(corrected: bool = False) -> Verdict:
    """After (48): the derivative of X_{j+1} in A_j along R has A_j, and no X_j. It is B_j X_j M X_jᵀ R X_j."""
    full = np.hstack([X, QUERY[:, None]])
    mask, B, A, R = np.diag([1, 1, 1, 0]).astype(object), 2 * identity(2), -identity(2), exact([[1, 2], [2, 0]])
    states = [full + B @ full @ mask @ full.T @ M @ full for M in (A, A + R)]  # affine in A_j: the difference is the derivative
    said = B @ full @ mask @ full.T @ (R if corrected else A)
    said = said @ full if corrected else said
    same = said.shape == full.shape and (states[1] - states[0] == said).all()
    return _verdict(bool(same), f"d = 2, n = 3: X_{{j+1}} has shape {full.shape}, the printed derivative "
        f"{said.shape}, without R")


def check_shape_of_C(corrected: bool = False) -> Verdict:
    """Lemma 10: C = [0, …, 0, c] in R^{(d+1) × 1} is added to Y_0. It is 1 × (n + 1)."""
    Y, C = zeros(1, 4), zeros(1, 4) if corrected else zeros(3, 1)
    return _verdict(Y.shape == C.shape, f"d = 2, n = 3: Y_0 has shape {Y.shape}, C {C.shape}")


def check_invertible_covariance(corrected: bool = False) -> Verdict:
    """Theorem 5: Σ is any positive semidefinite matrix. Σ⁻¹ is used: positive definite."""
    sigma = exact([[2, 1], [1, 1]]) if corrected else exact([[1, 1], [1, 1]])
    determinant = sigma[0, 0] * sigma[1, 1] - sigma[0, 1] ** 2
    return _verdict(determinant != 0, f"Σ = {_text(sigma)} is positive semidefinite of determinant {determinant}: no Σ⁻¹")


def _verdict(holds: bool, text: str) -> Verdict:
    return Proved("On the same example, exactly.") if holds else Refuted(text)


def _text(values: Array) -> str:
    return str(np.vectorize(str, otypes=[object])(values).tolist()).replace("'", "")
