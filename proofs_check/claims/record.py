"""Records of the ledger: a statement of a paper, how it is checked, and what was found."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias, get_args

from ..certificate import Proved, Refuted, Unknown, Verdict

#: "unknown" is for statements that are not decided here; its check gives the reason.
Kind: TypeAlias = Literal["holds", "holds with restriction", "false as printed", "unknown"]
KINDS: tuple[Kind, ...] = get_args(Kind)

Check: TypeAlias = Callable[[], Verdict]

#: What the check of a statement of each kind must answer, and what the second check must, if there is one.
_EXPECTED: Mapping[Kind, tuple[type, type]] = {
    "holds": (Proved, Proved),
    "holds with restriction": (Proved, Refuted),
    "false as printed": (Refuted, Proved),
    "unknown": (Unknown, Unknown),
}


@dataclass(frozen=True)
class Statement:
    """One numbered statement of a source.

    source     the paper, such as "Giannou et al. 2024"
    number     as the paper has it: "Theorem 4.2", "(B.5)", "Remark 4.3"
    title      a few words
    printed    what the paper says, in our words
    evidence   the kind of evidence: "identity", "polynomial certificate", "interval arithmetic", "exact counterexample", …
    verdict    one of KINDS
    corrected  what is true instead; "" where the printed statement holds as it is and nothing is to be added
    check      decides the statement: Proved for "holds"; Proved (of what is left) for "holds with restriction"; Refuted with a
               counterexample for "false as printed"; Unknown with the reason for "unknown"
    second     the other half: a proof of `corrected` for a false statement (Proved), a counterexample outside the restriction
               for a restricted one (Refuted)
    reason     why there is no other half, where a statement is not simply true and has none

    Raises ValueError for an empty field, an unknown verdict, or a statement that is not simply true without a correction, or
    without its other half and the reason why there is none.
    """

    source: str
    number: str
    title: str
    printed: str
    evidence: str
    verdict: Kind
    corrected: str
    check: Check
    second: Check | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        for name in ("source", "number", "title", "printed", "evidence"):
            if not getattr(self, name):
                raise ValueError(f"{self.source} {self.number}: {name} is empty")
        if self.verdict not in KINDS:
            raise ValueError(f"{self.name}: the verdict is {self.verdict!r}: expected one of {', '.join(KINDS)}")
        if self.verdict in ("holds with restriction", "false as printed") and not self.corrected:
            raise ValueError(f"{self.name} {self.verdict}: say in `corrected` what is true instead")
        if self.verdict in ("holds with restriction", "false as printed") and self.second is None and not self.reason:
            raise ValueError(f"{self.name} {self.verdict}: a counterexample and a proof are needed, or the `reason` why not")

    @property
    def name(self) -> str:
        return f"{self.source}, {self.number}"

    @property
    def code(self) -> tuple[str, ...]:
        """Where the checks are: calls of functions by their full names."""
        return tuple(call for check in (self.check, self.second) if check is not None for call in _calls(check))


def _calls(check: Callable[..., Any]) -> tuple[str, ...]:
    if not isinstance(check, partial):
        return (f"{check.__module__}.{check.__qualname__}()",)
    if check.args and all(callable(argument) for argument in check.args):
        return tuple(call for argument in check.args for call in _calls(argument))
    given = [*map(repr, check.args), *(f"{name}={value!r}" for name, value in check.keywords.items())]
    return (f"{check.func.__module__}.{check.func.__qualname__}({', '.join(given)})",)


@dataclass(frozen=True)
class Outcome:
    """A statement, what its checks answered, and how long they took."""

    statement: Statement
    found: Verdict
    second: Verdict | None
    seconds: float

    @property
    def confirmed(self) -> bool:
        """Whether every check answers what the recorded verdict says."""
        first, second = _EXPECTED[self.statement.verdict]
        if any(isinstance(v, Unknown) and (not v.reason or isinstance(v, _Raised)) for v in (self.found, self.second)):
            return False
        return isinstance(self.found, first) and (self.second is None or isinstance(self.second, second))

    def to_json(self) -> dict[str, Any]:
        s = self.statement
        return {
            "source": s.source,
            "number": s.number,
            "title": s.title,
            "printed": s.printed,
            "verdict": s.verdict,
            "corrected": s.corrected,
            "evidence": s.evidence,
            "reason": s.reason,
            "code": list(s.code),
            "confirmed": self.confirmed,
            "found": _verdict_json(self.found),
            "second": None if self.second is None else _verdict_json(self.second),
            "seconds": round(self.seconds, 3),
        }


def text_of(verdict: Verdict) -> str:
    """The argument, the counterexample or the reason."""
    match verdict:
        case Proved(how):
            return how
        case Refuted(counterexample):
            return counterexample
        case Unknown(reason):
            return reason


def _verdict_json(verdict: Verdict) -> dict[str, str]:
    return {"verdict": type(verdict).__name__, "text": text_of(verdict)}


def decide(statement: Statement) -> Outcome:
    """Runs the checks of a statement. A check that raises decides nothing: it answers Unknown, so it confirms nothing."""
    begin = time.perf_counter()
    found = _answer(statement.check)
    second = None if statement.second is None else _answer(statement.second)
    return Outcome(statement, found, second, time.perf_counter() - begin)


class _Raised(Unknown):
    """An exception in a check; it does not confirm a record whose verdict is "unknown" either."""


def _answer(check: Check) -> Verdict:
    try:
        return check()
    except Exception as error:
        return _Raised(f"the check raised {type(error).__name__}: {error}")
