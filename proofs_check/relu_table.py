"""ReLU units for the functions of the logistic Newton step, beside the counts of the paper's proof.

    python -m headwright.proofs_check.relu_table docs/benchmarks/relu-counts.md

Every count is that of a real fit whose bound is proved; nothing is extrapolated.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import sympy

from ..compiler.approximate import PiecewiseLinear, ScalarFunction, fit, named, product_fit, scaled_fit

TOLERANCES = (1e-2, 1e-3, 1e-4, 1e-6)
WEIGHTS = (0.1, 0.5, 1.0)


@dataclass(frozen=True)
class Case:
    """A function on the range that it has in a damped Newton step from x₀ = 0 with regularisation μ and ‖a_i‖ ≤ 1."""

    label: str
    mu: float
    function: ScalarFunction
    lo: float
    hi: float
    paper: Callable[[float], float]

    def law(self) -> float:
        """(∫√|f″|)²/16: what n²·error tends to for the best n-piece fit. The singular end at 0 is substituted away."""
        u = np.linspace(0.0, 1.0, 200_001)[1:]
        if self.lo < 0:
            z, weight = self.lo + (self.hi - self.lo) * u, np.full_like(u, self.hi - self.lo)
        else:
            z, weight = self.hi * u**8, 8 * self.hi * u**7
        root = np.sqrt(np.abs(self.function.numpy(z, 2))) * weight
        return float(np.mean(root)) ** 2 / 16


def reach(mu: float) -> float:
    """|z| ≤ √(2 ln2/μ) on the sublevel set of the start."""
    return math.sqrt(2 * math.log(2) / mu)


def decrement(mu: float) -> float:
    """λ² ≤ (1 + μ·reach)²/μ there."""
    return (1 + mu * reach(mu)) ** 2 / mu


def variance() -> ScalarFunction:
    """p(1 − p), p the logistic function."""
    p = named("sigmoid").expression
    return ScalarFunction("p(1−p)", p * (1 - p))


def step_size(mu: float) -> ScalarFunction:
    """2√μ/(2√μ + √z), with the double √μ."""
    root = 2 * sympy.Rational(*(mu**0.5).as_integer_ratio())
    return ScalarFunction("step size", root / (root + named("sqrt").expression))


def cases() -> Iterator[Case]:
    """The three scalar functions of the issue, with the paper's unit counts for an error ε."""
    for mu in WEIGHTS:
        yield Case("p(1−p)", mu, variance(), -reach(mu), reach(mu), lambda eps: 4 / eps)
    for mu in WEIGHTS:
        yield Case("p", mu, named("sigmoid"), -reach(mu), reach(mu), lambda eps: 2 / eps)
    for mu in WEIGHTS:
        yield Case("2√μ/(2√μ+√z)", mu, step_size(mu), 0.0, decrement(mu), lambda eps: 2 / eps)


def counts(case: Case, tolerances: Sequence[float] = TOLERANCES) -> list[PiecewiseLinear]:
    return [fit(case.function, case.lo, case.hi, tol=tol) for tol in tolerances]


def relu_table(tolerances: Sequence[float] = TOLERANCES) -> str:
    """The page, in Markdown."""
    errors = " / ".join(f"{tol:.0e}" for tol in tolerances)
    lines = [
        "# ReLU units for a proved sup error",
        "",
        "Written by `python -m headwright.proofs_check.relu_table`. Ranges: |z| ≤ C = √(2 ln 2/μ) for p and p(1−p),",
        "0 ≤ z ≤ (1+μC)²/μ for the step size; p = logistic. Paper: the unit counts in the proof of Theorem 5.2 of",
        "Giannou et al. for the same error. These are 4/ε for p(1−p), 2/ε for p and the step size, and 1/ε² for products.",
        "The last column is n²·bound over (∫√|f″|)²/16, the law of the best n pieces, at the smallest error.",
        "",
        f"| function | μ | proved units for {errors} | paper | n²·bound / law |",
        "|---|---|---|---|---|",
    ]
    for case in cases():
        fits = counts(case, tolerances)
        units = " / ".join(str(len(f.units())) for f in fits)
        paper = " / ".join(f"{case.paper(tol):.0e}" for tol in tolerances)
        ratio = fits[-1].n_pieces ** 2 * float(fits[-1].bound) / case.law()
        lines.append(f"| {case.label} | {case.mu} | {units} | {paper} | {ratio:.3f} |")
    products = " / ".join(str(len(product_fit((0, Fraction(1, 4)), (-1, 1), tol).units())) for tol in tolerances)
    paper = " / ".join(f"{1 / tol**2:.0e}" for tol in tolerances)
    lines.append(f"| d·a on [0, ¼] × [−1, 1] | – | {products} | {paper} | – |")
    return "\n".join([*lines, "", *_scaled(), ""])


def _scaled() -> list[str]:
    """s(z)·a in one layer, and in two (a fit of s, then a product), each for half the error."""
    lines = [
        "## s(z)·a with |a| ≤ 1, in one hidden layer and in two",
        "",
        "| s | μ | error | one layer | two layers: fit, then product |",
        "|---|---|---|---|---|",
    ]
    root = ScalarFunction("√(p(1−p))", sympy.sqrt(variance().expression))
    for label, s, top in (("√(p(1−p))", root, 0.5), ("p(1−p)", variance(), 0.25)):
        for mu in WEIGHTS:
            for tol in (1e-1, 1e-2, 1e-3):
                one = scaled_fit(s, (-reach(mu), reach(mu)), (-1, 1), tol)
                first = fit(s, -reach(mu), reach(mu), tol=tol / 2)
                second = product_fit((0, top + tol / 2), (-1, 1), tol / 2)
                two = f"{len(first.units())} + {len(second.units())}"
                lines.append(f"| {label} | {mu} | {tol:.0e} | {len(one.units())} | {two} |")
    return lines


if __name__ == "__main__":
    page = relu_table()
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(page, encoding="utf-8")
    else:
        print(page)
