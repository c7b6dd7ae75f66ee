"""What an iteration does, apart from its name: how it starts, one step of it, and how it is tuned to an interval.

The same text of a step is traced into layers, run on numpy arrays, and run on symbols for the proof: `run`, `begin` and
`advance` use +, −, @, .T and multiples by numbers only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, ClassVar, TypeAlias

import numpy as np
import sympy

from ...compiler.expr import Expr
from ...compiler.program import eye
from ...proofs_check.ranges import Interval, Polynomial

__tracebackhide__ = True  # errors name the program's line, not ours

#: Coefficients of one step: rationals when it runs, symbols when it is proved.
Step: TypeAlias = tuple[Any, ...]

#: What a step carries along: the result so far, and possibly a product with it that would cost a layer to form again.
State: TypeAlias = tuple[Any, ...]


class Recurrence(ABC):
    """One family of steps X ← f(X) whose residual R (a number per eigenvalue or singular value) becomes a polynomial in R."""

    #: The coefficients of a step as symbols or constants, for the proof.
    symbols: ClassVar[Step] = ()

    @abstractmethod
    def start(self, l: Fraction, u: Fraction) -> Fraction:
        """The scale of X_0: a number of 53 bits."""

    def numbers(self, l: Fraction, u: Fraction) -> Interval:
        """The interval of the numbers ν for which the residual of X_0 is 1 − start · ν: by default those that l and u bound."""
        return Interval(l, u)

    def spread(self, start: Fraction, l: Fraction, u: Fraction) -> Interval:
        """Proved bounds of the residual of X_0 over [l, u]."""
        numbers = self.numbers(l, u)
        return Interval(1 - start * numbers.hi, 1 - start * numbers.lo)

    @abstractmethod
    def tune(self, residual: Interval) -> tuple[Fraction, ...]:
        """The coefficients of the next step, numbers of 53 bits, for residuals in this interval."""

    @abstractmethod
    def polynomial(self, step: Step) -> Polynomial:
        """The residual after a step as a polynomial in the residual before it, constant first."""

    @abstractmethod
    def run(self, start: Any, steps: Sequence[Step], value: Any) -> Any:
        """X after all steps, for a traced value, an array or a sympy matrix."""

    #: Whether X enters a step only as the left factor, so that rows · X needs no X.
    factors: ClassVar[bool] = False

    def apply(self, start: Any, steps: Sequence[Step], value: Any, rows: Any) -> Any:
        """rows · X after all steps, where X enters a step only as the left factor (`factors`)."""
        raise NotImplementedError

    @abstractmethod
    def begin(self, start: Any, value: Any) -> State:
        """The state before the first step."""

    @abstractmethod
    def advance(self, state: State, step: Step, value: Any) -> State:
        """The state after one step."""

    # -- what has to hold of a state, for the proof; all on commuting numbers -------------------------------------

    @abstractmethod
    def unknowns(self) -> tuple[sympy.Symbol, Any]:
        """A symbol for X, and the value (1 × 1) that the iteration is given, in symbols."""

    @abstractmethod
    def state_of(self, X: Any, value: Any) -> State:
        """The state that belongs to X: what `begin` and `advance` have to give, entry by entry."""

    @abstractmethod
    def residual_of(self, X: Any, value: Any) -> Any:
        """The residual of X."""


def identity_like(value: Any) -> Any:
    """The identity of the size of a square value: traced, numpy or sympy."""
    if isinstance(value, Expr):
        return eye(value.dims[0])
    if isinstance(value, np.ndarray):
        return np.eye(len(value), dtype=int).astype(value.dtype)
    return sympy.eye(value.shape[0])


def numbers_like(numbers: Sequence[Any], value: Any) -> tuple[Any, ...]:
    """Rationals as the value computes: floats beside float arrays, else as they are."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return tuple(float(number) for number in numbers)
    return tuple(numbers)
