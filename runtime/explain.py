"""Printing a compiled model: layer by layer what heads and units compute, from the weights and the row labels alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from textwrap import wrap
from typing import Any

from ..compiler.algebra import show_number
from ..compiler.artifact import Artifact, Search
from ..compiler.layout import Labels, transposed_name
from ..compiler.weights import Block, HeadWeights
from ..proofs_check.bounds import Bounds
from ..proofs_check.exact import depth_lower_bound
from ..proofs_check.lower_bounds import LowerBound, best, lower_bounds
from ..proofs_check.residual import state_residual
from .architectures import attention_formula, unit_formula
from .explain_units import explain_units, hint_name, units_lines, written


def explain_json(
    artifact: Artifact, bounds: Bounds | None, degrees: Mapping[str, int | None], extra: Sequence[LowerBound] = ()
) -> dict[str, Any]:
    """Everything `explain_text` prints, as plain data. `extra`: lower bounds that the program's problem has besides."""
    known = [d for d in degrees.values() if d is not None]
    degree = max(known, default=None) if artifact.lowered is None else None
    return {
        "program": artifact.graph.name,
        "sizes": dict(artifact.graph.sizes),
        "architecture": artifact.architecture.name,
        "depth": artifact.depth,
        "max_heads": artifact.max_heads,
        "ffn_width": artifact.ffn_width,
        "d_model": artifact.d_model,
        "n_tokens": artifact.n_tokens,
        "n_parameters": artifact.n_parameters,
        "n_unique_parameters": artifact.n_unique_parameters,
        "nonzeros": artifact.nonzeros,
        "polynomial": artifact.lowered is None,
        "degree": degree,
        "depth_lower_bound": None if degree is None else depth_lower_bound(degree),
        "lower_bounds": [asdict(bound) for bound in sorted([*lower_bounds(artifact, degrees), *extra], key=_kind)],
        "approximations": [
            {"states": state_residual(claim), "method": claim.method, "tol": float(claim.tol)}
            for claim in artifact.graph.residuals
        ],
        "search": _search(artifact.search),
        "paper": None
        if bounds is None
        else {
            "source": bounds.source,
            "depth": bounds.depth,
            "heads": bounds.heads,
            "rows": bounds.rows,
            "ffn_width": bounds.width,
        },
        "input": [{"name": name, "rows": [r.start, r.stop]} for name, r in artifact.rows[0].items()],
        "layers": [_layer(artifact, number) for number in range(1, len(artifact.layers) + 1)],
        "outputs": [
            {"name": p.name, "rows": [p.row, p.row + p.height], "tokens": p.width, "first_token": p.token}
            for p in artifact.decoding
        ],
    }


def explain_text(
    artifact: Artifact, bounds: Bounds | None, degrees: Mapping[str, int | None], extra: Sequence[LowerBound] = ()
) -> str:
    """The layer table for people: heads in the paper's notation, rows with their names, and the figures beside the
    paper's and the lower bounds, each with its argument."""
    data = explain_json(artifact, bounds, degrees, extra)
    sizes = ", ".join(f"{name} = {size}" for name, size in data["sizes"].items())
    architecture = artifact.architecture
    title = f"{data['program']} ({sizes}) on {'masked ' if architecture.key_mask else ''}{architecture.attention} attention"
    if data["ffn_width"]:
        title += " and units, eq. (3.1b)" if architecture.plain and architecture.ffn == "relu" else " and units"
    title += f": {attention_formula(architecture)}"
    title += f", then {unit_formula(architecture)}" if data["ffn_width"] else ""
    lines = [title, ""]
    lines.append("input    " + _row_line(artifact.rows[0]))
    repeated = _repeats(artifact)
    for layer in data["layers"]:
        first, last = repeated[layer["number"]]
        if layer["number"] != first:
            continue
        title = f"layer {first}" if first == last else f"layers {first}–{last} (the same weights)"
        lines += ["", title]
        for number, head in enumerate(layer["heads"], start=1):
            lines.append(f"  head {number}  " + "; ".join(head["computes"]))
            lines.append(f"          V: {', '.join(head['V'])}  |  K: {head['K']}  |  Q: {head['Q']}")
        lines += units_lines(layer["ffn"]) if layer["ffn"] else []
        lines.append("  rows    " + _row_line(artifact.rows[last]))
    lines.append("")
    for output in data["outputs"]:
        first, stop = output["rows"]
        token, last = output["first_token"], output["first_token"] + output["tokens"] - 1
        lines.append(f"output   {output['name']}: rows {first}–{stop - 1}, tokens {token}–{last}")
    return "\n".join([*lines, "", *_figures(data)])


