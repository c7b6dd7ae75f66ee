"""Arguments of the functions of `hw.theory`: each is named, with what was expected, where it will not do."""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction
from typing import Any

import numpy as np

from ..compiler.errors import CompileError
from .minimax import as_rational

#: Numbers other than 0 have at least the size 1/HUGE and at most HUGE: results are floats, and squares have to be floats too.
HUGE = Fraction(10) ** 120

#: The same for μ, errors and norms of damped Newton, whose recurrences divide and multiply by many powers of them.
LARGE = Fraction(10) ** 20


def number(
    name: str,
    value: Any,
    *,
    above: int | None = None,
    least: int | None = None,
    below: int | None = None,
    most: int | None = None,
    size: Fraction = HUGE,
    why: str | None = None,
    fix: str | None = None,
) -> Fraction:
    """The exact value of a number (an int, a float, a Fraction, a numpy scalar) inside these limits.

    `why` and `fix` go into the message; without `fix` it asks for a number inside the limits. Raises CompileError for
    anything else: bools, strings, arrays, NaN, infinity, and numbers of a size that floats cannot follow.
    """
    limits, short = _limits(above, least, below, most), name.rpartition(": ")[2]
    fix = fix or f"pass {short} as a number{limits}"
    if isinstance(value, (bool, np.bool_)):
        raise CompileError(f"{name} is {value!r}: expected a number{limits}", rule=why, fix=fix)
    exact = as_rational(name, value)
    low = (above is not None and exact <= above) or (least is not None and exact < least)
    if low or (below is not None and exact >= below) or (most is not None and exact > most):
        raise CompileError(f"{name} is {show(exact)}: expected a number{limits}", rule=why, fix=fix)
    slack = Fraction(1001, 1000)  # 1e-20 as a float is a little less than 10^-20
    if exact and not 1 / size <= slack * abs(exact) <= slack**2 * size:
        bounds = f"{_power(1 / size)} and {_power(size)}"
        raise CompileError(
            f"{name} is {show(exact)}: expected a size between {bounds}",
            rule="results are floats",
            fix=f"pass {short} of such a size, or change units",
        )
    return exact


def _limits(above: int | None, least: int | None, below: int | None, most: int | None) -> str:
    parts = [f"above {above}"] * (above is not None) + [f"at least {least}"] * (least is not None)
    parts += [f"below {below}"] * (below is not None) + [f"at most {most}"] * (most is not None)
    return (" " + " and ".join(parts)) if parts else ""


def whole(name: str, value: Any, *, least: int = 0, most: int | None = None) -> int:
    """A whole number (an int or a numpy integer) inside these limits. Raises CompileError for anything else."""
    good = isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))
    if not good or value < least or (most is not None and value > most):
        limits = f"{least} or more" if most is None else f"from {least} to {most}"
        fix = f"pass {name} as an int, {limits}"
        raise CompileError(f"{name} is {show(value)}: expected a whole number, {limits}", fix=fix)
    return int(value)


def choice(name: str, value: Any, options: Collection[str]) -> str:
    """One of the options. Raises CompileError for anything else."""
    if not isinstance(value, str) or value not in options:
        listed = " or ".join(map(repr, options))
        raise CompileError(f"{name} is {value!r}: expected {listed}", fix=f"pass {name} as {listed}")
    return value


def show(value: Any) -> str:
    """A number in a few digits, however large; anything else as it is."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, Fraction, np.integer)):
        return repr(value)
    exact = Fraction(int(value)) if isinstance(value, np.integer) else Fraction(value)
    try:
        shown = float(exact)
    except OverflowError:
        return f"about {_power(abs(exact))}" if exact > 0 else f"about −{_power(abs(exact))}"
    return f"{shown:.6g}" if shown or not exact else f"about {_power(abs(exact))}"


def _power(value: Fraction) -> str:
    """1e… near a positive number."""
    return f"1e{len(str(value.numerator)) - len(str(value.denominator))}"
