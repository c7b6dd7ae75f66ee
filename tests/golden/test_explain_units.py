"""What `explain` and the other commands say about a model with feed-forward layers."""

from __future__ import annotations

import json

import numpy as np
import pytest

import headwright as hw
from headwright.proofs_check.exact import exact_degree
from headwright.proofs_check.local_sums import local_sums
from headwright.proofs_check.lower_bounds import lower_bounds
from headwright.runtime import plots
from headwright.runtime.cli import main
from headwright.runtime.explain import explain_json, explain_text


@hw.program
def half_step(A: hw.Matrix["n", "d"], y: hw.Vector["n"], x: hw.Vector["d"]):
    hw.bounded(A, rows=1.0)
    hw.signs(y)
    hw.bounded(x, rows=2.0)
    z = A @ x
    c = hw.sigmoid(z) - (hw.ones("n") + y) / 2
    s = hw.relu(z)
    U = hw.diag(hw.apply(lambda t: t**2 / 8, z, domain=(-2, 2))) @ A
    return {"g": A.T @ c, "S": U.T @ A, "t": y * s}


LAYERS = """half_step (n = 6, d = 2) on linear attention and units, eq. (3.1b): H ← H + Σ W_V H (W_K H)ᵀ (W_Q H), then H ← H + W_2 relu(W_1 H)

input    I_d[0:2]  Aᵀ[2:4]  yᵀ[4:5]  xᵀ[5:6]  1_nᵀ[6:7]

layer 1
  head 1  zᵀ += xᵀ Aᵀ
          V: zᵀ ← xᵀ  |  K: I_d  |  Q: Aᵀ
  ffn     62 units
          [1/(1+exp(-z))]ᵀ ← 4 units of zᵀ (1/(1 + exp(-z)) ± 0.0053)
          tᵀ ← 2 units of yᵀ, zᵀ (exactly signed Max(0, z))
          Uᵀ ← 0.0093743 Aᵀ + 24 units a row of Aᵀ, zᵀ (z**2/8 · A ± 0.0094)
          clears xᵀ, zᵀ
  rows    I_d[0:2]  Aᵀ[2:4]  yᵀ[4:5]  [1/(1+exp(-z))]ᵀ[5:6]  1_nᵀ[6:7]  tᵀ[7:8]  Uᵀ[8:10]

layer 2
"""  # noqa: E501

FIGURES = """
layers                       2                                       2
heads                        2                                       2           2
rows (d_model)              13                       4              10
FFN width                   62
parameters               3,133
  stored once            3,133
  nonzero                  247

lower bound: for every plan
  layers: the degree is not known (with units an output is no polynomial)
"""


@pytest.fixture(scope="module")
def model() -> hw.Compiled:
    return hw.compile(half_step, dims={"n": 6, "d": 2}, tol=1e-1)


def printed(model: hw.Compiled) -> str:
    return explain_text(model.artifact, model.bounds, exact_degree(model.artifact.graph))


def test_every_layer_shows_what_its_units_read_write_and_clear(model) -> None:
    text = printed(model)
    assert text.startswith(LAYERS)
    assert FIGURES in text


def test_the_same_is_in_the_json(model) -> None:
    data = json.loads(json.dumps(explain_json(model.artifact, model.bounds, exact_degree(model.artifact.graph))))
    assert data["ffn_width"] == model.ffn_width == 62
    first, second = (layer["ffn"] for layer in data["layers"])
    assert second is None and first["width"] == 62 and first["clears"] == ["xᵀ", "zᵀ"]
    U = next(target for target in first["targets"] if target["name"] == "Uᵀ")
    assert U["units_per_row"] == 24 and U["reads"] == ["Aᵀ", "zᵀ"] and U["rows"] == [8, 10]
    assert data["degree"] is None and data["depth_lower_bound"] is None


