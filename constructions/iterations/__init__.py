"""Polynomial iterations as data: coefficients tuned to an interval, proved bounds, layer counts, rounding floors."""

from .base import Iteration, Schedule
from .choice import Choice, choose
from .library import get, names

__all__ = ["Choice", "Iteration", "Schedule", "choose", "get", "names"]
