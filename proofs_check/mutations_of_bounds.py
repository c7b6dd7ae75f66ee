"""Wrong statements made from right ones: bounds below what is true, and domains beyond what holds.

A change is made, if possible, so large that a witness shows the new statement to be false: then whoever accepts it is wrong,
whatever their argument.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from math import isinf, prod
from typing import Any

from ..compiler.graph import Fact, Residual
from ..compiler.lowered import Approximation
from ..compiler.pointwise import function_from_text
from ..compiler.units import Units
from .mutations import Claimed, Family, Mutant, family_of
from .ranges import value_at

#: Of residuals of a higher degree no value is computed: exact ones have millions of digits.
_LONGEST = 4096


def bound_families(claimed: Claimed) -> list[Family]:
    """Bounds below what is true, domains beyond what holds; most with a witness that the statement is false now."""
    found = [*_figures(claimed), *_residuals(claimed), *_approximations(claimed), *_stated_errors(claimed), *_theory(claimed)]
    kinds = dict.fromkeys(m.kind for m in found)
    return [family_of([m for m in found if m.kind == kind]) for kind in kinds]


def _figures(claimed: Claimed) -> Iterator[Mutant]:
    """Fewer layers, heads, rows or units than the model has."""
    artifact, bounds = claimed.artifact, claimed.bounds
    if bounds is None:
        return
    found = {"depth": artifact.depth, "heads": artifact.max_heads, "rows": artifact.d_model, "width": artifact.ffn_width}
    for name, count in found.items():
        if getattr(bounds, name) is not None and count > 0:
            fewer: dict[str, Any] = {name: count - 1}
            changed = replace(bounds, **fewer)
            yield Mutant("bound shrunk", f"{name} at most {count - 1}", replace(claimed, bounds=changed), f"there are {count}")


def _with_residual(claimed: Claimed, k: int, new: Residual) -> Claimed:
    graph = claimed.artifact.graph
    residuals = (*graph.residuals[:k], new, *graph.residuals[k + 1 :])
    return replace(claimed, artifact=replace(claimed.artifact, graph=replace(graph, residuals=residuals)))


def _at(claim: Residual, point: Fraction) -> Fraction:
    """|residual| at a number of the interval; `pair` claims are left to `_residuals`, which skips them."""
    value = point
    for polynomial in claim.chain:
        value = value_at(polynomial, value)
    return abs(value)


def _residuals(claimed: Claimed) -> Iterator[Mutant]:
    """Tolerances of solutions shrunk and intervals widened."""
    for k, claim in enumerate(claimed.artifact.graph.residuals):
        yield from _residual_of_another_program(claimed, k, claim)
        degree = prod(max(len(polynomial) - 1, 1) for polynomial in claim.chain)
        if claim.pair is not None or degree > _LONGEST:
            continue
        points = [claim.lower + (claim.upper - claim.lower) * Fraction(i, 64) for i in range(65)]
        worst, where = max((_at(claim, p), p) for p in points)
        if worst > 0:
            small = Fraction(float(worst * Fraction(99, 100)))
            false = f"the residual is {float(worst):.4g} at {float(where):.4g}"
            changed = replace(claim, tol=min(small, claim.tol))
            yield Mutant("bound shrunk", f"tolerance {float(changed.tol):.4g}", _with_residual(claimed, k, changed), false)
        for name, factor in (("lower", Fraction(1, 2)), ("upper", Fraction(2))):
            end = getattr(claim, name) * factor
            for _ in range(6):
                if _at(claim, end) > claim.tol:
                    false = f"the residual is {float(_at(claim, end)):.4g} at {float(end):.4g}, above {float(claim.tol):.4g}"
                    changed = replace(claim, **{name: end})
                    place = f"{name} end {float(end):.4g} of the spectrum"
                    yield Mutant("domain widened", place, _with_residual(claimed, k, changed), false)
                    break
                end *= factor


def _residual_of_another_program(claimed: Claimed, k: int, claim: Residual) -> Iterator[Mutant]:
    for number, polynomial in enumerate(claim.chain):
        new = (*polynomial[:-1], polynomial[-1] + Fraction(1, 10**9))
        chain = (*claim.chain[:number], new, *claim.chain[number + 1 :])
        changed = _with_residual(claimed, k, replace(claim, chain=chain))
        place = f"step {number + 1}: leading coefficient nudged"
        yield Mutant("residual changed", place, changed, "the program has another one")


def _approximations(claimed: Claimed) -> Iterator[Mutant]:
    """Bounds of fits shrunk and domains widened."""
    lowered = claimed.artifact.lowered
    for k, fit in enumerate(() if lowered is None else lowered.approximations):
        if fit.kind != "function" or not fit.expression or not fit.bound:
            continue
        units = claimed.artifact.graph.nodes[fit.node].attr
        for kind, place, changed, false in _false_fits(fit, units):
            assert lowered is not None
            fits = (*lowered.approximations[:k], changed, *lowered.approximations[k + 1 :])
            new = replace(claimed.artifact, lowered=replace(lowered, approximations=fits))
            yield Mutant(kind, f"{fit.text}: {place}", replace(claimed, artifact=new), false)


def _false_fits(fit: Approximation, units: Units) -> Iterator[tuple[str, str, Approximation, str]]:
    function = function_from_text(fit.text, fit.expression)
    ((lo, hi),) = fit.domain
    if any(len(unit.coefficients) != 1 for unit in units.units):
        return

    def off(z: Fraction) -> float:
        inside = [u.weight * max(Fraction(0), u.coefficients[0] * z + u.bias) for u in units.units]
        return abs(float(sum(inside, Fraction(0))) - float(function(float(z))))

    ends = (-8 if lo is None else lo, 8 if hi is None else hi)
    low, high = Fraction(ends[0]), Fraction(ends[1])
    points = [low + (high - low) * Fraction(i, 1024) for i in range(1025)]
    worst, where = max((off(z), z) for z in points)
    if worst > 1e-9:
        bound = Fraction(0.9 * worst)
        yield "bound shrunk", f"within {float(bound):.3g}", replace(fit, bound=bound), f"{worst:.3g} away at {float(where):.4g}"
    for side, end, sign in (("lower", lo, -1), ("upper", hi, 1)):
        if end is None:
            continue
        for power in range(8):
            z = end + sign * Fraction(2**power) * max(high - low, Fraction(1)) / 8
            if off(z) > 1.001 * float(fit.bound) + 1e-9:
                domain = ((z, hi),) if sign < 0 else ((lo, z),)
                false = f"{off(z):.3g} away at {float(z):.4g}, above {float(fit.bound):.3g}"
                yield "domain widened", f"{side} end {float(z):.4g}", replace(fit, domain=domain), false
                break


def _stated_errors(claimed: Claimed) -> Iterator[Mutant]:
    """Errors of outputs shrunk, tolerances of the lowering changed, and facts about the network's own values changed."""
    lowered = claimed.artifact.lowered
    if lowered is None:
        return

    def put(**changes: Any) -> Claimed:
        return replace(claimed, artifact=replace(claimed.artifact, lowered=replace(lowered, **changes)))

    for name, error in lowered.errors.items():
        if error and not isinf(error):
            half = put(errors={**lowered.errors, name: error / 2})
            yield Mutant("bound shrunk", f"output {name} within {error / 2:.3g}", half)
    chosen = lowered.tolerances.chosen
    for node in list(chosen)[:8]:
        coarser = replace(lowered.tolerances, chosen={**chosen, node: 4 * chosen[node]})
        yield Mutant("tolerance changed", f"node {node} four times as coarse", put(tolerances=coarser))
    for k, fact in enumerate(lowered.inside):
        without = (*lowered.inside[:k], *lowered.inside[k + 1 :])
        yield Mutant("domain widened", f"the network's node {fact.node} not checked", put(inside=without))
        if wide := _widened(fact):
            yield Mutant("domain widened", f"the network's node {fact.node} checked on {wide.bounds}",
                         put(inside=(*lowered.inside[:k], wide, *lowered.inside[k + 1 :])))  # fmt: skip
    for k, fact in enumerate(lowered.ideal.facts):
        if wide := _widened(fact):
            facts = (*lowered.ideal.facts[:k], wide, *lowered.ideal.facts[k + 1 :])
            place = f"{lowered.ideal.describe(fact.node)[:40]} stated on {wide.bounds}"
            yield Mutant("domain widened", place, put(ideal=replace(lowered.ideal, facts=facts)))


