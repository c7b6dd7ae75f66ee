"""Every function of `hw.theory` names an argument that will not do, and takes every kind of number that will."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import headwright as hw
from headwright import CompileError, theory

SOLVE = theory.solve_polynomial(0.5, 0.76, 3)
HESSIAN = theory.weight_error(0.001)


def step(**changed: Any) -> theory.Budget:
    given = {"gradient": 1e-3, "hessian": HESSIAN, "solve": SOLVE, "decrement": SOLVE, "eta": 1e-3}
    return theory.step_error(changed.pop("mu", 0.5), **(given | changed))


#: Function and argument → the call with that argument, and a good value of it.
NUMBERS: dict[str, tuple[Callable[[Any], Any], float]] = {
    "steps_needed mu": (lambda v: theory.steps_needed(v, 1e-3), 0.5),
    "steps_needed eps": (lambda v: theory.steps_needed(0.5, v), 1e-3),
    "steps_needed x0_norm": (lambda v: theory.steps_needed(0.5, 1e-3, v), 0.0),
    "steps_needed distance": (lambda v: theory.steps_needed(0.5, 1e-3, distance=0.1 if v is None else v), 0.1),
    "steps_needed relative": (lambda v: theory.steps_needed(0.5, 1e-3, relative=v), 0.0),
    "distance_bound mu": (lambda v: theory.distance_bound(v, 1e-3, 2), 0.5),
    "value_bound eps": (lambda v: theory.value_bound(0.5, v, 2), 1e-3),
    "region_radius x0_norm": (lambda v: theory.region_radius(0.5, 1e-3, v), 0.0),
    "theorem_distance mu": (lambda v: theory.theorem_distance(v, 1e-3), 0.5),
    "theorem_distance eps": (lambda v: theory.theorem_distance(0.5, v), 1e-3),
    "closed_error mu": (theory.closed_error, 0.5),
    "closed_error x0_norm": (lambda v: theory.closed_error(0.5, v), 0.0),
    "initial_residual kappa": (theory.initial_residual, 3.0),
    "inversion_steps kappa": (lambda v: theory.inversion_steps(v, 1e-6), 3.0),
    "inversion_steps tol": (lambda v: theory.inversion_steps(3, v), 1e-6),
    "inversion_steps_bound kappa": (lambda v: theory.inversion_steps_bound(v, 1e-6), 3.0),
    "inverse_perturbation mu": (lambda v: theory.inverse_perturbation(v, 1e-3), 0.5),
    "inverse_perturbation size": (lambda v: theory.inverse_perturbation(0.5, v), 1e-3),
    "condition_perturbation kappa": (lambda v: theory.condition_perturbation(v, 0.5, 1e-3), 3.0),
    "step_size_change mu": (lambda v: theory.step_size_change(v, 1e-3), 0.5),
    "step_size_tolerance change": (lambda v: theory.step_size_tolerance(0.5, v), 1e-3),
    "layers_needed tol": (lambda v: theory.layers_needed(1, 10, v), 1e-3),
    "residual_lower_bound l": (lambda v: theory.residual_lower_bound(1, v, 10), 1.0),
    "gram_error entry": (lambda v: theory.gram_error(v, 3), 1e-3),
    "weight_error weight": (theory.weight_error, 1e-3),
    "solve_polynomial lower": (lambda v: theory.solve_polynomial(v, 2, 3), 1.0),
    "step_error mu": (lambda v: step(mu=v), 0.5),
    "step_error gradient": (lambda v: step(gradient=v), 1e-3),
    "step_error eta": (lambda v: step(eta=v), 1e-3),
    "StepError absolute": (theory.StepError, 1e-3),
}
NOT_NUMBERS = ["0.1", None, True, np.True_, 1j, [0.1], (0.1, 0.2), np.array(["0.1"]), math.nan, math.inf, -math.inf, 10**400]


@pytest.mark.parametrize("name", NUMBERS)
def test_what_is_no_number_is_named(name: str) -> None:
    call, _ = NUMBERS[name]
    argument = name.split()[1]
    for wrong in NOT_NUMBERS:
        if (wrong is None and argument == "distance") or (isinstance(wrong, int) and name == "layers_needed tol"):
            continue  # a default; a tolerance that every number of layers meets
        with pytest.raises(CompileError, match=rf"({argument}|spectrum|interval|weight).* (is|lies in) .*expected"):
            call(wrong)


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_the_same_whatever_its_type(name: str) -> None:
    call, good = NUMBERS[name]
    expected = call(good)
    assert call(np.float64(good)) == expected and call(Fraction(good)) == expected
    if good == int(good):
        assert call(int(good)) == expected and call(np.int64(good)) == expected


@pytest.mark.parametrize(
    "name", ["steps_needed mu", "distance_bound mu", "theorem_distance mu", "closed_error mu", "inverse_perturbation mu",
             "step_size_change mu", "step_error mu", "layers_needed tol", "inversion_steps tol"]
)  # fmt: skip
def test_zero_and_less_are_refused_where_the_theorem_needs_more(name: str) -> None:
    call, _ = NUMBERS[name]
    for wrong in (0, -1e-3, np.float64(-2), Fraction(-1, 3)):
        with pytest.raises(CompileError, match="expected"):
            call(wrong)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.steps_needed(1e-30, 1e-3), "mu is 1e-30: expected a size between 1e-20 and 1e20"),
        (lambda: theory.distance_bound(0.5, 1e-3, 2.0), "steps is 2.0: expected a whole number, from 0 to 5000"),
        (lambda: theory.distance_bound(0.5, 1e-3, True), "steps is True"),
        (lambda: theory.trajectory(0.5, 1e-3, 10**9), "steps is 1e"),
        (lambda: theory.region_radius(0.5, 1e-3, steps=-1), "steps is -1"),
        (lambda: theory.inversion_steps(3, 1e-6, order=2.5), "order is 2.5"),
        (lambda: theory.inversion_steps(3, 1e-6, start="gram"), "start is 'gram': expected 'transpose' or 'identity'"),
        (lambda: theory.spectral_argument("data"), "given is 'data': expected 'examples' or 'matrix' or 'gram'"),
        (lambda: theory.residual_lower_bound(1.5, 1, 2), "layers is 1.5: expected 0 or more"),
        (lambda: theory.layers_needed(1e-200, 1, 0.1), "expected u/l up to 1e120"),
        (lambda: theory.gram_error(0.1, 0), "d is 0: expected a whole number, 1 or more"),
        (lambda: theory.solve_polynomial(1, 2, 10**6), "degree is 1e"),
    ],
)
def test_whole_numbers_choices_and_sizes_are_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(CompileError, match=message):
        call()


def test_the_ends_of_what_is_allowed_are_computed() -> None:
    assert theory.inversion_steps(10**60, 1e-100) < 420 and theory.inversion_steps_bound(10**60, 1e-100) < 420
    assert theory.inverse_perturbation(1e-100, 0) == 0
    assert 0 < theory.closed_error(1e-20) < 1e-25 and theory.distance_bound(1e20, 0, 1) < 1e-15
    assert theory.admissible_error(1e9) >= theory.closed_error(1e9) > 0.1
    assert theory.layers_needed(1, 10**100, 0.5) > 100


def test_numpy_integers_count_steps() -> None:
    assert theory.distance_bound(0.5, 1e-3, np.int64(3)) == theory.distance_bound(0.5, 1e-3, 3)
    assert theory.inversion_steps(3, 1e-6, order=np.int32(3)) == theory.inversion_steps(3, 1e-6, order=3)


def test_every_function_of_theory_is_described_on_its_page() -> None:
    from pathlib import Path

    page = (Path(hw.__file__).parent / "docs" / "reference" / "theory.md").read_text(encoding="utf-8")
    for name in theory.__all__:
        assert f"`{name}" in page, name


@pytest.mark.parametrize("what", sorted(NUMBERS))
def test_a_refusal_says_what_to_pass(what: str) -> None:
    with pytest.raises(CompileError) as caught:
        NUMBERS[what][0](math.nan)
    assert caught.value.fix and what.split()[-1] in caught.value.fix
