"""Ahn et al. (2023) for all dimensions at once: their layers on blocks of noncommuting words, and moments in symbols.

A state is [[X, x], [y, q]]: the examples X (d, n) and their labels y (1, n), the query x (d, 1) and its label q. One layer is
eq. (53), Z + (1/n) P Z M Zᵀ Q Z with P = diag(B, 1), Q = diag(A, 0), M = diag(I, 0), multiplied out block by block.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import product
from typing import Any, TypeAlias

import numpy as np
import sympy

from ..ahn_model import Array, exact, zeros
from ..ahn_moments import single_layer_loss
from ..certificate import Refuted, Unknown, Verdict
from ..newton_proofs import verdict
from .blocks import ONE, ZERO, Block, J, letter

#: Rows of blocks.
Grid: TypeAlias = list[list[Block]]

SHARE = 1 / sympy.Symbol("n", positive=True)

#: I with the size of the n examples, and of everything else: units of their own are not needed, as ONE is neutral.
MASK: Grid = [[ONE, ZERO], [ZERO, ZERO]]


def times(*factors: Grid) -> Grid:
    """The product of grids of blocks."""
    out = factors[0]
    for right in factors[1:]:
        columns = range(len(right[0]))
        out = [[_sum(a @ right[k][j] for k, a in enumerate(row)) for j in columns] for row in out]
    return out


def _sum(terms: Any) -> Block:
    total = ZERO
    for term in terms:
        total = total + term
    return total


def transposed(grid: Grid) -> Grid:
    return [[block.T for block in column] for column in zip(*grid, strict=True)]


def layer(Z: Grid, A: Block, B: Block = ZERO, mask: Grid = MASK) -> Grid:
    """Eq. (53) with the parameters of (13)."""
    P, Q = [[B, ZERO], [ZERO, ONE]], [[A, ZERO], [ZERO, ZERO]]
    added = times(P, Z, mask, transposed(Z), Q, Z)
    return [[a + SHARE * b for a, b in zip(*rows, strict=True)] for rows in zip(Z, added, strict=True)]


def state(X: Block, y: Block, x: Block, q: Block) -> Grid:
    return [[X, x], [y, q]]


_X, _Y, _x, _q, _w, _A, _B = (letter(name) for name in ("X", "y", "x", "q", "w", "A", "B"))


def check_dynamics() -> Verdict:
    """(54): X ← X + (1/n) B X M Xᵀ A X and Y ← Y + (1/n) Y M Xᵀ A X, on examples and query."""
    after = layer(state(_X, _Y, _x, _q), _A, _B)
    gram = _X.T @ _A
    return verdict(
        "(53) multiplied out by blocks: the mask leaves the examples as keys, Q leaves their features as what is compared.",
        ("examples", after[0][0] == _X + SHARE * (_B @ _X @ gram @ _X)),
        ("query", after[0][1] == _x + SHARE * (_B @ _X @ gram @ _x)),
        ("labels", after[1][0] == _Y + SHARE * (_Y @ gram @ _X)),
        ("the query's label", after[1][1] == _q + SHARE * (_Y @ gram @ _x)),
    )


def check_additive() -> Verdict:
    """Lemma 10: adding c to the query's label adds c to it after a layer, and changes nothing else; so for any layers."""
    c = letter("c")
    one, other = (layer(state(_X, _Y, _x, q), _A, _B) for q in (_q, _q + c))
    same = all(one[i][j] == other[i][j] for i, j in ((0, 0), (0, 1), (1, 0)))
    return verdict(
        "A layer of (13) from any state, for all sizes; by induction on the layers.",
        ("all else", same),
        ("the label", other[1][1] == one[1][1] + c),
    )