def _kind(bound: LowerBound) -> tuple[bool, int]:
    return not bound.any_products, ("layers", "heads", "rows").index(bound.what)


def _figures(data: dict[str, Any]) -> list[str]:
    paper = data["paper"] or {"depth": None, "heads": None, "rows": None, "ffn_width": None, "source": None}
    bounds = [LowerBound(**bound) for bound in data["lower_bounds"]]
    header = ("", "this model", "paper" if paper["source"] else "", "lower bound", "these products", "any layout")
    rows: list[tuple[Any, ...]] = [header]
    laid_out = {entry["what"]: entry["least"] for entry in reversed(data["search"]["proven"])} if data["search"] else {}
    for name, what, have, claimed in (
        ("layers", "layers", data["depth"], paper["depth"]),
        ("heads", "heads", data["max_heads"], paper["heads"]),
        ("rows (d_model)", "rows", data["d_model"], paper["rows"]),
    ):
        least = best(bounds, what, any_products=True), best(bounds, what, any_products=False), laid_out.get(what)
        rows.append((name, have, claimed, *least))
    if data["ffn_width"]:
        rows.append(("FFN width", data["ffn_width"], paper["ffn_width"], "", "", ""))
    for name, count in (("parameters", "n_parameters"), ("  stored once", "n_unique_parameters"), ("  nonzero", "nonzeros")):
        rows.append((name, f"{data[count]:,}", "", "", "", ""))
    widths = (">14", ">10", ">14", ">16", ">12")
    text = ["".join([f"{row[0]:<16}", *map(format, map(_cell, row[1:]), widths)]).rstrip() for row in rows]
    if paper["source"]:
        text.append(f"paper: {paper['source']}")
    for claim in data["approximations"]:
        text += ["", f"approximate: {claim['states']}", f"  by {claim['method']}"]
    return [*text, "", *_arguments(data, bounds)]


def _search(search: Search | None) -> dict[str, Any] | None:
    if search is None:
        return None
    return {**asdict(search), "proven": [{**asdict(entry), "gap": entry.gap} for entry in search.proven]}


def _searched(search: dict[str, Any] | None) -> list[str]:
    """How the plan was found, and what is proved of it."""
    if search is None:
        return []
    every = "all that there were" if search["finished"] else "until the time limit"
    engine = f"; engine {search['engine']}" if search["engine"] else "; no engine"
    note = f" ({search['note']})" if search["note"] else ""
    text = [f"any layout: optimize={search['goal']!r}, {search['candidates']} candidates, {every}{engine}{note}"]
    assumed: str | None = None
    for entry in search["proven"]:
        verdict = "the fewest" if not entry["gap"] else f"at most {entry['gap']} above the fewest"
        lines = [f"{verdict}: {entry['argument']}"]
        if entry["assumes"] != assumed:  # once where the same holds for several
            lines.append(f"assumes {entry['assumes']}")
        assumed = entry["assumes"]
        head = f"{entry['what']} ≥ {entry['least']}"
        for line in (part for whole_line in lines for part in wrap(whole_line, 110)):
            text.append(f"  {head:<14}  {line}")
            head = ""
    return text


