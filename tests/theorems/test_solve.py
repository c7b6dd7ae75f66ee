"""hw.solve and hw.inverse inside programs."""

import re

import numpy as np
import pytest

import headwright as hw
from headwright.constructions.iterations import choice
from headwright.runtime.explain import explain_json, explain_text


@hw.program
def regression(A: hw.Matrix["n", "d"], y: hw.Vector["n"], *, spectrum, tol):
    return hw.solve(A.T @ A, A.T @ y, spectrum=spectrum, tol=tol)


@hw.program
def inverted(S: hw.Matrix["d", "d"], *, spectrum, tol):
    return hw.inverse(S, spectrum=spectrum, tol=tol)


def positive(kappa: float, d: int = 5) -> np.ndarray:
    turn, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(d, d)))
    S = turn * np.geomspace(1 / kappa, 1, d) @ turn.T
    return (S + S.T) / 2


@pytest.mark.parametrize(("kappa", "layers"), [(10, 3), (100, 4), (10**4, 6), (10**6, 9)])
def test_the_inverse_reaches_its_tolerance_in_the_layers_of_the_table(kappa: float, layers: int) -> None:
    S = positive(kappa)
    model = hw.compile(inverted, dims={"d": 5}, spectrum=(1 / kappa, 1.0), tol=1e-6)
    assert model.depth == layers
    assert np.linalg.norm(np.eye(5) - S @ model(S=S), 2) <= 1e-6
    assert isinstance(hw.verify(model)["residual"], hw.Proved)


def test_the_program_and_the_weights_solve_alike() -> None:
    rng = np.random.default_rng(4)
    A, y = np.linalg.qr(rng.normal(size=(9, 4)))[0] * [0.2, 0.5, 0.8, 1.0], rng.normal(size=9)
    model = hw.compile(regression, dims={"n": 9, "d": 4}, spectrum=(0.03, 1.1), tol=1e-8)
    w = np.linalg.lstsq(A, y, rcond=None)[0]
    assert np.allclose(model(A=A, y=y), model.reference(A=A, y=y), rtol=1e-12)
    assert np.linalg.norm(A.T @ (y - A @ model(A=A, y=y))) <= 1e-8 * np.linalg.norm(A.T @ y)
    assert np.allclose(model(A=A, y=y), w, atol=1e-6)
    assert hw.verify(model).all_proved


def test_a_multiple_of_the_identity_takes_no_iteration() -> None:
    model = hw.compile(inverted, dims={"d": 3}, spectrum=(2.0, 2.0), tol=1e-12)
    assert np.array_equal(model(S=2 * np.eye(3)), np.eye(3) / 2)


@pytest.mark.parametrize(
    ("S", "match"),
    [
        (np.diag([0.5, -0.1, 0.2]), "reaches -0.1"),
        (np.diag([0.5, 1.5, 0.2]), "reaches 1.5"),
        (np.diag([0.5, 0.0, 0.2]), "reaches 0:"),
        (np.array([[0.5, 0.1, 0], [0, 0.5, 0], [0, 0, 0.5]]), "not symmetric"),
    ],
)
def test_matrices_outside_the_interval_are_named(S: np.ndarray, match: str) -> None:
    model = hw.compile(inverted, dims={"d": 3}, spectrum=(0.1, 1.0), tol=1e-3)
    with pytest.raises(hw.AssumptionError, match=match):
        model(S=S)


def test_errors_name_the_line_of_the_program() -> None:
    @hw.program
    def rectangular(A: hw.Matrix["n", "d"]):
        return hw.inverse(A, spectrum=(0.1, 1.0), tol=0.1)  # the line to name

    with pytest.raises(hw.ShapeError, match="the line to name"):
        hw.compile(rectangular, dims={"n": 3, "d": 2})


def test_the_a_priori_interval_holds_for_every_data_set_and_is_attained() -> None:
    low, high = hw.a_priori(6, 2, 0.25)
    rng = np.random.default_rng(5)
    A = rng.normal(size=(6, 4))
    A *= 2 / np.linalg.norm(A, axis=1, keepdims=True)
    eigenvalues = np.linalg.eigvalsh(A.T @ A + 0.25 * np.eye(4))
    assert low <= eigenvalues[0] and eigenvalues[-1] <= high
    alike = np.outer(np.ones(6), [2.0, 0, 0, 0])
    assert np.linalg.eigvalsh(alike.T @ alike + 0.25 * np.eye(4))[[0, -1]].tolist() == [float(low), float(high)]


