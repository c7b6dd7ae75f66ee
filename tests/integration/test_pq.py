"""P and Q of Ahn et al., and K, Q, V and P of von Oswald et al., in their formulas written afresh."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

import headwright as hw

N, D, M = 6, 3, 2
SYMMETRIC = np.array([[2, 1, 0], [1, 3, 1], [0, 1, 2]])
ANY = np.array([[1, 2, 0], [0, 1, -1], [3, 0, 1]])
CASES = {
    "gradient_descent": {"steps": 3, "rate": (Fraction(1, 2), Fraction(1, 3), Fraction(1, 5))},
    "preconditioned_gradient_descent": {"preconditioners": [-SYMMETRIC, Fraction(-1, 2), -2 * SYMMETRIC]},
    "optimal_single_layer": {"sigma": SYMMETRIC},
    "gd_plus_plus": {"a": (Fraction(-1, 2), -1, Fraction(-1, 4)), "b": (Fraction(1, 3), Fraction(1, 2)), "sigma": SYMMETRIC},
    "chebyshev": {"steps": 3, "spectrum": (Fraction(1, 1000), 1)},
}


def model_of(name: str, **changes: object) -> hw.Compiled:
    return hw.constructions.get(name).compile(n=N, d=D, m=M, **{**CASES[name], **changes})


def prompt(rng: np.random.Generator, exactly: bool = False) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Z_0 of Ahn et al.: a column for every example (x, y) and every query (x, 0)."""
    A, y, Q = rng.integers(-3, 4, (N, D)), rng.integers(-3, 4, N), rng.integers(-3, 4, (M, D))
    Z = np.vstack([np.vstack([A, Q]).T, np.append(y, np.zeros(M, int))]).astype(float)
    if exactly:
        return np.vectorize(Fraction, otypes=[object])(Z), {k: v.astype(object) for k, v in {"A": A, "y": y, "Q": Q}.items()}
    return Z / 16, {"A": A / 16, "y": y / 16, "Q": Q / 16}  # eigenvalues of AᵀA below 1


def ahn(pairs, Z):
    """Eq. (3) and (4)."""
    keys = np.diag([1] * N + [0] * M)
    for P, Q in pairs:
        Z = (
            Z + P.dot(Z).dot(keys).dot(Z.T.dot(Q).dot(Z)) / Fraction(N)
            if Z.dtype == object
            else Z + P @ Z @ keys @ (Z.T @ Q @ Z) / N
        )
    return Z


@pytest.mark.parametrize("name", CASES)
def test_the_prediction_is_that_of_the_papers_formula(name: str, rng) -> None:
    model = model_of(name)
    for _ in range(3):
        Z, inputs = prompt(rng, exactly=True)
        exactly = model.exact.run(**inputs)["prediction"]
        assert (-ahn(hw.to_pq(model, exact=True), Z)[D, N:] == exactly).all()
        Z, inputs = prompt(rng)
        found = -ahn(hw.to_pq(model), Z)[D, N:]
        assert abs(found - model(**inputs)["prediction"]).max() <= 1e-13 * max(1, abs(found).max())


def test_the_whole_stream_is_that_of_the_paper_in_every_layer(rng) -> None:
    model, (Z, inputs) = model_of("gd_plus_plus"), prompt(rng)
    H, rows = model.encode(**inputs), list(model.rows[0].values())
    assert sorted(len(r) for r in rows) == [1, D] and sorted(H.ravel()) == sorted(Z.ravel())
    for index, layer in enumerate(model.layers):
        for head in layer.heads:
            H = H + model.attention_scale * (head.W_V @ H * model.key_mask) @ (head.W_K @ H).T @ (head.W_Q @ H)
        expected = ahn(hw.to_pq(model)[: index + 1], Z)
        assert np.allclose(np.sort(H.ravel()), np.sort(expected.ravel()), rtol=1e-12, atol=1e-12)


