"""Giannou et al. 2024, sketch of Theorem 5.2 and appendix C up to (C.22): the layers of a damped Newton step.

Attention is run on blocks of noncommuting words (`blocks`); what the feed-forward part makes of a row is a new letter.
"""

from __future__ import annotations

from fractions import Fraction

import sympy
from sympy import diff

from ..certificate import Proved, Verdict
from ..newton_examples import loss
from ..newton_paper import refuted
from ..newton_proofs import equal, symbols, verdict
from ..outward import above, below
from .blocks import E1, ONE, ONES, ZERO, Block, Head, J, Stream, attend, letter
from .giannou_layers import SOURCE, check_lemma
from .record import Statement

F = Fraction
_BLOCKS = "identity of blocks, all dimensions"


def _input() -> Stream:
    """(C.2): [I 0] three times, 0 (d rows), Aᵀ, yᵀ, x_0 1ᵀ, e_1ᵀ/n (here e_1ᵀ and n apart), 0, 1ᵀ."""
    return {
        "B1": J, "B2": J, "B3": J, "Z": ZERO, "A": letter("A").T, "y": letter("y").T,
        "x": letter("x") @ ONES.T, "e": (1 / _N) * (E1 @ J), "s": ZERO, "one": ONES.T,
    }  # fmt: skip


_N = sympy.Symbol("n", positive=True)


def check_first_steps() -> Verdict:
    """Steps 1 and 2, attention: x_0ᵀAᵀ, and d̂/n."""
    margins = attend(_input(), Head([("s", 1, "B3[1]")], [(1, "x")], [(1, "A")]))["s"]
    H = {**_input(), "s": letter("p").T}
    scaled = attend(
        H,
        Head([("s", 1, "B3[1]")], [(1, "e")], [(1, "s")]),
        Head([("s", -1, "B3[1]")], [(1, "B3[1]")], [(1, "s")]),
    )["s"]
    return verdict(
        "V = e_1ᵀ, K = x_0 1ᵀ, Q = Aᵀ adds x_0ᵀAᵀ; K = e_1ᵀ/n, Q = d̂ adds d̂/n, and −e_1ᵀ, e_1ᵀ take d̂ away.",
        ("x_0ᵀAᵀ", margins == letter("x").T @ letter("A").T),
        ("d̂/n", scaled == (1 / _N) * letter("p").T),
    )


def _hessian() -> Block:
    """B = AᵀCᵀ + μI, where C (d × n) is what the feed-forward part made: D̂ ⊙ Aᵀ/n + U_2."""
    ridge: Block = symbols("mu") * ONE
    return letter("A").T @ letter("C").T + ridge


def check_hessian_layer() -> Verdict:
    """Step 3: three heads leave αB and B."""
    alpha, mu = symbols("alpha mu")
    H = {**_input(), "B1": letter("C")}
    after = attend(
        H,
        Head([("B1", alpha, "A"), ("B2", 1, "A")], [(1, "B1")], [(1, "B3")]),
        Head([("B1", alpha * mu, "B3"), ("B2", mu - 1, "B3")], [(1, "B3")], [(1, "B3")]),
        Head([("B1", 1, "B3")], [(1, "B3")], [(-1, "B1")]),
    )
    turned = attend(
        after,
        Head([("B1", 1, "B3")], [(1, "B1")], [(1, "B3")]),
        Head([("B1", -1, "B1")], [(1, "B3")], [(1, "B3")]),
    )
    return verdict(
        "K holds D̂ ⊙ Aᵀ/n + U_2 with rows from block 1, V = Aᵀ: blocks 1, 2 become αB, B; the next layer turns αB to αBᵀ.",
        ("αB", after["B1"] == alpha * _hessian() @ J),
        ("B", after["B2"] == _hessian() @ J),
        ("αBᵀ", turned["B1"] == alpha * _hessian().T @ J),
    )


