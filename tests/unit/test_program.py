"""The language: tracing, folding, shapes, constants, scalars, and the numpy meaning of a program."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import headwright as hw
from headwright.compiler.graph import Graph, evaluate, live_nodes
from headwright.compiler.ops import EXACT

INTEGERS = np.random.default_rng(3)
C = np.array([[1, -2, 0], [3, 1, 4]])


def ints(*shape: int) -> np.ndarray:
    return np.array(INTEGERS.integers(-4, 5, shape).tolist(), dtype=object).reshape(shape)


def ops_of(graph: Graph) -> list[str]:
    return [graph.nodes[i].op for i in live_nodes(graph)]


@hw.program
def folded(A: hw.Matrix["d", "d"]):
    Z = hw.zeros("d", "d")
    I = hw.eye("d")
    return {
        "same": ((A + Z) @ I).T.T,
        "nothing": 0 * A + Z @ A,
        "scaled": 2 * (3 * A) / 6,
    }


def test_tracing_folds_zeros_identities_double_transposes_and_scalars() -> None:
    graph = folded.trace({"d": 3}, {})
    nodes = {o.name: graph.nodes[o.node] for o in graph.outputs}
    assert nodes["same"].op == nodes["scaled"].op == "input"
    assert nodes["nothing"].op == "zeros"


def test_equal_expressions_are_one_node_and_unused_ones_are_dead() -> None:
    @hw.program
    def shared(A: hw.Matrix["d", "d"]):
        unused = A @ A @ A  # noqa: F841
        return A.T @ A + A.T @ A

    graph = shared.trace({"d": 2}, {})
    assert ops_of(graph).count("matmul") == 1


def test_sums_and_products_of_compile_time_arrays_are_computed_at_compile_time() -> None:
    @hw.program
    def constants(v: hw.Vector["n"], *, B):
        P = hw.zeros("n", "n") + B  # traced from here on
        return (P @ P.T + P) @ v

    B = np.array([[1, 2], [3, 5]])
    graph = constants.trace({"n": 2}, {"B": B})
    assert sorted(ops_of(graph)) == ["constant", "input", "matmul"]
    (array,) = (graph.nodes[i].attr.array() for i in live_nodes(graph) if graph.nodes[i].op == "constant")
    assert (array == B @ B.T + B).all()


def test_a_matrix_times_a_computed_scalar_is_refused_with_a_way_out() -> None:
    @hw.program
    def rescaled(A: hw.Matrix["d", "d"], q: hw.Vector["d"]):
        return (q @ q) * A

    with pytest.raises(hw.ArchitectureError, match="computed scalar") as caught:
        hw.compile(rescaled, dims={"d": 2})
    assert caught.value.where.code == "return (q @ q) * A" and caught.value.fix


PROGRAMS = {}


def case(dims: dict[str, int], **constants: object):
    def keep(fn: object) -> object:
        PROGRAMS[fn.__name__] = (hw.program(fn), dims, constants)
        return fn

    return keep


@case({"n": 4, "d": 3})
def vectors_follow_numpy(A: hw.Matrix["n", "d"], y: hw.Vector["n"], q: hw.Vector["d"]):
    return {"row": y @ A, "column": A @ q, "number": y @ A @ q, "square": q @ q, "outer": hw.outer(y, q), "t": q.T @ q}


@case({"n": 4, "d": 3})
def scalars_broadcast(A: hw.Matrix["n", "d"], q: hw.Vector["d"], s: hw.Scalar, t: hw.Scalar):
    return {
        "matrix": s * A,
        "vector": q * s,
        "number": s * t * s,
        "sum": s + t - 1,
        "shift": q + s,
        "minus": 2 - A,
        "fill": A + t,
    }


@case({"n": 4, "d": 3})
def filled_values(A: hw.Matrix["n", "d"], s: hw.Scalar):
    n, d = hw.dim("n"), hw.dim("d")
    return {
        "mean": hw.ones("n") @ A / n,
        "all": hw.ones("n", "d") + A,
        "trace_of_ones": hw.ones("d") @ hw.ones("d") * s,
        "zero": hw.zeros("n") @ A,
        "scaled": n * d * hw.eye("d") @ A.T,
        "only_zeros": hw.zeros("n", "d"),
        "only_eye": hw.eye("n"),
    }


@case({"d": 3}, B=C, w=np.array([1, 0, -3]), third=Fraction(1, 3), half=0.5, flag=True, f=lambda x: x + x)
def compile_time_constants(x: hw.Vector["d"], M: hw.Matrix["d", "d"], *, B, w, third, half, flag, f, power=2):
    y = B @ x if flag else x
    return {
        "image": y, "dot": w @ x, "plus": x + w, "entrywise": w * x, "third": third * x, "half": half * x,
        "f": f(x), "power": M @ M if power == 2 else M, "left": B.T @ B @ M, "diagonal": hw.diag(w) @ x, "minus": w - x,
        "list": x + [1, 2, 3],  # noqa: RUF005
    }  # fmt: skip


@case({"d": 1, "n": 1})
def everything_has_size_one(A: hw.Matrix["n", "d"], q: hw.Vector["d"], s: hw.Scalar):
    return {"a": A.T @ A @ q, "b": s * (q @ A.T), "c": (q @ q) * (A @ q)}


@case({"n": 2, "d": 5})
def fewer_rows_than_columns(A: hw.Matrix["n", "d"], y: hw.Vector["n"]):
    S = A.T @ A
    return {"S": S, "SS": S @ S, "Aty": A.T @ y, "K": A @ A.T}


@case({"d": 3})
def fixed_sizes_mix_with_names(A: hw.Matrix["d", 2], B: hw.Matrix[2, "d"], v: hw.Vector[2]):
    return {"AB": A @ B, "BA": B @ A, "Av": A @ v, "vB": v @ B, "I": hw.eye(2) @ B}


@case({"d": 3})
def outputs_that_are_inputs(A: hw.Matrix["d", "d"], v: hw.Vector["d"], s: hw.Scalar):
    return {"A": A, "At": A.T, "v": v, "s": s, "again": A}


@case({"d": 3}, steps=3)
def loops_and_helpers(A: hw.Matrix["d", "d"], v: hw.Vector["d"], *, steps):
    def step(x):
        return x - A @ x

    trace = []
    for _ in range(steps):
        v = step(v)
        trace.append(v)
    return {"last": v, "sum": sum(trace)}


@pytest.mark.parametrize("name", PROGRAMS)
def test_graph_weights_and_reference_agree_exactly(name: str) -> None:
    program, dims, constants = PROGRAMS[name]
    inputs = {n: ints(*(d if isinstance(d, int) else dims[d] for d in shape)) for n, shape in program.inputs.items()}
    want = program.reference(**inputs, **constants)
    graph = program.trace(dims, constants)
    two_d = {n: a.reshape(a.shape + (1,) * (2 - a.ndim)) for n, a in inputs.items()}
    values = evaluate(graph, two_d, EXACT)
    model = hw.compile(program, dims=dims, **constants)
    exact, floats = model.exact.run(**inputs), model(**{n: a.astype(float) for n, a in inputs.items()})
    for output in graph.outputs:
        expected = np.asarray(want[output.name])
        assert np.asarray(floats[output.name]).shape == expected.shape == np.asarray(exact[output.name]).shape
        assert (np.asarray(exact[output.name]) == expected).all(), output.name
        assert (values[output.node].reshape(expected.shape) == expected).all(), output.name
        assert np.array_equal(np.asarray(floats[output.name]), expected.astype(float)) or output.name == "third"
    assert hw.verify(model)["identity"] == hw.Proved(hw.verify(model)["identity"].how)


def test_a_third_is_exact_until_the_cast_to_floats() -> None:
    program, dims, constants = PROGRAMS["compile_time_constants"]
    model = hw.compile(program, dims=dims, **constants)
    x = np.array([1, 2, 4], dtype=object)
    assert list(model.exact.run(x=x, M=ints(3, 3))["third"]) == [Fraction(1, 3), Fraction(2, 3), Fraction(4, 3)]
    assert 0 < model.rounding <= 2.0**-53


def test_a_single_output_is_returned_bare_with_its_own_shape() -> None:
    @hw.program
    def scalar(v: hw.Vector["d"], s: hw.Scalar):
        return s * (v @ v)

    model = hw.compile(scalar, dims={"d": 2})
    out = model(v=np.array([1.0, 2.0]), s=3.0)
    assert np.shape(out) == () and out == 15.0
    assert model(v=np.array([1.0, 2.0]), s=np.array(3.0)) == model(v=[1, 2], s=3) == 15.0
    assert model.exact.run(v=[1, 2], s=3) == 15
    assert scalar.reference(v=[1, 2], s=3) == 15.0


def test_reference_takes_batches_and_keeps_integers_exact() -> None:
    program = PROGRAMS["vectors_follow_numpy"][0]
    A, y, q = np.ones((5, 4, 3)), np.ones((4,)), np.ones((5, 3))
    out = program.reference(A=A, y=y, q=q)
    assert out["number"].shape == (5,) and out["outer"].shape == (5, 4, 3)
    big = 10**40
    assert program.reference(A=ints(4, 3), y=ints(4), q=np.array([big, 0, 0], dtype=object))["square"] == big * big


def test_a_program_may_call_another() -> None:
    @hw.program
    def gram(A: hw.Matrix["n", "d"]):
        return A.T @ A

    @hw.program
    def twice(A: hw.Matrix["n", "d"]):
        return gram(A) @ gram(A)

    model = hw.compile(twice, dims={"n": 3, "d": 2})
    A = ints(3, 2)
    assert (model.exact.run(A=A) == A.T.dot(A).dot(A.T).dot(A)).all()


def test_functions_of_the_language_work_on_plain_arrays_too() -> None:
    u, v = np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0])
    assert np.array_equal(hw.outer(u, v), np.outer(u, v))
    assert np.array_equal(hw.diag(u), np.diag(u))
    assert hw.symmetric(u) is u
    assert hw.square(3.0) == 9.0


def test_labels_follow_the_users_variables_through_the_layers() -> None:
    @hw.program
    def named(A: hw.Matrix["n", "d"], y: hw.Vector["n"]):
        S = A.T @ A
        w = A.T @ y
        for _ in range(2):
            w = w - S @ w
        return w

    model = hw.compile(named, dims={"n": 4, "d": 2})
    assert len(model.rows) == model.depth + 1
    names = {label for boundary in model.rows for label in boundary}
    assert (
        any(n.startswith("A") for n in names)
        and any(n.startswith("S") for n in names)
        and any(n.startswith("w") for n in names)
    )
    inputs = {"A": ints(4, 2), "y": ints(4)}
    for boundary in model.rows:
        taken = sorted(r for rows in boundary.values() for r in rows)
        assert len(taken) == len(set(taken)), "two live names share a row"
        assert not taken or (taken[0] >= 0 and taken[-1] < model.d_model)
    H0 = model.encode(**{n: a.astype(float) for n, a in inputs.items()})
    assert any(
        np.array_equal(H0[rows.start : rows.stop, :4], inputs["A"].T.astype(float))
        for label, rows in model.rows[0].items()
        if label.startswith("A")
    )


def test_every_label_holds_its_value_after_its_layer(integers_for) -> None:
    program, dims, constants = PROGRAMS["loops_and_helpers"]
    model = hw.compile(program, dims=dims, **constants)
    inputs = integers_for(model)
    graph = model.artifact.graph
    two_d = {n: a.reshape(a.shape + (1,) * (2 - a.ndim)) for n, a in inputs.items()}
    H = model.encode(**{n: a.astype(float) for n, a in inputs.items()})
    checked = 0
    for number, layer in enumerate(model.layers, start=1):
        H = H + sum((h.W_V @ H) @ (h.W_K @ H).T @ (h.W_Q @ H) for h in layer.heads)
        for hint in model.artifact.hints:
            if hint.boundary == number and hint.node is not None:
                (want,) = evaluate(graph, two_d, EXACT, [hint.node]).values()
                want = want.T if hint.flipped else want
                assert np.array_equal(H[hint.row : hint.row + want.shape[0], : want.shape[1]], want.astype(float))
                checked += 1
    assert checked >= 3


def test_keyword_defaults_are_compile_time_constants() -> None:
    @hw.program
    def default(v: hw.Vector["d"], *, factor=2):
        return factor * v

    assert np.array_equal(hw.compile(default, dims={"d": 2})(v=[1.0, 2.0]), [2.0, 4.0])
    assert np.array_equal(hw.compile(default, dims={"d": 2}, factor=3)(v=[1.0, 2.0]), [3.0, 6.0])
