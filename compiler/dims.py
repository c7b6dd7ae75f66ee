"""Dimensions: a name such as "d" that holds for every size, an integer for a fixed size, or a sum such as "n+m"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

Dim: TypeAlias = str | int
Shape: TypeAlias = tuple[Dim, Dim]


def size_of(dim: Dim, sizes: Mapping[str, int]) -> int:
    """The size of `dim` under the given sizes of the named dimensions."""
    if isinstance(dim, int):
        return dim
    return sum(int(part) if part.isdigit() else sizes[part] for part in dim.split("+"))


def stacked(first: Dim, second: Dim) -> Dim:
    """The dimension of two stacked ones: "n+m"."""
    return first + second if isinstance(first, int) and isinstance(second, int) else f"{first}+{second}"


def describe_shape(shape: tuple[Dim, ...]) -> str:
    """`(n × d)`, as error messages and labels print it."""
    return "(" + " × ".join(str(dim) for dim in shape) + ")" if shape else "(scalar)"
