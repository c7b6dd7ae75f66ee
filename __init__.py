"""headwright: a verified construction compiler for transformers."""

from .compiler.architecture import LINEAR, LINEAR_ATTENTION, Architecture
from .compiler.program import (
    Matrix, Scalar, Vector, diag, dim, exp, eye, ones, outer, program, reciprocal, relu, sigmoid, spectrum, sqrt, square, symmetric, tanh, zeros,
)
