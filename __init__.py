"""headwright: a verified construction compiler for transformers.

import headwright as hw

@hw.program
def least_squares(A: hw.Matrix["n", "d"], y: hw.Vector["n"], q: hw.Vector["d"], *, steps, alpha):
    S = A.T @ A
    X = alpha * S
    for _ in range(steps):
        X = 2 * X - X @ S @ X
    return q @ X @ A.T @ y

model = hw.compile(least_squares, dims={"n": 32, "d": 8}, steps=10, alpha=1e-4)
prediction = model(A=A, y=y, q=q)
print(hw.verify(model))
"""

from . import constructions
from .compiler.approximate.scalar_function import hw_bounded as bounded_function
from .compiler.architecture import (
    ARCHITECTURES,
    GATED,
    LINEAR,
    LINEAR_ATTENTION,
    MASKED,
    MASKED_ATTENTION,
    RELU_ATTENTION,
    SOFTMAX,
    SQUARED,
    Architecture,
)
from .compiler.errors import (
    ArchitectureError,
    AssumptionError,
    CompileError,
    ConventionWarning,
    DivergenceError,
    DivergenceWarning,
    HeadwrightError,
    InputError,
    ModelFolderError,
    NoAttributeError,
    PrecisionWarning,
    ProgramError,
    ShapeError,
    TraceError,
)
from .compiler.functions import apply, exp, reciprocal, relu, sigmoid, sqrt, square, tanh
from .compiler.program import Matrix, Program, Scalar, Vector, diag, dim, eye, ones, outer, program, vstack, zeros
from .compiler.statements import bounded, signs, spectrum, symmetric
from .constructions import iterations
from .constructions.minimax import a_priori
from .constructions.solve import inverse, solve
from .proofs_check import theory
from .proofs_check.certificate import Certificate, Claim, Proved, Refuted, Unknown
from .runtime.api import compile, verify
from .runtime.checkpoint import load, save
from .runtime.compiled import Compiled
from .runtime.interoperation import from_pq, to_pq, to_von_oswald

__version__ = "0.1.0"

__all__ = [
    "ARCHITECTURES",
    "GATED",
    "LINEAR",
    "LINEAR_ATTENTION",
    "MASKED",
    "MASKED_ATTENTION",
    "RELU_ATTENTION",
    "SOFTMAX",
    "SQUARED",
    "Architecture",
    "ArchitectureError",
    "AssumptionError",
    "Certificate",
    "Claim",
    "CompileError",
    "Compiled",
    "ConventionWarning",
    "DivergenceError",
    "DivergenceWarning",
    "HeadwrightError",
    "InputError",
    "Matrix",
    "ModelFolderError",
    "NoAttributeError",
    "PrecisionWarning",
    "Program",
    "ProgramError",
    "Proved",
    "Refuted",
    "Scalar",
    "ShapeError",
    "TraceError",
    "Unknown",
    "Vector",
    "a_priori",
    "apply",
    "bounded",
    "bounded_function",
    "compile",
    "constructions",
    "diag",
    "dim",
    "exp",
    "eye",
    "from_pq",
    "inverse",
    "iterations",
    "load",
    "ones",
    "outer",
    "program",
    "reciprocal",
    "relu",
    "save",
    "sigmoid",
    "signs",
    "solve",
    "spectrum",
    "sqrt",
    "square",
    "symmetric",
    "tanh",
    "theory",
    "to_pq",
    "to_von_oswald",
    "verify",
    "vstack",
    "zeros",
]
