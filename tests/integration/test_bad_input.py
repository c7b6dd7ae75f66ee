"""Every error names the user's variable and line, the rule or what was expected, and a fix."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch

import headwright as hw

HERE = __file__.rsplit("/", 1)[1]


@hw.program
def regression(A: hw.Matrix["n", "d"], y: hw.Vector["n"], q: hw.Vector["d"], *, steps):
    S = A.T @ A
    X = Fraction(1, 100) * S
    for _ in range(steps):
        X = 2 * X - X @ S @ X
    return q @ X @ A.T @ y


DIMS = {"n": 4, "d": 3}


def good(**changes):
    return {"A": np.ones((4, 3)), "y": np.ones(4), "q": np.ones(3), **changes}


def run(**changes) -> Callable[[], object]:
    return lambda: hw.compile(regression, dims=DIMS, steps=1)(**good(**changes))


def nan_at(*index: int, value: float = np.nan) -> np.ndarray:
    A = np.ones((4, 3))
    A[index] = value
    return A


# name → (what to do, the error, words that the message must have)
RUN_TIME = {
    "wrong shape": (run(A=np.ones((3, 4))), hw.InputError, ["A", "(3, 4)", "(4, 3)", "n"]),
    "wrong length": (run(q=np.ones(4)), hw.InputError, ["q", "(4,)", "d"]),
    "too few dimensions": (run(A=np.ones(4)), hw.InputError, ["A", "(4,)", "(n × d)"]),
    "NaN": (run(A=nan_at(2, 1)), hw.InputError, ["A[2, 1]", "nan", "finite"]),
    "infinity": (run(A=nan_at(0, 2, value=np.inf)), hw.InputError, ["A[0, 2]", "inf", "finite"]),
    "complex": (run(y=np.ones(4) * 1j), hw.InputError, ["y", "complex128"]),
    "strings": (run(y=np.array(list("abcd"))), hw.InputError, ["y", "<U1"]),
    "objects": (run(y=np.array([1, 2, 3, None], dtype=object)), hw.InputError, ["y", "object"]),
    "ragged": (run(A=[[1, 2, 3], [1]]), hw.InputError, ["A", "rectangular"]),
    "half precision": (run(y=np.ones(4, dtype=np.float16)), hw.InputError, ["y", "float16"]),
    "integer tensor": (run(A=torch.ones(4, 3).long(), y=torch.ones(4), q=torch.ones(3)), hw.InputError, ["A", "int64"]),
    "mixed numpy and torch": (run(A=torch.ones(4, 3)), hw.InputError, ["A", "torch", "y"]),
    "unknown name": (run(B=np.ones(3)), hw.InputError, ["B", "unknown", "A"]),
    "missing name": (
        lambda: hw.compile(regression, dims=DIMS, steps=1)(A=np.ones((4, 3)), y=np.ones(4)),
        hw.InputError, ["q", "missing"],
    ),
    "empty data": (run(A=np.ones((0, 3)), y=np.ones(0)), hw.InputError, ["A", "n"]),
    "no features": (run(A=np.ones((4, 0)), q=np.ones(0)), hw.InputError, ["A", "d"]),
}  # fmt: skip


@pytest.mark.parametrize("name", RUN_TIME)
def test_bad_data_is_refused_by_name(name: str) -> None:
    action, kind, words = RUN_TIME[name]
    with pytest.raises(kind) as caught:
        action()
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "regression" in message, message
    assert caught.value.fix, message


@pytest.mark.parametrize("name", RUN_TIME)
def test_bad_data_is_refused_with_the_line_of_the_program(name: str) -> None:
    action, kind, _ = RUN_TIME[name]
    with pytest.raises(kind) as caught:
        action()
    assert caught.value.where is not None and caught.value.where.file == __file__, str(caught.value)


def compiling(program: hw.Program, dims: dict = DIMS, **constants: object) -> Callable[[], object]:
    return lambda: hw.compile(program, dims=dims, **constants)


@hw.program
def wrong_product(A: hw.Matrix["n", "d"], B: hw.Matrix["n", "m"]):
    return A @ B  # inner


@hw.program
def wrong_sum(A: hw.Matrix["n", "d"]):
    return A + A.T  # sum


@hw.program
def not_square(A: hw.Matrix["n", "d"]):
    return hw.symmetric(A)  # square


@hw.program
def entrywise_mismatch(y: hw.Vector["n"], q: hw.Vector["d"]):
    return y * q  # entries


@hw.program
def branches(A: hw.Matrix["n", "d"], s: hw.Scalar):
    if s > 0:  # branch
        return A
    return -A


@hw.program
def truth(A: hw.Matrix["n", "d"]):
    return A if A else -A  # truth


@hw.program
def indexes(A: hw.Matrix["n", "d"]):
    return A[0]  # index


@hw.program
def numpy_function(A: hw.Matrix["n", "d"]):
    return np.linalg.inv(A)  # numpy


@hw.program
def to_float(s: hw.Scalar):
    return float(s) * s  # float


@hw.program
def loops_over_data(A: hw.Matrix["n", "d"]):
    return sum(row for row in A)  # loop


@hw.program
def needs_ffn(y: hw.Vector["n"], z: hw.Vector["n"]):
    return y * z  # hadamard


@hw.program
def nonlinear(y: hw.Vector["n"]):
    return hw.sigmoid(y)  # sigmoid


@hw.program
def divides(y: hw.Vector["n"], s: hw.Scalar):
    return y / s  # divide


@hw.program
def zero_division(y: hw.Vector["n"]):
    return y / 0  # zero


@hw.program
def unknown_dimension(y: hw.Vector["n"]):
    return hw.eye("zz") @ y  # dimension


@hw.program
def infinite_constant(y: hw.Vector["n"], *, c):
    return c * y  # constant


@hw.program
def text_operand(y: hw.Vector["n"]):
    return y @ "text"  # text


@hw.program
def scalar_product(y: hw.Vector["n"], s: hw.Scalar):
    return y @ s  # scalar


@hw.program
def bad_constant_shape(A: hw.Matrix["n", "d"], *, B):
    return A @ B  # array


TRACING = {
    "inner dimensions": (
        compiling(wrong_product, {**DIMS, "m": 2}),
        hw.ShapeError, ["A (n × d)", "B (n × m)", "d and n differ", "A.T @ B"], "# inner",
    ),
    "inner dimensions of equal size": (
        compiling(wrong_product, {"n": 3, "d": 3, "m": 3}),
        hw.ShapeError, ["by name"], "# inner",
    ),
    "sum of transposes": (compiling(wrong_sum), hw.ShapeError, ["A (n × d)", "(d × n)"], "# sum"),
    "square needed": (compiling(not_square), hw.ShapeError, ["A", "square", "(n × d)"], "# square"),
    "entrywise": (compiling(entrywise_mismatch), hw.ShapeError, ["y (n)", "q (d)"], "# entries"),
    "comparison": (compiling(branches), hw.TraceError, ["s", "compare"], "# branch"),
    "truth value": (compiling(truth), hw.TraceError, ["A (n × d)", "branch"], "# truth"),
    "index": (compiling(indexes), hw.TraceError, ["A", "index"], "# index"),
    "numpy function": (compiling(numpy_function), hw.TraceError, ["A", "numpy"], "# numpy"),
    "float()": (compiling(to_float, {}), hw.TraceError, ["s", "number"], "# float"),
    "iteration": (compiling(loops_over_data), hw.TraceError, ["A", "iterate"], "# loop"),
    "product with attention only": (
        lambda: hw.compile(needs_ffn, dims={"n": 3}, arch=hw.LINEAR_ATTENTION),
        hw.ArchitectureError, ["y * z", "own column"], "# hadamard",
    ),
    "function with attention only": (
        lambda: hw.compile(nonlinear, dims={"n": 3}, arch=hw.LINEAR_ATTENTION),
        hw.ArchitectureError, ["sigmoid(y)", "feed-forward"], "# sigmoid",
    ),
    "division by data that may be zero": (
        compiling(divides, {"n": 4}),
        hw.CompileError, ["1/s", "pole near z = 0"], "# divide",
    ),
    "division by zero": (compiling(zero_division), hw.ProgramError, ["zero"], "# zero"),
    "unknown dimension": (compiling(unknown_dimension), hw.ProgramError, ["'zz'", "'n'"], "# dimension"),
    "infinite constant": (compiling(infinite_constant, c=float("inf")), hw.ProgramError, ["inf", "finite"], "# constant"),
    "complex constant": (compiling(infinite_constant, c=1j), hw.ProgramError, ["complex"], "# constant"),
    "text": (compiling(text_operand), hw.TraceError, ["str"], "# text"),
    "@ with a scalar": (compiling(scalar_product), hw.ShapeError, ["s", "scalar"], "# scalar"),
    "constant of another shape": (
        compiling(bad_constant_shape, B=np.ones((2, 2))),
        hw.ShapeError, ["A (n × d)", "(2 × 2)"], "# array",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TRACING)
def test_errors_in_programs_name_variable_line_rule_and_fix(name: str) -> None:
    action, kind, words, marker = TRACING[name]
    with pytest.raises(kind) as caught:
        action()
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert caught.value.where.file == __file__ and marker in caught.value.where.code, message
    lines = inspect.getsource(inspect.getmodule(test_errors_in_programs_name_variable_line_rule_and_fix)).splitlines()
    assert f"{HERE}:{next(i for i, line in enumerate(lines, 1) if line.endswith('  ' + marker))}" in message
    assert isinstance(caught.value, (ValueError, TypeError)), "numpy users catch these"


@pytest.mark.parametrize("name", TRACING)
def test_errors_in_programs_have_a_fix(name: str) -> None:
    action, kind, _, _ = TRACING[name]
    with pytest.raises(kind) as caught:
        action()
    assert caught.value.fix, str(caught.value)


@hw.program
def returns_nothing(A: hw.Matrix["n", "d"]):
    A @ A.T


@hw.program
def returns_list(A: hw.Matrix["n", "d"]):
    return [A, A]


@hw.program
def returns_empty(A: hw.Matrix["n", "d"]):
    return {}


DEFINITIONS = {
    "returns nothing": (compiling(returns_nothing), hw.ProgramError, ["returns_nothing", "return"]),
    "returns a list": (compiling(returns_list), hw.ProgramError, ["returns_list", "list"]),
    "returns no outputs": (compiling(returns_empty), hw.ProgramError, ["returns_empty"]),
    "missing size": (compiling(regression, {"n": 4}, steps=1), hw.CompileError, ["regression", "'d'"]),
    "size zero": (compiling(regression, {"n": 0, "d": 3}, steps=1), hw.CompileError, ["n", "0", "at least 1"]),
    "negative size": (compiling(regression, {"n": 4, "d": -3}, steps=1), hw.CompileError, ["d", "-3"]),
    "fractional size": (compiling(regression, {"n": 4.5, "d": 3}, steps=1), hw.CompileError, ["n", "4.5"]),
    "missing constant": (compiling(regression), hw.CompileError, ["steps", "missing"]),
    "unknown constant": (compiling(regression, steps=1, stepz=2), hw.CompileError, ["stepz", "unknown", "steps"]),
    "unknown goal": (lambda: hw.compile(regression, dims=DIMS, steps=1, optimize="speed"), hw.CompileError, ["speed", "depth"]),
    "unknown construction": (lambda: hw.constructions.get("least_square"), hw.CompileError, ["least_square", "least_squares"]),
    "unknown parameter": (
        lambda: hw.constructions.get("ridge").compile(n=2, d=2, step=1, alpha=1, mu=0),
        hw.CompileError, ["step", "steps"],
    ),
    "missing parameter": (lambda: hw.constructions.get("ridge").compile(n=2, d=2, steps=1, alpha=1), hw.CompileError, ["mu"]),
    "negative alpha": (
        lambda: hw.constructions.get("ridge").compile(n=2, d=2, steps=1, alpha=-1, mu=0),
        hw.CompileError, ["alpha", "-1"],
    ),
    "NaN alpha": (
        lambda: hw.constructions.get("ridge").compile(n=2, d=2, steps=1, alpha=np.nan, mu=0),
        hw.CompileError, ["alpha", "nan"],
    ),
    "order eleven": (
        lambda: hw.constructions.get("newton_inverse_order").compile(d=2, order=11, steps=1, alpha=1),
        hw.CompileError, ["order", "11", "10"],
    ),
    "not a program": (lambda: hw.compile(lambda A: A, dims=DIMS), hw.CompileError, ["hw.program"]),
    "dims not a dict": (lambda: hw.compile(regression, dims=[4, 3], steps=1), hw.CompileError, ["dims", "list"]),
    "outside a program": (lambda: hw.eye("d"), hw.TraceError, ["eye", "outside"]),
}  # fmt: skip


@pytest.mark.parametrize("name", DEFINITIONS)
def test_wrong_arguments_of_compile_are_named_with_a_fix_or_the_expected_value(name: str) -> None:
    action, kind, words = DEFINITIONS[name]
    with pytest.raises(kind) as caught:
        action()
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert caught.value.fix or "expected" in message, message


@pytest.mark.parametrize(
    "name", ["returns nothing", "returns a list", "missing size", "size zero", "missing constant", "unknown constant"]
)
def test_errors_about_a_program_point_at_its_definition(name: str) -> None:
    action, kind, _ = DEFINITIONS[name]
    with pytest.raises(kind) as caught:
        action()
    assert caught.value.where is not None and caught.value.where.file == __file__


def test_a_missing_annotation_is_named() -> None:
    with pytest.raises(hw.ProgramError, match="input B") as caught:

        @hw.program
        def unannotated(A: hw.Matrix["n", "d"], B):
            return A @ B

    assert "hw.Matrix" in caught.value.fix and caught.value.where.file == __file__


def test_star_arguments_are_named() -> None:
    with pytest.raises(hw.ProgramError, match=r"\*rest"):

        @hw.program
        def starred(A: hw.Matrix["n", "d"], *rest):
            return A


@pytest.mark.parametrize(
    "build",
    [
        lambda: hw.Matrix["n"],
        lambda: hw.Vector["n", "d"],
        lambda: hw.Matrix["n", 0],
        lambda: hw.Vector["not a name"],
        lambda: hw.Matrix["n", 2.5],
    ],
)
def test_annotations_that_are_no_dimensions_are_refused(build) -> None:
    with pytest.raises(hw.ProgramError):
        build()


def test_an_architecture_without_a_lowering_is_refused() -> None:
    for arch in (
        hw.Architecture("soft", attention="soft"),
        hw.Architecture("scaled", scale=0.5),
        hw.Architecture("over k", scale="1/k"),
        hw.Architecture("masked", key_mask="k"),
        hw.Architecture("gated", ffn="glu"),
        hw.Architecture("causal", causal=True),
    ):
        with pytest.raises(hw.ArchitectureError, match=arch.name) as caught:
            hw.compile(regression, dims=DIMS, steps=1, arch=arch)
        assert caught.value.fix


def test_a_broken_spectral_bound_names_the_value_the_line_and_the_fix() -> None:
    @hw.program
    def bounded(A: hw.Matrix["n", "d"], *, alpha):
        S = A.T @ A
        hw.spectrum(S, within=(0, 2 / alpha), fix="take a smaller alpha")
        return alpha * S

    model = hw.compile(bounded, dims={"n": 2, "d": 2}, alpha=0.5)
    assert np.array_equal(model(A=np.eye(2)), 0.5 * np.eye(2))
    with pytest.raises(hw.AssumptionError) as caught:
        model(A=2.1 * np.eye(2))
    assert "S" in caught.value.what and "4.41" in caught.value.what and "4" in caught.value.what
    assert caught.value.fix == "take a smaller alpha" and "hw.spectrum" in caught.value.where.code
    with pytest.raises(hw.AssumptionError):
        model(A=np.stack([np.eye(2), 3 * np.eye(2)]))  # in one element of a batch


def test_values_of_two_programs_do_not_mix() -> None:
    kept = []

    @hw.program
    def first(A: hw.Matrix["d", "d"]):
        kept.append(A)
        return A

    @hw.program
    def second(B: hw.Matrix["d", "d"]):
        return B @ kept[0]

    hw.compile(first, dims={"d": 2})
    with pytest.raises(hw.ProgramError, match="another program"):
        hw.compile(second, dims={"d": 2})


def test_reference_checks_names_and_shapes_too() -> None:
    with pytest.raises(hw.InputError, match="missing input y"):
        regression.reference(A=np.ones((4, 3)), q=np.ones(3), steps=1)
    with pytest.raises(hw.InputError, match="dimension n"):
        regression.reference(A=np.ones((4, 3)), y=np.ones(5), q=np.ones(3), steps=1)
    with pytest.raises(hw.CompileError, match="unknown constant z"):
        regression.reference(**good(), steps=1, z=3)
