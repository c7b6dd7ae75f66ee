"""The ledger: every numbered statement of the sources with its check, its verdict and what is true instead.

`statements()` has those that need nothing compiled; `runtime.ledger` adds the certificates of compiled constructions.
"""

from __future__ import annotations

from difflib import get_close_matches

from ...compiler.errors import InputError
from .ahn import STATEMENTS as AHN
from .attention_limits import STATEMENTS as ATTENTION_LIMITS
from .fu import STATEMENTS as FU
from .giannou_concordance import STATEMENTS as CONCORDANCE
from .giannou_convergence import STATEMENTS as CONVERGENCE
from .giannou_descent import STATEMENTS as DESCENT
from .giannou_displays import STATEMENTS as DISPLAYS
from .giannou_errors import STATEMENTS as ERRORS
from .giannou_iterations import STATEMENTS as ITERATIONS
from .giannou_layers import STATEMENTS as LAYERS
from .giannou_logistic import STATEMENTS as LOGISTIC
from .giannou_phases import STATEMENTS as PHASES
from .giannou_units import STATEMENTS as UNITS
from .giannou_widths import STATEMENTS as WIDTHS
from .record import KINDS, Outcome, Statement, decide

__all__ = ["KINDS", "Outcome", "Statement", "decide", "find", "statements"]


def statements() -> tuple[Statement, ...]:
    """Every statement of the sources, and what is used here beyond them, roughly in the order of the papers."""
    regression = (*ITERATIONS, *LAYERS, *DESCENT)
    convergence = (*CONCORDANCE, *PHASES, *DISPLAYS, *CONVERGENCE)
    logistic = (*LOGISTIC, *UNITS, *ERRORS, *WIDTHS)
    return (*regression, *convergence, *logistic, *ATTENTION_LIMITS, *AHN, *FU)


def find(text: str, among: tuple[Statement, ...] | None = None) -> tuple[Statement, ...]:
    """The statements of that name, such as "Giannou et al. 2024, (B.5)"; else of that number; else all that contain the text.

    Upper and lower case are the same. `among`: all of `statements()` by default.
    Raises InputError, with near names, where there is none. Example: find("Lemma B.4")[0].check().
    """
    known, wanted = statements() if among is None else among, text.casefold().strip()
    for names in ([s.name for s in known], [s.number for s in known]):
        if found := tuple(s for s, name in zip(known, names, strict=True) if name.casefold() == wanted):
            return found
    found = tuple(s for s in known if wanted and wanted in f"{s.name}: {s.title}".casefold())
    if not found:
        spelled = {name for s in known for name in (s.number.split(",")[0], s.number, s.name)}
        plain = {name.casefold(): name for name in sorted(spelled)}
        near = [plain[match] for match in get_close_matches(wanted, plain, n=3, cutoff=0.5)]
        fix = f"did you mean {' or '.join(map(repr, near))}?" if near else "headwright ledger lists them all"
        raise InputError(f"no statement of the ledger is called {text!r}", fix=fix)
    return found
