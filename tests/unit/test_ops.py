"""The table of operations is complete: every record has a meaning, a shape rule, a printed form and a fate."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import headwright as hw
from headwright.compiler.graph import check_graph, describe_graph, evaluate, live_nodes
from headwright.compiler.ops import EXACT, FLOAT64, OPS

B = np.array([[1, 2], [3, 4]])


MADE_BY_LOWERING = {"units"}  # no program line makes them
TRACED = [name for name in OPS if name not in MADE_BY_LOWERING]


def using(name: str) -> hw.Program:
    """A program whose output needs the operation."""
    bodies = {
        "input": lambda A, v, s: A,
        "constant": lambda A, v, s: A @ B,
        "eye": lambda A, v, s: A + hw.eye("d"),
        "zeros": lambda A, v, s: {"z": hw.zeros("d")},
        "ones": lambda A, v, s: A @ hw.ones("d"),
        "add": lambda A, v, s: A + A.T,
        "scale": lambda A, v, s: 3 * A,
        "transpose": lambda A, v, s: A.T,
        "matmul": lambda A, v, s: A @ A,
        "spread": lambda A, v, s: s * A,
        "vstack": lambda A, v, s: hw.vstack(A, A),
        "top": lambda A, v, s: hw.vstack(A, A)[:2],
        "bottom": lambda A, v, s: hw.vstack(A, A)[2:],
        "hadamard": lambda A, v, s: v * v,
        "diag": lambda A, v, s: hw.diag(v),
        "pointwise": lambda A, v, s: hw.relu(v),
        "rowscale": lambda A, v, s: hw.diag(v) @ A,
    }

    def uses(A: hw.Matrix["d", "d"], v: hw.Vector["d"], s: hw.Scalar):
        return bodies[name](A, v, s)

    assert {*bodies, *MADE_BY_LOWERING} == set(OPS), "an operation without an example in this test"
    return hw.program(uses)


INPUTS = {"A": np.array([[1.0, -2.0], [0.5, 3.0]]), "v": np.array([2.0, -1.0]), "s": np.array(4.0)}
TWO_D = {"A": INPUTS["A"], "v": INPUTS["v"][:, None], "s": INPUTS["s"][None, None]}


@pytest.mark.parametrize("name", TRACED)
def test_every_operation_has_a_shape_rule_a_meaning_and_a_printed_form(name: str) -> None:
    program = using(name)
    graph = program.trace({"d": 2}, {})
    check_graph(graph)
    (node,) = (graph.nodes[i] for i in live_nodes(graph) if graph.nodes[i].op == name)
    assert OPS[name].show([f"x{i}" for i in range(len(node.args))], node)
    assert name in ("input", "constant") or name in OPS[name].name
    (value,) = evaluate(graph, TWO_D, FLOAT64).values()
    want = program.reference(**INPUTS)
    want = np.asarray(want["z"] if isinstance(want, dict) else want)
    assert np.array_equal(np.squeeze(value), np.squeeze(want))
    returned = graph.outputs[0].node
    assert describe_graph(graph).endswith(graph.labels.get(returned, f"%{returned}"))


@pytest.mark.parametrize("name", TRACED)
def test_every_operation_is_lowered_and_proved_or_refused_by_name(name: str) -> None:
    program = using(name)
    positionwise = OPS[name].role == "positionwise"
    if positionwise:
        with pytest.raises(hw.ArchitectureError) as caught:
            hw.compile(program, dims={"d": 2}, arch=hw.LINEAR_ATTENTION)
        assert "v" in caught.value.what and "feed-forward" in caught.value.what
        assert caught.value.fix and caught.value.rule and caught.value.where.file == __file__
    model = hw.compile(program, dims={"d": 2})
    certificate = hw.verify(model)
    assert certificate.all_proved
    inputs = {n: value / 4 for n, value in INPUTS.items()}  # entries within [−1, 1], as is assumed of unbounded inputs
    got, want = model(**inputs), program.reference(**inputs)
    if isinstance(want, dict):
        got, want = got["z"], want["z"]
    error = 0.0 if model.artifact.lowered is None else model.artifact.lowered.errors["output"]
    assert np.abs(got - want).max() <= error + 1e-15


def test_a_sum_of_units_means_the_same_in_the_graph_and_in_exact_arithmetic() -> None:
    graph = hw.compile(using("pointwise"), dims={"d": 2}).artifact.graph
    (value,) = evaluate(graph, {"A": B, "v": np.array([[2], [-1]], dtype=object), "s": None}, EXACT).values()
    assert value.tolist() == [[2], [0]]
    assert "units" in {node.op for node in graph.nodes}


def test_roles_are_the_documented_ones() -> None:
    assert {op.role for op in OPS.values()} == {"leaf", "linear", "product", "positionwise", "units", "tokens"}


@pytest.mark.parametrize("name", ["relu", "sigmoid", "sqrt", "reciprocal", "exp", "tanh", "square"])
def test_every_named_scalar_function_is_public_and_refused_by_attention_alone(name: str) -> None:
    function = getattr(hw, name)

    @hw.program
    def entrywise(v: hw.Vector["d"]):
        return function(v)

    with pytest.raises(hw.ArchitectureError, match=rf"{name}\(v\)"):
        hw.compile(entrywise, dims={"d": 2}, arch=hw.LINEAR_ATTENTION)


def test_exact_evaluation_keeps_rationals() -> None:
    @hw.program
    def third(A: hw.Matrix["d", "d"]):
        return Fraction(1, 3) * A @ A

    graph = third.trace({"d": 2}, {})
    A = np.array([[1, 2], [3, 5]], dtype=object)
    (value,) = evaluate(graph, {"A": A}, EXACT).values()
    assert (value * 3 == A.dot(A)).all()
    assert value[0, 0] == Fraction(7, 3)
