"""The page "What is wrong in the papers, and what is true instead", made from the entries of `ledger.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_INTRODUCTION = """\
# What is wrong in the papers, and what is true instead

Every numbered statement of the sources that says something which can be checked, with a verdict and the check that confirms
it. Made by `headwright ledger -o docs/reference`; do not edit. `headwright verify --ledger` runs every check again and exits
with 0 only if each confirms the verdict below: a statement that is false as printed is confirmed by its counterexample.

The papers are good papers. Nearly all that is listed as false is a slip in a formula, an index or a constant, and every main
theorem holds once its constants are stated: this page says which, so that a reader who implements or cites a formula can do
so safely. What the papers say is given in our words; numbers in brackets are their equations. Giannou et al. is arXiv
2403.03183v1; the text was read from the PDF, and what is garbled there is not counted. Statements of "headwright" are ours
and stand in no paper.

*Evidence.* "identity" is computer algebra (differences that cancel to 0); "polynomial certificate" a difference with
coefficients that are all ≥ 0, or a square times a positive factor; "interval arithmetic" has outward rounding; "identity of
blocks" runs layers on noncommuting symbols, for all dimensions; "exact counterexample" is in rational numbers; "property
test" is sampling, and proves nothing by itself. What is classical (Jensen, Cauchy–Schwarz, Banach on trilinear forms,
comparison of differential inequalities, Courant–Fischer) is cited, not checked.

Numbered items that only define something have no entry: (3.1), (3.5), (3.6), Definition 3.1, Assumption 3.2,
Definition B.1, (B.1)–(B.3), (C.3), (C.12), (C.14), (C.15), (C.18), (C.21)–(C.24).
"""

_HEADINGS = {
    "false as printed": "False as printed",
    "holds with restriction": "True with a restriction",
    "holds": "True",
    "unknown": "Not decided here",
}


def to_markdown(entries: Sequence[Mapping[str, Any]]) -> str:
    """The page. Entries as `ledger.write` stores them."""
    counts = {kind: sum(entry["verdict"] == kind for entry in entries) for kind in _HEADINGS}
    lines = [_INTRODUCTION, "| source | " + " | ".join(_HEADINGS[kind].lower() for kind in counts if counts[kind]) + " |"]
    lines.append("| --- |" + " --: |" * sum(map(bool, counts.values())))
    for source in dict.fromkeys(entry["source"] for entry in entries):
        mine = [entry for entry in entries if entry["source"] == source]
        cells = [str(sum(entry["verdict"] == kind for entry in mine)) for kind in counts if counts[kind]]
        lines.append(f"| {source} | " + " | ".join(cells) + " |")
    for kind, heading in _HEADINGS.items():
        chosen = [entry for entry in entries if entry["verdict"] == kind]
        if not chosen:
            continue
        lines += ["", f"## {heading}"]
        for source in dict.fromkeys(entry["source"] for entry in chosen):
            lines += ["", f"### {source}", ""]
            mine = [entry for entry in chosen if entry["source"] == source]
            lines += _table(mine) if kind in ("holds", "unknown") else [line for entry in mine for line in _paragraph(entry)]
    return "\n".join(lines).rstrip() + "\n"


def _table(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Statements that hold: a row each."""
    rows = ["| statement | what it says | note | evidence |", "| --- | --- | --- | --- |"]
    for entry in entries:
        cells = (f"{entry['number']}: {entry['title']}", entry["printed"], entry["corrected"], _evidence(entry))
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return rows


def _evidence(entry: Mapping[str, Any]) -> str:
    return str(entry["evidence"]) + ("" if entry["verdict"] != "unknown" else f": {entry['found']['text']}")


def _paragraph(entry: Mapping[str, Any]) -> list[str]:
    """A statement that does not hold as it is: what it says, what is wrong, what is true."""
    refuted = [v["text"] for v in (entry["found"], entry["second"]) if v and v["verdict"] == "Refuted"]
    proved = [v["text"] for v in (entry["found"], entry["second"]) if v and v["verdict"] == "Proved"]
    lines = [f"**{entry['number']}**, {entry['title']}. {entry['printed']}  "]
    if refuted:
        lines.append(f"✗ {refuted[0]}.  ")
    lines.append(f"✓ {entry['corrected']}  ")
    lines += [f"*Why*: {proved[0]}  "] if proved else []
    lines.append(f"*Evidence*: {entry['evidence']}.")
    return [*lines, ""]
