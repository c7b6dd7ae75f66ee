"""What `headwright similarity` prints and writes: printed figures beside ours, best matches, all pairs, and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .pages import power, table_lines, write_page
from .similarity import FAMILIES, Similarities, Study, Subject
from .similarity_compiled import Match
from .similarity_facts import LAYERS, NEWTON_TO_DESCENT, TOLERANCE, compare, holds, matches

_METHOD = """\
Made by `headwright similarity`: {batch} prompts of {n} examples and a last query, d = {d}, seed {seed}; nothing is trained.
After t examples an algorithm has weights ŵ_t and predicts the next label with the residual ⟨ŵ_t, x_{{t+1}}⟩ − y_{{t+1}}.

- **SimE**: cosine of the two vectors of {points} residuals, t = 0 … {n}, mean over prompts. **SimW**: cosine of ŵ_t, mean over
  t = 1 … {n} and prompts, 0 with a zero vector.
- **Newton**: M_0 = αS, M ← 2M − MSM, ŵ = M Σ x_j y_j, with α = 2/‖SSᵀ‖_F in float32: what fits the printed figures. The
  spectral norm, as printed, leaves the top eigendirection at ‖I − M_kS‖ = 1 for all k. At t = 1 both norms are equal and ŵ_1
  is 0 but for round-off, of either sign: SimW ends at {last}, not at 1. The fall of SimE in the last steps is round-off:
  in float64 there is none (similarity.json has both).
- **Gradient descent**: w ← w − η(Sw − b), η = {rates}. **Chebyshev**: the best rates for the nonzero eigenvalues of S_t; with
  few steps these leave residuals of both signs along the spectrum, where Newton's iteration and gradient descent leave one:
  so no early Newton step resembles them. **Online**: one step an example, the best of four rates. All these are computed as
  what their steps give: polynomials of S, in float64.
- κ: the covariance of x has half its eigenvalues κ times the other half.
- The algorithms are plain batched numpy; the table of compiled transformers compares them with weights, run by an evaluator
  that knows only the architecture's formula."""


def to_markdown(study: Study, matched: Sequence[Match], picture: str | None = None) -> str:
    """The page. picture: a file name beside it."""
    lines = ["# How alike the algorithms are on a prompt", "", *_printed(study)]
    if picture is not None:
        lines += [f"![Similarity of Newton's iteration to first-order methods and to least squares]({picture})", ""]
    for found in study.found:
        lines += [f"## Best-matching steps, κ = {power(found.kappa)}", "", *_best(study, found), ""]
    if study.paper_size and study.for_kappa(1.0) is not None:
        lines += ["## Layers of the trained transformer", "", *_layers(study), ""]
    for found in study.found:
        lines += [f"## All pairs, κ = {power(found.kappa)}", "", *_pairs(found), ""]
    lines += ["## Beside compiled transformers", "", *_compiled(matched), ""]
    rates = ", ".join(f"{f.rate:.3g} (κ = {power(f.kappa)})" for f in study.found)
    sizes = {"batch": study.batch, "n": study.n, "d": study.d, "seed": study.seed, "points": study.n + 1}
    last = f"{study.n - 1}/{study.n} = {1 - 1 / study.n:.3f}"
    return "\n".join([*lines, "## How it was measured", "", _METHOD.format(**sizes, rates=rates, last=last), ""])


def summary(study: Study, matched: Sequence[Match]) -> list[str]:
    """What the command prints: the printed figures, or all pairs where the sizes are not the paper's."""
    lines = _printed(study)
    if not study.paper_size:
        for found in study.found:
            lines += [f"κ = {power(found.kappa)}, SimE / SimW", *_pairs(found), ""]
    return [*lines, *_compiled(matched)]


