"""Wrong statements made from right ones: what is read and written, names of rows, the program, the architecture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from ..compiler.artifact import Artifact
from ..compiler.errors import HeadwrightError
from ..compiler.graph import Graph, evaluate, live_nodes
from ..compiler.layout import Placed
from ..compiler.ops import Constant
from ..compiler.pointwise import function_from_text, function_text
from ..compiler.units import Unit, Units
from .exact import encode, random_inputs, streams
from .modular import MODULAR, PRIME
from .mutations import Claimed, Family, Mutant, family_of, listed
from .mutations_of_bounds import bound_families

_Change = tuple[str, Callable[[], Claimed | None]]


def reading_families(claimed: Claimed) -> list[Family]:
    """Where encoding puts things, where outputs are read, and what rows are called."""
    artifact = claimed.artifact
    return [
        listed("encoding changed", [(p, _artifact(claimed, encoding=new)) for p, new in _encodings(artifact)]),
        listed("decoding changed", [(p, _artifact(claimed, decoding=new)) for p, new in _decodings(artifact)]),
        *(family_of(found) for found in [list(_labels(claimed))] if found),
    ]


def _artifact(claimed: Claimed, **changes: Any) -> Callable[[], Claimed | None]:
    def change() -> Claimed | None:
        changed = replace(claimed.artifact, **changes)
        return None if changed == claimed.artifact else replace(claimed, artifact=changed)

    return change


def _encodings(artifact: Artifact) -> Iterator[tuple[str, tuple[Placed, ...]]]:
    placed, starts = artifact.encoding, [start for start, _ in artifact.partition]
    for k, p in enumerate(placed):
        others = (*placed[:k], *placed[k + 1 :])

        def put(new: Placed, k: int = k) -> tuple[Placed, ...]:
            return (*placed[:k], new, *placed[k + 1 :])

        yield f"{p.name} not encoded", others
        for row in {p.row - 1, p.row + 1, *starts} - {p.row}:
            if 0 <= row <= artifact.d_model - p.height:
                yield f"{p.name} at row {row} instead of {p.row}", put(replace(p, row=row))
        if p.height == p.width:
            yield f"{p.name} transposed", put(replace(p, flipped=not p.flipped))
        for q in placed[:k]:
            if (q.height, q.width) == (p.height, p.width):
                yield f"{p.name} in the place of {q.name}", put(replace(q, row=p.row))
        for j in range(k):
            if placed[j].height == p.height:
                rows = {k: placed[j].row, j: p.row}
                yield (
                    f"the rows of {p.name} and {placed[j].name} exchanged",
                    tuple(replace(q, row=rows.get(i, q.row)) for i, q in enumerate(placed)),
                )
        if p.width < artifact.n_tokens and p.kind == "zeros":
            yield f"{p.name} is the identity", put(replace(p, kind="eye", node=-1, width=p.height))


def _decodings(artifact: Artifact) -> Iterator[tuple[str, tuple[Placed, ...]]]:
    placed, starts = artifact.decoding, [start for start, _ in artifact.partition]
    for k, p in enumerate(placed):

        def put(new: Placed, k: int = k) -> tuple[Placed, ...]:
            return (*placed[:k], new, *placed[k + 1 :])

        yield f"{p.name} not read", (*placed[:k], *placed[k + 1 :])
        yield f"{p.name} negated", put(replace(p, negated=not p.negated))
        for row in {p.row - 1, p.row + 1, *starts} - {p.row}:
            if 0 <= row <= artifact.d_model - p.height:
                yield f"{p.name} read at row {row} instead of {p.row}", put(replace(p, row=row))
        for token in (p.token - 1, p.token + 1):
            yield f"{p.name} read at token {token} instead of {p.token}", put(replace(p, token=token))
        if p.height == p.width:
            yield f"{p.name} read transposed", put(replace(p, flipped=not p.flipped))
        for j, q in enumerate(placed[:k]):
            if q.shape == p.shape:
                names = {k: q, j: p}
                taken = [names.get(i, r) for i, r in enumerate(placed)]
                swapped = [replace(r, name=t.name, node=t.node) for r, t in zip(placed, taken, strict=True)]
                yield f"{p.name} and {q.name} exchanged", tuple(swapped)


def _labels(claimed: Claimed) -> Iterator[Mutant]:
    """Names of rows that hold something else at random data."""
    artifact = claimed.artifact
    inputs = {n: MODULAR.array(v) for n, v in random_inputs(artifact.graph, 1, 0, PRIME - 1).items()}
    stream = list(streams(artifact, encode(artifact, inputs, MODULAR), MODULAR))
    for boundary, labels in enumerate(artifact.rows):
        for place, changed in _other_rows(labels, artifact.d_model):
            wrong = [name for name, rows in changed.items() if not _alike(stream[boundary], rows, labels[name])]
            rows = (*artifact.rows[:boundary], changed, *artifact.rows[boundary + 1 :])
            new = replace(claimed, artifact=replace(artifact, rows=rows))
            if wrong:
                false = f"the rows of {wrong[0]} hold another value"
                yield Mutant("label changed", f"after layer {boundary}: {place}", new, false)
    named = [h.node for h in artifact.hints if h.node is not None and artifact.graph.labels.get(h.node) == h.name]
    values = evaluate(artifact.graph, inputs, MODULAR, named)
    for k, hint in enumerate(artifact.hints):
        for other in dict.fromkeys(named):
            if hint.node in values and values[hint.node].shape == values[other].shape:
                if np.array_equal(values[hint.node], values[other]):
                    continue
                hints = (*artifact.hints[:k], replace(hint, node=other), *artifact.hints[k + 1 :])
                place = f"after layer {hint.boundary}: {hint.name} said to be {artifact.graph.label(other)}"
                new = replace(claimed, artifact=replace(artifact, hints=hints))
                yield Mutant("label changed", place, new, "they are different values")


def _other_rows(labels: Mapping[str, range], d_model: int) -> Iterator[tuple[str, dict[str, range]]]:
    for a, b in pairwise(labels):
        if a.partition("#")[0] == b.partition("#")[0]:  # several blocks of one name: their numbers mean nothing
            continue
        yield f"the rows of {a} and {b} exchanged", {**labels, a: labels[b], b: labels[a]}
    for a, rows in labels.items():
        if rows.stop < d_model:
            yield f"{a} one row lower", {**labels, a: range(rows.start + 1, rows.stop + 1)}
        if len(rows) > 1:
            yield f"{a} without its last row", {**labels, a: range(rows.start, rows.stop - 1)}


def _alike(H: np.ndarray, a: range, b: range) -> bool:
    return len(a) == len(b) and np.array_equal(H[a.start : a.stop], H[b.start : b.stop])


# -- the program -----------------------------------------------------------------------------------------------------


def program_families(claimed: Claimed) -> list[Family]:
    """One operation of the program changed; where units approximate it, of the program as written and as lowered."""
    artifact = claimed.artifact
    changes: list[_Change] = [
        (f"the program: {place}", _artifact(claimed, graph=graph)) for place, graph in graph_changes(artifact.graph)
    ]
    kinds = [listed("program changed", changes)]
    if artifact.lowered is not None:
        lowered = artifact.lowered
        written = [
            (f"the program as written: {place}", _artifact(claimed, lowered=replace(lowered, ideal=graph)))
            for place, graph in graph_changes(lowered.ideal)
        ]
        kinds.append(listed("approximated program changed", written))
    return kinds


def graph_changes(graph: Graph) -> Iterator[tuple[str, Graph]]:
    """(place, graph) for changes of one node or output that an output depends on."""
    live = live_nodes(graph)
    for index in live:
        node = graph.nodes[index]
        for what, changes in _node_changes(graph, index):
            nodes = (*graph.nodes[:index], replace(node, **changes), *graph.nodes[index + 1 :])
            yield f"{graph.describe(index)[:60]}: {what}", replace(graph, nodes=nodes)
    for k, output in enumerate(graph.outputs):
        shape = graph.nodes[output.node].shape
        alike = [i for i in live if i != output.node and graph.nodes[i].shape == shape]
        for other in alike[-3:]:
            outputs = (*graph.outputs[:k], replace(output, node=other), *graph.outputs[k + 1 :])
            yield f"returns {graph.describe(other)[:60]} as {output.name}", replace(graph, outputs=outputs)


def _node_changes(graph: Graph, index: int) -> Iterator[tuple[str, dict[str, Any]]]:
    node = graph.nodes[index]
    args = [graph.nodes[arg] for arg in node.args]
    if node.op == "scale":
        yield "factor nudged", {"attr": node.attr + Fraction(1, 10**9)}
        yield "factor negated", {"attr": -node.attr}
    elif node.op == "constant":
        entries = node.attr.entries
        for k in range(min(len(entries), 16)):
            new = Constant(node.attr.shape, (*entries[:k], entries[k] + 1, *entries[k + 1 :]))
            yield f"entry {k} plus one", {"attr": new}
    elif node.op in ("add", "matmul", "hadamard") and node.args[0] != node.args[1]:
        if node.op != "matmul":
            yield "its first argument twice", {"args": (node.args[0],) * 2}
        elif args[0].shape == args[1].shape:
            yield "factors exchanged", {"args": node.args[::-1]}
    elif node.op == "transpose" and args[0].shape == node.shape:
        yield "not transposed", {"op": "scale", "attr": Fraction(1)}
    elif node.op in ("eye", "ones"):
        yield "zeros", {"op": "zeros"}
    elif node.op == "input":
        for other in graph.inputs:
            if other.node != index and graph.nodes[other.node].shape == node.shape:
                yield f"is {other.name}", {"attr": other.name}
    elif node.op == "units":
        for what, units in _unit_changes(node.attr):
            yield what, {"attr": units}
    elif node.op == "pointwise":
        try:
            text = function_text(node.attr.function)
            changed = function_from_text(node.attr.function.name, f"Add({text}, 1/1000)")
        except (TypeError, ValueError, AttributeError, HeadwrightError):  # a Python function
            return
        yield "its function plus 1/1000", {"attr": replace(node.attr, function=changed)}


def _unit_changes(units: Units) -> Iterator[tuple[str, Units]]:
    """The bias, the weight, every coefficient of every unit (of large tables, of some)."""
    step = max(1, len(units.units) // 12)
    for k in range(0, len(units.units), step):
        unit = units.units[k]

        def put(new: Unit, k: int = k) -> Units:
            return replace(units, units=(*units.units[:k], new, *units.units[k + 1 :]))

        yield f"unit {k + 1}: weight nudged", put(replace(unit, weight=unit.weight + Fraction(1, 10**9)))
        yield f"unit {k + 1} dropped", replace(units, units=(*units.units[:k], *units.units[k + 1 :]))
        if units.biased:
            yield f"unit {k + 1}: bias nudged", put(replace(unit, bias=unit.bias + Fraction(1, 10**9)))
        for j, c in enumerate(unit.coefficients):
            new = (*unit.coefficients[:j], c + Fraction(1, 10**9), *unit.coefficients[j + 1 :])
            yield f"unit {k + 1}: coefficient {j + 1} nudged", put(replace(unit, coefficients=new))
        for j, c in enumerate(unit.gate):
            new = (*unit.gate[:j], c + 1, *unit.gate[j + 1 :])
            yield f"unit {k + 1}: gate {j + 1} plus one", put(replace(unit, gate=new))


# -- the architecture ------------------------------------------------------------------------------------------------


def architecture_family(claimed: Claimed) -> Family:
    """Another scale, mask, attention or kind of units; another number of rows or tokens; another size."""
    artifact = claimed.artifact
    arch, sizes = artifact.architecture, artifact.graph.sizes
    changes: list[_Change] = []
    options: dict[str, Sequence[Any]] = {
        "scale": ("1", *(f"1/{d}" for d in sizes)),
        "attention": ("linear", "relu", "softmax"),
        "ffn": (None, "relu", "relu2", "gate"),
        "key_mask": (None, *sizes),
        "causal": (False, True),
    }
    for name, values in options.items():
        for value in values:
            if value != getattr(arch, name):
                changed = replace(arch, **{name: value})
                changes.append((f"{name} {getattr(arch, name)} becomes {value}", _artifact(claimed, architecture=changed)))
    changes.append(("one token less", _artifact(claimed, n_tokens=artifact.n_tokens - 1)))
    changes.append(("one row less", _artifact(claimed, d_model=artifact.d_model - 1)))
    for dim, size in sizes.items():
        changed_graph = replace(artifact.graph, sizes={**sizes, dim: size + 1})
        changes.append((f"{dim} = {size + 1} instead of {size}", _artifact(claimed, graph=changed_graph)))
    return listed("architecture changed", changes)


def families_of_claims(claimed: Claimed) -> list[Family]:
    """All changes of what is stated."""
    made = [*reading_families(claimed), *program_families(claimed), architecture_family(claimed), *bound_families(claimed)]
    return [family for family in made if family.count]