def test_p_and_q_have_the_entries_of_lemma_2_and_theorem_5() -> None:
    for (P, Q), A in zip(
        hw.to_pq(model_of("preconditioned_gradient_descent"), exact=True),
        (-SYMMETRIC, -Fraction(1, 2) * np.eye(D, dtype=int), -2 * SYMMETRIC),
        strict=True,
    ):
        assert (np.diag([0] * D + [1]) == P).all() and (Q[:D, :D] == A).all() and not Q[D].any() and not Q[:, D].any()
    inverse = np.array([[5, -2, 1], [-2, 4, -2], [1, -2, 5]], dtype=object) * Fraction(1, 8)
    assert (inverse.dot(SYMMETRIC) == np.eye(D)).all()
    pairs = hw.to_pq(model_of("gd_plus_plus"), exact=True)
    for (P, Q), a, b in zip(pairs, CASES["gd_plus_plus"]["a"], (Fraction(1, 3), Fraction(1, 2), 0), strict=True):
        assert (np.diag([b] * D + [1]) == P).all() and (Q[:D, :D] == a * inverse).all()


def test_the_published_code_stores_q_transposed(rng) -> None:
    """It has tokens as rows and computes z_iᵀ Q z_j, so that a preconditioner that is not symmetric acts as it stands."""
    with pytest.warns(hw.ConventionWarning, match="transpose"):
        model = model_of("preconditioned_gradient_descent", preconditioners=[-ANY, -SYMMETRIC])
    Z, inputs = prompt(rng)
    rows, keys = Z.T, np.diag([1.0] * N + [0.0] * M)
    wrong = rows
    for (P, code), (_, paper) in zip(hw.to_pq(model, transposed=True), hw.to_pq(model), strict=True):
        assert np.array_equal(code, paper.T)
        attention, values = np.einsum("Ni,ij,Mj->NM", rows, code, rows), np.einsum("ij,Nj->Ni", P, rows)
        other = np.einsum("Ni,ij,Mj->NM", wrong, paper, wrong), np.einsum("ij,Nj->Ni", P, wrong)
        rows = rows + np.einsum("NM,ML,Li->Ni", attention, keys, values) / N
        wrong = wrong + np.einsum("NM,ML,Li->Ni", other[0], keys, other[1]) / N
    predictions = model(**inputs)["prediction"]
    assert np.allclose(-rows[N:, D], predictions, rtol=1e-12)
    assert abs(-wrong[N:, D] - predictions).max() > 0.1 * abs(predictions).max()


@pytest.mark.parametrize("transposed", [False, True])
def test_there_and_back(transposed: bool, rng) -> None:
    """Also for pairs that no construction has, and for batches."""
    model, (Z, inputs) = model_of("gd_plus_plus"), prompt(rng)
    back = hw.from_pq(hw.to_pq(model, transposed=transposed), N, transposed=transposed)
    with torch.no_grad():
        found = -back(torch.tensor(np.stack([Z, 2 * Z])))[:, D, N:].numpy()
    assert np.allclose(found[0], model(**inputs)["prediction"], rtol=1e-12)
    dense = [(rng.normal(size=(D + 1, D + 1)) / 3, rng.normal(size=(D + 1, D + 1)) / 3) for _ in range(2)]
    given = [(P, Q.T) for P, Q in dense] if transposed else dense
    with torch.no_grad():
        assert np.allclose(hw.from_pq(given, N, transposed=transposed)(torch.tensor(Z)).numpy(), ahn(dense, Z), rtol=1e-12)


