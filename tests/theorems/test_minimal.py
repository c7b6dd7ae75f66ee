"""Least squares in the fewest layers: the figures of the issue's table, the bound, and what breaks it."""

from fractions import Fraction

import numpy as np
import pytest

import headwright as hw
from headwright.constructions.minimax import chain, check_interval, linear_start, quartic_start
from headwright.proofs_check.lower_bounds import layers_needed
from headwright.proofs_check.residual import range_of

TABLE = {
    10: {1e-2: 3, 1e-6: 4, 1e-12: 5},
    100: {1e-2: 4, 1e-6: 5, 1e-12: 6},
    10**4: {1e-2: 6, 1e-6: 7, 1e-12: 8},
    10**6: {1e-2: 8, 1e-6: 9, 1e-12: 10},
}
CELLS = [(kappa, tol, layers) for kappa, row in TABLE.items() for tol, layers in row.items()]
D = 5


def spectral_data(kappa: float, n: int, seed: int = 0) -> np.ndarray:
    """A (n, D) whose AᵀA has eigenvalues from 1/kappa to 1, geometrically spaced (and zeros for n < D)."""
    rng = np.random.default_rng(seed)
    k = min(n, D)
    left, _ = np.linalg.qr(rng.normal(size=(n, k)))
    right, _ = np.linalg.qr(rng.normal(size=(D, k)))
    return left * np.sqrt(np.geomspace(1 / kappa, 1, k)) @ right.T


def evaluated(model: hw.Compiled, **inputs: np.ndarray) -> np.ndarray:
    """Eq. (3.1a) and nothing else."""
    H = model.encode(**inputs)
    for layer in model.layers:
        H = H + sum(h.W_V @ H @ (h.W_K @ H).T @ (h.W_Q @ H) for h in layer.heads)
    return model.decode(H)


@pytest.mark.filterwarnings("ignore::headwright.PrecisionWarning")
@pytest.mark.parametrize(("kappa", "tol", "layers"), CELLS)
def test_every_cell_of_the_depth_table_is_at_the_lower_bound(kappa: int, tol: float, layers: int) -> None:
    spectrum = (1 / kappa, 1.0)
    model = hw.constructions.get("least_squares_minimal").compile(n=9, d=D, m=D, spectrum=spectrum, tol=tol)
    assert model.depth == layers == layers_needed(*spectrum, tol)
    assert model.max_heads <= 2
    assert model.d_model <= 3 * D + 3
    A = spectral_data(kappa, 9)
    columns = [evaluated(model, A=A, y=A @ e, Q=np.eye(D)) for e in np.eye(D)]
    floor = 64 * np.finfo(float).eps * np.sqrt(kappa)
    assert np.linalg.norm(np.eye(D) - np.stack(columns, 1), 2) <= tol + floor


@pytest.mark.parametrize("name", ["least_squares_minimal", "least_squares_block"])
def test_minimal_is_proved_with_its_residual_and_its_depth(name: str) -> None:
    model = hw.constructions.get(name).compile(n=7, d=3, m=2, spectrum=(0.01, 1.0), tol=1e-6)
    certificate = hw.verify(model)
    assert certificate.all_proved
    assert isinstance(certificate["residual"], hw.Proved)
    assert "the fewest possible" in certificate["fewest"].how


def test_fewer_examples_than_features_give_the_minimum_norm_solution() -> None:
    A = spectral_data(100, 3)
    rng = np.random.default_rng(1)
    y, q = rng.normal(size=3), rng.normal(size=D)
    model = hw.constructions.get("least_squares_minimal").compile(n=3, d=D, spectrum=(0.01, 1.0), tol=1e-9)
    w = np.linalg.pinv(A) @ y
    assert abs(model(A=A, y=y, q=q) - q @ w) <= 1.01e-9 * np.linalg.norm(q) * np.linalg.norm(w)


def test_weights_take_one_head_and_as_few_layers() -> None:
    A, y = spectral_data(10**4, 9), np.random.default_rng(2).normal(size=9)
    model = hw.constructions.get("least_squares_weights").compile(n=9, d=D, spectrum=(1e-4, 1.0), tol=1e-6)
    assert (model.depth, model.max_heads) == (7, 1)
    w = np.linalg.lstsq(A, y, rcond=None)[0]
    assert np.linalg.norm(model(A=A, y=y) - w) <= 1.01e-6 * np.linalg.norm(w)


