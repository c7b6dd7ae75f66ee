"""Dimensions: a name such as "d" that holds for every size, or an integer for a fixed size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

Dim: TypeAlias = str | int
Shape: TypeAlias = tuple[Dim, Dim]


def size_of(dim: Dim, sizes: Mapping[str, int]) -> int:
    """The size of `dim` under the given sizes of the named dimensions."""
    return dim if isinstance(dim, int) else sizes[dim]


def describe_shape(shape: tuple[Dim, ...]) -> str:
    """`(n × d)`, as error messages and labels print it."""
    return "(" + " × ".join(str(dim) for dim in shape) + ")" if shape else "(scalar)"
