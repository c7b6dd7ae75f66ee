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
    "nonnegative" (number ≥ 0), "interval" (two numbers 0 < l ≤ u), "tolerance" (0 < number < 1), "rates" (a number > 0, or
    several), "numbers" (several), "matrices" (several square ones, a number standing for its multiple of I), "covariance" (a
    number or numbers > 0, which are a diagonal, or a symmetric positive definite matrix) or "choice"; low and high bound an
    integer further."""

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
            what = f"{construction}: {self.name} is {value!r}: expected {expected} ({self.meaning})"
            raise CompileError(what, fix=f"pass {self.name} as {expected}")
        if self.kind == "interval":
            return tuple(value)
        if self.kind == "matrices":
            return _as_matrices(value)
        if self.kind == "numbers":
            return as_sequence(value)
        if self.kind == "rates":
            return value if _is_finite(value) else as_sequence(value)
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
            pair = isinstance(value, (tuple, list, np.ndarray)) and len(value) == 2 and all(map(_is_finite, value))
            return None if pair and 0 < value[0] <= value[1] else "two finite numbers l,u with 0 < l ≤ u"
        if self.kind in ("numbers", "rates"):
            several = as_sequence(value)
            fine = bool(several) and all(_is_finite(v) and (self.kind == "numbers" or v > 0) for v in several)
            return None if fine else "finite numbers" if self.kind == "numbers" else "a finite number above 0, or several"
        if self.kind == "matrices":
            several = _as_matrices(value)
            return None if several and all(map(_is_square, several)) else "square matrices of finite numbers, or numbers"
        if self.kind == "covariance":
            return _not_covariance(value)
        if self.kind == "tolerance":
            return None if _is_finite(value) and 0 < value < 1 else "a number above 0 and below 1"
        if self.kind == "positive":
            return None if _is_finite(value) and value > 0 else "a finite number above 0"
        return None if _is_finite(value) and value >= 0 else "a finite number of at least 0"


def as_sequence(value: Any) -> tuple[Any, ...]:
    """One value, or several, as a tuple."""
    return tuple(value) if isinstance(value, (tuple, list)) or (isinstance(value, np.ndarray) and value.ndim) else (value,)


def _as_matrices(value: Any) -> tuple[Any, ...]:
    """As above; an array of two axes is one matrix."""
    return (value,) if isinstance(value, np.ndarray) and value.ndim == 2 else as_sequence(value)


def exact_matrix(value: Any, d: int) -> np.ndarray:
    """A number (times I), d numbers (a diagonal) or a d × d matrix as Fractions, dtype object. None where sizes differ."""
    given = np.asarray(value, dtype=object)
    if given.ndim == 0:
        given = np.full(d, given[()], dtype=object)
    full = np.full((d, d), Fraction(0), dtype=object)
    if given.shape == (d,):
        full[np.arange(d), np.arange(d)] = [Fraction(v) for v in given]
    elif given.shape == (d, d):
        full[...] = np.vectorize(Fraction, otypes=[object])(given)
    else:
        what = f"expected a number, {d} numbers or a {d} × {d} matrix, got shape {given.shape}"
        raise CompileError(what, fix=f"d is {d}")
    return full


def _is_square(value: Any) -> bool:
    given = np.asarray(value, dtype=object)
    return given.ndim in (0, 2) and len(set(given.shape)) <= 1 and all(map(_is_finite, given.ravel().tolist()))


def _not_covariance(value: Any) -> str | None:
    expected = "a symmetric positive definite matrix, or its diagonal, or a number above 0"
    given = np.asarray(value, dtype=object)
    if given.ndim > 2 or not all(map(_is_finite, given.ravel().tolist())):
        return expected
    if given.ndim < 2:
        return None if all(v > 0 for v in given.ravel().tolist()) else expected
    if given.shape[0] != given.shape[1] or not bool((given == given.T).all()):
        return expected
    eigenvalues = np.linalg.eigvalsh(given.astype(float))
    rounding = len(given) * np.finfo(np.float64).eps * eigenvalues[-1]  # a singular matrix may have eigenvalues up to this
    diagonal = np.count_nonzero(given - np.diag(np.diag(given))) == 0
    return None if eigenvalues[0] > (0 if diagonal else rounding) else expected


def _is_finite(value: Any) -> bool:
    number = isinstance(value, (int, float, Fraction, np.integer, np.floating)) and not isinstance(value, bool)
    return number and math.isfinite(value)


def size(name: str, meaning: str) -> Parameter:
    return Parameter(name, "size", meaning)


STEPS = Parameter("steps", "count", "iterations")
