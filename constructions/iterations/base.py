"""`Iteration` and `Schedule`: a polynomial iteration as data, and the same tuned to an interval with proved bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal, TypeAlias

import numpy as np
import torch

from ...compiler.errors import CompileError
from ...proofs_check.certificate import Verdict
from ...proofs_check.ranges import Interval, Polynomial, image
from .proof import prove
from .recurrence import Recurrence

Target: TypeAlias = Literal["inverse", "sign", "polar", "inverse_sqrt"]
Stability: TypeAlias = Literal["damped", "neutral", "amplified"]

#: Steps that `schedule` tries at most. κ = 1e15 takes 50 steps of order 2.
LIMIT = 100


@dataclass(frozen=True)
class Floor:
    """The residual that rounding leaves: at most `factor` · eps · κ^`power` in what was measured."""

    factor: float
    power: int


@dataclass(frozen=True)
class Schedule:
    """An iteration tuned to an interval and a tolerance: every number that its program needs, and what is proved of it.

    l, u: the interval of eigenvalues (inverse, inverse_sqrt), their absolute values (sign) or singular values (polar).
    start: X_0 = start · I for the inverse and the inverse square root, start · A for the others.
    steps: for every step its coefficients; for the inverse (c_0, c_1, …) of X ← X Σ_k c_k R^k, for the others (a, b) of
    σ ← aσ + bσ³. bounds: proved upper bounds of |residual| over [l, u] after 0, 1, …, len(steps) steps, rounded outward.
    """

    iteration: Iteration
    l: Fraction
    u: Fraction
    tol: Fraction
    start: Fraction
    steps: tuple[tuple[Fraction, ...], ...]
    bounds: tuple[Fraction, ...]

    @property
    def layers(self) -> int:
        """Attention layers that the steps take; the start is a linear form and takes none of its own."""
        return len(self.steps) * self.iteration.layers_per_step

    @property
    def polynomials(self) -> tuple[Polynomial, ...]:
        """The residual after every step as a polynomial in the residual before it, constant first."""
        return tuple(self.iteration.recurrence.polynomial(step) for step in self.steps)

    @property
    def chain(self) -> tuple[Polynomial, ...]:
        """The residual as a composition of polynomials, the first one in the number on `of_numbers`."""
        return (Fraction(1), -self.start), *self.polynomials

    @property
    def of_numbers(self) -> Interval:
        """The interval of the number of which the residual is a polynomial: what l and u bound, or its root (inverse_sqrt)."""
        return self.iteration.recurrence.numbers(self.l, self.u)

    @property
    def method(self) -> str:
        """How it goes, in a line."""
        start = "I" if self.iteration.target in ("inverse", "inverse_sqrt") else "the matrix itself"
        formula = f"R ← {self.iteration.residual}"
        return f"{self.iteration.name}: {len(self.steps)} steps {formula} from {float(self.start):.6g} times {start}"

    def run(self, value: Any) -> Any:
        """The iteration on S (d, d) or A (n, d): a traced value inside a program, a numpy array, or a sympy matrix."""
        return self.iteration.recurrence.run(self.start, self.steps, value)

    def apply(self, value: Any, rows: Any) -> Any:
        """rows · X for an inverse X of S (d, d) that is never formed: rows (k, d) or (d,). See `Recurrence.apply`."""
        return self.iteration.recurrence.apply(self.start, self.steps, value, rows)

    def bound_rounding(self, dtype: Any, d: int) -> float:
        """A bound, to first order in eps, of what rounding adds to the residual of matrices of at most d rows and columns.

        A layer rounds by at most 4 d² eps times the sizes of its factors. For polar factor and sign only the last layer
        counts; for the others every layer does, by at most 2κ times that (docs/reference/iterations.md has the argument).
        Raises CompileError for an iteration that amplifies errors.
        """
        if self.iteration.stability == "amplified":
            raise CompileError(f"{self.iteration.name} amplifies rounding errors: no bound is known", fix="take a damped one")
        layer = 4.0 * d * d * eps_of(dtype, self.iteration.name)
        if self.iteration.target in ("polar", "sign"):
            return layer
        return 2.0 * (self.layers + 1) * layer * float(self.u / self.l)


@dataclass(frozen=True)
class Iteration:
    """One polynomial iteration: what it converges to, how fast, at what cost in layers, and how rounding behaves.

    residual: the residual after one step as a formula in the residual R before it and the coefficients of the step.
    stability: what becomes of rounding errors made in earlier steps; `stability_note` says why, in a sentence.
    needs_lower: whether the coefficients depend on l, so that it must be known.
    heads, blocks: the most heads in a layer after the first, and rows in blocks of the matrix's own height, as compiled.
    """

    name: str
    target: Target
    order: int
    summary: str
    residual: str
    stability: Stability
    stability_note: str
    layers_per_step: int
    needs_lower: bool
    heads: int
    blocks: int
    recurrence: Recurrence = field(repr=False)
    floor_model: Floor = field(repr=False)

    def schedule(self, l: Any, u: Any, tol: Any, limit: int = LIMIT) -> Schedule:
        """The fewest steps with a proved bound ≤ tol on the residual over [l, u].

        Raises CompileError naming l, u and tol when not 0 < l ≤ u, not 0 < tol < 1, or more than `limit` steps are needed.
        """
        lower, upper, goal = self._checked(l, u, tol)
        if lower <= 0:
            raise CompileError(
                f"{_asked(self, l, u, tol)}: l must be above 0",
                rule="at 0 the residual is 1 after any number of steps",
                fix="pass a positive lower end (too small is safe, and costs steps), or add a ridge μI, which gives l ≥ μ",
            )
        asked = _asked(self, l, u, tol)
        found = self._unrolled(lower, upper, lambda bounds: bounds[-1] <= goal or len(bounds) > limit, asked)
        if found.bounds[-1] > goal:
            raise CompileError(
                f"{asked}: the bound is {float(found.bounds[-1]):.3g} after {limit} steps",
                fix="raise l or tol" + ("" if limit >= LIMIT else ", or the limit"),
            )
        return Schedule(self, lower, upper, goal, found.start, found.steps, found.bounds)

    def fixed(self, steps: int, l: Any, u: Any) -> Schedule:
        """That many steps, with the bounds that they have; tol is the last bound. l may be 0 where `needs_lower` is false.

        Raises CompileError naming l and u when they are no interval, or l = 0 and it is needed.
        """
        lower, upper, _ = self._checked(l, u, Fraction(1, 2))
        asked = f"{self.name}: l = {l!r}, u = {u!r}"
        if lower < 0 or (lower == 0 and self.needs_lower):
            raise CompileError(f"{asked}: l must be above 0", fix="pass a positive lower end")
        return self._unrolled(lower, upper, lambda bounds: len(bounds) > steps, asked)

    def layers(self, kappa: Any, tol: Any) -> int:
        """The layers of the schedule on [1, kappa]. Raises CompileError as `schedule`."""
        return self.schedule(1, kappa, tol).layers

    def prove(self) -> Verdict:
        """The recurrence, proved by computer algebra: a step, as programs run it, maps the residual as `residual` says."""
        return prove(self.recurrence, self.residual)

    def floor(self, dtype: Any, kappa: Any) -> float:
        """About the residual that rounding leaves in that float format: c · eps · κ^p, with c and p from measurements.

        dtype: of numpy or torch, or its name. κ = u/l. Raises CompileError for what is no float format.
        """
        return self.floor_model.factor * eps_of(dtype, self.name) * float(kappa) ** self.floor_model.power

    def _unrolled(self, l: Fraction, u: Fraction, done: Callable[[list[Fraction]], bool], asked: str) -> Schedule:
        start = self.recurrence.start(l, u)
        residual = self.recurrence.spread(start, l, u).rounded()
        steps: list[tuple[Fraction, ...]] = []
        bounds = [residual.largest]
        while not done(bounds):
            if bounds[-1] > 1:  # by the rounding of the start only, where 53 bits cannot tell l/u from 0
                raise CompileError(f"{asked}: l/u is below what weights of 53 bits resolve", fix="raise l")
            steps.append(self.recurrence.tune(residual))
            residual = image(self.recurrence.polynomial(steps[-1]), residual)
            bounds.append(residual.largest)
        return Schedule(self, l, u, bounds[-1], start, tuple(steps), tuple(bounds))

    def _checked(self, l: Any, u: Any, tol: Any) -> tuple[Fraction, Fraction, Fraction]:
        return checked(_asked(self, l, u, tol), l, u, tol)


def checked(asked: str, l: Any, u: Any, tol: Any) -> tuple[Fraction, Fraction, Fraction]:
    """The interval and the tolerance as exact numbers. Raises CompileError; `asked` says who asks, and for what."""
    try:
        lower, upper, goal = map(_number, (l, u, tol))
    except (TypeError, ValueError, OverflowError) as error:
        raise CompileError(f"{asked}: expected finite numbers", fix="pass l, u and tol as numbers") from error
    if not (lower <= upper and upper > 0):
        raise CompileError(f"{asked}: expected 0 < l ≤ u", fix="pass the smallest value first")
    if not 0 < goal < 1:
        raise CompileError(f"{asked}: expected 0 < tol < 1", fix="tol bounds the residual, for example 1e-6")
    return lower, upper, goal


def _number(value: Any) -> Fraction:
    if isinstance(value, (bool, np.bool_, str, bytes)):
        raise TypeError
    return Fraction(value) if isinstance(value, (int, Fraction)) else Fraction(float(value))


def eps_of(dtype: Any, name: str) -> float:
    """The spacing of a float format at 1; `name` is who asks, for the error."""
    try:
        return torch.finfo(dtype).eps if isinstance(dtype, torch.dtype) else float(np.finfo(np.dtype(dtype)).eps)
    except (TypeError, ValueError) as error:
        what = f"{name}: dtype is {dtype!r}: expected a float format"
        raise CompileError(what, fix="pass numpy.float32, numpy.float64 or torch.float32") from error


def _asked(iteration: Iteration, l: Any, u: Any, tol: Any) -> str:
    return f"{iteration.name}: l = {l!r}, u = {u!r}, tol = {tol!r}"