def check_steps() -> Verdict:
    """Lemma 2: from labels rᵀX and the query's −vᵀx, r = w* − v, a layer goes to v + A∇R(v) (Aᵀ∇R(v) for any A)."""
    v, S = letter("v"), letter("S", symmetric=True)
    parts = []
    for name, A in (("symmetric A", S), ("any A", _A)):
        after = layer(state(_X, (_w - v).T @ _X, _x, (-1) * (v.T @ _x)), A)
        moved = v + SHARE * (A.T @ _X @ _X.T @ (v - _w))
        parts.append((f"{name}: labels", after[1][0] == (_w - moved).T @ _X))
        parts.append((f"{name}: the query", after[1][1] == (-1) * (moved.T @ _x)))
        parts.append((f"{name}: features", after[0] == [_X, _x]))
    return verdict("∇R(v) = (1/n)XXᵀ(v − w*); the next labels are those of v + Aᵀ∇R(v). By induction from v = 0.", *parts)


def check_labels_in_words() -> Verdict:
    """(57), (58): with A_l symmetric, as (9) has it, labels get (1/n) Σ_j xᵀA_lx_j y_j; for another A_l that is A_lᵀ."""
    parts = []
    for name, A in (("symmetric A", letter("S", symmetric=True)), ("any A", _A)):
        _, (labels, query) = layer(state(_X, _Y, _x, _q), A)
        added = A.T @ _X @ _Y.T
        parts.append((f"{name}: labels", labels == (_Y.T + SHARE * (_X.T @ added)).T))
        parts.append((f"{name}: the query's label", query == (_q.T + SHARE * (_x.T @ added)).T))
    return verdict(
        "The label of token x gets (1/n)YMXᵀA_lx, a number, whose transpose is (1/n)xᵀA_lᵀXMYᵀ; A_lᵀ = A_l under (9).",
        *parts,
    )


def check_absorbed() -> Verdict:
    """(22): with A_l for A_l/n a layer of (9) is Y ← Y(I + MXᵀA_lX), so Y_k is Y_0 times the product."""
    features, (labels, query) = layer(state(_X, _Y, _x, _q), sympy.Symbol("n", positive=True) * _A)
    gram = _Y @ _X.T @ _A
    return verdict(
        "n A_l in the place of A_l takes 1/n away; X stays, so by induction on the layers.",
        ("features", features == [_X, _x]),
        ("labels", labels == _Y + gram @ _X),
        ("the query's label", query == _q + gram @ _x),
    )


def check_products() -> Verdict:
    """X_l = G_l X_0 and labels w*ᵀT_l X_0: T ← T(I + H Gᵀ A G), G ← (I + B G H Gᵀ A)G with H = (1/n) X_0 X_0ᵀ."""
    T, G = letter("T"), letter("G")
    H = SHARE * (_X @ _X.T)
    after = layer(state(G @ _X, _w.T @ T @ _X, G @ _x, _w.T @ (T - ONE) @ _x), _A, _B)
    K = G.T @ _A @ G
    new_T, new_G = T @ (ONE + H @ K), G + _B @ G @ H @ K
    return verdict(
        "One layer of (13) from any T and G, for all sizes; T = G = I to begin with. (22) is G = I.",
        ("features", after[0] == [new_G @ _X, new_G @ _x]),
        ("labels", after[1][0] == _w.T @ new_T @ _X),
        ("the query's label", after[1][1] == _w.T @ (new_T - ONE) @ _x),
        ("T does not read B of the last layer", "B" not in {name for word in new_T.terms for name, _ in word}),
    )


def check_order() -> Verdict:
    """Lemma 8: (I + (1/n)MXᵀA_lX) of A_l = a_l S commute, as matrices of n + 1 tokens."""
    a, b = sympy.symbols("a b")
    S = letter("S", symmetric=True)
    row = [[_X, _x]]

    def factor(scale: Any) -> Grid:
        inner = times(MASK, transposed(row), [[scale * S]], row)
        eye = [[ONE, ZERO], [ZERO, ONE]]
        return [[e + SHARE * i for e, i in zip(*rows, strict=True)] for rows in zip(eye, inner, strict=True)]

    return verdict(
        "Neighbouring factors exchanged, multiplied out by blocks for all sizes; any order is reached by exchanges.",
        ("exchange", times(factor(a), factor(b)) == times(factor(b), factor(a))),
    )


