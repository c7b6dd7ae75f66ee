"""The small checker accepts what headwright saves and refuses what was changed and hashed again; it imports nothing of ours.

Folders are changed as somebody would who knows the format: hashes fit, and where it says so the certificate is rewritten too.
"""

from __future__ import annotations

import ast
import copy
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy

import headwright as hw
from headwright.proofs_check import checker
from headwright.runtime import checkpoint, normal_form

SOURCE = Path(checker.__file__)
Change = Callable[[Any], None]


@hw.program
def curved(x: hw.Vector["n"], w: hw.Vector["n"]):
    """A fit, a product of two values, and a product with a sign."""
    y = hw.signs(w)
    x = hw.bounded(x, within=(-1, 1))
    return {"out": hw.sigmoid(2 * x) * y, "square": x * x}


@hw.program
def products(x: hw.Vector["n"], w: hw.Vector["n"]):
    return hw.bounded(x, within=(-1, 1)) * hw.bounded(w, within=(0, 2))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A polynomial model, one with fits, and one that solves: the claims of every kind."""
    at, get = tmp_path_factory.mktemp("checked"), hw.constructions.get
    models = {
        "polynomial": get("least_squares").compile(n=3, d=2, steps=1, alpha=Fraction(1, 4)),
        "fit": hw.compile(curved, dims={"n": 2}, tol=0.05),
        "solve": get("inverse_sqrt").compile(d=2, spectrum=(Fraction(1, 4), 1), tol=0.1),
    }
    return {name: hw.save(model, at / name) for name, model in models.items()}


def altered(source: Path, target: Path, file: str, change: Change, restated: bool = False) -> list[tuple[str, str, str]]:
    """What the checker says of a copy with one JSON file changed and new hashes; `restated`: and with claims that fit."""
    shutil.copytree(source, target)
    contents = {path.name: path.read_bytes() for path in target.iterdir() if path.name != "manifest.json"}
    data = json.loads(contents[file])
    change(data)
    contents[file] = normal_form.dump(data)
    if restated:
        claims = checker.claims(checker.Model(contents), contents)
        told = {"claims": [{"name": name, "statement": text} for name, text, _ in claims]}
        contents["certificate.json"] = normal_form.dump(told)
    for name, text in {**contents, "manifest.json": checkpoint._manifest(contents)}.items():
        (target / name).write_bytes(text)
    return checker.check(target)


def refused(results: list[tuple[str, str, str]]) -> str:
    """The details of what is refused; fails where nothing is."""
    details = [detail for _, verdict, detail in results if verdict == "REFUSED"]
    assert details, results
    return "\n".join(details)


def holds(results: list[tuple[str, str, str]]) -> bool:
    return bool(results) and all(verdict == "HOLDS" for _, verdict, _ in results)


# -- what it is ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [SOURCE, SOURCE.parent / "error_checker.py"], ids=lambda path: path.stem)
def test_it_imports_nothing_of_ours_and_is_short(source: Path) -> None:
    """Of the other half, which `beside` loads, too."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    outside = [n for f in tree.body if not (isinstance(f, ast.FunctionDef) and f.name == "beside") for n in ast.walk(f)]
    for node in (n for n in ast.walk(tree) if isinstance(n, (ast.Import, ast.ImportFrom)) and n not in outside):
        assert [a.name for a in node.names] == ["error_checker"]
    names = {a.name.split(".")[0] for n in outside if isinstance(n, ast.Import) for a in n.names}
    assert not any(n.level for n in outside if isinstance(n, ast.ImportFrom))
    names |= {str(n.module).split(".")[0] for n in outside if isinstance(n, ast.ImportFrom)}
    assert names <= sys.stdlib_module_names | {"numpy", "sympy", "mpmath"}
    assert not names & {"pickle", "importlib", "subprocess"}
    called = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    assert not called & {"eval", "exec", "compile", "__import__"}
    assert len(source.read_text(encoding="utf-8").splitlines()) < 400


def test_it_runs_as_a_script_copied_elsewhere(folders, tmp_path: Path) -> None:
    shutil.copy(SOURCE, tmp_path / "checker.py")
    command = [sys.executable, "checker.py", folders["polynomial"]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count("HOLDS")) == (0, 8), done.stdout + done.stderr


