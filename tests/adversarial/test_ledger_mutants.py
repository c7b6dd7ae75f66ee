"""The checks of the ledger decide: a constant, a sign or an operation changed in what they claim, and they confirm nothing.

A mutant is the source of a check with one number raised by 1, one minus dropped, or one operation exchanged; text is left
alone. Identities have to notice every mutant. Inequalities and counterexamples have room, and stay true under some changes, so
they are not sampled here, except for slips, whose check with the corrected sentence is an identity on the same example.
"""

from __future__ import annotations

import ast
import copy
import inspect
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from headwright import Proved
from headwright.proofs_check import ahn_slips, fu_claims
from headwright.proofs_check.claims import (
    ahn_words,
    degree,
    giannou_convergence,
    giannou_descent,
    giannou_displays,
    giannou_errors,
    giannou_layers,
    giannou_logistic,
    giannou_units,
)

EXCHANGED = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.Pow: ast.Mult, ast.MatMult: ast.Add}


class _Sites(ast.NodeVisitor):
    """The numbers, minus signs and operations of a check, outside of text."""

    def __init__(self, tree: ast.AST) -> None:
        self.found: list[Any] = []
        for statement in tree.body[0].body:  # type: ignore[attr-defined]
            self.visit(statement)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        pass

    def generic_visit(self, node: ast.AST) -> None:
        number = isinstance(node, ast.Constant) and type(node.value) in (int, float)
        minus = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
        if number or minus or (isinstance(node, ast.BinOp) and type(node.op) in EXCHANGED):
            self.found.append(node)
        super().generic_visit(node)


def mutants(check: Callable[..., Any]) -> Iterator[tuple[str, Callable[..., Any]]]:
    """(what was changed, the changed check)."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(check)))
    for index in range(len(_Sites(tree).found)):
        changed = copy.deepcopy(tree)
        node = _Sites(changed).found[index]
        before = ast.unparse(node)
        if isinstance(node, ast.Constant):
            node.value = node.value + 1
        elif isinstance(node, ast.UnaryOp):
            node.op = ast.UAdd()
        else:
            node.op = EXCHANGED[type(node.op)]()
        space: dict[str, Any] = {}
        exec(compile(ast.fix_missing_locations(changed), "<mutant>", "exec"), check.__globals__, space)
        yield f"{before} → {ast.unparse(node)}", space[check.__name__]


def answer(check: Callable[..., Any], **arguments: Any) -> Any:
    try:
        return check(**arguments)
    except Exception as error:
        return error  # `decide` counts it as an answer that confirms nothing


IDENTITIES = [
    giannou_layers.check_one_layer,
    giannou_descent.check_descent,
    giannou_descent.check_descent_layers,
    giannou_logistic.check_first_steps,
    giannou_logistic.check_hessian_layer,
    giannou_logistic.check_update_layer,
    giannou_convergence.check_mean_deviation,
    giannou_errors.check_tolerance,
    giannou_errors.check_inverse_error,
    giannou_errors.check_widths,
    giannou_displays.check_value_at_sixth,
    giannou_units.check_ends,
    degree.check_gram_form,
    ahn_words.check_dynamics,
    ahn_words.check_steps,
    ahn_words.check_labels_in_words,
    ahn_words.check_absorbed,
]


@pytest.mark.parametrize("check", IDENTITIES, ids=lambda c: f"{c.__module__.rpartition('.')[2]}.{c.__name__}")
def test_an_identity_with_anything_changed_is_not_proved(check: Callable[..., Any]) -> None:
    assert isinstance(check(), Proved)
    survivors = [change for change, mutant in mutants(check) if isinstance(answer(mutant), Proved)]
    assert not survivors


SLIPS = [
    ahn_slips.check_token_in_61,
    ahn_slips.check_scale_of_C,
    fu_claims.check_newton_layer,
    fu_claims.check_relu_pair,
]


@pytest.mark.parametrize("check", SLIPS, ids=lambda c: c.__name__)
def test_a_slip_is_confirmed_by_both_halves_only_as_it_is(check: Callable[..., Any]) -> None:
    assert not isinstance(check(), Proved) and isinstance(check(corrected=True), Proved)
    changed = list(mutants(check))
    kept = [c for c, m in changed if not isinstance(answer(m), Proved) and isinstance(answer(m, corrected=True), Proved)]
    assert len(kept) <= len(changed) / 2, kept
