"""Bad functions, domains, tolerances and data: the error names the user's variable and line, and has a fix."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy

import headwright as hw

NOT_A_RANGE = [
    *((1, 1), (2, 1), (float("nan"), 1), (0, float("inf")), ("a", "b")),
    *(None, (0, 1, 2), 3, (1j, 2), ("0", "1"), (False, True)),
]
NOT_A_TOLERANCE = [0, -1, float("nan"), float("inf"), "small", "1e-2", 1j]


def applied(fn: Any, **options: Any) -> hw.Program:
    options = {"domain": (-1, 1), **options}

    @hw.program
    def applies(v: hw.Vector["n"]):
        return hw.apply(fn, v, **options)  # apply

    return applies


def refused(program: hw.Program, *words: str, **options: Any) -> hw.HeadwrightError:
    with pytest.raises((hw.ProgramError, hw.CompileError)) as caught:
        hw.compile(program, dims={"n": 3}, **options)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert caught.value.fix, message
    assert caught.value.where is not None and caught.value.where.file == __file__, message
    return caught.value


@pytest.mark.parametrize("domain", NOT_A_RANGE, ids=str)
def test_a_domain_that_is_no_interval_is_refused(domain: Any) -> None:
    error = refused(applied(hw.exp, domain=domain), "domain", "exp")
    assert error.where.code.endswith("# apply")


@pytest.mark.parametrize("tol", [*NOT_A_TOLERANCE, True], ids=str)
def test_a_tolerance_that_is_not_positive_is_refused(tol: Any) -> None:
    error = refused(applied(hw.exp, tol=tol), "tolerance of exp", repr(tol), "above 0")
    assert error.where.code.endswith("# apply")


@pytest.mark.parametrize("tol", [*NOT_A_TOLERANCE, True], ids=str)
def test_a_tolerance_of_compile_that_is_not_positive_is_refused(tol: Any) -> None:
    refused(applied(hw.exp), "applies", f"tol is {tol!r}", "above 0", tol=tol)


FUNCTIONS: dict[str, tuple[Any, list[str]]] = {
    "a pole": (lambda z: 1 / (z - Fraction(1, 2)), ["a pole near z = 0.5", "[-1.0, 1.0]", "domain"]),
    "complex values": (lambda z: z**0.5, ["root of a negative number", "near z = -1"]),
    "a logarithm of zero": (np.log, ["log", "a logarithm of a number that is not positive"]),
    "code that cannot be read": (lambda z: float(str(z)), ["<lambda>", "sympy symbol", "ValueError"]),
    "a branch": (lambda z: z if z > 0 else -z, ["<lambda>", "sympy symbol", "TypeError"]),
    "no function": (3j, ["3j", "not callable"]),
    "an unknown name": ("sinus", ["sinus"]),
    "two variables": (lambda z, w: z + w, ["<lambda>"]),
    "a jump": (sympy.sign, ["sign(z) jumps"]),
    "nan": (lambda z: float("nan"), ["<lambda>", "it is nan"]),
    "infinity": (lambda z: float("inf"), ["<lambda>", "it is inf"]),
    "0 · ∞ at an end": (lambda z: (z + 1) ** (z + 1), ["no finite number in floating point", "near z = -1"]),
    "an overflow": (lambda z: sympy.exp(1000 * z), ["no finite number in floating point", "overflow"]),
    "a needle": (lambda z: sympy.exp(-((z - Fraction(1, 7)) ** 2) * 10**16), ["cannot be enclosed tightly", "z = 0.142857"]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_that_cannot_be_bounded_is_refused_with_the_reason(name: str) -> None:
    fn, words = FUNCTIONS[name]
    with pytest.raises((hw.ProgramError, hw.CompileError)) as caught:
        hw.compile(applied(fn), dims={"n": 3})
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert caught.value.fix, message


def test_a_named_function_is_refused_where_it_is_not_defined() -> None:
    @hw.program
    def roots(v: hw.Vector["n"]):
        z = v + v
        return hw.sqrt(z)  # root

    error = refused(roots, "sqrt", "root of a negative number")
    assert error.where.code.endswith("# root")


def test_a_function_with_no_bounded_domain_is_refused_with_the_fix() -> None:
    @hw.program
    def unbounded(v: hw.Vector["n"]):
        square = hw.bounded_function(lambda z: z * z, second_derivative=2, name="my square")
        p = hw.apply(square, v, domain=(-1, 1), tol=0.1)
        return p * v  # product

    error = refused(unbounded, "no bound is known of p", "p * v")
    assert error.where.code.endswith("# product") and "hw.bounded" in error.fix


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, ["states nothing"]),
        ({"within": (1, 0)}, ["empty"]),
        ({"within": (0, float("inf"))}, ["infinite"]),
        ({"within": 3}, ["within=3"]),
        ({"within": "ab"}, ["within='ab'"]),
        ({"rows": -1}, ["empty"]),
        ({"rows": "x"}, ["rows='x'"]),
    ],
)
def test_bounds_that_state_nothing_are_refused(arguments: dict[str, Any], words: list[str]) -> None:
    @hw.program
    def stated(v: hw.Vector["n"]):
        return hw.relu(hw.bounded(v, **arguments))  # bounded

    assert refused(stated, *words).where.code.endswith("# bounded")


@hw.program
def leaves_a_domain(v: hw.Vector["n"]):
    z = 2 * v
    return hw.apply(hw.exp, z, domain=(0, 1), tol=0.1)  # domain


@hw.program
def labels(v: hw.Vector["n"], y: hw.Vector["n"]):
    hw.signs(y)  # signs
    return y * hw.relu(v)


@hw.program
def short_rows(A: hw.Matrix["n", 2], x: hw.Vector[2]):
    hw.bounded(A, rows=1.0, fix="divide A by its largest row norm")  # rows
    return hw.sigmoid(A @ x)


@hw.program
def nothing_stated(u: hw.Vector["n"], v: hw.Vector["n"]):  # inputs
    return u * v


@hw.program
def within(v: hw.Vector["n"]):
    hw.bounded(v, within=(-2, 2))  # within
    return hw.exp(v)


GOOD = np.array([0.1, 0.2, 0.3])
RUN_TIME: dict[str, tuple[hw.Program, dict[str, np.ndarray], list[str], str]] = {
    "a domain": (
        leaves_a_domain, {"v": np.array([0, 0.1, 2])}, ["z reaches 4", "[2]", "within [0, 1]", "domain"], "# domain",
    ),
    "labels 0 and 1": (labels, {"v": GOOD, "y": np.array([0.0, 1, 1])}, ["y reaches 0", "−1 or 1", "2 * y − 1"], "# signs"),
    "long rows": (
        short_rows, {"A": np.array([[0.1, 0.1], [1.0, 1], [0, 0]]), "x": np.ones(2)},
        ["A reaches 1.41421", "row 1", "norm at most 1", "divide A"], "# rows",
    ),
    "nothing stated": (
        nothing_stated, {"u": GOOD, "v": 3 * np.ones(3)}, ["v reaches 3", "within [-1, 1]", "hw.bounded(v"], "# inputs",
    ),
    "a bound": (within, {"v": np.array([0, -2.5, 0])}, ["v reaches -2.5", "within [-2, 2]"], "# within"),
}  # fmt: skip


@pytest.mark.parametrize("name", RUN_TIME)
@pytest.mark.parametrize("batched", [False, True])
def test_data_outside_what_was_proved_are_reported(name: str, batched: bool) -> None:
    program, inputs, words, marker = RUN_TIME[name]
    model = hw.compile(program, dims=dict.fromkeys(program.dimension_names(), 3), tol=0.5)
    if batched:
        inputs = {n: np.stack([0 * v + (n == "y"), v]) for n, v in inputs.items()}
    with pytest.raises(hw.AssumptionError) as caught:
        model(**inputs)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert program.fn.__name__ in message and caught.value.fix
    assert caught.value.where.file == __file__ and marker in caught.value.where.code


def test_data_on_the_ends_of_a_domain_are_taken() -> None:
    model = hw.compile(leaves_a_domain, dims={"n": 2})
    v = np.array([0.0, 0.5])
    assert np.abs(model(v=v) - np.exp(2 * v)).max() <= 0.1
    assert np.abs(model(v=v.astype(np.float32)) - np.exp(2 * v)).max() <= 0.11


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        (lambda v: hw.relu(v), ["relu(v)"]),
        (lambda v: v * v, ["v * v"]),
        (lambda v: hw.diag(v) @ v, ["diag(v)"]),
        (lambda v: 1 / v, ["v"]),
    ],
)
def test_attention_alone_refuses_by_name(formula: Callable, words: list[str]) -> None:
    @hw.program
    def local(v: hw.Vector["n"]):
        return formula(v)

    error = refused(local, *words, "feed-forward", arch=hw.LINEAR_ATTENTION)
    assert isinstance(error, hw.ArchitectureError) and "hw.LINEAR" in error.fix


FALSE_STATEMENTS: dict[str, tuple[Callable, dict[str, Any], str]] = {
    "too small a bound": (math.exp, {"second_derivative": 1}, "second_derivative=1 is stated"),
    "a kink": (abs, {"second_derivative": 1}, "second_derivative=1 is stated"),
    "a jump": (lambda z: float(z > 0), {"second_derivative": 1}, "second_derivative=1 is stated"),
    "not convex": (math.sin, {"second_derivative": 1, "convex": True}, "convex=True is stated"),
    "not concave": (math.exp, {"second_derivative": 3, "convex": False}, "convex=False is stated"),
    "noise": (lambda z: z * z + 1e-3 * math.sin(1e5 * z), {"second_derivative": 2}, "second_derivative=2 is stated"),
}


@pytest.mark.parametrize("name", FALSE_STATEMENTS)
def test_a_statement_that_values_contradict_is_refused(name: str) -> None:
    fn, stated, words = FALSE_STATEMENTS[name]
    refused(applied(hw.bounded_function(fn, **stated)), "is not what is stated of it", words, tol=None)


TRUE_STATEMENTS: dict[str, tuple[Callable, dict[str, Any]]] = {
    "tight": (math.exp, {"second_derivative": math.e}),
    "convex": (math.exp, {"second_derivative": 2.72, "convex": True}),
    "a line": (lambda z: 0.1 * z, {"second_derivative": 0}),
    "a large constant": (lambda z: 1e9 + z, {"second_derivative": 0, "evaluation_error": 2e-7}),
    "noise that is stated": (lambda z: z * z + 1e-3 * math.sin(1e5 * z), {"second_derivative": 2, "evaluation_error": 1e-3}),
    "f′ with a kink": (lambda z: max(z, 0.0) ** 2, {"second_derivative": 2}),
}


@pytest.mark.parametrize("name", TRUE_STATEMENTS)
def test_a_statement_that_is_true_is_accepted_and_its_bound_holds(name: str) -> None:
    fn, stated = TRUE_STATEMENTS[name]
    model = hw.compile(applied(hw.bounded_function(fn, **stated), tol=0.1), dims={"n": 101})
    v = np.linspace(-1, 1, 101)
    error = np.abs(model(v=v) - np.array([fn(float(z)) for z in v])).max()
    assert error <= 0.1 + 1e-6 * (name == "a large constant")


@pytest.mark.parametrize("result", [lambda z: 1 / z, lambda z: "a", lambda z: None, lambda z: 1j, lambda z: float("nan")])
def test_code_that_gives_no_number_on_the_domain_is_refused(result: Callable) -> None:
    refused(applied(hw.bounded_function(result, second_derivative=1), domain=(0, 1)), "<lambda>")


def test_numbers_of_numpy_are_numbers() -> None:
    half = np.float32(0.5)
    model = hw.compile(applied(np.exp2, domain=(np.int64(0), half), tol=half / 8), dims={"n": 2})
    assert np.abs(model(v=np.array([0, 0.5])) - [1, 2**0.5]).max() <= 1 / 16


@pytest.mark.parametrize("fn", [lambda z: 2 * z + 1, lambda z: 3 - z / 4, lambda z: 5, lambda z: abs(z) + 2 * z])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_line_has_no_error_but_rounding(fn: Callable, dtype: Any) -> None:
    model = hw.compile(applied(fn, domain=(-1000, 1000)), dims={"n": 5})
    v = np.array([-1000, -0.1, 0, 0.3, 999.5], dtype=dtype)
    true = np.array([fn(float(z)) for z in v])
    assert np.abs(model(v=v) - true).max() <= 8 * np.finfo(dtype).eps * np.abs(true).max()


def test_a_format_that_cannot_hold_the_tolerance_is_warned_of() -> None:
    model = hw.compile(applied(hw.exp, tol=1e-7), dims={"n": 3})
    v = np.array([-1.0, 0.1, 1.0])
    assert np.abs(model(v=v) - np.exp(v)).max() <= 1e-7 + 1e-14
    with pytest.warns(hw.PrecisionWarning, match=r"units of exp are within 1\.0e-07 .* float32 rounds them by up to .*fix"):
        model(v=v.astype(np.float32))
    hw.compile(applied(hw.exp, tol=1e-5), dims={"n": 3})(v=v.astype(np.float32))  # no warning


@pytest.mark.parametrize("value", [None, "text", 1j, [[1], [2, 3]], object()])
def test_functions_take_numbers_outside_programs(value: Any) -> None:
    said = r"exp is applied to a \w+: expected a traced value, or real numbers"
    for call in (hw.exp, lambda x: hw.apply(np.exp, x, domain=(0, 1))):
        with pytest.raises(hw.ProgramError, match=said) as caught:
            call(value)
        assert caught.value.fix and caught.value.where.file == __file__
    assert hw.relu([1, -2]).tolist() == [1, 0]


def test_a_line_of_numbers_that_floats_round_is_refused_for_less_than_their_rounding() -> None:
    refused(applied(lambda z: sympy.pi * z, tol=1e-18), "tol = 1e-18 is out of reach", "the best proved bound is")


def test_a_power_that_is_too_steep_for_doubles_is_refused_soon() -> None:
    error = refused(applied(lambda z: z**0.1, domain=(0, 1), tol=0.01), "z**0.1", "out of reach", "the best proved bound is")
    assert "steep" in error.rule


def test_a_pole_in_a_range_that_nobody_gave_says_how_to_give_one() -> None:
    @hw.program
    def normalised(x: hw.Vector["d"]):
        return x / (x @ x)

    with pytest.raises(hw.HeadwrightError, match=r"no proved bound for 1/\(x @ x\)") as caught:
        hw.compile(normalised, dims={"d": 3})
    assert "hw.bounded(z, within=(lo, hi))" in (caught.value.fix or "")

    @hw.program
    def bounded(x: hw.Vector["d"]):
        square = x @ x
        hw.bounded(square, within=(0.5, 3))
        return x / square

    model = hw.compile(bounded, dims={"d": 3}, tol=1e-2)
    x = np.array([0.5, -0.3, 0.8])
    assert np.abs(model(x=x) - x / (x @ x)).max() <= 1e-2