def check_transposed_store() -> Verdict:
    """The layer of (C.11) is not needed, nor the second layer of each inversion step: 10 + k layers."""
    alpha, mu = symbols("alpha mu")
    H = {**_input(), "B1": letter("C")}
    after = attend(
        H,
        Head([("B1", alpha, "B1"), ("B2", 1, "B1")], [(1, "A")], [(1, "B3")]),
        Head([("B1", alpha * mu, "B3"), ("B2", mu - 1, "B3")], [(1, "B3")], [(1, "B3")]),
        Head([("B1", 1, "B3")], [(1, "B3")], [(-1, "B1")]),
    )
    X = letter("X")
    step = attend(
        {**after, "B1": X @ J},
        Head([("B1", -1, "B1")], [(1, "B2")], [(1, "B1")]),
        Head([("B1", 1, "B1")], [(1, "B3")], [(1, "B3")]),
    )["B1"]
    B = _hessian()
    return verdict(
        "With V = block 1 and K = Aᵀ the blocks become αBᵀ, Bᵀ; then one layer a step: X ← 2X − X(Bᵀ)ᵀX.",
        ("αBᵀ", after["B1"] == alpha * B.T @ J),
        ("Bᵀ", after["B2"] == B.T @ J),
        ("Newton step", step == (2 * X - X @ B @ X) @ J),
    )


def check_inversion_layers() -> Verdict:
    return verdict(
        "(C.11) turns αB to αBᵀ, and Lemma 4.1 has the two layers of a step. With Bᵀ stored instead, the layer and half of "
        "the others "
        "fall away.",
        ("αBᵀ", isinstance(check_hessian_layer(), Proved)),
        ("two layers a step", isinstance(check_lemma(), Proved)),
        ("one layer a step", isinstance(check_transposed_store(), Proved)),
    )


def check_depth() -> Verdict:
    k = symbols("k")
    layers = (1, 1, 1, 1, 2 * k, 1, 1, 1, 2, 2)  # steps 1, 2, 3, (C.11), 4, 5, 6, 7, 8, 9
    return verdict(
        "One layer for each of the steps 1, 2, 3, (C.11), 5, 6, 7, two each for 8 and 9, two for each of k inversion steps.",
        ("11 + 2k", equal(sum(layers), 11 + 2 * k)),
        ("10 + k", equal(sum(layers) - 1 - k, 10 + k)),
        ("the layers", isinstance(check_transposed_store(), Proved)),
    )


def refute_rows() -> Verdict:
    d = 5
    rows = 3 * d + d + d + 1 + d + 1 + 1 + 1
    return refuted(
        f"d = {d}: the displayed blocks have {rows} rows = 6d + 4, not 7d + 5 = {7 * d + 5}",
        rows == 6 * d + 4,
        rows != 7 * d + 5,
    )


def check_rows() -> Verdict:
    d = symbols("d")
    return verdict("3d + d + d + 1 + d + 1 + 1 + 1.", ("6d + 4", equal(3 * d + d + d + 1 + d + 1 + 1 + 1, 6 * d + 4)))


def refute_gradient_sign() -> Verdict:
    """n = d = 1, a = y = μ = 1, x_0 = 0: there ∇f = −p, and the printed update has +p in its place."""
    here = loss(1, 0)
    start, wrong, right = here.value, here.moved(-here.step).value, here.moved(here.step).value
    return refuted(
        f"n = d = 1, a = y = μ = 1, x_0 = 0: f rises from {above(start):.4f} to {below(wrong):.4f}; with −Σ y_ip_ia_i it "
        f"falls to "
        f"{above(right):.4f}",
        below(wrong) > above(start),
        above(right) < below(start),
    )


def check_gradient() -> Verdict:
    x, y, a, mu = sympy.symbols("x y a mu", real=True)
    f = sympy.log(1 + sympy.exp(-y * x * a)) + mu * x**2 / 2
    p = sympy.exp(-y * x * a) / (1 + sympy.exp(-y * x * a))
    return verdict(
        "d/dx log(1 + e^{−yxa}) = −y a p, and again: a²p(1 − p) as y² = 1.",
        ("gradient", equal(diff(f, x), -y * a * p + mu * x)),
        ("Hessian", equal(diff(f, x, 2), y**2 * a**2 * p * (1 - p) + mu)),
    )


