"""Proved bounds on residuals: a composition of polynomials on an interval, and the program that claims to have it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import prod

import numpy as np

from ..compiler.graph import SYMMETRIC, Graph, Residual, evaluate
from .certificate import Proved, Refuted, Unknown, Verdict
from .descent_bounds import bound_of_descent, degree_of_descent, modular_descent
from .modular import MODULAR, PRIME
from .pair_bounds import degree_of_pair, modular, modular_pair, modular_value, range_of_pair
from .ranges import Interval, Polynomial, image
from .spaces import Space, leads

#: Operations that a polynomial in one matrix may be made of.
_POLYNOMIAL = {"add", "scale", "transpose", "matmul", "eye", "zeros", "top", "bottom", "vstack"}


def range_of_chain(polynomials: Sequence[Polynomial], lower: Fraction, upper: Fraction) -> tuple[Fraction, Fraction]:
    """Proved bounds of the composition polynomials[-1] ∘ … ∘ polynomials[0] on [lower, upper].

    Raises OverflowError where a value on the way is beyond 2^1000.
    """
    for polynomial in polynomials:
        lower, upper = range_of(polynomial, lower, upper)
        if max(-lower, upper) > _HUGE:  # every step would multiply the length of these numbers
            raise OverflowError("the polynomials diverge on the interval")
    return lower, upper


def range_of(polynomial: Polynomial, lower: Fraction, upper: Fraction) -> tuple[Fraction, Fraction]:
    """Proved bounds of a polynomial (coefficients, constant first) on [lower, upper]; see `ranges.image`."""
    found = image(polynomial, Interval(lower, upper))
    return found.lo, found.hi


_HUGE = Fraction(2**1000)

_STATEMENTS = {
    "inverse": "‖I − SX‖₂ ≤ {tol:.6g} for every S with its eigenvalues in {span}",
    "inverse_sqrt": "‖I − S^½X‖₂ ≤ {tol:.6g} for every S with the roots of its eigenvalues in {span}",
    "sign": "eigenvalues within {tol:.6g} of their signs for every symmetric S with their absolute values in {span}",
    "polar": "singular values within {tol:.6g} of 1, singular vectors kept, for every A with its singular values in {span}",
}


def state_residual(claim: Residual) -> str:
    """What an approximate solution promises, in words."""
    span = f"[{float(claim.lower):.6g}, {float(claim.upper):.6g}]"
    return _STATEMENTS[claim.target].format(tol=float(claim.tol), span=span)


def check_residual(graph: Graph, claim: Residual) -> Verdict:
    """Whether the program's solution has the residual that it states, and whether that stays below the tolerance.

    The first is an identity of polynomials in one number: `spaces` shows that the solution is a polynomial in S, applied to the
    right-hand side, for every size. It is checked at random points modulo a prime.
    """
    ones = replace(graph, sizes=dict.fromkeys(graph.sizes, 1))
    strange = _not_polynomial(graph, claim)
    if strange:
        return Unknown(f"the solution is no polynomial in the matrix: it contains {strange}")
    mixed = _mixed(graph, claim)
    if mixed:
        return Unknown(f"the solution is not seen to be a polynomial in the matrix, applied to what is given: {mixed}")
    rng = random.Random(0)
    for _ in range(2):
        sigma = rng.randrange(1, PRIME)
        value = _solution_at(ones, claim, sigma)
        found = (1 - value * pow(sigma, claim.power, PRIME)) % PRIME
        point = sigma if claim.of_root else sigma * sigma % PRIME
        expected = modular_descent(claim.descent, point) if claim.descent else point
        expected = expected if claim.pair is None else modular_pair(claim.pair, point)
        for polynomial in claim.chain:
            expected = modular_value(polynomial, expected)
        if found != expected:
            name = "σ" if claim.of_root else "λ"
            return Refuted(f"at {name} = {point} modulo {PRIME} the residual is {found}, stated is {expected}")
        if claim.target == "sign" and (value + _solution_at(ones, claim, PRIME - sigma)) % PRIME:
            return Refuted(f"at λ = {sigma} and −{sigma} modulo {PRIME} the results are not opposite")
    span = f"[{float(claim.lower):.6g}, {float(claim.upper):.6g}]"
    lower, upper, theorem, degree = claim.lower, claim.upper, "extrema in rational arithmetic", 1
    try:
        if claim.pair is not None:
            theorem, degree = "an ellipse in every layer, rational arithmetic", degree_of_pair(claim.pair)
            lower, upper = range_of_pair(claim.pair, lower, upper)
        elif claim.descent:
            bound = bound_of_descent(claim.descent, lower, upper, claim.tol)
            theorem, degree, lower, upper = bound.how, degree_of_descent(claim.descent), -bound.bound, bound.bound
        low, high = range_of_chain(claim.chain, lower, upper)
    except OverflowError:
        return Unknown(f"the iteration passes 2^1000 on {span}: there is no bound")
    except ValueError as error:
        return Unknown(f"no bound of the residual: {error}")
    largest = max(abs(low), abs(high))
    if largest > claim.tol:
        return Refuted(f"the residual reaches {float(largest):.6g} on {span}")
    degree *= prod(max(len(polynomial) - 1, 1) for polynomial in claim.chain)
    return Proved(
        f"the residual is at most {float(largest):.3g} on the interval ({theorem}); the program has "
        f"this residual, of degree {degree} (two random points modulo 2^61 − 1)"
    )


def _not_polynomial(graph: Graph, claim: Residual) -> str | None:
    """An operation between the given values and the solution that is no sum or product; None when there is none."""
    given = _with_multiples(graph, dict.fromkeys((*claim.roots, *claim.squares, *claim.ones), 0))
    todo, seen = [claim.solution], set(given)
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        if graph.nodes[node].op not in _POLYNOMIAL:
            return graph.describe(node)
        todo += graph.nodes[node].args
    return None


def _solution_at(graph: Graph, claim: Residual, sigma: int) -> int:
    """The solution with numbers put for the given nodes, modulo the prime; the graph has sizes 1."""
    given = dict.fromkeys(claim.roots, sigma) | dict.fromkeys(claim.squares, sigma * sigma % PRIME)
    given |= dict.fromkeys(claim.ones, 1)
    given = _with_multiples(graph, given)
    nodes = list(graph.nodes)
    inputs = {}
    for node, value in given.items():
        inputs[f"given {node}"] = MODULAR.array(np.array([[value]], dtype=object))
        nodes[node] = replace(nodes[node], op="input", args=(), attr=f"given {node}", shape=(1, 1))
    found = evaluate(replace(graph, nodes=tuple(nodes)), inputs, MODULAR, [claim.solution])[claim.solution]
    return int(found[0, 0])


def _with_multiples(graph: Graph, given: dict[int, int]) -> dict[int, int]:
    """The given nodes and those that they are multiples of: a program may use c x where b = d x is what is stated."""
    out = dict(given)
    for node, value in given.items():
        while graph.nodes[node].op == "scale":
            value = value * modular(1 / graph.nodes[node].attr) % PRIME
            (node,) = graph.nodes[node].args
            out.setdefault(node, value)
    return out


def _mixed(graph: Graph, claim: Residual) -> str | None:
    """Why numbers must not be put for matrices; None where they may, for all sizes (see `spaces`)."""
    given = (*claim.roots, *claim.squares)
    if len(given) != 1:
        return f"it starts from {len(given)} matrices"
    symmetric = {fact.node for fact in graph.facts if fact.kind in SYMMETRIC}
    if claim.squares and given[0] not in symmetric:
        return f"nothing says that {graph.describe(given[0])} is symmetric"
    twice: tuple[Space, Space] = (1, 1)
    starts: list[tuple[Space, Space]] = [twice] if claim.squares else [(0, 1)]
    if claim.roots and claim.target != "polar" and given[0] in symmetric:
        starts.append(twice)
    groups = [tuple(_with_multiples(graph, {node: 0})) for node in claim.ones]
    own: set[Space] = {(nodes[0],) for nodes in groups}
    for start in starts:
        matrices = dict.fromkeys(_with_multiples(graph, dict.fromkeys(given, 0)), start)
        for found in leads(graph, claim.solution, matrices, groups):
            ends = {space for space in found if space not in (0, 1)} if isinstance(found, tuple) else set()
            if ends == own and (claim.target != "polar" or found == (0, 1)):
                return None
    return "it is not seen to be a sum of products in which each factor fits the next, and each right-hand side stands once"
