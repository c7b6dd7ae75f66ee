"""Parameters of constructions: sizes, step counts, positive numbers and choices, checked with clear errors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from ..compiler.errors import CompileError

REQUIRED: Any = object()


@dataclass(frozen=True)
class Parameter:
    """One argument of `compile`. kind: "size" (integer ≥ 1), "count" (integer ≥ 0), "positive" (number > 0),
    "nonnegative" (number ≥ 0), "interval" (two numbers 0 < l ≤ u), "tolerance" (0 < number < 1) or "choice"; low and high
    bound an integer further."""

    name: str
    kind: str
    meaning: str
    default: Any = REQUIRED
    choices: tuple[Any, ...] = ()
    low: int | None = None
    high: int | None = None

    def check(self, construction: str, value: Any) -> Any:
        """The value as a plain Python number. Raises CompileError naming the parameter, the rule and what came."""
        if value is None and self.default is None:
            return None
        expected = self._mismatch(value)
        if expected:
            raise CompileError(f"{construction}: {self.name} is {value!r}: expected {expected} ({self.meaning})")
        if self.kind == "interval":
            return tuple(value)
        return int(value) if self.kind in ("size", "count") else value

    def _mismatch(self, value: Any) -> str | None:
        if self.kind == "choice":
            return None if value in self.choices else "one of " + ", ".join(map(repr, self.choices))
        if self.kind in ("size", "count"):
            low = self.low if self.low is not None else (1 if self.kind == "size" else 0)
            ok = isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_)) and value >= low
            if ok and (self.high is None or value <= self.high):
                return None
            return f"an integer of at least {low}" + (f" and at most {self.high}" if self.high is not None else "")
        if self.kind == "interval":
            pair = isinstance(value, (tuple, list)) and len(value) == 2 and all(map(_is_finite, value))
            return None if pair and 0 < value[0] <= value[1] else "two finite numbers l,u with 0 < l ≤ u"
        if self.kind == "tolerance":
            return None if _is_finite(value) and 0 < value < 1 else "a number above 0 and below 1"
        if self.kind == "positive":
            return None if _is_finite(value) and value > 0 else "a finite number above 0"
        return None if _is_finite(value) and value >= 0 else "a finite number of at least 0"


def _is_finite(value: Any) -> bool:
    number = isinstance(value, (int, float, Fraction, np.integer, np.floating)) and not isinstance(value, bool)
    return number and math.isfinite(value)


def size(name: str, meaning: str) -> Parameter:
    return Parameter(name, "size", meaning)


STEPS = Parameter("steps", "count", "iterations")