def _arguments(data: dict[str, Any], bounds: Sequence[LowerBound]) -> list[str]:
    text = []
    for any_products, title in ((True, "lower bound: for every plan"), (False, "these products: for what was chosen")):
        text.append(title)
        if any_products and data["degree"] is None:
            why = "leading terms may cancel" if data["polynomial"] else "with units an output is no polynomial"
            text.append(f"  layers: the degree is not known ({why})")
        for bound in bounds:
            if bound.any_products == any_products:
                text.append(f"  {bound.what + ' ≥ ' + str(bound.value):<14}  {bound.argument}")
                text.append(f"  {'':<14}  assumes {bound.assumes}")
    text += _searched(data["search"])
    for proof in dict.fromkeys(bound.proof for bound in bounds if bound.proof):
        text += ["", *proof.splitlines()]
    return text


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


def _repeats(artifact: Artifact) -> dict[int, tuple[int, int]]:
    """For every layer the first and last of the run of equal layers that it belongs to."""
    runs: dict[int, tuple[int, int]] = {}
    start = 1
    for number in range(1, len(artifact.layers) + 1):
        if number > 1 and artifact.layers[number - 1] != artifact.layers[number - 2]:
            start = number
        for member in range(start, number + 1):
            runs[member] = (start, number)
    return runs


def _row_line(labels: Labels) -> str:
    ordered = sorted(labels.items(), key=lambda item: item[1].start)
    return "  ".join(f"{name}[{rows.start}:{rows.stop}]" for name, rows in ordered)


def _layer(artifact: Artifact, number: int) -> dict[str, Any]:
    return {
        "number": number,
        "heads": [_head(artifact, number, head) for head in artifact.layers[number - 1].heads],
        "ffn": explain_units(artifact, number, lambda at, row, size: _name_before(artifact, at, row, size)),
        "rows": {name: [rows.start, rows.stop] for name, rows in artifact.rows[number].items()},
    }


@dataclass(frozen=True)
class _Name:
    """A named block as a head reads it: its name, and the name of its transpose."""

    plain: str
    transposed: str
    identity: bool = False


_Sum = list[tuple[Fraction, _Name]]


def _head(artifact: Artifact, number: int, head: HeadWeights) -> dict[str, Any]:
    architecture = artifact.architecture
    keys, queries = _by_row(head.W_K.blocks), _by_row(head.W_Q.blocks)
    K = [[_source(artifact, number, b) for b in keys[at]] for at in sorted(keys)]
    Q = [[_source(artifact, number, b) for b in queries[at]] for at in sorted(queries)]
    pieces = [_product(k, q) for k, q in zip(K, Q, strict=False)]
    right = _join(pieces)
    V = [(_target(artifact, number, b), *_source(artifact, number, b)) for b in head.W_V.blocks]
    scale = architecture.factor(artifact.graph.sizes)

    def added(c: Fraction, name: _Name) -> str:
        if architecture.attention == "linear":
            return _times(c * scale, name, pieces, right)
        return f"{_join([(c * scale, name.plain)])} {architecture.attention}({right})"

    return {
        "computes": [f"{target} += {added(c, name)}" for target, c, name in V],
        "V": [f"{target} ← {_show([(c, name)])}" for target, c, name in V],
        "K": _stacked([_show(k) for k in K]),
        "Q": _stacked([_show(q) for q in Q]),
    }


def _by_row(blocks: tuple[Block, ...]) -> dict[int, list[Block]]:
    out: dict[int, list[Block]] = {}
    for block in blocks:
        out.setdefault(block.row, []).append(block)
    return out