def test_every_claim_of_every_construction_holds(variant, tmp_path: Path) -> None:
    results = checker.check(hw.save(variant.compile(), tmp_path / "model"))
    assert holds(results), [r for r in results if r[1] != "HOLDS"]


def test_the_three_models_make_claims_of_every_kind(folders) -> None:
    kinds = {name: {claim for claim, _, _ in checker.check(folder)} for name, folder in folders.items()}
    assert {"floats", "identity", "layers", "heads", "rows"} <= kinds["polynomial"]
    assert "fit" in kinds["fit"]
    assert "residual" in kinds["solve"]
    assert all(holds(checker.check(folder)) for folder in folders.values())


@pytest.mark.parametrize("name", ["model.json", "program.json", "weights.json", "weights.safetensors", "certificate.json",
                                  "README.txt", "manifest.json"])  # fmt: skip
def test_a_changed_byte_of_any_file_is_refused(folders, tmp_path: Path, name: str) -> None:
    shutil.copytree(folders["polynomial"], tmp_path / "m")
    data = bytearray((tmp_path / "m" / name).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "m" / name).write_bytes(data)
    assert name in refused(checker.check(tmp_path / "m"))


def test_an_older_format_is_named(folders, tmp_path: Path) -> None:
    shutil.copytree(folders["polynomial"], tmp_path / "m")
    path = tmp_path / "m" / "manifest.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"version": 4', '"version": 3'), encoding="utf-8")
    assert "format version 3, this program reads version 4" in refused(checker.check(tmp_path / "m"))


# -- alterations: weight, label, program, bound, claim ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["polynomial", "fit", "solve"])
def test_an_altered_weight_is_refused_by_its_place(folders, tmp_path: Path, kind: str) -> None:
    def change(weights: Any) -> None:
        next(iter(weights.values()))["entries"][0][2] = "355/113"

    assert "layer.0." in refused(altered(folders[kind], tmp_path / "m", "weights.json", change))


