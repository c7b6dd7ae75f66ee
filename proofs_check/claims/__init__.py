"""The ledger: every numbered statement of the sources with its check, its verdict and what is true instead.

`statements()` has those that need nothing compiled; `runtime.ledger` adds the certificates of compiled constructions and the
tables of other papers.
"""

from __future__ import annotations

from .attention_limits import STATEMENTS as ATTENTION_LIMITS
from .giannou_concordance import STATEMENTS as CONCORDANCE
from .giannou_convergence import STATEMENTS as CONVERGENCE
from .giannou_errors import STATEMENTS as ERRORS
from .giannou_iterations import STATEMENTS as ITERATIONS
from .giannou_layers import STATEMENTS as LAYERS
from .giannou_logistic import STATEMENTS as LOGISTIC
from .giannou_phases import STATEMENTS as PHASES
from .giannou_units import STATEMENTS as UNITS
from .record import KINDS, Outcome, Statement, decide, from_table

__all__ = ["KINDS", "Outcome", "Statement", "decide", "from_table", "statements"]


def statements() -> tuple[Statement, ...]:
    """Every statement of Giannou et al. (2024), and what is used here beyond it, roughly in the order of the paper."""
    regression = (*ITERATIONS, *LAYERS)
    convergence = (*CONCORDANCE, *PHASES, *CONVERGENCE)
    return (*regression, *convergence, *LOGISTIC, *UNITS, *ERRORS, *ATTENTION_LIMITS)
