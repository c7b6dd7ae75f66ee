"""The statements of Ahn et al. (2023) as checks: each returns Proved, Refuted (with a counterexample) or Unknown.

Arguments with defaults are the hypotheses; a test drops one and sees the check refuted. Arithmetic is exact throughout.
Identities that are polynomial in the prompt are checked on integer prompts drawn once; the text of `Proved` says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from .ahn_descent import optimal_gd_plus_plus
from .ahn_model import (
    Array,
    Pair,
    exact,
    identity,
    loss_on,
    orbit_gradient,
    orders,
    predictions,
    prompt,
    random_integers,
    reduced_form,
    signed_permutations,
    sparse_pair,
    token_forward,
    zeros,
)
from .ahn_moments import single_layer_loss
from .ahn_optimum import inverse, optimal_single_layer, optimal_step_sizes
from .certificate import Proved, Refuted, Unknown, Verdict
from .wishart import leading_minors, trace_moments

#: Σ^{1/2} of the checks with d = 2: not diagonal, tr Σ ≠ d.
FRAME = np.array([[2, 1], [1, 3]], dtype=object)


def check_lemma_2(symmetric: bool = True, sign: int = 1, masked: bool = True, divisor_shift: int = 0) -> Verdict:
    """Lemma 2: k layers of eq. (9) are k steps w ← w + A_l ∇R(w), and labels hold residuals.

    The hypotheses: A_l symmetric, added with sign +1, the query masked, the sum divided by n (not n + shift).
    """
    X, w, x_q = _instance(1, d=3, n=5)
    A = _matrices(2, 3, 3, symmetric)
    keys = np.array([1] * 5 + [int(not masked)])
    states = token_forward(prompt(X, w, x_q), [sparse_pair(sign * A_l) for A_l in A], keys, Fraction(1, 5 + divisor_shift))
    v = exact(zeros(3))
    for layer, Z in enumerate(states):
        if Z[3, 5] != -(v @ x_q):
            return Refuted(f"{_prompt_text(3, 5)}: after {layer} layers −[Z] = {-Z[3, 5]}, ⟨w, x_q⟩ = {v @ x_q}")
        if (Z[3, :5] != (w - v) @ X).any():
            return Refuted(f"{_prompt_text(3, 5)}: after {layer} layers a label is no residual")
        if layer < len(A):
            v = v + A[layer] @ gradient(X, w, v)
    return Proved("exact on an integer prompt with d = 3, n = 5 and 3 layers; both sides are polynomials of the prompt")


def check_lemma_2_transposed() -> Verdict:
    """Without symmetry the layer steps by A_lᵀ: w ← w + A_lᵀ ∇R(w)."""
    X, w, x_q = _instance(3, d=3, n=5)
    A, v = _matrices(4, 3, 3, symmetric=False), exact(zeros(3))
    states = token_forward(prompt(X, w, x_q), [sparse_pair(A_l) for A_l in A])
    for layer, predicted in enumerate(predictions(states)):
        if predicted != v @ x_q:
            return Refuted(f"{_prompt_text(3, 5)}: after {layer} layers {predicted} against {v @ x_q}")
        if layer < len(A):
            v = v + A[layer].T @ gradient(X, w, v)
    return Proved("exact on an integer prompt with d = 3, n = 5 and 3 layers")


def gradient(X: Array, w: Array, v: Array) -> Array:
    """∇R(v) = (1/n) X Xᵀ (v − w*), of R(v) = (1/2n) Σ ⟨v − w*, x_j⟩² (eq. 10)."""
    found: Array = Fraction(1, X.shape[1]) * (X @ X.T @ (v - w))
    return found


def check_reduced_form(with_B: bool = True) -> Verdict:
    """The query of the token model is w*ᵀ(T − I)x_q, labels are w*ᵀT x_j and covariates G x_j, for any A_l and B_l."""
    X, w, x_q = _instance(5, d=3, n=4)
    A, B = _matrices(6, 3, 3, symmetric=False), _matrices(7, 3, 3, symmetric=False) if with_B else None
    Z = token_forward(prompt(X, w, x_q), [sparse_pair(*p) for p in (zip(A, B, strict=True) if B else ((a,) for a in A))])[-1]
    T, G = reduced_form(Fraction(1, 4) * (X @ X.T), A, B)
    same = Z[3, 4] == w @ (T - identity(3)) @ x_q and (Z[3, :4] == w @ T @ X).all() and (Z[:3, :4] == G @ X).all()
    return _decide(bool(same), "exact on an integer prompt with d = 3, n = 4 and 3 layers", _prompt_text(3, 4))


def check_theorem_1(sigma: Any = ((2, 1), (1, 3)), n: int = 4, scale: Any = 1) -> Verdict:
    """Theorem 1: b = e_{d+1}, A of eq. (8) is a global minimum of one layer. `scale` multiplies A: 1 in the theorem.

    The loss is bounded below by the convex F of free matrices X_j; where ∂F vanishes at X_j = b A_jᵀ, both have their minimum.
    """
    best = optimal_single_layer(sigma, n)
    d = best.A.shape[0]
    loss = single_layer_loss(exact(sigma), n)
    Q = np.vstack([scale * best.A, zeros(1, d)])
    X = np.array([np.multiply.outer(best.b, column) for column in Q.T], dtype=object)
    slope, value = loss.slope(X), loss.of(best.b, Q)
    if (slope != 0).any():
        return Refuted(f"Σ = {np.asarray(sigma).tolist()}, n = {n}: the loss {value} is above {best.loss}, reached by eq. (8)")
    if value != best.loss:
        return Refuted(f"Σ = {np.asarray(sigma).tolist()}, n = {n}: the loss is {value}, not {best.loss}")
    return Proved(f"∂F = 0 exactly at X_j = b A_jᵀ, F convex and ≤ the loss; d = {d}, n = {n}, loss {best.loss}")


def check_single_minimum_up_to_scale(d: int = 1) -> Verdict:
    """Whether (b, A) of Theorem 1 is the only global minimum of one layer up to (γb, A/γ): for d ≥ 2 yes, for d = 1 no.

    Our argument for d ≥ 2: if E ⟨C, N⟩² = 0 only for antisymmetric N, the minimisers of F are X_j plus antisymmetric matrices.
    The symmetric part of b q_jᵀ tells its factors up to scale and exchange. Exchange for every j would make all columns of A
    parallel to b, but A is invertible; exchange for some j only would need b ∝ e_{d+1} and b ∝ A_j.
    """
    sigma = exact(np.diag(np.arange(1, d + 1)))
    best, loss = optimal_single_layer(sigma, 3), single_layer_loss(sigma, 3)
    if d == 1:
        b, Q = identity(2)[0], np.array([[0], [best.A[0, 0]]], dtype=object)
        if loss.of(b, Q) != best.loss:
            return Unknown("the exchanged parameters have another loss")
        return Refuted(f"d = 1, n = 3: b = (1, 0), A = (0, {best.A[0, 0]})ᵀ has the optimal loss {best.loss} too")
    pairs = [(i, j) for i in range(d + 1) for j in range(i, d + 1)]
    gram = [[Fraction(loss.second[i, j, k, m]) for k, m in pairs] for i, j in pairs]
    pivots = leading_minors(gram)
    if len(pivots) < len(pairs) or pivots[-1] <= 0:
        return Unknown("entries of C are linearly dependent")
    return Proved(f"the entries of C on and above the diagonal have a positive definite Gram matrix (d = {d}, n = 3)")


def check_unique_relaxation() -> Verdict:
    """Whether the free matrices X_j that minimise F are unique (they are not: C is symmetric)."""
    sigma = exact(np.diag([1, 2]))
    best, loss = optimal_single_layer(sigma, 3), single_layer_loss(sigma, 3)
    X = np.array([np.multiply.outer(best.b, column) for column in np.vstack([best.A, zeros(1, 2)]).T], dtype=object)
    other = X + np.array([[[0, 1, 0], [-1, 0, 0], [0, 0, 0]]] * 2, dtype=object)
    if (loss.slope(other) != 0).any():
        return Proved("adding an antisymmetric matrix changes F")
    return Refuted(f"Σ = diag(1, 2), n = 3: X_j + (E_12 − E_21) has the same F = {loss.relaxed(other)}; C is symmetric")


def check_no_spurious_minima(sigma: Sequence[int] = (1, 2), n: int = 3, feature: int = 0) -> Verdict:
    """Whether every local minimum of one layer is global. It is not: b ∝ e_j with only Q_{d+1, j} ≠ 0 may be one.

    It is one where λ_j is large enough beside the other eigenvalues, and a saddle where it is not (Unknown is returned).
    """
    full, d = exact(np.diag(sigma)), len(sigma)
    loss, best = single_layer_loss(full, n), optimal_single_layer(full, n).loss
    lam = full[feature, feature]
    step = 1 / (Fraction(n + 1, n) * lam + Fraction(np.trace(full)) / n)
    b, Q = identity(d + 1)[feature], exact(zeros(d + 1, d))
    Q[d, feature] = -step
    value = np.trace(full) - lam**2 * step
    keep = [i for i in range((d + 1) ** 2) if i != feature]  # b_feature moves along (γb, Q/γ), where the loss is constant
    hessian = [list(row) for row in loss.hessian(b, Q)[np.ix_(keep, keep)]]
    pivots = leading_minors(hessian)
    minimum = (loss.gradient(b, Q) == 0).all() and len(pivots) == len(keep) and pivots[-1] > 0
    if not minimum or loss.of(b, Q) != value or value <= best:
        return Unknown("the point is no strict local minimum above the optimum")
    return Refuted(f"Σ = diag{tuple(sigma)}, n = {n}: a local minimum of loss {value} > {best} at b = e_{feature + 1}")


def check_theorem_3(rotation_invariant: bool = True) -> Verdict:
    """Theorem 3: for x, w* ~ N(0, I) two layers have a global minimum with diagonal A_0, A_1.

    Our argument. The loss is the same at (gA_0gᵀ, gA_1gᵀ) for orthogonal g, so A_0 may be taken diagonal. Sign flips then
    keep A_0, and T is affine in A_1, so the loss is convex in A_1 and its mean over flips, diagonal, is at most as large. The
    minimum exists: the loss is coercive, as T − I has the homogeneous parts H(A_0 + A_1) and H A_0 H A_1. Checked here,
    exactly: the invariance, on the sign flips and shifts, and the midpoint identity that gives convexity. Without the
    invariance of the prior of w* the argument breaks.
    """
    d = 3
    X = random_integers(8, d, 5)
    H, A_0, A_1 = X @ X.T, np.diag([-1, 2, -3]).astype(object), _matrices(9, 1, d, symmetric=True)[0]
    prior = identity(d)
    if not rotation_invariant:
        prior = prior + np.ones((d, d), dtype=object)
    for g in signed_permutations(d):
        there = loss_on(g @ H @ g.T, [g @ A_0 @ g.T, g @ A_1 @ g.T], None, identity(d), prior)
        here = loss_on(H, [A_0, A_1], None, identity(d), prior)
        if there != here:
            return Refuted(f"E w*w*ᵀ = {prior.tolist()}: the loss is {here}, and {there} after g = {g.tolist()}")
        flip = np.diag(np.sign(g.sum(0).astype(int))).astype(object)
        mean = Fraction(1, 2) * (A_1 + flip @ A_1 @ flip)
        half = Fraction(1, 2) * (A_1 - flip @ A_1 @ flip)
        ends = [loss_on(H, [A_0, M], None, identity(d), prior) for M in (A_1, flip @ A_1 @ flip)]
        gap = sum(ends) / Fraction(2) - loss_on(H, [A_0, mean], None, identity(d), prior)
        T = (identity(d) + H @ A_0) @ H @ half
        if gap != np.trace(prior @ T @ T.T):
            return Refuted(f"the midpoint identity fails for the flip {np.diag(flip).tolist()}")
    return Proved(
        "a minimum exists, as the loss grows with the parts H(A_0 + A_1) and HA_0HA_1 of T − I (in words); rotation to a "
        "diagonal A_0, then the mean over sign flips of a convex function; identities exact for d = 3"
    )


def check_theorem_4(layers: int = 3, n: int = 4, inverse_prior: bool = True, rotations: bool = True) -> Verdict:
    """Theorem 4: over A_l = a_l Σ⁻¹ (B = 0) the full gradient comes arbitrarily near 0; here it is 0 at the optimum.

    Exactly: (1) on S every gradient is c_l Σ, shown on an orbit of one prompt under sign flips and cyclic shifts, whose mean of
    gᵀRg is tr(R)/d I, as the rotations' is; (2) c_l = 0 at the in-S optimum, whose polynomial is orthogonal to
    h, …, h^k. The hypotheses: w* ~ N(0, Σ⁻¹), not N(0, I), and the mean over rotations.
    """
    failed = check_gradients_in_span(layers, False, inverse_prior, rotations)
    if not isinstance(failed, Proved):
        return failed
    optimum, moments = optimal_step_sizes(n, 2, layers), trace_moments(n, 2, 2 * layers)
    for power in range(1, layers + 1):
        if sum(c * moments[i + power] for i, c in enumerate(optimum.polynomial)) != 0:
            return Refuted(f"n = {n}, d = 2, {layers} layers: the optimum in S is not orthogonal to h^{power}")
    return Proved(f"gradients are c_l Σ exactly on S, and c_l = 0 at the optimum in S (loss {optimum.loss} for n = {n}, d = 2)")


def check_theorem_5(layers: int = 2, n: int = 4, inverse_prior: bool = True, rotations: bool = True) -> Verdict:
    """Theorem 5: the same over A_l = a_l Σ⁻¹, B_l = b_l I, where gradients are c_l Σ and c'_l I. There is a critical point.

    Exactly as in `check_theorem_4`; that S holds a critical point is certified for d = 2 by `optimal_gd_plus_plus`.
    """
    failed = check_gradients_in_span(layers, True, inverse_prior, rotations)
    if not isinstance(failed, Proved):
        return failed
    point = optimal_gd_plus_plus(n, 2, layers, starts=60)
    if point.radius is None:
        return Unknown(f"n = {n}, d = 2, {layers} layers: no critical point in S is certified")
    return Proved(
        f"gradients are c_l Σ and c'_l I exactly on S, and a critical point lies within {float(point.radius):.1e} of a = "
        f"{[round(float(v), 6) for v in point.a]}, b = {[round(float(v), 6) for v in point.b]} (n = {n}, d = 2)"
    )


def check_gradients_in_span(layers: int, with_B: bool, inverse_prior: bool = True, rotations: bool = True) -> Verdict:
    """Whether ∇_{A_l} f is a multiple of Σ (and ∇_{B_l} f of I) on S; d = 2, an orbit of one integer prompt, exact."""
    X = random_integers(10, 2, 4)
    H, sigma = X @ X.T, FRAME @ FRAME.T
    inverted = inverse(sigma)
    prior = inverted if inverse_prior else identity(2)
    group = signed_permutations(2) if rotations else [identity(2)]
    A = [-(i + 1) * inverted for i in range(layers)]
    B = [(i + 2) * identity(2) for i in range(layers)] if with_B else None
    for which, span in (("A", sigma), ("B", identity(2))) if with_B else (("A", sigma),):
        for layer in range(layers if which == "A" else layers - 1):
            found = orbit_gradient(H, A, B, layer, which, FRAME, sigma, prior, group)
            factor = Fraction(found[0, 0]) / span[0, 0]
            if (found != factor * span).any():
                return Refuted(f"d = 2, Σ = {sigma.tolist()}: ∇ in {which}_{layer} is {[[str(v) for v in r] for r in found]}")
    return Proved("exact for the 8 rotations and flips of one integer prompt with d = 2, n = 4")


def check_lemma_8(with_B: bool = False, proportional: bool = True, layers: int = 4) -> Verdict:
    """Lemma 8: with A_l = a_l Σ⁻¹ and B = 0 the order of the layers does not matter, prompt by prompt."""
    X, w, x_q = _instance(11, d=2, n=3)
    base = exact(inverse(FRAME @ FRAME.T))
    A = [-(i + 1) * base + (0 if proportional else i * np.diag([1, 0])) for i in range(layers)]
    pairs = [sparse_pair(A_l, identity(2) if with_B else None) for A_l in A]
    seen = {predictions(token_forward(prompt(X, w, x_q), order))[-1] for order in orders(pairs)}
    if len(seen) > 1:
        return Refuted(f"{_prompt_text(2, 3)}: orders of {layers} layers predict {len(seen)} values, {min(seen)} … {max(seen)}")
    return Proved(f"all orders of {layers} layers predict the same rational: the factors I + a_l HΣ⁻¹ commute")


def check_lemma_9(sparse: bool = True) -> Verdict:
    """Lemma 9: the error [Z_k]_{d+1,n+1} + ⟨w*, x_q⟩ is the query's label when it starts with ⟨w*, x_q⟩ in place of 0."""
    X, w, x_q = _instance(16, d=2, n=3)
    Z, pairs = prompt(X, w, x_q), random_pairs(13, sparse)
    full = Z.copy()
    full[2, 3] = w @ x_q
    left, right = token_forward(Z, pairs)[-1][2, 3] + w @ x_q, token_forward(full, pairs)[-1][2, 3]
    return _decide(left == right, "exact on an integer prompt, d = 2, n = 3, 3 layers", f"{left} against {right}")


