"""The gradient-descent family and Newton on ReLU attention: the weights alone compute what the papers say, exactly.

The models are run by `outside`, a layer's formula that knows only what a model says of its architecture, and compared with the
iterations on the weight vector w, written afresh. Figures are those of the papers, or of ours where they are fewer.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest

import headwright as hw

N, D, M = 5, 3, 2
THIRD, HALF = Fraction(1, 3), Fraction(1, 2)
SYMMETRIC = np.array([[2, 1, 0], [1, 3, 1], [0, 1, 2]])
INVERSE = np.array([[5, -2, 1], [-2, 4, -2], [1, -2, 5]], dtype=object) * Fraction(1, 8)
ANY = np.array([[1, 2, 0], [0, 1, -1], [3, 0, 1]])
I = np.eye(D, dtype=int).astype(object)

# -- the iterations, on w ----------------------------------------------------------------------------------------------


def descent(A, y, Q, *directions):
    """w ← w − B_i (1/n) Aᵀ(Aw − y) from w = 0; predictions Qw."""
    w = 0 * A[0]
    for B in directions:
        w = w - B.dot(A.T.dot(A.dot(w) - y)) * Fraction(1, len(A))
    return Q.dot(w)


def heavy_ball(A, y, Q, rates, momentum):
    w = v = 0 * A[0]
    for rate in rates:
        v = momentum * v - A.T.dot(A.dot(w) - y) * rate / len(A)
        w = w + v
    return Q.dot(w)


def plus_plus(A, y, Q, a, b, inverse):
    """Eq. (3) and (4) of Ahn et al. with P_i = diag(b_i I, 1) and Q_i = diag(a_i Σ⁻¹, 0), on Z."""
    Z = np.vstack([np.vstack([A, Q]).T, np.append(y, 0 * Q[:, 0])])
    for a_i, b_i in zip(a, b, strict=True):
        P, inner = np.diag([b_i] * A.shape[1] + [1]), 0 * Z[:, :1] + 0 * Z[:, :1].T
        inner[:-1, :-1] = a_i * inverse
        keys = Z[:, : len(A)]
        Z = Z + P.dot(keys).dot(keys.T.dot(inner).dot(Z)) * Fraction(1, len(A))
    return -Z[-1, len(A) :]


def neumann(A, y, Q, steps, alpha):
    """α Σ_{k < steps} (I − αAᵀA)^k Aᵀy."""
    term, w = alpha * A.T.dot(y), 0 * A[0]
    for _ in range(steps):
        w, term = w + term, term - alpha * A.T.dot(A.dot(term))
    return Q.dot(w)


def newton(A, y, Q, steps, alpha):
    """M ← 2M − MSM from M = αS."""
    S = A.T.dot(A)
    inverse = alpha * S
    for _ in range(steps):
        inverse = 2 * inverse - inverse.dot(S).dot(inverse)
    return Q.dot(inverse).dot(A.T).dot(y)


#: name of the case → construction, arguments, the iteration; (layers, heads, rows, units) of the model
Case = tuple[str, dict[str, Any], Callable[..., np.ndarray], tuple[int, int, int, int]]
RATES = (HALF, THIRD, Fraction(1, 5))
CASES: dict[str, Case] = {
    "one rate": (
        "gradient_descent",
        {"steps": 4, "rate": THIRD},
        lambda A, y, Q: descent(A, y, Q, *[THIRD * I] * 4),
        (4, 1, D + 1, 0),
    ),
    "rates": (
        "gradient_descent",
        {"steps": 3, "rate": RATES},
        lambda A, y, Q: descent(A, y, Q, *(r * I for r in RATES)),
        (3, 1, D + 1, 0),
    ),
    "momentum": (
        "gradient_descent",
        {"steps": 3, "rate": RATES, "momentum": HALF},
        lambda A, y, Q: heavy_ball(A, y, Q, RATES, HALF),
        (3, 1, D + 2, 4),
    ),
    "preconditioned": (
        "preconditioned_gradient_descent",
        {"preconditioners": [-SYMMETRIC, -HALF, [[-1, 0, 0], [0, -2, 0], [0, 0, 0]]]},
        lambda A, y, Q: descent(A, y, Q, SYMMETRIC, HALF * I, np.diag([1, 2, 0])),
        (3, 1, D + 1, 0),
    ),
    "optimal": (
        "optimal_single_layer",
        {"sigma": (1, 2, 3)},  # 1/((n + 1)/n λ_j + tr/n) at n = 5
        lambda A, y, Q: descent(A, y, Q, np.diag([Fraction(5, 6 * j + 6) for j in (1, 2, 3)])),
        (1, 1, D + 1, 0),
    ),
    "GD++": (
        "gd_plus_plus",
        {"a": (-HALF, -1, -THIRD), "b": (THIRD, HALF), "sigma": SYMMETRIC},
        lambda A, y, Q: plus_plus(A, y, Q, (-HALF, -1, -THIRD), (THIRD, HALF, 0), INVERSE),
        (3, 1, D + 1, 0),
    ),
    "Neumann": (
        "neumann",
        {"steps": 4, "alpha": Fraction(1, 9)},
        lambda A, y, Q: neumann(A, y, Q, 4, Fraction(1, 9)),
        (4, 1, 2 * D + 3, 0),
    ),
    "Newton": (
        "newton_relu_attention",
        {"steps": 3, "alpha": Fraction(1, 900)},
        lambda A, y, Q: newton(A, y, Q, 3, Fraction(1, 900)),
        (5, 2, 3 * D + 2, 2 * D),
    ),
}


@cache
def _unchanged(case: str) -> hw.Compiled:
    """Several tests look at each; nothing in them changes a model."""
    name, arguments, _, _ = CASES[case]
    return hw.constructions.get(name).compile(n=N, d=D, m=M, **arguments)


def compiled(case: str, **changes: Any) -> hw.Compiled:
    if not changes:
        return _unchanged(case)
    name, arguments, _, _ = CASES[case]
    return hw.constructions.get(name).compile(**{"n": N, "d": D, "m": M, **arguments, **changes})


# -- an evaluator that knows the weights and three facts ---------------------------------------------------------------


def outside(model: hw.Compiled, layers: Any, H: np.ndarray, mask: bool = True, keys: int | None = None) -> np.ndarray:
    """H ← H + s Σ W_V H M f((W_K H)ᵀ(W_Q H)), then H ← H + W_2 relu(W_1 H). keys: s is one over it; by default what it says."""
    M = np.diag(model.key_mask.astype(int)) if mask else np.eye(model.n_tokens, dtype=int)
    scale = Fraction(model.attention_scale).limit_denominator(10**6) if keys is None else Fraction(1, keys)
    for layer in layers:
        attended = H
        for head in layer.heads:
            scores = head.W_K.dot(H).T.dot(head.W_Q.dot(H))
            scores = np.maximum(scores, 0) if model.attention == "relu" else scores
            attended = attended + scale * head.W_V.dot(H).dot(M).dot(scores)
        H = attended
        if layer.ffn is not None:
            H = H + layer.ffn.W_2.dot(np.maximum(layer.ffn.W_1.dot(H), 0))
    return H


def read(model: hw.Compiled, H: np.ndarray) -> np.ndarray:
    """The prediction in an exact stream: decoding 1, 2, 3, … tells which entries are read, and with which sign."""
    places = model.decode(np.arange(1.0, H.size + 1).reshape(H.shape))["prediction"].astype(int)
    entries: np.ndarray = np.sign(places) * H.ravel()[np.abs(places) - 1]
    return entries


def integers(rng: np.random.Generator, n: int = N, d: int = D, m: int = M) -> dict[str, np.ndarray]:
    sizes = {"A": (n, d), "y": (n,), "Q": (m, d)}
    return {name: rng.integers(-2, 3, shape).astype(object) for name, shape in sizes.items()}


def encoded(model: hw.Compiled, inputs: dict[str, np.ndarray]) -> np.ndarray:
    H: np.ndarray = np.vectorize(Fraction, otypes=[object])(model.encode(**{k: v.astype(float) for k, v in inputs.items()}))
    return H


# -- it holds ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_the_weights_alone_compute_the_iteration_exactly(case: str, rng) -> None:
    model, expected = compiled(case), CASES[case][2]
    for _ in range(2):
        inputs = integers(rng)
        want = expected(**inputs)
        assert any(want)
        assert (read(model, outside(model, model.exact.layers, encoded(model, inputs))) == want).all()
        assert (model.exact.run(**inputs)["prediction"] == want).all()
        assert (model.reference(**inputs)["prediction"] == want).all()


@pytest.mark.parametrize("case", CASES)
def test_figures_and_claims(case: str) -> None:
    """k layers, 1 head and d + 1 rows without units; Fu's k + 2 layers, 2 heads and 3d + 2 rows against k + 8 and O(d)."""
    model, (name, _, _, (layers, heads, rows, units)) = compiled(case), CASES[case]
    assert model.depth <= layers and (model.max_heads, model.d_model, model.ffn_width) == (heads, rows, units)
    assert model.depth == layers or case == "Neumann"  # whose terms need no layer each
    certificate = hw.verify(model)
    assert certificate.all_proved and isinstance(certificate["identity"], hw.Proved), str(certificate)
    checked = {claim.name for claim in certificate.claims}
    assert {"layers", "heads", "rows"} <= checked and (not units or "units" in checked)
    claim = hw.constructions.get(name).claim
    assert claim.paper.split()[0] in {"von", "Ahn", "Fu"} and claim.statement


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 3, 1), (1, 3, 4)], ids=str)
def test_one_example_one_feature_one_query_and_fewer_examples_than_features(case: str, sizes, rng) -> None:
    n, d, m = sizes
    if d != D and case in ("preconditioned", "optimal", "GD++"):
        arguments = {"preconditioned": {"preconditioners": [-HALF, -2]}, "optimal": {"sigma": 2}, "GD++": {"sigma": 2}}[case]
        model = compiled(case, n=n, d=d, m=m, **arguments)
    else:
        model = compiled(case, n=n, d=d, m=m)
    inputs = integers(rng, n, d, m)
    found = read(model, outside(model, model.exact.layers, encoded(model, inputs)))
    assert (found == model.reference(**inputs)["prediction"]).all() and found.shape == (m,)
    if d == D and case != "optimal":  # whose matrix depends on n
        assert (found == CASES[case][2](**inputs)).all()


