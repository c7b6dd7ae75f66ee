"""Verdicts and certificates: an answer is Proved, Refuted with a counterexample, or Unknown with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Proved:
    """The claim holds; `how` says by what argument."""

    how: str


@dataclass(frozen=True)
class Refuted:
    """The claim is false; the counterexample can be run."""

    counterexample: str


@dataclass(frozen=True)
class Unknown:
    """Neither proved nor refuted."""

    reason: str


Verdict: TypeAlias = Proved | Refuted | Unknown


@dataclass(frozen=True)
class Claim:
    """One statement about a model, with its verdict."""

    name: str
    statement: str
    verdict: Verdict


@dataclass(frozen=True)
class Certificate:
    """What was checked of one compiled model. Printing it gives one line a claim."""

    subject: str
    claims: tuple[Claim, ...]

    def __getitem__(self, name: str) -> Verdict:
        for claim in self.claims:
            if claim.name == name:
                return claim.verdict
        raise KeyError(f"no claim {name!r}; there are: {', '.join(c.name for c in self.claims)}")

    @property
    def all_proved(self) -> bool:
        """Whether every claim is Proved."""
        return all(isinstance(claim.verdict, Proved) for claim in self.claims)

    def to_json(self) -> dict[str, Any]:
        return {"subject": self.subject, "all_proved": self.all_proved, "claims": [_claim_json(c) for c in self.claims]}

    def __str__(self) -> str:
        width = max((len(claim.name) for claim in self.claims), default=0)
        lines = [f"certificate of {self.subject}"]
        for claim in self.claims:
            kind = type(claim.verdict).__name__.upper()
            (detail,) = asdict(claim.verdict).values()
            lines.append(f"  {kind:<8} {claim.name:<{width}}  {claim.statement}")
            lines.append(f"  {'':<8} {'':<{width}}    {detail}")
        return "\n".join(lines)


def _claim_json(claim: Claim) -> Mapping[str, Any]:
    return {
        "name": claim.name,
        "statement": claim.statement,
        "verdict": type(claim.verdict).__name__,
        **asdict(claim.verdict),
    }
