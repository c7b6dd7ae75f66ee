"""Run-time arrays against declared dimensions."""

from __future__ import annotations

import linecache
from collections.abc import Mapping

import numpy as np

from .dims import Dim, describe_shape
from .errors import InputError, Location


def definition_of(file: str, line: int) -> Location:
    """The line with `def`, below the decorators."""
    for number in range(line, line + 20):
        text = linecache.getline(file, number).strip()
        if text.startswith("def "):
            return Location(file, number, text)
    return Location(file, line, linecache.getline(file, line).strip())


def as_numeric(value: object) -> np.ndarray:
    """Integers and booleans as float64; other dtypes as they are."""
    array = np.asarray(value)
    return array.astype(np.float64) if array.dtype.kind in "biu" else array


def bind_sizes(
    program: str,
    inputs: Mapping[str, tuple[Dim, ...]],
    shapes: Mapping[str, tuple[int, ...]],
    sizes: Mapping[str, int] | None = None,
    where: Location | None = None,
) -> dict[str, int]:
    """The sizes that the shapes of the inputs give to the named dimensions. Raises InputError where they disagree.

    Leading batch dimensions are ignored. With `sizes`, the shapes must fit those.
    """
    bound: dict[str, int] = dict(sizes or {})
    first: dict[str, str] = {}
    for name, dims in inputs.items():
        shape = shapes[name]
        if len(shape) < len(dims):
            raise InputError(
                f"{program}: input {name} has shape {shape}: expected {len(dims)} dimensions {describe_shape(dims)}",
                where=where,
                fix=f"pass {name} with shape {tuple(bound.get(str(d), d) for d in dims)}",
            )
        for dim, size in zip(dims, shape[len(shape) - len(dims) :], strict=True):
            expected = dim if isinstance(dim, int) else bound.setdefault(dim, size)
            if size != expected:
                source = f" (from input {first[str(dim)]})" if str(dim) in first else ""
                want = tuple(bound.get(str(d), d) for d in dims)
                raise InputError(
                    f"{program}: input {name} has shape {shape}: expected {describe_shape(dims)} = {want}; "
                    f"dimension {dim} is {expected}{source}, got {size}",
                    where=where,
                    fix=f"reshape or transpose {name}"
                    + (f", or compile for {dim} = {size}" if size else "; empty data have no answer"),
                )
            first.setdefault(str(dim), name)
            if size < 1:
                raise InputError(
                    f"{program}: input {name} has shape {shape}: dimension {dim} must be at least 1",
                    where=where,
                    fix="pass data that are not empty",
                )
    return bound