def check_rotated() -> Verdict:
    """(29), (30), (39), (40), (44)–(47), (50) in coordinates where Σ = I: a rotation U of X_0 comes out, or turns R to UᵀRU."""
    U, R, a, b = J.T, letter("R"), sympy.Symbol("a"), sympy.Symbol("b")  # UᵀU = J Jᵀ = I is the only rule
    Z, turned = state(_X, _Y, _x, _q), state(U @ _X, _Y, U @ _x, _q)
    eye = a * ONE
    plain, moved = layer(Z, eye, b * ONE), layer(turned, eye, b * ONE)
    with_R, with_turned = layer(turned, R), layer(Z, U.T @ R @ U)
    scaled, inner = layer(turned, eye, R), layer(Z, eye, U.T @ R @ U)
    return verdict(
        "With A_i = a_iΣ⁻¹ and B_i = b_iI, whitened: one layer from UX_0 against one from X_0. A_i + tR reads X_0 as "
        "A_i + tUᵀRU does; "
        "B_i + tS writes U times what B_i + tUᵀSU writes.",
        ("features", moved[0] == [U @ plain[0][0], U @ plain[0][1]]),
        ("labels", moved[1] == plain[1]),
        ("R in A", with_R[1] == with_turned[1]),
        ("S in B", [U.T @ block for block in scaled[0]] == inner[0]),
    )


def check_span(layers: int = 2) -> Verdict:
    """On A_l = a_lΣ⁻¹, B_l = b_lI the gradient in A_l is c_lΣ, in B_l it is c′_lI: for all d, n and Σ."""
    S, h, t, g, gt, al, be = sympy.symbols("S h t g gt al be", commutative=False)  # S = Σ^{1/2}; gt = gᵀ
    H, A, B = S * h * S, S**-1 * al * S**-1, S * be * S**-1
    T, G, Gt = S * t * S**-1, S * g * S**-1, S**-1 * gt * S
    step_T = sympy.expand(S**-1 * (T + T * H * Gt * A * G) * S - (t + t * h * gt * al * g))
    step_G = sympy.expand(S**-1 * (G + B * G * H * Gt * A * G) * S - (g + be * g * h * gt * al * g))
    tt = sympy.Symbol("tt", commutative=False)  # tᵀ
    loss = S**-2 * T * S**2 * (S**-1 * tt * S)  # Σ⁻¹TΣTᵀ, under the trace
    parts = [
        ("T = Σ^{1/2}tΣ^{−1/2}", step_T == 0),
        ("G = Σ^{1/2}gΣ^{−1/2}", step_G == 0),
        ("loss", sympy.expand(S * loss * S**-1 - t * tt) == 0),
    ]
    for which, moved in product("AB", range(layers)):
        if which == "B" and moved == layers - 1:
            continue
        words = _derivative(layers, which, moved)
        letters = [[name for name, _ in word] for word in words.terms]
        once = all(word.count("R") == 1 and set(word) <= {"R", "h"} for word in letters)
        parts.append((f"{which}_{moved}: every word has R once, and h else", once and bool(letters)))
    return verdict(
        f"Whitened, the loss is E tr ttᵀ with t, g polynomials in h on S ({layers} layers); its derivative along R is a sum of "
        "E tr(p(h) R q(h)) = c tr R, as E p(h) is a multiple of I (h and UhUᵀ have one law: Schur's lemma, not checked). R is "
        "Σ^{1/2}RΣ^{1/2} for A and Σ^{−1/2}RΣ^{1/2} for B, of traces tr ΣR and tr R.",
        *parts,
    )