@pytest.mark.parametrize("case", CASES)
def test_batches_are_problems_one_by_one(case: str, rng) -> None:
    model = compiled(case)
    inputs = {k: np.stack([integers(rng)[k].astype(float) / 8 for _ in range(3)]) for k in ("A", "y", "Q")}
    together = model(**inputs)["prediction"]
    shared = model(A=inputs["A"], y=inputs["y"][0], Q=inputs["Q"])["prediction"]
    assert together.shape == shared.shape == (3, M)
    for i in range(3):
        one = {k: v[i] for k, v in inputs.items()}
        assert np.allclose(together[i], model(**one)["prediction"], rtol=1e-13, atol=1e-15)
        assert np.allclose(shared[i], model(**{**one, "y": inputs["y"][0]})["prediction"], rtol=1e-13, atol=1e-15)


OTHER_MACHINES = [
    ("one rate", hw.LINEAR, 2 * D + 1),
    ("one rate", hw.LINEAR_ATTENTION, 2 * D + 1),
    ("one rate", hw.MASKED, D + 1),
    ("rates", hw.RELU_ATTENTION, 2 * D + 1),
    ("momentum", hw.LINEAR, None),
    ("preconditioned", hw.LINEAR, 2 * D + 1),
    ("optimal", hw.LINEAR, 2 * D + 1),
    ("GD++", hw.LINEAR, 2 * D + 2),
    ("GD++", hw.RELU_ATTENTION, 2 * D + 2),
    ("Neumann", hw.LINEAR, None),
    ("Newton", hw.LINEAR, None),
    ("Newton", hw.MASKED_ATTENTION, None),
]


