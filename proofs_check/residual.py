"""Proved bounds on residuals: a composition of polynomials on an interval, and the program that claims to have it.

The range of each polynomial on an interval is guessed in floating point, widened, and then proved: p stays below M
where M − p has no real root on the interval (Sturm's theorem, in rational arithmetic).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import sympy

from ..compiler.graph import Graph, Residual, evaluate
from .certificate import Proved, Refuted, Unknown, Verdict
from .modular import MODULAR, PRIME

#: Operations that a polynomial in one matrix may be made of.
_POLYNOMIAL = {"add", "scale", "transpose", "matmul", "eye", "zeros", "top", "bottom", "vstack"}


def range_of_chain(polynomials: Sequence[tuple[Fraction, ...]], lower: Fraction, upper: Fraction) -> tuple[Fraction, Fraction]:
    """Proved bounds of the composition polynomials[-1] ∘ … ∘ polynomials[0] on [lower, upper]."""
    for polynomial in polynomials:
        lower, upper = range_of(polynomial, lower, upper)
    return lower, upper


def range_of(polynomial: tuple[Fraction, ...], lower: Fraction, upper: Fraction) -> tuple[Fraction, Fraction]:
    """Proved bounds of a polynomial (coefficients, constant first) on [lower, upper], hardly wider than needed."""
    if lower == upper or len(polynomial) == 2:
        ends = [_value(polynomial, lower), _value(polynomial, upper)]
        return _rounded(min(ends), down=True), _rounded(max(ends), down=False)
    low, high = _guess(polynomial, lower, upper)
    widening = max(high - low, abs(low), abs(high)) / 10**14
    x = sympy.Symbol("x")
    p = sympy.Poly([sympy.Rational(c.numerator, c.denominator) for c in reversed(polynomial)], x)
    interval = [sympy.Rational(end.numerator, end.denominator) for end in (lower, upper)]
    while True:
        low, high = _rounded(low - widening, down=True), _rounded(high + widening, down=False)
        middle = _value(polynomial, (lower + upper) / 2)
        rationals = [sympy.Rational(bound.numerator, bound.denominator) for bound in (low, high)]
        if low < middle < high and all((p - bound).count_roots(*interval) == 0 for bound in rationals):
            return low, high
        widening *= 16


def _value(polynomial: tuple[Fraction, ...], point: Fraction) -> Fraction:
    total = Fraction(0)
    for c in reversed(polynomial):
        total = total * point + c
    return total


def _guess(polynomial: tuple[Fraction, ...], lower: Fraction, upper: Fraction) -> tuple[Fraction, Fraction]:
    """The least and greatest value at the ends and at the critical points, as floats find them."""
    # in units of the interval, so that tiny intervals do not underflow
    scaled = [float(c * upper**i) for i, c in enumerate(polynomial)] if upper else [float(c) for c in polynomial]
    roots = np.roots([i * c for i, c in enumerate(scaled)][:0:-1])
    points = [Fraction(float(r.real)) * (upper or 1) for r in roots if abs(r.imag) < 1e-6 * (1 + abs(r.real))]
    values = [_value(polynomial, point) for point in (lower, upper, *(p for p in points if lower < p < upper))]
    return min(values), max(values)


def _rounded(value: Fraction, down: bool) -> Fraction:
    """A fraction of at most 80 bits, on the given side."""
    if not value:
        return value
    shift = 80 - (abs(value.numerator).bit_length() - value.denominator.bit_length())
    scaled = value * Fraction(2) ** shift
    whole = scaled.numerator // scaled.denominator
    return Fraction(whole if down or whole == scaled else whole + 1) / Fraction(2) ** shift


def check_residual(graph: Graph, claim: Residual) -> Verdict:
    """Whether the program's solution has the residual that it states, and whether that stays below the tolerance.

    The first is an identity of polynomials in one number: the solution is made of products, so it is a polynomial in S
    times the right-hand side, for every size. It is checked at random points modulo a prime.
    """
    ones = replace(graph, sizes=dict.fromkeys(graph.sizes, 1))
    strange = _not_polynomial(graph, claim)
    if strange:
        return Unknown(f"the solution is no polynomial in the matrix: it contains {strange}")
    rng = random.Random(0)
    degree = claim.power
    for polynomial in claim.chain:
        degree *= max(len(polynomial) - 1, 1)
    for _ in range(2):
        sigma = rng.randrange(1, PRIME)
        given = {**dict.fromkeys(claim.roots, sigma), **dict.fromkeys(claim.squares, sigma * sigma % PRIME)}
        given |= dict.fromkeys(claim.ones, 1)
        found = _solution_at(ones, claim.solution, given) * pow(sigma, claim.power, PRIME) % PRIME
        expected = sigma * sigma % PRIME
        for polynomial in claim.chain:
            expected = _modular_value(polynomial, expected)
        if (1 - found) % PRIME != expected:
            return Refuted(f"at λ = {sigma * sigma % PRIME} modulo {PRIME} the residual is {(1 - found) % PRIME}")
    low, high = range_of_chain(claim.chain, claim.lower, claim.upper)
    largest = max(abs(low), abs(high))
    if largest > claim.tol:
        return Refuted(f"the residual reaches {float(largest):.6g} on [{float(claim.lower):.6g}, {float(claim.upper):.6g}]")
    return Proved(
        f"the residual is at most {float(largest):.3g} on the interval (Sturm's theorem, rational arithmetic); the program has "
        f"this residual, of degree {degree // claim.power} (two random points modulo 2^61 − 1)"
    )


def _not_polynomial(graph: Graph, claim: Residual) -> str | None:
    """An operation between the given values and the solution that is no sum or product; None when there is none."""
    given = {*claim.roots, *claim.squares, *claim.ones}
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


def _solution_at(graph: Graph, solution: int, given: dict[int, int]) -> int:
    """The solution with numbers put for the given nodes, modulo the prime."""
    nodes = list(graph.nodes)
    inputs = {}
    for node, value in given.items():
        inputs[f"given {node}"] = MODULAR.array(np.array([[value]], dtype=object))
        nodes[node] = replace(nodes[node], op="input", args=(), attr=f"given {node}", shape=(1, 1))
    value = evaluate(replace(graph, nodes=tuple(nodes)), inputs, MODULAR, [solution])[solution]
    return int(value[0, 0])


def _modular_value(polynomial: tuple[Fraction, ...], point: int) -> int:
    total = 0
    for c in reversed(polynomial):
        total = (total * point + c.numerator * pow(c.denominator, -1, PRIME)) % PRIME
    return total
