"""What the proofs of the ledger stand on: blocks of words mean matrices, and counts and bounds are the true ones."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import sympy

import headwright as hw
from headwright import CompileError, theory
from headwright.proofs_check.claims import giannou_layers, giannou_phases
from headwright.proofs_check.claims.blocks import E1, ONE, ONES, Block, Head, J, attend, letter
from headwright.proofs_check.claims.degree import check_degree, check_extremal
from headwright.proofs_check.newton_schulz import check_inversion_steps, check_perturbation, check_residuals

# -- blocks ----------------------------------------------------------------------------------------------------------------


def value(block: Block, of: dict[str, np.ndarray], rows: int) -> np.ndarray:
    """The matrix that a block stands for, in integers."""
    total = 0
    for word, c in block.terms.items():
        product = np.eye(rows, dtype=int)
        for name, transposed in word:
            product = product @ (of[name].T if transposed else of[name])
        total = total + int(c) * product
    return total


@pytest.mark.parametrize(("d", "n"), [(1, 1), (2, 2), (3, 5)])
def test_a_layer_on_blocks_is_the_layer_on_matrices(d: int, n: int) -> None:
    rng = np.random.default_rng(d)
    of = {name: rng.integers(-3, 4, size=shape) for name, shape in {"X": (d, d), "A": (n, d), "s": (1, n)}.items()}
    of |= {"J": np.eye(d, n, dtype=int), "u": np.eye(1, d, dtype=int), "o": np.ones((n, 1), dtype=int)}
    stream = {"X": letter("X") @ J, "A": letter("A").T, "I": J, "s": letter("s"), "one": ONES.T}
    heads = (
        Head([("X", 2, "A"), ("I", -1, "X")], [(1, "X"), (3, "I")], [(1, "A"), (1, "I")]),
        Head([("s", 1, "I[1]")], [(1, "one")], [(-2, "s")]),
    )
    after = attend(stream, *heads)
    heights = {"X": d, "A": d, "I": d, "s": 1, "one": 1}
    H = {name: value(block, of, heights[name]) for name, block in stream.items()}
    out = {name: M.copy() for name, M in H.items()}
    out["X"] += 2 * H["A"] @ (H["X"].T @ H["A"] + 3 * H["I"].T @ H["I"])
    out["I"] -= H["X"] @ (H["X"].T @ H["A"] + 3 * H["I"].T @ H["I"])
    out["s"] += H["I"][:1] @ (H["one"].T @ (-2 * H["s"]))
    for name, M in out.items():
        assert np.array_equal(value(after[name], of, heights[name]), M), name


def test_only_what_is_equal_for_all_matrices_is_equal() -> None:
    A, B = letter("A"), letter("B")
    S = letter("S", symmetric=True)
    assert A @ B != B @ A and A != A.T and S == S.T and (A @ B).T == B.T @ A.T
    assert J @ J.T == ONE and J.T @ J != ONE and E1 @ J @ ONES == ONE and J @ ONES != ONE
    assert (A + B) @ (A + B) == A @ A + A @ B + B @ A + B @ B
    assert sympy.Symbol("c") * A - sympy.Symbol("c") * A == A - A


def test_the_checks_of_degrees_and_residuals_hold_for_other_sizes_too() -> None:
    assert isinstance(check_degree(3, 1), hw.Proved) and isinstance(check_extremal(5), hw.Proved)
    assert isinstance(check_residuals(range(2, 5)), hw.Proved)


def without(rows: tuple[tuple[str, int, str], ...]) -> tuple[tuple[str, int, str], ...]:
    return rows[1:]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("_READ", Head([("o", 1, "y")], [(1, "B3")], [(1, "B1")])),  # keys from the wrong block
        ("_READ", Head([("o", -1, "y")], [(1, "A")], [(1, "B1")])),  # a sign
        ("_RESTORED", without(giannou_layers._RESTORED)),  # a block that is not cleared
        ("_start", lambda eps, mu=0: giannou_layers._step("B2")),
    ],
    ids=["block", "sign", "dropped", "another layer"],
)
def test_a_wrong_weight_is_not_proved(name: str, wrong: object, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(giannou_layers.check_regression(), hw.Proved)
    monkeypatch.setattr(giannou_layers, name, wrong)
    assert isinstance(giannou_layers.check_regression(), hw.Unknown)


def test_a_wrong_inequality_is_not_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound of h' on the box: true with the printed number, and not with a smaller one."""
    assert isinstance(giannou_phases.check_slope_sign(), hw.Proved)
    slope = giannou_phases._slope
    monkeypatch.setattr(giannou_phases, "_slope", lambda x, c: slope(x, c) + 0.15)
    assert isinstance(giannou_phases.check_slope_sign(), hw.Unknown)


# -- steps of the inversion --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kappa", [1, 1.5, 12])
@pytest.mark.parametrize("order", [2, 3, 5])
@pytest.mark.parametrize("start", ["transpose", "identity"])
def test_so_many_steps_are_enough_and_one_fewer_is_not(kappa: float, order: int, start: str) -> None:
    for tol in (0.5, 1e-3, 1e-12):
        k = theory.inversion_steps(kappa, tol, order=order, start=start)
        rho = theory.initial_residual(kappa, start=start)
        assert rho ** (order**k) <= tol
        assert k == 0 or rho ** (order ** (k - 1)) > tol


