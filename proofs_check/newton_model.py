"""Claims of a compiled damped Newton iteration: from the proved bounds of its units to the distance from the minimiser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import sqrt
from typing import Any

from ..compiler.artifact import Artifact
from ..compiler.dims import size_of
from ..compiler.errors import CompileError
from .certificate import Claim, Proved, Refuted, Unknown, Verdict
from .newton_budget import Budget
from .newton_cells import State
from .newton_claims import lemma_claim, up
from .newton_program import check_program
from .newton_steps import StepForm, after, form_error
from .newton_theory import trajectory

#: What a step approximates ("sigma", "entry", "eta") → the fit of it.
Fits = Mapping[str, Any]
_ANOTHER = "take model.theory, which is made with the model"


@dataclass(frozen=True)
class Followed:
    """A step of a run: the state before it, and its error."""

    before: State
    error: Budget

    @property
    def largest(self) -> float:
        return float("inf") if self.error.largest is None else self.error.largest


@dataclass(frozen=True)
class NewtonTheory:
    """What a construction says of itself: damped steps for f(x) = (1/n) Σ log(1 + exp(−y_i a_iᵀx)) + μ/2 ‖x‖² in d dimensions.

    forms: one for each step. tol bounds the error of a step, distance that of the last iterate. x0_norm: of the start; 0 is
    x = 0, where the first step approximates neither σ nor √(p(1 − p)).
    """

    mu: Fraction
    d: int
    forms: tuple[StepForm, ...]
    tol: Fraction
    distance: float
    x0_norm: float

    @property
    def steps(self) -> int:
        return len(self.forms)

    @property
    def layers(self) -> str:
        """How the steps differ, in words."""
        fixed = sum(form.factor is not None for form in self.forms)
        return f"{self.steps - fixed} steps with η(λ²), {fixed} with a constant step size"

    def claims(self, artifact: Artifact) -> list[Claim]:
        """That the program makes these steps; the error of each and the distance to the minimiser, from the bounds of fits."""
        statement = f"every step is within {float(self.tol):.3g} of the exact damped Newton step, for all data with ‖a_i‖ ≤ 1"
        try:
            fits = self.fits(artifact)
            run, last = self.follow([{name: fit.bound for name, fit in step.items()} for step in fits])
        except CompileError as failure:
            return [Claim("step", statement, Unknown(failure.what))]
        worst = max(run, key=lambda step: step.largest)
        errors = ", ".join(f"{step.largest:.3g}" for step in run)
        verdict: Verdict = Proved(f"at most {errors}; the largest: {worst.error.error}; {self.layers}")
        near: Verdict = Proved(f"‖x_T − x*‖ ≤ {up(last.distance)}, by the lemmas, evaluated with outward rounding")
        if not worst.largest <= self.tol:
            verdict = Refuted(f"{worst.largest:.6g} is possible for these bounds: {worst.error.error}")
        if (narrow := self.outside(fits, run)) is not None:
            verdict = Unknown(narrow)
        what = f"w is x_T of {self.steps} steps x − η(λ²)q(H)∇f, with σ and η as written"
        program = Claim("program", what, self.of(artifact))
        if not isinstance(program.verdict, Proved):
            verdict = Unknown("the program is not seen to make these steps")
        if not isinstance(verdict, Proved):
            near = Unknown("some step is not proved to be near the exact one")
        elif not last.distance <= self.distance:  # `self.distance` may be anything, nan too
            near = Unknown(f"proved is {up(last.distance)} only")
        radius = max(step.before.norm for step in run)
        what = f"‖x_T − x*‖ ≤ {self.distance:.4g} for all data with ‖a_i‖ ≤ 1, y_i = ±1 (T = {self.steps})"
        return [
            program,
            Claim("step", statement, verdict),
            lemma_claim(),
            Claim("distance", what, near),
            Claim("value", f"f(x_T) − f(x*) ≤ {up(last.gap)}", near),
            Claim("region", f"‖x_t‖ ≤ {up(radius)} for t < T, and every fit covers |a_i·x_t|", verdict),
        ]

    def of(self, artifact: Artifact) -> Verdict:
        """Whether the program of the artifact makes these steps."""
        if artifact.lowered is None:
            return Unknown("the model has no functions")
        ideal = artifact.lowered.ideal
        if (d := size_of(ideal.nodes[ideal.outputs[0].node].shape[0], ideal.sizes)) != self.d:
            return Refuted(f"the program has d = {d}, the errors are bounded for d = {self.d}")
        return check_program(ideal, self.mu, self.forms, self.x0_norm == 0)

    def exact(self, step: int) -> bool:
        """Whether σ and √(p(1 − p)) are numbers in this step."""
        return step == 0 and self.x0_norm == 0

    def parts(self, step: int) -> tuple[str, ...]:
        """What this step approximates by units."""
        form = self.forms[step]
        margins = () if self.exact(step) else (("sigma", "entry") if len(form.solve) > 1 else ("sigma",))
        return margins if form.factor is not None else (*margins, "eta")

    def fits(self, artifact: Artifact) -> list[Fits]:
        """The fits of every step. Raises CompileError where the artifact has other ones than the steps need."""
        found: dict[str, Iterator[Any]] = {name: iter(fits) for name, fits in named_fits(artifact).items()}
        try:
            steps: list[Fits] = [{name: next(found[name]) for name in self.parts(t)} for t in range(self.steps)]
        except (KeyError, StopIteration):
            raise CompileError("the model has fewer fits than its steps need", fix=_ANOTHER) from None
        if any(next(rest, None) is not None for rest in found.values()):
            raise CompileError("the model has more fits than its steps need", fix=_ANOTHER)
        return steps

    def outside(self, fits: list[Fits], run: list[Followed]) -> str | None:
        """Why the domain of some fit does not contain what it is applied to; None where all do."""
        for step, used, (form, (_, p)) in zip(run, fits, zip(self.forms, self.polynomials, strict=True), strict=True):
            margin = step.before.norm
            for name, fit in used.items():
                top = float(p.largest) * (sqrt(form.upper) * step.before.decrement + float(bound_of(used, "sigma"))) ** 2
                needed = [(0.0, top)] if name == "eta" else [(-margin, margin), (-1.0, 1.0)]
                for (low, high), (lo, hi) in zip(needed, fit.domain, strict=False):
                    if (lo is not None and lo > low) or (hi is not None and hi < high):
                        return f"{fit.text} is fitted on [{lo}, {hi}], and may be applied to [{low:.6g}, {high:.6g}]"
        return None

    def follow(self, bounds: Sequence[Mapping[str, Any]]) -> tuple[list[Followed], State]:
        """Every step with its error, from the bounds of its fits, and the state after the last.

        As long as all steps are within tol, `trajectory` for that tol holds as well. Raises CompileError where a bound is so
        large that nothing follows.
        """
        known = trajectory(self.mu, self.tol, self.steps, self.x0_norm)
        state, run = known[0], []
        for t, (form, polynomials) in enumerate(zip(self.forms, self.polynomials, strict=True)):
            parts = {name: bounds[t][name] for name in self.parts(t)}
            error = form_error(self.mu, self.d, polynomials, form.factor, state.decrement, **parts)
            run.append(Followed(state, error))
            state = after(self.mu, state, error, known[t + 1], first=self.exact(t))
        return run, state

    @cached_property
    def polynomials(self) -> list[Any]:
        """(q, p) of every step."""
        once = {form: form.polynomials(self.mu) for form in set(self.forms)}
        return [once[form] for form in self.forms]


def bound_of(fits: Fits, name: str) -> Fraction:
    return Fraction(fits[name].bound) if name in fits else Fraction(0)


def named_fits(artifact: Artifact) -> dict[str, list[Any]]:
    """The fits of σ, of √(p(1 − p)) a_ij and of η in a model, step by step (proved by its approximation claims)."""
    found: dict[str, list[Any]] = {}
    for fit in sorted(() if artifact.lowered is None else artifact.lowered.approximations, key=lambda fit: fit.ideal):
        name = "entry" if fit.kind == "scaled" else {"sigma": "sigma", "eta": "eta"}.get(fit.text)
        if name is not None:
            found.setdefault(name, []).append(fit)
    return found
