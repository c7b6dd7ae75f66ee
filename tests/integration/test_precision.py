"""Runs in which rounding is above what is proved in exact arithmetic are reported; others are not."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy

import headwright as hw


@hw.program
def probability(v: hw.Vector["n"]):
    return hw.sigmoid(v)


@hw.program
def product(u: hw.Vector["n"], v: hw.Vector["n"], *, most):
    hw.bounded(u, within=(0, most))
    hw.bounded(v, within=(0, most))
    return u * v


def quiet(model: hw.Compiled, **inputs: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return model(**inputs)


@pytest.mark.parametrize(("dtype", "near", "far"), [(np.float64, 1e9, 1e13), (np.float32, 100.0, 1e6)])
@pytest.mark.parametrize("sign", [1, -1])
def test_far_out_where_units_cancel_a_run_is_reported_every_time(dtype: Any, near: float, far: float, sign: int) -> None:
    model = hw.compile(probability, dims={"n": 2}, tol=1e-4)
    at = np.array([0.5, sign * near], dtype=dtype)
    assert np.abs(quiet(model, v=at) - probability.reference(v=at.astype(float))).max() <= 1e-4
    for _ in range(2):
        with pytest.warns(hw.PrecisionWarning, match=r"on all of ℝ, but where v reaches .*fix: .*hw\.bounded"):
            model(v=np.array([0.5, sign * far], dtype=dtype))


def test_a_run_in_float32_that_loses_what_is_proved_is_reported_once() -> None:
    model = hw.compile(product, dims={"n": 1}, most=1e-6, tol=1e-15)
    data = {"u": np.array([9e-7]), "v": np.array([9e-7])}
    assert abs(quiet(model, **data)[0] - 8.1e-13) <= 1e-15
    single = {name: value.astype(np.float32) for name, value in data.items()}
    with pytest.warns(hw.PrecisionWarning, match=r"proved within .* float32 moves it by .* on these data; fix"):
        found = model(**single)
    assert abs(float(found[0]) - 8.1e-13) > 1e-15
    quiet(model, **single)  # once for a model and a format
    quiet(hw.compile(product, dims={"n": 1}, most=1.0, tol=1e-3), **single)


def test_a_newton_model_in_float32_is_compared_with_its_certified_distance() -> None:
    newton, data = hw.constructions.get("logistic_newton"), {"A": np.float32([[0.9], [0.7]]), "y": np.float32([1, 1])}
    model = newton.compile(n=2, d=1, mu=100.0, steps=2, tol=1e-4)
    quiet(model, **data)
    closer = newton.compile(n=2, d=1, mu=100.0, steps=2, tol=1e-4)
    closer.theory = replace(closer.theory, distance=1e-12)
    with pytest.warns(hw.PrecisionWarning, match="output w is proved within 1.0e-12 .* float32 moves it by"):
        closer(**data)


def test_a_small_domain_is_checked_as_strictly_as_a_large_one() -> None:
    model = hw.compile(product, dims={"n": 1}, most=1e-6, tol=1e-14)
    with pytest.raises(hw.AssumptionError, match="u reaches 7e-06"):
        model(u=np.array([7e-6], dtype=np.float32), v=np.array([1e-6], dtype=np.float32))

    @hw.program
    def roots(v: hw.Vector["n"]):
        return hw.apply(sympy.sqrt, v, domain=(0, 1e-16), tol=1e-10)

    model = hw.compile(roots, dims={"n": 1})
    assert abs(quiet(model, v=np.array([1e-16]))[0] - 1e-8) <= 1e-10
    for outside in (1.001e-16, -1e-20):
        with pytest.raises(hw.AssumptionError, match=r"expected entries within \[0, 1e-16\]"):
            model(v=np.array([outside]))


def test_numbers_that_floats_round_are_no_reason_to_warn() -> None:
    @hw.program
    def line(v: hw.Vector["n"]):
        return hw.apply(lambda z: sympy.pi * z + sympy.sqrt(2), v, domain=(-1, 1), tol=1e-2)

    model = hw.compile(line, dims={"n": 1})
    assert abs(quiet(model, v=np.array([0.3]))[0] - (np.pi * 0.3 + 2**0.5)) <= 1e-15


def test_rounding_of_computed_values_is_not_taken_for_data_outside() -> None:
    @hw.program
    def spread(u: hw.Vector["n"], v: hw.Vector["n"]):
        return hw.apply(sympy.sqrt, u @ u - v @ v, domain=(0, 1e-9), tol=1e-5)

    model = hw.compile(spread, dims={"n": 3})
    u, v = np.array([0.1, 0.1, 0.4]), np.array([0.4, 0.1, 0.1])  # equal norms, but for the order of the sum
    assert u @ u - v @ v < 0
    assert abs(quiet(model, u=u, v=v)) <= 1.1e-5
    with pytest.raises(hw.AssumptionError):
        model(u=v, v=u + 1e-12)
