"""The paper's own layouts as explicit dense weights, corrected where the printed ones are wrong, beside ours.

Giannou et al. 2024 (arXiv 2403.03183v1): Lemma 4.1, Theorem 4.2 and Remarks 4.3, 4.4, appendix A.
"""

from __future__ import annotations

import numpy as np
import pytest

import headwright as hw


def transformer(layers, H):
    """Eq. (3.1a): H ← H + Σ W_V H (W_K H)ᵀ (W_Q H)."""
    for heads in layers:
        H = H + sum((W_V @ H) @ (W_K @ H).T @ (W_Q @ H) for W_V, W_K, W_Q in heads)
    return H


def weights(D, *blocks):
    """The D × D matrix with c · I of the given size at (row, col), for (row, col, size, c) in blocks."""
    W = np.zeros((D, D))
    for row, col, size, c in blocks:
        W[row + np.arange(size), col + np.arange(size)] += c
    return W


def relative(got, want):
    return abs(got - want).max() / abs(want).max()


# -- Lemma 4.1: rows X, A, 0, I ------------------------------------------------------------------------------------


def lemma_4_1(d):
    """As printed in the proof: two layers, one head then two, width 4d. Z = A X first, then X ← 2X − X Z, Z ← 0."""
    D, X, A, Z, I = 4 * d, 0, d, 2 * d, 3 * d
    first = [(weights(D, (Z, A, d, 1)), weights(D, (0, I, d, 1)), weights(D, (0, X, d, 1)))]
    second = [
        (weights(D, (X, X, d, 1)), weights(D, (0, I, d, 1)), weights(D, (0, Z, d, -1))),
        (weights(D, (X, X, d, 1), (Z, Z, d, -1)), weights(D, (0, I, d, 1)), weights(D, (0, I, d, 1))),
    ]
    return [first, second]


def lemma_4_1_symmetric(d):
    """The one-layer version of appendix A.2: V = −X, K = second block, Q = X, and X copied once more. Width 3d."""
    D, X, S, I = 3 * d, 0, d, 2 * d
    return [
        [
            (weights(D, (0, X, d, -1)), weights(D, (0, S, d, 1)), weights(D, (0, X, d, 1))),
            (weights(D, (0, X, d, 1)), weights(D, (0, I, d, 1)), weights(D, (0, I, d, 1))),
        ]
    ]


@pytest.mark.parametrize("d", [1, 2, 5])
def test_lemma_4_1_with_a_stored_does_one_newton_step(d, rng) -> None:
    A, X = (np.round(8 * rng.normal(size=(d, d))) for _ in range(2))
    H = np.vstack([X, A, np.zeros((d, d)), np.eye(d)])
    out = transformer(lemma_4_1(d), H)
    assert np.array_equal(out, np.vstack([2 * X - X @ A @ X, A, np.zeros((d, d)), np.eye(d)]))


def test_lemma_4_1_as_stated_with_the_transpose_stored_computes_something_else(rng) -> None:
    A, X = (np.round(8 * rng.normal(size=(3, 3))) for _ in range(2))
    out = transformer(lemma_4_1(3), np.vstack([X, A.T, np.zeros((3, 3)), np.eye(3)]))[:3]
    assert np.array_equal(out, 2 * X - X @ A.T @ X)
    assert relative(out, 2 * X - X @ A @ X) > 0.1


def test_the_one_layer_version_works_for_every_matrix_once_the_transpose_is_stored(rng) -> None:
    A, X = (np.round(8 * rng.normal(size=(4, 4))) for _ in range(2))
    layers = lemma_4_1_symmetric(4)
    assert np.array_equal(transformer(layers, np.vstack([X, A.T, np.eye(4)]))[:4], 2 * X - X @ A @ X)
    S = A + A.T
    assert np.array_equal(transformer(layers, np.vstack([X, S, np.eye(4)]))[:4], 2 * X - X @ S @ X)
    assert relative(transformer(layers, np.vstack([X, A, np.eye(4)]))[:4], 2 * X - X @ A @ X) > 0.1


# -- Theorem 4.2: rows B1, B2, B3 ([I 0] each), Aᵀ, a_test, y, o ---------------------------------------------------


