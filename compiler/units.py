"""Feed-forward units as data: a function of a token's own rows, Σ_k weight_k · relu(Σ_j coefficient_kj · argument_j + bias_k).

This is what a layer's feed-forward part computes, entry by entry, and all that it computes. An argument has the shape of
the result, or one column that stands for all of them (a number a token).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any


@dataclass(frozen=True)
class Unit:
    """weight · relu(Σ coefficients · arguments + bias)."""

    coefficients: tuple[Fraction, ...]
    bias: Fraction
    weight: Fraction


@dataclass(frozen=True)
class Units:
    """A sum of units, entry by entry. `name`: what it stands for, for people."""

    name: str
    units: tuple[Unit, ...]

    @property
    def biased(self) -> bool:
        return any(unit.bias for unit in self.units)

    def evaluate(self, args: Sequence[Any], arithmetic: Any) -> Any:
        """The sum at arrays that broadcast against each other, in the given `ops.Arithmetic`."""
        total = None
        for unit in self.units:
            inside = None
            for c, arg in zip(unit.coefficients, args, strict=True):
                if c:
                    part = arithmetic.scale(arg, c)
                    inside = part if inside is None else arithmetic.reduce(inside + part)
            bias = arithmetic.scale(arithmetic.ones(args[0].shape), unit.bias)
            inside = bias if inside is None else arithmetic.reduce(inside + bias) if unit.bias else inside
            part = arithmetic.scale(arithmetic.relu(inside), unit.weight)
            total = part if total is None else arithmetic.reduce(total + part)
        return arithmetic.scale(args[0], Fraction(0)) if total is None else total


def linear_units(coefficients: Sequence[Fraction], factor: Fraction = Fraction(1)) -> tuple[Unit, Unit]:
    """factor · Σ coefficients · arguments, as relu(z) − relu(−z)."""
    plus, minus = tuple(coefficients), tuple(-c for c in coefficients)
    return Unit(plus, Fraction(0), factor), Unit(minus, Fraction(0), -factor)