def test_the_sums_that_are_printed_are_those_of_the_weights(model) -> None:
    """W_2 relu(W_1 h) at random h, from the linear parts and the units of `local_sums`, with rational numbers."""
    ffn = model.artifact.layers[0].ffn
    W_1, W_2 = model.exact.layers[0].ffn.W_1, model.exact.layers[0].ffn.W_2
    rng = np.random.default_rng(0)
    h = rng.integers(-5, 6, size=model.d_model).astype(object)
    want = W_2 @ np.maximum(W_1 @ h, 0)
    got = np.zeros(model.d_model, dtype=object)
    for entry in local_sums(ffn):
        for i in range(entry.height):
            value = lambda source, i=i: h[source[0] + (0 if source[1] else i)]  # noqa: E731
            got[entry.row + i] += sum(c * value(s) for s, c in entry.linear.items())
            got[entry.row + i] += sum(w * max(0, sum(c * value(s) for s, c in inside)) for w, inside in entry.units)
    assert (got == want).all()


def test_a_program_with_units_gets_no_bound_from_its_degree_or_spectrum() -> None:
    @hw.program
    def weighted(A: hw.Matrix["n", "d"], S: hw.Matrix["d", "d"], z: hw.Vector["n"]):
        X = hw.inverse(S, spectrum=(1, 4), tol=1e-2)
        return {"X": X, "p": A.T @ hw.sigmoid(z)}

    model = hw.compile(weighted, dims={"n": 4, "d": 2})
    assert model.ffn_width
    assert not [b for b in lower_bounds(model.artifact) if b.what == "layers" and b.any_products]
    assert {c.name for c in hw.verify(model).claims}.isdisjoint({"fewest", "depth"})


def test_a_chain_through_units_counts_half_layers() -> None:
    """Attention, then units, in one layer; units after units need another."""

    @hw.program
    def chain(x: hw.Vector["d"], A: hw.Matrix["d", "d"]):
        hw.bounded(A, rows=1.0)
        return hw.apply(lambda t: t**2, A @ hw.apply(lambda t: t**2, A @ x, domain=(-2, 2)), domain=(-4, 4))

    model = hw.compile(chain, dims={"d": 3}, tol=0.1)
    (bound,) = (b for b in lower_bounds(model.artifact) if b.what == "layers")
    assert bound.value == model.depth == 2


def test_products_with_signs_do_not_cancel_in_float32() -> None:
    @hw.program
    def labelled(y: hw.Vector["n"], z: hw.Vector["n"]):
        hw.signs(y)
        hw.bounded(z, within=(-2, 2))
        return {"product": y * z, "line": y * (3 - 2 * z)}

    model = hw.compile(labelled, dims={"n": 50})
    rng = np.random.default_rng(0)
    z = rng.uniform(-2, 2, 50).astype(np.float32)
    y = np.sign(rng.standard_normal(50)).astype(np.float32)
    got = model(y=y, z=z)
    assert np.abs(got["product"] - y * z).max() <= 8 * np.finfo(np.float32).eps
    assert np.abs(got["line"] - y * (3 - 2 * z)).max() <= 32 * np.finfo(np.float32).eps
    assert hw.verify(model).all_proved


def test_the_command_line_and_the_pictures_take_models_with_units(model, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "half.py").write_text(
        "import headwright as hw\n\n\n@hw.program\n"
        'def half(A: hw.Matrix["n", "d"], x: hw.Vector["d"]):\n'
        "    return A.T @ hw.sigmoid(A @ x)\n",
        encoding="utf-8",
    )
    assert main(["compile", "half.py:half", "--set", "n=4", "d=2", "-o", "folder"]) == 0
    assert "FFN width" in capsys.readouterr().out
    np.savez("x.npz", A=np.eye(4, 2), x=np.array([0.5, -0.5]))
    assert main(["run", "folder", "--input", "x.npz", "--output", "out.npz"]) == 0
    want = 1 / (1 + np.exp([-0.5, 0.5]))
    assert np.abs(np.load("out.npz")["output"] - want).max() < 4e-4
    assert main(["verify", "folder"]) == 0
    assert main(["explain", "folder"]) == 0
    assert "FFN width" in capsys.readouterr().out
    A = np.random.default_rng(0).uniform(-0.5, 0.5, (6, 2))
    inputs = {"A": A, "y": np.ones(6), "x": np.array([1.0, -1.0])}
    assert plots.plot_weights(model, tmp_path / "weights.png").stat().st_size > 0
    assert plots.plot_stream(model, inputs, tmp_path / "stream.png").stat().st_size > 0