def refute_double_count() -> Verdict:
    a, D, u, U = F(1), F(1, 4), F(1, 8), F(0)  # n = d = 1: D̂ = D + u
    E = a * u * a + a * U
    made = a * ((D + u) * a + U)  # what the layers make of D̂ and U_2
    return refuted(
        "n = d = 1, a = 1, D = 1/4, u_1 = 1/8, U_2 = 0: AᵀD̂A + E_1 = 1/2, where the layers make AᵀDA + E_1 = 3/8",
        a * (D + u) * a + E == F(1, 2),
        made == a * D * a + E == F(3, 8),
    )


def check_error_of_hessian() -> Verdict:
    D, u, U, A = (sympy.Symbol(s, commutative=False) for s in ("D", "u", "U", "A"))
    n = symbols("n")
    whole = sympy.expand(A * ((D + u) * A / n + U))
    return verdict(
        "Aᵀ((D + diag u_1)A/n + U_2ᵀ) = AᵀDA/n + E_1, E_1 = Aᵀdiag(u_1)A/n + AᵀU_2ᵀ (A on the left stands for Aᵀ here).",
        ("expansion", sympy.expand(whole - (A * D * A / n + A * u * A / n + A * U)) == 0),
    )


def check_gradient_layer() -> Verdict:
    """Step 7 with e_1 from block 3."""
    mu = symbols("mu")
    X = letter("X")
    H = {**_input(), "B1": X @ J, "s": letter("r").T}
    after = attend(
        H,
        Head([("B2", -1, "A")], [(1, "s")], [(1, "B3[1]")]),
        Head([("B2", -1, "B2")], [(1, "B3")], [(1, "B3")]),
        Head([("B2", 1, "x")], [(1, "B3[1]")], [(mu, "B3[1]")]),
    )["B2"]
    return verdict(
        "V = −Aᵀ, K = r, Q = e_1ᵀ adds −Aᵀr e_1ᵀ; [I 0] is taken away; V = x1ᵀ, K = e_1ᵀ, Q = μe_1ᵀ adds μx e_1ᵀ: [b 0].",
        ("b", after == (mu * letter("x") - letter("A").T @ letter("r")) @ E1 @ J),
    )


def refute_second_block() -> Verdict:
    """Step 4 leaves B in block 2; step 7 takes [I 0] away."""
    B = letter("B")
    H = {**_input(), "B2": B @ J, "s": letter("r").T}
    after = attend(
        H,
        Head([("B2", -1, "A")], [(1, "s")], [(1, "B3[1]")]),
        Head([("B2", -1, "B3")], [(1, "B3")], [(1, "B3")]),
        Head([("B2", 1, "x")], [(1, "B3[1]")], [(1, "B3[1]")]),
    )["B2"]
    b = letter("x") - letter("A").T @ letter("r")
    return refuted(
        "the inversion leaves B in block 2, where the display has [I 0]; step 7 then holds [b 0] + [B − I 0] (d = 1, B = 2: "
        "b + 1)",
        after == b @ E1 @ J + (B - ONE) @ J,
        after != b @ E1 @ J,
    )


def check_second_block() -> Verdict:
    X, B = letter("X"), letter("B")
    after = attend(
        {**_input(), "B1": X @ J, "B2": B @ J},
        Head([("B1", 1, "B1"), ("B2", 1, "B3"), ("B2", -1, "B2")], [(1, "B3")], [(1, "B3")]),
    )
    return verdict("B3 − B2 added to block 2 by head 2 of the last Newton layer.", ("[I 0]", after["B2"] == J))


