"""Examples and queries in the same rows, on different tokens."""

import numpy as np
import pytest

import headwright as hw


@hw.program
def steps(A: hw.Matrix["n", "d"], y: hw.Vector["n"], Q: hw.Matrix["m", "d"], *, rates):
    n = hw.dim("n")
    Z = hw.vstack(A, Q)
    r = hw.vstack(y, hw.zeros("m"))
    p = rates[0] * Z @ A.T @ r[:n]
    r = r - rates[0] * Z @ A.T @ r[:n]
    for rate in rates[1:]:
        p = p + rate * Z @ A.T @ r[:n]
        r = r - rate * Z @ A.T @ r[:n]
    return p[n:]


def test_gradient_steps_for_all_queries_take_one_head_and_share_rows() -> None:
    model = hw.compile(steps, dims={"n": 7, "d": 3, "m": 4}, rates=(0.25, 0.5, 0.125))
    assert (model.depth, model.max_heads, model.d_model, model.n_tokens) == (3, 1, 2 * 3 + 2, 11)
    assert hw.verify(model).all_proved
    rng = np.random.default_rng(0)
    A, y, Q = rng.normal(size=(7, 3)) / 3, rng.normal(size=7), rng.normal(size=(4, 3))
    w = np.zeros(3)
    for rate in (0.25, 0.5, 0.125):
        w = w + rate * A.T @ (y - A @ w)
    for got in (model(A=A, y=y, Q=Q), model.run({"A": A, "y": y, "Q": Q}, dense=True), model.reference(A=A, y=y, Q=Q)):
        assert np.allclose(got, Q @ w, rtol=1e-13, atol=1e-13)


def test_a_vector_is_one_more_row() -> None:
    @hw.program
    def one(A: hw.Matrix["n", "d"], y: hw.Vector["n"], q: hw.Vector["d"]):
        Z = hw.vstack(A, q)
        return (Z @ A.T @ y)[hw.dim("n")]

    model = hw.compile(one, dims={"n": 4, "d": 3})
    rng = np.random.default_rng(1)
    A, y, q = rng.normal(size=(4, 3)), rng.normal(size=4), rng.normal(size=3)
    assert model(A=A, y=y, q=q) == pytest.approx(q @ A.T @ y)
    assert model.reference(A=A, y=y, q=q) == pytest.approx(q @ A.T @ y)
    assert model.exact.run(A=A.round().astype(int), y=y.round().astype(int), q=q.round().astype(int)) == round(
        float(q.round() @ A.round().T @ y.round())
    )


def test_only_inputs_are_stacked() -> None:
    @hw.program
    def computed(A: hw.Matrix["n", "d"], Q: hw.Matrix["m", "d"]):
        return hw.vstack(A @ A.T @ A, Q)

    with pytest.raises(hw.TraceError, match="placing, not computing"):
        hw.compile(computed, dims={"n": 3, "d": 2, "m": 2})


def test_queries_cannot_be_summed_over() -> None:
    @hw.program
    def mixed(A: hw.Matrix["n", "d"], Q: hw.Matrix["m", "d"]):
        Z = hw.vstack(A, Q)
        return Z[hw.dim("n") :].T @ Q

    with pytest.raises(hw.ArchitectureError, match="cannot compute with"):
        hw.compile(mixed, dims={"n": 3, "d": 2, "m": 2})
