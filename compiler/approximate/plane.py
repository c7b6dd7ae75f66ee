"""ReLU units on linear forms of two rows of a token: products u·v and scaled functions s(z)·a."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from .enclosure import above
from .piecewise import MOST_PIECES, PiecewiseLinear, _holds, _roundoff
from .scalar_function import ApproximationError

Number = int | float | Fraction


@dataclass(frozen=True)
class PlaneUnit:
    """weight · relu(x·u + y·v + offset) on the rows u and v."""

    x: Fraction
    y: Fraction
    offset: Fraction
    weight: Fraction


@dataclass(frozen=True)
class PlaneUnits:
    """constant + Σ weight·relu(x·u + y·v + offset), exactly."""

    constant: Fraction
    units: tuple[PlaneUnit, ...]

    def __len__(self) -> int:
        return len(self.units)

    def __call__(self, u: Fraction, v: Fraction) -> Fraction:
        return self.constant + sum(
            (n.weight * max(Fraction(0), n.x * u + n.y * v + n.offset) for n in self.units), Fraction(0)
        )

    def rounding(self, dtype: str, range_u: tuple[Number, Number], range_v: tuple[Number, Number]) -> Fraction:
        """A bound on the error of the sum in floating point, for floating-point u, v in these ranges, whatever the order.

        Each term is bounded on its own, by its largest value on the box: pessimistic when few units act at once.
        """
        u = float(_roundoff(dtype))
        most_u, most_v = (max(abs(float(e)) for e in ends) for ends in (range_u, range_v))
        size = moved = 0.0
        for n in self.units:
            inner = abs(float(n.x)) * most_u + abs(float(n.y)) * most_v + abs(float(n.offset))
            top = abs(float(n.weight)) * max(0.0, self._top(n, range_u, range_v))
            # Cast of the three numbers, two products, two sums: exact where the dtype holds them and x, y are ±2^k.
            exact = all(_holds(value, dtype) for value in (n.x, n.y, n.offset))
            moved += abs(float(n.weight)) * inner * (3 if exact else 4) * u
            size += top
        k = len(self.units) + 3
        total = (k * u / (1 - k * u)) * (size + moved + abs(float(self.constant))) + moved
        return above(Fraction(total) * (1 + Fraction(1, 10**9)))

    @staticmethod
    def _top(n: PlaneUnit, range_u: tuple[Number, Number], range_v: tuple[Number, Number]) -> float:
        x, y = float(n.x), float(n.y)
        return max(x * float(a) for a in range_u) + max(y * float(b) for b in range_v) + float(n.offset)


def along(fit: PiecewiseLinear, x: Fraction, y: Fraction, scale: Fraction) -> tuple[Fraction, list[PlaneUnit]]:
    """The units of scale·fit(x·u + y·v)."""
    units = fit.units()
    return scale * units.constant, [
        PlaneUnit(n.direction * x, n.direction * y, -n.direction * n.knot, scale * n.weight) for n in units.units
    ]


@dataclass(frozen=True)
class ProductFit:
    """u·v ≈ scale·(squares[0](forms[0]) − squares[1](forms[1])), the forms being (x, y) for x·u + y·v.

    bound: sup |u·v − value| on range_u × range_v is proved to be at most this. The value is exactly 0 where u = 0 or v = 0.
    """

    range_u: tuple[Fraction, Fraction]
    range_v: tuple[Fraction, Fraction]
    forms: tuple[tuple[Fraction, Fraction], tuple[Fraction, Fraction]]
    squares: tuple[PiecewiseLinear, PiecewiseLinear]
    scale: Fraction
    bound: Fraction

    def units(self) -> PlaneUnits:
        constant, all_units = Fraction(0), []
        for (x, y), square, sign in zip(self.forms, self.squares, (1, -1), strict=True):
            c, units = along(square, x, y, sign * self.scale)
            constant += c
            all_units += units
        return PlaneUnits(constant, tuple(all_units))

    def __call__(self, u: Fraction, v: Fraction) -> Fraction:
        """The exact value of the approximation."""
        (x0, y0), (x1, y1) = self.forms
        value: Fraction = self.scale * (self.squares[0](x0 * u + y0 * v) - self.squares[1](x1 * u + y1 * v))
        return value


def product_fit(range_u: tuple[Number, Number], range_v: tuple[Number, Number], tol: Number) -> ProductFit:
    """u·v on a box as the difference of two squares, (u + βv)² − (u − βv)² = 4β·u·v, with a proved bound ≤ tol.

    β balances the ranges, so that both forms have the length L = (b − a) + β(d − c), shortest for β = (b − a)/(d − c).
    Both squares are interpolated at the knots (k + ½)h, k integer: each error is in [0, h²/4], hence the bound
    h²/(16β), which is L²/(16βN²) for N pieces a square. Being even, and the same function, they cancel exactly on the axes.
    Cost: 2N units with N = ⌈L/√(16β·tol)⌉.

    Raises ApproximationError: an empty range, tol ≤ 0.
    """
    (a, b), (c, d) = ranges = [(Fraction(r[0]), Fraction(r[1])) for r in (range_u, range_v)]
    for what, (low, high) in zip("uv", ranges, strict=True):
        if low >= high:
            raise ApproximationError(f"the range [{float(low)}, {float(high)}] of {what} is empty", fix="give (low, high)")
    if not (math.isfinite(tol) and tol > 0):
        raise ApproximationError(f"tol must be a positive number, got {tol}", fix="give the largest error you accept")
    beta = _short((b - a) / (d - c), 12)
    length = (b - a) + beta * (d - c)
    n = math.isqrt(math.ceil(length**2 / (16 * beta * Fraction(tol))) - 1) + 1
    if n > MOST_PIECES:
        raise ApproximationError(
            f"a product of numbers in [{float(a):.6g}, {float(b):.6g}] and [{float(c):.6g}, {float(d):.6g}] within "
            f"{float(tol):.3g} needs more than {MOST_PIECES} pieces",
            rule="n pieces are within a constant / n² of a product: a hundredth of the error takes ten times the pieces",
            fix="ask for a larger tolerance, or bound the factors more narrowly",
        )
    while True:
        h = -_short(-length / n, 40)  # rounded up: at most n knots fall on a form's range
        squares = tuple(_squares(low, high, h) for low, high in _images(ranges, beta))
        bound = max(s.bound for s in squares) / (4 * beta)
        if bound <= tol:
            one = Fraction(1)
            return ProductFit(
                ranges[0], ranges[1], ((one, beta), (one, -beta)), (squares[0], squares[1]), 1 / (4 * beta), bound
            )
        n += 1


def _short(value: Fraction, bits: int) -> Fraction:
    """The largest number of so many bits that is not above a value."""
    power = bits - math.frexp(float(value))[1]
    unit = Fraction(2) ** -power
    return math.floor(value / unit) * unit


def _images(ranges: list[tuple[Fraction, Fraction]], beta: Fraction) -> list[tuple[Fraction, Fraction]]:
    (a, b), (c, d) = ranges
    return [(a + beta * c, b + beta * d), (a - beta * d, b - beta * c)]


def _squares(low: Fraction, high: Fraction, h: Fraction) -> PiecewiseLinear:
    """The interpolant of z² at the knots (k + ½)h, cut off at low and high: error in [0, h²/4], exactly."""

    def value(z: Fraction) -> Fraction:
        k = math.floor(z / h + Fraction(1, 2))  # z is between (k − ½)h and (k + ½)h, where the chord is 2khz − (k² − ¼)h²
        return 2 * k * h * z - (k * k - Fraction(1, 4)) * h * h

    first, last = math.floor(low / h - Fraction(1, 2)) + 1, math.ceil(high / h - Fraction(1, 2)) - 1
    knots = (low, *((k + Fraction(1, 2)) * h for k in range(first, last + 1)), high)
    return PiecewiseLinear(
        "square", low, high, knots, tuple(value(t) for t in knots), h * h / 4, ("convex",) * (len(knots) - 1)
    )