def theorem_4_2(d, T, eps, mu=0.0, *, printed=()):
    """3 + T layers, two heads, width 4d + 3. `printed` names slips of the paper to put back in."""
    D = 4 * d + 3
    B1, B2, B3, A, at, y, o = 0, d, 2 * d, 3 * d, 4 * d, 4 * d + 1, 4 * d + 2
    row = lambda to, source, c=1: weights(D, (to, source, 1, c))  # noqa: E731
    block = lambda source, c=1: weights(D, (0, source, d, c))  # noqa: E731
    start = [
        (weights(D, (B1, A, d, eps), (B2, A, d, 1)), block(A), block(B1)),
        (weights(D, (B1, B1, d, eps * mu - 1), (B2, B1, d, mu - 1)), block(B1), block(B1)),
    ]
    newton = [
        (block(B1, -1), block(B1 if "newton: W_K reads block 1" in printed else B2), block(B1)),
        (block(B1), block(B3), block(B3)),
    ]
    if "first read-out: W_K and W_Q read block 3" in printed:
        first = [(row(o, y), block(B3), block(B3))]
    else:
        first = [(row(o, y), block(A), block(B1))]
    source = y if "second read-out: W_V reads the labels" in printed else o
    e_1 = B1 if "second read-out: e_1 from block 1" in printed else B3
    restore = () if "second read-out: blocks 1 and 2 are not restored" in printed else (
        (B1, B3, d, 1), (B1, B1, d, -1), (B2, B3, d, 1), (B2, B2, d, -1),
    )  # fmt: skip
    last = [
        (row(o, source), row(0, at), row(0, e_1)),
        (weights(D, (o, source, 1, -1), *restore), block(B3), block(B3)),
    ]
    return [start, *[newton] * T, first, last]


def stream(A, y, q):
    n, d = A.shape
    tokens = max(n, d)
    pad = lambda M: np.hstack([np.atleast_2d(M), np.zeros((np.atleast_2d(M).shape[0], tokens - np.atleast_2d(M).shape[1]))])  # noqa: E731
    return np.vstack([pad(np.eye(d))] * 3 + [pad(A.T), pad(q), pad(y), np.zeros((1, tokens))])


def newton_prediction(A, y, q, T, eps, mu=0.0):
    S = A.T @ A + mu * np.eye(A.shape[1])
    X = eps * S
    for _ in range(T):
        X = 2 * X - X @ S @ X
    return q @ X @ A.T @ y


@pytest.fixture
def regression(matrix, rng):
    return lambda n, d: (matrix(n, d), rng.normal(size=n), rng.normal(size=d))


@pytest.mark.parametrize(("n", "d", "T"), [(6, 3, 0), (6, 3, 1), (6, 3, 6), (4, 4, 3), (20, 5, 8), (3, 5, 5)])
def test_theorem_4_2_corrected_predicts_and_restores_the_whole_input(n, d, T, regression) -> None:
    A, y, q = regression(n, d)
    layers, H = theorem_4_2(d, T, eps=0.5), stream(A, y, q)
    assert len(layers) == 3 + T and max(map(len, layers)) == 2 and len(H) == 4 * d + 3
    out = transformer(layers, H)
    scale = np.linalg.norm(y) * np.linalg.norm(q)
    assert abs(out[-1, 0] - newton_prediction(A, y, q, T, 0.5)) <= 1e-12 * scale
    H[-1, 0] = out[-1, 0]
    # restoring B ← B + (I − B) rounds once at most: |B| ≤ ‖X‖ ≤ 4, so the error is below 8 u
    assert abs(out - H).max() <= 8 * np.finfo(float).eps * max(1.0, scale)


def test_theorem_4_2_corrected_reaches_least_squares(regression) -> None:
    A, y, q = regression(20, 4)
    got = transformer(theorem_4_2(4, 12, eps=0.9), stream(A, y, q))[-1, 0]
    assert abs(got - q @ np.linalg.lstsq(A, y, rcond=None)[0]) <= 1e-12 * np.linalg.norm(y) * np.linalg.norm(q)


SLIPS = [
    "newton: W_K reads block 1",
    "first read-out: W_K and W_Q read block 3",
    "second read-out: W_V reads the labels",
    "second read-out: e_1 from block 1",
]


@pytest.mark.parametrize("slip", SLIPS)
def test_each_printed_slip_gives_a_wrong_prediction(slip, regression) -> None:
    A, y, q = regression(8, 3)
    want = newton_prediction(A, y, q, 6, 0.5)
    good, bad = (transformer(theorem_4_2(3, 6, 0.5, printed=p), stream(A, y, q))[-1, 0] for p in ((), (slip,)))
    assert abs(good - want) <= 1e-12 * abs(want)
    assert abs(bad - want) > 0.01 * abs(want)


def test_the_printed_network_as_a_whole_is_wrong(regression) -> None:
    A, y, q = regression(8, 3)
    want = newton_prediction(A, y, q, 6, 0.5)
    assert abs(transformer(theorem_4_2(3, 6, 0.5, printed=SLIPS), stream(A, y, q))[-1, 0] - want) > 0.01 * abs(want)


def test_the_printed_last_layer_leaves_blocks_one_and_two_changed(regression) -> None:
    A, y, q = regression(8, 3)
    H = stream(A, y, q)
    missing = "second read-out: blocks 1 and 2 are not restored"
    out = transformer(theorem_4_2(3, 4, 0.5, printed=(missing,)), H)
    assert abs(out[-1, 0] - newton_prediction(A, y, q, 4, 0.5)) <= 1e-12 * abs(out[-1, 0])
    assert abs(out[:6] - H[:6]).max() > 0.01


def test_the_answer_is_the_first_entry_of_the_last_row_not_the_last(regression) -> None:
    A, y, q = regression(8, 3)
    out = transformer(theorem_4_2(3, 4, 0.5), stream(A, y, q))
    assert abs(out[-1, -1]) <= 1e-14 * np.linalg.norm(y) < abs(out[-1, 0])