def refute_repeated() -> Verdict:
    """Step 5 repeats step 1, with e_1 from block 1."""
    X = letter("X")
    got = attend({**_input(), "B1": X @ J}, Head([("s", 1, "B1[1]")], [(1, "x")], [(1, "A")]))["s"]
    wanted = letter("x").T @ letter("A").T
    return refuted(
        "block 1 holds X ≈ B⁻¹ by then: V = its first row gives (first row of X)·1 instead of 1, so row s is (e_1ᵀX[…])x_0ᵀAᵀ; "
        "d = 1, X = 1/2: half of x_0ᵀAᵀ",
        got == E1 @ X @ J @ ONES @ wanted,
        got != wanted,
    )


def check_step_size_layers() -> Verdict:
    """Step 8: Xb, then bᵀXb in the first entry; what is left in row s is taken away."""
    X, b = letter("X"), letter("b")
    H = {**_input(), "B1": X @ J, "B2": b @ E1 @ J, "s": letter("r").T}
    first = attend(H, Head([("B1", 1, "B1")], [(1, "B3")], [(1, "B2")]), Head([("B1", -1, "B1")], [(1, "B3")], [(1, "B3")]))
    second = attend(
        first,
        Head([("s", 1, "B3[1]")], [(1, "B2")], [(1, "B1")]),
        Head([("s", -1, "B3[1]")], [(1, "B3[1]")], [(1, "s")]),
    )["s"]
    return verdict(
        "V = X, K = I, Q = b minus X; then V = e_1ᵀ, K = [b 0], Q = [Xb 0], and V = −e_1ᵀ, K = e_1ᵀ, Q = row s.",
        ("Xb", first["B1"] == X @ b @ E1 @ J),
        ("bᵀXb", second == b.T @ X @ b @ E1 @ J),
    )


def check_update_layer() -> Verdict:
    """Step 9 in one layer: x ← x − ηXb."""
    step, eta = letter("v"), letter("h")  # h: the row with η̂ in its first entry
    H = {**_input(), "B1": step @ E1 @ J, "s": eta.T}
    after = attend(
        H,
        Head([("x", -1, "B1")], [(1, "s")], [(1, "one")]),
        Head([("B1", 1, "B3"), ("B1", -1, "B1"), ("B2", 1, "B3"), ("B2", -1, "B2")], [(1, "B3")], [(1, "B3")]),
    )
    factor = E1 @ J @ eta
    return verdict(
        "V = −[v 0], K = [η̂ ∗], Q = 1ᵀ: only the first entry of K meets [v 0].",
        ("update", after["x"] == letter("x") @ ONES.T - step @ factor @ ONES.T),
        ("restored", after["B1"] == J and after["B2"] == J),
        ("the printed two layers", isinstance(check_restored(), Proved)),
    )


def check_restored() -> Verdict:
    """Step 9 as printed: η̂vᵀ into row s, then x ← x − η̂v and the blocks back; after it only row s differs from the input."""
    step, eta = letter("v"), letter("h")
    begin = _input()
    H = {**begin, "B1": step @ E1 @ J, "B2": letter("b") @ E1 @ J, "s": eta.T}
    row = attend(H, Head([("s", 1, "s")], [(1, "B1")], [(1, "B3")]), Head([("s", -1, "s")], [(1, "B3")], [(1, "B3")]))
    after = attend(
        row,
        Head([("x", -1, "B3")], [(1, "s")], [(1, "one")]),
        Head([("B1", 1, "B3"), ("B1", -1, "B1"), ("B2", 1, "B3"), ("B2", -1, "B2")], [(1, "B3")], [(1, "B3")]),
    )
    factor = E1 @ J @ eta
    return verdict(
        "The row is [η̂vᵀ ∗] after the first layer; V = −[I 0], K = this row, Q = 1ᵀ meets its first d entries only.",
        ("row", row["s"] == eta.T + eta.T @ J.T @ E1.T @ step.T @ J - eta.T @ J.T @ J),
        ("update", after["x"] == letter("x") @ ONES.T - step @ factor @ ONES.T),
        ("all else", all(after[name] == begin[name] for name in begin if name not in ("x", "s"))),
    )