def _widened(fact: Fact) -> Fact | None:
    if fact.kind not in ("within", "rows", "norm") or fact.bounds is None:
        return None
    lo, hi = fact.bounds
    return replace(fact, bounds=(4 * lo if lo < 0 else lo / 4, 4 * hi if hi > 0 else hi / 4))


def _theory(claimed: Claimed) -> Iterator[Mutant]:
    """What a construction says of its iterates, made a million times as good, or about other data."""
    theory = claimed.theory
    if theory is None:
        return
    changes: list[tuple[str, str, dict[str, Any]]] = [
        ("bound shrunk", "tol", {"tol": theory.tol / 10**6}),
        ("bound shrunk", "distance", {"distance": theory.distance / 10**6}),
        ("theory changed", "mu", {"mu": theory.mu / 100}),
        ("theory changed", "a step more", {"forms": (*theory.forms, theory.forms[-1])}),
        ("theory changed", "a step less", {"forms": theory.forms[:-1]}),
    ]
    for t, form in enumerate(theory.forms):
        first, *rest = form.solve
        others: dict[str, Any] = {
            "corrections": form.corrections + 1,
            "upper": (theory.mu + form.upper) / 2,
            "solve": (first + Fraction(1, 1000), *rest),
        }
        if form.factor is None:
            first, *rest = form.decrement
            if not form.corrections:  # else the corrected step is used in its place
                others["decrement"] = (first + Fraction(1, 1000), *rest)
        else:
            others["factor"] = form.factor - Fraction(1, 1000)
        for name, value in others.items():
            changed = (*theory.forms[:t], replace(form, **{name: value}), *theory.forms[t + 1 :])
            changes.append(("theory changed", f"{name} of step {t + 1}", {"forms": changed}))
    for kind, place, change in changes:
        yield Mutant(kind, f"theory: {place}", replace(claimed, theory=replace(theory, **change)))
