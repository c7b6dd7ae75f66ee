"""Proved bounds of a `graph.Pair`: an ellipse that both of its products stay in, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import zip_longest
from math import isqrt

from ..compiler.graph import Pair
from .modular import PRIME
from .ranges import Interval, image, value_at


def _up(value: Fraction) -> Fraction:
    """Hardly more, in 80 bits."""
    return Interval(value, value).rounded().hi


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
        at_end = value_at(f, 1 / self.cosine)
        if not at_end or not g[0]:
            raise ValueError("an end of the ellipse is mapped to 0")
        cosine, sine = (_up(new) for new in (self.cosine / at_end**2, self.sine / g[0] ** 2))
        f, g = (tuple(c / self.cosine**i for i, c in enumerate(p)) for p in (f, g))  # polynomials in cosine·N²
        along = _product((Fraction(0), cosine / self.cosine), _product(f, f))
        across = _product((sine / self.sine * self.level, -sine / self.sine), _product(g, g))
        level = image(_sum(along, across), Interval(Fraction(0), self.level)).hi
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
    cosine, sine = (_up(weight) for weight in (1 / (1 - left / right), 1 / (right / left - 1)))
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
    return _up(Fraction(isqrt(scaled) + 1, 1 << (shift // 2))) if value else value


def _product(p: tuple[Fraction, ...], q: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
    out = [Fraction(0)] * (len(p) + len(q) - 1)
    for i, a in enumerate(p):
        for j, b in enumerate(q):
            out[i + j] += a * b
    return tuple(out)


def _sum(p: tuple[Fraction, ...], q: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
    return tuple(a + b for a, b in zip_longest(p, q, fillvalue=Fraction(0)))


def modular(value: Fraction) -> int:
    return value.numerator * pow(value.denominator, -1, PRIME) % PRIME


def modular_value(polynomial: tuple[Fraction, ...], point: int) -> int:
    total = 0
    for c in reversed(polynomial):
        total = (total * point + modular(c)) % PRIME
    return total


def modular_pair(pair: Pair, point: int) -> int:
    w, y = ((1 - point * modular(1 / end)) % PRIME for end in (pair.right, pair.left))
    v = s = 1
    for f, g in pair.steps:
        n = w * v * v % PRIME
        v, s = v * modular_value(f, n) % PRIME, s * modular_value(g, n) % PRIME
    return (modular(pair.weight) * w * v + modular(1 - pair.weight) * y * s) % PRIME


def degree_of_pair(pair: Pair) -> int:
    """The degree: that of its two terms, or one less where their leading parts cancel, as those of a minimax pair do."""
    v = s = 0
    ratio = Fraction(1)  # of the leading coefficients, s to v, while both have one degree
    for f, g in pair.steps:
        n = 2 * v + 1
        v, s, ratio = v + n * (len(f) - 1), s + n * (len(g) - 1), ratio * g[-1] / f[-1]
    cancels = v == s and pair.weight / pair.right + (1 - pair.weight) * ratio / pair.left == 0
    return max(v, s) + (0 if cancels else 1)
