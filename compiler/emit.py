"""The end of a compile: the layout and the heads of the chosen candidate as exact weight matrices."""

from __future__ import annotations

from dataclasses import dataclass

from .architecture import Architecture
from .artifact import Artifact
from .dims import size_of
from .errors import CompileError
from .graph import Graph
from .hints import name_values
from .ir import Fold, Layout, Plan, SlotHead
from .layout import label_rows, place_inputs, place_outputs
from .weights import Matrix, build_layer, slot_starts, with_both_signs


@dataclass(frozen=True)
class Compilation:
    """One candidate: a layout and its heads."""

    layout: Layout
    heads: tuple[tuple[SlotHead, ...], ...]

    @property
    def plan(self) -> Plan:
        return self.layout.schedule.placement.plan

    def costs(self) -> dict[str, int]:
        sizes = self.plan.graph.sizes
        counts = [len(layer) for layer in self.heads]
        rows = sum(size_of(slot.height, sizes) for slot in self.layout.slots)
        parameters = 3 * rows**2 * sum(counts)
        heads = max(counts, default=0)
        # a third head is worth it where it saves a third of the rows
        weighted = parameters * max(heads, 2) ** 2
        units = sum(
            len(local.units.units) * size_of(local.target.height, sizes) for layer in self.layout.local for local in layer
        )
        return {
            "depth": len(counts),
            "rows": rows,
            "heads": heads,
            "parameters": parameters,
            "weighted parameters": weighted,
            "units": units,
        }


def emit(graph: Graph, architecture: Architecture, best: Compilation) -> Artifact:
    """Exact weight matrices, and everything that running and proving need to know about them."""
    layout = best.layout
    starts, d_model = slot_starts(layout.slots, graph.sizes)
    kinds = list(zip(best.heads, layout.local, strict=True))
    constants = folded_constants(best.plan)
    distinct = {
        kind: build_layer(*kind, starts, max(d_model, 1), graph.sizes, constants, 1 / architecture.factor(graph.sizes))
        for kind in dict.fromkeys(kinds)
    }
    if architecture.attention == "relu":
        distinct = {kind: with_both_signs(layer) for kind, layer in distinct.items()}
    encoding, n_tokens = place_inputs(layout, starts)
    return Artifact(
        graph,
        architecture,
        max(d_model, 1),
        n_tokens,
        tuple(distinct[kind] for kind in kinds),
        encoding,
        place_outputs(layout, starts),
        tuple((starts[slot], slot.height) for slot in layout.slots),
        name_values(layout, starts),
        label_rows(layout, starts),
    )


def folded_constants(plan: Plan) -> dict[Fold, Matrix]:
    """The matrix of every constant, plain and transposed, that weights may contain."""
    found: dict[Fold, Matrix] = {}
    for atom in plan.folded:
        leaf = plan.values[atom].leaf
        assert leaf is not None
        rows = plan.graph.nodes[leaf.node].attr.rows
        found[atom, False], found[atom, True] = rows, tuple(zip(*rows, strict=True))
    return found


def check_range(graph: Graph, best: Compilation) -> None:
    """Raises CompileError when a weight is too large or too small for a float."""
    forms = [f for layer in best.heads for head in layer for piece in head.KQ for f in (*piece[0], *piece[1])]
    weights = [c for layer in best.heads for head in layer for *_, c in head.V] + [c for _, c in forms]
    tables = {local.units for layer in best.layout.local for local in layer}
    weights += [c for table in tables for u in table.units for c in (*u.coefficients, u.bias, u.weight) if c]
    for c in weights:
        if not 2.0**-1000 <= abs(c) <= 2.0**1000:
            size = c.numerator.bit_length() - c.denominator.bit_length()
            raise CompileError(
                f"{graph.name}: a weight is about 2^{size}: expected between 2^-1000 and 2^1000 in size",
                fix="rescale the program's constants",
            )
