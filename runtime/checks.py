"""Run-time checks: facts that the program states about its data, and values that overflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from ..compiler.artifact import Artifact
from ..compiler.errors import AssumptionError, DivergenceError, InputError
from ..compiler.graph import Fact, Graph, evaluate
from ..compiler.ops import FLOAT64
from .inputs import Prepared
from .structured import Structured


def check_facts(graph: Graph, prepared: Prepared) -> None:
    """Raises AssumptionError, naming the stating line, when the data break `hw.symmetric`, `hw.spectrum` or `hw.bounded`."""
    slack = 64 * torch.finfo(prepared.dtype).eps
    largest = max((float(t.detach().abs().max()) for t in prepared.tensors.values() if t.numel()), default=1.0)
    rounding = 64 * float(np.finfo(float).eps) * min(1.0, largest)  # of values that are computed, in float64
    for values in values_of(graph, prepared, list({fact.node for fact in graph.facts})):
        for fact in graph.facts:
            _check_fact(graph, fact, values[fact.node], slack, rounding)


def values_of(graph: Graph, prepared: Prepared, nodes: list[int]) -> Iterator[Mapping[int, np.ndarray]]:
    """What these nodes are in float64 on each of the batch's data."""
    if not nodes:
        return
    arrays = {
        name: t.detach().cpu().numpy().astype(np.float64).reshape(-1, *t.shape[-2:])
        for name, t in ((n, t.expand(*prepared.batch, *t.shape[-2:])) for n, t in prepared.tensors.items())
    }
    for index in range(int(np.prod(prepared.batch))):
        yield evaluate(graph, {name: array[index] for name, array in arrays.items()}, FLOAT64, nodes)


def _check_fact(graph: Graph, fact: Fact, value: np.ndarray, slack: float, rounding: float) -> None:
    name = graph.describe(fact.node)
    if fact.kind in ("within", "rows", "norm", "signs"):
        _check_bounds(graph, fact, value, slack, rounding)
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


def _check_bounds(graph: Graph, fact: Fact, value: np.ndarray, slack: float, rounding: float) -> None:
    assert fact.bounds is not None
    lo, hi = fact.bounds
    allowed = slack * max(abs(lo), abs(hi))
    given = graph.nodes[fact.node].op == "input"  # has only its own rounding
    below, allowed = (slack * abs(lo), allowed) if given else (max(allowed, rounding),) * 2
    if fact.kind == "signs":
        wrong, expected = np.abs(np.abs(value) - 1) > allowed, "−1 or 1"
    elif fact.kind == "rows":
        norms = np.sqrt((value**2).sum(axis=1, keepdims=True))
        wrong, expected, value = norms > hi + allowed, f"rows of norm at most {hi:.6g}", norms
    elif fact.kind == "norm":
        value = np.sqrt((value**2).sum(keepdims=True))
        wrong, expected = value > hi + allowed, f"a norm of at most {hi:.6g}"
    else:
        wrong, expected = (value < lo - below) | (value > hi + allowed), f"entries within [{lo:.6g}, {hi:.6g}]"
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
