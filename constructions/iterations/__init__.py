"""Polynomial iterations as data: coefficients tuned to an interval, proved bounds, layer counts, rounding floors."""

from .base import Iteration, Schedule
from .library import get, names

__all__ = ["Iteration", "Schedule", "get", "names"]
