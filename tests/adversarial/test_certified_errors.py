"""Attempts to be further off than certified. A bound that rests on a range needs that range stated, or checked at each run.

Most of these programs once ran without complaint outside what their bound was proved for.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from time import perf_counter

import numpy as np
import pytest

import headwright as hw
from headwright.compiler.approximate.scalar_function import named as function
from headwright.compiler.carrying import moved, symmetrised
from headwright.compiler.ranges import Size, entrywise, multiplied, size


@hw.program
def product_of_bounded_functions(u: hw.Vector["n"], v: hw.Vector["n"]):
    return hw.tanh(u) * hw.tanh(v)


@hw.program
def error_times_data(B: hw.Matrix["n", "n"], v: hw.Vector["n"]):
    return B @ hw.tanh(v)


@hw.program
def gated_value(A: hw.Matrix["n", "n"], v: hw.Vector["n"], y: hw.Vector["n"]):
    hw.signs(y)
    return y * hw.relu(A @ v)


@hw.program
def gated_saturation(A: hw.Matrix["n", "n"], v: hw.Vector["n"], y: hw.Vector["n"]):
    hw.signs(y)
    return y * hw.sigmoid(A @ v)


@hw.program
def squares(u: hw.Vector["n"], v: hw.Vector["n"]):
    return u * v + hw.square(u)


UNBOUNDED = [product_of_bounded_functions, error_times_data, gated_value, gated_saturation, squares]


@pytest.mark.parametrize("program", UNBOUNDED, ids=lambda p: p.fn.__name__)
@pytest.mark.parametrize("size", [1.0, 1.0001, 50.0])
def test_data_beyond_what_is_assumed_are_reported_or_within_the_bound(program: hw.Program, size: float) -> None:
    """Inputs of which nothing is stated are taken in [−1, 1] where the proof needs it: then that is checked."""
    model = hw.compile(program, dims={"n": 2}, tol=0.05)
    rng = np.random.default_rng(3)
    inputs = {}
    for spec in model.artifact.graph.inputs:
        value = rng.choice([-size, size], (2,) * len(spec.shape))
        inputs[spec.name] = np.sign(value) if spec.name == "y" else value
    try:
        found = model(**inputs)
    except hw.AssumptionError as error:
        assert size > 1 and "[-1, 1]" in str(error) and "hw.bounded" in error.fix
        return
    error = np.abs(found - model.reference(**inputs)).max()
    assert error <= model.artifact.lowered.errors["output"] + 1e-9


def test_a_domain_on_an_input_is_its_range() -> None:
    """It replaces what would be assumed: nothing outside [−1, 1] is refused, and products of the values hold up there."""

    @hw.program
    def wide(u: hw.Vector["n"], v: hw.Vector["n"]):
        p, q = (hw.apply(hw.exp, x, domain=(0, 2), tol=0.05) for x in (u, v))
        return p * q

    model = hw.compile(wide, dims={"n": 2})
    bound = model.artifact.lowered.errors["output"]
    for u, v in ((0.0, 0.0), (2.0, 2.0), (1.9, 0.3)):
        inputs = {"u": np.array([u, v]), "v": np.array([v, u])}
        assert np.abs(model(**inputs) - model.reference(**inputs)).max() <= bound
    with pytest.raises(hw.AssumptionError, match=r"u reaches 2\.5"):
        model(u=np.array([2.5, 0.0]), v=np.ones(2))


def test_a_domain_apart_from_what_is_assumed_is_taken() -> None:
    @hw.program
    def reciprocal(v: hw.Vector["n"]):
        return hw.apply(lambda z: 1 / z, v, domain=(2, 3), tol=1e-3)

    model = hw.compile(reciprocal, dims={"n": 3})
    v = np.array([2.0, 2.5, 3.0])
    assert np.abs(model(v=v) - 1 / v).max() <= 1e-3 and hw.verify(model).all_proved


def test_statements_that_exclude_each_other_are_refused() -> None:
    @hw.program
    def impossible(v: hw.Vector["n"]):
        hw.bounded(v, within=(0, 1))
        return hw.apply(lambda z: 1 / z, v, domain=(2, 3))

    with pytest.raises(hw.ArchitectureError, match="no value of v") as caught:
        hw.compile(impossible, dims={"n": 3})
    assert "domain=(2, 3)" in caught.value.where.code and caught.value.fix


def test_a_domain_holds_for_the_network_own_values_too() -> None:
    """f(ẑ) a in one layer is proved on the domain only, and ẑ is not quite z: each run looks at ẑ as well."""

    @hw.program
    def chained(u: hw.Vector["n"], a: hw.Vector["n"]):
        z = hw.outer(hw.ones("n"), hw.ones("n")) @ hw.apply(lambda t: t**3, u, domain=(-1, 1), tol=0.05)
        return hw.apply(lambda t: 1 / (3 - t), z, domain=(-1, 1), tol=1e-2) * a

    model = hw.compile(chained, dims={"n": 2})
    (fact,) = model.artifact.lowered.inside
    bound = model.artifact.lowered.errors["output"]
    refused = 0
    for top in np.linspace(0.5, 0.81, 63):
        inputs = {"u": np.array([top, top]), "a": np.ones(2)}
        z = 2 * top**3
        try:
            assert np.abs(model(**inputs) - model.reference(**inputs)).max() <= bound
        except hw.AssumptionError as error:
            refused += 1
            assert z > 1 - 0.1 and "domain" in error.fix
            assert fact.where.code == error.where.code
    assert refused


@pytest.mark.parametrize(
    "formula",
    [
        lambda y, v: hw.exp(y),
        lambda y, v: y * y - 1 + 0 * v,
        lambda y, v: hw.sigmoid(y) * y,
        lambda y, v: (1 - y) / 2 * v,
        lambda y, v: hw.relu(-y),
        lambda y, v: hw.exp(y) + hw.exp(-y) * hw.relu(v),
    ],
)
def test_functions_of_signs(formula: Callable) -> None:
    @hw.program
    def of_signs(y: hw.Vector["n"], v: hw.Vector["n"]):
        hw.signs(y)
        return formula(y, v)

    model = hw.compile(of_signs, dims={"n": 4}, tol=1e-2)
    assert hw.verify(model).all_proved
    inputs = {"y": np.array([1.0, -1.0, 1.0, -1.0]), "v": np.array([-1.0, -0.3, 0.4, 1.0])}
    assert np.abs(model(**inputs) - model.reference(**inputs)).max() <= model.artifact.lowered.errors["output"] + 1e-14


def test_signs_that_the_network_has_only_nearly_are_no_exact_gates() -> None:
    @hw.program
    def near_signs(v: hw.Vector["n"], z: hw.Vector["n"]):
        y = hw.tanh(100 * v)
        hw.signs(y)
        return y * hw.sigmoid(z) + y

    model = hw.compile(near_signs, dims={"n": 3}, tol=0.1)
    inputs = {"v": np.array([1.0, -1.0, 0.5]), "z": np.array([1.0, -1.0, 0.0])}
    bound = model.artifact.lowered.errors["output"]
    assert 0 < np.abs(model(**inputs) - model.reference(**inputs)).max() <= bound <= 0.1


def test_corners_far_away_are_kept() -> None:
    @hw.program
    def far(v: hw.Vector["n"]):
        hw.bounded(v, within=(0, 2.0**43))
        return hw.relu(v - 2.0**41 * hw.ones("n"))

    model = hw.compile(far, dims={"n": 2})
    assert np.array_equal(model(v=np.array([2.0**42, 1.0])), [2.0**41, 0.0])


def test_tiny_scales_do_not_vanish() -> None:
    @hw.program
    def tiny(v: hw.Vector["n"]):
        return 1e250 * hw.tanh(1e-300 * v)

    model = hw.compile(tiny, dims={"n": 2})
    v = np.array([1.0, -0.5])
    assert 0 < np.abs(model(v=v) - model.reference(v=v)).max() <= model.artifact.lowered.errors["output"]
    assert hw.verify(model).all_proved


@pytest.mark.parametrize(
    ("formula", "tol"),
    [
        (lambda u, v: u * v, 1e-15),
        (lambda u, v: hw.sigmoid(u) * v, 1e-15),
        (lambda u, v: hw.square(u), 1e-15),
        (lambda u, v: 1e-200 * hw.square(1e150 * u), None),
    ],
)
def test_a_tolerance_out_of_reach_ends_soon_with_the_line(formula: Callable, tol: float | None) -> None:
    @hw.program
    def fine(u: hw.Vector["n"], v: hw.Vector["n"]):
        return formula(u, v)

    begun = perf_counter()
    with pytest.raises(hw.CompileError, match=r"pieces|proved within") as caught:
        hw.compile(fine, dims={"n": 2}, tol=tol)
    assert perf_counter() - begun < 20
    assert caught.value.where is not None and "tolerance" in caught.value.fix


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("optimize", ["balanced", "width"])
def test_scaled_rows_are_read_on_their_own_tokens(n: int, d: int, optimize: str) -> None:
    """Rows that were scaled by numbers of n tokens lie along n tokens, and so does what is multiplied by them."""

    @hw.program
    def twice(A: hw.Matrix["n", "d"], B: hw.Matrix["n", "d"], v: hw.Vector["n"]):
        return B * (hw.diag(v) @ A)

    model = hw.compile(twice, dims={"n": n, "d": d}, tol=0.1, optimize=optimize)
    rng = np.random.default_rng(0)
    inputs = {"A": rng.uniform(-1, 1, (n, d)), "B": rng.uniform(-1, 1, (n, d)), "v": rng.uniform(-1, 1, n)}
    assert np.abs(model(**inputs) - model.reference(**inputs)).max() <= 0.1
    assert hw.verify(model).all_proved


def test_rows_on_different_tokens_are_refused_not_mixed() -> None:
    @hw.program
    def crossed(A: hw.Matrix["n", "d"], v: hw.Vector["n"], w: hw.Vector["d"]):
        return (hw.diag(v) @ A) * (hw.diag(w) @ A.T).T

    with pytest.raises(hw.ArchitectureError, match="tokens") as caught:
        hw.compile(crossed, dims={"n": 2, "d": 3}, tol=0.1)
    assert "diag(v) @ A" in str(caught.value) and "A.T).T" in caught.value.where.code and caught.value.fix


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (4, 4), (5, 2)])
def test_norms_of_products_are_bounds(shape: tuple[int, int], rng: np.random.Generator) -> None:
    def measured(M: np.ndarray) -> Size:
        norms = (np.linalg.norm(M, axis=1).max(), np.linalg.norm(M, axis=0).max(), np.linalg.norm(M, 2))
        return Size(np.abs(M).max(), *norms)

    def holds(M: np.ndarray, bound: Size) -> bool:
        found, slack = measured(M), 1 + 1e-12
        return all(getattr(found, k) <= getattr(bound, k) * slack for k in ("entry", "row", "col", "norm"))

    for _ in range(50):
        A, B = (rng.normal(size=shape) * rng.choice([0, 1, 10], shape) for _ in range(2))
        C = rng.normal(size=shape[::-1])
        assert holds(A, size(shape, entry=measured(A).entry)) and holds(A, size(shape, norm=measured(A).norm))
        assert holds(A * B, entrywise(shape, measured(A), measured(B)))  # Schur
        assert holds(A[:, :1] * B, entrywise(shape, measured(A[:, :1]), measured(B), column=True))
        assert holds(A @ C, multiplied((shape[0], shape[0]), measured(A), measured(C)))
        S = A @ C
        assert holds((S + S.T) / 2, symmetrised(measured(S)))
        D = 1e-2 * B
        assert holds(np.tanh(A + D) - np.tanh(A), moved(shape, measured(D), Fraction(1)))


def test_a_row_bound_of_a_symmetrised_error_is_not_that_of_one_half() -> None:
    E = np.zeros((4, 4))
    E[:, 0] = 1.0  # rows of norm 1, a column of norm 2
    found = symmetrised(Size(1.0, 1.0, 2.0, 2.0))
    assert np.linalg.norm((E + E.T) / 2, axis=1).max() > 1.0
    assert np.linalg.norm((E + E.T) / 2, axis=1).max() <= found.row


def test_a_function_beyond_every_float_is_refused_with_its_line() -> None:
    @hw.program
    def tower(v: hw.Vector["n"]):
        p = hw.exp(hw.exp(hw.exp(100 * v)))
        return p * v

    with pytest.raises(hw.CompileError, match="exp") as caught:
        hw.compile(tower, dims={"n": 2})
    assert "tower" in caught.value.where.code or "hw.exp" in caught.value.where.code
    assert caught.value.fix


def test_a_rough_factor_of_a_product_is_made_first() -> None:
    """√z is not smooth at 0, so √z · a takes two layers."""

    @hw.program
    def rough(A: hw.Matrix["n", "d"], z: hw.Vector["n"]):
        return hw.diag(hw.apply(hw.sqrt, z, domain=(0, 1), tol=1e-2)) @ A

    model = hw.compile(rough, dims={"n": 3, "d": 2})
    inputs = {"A": np.array([[1.0, -1.0], [0.5, 0.0], [1.0, 1.0]]), "z": np.array([0.0, 1e-4, 1.0])}
    assert np.abs(model(**inputs) - model.reference(**inputs)).max() <= model.artifact.lowered.errors["output"]
    assert hw.verify(model).all_proved


def test_named_functions_may_be_given_to_apply() -> None:
    assert hw.apply(hw.exp, 0.5, domain=(0, 1)) == function("exp")(0.5)

    @hw.program
    def composed(v: hw.Vector["n"]):
        return hw.apply(lambda z: hw.exp(-(z**2)) + hw.relu(z), v, domain=(-1, 1), tol=1e-2)

    model = hw.compile(composed, dims={"n": 3})
    v = np.array([-1.0, 0.0, 0.7])
    assert np.abs(model(v=v) - (np.exp(-(v**2)) + np.maximum(v, 0))).max() <= 1e-2