def _printed(study: Study) -> list[str]:
    compared = compare(study)
    if not compared:
        return ["The paper's figures are for d = 20 and n = 40 at κ = 1 and 100: nothing is printed for these sizes.", ""]
    header = ["Fu et al. 2023", "", "κ", "compared with", "algorithm", "ours", "printed", "difference", "standard error", ""]
    body = []
    for c in compared:
        why = c.printed.cannot if c.verdict != "agrees" else ""
        verdict = f"{c.verdict}: {why}" if why else c.verdict
        name = {"error": "SimE", "weights": "SimW"}[c.printed.measure]
        best = "best: " * (c.printed.steps is None)
        figures = [f"{c.ours:.3f}", f"{c.printed.value:.3f}", f"{c.difference:+.4f}", f"{c.error:.4f}" if c.error else ""]
        where = [c.printed.where, name, power(c.printed.kappa), c.printed.stand_in, best + c.at.title]
        body.append([*where, *figures, verdict])
    expected = [c for c in compared if not c.printed.cannot]
    close = sum(abs(c.difference) <= TOLERANCE for c in expected)
    note = f"{close} of the {len(expected)} figures that follow without the trained transformer are within {TOLERANCE}."
    return [*table_lines(header, "lllll" + "r" * 4 + "l", body), "", note, ""]


def _best(study: Study, found: Similarities) -> list[str]:
    """Newton's steps and the steps of the others that are most like them."""
    header = ["Newton", "gradient descent (SimE)", "Chebyshev (SimE)", "gradient descent (SimW)", "Chebyshev (SimW)"]
    printed = study.paper_size and found.kappa == 1.0
    if printed:
        header.insert(1, "Figure 26a")
    body = []
    for error, weights in zip(matches(found), matches(found, "weights"), strict=True):
        row = [str(error["newton"])]
        row += [str(NEWTON_TO_DESCENT.get(error["newton"], ""))] if printed else []
        for one in (error, weights):
            row += [f"{one[f]} ({one[f'{f} similarity']:.3f})" for f in ("gradient descent", "Chebyshev")]
        body.append(row)
    return table_lines(header, "r" * len(header), body)


def _layers(study: Study) -> list[str]:
    """Whether the two printed best matches of a layer match one another."""
    found = study.for_kappa(1.0)
    assert found is not None
    header = ["layer", "Newton, printed", "gradient descent, printed", "gradient descent most like that Newton step, ours"]
    body = []
    for layer, (low, high), descent in LAYERS:
        ours = [found.best(Subject("Newton", k), "gradient descent").steps for k in sorted({low, high})]
        body.append([str(layer), str(low) if low == high else f"{low}–{high}", str(descent), "–".join(map(str, ours))])
    return table_lines(header, "rrrr", body)


def _pairs(found: Similarities) -> list[str]:
    """Every family at the step that is most like least squares, against every other."""
    reference = Subject("least squares")
    chosen = [found.best(reference, family) for family in FAMILIES if family != "zero"]
    header = ["SimE / SimW", *(s.family for s in chosen)]
    body = [[s.title, *(f"{found.at(s, q):.3f} / {found.at(s, q, 'weights'):.3f}" for q in chosen)] for s in chosen]
    return table_lines(header, "l" + "r" * len(chosen), body)


def _compiled(matched: Sequence[Match]) -> list[str]:
    header = ["compiled transformer", "algorithm here", "steps", "layers", "prompts", "largest relative difference"]
    rows = [
        [f"`{m.construction}`", m.family, str(m.steps), str(m.layers), str(m.prompts), f"{m.difference:.1e}"] for m in matched
    ]
    return table_lines(header, "llrrrr", rows)


def to_json(study: Study, matched: Sequence[Match]) -> dict[str, Any]:
    found = []
    for s in study.found:
        names = [{"family": p.family, "steps": p.steps, "rate": p.rate} for p in s.subjects]
        matrices = {name: getattr(s, name).round(4).tolist() for name in ("error", "weights")}
        best = {"error": matches(s), "weights": matches(s, "weights")}
        found.append({"kappa": s.kappa, "rate": s.rate, "subjects": names, **matrices, "best_matches": best})
    sizes = {"d": study.d, "n": study.n, "batch": study.batch, "seed": study.seed}
    data = {**sizes, "holds": holds(study), "printed": [c.to_json() for c in compare(study)]}
    return {**data, "compiled": [vars(m) for m in matched], "similarities": found}


def write(study: Study, matched: Sequence[Match], folder: Path, picture: str | None) -> list[str]:
    """Writes similarity.md (which shows `picture`, a file beside it) and similarity.json, each complete or not at all."""
    return write_page(folder, "similarity", to_markdown(study, matched, picture), to_json(study, matched), indent=None)
