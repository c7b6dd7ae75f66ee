"""Every error that headwright raises on purpose: what happened, where, the rule, and the fix.

Each class also derives from the builtin that a numpy user would expect, so `except ValueError` works.
"""

from __future__ import annotations

import linecache
import os
import sys
from dataclasses import dataclass
from types import FrameType

_TRACING_CODE = os.path.dirname(os.path.abspath(__file__))


@dataclass(frozen=True)
class Location:
    """A line of the user's program."""

    file: str
    line: int
    code: str

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)}:{self.line}  {self.code}"


def user_frame() -> FrameType | None:
    """The innermost frame outside the tracing code, numpy and helpers: the user's line that is running now.

    Helpers are modules of ours that a program calls, such as the one of `hw.solve`; they set `__tracebackhide__`.
    """
    frame = program_frame()
    while frame is not None and (_is_ours(frame) or frame.f_globals.get("__tracebackhide__")):
        frame = frame.f_back
    return frame


def program_frame() -> FrameType | None:
    """The innermost frame outside the tracing code and numpy, helpers included: its variables name values."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_ours(frame):
        frame = frame.f_back
    return frame


def _is_ours(frame: FrameType) -> bool:
    ours = os.path.dirname(os.path.abspath(frame.f_code.co_filename)) == _TRACING_CODE
    return ours or str(frame.f_globals.get("__name__", "")).partition(".")[0] == "numpy"


def location_of(frame: FrameType | None) -> Location | None:
    if frame is None:
        return None
    file, line = frame.f_code.co_filename, frame.f_lineno
    return Location(file, line, linecache.getline(file, line).strip())


class HeadwrightError(Exception):
    """Base class. `what` says what was expected and what came; `where`, `rule` and `fix` follow on their own lines."""

    def __init__(
        self,
        what: str,
        *,
        where: Location | None = None,
        rule: str | None = None,
        fix: str | None = None,
    ) -> None:
        self.what, self.where, self.rule, self.fix = what, where, rule, fix
        lines = [what]
        if where is not None:
            lines.append(f"  at {where}")
        if rule:
            lines.append(f"  rule: {rule}")
        if fix:
            lines.append(f"  fix: {fix}")
        super().__init__("\n".join(lines))


class ProgramError(HeadwrightError, ValueError):
    """The program itself is not a headwright program (returns nothing, unknown dimension, bad annotation, …)."""


class ShapeError(ProgramError):
    """Shapes that do not fit, found while tracing."""


class TraceError(ProgramError, TypeError):
    """Python asked for the value of a traced expression (branching, indexing, float(), …)."""


class NoAttributeError(TraceError, AttributeError):
    """An attribute or method that traced expressions do not have."""


class ArchitectureError(ProgramError):
    """The chosen architecture cannot express an operation."""


class CompileError(HeadwrightError, ValueError):
    """Wrong arguments of `compile`: sizes, constants, options."""


class InputError(HeadwrightError, ValueError):
    """Wrong run-time inputs: names, shapes, dtypes, NaN or infinity."""


class AssumptionError(HeadwrightError, ValueError):
    """Data outside what the program was compiled for (a spectral bound, a symmetry)."""


class DivergenceError(HeadwrightError, ArithmeticError):
    """A value in the residual stream overflowed."""


class DivergenceWarning(UserWarning):
    """A value grew by more than the dtype can resolve while one layer was repeated."""


class PrecisionWarning(UserWarning):
    """A tolerance below what the number format can reach."""


class ConventionWarning(UserWarning):
    """An argument is taken in a sense that its user may not expect."""


class ModelFolderError(HeadwrightError, ValueError):
    """A model folder is incomplete, altered, or not ours."""