def check_lemma_10(sparse: bool = True, masked: bool = True) -> Verdict:
    """Lemma 10: adding c to the query's label adds c to that entry of every Z_l, and changes nothing else."""
    X, w, x_q = _instance(31, d=2, n=3)
    Z, pairs, keys = prompt(X, w, x_q), random_pairs(15, sparse), np.array([1, 1, 1, int(not masked)])
    C = exact(zeros(3, 4))
    C[2, 3] = Fraction(5, 7)
    for layer, (one, other) in enumerate(zip(token_forward(Z, pairs, keys), token_forward(Z + C, pairs, keys), strict=True)):
        if (other != one + C).any():
            return Refuted(f"{_prompt_text(2, 3)}, c = 5/7: Z_{layer} changes by {[[str(v) for v in r] for r in other - one]}")
    return Proved("exact on an integer prompt, d = 2, n = 3, 3 layers; the layers never read the query's label")


def random_pairs(seed: int, sparse: bool) -> list[Pair]:
    """Three layers with d = 2: of eq. (13), or with P and Q full."""
    if sparse:
        return [sparse_pair(random_integers(seed + i, 2, 2), random_integers(seed + i + 50, 2, 2)) for i in range(3)]
    return [(random_integers(seed + i, 3, 3), random_integers(seed + i + 50, 3, 3)) for i in range(3)]


def _instance(seed: int, d: int, n: int) -> tuple[Array, Array, Array]:
    """X (d, n), w* (d,), x_q (d,) of Fractions."""
    return tuple(exact(random_integers(seed + i, *shape)) for i, shape in enumerate(((d, n), (d,), (d,))))  # type: ignore[return-value]


def _matrices(seed: int, count: int, d: int, symmetric: bool) -> list[Array]:
    found = [exact(random_integers(100 * seed + i, d, d)) for i in range(count)]
    return [M + M.T if symmetric else M for M in found]


def _prompt_text(d: int, n: int) -> str:
    return f"an integer prompt, d = {d}, n = {n}"


def _decide(holds: bool, how: str, counterexample: str) -> Verdict:
    return Proved(how) if holds else Refuted(counterexample)
