"""Certified piecewise-linear (ReLU) approximation of scalar functions.

    fit(named("sigmoid"), -4, 4, tol=1e-3).units()             a scalar function of one row
    product_fit((0, 0.25), (-1, 1), 1e-3).units()              a product of two rows, by two squares
    scaled_fit(s, (-2, 2), (-1, 1), 1e-3).units()              s(z)·a in one hidden layer
"""

from .enclosure import Undefined
from .fit import fit
from .piecewise import PiecewiseLinear, ReluUnits, Unit
from .plane import PlaneUnit, PlaneUnits, ProductFit, product_fit
from .prove import NotProved, prove
from .ridge import ScaledFit, scaled_fit
from .scalar_function import ApproximationError, BoundedFunction, ScalarFunction, from_callable, hw_bounded, named

__all__ = [
    "ApproximationError",
    "BoundedFunction",
    "NotProved",
    "PiecewiseLinear",
    "PlaneUnit",
    "PlaneUnits",
    "ProductFit",
    "ReluUnits",
    "ScalarFunction",
    "ScaledFit",
    "Undefined",
    "Unit",
    "fit",
    "from_callable",
    "hw_bounded",
    "named",
    "product_fit",
    "prove",
    "scaled_fit",
]
