"""Everything that a plan leaves open: how its values may be stored, and how its products may read them.

`place` takes one way for each product; `exact_rows` chooses among all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from .allocate import bare_copies
from .dims import Dim
from .errors import ArchitectureError
from .ir import Copy, Plan, Term, whole
from .place import copies_of, is_identity, output_copies, ways


@dataclass(frozen=True)
class Way:
    """One way to write a term: the copies and identities that it reads, and the copies that it adds as they are."""

    term: Term
    copies: frozenset[Copy]
    eyes: frozenset[Dim]
    bare: tuple[tuple[Copy, Fraction], ...]


def reads_of(plan: Plan, term: Term) -> set[Copy]:
    """The stored copies that a term reads, identities included."""
    return {whole(plan, c) for form in (term.V, term.K, term.Q) for _, c in form}


def _way(plan: Plan, term: Term) -> Way:
    reads = reads_of(plan, term)
    eyes = frozenset(c.rows for c in reads if is_identity(c))
    return Way(term, frozenset(c for c in reads if not is_identity(c)), eyes, tuple(bare_copies(term)))


class Options:
    """The copies that there may be, each term of a computed one in all its ways, for at most `depth` layers.

    outputs: for every output the copies that it may be read from, and whether it is read transposed.
    Raises ArchitectureError where an output cannot be written.
    """

    def __init__(self, plan: Plan, depth: int) -> None:
        self.plan, self.depth = plan, depth
        self.outputs = output_copies(plan)
        self.terms, self.leaves = self._copies()

    def _copies(self) -> tuple[dict[Copy, list[list[Way]]], set[Copy]]:
        """The computed copies that some output may need, with the ways of their terms, and the leaves."""
        possible: dict[Copy, list[list[Way]]] = {}
        for value in sorted(self.plan.values.values(), key=lambda v: (v.level, v.atom)):
            for copy in copies_of(self.plan, value.atom) if value.poly is not None else []:
                found = self._ways(copy, possible)
                if found is not None:
                    possible[copy] = found
        terms: dict[Copy, list[list[Way]]] = {}
        leaves: set[Copy] = set()
        waiting = [c for found in self.outputs for c in (whole(self.plan, c) for c in found) if not is_identity(c)]
        while waiting:
            copy = waiting.pop()
            if copy in possible and copy not in terms:
                terms[copy] = possible[copy]
                waiting += [c for found in possible[copy] for way in found for c in way.copies]
            elif self.plan.values[copy.atom].poly is None:
                leaves.add(copy)
        for copies in self.outputs:
            if not any(is_identity(c) or whole(self.plan, c) in terms.keys() | leaves for c in copies):
                raise ArchitectureError(
                    "an output reads a part of a stack where it cannot be read",
                    rule="the rows of a stack lie along tokens",
                    fix="return the stack, or write the product so that the part is transposed or summed over",
                )
        return terms, leaves

    def _ways(self, copy: Copy, possible: Mapping[Copy, object]) -> list[list[Way]] | None:
        """The ways of every term; None where one has none, because a part of a stack would be read as rows."""
        try:
            terms = [[_way(self.plan, term) for term in found] for found in ways(self.plan, copy)]
        except ArchitectureError:
            return None
        leaf = {atom for atom, value in self.plan.values.items() if value.poly is None}
        usable = [[way for way in found if all(c in possible or c.atom in leaf for c in way.copies)] for found in terms]
        return [_distinct(found) for found in usable] if all(usable) else None

    @cached_property
    def order(self) -> list[Copy]:
        """Computed copies, sources before readers."""
        return sorted(self.terms, key=lambda c: (self.early(c), c))

    def early(self, copy: Copy) -> int:
        """The first layer that may write a copy; 0 for leaves."""
        return self.plan.values[copy.atom].level

    @cached_property
    def late(self) -> dict[Copy, int]:
        """The last layer that may write a copy, if it is read at all."""
        late = {whole(self.plan, c): self.depth for found in self.outputs for c in found if not is_identity(c)}
        for reader in reversed(self.order):
            for way in (way for found in self.terms[reader] for way in found):
                for c in way.copies:
                    late[c] = max(late.get(c, 0), late.get(reader, 0) - 1)
        return late


def _distinct(found: list[Way]) -> list[Way]:
    """The ways that differ in what they read or add as it is."""
    kept: dict[tuple[frozenset[Copy], frozenset[Dim], tuple[tuple[Copy, Fraction], ...]], Way] = {}
    for way in found:
        kept.setdefault((way.copies, way.eyes, way.bare), way)
    return list(kept.values())
