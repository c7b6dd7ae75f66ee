"""The ledger: every numbered statement of the sources with its check, its verdict and what is true instead.

`statements()` has those that need nothing compiled; `runtime.ledger` adds the certificates of compiled constructions and the
tables of other papers.
"""

from __future__ import annotations

from . import (
    attention_limits,
    giannou_concordance,
    giannou_convergence,
    giannou_errors,
    giannou_iterations,
    giannou_layers,
    giannou_logistic,
    giannou_phases,
    giannou_units,
)
from .record import KINDS, Outcome, Statement, decide, from_table

__all__ = ["KINDS", "Outcome", "Statement", "decide", "from_table", "statements"]

#: In the order of the paper: iterations, linear regression, self-concordance, convergence, layers of a step, errors; then ours.
_PARTS = (
    giannou_iterations,
    giannou_layers,
    giannou_concordance,
    giannou_phases,
    giannou_convergence,
    giannou_logistic,
    giannou_units,
    giannou_errors,
    attention_limits,
)


def statements() -> tuple[Statement, ...]:
    """Every statement of Giannou et al. (2024), and what is used here beyond it."""
    return tuple(statement for part in _PARTS for statement in part.STATEMENTS)