def _derivative(layers: int, which: str, moved: int) -> Block:
    """dt where A_moved (or B_moved) moves along R: words in h and R, by dual numbers."""
    h, R = letter("h", symmetric=True), letter("R")
    a, b = sympy.symbols("a:9"), sympy.symbols("b:9")
    t, g, dt, dg = ONE, ONE, ZERO, ZERO
    for i in range(layers):
        A, B = a[i] * ONE, b[i] * ONE
        dA, dB = (R if (which, moved) == (name, i) else ZERO for name in "AB")
        K, dK = g.T @ A @ g, dg.T @ A @ g + g.T @ dA @ g + g.T @ A @ dg
        t, dt = t + t @ h @ K, dt + dt @ h @ K + t @ h @ dK
        u, du = g @ h @ K, dg @ h @ K + g @ h @ dK
        g, dg = g + B @ u, dg + dB @ u + B @ du
    return dt


def check_flow(printed: bool = False) -> Verdict:
    """(26), (35): along the flow in S, f falls at least as fast as the squared gradient; there gradients are cΣ and eI.

    `printed`: the flow of B is along −s_lΣ⁻¹ then, for Σ = 4I.
    """
    c, e, *lam = sympy.symbols("c e lam1:4", positive=True)
    if printed:
        lam = [sympy.Integer(4)] * 2
    sigma, d, one = sympy.diag(*lam), len(lam), sympy.eye(len(lam))
    r, s = (c * sigma**2).trace(), (e * one).trace()
    fall_A = (c * sigma * r * sigma.inv()).trace()
    fall_B = (e * s * (sigma.inv() if printed else one)).trace()
    square_A, square_B = ((c * sigma) ** 2).trace(), ((e * one) ** 2).trace()
    if printed:
        told = f"Σ = 4I, d = 2, ∇f in B_l = eI: df/dt = −{fall_B}, above −‖∇f‖² = −{square_B}"
        return Refuted(told) if sympy.simplify(square_B / fall_B) > 1 else Unknown("the flow is fast enough")
    return verdict(
        "A: ⟨cΣ, rΣ⁻¹⟩ = cdr, r = tr(Σ^{1/2}·cΣ·Σ^{1/2}) = c tr Σ², is d‖cΣ‖²; B along −sI, s = tr(eI): ⟨eI, sI⟩ = "
        "d‖eI‖² (d = 3, "
        "any Σ).",
        ("A", sympy.expand(fall_A - d * square_A) == 0),
        ("B", sympy.expand(fall_B - d * square_B) == 0),
    )


# -- moments -----------------------------------------------------------------------------------------------------------------


def check_moments(roots: Sequence[int] = (1, 2)) -> Verdict:
    """E C⊗C and E w_jC against an exact law with the normal moments up to order 5: (16) to (21)."""
    parts = []
    for n in (1, 2):
        second, mixed = _by_law(roots, n)
        loss = single_layer_loss(exact(np.diag([r * r for r in roots])), n)
        parts.append((f"E C⊗C, n = {n}", bool((second == loss.second).all())))
        parts.append((f"E w_jC, n = {n}", bool((mixed == loss.mixed).all())))
    return verdict(
        f"x_j = √λ_j·s and w_j = s with s in (−√3, 0, √3) of weights 1/6, 2/3, 1/6 have all the moments that occur (d = 2, λ = "
        f"{', '.join(str(r * r) for r in roots)}); E C⊗C is affine in 1/n, so n = 1 and 2 are enough.",
        *parts,
    )


def _by_law(roots: Sequence[int], n: int) -> tuple[Array, Array]:
    """Exact means over every prompt of the law. s runs over −1, 0, 1: √3 occurs in pairs only, and each pair counts 3."""
    d, steps = len(roots), (-1, 0, 1)
    second, mixed = exact(zeros(d + 1, d + 1, d + 1, d + 1)), exact(zeros(d + 1, d + 1, d))
    for drawn in product(steps, repeat=d * n + d):
        weight = Fraction(4 ** drawn.count(0), 6 ** len(drawn))
        X = np.array(drawn[: d * n], dtype=object).reshape(d, n) * np.array(roots, dtype=object)[:, None]
        w = np.array(drawn[d * n :], dtype=object)
        rows = np.vstack([X, w @ X])
        C = rows @ rows.T
        second = second + weight * np.multiply.outer(C, C)
        mixed = mixed + weight * np.multiply.outer(C, w)
    labels = np.array([*(0,) * d, 1])  # how often w occurs
    often = labels[:, None] + labels
    return second * _pairs(np.add.outer(often, often) + 4) / n**2, mixed * _pairs(np.add.outer(often, [1] * d) + 2) / n


