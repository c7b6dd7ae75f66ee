"""The gradient-descent family on the command line: arrays from files, several rates, architectures, errors."""

from __future__ import annotations

import json

import numpy as np
import pytest

import headwright as hw
from headwright.runtime.cli import main

SIZES = ["n=6", "d=3", "m=2"]
FAMILY = {
    "gradient_descent": ["steps=3", "rate=1/2,1/4,0.125"],
    "preconditioned_gradient_descent": ["preconditioners=@A.npy"],
    "optimal_single_layer": ["sigma=1,2,3"],
    "gd_plus_plus": ["a=-1/2,-1", "b=1/4", "sigma=@sigma.npy"],
    "neumann": ["steps=3", "alpha=1/9"],
    "chebyshev": ["steps=3", "spectrum=1/10,1"],
    "newton_relu_attention": ["steps=2", "alpha=1/100"],
}


@pytest.fixture
def cli(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("A.npy", np.stack([-np.eye(3), -np.diag([1.0, 2.0, 3.0])]))
    np.save("one.npy", -np.eye(3))
    np.save("sigma.npy", np.eye(3) + 1)

    def call(*arguments: str, status: int = 0) -> str:
        found = main([*arguments])
        out, err = capsys.readouterr()
        assert found == status, f"status {found}\n{out}\n{err}"
        return out if status == 0 else out + err

    return call


@pytest.mark.parametrize("name", FAMILY)
def test_compile_save_verify_and_run(name: str, cli, rng) -> None:
    data = json.loads(cli("compile", name, "--set", *SIZES, *FAMILY[name], "-o", "model", "--json"))
    model = hw.load("model")
    assert data["construction"] == name and data["layers"] == model.depth and data["rows"] == model.d_model
    assert json.loads(cli("verify", "model", "--json"))["all_proved"] is True
    inputs = {"A": rng.normal(size=(6, 3)) / 4, "y": rng.normal(size=6), "Q": rng.normal(size=(2, 3))}
    if name == "chebyshev":  # eigenvalues of AᵀA inside its spectrum
        inputs["A"] = np.linalg.qr(inputs["A"])[0] / 2
    np.savez("x.npz", **inputs)
    cli("run", "model", "--input", "x.npz", "--output", "y.npz")
    with np.load("y.npz") as out:
        assert np.array_equal(out["prediction"], model(**inputs)["prediction"])
        assert np.allclose(out["prediction"], model.reference(**inputs)["prediction"], rtol=1e-12)


@pytest.mark.parametrize("name", ["gradient_descent", "optimal_single_layer", "newton_relu_attention"])
def test_verify_and_explain_take_small_sizes_and_show_the_paper(name: str, cli) -> None:
    claim = hw.constructions.get(name).claim
    assert f"({claim.paper}, {claim.statement})" in cli("verify", name)
    text = cli("explain", name)
    assert "paper" in text and "1/n" in text
    assert claim.statement in cli("list")


def test_an_architecture_by_name(cli) -> None:
    arguments = ("compile", "gradient_descent", "--set", *SIZES, "steps=3", "rate=1/2", "--json")
    rows = {arch: json.loads(cli(*arguments, "--arch", arch))["rows"] for arch in ("masked-attention", "masked", "linear")}
    assert rows == {"masked-attention": 4, "masked": 4, "linear": 7}


def test_one_matrix_is_one_step(cli) -> None:
    for text in ("@one.npy", "-1"):
        settings = (*SIZES, f"preconditioners={text}")
        assert json.loads(cli("compile", "preconditioned_gradient_descent", "--set", *settings, "--json"))["layers"] == 1


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("gradient_descent", ["steps=3", "rate=1/2,1/4"], "rate has 2 numbers and steps is 3"),
        ("gradient_descent", ["steps=3", "rate=fast"], "rate is 'fast'"),
        ("optimal_single_layer", ["sigma=@A.npy"], "sigma is"),
        ("optimal_single_layer", ["sigma=1,2"], "3 × 3 matrix, got shape (2,)"),
        ("preconditioned_gradient_descent", ["preconditioners=@missing.npy"], "missing.npy does not exist"),
        ("gd_plus_plus", ["a=-1,-1,-1", "b=1", "sigma=1"], "a has 3 numbers and b has 1"),
    ],
)
def test_bad_settings_are_named(name: str, settings: list[str], message: str, cli) -> None:
    assert message in cli("compile", name, "--set", *SIZES, *settings, status=2)
