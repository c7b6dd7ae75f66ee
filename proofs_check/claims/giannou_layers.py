"""Giannou et al. 2024, section 4 and appendix A: the layers of matrix inversion and of linear regression.

Layers are run on blocks of noncommuting words (`blocks`), so a proof is one for all dimensions and all data.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from typing import Any

import sympy

from ..certificate import Verdict
from ..newton_paper import refuted
from ..newton_proofs import symbols, verdict
from .blocks import E1, ONE, ZERO, Block, Head, J, Stream, attend, differing, letter
from .record import Statement

OWN = "headwright"
SOURCE = "Giannou et al. 2024"
IDENTITY = "identity of blocks, all dimensions"
COUNTER = "exact counterexample"

F = Fraction


# -- Lemma 4.1 -----------------------------------------------------------------------------------------------------------


def _two_layers(stored: Block) -> Stream:
    """The weights that the proof of Lemma 4.1 prints, on the rows X, what is stored, 0, I."""
    H: Stream = {"X": letter("X"), "A": stored, "Z": ZERO, "I": ONE}
    H = attend(H, Head([("Z", 1, "A")], [(1, "I")], [(1, "X")]))
    return attend(
        H,
        Head([("X", 1, "X")], [(1, "I")], [(-1, "Z")]),
        Head([("X", 1, "X"), ("Z", -1, "Z")], [(1, "I")], [(1, "I")]),
    )


def newton_step(A: Block) -> Block:
    X = letter("X")
    return 2 * X - X @ A @ X


def check_lemma() -> Verdict:
    """The statement, by the layer of the symmetric case and one that adds nothing; and the proof's layout with A stored."""
    A, X = letter("A"), letter("X")
    one = _one_layer(A.T)
    wanted = {"X": newton_step(A), "A": A.T, "Z": ZERO, "I": ONE}
    return verdict(
        "One layer of two heads maps [X; Aᵀ; 0; I] to [X(2I − AX); Aᵀ; 0; I]; a second with weights 0 keeps it. The printed "
        "two layers do the same with A in the second block.",
        ("one layer on Aᵀ", not differing({**one, "Z": ZERO}, wanted)),
        ("printed layers on A", not differing(_two_layers(A), {"X": 2 * X - X @ A @ X, "A": A, "Z": ZERO, "I": ONE})),
    )


def refute_lemma_layout() -> Verdict:
    A, X = letter("A"), letter("X")
    got = _two_layers(A.T)["X"]
    a, x = sympy.Matrix([[0, 1], [0, 0]]), sympy.eye(2)
    return refuted(
        "with Aᵀ in the second block the printed layers give 2X − XAᵀX; X = I, A = [[0, 1], [0, 0]]: [[2, 0], [−1, 2]], "
        "where X(2I − AX) = [[2, −1], [0, 2]]",
        got == 2 * X - X @ A.T @ X,
        2 * x - x * a.T * x == sympy.Matrix([[2, 0], [-1, 2]]),
        2 * x - x * a * x == sympy.Matrix([[2, -1], [0, 2]]),
    )


def _one_layer(stored: Block) -> Stream:
    H: Stream = {"X": letter("X"), "A": stored, "I": ONE}
    return attend(H, Head([("X", -1, "X")], [(1, "A")], [(1, "X")]), Head([("X", 1, "X")], [(1, "I")], [(1, "I")]))


def check_one_layer() -> Verdict:
    """For symmetric A, for every A with Aᵀ stored, and with one head."""
    S, A = letter("S", symmetric=True), letter("A")
    H: Stream = {"X": letter("X"), "A": A.T, "I": ONE}
    single = attend(H, Head([("X", 1, "X")], [(1, "A"), (1, "I")], [(-1, "X"), (1, "I")]))
    return verdict(
        "X ← X − X(Aᵀ)ᵀX + X = X(2I − AX); the two heads share V, so their keys and queries stack into one.",
        ("symmetric", not differing(_one_layer(S), {"X": newton_step(S), "A": S, "I": ONE})),
        ("every A", not differing(_one_layer(A.T), {"X": newton_step(A), "A": A.T, "I": ONE})),
        ("one head, rows 3d", not differing(single, {"X": newton_step(A), "A": A.T, "I": ONE})),
    )


# -- Theorem 4.2 ---------------------------------------------------------------------------------------------------------


def _input() -> Stream:
    """[I 0], [I 0], [I 0], Aᵀ, [a_testᵀ 0], yᵀ, 0 over n ≥ d tokens."""
    a, y = letter("a").T, letter("y").T
    return {"B1": J, "B2": J, "B3": J, "A": letter("A").T, "at": a @ J, "y": y, "o": ZERO}


