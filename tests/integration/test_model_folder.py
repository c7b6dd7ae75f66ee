"""Model folders: complete or absent, equal after a round trip, refused when cut or altered."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import headwright as hw


@pytest.fixture(scope="module")
def model() -> hw.Compiled:
    return hw.constructions.get("ridge").compile(n=5, d=3, steps=3, alpha=0.1, mu=0.25)


@pytest.fixture
def folder(model, tmp_path) -> Path:
    return hw.save(model, tmp_path / "model")


def test_a_loaded_model_is_the_saved_one(model, folder, data_for) -> None:
    loaded = hw.load(folder)
    assert loaded.artifact == model.artifact
    data = data_for(model)
    assert loaded(**data) == model(**data)
    assert abs(loaded.reference(**data) - model.reference(**data)) <= 1e-14 * abs(model.reference(**data))
    assert str(hw.verify(loaded)) == str(hw.verify(model))


def test_every_construction_round_trips(variant, tmp_path) -> None:
    made = variant.compile()
    assert hw.load(hw.save(made, tmp_path / "model")).artifact == made.artifact


def test_programs_with_constants_scalars_and_several_outputs_round_trip(tmp_path) -> None:
    @hw.program
    def rich(A: hw.Matrix["n", 2], s: hw.Scalar, v: hw.Vector["n"], *, B, third):
        return {"out": third * A @ B, "w": s * v, "g": hw.symmetric(A.T @ A)}

    made = hw.compile(rich, dims={"n": 3}, B=np.array([[1, 2], [3, -4]]), third=1 / 3)
    loaded = hw.load(hw.save(made, tmp_path / "m"))
    inputs = {"A": np.arange(6.0).reshape(3, 2), "s": np.array(2.5), "v": np.ones(3)}
    want, got = made(**inputs), loaded(**inputs)
    assert all(np.array_equal(got[name], want[name]) for name in want)
    assert loaded.artifact == made.artifact


def test_saving_twice_writes_the_same_bytes(model, tmp_path) -> None:
    first, second = hw.save(model, tmp_path / "a"), hw.save(model, tmp_path / "b")
    for path in first.iterdir():
        if path.suffix == ".json":
            assert path.read_bytes() == (second / path.name).read_bytes() or path.name == "manifest.json"


def test_every_file_is_guarded_against_truncation_change_and_loss(folder, tmp_path) -> None:
    for number, path in enumerate(sorted(folder.iterdir())):
        data = path.read_bytes()
        flipped = bytearray(data)
        flipped[len(data) // 2] ^= 1
        changes = {"cut": data[: len(data) // 2], "empty": b"", "one bit": bytes(flipped), "longer": data + b"\n{}"}
        for what, content in changes.items():
            copy = tmp_path / f"copy {number} {what}"
            shutil.copytree(folder, copy)
            (copy / path.name).write_bytes(content)
            with pytest.raises(hw.ModelFolderError) as caught:
                hw.load(copy)
            assert path.name in str(caught.value) and caught.value.fix, f"{path.name} {what}"
        copy = tmp_path / f"copy {number} without"
        shutil.copytree(folder, copy)
        (copy / path.name).unlink()
        with pytest.raises(hw.ModelFolderError) as caught:
            hw.load(copy)
        assert caught.value.fix


def test_another_version_is_refused_by_number(folder) -> None:
    manifest = folder / "manifest.json"
    text = manifest.read_text(encoding="utf-8")
    assert '"version": 4' in text
    manifest.write_text(text.replace('"version": 4', '"version": 999'), encoding="utf-8")
    with pytest.raises(hw.ModelFolderError, match="999"):
        hw.load(folder)


@pytest.mark.parametrize("kind", ["nothing there", "a file", "an empty folder", "someone else's folder"])
def test_what_is_not_a_model_folder_is_refused(kind, tmp_path) -> None:
    path = tmp_path / "thing"
    if kind == "a file":
        path.write_text("hello", encoding="utf-8")
    elif kind != "nothing there":
        path.mkdir()
        if kind == "someone else's folder":
            (path / "notes.txt").write_text("hello", encoding="utf-8")
    with pytest.raises(hw.ModelFolderError, match="thing") as caught:
        hw.load(path)
    assert caught.value.fix


def test_nothing_else_is_ever_overwritten(model, folder, tmp_path) -> None:
    with pytest.raises(hw.ModelFolderError, match="exists"):
        hw.save(model, folder)
    hw.save(model, folder, overwrite=True)
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "thesis.tex").write_text("years of work", encoding="utf-8")
    for overwrite in (False, True):
        with pytest.raises(hw.ModelFolderError, match="thesis"):
            hw.save(model, other, overwrite=overwrite)
    (folder / "my notes.txt").write_text("keep", encoding="utf-8")
    with pytest.raises(hw.ModelFolderError, match="my notes"):
        hw.save(model, folder, overwrite=True)
    assert (other / "thesis.tex").read_text(encoding="utf-8") == "years of work"


def test_a_failed_save_leaves_nothing(model, tmp_path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(hw.ModelFolderError, match="No space left"):
        hw.save(model, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal, sys
import headwright.runtime.cli as cli
real = os.{call}
def stop(*arguments, **options):
    os.kill(os.getpid(), signal.{sig})
    return real(*arguments, **options)
os.{call} = stop
sys.exit(cli.main(["compile", "ridge", "--set", "n=5", "d=3", "steps=3", "alpha=1/10", "mu=1/4", "-o", sys.argv[1]]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(("call", "sig"), [("fsync", "SIGKILL"), ("rename", "SIGKILL"), ("fsync", "SIGTERM")])
def test_a_killed_compile_leaves_no_folder_and_does_not_disturb_the_next(call, sig, tmp_path) -> None:
    target = tmp_path / "model"
    done = subprocess.run(
        [sys.executable, "-c", KILLED.format(call=call, sig=sig), str(target)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == (-signal.SIGKILL if sig == "SIGKILL" else 128 + signal.SIGTERM), done.stderr
    assert not target.exists()
    if sig == "SIGTERM":
        assert list(tmp_path.iterdir()) == []
    hw.save(hw.constructions.get("ridge").compile(n=2, d=2, steps=1, alpha=0.1, mu=1), target)
    assert [path.name for path in tmp_path.iterdir()] == ["model"], "what the killed run left is cleared by the next"
    assert json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    assert isinstance(hw.load(target), hw.Compiled)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_kill_9_at_any_moment_leaves_a_complete_folder_or_none(tmp_path) -> None:
    command = [
        sys.executable,
        "-m",
        "headwright",
        "compile",
        "least_squares",
        "--set",
        "n=32",
        "d=8",
        "steps=12",
        "alpha=1/1000",
        "-o",
    ]
    for number, delay in enumerate((0.5, 1.5, 2.5, 3.0)):
        target = tmp_path / f"model{number}"
        process = subprocess.Popen([*command, str(target)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if target.exists():
            assert hw.load(target).depth >= 12
