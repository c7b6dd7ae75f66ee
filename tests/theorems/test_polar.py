"""Polar factor, matrix sign and inverse square root by odd cubics: figures, convergence against scipy, and what breaks them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

import headwright as hw
from headwright.compiler.graph import live_nodes
from headwright.compiler.statements import residual
from headwright.proofs_check.exact import depth_lower_bound, exact_degree
from headwright.proofs_check.residual import check_residual
from headwright.runtime.compiled import Compiled

linalg = pytest.importorskip("scipy.linalg", reason="scipy comes with scikit-learn, the `demo` extra")

ITERATIONS = ("newton-schulz", "minimax")
SHAPES = [(8, 3), (3, 8), (5, 5), (1, 4), (6, 1), (1, 1)]
EPS = float(np.finfo(np.float64).eps)


def spaced(rng, n: int, d: int, low: float, high: float = 1.0) -> np.ndarray:
    """A random matrix with singular values spaced from low to high."""
    k = min(n, d)
    left, _ = np.linalg.qr(rng.normal(size=(n, k)))
    right, _ = np.linalg.qr(rng.normal(size=(d, k)))
    return (left * np.geomspace(high, low, k)) @ right.T


def symmetric(rng, values) -> np.ndarray:
    Q, _ = np.linalg.qr(rng.normal(size=(len(values), len(values))))
    S = (Q * np.asarray(values, dtype=float)) @ Q.T
    return (S + S.T) / 2


def compile_(name: str, **arguments) -> hw.Compiled:
    return hw.constructions.get(name).compile(**arguments)


# -- figures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("iteration", ITERATIONS)
@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_a_cubic_step_towards_the_polar_factor_is_one_layer_with_one_head(n, d, steps, iteration) -> None:
    model = compile_("polar_factor", n=n, d=d, steps=steps, iteration=iteration, spectrum=(0.1, 1))
    assert model.depth == steps and model.max_heads == 1 and model.d_model <= n + d
    (degree,) = exact_degree(model.artifact.graph).values()
    assert degree == 3**steps and depth_lower_bound(degree) == steps  # no fewer layers can do it
    certificate = hw.verify(model)
    assert certificate.all_proved, str(certificate)
    assert "for all d, n" in certificate["identity"].how


@pytest.mark.parametrize("iteration", ITERATIONS)
@pytest.mark.parametrize("name", ["matrix_sign", "inverse_sqrt"])
def test_sign_and_inverse_square_root_are_one_layer_a_step_and_proved(name, iteration) -> None:
    for steps in (1, 2, 5):
        model = compile_(name, d=4, steps=steps, iteration=iteration, spectrum=(0.1, 1))
        assert model.depth == steps
        certificate = hw.verify(model)
        assert certificate.all_proved, str(certificate)


@pytest.mark.parametrize("name", ["polar_factor", "matrix_sign", "inverse_sqrt"])
def test_with_a_tolerance_the_layers_are_those_of_the_proved_schedule(name) -> None:
    sizes = {"n": 5, "d": 3} if name == "polar_factor" else {"d": 3}
    target = {"polar_factor": "polar", "matrix_sign": "sign", "inverse_sqrt": "inverse-sqrt"}[name]
    for iteration in ITERATIONS:
        schedule = hw.iterations.get(f"{iteration}-{target}").schedule(0.05, 2, 1e-8)
        model = compile_(name, **sizes, iteration=iteration, spectrum=(0.05, 2), tol=1e-8)
        assert model.depth == schedule.layers == model.bounds.depth
        assert hw.verify(model).all_proved


@pytest.mark.parametrize("index", [0, 1, 2])
def test_removing_any_layer_breaks_it(index) -> None:
    model = compile_("polar_factor", n=3, d=2, steps=3)
    layers = model.artifact.layers[:index] + model.artifact.layers[index + 1 :]
    certificate = hw.verify(Compiled(replace(model.artifact, layers=layers)))
    assert not isinstance(certificate["identity"], hw.Proved) and isinstance(certificate["exact"], hw.Refuted)


def test_minimax_cubics_need_fewer_layers_and_never_more() -> None:
    for l in (1e-3, 1e-2, 0.1, 0.5, 0.9, 1):
        for tol in (1e-2, 1e-6, 1e-12):
            layers = [hw.iterations.get(f"{iteration}-polar").schedule(l, 1, tol).layers for iteration in ITERATIONS]
            assert layers[1] <= layers[0]
    assert layers == [0, 0]
    assert [hw.iterations.get(f"{i}-polar").schedule(1e-3, 1, 1e-6).layers for i in ITERATIONS] == [21, 11]


# -- convergence -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("iteration", ITERATIONS)
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_it_converges_to_the_polar_factor(n, d, iteration, rng) -> None:
    """‖Y − U Vᵀ‖₂ is the residual, below tol, and rounding: a layer rounds Y by at most (n + 2d + 3) eps ‖Y‖_F, and the polar
    factor moves by 2/σ_min times a perturbation (Higham 2008, theorem 8.9)."""
    tol, low = 1e-10, 0.05
    model = compile_("polar_factor", n=n, d=d, iteration=iteration, spectrum=(low, 1), tol=tol)
    A = spaced(rng, n, d, low)
    expected, _ = linalg.polar(A)
    rounding = model.depth * (n + 2 * d + 3) * EPS * np.sqrt(min(n, d)) * 2 / low
    assert np.linalg.norm(model(A=A) - expected, 2) <= tol + rounding


@pytest.mark.parametrize("iteration", ITERATIONS)
def test_the_residual_is_at_most_tol_and_one_layer_less_is_not_enough(iteration) -> None:
    """In exact arithmetic on diagonal data; the worst singular values are the ends of the spectrum."""
    spectrum, tol = (Fraction(1, 20), Fraction(1)), Fraction(1, 100)
    steps = compile_("polar_factor", n=2, d=2, iteration=iteration, spectrum=spectrum, tol=tol).depth
    A = np.array([[spectrum[0], Fraction(0)], [Fraction(0), spectrum[1]]], dtype=object)
    worst = []
    for count in (steps - 1, steps):
        model = compile_("polar_factor", n=2, d=2, iteration=iteration, spectrum=spectrum, steps=count)
        worst.append(max(abs(1 - value) for value in np.diag(model.exact.run(A=A))))
    assert worst[1] <= tol < worst[0]


@pytest.mark.parametrize("iteration", ITERATIONS)
def test_it_converges_to_the_sign(iteration, rng) -> None:
    values = np.array([-1, -0.3, -0.05, 0.05, 0.2, 0.9])
    S = symmetric(rng, values)
    model = compile_("matrix_sign", d=6, iteration=iteration, spectrum=(0.04, 1.1), tol=1e-10)
    eigenvalues, Q = np.linalg.eigh(S)
    got = model(S=S)
    rounding = model.depth * (3 * 6 + 3) * EPS * np.sqrt(6) * 2 / 0.05
    assert np.linalg.norm(got - (Q * np.sign(eigenvalues)) @ Q.T, 2) <= 1e-10 + rounding
    assert np.linalg.norm(got - linalg.signm(S), 2) <= 1e-10 + 2 * rounding


@pytest.mark.parametrize("iteration", ITERATIONS)
def test_it_converges_to_the_inverse_square_root(iteration, rng) -> None:
    """‖I − S^½ X‖₂ ≤ tol + floor; so X is off by at most 1/√l times that, and as much again for the reference."""
    l, u, tol = 0.01, 2.0, 1e-10
    S = symmetric(rng, np.geomspace(l, u, 5))
    model = compile_("inverse_sqrt", d=5, iteration=iteration, spectrum=(l, u), tol=tol)
    floor = hw.iterations.get(f"{iteration}-inverse-sqrt").floor(np.float64, u / l)
    assert np.linalg.norm(model(S=S) - linalg.inv(linalg.sqrtm(S)), 2) <= (tol + 2 * floor) / np.sqrt(l)


def test_muon_orthogonalises_with_five_cubic_steps_from_a_normalised_momentum(rng) -> None:
    """X = G/‖G‖_F, then X ← 3/2 X − 1/2 X Xᵀ X: singular values follow the cubic, singular vectors stay."""
    G = rng.normal(size=(12, 6))
    X = G / np.linalg.norm(G)
    model = compile_("polar_factor", n=12, d=6, steps=5)
    assert model.depth == 5 and model.artifact.layers[0].heads
    U, sigma, Vt = np.linalg.svd(X, full_matrices=False)
    for _ in range(5):
        sigma = 1.5 * sigma - 0.5 * sigma**3
    # five layers, each rounding Y with ‖Y‖_F ≤ √6 by (n + 2d + 3) eps; the cubic multiplies errors by at most 3/2
    assert np.linalg.norm(model(A=X) - (U * sigma) @ Vt, 2) <= 1.5**5 * 5 * (12 + 2 * 6 + 3) * EPS * np.sqrt(6)


@pytest.mark.parametrize("rank", [1, 2])
def test_zero_singular_values_stay_zero(rank, rng) -> None:
    """With `steps` nothing is promised at 0: the limit is the partial isometry of the nonzero singular values."""
    A = rng.normal(size=(5, rank)) @ rng.normal(size=(rank, 4))
    A /= np.linalg.norm(A, 2)
    U, sigma, Vt = np.linalg.svd(A)
    model = compile_("polar_factor", n=5, d=4, steps=20)
    expected = U[:, :rank] @ Vt[:rank]
    # rounding in the null space grows by 3/2 a layer
    assert np.linalg.norm(model(A=A) - expected, 2) <= 1.5**20 * 20 * EPS / sigma[rank - 1]


# -- what breaks it ------------------------------------------------------------------------------------------------------


def test_data_outside_the_spectrum_are_refused_and_data_on_its_ends_are_not(rng) -> None:
    model = compile_("polar_factor", n=6, d=3, spectrum=(0.1, 1), tol=1e-6)
    for low, high in ((0.1, 1), (0.5, 1), (0.1, 0.1)):
        assert np.isfinite(model(A=spaced(rng, 6, 3, low, high))).all()
    for low, high in ((0.09, 1), (0.1, 1.01), (1e-9, 1)):
        with pytest.raises(hw.AssumptionError, match="spectrum") as caught:
            model(A=spaced(rng, 6, 3, low, high))
        assert "singular values of A" in caught.value.fix and caught.value.where
    wide = compile_("polar_factor", n=3, d=6, spectrum=(0.1, 1), tol=1e-6)
    assert np.isfinite(wide(A=spaced(rng, 3, 6, 0.1))).all()
    with pytest.raises(hw.AssumptionError):
        wide(A=spaced(rng, 3, 6, 0.09))


def test_with_steps_only_the_upper_end_is_checked(rng) -> None:
    model = compile_("polar_factor", n=6, d=3, spectrum=(0.1, 1), steps=3)
    assert np.isfinite(model(A=spaced(rng, 6, 3, 1e-9))).all()
    with pytest.raises(hw.AssumptionError):
        model(A=spaced(rng, 6, 3, 0.1, 1.01))


def test_unchecked_a_singular_value_above_the_square_root_of_3_turns_to_minus_1() -> None:
    """3/2 · 1.9 − 1/2 · 1.9³ < 0: a finite answer with the wrong sign, which only the check notices."""
    model = compile_("polar_factor", n=2, d=2, steps=8)
    got = model.run({"A": np.diag([0.9, 1.9])}, check=False)
    assert abs(got - np.diag([1.0, -1.0])).max() <= 1e-3


def test_sign_and_inverse_square_root_refuse_what_is_not_symmetric_or_not_inside(rng) -> None:
    sign = compile_("matrix_sign", d=3, spectrum=(0.1, 1))
    root = compile_("inverse_sqrt", d=3, spectrum=(0.1, 1))
    skew = symmetric(rng, [0.3, 0.5, 0.8]) + 0.05 * np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 0]])
    for model in (sign, root):
        with pytest.raises(hw.AssumptionError, match="not symmetric"):
            model(S=skew)
        with pytest.raises(hw.AssumptionError, match="spectrum"):
            model(S=symmetric(rng, [0.05, 0.5, 0.8]))
    assert np.isfinite(sign(S=symmetric(rng, [-0.3, 0.5, 0.8]))).all()
    with pytest.raises(hw.AssumptionError, match="spectrum"):
        root(S=symmetric(rng, [-0.3, 0.5, 0.8]))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"spectrum": (1, 0.1)}, "spectrum"),
        ({"spectrum": (0, 1)}, "spectrum"),
        ({"spectrum": 0.5}, "spectrum"),
        ({"tol": 1}, "tol"),
        ({"tol": 0}, "tol"),
        ({"steps": -1}, "steps"),
        ({"iteration": "quintic"}, "iteration"),
        ({"spectrum": (1e-300, 1)}, "1e-300"),
    ],
)
def test_options_that_make_no_sense_are_refused_by_name(changes, says) -> None:
    with pytest.raises(hw.CompileError, match=says):
        compile_("polar_factor", n=4, d=3, **changes)


CONSTRUCTIONS = {"polar_factor": {"n": 4, "d": 3}, "matrix_sign": {"d": 3}, "inverse_sqrt": {"d": 3}}


@pytest.mark.parametrize("iteration", ITERATIONS)
@pytest.mark.parametrize("name", CONSTRUCTIONS)
def test_the_tolerance_is_a_claim_that_every_altered_coefficient_of_the_program_breaks(name, iteration) -> None:
    model = compile_(name, **CONSTRUCTIONS[name], iteration=iteration, spectrum=(0.05, 2), tol=1e-8)
    graph = model.artifact.graph
    (claim,) = graph.residuals
    assert isinstance(hw.verify(model)["residual"], hw.Proved)
    altered = 0
    for index in live_nodes(graph):
        node = graph.nodes[index]
        if node.op == "scale":
            nodes = (*graph.nodes[:index], replace(node, attr=node.attr + Fraction(1, 2**50)), *graph.nodes[index + 1 :])
            assert isinstance(check_residual(replace(graph, nodes=nodes), claim), hw.Refuted), graph.describe(index)
            altered += 1
    assert altered >= model.depth
    for number in range(len(claim.chain)):
        *rest, last = claim.chain[number]
        bent = (*claim.chain[:number], (*rest, last + Fraction(1, 2**50)), *claim.chain[number + 1 :])
        assert isinstance(check_residual(graph, replace(claim, chain=bent)), hw.Refuted)
    target = {"polar_factor": "polar", "matrix_sign": "sign", "inverse_sqrt": "inverse-sqrt"}[name]
    bound = hw.iterations.get(f"{iteration}-{target}").schedule(0.05, 2, 1e-8).bounds[-1]
    assert isinstance(check_residual(graph, replace(claim, tol=bound * Fraction(9, 10))), hw.Refuted)
    assert not isinstance(check_residual(graph, replace(claim, upper=claim.upper * 4)), hw.Proved)  # it diverges there


def test_with_a_count_of_steps_the_residual_that_they_have_is_the_claim() -> None:
    model = compile_("polar_factor", n=4, d=3, spectrum=(0.1, 1), steps=3)
    (claim,) = model.artifact.graph.residuals
    assert claim.tol == hw.iterations.get("newton-schulz-polar").fixed(3, 0.1, 1).bounds[-1]
    assert isinstance(hw.verify(model)["residual"], hw.Proved)


def stated(result, value, target, chain):
    """The statement that the result has this residual, at most 99/100 on [1/10, 1]."""
    residual(
        result,
        roots=(value,),
        power=0,
        chain=chain,
        lower=Fraction(1, 10),
        upper=Fraction(1),
        tol=Fraction(99, 100),
        known="other",
        method="by hand",
        of_root=True,
        target=target,
    )
    return result


def test_a_polynomial_that_is_not_odd_or_mixes_up_the_spaces_of_a_does_not_pass() -> None:
    """On numbers σ > 0 alone they look right."""
    halves = Fraction(3, 2), Fraction(-1, 2)
    chain = hw.iterations.get("newton-schulz-polar").fixed(2, Fraction(1, 10), 1).chain

    @hw.program
    def even(S: hw.Matrix["d", "d"]):
        hw.symmetric(S)
        return stated(S @ S, S, "sign", ((Fraction(1), Fraction(0), Fraction(-1)),))  # |1 − σ²| ≤ 99/100 on [1/10, 1]

    @hw.program
    def mixed(A: hw.Matrix["d", "d"]):
        a, b = halves
        Y = a * A + b * A @ A @ A
        return stated(a * Y + b * Y @ Y @ Y, A, "polar", chain)

    @hw.program
    def right(A: hw.Matrix["d", "d"]):
        a, b = halves
        Y = a * A + b * A @ A.T @ A
        return stated(a * Y + b * Y @ Y.T @ Y, A, "polar", chain)

    assert isinstance(hw.verify(hw.compile(right, dims={"d": 3}))["residual"], hw.Proved)
    assert "not opposite" in hw.verify(hw.compile(even, dims={"d": 3}))["residual"].counterexample
    assert isinstance(hw.verify(hw.compile(mixed, dims={"d": 3}))["residual"], hw.Unknown)


def test_as_a_part_of_a_larger_program(rng) -> None:
    """Whitening: the polar factor inside a program of one's own."""

    @hw.program
    def projector(A: hw.Matrix["n", "d"]):
        Q = hw.constructions.get("polar_factor").program(A, spectrum=(0.2, 1), tol=1e-8)
        return Q.T @ Q

    model = hw.compile(projector, dims={"n": 6, "d": 3})
    got = model(A=spaced(rng, 6, 3, 0.2))
    assert np.linalg.norm(got - np.eye(3), 2) <= 2.1e-8
    assert hw.verify(model).all_proved
