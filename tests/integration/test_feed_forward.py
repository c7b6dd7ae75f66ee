"""Programs with feed-forward units as users meet them: eq. (3.1) by an outsider, every way to run, folders, tolerances."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

import headwright as hw
from headwright.compiler.pointwise import function_from_text
from headwright.proofs_check import checker


def transformer(layers, H):
    """Eq. (3.1a) and (3.1b): H ← H + Σ W_V H (W_K H)ᵀ (W_Q H), then H ← H + W_2 relu(W_1 H)."""
    for layer in layers:
        update = 0 * H
        for head in layer.heads:
            update = update + head.W_V.dot(H).dot(head.W_K.dot(H).T).dot(head.W_Q.dot(H))
        H = H + update
        if layer.ffn is not None:
            H = H + layer.ffn.W_2.dot(np.maximum(layer.ffn.W_1.dot(H), 0))
    return H


@hw.program
def two_layer_network(A: hw.Matrix["n", "d"], w: hw.Vector["d"], *, B):
    return hw.relu(A @ B) @ w


@hw.program
def probabilities(A: hw.Matrix["n", "d"], x: hw.Vector["d"]):
    return hw.sigmoid(A @ x)


@hw.program
def weighted_gram(A: hw.Matrix["n", "d"], z: hw.Vector["n"]):
    p = hw.sigmoid(z)
    return {"H": A.T @ hw.diag(p * (1 - p)) @ A, "p": p}


@hw.program
def products(u: hw.Vector["n"], v: hw.Vector["n"], s: hw.Scalar):
    return {"uv": u * v, "cube": u * u * u, "s": s * s}


@hw.program
def gated(A: hw.Matrix["n", "d"], y: hw.Vector["n"]):
    hw.signs(y)
    return {"g": y * hw.relu(A @ hw.ones("d")), "rows": hw.diag(y) @ A, "p": y * hw.sigmoid(-y)}


@hw.program
def logistic_newton(A: hw.Matrix["n", "d"], y: hw.Vector["n"], *, mu, steps, tol):
    n, x = hw.dim("n"), hw.zeros("d")
    for _ in range(steps):
        p = hw.sigmoid(-y * (A @ x))
        g = -(A.T @ (y * p)) / n + mu * x
        H = A.T @ hw.diag(p * (1 - p)) @ A / n + mu * hw.eye("d")
        v = hw.solve(H, g, spectrum=(mu, mu + 0.25), tol=tol)
        x = x - hw.apply(lambda z: 2 * mu**0.5 / (2 * mu**0.5 + z**0.5), g @ v, domain=(0, (1 + mu) ** 2 / mu), tol=tol) * v
    return {"w": x}


SIZES = {"n": 4, "d": 3}
WEIGHTS = np.array([[0.5, -1.0, 0.25], [1.0, 0.0, -0.5], [-0.75, 0.5, 1.0]])
#: name → (program, constants, allowed error of the fits)
PROGRAMS = {
    "relu": (two_layer_network, {"B": WEIGHTS}, None),
    "sigmoid": (probabilities, {}, 1e-2),
    "weighted gram": (weighted_gram, {}, 5e-2),
    "products": (products, {}, 1e-1),
    "signs": (gated, {}, 1e-2),
    "Theorem 5.2": (logistic_newton, {"mu": 0.5, "steps": 1, "tol": 1e-2}, None),
}


@pytest.fixture(scope="module")
def model_of() -> Callable[[str], hw.Compiled]:
    made: dict[str, hw.Compiled] = {}

    def get(name: str) -> hw.Compiled:
        if name not in made:
            program, constants, tol = PROGRAMS[name]
            dims = {d: SIZES[d] for d in program.dimension_names()}
            options = {} if tol is None else {"tol": tol}
            made[name] = hw.compile(program, dims=dims, **constants, **options)
        return made[name]

    return get


def inputs_for(model: hw.Compiled, seed: int = 0, batch: tuple[int, ...] = ()) -> dict[str, np.ndarray]:
    """Eighths in [−1, 1]; signs for y; rows of A at most 1."""
    rng = np.random.default_rng(seed)
    out = {}
    for spec in model.artifact.graph.inputs:
        shape = tuple(SIZES[d] for d in spec.shape)
        value = rng.integers(-8, 9, batch + shape) / 8
        out[spec.name] = np.where(value < 0, -1.0, 1.0) if spec.name == "y" else value / 2 if spec.name == "A" else value
    return out


def named(outputs) -> dict[str, np.ndarray]:
    return {k: np.asarray(v) for k, v in (outputs if isinstance(outputs, dict) else {"output": outputs}).items()}


def agree(found, want, factor: float = 1e-11) -> None:
    """Up to roundings of the sums over units: relative to 1, since all values here are below 10."""
    found, want = named(found), named(want)
    assert found.keys() == want.keys()
    for name in want:
        assert found[name].shape == want[name].shape
        assert np.abs(found[name] - want[name]).max() <= factor, name


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_outside_evaluator_gives_the_outputs(name: str, model_of) -> None:
    model = model_of(name)
    assert any(layer.ffn is not None for layer in model.layers)
    for seed in range(3):
        inputs = inputs_for(model, seed)
        outside = named(model.decode(transformer(model.layers, model.encode(**inputs))))
        agree(model(**inputs), outside)
        agree(model.run(inputs, dense=True), outside)
        want = named(model.reference(**inputs))
        for output, error in model.artifact.lowered.errors.items():
            assert np.abs(outside[output] - want[output]).max() <= error + 1e-12, output


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_torch_module_holds_the_same_matrices(name: str, model_of) -> None:
    model = model_of(name)
    inputs = inputs_for(model)
    module = model.torch_module()
    agree(model.decode(module(torch.as_tensor(model.encode(**inputs))).detach().numpy()), model(**inputs))
    sizes = {p.shape for p in module.parameters()}
    widths = {layer.ffn.W_1.shape[0] for layer in model.layers if layer.ffn is not None}
    assert {(m, model.d_model) for m in widths} <= sizes and model.ffn_width == max(widths)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_exact_run_is_the_graph_of_units(name: str, model_of) -> None:
    """Rational arithmetic on rational data: outside evaluator and exact run agree without tolerance."""
    model = model_of(name)
    inputs = inputs_for(model)
    exact = {n: np.vectorize(Fraction, otypes=[object])(v) for n, v in inputs.items()}
    H0 = np.vectorize(Fraction, otypes=[object])(model.encode(**inputs))
    outside = transformer(model.exact.layers, H0)
    places = named(model.decode(np.arange(outside.size, dtype=float).reshape(outside.shape)))
    found = named(model.exact.run(**exact))
    for output, where in places.items():
        assert (outside.ravel()[where.astype(int)] == found[output]).all()
    agree({n: v.astype(float) for n, v in found.items()}, model(**inputs))


@pytest.mark.parametrize("name", PROGRAMS)
def test_batches_are_runs_of_their_members(name: str, model_of) -> None:
    model = model_of(name)
    inputs = inputs_for(model, batch=(2, 3))
    together = named(model(**inputs))
    for index in np.ndindex(2, 3):
        agree({n: v[index] for n, v in together.items()}, model(**{n: v[index] for n, v in inputs.items()}))


@pytest.mark.parametrize("name", ["sigmoid", "weighted gram", "products"])
def test_gradients_of_both_runs_agree(name: str, model_of) -> None:
    model = model_of(name)
    gradients = []
    for dense in (False, True):
        tensors = {n: torch.tensor(v + 1e-3, requires_grad=True) for n, v in inputs_for(model, 5).items()}  # off the corners
        found = model.run(tensors, dense=dense)
        total = sum(v.sum() for v in (found.values() if isinstance(found, dict) else [found]))
        total.backward()
        gradients.append({n: t.grad.numpy() for n, t in tensors.items() if t.grad is not None})
    assert any(np.abs(g).max() > 0 for g in gradients[0].values())
    agree(gradients[0], gradients[1], 1e-9)


@pytest.mark.parametrize("name", PROGRAMS)
def test_float32_stays_float32_and_near(name: str, model_of) -> None:
    """Fits of these sizes sum at most a few hundred units of weight below 100: 1e-3 is 10⁴ roundings of float32."""
    model = model_of(name)
    inputs = inputs_for(model)
    found = named(model(**{n: v.astype(np.float32) for n, v in inputs.items()}))
    assert all(v.dtype == np.float32 for v in found.values())
    agree({n: v.astype(float) for n, v in found.items()}, model(**inputs), 1e-3)


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_claim_is_proved(name: str, model_of) -> None:
    certificate = hw.verify(model_of(name))
    assert certificate.all_proved, str(certificate)
    assert {"identity", "exact", "error"} <= {claim.name for claim in certificate.claims}


def test_relu_of_data_is_exact(model_of) -> None:
    model = model_of("relu")
    assert model.artifact.lowered.errors == {"output": 0.0}
    inputs = {n: np.vectorize(Fraction, otypes=[object])(v) for n, v in inputs_for(model).items()}
    want = np.maximum(inputs["A"].dot(np.vectorize(Fraction)(WEIGHTS)), 0).dot(inputs["w"])
    assert (model.exact.run(**inputs) == want).all()


# -- tolerances ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slope", [Fraction(1, 2), Fraction(-1, 2), Fraction(3)])
def test_a_line_of_a_label_is_a_gate(slope: Fraction, tmp_path: Path) -> None:
    """(1 + y)/2 is 0 or 1, and other lines of a label are gated as exactly as the label itself."""

    @hw.program
    def routed(X: hw.Matrix["n", "d"], v: hw.Vector["n"], w: hw.Vector["n"], y: hw.Vector["n"]):
        hw.bounded(X, within=(-3, 3))
        hw.signs(y)
        on = hw.ones("n") / 2 + slope * y
        return {"rows": hw.diag(on) @ X, "left": on * v, "right": w * on}

    model = hw.compile(routed, dims={"n": 4, "d": 3})
    assert model.artifact.lowered.approximations == ()
    assert set(model.artifact.lowered.errors.values()) == {0.0}
    tables = [node.attr for node in model.artifact.graph.nodes if node.op == "units"]
    # (1 − y)/2, and lines that are not 0 or 1, take a multiple of what is gated besides
    assert [len(table.units) for table in tables] == 3 * [2 if slope == Fraction(1, 2) else 4]
    rng = np.random.default_rng(0)
    inputs = {"X": rng.uniform(-3, 3, (4, 3)), "v": rng.uniform(-1, 1, 4), "w": np.ones(4), "y": np.array([1.0, -1, -1, 1])}
    got, meant = model(**inputs), model.reference(**inputs)
    for name in meant:
        assert np.abs(got[name] - meant[name]).max() <= 1e-14
    assert hw.verify(model).all_proved
    fits = [detail for claim, _, detail in checker.check(hw.save(model, tmp_path / "model")) if claim == "fit"]
    assert len(fits) == 3 and all(verdict == "HOLDS" for _, verdict, _ in checker.check(tmp_path / "model"))


def test_the_formula_of_a_fit_has_brackets() -> None:
    @hw.program
    def scaled(X: hw.Matrix["n", "d"], s: hw.Vector["n"]):
        return hw.diag((hw.ones("n") + s) / 2) @ X

    (fit,) = hw.compile(scaled, dims={"n": 3, "d": 2}).artifact.lowered.approximations
    assert fit.text == "(ones + s)*X/2"  # a name in brackets, not ones + s*X/2


def test_smaller_tolerances_are_met_and_cost_more_units() -> None:
    widths = []
    for tol in (1e-1, 1e-2, 1e-3, 1e-4):
        model = hw.compile(probabilities, dims=SIZES, tol=tol)
        assert model.artifact.lowered.errors["output"] <= tol
        inputs = inputs_for(model)
        assert np.abs(model(**inputs) - model.reference(**inputs)).max() <= tol
        widths.append(model.ffn_width)
    assert widths == sorted(widths) and len(set(widths)) == 4
    assert widths[3] <= 12 * widths[1], "the error falls as 1/N²: a hundredth of it takes ten times the units"


def test_units_go_where_they_matter() -> None:
    """Both functions are the same, but one enters the output times 100: it gets about ∛100 times the pieces."""

    @hw.program
    def unequal(u: hw.Vector["n"], v: hw.Vector["n"]):
        hw.bounded(u, within=(-4, 4))
        hw.bounded(v, within=(-4, 4))
        return 100 * hw.sigmoid(u) + hw.sigmoid(v)

    model = hw.compile(unequal, dims={"n": 2}, tol=1e-2)
    units = {a.text: a.units for a in model.artifact.lowered.approximations}
    assert model.artifact.lowered.errors["output"] <= 1e-2
    ratio = units["1/(1 + exp(-u))"] / units["1/(1 + exp(-v))"]
    assert 3 <= ratio <= 7, units


def test_a_tolerance_of_the_program_is_kept_and_named_when_it_is_too_large() -> None:
    @hw.program
    def fixed(v: hw.Vector["n"]):
        return hw.apply(hw.exp, v, domain=(-1, 1), tol=0.1)

    assert hw.compile(fixed, dims={"n": 2}, tol=0.5).artifact.lowered.errors["output"] <= 0.1
    with pytest.raises(hw.CompileError, match=r"tol = 0\.001 was asked for") as caught:
        hw.compile(fixed, dims={"n": 2}, tol=1e-3)
    assert "exp(v)" in caught.value.rule and "tol=0.1" in caught.value.where.code and caught.value.fix


# -- folders -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["weighted gram", "signs", "Theorem 5.2"])
def test_a_saved_model_is_the_same_model(name: str, model_of, tmp_path: Path) -> None:
    model = model_of(name)
    loaded = hw.load(hw.save(model, tmp_path / "model"))
    assert loaded.artifact == model.artifact
    inputs = inputs_for(model)
    for output, value in named(model(**inputs)).items():
        assert np.array_equal(named(loaded(**inputs))[output], value)
    assert hw.verify(loaded).all_proved
    agree(loaded.reference(**inputs), model.reference(**inputs), 1e-12)


def test_a_loaded_model_still_checks_domains(tmp_path: Path) -> None:
    @hw.program
    def exponential(v: hw.Vector["n"]):
        return hw.apply(hw.exp, v, domain=(-1, 1), tol=0.1)

    loaded = hw.load(hw.save(hw.compile(exponential, dims={"n": 2}), tmp_path / "model"))
    with pytest.raises(hw.AssumptionError, match=r"v reaches 2 .*entries within \[-1, 1\]"):
        loaded(v=np.array([0.0, 2.0]))


def test_a_python_function_cannot_be_saved_and_leaves_nothing(tmp_path: Path) -> None:
    @hw.program
    def opaque(v: hw.Vector["n"]):
        square = hw.bounded_function(lambda z: z * z, second_derivative=2, name="my square")
        return hw.apply(square, v, domain=(-1, 1), tol=0.1)

    model = hw.compile(opaque, dims={"n": 2})
    claim = hw.verify(model)["approximation"]
    assert isinstance(claim, hw.Unknown) and "my square" in claim.reason
    with pytest.raises(hw.ModelFolderError, match="my square") as caught:
        hw.save(model, tmp_path / "model")
    assert caught.value.fix and list(tmp_path.iterdir()) == []


def resealed(folder: Path, change: Callable[[str], str]) -> None:
    """model.json changed, with the files that follow from it and hashes that fit: as somebody who knows the format would."""
    from headwright.runtime import checkpoint

    contents = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != checkpoint.MANIFEST}
    text = contents[checkpoint.MODEL].decode()
    altered = change(text)
    assert altered != text
    contents[checkpoint.MODEL] = altered.encode()
    with contextlib.suppress(ValueError):  # a text that describes no model has no such files
        contents |= checkpoint.checked_files(checkpoint._from_dict(json.loads(altered)))
    for name, data in {**contents, checkpoint.MANIFEST: checkpoint._manifest(contents)}.items():
        (folder / name).write_bytes(data)


EVIL = [
    "__import__('os').system('touch OWNED')",
    "exp.__class__(z)",
    "(lambda: z)()",
    "eval(z)",
    "exp(z, evaluate=True)",
    "Symbol(z)",
    "z if z else z",
]


@pytest.mark.parametrize("text", EVIL)
def test_an_expression_in_a_folder_is_never_executed(text: str, model_of, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = hw.save(model_of("sigmoid"), tmp_path / "model")
    expression = "Pow(Add(1, exp(Mul(-1, z))), -1)"
    resealed(folder, lambda model: model.replace(json.dumps(expression)[1:-1], json.dumps(text)[1:-1]))
    try:
        proved = hw.verify(hw.load(folder)).all_proved
    except hw.ModelFolderError:
        proved = False
    assert not proved
    assert not (tmp_path / "OWNED").exists()
    with pytest.raises(ValueError, match=r"allowed|no expression"):
        function_from_text("f", text)


def test_another_expression_in_a_folder_is_refuted(model_of, tmp_path: Path) -> None:
    folder = hw.save(model_of("sigmoid"), tmp_path / "model")
    resealed(folder, lambda model: model.replace("Pow(Add(1, exp(Mul(-1, z))), -1)", "Pow(Add(2, exp(Mul(-1, z))), -1)"))
    certificate = hw.verify(hw.load(folder))
    assert isinstance(certificate["approximation"], hw.Refuted) or isinstance(certificate["error"], hw.Refuted)
    assert not certificate.all_proved


def test_a_folder_changed_by_hand_is_refused(model_of, tmp_path: Path) -> None:
    folder = hw.save(model_of("sigmoid"), tmp_path / "model")
    path = folder / "model.json"
    path.write_text(path.read_text().replace("exp(", "cos(", 1))
    with pytest.raises(hw.ModelFolderError, match="altered"):
        hw.load(folder)