@pytest.mark.parametrize("kind", ["polynomial", "fit", "solve"])
def test_an_altered_weight_is_refused_by_what_it_computes_where_its_float_is_altered_too(folders, tmp_path: Path, kind) -> None:
    original = json.loads((folders[kind] / "weights.json").read_bytes())
    model = checkpoint.load(folders[kind])
    for name, matrix in original.items():
        for k in range(0, len(matrix["entries"]), max(1, len(matrix["entries"]) // 2)):
            weights = copy.deepcopy(original)
            weights[name]["entries"][k][2] = str(Fraction(matrix["entries"][k][2]) + Fraction(1, 10**9))
            files = {**normal_form.checked_files(model), "weights.json": normal_form.dump(weights)}
            with pytest.raises(checker.Refused, match=r"output|layer"):
                checker.check_identity(checker.Model(files))


@pytest.mark.parametrize("kind", ["polynomial", "solve"])
def test_every_single_weight_counts(folders, kind: str) -> None:
    """Value, sign, row, column, dropped: with floats that follow, nothing but the identity can tell."""
    files = normal_form.checked_files(checkpoint.load(folders[kind]))
    weights, survivors, tried = json.loads(files["weights.json"]), [], 0
    for name, matrix in weights.items():
        held = {(i, j) for i, j, _ in matrix["entries"]}
        for k, (i, j, text) in enumerate(matrix["entries"]):
            down, right = (i + 1) % matrix["shape"][0], (j + 1) % matrix["shape"][1]
            value = Fraction(text)
            changes = [[i, j, str(value + Fraction(1, 10**9))], [i, j, str(-value)], [i, j, "0"]]
            changes += [[*at, text] for at in ((down, j), (i, right)) if at not in held]
            for change in changes:
                new = copy.deepcopy(weights)
                new[name]["entries"][k] = change
                tried += 1
                try:
                    checker.check_identity(checker.Model({**files, "weights.json": normal_form.dump(new)}))
                    survivors.append((name, k, change))
                except checker.Refused:
                    pass
    assert tried >= 100
    assert not survivors


@pytest.mark.parametrize("kind", ["polynomial", "fit", "solve"])
def test_an_altered_label_is_refused(folders, tmp_path: Path, kind: str) -> None:
    def swap(program: Any) -> None:
        program["labels"][-1]["row"] -= 1

    def drop(program: Any) -> None:
        del program["labels"][-1]

    assert "labels" in refused(altered(folders[kind], tmp_path / "a", "program.json", swap))
    assert "labels of rows" in refused(altered(folders[kind], tmp_path / "b", "program.json", drop))


def test_what_is_read_has_to_be_what_the_program_returns(folders, tmp_path: Path) -> None:
    for number, change in enumerate((lambda p: p.update(outputs=[]), lambda p: p["returns"].update(more=0))):
        results = altered(folders["polynomial"], tmp_path / str(number), "program.json", change, restated=True)
        assert "outputs: others" in refused(results)


@pytest.mark.parametrize("kind", ["polynomial", "fit", "solve"])
def test_an_altered_program_is_refused(folders, tmp_path: Path, kind: str) -> None:
    def scaled(program: Any) -> None:
        """Every output times 3."""
        for output in program["outputs"]:
            node, shape = output["node"], program["nodes"][output["node"]]["shape"]
            program["nodes"].append({"op": "scale", "args": [node], "shape": shape, "factor": "3"})
            output["node"] = program["returns"][output["name"]] = len(program["nodes"]) - 1

    def inner(program: Any) -> None:
        """Another number inside: a factor, or a unit's weight."""
        node = next(n for n in program["nodes"] if n["op"] in ("scale", "units"))
        node["factor"] = "7/3"
        if node["op"] == "units":
            node["W_2"]["entries"][0][2] = "7/3"

    for change in (scaled, inner):
        results = altered(folders[kind], tmp_path / change.__name__, "program.json", change, restated=True)
        assert "[0, 0] is not what the weights compute" in refused(results)


def test_an_altered_bound_is_refused_with_the_claim_restated_or_not(folders, tmp_path: Path) -> None:
    changes: dict[str, tuple[str, Change, str]] = {
        "layers": ("polynomial", lambda p: p["figures"][0].update(bound=1), "layers"),
        "formula": ("polynomial", lambda p: p["parameters"].update(steps=0), "the formula gives"),
        "tol": ("solve", lambda p: p["residuals"][0].update(tol="1/1000"), "the residual may be"),
        "interval": ("solve", lambda p: p["residuals"][0].update({"from": "1/100"}), "the residual may be"),
        "chain": ("solve", lambda p: p["residuals"][0].update(chain=[["0"]]), "the chain of polynomials"),
        "fit": ("fit", lambda p: _fit(p).update(bound="1/1000"), "not within the bound at z"),
        "domain": ("fit", lambda p: _fit(p).update(z=["-3", "3"]), "not within the bound at z"),
        "function": ("fit", lambda p: _fit(p).update(function=["exp", "z"]), "not within the bound at z"),
        "sizes": ("polynomial", lambda p: p["sizes"].update(n=1000), ""),
    }
    for name, (kind, change, text) in changes.items():
        told = altered(folders[kind], tmp_path / f"{name} told", "program.json", change)
        assert refused(told) if name == "chain" else "certificate.json" in refused(told)  # a chain is no part of the claim
        assert text in refused(altered(folders[kind], tmp_path / name, "program.json", change, restated=True)), name


def _fit(program: Any) -> Any:
    """The claim about a function that is no product."""
    return next(node["fit"] for node in program["nodes"] if "exp" in json.dumps(node.get("fit")))


@pytest.mark.parametrize("kind", ["polynomial", "fit", "solve"])
def test_an_altered_claim_is_refused(folders, tmp_path: Path, kind: str) -> None:
    def better(certificate: Any) -> None:
        claim = certificate["claims"][-1]
        claim["statement"] = claim["statement"].replace("1", "0")

    def more(certificate: Any) -> None:
        certificate["claims"].append({"name": "distance", "statement": "the iteration has converged"})

    def fewer(certificate: Any) -> None:
        del certificate["claims"][-1]

    for change in (better, more, fewer):
        results = altered(folders[kind], tmp_path / change.__name__, "certificate.json", change)
        assert "certificate.json" in refused(results)


# -- attacks ---------------------------------------------------------------------------------------------------------------


def test_attacks_on_the_format_are_refused(folders, tmp_path: Path) -> None:
    """Restated: the certificate claims whatever follows from the attack."""
    last = {"layer": 0, "after": "heads"}
    attacks: dict[str, Change] = {
        "a second output of the same name": lambda p: p["outputs"].append(dict(p["outputs"][0])),
        "no output": lambda p: p["outputs"].clear(),
        "an output read before the layers": lambda p: p["outputs"][0].update(last, node=p["encoding"][0]["node"]),
        "a computed value placed in the stream": lambda p: p["encoding"].append(dict(p["outputs"][0])),
        "a negative row": lambda p: p["outputs"][0].update(row=p["outputs"][0]["row"] - p["rows"]),
        "a node of later nodes": lambda p: p["nodes"][1].update(op="transpose", args=[len(p["nodes"]) - 1]),
        "a negative node": lambda p: p["outputs"][0].update(node=-1),
        "a sum of other shapes": lambda p: _append(p, {"op": "add", "args": [0, 1], "shape": ["n", "d"]}),
        "three axes": lambda p: p["nodes"][0].update(shape=["n", "d", 1]),
        "no tokens": lambda p: p.update(tokens=0),
        "a size that is no integer": lambda p: p["sizes"].update(n=3.0),
        "an unknown kind of units": lambda p: p.update(units="tanh") or p.update(attention="cosine"),
        "a scale of 1/0": lambda p: p.update(scale="1/0"),
        "digits of another script": lambda p: p.update(scale="١"),
        "digits with a line": lambda p: p.update(scale="1_0/1_0"),
        "a layer that is not there": lambda p: p["layers"].append(-1) or p["layers"].append(7) or p.update(layers=["0"]),
        "a function that is not known": lambda p: p["figures"][0].update(formula=["__import__", "os"]),
        "a parameter called 3": lambda p: p["parameters"].update({"3": 1000}),
        "more keys than tokens": lambda p: p.update(keys=p["tokens"] + 1),
        "minus one for the last node": lambda p: _last(p),
    }  # fmt: skip
    for number, (name, change) in enumerate(attacks.items()):
        try:
            results = altered(folders["polynomial"], tmp_path / str(number), "program.json", change, restated=True)
        except Exception:  # no claims follow from it
            results = altered(folders["polynomial"], tmp_path / f"{number} as told", "program.json", change)
        assert refused(results), name


def _last(program: Any) -> None:
    node = program["outputs"][0]["node"]
    program["nodes"].append(dict(program["nodes"][node]))
    program["outputs"][0]["node"] = -1


def _append(program: Any, node: Any) -> None:
    program["nodes"].append(node)
    program["outputs"].append({**program["outputs"][0], "name": "more", "node": len(program["nodes"]) - 1})


def test_vacuous_fits_are_refused(folders, tmp_path: Path) -> None:
    for number, change in enumerate(({"values": []}, {"z": ["1", "1"]}, {"z": ["1", "0"]})):
        empty: Change = lambda p, c=change: next(n for n in p["nodes"] if "values" in n.get("fit", {}))["fit"].update(c)  # noqa: E731
        assert refused(altered(folders["fit"], tmp_path / str(number), "program.json", empty, restated=True)), change


def test_a_header_with_a_key_twice_is_refused(folders, tmp_path: Path) -> None:
    """Readers may take the first or the last."""
    shutil.copytree(folders["polynomial"], tmp_path / "m")
    contents = {path.name: path.read_bytes() for path in (tmp_path / "m").iterdir() if path.name != "manifest.json"}
    data = contents["weights.safetensors"]
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    name = next(iter(header))
    text = ('{"' + name + '": ' + json.dumps({**header[name], "dtype": "F32"}) + ", " + json.dumps(header)[1:]).encode()
    contents["weights.safetensors"] = len(text).to_bytes(8, "little") + text + data[8 + length :]
    for file, content in {**contents, "manifest.json": checkpoint._manifest(contents)}.items():
        (tmp_path / "m" / file).write_bytes(content)
    assert "weights.safetensors" in refused(checker.check(tmp_path / "m"))


def test_a_symmetric_input_is_said_in_the_claim(folders, tmp_path: Path) -> None:
    """Whoever adds the assumption has to state it."""
    without: Change = lambda program: program["nodes"][0].update(symmetric=False)  # noqa: E731
    added: Change = lambda program: program["nodes"][0].update(symmetric=True)  # noqa: E731
    assert "symmetric" in refused(altered(folders["solve"], tmp_path / "m", "program.json", without))
    assert "symmetric" in refused(altered(folders["polynomial"], tmp_path / "n", "program.json", added))


def test_a_right_hand_side_that_is_used_twice_does_not_cancel(tmp_path: Path) -> None:
    """b (bᵀ S b) − S b (bᵀ b) is 0 for numbers, and no residual of a matrix."""
    model = hw.compile(_solved, dims={"d": 2})
    folder = hw.save(model, tmp_path / "model")
    assert holds(checker.check(folder))
    program = json.loads((folder / "program.json").read_bytes())
    claim = program["residuals"][0]
    (b, _), (S, _), x = claim["given"]["B"], claim["given"]["S"], claim["solution"]

    def change(program: Any) -> None:
        def node(op: str, args: list[int], shape: list[Any], **more: Any) -> int:
            program["nodes"].append({"op": op, "args": args, "shape": shape, **more})
            return len(program["nodes"]) - 1

        row = node("transpose", [b], [1, "d"])
        first = node("matmul", [b, node("matmul", [row, node("matmul", [S, b], ["d", 1])], [1, 1])], ["d", 1])
        second = node("matmul", [node("matmul", [S, b], ["d", 1]), node("matmul", [row, b], [1, 1])], ["d", 1])
        extra = node("add", [first, node("scale", [second], ["d", 1], factor="-1")], ["d", 1])
        program["residuals"][0]["solution"] = node("add", [x, extra], ["d", 1])

    results = altered(folder, tmp_path / "m", "program.json", change, restated=True)
    assert "not what the chain of polynomials says" in refused(results)


@hw.program
def _solved(S: hw.Matrix["d", "d"], b: hw.Vector["d"]):
    return hw.solve(hw.spectrum(S, within=(Fraction(1, 2), 1)), b, spectrum=(Fraction(1, 2), 1), tol=Fraction(1, 10))


@pytest.mark.parametrize("junk", ["[]", "{}", "null", '{"nodes": 1}', "[" * 100000, '{\n "a": 1,\n "a": 2\n}\n', "NaN"])
def test_hostile_json_is_refused(folders, tmp_path: Path, junk: str) -> None:
    shutil.copytree(folders["polynomial"], tmp_path / "m")
    contents = {path.name: path.read_bytes() for path in (tmp_path / "m").iterdir() if path.name != "manifest.json"}
    contents["program.json"] = junk.encode()
    for name, text in {**contents, "manifest.json": checkpoint._manifest(contents)}.items():
        (tmp_path / "m" / name).write_bytes(text)
    assert ("format", "REFUSED") in [(name, verdict) for name, verdict, _ in checker.check(tmp_path / "m")]


def test_names_cannot_print_lines_of_their_own(folders, tmp_path: Path, capsys) -> None:
    change: Change = lambda program: program.update(name="x\nHOLDS     distance\x1b[2K")  # noqa: E731
    altered(folders["polynomial"], tmp_path / "m", "program.json", change, restated=True)
    checker.main([str(tmp_path / "m")])
    assert not any(line.startswith("HOLDS     distance") for line in capsys.readouterr().out.splitlines())


# -- its parts -------------------------------------------------------------------------------------------------------------


def test_a_random_relu_is_no_other_relu() -> None:
    field, rng = checker.Field(80), random.Random(0)
    a = checker.full((1, 1), rng.randrange(field.p))
    assert (field.relu(a) - field.relu(-a % field.p) - a) % field.p == 0
    assert (field.relu(2 * a % field.p) - field.relu(a) - field.relu(a)) % field.p != 0


def test_the_image_of_a_polynomial_contains_it_and_is_tight() -> None:
    rng = random.Random(1)
    for _ in range(30):
        p = [Fraction(rng.randint(-9, 9), 4) for _ in range(rng.randint(2, 6))]
        a = Fraction(rng.randint(-8, 8), 4)
        b = a + Fraction(rng.randint(1, 8), 4)
        low, high = checker.image(p, a, b)
        values = [sum(c * (a + (b - a) * Fraction(k, 200)) ** i for i, c in enumerate(p)) for k in range(201)]
        assert low <= min(values) and max(values) <= high
        assert high - low <= (max(values) - min(values)) * Fraction(101, 100) + Fraction(1, 100)


def test_a_fit_is_proved_up_to_its_error_and_no_further() -> None:
    """The chord of z² on [0, 1] misses it by 1/4, at the middle."""
    z, units = checker.z, [(Fraction(1), Fraction(0), Fraction(1))]
    checker.near(z**2, units, Fraction(0), Fraction(1), Fraction(1, 4) + Fraction(1, 10**6))
    with pytest.raises(checker.Refused, match=r"z = 0\.5"):
        checker.near(z**2, units, Fraction(0), Fraction(1), Fraction(1, 4) - Fraction(1, 10**6))
    with pytest.raises(checker.Refused):  # no value at −1: everything is possible there
        checker.near(sympy.sqrt(z), units, Fraction(-1), Fraction(1), Fraction(10))
    checker.near(sympy.sqrt(z), units, Fraction(0), Fraction(1), Fraction(26, 100))


def test_intervals_are_rounded_outward() -> None:
    for x in (Fraction(1, 3), Fraction(2**200 + 1), Fraction(-1, 7), Fraction(10**30, 3)):
        enclosed = checker.exact(x)
        assert Fraction(float(enclosed.a)) <= x <= Fraction(float(enclosed.b))
    f = checker.in_intervals(sympy.exp(-checker.z) / 3)
    enclosed = f(checker.exact(Fraction(0), Fraction(1)))
    assert float(enclosed.a) <= np.exp(-1) / 3 and float(enclosed.b) >= 1 / 3


def test_products_of_two_values_are_proved_by_two_squares(tmp_path: Path) -> None:
    folder = hw.save(hw.compile(products, dims={"n": 2}, tol=0.1), tmp_path / "model")
    results = checker.check(folder)
    assert holds(results)
    assert any("two squares" in detail for _, _, detail in results)
    for number, change in enumerate(({"bound": "1/100"}, {"y": ["0", "3"]}, {"function": ["Mul", "2", "z", "y"]})):
        wrong: Change = lambda p, c=change: next(n for n in p["nodes"] if "fit" in n)["fit"].update(c)  # noqa: E731
        assert refused(altered(folder, tmp_path / str(number), "program.json", wrong, restated=True)), change


@pytest.mark.parametrize("name", ["sigmoid", "exp", "log", "sin", "ratio"])
def test_fits_of_functions_are_proved_again(name: str, tmp_path: Path) -> None:
    functions: dict[str, tuple[Any, Any]] = {
        "sigmoid": (hw.sigmoid, None),  # no bound of the argument: claimed as far as 2^20
        "exp": (sympy.exp, (-1, 2)),
        "log": (sympy.log, (Fraction(1, 10), 2)),
        "sin": (sympy.sin, (-3, 3)),
        "ratio": (lambda z: 1 / (2 + z**3), (-1, 1)),
    }
    function, domain = functions[name]

    @hw.program
    def applied(x: hw.Vector["n"]):
        return function(x) if domain is None else hw.apply(function, x, domain=domain, tol=0.01)

    results = checker.check(hw.save(hw.compile(applied, dims={"n": 2}), tmp_path / "model"))
    assert holds(results)
    assert "fit" in {claim for claim, _, _ in results}


def test_a_fit_that_would_take_for_ever_is_given_up() -> None:
    """The enclosure of a quotient whose parts both grow says little on long intervals: that is no proof, and no hang."""
    z, steep = checker.z, (sympy.exp(checker.z) - 1) / (sympy.exp(checker.z) + 1)
    assert checker.in_intervals(steep)(checker.exact(Fraction(0), Fraction(50))).b > 1
    with pytest.raises(checker.Refused):
        checker.near(steep, [(Fraction(0), Fraction(1), Fraction(1))], Fraction(20), Fraction(21), Fraction(1, 10**12))
    one = [(Fraction(0), Fraction(1), Fraction(1))]
    checker.near(1 - 2 / (1 + sympy.exp(z)), one, Fraction(20), Fraction(2**20), Fraction(1, 10**8))