@pytest.mark.parametrize(("case", "arch", "rows"), OTHER_MACHINES, ids=lambda v: getattr(v, "name", v))
def test_on_other_machines(case: str, arch: hw.Architecture, rows: int | None, rng) -> None:
    model, inputs = compiled(case, arch=arch), integers(rng)
    assert model.arch == arch and (rows is None or model.d_model == rows) and model.depth <= CASES[case][3][0]
    found = read(model, outside(model, model.exact.layers, encoded(model, inputs)))
    assert (found == CASES[case][2](**inputs)).all()
    assert hw.verify(model).all_proved


@pytest.mark.parametrize("arch", [None, hw.LINEAR])
@pytest.mark.parametrize(("steps", "momentum", "layers"), [(1, 0, 1), (2, 0, 2), (4, HALF, 2), (5, 0, 3), (8, 0, 3)])
def test_steps_may_be_multiplied_out_into_the_fewest_layers(steps: int, momentum: Fraction, layers: int, arch, rng) -> None:
    """k steps have degree 2k + 1, and L layers at most 3^L: ⌈log₃(2k + 1)⌉ layers, which no weights can do without."""
    rates = [Fraction(1, k + 2) for k in range(steps)]
    changes = {"steps": steps, "rate": rates, "momentum": momentum, "prefer": "layers", "arch": arch}
    model, inputs = compiled("one rate", **changes), integers(rng)
    found = read(model, outside(model, model.exact.layers, encoded(model, inputs)))
    assert model.depth == layers and (found == heavy_ball(**inputs, rates=rates, momentum=momentum)).all()
    certificate = hw.verify(model)
    assert certificate.all_proved and "the fewest possible" in str(certificate["depth"])


