"""What a block of rows holds, in the proof for all dimensions (see `symbolic`)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from ..compiler.algebra import Poly
from ..compiler.dims import Dim

#: The content of a block of rows: token count → polynomial of shape (height × token count).
Content: TypeAlias = dict[Dim, Poly]


class NotProved(Exception):
    """A step of the proof does not go through."""


@dataclass(frozen=True)
class Read:
    """A coefficient times a block of rows, or times its first row only; `constant`, a matrix, multiplies it from the left."""

    row: int
    height: Dim
    first: bool
    coefficient: Fraction
    constant: Poly | None = None

    @property
    def rows(self) -> Dim:
        """The rows of what is read."""
        return 1 if self.first else self.height if self.constant is None else self.constant.shape[0]
