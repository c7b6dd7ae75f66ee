"""The errors of outputs, re-derived from the files alone: they hold for what headwright saves, they are true of the models, and
every line that claims too much is refused by its place."""

from __future__ import annotations

import json
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
from mpmath import iv

import headwright as hw
from headwright.proofs_check import checker, error_checker
from headwright.runtime import checkpoint, normal_form

Change = Callable[[Any], None]
INF = float("inf")


@hw.program
def hessian(A: hw.Matrix["n", "d"], x: hw.Vector["d"]):
    """The example of the README."""
    hw.bounded(A, rows=1.0)
    hw.bounded(x, within=(-1, 1))
    p = hw.sigmoid(A @ x)
    return A.T @ hw.diag(p * (1 - p)) @ A / hw.dim("n")


@hw.program
def nested(A: hw.Matrix["n", "d"], x: hw.Vector["d"], y: hw.Vector["n"]):
    """A function of a sum of functions, one of them times a sign; a function whose domain the program gives."""
    hw.bounded(A, rows=1.0)
    x = hw.bounded(x, within=(-1, 1))
    y = hw.signs(y)
    inner = A.T @ (hw.sigmoid(A @ x) * y) / hw.dim("n")
    return {"outer": hw.exp(inner), "again": hw.apply(lambda z: z**2 / (1 + z**2), A @ hw.exp(inner), domain=(-4, 4))}


@hw.program
def product(A: hw.Matrix["n", "d"], x: hw.Vector["d"], w: hw.Vector["n"]):
    """Two values that are each approximate are multiplied; then a function that units are exactly."""
    hw.bounded(A, rows=1.0)
    hw.bounded(x, within=(-1, 1))
    w = hw.bounded(w, within=(0, 2))
    both = hw.tanh(A @ x) * hw.exp(A @ A.T @ w / hw.dim("n"))
    return {"both": both, "part": hw.relu(both)}


@pytest.fixture(scope="module")
def models() -> dict[str, Any]:
    compiled = [hw.compile(program, dims={"n": 3, "d": 2}, tol=0.02) for program in (hessian, nested, product)]
    return {model.name: model for model in compiled}


