"""Hypothesis profiles, and fixtures that several folders share. Helper modules are not imported across test files."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import headwright as hw
from headwright.compiler.graph import SYMMETRIC

_SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

# "ci": the same 200 random programs on every run. "fuzz": new ones, as many as HEADWRIGHT_FUZZ_EXAMPLES says.
settings.register_profile(
    "ci", max_examples=200, derandomize=True, deadline=None, database=None, suppress_health_check=_SLOW_IS_FINE
)
_FUZZ = int(os.environ.get("HEADWRIGHT_FUZZ_EXAMPLES", "0"))
settings.register_profile(
    "fuzz", max_examples=max(_FUZZ, 1), deadline=None, suppress_health_check=_SLOW_IS_FINE, print_blob=True
)
settings.load_profile("fuzz" if _FUZZ else "ci")


class _RootIsNoTestPackage:
    """The repository root has an `__init__.py`: pytest must not import it under the name of the checkout."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        return pytest.Dir.from_parent(parent, path=path) if path == parent.config.rootpath else None


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_RootIsNoTestPackage())


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240305)


@pytest.fixture
def matrix(rng: np.random.Generator) -> Callable[..., np.ndarray]:
    """matrix(n, d, rank=None, low=0.5): random, its nonzero singular values between `low` and 1."""

    def make(n: int, d: int, rank: int | None = None, low: float = 0.5) -> np.ndarray:
        k = min(n, d) if rank is None else rank
        left, _ = np.linalg.qr(rng.normal(size=(n, n)))
        right, _ = np.linalg.qr(rng.normal(size=(d, d)))
        return left[:, :k] * rng.uniform(low, 1.0, k) @ right[:, :k].T

    return make


@dataclass(frozen=True)
class Variant:
    """One way to compile a construction: a name and arguments."""

    name: str
    arguments: dict[str, Any]

    def compile(self, **changes: Any) -> hw.Compiled:
        return hw.constructions.get(self.name).compile(**{**self.arguments, **changes}) if changes else _compiled(str(self))

    def __str__(self) -> str:
        return self.name + "(" + ",".join(f"{k}={v}" for k, v in self.arguments.items()) + ")"


@cache
def _compiled(text: str) -> hw.Compiled:
    """Several tests look at each variant; nothing in them changes a model."""
    found = next(variant for variant in all_variants() if str(variant) == text)
    return hw.constructions.get(found.name).compile(**found.arguments)


_SIZES = {"n": 4, "d": 3, "m": 2}


def _values(parameter: Any) -> list[Any]:
    """The values to try: every choice, both ends of a bounded integer, absent and present where optional."""
    if parameter.kind == "choice":
        return list(parameter.choices)
    if parameter.kind == "size":
        if parameter.low is not None and parameter.high is not None:
            return [parameter.low, 3, parameter.high]
        return [*([None] if parameter.default is None else []), _SIZES.get(parameter.name, 3)]
    optional = [None] if parameter.default is None else []
    if parameter.kind in ("interval", "tolerance"):
        return [*optional, (Fraction(1, 100), Fraction(1)) if parameter.kind == "interval" else Fraction(1, 10)]
    if parameter.low:  # a count that starts at 1
        return [2]
    positive = Fraction(1) if parameter.name in ("mu", "delta") else Fraction(1, 8)
    numbers = (Fraction(-1, 2), Fraction(-1, 4))
    return {
        "count": [parameter.default] if parameter.name == "k" else [0, 2],
        "positive": [positive],
        "nonnegative": [*([0] if parameter.default == 0 else []), Fraction(1, 4)],
        "rates": [Fraction(1, 8)],
        "numbers": [numbers],
        "matrices": [(*numbers, np.array([[-2, 1, 0], [1, -2, 0], [0, 0, -1]]))],
        "covariance": [Fraction(2), np.array([[2, 1, 0], [1, 2, 0], [0, 0, 1]])],
    }[parameter.kind]


def all_variants() -> Iterator[Variant]:
    """Every construction with every option. Data with singular values of at most 1 meet the stated spectra."""
    for name in hw.constructions.names():
        construction = hw.constructions.get(name)
        names, seen = [p.name for p in construction.parameters], set()
        either = {p.name: p.default for p in construction.parameters if p.default is None and p.kind != "size"}
        for values in itertools.product(*(_values(p) for p in construction.parameters)):
            arguments = dict(zip(names, values, strict=True))
            if "spectrum" in either and arguments["spectrum"] is not None:  # then all other numbers follow from it
                arguments |= {n: None for n in either if n not in ("spectrum", "tol")}
            variant = Variant(name, arguments)
            if str(variant) not in seen and all(arguments[n] is not None for n in construction.needs(arguments)):
                seen.add(str(variant))
                yield variant


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `variant` runs for every construction and option."""
    if "variant" in metafunc.fixturenames:
        metafunc.parametrize("variant", list(all_variants()), ids=str)


@pytest.fixture
def data_for(matrix: Callable[..., np.ndarray], rng: np.random.Generator) -> Callable[[hw.Compiled], dict[str, np.ndarray]]:
    """Random float inputs of a model: matrices with singular values from 0.5 to 1 (positive definite where the program
    states symmetry), standard normal vectors."""

    def make(model: hw.Compiled) -> dict[str, np.ndarray]:
        graph, out = model.artifact.program, {}
        for spec in graph.inputs:
            shape = tuple(d if isinstance(d, int) else graph.sizes[d] for d in spec.shape)
            value = matrix(*shape) if len(shape) == 2 else rng.normal(size=shape)
            for fact in (f for f in graph.facts if f.node == spec.node):
                if fact.kind in SYMMETRIC:
                    value = (value.T @ value + (value.T @ value).T) / 2
                elif fact.kind == "signs":
                    value = np.where(value < 0, -1.0, 1.0)
                elif fact.kind == "norm":
                    value = value / np.linalg.norm(value) * fact.bounds[1] / 2
                elif fact.kind == "within":
                    value = np.clip(value, *fact.bounds)
            out[spec.name] = value
        return out

    return make


@pytest.fixture
def integers_for(rng: np.random.Generator) -> Callable[..., dict[str, np.ndarray]]:
    """Random integer inputs of a model, as object arrays: exact arithmetic stays exact."""

    def make(model: hw.Compiled, bound: int = 2) -> dict[str, np.ndarray]:
        sizes, out = model.artifact.graph.sizes, {}
        for spec in model.artifact.graph.inputs:
            shape = tuple(d if isinstance(d, int) else sizes[d] for d in spec.shape)
            values = rng.integers(-bound, bound + 1, shape)
            stated = spec.node in {fact.node for fact in model.artifact.graph.facts if fact.kind in SYMMETRIC}
            out[spec.name] = np.array((values + values.T if stated else values).tolist(), dtype=object)
        return out

    return make
