"""The command line: every command, --json, exit statuses, and errors that help."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import headwright as hw
from headwright.runtime import loss_plot
from headwright.runtime.cli import main

RIDGE = ["n=5", "d=3", "steps=3", "alpha=1/10", "mu=1/4"]


@pytest.fixture
def cli(capsys):
    def call(*arguments: object, status: int = 0) -> str:
        found = main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        assert found == status, f"status {found}\n{out}\n{err}"
        return out if status == 0 else out + err

    return call


@pytest.fixture
def folder(cli, tmp_path):
    cli("compile", "ridge", "--set", *RIDGE, "-o", tmp_path / "model")
    return tmp_path / "model"


def test_list_shows_every_construction_with_its_paper_and_parameters(cli) -> None:
    text = cli("list")
    data = json.loads(cli("list", "--json"))
    assert [c["name"] for c in data["constructions"]] == hw.constructions.names()
    for name in hw.constructions.names():
        construction = hw.constructions.get(name)
        assert name in text and construction.claim.statement in text
        assert all(p.name in text for p in construction.parameters)


def test_compile_reports_the_sizes_of_the_model(cli, tmp_path) -> None:
    data = json.loads(cli("compile", "ridge", "--set", *RIDGE, "-o", tmp_path / "m", "--json"))
    model = hw.load(tmp_path / "m")
    assert (data["layers"], data["max_heads"], data["rows"]) == (model.depth, model.max_heads, model.d_model)
    assert data["parameters"] == model.n_parameters and data["unique_parameters"] == model.n_unique_parameters
    assert data["heads_per_layer"] == model.heads_per_layer


def test_run_writes_what_the_model_computes(cli, folder, tmp_path, data_for) -> None:
    model = hw.load(folder)
    data = data_for(model)
    np.savez(tmp_path / "x.npz", **data)
    cli("run", folder, "--input", tmp_path / "x.npz", "--output", tmp_path / "y.npz")
    with np.load(tmp_path / "y.npz") as out:
        assert out["output"] == model(**data)
    shown = json.loads(cli("run", folder, "--input", tmp_path / "x.npz", "--json"))
    assert shown["outputs"]["output"]["preview"] == [float(model(**data))]


def test_run_takes_batches(cli, folder, tmp_path, rng) -> None:
    data = {"A": 0.3 * rng.normal(size=(4, 5, 3)), "y": rng.normal(size=5), "q": rng.normal(size=(4, 3))}
    np.savez(tmp_path / "x.npz", **data)
    cli("run", folder, "--input", tmp_path / "x.npz", "--output", tmp_path / "y.npz")
    with np.load(tmp_path / "y.npz") as out:
        assert np.array_equal(out["output"], hw.load(folder)(**data))


def test_verify_proves_a_construction_and_a_folder(cli, folder) -> None:
    for subject in (["ridge", "--set", *RIDGE], ["least_squares", "--set", "steps=20"], [folder]):
        text = cli("verify", *subject)
        assert "PROVED" in text and "REFUTED" not in text
        data = json.loads(cli("verify", *subject, "--json"))
        assert data["all_proved"] is True
        assert all(claim["verdict"] == "Proved" for c in data["certificates"] for claim in c["claims"])


def test_explain_shows_layers_rows_and_the_papers_figures(cli, folder) -> None:
    text = cli("explain", folder)
    assert "layer 1" in text.lower() and "←" in text and "Remark 4.4" in text
    json.loads(cli("explain", folder, "--json"))


def test_a_program_in_a_users_file_compiles_and_verifies(cli, tmp_path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        'import headwright as hw\n\n@hw.program\ndef smooth(x: hw.Vector["n"], *, step):\n    return x - step * x\n',
        encoding="utf-8",
    )
    cli("compile", f"{file}:smooth", "--set", "n=4", "step=1/8", "-o", tmp_path / "m")
    assert np.array_equal(hw.load(tmp_path / "m")(x=np.full(4, 8.0)), np.full(4, 7.0))
    assert "PROVED" in cli("verify", f"{file}:smooth", "--set", "n=4", "step=1/8")


def test_wrong_weights_give_status_1(cli, folder, tmp_path) -> None:
    """A model whose weights are not its program: saved with a matching manifest, so that only the proof can tell."""
    from dataclasses import replace

    from headwright.runtime.compiled import Compiled

    model = hw.load(folder)
    hw.save(Compiled(replace(model.artifact, layers=model.artifact.layers[:-1])), tmp_path / "wrong")
    text = cli("verify", tmp_path / "wrong", status=1)
    assert "REFUTED" in text
    assert main(["verify", str(tmp_path / "wrong"), "--json"]) == 1


BAD = {
    "unknown command": (["frobnicate"], ["frobnicate"]),
    "no command": ([], []),
    "unknown construction": (["compile", "least_square", "--set", "n=2"], ["least_square", "least_squares"]),
    "missing parameter": (["compile", "ridge", "--set", "n=5"], ["missing", "d"]),
    "unknown parameter": (["compile", "ridge", "--set", *RIDGE, "stepz=3"], ["stepz"]),
    "no value": (["compile", "ridge", "--set", "n"], ["n", "="]),
    "twice": (["compile", "ridge", "--set", "n=2", "n=3"], ["n", "twice"]),
    "size zero": (["compile", "ridge", "--set", "n=0", "d=3", "steps=3", "alpha=1/10", "mu=1/4"], ["n", "0"]),
    "text for a number": (["compile", "ridge", "--set", "n=five", "d=3", "steps=3", "alpha=1", "mu=1"], ["n", "five"]),
    "division by zero": (["compile", "ridge", "--set", "alpha=1/0"], ["1/0"]),
    "no folder": (["run", "/nonexistent/model", "--input", "x.npz"], ["/nonexistent/model"]),
    "no parent": (["compile", "ridge", "--set", *RIDGE, "-o", "/nonexistent/deep/model"], ["/nonexistent"]),
    "verify without a subject": (["verify"], ["--all"]),
    "no such file": (["compile", "/nonexistent/p.py:f", "--set", "n=1"], ["/nonexistent/p.py"]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_usage_has_status_2_and_names_what_is_wrong(name, cli) -> None:
    arguments, words = BAD[name]
    text = cli(*arguments, status=2)
    assert all(word in text for word in words), text
    assert "Traceback" not in text


@pytest.mark.parametrize("name", [n for n, (arguments, _) in BAD.items() if arguments and arguments[0] == "compile"])
def test_errors_are_one_json_object_with_json(name, capsys) -> None:
    assert main([*BAD[name][0], "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["what"] and error["type"]


@pytest.mark.parametrize("content", ["missing", "text", "truncated", "wrong names", "wrong shape", "NaN", "pickled"])
def test_bad_inputs_of_run_have_status_2_and_write_nothing(content, cli, folder, tmp_path, data_for) -> None:
    data, path = data_for(hw.load(folder)), tmp_path / "x.npz"
    if content == "text":
        path.write_text("A = 3", encoding="utf-8")
    elif content != "missing":
        if content == "wrong names":
            data["B"] = data.pop("A")
        if content == "wrong shape":
            data["A"] = data["A"].T
        if content == "NaN":
            data["A"][0, 0] = np.nan
        if content == "pickled":
            data["A"] = np.array([{"a": 1}], dtype=object)
        np.savez(path, **data)
        if content == "truncated":
            path.write_bytes(path.read_bytes()[:100])
    text = cli("run", folder, "--input", path, "--output", tmp_path / "y.npz", status=2)
    assert "Traceback" not in text and not (tmp_path / "y.npz").exists()
    assert {"wrong names": "B", "wrong shape": "A", "NaN": "A[0, 0]"}.get(content, "x.npz") in text


def test_an_altered_folder_is_refused_by_every_command(cli, folder, tmp_path) -> None:
    model = folder / "model.json"
    model.write_text(model.read_text(encoding="utf-8").replace("1", "2", 1), encoding="utf-8")
    for command in (["run", folder, "--input", tmp_path / "x.npz"], ["verify", folder], ["explain", folder]):
        assert "model.json" in cli(*command, status=2)


def test_help_is_there_for_every_command(capsys) -> None:
    for command in ("list", "compile", "run", "verify", "ledger", "explain", "bench", "pareto", "rates", "similarity", "demo"):
        assert main([command, "--help"]) == 0
        text = capsys.readouterr().out
        assert "--json" in text and "example" in text


def test_the_module_runs_as_a_program() -> None:
    done = subprocess.run([sys.executable, "-m", "headwright", "list", "--json"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert [c["name"] for c in json.loads(done.stdout)["constructions"]] == hw.constructions.names()
    bad = subprocess.run(
        [sys.executable, "-m", "headwright", "compile", "nothing"], capture_output=True, text=True, timeout=120
    )
    assert bad.returncode == 2 and "Traceback" not in bad.stderr and "nothing" in bad.stderr


def test_verify_all_proves_every_construction(cli) -> None:
    data = json.loads(cli("verify", "--all", "--json"))
    assert data["all_proved"] is True
    assert data["ledger"]["all_confirmed"] is True
    assert {c["model"].split("(")[0].split(" ")[0] for c in data["certificates"]} == set(hw.constructions.names())


def test_the_demo_needs_no_picture_to_hold(cli, tmp_path, monkeypatch) -> None:
    pytest.importorskip("sklearn", reason="the demo's data ship with scikit-learn (extra `demo`)")
    monkeypatch.chdir(tmp_path)
    data = json.loads(cli("demo", "--no-picture", "--json", "-o", tmp_path / "out"))
    assert data["agrees"] is True and data["certificate"]["all_proved"] is True
    # three steps are not enough to agree with lstsq: the demo must say so, with status 1
    cli("demo", "--no-picture", "--steps", "3", "--json", "-o", tmp_path / "out3", status=1)


@pytest.mark.parametrize("command", ["", "list", "similarity", "pareto", "ledger"])
def test_help_texts_are_sentences_and_lines(command: str, capsys) -> None:
    assert main([*command.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert ".." not in text.replace("...", "")
    assert ("\nexample:\n  headwright" if command else "\nexit status: 0 all holds") in text


@pytest.mark.skipif(not Path("/proc/sys").is_dir(), reason="a folder that nobody can write to")
def test_the_picture_of_the_loss_has_help_and_refuses_a_folder_before_the_work(capsys) -> None:
    with pytest.raises(SystemExit, match="0"):
        loss_plot.main(["--help"])
    assert "loss against layers" in capsys.readouterr().out
    assert loss_plot.main(["/proc/sys/loss.png"]) == 2
    assert "cannot be written to" in capsys.readouterr().err
