"""What layers of linear attention can compute: degree, invariance and rank, by computer algebra.

One layer is H ← H + Σ W_V H (W_K H)ᵀ(W_Q H) = (I + Σ W_V G W_KᵀW_Q) H with G = HHᵀ. So after L layers H_L = M(G_0) H_0, a
polynomial of degree at most 3^L in the entries of H_0, whatever the weights, heads, rows and tokens.
"""

from __future__ import annotations

import random
from fractions import Fraction

import sympy

from ..certificate import Verdict
from ..newton_proofs import equal, symbols, verdict
from ..outward import IV, above, ball, below
from .blocks import ONE, letter


def check_gram_form(heads: int = 2) -> Verdict:
    """H_{L+1} = M H_L with M a function of G_L = H_LH_Lᵀ, and G_{L+1} = M G_L Mᵀ: so H_L = M_L(H_0H_0ᵀ)H_0 for every L."""
    H, keys = letter("H"), letter("keys", symmetric=True)
    after, factor, masked, masked_factor = H, ONE, H, ONE
    for i in range(heads):
        V, K, Q = (letter(f"{name}{i}") for name in "VKQ")
        after = after + (V @ H) @ (K @ H).T @ (Q @ H)
        factor = factor + V @ (H @ H.T) @ K.T @ Q
        masked = masked + (V @ H) @ keys @ (K @ H).T @ (Q @ H)
        masked_factor = masked_factor + V @ (H @ keys @ H.T) @ K.T @ Q
    degree, k = symbols("degree k")
    return verdict(
        "(W_VH)(W_KH)ᵀ(W_QH) = W_V(HHᵀ)W_KᵀW_QH, for all sizes; the next G is MGMᵀ, so by induction all depend on G_0 only "
        "(a mask of keys stands in the middle of G). "
        "M_L has degree "
        "m_L in G_0 with m_{L+1} = 3m_L + 1, so m_L ≤ (3^L − 1)/2, and 2m_L + 1 = 3^L.",
        ("layer", after == factor @ H),
        ("next G", after @ after.T == factor @ (H @ H.T) @ factor.T),
        ("layer with a mask", masked == masked_factor @ H),
        ("next G with a mask", masked @ keys @ masked.T == masked_factor @ (H @ keys @ H.T) @ masked_factor.T),
        ("m", equal(degree + (2 * degree + 1), 3 * degree + 1)),
        ("(3^L − 1)/2", equal((3 * (3**k - 1) / 2 + 1), (3 ** (k + 1) - 1) / 2)),
    )


def check_degree(rows: int = 2, tokens: int = 2) -> Verdict:
    """Random nets with integer weights: every entry after L layers is odd of degree at most 3^L, and 3^L is attained."""
    rng, parts = random.Random(1), []
    for layers, size in ((1, (rows, tokens)), (2, (rows, tokens)), (3, (1, 1))):
        names = sympy.symbols(f"h0:{size[0] * size[1]}")
        H = [[sympy.Poly(names[i * size[1] + j], *names) for j in range(size[1])] for i in range(size[0])]
        for _ in range(layers):
            H = _random_layer(H, rng)
        degrees = [entry.total_degree() for row in H for entry in row]
        odd = all(sum(monomial) % 2 for row in H for entry in row for monomial in entry.monoms())
        parts.append((f"{layers} layers: degree {max(degrees)}", max(degrees) == 3**layers))
        parts.append((f"{layers} layers: odd", odd))
    return verdict(
        "Each entry of a head is a sum of products of three entries, so a layer at most triples the degree; expanded for "
        "random integer "
        "weights (one head, 2 × 2 streams with 1 and 2 layers, 1 × 1 with 3), where 3^L is attained and every monomial is odd.",
        *parts,
    )


def _random_layer(H: list[list[sympy.Poly]], rng: random.Random) -> list[list[sympy.Poly]]:
    rows, tokens = len(H), len(H[0])
    V, K, Q = ([[rng.randint(-2, 2) or 1 for _ in range(rows)] for _ in range(rows)] for _ in range(3))

    def times(W: list[list[int]]) -> list[list[sympy.Poly]]:
        return [[sum((w * H[k][t] for k, w in enumerate(row)), 0 * H[0][0]) for t in range(tokens)] for row in W]

    v, k, q = times(V), times(K), times(Q)
    kq = [[sum((k[r][s] * q[r][t] for r in range(rows)), 0 * H[0][0]) for t in range(tokens)] for s in range(tokens)]
    return [
        [H[i][t] + sum((v[i][s] * kq[s][t] for s in range(tokens)), 0 * H[0][0]) for t in range(tokens)] for i in range(rows)
    ]


def check_rotation() -> Verdict:
    """Attention commutes with rotations of the tokens; a product of two rows by tokens does not."""
    H, O = letter("H"), letter("J")  # J Jᵀ = I is the only rule used: J stands for the rotation O  # noqa: E741
    turned = H @ O
    V, K, Q = letter("V"), letter("K"), letter("Q")
    after = turned + (V @ turned) @ (K @ turned).T @ (Q @ turned)
    plain = H + (V @ H) @ (K @ H).T @ (Q @ H)
    c, s = Fraction(3, 5), Fraction(4, 5)
    u, v = (c, s), (-s, c)  # the rows (1, 0), (0, 1) turned; their products by tokens were (0, 0)
    return verdict(
        "With OOᵀ = I, the layer maps HO to (layer of H)·O. The products by tokens of the rows (1, 0), (0, 1) are 0; turned "
        "by 3/5, 4/5 they "
        "are ∓12/25. So no net of attention alone makes them from streams with data rows only.",
        ("commutes", after == plain @ O),
        ("does not", tuple(a * b for a, b in zip(u, v, strict=True)) == (Fraction(-12, 25), Fraction(12, 25))),
    )


def check_extremal(most: int = 13) -> Verdict:
    """|r(0)| ≤ T_m(t) max|r| on [l, u], t = (u + l)/(u − l), for r of degree m: interpolation where T_m is ±1."""
    t, parts = Fraction(5, 4), []
    for m in (1, 4, most):
        points = [IV.cos(ball(k) * IV.pi / m) for k in range(m + 1)]
        weights = []
        for k, x in enumerate(points):
            weight = ball(1)
            for j, z in enumerate(points):
                weight = weight if j == k else weight * (ball(t) - z) / (x - z)
            weights.append(weight)
        parts.append((f"degree {m}", all((below(w) > 0) if k % 2 == 0 else (above(w) < 0) for k, w in enumerate(weights))))
    return verdict(
        "The value at t outside [−1, 1] is Σ w_k r(cos(kπ/m)), and the weights alternate in sign, since the points fall and t "
        "lies beyond them (in intervals for three m); T_m is ±1 with the same signs at these points, so Σ|w_k| = T_m(t), and "
        "|r(0)| ≤ T_m(t) max|r|.",
        *parts,
    )
