"""The lines of `errors` in program.json: for every node the range, the sizes and the error that follow from its arguments.

They are written with the rules of `proofs_check/error_checker.py`, rounded outward to twelve digits, and `checker.py` applies
the rules again. Where a rule does not apply, or an output has no bound, no error is claimed there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import inf, isfinite, prod
from types import SimpleNamespace
from typing import Any

import numpy as np
import sympy

from ..compiler.artifact import Lowering
from ..compiler.dims import size_of
from ..compiler.entrywise import as_number, exact_signs, formulas, parts
from ..compiler.graph import SYMMETRIC, Graph
from ..compiler.lowered import Approximation
from ..proofs_check import checker, error_checker

_KINDS = {"within": "within", "signs": "signs", "rows": "rows", "norm": "norm", **dict.fromkeys(SYMMETRIC, "eigenvalues")}
_RULES = {op: rule for rule, (ops, _) in error_checker.RULES.items() for op in ops if op != "units"}
_TIMES = "function times value"
_DIGITS = 12


def error_claim(lowered: Lowering | None, program: Mapping[str, Any]) -> dict[str, Any] | None:
    """What program.json says under `errors`; None where the rules give no bound of some output, or no fit needs one."""
    nodes, sizes = program["nodes"], program["sizes"]
    if lowered is None or not any(node.get("fit") for node in nodes) or not _fits_are_the_program(lowered, nodes):
        return None
    claim: dict[str, Any] = {"given": list(_given(lowered)), "lines": [], "outputs": {}}
    shapes = [tuple(size_of(dim, sizes) for dim in node["shape"]) for node in nodes]
    model, lines = SimpleNamespace(nodes=nodes, shapes=shapes, program={"errors": claim}), list[Any]()
    try:
        for number, node in enumerate(nodes):
            rule = _rule(node)
            found = error_checker.derived(checker, model, number, lines, rule)
            ends = [None if abs(found.lo) == inf else _out(found.lo, -1), None if abs(found.hi) == inf else _out(found.hi, 1)]
            size, error = ([None if x == inf else _out(x, 1) for x in part] for part in (found.size, found.error))
            claim["lines"].append({"rule": rule, "range": ends, "size": size, "error": error})
            lines.append(error_checker.read(checker, claim["lines"][-1], found.values))
        for place in program["outputs"]:
            claim["outputs"][place["name"]] = _out(lines[place["node"]].error[0], 1, 4)
    except (checker.Refused, OverflowError):
        return None
    return claim


def scaled_fit(node: Mapping[str, Any], fit: Approximation, tree: Any) -> dict[str, Any] | None:
    """What the checker needs to decide units for f(z)·a (see `error_checker.check_scaled`): found here in floats, taken on
    trust by nobody. None where no bound follows."""
    ends = [[str(end) for end in pair] for pair in fit.domain]
    found: dict[str, Any] = {"function": ["Mul", "y", tree], "z": ends[0], "y": ends[1]}
    f = error_checker.factor(checker, found)
    (lo, hi), reach = fit.domain[0], max(abs(Fraction(str(end))) for end in ends[1])
    along: dict[Fraction | None, list[tuple[Fraction, Fraction, Fraction]]] = {}
    for p, q, b, w in error_checker.units_of(checker, node):
        along.setdefault(q / p if p else None, []).append((p or q, b, w))
    sizes = sorted({abs(q) for q in along if q})
    if not sizes or lo is None or hi is None:
        return None
    weights = [Fraction(float(prod(other**2 / (other**2 - h**2) for other in sizes if other != h))) for h in sizes]
    line = sum((w * q for q, _, w in along.get(None, []) if q > 0), Fraction(0))
    steps: list[list[Fraction]] = []
    for h, c in zip(sizes, weights, strict=True):
        s = np.linspace(float(lo - h * reach), float(hi + h * reach), 20_001)
        units = sum(float(w) * np.maximum(float(p) * s + float(b), 0) for p, b, w in along.get(h, []))
        gap = float(c / (2 * h)) * _integral(f, s) - units
        slope = Fraction(float(2 * h) * float(np.polyfit(s, gap, 1)[0]))
        m = line - sum(step[2] for step in steps) if h == sizes[-1] else slope
        gap = gap - float(m / (2 * h)) * s
        error = (gap.max() - gap.min()) / 2 * (1 + 1 / 64) + 1e-9
        steps.append([h, c, m, Fraction(float(gap.max() + gap.min()) / 2), Fraction(_out(Fraction(error), 1, 4))])
    total = sum(2 * step[4] for step in steps)
    order = max(2, len(steps))  # higher derivatives are long formulas, enclosed loosely
    bound = total + error_checker.left_over(checker, f, steps, lo, hi, reach, order)
    if bound == inf:
        return None
    found |= {"bound": _out(bound, 1, 4), "order": order}
    return found | {"steps": [[str(x) for x in step] for step in steps]}


def _integral(f: Any, s: np.ndarray) -> np.ndarray:
    """∫ f from the first point, by Simpson's rule on every piece."""
    run = sympy.lambdify(checker.z, f, "numpy")
    pieces = (run(s[:-1]) + 4 * run((s[:-1] + s[1:]) / 2) + run(s[1:]) + 0 * s[1:]) / 6 * np.diff(s)
    return np.concatenate([[0.0], np.cumsum(pieces)])


def _rule(node: Mapping[str, Any]) -> str:
    if node["op"] != "units":
        return _RULES[node["op"]]
    fit = node.get("fit") or {}
    return "function" if "values" in fit else "two values" if "split" in fit else _TIMES if "steps" in fit else "units"


def _given(lowered: Lowering) -> Iterator[dict[str, Any]]:
    """What the program states, and what is assumed, of nodes that the layers' program has."""
    for fact in lowered.ideal.facts:
        if fact.node in lowered.meaning and fact.bounds is not None and all(map(isfinite, fact.bounds)):
            low, high = (str(Fraction(end)) for end in fact.bounds)
            yield {"node": lowered.meaning[fact.node], "kind": _KINDS[fact.kind], "from": low, "to": high}


def _fits_are_the_program(lowered: Lowering, nodes: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the program with the functions of the fits is the user's: no number is rounded, no fit is left out or shared by
    two functions."""
    functions: dict[int, set[str]] = {}
    for fit in lowered.approximations:
        functions.setdefault(fit.node, set()).add(fit.expression or fit.kind)
    left_out = any(fit.bound and not nodes[fit.node].get("fit") for fit in lowered.approximations)
    return not left_out and all(len(texts) == 1 for texts in functions.values()) and not _rounds_numbers(lowered.ideal)


def _rounds_numbers(graph: Graph) -> bool:
    """Whether some formula is, or contains beside a sign, a number that is no rational."""
    signs = exact_signs(graph)
    for formula in formulas(graph).values():
        labels = [s for s in formula.sources if s in signs]
        for part in parts(formula.expression, labels[0]) if labels else (formula.expression,):
            if not part.free_symbols and as_number(part) is None:
                return True
    return False


def _out(value: Any, sign: int, digits: int = _DIGITS) -> str:
    """A decimal number of that many digits that is not below (sign 1), or not above, the value."""
    if value == inf:
        raise OverflowError("no bound follows")
    value = Fraction(value)
    unit = Fraction(10) ** (int(f"{float(value):e}".partition("e")[2]) - digits + 1)
    return str(sign * -(-sign * value // unit) * unit)