def test_the_constructions_agree_where_they_should(rng) -> None:
    """A_i = −ηI is gradient descent, Σ = cI makes Theorem 1 a gradient step, b = 0 makes GD++ preconditioned descent, a Neumann
    series is gradient descent with rate nα, and one Chebyshev step has the rate 2n/(l + u)."""
    inputs, sizes = integers(rng), {"n": N, "d": D, "m": M}

    def predict(name: str, **arguments: Any) -> list[Fraction]:
        return list(hw.constructions.get(name).compile(**sizes, **arguments).exact.run(**inputs)["prediction"])

    plain = predict("gradient_descent", steps=3, rate=HALF)
    assert predict("preconditioned_gradient_descent", preconditioners=[-HALF] * 3) == plain
    assert predict("gd_plus_plus", a=[-1] * 3, b=[0] * 3, sigma=2) == plain
    assert predict("neumann", steps=3, alpha=HALF / N) == plain
    assert predict("gradient_descent", steps=3, rate=[HALF] * 3, momentum=0) == plain
    rate = Fraction(N, 2 * (N + 1 + D))
    assert predict("optimal_single_layer", sigma=2) == predict("gradient_descent", steps=1, rate=rate)
    one = predict("gradient_descent", steps=1, rate=2 * N / (HALF + 2))
    assert np.allclose(np.array(predict("chebyshev", steps=1, spectrum=(HALF, 2)), float), np.array(one, float), rtol=1e-14)


@pytest.mark.parametrize("scale", [1.0, 0.37])
def test_the_optimal_layer_has_theorem_1s_eigenvalues(scale: float, rng) -> None:
    """In the eigenbasis U of a covariance of floats: U diag(1/((n + 1)/n λ_j + tr/n)) Uᵀ."""
    U, _ = np.linalg.qr(rng.normal(size=(D, D)))
    eigenvalues = scale * np.array([0.5, 1.0, 4.0])
    sigma = U * eigenvalues @ U.T
    model = hw.constructions.get("optimal_single_layer").compile(n=N, d=D, m=M, sigma=(sigma + sigma.T) / 2)
    ((_, Q),) = hw.to_pq(model)
    best = U / ((N + 1) / N * eigenvalues + eigenvalues.sum() / N) @ U.T
    assert np.allclose(-Q[:D, :D], best, rtol=1e-12, atol=1e-14)


# -- it breaks when a hypothesis is dropped ----------------------------------------------------------------------------


def test_a_preconditioner_that_is_not_symmetric_acts_as_its_transpose(rng) -> None:
    with pytest.warns(hw.ConventionWarning, match=r"preconditioners\[1\] is not symmetric: w moves by its transpose"):
        model = compiled("preconditioned", preconditioners=[-SYMMETRIC, -ANY])
    inputs = integers(rng)
    found = model.exact.run(**inputs)["prediction"]
    assert (found == descent(*inputs.values(), SYMMETRIC, ANY.T)).all()
    assert (found != descent(*inputs.values(), SYMMETRIC, ANY)).any()


