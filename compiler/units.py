"""Feed-forward units as data: a function of a token's own rows, Σ_k weight_k · g(Σ_j coefficient_kj · argument_j + bias_k).

This is what a layer's feed-forward part computes, entry by entry, and all that it computes. An argument has the shape of
the result, or one column that stands for all of them (a number a token). g is relu, its square, or, with a gate, the product
with a second linear form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any


@dataclass(frozen=True)
class Unit:
    """weight · g(Σ coefficients · arguments + bias); with a gate weight · (Σ coefficients · arguments) (Σ gate · arguments)."""

    coefficients: tuple[Fraction, ...]
    bias: Fraction
    weight: Fraction
    gate: tuple[Fraction, ...] = ()


@dataclass(frozen=True)
class Units:
    """A sum of units, entry by entry. `name`: what it stands for, for people. kind: "relu", "relu2" or "gate"."""

    name: str
    units: tuple[Unit, ...]
    kind: str = "relu"

    @property
    def biased(self) -> bool:
        return any(unit.bias for unit in self.units)

    def evaluate(self, args: Sequence[Any], arithmetic: Any) -> Any:
        """The sum at arrays that broadcast against each other, in the given `ops.Arithmetic`."""
        total = None
        for unit in self.units:
            inside = _form(unit.coefficients, unit.bias, args, arithmetic)
            other = _form(unit.gate, Fraction(0), args, arithmetic) if unit.gate else None
            part = arithmetic.scale(activate(self.kind, inside, other, arithmetic), unit.weight)
            total = part if total is None else arithmetic.reduce(total + part)
        return arithmetic.scale(args[0], Fraction(0)) if total is None else total


def activate(kind: str, inside: Any, gate: Any, arithmetic: Any) -> Any:
    """g, in the given arithmetic. relu(z)² is z · relu(z)."""
    if kind == "gate":
        return arithmetic.times(inside, gate)
    found = arithmetic.relu(inside)
    return arithmetic.times(inside, found) if kind == "relu2" else found


def _form(coefficients: Sequence[Fraction], bias: Fraction, args: Sequence[Any], arithmetic: Any) -> Any:
    inside = None
    for c, arg in zip(coefficients, args, strict=True):
        if c:
            part = arithmetic.scale(arg, c)
            inside = part if inside is None else arithmetic.reduce(inside + part)
    constant = arithmetic.scale(arithmetic.ones(args[0].shape), bias)
    return constant if inside is None else arithmetic.reduce(inside + constant) if bias else inside


def linear_units(coefficients: Sequence[Fraction], factor: Fraction = Fraction(1)) -> tuple[Unit, Unit]:
    """factor · Σ coefficients · arguments, as relu(z) − relu(−z)."""
    plus, minus = tuple(coefficients), tuple(-c for c in coefficients)
    return Unit(plus, Fraction(0), factor), Unit(minus, Fraction(0), -factor)


def product_units(kind: str) -> Units:
    """u · v for two arguments, exactly: one gate, or ¼ ((u + v)² − (u − v)²) with z² = relu(z)² + relu(−z)²."""
    one, none, quarter = Fraction(1), Fraction(0), Fraction(1, 4)
    if kind == "gate":
        return Units("product", (Unit((one, none), none, one, (none, one)),), kind)
    signs = ((1, 1, 1), (-1, -1, 1), (1, -1, -1), (-1, 1, -1))
    return Units("product", tuple(Unit((Fraction(a), Fraction(b)), none, w * quarter) for a, b, w in signs), "relu2")


def square_units(kind: str) -> Units:
    """z², exactly."""
    one, none = Fraction(1), Fraction(0)
    if kind == "gate":
        return Units("square", (Unit((one,), none, one, (one,)),), kind)
    return Units("square", (Unit((one,), none, one), Unit((-one,), none, one)), "relu2")
