"""Certified piecewise-linear (ReLU) approximation of scalar functions."""

from .fit import fit
from .piecewise import PiecewiseLinear, ReluUnits, Unit
from .scalar_function import ApproximationError, BoundedFunction, ScalarFunction, from_callable, hw_bounded, named

__all__ = [
    "ApproximationError",
    "BoundedFunction",
    "PiecewiseLinear",
    "ReluUnits",
    "ScalarFunction",
    "Unit",
    "fit",
    "from_callable",
    "hw_bounded",
    "named",
]
