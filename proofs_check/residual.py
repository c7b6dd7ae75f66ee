"""Proved bounds on residuals: a composition of polynomials on an interval, and the program that claims to have it.

The range of each polynomial on an interval is guessed in floating point, widened, and then proved: p stays below M
where M − p has no real root on the interval (Sturm's theorem, in rational arithmetic). For a `Pair` the range is that of
an ellipse that both of its products stay in.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import zip_longest
from math import isqrt

import numpy as np
import sympy

from ..compiler.graph import Graph, Pair, Residual, evaluate
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


@dataclass(frozen=True)
class Ellipse:
    """What is proved of a pair on [lower, upper]: cosine·N² + sine·M² ≤ level, for N = √w v and M = √(−y) s."""

    lower: Fraction
    upper: Fraction
    left: Fraction
    right: Fraction
    cosine: Fraction
    sine: Fraction
    level: Fraction

    def stepped(self, f: tuple[Fraction, ...], g: tuple[Fraction, ...]) -> Ellipse:
        """The ellipse after N ← f(N²) N and M ← g(N²) M.

        Any two weights will do; these have both ends of the old ellipse on the new one. Since M² ≤ (level − cosine·N²)/sine,
        the new level is the maximum of a polynomial in N² alone, between 0 and level/cosine.
        """
        at_end = _value(f, 1 / self.cosine)
        if not at_end or not g[0]:
            raise ValueError("an end of the ellipse is mapped to 0")
        cosine, sine = (_rounded(new, down=False) for new in (self.cosine / at_end**2, self.sine / g[0] ** 2))
        f, g = (tuple(c / self.cosine**i for i, c in enumerate(p)) for p in (f, g))  # polynomials in cosine·N²
        along = _product((Fraction(0), cosine / self.cosine), _product(f, f))
        across = _product((sine / self.sine * self.level, -sine / self.sine), _product(g, g))
        _, level = range_of(_sum(along, across), Fraction(0), self.level)
        return replace(self, cosine=cosine, sine=sine, level=level)

    def bound(self, weight: Fraction) -> Fraction:
        """A proved bound of |weight·w·v + (1 − weight)·y·s|, by Cauchy and Schwarz; the line in it is largest at an end."""
        line = [
            weight**2 * (1 - point / self.right) / self.cosine + (1 - weight) ** 2 * (point / self.left - 1) / self.sine
            for point in (self.lower, self.upper)
        ]
        return _root(max(line) * self.level)


def ellipse_at_start(left: Fraction, right: Fraction, lower: Fraction, upper: Fraction) -> Ellipse:
    """The ellipse of v = s = 1. Raises ValueError unless 0 < left ≤ lower ≤ upper ≤ right and left < right."""
    if not (0 < left <= lower <= upper <= right and left < right):
        raise ValueError(f"a pair on [{left}, {right}] says nothing about [{lower}, {upper}]")
    cosine, sine = (_rounded(weight, down=False) for weight in (1 / (1 - left / right), 1 / (right / left - 1)))
    level = max(cosine * (1 - point / right) + sine * (point / left - 1) for point in (lower, upper))
    return Ellipse(lower, upper, left, right, cosine, sine, level)


def range_of_pair(pair: Pair, lower: Fraction, upper: Fraction) -> tuple[Fraction, Fraction]:
    """Proved bounds of a pair on [lower, upper]. Raises ValueError where the interval is not inside that of the pair."""
    ellipse = ellipse_at_start(pair.left, pair.right, lower, upper)
    for f, g in pair.steps:
        ellipse = ellipse.stepped(f, g)
    bound = ellipse.bound(pair.weight)
    return -bound, bound


def _root(value: Fraction) -> Fraction:
    """√value, rounded up to 80 bits."""
    shift = 2 * max(0, 80 - (value.numerator.bit_length() - value.denominator.bit_length()) // 2)
    scaled = -(-(value.numerator << shift) // value.denominator)
    return _rounded(Fraction(isqrt(scaled) + 1, 1 << (shift // 2)), down=False) if value else value


def _product(p: tuple[Fraction, ...], q: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
    out = [Fraction(0)] * (len(p) + len(q) - 1)
    for i, a in enumerate(p):
        for j, b in enumerate(q):
            out[i + j] += a * b
    return tuple(out)


def _sum(p: tuple[Fraction, ...], q: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
    return tuple(a + b for a, b in zip_longest(p, q, fillvalue=Fraction(0)))


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
    bases = _bases(graph, (*claim.roots, *claim.squares, *claim.ones))
    strange = _not_polynomial(graph, claim.solution, {node for node, _ in bases.values()})
    if strange:
        return Unknown(f"the solution is no polynomial in the matrix: it contains {strange}")
    rng = random.Random(0)
    degree = 1 if claim.pair is None else _degree_of_pair(claim.pair)
    for polynomial in claim.chain:
        degree *= max(len(polynomial) - 1, 1)
    for _ in range(2):
        sigma = rng.randrange(1, PRIME)
        given = {**dict.fromkeys(claim.roots, sigma), **dict.fromkeys(claim.squares, sigma * sigma % PRIME)}
        given |= dict.fromkeys(claim.ones, 1)
        given = {bases[node][0]: value * _modular(1 / bases[node][1]) % PRIME for node, value in given.items()}
        found = _solution_at(ones, claim.solution, given) * pow(sigma, claim.power, PRIME) % PRIME
        expected = sigma * sigma % PRIME
        if claim.pair is not None:
            expected = _modular_pair(claim.pair, expected)
        for polynomial in claim.chain:
            expected = _modular_value(polynomial, expected)
        if (1 - found) % PRIME != expected:
            return Refuted(f"at λ = {sigma * sigma % PRIME} modulo {PRIME} the residual is {(1 - found) % PRIME}")
    lower, upper, theorem = claim.lower, claim.upper, "Sturm's theorem"
    if claim.pair is not None:
        try:
            lower, upper = range_of_pair(claim.pair, lower, upper)
        except ValueError as error:
            return Unknown(f"no bound of the residual: {error}")
        theorem = "an ellipse in every layer, Sturm's theorem"
    low, high = range_of_chain(claim.chain, lower, upper)
    largest = max(abs(low), abs(high))
    if largest > claim.tol:
        return Refuted(f"the residual reaches {float(largest):.6g} on [{float(claim.lower):.6g}, {float(claim.upper):.6g}]")
    return Proved(
        f"the residual is at most {float(largest):.3g} on the interval ({theorem}, rational arithmetic); the program has "
        f"this residual, of degree {degree} (two random points modulo 2^61 − 1)"
    )


def _bases(graph: Graph, given: tuple[int, ...]) -> dict[int, tuple[int, Fraction]]:
    """For every given node one that it is a multiple of, and the factor: tracing joins factors, so that 2 · (3 · g) reads g,
    not 3 · g. Nodes with a common base are left as they are."""
    found = {}
    for node in given:
        base, factor = node, Fraction(1)
        while graph.nodes[base].op == "scale" and graph.nodes[base].attr:
            factor, base = factor * graph.nodes[base].attr, graph.nodes[base].args[0]
        found[node] = (base, factor)
    bases = [base for base, _ in found.values()]
    return {node: at if bases.count(at[0]) == 1 else (node, Fraction(1)) for node, at in found.items()}


def _not_polynomial(graph: Graph, solution: int, given: set[int]) -> str | None:
    """An operation between the given values and the solution that is no sum or product; None when there is none."""
    todo, seen = [solution], set(given)
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


def _modular(value: Fraction) -> int:
    return value.numerator * pow(value.denominator, -1, PRIME) % PRIME


def _modular_value(polynomial: tuple[Fraction, ...], point: int) -> int:
    total = 0
    for c in reversed(polynomial):
        total = (total * point + _modular(c)) % PRIME
    return total


def _modular_pair(pair: Pair, point: int) -> int:
    w, y = ((1 - point * _modular(1 / end)) % PRIME for end in (pair.right, pair.left))
    v = s = 1
    for f, g in pair.steps:
        n = w * v * v % PRIME
        v, s = v * _modular_value(f, n) % PRIME, s * _modular_value(g, n) % PRIME
    return (_modular(pair.weight) * w * v + _modular(1 - pair.weight) * y * s) % PRIME


def _degree_of_pair(pair: Pair) -> int:
    """The degree: that of its two terms, or one less where their leading parts cancel, as those of a minimax pair do."""
    v = s = 0
    ratio = Fraction(1)  # of the leading coefficients, s to v, while both have one degree
    for f, g in pair.steps:
        n = 2 * v + 1
        v, s, ratio = v + n * (len(f) - 1), s + n * (len(g) - 1), ratio * g[-1] / f[-1]
    cancels = v == s and pair.weight / pair.right + (1 - pair.weight) * ratio / pair.left == 0
    return max(v, s) + (0 if cancels else 1)