def test_a_matrix_with_these_singular_values_needs_exactly_so_many() -> None:
    kappa, tol = 30, 1e-9
    A = np.diag([1.0, 0.3, 1 / kappa])
    X = 2 / (1 + kappa**-2) * A.T
    for k in range(theory.inversion_steps(kappa, tol) + 1):
        residual = np.linalg.norm(np.eye(3) - A @ X, 2)
        assert (residual <= tol) == (k == theory.inversion_steps(kappa, tol))
        X = 2 * X - X @ A @ X


def test_ties_are_decided_exactly() -> None:
    assert theory.inversion_steps(2, Fraction(3, 4) ** 16, c=1) == 4
    assert theory.inversion_steps(2, Fraction(3, 4) ** 16 - Fraction(1, 10**30), c=1) == 5
    assert theory.inversion_steps(1, Fraction(1, 10**8), c=Fraction(1, 10**6)) == 25  # no bound is uniform in α


@pytest.mark.parametrize("c", [None, 1, Fraction(1, 10)])
def test_the_closed_form_is_never_below_and_hardly_above(c: Fraction | None) -> None:
    for kappa in (1, 2, 7, 50, 10**4):
        for tol in (0.9, 0.5, 1e-2, 1e-8, 1e-15):
            least, bound = theory.inversion_steps(kappa, tol, c=c), theory.inversion_steps_bound(kappa, tol, c=c)
            assert least <= bound
            assert kappa == 1 or bound <= least + 1
    plain = 2 * math.log2(50) + math.log2(math.log2(1e8))
    assert theory.inversion_steps_bound(50, 1e-8) == math.ceil(plain - 1.5288)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.inversion_steps(0.5, 0.1), "kappa is 0.5"),
        (lambda: theory.inversion_steps(2, 1), "tol is 1"),
        (lambda: theory.inversion_steps(2, 0), "tol is 0"),
        (lambda: theory.inversion_steps(2, 0.1, c=2), r"c = α·σ_max² is 2"),
        (lambda: theory.inversion_steps(2, 0.1, c=-1), "is -1"),
        (lambda: theory.inversion_steps(2, 0.1, order=1), "order is 1"),
        (lambda: theory.inversion_steps_bound(2, 0.1, c=1.5), "c ≤ 1"),
        (lambda: theory.inverse_perturbation(1, 1), "size is 1"),
        (lambda: theory.inverse_perturbation(0, 0), "mu is 0"),
        (lambda: theory.condition_perturbation(0.5, 1, 0.1), "kappa is 0.5"),
        (lambda: theory.step_size_change(0, 1), "mu is 0"),
        (lambda: theory.step_size_tolerance(1, 1), "change is 1: expected a number at least 0 and below 1"),
    ],
)
def test_a_wrong_argument_is_named(call, message: str) -> None:
    with pytest.raises(CompileError, match=message):
        call()


# -- perturbations -----------------------------------------------------------------------------------------------------------


def test_perturbation_bounds_hold_for_random_matrices_and_are_attained(rng) -> None:
    mu, size = 0.5, 0.2
    inverse = theory.inverse_perturbation(mu, size)
    for _ in range(200):
        U, _, V = np.linalg.svd(rng.normal(size=(3, 3)))
        H = U @ np.diag([mu, mu * (1 + rng.random()), mu * 4]) @ V
        E = rng.normal(size=(3, 3))
        E *= size / np.linalg.norm(E, 2)
        assert np.linalg.norm(np.linalg.inv(H + E) - np.linalg.inv(H), 2) <= inverse * (1 + 1e-12)
        assert np.linalg.cond(H + E) <= theory.condition_perturbation(4, mu, size) * (1 + 1e-12)
    assert abs(1 / (mu - size) - 1 / mu - inverse) <= 1e-12
    H, E = np.diag([4 * mu, mu]), np.diag([size, -size])
    assert math.isclose(np.linalg.cond(H + E), theory.condition_perturbation(4, mu, size), rel_tol=1e-12)


def test_eigenvalues_alone_do_not_bound_the_condition_number() -> None:
    E = np.array([[0, 0.5], [0, 0]])
    assert not np.linalg.eigvals(E).any()
    assert np.linalg.cond(np.eye(2) + E) > 1.6 and theory.condition_perturbation(1, 1, 0.5) >= np.linalg.cond(np.eye(2) + E)


@pytest.mark.parametrize("mu", [0.01, 0.5, 3])
def test_the_step_size_moves_by_so_much_and_no_more(mu: float) -> None:
    def eta(z: float) -> float:
        return 2 * math.sqrt(mu) / (2 * math.sqrt(mu) + math.sqrt(z))

    for change in (1e-6, 1e-2, 1.0):
        bound = theory.step_size_change(mu, change)
        assert math.isclose(eta(0) - eta(change), bound, rel_tol=1e-9)
        assert all(eta(z) - eta(z + change) <= bound for z in (1e-9, 1e-3, 0.1, 5))
        assert math.isclose(theory.step_size_tolerance(mu, bound), change, rel_tol=1e-6)


def test_the_proofs_of_these_functions() -> None:
    assert isinstance(check_inversion_steps(), hw.Proved) and isinstance(check_perturbation(), hw.Proved)