def _source(artifact: Artifact, number: int, block: Block) -> tuple[Fraction, _Name]:
    """The name of what a block reads: a live value, the unit row e₁ᵀ of an identity, or what a dead value left."""
    symmetric = {hint.name for hint in artifact.hints if hint.symmetric}
    if block.matrix:
        c, read = _source(artifact, number, replace(block, size=block.width, matrix=()))
        plain, flipped = _constant_names(artifact, block)
        return c, _Name(f"{plain} {read.plain}", f"{read.transposed} {flipped}")
    for boundary in range(number - 1, -1, -1):
        for name, rows in artifact.rows[boundary].items():
            if rows.start == block.col and len(rows) == block.size:
                old = "" if boundary == number - 1 else "old "
                flipped = name if name in symmetric else _flipped(name)
                identity = name.startswith("I_")
                return block.coefficient, _Name(old + name, name if identity else old + flipped, identity)
            if rows.start == block.col and block.size == 1 and name.startswith("I_"):
                return block.coefficient, _Name("e₁ᵀ", "e₁")
    name = f"rows {block.col}:{block.col + block.size}"
    return block.coefficient, _Name(name, f"({name})ᵀ")


def _constant_names(artifact: Artifact, block: Block) -> tuple[str, str]:
    """The program's name for a matrix in the weights, and for its transpose."""
    for index, node in enumerate(artifact.graph.nodes):
        if node.op == "constant":
            rows = node.attr.rows
            name = artifact.graph.labels.get(index, f"C{index}")
            if rows == block.matrix:
                return name, name if node.attr.symmetric else f"{name}ᵀ"
            if tuple(zip(*rows, strict=True)) == block.matrix:
                return f"{name}ᵀ", name
    return "C", "Cᵀ"


def _target(artifact: Artifact, number: int, block: Block) -> str:
    """The name that the written rows have after the layer's attention, or, where they are only cleared, had before."""
    if written(artifact, number, block.row, local=True):  # after the layer they hold what its units write
        hint = written(artifact, number, block.row, local=False)
        return _name_before(artifact, number, block.row, block.size)[0] if hint is None else hint_name(hint)
    for name, rows in artifact.rows[number].items():
        if rows.start == block.row:
            return name
    return _source(artifact, number, Block(0, block.row, block.size, Fraction(1)))[1].plain


def _name_before(artifact: Artifact, number: int, row: int, size: int) -> tuple[str, bool]:
    name = _source(artifact, number, Block(0, row, size, Fraction(1)))[1]
    return name.plain, name.identity


def _flipped(name: str) -> str:
    """The name of the transpose: (Aᵀ y)ᵀ ↔ Aᵀ y."""
    if name.startswith("(") and name.endswith(")ᵀ"):
        return name[1:-2]
    return name.removesuffix("ᵀ") if name.endswith("ᵀ") and " " not in name else transposed_name(name)


def _number(c: Fraction) -> str:
    return "" if abs(c) == 1 else show_number(abs(c)) + " "


def _show(parts: _Sum, transposed: bool = False) -> str:
    return _join([(c, n.transposed if transposed else n.plain) for c, n in parts])


def _join(terms: list[tuple[Fraction, str]]) -> str:
    text = ""
    for c, name in terms:
        sign = ("−" if c < 0 else "") if not text else (" − " if c < 0 else " + ")
        text += sign + _number(c) + name
    return text


def _stacked(pieces: list[str]) -> str:
    return f"({'; '.join(pieces)})" if len(pieces) > 1 else pieces[0]


def _product(key: _Sum, query: _Sum) -> tuple[Fraction, str]:
    """Kᵀ Q with its number in front and identities left out."""
    number = Fraction(1)
    factors = []
    for side, transposed in ((key, True), (query, False)):
        if len(side) == 1:
            number *= side[0][0]
            if not side[0][1].identity:
                factors.append(side[0][1].transposed if transposed else side[0][1].plain)
        else:
            factors.append(f"({_show(side, transposed)})")
    return number, " ".join(factors) or "I"


def _times(c: Fraction, name: _Name, pieces: list[tuple[Fraction, str]], right: str) -> str:
    """c · V times the right factor that all targets of the head share."""
    if len(pieces) > 1:
        return _join([(c, f"({right})" if name.identity else f"{name.plain} ({right})")])
    number, factor = pieces[0]
    if name.identity:
        return _join([(c * number, factor)])
    return _join([(c * number, name.plain if factor == "I" else f"{name.plain} {factor}")])
