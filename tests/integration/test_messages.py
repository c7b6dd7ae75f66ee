"""Every refusal of the compiler: it names values as the user knows them, says what was expected, and has a fix.

`WRONG` has at least one wrong program for every `raise` of the compiler; a test compares it with the source.
"""

from __future__ import annotations

import ast
import inspect
import math
import re
import traceback
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy
import torch

import headwright as hw

COMPILER = Path(hw.__file__).resolve().parent / "compiler"
SIZES = {"n": 4, "d": 3, "m": 2}
A, B, Q = hw.Matrix["n", "d"], hw.Matrix["n", "d"], hw.Matrix["m", "d"]
S, v, y = hw.Matrix["d", "d"], hw.Vector["d"], hw.Vector["n"]


def made(body: Callable, **inputs: Any) -> hw.Program:
    """A program with these inputs, whose lines are those of `body`."""

    def program(*values: Any) -> Any:
        return body(*values)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    program.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, kind, annotation=annotation) for name, annotation in inputs.items()]
    )
    return hw.program(program)


def wrong(body: Callable, arch: Any = hw.LINEAR, tol: Any = None, optimize: str = "balanced", dims: Any = None, **inputs: Any):
    used = {d for kind in inputs.values() for d in getattr(kind, "dims", ()) if isinstance(d, str)}
    sizes = {name: SIZES[name] for name in sorted(used)} if dims is None else dims
    return lambda: hw.compile(made(body, **inputs), dims=sizes, arch=arch, tol=tol, optimize=optimize)


def apply(fn: Any, domain: Any = (-1, 1), tol: Any = 0.1) -> Callable:
    return lambda v: hw.apply(fn, v, domain=domain, tol=tol)


def apart(A: Any, s: Any, y: Any) -> Any:
    return hw.diag(s) @ A.T * (hw.diag(y) @ A).T


def signed(w: Any, y: Any) -> Any:
    hw.signs(y)
    u = hw.apply(EXP, w, domain=(-1, 1), tol=0.1)
    return u * y


def signed_function(w: Any, y: Any) -> Any:
    hw.signs(y)
    u = hw.apply(EXP, w, domain=(-1, 1), tol=0.1)
    return hw.relu(u * y + hw.ones("n"))


def coarse_scaled(A: Any, y: Any) -> Any:
    hw.bounded(A, rows=1)
    s = hw.apply(hw.exp, y, domain=(-1, 1), tol=0.1)
    return hw.diag(s) @ A


def stack(A: Any, Q: Any) -> Any:
    return hw.vstack(A, Q)


def coarse(v: Any) -> Any:
    return hw.apply(hw.exp, v, domain=(-1, 1), tol=0.1) + v


def exclude(v: Any) -> Any:
    hw.bounded(v, within=(2, 3))
    return hw.apply(hw.exp, v, domain=(-1, 1), tol=0.1)


def computed_scalar(A: Any, v: Any) -> Any:
    return (v @ v) * (A.T @ A)


def huge(A: Any) -> Any:
    return Fraction(2) ** 2000 * A @ A.T