def _start(eps: Any, mu: Any = 0) -> Sequence[Head]:
    eps, mu = sympy.sympify(eps), sympy.sympify(mu)
    return (
        Head([("B1", eps, "A"), ("B2", 1, "A")], [(1, "A")], [(1, "B1")]),
        Head([("B1", eps * mu - 1, "B1"), ("B2", mu - 1, "B1")], [(1, "B1")], [(1, "B1")]),
    )


def _step(key: str) -> Sequence[Head]:
    return (
        Head([("B1", -1, "B1")], [(1, key)], [(1, "B1")]),
        Head([("B1", 1, "B1")], [(1, "B3")], [(1, "B3")]),
    )


_READ = Head([("o", 1, "y")], [(1, "A")], [(1, "B1")])
_RESTORED = (("B1", 1, "B3"), ("B1", -1, "B1"), ("B2", 1, "B3"), ("B2", -1, "B2"))


def _after_steps() -> Stream:
    """The stream after the Newton layers: X_T and R as symmetric letters."""
    X, R = letter("X", symmetric=True), letter("R", symmetric=True)
    return {**_input(), "B1": X @ J, "B2": R @ J}


def check_regression(mu: Any = 0) -> Verdict:
    """The 3 + T layers, corrected: first, every Newton layer (so all T by induction), the two that read out."""
    eps, ridge = symbols("epsilon mu")
    mu = ridge if mu else sympy.Integer(0)
    A, y, a = letter("A"), letter("y").T, letter("a")
    X, R = letter("X", symmetric=True), letter("R", symmetric=True)
    gram = A.T @ A + mu * ONE
    first = attend(_input(), *_start(eps, mu))
    kept = {name: block for name, block in _input().items() if name in ("B3", "A", "at", "y")}
    step = attend(_after_steps(), *_step("B2"))
    read = attend(_after_steps(), _READ)
    last = attend(
        read,
        Head([("o", 1, "o")], [(1, "at")], [(1, "B3[1]")]),
        Head([("o", -1, "o"), *_RESTORED], [(1, "B3")], [(1, "B3")]),
    )
    return verdict(
        "Layer 1 leaves [εS 0], [S 0] with S = AᵀA + μI; a Newton layer maps [X 0], [R 0] to [2X − XRX 0], [R 0]; the last two "
        "make yᵀAX, then [yᵀAXa 0], and put [I 0] back. Nothing else changes; two heads at most, 4d + 3 rows, n ≥ d.",
        ("first layer", not differing(first, {**kept, "B1": eps * gram @ J, "B2": gram @ J, "o": ZERO})),
        ("Newton layer", not differing(step, {**kept, "B1": (2 * X - X @ R @ X) @ J, "B2": R @ J, "o": ZERO})),
        ("read-out 1", read["o"] == y @ A @ X @ J),
        ("read-out 2", not differing(last, {**_input(), "o": y @ A @ X @ a @ E1 @ J})),
    )


def refute_wide() -> Verdict:
    block = sympy.Matrix(sympy.symbols("b:2"))  # any d × n block
    return refuted(
        "n = 1, d = 2: the input has d × n blocks [I_d 0] with [I_d 0][I_d 0]ᵀ = I_d, but BBᵀ has determinant 0 for every "
        "2 × 1 block B",
        (block * block.T).det().expand() == 0,
        sympy.eye(2).det() == 1,
    )


def refute_newton_weights() -> Verdict:
    X, R = letter("X", symmetric=True), letter("R", symmetric=True)
    got = attend(_after_steps(), *_step("B1"))["B1"]
    x, r = F(1, 4), F(2)
    return refuted(
        "W_K of head 1 picks block 1, so a layer gives 2X − X³; d = 1, X = 1/4, R = 2: 31/64, not 2X − XRX = 3/8",
        got == (2 * X - X @ X @ X) @ J,
        got != (2 * X - X @ R @ X) @ J,
        2 * x - x**3 == F(31, 64) and 2 * x - x * r * x == F(3, 8),
    )


def refute_first_read_out() -> Verdict:
    got = attend(_after_steps(), Head([("o", 1, "y")], [(1, "B3")], [(1, "B3")]))["o"]
    y, A, X = letter("y").T, letter("A"), letter("X", symmetric=True)
    label, a, x = F(1), F(2), F(1, 4)  # n = d = 1
    return refuted(
        "W_K and W_Q both pick block 3: the row becomes the first d labels, without A and X_T; n = d = 1, y = 1, A = 2, X = "
        "1/4: 1, not 1/2",
        got == y @ J.T @ J,
        attend(_after_steps(), _READ)["o"] == y @ A @ X @ J,
        label == 1 and label * a * x == F(1, 2),
    )


