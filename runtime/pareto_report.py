"""What `headwright pareto` prints and writes: a compact table, every point, and the same as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .pages import power, table_lines, write_page
from .pareto import LEFT_OUT, Point, Report

_METHOD = """\
Made by `headwright pareto`: d = {d}, n = {n} examples; AᵀA has eigenvalues from 1/κ to 1, spaced geometrically, both ends
included (there the residual of these iterations is largest), in random directions (fixed seed).

- **residual**: ‖I − M‖₂, where M_ij is what the weights predict for the query e_i from the labels y = A e_j. An evaluator that
  knows only eq. (3.1a) computes it in float64 from the dense `layers[i].heads[j].W_V`, `.W_K` and `.W_Q`. Labels in the range
  of A hide a part of the round-off; for the floors of matrices see [iterations](../reference/iterations.md).
- **77 digits**: the same matrices in 256-bit fixed point, where float64 leaves more than ε: without round-off.
- **bound**: no linear attention of fewer layers has a residual of at most ε on all such A, whatever its heads and rows
  ([argument](../explanation/lower-bounds.md)).
- **front**: of the models that were run in this cell and give the same (a prediction, or w itself), none is better in one of
  layers, heads and rows, and as good in the others.
- **steps**: Newton's iteration has the best step size for [1/κ, 1] and the fewest steps T with ρ^(2^T) ≤ ε, ρ = ‖I − SX_0‖₂;
  the paper's figures are for the same T. `chebyshev` has the fewest steps m with 1/T_m((κ + 1)/(κ − 1)) ≤ ε."""


def to_markdown(report: Report, picture: str | None = None) -> str:
    """The page: the compact table first, then the picture (a file name beside the page), what was measured, every point."""
    lines = ["# Layers, rows and heads of least squares", "", *compact_table(report), "", *notes(report), ""]
    if picture is not None:
        lines += [f"![Layers and rows of every construction, by condition number and tolerance]({picture})", ""]
    lines += ["## How it was measured", "", _METHOD.format(d=report.d, n=2 * report.d), "", "## Every point", ""]
    return "\n".join([*lines, *_full_table(report), ""])


def compact_table(report: Report) -> list[str]:
    """Layers of every construction, for each κ the tolerances in turn, as lines of markdown."""
    tolerances = " / ".join(map(power, report.tolerances))
    header = [f"layers for ε = {tolerances}", "heads", "rows", *(f"κ = {power(kappa)}" for kappa in report.kappas)]
    bounds = [" / ".join(str(report.bounds[kappa, tol]) for tol in report.tolerances) for kappa in report.kappas]
    body = [["lower bound, any heads and rows", "", "", *bounds]]
    for title in report.titles:
        points = [p for p in report.points if p.title == title]
        layers = [
            " / ".join(_layers(report, report.at(kappa, tol, title)) for tol in report.tolerances) for kappa in report.kappas
        ]
        heads = _span([str(h) for h in sorted({p.heads for p in points})])
        rows = _span([in_d(r, report.d) for r in sorted({p.rows for p in points})])
        body.append([_name(points[0]), heads, rows, *layers])
    return table_lines(header, "l" + "r" * (len(header) - 1), body)


def notes(report: Report) -> list[str]:
    """What the signs of the compact table mean, and everything that is not as it should be, as lines of markdown."""
    lines = [
        "**Bold**: at the lower bound. Layers are all layers, read-out included; one query, and any number of queries takes as"
        f" many. Rows as counted at d = {report.d}.",
    ]
    if any(p.source == "formula" for p in report.points):
        lines.append(f"*Italic*: what the construction claims; more than {report.most_layers} layers are not compiled and run.")
    for p in report.points:
        where = f"`{p.title}` at κ = {power(p.kappa)}, ε = {power(p.tol)}"
        if p.verdict == "round-off":
            lines.append(f"† {where}: float64 leaves {p.residual:.1e}; the same weights in 77 digits {p.precise:.1e}.")
        if p.verdict == "missed":
            precise = f", in 77 digits {p.precise:.1e}" if p.precise is not None else ""
            lines.append(f"**‡ {where}: MISSES its tolerance: float64 leaves {p.residual:.1e}{precise}.**")
        lines += [f"**{where}: {what}: ABOVE what the construction claims.**" for what in p.exceeds]
    lines += [f"Not drawn: `{name}` ({reason})." for name, reason in LEFT_OUT.items()]
    return [line for pair in zip(lines, [""] * len(lines), strict=True) for line in pair][:-1]


def _full_table(report: Report) -> list[str]:
    header = ["κ", "ε", "construction", "layers", "bound", "heads", "rows", "steps", "residual", "77 digits", "front"]
    return table_lines(header, "rrlrrrrrrrl", list(_full_rows(report)))


def _full_rows(report: Report) -> Iterator[list[str]]:
    for p in report.points:
        reached = {"reached": "", "round-off": " †", "missed": " ‡", "not run": ""}[p.verdict]
        residual = "not run" if p.residual is None else f"{p.residual:.1e}{reached}"
        precise = "" if p.precise is None else f"{p.precise:.1e}"
        bound = str(report.bounds[p.kappa, p.tol])
        figures = [str(p.layers), bound, str(p.heads), in_d(p.rows, report.d), str(p.arguments.get("steps", ""))]
        yield [power(p.kappa), power(p.tol), _name(p), *figures, residual, precise, "yes" if p.front else ""]


def _layers(report: Report, p: Point) -> str:
    text = f"*{p.layers}*" if p.source == "formula" else str(p.layers)
    if p.source == "run" and p.layers == report.bounds[p.kappa, p.tol]:
        text = f"**{text}**"
    return text + {"round-off": "†", "missed": "‡"}.get(p.verdict, "")


def _name(p: Point) -> str:
    if p.source == "paper":
        return f"{p.title}: the paper's figures"
    return f"`{p.title}`" + ", w itself" * (p.answers == "weights")


def _span(values: list[str]) -> str:
    return values[0] if len(values) == 1 else f"{values[0]} to {values[-1]}"


def in_d(rows: int, d: int) -> str:
    """A number of rows as 3d + 2."""
    blocks, rest = divmod(rows, d)
    text = f"{blocks if blocks > 1 else ''}d" if blocks else ""
    return f"{text} + {rest}" if text and rest else text or str(rest)


def write(report: Report, folder: Path, picture: str | None) -> list[str]:
    """Writes pareto.md (which shows `picture`, a file beside it) and pareto.json, each complete or not at all."""
    return write_page(folder, "pareto", to_markdown(report, picture), report.to_json())