STATEMENTS: tuple[Statement, ...] = (
    Statement(SOURCE, "sketch of Theorem 5.2, gradient and Hessian", "derivatives of the loss",
        "∇f = −(1/n)Σ y_ip_ia_i + μx and ∇²f = AᵀDA/n + μI.", "identity", "holds", "", check_gradient),
    Statement(SOURCE, "appendix C, update", "sign of the gradient",
        "The update subtracts η H⁻¹(Σ y_ip_ia_i/n + μx).", "interval arithmetic", "false as printed",
        "−Σ y_ip_ia_i/n + μx, as in step 7.",
        refute_gradient_sign, check_gradient),
    Statement(SOURCE, "(C.1)", "the error of the Hessian",
        "The Hessian is AᵀD̂A/n + μI + E_1 with E_1 = Aᵀdiag(u_1)A + AᵀU_2.", "exact counterexample", "false as printed",
        "D in place of D̂ (u_1 is counted twice), and U_2ᵀ, as U_2 is stored.", refute_double_count, check_error_of_hessian),
    Statement(SOURCE, "(C.2)", "rows of the input", "The input has 7d + 5 rows.", "counting", "false as printed",
        "6d + 4, as Remark 5.3 says; 5d + 4 are enough.", refute_rows, check_rows),
    Statement(SOURCE, "Remark 5.3", "rows of the input", "The input has 6d + 4 rows.", "counting", "holds", "", check_rows),
    Statement(SOURCE, "(C.4), (C.5), (C.7), (C.8)", "attention of steps 1 and 2",
        "One head makes x_0ᵀAᵀ; two replace d̂ by d̂/n.", _BLOCKS, "holds", "", check_first_steps),
    Statement(SOURCE, "step 3 of appendix C", "the Hessian", "Three heads leave αB and B, and one more layer αBᵀ.", _BLOCKS,
    "holds",
    "",
        check_hessian_layer),
    Statement(SOURCE, "(C.11) and step 4", "a layer to transpose, two layers a step",
    "One layer makes αBᵀ, and two layers do a Newton step for the nonsymmetric B.",
        _BLOCKS, "holds", "Not needed: with Bᵀ stored, one layer does a step for every B; 10 + k layers instead of 11 + 2k.",
        check_inversion_layers),
    Statement(SOURCE, "step 4, display", "what block 2 holds", "After the inversion block 2 is [I 0].", _BLOCKS,
    "false as printed",
        "It holds B. Head 2 of the last layer can restore it (add B3 − B2).", refute_second_block, check_second_block),
    Statement(SOURCE, "step 5", "step 1 again", "Step 1 repeated gives x_0ᵀAᵀ.", _BLOCKS, "false as printed",
        "e_1 has to come from block 3, since block 1 holds the inverse by then.", refute_repeated, check_first_steps),
    Statement(SOURCE, "step 7, (C.17)", "the gradient", "Three heads leave [b 0] with b = −AᵀR/n + μx.", _BLOCKS, "holds",
        "With block 2 restored and e_1 from block 3.", check_gradient_layer),
    Statement(SOURCE, "step 8", "the decrement", "Two layers make Xb and bᵀXb.", _BLOCKS, "holds", "(U_3 stands for "
        "E_2 there.)",
        check_step_size_layers),
    Statement(SOURCE, "step 9, (C.21), (C.22)", "the update", "Two more layers make x − η̂Xb and restore the blocks.", _BLOCKS,
        "holds", "One layer is enough.", check_update_layer),
    Statement(SOURCE, "Theorem 5.2, depth", "11 + 2k layers", "A damped Newton step takes 11 + 2k layers.", _BLOCKS, "holds",
        "10 + k by the same steps; `logistic_newton` takes 3 or 4.", check_depth),
)  # fmt: skip
