"""The small checker refuses folders that were changed and hashed again, and imports nothing of ours."""

from __future__ import annotations

import ast
import copy
import json
import random
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import headwright as hw
from headwright.proofs_check import checker
from headwright.runtime import checkpoint

SOURCE = Path(checker.__file__)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = hw.constructions.get("least_squares").compile(n=3, d=2, steps=1, alpha=Fraction(1, 4))
    return hw.save(model, tmp_path_factory.mktemp("checked") / "model")


def verdicts(folder: Path) -> dict[str, str]:
    return {name: verdict for name, verdict, _ in checker.check(folder)}


def identity(data: Any) -> str:
    """HOLDS, or why the identity of a changed model.json is refused."""
    try:
        checker.check_identity(checker.Model(data))
    except Exception as error:  # as in `checker.check`
        return f"{type(error).__name__}: {error}"
    return "HOLDS"


def rehash(folder: Path, name: str, data: bytes) -> None:
    files = json.loads((folder / "manifest.json").read_bytes())["files"]
    contents = {n: data if n == name else (folder / n).read_bytes() for n in files}
    (folder / name).write_bytes(data)
    (folder / "manifest.json").write_bytes(checkpoint._manifest(contents))


def test_it_imports_nothing_of_ours_and_is_short() -> None:
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    names = {a.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    assert not any(n.level for n in ast.walk(tree) if isinstance(n, ast.ImportFrom))
    names |= {str(n.module).split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert names <= sys.stdlib_module_names | {"numpy", "sympy"}
    assert not names & {"pickle", "importlib", "subprocess"}
    called = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    assert not called & {"eval", "exec", "compile", "__import__"}
    assert len(SOURCE.read_text(encoding="utf-8").splitlines()) < 400


def test_it_runs_as_a_script_copied_elsewhere(folder: Path, tmp_path: Path) -> None:
    shutil.copy(SOURCE, tmp_path / "checker.py")
    done = subprocess.run([sys.executable, "checker.py", folder], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count("HOLDS")) == (0, 6), done.stdout + done.stderr


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors", "certificate.json", "README.txt", "manifest.json"])
def test_a_changed_byte_of_any_file_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(folder, tmp_path / "m")
    data = bytearray((tmp_path / "m" / name).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "m" / name).write_bytes(data)
    assert "REFUSED" in verdicts(tmp_path / "m").values()


def test_a_changed_float_is_refused_by_its_place(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "m")
    data = (tmp_path / "m" / "weights.safetensors").read_bytes()
    rehash(tmp_path / "m", "weights.safetensors", data[:-3] + b"\x01" + data[-2:])
    ((_, verdict, detail),) = [r for r in checker.check(tmp_path / "m") if r[0] == "floats"]
    assert verdict == "REFUSED"
    assert "layer.2." in detail
    assert "[9, 9]" in detail


def test_every_change_of_a_block_is_refused_or_changes_nothing(folder: Path) -> None:
    original = json.loads((folder / "model.json").read_bytes())
    assert identity(original) == "HOLDS"
    survivors, tried = [], 0
    for i, layer in enumerate(original["distinct_layers"]):
        for j, head in enumerate(layer["heads"]):
            for name in ("W_V", "W_K", "W_Q"):
                for k in range(len(head[name]["blocks"])):
                    for change in ("sign", "value", "row", "col", "drop"):
                        data = copy.deepcopy(original)
                        blocks = data["distinct_layers"][i]["heads"][j][name]["blocks"]
                        value = Fraction(blocks[k]["coefficient"])
                        if change == "drop":
                            del blocks[k]
                        elif change in ("row", "col"):
                            blocks[k][change] += 1
                        else:
                            blocks[k]["coefficient"] = str(-value if change == "sign" else value + Fraction(1, 10**9))
                        tried += 1
                        if identity(data) == "HOLDS":
                            survivors.append((i, j, name, k, change))
    assert tried >= 60
    assert not survivors


def test_changed_programs_labels_and_bounds_are_refused(folder: Path) -> None:
    original = json.loads((folder / "model.json").read_bytes())
    for index, node in enumerate(original["artifact"]["graph"]["nodes"]):
        if node["op"] == "scale":
            data = copy.deepcopy(original)
            data["artifact"]["graph"]["nodes"][index]["attr"] = {"fraction": "1/3"}
            assert identity(data) != "HOLDS", index
    for index, hint in enumerate(original["artifact"]["hints"]):
        if hint["node"] is not None:
            data = copy.deepcopy(original)
            data["artifact"]["hints"][index]["row"] += 1
            assert "labelled" in identity(data), index
    data = copy.deepcopy(original)
    data["bounds"]["depth"] = 3
    with pytest.raises(checker.Refused, match="depth"):
        checker.check_sizes(checker.Model(data))


@pytest.mark.parametrize("junk", ["[]", "{}", "null", '{"artifact": 1}', "[" * 100000, '{"a": 1, "a": 2}', "NaN"])
def test_hostile_json_is_refused(folder: Path, tmp_path: Path, junk: str) -> None:
    shutil.copytree(folder, tmp_path / "m")
    rehash(tmp_path / "m", "model.json", junk.encode())
    assert verdicts(tmp_path / "m")["format"] == "REFUSED"


def test_a_random_relu_is_no_other_relu() -> None:
    field, rng = checker.Field(80), random.Random(0)
    a = field.full((1, 1), rng.randrange(field.p))
    assert (field.relu(a) - field.relu(-a % field.p) - a) % field.p == 0
    assert (field.relu(2 * a % field.p) - field.relu(a) - field.relu(a)) % field.p != 0