@pytest.mark.parametrize(("name", "rates"), [("gradient_descent", (1 / 2, 1 / 3, 1 / 5)), ("chebyshev", None)])
def test_von_oswalds_weights_in_their_formula(name: str, rates, rng) -> None:
    model, (Z, inputs) = model_of(name), prompt(rng)
    layers = hw.to_von_oswald(model)
    for index, layer in enumerate(layers):
        assert np.array_equal(layer.K, np.diag([1] * D + [0])) and np.array_equal(layer.Q, layer.K)
        assert np.array_equal(layer.V, np.diag([0] * D + [-1])) and np.count_nonzero(layer.P) == 1
        assert rates is None or layer.P[D, D] == pytest.approx(rates[index] / N, rel=1e-15)
    tokens = Z.T.copy()
    for K, Q, V, P in layers:
        update = [sum(P @ V @ e * ((K @ e) @ (Q @ t)) for e in tokens[:N]) for t in tokens]
        tokens = tokens + np.array(update)
    assert np.allclose(-tokens[N:, D], model(**inputs)["prediction"], rtol=1e-12)


def test_rows_may_stand_in_another_order(rng) -> None:
    """A program whose labels come first, with names of its own."""

    @hw.program
    def step(t: hw.Vector["n"], queries: hw.Matrix["m", "d"], X: hw.Matrix["n", "d"]):
        r, Z = hw.vstack(t, hw.zeros("m")), hw.vstack(X, queries)
        for _ in range(2):
            r = r - Z @ (Z[: hw.dim("n")].T @ r[: hw.dim("n")])
        return -r[hw.dim("n") :]

    model = hw.compile(step, dims={"n": N, "d": D, "m": M}, arch=hw.MASKED_ATTENTION)
    Z, inputs = prompt(rng)
    found = -ahn(hw.to_pq(model), Z)[D, N:]
    assert np.allclose(found, model(t=inputs["y"], queries=inputs["Q"], X=inputs["A"]), rtol=1e-12)
    assert [Q[0, 0] for _, Q in hw.to_pq(model, exact=True)] == [-N, -N]


OTHERS = {
    "every token is a key": lambda: model_of("gradient_descent", arch=hw.LINEAR),
    "relu: expected linear": lambda: hw.constructions.get("newton_relu_attention").compile(n=4, d=2, m=1, steps=1, alpha=0.1),
    "feed-forward units": lambda: model_of("gradient_descent", momentum=Fraction(1, 2)),
    "rows is not Z": lambda: hw.constructions.get("neumann").compile(n=4, d=2, m=1, steps=4, alpha=Fraction(1, 9)),
    "scale 1: expected 1/6": lambda: model_of("gradient_descent", arch=hw.Architecture("masked, scale 1", key_mask="n")),
}


@pytest.mark.parametrize("reason", OTHERS)
def test_other_models_are_refused_by_what_differs(reason: str) -> None:
    model = OTHERS[reason]()
    for convert in (hw.to_pq, hw.to_von_oswald):
        with pytest.raises(hw.ArchitectureError, match=f"has no P and Q: .*{reason}") as error:
            convert(model)
        assert "gd_plus_plus" in (error.value.fix or "")


@pytest.mark.parametrize("name", ["preconditioned_gradient_descent", "gd_plus_plus"])
def test_von_oswalds_form_is_for_scalar_rates(name: str) -> None:
    with pytest.raises(hw.ArchitectureError, match=r"layer 0 of .* is no step of gradient descent with a scalar rate"):
        hw.to_von_oswald(model_of(name))


SQUARE = np.eye(D + 1)
BAD = {
    "expected a pair": ([SQUARE], N),
    "P_0 has shape": ([(np.ones((2, 3)), SQUARE)], N),
    "Q_0 has shape": ([(SQUARE, SQUARE * np.nan)], N),
    "expected one size": ([(SQUARE, np.eye(D))], N),
    "P_1 is 2 × 2, and layer 0 has 4 rows": ([(SQUARE, SQUARE), (np.eye(2), np.eye(2))], N),
    "n is 0": ([(SQUARE, SQUARE)], 0),
    "n is 2.5": ([(SQUARE, SQUARE)], 2.5),
}


@pytest.mark.parametrize("reason", BAD)
def test_bad_matrices_are_refused(reason: str) -> None:
    with pytest.raises(hw.InputError, match=reason):
        hw.from_pq(*BAD[reason])
