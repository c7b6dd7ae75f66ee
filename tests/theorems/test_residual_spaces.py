"""Numbers are put for matrices only where that says something about matrices of every size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

import headwright as hw
from headwright.compiler.graph import Graph, Node
from headwright.proofs_check.residual import check_residual

HALF = Fraction(1, 2)
Extra = Callable[[Callable[..., int], int, int], int]


@hw.program
def vector(S: hw.Matrix["d", "d"], b: hw.Vector["d"]):
    return hw.solve(hw.spectrum(S, within=(HALF, 1)), b, spectrum=(HALF, 1), tol=Fraction(1, 10))


@hw.program
def square(S: hw.Matrix["d", "d"], b: hw.Matrix["d", "d"]):
    return hw.solve(hw.spectrum(S, within=(HALF, 1)), b, spectrum=(HALF, 1), tol=Fraction(1, 10))


def with_extra(program: Any, extra: Extra) -> Graph:
    """The graph of a program with something added to its solution."""
    graph = program.trace({"d": 3}, {})
    (claim,) = graph.residuals
    nodes = list(graph.nodes)

    def node(op: str, *args: int, attr: Any = None) -> int:
        shapes = [nodes[arg].shape for arg in args]
        shape = {"matmul": (shapes[0][0], shapes[-1][1]), "transpose": shapes[0][::-1]}.get(op, shapes[0])
        nodes.append(Node(op, args, attr, shape))
        return len(nodes) - 1

    total = node("add", claim.solution, extra(node, claim.squares[0], claim.ones[0]))
    return replace(graph, nodes=tuple(nodes), residuals=(replace(claim, solution=total),))


def quadratic(node: Callable[..., int], S: int, b: int) -> int:
    """b (bᵀ S b) − S b (bᵀ b)"""
    row, Sb = node("transpose", b), node("matmul", S, b)
    second = node("matmul", Sb, node("matmul", row, b))
    return node("add", node("matmul", b, node("matmul", row, Sb)), node("scale", second, attr=Fraction(-1)))


def commutator(node: Callable[..., int], S: int, b: int) -> int:
    """S b − b S"""
    return node("add", node("matmul", S, b), node("scale", node("matmul", b, S), attr=Fraction(-1)))


def turned(node: Callable[..., int], S: int, b: int) -> int:
    """b − bᵀ"""
    return node("add", b, node("scale", node("transpose", b), attr=Fraction(-1)))


def other_order(node: Callable[..., int], S: int, b: int) -> int:
    """S (S b) − (S S) b, which is 0 for matrices, too."""
    second = node("matmul", node("matmul", S, S), b)
    return node("add", node("matmul", S, node("matmul", S, b)), node("scale", second, attr=Fraction(-1)))


@pytest.mark.parametrize(("program", "extra"), [(vector, quadratic), (square, commutator), (square, turned)])
def test_what_vanishes_for_numbers_only_is_not_proved(program: Any, extra: Extra) -> None:
    graph = with_extra(program, extra)
    verdict = check_residual(graph, graph.residuals[0])
    assert isinstance(verdict, hw.Unknown) and "each factor fits the next" in verdict.reason


@pytest.mark.parametrize("program", [vector, square])
def test_what_vanishes_for_matrices_is_proved(program: Any) -> None:
    graph = with_extra(program, other_order)
    assert isinstance(check_residual(graph, graph.residuals[0]), hw.Proved)


def test_a_wrong_polynomial_is_still_refuted() -> None:
    graph = with_extra(vector, lambda node, S, b: node("matmul", S, b))
    assert isinstance(check_residual(graph, graph.residuals[0]), hw.Refuted)


def test_a_matrix_that_nothing_says_is_symmetric_is_not_taken_for_one() -> None:
    graph = vector.trace({"d": 3}, {})
    verdict = check_residual(replace(graph, facts=()), graph.residuals[0])
    assert isinstance(verdict, hw.Unknown) and "symmetric" in verdict.reason
