"""Which error every approximation may have, so that the outputs are within a tolerance, with few units.

A fit of n pieces is within c/n² of its function. With s the effect of its error on the output, and w rows that each take n
units, Σ w n is least under Σ s c/n² ≤ tol where n is proportional to (s c/w)^⅓: units go where they matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from .dims import size_of
from .errors import ArchitectureError, CompileError
from .graph import Graph
from .lower import lower
from .lowered import Approximation, Lowered
from .pointwise import DEFAULT_TOLERANCE

#: How often tolerances are made smaller before giving up.
_ROUNDS = 12

#: How often tolerances that are good enough are made larger, where the output is proved within much less than asked for.
_SPARE = 3


#: No approximation is made coarser than this for a tolerance of the output: then it would be none.
COARSEST = Fraction(1, 10)


@dataclass(frozen=True)
class Tolerances:
    """The errors that approximations were allowed, by the program's node; `default` for others. Callable."""

    default: Fraction
    chosen: Mapping[int, Fraction]

    def __call__(self, node: int) -> Fraction:
        return self.chosen.get(node, self.default)


def lower_within(graph: Graph, tol: Fraction | None) -> tuple[Lowered, Tolerances]:
    """The lowered graph, with every output proved within `tol` (each entry); without `tol`, every fit as by default.

    Raises CompileError where no bound of the output follows, or none that small.
    """
    if tol is None:
        tolerances = Tolerances(DEFAULT_TOLERANCE, {})
        return lower(graph, tolerances), tolerances
    if not tol > 0:
        raise CompileError(f"{graph.name}: tol is {float(tol):.6g}: expected a number above 0", fix="pass tol=1e-4")
    tolerances = Tolerances(min(tol / 4, Fraction(1, 100)), {})
    found = lower(graph, tolerances)
    _check_finite(found)
    best: tuple[int, Lowered, Tolerances] | None = None
    spare = _SPARE
    for _ in range(_ROUNDS):
        worst = Fraction(max(found.output_errors.values()))
        if worst <= tol:
            cost = _units(graph, found)
            if best is None or cost < best[0]:
                best = cost, found, tolerances
            if 2 * worst >= tol or not spare:  # what is left over saves few units
                break
        spare -= best is not None
        if spare < 0:
            break
        before, tolerances = tolerances, _shared(graph, found, tolerances, tol, worst)
        if tolerances == before and best is not None:  # nothing here is free, or nothing costs units
            break
        found = lower(graph, tolerances)
    if best is None:
        given = [node for a in found.approximations if (node := _fixed(graph, a)) is not None]
        fixed = sorted({found.ideal.describe(node) for node in given})
        raise CompileError(
            f"{graph.name}: the output is proved within {float(worst):.3g} only, tol = {float(tol):.3g} was asked for",
            where=graph.nodes[given[0] if given else graph.outputs[0].node].where,
            rule=f"the program gives {', '.join(fixed)} a tolerance of its own" if fixed else "errors grow from step to step",
            fix="give those a smaller tol" if fixed else "ask for a larger tol, or bound the values with hw.bounded",
        )
    return best[1], best[2]


def _fixed(graph: Graph, fit: Approximation) -> int | None:
    """The function whose line of the program says what error is allowed: the node itself, or the factor of a scaled fit."""
    nodes = (fit.ideal, *(graph.nodes[fit.ideal].args if fit.kind == "scaled" else ()))
    return next((n for n in nodes if graph.nodes[n].op == "pointwise" and graph.nodes[n].attr.tol is not None), None)


def _units(graph: Graph, found: Lowered) -> int:
    """Feed-forward units of all approximations."""
    return sum(a.units * size_of(graph.nodes[a.ideal].shape[1], graph.sizes) for a in found.approximations)


def _check_finite(found: Lowered) -> None:
    for name, error in found.output_errors.items():
        if error == float("inf"):
            raise ArchitectureError(
                f"{found.ideal.name}: no bound is known of how far output {name} is from the program",
                rule="an error is carried through products only where the factors are bounded",
                fix="bound the inputs with hw.bounded(value, within=(lo, hi)), or compile without tol",
            )


def _shared(graph: Graph, found: Lowered, before: Tolerances, tol: Fraction, worst: Fraction) -> Tolerances:
    """New tolerances for what may change, from the effect that each error has on the worst output."""
    free = {a.ideal: a for a in found.approximations if a.bound and _fixed(graph, a) is None}
    bounds = {a.ideal: a.bound for a in found.approximations}
    effects = {}
    for node, approximation in free.items():
        doubled = lower(graph, before, {**bounds, node: 2 * approximation.bound})
        effects[node] = max(float(Fraction(max(doubled.output_errors.values())) - worst), 0.0)
    rest = float(worst) - sum(effects.values())  # from errors that are fixed, and where effects overlap
    room = max(float(tol) * 0.95 - max(rest, 0.0), float(tol) * 0.05)
    rows = {node: size_of(graph.nodes[node].shape[1], graph.sizes) for node in free}
    # effect = s·bound at present; pieces ∝ (effect · pieces² / rows)^⅓
    weights = {n: (effects[n] * a.units**2 / rows[n]) ** (1 / 3) for n, a in free.items()}
    spent = sum(effects[n] * (a.units / weights[n]) ** 2 for n, a in free.items() if weights[n] > 0)
    if spent <= 0:
        return before
    factor = (spent / room) ** 0.5  # pieces = factor · weight
    chosen = dict(before.chosen)
    for n, a in free.items():
        if weights[n] > 0:
            ratio = (a.units / (factor * weights[n])) ** 2
            chosen[n] = min(Fraction(float(a.bound) * min(ratio, 1e3)), max(before(n), COARSEST))
    return Tolerances(before.default, chosen)
