"""Claims: what a paper states about a construction, with its figures as formulas in the sizes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..proofs_check.bounds import Bounds
from ..proofs_check.expressions import read_expression


@dataclass(frozen=True)
class PaperClaim:
    """A statement of a paper. `depth`, `heads`, `rows` and `width` (units in a layer) are formulas such as "steps + 3"; None
    where it gives none."""

    paper: str
    statement: str
    says: str
    depth: str | None = None
    heads: str | None = None
    rows: str | None = None
    error: str = "0 (an identity)"
    corrected: str = ""
    width: str | None = None

    def evaluate(self, formula: str, sizes: Mapping[str, Any]) -> int:
        """The value of a formula at these sizes and constants."""
        numbers = {name: value for name, value in sizes.items() if isinstance(value, int)}
        return int(read_expression(formula, numbers))

    def bounds(self, sizes: Mapping[str, Any]) -> Bounds:
        formulas = (self.depth, self.heads, self.rows)
        values = [None if f is None else self.evaluate(f, sizes) for f in formulas]
        width = None if self.width is None else self.evaluate(self.width, sizes)
        source = f"{self.paper}, {self.statement}"
        texts = [text for text in (*formulas, self.width) if text is not None]
        used = {name for name in sizes if any(re.search(rf"\b{name}\b", text) for text in texts)}
        parameters = {name: value for name, value in sizes.items() if name in used and isinstance(value, int)}
        return Bounds(source, values[0], values[1], values[2], formulas, width, self.width, parameters)


GIANNOU = "Giannou et al. 2024"
AHN = "Ahn et al. 2023"
FU = "Fu et al. 2023"
