"""Giannou et al. 2024, Remark 4.5: gradient descent beside Newton's iteration."""

from __future__ import annotations

from fractions import Fraction

from ..certificate import Verdict
from ..newton_paper import refuted
from ..newton_proofs import symbols, verdict
from .blocks import ONE, Head, J, Stream, attend, differing, letter
from .giannou_layers import COUNTER, IDENTITY, SOURCE, check_one_layer, newton_step
from .record import Statement

F = Fraction


def refute_descent_sign() -> Verdict:
    a, y, eta, w = F(1), F(1), F(1, 2), F(0)
    printed, right = w - eta * (y * a - w * a * a), w + eta * (y * a - w * a * a)
    return refuted(
        "n = d = 1, a = y = 1, η = 1/2, w = 0: the printed step goes to −1/2 (squared loss 1 → 9/4); with + it goes to 1/2",
        printed == F(-1, 2) and (a * printed - y) ** 2 == F(9, 4),
        (a * right - y) ** 2 == F(1, 4),
    )


def check_descent() -> Verdict:
    A, w, v, y, eta = letter("A"), letter("w"), letter("v"), letter("y"), symbols("eta")
    rest, moved = A @ w - y, A @ (w + v) - y
    gradient = A.T @ rest
    return verdict(
        "½‖A(w + v) − y‖² − ½‖Aw − y‖² = vᵀAᵀ(Aw − y) + ½‖Av‖²: the gradient is Aᵀ(Aw − y), the step w + ηAᵀ(y − Aw).",
        ("gradient", moved.T @ moved - rest.T @ rest == v.T @ gradient + gradient.T @ v + v.T @ A.T @ A @ v),
        ("step", w.T + eta * (y.T @ A - w.T @ A.T @ A) == (w - eta * gradient).T),
    )


def check_descent_layers() -> Verdict:
    """Gradient descent by two layers that never hold AᵀA: y − Aw in a row, then w ← w + ηAᵀ(y − Aw)."""
    A, w, y, eta = letter("A"), letter("w"), letter("y"), symbols("eta")
    H: Stream = {"w": w.T @ J, "A": A.T, "y": y.T, "r": y.T, "I": J}
    rest = attend(H, Head([("r", -1, "w")], [(1, "I")], [(1, "A")]))
    after = attend(rest, Head([("w", eta, "r")], [(1, "A")], [(1, "I")]))
    return verdict(
        "V = [wᵀ 0], K = [I 0], Q = Aᵀ leaves yᵀ − wᵀAᵀ in a row; V = this row, K = Aᵀ, Q = [I 0] adds η(yᵀA − wᵀAᵀA).",
        ("residual", rest["r"] == y.T - w.T @ A.T),
        ("step", after["w"] == (w.T + eta * (y.T @ A - w.T @ A.T @ A)) @ J),
    )


def refute_rows_of_newton() -> Verdict:
    A = letter("A")
    H: Stream = {"X": letter("X"), "A": A.T, "I": ONE}
    after = attend(H, Head([("X", 1, "X")], [(1, "A"), (1, "I")], [(-1, "X"), (1, "I")]))
    return refuted(
        "the rows X, Aᵀ, I are 3d, and one head on them makes a Newton step",
        len(H) == 3,
        not differing(after, {"X": newton_step(A), "A": A.T, "I": ONE}),
    )


STATEMENTS: tuple[Statement, ...] = (
    Statement(
        SOURCE, "Remark 4.5", "the gradient step",
        "Gradient descent is wᵀ ← wᵀ − η(yᵀA − wᵀAᵀA).",
        COUNTER, "false as printed", "The sign is +: wᵀ ← wᵀ + η(yᵀA − wᵀAᵀA).", refute_descent_sign, check_descent,
    ),
    Statement(
        SOURCE, "Remark 4.5, gradient descent", "memory",
        "Gradient descent does not store AᵀA.",
        IDENTITY, "holds", "A step is two layers, with one row for y − Aw and d rows for [I 0].", check_descent_layers,
    ),
    Statement(
        SOURCE, "Remark 4.5, Newton", "memory",
        "Newton's iteration needs width 4d for what it stores.",
        IDENTITY, "false as printed", "4d is what the construction takes; 3d rows are enough.",
        refute_rows_of_newton, check_one_layer,
    ),
)  # fmt: skip
