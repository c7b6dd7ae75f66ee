"""Named constructions of the literature: each a program, a claim, and `compile`."""

from .registry import Construction, get, names

__all__ = ["Construction", "get", "names"]
