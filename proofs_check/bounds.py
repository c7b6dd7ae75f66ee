"""Figures that a claim allows at given sizes, checked against the weights of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..compiler.artifact import Artifact
from .certificate import Claim, Proved, Refuted, Verdict
from .expressions import read_expression


@dataclass(frozen=True)
class Bounds:
    """At most so many layers, heads, rows and feed-forward units in a layer (`width`); a figure that the source does not
    give is None. `parameters`: the numbers in the formulas."""

    source: str
    depth: int | None
    heads: int | None
    rows: int | None
    formulas: tuple[str | None, str | None, str | None]
    width: int | None = None
    width_formula: str | None = None
    parameters: Mapping[str, int] = field(default_factory=dict)

    def check(self, artifact: Artifact) -> list[Claim]:
        """One claim each for layers, heads, rows and units, counted in the weights."""
        found = (artifact.depth, artifact.max_heads, artifact.d_model, artifact.ffn_width)
        figures = (self.depth, self.heads, self.rows, self.width)
        claims = []
        for what, have, bound, formula in zip(
            ("layers", "heads", "rows", "units"), found, figures, (*self.formulas, self.width_formula), strict=True
        ):
            if bound is None:
                continue
            statement = f"at most {formula} = {bound} {what} ({self.source})"
            verdict: Verdict = Proved(f"counted in the weights: {have}")
            if have > bound:
                verdict = Refuted(f"the model has {have}")
            elif wrong := self._not_the_value(formula, bound, artifact):
                verdict = Refuted(wrong)
            claims.append(Claim(what, statement, verdict))
        return claims

    def _not_the_value(self, formula: str | None, bound: int, artifact: Artifact) -> str:
        """Why the bound is not what the formula gives at the model's sizes; empty where it is."""
        if formula is None:
            return "no formula gives the bound"
        try:
            value = read_expression(formula, {**self.parameters, **artifact.graph.sizes})
        except ValueError as error:
            return str(error)
        return "" if value == bound else f"the formula gives {value}"
