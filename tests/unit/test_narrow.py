"""A limit on the feed-forward width: the same units, in more layers."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import headwright as hw
from headwright.compiler.narrow import narrowest
from headwright.proofs_check.checker import check
from headwright.runtime.cli import main
from headwright.runtime.explain import explain_text


@hw.program
def hessian(A: hw.Matrix["n", "d"], x: hw.Vector["d"]):
    hw.bounded(A, rows=1.0)
    hw.bounded(x, within=(-1, 1))
    p = hw.sigmoid(A @ x)
    return A.T @ hw.diag(p * (1 - p)) @ A / hw.dim("n")


@hw.program
def bends(x: hw.Vector["n"], y: hw.Vector["n"]):
    u = hw.relu(x - y)
    a, c = u + hw.relu(x + y) - hw.relu(-x), hw.relu(x + 3 * y - 1) - hw.relu(5 * y)
    return {"a": a, "b": hw.relu(2 * u - y), "c": c}


@hw.program
def products(x: hw.Vector["n"], y: hw.Vector["n"], z: hw.Vector["n"]):
    return {"s": x * y + y * z - 3 * (x * x), "t": (x + z) * (y - z)}


INPUTS = {
    "bends": {"x": [3, -1, 2], "y": [1, 1, -5]},
    "products": {"x": [3, -1, 2], "y": [1, 1, -5], "z": [0, 7, 2]},
}


@pytest.mark.parametrize(
    ("program", "arch"),
    [(bends, hw.LINEAR), (bends, hw.RELU_ATTENTION), (products, hw.GATED), (products, hw.SQUARED)],
    ids=["linear", "relu attention", "gated", "squared relu"],
)
def test_every_width_that_is_allowed_gives_the_same_numbers_and_a_proof(program, arch) -> None:
    wide = hw.compile(program, dims={"n": 3}, arch=arch)
    inputs = INPUTS[program.fn.__name__]
    want, most = wide.exact.run(**inputs), wide.ffn_width - 1
    while most > 0:
        try:
            model = hw.compile(program, dims={"n": 3}, arch=arch, max_ffn_width=most)
        except hw.CompileError as error:
            assert f"max_ffn_width is {most}: expected at least {most + 1}" in str(error)
            break
        assert model.ffn_width <= most and model.depth > wide.depth
        found = model.exact.run(**inputs)
        assert all((found[name] == want[name]).all() for name in want)
        assert isinstance(hw.verify(model)["identity"], hw.Proved)
        most = model.ffn_width - 1
    assert most < wide.ffn_width // 2


def test_a_narrow_model_keeps_its_certified_error_and_the_checker_reads_it(tmp_path: Path) -> None:
    wide = hw.compile(hessian, dims={"n": 6, "d": 3}, tol=1e-2)
    model = hw.compile(hessian, dims={"n": 6, "d": 3}, tol=1e-2, max_ffn_width=wide.ffn_width // 3 + 2)
    assert model.depth >= wide.depth + 2
    certificate = hw.verify(model)
    assert certificate.all_proved, str(certificate)
    assert model.artifact.lowered.errors == wide.artifact.lowered.errors
    hw.save(model, tmp_path / "model")
    assert {verdict for _, verdict, _ in check(tmp_path / "model")} == {"HOLDS"}
    rng = np.random.default_rng(0)
    A, x = rng.normal(size=(6, 3)), rng.uniform(-1, 1, size=3)
    A /= np.linalg.norm(A, axis=1).max()
    np.testing.assert_allclose(model(A=A, x=x), wide(A=A, x=x), atol=1e-13)  # the same units, summed in another order
    loaded = hw.load(tmp_path / "model")
    assert np.array_equal(loaded(A=A, x=x), model(A=A, x=x))
    H = model.encode(A=A, x=x)  # an evaluator that knows only the formula
    for layer in model.layers:
        H = H + sum((h.W_V @ H) @ (h.W_K @ H).T @ (h.W_Q @ H) for h in layer.heads)
        H = H if layer.ffn is None else H + layer.ffn.W_2 @ np.maximum(layer.ffn.W_1 @ H, 0)
    np.testing.assert_allclose(model.decode(H), model(A=A, x=x), atol=1e-13)


def test_rows_are_named_only_when_they_are_complete() -> None:
    @hw.program
    def smooth(x: hw.Vector["n"]):
        return hw.apply(hw.sigmoid, x, domain=(-2, 2), tol=1e-3)

    model = hw.compile(smooth, dims={"n": 3}, max_ffn_width=3)
    assert model.depth > 3
    made = [number for number, labels in enumerate(model.rows) if "sigmoidᵀ" in labels]
    text = explain_text(model.artifact, model.bounds, {})
    assert 3 < len(re.findall(r"sigmoidᵀ ← .*\(part of .* ± 0\.00", text)) == made[0]
    assert made == list(range(made[0], model.depth + 1))
    assert hw.verify(model).all_proved


def test_a_narrow_model_has_the_heads_and_units_of_the_wide_one() -> None:
    wide = hw.compile(hessian, dims={"n": 6, "d": 3}, tol=1e-2)
    model = hw.compile(hessian, dims={"n": 6, "d": 3}, tol=1e-2, max_ffn_width=narrowest(wide.artifact))
    assert sum(layer.ffn_width for layer in model.artifact.layers) == sum(w.ffn_width for w in wide.artifact.layers)
    assert [h for h in model.heads_per_layer if h] == [h for h in wide.heads_per_layer if h]
    assert (model.d_model, model.n_tokens) == (wide.d_model, wide.n_tokens)


def test_no_limit_and_a_generous_one_give_the_same_model() -> None:
    wide = hw.compile(bends, dims={"n": 3})
    assert hw.compile(bends, dims={"n": 3}, max_ffn_width=wide.ffn_width).artifact == wide.artifact


@pytest.mark.parametrize("width", [0, -3, 2.5, True, "8", Fraction(8)])
def test_other_widths_are_refused(width) -> None:
    with pytest.raises(hw.CompileError, match=r"max_ffn_width is .*: expected a whole number above 0"):
        hw.compile(bends, dims={"n": 3}, max_ffn_width=width)


def test_a_constant_of_that_name_gets_the_value() -> None:
    @hw.program
    def scaled(x: hw.Vector["n"], *, max_ffn_width=1):
        return max_ffn_width * hw.relu(x)

    model = hw.compile(scaled, dims={"n": 2}, max_ffn_width=3)
    assert model(x=[1.0, -1.0]).tolist() == [3.0, 0.0]


def test_newton_steps_at_a_small_ridge_in_fewer_layers_and_units_than_a_measured_prototype() -> None:
    """25 layers of 250 units were measured, on data, for μ = 0.1 and steps within 1e-2; these are certified for all data."""
    newton = hw.constructions.get("logistic_newton")
    model = newton.compile(n=26, d=5, mu=0.1, steps=6, tol=1e-2, max_ffn_width=226)
    assert (model.depth, model.ffn_width, model.d_model) == (22, 226, 43)
    assert model.bounds.depth is None and model.bounds.rows is not None


def test_the_command_line_takes_a_width(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["compile", "logistic_newton", "--set", "n=6", "d=2", "mu=0.5", "steps=2", "tol=0.01", "--max-ffn-width"]
    assert main([*command, "24", "-o", str(tmp_path / "m")]) == 0
    assert hw.load(tmp_path / "m").ffn_width <= 24
    assert "24 units at most in a layer" in capsys.readouterr().out or hw.load(tmp_path / "m").ffn_width < 24
    assert main([*command, "1"]) != 0
    assert "max_ffn_width is 1: expected at least" in capsys.readouterr().err
