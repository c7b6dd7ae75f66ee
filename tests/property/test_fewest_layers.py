"""optimize="depth" on random polynomials in one or two matrices, of degree up to 27."""

import random
from typing import Any

import pytest

import headwright as hw
from headwright.compiler.algebra import Algebra
from headwright.compiler.pipeline import depth_of, distinct_plans
from headwright.proofs_check.exact import depth_lower_bound, exact_degree


def random_polynomial(seed: int) -> hw.Program:
    rng = random.Random(seed)

    def poly(letters: list[Any], degree: int) -> Any:
        if degree <= 1:
            letter = rng.choice(letters)
            return letter.T if rng.random() < 0.3 else letter
        kind = rng.random()
        if kind < 0.55:
            first = rng.randint(1, degree - 1)
            return poly(letters, first) @ poly(letters, degree - first)
        if kind < 0.8:
            return poly(letters, degree) + rng.choice([-2, -1, 1, 3]) * poly(letters, rng.randint(1, degree))
        if kind < 0.9:
            half = poly(letters, degree // 2)
            return half @ half
        return poly(letters, degree) - rng.choice([1, 2]) * hw.eye("d")

    degree = rng.randint(2, 27)
    if rng.random() < 0.4:

        @hw.program
        def one(A: hw.Matrix["d", "d"]):
            return poly([A], degree)

        return one

    @hw.program
    def two(A: hw.Matrix["d", "d"], B: hw.Matrix["d", "d"]):
        return poly([A, B], degree)

    return two


def test_at_least_nine_in_ten_random_polynomials_reach_the_degree_bound() -> None:
    found = []
    for seed in range(100):
        graph = random_polynomial(seed).trace({"d": 2}, {})
        degree = exact_degree(graph)["output"]
        if degree:  # not where everything cancels
            depth = min(map(depth_of, distinct_plans(graph, ("all", "minor"))))
            assert depth >= depth_lower_bound(degree)
            found.append(depth == depth_lower_bound(degree))
    assert len(found) >= 90
    assert sum(found) >= 0.9 * len(found), f"{sum(found)} of {len(found)}"


@pytest.mark.parametrize("seed", range(8))
def test_plans_at_the_bound_are_proved(seed: int) -> None:
    model = hw.compile(random_polynomial(seed), dims={"d": 2}, optimize="depth", time_limit=2)
    certificate = hw.verify(model)
    assert isinstance(certificate["exact"], hw.Proved)
    if max(len(layer.heads) for layer in model.layers) <= 40:
        assert isinstance(certificate["identity"], hw.Proved)


@pytest.mark.parametrize("factors", [3, 9, 27])
def test_a_product_of_a_power_of_three_factors_takes_its_logarithm(factors: int) -> None:
    @hw.program
    def product(A: hw.Matrix["n", "d"]):
        value = A.T
        for number in range(factors - 1):
            value = value @ (A.T if number % 2 else A)
        return value

    model = hw.compile(product, dims={"n": 4, "d": 3}, optimize="depth")
    assert 3**model.depth == factors
    assert hw.verify(model).all_proved


def test_a_time_limit_of_zero_still_gives_a_proved_plan() -> None:
    model = hw.compile(random_polynomial(0), dims={"d": 2}, optimize="depth", time_limit=0)
    assert model.artifact.search is not None
    assert (model.artifact.search.candidates, model.artifact.search.finished) == (1, False)
    assert isinstance(hw.verify(model)["exact"], hw.Proved)


@pytest.mark.parametrize("limit", [-1, "soon", True])
def test_other_time_limits_are_refused(limit: Any) -> None:
    with pytest.raises(hw.CompileError, match="time_limit"):
        hw.compile(random_polynomial(0), dims={"d": 2}, time_limit=limit)


def test_the_work_of_selection_grows_slowly_with_the_number_of_steps(monkeypatch) -> None:
    """X ← X (2I − T) multiplies one sum in every step: k of them multiplied out would be 2^k words."""

    @hw.program
    def chain(S: hw.Matrix["d", "d"], *, steps):
        hw.symmetric(S)
        X, T = hw.eye("d"), S
        for _ in range(steps):
            X, T = X @ (2 * hw.eye("d") - T), T @ (2 * hw.eye("d") - T)
        return X

    words = 0
    collect = Algebra._collect

    def counted(self, shape, terms):
        nonlocal words
        found = list(terms)
        words += len(found)
        return collect(self, shape, iter(found))

    monkeypatch.setattr(Algebra, "_collect", counted)
    counts = []
    for steps in (6, 12):
        words = 0
        list(distinct_plans(chain.trace({"d": 3}, {"steps": steps}), look_through=("minor",)))
        counts.append(words)
    assert counts[1] <= 8 * counts[0]  # at most cubic; the square of 2^6 = 64 for sums that are multiplied out