@pytest.mark.parametrize("case", ["one rate", "preconditioned", "GD++"])
def test_the_mask_and_the_scale_matter(case: str, rng) -> None:
    """With queries as keys, or divided by n + 1, the same weights compute something else."""
    model, inputs = compiled(case), integers(rng)
    H, layers, want = encoded(model, inputs), model.exact.layers, CASES[case][2](**inputs)
    assert (read(model, outside(model, layers, H)) == want).all()
    assert (read(model, outside(model, layers, H, mask=False)) != want).any()
    assert (read(model, outside(model, layers, H, keys=N + 1)) != want).any()


def test_fus_heads_need_opposite_values(rng) -> None:
    """As printed both heads of a pair write with the same W_V: relu(z) + relu(−z) is |z|, and the sum is not z."""
    model, inputs = compiled("Newton"), integers(rng)
    H, want = encoded(model, inputs), CASES["Newton"][2](**inputs)

    class Printed:
        def __init__(self, layer: Any) -> None:
            first, second = ((h.W_V, h.W_K, h.W_Q) for h in layer.heads)
            assert (first[0] == -second[0]).all() and first[0].any()
            same = (first[0], *second[1:])
            self.heads = [type("Head", (), dict(zip(("W_V", "W_K", "W_Q"), h, strict=True))) for h in (first, same)]
            self.ffn = layer.ffn

    assert (read(model, outside(model, [Printed(layer) for layer in model.exact.layers], H)) != want).any()


def test_fus_step_size_as_printed_never_converges(matrix) -> None:
    """At α = 2/‖SSᵀ‖ the first step annihilates the top eigendirection: refused, while a little less converges."""
    A = matrix(8, D, low=0.8)
    S = A.T @ A
    largest, w = float(np.linalg.norm(S, 2)), np.arange(1.0, 4.0)
    model = hw.constructions.get("newton_relu_attention").compile
    inputs = {"A": A, "y": A @ w, "Q": np.eye(D)}
    with pytest.raises(hw.AssumptionError, match="as printed, the iteration stalls"):
        model(n=8, d=D, m=D, steps=8, alpha=2 / largest**2 * (1 + 1e-12))(**inputs)
    good = model(n=8, d=D, m=D, steps=8, alpha=1 / largest**2)
    assert abs(good(**inputs)["prediction"] - w).max() < 1e-6
    stalled = good.program.reference(**inputs, steps=8, alpha=2 / largest**2 * (1 - 1e-15))["prediction"]
    top = np.linalg.eigh(S)[1][:, -1]
    assert abs(top @ (stalled - w)) > 0.9 * abs(top @ w)


def test_rates_above_two_over_the_largest_eigenvalue_diverge(matrix) -> None:
    """The claim is the iteration, not its limit."""
    A, w = matrix(8, D), np.ones(D)
    largest = float(np.linalg.norm(A.T @ A / 8, 2))
    inputs = {"A": A, "y": A @ w, "Q": np.eye(D)}
    for factor, converges in ((1.5, True), (2.5, False)):
        model = hw.constructions.get("gradient_descent").compile(n=8, d=D, m=D, steps=40, rate=factor / largest)
        assert (abs(model(**inputs)["prediction"] - w).max() < 0.1) == converges


# -- bad input ---------------------------------------------------------------------------------------------------------

