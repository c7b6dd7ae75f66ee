"""The construction of Fu et al. (2023, Theorem 5.1 and appendix B) as checks: Proved, or Refuted with a counterexample.

Arguments with defaults are the hypotheses, or (`corrected`) whether the printed sentence or what is true instead is checked.
Arithmetic is exact. Identities that are polynomial in the prompt are checked on integer prompts, and `Proved` says so.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import sympy

from .ahn_model import Array, exact, identity, random_integers, zeros
from .certificate import Proved, Refuted, Unknown, Verdict
from .fu_model import (
    Head,
    Layer,
    block,
    doubled,
    forward,
    initial_layer,
    layer_forward,
    newton,
    newton_layer,
    paired_forward,
    short_network,
    short_prompt,
)
from .newton_proofs import verdict

#: `forward` or `paired_forward`.
Run: TypeAlias = Callable[[Array, list[Layer], int], Array]

#: Examples x_j in rows, S = XᵀX = [[6, 1], [1, 14]]; M_0 = αS with α far below 2/‖S‖².
X = exact([[1, 2], [-1, 3], [2, -1]])
Y = exact([3, -2, 5])
QUERY = exact([2, -3])
ALPHA = Fraction(1, 300)


def check_theorem_5_1(steps: int = 3, run_with: int | None = None, shared: bool = False) -> Verdict:
    """Theorem 5.1: weights exist with which at most k + 8 layers of O(d) rows predict x_testᵀ M_k Xᵀ y on every prompt.

    Ours have k + 3 layers and 4d + 4 rows, all of Definition B.1. The hypotheses: as many examples as the weights are made for
    (`run_with`: run with so many), and a query that is not in the rows of the x_j (`shared`: it is).
    Raises ValueError for steps below 0 or run_with below 1.
    """
    if steps < 0 or (run_with is not None and run_with < 1):
        raise ValueError(f"steps is {steps}, run_with is {run_with}: expected steps from 0 and examples from 1 on")
    for seed, (n, d) in enumerate(((3, 2), (2, 3), (5, 2), (4, 1))):
        count = run_with or n
        A, y, q = (exact(random_integers(seed + shift, *s)) for shift, s in ((10, (count, d)), (20, (count,)), (30, (d,))))
        A[0, 0], y[0], q[0] = 2, 3, 3
        layers = short_network(d, n, ALPHA, steps)
        found = forward(short_prompt(A, y, q, shared), layers, count)[-1, -1]
        meant = q @ newton(A.T @ A, ALPHA, steps) @ A.T @ y
        if len(layers) != steps + 3 or found != meant:
            return Refuted(f"{_made(n, count, d, shared)}, {steps} steps: prediction {_short(found)}, Newton's {_short(meant)}")
    if run_with is not None or shared:
        return Unknown("equal on all examples tried")
    return verdict(
        "by layers in symbols for d = n = 2 (any prompt, α and T, so any k), and k + 3 layers exactly on 4 integer prompts",
        *_layers_in_symbols(),
    )


def _layers_in_symbols() -> list[tuple[str, bool]]:
    """Every layer of the short network for d = n = 2: the first, one step from any T, and the last two."""
    A, y, q, T, alpha = _symbols("x", 2, 2), _symbols("y", 2), _symbols("q", 2), _symbols("t", 2, 2), sympy.Symbol("a")
    S, start = A.T @ A, short_prompt(A, y, q)
    first, step, *readout = short_network(2, 2, alpha, 1)

    def state(M: Array) -> Array:
        H = start.copy()
        H[:2] = M @ H[2:4]
        return H

    return [
        ("T_0 = αS", _zero(paired_forward(start, [first], 2) - state(alpha * S))),
        ("T' = 2T − T S Tᵀ", _zero(paired_forward(state(T), [step], 2) - state(2 * T - T @ S @ T.T))),
        ("x_testᵀ T Xᵀ y", _zero(paired_forward(state(T), readout, 2)[-1:, -1] - q @ T @ A.T @ y)),
    ]


def _made(n: int, count: int, d: int, shared: bool) -> str:
    made = f"weights for n = {n}, d = {d}" + (f", run with {count} examples" if count != n else "")
    return made + (", x_test in the rows of the x_j" if shared else "")


def check_relu_pair(corrected: bool = False) -> Verdict:
    """(21), (28): relu(z) + relu(−z) = z. It is |z|; with a minus sign it is z."""
    sign = -1 if corrected else 1
    for z in (1, -1):
        found = max(z, 0) + sign * max(-z, 0)
        if found != z:
            return Refuted(f"z = {z}: relu(z) + relu(−z) = {found}")
    return Proved("both sides are linear on z ≥ 0 and on z ≤ 0, and agree at z = 1 and z = −1")


def check_initial_layer(corrected: bool = False) -> Verdict:
    """(20) to (22): with V_1 = V_2 = nα diag(I, 0) the first layers leave αS x in every column. V_2 = −V_1 is needed."""

    def sides(A: Array, alpha: Any, run: Run) -> tuple[Array, Array]:
        found = run(doubled(A.T), [initial_layer(2, len(A), alpha, -1 if corrected else 1)], len(A))
        return found, np.vstack([alpha * A.T @ A @ A.T, A.T])

    in_symbols = sides(_symbols("x", 2, 2), sympy.Symbol("a"), paired_forward) if corrected else None
    return _decide(*sides(X, ALPHA, forward), "rows x_j of X = [[1, 2], [−1, 3], [2, −1]], α = 1/300: T_0 x", in_symbols)


def check_newton_layer(corrected: bool = False) -> Verdict:
    """(28): with V_1 = V_2 = diag(I, 0) a layer takes T x to (2T − T S Tᵀ) x. V_2 = −V_1 is needed."""

    def sides(A: Array, T: Array, run: Run) -> tuple[Array, Array]:
        found = run(np.vstack([T @ A.T, A.T]), [newton_layer(2, len(A), -1 if corrected else 1)], len(A))
        return found, np.vstack([(2 * T - T @ A.T @ A @ T.T) @ A.T, A.T])

    in_symbols = sides(_symbols("x", 2, 2), _symbols("t", 2, 2), paired_forward) if corrected else None
    return _decide(*sides(X, exact([[1, 2], [-1, 1]]), forward), "T = [[1, 2], [−1, 1]]: (2T − T S Tᵀ) x", in_symbols)


def check_iteration(steps: int = 4, corrected: bool = False) -> Verdict:
    """The first layers and k Newton layers together leave M_k x_j in the column of x_j; as printed they do not.

    Proved for all k by induction: the first layers, and a step from any T, in symbols.
    """
    sign = -1 if corrected else 1
    layers = (initial_layer(2, 3, ALPHA, sign), *(newton_layer(2, 3, sign),) * steps)
    found = forward(doubled(X.T), layers, 3)
    example = _decide(found, np.vstack([newton(X.T @ X, ALPHA, steps) @ X.T, X.T]), f"α = 1/300, {steps} steps: M_k x")
    if not corrected or not isinstance(example, Proved):
        return example
    parts = [("the first layers", check_initial_layer(True)), ("a step", check_newton_layer(True))]
    return verdict("by induction on k", *((what, isinstance(found, Proved)) for what, found in parts))


def check_any_number_of_examples(corrected: bool = False) -> Verdict:
    """One set of weights for every n. V and Q hold n: weights for n = 20 fail with 15 examples, those for 15 do not."""
    A = exact(random_integers(5, 15, 2))
    made_for = 15 if corrected else 20
    layers = (initial_layer(2, made_for, ALPHA, -1), newton_layer(2, made_for, -1))
    found = forward(doubled(A.T), layers, 15)
    return _decide(found, np.vstack([newton(A.T @ A, ALPHA, 1) @ A.T, A.T]), f"weights for n = {made_for}, 15 examples: M_1 x")


def check_query_among_examples(corrected: bool = False) -> Verdict:
    """x_test in the rows of the x_j leaves the iteration as it is. S becomes S + x_test x_testᵀ; in its own rows it stays S.

    In the network of `check_theorem_5_1` such a query changes M_k to that of S + x_test x_testᵀ, which is checked too.
    """
    H = short_prompt(X, Y, QUERY, shared=not corrected)
    found = forward(H, short_network(2, 3, ALPHA, 3), 3)[-1, -1]
    S = X.T @ X
    meant, spoiled = (QUERY @ newton(G, ALPHA, 3) @ X.T @ Y for G in (S, S + np.outer(QUERY, QUERY)))
    if found == meant:
        return Proved("exact on an integer prompt with d = 2, n = 3 and 3 steps")
    if found != spoiled:
        return Unknown(f"the prediction {_short(found)} is of neither matrix")
    return Refuted(f"x_test = (2, −3): {_short(found)} instead of {_short(meant)}; it is M_3 of S + x_test x_testᵀ, exactly")


def check_sum_over_columns(corrected: bool = False) -> Verdict:
    """Definition B.1 sums over the columns 1 … n. There are 2n + 1 of them, x_j and y_j in turn: all must be keys."""
    found = forward(short_prompt(X, Y, QUERY), short_network(2, 3, ALPHA, 2), 3, None if corrected else 3)[-1, -1]
    meant = QUERY @ newton(X.T @ X, ALPHA, 2) @ X.T @ Y
    text = f"n = 3: the first 3 of 7 columns as keys give {_short(found)}, Newton's prediction is {_short(meant)}"
    return Proved("exact on an integer prompt with d = 2, n = 3 and 2 steps") if found == meant else Refuted(text)


def check_causal() -> Verdict:
    """Remark B.6: the same layers with a causal mask. Token t then has S_t = Σ_{j ≤ t} x_jx_jᵀ, but not the iterate M_1(S_t).

    Exactly, one step leaves 2αS_tx_t − α²Σ_{j ≤ t} S_jx_jx_jᵀS_jx_t, where M_1(S_t)x_t has S_tS_tS_t in place of the sum.
    """
    H = doubled(X.T)
    for layer in (initial_layer(2, 3, ALPHA, -1), newton_layer(2, 3, -1)):
        H = layer_forward(H, layer, 3, causal=True)
    partial_sums = [X[: t + 1].T @ X[: t + 1] for t in range(3)]
    made, meant = [], []
    for t, S in enumerate(partial_sums):
        mixed = sum(np.outer(R @ x, R @ x) for R, x in zip(partial_sums[: t + 1], X, strict=False))
        made.append((2 * ALPHA * S - ALPHA**2 * mixed) @ X[t])
        meant.append(newton(S, ALPHA, 1) @ X[t])
    if (H[:2] != np.array(made, dtype=object).T).any():
        return Proved("the layers do something else than was computed here")
    first = next(t for t in range(3) if (made[t] != meant[t]).any())
    return Unknown(
        "a sketch, whose claim we could not make precise. What is certain: the same layers with a causal mask leave "
        f"2αS_tx_t − α²Σ_{{j ≤ t}} S_jx_jx_jᵀS_jx_t at token t after one step, which is M_1(S_t)x_t at the first "
        f"token only (here "
        f"token {first + 1} has {_short(made[first][0])} instead of {_short(meant[first][0])})"
    )


def check_lemma_b_3(with_one: bool = True) -> Verdict:
    """Lemma B.3: a layer of two heads writes the sum of a row over all columns into every column. It needs a row of ones."""
    one, value = block(1, 3, 0, 1, identity(1)), block(3, 3, 2, 0, 5 * identity(1))

    def sides(row: Array, run: Run) -> tuple[Array, Array]:
        H = zeros(3, 5)
        H[0], H[1] = row, int(with_one)
        found = run(H, [Layer((Head(one, one, value), Head(-one, one, value)))], 5)
        return found, np.vstack([H[:2], [[row.sum()] * 5]])

    in_symbols = sides(_symbols("h", 5), paired_forward) if with_one else None
    return _decide(*sides(exact([4, -1, 2, 7, 3]), forward), "the row (4, −1, 2, 7, 3) and no row of ones: its sum", in_symbols)


def _symbols(name: str, *shape: int) -> Array:
    """Independent symbols, dtype object."""
    found: Array = np.array(sympy.symbols(f"{name}:{int(np.prod(shape))}"), dtype=object).reshape(shape)
    return found


def _zero(difference: Array) -> bool:
    return all(sympy.expand(entry) == 0 for entry in np.ravel(difference))


def _decide(found: Array, meant: Array, what: str, in_symbols: tuple[Array, Array] | None = None) -> Verdict:
    """Refuted where the exact example differs, naming an entry; else Proved, in symbols too where both sides are given."""
    where = np.argwhere(found != meant)
    if len(where):
        at = tuple(where[0])
        return Refuted(f"{what} has {_short(found[at])} instead of {_short(meant[at])} in column {at[1] + 1}")
    if in_symbols is None:
        return Proved("exact on an integer prompt")
    sizes = "two features and examples" if len(in_symbols[0]) == 4 else "five columns"
    how = f"an identity in symbols for {sizes}, and exact on an integer prompt"
    return verdict(how, ("the identity in symbols", _zero(in_symbols[0] - in_symbols[1])))


def _short(value: Any) -> str:
    """A short fraction as it is, a long one as a decimal."""
    text = str(value)
    return text if len(text) < 24 else f"{float(value):.6g}"
