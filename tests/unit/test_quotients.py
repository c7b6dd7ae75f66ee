"""Quotients 0/0: enclosed where top and bottom are proved to vanish alike; poles stay poles."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy

import headwright as hw
from headwright.compiler.approximate import ApproximationError, ScalarFunction, Undefined, fit, from_callable
from headwright.compiler.approximate.enclosure import fraction
from headwright.compiler.approximate.scalar_function import Z
from headwright.runtime.checkpoint import load, save

THIRD = Fraction(1, 3)
REMOVABLE: dict[str, tuple[Callable, float, tuple[float, float]]] = {  # function, where it is 0/0, a domain
    "(exp z - 1)/z": (lambda z: (sympy.exp(z) - 1) / z, 0, (-1, 1)),
    "sin(z)/z": (lambda z: sympy.sin(z) / z, 0, (-4, 4)),
    "log(1 + z)/z": (lambda z: sympy.log(1 + z) / z, 0, (-0.5, 1)),
    "z/(1 - exp(-z))": (lambda z: z / (1 - sympy.exp(-z)), 0, (-30, 30)),
    "1/(exp z - 1) - 1/z": (lambda z: 1 / (sympy.exp(z) - 1) - 1 / z, 0, (-2, 2)),
    "(1 - cos z)/z²": (lambda z: (1 - sympy.cos(z)) / z**2, 0, (0, 1)),
    "(z - sin z)/z³": (lambda z: (z - sympy.sin(z)) / z**3, 0, (-1, 0)),
    "1/sin² - 1/z²": (lambda z: 1 / sympy.sin(z) ** 2 - 1 / z**2, 0, (-1, 1)),
    "coth z - 1/z": (lambda z: sympy.coth(z) - 1 / z, 0, (-1, 2)),
    "cot z - 1/z": (lambda z: sympy.cot(z) - 1 / z, 0, (-1, 1)),
    "exp(sin(z)/z)": (lambda z: sympy.exp(sympy.sin(z) / z), 0, (-1, 1)),
    "√(sin(z)/z)": (lambda z: sympy.sqrt(sympy.sin(z) / z), 0, (-1, 1)),
    "1/(1 + 1/z)": (lambda z: 1 / (1 + 1 / z), 0, (-0.5, 0.5)),
    "away from 0": (lambda z: (sympy.exp(z - THIRD) - 1) / (z - THIRD), 1 / 3, (-1, 1)),
    "at a float": (lambda z: sympy.sin(z - 0.3) / (z - 0.3), 0.3, (-1, 1)),
    "at π": (lambda z: sympy.sin(z) / (z - sympy.pi), math.pi, (3, 3.5)),
    "at √2": (lambda z: (z**2 - 2) / (z**3 - 2 * z), math.sqrt(2), (1, 2)),
    "two of them": (lambda z: sympy.sin(sympy.pi * z) / (z * (1 - z)), 1, (-0.5, 1.5)),
    "numpy": (lambda z: np.expm1(z) / z, 0, (-1, 1)),
}


def true_values(f: ScalarFunction, points: list[Fraction], order: int = 0) -> list[mpmath.mpf]:
    """f (or a Taylor coefficient of it) in 60 digits; where it is 0/0, as a limit from 1e-40 away."""
    g = sympy.lambdify(Z, sympy.diff(f.expression, Z, order) / math.factorial(order), "mpmath")
    out = []
    with mpmath.workdps(400):
        for q in points:
            z = mpmath.mpf(q.numerator) / q.denominator
            try:
                out.append(g(z))
            except ZeroDivisionError:
                out.append(g(z + mpmath.mpf(10) ** -60))
    return out


@pytest.mark.parametrize("name", REMOVABLE)
def test_the_bound_of_a_fit_holds_also_where_the_expression_is_0_over_0(name: str) -> None:
    fn, at, (lo, hi) = REMOVABLE[name]
    f = from_callable(fn)
    found = fit(f, lo, hi, tol=1e-3)
    assert found.bound <= Fraction(1, 1000)
    near = [Fraction(at) + s * Fraction(10) ** -k for k in range(1, 16) for s in (-1, 1)]
    grid = [Fraction(lo) + Fraction(hi - lo) * k / 101 for k in range(102)]
    points = [Fraction(at), *found.knots, *grid, *(z for z in near if lo <= z <= hi)]
    worst = max(abs(v - mpmath.mpf(float(found(z)))) for v, z in zip(true_values(f, points), points, strict=True))
    assert worst <= float(found.bound) * (1 + 1e-9)
    assert worst >= float(found.bound) * 0.5, "the bound is tight"


@pytest.mark.parametrize("name", REMOVABLE)
def test_values_and_derivatives_are_enclosed_around_the_point(name: str) -> None:
    fn, at, _ = REMOVABLE[name]
    f, centre = from_callable(fn), Fraction(at)
    for k in (2, 5, 9, 14, 20):
        width = Fraction(10) ** -k
        for left, right in ((-1, 1), (0, 1), (Fraction(1, 2), 1), (-1, -1)):
            lo, hi = centre + left * width, centre + right * width
            series = f.enclose(lo, hi, 2)
            for order, enclosed in enumerate(series):
                low, high = fraction(enclosed.a), fraction(enclosed.b)
                for value in true_values(f, [lo, (lo + hi) / 2, hi], order):
                    slack = mpmath.mpf(10) ** -30  # of the limit that stands for the value at the point
                    assert mpmath.mpf(low.numerator) / low.denominator <= value + slack, (k, order)
                    assert value - slack <= mpmath.mpf(high.numerator) / high.denominator, (k, order)
                assert high - low <= 200 * float(width) + 1e-9, (k, order, float(high - low))


@pytest.mark.parametrize("name", REMOVABLE)
def test_floats_near_the_point_have_no_cancellation(name: str) -> None:
    fn, at, (lo, hi) = REMOVABLE[name]
    f = from_callable(fn)
    z = np.array([at + s * 10.0**-k for k in range(1, 17) for s in (-1, 1) if lo <= at + s * 10.0**-k <= hi] + [at])
    for order, slack in ((0, 1e-12), (1, 1e-10)):
        true = [float(v) * math.factorial(order) for v in true_values(f, list(map(Fraction, z.tolist())), order)]
        assert np.abs(f.numpy(z, order) - true).max() <= slack * (1 + np.abs(true).max())


POLES: dict[str, Callable] = {
    "1/z": lambda z: 1 / z,
    "cos(z)/z": lambda z: sympy.cos(z) / z,
    "sin(z)/z²": lambda z: sympy.sin(z) / z**2,
    "1/sin(z) - 1/z²": lambda z: 1 / sympy.sin(z) - 1 / z**2,
    "1/(exp z - 1) + 1/z": lambda z: 1 / (sympy.exp(z) - 1) + 1 / z,
    "(exp z - 2)/z": lambda z: (sympy.exp(z) - 2) / z,
    "|z|/z": lambda z: abs(z) / z,
    "exp(1/z)": lambda z: sympy.exp(1 / z),
    "z/(1 - cos z)": lambda z: z / (1 - sympy.cos(z)),
}


@pytest.mark.parametrize("name", POLES)
def test_a_pole_is_refused_by_name(name: str) -> None:
    with pytest.raises(ApproximationError, match=r"a pole near z = (0|-?\de-1\d)\n") as caught:
        fit(from_callable(POLES[name]), -1, 1, tol=1e-2)
    assert caught.value.fix
    with pytest.raises((Undefined, AssertionError)):
        (value,) = from_callable(POLES[name]).enclose(Fraction(-1, 8), Fraction(1, 8), 0)
        assert all(map(math.isfinite, (float(value.a), float(value.b))))


@pytest.mark.parametrize("c", [1 + 1e-7, 1 - 1e-15])
def test_what_only_looks_removable_is_refused_and_the_reason_said(c: float) -> None:
    with pytest.raises(ApproximationError, match="0/0, or nearly, at z = 0, where it seems to tend to 1") as caught:
        fit(from_callable(lambda z: (sympy.exp(z) - c) / z), -1, 1, tol=1e-2)
    assert "proved to vanish alike" in caught.value.rule and "Fraction" in caught.value.fix


def test_a_float_is_not_the_fraction_that_it_stands_for() -> None:
    with pytest.raises(ApproximationError, match=r"0/0, or nearly, at z = 0\.1"):
        fit(from_callable(lambda z: (z**2 - 0.01) / (z - 0.1)), 0, 1, tol=1e-2)
    tenth = Fraction(1, 10)
    found = fit(from_callable(lambda z: (z**2 - sympy.Rational(1, 100)) / (z - sympy.Rational(1, 10))), 0, 1, tol=1e-2)
    assert found(tenth) == 2 * tenth and found.bound == 0


def phi(z: Any) -> Any:
    return (sympy.exp(z) - 1) / z


@hw.program
def phi_of(v: hw.Vector["n"]):
    return hw.apply(phi, v, domain=(-1, 1), tol=1e-3)


def test_such_a_function_compiles_with_a_proof_and_runs_at_the_point() -> None:
    model = hw.compile(phi_of, dims={"n": 5})
    v = np.array([-1.0, -1e-9, 0.0, 1e-12, 1.0])
    true = np.array([1 - np.exp(-1), 1 - 5e-10, 1, 1 + 5e-13, np.e - 1])
    assert np.abs(phi_of.reference(v=v) - true).max() <= 1e-15
    assert np.abs(model(v=v) - true).max() <= 1e-3
    certificate = hw.verify(model)
    assert all(isinstance(claim.verdict, hw.Proved) for claim in certificate.claims), certificate


@pytest.mark.parametrize("fn", [phi, lambda z: sympy.coth(z) - 1 / z, lambda z: sympy.cot(z) - 1 / z, sympy.asinh, sympy.erfc])
def test_a_saved_model_is_read_and_proved_again(fn: Callable, tmp_path: Any) -> None:
    @hw.program
    def applies(v: hw.Vector["n"]):
        return hw.apply(fn, v, domain=(-1, 1), tol=0.05)

    model = load(save(hw.compile(applies, dims={"n": 2}), tmp_path / "model"))
    assert all(isinstance(claim.verdict, hw.Proved) for claim in hw.verify(model).claims)
