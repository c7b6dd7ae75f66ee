"""A theory of damped Newton steps speaks of the program that it comes with, and of no other."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import cache

import pytest

import headwright as hw
from headwright.proofs_check.mutations import Claimed
from headwright.proofs_check.mutations_of_bounds import _theory
from headwright.proofs_check.newton_model import NewtonTheory
from headwright.proofs_check.newton_program import check_program

CASES = [
    {"mu": Fraction(1, 2), "tol": Fraction(1, 100)},
    {"mu": 1, "tol": Fraction(1, 20), "form": "vector"},
    {"mu": Fraction(1, 10), "tol": Fraction(1, 100), "k": 1, "start": "input", "m": 2},
]


@cache
def compiled(case: int) -> tuple[hw.Compiled, NewtonTheory]:
    model = hw.constructions.get("logistic_newton").compile(n=4, d=2, steps=2, **CASES[case])
    assert model.theory is not None
    return model, model.theory


@pytest.mark.parametrize("case", range(len(CASES)))
def test_the_steps_of_the_theory_are_those_of_the_program(case: int) -> None:
    model, _ = compiled(case)
    assert isinstance(hw.verify(model)["program"], hw.Proved)


@pytest.mark.parametrize("case", range(len(CASES)))
def test_every_change_of_a_theory_is_noticed(case: int) -> None:
    """Other numbers of steps, coefficients, step sizes, corrections and intervals; better bounds."""
    model, theory = compiled(case)
    mutants = list(_theory(Claimed(model.artifact, model.bounds, theory)))
    assert len(mutants) >= 11
    for mutant in mutants:
        changed = mutant.claimed.theory
        assert changed is not None
        claims = changed.claims(model.artifact)
        assert not all(isinstance(claim.verdict, hw.Proved) for claim in claims), mutant.place


@pytest.mark.parametrize("case", range(len(CASES)))
def test_bounds_for_other_data_or_of_other_polynomials_are_not_taken(case: int) -> None:
    """Fewer dimensions: smaller errors of the Hessian. λ² is made with the corrected step, however good the polynomial is."""
    model, theory = compiled(case)
    for d in (1, 3):
        verdict = replace(theory, d=d).of(model.artifact)
        assert isinstance(verdict, hw.Refuted) and f"bounded for d = {d}" in verdict.counterexample
    form = replace(theory.forms[0], factor=None, corrections=1, decrement=(*theory.forms[0].solve, Fraction(0)))
    q, p = form.polynomials(theory.mu)
    assert p is q
    wrong = replace(theory, distance=float("nan")).claims(model.artifact)
    assert not isinstance(next(claim for claim in wrong if claim.name == "distance").verdict, hw.Proved)


def test_another_function_is_not_taken_for_one_of_the_three() -> None:
    model, theory = compiled(0)
    assert model.artifact.lowered is not None
    graph = model.artifact.lowered.ideal
    nodes = list(graph.nodes)
    (at, *_) = [i for i, node in enumerate(nodes) if node.op == "pointwise" and node.attr.function.name == "sigma"]
    other = replace(nodes[at].attr.function, expression=nodes[at].attr.function.expression ** 2)
    nodes[at] = replace(nodes[at], attr=replace(nodes[at].attr, function=other))
    verdict = check_program(replace(graph, nodes=tuple(nodes)), theory.mu, theory.forms, from_zero=True)
    assert isinstance(verdict, hw.Unknown) and "sigma" in verdict.reason