def refute_second_read_out() -> Verdict:
    y, A, X, a = letter("y").T, letter("A"), letter("X", symmetric=True), letter("a")
    before = attend(_after_steps(), _READ)
    labels = attend(before, Head([("o", 1, "y")], [(1, "at")], [(1, "B3[1]")]))["o"]
    from_X = attend(before, Head([("o", 1, "o")], [(1, "at")], [(1, "B1[1]")]))["o"]
    return refuted(
        "W_V picks the labels, so head 1 adds y_{1:d}·a instead of yᵀAXa; with W_V repaired, W_Q takes e_1 from block 1, which "
        "holds X_T by then, so it adds yᵀAXa · (first row of X_T)",
        labels == y @ A @ X @ J + y @ J.T @ a @ E1 @ J,
        from_X == y @ A @ X @ J + y @ A @ X @ a @ E1 @ X @ J,
        attend(before, Head([("o", 1, "o")], [(1, "at")], [(1, "B3[1]")]))["o"] == y @ A @ X @ J + y @ A @ X @ a @ E1 @ J,
    )


def refute_restored() -> Verdict:
    after = attend(
        attend(_after_steps(), _READ),
        Head([("o", 1, "o")], [(1, "at")], [(1, "B3[1]")]),
        Head([("o", -1, "o")], [(1, "B3")], [(1, "B3")]),
    )
    y, A, X, a = letter("y").T, letter("A"), letter("X", symmetric=True), letter("a")
    return refuted(
        "blocks 1 and 2 are left as [X_T 0] and [R 0], next to the right last row; d = n = 1, A = 2: R = 4, not 1",
        after["B1"] == X @ J and after["B2"] == letter("R", symmetric=True) @ J,
        after["B2"] != J,
        after["o"] == y @ A @ X @ a @ E1 @ J,
    )


def refute_last_entry() -> Verdict:
    """The layers on numbers: d = 1, n = 2, A = (1, 2), y = (3, 4), X_T = 1/5, a_test = 5."""
    A, y, X, test = (F(1), F(2)), (F(3), F(4)), F(1, 5), F(5)
    row = (sum(b * c for b, c in zip(y, A, strict=True)) * X, F(0))  # yᵀA[X_T 0]
    row = (row[0] * test, row[1])  # times [a_test 0]ᵀ and e_1ᵀ = (1, 0), the old row taken away
    return refuted(
        "d = 1, n = 2, A = (1, 2), y = (3, 4), X_T = 1/5, a_test = 5: the last row is (11, 0): ŷ = 11 is its first entry",
        row[0] == 11 and row[1] == 0,
        (A[0] ** 2 + A[1] ** 2) * X == 1,
    )


def refute_start_sign() -> Verdict:
    """The last display of step 1 takes [−I 0] away; the weights add it."""
    A, eps = letter("A"), symbols("epsilon")
    added = attend(_input(), *_start(eps))
    printed = J - (-1) * J + eps * (A.T @ A) @ J
    return refuted(
        "H_0 − [−I 0] + [εAᵀA 0] has 2I + εAᵀA in block 1; the weights make εAᵀA",
        printed == 2 * J + eps * (A.T @ A) @ J,
        added["B1"] == eps * (A.T @ A) @ J,
    )


def check_start() -> Verdict:
    A, eps = letter("A"), symbols("epsilon")
    added = attend(_input(), *_start(eps))
    return verdict(
        "H_0 + [−I 0] + [εAᵀA 0], and the same with AᵀA in block 2.",
        ("block 1", added["B1"] == eps * (A.T @ A) @ J),
        ("block 2", added["B2"] == (A.T @ A) @ J),
    )


def check_remark_order() -> Verdict:
    """Remark 4.3: first A X a, then y; with the pieces in other places of the same heads."""
    y, A, X, a = letter("y").T, letter("A"), letter("X", symmetric=True), letter("a")
    H = attend(_after_steps(), Head([("o", 1, "at")], [(1, "B1")], [(1, "A")]))
    product = attend({**H, "B3": J}, Head([("o", 1, "B3[1]")], [(1, "y")], [(1, "o")]))
    last = attend(
        H,
        Head([("o", 1, "o")], [(1, "y")], [(1, "B3[1]")]),
    )["o"]
    return verdict(
        "V = [aᵀ 0], K = [X 0], Q = Aᵀ leaves aᵀXAᵀ; V = this row, K = yᵀ, Q = e_1ᵀ then adds aᵀXAᵀy e_1ᵀ (and e_1ᵀ, −e_1ᵀ "
        "clear "
        "the row of the one before).",
        ("A X a", H["o"] == a.T @ X @ A.T),
        ("then y", last == a.T @ X @ A.T + (a.T @ X @ A.T @ y.T) @ E1 @ J),
        ("e_1 y (AXa)ᵀ", product["o"] == a.T @ X @ A.T + E1 @ J @ y.T @ a.T @ X @ A.T),
    )