GOOD = {name: {"n": N, "d": D, "m": M, **arguments} for name, arguments, _, _ in CASES.values()}
NAN = float("nan")
RANK_TWO = np.array([[0.1, 0.7, 0.2], [0.9, 0.3, 0.8]])  # of its Gram matrix rounding may leave all eigenvalues above 0
BAD: list[tuple[str, dict[str, Any], str]] = [
    ("gradient_descent", {"n": 0}, "n is 0: expected an integer of at least 1"),
    ("gradient_descent", {"m": 0}, "m is 0: expected an integer of at least 1"),
    ("gradient_descent", {"rate": -HALF}, "rate is Fraction.* above 0"),
    ("gradient_descent", {"rate": (HALF, 0, HALF)}, "rate is .* above 0"),
    ("gradient_descent", {"rate": NAN}, "rate is nan"),
    ("gradient_descent", {"rate": (HALF, HALF)}, "rate has 2 numbers and steps is 3"),
    ("gradient_descent", {"momentum": 1}, "momentum is 1: expected a number of at least 0 below 1"),
    ("gradient_descent", {"momentum": -HALF}, "momentum is Fraction"),
    ("gradient_descent", {"prefer": "depth"}, "prefer is 'depth': expected one of 'rows', 'layers'"),
    ("gradient_descent", {"prefer": "layers", "steps": 21, "rate": 1}, "steps is 21: expected at most 20"),
    ("gradient_descent", {"alpha": 1}, "unknown parameter alpha"),
    ("preconditioned_gradient_descent", {"preconditioners": []}, "preconditioners is .*expected square matrices"),
    ("preconditioned_gradient_descent", {"preconditioners": [np.eye(2)]}, r"preconditioners\[0\]: expected .*3 × 3"),
    ("preconditioned_gradient_descent", {"preconditioners": [NAN * I]}, "preconditioners is"),
    ("preconditioned_gradient_descent", {"preconditioners": [np.ones((3, 2))]}, "preconditioners is"),
    ("optimal_single_layer", {"sigma": np.ones((3, 3))}, "(?s)sigma is .*positive definite"),
    ("optimal_single_layer", {"sigma": np.triu(SYMMETRIC)}, "(?s)sigma is .*symmetric"),
    ("optimal_single_layer", {"sigma": (1, 2)}, "sigma: expected .*3 × 3 matrix, got shape"),
    ("optimal_single_layer", {"sigma": RANK_TWO.T @ RANK_TWO}, "(?s)sigma is .*positive definite"),
    ("gd_plus_plus", {"sigma": np.diag([1, 1, 0])}, "(?s)sigma is .*positive definite"),
    ("gd_plus_plus", {"sigma": -1}, "sigma is -1"),
    ("gd_plus_plus", {"b": (1,)}, "a has 3 numbers and b has 1"),
    ("gd_plus_plus", {"a": ()}, "a is ()"),
    ("gd_plus_plus", {"a": (NAN, 1, 1)}, "a is .*nan"),
    ("neumann", {"steps": 0}, "steps is 0"),
    ("neumann", {"alpha": 0}, "alpha is 0"),
    ("newton_relu_attention", {"alpha": -1}, "alpha is -1"),
]


@pytest.mark.parametrize(("name", "changes", "message"), BAD, ids=lambda v: v if isinstance(v, str) else "")
def test_bad_arguments_are_refused_by_name(name: str, changes: dict[str, Any], message: str) -> None:
    good = {**GOOD[name]}
    good.pop("momentum", None)
    with pytest.raises(hw.CompileError, match=message):
        hw.constructions.get(name).compile(**{**good, **changes})


def test_queries_in_the_context_are_refused(rng) -> None:
    """As rows of A, and as a program that sums over the queries too."""
    model, data = compiled("one rate"), integers(rng)
    both = {"A": np.vstack([data["A"], data["Q"]]), "y": np.append(data["y"], [0, 0]), "Q": data["Q"]}
    with pytest.raises(hw.InputError, match=f"input A has shape .{N + M}, {D}.: expected .n × d. = .{N}, {D}."):
        model(**{k: v.astype(float) for k, v in both.items()})

    @hw.program
    def careless(A: hw.Matrix["n", "d"], y: hw.Vector["n"], Q: hw.Matrix["m", "d"]):
        Z, r = hw.vstack(A, Q), hw.vstack(y, hw.zeros("m"))
        r = r - Z @ (Z.T @ r)
        r = r - Z @ (Z.T @ r)
        return -r[hw.dim("n") :]

    with pytest.raises(hw.ArchitectureError, match="sums over tokens that are no keys"):
        hw.compile(careless, dims={"n": N, "d": D, "m": M}, arch=hw.MASKED_ATTENTION)


def test_a_function_of_a_token_is_refused_without_a_feed_forward_part() -> None:
    @hw.program
    def clipped(A: hw.Matrix["n", "d"], y: hw.Vector["n"], Q: hw.Matrix["m", "d"]):
        return Q @ (A.T @ hw.relu(y))

    with pytest.raises(hw.ArchitectureError, match=r"relu.* needs a feed-forward part") as error:
        hw.compile(clipped, dims={"n": N, "d": D, "m": M}, arch=hw.MASKED_ATTENTION)
    assert "hw.LINEAR" in (error.value.fix or "") and error.value.where is not None


def test_softmax_is_refused_where_it_cannot_be_exact() -> None:
    with pytest.raises(hw.ArchitectureError, match="softmax attention takes averages"):
        compiled("one rate", arch=hw.SOFTMAX)
