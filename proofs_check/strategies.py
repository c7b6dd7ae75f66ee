"""Hypothesis strategies for programs, sizes and data: for our tests and for yours.

from headwright.proofs_check import strategies as hws

@given(hws.cases())
def test_my_pass(case):
    model = hw.compile(case.program, dims=case.sizes)
    assert (model.exact.run(**case.inputs) == …)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st

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


def from_source(source: str) -> Program:
    """A program with the inputs of `INPUTS` and the given body."""
    signature = ", ".join(f"{name}: {_annotation(dims)}" for name, dims in INPUTS.items())
    text = f"def random_program({signature}):\n" + "\n".join(f"    {line}" for line in source.splitlines())
    scope: dict[str, Any] = {"hw": lang, "Fraction": Fraction}
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