def test_remark_4_3_reads_out_in_the_other_order_too(regression) -> None:
    """A X_T a_test into the last row, then the product with y: three more row moves, the same answer."""
    A, y, q = regression(8, 3)
    d, D = 3, 15
    B1, B3, At, at, labels, o = 0, 6, 9, 12, 13, 14
    layers = theorem_4_2(d, 5, 0.5)[:-2]
    row = lambda to, source, c=1: weights(D, (to, source, 1, c))  # noqa: E731
    layers.append([(row(o, at), weights(D, (0, B1, d, 1)), weights(D, (0, At, d, 1)))])  # a_test X Aᵀ, over the n tokens
    layers.append(
        [
            (row(o, o), row(0, labels), row(0, B3)),  # Σ_i (a_test X Aᵀ)_i y_i at token 1
            (row(o, o, -1), weights(D, (0, B3, d, 1)), weights(D, (0, B3, d, 1))),  # clears the first d tokens
        ]
    )
    assert len(layers) == 3 + 5
    out = transformer(layers, stream(A, y, q))
    want = newton_prediction(A, y, q, 5, 0.5)
    assert abs(out[o, 0] - want) <= 1e-12 * np.linalg.norm(y) * np.linalg.norm(q)


@pytest.mark.parametrize("mu", [0.1, 0.5])
def test_remark_4_4_ridge_changes_two_weights_only(mu, regression) -> None:
    A, y, q = regression(9, 4)
    plain, ridge = theorem_4_2(4, 8, 0.3), theorem_4_2(4, 8, 0.3, mu)
    out = transformer(ridge, stream(A, y, q))[-1, 0]
    scale = np.linalg.norm(y) * np.linalg.norm(q)
    assert abs(out - newton_prediction(A, y, q, 8, 0.3, mu)) <= 1e-12 * scale
    converged = transformer(theorem_4_2(4, 14, 0.3, mu), stream(A, y, q))[-1, 0]
    assert abs(converged - q @ np.linalg.solve(A.T @ A + mu * np.eye(4), A.T @ y)) <= 1e-12 * scale
    changed = [
        (i, j, m)
        for i, (a, b) in enumerate(zip(plain, ridge, strict=True))
        for j, (s, t) in enumerate(zip(a, b, strict=True))
        for m in range(3)
        if not np.array_equal(s[m], t[m])
    ]
    assert changed == [(0, 1, 0)]


def test_epsilon_at_the_bound_no_longer_converges(regression) -> None:
    A, y, q = regression(12, 3)
    limit = 2 / np.linalg.norm(A, 2) ** 4
    want = q @ np.linalg.lstsq(A, y, rcond=None)[0]
    below, at, above = (transformer(theorem_4_2(3, 14, f * limit), stream(A, y, q))[-1, 0] for f in (0.9, 1.0, 1.0005))
    assert abs(below - want) < 1e-10 * abs(want)
    assert abs(at - want) > 1e-3 * abs(want)
    assert abs(above - want) > 10 * abs(want)


# -- ours beside the paper's -----------------------------------------------------------------------------------------


def figures(layers, D):
    return len(layers), max(map(len, layers)), D


def comparison():
    for d in (1, 2, 8, 32):
        ours = hw.constructions.get("newton_inverse").compile(d=d, steps=1, start="input")
        yield f"Lemma 4.1, d={d}", ours, figures(lemma_4_1(d), 4 * d)
        yield f"Lemma 4.1 symmetric, d={d}", ours, figures(lemma_4_1_symmetric(d), 3 * d)
    for n, d in ((2, 2), (7, 3), (3, 5), (32, 8), (5, 1)):
        for T in (1, 2, 5, 10):
            for init in ("gram", "identity"):
                paper = figures(theorem_4_2(d, T, 0.5), 4 * d + 3)
                ours = hw.constructions.get("least_squares").compile(n=n, d=d, steps=T, alpha=0.5, init=init)
                yield f"Theorem 4.2, n={n} d={d} T={T} {init}", ours, paper
                ours = hw.constructions.get("ridge").compile(n=n, d=d, steps=T, alpha=0.5, mu=0.5, init=init)
                yield f"Remark 4.4, n={n} d={d} T={T} {init}", ours, paper


def test_ours_equal_or_beat_the_papers_layouts_in_layers_heads_and_rows(capsys) -> None:
    lines = [f"{'layers / heads / rows':<42} {'ours':>12} {'paper':>12}"]
    worse = []
    for label, model, paper in comparison():
        ours = (model.depth, model.max_heads, model.d_model)
        lines.append(f"{label:<42} {' / '.join(map(str, ours)):>12} {' / '.join(map(str, paper)):>12}")
        worse += [label] if any(a > b for a, b in zip(ours, paper, strict=True)) else []
    with capsys.disabled():
        print("\n" + "\n".join(lines))
    assert not worse, f"the paper's layout is smaller for: {worse}"
