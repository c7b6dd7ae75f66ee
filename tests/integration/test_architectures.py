"""Architectures as targets: masks, scales, ReLU and softmax attention, gates; each against a formula of our own."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings

import headwright as hw
from headwright.proofs_check import strategies as hws
from headwright.runtime.cli import main
from headwright.runtime.outside import run_model


@hw.program
def descent(A: hw.Matrix["n", "d"], y: hw.Vector["n"], Q: hw.Matrix["m", "d"], *, P, steps):
    n, Z, r = hw.dim("n"), hw.vstack(A, Q), hw.vstack(y, hw.zeros("m"))
    for _ in range(steps):
        r = r - Z @ P @ (Z[:n].T @ r[:n]) / n
    return -r[n:]


@hw.program
def newton(A: hw.Matrix["n", "d"], y: hw.Vector["n"], *, alpha, steps):
    U = alpha * A @ (A.T @ A)
    for _ in range(steps):
        U = 2 * U - A @ (U.T @ U)
    return U.T @ y


@hw.program
def products(A: hw.Matrix["n", "d"], u: hw.Vector["n"], v: hw.Vector["n"]):
    w = u * v
    return {"w": w, "B": A.T @ (hw.diag(u) @ A), "p": hw.square(v) - v * w + 1, "c": hw.apply(CUBIC, u, domain=(-9, 9)) @ v}


def CUBIC(z):
    return z**3 - 2 * z


P = np.array([[2, 1, 0], [0, 1, 0], [0, 0, 1]])  # not symmetric
MODELS = {
    "masked attention": (descent, {"P": P, "steps": 3}, {"n": 5, "d": 3, "m": 2}),
    "masked": (descent, {"P": P, "steps": 2}, {"n": 2, "d": 3, "m": 4}),
    "relu attention": (newton, {"alpha": Fraction(1, 20), "steps": 2}, {"n": 4, "d": 3}),
    "gated": (products, {}, {"n": 4, "d": 3}),
    "squared relu": (products, {}, {"n": 4, "d": 3}),
}
BY_NAME = {a.name: a for a in hw.ARCHITECTURES}


@pytest.fixture(scope="module", params=MODELS)
def model(request) -> hw.Compiled:
    program, constants, dims = MODELS[request.param]
    return hw.compile(program, dims=dims, arch=BY_NAME[request.param], **constants)


def inputs_for(model: hw.Compiled, seed: int = 0, integers: bool = False) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    out = {}
    for spec in model.artifact.graph.inputs:
        shape = tuple(model.artifact.graph.sizes[d] for d in spec.shape)
        out[spec.name] = rng.integers(-3, 4, shape).astype(object) if integers else rng.normal(size=shape)
    return out


def layers_by_hand(model: hw.Compiled, H: np.ndarray) -> np.ndarray:
    """The formula of a layer, from what a model says of itself, one token at a time."""
    tokens = range(model.n_tokens)
    for layer in model.layers:
        new = H.copy()
        for head in layer.heads:
            V, K, Q = head.W_V @ H, head.W_K @ H, head.W_Q @ H
            for t in tokens:
                seen = [j for j in tokens if model.key_mask[j] and not (model.arch.causal and j > t)]
                scores = np.array([K[:, j] @ Q[:, t] for j in seen])
                if model.attention == "relu":
                    scores = np.maximum(scores, 0)
                if model.attention == "softmax":
                    scores = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
                for weight, j in zip(scores, seen, strict=True):
                    new[:, t] += model.attention_scale * weight * V[:, j]
        H = new
        if layer.ffn is not None:
            units = layer.ffn.W_1 @ H
            if model.arch.ffn == "gate":
                units = units * (layer.ffn.W_3 @ H)
            else:
                units = np.maximum(units, 0) ** (2 if model.arch.ffn == "relu2" else 1)
            H = H + layer.ffn.W_2 @ units
    return H


def named(outputs) -> dict[str, np.ndarray]:
    return {k: np.asarray(v) for k, v in (outputs if isinstance(outputs, dict) else {"output": outputs}).items()}


def same(one, other, tol: float = 1e-10) -> None:
    one, other = named(one), named(other)
    for name in one:
        assert np.allclose(one[name].astype(float), other[name].astype(float), rtol=tol, atol=tol), name


# -- what is compiled --------------------------------------------------------------------------------------------------


def test_the_formula_by_hand_gives_what_the_runtime_gives(model: hw.Compiled) -> None:
    inputs = inputs_for(model)
    H = model.encode(**inputs)
    for outputs in (model(**inputs), model.run(inputs, dense=True), model.decode(layers_by_hand(model, H))):
        same(outputs, model.reference(**inputs))
    same(model.decode(run_model(model, H)), model.reference(**inputs))


def test_every_claim_is_proved(model: hw.Compiled) -> None:
    certificate = hw.verify(model)
    assert certificate.all_proved, str(certificate)


def test_the_weights_are_exact_over_the_rationals(model: hw.Compiled) -> None:
    inputs = inputs_for(model, integers=True)
    got = named(model.exact.run(**inputs))
    program, constants, _ = MODELS[model.arch.name]
    exact = {n: np.vectorize(Fraction, otypes=[object])(a) for n, a in inputs.items()}
    if model.arch.ffn in ("gate", "relu2"):  # the reference applies functions in floats
        u, v, A = exact["u"], exact["v"], exact["A"]
        want = {"w": u * v, "B": (A.T * u).dot(A), "p": v * v - v * u * v + 1, "c": CUBIC(u).dot(v)}
    else:
        want = named(program.reference(**exact, **constants))
    for name in want:
        assert (got[name] == want[name]).all(), name


def test_batches_run_as_one_problem_after_the_other(model: hw.Compiled) -> None:
    several = [inputs_for(model, seed) for seed in range(3)]
    batch = model(**{n: np.stack([one[n] for one in several]) for n in several[0]})
    for index, one in enumerate(several):
        same({n: a[index] for n, a in named(batch).items()}, model(**one))


def test_saved_models_are_the_same_models(model: hw.Compiled, tmp_path) -> None:
    hw.save(model, tmp_path / "model")
    again = hw.load(tmp_path / "model")
    assert again.artifact == model.artifact and again.arch == model.arch
    same(again(**inputs_for(model)), model(**inputs_for(model)), tol=0)


def test_float32_runs_on_every_architecture(model: hw.Compiled) -> None:
    inputs = {n: a.astype(np.float32) for n, a in inputs_for(model).items()}
    same(model(**inputs), model.reference(**inputs), tol=1e-3)


# -- what makes the difference -----------------------------------------------------------------------------------------


def as_if(model: hw.Compiled, **changes) -> hw.Compiled:
    return hw.Compiled(replace(model.artifact, architecture=replace(model.arch, **changes)))


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("masked attention", {"key_mask": None}),
        ("masked attention", {"scale": "1"}),
        ("masked attention", {"scale": "1/m"}),
        ("masked attention", {"attention": "relu"}),
        ("relu attention", {"attention": "linear"}),
        ("relu attention", {"scale": "1"}),
        ("gated", {"ffn": "relu"}),
        ("squared relu", {"ffn": "relu"}),
        ("relu attention", {"ffn": None}),
        ("gated", {"ffn": None}),
    ],
)
def test_weights_for_one_architecture_are_refuted_on_another(name: str, changes: dict) -> None:
    program, constants, dims = MODELS[name]
    model = as_if(hw.compile(program, dims=dims, arch=BY_NAME[name], **constants), **changes)
    certificate = hw.verify(model)
    assert isinstance(certificate["exact"], hw.Refuted) and not isinstance(certificate["identity"], hw.Proved)


def test_a_relu_head_without_its_partner_is_not_proved() -> None:
    program, constants, dims = MODELS["relu attention"]
    model = hw.compile(program, dims=dims, arch=hw.RELU_ATTENTION, **constants)
    first = model.artifact.layers[0]
    layers = (replace(first, heads=first.heads[:1]), *model.artifact.layers[1:])
    assert not hw.verify(hw.Compiled(replace(model.artifact, layers=layers))).all_proved


def test_a_constant_in_the_weights_is_checked_entry_by_entry() -> None:
    program, constants, dims = MODELS["masked attention"]
    model = hw.compile(program, dims=dims, arch=hw.MASKED_ATTENTION, **constants)
    assert model.d_model == dims["d"] + 1  # P is not in the stream
    layer = model.artifact.layers[0]
    (head,) = layer.heads
    (block,) = (b for b in (*head.W_Q.blocks, *head.W_K.blocks) if b.matrix)
    for i in range(3):
        for j in range(3):
            rows = [list(row) for row in block.matrix]
            rows[i][j] += 1
            wrong = replace(block, matrix=tuple(map(tuple, rows)))
            W_Q, W_K = (replace(m, blocks=tuple(wrong if b == block else b for b in m.blocks)) for m in (head.W_Q, head.W_K))
            changed = replace(layer, heads=(replace(head, W_Q=W_Q, W_K=W_K),))
            certificate = hw.verify(hw.Compiled(replace(model.artifact, layers=(changed,) * 3)))
            assert isinstance(certificate["exact"], hw.Refuted) and not isinstance(certificate["identity"], hw.Proved)


@pytest.mark.parametrize("changes", [{"attention": "softmax"}, {"causal": True}, {"attention": "relu", "causal": True}])
@pytest.mark.parametrize("key_mask", ["n", None])
def test_softmax_and_causal_masks_run_as_their_formula_says(changes: dict, key_mask: str | None) -> None:
    """Any weights do: here those of a model for linear attention."""
    program, constants, dims = MODELS["masked attention"]
    model = as_if(hw.compile(program, dims=dims, arch=hw.MASKED_ATTENTION, **constants), key_mask=key_mask, **changes)
    inputs = inputs_for(model)
    want = model.decode(layers_by_hand(model, model.encode(**inputs)))
    for outputs in (model(**inputs), model.run(inputs, dense=True), model.decode(run_model(model, model.encode(**inputs)))):
        same(outputs, want)
    whole = model.structured(__import__("torch").as_tensor(model.encode(**inputs))).numpy()
    assert np.allclose(whole, layers_by_hand(model, model.encode(**inputs)), atol=1e-10)


# -- random programs ---------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(hws.cases(max_steps=5))
def test_random_programs_compile_exactly_to_relu_attention(case: hws.Case) -> None:
    model = hw.compile(case.program, dims=case.sizes, arch=replace(hw.RELU_ATTENTION, scale="1"))
    assert hw.verify(model).all_proved or not isinstance(hw.verify(model)["exact"], hw.Refuted), case.source
    got, want = named(model.exact.run(**case.inputs)), named(case.program.reference(**case.inputs))
    assert all((got[name] == want[name]).all() for name in want), case.source


# -- refusals ----------------------------------------------------------------------------------------------------------


@hw.program
def hadamard(u: hw.Vector["n"], v: hw.Vector["n"]):
    return u * v


@hw.program
def logistic(u: hw.Vector["n"]):
    return hw.sigmoid(u)


@hw.program
def gram(A: hw.Matrix["k", "d"]):
    return A.T @ A


@hw.program
def beyond(A: hw.Matrix["n", "d"], Q: hw.Matrix["m", "d"]):
    Z = hw.vstack(A, Q)
    return Z.T @ Z


REFUSED = {
    "attention only": (hadamard, hw.MASKED_ATTENTION, ["u * v", "feed-forward"]),
    "no polynomial": (logistic, hw.GATED, ["sigmoid", "no polynomial", "hw.LINEAR"]),
    "softmax": (gram, replace(hw.SOFTMAX, key_mask=None), ["softmax", "averages", "hw.MASKED"]),
    "causal": (gram, replace(hw.LINEAR, causal=True), ["causal", "last token"]),
    "no such dimension": (gram, hw.MASKED, ["no dimension n", "k, d"]),
    "sums beyond the keys": (beyond, hw.MASKED_ATTENTION, ["only the first n tokens are keys", "[:n]"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_an_architecture_cannot_do_is_refused_by_name(name: str) -> None:
    program, arch, words = REFUSED[name]
    dims = dict.fromkeys(program.dimension_names(), 3)
    with pytest.raises(hw.ArchitectureError) as caught:
        hw.compile(program, dims=dims, arch=arch)
    assert all(word in str(caught.value) for word in words) and caught.value.fix


def test_the_command_lists_what_each_architecture_can_express(capsys) -> None:
    assert main(["explain", "--arch", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in listed] == [a.name.replace(" ", "-") for a in hw.ARCHITECTURES]
    for entry, arch in zip(listed, hw.ARCHITECTURES, strict=True):
        can = entry["expresses"]
        assert can["matrix products"].startswith("no") == (arch.attention == "softmax")
        assert can["functions"].startswith("no") == (arch.ffn is None)
    assert main(["explain", "--arch", "masked"]) == 0
    assert "M = diag(I_n, 0)" in capsys.readouterr().out
    assert main(["explain", "--arch", "maskd"]) != 0 and "did you mean masked" in capsys.readouterr().err


def test_explain_names_constants_and_the_formula(capsys) -> None:
    arguments = ["explain", "preconditioned_gradient_descent", "--set", "n=4", "d=2", "m=1", "preconditioners=-1/2,-1/4"]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert "H ← H + 1/n Σ W_V H M (W_K H)ᵀ (W_Q H), M = diag(I_n, 0)" in text and "rows (d_model)" in text


@hw.program
def parts(A: hw.Matrix["n", "d"], y: hw.Vector["n"], Q: hw.Matrix["m", "d"]):
    n, Z, r = hw.dim("n"), hw.vstack(A, Q), hw.vstack(y, hw.zeros("m"))
    r = r - Z @ (Z[:n].T @ r[:n])
    return {"a": -r[n:], "b": r[:n]}


@pytest.mark.parametrize("arch", [hw.MASKED_ATTENTION, hw.LINEAR, hw.RELU_ATTENTION])
def test_outputs_may_be_different_parts_of_the_same_rows(arch: hw.Architecture) -> None:
    model = hw.compile(parts, dims={"n": 3, "d": 2, "m": 2}, arch=arch)
    inputs = inputs_for(model)
    same(model(**inputs), model.reference(**inputs))
    same(model.run(inputs, dense=True), model.reference(**inputs))


def test_what_is_read_outside_the_stream_or_beyond_a_matrix_is_refuted() -> None:
    program, constants, dims = MODELS["masked attention"]
    model = hw.compile(program, dims=dims, arch=hw.MASKED_ATTENTION, **constants)
    (placed,) = model.artifact.decoding
    for changes in ({"token": model.n_tokens}, {"width": 1}, {"height": 2}):
        certificate = hw.verify(hw.Compiled(replace(model.artifact, decoding=(replace(placed, **changes),))))
        assert isinstance(certificate["exact"], hw.Refuted) and not isinstance(certificate["identity"], hw.Proved)
    layer = model.artifact.layers[0]
    W_V = layer.heads[0].W_V
    beyond = replace(W_V, blocks=tuple(replace(b, row=b.row + model.d_model) for b in W_V.blocks))
    changed = replace(layer, heads=(replace(layer.heads[0], W_V=beyond),))
    assert isinstance(hw.verify(hw.Compiled(replace(model.artifact, layers=(changed,) * 3)))["exact"], hw.Refuted)


def test_heads_under_a_causal_mask_are_not_proved() -> None:
    program, constants, dims = MODELS["masked attention"]
    certificate = hw.verify(as_if(hw.compile(program, dims=dims, arch=hw.MASKED_ATTENTION, **constants), causal=True))
    assert isinstance(certificate["exact"], hw.Unknown) and isinstance(certificate["identity"], hw.Unknown)


def test_claims_about_solutions_survive_where_products_are_exact_units() -> None:
    @hw.program
    def weighted(A: hw.Matrix["n", "d"], y: hw.Vector["n"], u: hw.Vector["n"]):
        w = hw.solve(A.T @ A, A.T @ y, spectrum=(0.5, 2.0), tol=1e-2)
        return {"w": w, "z": u * (A @ w)}

    for arch in (hw.GATED, hw.SQUARED):
        certificate = hw.verify(hw.compile(weighted, dims={"n": 4, "d": 2}, arch=arch))
        assert isinstance(certificate["residual"], hw.Proved), str(certificate)
