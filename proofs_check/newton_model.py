"""Claims of a compiled damped Newton iteration: from the proved bounds of its units to the distance from the minimiser."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import sqrt

from ..compiler.artifact import Artifact
from ..compiler.errors import CompileError
from .certificate import Claim, Proved, Refuted, Unknown, Verdict
from .newton_budget import Budget, InversePolynomial, certified, corrected, gram_error, step_error
from .newton_claims import theory_claims
from .newton_lemmas import StepError
from .newton_theory import region_radius, trajectory


@dataclass(frozen=True)
class NewtonTheory:
    """What a construction says of itself: T steps for f(x) = (1/n) Σ log(1 + exp(−y_i a_iᵀx)) + μ/2 ‖x‖² in d dimensions.

    `solve` and `decrement` are the polynomials in H − μI that stand for H⁻¹ in the direction and in λ² (constants first),
    on [μ, upper]. tol bounds the error of a step, distance that of the last iterate. x0_norm: of the start; 0 is x = 0.
    corrections: how often v ← v + q(H)(g − Hv) follows; then λ² is g·v as well.
    """

    mu: Fraction
    d: int
    steps: int
    tol: Fraction
    distance: float
    x0_norm: float
    solve: tuple[Fraction, ...]
    decrement: tuple[Fraction, ...]
    upper: Fraction
    corrections: int = 0

    def claims(self, artifact: Artifact) -> list[Claim]:
        """The error of every step and the distance to the minimiser, from the bounds of the fits in the artifact."""
        bounds = fit_bounds(artifact)
        try:
            error, largest = self.step_errors(bounds)
        except CompileError as failure:
            return [Claim("step", "every step is near the exact damped Newton step", Unknown(failure.what))]
        narrow = self.outside(artifact, bounds)
        statement = f"every step is within {float(self.tol):.3g} of the exact damped Newton step, for all data with ‖a_i‖ ≤ 1"
        parts = ", ".join(f"{name} ≤ {float(bound):.2g}" for name, bound in bounds.items())
        verdict: Verdict = Proved(f"at most {largest:.3g}; a step is off by {error}, from {parts or 'polynomials alone'}")
        if largest > self.tol:
            verdict = Refuted(f"{largest:.6g} is possible for these bounds: {parts}")
        if narrow is not None:
            verdict = Unknown(narrow)
        rest = theory_claims(self.mu, error, self.steps, self.distance, self.x0_norm)
        # steps within tol stay in the region of tol, by induction: that is the domain that the fits have to cover
        region = Claim("region", f"‖x_t‖ ≤ {self.radius:.4g} for t ≤ T, and every fit covers |a_i·x_t|", verdict)
        return [Claim("step", statement, verdict), *(claim for claim in rest if claim.name != "region"), region]

    @property
    def radius(self) -> float:
        """A bound of ‖x_t‖ where every step is within tol."""
        return region_radius(self.mu, self.tol, self.x0_norm, steps=self.steps)

    def outside(self, artifact: Artifact, bounds: dict[str, Fraction]) -> str | None:
        """Why the domain of some fit does not contain what it is applied to; None where all do."""
        _, p = self.polynomials
        decrement = max(state.decrement for state in trajectory(self.mu, self.tol, max(self.steps, 1), self.x0_norm))
        top = float(p.largest) * (sqrt(self.upper) * decrement + float(bounds.get("sigma", 0))) ** 2
        for fit in () if artifact.lowered is None else artifact.lowered.approximations:
            needed = [(0.0, top)] if fit.text == "eta" else [(-self.radius, self.radius), (-1.0, 1.0)]
            for (low, high), (lo, hi) in zip(needed, fit.domain, strict=False):
                if (lo is not None and lo > low) or (hi is not None and hi < high):
                    return f"{fit.text} is fitted on [{lo}, {hi}], and may be applied to [{low:.6g}, {high:.6g}]"
        return None

    def step_errors(self, bounds: dict[str, Fraction]) -> tuple[StepError, float]:
        """(the error of a step, its largest value on the way)."""
        q, p = self.polynomials
        states = trajectory(self.mu, self.tol, max(self.steps, 1), self.x0_norm)
        largest = max(state.decrement for state in states)
        sigma, entry, eta = (float(bounds.get(name, 0)) for name in ("sigma", "entry", "eta"))

        def budget(decrement: float, exact: bool) -> Budget:
            return step_error(
                self.mu,
                gradient=0 if exact else sigma,
                hessian=gram_error(0 if exact else entry, self.d),
                solve=q,
                decrement=p,
                eta=eta,
                largest_decrement=decrement,
            )

        worst = 0.0
        for step, state in enumerate(states[: self.steps]):
            worst = max(worst, budget(state.decrement, exact=step == 0 and self.x0_norm == 0).largest or 0.0)
        return budget(largest, exact=False).error, worst

    @property
    def polynomials(self) -> tuple[InversePolynomial, InversePolynomial]:
        q = corrected(certified(self.solve, self.mu, self.upper, self.mu), self.corrections)
        return q, q if self.decrement == self.solve else certified(self.decrement, self.mu, self.upper, self.mu)


def fit_bounds(artifact: Artifact) -> dict[str, Fraction]:
    """The largest bounds of the fits of σ, of √(p(1 − p)) a_ij and of η in a model (proved by its approximation claims)."""
    found: dict[str, Fraction] = {}
    for fit in () if artifact.lowered is None else artifact.lowered.approximations:
        name = "entry" if fit.kind == "scaled" else {"sigma": "sigma", "eta": "eta"}.get(fit.text)
        if name is not None:
            found[name] = max(found.get(name, Fraction(0)), fit.bound)
    return found