@pytest.fixture(scope="module")
def folders(models, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    at = tmp_path_factory.mktemp("errors")
    return {name: hw.save(model, at / name) for name, model in models.items()}


def program_of(folder: Path) -> Any:
    return json.loads((folder / "program.json").read_bytes())


def altered(source: Path, target: Path, change: Change, restated: bool = True) -> list[tuple[str, str, str]]:
    """What the checker says where program.json is changed, hashes fit and the certificate says what follows from it."""
    shutil.copytree(source, target)
    contents = {path.name: path.read_bytes() for path in target.iterdir() if path.name != "manifest.json"}
    data = json.loads(contents["program.json"])
    change(data)
    contents["program.json"] = normal_form.dump(data)
    if restated:
        claims = checker.claims(checker.Model(contents), contents)
        told = {"claims": [{"name": name, "statement": text} for name, text, _ in claims]}
        contents["certificate.json"] = normal_form.dump(told)
    for name, text in {**contents, "manifest.json": checkpoint._manifest(contents)}.items():
        (target / name).write_bytes(text)
    return checker.check(target)


def refused(results: list[tuple[str, str, str]], claim: str = "errors") -> str:
    """What is said of the claim that is refused; fails where it is not."""
    details = [detail for name, verdict, detail in results if verdict == "REFUSED" and name == claim]
    assert details, results
    return details[0]


# -- it holds, and it is true ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["hessian", "nested", "product"])
def test_the_errors_of_ordinary_programs_are_derived_again(models, folders, name: str) -> None:
    results = checker.check(folders[name])
    assert all(verdict == "HOLDS" for _, verdict, _ in results), results
    assert [claim for claim, _, _ in results].count("errors") == 1
    for output, bound in program_of(folders[name])["errors"]["outputs"].items():
        ours, compilers = float(checker.number(bound)), models[name].artifact.lowered.errors[output]
        assert ours <= 1.1 * compilers, (output, ours, compilers)


def test_hypotheses_are_printed(folders) -> None:
    said = next(detail for claim, _, detail in checker.check(folders["nested"]) if claim == "errors")
    for text in ("rows of A no longer than 1", "entries of x in [-1, 1]", "entries of y -1 or 1", "entry of outer is within"):
        assert text in said


def both_readings(program: Any, given: dict[str, np.ndarray]) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
    """The values of all nodes in floats: with units, and with the functions of the fits."""
    readings: list[dict[int, np.ndarray]] = []
    sizes = program["sizes"]
    for ideal in (False, True):
        values: dict[int, np.ndarray] = {}
        for k, node in enumerate(program["nodes"]):
            a = [values[arg] for arg in node["args"]]
            shape = tuple(d if isinstance(d, int) else sizes[d] for d in node["shape"])
            if node["op"] == "constant":
                made = np.zeros(shape)
                for i, j, text in node["value"]["entries"]:
                    made[i, j] = float(Fraction(text))
            elif node["op"] == "units" and ideal and "fit" in node:
                f = checker.formula(node["fit"]["function"], {"z": checker.z, "y": checker.y})
                run = sympy.lambdify([checker.z, checker.y], f, "numpy")
                made = np.broadcast_to(run(a[0], a[1] if len(a) > 1 else 0 * a[0]), shape)
            elif node["op"] == "units":
                tables = {}
                for name in ("W_1", "W_2"):
                    tables[name] = np.zeros(node[name]["shape"])
                    for i, j, text in node[name]["entries"]:
                        tables[name][i, j] = float(Fraction(text))
                H = np.stack([*(np.broadcast_to(x, shape).ravel() for x in a), np.ones(shape).ravel()])
                made = (tables["W_2"] @ np.maximum(tables["W_1"] @ H, 0)).reshape(shape)
            else:
                made = {
                    "input": lambda node=node: given[node["name"]],
                    "add": lambda a=a: a[0] + a[1],
                    "scale": lambda a=a, node=node: float(Fraction(node["factor"])) * a[0],
                    "transpose": lambda a=a: a[0].T,
                    "matmul": lambda a=a: a[0] @ a[1],
                }[node["op"]]()
            values[k] = made
        readings.append(values)
    return readings[0], readings[1]


def norms_of(matrix: np.ndarray) -> tuple[float, ...]:
    """The largest entry, row and column, and the spectral norm."""
    return np.abs(matrix).max(), *(np.linalg.norm(matrix, axis=i).max() for i in (1, 0)), np.linalg.norm(matrix, 2)


@pytest.mark.parametrize("name", ["hessian", "nested", "product"])
def test_every_line_is_true_of_random_and_of_extreme_data(folders, name: str) -> None:
    """Ranges, sizes and errors of all nodes, by running both readings."""
    program, rng = program_of(folders[name]), np.random.default_rng(0)
    closest = 0.0
    for trial in range(60):
        A = rng.normal(size=(3, 2))
        A *= (1 if trial % 2 else rng.uniform(0, 1)) / np.linalg.norm(A, axis=1, keepdims=True)
        x = rng.choice([-1.0, 1.0], (2, 1)) if trial % 3 else rng.uniform(-1, 1, (2, 1))
        given = {"A": A, "x": x, "y": rng.choice([-1.0, 1.0], (3, 1)), "w": rng.choice([0.0, rng.uniform(0, 2), 2.0], (3, 1))}
        network, ideal = both_readings(program, given)
        for k, line in enumerate(program["errors"]["lines"]):
            lo, hi = (float(Fraction(end)) if end else None for end in line["range"])
            lo, hi = -INF if lo is None else lo, INF if hi is None else hi
            assert lo - 1e-12 <= ideal[k].min() and ideal[k].max() <= hi + 1e-12, (name, k)
            for what, matrix in (("size", ideal[k]), ("error", network[k] - ideal[k])):
                for found, text in zip(norms_of(matrix), line[what], strict=True):
                    assert text is None or found <= float(Fraction(text)) + 1e-12, (name, k, what)
        for place in program["outputs"]:
            error = np.abs(network[place["node"]] - ideal[place["node"]]).max()
            closest = max(closest, error / float(checker.number(program["errors"]["outputs"][place["name"]])))
    assert closest > 0.1  # a bound of the right size


# -- what claims too much is refused, with the place -----------------------------------------------------------------------


def model_of(folder: Path) -> Any:
    return checker.Model({path.name: path.read_bytes() for path in folder.iterdir()})


def units_node(program: Any, key: str) -> int:
    return next(k for k, node in enumerate(program["nodes"]) if key in (node.get("fit") or {}))


def smaller(text: str) -> str:
    return str(Fraction(text) * Fraction(999, 1000))


@pytest.mark.parametrize("name", ["hessian", "nested", "product"])
def test_a_smaller_figure_in_any_line_is_refused_by_its_node(folders, name: str) -> None:
    """Every size, every error and both ends of every range, each made smaller by a thousandth."""
    model, tried = model_of(folders[name]), 0
    lines: list[Any] = []
    for k, line in enumerate(model.program["errors"]["lines"]):
        for what in ("size", "error", "range"):
            for i, text in enumerate(line[what]):
                if text is None or not Fraction(text):
                    continue
                end = -1 if what == "range" and (Fraction(text) > 0) == (i == 0) else 1  # a lower end above 0 goes up
                changed = {**line, what: list(line[what])}
                changed[what][i] = str(Fraction(text) * (1 - end * Fraction(1, 1000)))
                with pytest.raises(checker.Refused, match=rf"^node {k}, by the rule"):
                    error_checker.check_line(checker, model, lines, changed)
                tried += 1
        lines.append(error_checker.check_line(checker, model, lines, line))
    assert tried > 50


def test_every_altered_part_of_the_claim_is_refused(folders, tmp_path: Path) -> None:
    def output(program: Any) -> None:
        program["errors"]["outputs"]["output"] = smaller(program["errors"]["outputs"]["output"])

    def rule(program: Any) -> None:
        program["errors"]["lines"][units_node(program, "steps")]["rule"] = "units"

    def other_rule(program: Any) -> None:
        program["errors"]["lines"][units_node(program, "steps")]["rule"] = "sum"

    def line(program: Any) -> None:
        del program["errors"]["lines"][-1]

    def missing(program: Any) -> None:
        program["errors"]["outputs"].clear()

    def wider(program: Any) -> None:
        next(g for g in program["errors"]["given"] if g["kind"] == "within")["from"] = "-2"

    def dropped(program: Any) -> None:
        program["errors"]["given"].pop(0)

    def domain(program: Any) -> None:
        program["nodes"][units_node(program, "steps")]["fit"]["z"] = ["-1", "1"]

    def fit(program: Any) -> None:
        found = program["nodes"][units_node(program, "steps")]["fit"]
        found["bound"] = str(2 * Fraction(found["bound"]))

    changes: dict[str, tuple[Change, str]] = {
        "error of the output": (output, "the error of output may be"),
        "rule": (rule, "units that stand for a function"),
        "rule of another operation": (other_rule, "'sum' is no rule for 'units'"),
        "a line less": (line, "not every node has a line"),
        "no outputs": (missing, "errors of other outputs"),
        "wider input": (wider, "node 1, by the rule 'hypothesis': its range is"),
        "hypothesis dropped": (dropped, "node 0, by the rule 'hypothesis'"),
        "domain": (domain, "error of entries may be"),
        "bound of the fit, larger": (fit, "error of entries may be"),
    }
    for what, (change, text) in changes.items():
        model = model_of(folders["hessian"])
        change(model.program)
        with pytest.raises(checker.Refused) as reason:
            error_checker.check_errors(checker, model)
        assert text in str(reason.value), what
    assert "the error of output may be" in refused(altered(folders["hessian"], tmp_path / "restated", output))
    for number, change in enumerate((output, wider, dropped, missing)):
        told = altered(folders["hessian"], tmp_path / str(number), change, restated=False)
        assert "certificate.json" in refused(told, "claims")


def test_an_altered_fit_of_f_times_a_value_is_refused(folders) -> None:
    """The bound, the hints that it is proved with, and the function."""
    fit = program_of(folders["hessian"])["nodes"][units_node(program_of(folders["hessian"]), "steps")]["fit"]

    def put(key: str, value: Any) -> Change:
        return lambda p: p["nodes"][units_node(p, "steps")]["fit"].update({key: value})

    def step(i: int, value: Fraction) -> list[list[str]]:
        first = list(fit["steps"][0])
        first[i] = str(Fraction(first[i]) + value)
        return [first, *fit["steps"][1:]]

    error = Fraction(fit["steps"][0][4])
    changes: dict[str, tuple[Change, str]] = {
        "bound": (put("bound", str(Fraction(fit["bound"]) * Fraction(9, 10))), "the units may be"),
        "step": (put("steps", step(0, Fraction(1, 64))), "units along another direction"),
        "weight": (put("steps", step(1, Fraction(1, 20))), "not within the bound"),
        "line": (put("steps", step(2, Fraction(1, 20))), "units of y are not the line"),
        "error": (put("steps", step(4, -error / 2)), "not within the bound"),
        "order": (put("order", 0), "the order"),
        "wider z": (put("z", ["-4", "4"]), "not within the bound"),
        "empty": (put("z", ["1", "-1"]), "the domain is empty"),
        "function": (put("function", ["Mul", "y", ["exp", "z"]]), "not within the bound"),
        "no product": (put("function", ["Add", "y", ["exp", "z"]]), "not a fit of f(z) y"),
    }
    for what, (change, text) in changes.items():
        program = program_of(folders["hessian"])
        change(program)
        node = program["nodes"][units_node(program, "steps")]
        with pytest.raises(checker.Refused) as reason:
            checker.check_fit(node, node["fit"])
        assert text in str(reason.value), what


def test_a_smaller_bound_or_domain_of_any_fit_is_refused(folders, tmp_path: Path) -> None:
    def bound(key: str) -> Change:
        return lambda p: p["nodes"][units_node(p, key)]["fit"].update(bound="1/100000000")

    def narrow(key: str) -> Change:
        return lambda p: p["nodes"][units_node(p, key)]["fit"].update(z=["-1/8", "1/8"])

    for number, (name, key) in enumerate((("nested", "values"), ("product", "split"))):
        assert "bound" in refused(altered(folders[name], tmp_path / f"{number} bound", bound(key)), "fit")
        assert "error of entries may be" in refused(altered(folders[name], tmp_path / f"{number} domain", narrow(key)))


def test_a_second_argument_that_is_no_sign_is_refused(folders, tmp_path: Path) -> None:
    def no_sign(program: Any) -> None:
        next(g for g in program["errors"]["given"] if g["kind"] == "signs")["kind"] = "within"

    assert "its second argument has other values" in refused(altered(folders["nested"], tmp_path / "m", no_sign))


# -- the parts -------------------------------------------------------------------------------------------------------------


def test_sizes_of_products_hold_and_are_tight() -> None:
    rng = np.random.default_rng(1)

    def size_of(matrix: np.ndarray) -> Any:
        return tuple(Fraction(float(x)) * (1 + Fraction(1, 10**12)) for x in norms_of(matrix))

    def inside(matrix: np.ndarray, size: Any) -> bool:
        return all(a <= b * (1 + Fraction(1, 10**9)) for a, b in zip(size_of(matrix), size, strict=True))

    for _ in range(200):
        A, B, C, v = (rng.normal(size=s) for s in ((3, 4), (4, 2), (3, 4), (3, 1)))
        a, b, c = map(size_of, (A, B, C))
        assert inside(A @ B, error_checker.multiplied((3, 2), a, b))
        assert inside(A * C, error_checker.entrywise((3, 4), a, c, False))
        wide = error_checker.widened(size_of(v), (3, 1), (3, 4))
        assert inside(v * C, error_checker.entrywise((3, 4), wide, c, True))
        assert inside(A + C, error_checker.added(a, c)) and inside(A, error_checker.complete((3, 4), *a))
    ones = error_checker.complete((4, 9), Fraction(1))
    assert ones == (1, 3, 2, 6)  # of a matrix of ones
    assert error_checker.multiplied((4, 4), ones, error_checker.flipped(ones))[0] == 9


def test_square_roots_and_ends_of_intervals_are_exact_or_outward() -> None:
    for x in (Fraction(2), Fraction(1, 3), Fraction(10**30 + 1, 7)):
        assert x < error_checker.root(x) ** 2 < x * (1 + Fraction(1, 2**60)) + Fraction(1, 2**60)
    assert error_checker.root(Fraction(49)) == 7
    assert error_checker.ends(iv.mpf([0.5, 3])) == (Fraction(1, 2), 3)
    assert error_checker.ends(iv.mpf(["-inf", "inf"])) == (-INF, INF)


def test_slopes_of_units_are_the_steepest_between_two_points() -> None:
    units = [(Fraction(a), Fraction(b), Fraction(w)) for a, b, w in ((1, 0, 3), (1, -1, -5), (-2, -4, 1))]
    assert error_checker.slope(units) == 3  # −2, 0, 3, −2
    assert error_checker.slope(units, Fraction(-1), Fraction(-1, 2)) == 0
    assert error_checker.slope(units, Fraction(2), Fraction(3)) == 2


def test_integrals_are_enclosed() -> None:
    z = error_checker.z
    for f, exact in ((sympy.exp(z), sympy.exp(z)), (1 / (1 + z**2), sympy.atan(z)), (sympy.cos(3 * z), sympy.sin(3 * z) / 3)):
        value, *_ = error_checker.integral(checker, f, Fraction(-2), Fraction(3))
        for at in (Fraction(-2), Fraction(-1, 7), Fraction(1, 3), Fraction(3)):
            low, high = error_checker.ends(value(checker.exact(at)))
            true = (exact.subs(z, sympy.Rational(at)) - exact.subs(z, -2)).evalf(40)
            assert sympy.Rational(low) <= true <= sympy.Rational(high) and high - low < Fraction(1, 10**6)


def test_what_has_no_bound_or_no_fit_is_not_claimed(tmp_path: Path) -> None:
    """Without a fit that the checker knows there is no claim, and the certificate lists the error as beyond it."""

    @hw.program
    def smooth(x: hw.Vector["n"]):
        return hw.apply(sympy.erf, hw.bounded(x, within=(-1, 1)), domain=(-1, 1))

    folder = hw.save(hw.compile(smooth, dims={"n": 2}, tol=0.05), tmp_path / "m")
    assert program_of(folder)["errors"] is None
    beyond = json.loads((folder / "certificate.json").read_bytes())["beyond"]
    assert any("is within" in text and "of the program's" in text for text in beyond)
    assert "errors" not in {claim for claim, _, _ in checker.check(folder)}


def test_both_files_run_as_scripts_copied_elsewhere(folders, tmp_path: Path) -> None:
    source = Path(checker.__file__)
    shutil.copy(source, tmp_path / "checker.py")
    command = [sys.executable, "checker.py", folders["product"]]
    alone = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert alone.returncode == 1 and "error_checker" in alone.stdout
    shutil.copy(source.with_name("error_checker.py"), tmp_path / "error_checker.py")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "HOLDS     errors" in done.stdout, done.stdout + done.stderr
