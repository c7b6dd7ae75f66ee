"""Hypothesis strategies for programs, sizes and data: for our tests and for yours.

from headwright.proofs_check import strategies as hws

@given(hws.cases())
def test_my_pass(case):
    model = hw.compile(case.program, dims=case.sizes)
    assert (model.exact.run(**case.inputs) == …)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ..compiler import functions, statements
from ..compiler import program as lang
from ..compiler.program import Program


@dataclass(frozen=True)
class Case:
    """A random program with sizes for its dimensions and integer inputs."""

    program: Program
    source: str
    sizes: dict[str, int]
    inputs: dict[str, np.ndarray]


#: The inputs that random programs may use: name → dimensions.
INPUTS: dict[str, tuple[str, ...]] = {
    "A": ("n", "d"),
    "B": ("n", "d"),
    "M": ("d", "d"),
    "R": ("d", "k"),
    "y": ("n",),
    "u": ("d",),
    "s": (),
}

_Typed = tuple[str, tuple[str, ...], int]  # (expression, dimensions, degree)


def sizes() -> st.SearchStrategy[dict[str, int]]:
    """Sizes for n, d and k, with n < d, 1 and equal sizes among them."""
    return st.fixed_dictionaries({"n": st.integers(1, 5), "d": st.integers(1, 4), "k": st.integers(1, 3)})


def integers(shape: tuple[int, ...], bound: int = 2) -> st.SearchStrategy[np.ndarray]:
    """Integer arrays with entries in [-bound, bound], as object arrays; zero and rank-deficient ones included."""
    count = int(np.prod(shape))
    flat = st.lists(st.integers(-bound, bound), min_size=count, max_size=count)
    return st.one_of(flat, st.just([0] * count), st.just([1] * count)).map(lambda v: np.array(v, dtype=object).reshape(shape))


@st.composite
def sources(draw: Callable[..., Any], max_degree: int = 9, max_steps: int = 8, max_outputs: int = 3) -> str:
    """The body of a random program: assignments that build on each other, then a return of named outputs."""
    pool: list[_Typed] = [(name, dims, 1) for name, dims in INPUTS.items()]
    pool += [('hw.eye("d")', ("d", "d"), 0), ('hw.ones("n")', ("n",), 0)]
    lines: list[str] = []
    for step in range(draw(st.integers(1, max_steps))):
        expression = draw(_expression(pool, max_degree))
        name = f"t{step}"
        lines.append(f"{name} = {expression[0]}")
        pool.append((name, *expression[1:]))
    made = [item for item in pool if item[0].startswith("t")]
    chosen = draw(st.lists(st.sampled_from(made), min_size=1, max_size=max_outputs, unique=True))
    lines.append("return {" + ", ".join(f'"{item[0]}": {item[0]}' for item in chosen) + "}")
    return "\n".join(lines)


@st.composite
def _expression(draw: Callable[..., Any], pool: list[_Typed], max_degree: int) -> _Typed:
    left = draw(st.sampled_from(pool))
    if len(left[1]) == 2 and draw(st.booleans()):
        left = (f"{left[0]}.T", left[1][::-1], left[2])
    factor = draw(st.sampled_from(["", "", "2 * ", "-1 * ", "Fraction(1, 2) * ", "-3 * "]))
    kind = draw(st.sampled_from(["matmul", "matmul", "matmul", "add", "subtract", "scale"]))
    if kind == "matmul" and left[1]:
        options = [r for r in _with_transposes(pool) if r[1] and r[1][0] == left[1][-1] and r[2] + left[2] <= max_degree]
        if options:
            right = draw(st.sampled_from(options))
            return (f"{factor}({left[0]} @ {right[0]})", left[1][:-1] + right[1][1:], left[2] + right[2])
    if kind in ("add", "subtract"):
        options = [r for r in _with_transposes(pool) if r[1] == left[1]]
        right = draw(st.sampled_from(options))
        return (f"{factor}{left[0]} {'+' if kind == 'add' else '-'} {right[0]}", left[1], max(left[2], right[2]))
    scalars = [r for r in pool if r[1] == () and r[2] + left[2] <= max_degree and (r[0] == "s" or len(left[1]) < 2)]
    if kind == "scale" and scalars:
        scalar = draw(st.sampled_from(scalars))
        return (f"{factor}({scalar[0]} * {left[0]})", left[1], scalar[2] + left[2])
    return (f"{factor or '1 * '}{left[0]}", left[1], left[2])


def _with_transposes(pool: list[_Typed]) -> list[_Typed]:
    return pool + [(f"{e}.T", dims[::-1], degree) for e, dims, degree in pool if len(dims) == 2]


#: What programs write behind `hw.`.
_LANGUAGE = SimpleNamespace(**{**vars(lang), **vars(functions), **vars(statements)})


def from_source(source: str, inputs: Mapping[str, tuple[str, ...]] = INPUTS) -> Program:
    """A program with the given inputs (name → dimensions) and body."""
    signature = ", ".join(f"{name}: {_annotation(dims)}" for name, dims in inputs.items())
    text = f"def random_program({signature}):\n" + "\n".join(f"    {line}" for line in source.splitlines())
    scope: dict[str, Any] = {"hw": _LANGUAGE, "Fraction": Fraction}
    exec(compile(text, "<random program>", "exec"), scope)
    return lang.program(scope["random_program"])


def _annotation(dims: tuple[str, ...]) -> str:
    inside = ", ".join(f'"{dim}"' for dim in dims)
    return f"hw.Matrix[{inside}]" if len(dims) == 2 else f"hw.Vector[{inside}]" if dims else "hw.Scalar"


@st.composite
def cases(draw: Callable[..., Any], max_degree: int = 9, max_steps: int = 8) -> Case:
    """A random program with random sizes and integer data."""
    source = draw(sources(max_degree, max_steps))
    chosen = draw(sizes())
    inputs = {name: draw(integers(tuple(chosen[d] for d in dims))) for name, dims in INPUTS.items()}
    return Case(from_source(source), source, chosen, inputs)


#: The inputs of random programs with functions, all with entries in [−1, 1]; y holds signs.
POSITIONWISE_INPUTS: dict[str, tuple[str, ...]] = {"A": ("n", "d"), "B": ("n", "d"), "v": ("n",), "w": ("d",), "y": ("n",)}

_FUNCTIONS = ("hw.relu", "hw.relu", "hw.sigmoid", "hw.tanh", "hw.square")


@st.composite
def positionwise_sources(draw: Callable[..., Any], max_steps: int = 4, max_outputs: int = 2) -> str:
    """The body of a random program of products, sums, functions, entrywise products, gates by signs and scaled rows."""
    pool = [(name, dims) for name, dims in POSITIONWISE_INPUTS.items() if name != "y"]
    lines = ["hw.signs(y)"]
    for step in range(draw(st.integers(1, max_steps))):
        expression, dims = draw(_positionwise_expression(pool))
        lines.append(f"t{step} = {expression}")
        pool.append((f"t{step}", dims))
    made = [name for name, _ in pool if name.startswith("t")]
    earlier = draw(st.lists(st.sampled_from(made), max_size=max_outputs - 1, unique=True))
    chosen = dict.fromkeys([made[-1], *earlier])
    lines.append("return {" + ", ".join(f'"{name}": {name}' for name in chosen) + "}")
    return "\n".join(lines)


@st.composite
def _positionwise_expression(draw: Callable[..., Any], pool: list[tuple[str, tuple[str, ...]]]) -> tuple[str, tuple[str, ...]]:
    (name, dims), factor = draw(st.sampled_from(pool[-4:])), draw(st.sampled_from(["", "", "-1 * ", "Fraction(1, 2) * "]))
    kinds = ["function", "function", "product", "add", "matmul", "scaled"] + ["gate"] * (dims == ("n",))
    kind = draw(st.sampled_from(kinds))
    alike = [other for other, shape in pool if shape == dims]
    if kind in ("product", "add"):
        sign = "*" if kind == "product" else "+"
        return f"{factor}{name} {sign} {draw(st.sampled_from(alike))}", dims
    if kind == "gate":
        return f"{factor}y * {name}", dims
    if kind == "scaled" and dims == ("n", "d"):
        return f"hw.diag({draw(st.sampled_from([o for o, shape in pool if shape == ('n',)]))}) @ {name}", dims
    if kind == "matmul":
        left = f"{name}.T" if len(dims) == 2 and draw(st.booleans()) else name
        reach = dims[::-1] if left != name else dims
        options = [(o, shape) for o, shape in pool if shape[0] == reach[-1]]
        other, shape = draw(st.sampled_from(options))
        if len(reach) + len(shape) > 2:
            return f"Fraction(1, 2) * {left} @ {other}", reach[:-1] + shape[1:]
    return f"{draw(st.sampled_from(_FUNCTIONS))}({factor}{name})", dims


@st.composite
def positionwise_cases(draw: Callable[..., Any], max_steps: int = 4) -> Case:
    """A random program that needs feed-forward units, with sizes and data in eighths (objects: exact in every arithmetic)."""
    source = draw(positionwise_sources(max_steps))
    chosen = {"n": draw(st.integers(1, 3)), "d": draw(st.integers(1, 3))}
    inputs = {}
    for name, dims in POSITIONWISE_INPUTS.items():
        shape = tuple(chosen[dim] for dim in dims)
        eighths = draw(integers(shape, bound=8))
        inputs[name] = np.where(eighths < 0, -1, 1).astype(object) if name == "y" else eighths * Fraction(1, 8)
    return Case(from_source(source, POSITIONWISE_INPUTS), source, chosen, inputs)
