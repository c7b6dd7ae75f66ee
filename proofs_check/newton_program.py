"""Whether a program is T damped Newton steps of stated forms: what a theory of the steps says is said of this program.

The functions σ, √(p(1 − p)) and η are taken as they are written (and compared, by sympy, with what they have to be); their
values are random numbers here, one for each argument. Then the program and the steps have to be the same polynomials in the
data: both are evaluated at a random point modulo 2^61 − 1, at the program's sizes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from ..compiler.graph import Graph, evaluate
from .certificate import Proved, Refuted, Unknown, Verdict
from .modular import MODULAR, PRIME, residue
from .newton_steps import StepForm

Values = dict[tuple[str, int], int]


def check_program(graph: Graph, mu: Fraction, forms: Sequence[StepForm], from_zero: bool) -> Verdict:
    """Whether the output w of the program is x_T, x_{t+1} = x_t − η(λ²) q(H − μ) g with the q, p and η of every form.

    from_zero: x_0 = 0, where σ and √(p(1 − p)) are ½; otherwise x_0 is the input x0.
    """
    strange = _strange(graph, mu)
    if strange:
        return Unknown(strange)
    outputs = {output.name: output.node for output in graph.outputs}
    shapes = {spec.name: tuple(graph.sizes[str(dim)] for dim in spec.shape) for spec in graph.inputs}
    needed = {"A", "y"} if from_zero else {"A", "y", "x0"}
    if "w" not in outputs or not needed <= shapes.keys():
        return Refuted(f"the program takes {', '.join(shapes)} and returns {', '.join(outputs)}: expected A, y and w")
    rng = random.Random(0)
    drawn = {}
    for name, shape in shapes.items():
        drawn[name] = _matrix([rng.randrange(PRIME) for _ in range(int(np.prod(shape)))], shape)
    values: Values = {}

    def function(name: str, argument: np.ndarray) -> np.ndarray:
        keys = [(name, int(z)) for z in argument.ravel()]
        return _matrix([values.setdefault(key, rng.randrange(PRIME)) for key in keys], argument.shape)

    found = _run(graph, {name: value.astype(np.uint64) for name, value in drawn.items()}, outputs["w"], function)
    x = drawn["A"][:1].T * 0 if from_zero else drawn["x0"]
    for t, form in enumerate(forms):
        x = _step(drawn["A"], drawn["y"], x, mu, form, function, at_zero=from_zero and t == 0)
    if not np.array_equal(found, x):
        (i, *_) = np.argwhere((found != x).any(axis=1)).ravel()
        return Refuted(f"w[{i}] is not that of {len(forms)} such steps at a random point modulo 2^61 − 1")
    return Proved(f"the program makes these {len(forms)} steps, at a random point modulo 2^61 − 1, for any σ and η")


def _strange(graph: Graph, mu: Fraction) -> str | None:
    """A function that is none of the three; None where there is none."""
    z = sympy.Symbol("z", real=True)
    root = 2 * sympy.sqrt(sympy.Rational(mu.numerator, mu.denominator))
    known = {
        "sigma": 1 / (1 + sympy.exp(-z)),
        "spread": 1 / (sympy.exp(z / 2) + sympy.exp(-z / 2)),
        "eta": root / (root + sympy.sqrt(sympy.Abs(z))),
    }
    for node in graph.nodes:
        if node.op == "pointwise":
            name, expression = node.attr.function.name, node.attr.function.expression
            (symbol,) = expression.free_symbols or {z}
            if name not in known or sympy.simplify(expression.subs(symbol, z) - known[name]) != 0:
                return f"{name}(z) = {expression} is no function of a damped Newton step"
    return None


def _run(graph: Graph, inputs: dict[str, Any], wanted: int, function: Callable[[str, np.ndarray], np.ndarray]) -> np.ndarray:
    """The value of a node, with `function` for the values of functions."""
    nodes, given = list(graph.nodes), dict(inputs)
    for index, node in enumerate(graph.nodes[: wanted + 1]):
        if node.op == "pointwise":
            (arg,) = node.args
            argument = evaluate(replace(graph, nodes=tuple(nodes)), given, MODULAR, [arg])[arg]
            given[f"value {index}"] = function(node.attr.function.name, np.asarray(argument)).astype(np.uint64)
            nodes[index] = replace(node, op="input", args=(), attr=f"value {index}")
    found = evaluate(replace(graph, nodes=tuple(nodes)), given, MODULAR, [wanted])[wanted]
    return np.asarray(found).astype(object)


def _step(
    A: np.ndarray,
    y: np.ndarray,
    x: np.ndarray,
    mu: Fraction,
    form: StepForm,
    function: Callable[[str, np.ndarray], np.ndarray],
    at_zero: bool,
) -> np.ndarray:
    """One step, as it is written in the paper, in integers modulo the prime."""
    per_example, ridge, half = pow(len(A), -1, PRIME), residue(mu), pow(2, -1, PRIME)
    z = A.dot(x) % PRIME
    sigma, spread = (z * 0 + half if at_zero else function(name, z) for name in ("sigma", "spread"))
    g = (A.T.dot(sigma - (1 + y) * half) * per_example + ridge * x) % PRIME
    U = spread * A % PRIME

    def curvature(v: np.ndarray) -> np.ndarray:  # (H − μ) v
        return np.asarray(U.T.dot(U.dot(v) % PRIME) * per_example % PRIME)

    def polynomial(coefficients: Sequence[Fraction], v: np.ndarray) -> np.ndarray:
        total = v * 0
        for c in reversed(coefficients):
            total = (curvature(total) + residue(c) * v) % PRIME
        return total

    v = polynomial(form.solve, g)
    for _ in range(form.corrections):
        v = (v + polynomial(form.solve, g - curvature(v) - ridge * v)) % PRIME
    if form.factor is not None:
        return np.asarray((x - residue(form.factor) * v) % PRIME)
    meets = v if form.corrections else polynomial(form.decrement, g)
    return np.asarray((x - function("eta", g.T.dot(meets) % PRIME) * v) % PRIME)


def _matrix(numbers: list[int], shape: tuple[int, ...]) -> np.ndarray:
    return np.array(numbers, dtype=object).reshape(shape if len(shape) == 2 else (*shape, 1))
