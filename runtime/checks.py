"""Run-time checks: facts that the program states about its data, and values that overflow."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
from torch import Tensor

from ..compiler.artifact import Artifact
from ..compiler.errors import AssumptionError, DivergenceError, InputError
from ..compiler.graph import Fact, Graph, evaluate
from ..compiler.ops import FLOAT64
from ..compiler.units import Units
from .inputs import Prepared
from .structured import Structured


def check_facts(graph: Graph, prepared: Prepared) -> None:
    """Raises AssumptionError, naming the stating line, when the data break `hw.symmetric` or `hw.spectrum`."""
    if not graph.facts:
        return
    arrays = {
        name: t.detach().cpu().numpy().astype(np.float64).reshape(-1, *t.shape[-2:])
        for name, t in ((n, t.expand(*prepared.batch, *t.shape[-2:])) for n, t in prepared.tensors.items())
    }
    slack = 64 * torch.finfo(prepared.dtype).eps
    nodes = list({fact.node for fact in graph.facts})
    for index in range(int(np.prod(prepared.batch))):
        values = evaluate(graph, {name: array[index] for name, array in arrays.items()}, FLOAT64, nodes)
        for fact in graph.facts:
            _check_fact(graph, fact, values[fact.node], slack)


def below_floor(graph: Graph, dtype: torch.dtype) -> str | None:
    """What to warn of before a run in a format in which rounding leaves a larger residual than the program states; or None.

    In float64 the program itself warned when it was traced.
    """
    if dtype == torch.float64:
        return None
    for claim in graph.residuals:
        factor, power = claim.floor or _FLOORS.get(claim.known, (0.0, 0.0))
        kappa = float(claim.upper / claim.lower) if claim.lower else float("inf")
        left = factor * torch.finfo(dtype).eps * (kappa**power if power else 1.0)
        if left > claim.tol:
            name, tol = str(dtype).removeprefix("torch."), float(claim.tol)
            return (
                f"{graph.name}: tol = {tol:.1e} is below what {name} reaches at κ = {kappa:.1e}, about {left:.1e}: "
                f"the proved bound holds in exact arithmetic, this run will not reach it; fix: run in float64"
            )
    return None


def coarser_than_fits(artifact: Artifact, dtype: torch.dtype) -> str | None:
    """What to warn of before a run in a format that cannot hold the tolerance of a fit: rounding its terms once is more."""
    for fit in artifact.lowered.approximations if artifact.lowered is not None else ():
        ends = [[float(end) for end in pair if end is not None] for pair in fit.domain]
        units = artifact.graph.nodes[fit.node].attr
        if not (fit.bound and units.units and all(len(pair) == 2 for pair in ends)):
            continue
        if len(ends) != len(units.units[0].coefficients):  # gated: the sign is the second argument
            ends.append([-1.0, 1.0])
        rounding = torch.finfo(dtype).eps / 2 * _size_of_terms(units, ends)
        if rounding > fit.bound:
            name, bound = str(dtype).removeprefix("torch."), float(fit.bound)
            return (
                f"{artifact.graph.name}: the units of {fit.text} are within {bound:.1e} of it in exact arithmetic, "
                f"and {name} rounds them by up to {rounding:.1e}; fix: run in float64, or compile for a larger tol"
            )
    return None


def _size_of_terms(units: Units, ends: Sequence[Sequence[float]]) -> float:
    """The largest Σ |weight| relu(…) at a corner of the domain."""
    c = np.array([[float(x) for x in u.coefficients] for u in units.units])
    bias, weight = (np.array([float(getattr(u, name)) for u in units.units]) for name in ("bias", "weight"))
    return max(float(np.abs(weight) @ np.maximum(c @ np.array(corner) + bias, 0)) for corner in product(*ends))


#: (c, p) of the rounding floor c · eps · κ^p of statements without one of their own: layers that act on A, or on S.
_FLOORS = {"factor": (8.0, 0.5), "matrix": (8.0, 1.0)}


def _check_fact(graph: Graph, fact: Fact, value: np.ndarray, slack: float) -> None:
    name = graph.describe(fact.node)
    if fact.kind in ("within", "rows", "norm", "signs"):
        _check_bounds(graph, fact, value, slack)
        return
    scale = float(np.abs(value).max(initial=0.0))
    asymmetry = float(np.abs(value - value.T).max(initial=0.0))
    if asymmetry > slack * max(scale, 1e-300):
        raise AssumptionError(
            f"{graph.name}: {name} is not symmetric: entries differ by up to {asymmetry:.3g}",
            where=fact.where,
            rule="the program states that it is, and the weights rely on it",
            fix=f"symmetrise the data that {name} is computed from, or remove the statement",
        )
    if fact.bounds is None:
        return
    lo, hi = fact.bounds
    eigenvalues = np.linalg.eigvalsh(value)
    allowed = slack * len(value) * max(scale, abs(hi), abs(lo))
    too_large = eigenvalues[-1] >= hi if fact.kind == "spectrum" else eigenvalues[-1] > hi + allowed
    small = eigenvalues < lo - allowed
    if fact.kind == "interval or 0":
        small &= np.abs(eigenvalues) > allowed
    if too_large or small.any():
        outside = float(eigenvalues[-1] if too_large else eigenvalues[small][0])
        interval = f"({lo:.6g}, {hi:.6g})" if fact.kind == "spectrum" else f"[{lo:.6g}, {hi:.6g}]"
        raise AssumptionError(
            f"{graph.name}: the spectrum of {name} reaches {outside:.6g}: expected within {interval}",
            where=fact.where,
            rule="the weights were compiled for this interval; outside it the iteration diverges",
            fix=fact.fix or "rescale the data, or compile for the spectrum that the data have",
        )


def _check_bounds(graph: Graph, fact: Fact, value: np.ndarray, slack: float) -> None:
    assert fact.bounds is not None
    lo, hi = fact.bounds
    allowed = slack * max(abs(lo), abs(hi), 1.0)
    if fact.kind == "signs":
        wrong, expected = np.abs(np.abs(value) - 1) > allowed, "−1 or 1"
    elif fact.kind == "rows":
        norms = np.sqrt((value**2).sum(axis=1, keepdims=True))
        wrong, expected, value = norms > hi + allowed, f"rows of norm at most {hi:.6g}", norms
    elif fact.kind == "norm":
        value = np.sqrt((value**2).sum(keepdims=True))
        wrong, expected = value > hi + allowed, f"a norm of at most {hi:.6g}"
    else:
        wrong, expected = (value < lo - allowed) | (value > hi + allowed), f"entries within [{lo:.6g}, {hi:.6g}]"
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        worst = float(value[wrong][np.argmax(np.abs(value[wrong]))])
        index = index[:1] if value.shape[1] == 1 else index  # of a vector
        at = f"row {index[0]}" if fact.kind == "rows" else f"entry [{', '.join(map(str, index))}]"
        raise AssumptionError(
            f"{graph.name}: {graph.describe(fact.node)} reaches {worst:.6g} (first at {at}): expected {expected}",
            where=fact.where,
            rule="the feed-forward units were made for this range; outside it their error is not bounded",
            fix=fact.fix or "rescale the data, or state the range that the data have and compile again",
        )


def divergence(artifact: Artifact, structured: Structured, H: Tensor) -> DivergenceError | InputError:
    """The error for a run whose outputs are not finite: which value overflowed first, in which layer, on which line."""
    watch: list[list[Tensor]] = []
    structured.run(structured.split(H.detach()), watch)
    for number, groups in enumerate(watch, start=1):
        for label, rows in artifact.rows[number].items():
            part = structured.rows(groups, rows.start, len(rows), artifact.n_tokens)
            if not bool(torch.isfinite(part).all()):
                nodes = {hint.name: hint.node for hint in artifact.hints if hint.boundary == number and hint.row == rows.start}
                node = next((n for n in nodes.values() if n is not None), None)
                return DivergenceError(
                    f"{artifact.graph.name}: {label} overflowed in layer {number} of {len(artifact.layers)} ({H.dtype})",
                    where=artifact.graph.nodes[node].where if node is not None else None,
                    rule="an iteration such as X ← 2X − X S X converges only when its start is small enough for the data: "
                    "from X = αI when 0 < α < 2/λ_max(S), from X = αS when 0 < α < 2/λ_max(S)²",
                    fix="use a smaller initial scale or step size, or rescale the data",
                )
    return DivergenceError(f"{artifact.graph.name}: an output is not finite ({H.dtype})", fix="rescale the data or use float64")
