"""Data at the edges: rank-deficient, fewer rows than columns, one column, zeros, huge and tiny numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headwright as hw


@hw.program
def gram_map(A: hw.Matrix["n", "d"], y: hw.Vector["n"], q: hw.Vector["d"]):
    S = A.T @ A
    w = A.T @ y
    return {"S": S, "w": w - S @ w, "p": q @ S @ w}


SHAPES = [(1, 1), (1, 4), (4, 1), (2, 5), (5, 2), (3, 3)]


@pytest.mark.parametrize(("n", "d"), SHAPES)
@pytest.mark.parametrize("kind", ["zeros", "rank one", "repeated rows", "one nonzero", "identity"])
def test_degenerate_integers_are_exact_bit_for_bit(n: int, d: int, kind: str) -> None:
    A = {
        "zeros": np.zeros((n, d)),
        "rank one": np.outer(np.arange(1, n + 1), np.arange(d) - 1),
        "repeated rows": np.tile(np.arange(d), (n, 1)),
        "one nonzero": np.eye(n, d)[:, ::-1] * (np.arange(n)[:, None] == 0),
        "identity": np.eye(n, d),
    }[kind].astype(float)
    y, q = np.arange(n) - 1.0, 2.0 - np.arange(d)
    model = hw.compile(gram_map, dims={"n": n, "d": d})
    want = gram_map.reference(A=A, y=y, q=q)
    for got in (model(A=A, y=y, q=q), model.run({"A": A, "y": y, "q": q}, dense=True)):
        assert all(np.array_equal(got[name], want[name]) for name in want)


@hw.program
def linear_map(A: hw.Matrix["n", "d"], B: hw.Matrix["n", "d"], q: hw.Vector["d"]):
    return {"w": 2 * (A @ q) - B @ q, "sum": A - 3 * B}


MODELS = {shape: hw.compile(linear_map, dims={"n": shape[0], "d": shape[1]}) for shape in SHAPES}


@given(st.sampled_from([1e150, 1e-150, 2.0**500, 2.0**-500]), st.integers(0, 2**31), st.sampled_from(SHAPES))
def test_huge_and_tiny_data_keep_their_relative_accuracy(scale: float, seed: int, shape: tuple[int, int]) -> None:
    """Products of two such numbers are in range (1e±300). The sum of k terms errs by at most k u Σ|terms|."""
    rng, (n, d) = np.random.default_rng(seed), shape
    A, B, q = rng.normal(size=(n, d)) * scale, rng.normal(size=(n, d)) * scale, rng.normal(size=d) * scale
    got, want = MODELS[shape](A=A, B=B, q=q), linear_map.reference(A=A, B=B, q=q)
    unit, terms = np.finfo(float).eps / 2, 2 * (d + 3)  # both sides round
    tiny = np.finfo(float).tiny
    assert (abs(got["sum"] - want["sum"]) <= 8 * unit * (abs(A) + 3 * abs(B))).all()
    assert (abs(got["w"] - want["w"]) <= 2 * terms * unit * (2 * abs(A) @ abs(q) + abs(B) @ abs(q)) + tiny).all()


def test_overflow_is_an_error_that_names_the_value_and_never_a_silent_infinity() -> None:
    model = hw.compile(gram_map, dims={"n": 3, "d": 2})
    A = np.full((3, 2), 1e200)
    with pytest.raises(hw.DivergenceError) as caught:
        model(A=A, y=np.ones(3), q=np.ones(2))
    assert "layer 1" in caught.value.what and caught.value.fix


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_columns_beyond_a_value_are_never_read(n: int, d: int, rng: np.random.Generator) -> None:
    """Rubbish in the padding of H_0 cannot occur; rubbish that layers leave behind must not reach an output."""
    model = hw.compile(gram_map, dims={"n": n, "d": d})
    A, y, q = rng.normal(size=(n, d)), rng.normal(size=n), rng.normal(size=d)
    H = model.encode(A=A, y=y, q=q)
    assert H.shape == (model.d_model, model.n_tokens)
    wider = np.concatenate([H, np.zeros((model.d_model, 3))], axis=1)
    for layer in model.layers:
        wider = wider + sum((h.W_V @ wider) @ (h.W_K @ wider).T @ (h.W_Q @ wider) for h in layer.heads)
    got, want = model.decode(wider[:, : model.n_tokens]), model(A=A, y=y, q=q)
    scale = max(1.0, *(abs(v).max() for v in map(np.asarray, want.values())))
    assert all(np.allclose(got[name], want[name], rtol=0, atol=1e-12 * scale) for name in want)