def test_data_outside_the_spectrum_are_refused_and_named() -> None:
    model = hw.constructions.get("least_squares_minimal").compile(n=9, d=D, spectrum=(0.01, 1.0), tol=1e-6)
    inputs = {"y": np.ones(9), "q": np.ones(D)}
    with pytest.raises(hw.AssumptionError, match=r"reaches 1\.02"):
        model(A=np.sqrt(1.02) * spectral_data(100, 9), **inputs)
    with pytest.raises(hw.AssumptionError, match=r"reaches 0\.001"):
        model(A=spectral_data(1000, 9), **inputs)


@pytest.mark.parametrize(
    ("spectrum", "tol"), [((0, 1), 0.1), ((-1, 1), 0.1), ((2, 1), 0.1), ((0.1, 1), 0), ((0.1, 1), 1), (0.5, 0.1), ((1,), 0.1)]
)
def test_bad_intervals_and_tolerances_are_refused(spectrum: object, tol: float) -> None:
    with pytest.raises(hw.CompileError, match=r"spectrum|tol"):
        hw.constructions.get("least_squares_minimal").compile(n=9, d=D, spectrum=spectrum, tol=tol)


def test_a_tolerance_below_the_float_floor_is_warned_about() -> None:
    with pytest.warns(hw.PrecisionWarning, match="below what float64 reaches"):
        hw.constructions.get("least_squares_minimal").compile(n=9, d=D, spectrum=(1e-4, 1.0), tol=1e-25)


@pytest.mark.parametrize("kappa", [1.5, 3, 10, 100, 10**4])
def test_the_quartic_start_is_the_chebyshev_polynomial(kappa: float) -> None:
    interval = check_interval("test", (1 / kappa, 1), 0.5)
    quartic = quartic_start(interval)
    assert quartic is not None
    low, high = range_of(quartic.residual, interval.lower, interval.upper)
    t = (kappa + 1) / (kappa - 1)
    assert max(-low, high) == pytest.approx(1 / np.cosh(4 * np.arccosh(t)), rel=1e-7)


def test_a_wrong_coefficient_is_refuted() -> None:
    """The residual claim is about the program: another chain, or a smaller tolerance, does not pass."""
    from dataclasses import replace

    from headwright.proofs_check.residual import check_residual

    graph = hw.constructions.get("least_squares_minimal").compile(n=7, d=3, spectrum=(0.01, 1.0), tol=1e-6).artifact.graph
    (claim,) = graph.residuals
    assert isinstance(check_residual(graph, claim), hw.Proved)
    assert isinstance(check_residual(graph, replace(claim, tol=Fraction(1, 10**8))), hw.Refuted)
    *first, last = claim.chain
    bent = (*first, (last[0], last[1], last[2], last[3] + Fraction(1, 10**9)))
    assert isinstance(check_residual(graph, replace(claim, chain=bent)), hw.Refuted)


def test_cubics_triple_the_degree_of_the_minimax_polynomial() -> None:
    interval = check_interval("test", (0.01, 1.0), 1e-6)
    _, start = linear_start(interval)
    found = chain(interval, start, 1)
    assert found is not None
    t = 1.01 / 0.99
    for power, bound in enumerate(found.bounds):
        assert float(bound) == pytest.approx(1 / np.cosh(3**power * np.arccosh(t)), rel=1e-6)


@pytest.mark.parametrize(("n", "d", "m"), [(2, 3, 2), (3, 6, 4), (1, 4, None), (1, 4, 2)])
@pytest.mark.parametrize("optimize", [None, "heads"])
def test_fewer_examples_than_features_and_more_queries_than_that(n: int, d: int, m: int | None, optimize: str | None) -> None:
    """The cheapest way to associate products would have the rows of examples as its own rows, where they lie along tokens."""
    given = {} if m is None else {"m": m}
    model = hw.constructions.get("least_squares_minimal").compile(
        n=n, d=d, spectrum=(0.01, 1.0), tol=1e-6, optimize=optimize, **given
    )
    assert model.depth == 5 and model.max_heads == 2 and model.d_model <= 3 * d + 2
    assert optimize or hw.verify(model).all_proved