@pytest.mark.parametrize("arguments", [(0, 1, 1), (3, -1, 1), (3, 1, 0), (3, float("inf"), 1), (3, "1", 1)])
def test_a_priori_needs_positive_numbers(arguments: tuple[object, ...]) -> None:
    with pytest.raises(hw.CompileError, match="a_priori"):
        hw.a_priori(*arguments)


# -- the choice ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kappa", [1.0, 1.5, 30.0, 1e5])
@pytest.mark.parametrize("tol", [0.5, 1e-3, 1e-9])
def test_the_iteration_has_the_fewest_layers_then_heads_then_rows_of_all(kappa: float, tol: float) -> None:
    found = hw.iterations.choose(1, kappa, tol)
    compared = {name: hw.iterations.get(name).layers(kappa, tol) for name, _ in found.layers}
    assert dict(found.layers) == compared and set(compared) == set(hw.iterations.names("inverse")) - {"newton"}
    costs = {name: (layers, of.heads, of.blocks) for name, layers in compared.items() if (of := hw.iterations.get(name))}
    assert costs[found.schedule.iteration.name] == min(costs.values())


def test_without_the_best_iteration_the_next_best_is_taken_and_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    """The choice is a comparison: it changes with the library."""
    others = [name for name in hw.iterations.names("inverse") if name not in ("chebyshev", "third-order")]
    monkeypatch.setattr(choice, "names", lambda target: others)
    model = hw.compile(regression, dims={"n": 9, "d": 4}, spectrum=(0.01, 1.0), tol=1e-6)
    certificate = hw.verify(model)
    (claim,) = [claim for claim in certificate.claims if claim.name == "residual"]
    assert re.search(r"\(newton-schulz-[39]: .*; 6 layers", claim.statement) and certificate.all_proved, str(certificate)
    assert model.depth == 7  # one for AᵀA


def test_explain_says_why() -> None:
    model = hw.compile(inverted, dims={"d": 3}, spectrum=(0.01, 1.0), tol=1e-6)
    text = explain_text(model.artifact, None, {})
    assert "chebyshev: 4 steps R ← a·R³ + (1 − a)·R" in text and "newton-schulz-3 6" in text and "newton-schulz-2 10" in text
    (approximation,) = explain_json(model.artifact, None, {})["approximations"]
    assert approximation["tol"] == 1e-6 and approximation["states"].startswith("‖I − SX‖₂ ≤ 1e-06")


def test_several_right_hand_sides_are_solved_at_once_without_the_inverse() -> None:
    @hw.program
    def many(S: hw.Matrix["d", "d"], B: hw.Matrix["d", "k"]):
        return hw.solve(S, B, spectrum=(0.01, 1.0), tol=1e-6)

    model = hw.compile(many, dims={"d": 5, "k": 2})
    S, B = positive(100), np.random.default_rng(0).normal(size=(5, 2))
    assert (model.depth, model.max_heads, model.d_model) == (4, 1, 12)
    assert np.linalg.norm(B - S @ model(S=S, B=B), 2) <= 1e-6 * np.linalg.norm(B, 2)
    assert hw.verify(model).all_proved


# -- formats -------------------------------------------------------------------------------------------------------------


def test_a_float32_run_below_its_floor_is_warned_of_once() -> None:
    model = hw.compile(inverted, dims={"d": 5}, spectrum=(0.01, 1.0), tol=1e-6)
    S = positive(100)
    model(S=S)  # float64: no warning (warnings are errors here)
    with pytest.warns(hw.PrecisionWarning, match="below what float32 reaches at κ = 1.0e.02.*run in float64"):
        single = model(S=S.astype(np.float32))
    assert np.linalg.norm(np.eye(5) - S @ single.astype(float), 2) > 1e-6  # it is true
    model(S=S.astype(np.float32))


def test_a_float32_run_above_its_floor_is_not_warned_of() -> None:
    model = hw.compile(inverted, dims={"d": 5}, spectrum=(0.01, 1.0), tol=1e-3)
    S = positive(100)
    assert np.linalg.norm(np.eye(5) - S @ model(S=S.astype(np.float32)).astype(float), 2) <= 1e-3