EXP = hw.bounded_function(math.exp, second_derivative=3)
KEPT: dict[str, Any] = {}
WRONG: dict[str, Callable[[], Any]] = {
    # -- operators
    "inner dimensions": wrong(lambda A, Q: (A @ A.T) @ Q, A=A, Q=Q),
    "inner dimensions of a constant": wrong(lambda A: A @ (np.eye(3) * 2) @ np.ones((2, 2)), A=A),
    "@ with a scalar": wrong(lambda A, s: A @ (2 * s), A=A, s=hw.Scalar),
    "sum": wrong(lambda A: A @ A.T + A, A=A),
    "difference of a constant": wrong(lambda A: A - np.ones((2, 2)), A=A),
    "entrywise": wrong(lambda A, Q: (A @ A.T) * Q, A=A, Q=Q),
    "text": wrong(lambda A: A @ "text", A=A),
    "cube": wrong(lambda A: A @ np.ones((2, 2, 2)), A=A),
    "empty array": wrong(lambda A: A @ np.ones((3, 0)), A=A),
    "ragged list": wrong(lambda A: A @ [[1, 2], [3]], A=A),
    "complex array": wrong(lambda A: A @ (1j * np.eye(3)), A=A),
    "complex factor": wrong(lambda A: A * 1j, A=A),
    "infinite factor": wrong(lambda A: A * math.inf, A=A),
    "nan in an array": wrong(lambda A: A @ np.full((3, 3), math.nan), A=A),
    "division by an array": wrong(lambda A: A / np.ones((4, 3)), A=A),
    "division by zero": wrong(lambda A: (A @ A.T) / 0, A=A),
    "value of another program": lambda: (
        hw.compile(made(lambda A: KEPT.setdefault("A", A), A=A), dims={"n": 4, "d": 3}),
        wrong(lambda A: A + KEPT["A"], A=A)(),
    ),
    # -- what traced values are not
    "attribute": wrong(lambda A: A.inverse, A=A),
    "method": wrong(lambda A: (A @ A.T).sum(), A=A),
    "call": wrong(lambda A: A.T(), A=A),
    "index": wrong(lambda A: (2 * A)[0], A=A),
    "branch": wrong(lambda A: A if A @ A.T else -A, A=A),
    "compare": wrong(lambda A: A > 0, A=A),
    "power": wrong(lambda A: A**-1, A=A),
    "root": wrong(lambda A: A**0.5, A=A),
    "exponent": wrong(lambda A: 2**A, A=A),
    "remainder": wrong(lambda A: A % 2, A=A),
    "float": wrong(lambda v: float(v @ v), v=v),
    "int": wrong(lambda v: np.eye(3)[v @ v], v=v),
    "complex": wrong(lambda v: complex(v @ v), v=v),
    "iterate": wrong(lambda A: sum(A), A=A),
    "contains": wrong(lambda A: 3 in A, A=A),
    "length of a scalar": wrong(lambda v: v * len(v @ v), v=v),
    "numpy function": wrong(lambda A: np.sin(A), A=A),
    "numpy array": wrong(lambda A: np.linalg.inv(A.T @ A), A=A),
    "torch function": wrong(lambda A: torch.sin(A), A=A),
    "torch function of a list": wrong(lambda A: torch.stack([A, A]), A=A),
    "format": wrong(lambda A: f"{A:.3f}", A=A),
    "in place": wrong(lambda A: A.__iadd__(A), A=A),
    "assign": wrong(lambda A: A.__setitem__(0, 1), A=A),
    "delete": wrong(lambda A: A.__delitem__(0), A=A),
    # -- functions of hw
    "outer of matrices": wrong(lambda A: hw.outer(A, A), A=A),
    "diag of a matrix": wrong(lambda A: hw.diag(A), A=A),
    "stack of an array": wrong(lambda A: hw.vstack(A, np.ones((2, 3))), A=A),
    "stack of a product": wrong(lambda A: hw.vstack(A, A @ A.T @ A), A=A),
    "stack of other columns": wrong(lambda A: hw.vstack(A, hw.zeros("d", "n")), A=A),
    "unknown dimension": wrong(lambda A: hw.eye("k") @ A, A=A),
    "three dimensions": wrong(lambda A: hw.zeros("n", "d", "d"), A=A),
    "outside a program": lambda: hw.zeros("n"),
    "symmetric of a product": wrong(lambda A: hw.symmetric(A @ A.T @ A), A=A),
    "empty spectrum": wrong(lambda A: hw.spectrum(A.T @ A, within=(2, 1)), A=A),
    "spectrum of text": wrong(lambda A: hw.spectrum(A.T @ A, within="ab"), A=A),
    "bounds of nothing": wrong(lambda A: hw.bounded(A), A=A),
    "bounds of text": wrong(lambda A: hw.bounded(A, within="ab"), A=A),
    "empty bounds": wrong(lambda A: hw.bounded(A, within=(1, 0)), A=A),
    # -- scalar functions
    "domain": wrong(apply(hw.exp, None), v=v),
    "empty domain": wrong(apply(hw.exp, (1, 1)), v=v),
    "tolerance": wrong(apply(hw.exp, tol=-1), v=v),
    "applied to text": lambda: hw.exp("text"),
    "pole": wrong(apply(lambda z: 1 / z), v=v),
    "nearly removable": wrong(apply(lambda z: (sympy.exp(z) - 1 - 1e-9) / z), v=v),
    "too small a tolerance": wrong(apply(hw.exp, tol=1e-30), v=v),
    "z**z": wrong(apply(lambda z: z**z, (0, 1)), v=v),
    "nan": wrong(apply(lambda z: math.nan), v=v),
    "jump": wrong(apply(sympy.sign), v=v),
    "two symbols": wrong(apply(sympy.Symbol("a") * sympy.Symbol("b")), v=v),
    "a free symbol": wrong(apply(lambda z: z * sympy.Symbol("a")), v=v),
    "two arguments": wrong(apply(lambda a, b: a + b), v=v),
    "Lambda of two": wrong(apply(sympy.Lambda((sympy.Symbol("a"), sympy.Symbol("b")), sympy.Symbol("a"))), v=v),
    "no function": wrong(apply(None), v=v),
    "an array": wrong(apply(lambda z: np.ones(2)), v=v),
    "unknown name": wrong(apply("sinus"), v=v),
    "a false statement": wrong(apply(hw.bounded_function(math.exp, second_derivative=1)), v=v),
    "code that fails": wrong(apply(hw.bounded_function(lambda z: 1 / z, second_derivative=1)), v=v),
    "infinite values": wrong(apply(hw.bounded_function(lambda z: math.inf, second_derivative=1)), v=v),
    "too coarse an evaluation": wrong(apply(hw.bounded_function(math.exp, second_derivative=3, evaluation_error=1)), v=v),
    "bounded function of a number": lambda: hw.bounded_function(3, second_derivative=1),
    "negative bound": lambda: hw.bounded_function(math.exp, second_derivative=-1),
    "convex": lambda: hw.bounded_function(math.exp, second_derivative=3, convex="yes"),
    "no domain": wrong(lambda A: hw.exp(hw.apply(hw.bounded_function(abs, second_derivative=0), A, domain=(1, 2))), A=A),
    "unbounded factor": wrong(lambda v: v * hw.apply(EXP, v, domain=(-1, 1)), v=v),
    "unbounded sign": wrong(signed, w=y, y=y),
    "unbounded sign of a function": wrong(signed_function, w=y, y=y),
    "stated bounds exclude each other": wrong(exclude, v=v),
    "no polynomial for gates": wrong(lambda A: hw.sigmoid(2 * A), arch=hw.GATED, A=A),
    "too many pieces of a product": wrong(lambda v, w: (3 * v) * w, tol=1e-13, v=v, w=v),
    # -- tolerances of compile
    "tol of compile": wrong(lambda v: hw.exp(v), tol=0, v=v),
    "a fixed tolerance": wrong(coarse, tol=1e-3, v=v),
    "a fixed tolerance of a factor": wrong(coarse_scaled, tol=1e-3, A=A, y=y),
    "tolerance with an unbounded factor": wrong(
        lambda A, S: (A @ hw.exp(S)) @ hw.apply(EXP, S, domain=(-1, 1)),
        tol=1e-3, A=A, S=S,
    ),
    # -- selection, placement, allocation
    "computed scalar": wrong(computed_scalar, A=A, v=v),
    "computing with queries": wrong(lambda A, Q: 2 * stack(A, Q)[hw.dim("n") :], A=A, Q=Q),
    "rows on other tokens": wrong(apart, A=A, s=v, y=y),
    "a weight too large": wrong(huge, A=A),
    # -- architectures
    "attention alone": wrong(lambda A: hw.relu(A @ A.T), arch=hw.LINEAR_ATTENTION, A=A),
    "softmax": wrong(lambda A: (2 * A) @ A.T, arch=hw.SOFTMAX, A=A),
    "arch": wrong(lambda A: A, arch="linear", A=A),
    "fields of an architecture": wrong(lambda A: A, arch=hw.Architecture("odd", scale="2", ffn="glu"), A=A),
    "dimension of an architecture": wrong(lambda A: A @ A.T, arch=hw.MASKED, A=hw.Matrix["k", "d"], dims={"k": 2, "d": 2}),
    "goal": wrong(lambda A: A, optimize="speed", A=A),
    # -- programs and arguments
    "no dimension": lambda: hw.Vector["not a name"],
    "too many dimensions": lambda: hw.Vector["n", "d"],
    "no annotation": lambda: made(lambda A: A, A=inspect.Parameter.empty),
    "star": lambda: hw.program(lambda *rest: rest),
    "no def": lambda: hw.program(3),
    "unreadable annotation": lambda: hw.program(_unreadable),
    "returns nothing": wrong(lambda A: None, A=A),
    "returns a list": wrong(lambda A: {"out": [A]}, A=A),
    "unknown constant": lambda: hw.compile(made(lambda A: A, A=A), dims={"n": 1, "d": 1}, k=3),
    "missing size": wrong(lambda A: A, dims={"n": 1}, A=A),
    "size zero": wrong(lambda A: A, dims={"n": 1, "d": 0}, A=A),
    "unused size": wrong(lambda A: A, dims={"n": 1, "d": 1, "k": 3}, A=A),
    "missing input": lambda: made(lambda A: A, A=A).reference(),
    "wrong shape": lambda: made(lambda A: A, A=A).reference(A=np.ones(3)),
    "wrong size": lambda: made(lambda A, v: A @ v, A=A, v=v).reference(A=np.ones((2, 3)), v=np.ones(2)),
    "no rows": lambda: made(lambda A: A, A=A).reference(A=np.ones((0, 3))),
}  # fmt: skip


