"""Damped Newton for regularised logistic regression: the corrected Theorem 5.4 of Giannou et al. (2024), as functions.

It holds (each lemma by machine; simulated iterates with errors of full size in bad directions never leave the bounds), it
is tight, and it breaks without its hypotheses. What the paper prints and what is false there is refuted, one by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from headwright.compiler.errors import CompileError
from headwright.proofs_check import newton_theory as theory
from headwright.proofs_check.certificate import Proved, Refuted, Unknown
from headwright.proofs_check.newton_budget import (
    HessianError,
    certified,
    decrement_polynomial,
    gram_error,
    solve_polynomial,
    step_error,
    weight_error,
    weighted_error,
)
from headwright.proofs_check.newton_cells import Cells
from headwright.proofs_check.newton_claims import check_distance, farthest, theory_claims
from headwright.proofs_check.newton_lemmas import Damped, StepError
from headwright.proofs_check.newton_paper import CORRECTED, PRINTED
from headwright.proofs_check.newton_proofs import LEMMAS, equal, no_negative_coefficient, prove_lemmas, verdict

MUS = (0.01, 0.1, 0.5, 1.0, 10.0)

# -- problems ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Problem:
    """A (n, d), y (n,) and μ; everything that the statements speak of, in float64."""

    A: np.ndarray
    y: np.ndarray
    mu: float

    def value(self, x: np.ndarray) -> float:
        return float(np.mean(np.logaddexp(0, -self.y * (self.A @ x))) + self.mu / 2 * (x @ x))

    def gradient(self, x: np.ndarray) -> np.ndarray:
        c = 1 / (1 + np.exp(-self.A @ x)) - (1 + self.y) / 2
        return self.A.T @ c / len(c) + self.mu * x

    def weights(self, x: np.ndarray) -> np.ndarray:
        p = 1 / (1 + np.exp(-self.A @ x))
        return p * (1 - p)

    def hessian(self, x: np.ndarray) -> np.ndarray:
        return (self.A.T * self.weights(x)) @ self.A / len(self.y) + self.mu * np.eye(len(x))

    def newton(self, x: np.ndarray) -> tuple[np.ndarray, float]:
        """H⁻¹∇f and λ."""
        g = self.gradient(x)
        step = np.linalg.solve(self.hessian(x), g)
        return step, math.sqrt(max(g @ step, 0))

    def damped(self, x: np.ndarray) -> np.ndarray:
        step, decrement = self.newton(x)
        root = 2 * math.sqrt(self.mu)
        return x - root / (root + decrement) * step

    def minimiser(self) -> tuple[np.ndarray, float]:
        """A point close to the minimiser, and a bound on how far it is: ‖∇f‖/μ, with the rounding of ∇f (≤ 40 units)."""
        x = np.zeros(self.A.shape[1])
        for _ in range(400):
            step, decrement = self.newton(x)
            if decrement < 1e-15:
                break
            x = self.damped(x) if decrement > 1e-4 else x - step
        return x, (float(np.linalg.norm(self.gradient(x))) + 40 * np.finfo(float).eps * (1 + np.linalg.norm(x))) / self.mu


@st.composite
def problems(draw: Callable[..., object], mus: tuple[float, ...] = MUS) -> Problem:
    """Random and degenerate data with ‖a_i‖ ≤ 1: zero rows, duplicates, ± pairs, one-hot frames, separable labels."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, d = draw(st.integers(1, 9)), draw(st.integers(1, 4))
    kind = draw(st.sampled_from(["random", "zero", "same", "pairs", "one-hot", "separable", "short"]))
    A = rng.normal(size=(n, d))
    A /= np.linalg.norm(A, axis=1, keepdims=True)
    y = rng.choice([-1.0, 1.0], n)
    if kind == "zero":
        A[rng.random(n) < 0.7] = 0
    elif kind == "same":
        A[:] = A[0]
    elif kind == "pairs":
        A[1::2] = -A[: len(A[1::2])]
        y[:] = 1
    elif kind == "one-hot":
        A = np.eye(d)[rng.integers(0, d, n)]
    elif kind == "separable":
        y = np.where(A @ rng.normal(size=d) > 0, 1.0, -1.0)
    elif kind == "short":
        A *= rng.random((n, 1))
    return Problem(A * (1 - 1e-15), y, draw(st.sampled_from(mus)))


