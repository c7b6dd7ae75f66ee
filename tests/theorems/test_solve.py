"""hw.solve and hw.inverse inside programs."""

import numpy as np
import pytest

import headwright as hw


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
