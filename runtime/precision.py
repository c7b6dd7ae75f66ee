"""Whether a number format holds what a model claims in exact arithmetic: what to warn of before a run, and after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from math import log2

import numpy as np
import torch
from torch import Tensor

from ..compiler.artifact import Artifact
from ..compiler.graph import Graph
from ..compiler.lowered import Approximation
from ..compiler.units import Units
from .checks import values_of
from .inputs import Prepared

#: (c, p) of the rounding floor c · eps · κ^p of statements without one of their own: layers that act on A, or on S.
_FLOORS = {"factor": (8.0, 0.5), "matrix": (8.0, 1.0)}


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
            tol = float(claim.tol)
            return (
                f"{graph.name}: tol = {tol:.1e} is below what {_named(dtype)} reaches at κ = {kappa:.1e}, about {left:.1e}: "
                f"the proved bound holds in exact arithmetic, this run will not reach it; fix: run in float64"
            )
    return None


def coarser_than_fits(artifact: Artifact, dtype: torch.dtype) -> str | None:
    """What to warn of before a run in a format that cannot hold the tolerance of a fit: rounding its terms once is more."""
    for fit in artifact.lowered.approximations if artifact.lowered is not None else ():
        ends = [[float(end) for end in pair if end is not None] for pair in fit.domain]
        units = _units(artifact, fit)
        if not (fit.bound and units.units and all(len(pair) == 2 for pair in ends)):
            continue
        if len(ends) != len(units.units[0].coefficients):  # gated: the sign is the second argument
            ends.append([-1.0, 1.0])
        terms = _size_of_terms(units, ends)
        rounding = torch.finfo(dtype).eps / 2 * terms
        if rounding > max(_allowed(artifact, fit), np.finfo(float).eps * terms):  # a smaller bound is that of rounded weights
            return (
                f"{artifact.graph.name}: the units of {fit.text} are within {float(fit.bound):.1e} of it in exact arithmetic, "
                f"and {_named(dtype)} rounds them by up to {rounding:.1e}; fix: run in float64, or compile for a larger tol"
            )
    return None


def too_far_out(artifact: Artifact, prepared: Prepared) -> str | None:
    """What to warn of where data are so large that rounding is above the bound of a fit on all of ℝ; or None.

    Far out, where σ has settled, the terms of its units grow and cancel: exactly in theory, up to rounding in a run.
    """
    lowered = artifact.lowered
    fits = [fit for fit in lowered.approximations if None in fit.domain[0]] if lowered is not None else []
    fits = [fit for fit in fits if fit.bound and len(_units(artifact, fit).units[0].coefficients) == 1]
    if not fits:
        return None
    nodes = [artifact.graph.nodes[fit.node].args[0] for fit in fits]
    ends: dict[int, tuple[float, float]] = {}
    for values in values_of(artifact.graph, prepared, list(set(nodes))):
        for node in set(nodes):
            low, high = ends.get(node, (0.0, 0.0))
            ends[node] = min(low, float(values[node].min(initial=0.0))), max(high, float(values[node].max(initial=0.0)))
    for fit, node in zip(fits, nodes, strict=True):
        units = _units(artifact, fit)  # every term is rounded three times, and the sum of n of them log n times
        rounding = (3 + log2(len(units.units))) * torch.finfo(prepared.dtype).eps / 2 * _size_of_terms(units, [ends[node]])
        if rounding > _allowed(artifact, fit):
            assert lowered is not None
            name = lowered.ideal.describe(lowered.ideal.nodes[fit.ideal].args[0])
            far, fix = max(ends[node], key=abs), "run in float64, " if prepared.dtype != torch.float64 else ""
            return (
                f"{artifact.graph.name}: {fit.text} is fitted within {float(fit.bound):.1e} on all of ℝ, but where {name} "
                f"reaches {far:.3g}, {_named(prepared.dtype)} rounds the terms of its units by up to {rounding:.1e}; "
                f"fix: {fix}scale the data down, or bound {name} with hw.bounded"
            )
    return None


def lost_in_rounding(
    artifact: Artifact, coarse: Mapping[str, Tensor], fine: Mapping[str, Tensor], distance: float | None
) -> str | None:
    """What to warn of where a run differs from one in float64 by more than an output is proved to differ from the program's.

    distance: what is certified of the vector w instead, if it is.
    """
    errors = {} if artifact.lowered is None else artifact.lowered.errors
    for name, output in coarse.items():
        gap = (output.detach().to(torch.float64) - fine[name]).abs()
        lost, bound = float(gap.max()) if gap.numel() else 0.0, errors.get(name, 0.0)
        if distance is not None and name == "w":
            lost, bound = float(torch.linalg.vector_norm(gap, dim=-1).max()), distance
        least = 8 * np.finfo(float).eps * float(fine[name].abs().max()) if gap.numel() else 0.0  # of rounded weights alone
        if least < bound < lost:
            return (
                f"{artifact.graph.name}: output {name} is proved within {bound:.1e} in exact arithmetic, and "
                f"{_named(output.dtype)} moves it by {lost:.1e} on these data; fix: run in float64, or compile for a larger tol"
            )
    return None


def _named(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _units(artifact: Artifact, fit: Approximation) -> Units:
    units = artifact.graph.nodes[fit.node].attr
    assert isinstance(units, Units)
    return units


def _allowed(artifact: Artifact, fit: Approximation) -> float:
    """The bound of the fit, or what the program's line allows it, if that is more."""
    node = artifact.lowered.ideal.nodes[fit.ideal] if artifact.lowered is not None else None
    asked = node.attr.tol if node is not None and node.op == "pointwise" else None
    return float(max(fit.bound, asked or 0))


def _size_of_terms(units: Units, ends: Sequence[Sequence[float]]) -> float:
    """The largest Σ |weight| relu(…) at a corner of the domain."""
    c = np.array([[float(x) for x in u.coefficients] for u in units.units])
    bias, weight = (np.array([float(getattr(u, name)) for u in units.units]) for name in ("bias", "weight"))
    return max(float(np.abs(weight) @ np.maximum(c @ np.array(corner) + bias, 0)) for corner in product(*ends))