HARDEST = (np.ones((1, 1)), np.ones(1))  # n = 1, a = 1: the slowest start that we know
EMPTY = (np.zeros((1, 1)), np.ones(1))  # a = 0: x ↦ x r/(2 + r)


def worst(kind: str, problem: Problem, x: np.ndarray, target: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A unit vector in which an error does harm."""
    if kind == "stiff":
        u = np.linalg.eigh(problem.hessian(x))[1][:, -1]
        u = u if u @ (x - target) >= 0 else -u
    else:
        u = x - target if kind == "away" else rng.normal(size=len(x))
    norm = np.linalg.norm(u)
    return u / norm if norm > 0 else np.eye(len(x))[0]


def simulate(problem: Problem, start: np.ndarray, steps: int, eps: float, relative: float, kind: str) -> list[np.ndarray]:
    """x_0, …, x_T of damped steps, each with an error of full size in a bad direction."""
    rng, (target, _) = np.random.default_rng(0), problem.minimiser()
    path = [start]
    for _ in range(steps):
        x = path[-1]
        size = eps + relative * np.linalg.norm(problem.newton(x)[0])
        moved = problem.damped(x)
        path.append(moved + size * worst(kind, problem, moved, target, rng))
    return path


KINDS = st.sampled_from(["away", "stiff", "random"])
ERRORS = st.sampled_from([(0.0, 0.0), (1e-2, 0.0), (1e-7, 1e-2), (0.05, 0.1), (0.3, 0.0)])

# -- each step of the proof ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEMMAS)
def test_every_inequality_that_the_functions_use_is_proved(name) -> None:
    assert isinstance(LEMMAS[name](), Proved)


@pytest.mark.parametrize("name", CORRECTED)
def test_the_papers_claims_are_proved_after_the_repair(name) -> None:
    assert isinstance(CORRECTED[name](), Proved)


@pytest.mark.parametrize("name", PRINTED)
def test_a_printed_statement_has_a_counterexample(name) -> None:
    assert isinstance(PRINTED[name](), Refuted)


def test_the_proof_prints_one_line_a_lemma() -> None:
    certificate = prove_lemmas()
    assert certificate.all_proved
    assert len(certificate.claims) == len(LEMMAS)
    assert "|D³f(x)[u,u,u]| ≤ 2M" in str(certificate)


def test_a_check_does_not_accept_what_is_false() -> None:
    x = sympy.Symbol("x", positive=True)
    assert not equal((1 + x) ** 2, 1 + x**2)
    assert not no_negative_coefficient((x - 1) / (1 + x))
    assert not no_negative_coefficient(1 / (x - 1))
    answer = verdict("because", ("true", True), ("this part", False))
    assert isinstance(answer, Unknown)
    assert "this part" in answer.reason


@pytest.mark.parametrize("mu", [Fraction(1, 100), Fraction(1, 10), Fraction(1), Fraction(7)])
def test_no_smaller_self_concordance_constant_will_do(mu) -> None:
    v = 2 * mu / (1 + 12 * mu)  # n = 1, a = 1: f'' = v + μ, (f''')² = v²(1 − 4v)
    assert v <= Fraction(1, 4)
    assert v**2 * (1 - 4 * v) / (v + mu) ** 3 == 4 / (27 * mu * (1 + 4 * mu) ** 2)


# -- one step, anywhere --------------------------------------------------------------------------------------------------


@lru_cache
def bounds_of(mu: float, eps: float) -> Damped:
    return Damped(Fraction(mu), StepError(Fraction(eps)))


@given(problems(), KINDS, st.floats(0, 30), st.sampled_from([0.0, 1e-3, 0.1, 0.5]), st.integers(0, 2**32 - 1))
@settings(max_examples=100)
def test_the_inequalities_of_one_step_hold_at_every_point(problem, kind, radius, eps, seed) -> None:
    rng, (target, slack) = np.random.default_rng(seed), problem.minimiser()
    u = rng.normal(size=len(target))
    x = radius * u / np.linalg.norm(u)
    damped = bounds_of(problem.mu, eps)
    step, decrement = problem.newton(x)
    after = problem.damped(x)
    after = after + eps * worst(kind, problem, after, target, rng)
    distance = float(np.linalg.norm(x - target))
    size = 1 + radius + problem.value(x)
    rounding = 1e-13 * size / min(problem.mu, 1) + 2 * slack  # a few hundred roundings, and the minimiser's own error
    up = decrement * (1 + 1e-12) + rounding
    assert np.linalg.norm(x - target - step) <= damped.newton(up, distance + slack) + rounding
    assert np.linalg.norm(step) <= damped.length(up, distance + slack) + rounding
    assert np.linalg.norm(after - target) <= damped.next_distance(up, distance + slack) + rounding
    assert problem.newton(after)[1] <= damped.next_decrement(up) + rounding
    assert problem.value(x) - problem.value(after) >= damped.decrease(decrement, up) - rounding
    gap = problem.value(x) - problem.value(target)
    assert damped.least_value(decrement) <= gap + rounding
    assert gap <= damped.greatest_value(up, distance + slack) + rounding
    assert distance <= damped.distance_of(up, gap + rounding) + rounding
    assert decrement <= damped.start(radius) + rounding
    assert decrement <= damped.decrement_of(distance + slack) + rounding
    assert radius <= damped.norm_of(problem.value(x) + rounding) + rounding
    assert np.linalg.norm(target) <= damped.radius + rounding
    assert problem.value(target) >= damped.least - rounding


# -- the theorem holds ---------------------------------------------------------------------------------------------------


@given(problems(mus=(0.02, 0.1, 0.5, 10.0)), KINDS, ERRORS, st.sampled_from([0.0, 0.0, 3.0]))
@settings(max_examples=100)
def test_iterates_with_errors_of_full_size_stay_within_the_certified_bounds(problem, kind, error, norm) -> None:
    eps, relative = error
    start = norm * np.eye(problem.A.shape[1])[0]
    path = simulate(problem, start, 10, eps, relative, kind)
    target, slack = problem.minimiser()
    states = theory.trajectory(problem.mu, eps, 10, x0_norm=norm, relative=relative)
    radius = theory.region_radius(problem.mu, eps, x0_norm=norm, relative=relative, steps=10)
    for x, state in zip(path, states, strict=True):
        rounding = 1e-13 * (1 + np.linalg.norm(x)) / min(problem.mu, 1) + slack
        assert np.linalg.norm(x - target) <= state.distance + rounding
        assert problem.newton(x)[1] <= state.decrement + rounding
        assert problem.value(x) - problem.value(target) <= state.gap + rounding
        assert problem.value(x) <= state.value + rounding
        assert np.linalg.norm(x) <= min(state.norm, radius) + rounding


@pytest.mark.parametrize("mu", [0.1, 0.5, 1.0])
def test_a_capped_error_is_bounded_as_well(mu) -> None:
    error = StepError(Fraction(1, 10**4), Fraction(1, 1000), capped=Fraction(1, 20), cap=Fraction(1, 1000))
    problem = Problem(*HARDEST, mu)
    target, _ = problem.minimiser()
    x = np.zeros(1)
    for state in theory.trajectory(mu, error, 9)[1:]:
        length = abs(float(problem.newton(x)[0][0]))
        moved = problem.damped(x)
        x = moved + (1e-4 + 1e-3 * length + min(1e-3, length / 20)) * np.sign(moved - target)
        assert abs(float((x - target)[0])) <= state.distance + 1e-13
    assert state.distance < 1.2e-4  # the cap does not stay: near the minimiser the relative part is smaller


@pytest.mark.parametrize(("mu", "eps"), [(0.1, 0), (0.1, 0.05), (0.5, 0.3), (1.0, 1e-3)])
def test_no_iterate_ever_leaves_the_region(mu, eps) -> None:
    radius = theory.region_radius(mu, eps)
    for data in (HARDEST, EMPTY):
        path = simulate(Problem(*data, mu), np.zeros(1), 60, eps, 0.0, "stiff")
        assert max(np.linalg.norm(x) for x in path) <= radius
    assert max(state.norm for state in theory.trajectory(mu, eps, 40)) >= radius  # and it is no larger than some step's bound


def test_only_the_absolute_part_of_the_error_remains() -> None:
    for mu in (0.1, 0.5, 1.0):
        for relative in (0, 1e-3, 1e-2):
            assert theory.distance_bound(mu, 1e-6, 30, relative=relative) <= 1.02e-6


def test_more_error_never_gives_a_better_bound() -> None:
    for mu in (0.05, 0.5):
        bounds = [theory.distance_bound(mu, eps, 8) for eps in (0, 1e-6, 1e-3, 1e-2, 0.05)]
        assert bounds == sorted(bounds)


# -- it is tight ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mu", [0.1, 0.5, 1.0, 10.0])
@pytest.mark.parametrize("eps", [1e-2, 1e-3, 1e-6])
def test_the_final_distance_is_reached_to_2_percent(mu, eps) -> None:
    problem = Problem(*EMPTY, mu)
    x = simulate(problem, np.zeros(1), 12, eps, 0.0, "away")[-1]
    assert abs(x[0]) <= theory.distance_bound(mu, eps, 12) <= 1.02 * abs(x[0])


@pytest.mark.parametrize(
    ("mu", "factors"),
    [(0.1, (1.1, 1.6, 2, 2.5, 4, 8)), (0.5, (1, 1.2, 1.5, 2, 4)), (1.0, (1, 1.2, 1.5, 2, 4)), (10.0, (1, 1.1, 1.1))],
)
def test_exact_steps_come_close_to_the_bound_at_every_step(mu, factors) -> None:
    problem = Problem(*HARDEST, mu)
    target, _ = problem.minimiser()
    x = np.zeros(1)
    for state, factor in zip(theory.trajectory(mu, 0, len(factors) - 1), factors, strict=True):
        assert state.distance <= factor * np.linalg.norm(x - target) * (1 + 1e-3)
        x = problem.damped(x)


@pytest.mark.parametrize(("mu", "factor"), [(0.05, 1.04), (0.1, 1.02), (0.2, 1.002), (0.5, 1.0005), (1.0, 1.0001)])
def test_the_bound_of_the_first_step_is_nearly_reached(mu, factor) -> None:
    problem = Problem(*HARDEST, mu)
    before, after = problem.newton(np.zeros(1))[1], problem.newton(problem.damped(np.zeros(1)))[1]
    bound = Damped(Fraction(mu), StepError(Fraction(0))).first_decrement(before, before)
    assert after <= bound <= factor * after


@pytest.mark.parametrize(("mu", "more"), [(0.01, 7), (0.1, 1), (0.5, 0), (1.0, 0)])
@pytest.mark.parametrize("goal", [1e-2, 1e-4, 1e-6])
def test_no_fewer_steps_would_do_but_for_one_at_a_tenth(mu, more, goal) -> None:
    problem = Problem(*HARDEST, mu)
    target, _ = problem.minimiser()
    x, needed = np.zeros(1), 0
    while np.linalg.norm(x - target) > goal:
        x, needed = problem.damped(x), needed + 1
    told = theory.steps_needed(mu, 0, distance=goal)
    assert needed <= told <= needed + more


@pytest.mark.parametrize("x0_norm", [0, 1])
def test_steps_that_are_counted_at_once_are_certified_and_hardly_more_than_the_least(x0_norm) -> None:
    mu, goal = 4e-4, 1e-6
    told = theory.steps_needed(mu, 0, x0_norm, distance=goal)
    least = next(t for t, state in enumerate(theory.trajectory(mu, 0, told, x0_norm)) if state.distance <= goal)
    assert 200 < least <= told <= 1.01 * least + 1  # the last state of the trajectory is within the goal


@pytest.mark.parametrize("mu", [1e-5, 1e-6, 1e-8])
def test_a_small_ridge_takes_a_ninth_of_its_inverse_and_no_long_run(mu) -> None:
    told = theory.steps_needed(mu, 0, distance=1e-3)
    assert 0.112 < told * mu < 0.114
    assert len(theory._checked(mu, 0, 0, 0).states) <= 151
    assert theory.steps_needed(mu, theory.closed_error(mu)) * mu < 0.12


def test_no_count_is_given_where_errors_may_undo_the_decrease() -> None:
    cells = Cells(Damped(Fraction(1, 10), StepError(Fraction(1))), theory._checked(0.1, 0, 0, 0)[0])
    assert (cells.decrease <= 0).any() and cells.descent(1e-9) is None
    exact = Cells(Damped(Fraction(1, 10), StepError(Fraction(0))), theory._checked(0.1, 0, 0, 0)[0])
    assert exact.descent(exact.largest / 2) <= exact.descent(exact.largest / 4) < 30
    for target in (0.3, 0.1, 0.03):
        told, steps = exact.descent(target), 0
        moving = Cells(Damped(Fraction(1, 10), StepError(Fraction(0))), theory._checked(0.1, 0, 0, 0)[0])
        while moving.largest > target:
            moving.step()
            steps += 1
        assert steps <= told


@pytest.mark.parametrize("mu", [0.1, 0.5, 1.0])
def test_a_data_set_is_proved_to_end_within_2_percent_of_the_bound(mu) -> None:
    for error in (1e-2, StepError(Fraction(1, 1000), Fraction(1, 100), Fraction(1, 20), Fraction(1, 10**4))):
        reached = max(farthest(a, mu, error, 10) for a in (0, 1))
        assert reached <= theory.distance_bound(mu, error, 10) <= 1.02 * reached


def test_a_claimed_distance_is_proved_refuted_or_open() -> None:
    assert isinstance(check_distance(0.5, 1e-3, 6, 1.01e-3), Proved)
    assert isinstance(check_distance(0.5, 1e-3, 6, 1e-3), Refuted)
    answer = check_distance(0.1, 0, 5, 5e-4)
    assert isinstance(answer, Refuted)
    assert "a = 1" in answer.counterexample
    assert isinstance(check_distance(0.1, 0, 5, 2e-3), Unknown)
    with pytest.raises(CompileError, match="tol is 0"):
        check_distance(0.5, 0, 3, 0)


def test_the_claims_of_a_model_name_distance_value_and_region() -> None:
    claims = {claim.name: claim for claim in theory_claims(0.5, 1e-3, 6, 1.01e-3)}
    assert all(isinstance(claim.verdict, Proved) for claim in claims.values())
    assert claims.keys() == {"lemmas", "distance", "value", "region"}
    assert float(claims["value"].statement.split()[-1]) >= theory.value_bound(0.5, 1e-3, 6)


def test_the_count_is_the_first_step_within_the_distance() -> None:
    for mu in MUS:
        for eps, goal in ((0, 1e-6), (1e-4, 2e-4), (1e-3, None)):
            steps = theory.steps_needed(mu, eps, distance=goal)
            goal = theory.theorem_distance(mu, eps) if goal is None else goal
            assert theory.distance_bound(mu, eps, steps) <= goal < theory.distance_bound(mu, eps, steps - 1)


def test_far_more_error_is_admitted_than_by_the_closed_constant() -> None:
    for mu in (0.01, 0.1, 1.0):
        assert 2 * theory.closed_error(mu) < theory.admissible_error(mu) < 2


def test_the_bound_of_the_value_is_half_the_hessian_times_the_distance_squared_at_most() -> None:
    for mu in (0.1, 1.0):
        distance, value = theory.distance_bound(mu, 1e-3, 12), theory.value_bound(mu, 1e-3, 12)
        assert mu / 2 * 1e-6 <= value <= (mu + 0.25) / 2 * distance**2 * (1 + 1e-12)


# -- it breaks without its hypotheses ------------------------------------------------------------------------------------


def test_errors_of_size_2_make_the_iterates_diverge() -> None:
    x = simulate(Problem(*EMPTY, 0.5), np.zeros(1), 400, 2.0, 0.0, "away")[-1]
    assert np.linalg.norm(x) > theory.region_radius(0.5, theory.admissible_error(0.5))
    assert theory.region_radius(0.5, 2) == math.inf
    assert theory.steps_needed(0.5, 2, distance=0.1) is None


def test_rows_longer_than_1_break_the_bounds() -> None:
    problem = Problem(6 * HARDEST[0], HARDEST[1], 0.1)
    target, _ = problem.minimiser()
    x = simulate(problem, np.zeros(1), 3, 0.0, 0.0, "away")
    late = [np.linalg.norm(p - target) > s.distance for p, s in zip(x, theory.trajectory(0.1, 0, 3), strict=True)]
    assert any(late) or problem.newton(np.zeros(1))[1] > theory.trajectory(0.1, 0, 0)[0].decrement


def test_a_start_further_out_than_stated_breaks_the_bound() -> None:
    problem = Problem(*HARDEST, 0.5)
    target, _ = problem.minimiser()
    x = simulate(problem, np.array([50.0]), 4, 0.0, 0.0, "away")[-1]
    distance = np.linalg.norm(x - target)
    assert theory.distance_bound(0.5, 0, 4) < distance <= theory.distance_bound(0.5, 0, 4, x0_norm=50)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.distance_bound(0, 1e-3, 3), "mu is 0"),
        (lambda: theory.distance_bound(-1, 1e-3, 3), "mu is -1"),
        (lambda: theory.distance_bound(0.5, -1e-3, 3), "eps is -0.001"),
        (lambda: theory.distance_bound(0.5, math.nan, 3), "eps is nan"),
        (lambda: theory.distance_bound(0.5, 1e-3, 2.5), "steps is 2.5"),
        (lambda: theory.distance_bound(0.5, 1e-3, True), "steps is True"),
        (lambda: theory.distance_bound(0.5, 1e-3, 3, x0_norm=-1), "x0_norm is -1"),
        (lambda: theory.steps_needed(0.5, 0), "expected a number above 0"),
        (lambda: theory.steps_needed(0.5, 0, distance=-1), "expected a number above 0"),
        (lambda: solve_polynomial(0, 1, 3), "0 < lower"),
        (lambda: solve_polynomial(0.1, 1, -1), "degree is -1"),
    ],
)
def test_a_wrong_argument_is_named(call, message) -> None:
    with pytest.raises(CompileError, match=message):
        call()


# -- the parts of a step -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mu", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("degree", [0, 1, 3, 4, 10])
@pytest.mark.parametrize("shifted", [False, True])
def test_the_residual_of_a_solve_polynomial_is_proved_and_hardly_above_the_least_one(mu, degree, shifted) -> None:
    q = solve_polynomial(mu, mu + 0.25, degree, centre=mu if shifted else 0)
    assert all(Fraction(float(c)) == c for c in q.coefficients)
    t = (2 * mu + 0.25) / 0.25
    least = 1 / math.cosh((degree + 1) * math.acosh(t))
    for k in range(101):
        point = q.lower + (q.upper - q.lower) * Fraction(k, 100)
        value = sum(c * (point - q.centre) ** j for j, c in enumerate(q.coefficients))
        assert abs(1 - point * value) <= q.residual
        assert abs(value) <= q.largest
    # each coefficient is rounded by one part in 2^53
    rounding = sum(abs(c) * (q.upper - q.centre) ** j for j, c in enumerate(q.coefficients)) * q.upper / 2**53
    assert least * (1 - 1e-12) <= float(q.residual) <= least * (1 + 1e-12) + float(rounding)
    assert certified(q.at(Fraction(0)), q.lower, q.upper).residual == q.residual


@dataclass(frozen=True)
class Parts:
    """How good the parts of an approximate step are: s, the error of the Hessian's entries, degrees, η."""

    gradient: float
    entry: float
    degrees: tuple[int, int]
    eta: float
    route: str


@st.composite
def parts(draw: Callable[..., object]) -> Parts:
    small = st.sampled_from([0.0, 1e-6, 1e-4, 1e-3, 1e-2])
    degrees = (draw(st.integers(2, 8)), draw(st.integers(2, 8)))
    return Parts(draw(small), draw(small), degrees, draw(small), draw(st.sampled_from(["gram", "weighted", "weights"])))


def approximate_step(problem: Problem, x: np.ndarray, how: Parts, q, p, rng: np.random.Generator) -> np.ndarray:
    """x⁺ of a network whose parts have errors of full size."""
    n, d = problem.A.shape
    c = 1 / (1 + np.exp(-problem.A @ x)) - (1 + problem.y) / 2 + how.gradient * rng.choice([-1, 1], n)
    g = problem.A.T @ c / n + problem.mu * x
    v, noise = problem.weights(x), how.entry * rng.choice([-1, 1], (n, d))
    if how.route == "gram":
        U = np.sqrt(v)[:, None] * problem.A + noise
        H = U.T @ U / n
    elif how.route == "weighted":
        H = (v[:, None] * problem.A + noise).T @ problem.A / n
    else:
        H = (problem.A.T * np.maximum(v + noise[:, 0], 0)) @ problem.A / n
    H = H + problem.mu * np.eye(d)

    def applied(polynomial) -> np.ndarray:
        total = np.zeros(d)
        for c in reversed(polynomial.at(Fraction(0))):
            total = H @ total + float(c) * g
        return total

    z = max(float(g @ applied(p)), 0.0)
    root = 2 * math.sqrt(problem.mu)
    return x - (root / (root + math.sqrt(z)) + how.eta * rng.choice([-1, 1])) * applied(q)


def hessian_of(how: Parts, d: int) -> HessianError:
    if how.route == "weights":
        return weight_error(how.entry)
    return gram_error(how.entry, d) if how.route == "gram" else weighted_error(how.entry, d)


@given(problems(mus=(0.1, 0.5, 1.0)), parts(), st.floats(0, 4), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_a_step_made_of_approximate_parts_is_as_good_as_its_budget_says(problem, how, radius, seed) -> None:
    rng = np.random.default_rng(seed)
    d = problem.A.shape[1]
    hessian = hessian_of(how, d)
    upper = Fraction(problem.mu) + max(Fraction(1, 4), Fraction(hessian.reach))
    q, p = (solve_polynomial(problem.mu, upper, degree) for degree in how.degrees)
    u = rng.normal(size=d)
    x = radius * u / np.linalg.norm(u)
    step, decrement = problem.newton(x)
    budget = step_error(
        problem.mu,
        gradient=how.gradient,
        hessian=hessian,
        solve=q,
        decrement=p,
        eta=how.eta,
        largest_decrement=decrement * (1 + 1e-9),
    )
    error = budget.error
    allowed = error.absolute + (error.relative + error.capped) * Fraction(float(np.linalg.norm(step)))
    found = np.linalg.norm(approximate_step(problem, x, how, q, p, rng) - problem.damped(x))
    assert found <= float(allowed) + 1e-12 * (1 + radius) / problem.mu


def test_a_weighted_error_of_the_step_size_is_capped() -> None:
    mu, weighted = 0.5, 1e-4
    hessian = gram_error(0, 1)
    q, p = solve_polynomial(mu, mu + 0.25, 3), decrement_polynomial(mu, mu + 0.25, 3)
    budget = step_error(mu, gradient=0, hessian=hessian, solve=q, decrement=p, eta=0.05, eta_weighted=weighted)
    cap = budget.error.cap
    assert cap is not None
    assert weighted / math.sqrt(mu) <= float(cap) <= 1.02 * weighted / math.sqrt(mu)
    grid = np.linspace(mu, mu + 0.25, 101)
    values = [np.polynomial.polynomial.polyval(grid, [float(c) for c in r.at(Fraction(0))]) for r in (q, p)]
    assert (values[0] ** 2 / values[1]).max() <= (float(cap) / weighted) ** 2
    assert "0.05" in str(budget)


def test_the_accuracy_of_the_gradient_alone_decides_the_final_distance() -> None:
    mu = 0.5
    q, p = solve_polynomial(mu, mu + 0.26, 3, centre=mu), decrement_polynomial(mu, mu + 0.26, 2, centre=mu)
    coarse = step_error(mu, gradient=1e-6, hessian=gram_error(1e-3, 5), solve=q, decrement=p, eta=1e-2)
    fine = step_error(mu, gradient=1e-6, hessian=gram_error(1e-8, 5), solve=q, decrement=p, eta=1e-7)
    far, near = (theory.distance_bound(mu, b.error, 12) for b in (coarse, fine))
    assert near <= far <= 1.05 * near
    assert far <= 1.1 * 1e-6 / mu


def test_a_polynomial_for_too_short_an_interval_is_refused() -> None:
    q = solve_polynomial(0.5, 0.75, 3)
    with pytest.raises(CompileError, match="expected an interval that contains"):
        step_error(0.5, gradient=0, hessian=gram_error(1e-2, 5), solve=q, decrement=q, eta=0)
    with pytest.raises(CompileError, match="higher degree"):
        low = solve_polynomial(0.01, 0.3, 0)
        step_error(0.01, gradient=0, hessian=gram_error(1e-2, 5), solve=low, decrement=low, eta=0)
