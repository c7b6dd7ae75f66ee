# mypy: disable-error-code="name-defined, type-arg, attr-defined, no-untyped-def, operator"
"""The ten lines that `headwright demo` shows and compiles. "n", "d" and "m" are names of dimensions."""

import headwright as hw


@hw.program
def predict_patients(A: hw.Matrix["n", "d"], y: hw.Vector["n"], Q: hw.Matrix["m", "d"], *, steps, alpha):
    S = hw.spectrum(A.T @ A, within=(0, 2 / alpha))  # stated here, checked in every run
    X = alpha * hw.eye("d")
    for _ in range(steps):
        X = 2 * X - X @ S @ X  # Newton's iteration: X → S⁻¹
    return Q @ X @ A.T @ y