def _unreadable(A: Unknown) -> Any:  # type: ignore[name-defined]
    return A


@cache
def caught(name: str) -> hw.HeadwrightError:
    with pytest.raises(hw.HeadwrightError) as found:
        WRONG[name]()
    return found.value


@pytest.mark.parametrize("name", WRONG)
def test_a_refusal_names_values_and_has_what_was_expected_and_a_fix(name: str) -> None:
    error = caught(name)
    message = str(error)
    assert not re.search(r"%\d", message), message
    assert "matmul" not in message and "hadamard" not in message and "rowscale" not in message, message
    assert error.fix, message
    assert error.rule or re.search("expected|:|got|unknown|no |cannot", error.what), message


OUTSIDE = {"arch", "goal", "fields of an architecture", "dimension of an architecture", "a weight too large", "no def"} | {
    "bounded function of a number", "negative bound", "convex", "tolerance with an unbounded factor", "missing input",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(WRONG.keys() - OUTSIDE))
def test_a_refusal_has_the_line_of_the_program(name: str) -> None:
    where = caught(name).where
    assert where is not None and where.file == __file__, str(caught(name))


NAMES = {
    "inner dimensions": "A @ A.T (n × n)",
    "sum": "A @ A.T (n × n)",
    "entrywise": "A @ A.T (n × n)",
    "@ with a scalar": "2 · s",
    "inner dimensions of a constant": "the constant in line",
    "symmetric of a product": "A @ A.T @ A",
    "computed scalar": "the computed scalar v @ v",
    "attention alone": "relu(A @ A.T)",
    "softmax": "2 · A @ A.T",
    "no polynomial for gates": "sigmoid(2 · A)",
    "rows on other tokens": "diag(s)",
    "unbounded sign": "u",
    "a fixed tolerance": "gives exp(v) a tolerance of its own",
    "a fixed tolerance of a factor": "gives s a tolerance of its own",
    "unbounded sign of a function": "relu(u * y + ones)",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_value_without_a_name_is_shown_as_the_expression_that_makes_it(name: str) -> None:
    assert NAMES[name] in str(caught(name)), str(caught(name))


#: Refusals that no program of this file reaches, and why.
ELSEWHERE = {
    **dict.fromkeys(
        (f"approximate/{name}.py" for name in ("bounded", "enclosure", "fit", "piecewise", "plane", "ridge", "traced")),
        "arguments of `fit` and its kin, which programs do not pass on: tests/unit/test_approximate.py",
    ),
    "tolerances.py": "a tolerance that `compile` refuses first",
    "narrow.py": "a limit on the width: tests/unit/test_narrow.py",
    "select.py": "operations that earlier stages refuse",
    "pointwise.py": "text of damaged model folders: ValueError, translated by the checkpoint",
    "allocate.py": "key masks and stacks: tests/integration/test_architectures.py",
    "options.py": "a candidate that another replaces",
    "pipeline.py": "architectures without linear heads: tests/integration/test_architectures.py",
    "place.py": "key masks: tests/integration/test_architectures.py",
}


def sites() -> dict[str, list[range]]:
    """The lines of every `raise` of one of our errors, by file."""
    found: dict[str, list[range]] = {}
    for path in sorted(COMPILER.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                called = ast.unparse(node.exc.func)
                if called.endswith("Error") and called != "AttributeError" and called != "NotImplementedError":
                    lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                    found.setdefault(str(path.relative_to(COMPILER)), []).append(lines)
    return found


def test_every_refusal_of_the_compiler_has_a_wrong_program() -> None:
    reached: set[tuple[str, int]] = set()
    for name in WRONG:
        error: BaseException | None = caught(name)
        while error is not None:
            for frame in traceback.extract_tb(error.__traceback__):
                path = Path(frame.filename)
                if COMPILER in path.parents:
                    reached.add((str(path.relative_to(COMPILER)), frame.lineno or 0))
            error = error.__cause__ or error.__context__
    missing = [
        f"{file}:{lines.start}"
        for file, raises in sites().items()
        for lines in raises
        if file not in ELSEWHERE and not any((file, line) in reached for line in lines)
    ]
    assert not missing, "\n".join(missing)


def test_a_fit_that_a_sign_is_multiplied_into_says_so() -> None:
    @hw.program
    def weighted(u: hw.Vector["n"], y: hw.Vector["n"]):
        hw.signs(y)
        hw.bounded(u, within=(-1, 1))
        return y * hw.exp(u)

    model = hw.compile(weighted, dims={"n": 3}, tol=1e-2)
    claims = [claim for claim in hw.verify(model).claims if claim.name == "approximation"]
    assert [" of y · exp(u) on [-1, 1]" in claim.statement for claim in claims] == [True]
    assert all(isinstance(claim.verdict, hw.Proved) for claim in claims)
    u, y = np.array([-1.0, 0.3, 1.0]), np.array([-1.0, 1.0, -1.0])
    assert np.abs(model(u=u, y=y) - y * np.exp(u)).max() <= 1e-2


OURS = {name for name in dir(hw) if name.endswith("Error")} | {"ApproximationError"}


@pytest.mark.parametrize("package", ["compiler", "constructions", "proofs_check", "runtime"])
def test_every_error_is_raised_with_a_fix(package: str) -> None:
    without = []
    for path in sorted((COMPILER.parent / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in OURS:
                keywords = {keyword.arg for keyword in node.keywords}
                if not keywords & {"fix", None}:
                    without.append(f"{path.name}:{node.lineno}")
    assert not without, "\n".join(without)