def _pairs(degree: Any) -> Array:
    """3 for each pair of factors √3; means of odd degree are 0."""
    counted: Array = np.vectorize(lambda k: Fraction(3 ** (k // 2)), otypes=[object])(degree)
    return counted


def check_component(d: int = 3, isotropic: bool = False, factor: Any = 1) -> Verdict:
    """Lemmas 6 and 7: ∇f_j = 0 at X_j = −E_{d+1,j}/((n + 1)/n λ_j + Σλ/n), in symbols λ and n; f_j is convex. `factor`: 1."""
    n = sympy.Symbol("n", positive=True)
    lam = [sympy.Integer(1)] * d if isotropic else list(sympy.symbols(f"lam1:{d + 1}", positive=True))
    sigma = np.array(sympy.diag(*lam).tolist(), dtype=object)
    loss, parts = single_layer_loss(sigma, n), []
    for j in range(d):
        X = np.array(sympy.zeros(d + 1, d + 1).tolist(), dtype=object)
        X[d, j] = -factor / ((n + 1) / n * lam[j] + sum(lam) / n)
        slope = np.tensordot(X, loss.second, axes=2) + loss.mixed[:, :, j]
        parts.append((f"j = {j + 1}", all(sympy.cancel(sympy.together(entry)) == 0 for entry in slope.ravel())))
    return verdict(
        f"E(⟨C, X_j⟩ + w_j)C = 0 for d = {d}, any n" + ("" if isotropic else " and λ") + ", by Isserlis' theorem; f_j "
        "is convex. For any "
        "d: the entries of E⟨C, E_{d+1,j}⟩C are 0 but at (d + 1, j) and (j, d + 1), E(H²)_jj = (n + 1)/n λ_j² + λ_jΣλ/n.",
        *parts,
        ("(n − 1)/n + (d + 2)/n", sympy.simplify((n - 1) / n + (d + 2) / n - ((n + 1) / n + sympy.Integer(d) / n)) == 0),
    )


def check_two_layers() -> Verdict:
    """Theorem 3, its algebra: T(gHgᵀ, gA_lgᵀ) = gTgᵀ; T is affine in A_1; so the loss is convex in A_1 (parallelograms)."""
    g, H, R, U, V = J.T, letter("H", symmetric=True), letter("R"), letter("U"), letter("V")  # gᵀg = J Jᵀ = I
    A_0, A_1 = letter("A_0", symmetric=True), letter("A_1", symmetric=True)

    def rest(H: Block, A_0: Block, A_1: Block) -> Block:  # T − I
        return (ONE + H @ A_0) @ (ONE + H @ A_1) - ONE

    turned = rest(g @ H @ g.T, g @ A_0 @ g.T, g @ A_1 @ g.T)
    plus, minus = U + V, U - V
    return verdict(
        "T − I = HA_0 + HA_1 + HA_0HA_1, so turning H, A_0 and A_1 by g turns it; for A_0 diagonal and g a sign flip, "
        "A_0 stays. "
        "(tr(U + V)(U + V)ᵀ + tr(U − V)(U − V)ᵀ)/2 = tr UUᵀ + tr VVᵀ, so the mean over flips, which is diagonal, is no worse.",
        ("turned", turned == g @ rest(H, A_0, A_1) @ g.T),
        ("affine in A_1", rest(H, A_0, A_1 + R) - rest(H, A_0, A_1) == (ONE + H @ A_0) @ H @ R),
        ("parallelogram", plus @ plus.T + minus @ minus.T == 2 * (U @ U.T + V @ V.T)),
    )
