"""Printing the feed-forward part of a layer: what its units read, what they write, and what they clear."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from ..compiler.algebra import show_number
from ..compiler.artifact import Artifact, ValueHint
from ..compiler.layout import transposed_name
from ..proofs_check.local_sums import LocalSum, Source, local_sums

#: (layer, first row, rows) → the name of what these rows hold before the layer, or held last; whether they are an identity.
Before = Callable[[int, int, int], tuple[str, bool]]


def written(artifact: Artifact, number: int, row: int, local: bool) -> ValueHint | None:
    """What attention (local: the feed-forward part) of a layer writes at a row, where it writes a value."""
    hints = artifact.hints
    return next((h for h in hints if (h.boundary, h.row, h.local) == (number, row, local)), None)


def completed(artifact: Artifact, number: int, row: int) -> tuple[ValueHint | None, bool]:
    """The value that units of a layer write at a row, by themselves or (True) with layers without heads beside it."""

    def adds(at: int) -> bool:
        sums = local_sums(artifact.layers[at - 1].ffn, artifact.architecture.ffn)
        return any(entry.row == row and not entry.erases for entry in sums)

    last = number
    while (hint := written(artifact, last, row, local=True)) is None:
        if last == artifact.depth or artifact.layers[last].heads or not adds(last + 1):
            return None, False
        last += 1
    before = number > 1 and not artifact.layers[number - 1].heads and adds(number - 1)
    return hint, last > number or (before and written(artifact, number - 1, row, local=True) is None)


def hint_name(hint: ValueHint) -> str:
    return transposed_name(hint.name) if hint.flipped else hint.name


def explain_units(artifact: Artifact, number: int, before: Before) -> dict[str, Any] | None:
    """The feed-forward part of a layer as plain data; None where it has none.

    width: its units. targets: for every block of rows that gets a new value its name, units a row, what these read, what
    they add exactly (linear), and, where the model claims so, what they approximate and how well; part: layers without heads
    beside it add what is missing. clears: what is erased.
    """
    ffn = artifact.layers[number - 1].ffn
    if ffn is None:
        return None
    targets, clears = [], []

    def name_of(row: int, height: int) -> str:
        hint = written(artifact, number, row, local=False)
        return before(number, row, height)[0] if hint is None else hint_name(hint)

    for entry in local_sums(ffn, artifact.architecture.ffn):
        if entry.own == -1:
            clears.append(name_of(entry.row, entry.height))
        if entry.units or any(source != (entry.row, False) for source in entry.linear) or entry.own != -1:
            targets.append(_target(artifact, number, entry, name_of))
    return {"width": ffn.W_1.shape[0], "targets": targets, "clears": clears}


def _target(artifact: Artifact, number: int, entry: LocalSum, name_of: Callable[[int, int], str]) -> dict[str, Any]:
    def name(source: Source) -> str:
        return name_of(source[0], 1 if source[1] else entry.height)

    hint, part = completed(artifact, number, entry.row)
    biases = _bias_rows(artifact, number)
    reads = dict.fromkeys(name(source) for source in entry.bent if source[0] not in biases)
    rest = [(c, name(s)) for s, c in entry.linear.items() if s != (entry.row, False) or c != -1]
    claim = None
    if hint is not None and artifact.lowered is not None:
        claim = next((a for a in artifact.lowered.approximations if a.node == hint.node), None)
    return {
        "name": name_of(entry.row, entry.height) if hint is None else hint_name(hint),
        "rows": [entry.row, entry.row + entry.height],
        "units_per_row": len(entry.units),
        "reads": list(reads),
        "linear": _sum(rest),
        "part": part,
        "approximates": None if claim is None or hint is None else artifact.graph.nodes[claim.node].attr.name,
        "within": None if claim is None else float(claim.bound),
    }


def _bias_rows(artifact: Artifact, number: int) -> set[int]:
    """The rows from which biases are read: ones, and an identity of one token."""
    live = {rows.start for rows in artifact.rows[number - 1].values()}
    return live & {p.row for p in artifact.encoding if p.kind == "ones" or (p.kind == "eye" and p.height == 1)}


def _sum(terms: list[tuple[Fraction, str]]) -> str:
    text = ""
    for c, name in terms:
        sign = ("−" if c < 0 else "") if not text else (" − " if c < 0 else " + ")
        text += sign + ("" if abs(c) == 1 else show_number(abs(c)) + " ") + name
    return text


def units_lines(data: dict[str, Any]) -> list[str]:
    """The lines that `headwright explain` prints for `explain_units`."""
    lines = [f"{data['width']} unit{'s' * (data['width'] > 1)}"]
    for target in data["targets"]:
        parts = [target["linear"]] if target["linear"] else []
        if target["units_per_row"]:
            a_row = " a row" if target["rows"][1] - target["rows"][0] > 1 else ""
            read = f" of {', '.join(target['reads'])}" if target["reads"] else ""
            several = "s" * (target["units_per_row"] > 1)
            parts.append(f"{target['units_per_row']} unit{several}{a_row}{read}")
        what = f"{'part of ' if target['part'] else ''}{target['approximates']}"
        exact = "" if target["within"] is None else f" ({'' if target['part'] else 'exactly '}{what})"
        about = f" ({what} ± {target['within']:.2g})" if target["within"] else exact
        lines.append(f"{target['name']} ← {' + '.join(parts)}{about}")
    lines += [f"clears {', '.join(data['clears'])}"] if data["clears"] else []
    return [f"  {'ffn' if not at else '':<8}{line}" for at, line in enumerate(lines)]
