"""Taylor arithmetic: a scalar expression as a short program, run on numbers, arrays or intervals, with derivatives.

    Tape: nodes ("mul", 3, 5), …, each using earlier nodes (`tapes.tape` makes one of an expression)
    Tape.run(field, z, order)  →  [f(z), f'(z), f''(z)/2, …]

The recurrences below are the same for float arrays and for intervals; only the field differs. Run on an interval, the
k-th coefficient encloses f⁽ᵏ⁾/k! over that whole interval (every operation of the field encloses its exact result).
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, Protocol

Series = list[Any]


class Field(Hashable, Protocol):
    """The numbers that a tape runs on. `power` is x ↦ xʳ for a rational r; `bend` decides |x|, max and min."""

    def number(self, value: Fraction) -> Any: ...
    def power(self, x: Any, r: Fraction) -> Any: ...
    def apply(self, name: str, x: Any) -> Any: ...
    def absolute(self, series: Series) -> Series: ...


@dataclass(frozen=True)
class Node:
    """One operation: `kind` add, mul, number, z, power, absolute, part, or a function of one argument; `uses` earlier nodes."""

    kind: str
    uses: tuple[int, ...] = ()
    value: Fraction = Fraction(0)
    constant: bool = True
    part: Runnable | None = None


class Runnable(Hashable, Protocol):
    """A function of z with a series of its own: what a node of kind "part" is."""

    def run(self, field: Field, z: Any, order: int) -> Series: ...


@dataclass(frozen=True, eq=False)
class Tape:
    """A scalar expression as operations on earlier results; the last node is the result. Equal to itself only."""

    nodes: tuple[Node, ...]

    def run(self, field: Field, z: Any, order: int) -> Series:
        """Taylor coefficients 0…order of the expression at z (over z, if z is an interval)."""
        fixed = _constants(self, field, order)
        done: list[Series] = []
        for node, known in zip(self.nodes, fixed, strict=True):
            if known is not None:
                done.append(known)
            elif node.part is not None:
                done.append(node.part.run(field, z, order))
            elif node.kind == "z":
                done.append(([z, field.number(Fraction(1))] + [field.number(Fraction(0))] * order)[: order + 1])
            else:
                done.append(_step(field, node, [done[i] for i in node.uses], order))
        return done[-1]


@cache
def _constants(tape: Tape, field: Field, order: int) -> tuple[Series | None, ...]:
    """The series of the nodes without z, computed once."""
    done: list[Series | None] = []
    for node in tape.nodes:
        if not node.constant:
            done.append(None)
        elif node.kind == "number":
            done.append(_lift(field, field.number(node.value), order))
        elif node.kind in ("pi", "e"):
            done.append(_lift(field, field.apply(node.kind, None), order))
        else:
            heads = [[used[0]] for i in node.uses if (used := done[i]) is not None]
            done.append(_lift(field, _step(field, node, heads, 0)[0], order))
    return tuple(done)


def _lift(field: Field, value: Any, order: int) -> Series:
    return [value] + [field.number(Fraction(0))] * order


def _step(field: Field, node: Node, args: list[Series], order: int) -> Series:
    if node.kind == "add":
        total = args[0]
        for other in args[1:]:
            total = [a + b for a, b in zip(total, other, strict=True)]
        return total
    if node.kind == "mul":
        product = args[0]
        for other in args[1:]:
            product = _multiply(product, other)
        return product
    if node.kind == "power":
        return _power(field, args[0], node.value, order)
    if node.kind == "absolute":
        return field.absolute(args[0])
    return _function(field, node.kind, args[0], order)


def _multiply(a: Series, b: Series) -> Series:
    return [sum((a[j] * b[k - j] for j in range(1, k + 1)), a[0] * b[k]) for k in range(len(a))]


def _power(field: Field, u: Series, r: Fraction, order: int) -> Series:
    """uʳ. Nonnegative integers by products, so that u may contain 0; the first coefficient by the field's own power."""
    if r.denominator == 1 and 0 <= r <= 64:
        y = u
        for _ in range(int(r) - 1):
            y = _multiply(y, u)
        return [field.power(u[0], r), *y[1:]]
    y = [field.power(u[0], r)]
    if order:
        inverse = field.power(u[0], Fraction(-1))
        y.append(field.number(r) * field.power(u[0], r - 1) * u[1])
    for k in range(2, order + 1):
        terms = [field.number((r * j - (k - j)) / k) * u[j] * y[k - j] for j in range(1, k + 1)]
        y.append(inverse * sum(terms[1:], terms[0]))
    return y


def _function(field: Field, name: str, u: Series, order: int) -> Series:
    """Functions y = g(u) with g' = rate(y, u): k·y_k = Σ_j j·u_j·rate_{k−j}. The rate grows along with y."""
    y = [field.apply(name, u[0])]
    if not order:
        return y
    one, two = field.number(Fraction(1)), field.number(Fraction(2))
    if name in ("sin", "cos"):
        sin, cos = [field.apply("sin", u[0])], [field.apply("cos", u[0])]
        for k in range(1, order + 1):
            ds, dc = _rate_term(field, u, cos, k), -_rate_term(field, u, sin, k)
            sin.append(ds)
            cos.append(dc)
        return sin if name == "sin" else cos
    if name == "log":
        rate = _power(field, u, Fraction(-1), order)
    elif name == "atan":
        square = _power(field, u, Fraction(2), order)
        rate = _power(field, [one + square[0], *square[1:]], Fraction(-1), order)
    elif name == "erf":
        square = _power(field, u, Fraction(2), order)
        factor = two * field.power(field.apply("pi", None), Fraction(-1, 2))
        rate = [factor * c for c in _function(field, "exp", [-c for c in square], order)]
    else:  # exp, tanh: the rate is made of y itself
        rate = []
        for k in range(1, order + 1):
            if name == "exp":
                rate.append(y[k - 1])
            else:
                square = _multiply(y, y)[k - 1] if k > 1 else field.power(y[0], Fraction(2))
                rate.append(one - square if k == 1 else -square)
            y.append(_rate_term(field, u, rate, k))
        return y
    for k in range(1, order + 1):
        y.append(_rate_term(field, u, rate, k))
    return y


def _rate_term(field: Field, u: Series, rate: Series, k: int) -> Any:
    terms = [field.number(Fraction(j, k)) * u[j] * rate[k - j] for j in range(1, k + 1)]
    return sum(terms[1:], terms[0])