STATEMENTS: tuple[Statement, ...] = (
    Statement(
        SOURCE, "Lemma 4.1", "a Newton step in two layers",
        "Two linear-attention layers of two heads and width 4d map [X; Aᵀ; 0; I] to [X(2I − AX); Aᵀ; 0; I] for every square A.",
        IDENTITY, "holds", "One layer, one head and 3d rows do it (see the last sentence).", check_lemma,
    ),
    Statement(
        SOURCE, "Lemma 4.1, proof", "which matrix is stored",
        "The printed weights, with the second block as in the statement (Aᵀ), make the Newton step.",
        COUNTER, "false as printed", "The printed weights need A in the second block, as the first display of the proof "
        "has it.",
        refute_lemma_layout, check_lemma,
    ),
    Statement(
        SOURCE, "Lemma 4.1, last sentence", "one layer for symmetric A",
        "If A is symmetric, one layer suffices.",
        IDENTITY, "holds", "The restriction is not needed: with Aᵀ stored one layer does it for every A, with one head and "
        "3d rows.",
        check_one_layer,
    ),
    Statement(
        SOURCE, "Theorem 4.2", "linear regression in 3 + T layers",
        "For all d, n and T, 3 + T layers of two heads and width 4d + 3 predict with T Newton steps on AᵀA and restore the "
        "input.",
        IDENTITY, "holds with restriction",
        "For n ≥ d (or n padded with zero tokens to d), with the weights corrected as for its proof.",
        check_regression, refute_wide,
    ),
    Statement(
        SOURCE, "Theorem 4.2, proof, step 1", "a sign in the last display",
        "H_1 = H_0 − [−I 0; −I 0; …] + [εAᵀA 0; AᵀA 0; …].",
        IDENTITY, "false as printed", "H_0 + [−I 0; −I 0; …] + …, as the weights have it.", refute_start_sign, check_start,
    ),
    Statement(
        SOURCE, "Theorem 4.2, proof, step 2", "W_K of the Newton layer",
        "Head 1 of a Newton layer has W_K pick block 1.",
        COUNTER, "false as printed", "W_K picks block 2, which holds R = AᵀA (as the display below it says).",
        refute_newton_weights, check_regression,
    ),
    Statement(
        SOURCE, "Theorem 4.2, proof, step 3", "first read-out layer",
        "W_K and W_Q pick block 3, and the last row becomes yᵀAX_T.",
        COUNTER, "false as printed", "W_K picks the block Aᵀ and W_Q block 1.", refute_first_read_out, check_regression,
    ),
    Statement(
        SOURCE, "Theorem 4.2, proof, step 3", "second read-out layer",
        "W_V picks the labels in both heads and W_Q the first row of block 1; the last row becomes [ŷ 0].",
        COUNTER, "false as printed", "W_V picks the last row, W_Q the first row of block 3, and the second head subtracts.",
        refute_second_read_out, check_regression,
    ),
    Statement(
        SOURCE, "Theorem 4.2, output", "the blocks are restored",
        "The proof's layers leave [I 0] in blocks 1 and 2.",
        COUNTER, "false as printed", "They do once the last head also adds B3 − B1 to block 1 and B3 − B2 to block 2 (same "
        "keys and queries).",
        refute_restored, check_regression,
    ),
    Statement(
        SOURCE, "Theorem 4.2, end of proof", "where the prediction is",
        "The last entry of the last row is ŷ.",
        COUNTER, "false as printed", "It is the first entry of the last row, as in the "
        "statement.", refute_last_entry, check_regression,
    ),
    Statement(
        SOURCE, "Remark 4.3", "the three extra layers",
        "They form AᵀA, then AX_T a_test, then multiply with yᵀ.",
        IDENTITY, "holds", "The proof multiplies in the other order, yᵀAX_T first; both can be done by "
        "layers.", check_remark_order,
    ),
    Statement(
        SOURCE, "Remark 4.4", "ridge regression",
        "The construction extends to the inverse of AᵀA + μI.",
        IDENTITY, "holds", "Two weights of the first layer change: εμ − 1 and μ − 1 in place of "
        "−1.", partial(check_regression, 1),
    ),
)  # fmt: skip
