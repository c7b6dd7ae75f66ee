"""The page "What is wrong in the papers, and what is true instead", made from the entries of `ledger.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..proofs_check.claims.coverage import WITHOUT_ENTRY

_INTRODUCTION = """\
# What is wrong in the papers, and what is true instead

Every numbered statement of the sources that says something which can be checked, with a verdict and the check that confirms
it. Made by `headwright ledger -o docs/reference`; do not edit.

The papers are good papers. Nearly all that is listed as false is a slip in a formula, an index or a constant, and every main
theorem holds once its constants and its restrictions are stated. This page says which, so that a reader who implements or
cites a formula can do so safely. What the papers say is given in our words; numbers in brackets are their equations. If you
know a reading under which an entry is unfair, the entry is wrong: tell us.

## The sources

* **Giannou et al. 2024** is arXiv 2403.03183v1, read from the PDF: what is garbled there is not counted. A later version
  appeared at AISTATS 2025, whose text we have not compared.
* **Ahn et al. 2023** is arXiv 2306.00297 (NeurIPS 2023).
* **Fu et al. 2023** is arXiv 2310.17086 (NeurIPS 2024). Its equation numbers are from our notes of the text, and could not be
  compared with it again.
* **headwright**: statements of ours, which stand in no paper.

## Run one, or all

`headwright verify --ledger` runs every check again, and exits with 0 only if each confirms the verdict below: a statement that
is false as printed is confirmed by its counterexample. With a name it runs one entry, and shows the counterexample, the
proof, and the Python that makes both:

```text
$ headwright verify --ledger "(B.5)"
Giannou et al. 2024, (B.5): x against the Newton step
  says            xᵀH⁻¹∇f(x) ≥ −‖x‖/μ + μ²‖x‖².
  verdict         false as printed (0.02 s)
  counterexample  a = 0, μ = 2, x = 1: 1 < 7/2
  true            xᵀH⁻¹∇f(x) ≥ ‖x‖² − ‖x‖/μ for every μ (printed: true for μ ≤ 1 only).
  …
  Python          headwright.proofs_check.newton_paper.refute_inner_product()
```

The same from Python; `find` takes what stands in bold below, with or without the paper:

```python
from headwright.proofs_check.claims import find

(statement,) = find("(B.5)")
print(statement.check())   # the counterexample
print(statement.second())  # the proof of what is true instead
```

## Kinds of evidence

| evidence | what it is |
| --- | --- |
| identity, computer algebra | two expressions whose difference cancels to 0 |
| identity of blocks | layers run on noncommuting symbols: for all dimensions and all data |
| polynomial certificate | a difference with coefficients that are all ≥ 0, or a square times a positive factor |
| interval arithmetic | enclosures with outward rounding, never plain floats |
| exact rational … | rational numbers throughout; on one instance, where the sizes are given |
| exact counterexample | the same, for a statement that fails |
| property test | sampling, labelled as such; it proves nothing by itself |

What is classical (Jensen, Cauchy–Schwarz, Banach on trilinear forms, comparison of differential inequalities, Courant–Fischer,
Schur's lemma, Ekeland) is cited, not checked.
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
    kinds = [kind for kind in counts if counts[kind]]
    lines = [_INTRODUCTION, "## How many", "", "| source | " + " | ".join(_HEADINGS[kind].lower() for kind in kinds) + " |"]
    lines.append("| --- |" + " --: |" * len(kinds))
    for source in dict.fromkeys(entry["source"] for entry in entries):
        mine = [entry for entry in entries if entry["source"] == source]
        lines.append(f"| {source} | " + " | ".join(str(sum(e["verdict"] == kind for e in mine)) for kind in kinds) + " |")
    for kind in kinds:
        chosen = [entry for entry in entries if entry["verdict"] == kind]
        lines += ["", f"## {_HEADINGS[kind]}"]
        for source in dict.fromkeys(entry["source"] for entry in chosen):
            lines += ["", f"### {source}", ""]
            mine = [entry for entry in chosen if entry["source"] == source]
            lines += _table(mine) if kind == "holds" else _paragraphs(mine)
    return "\n".join([*lines, *_without_entry()]).rstrip() + "\n"


def _without_entry() -> list[str]:
    lines = ["", "## Numbered items without an entry", ""]
    for source, items in WITHOUT_ENTRY.items():
        lines.append(f"* {source}: " + "; ".join(f"{item} {reason}" for item, reason in items.items()) + ".")
    return lines


def _table(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Statements that hold: a row each."""
    rows = ["| statement | what it says, and what we add | evidence |", "| --- | --- | --- |"]
    for entry in entries:
        says = escaped(entry["printed"]) + (f" *{escaped(entry['corrected'])}*" if entry["corrected"] else "")
        cells = (f"**{escaped(entry['number'])}**, {escaped(entry['title'])}", says, entry["evidence"])
        rows.append("| " + " | ".join(_in_table(cell) for cell in cells) + " |")
    return rows


def _in_table(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def escaped(text: str) -> str:
    """Text whose asterisks are asterisks, as in x*; what stands in backquotes is left alone."""
    parts = text.split("`")
    return "`".join(part if i % 2 else part.replace("*", "\\*") for i, part in enumerate(parts))


def _paragraphs(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Statements that do not hold as they are; a proof that several share is written once."""
    lines: list[str] = []
    first: dict[str, str] = {}
    for entry in entries:
        lines += _paragraph(entry, first)
    return lines


def _paragraph(entry: Mapping[str, Any], first: dict[str, str]) -> list[str]:
    """What it says, what is wrong, what is true, why, and how to run it."""
    answers = [v for v in (entry["found"], entry["second"]) if v]
    lines = [f"**{escaped(entry['number'])}**, {escaped(entry['title'])}. {escaped(entry['printed'])}  "]
    lines += [f"✗ {_stopped(v['text'])}  " for v in answers if v["verdict"] == "Refuted"]
    lines += [f"✓ {escaped(entry['corrected'])}  "] if entry["corrected"] else []
    for v in (v for v in answers if v["verdict"] == "Proved"):
        before = first.setdefault(v["text"], entry["number"])
        lines.append(f"*Why*: {_stopped(v['text']) if before == entry['number'] else f'as for {escaped(before)}.'}  ")
    lines += [f"*Undecided*: {_stopped(v['text'])}  " for v in answers if v["verdict"] == "Unknown"]
    lines += [f"*No more, since* {entry['reason']}.  "] if entry["reason"] else []
    lines.append(f"*Evidence*: {entry['evidence']}. *Run*: `headwright verify --ledger \"{entry['number']}\"`")
    return [*lines, ""]


def _stopped(text: str) -> str:
    return escaped(text if text.endswith((".", "…")) else text + ".")
