"""Folders that once were accepted with a false claim, and others of their kind: hashes and statements fit, only the mathematics
is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import sympy

import headwright as hw
from headwright.proofs_check import checker, error_checker
from headwright.proofs_check.expressions import read_expression
from headwright.proofs_check.lower_bounds import stated_bounds
from headwright.proofs_check.verify import verify_artifact
from headwright.runtime import checkpoint, normal_form
from headwright.runtime.error_claims import _out

Change = Callable[[Any], None]


@hw.program
def curved(x: hw.Vector["n"], w: hw.Vector["n"]):
    """A fit of a function, and one of a product of two values."""
    x, w = hw.bounded(x, within=(-1, 1)), hw.bounded(w, within=(0, 2))
    return {"out": hw.sigmoid(x + w), "both": x * w}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    at, get = tmp_path_factory.mktemp("forged"), hw.constructions.get
    models = {
        "polynomial": get("least_squares").compile(n=3, d=2, steps=1, alpha=Fraction(1, 4)),
        "fit": hw.compile(curved, dims={"n": 2}, tol=0.1),
    }
    return {name: hw.save(model, at / name) for name, model in models.items()}


def forged(source: Path, target: Path, change: Change) -> list[tuple[str, str, str]]:
    """What the checker says where program.json is changed, and all else that follows from it too."""
    contents = {path.name: path.read_bytes() for path in source.iterdir() if path.name != "manifest.json"}
    data = json.loads(contents["program.json"])
    change(data)
    contents["program.json"] = normal_form.dump(data)
    claims = checker.claims(checker.Model(contents), contents)
    contents["certificate.json"] = normal_form.dump({"claims": [{"name": n, "statement": text} for n, text, _ in claims]})
    target.mkdir()
    for name, text in {**contents, "manifest.json": checkpoint._manifest(contents)}.items():
        (target / name).write_bytes(text)
    return checker.check(target)


def refused(results: list[tuple[str, str, str]], claim: str) -> str:
    details = [detail for name, verdict, detail in results if verdict == "REFUSED" and name == claim]
    assert details, results
    return details[0]


def of_kind(program: Any, key: str) -> int:
    return next(k for k, node in enumerate(program["nodes"]) if key in node.get("fit", {}))


def appended(program: Any, **node: Any) -> int:
    program["nodes"].append(node)
    return len(program["nodes"]) - 1


def units(args: list[int], slopes: list[str], fit: Any) -> dict[str, Any]:
    """relu(slopes · (arguments, 1)) of a node that no output depends on."""
    first = {"shape": [1, len(slopes)], "entries": [[0, j, c] for j, c in enumerate(slopes)]}
    second = {"shape": [1, 1], "entries": [[0, 0, "1"]]}
    return {"op": "units", "args": args, "shape": ["n", 1], "kind": "relu", "W_1": first, "W_2": second, "fit": fit}


def rewritten(program: Any) -> None:
    """The lines of `errors`, made anew from what the file says now."""
    shapes = [tuple(program["sizes"].get(d, d) for d in node["shape"]) for node in program["nodes"]]
    lines: list[Any] = []
    model = error_checker.Line(nodes=program["nodes"], shapes=shapes, program=program)
    for k, line in enumerate(program["errors"]["lines"]):
        found = error_checker.derived(checker, model, k, lines, line["rule"])
        line["range"] = [str(found.lo) if abs(found.lo) < 10**30 else None, str(found.hi) if abs(found.hi) < 10**30 else None]
        for what in ("size", "error"):
            line[what] = [None if x == float("inf") else _out(x, 1) for x in getattr(found, what)]
        lines.append(error_checker.read(checker, line, found.values))
    for place in program["outputs"]:
        program["errors"]["outputs"][place["name"]] = _out(lines[place["node"]].error[0], 1, 4)


# -- fits ------------------------------------------------------------------------------------------------------------------


def test_a_fit_of_two_kinds_is_refused(folders, tmp_path: Path) -> None:
    """Proved for y = 0 only, the bound would be used for all products."""

    def change(program: Any) -> None:
        program["nodes"][of_kind(program, "split")]["fit"].update(values=["0"], bound="1/100")
        rewritten(program)

    honest = Fraction(json.loads((folders["fit"] / "program.json").read_bytes())["errors"]["outputs"]["both"])
    results = forged(folders["fit"], tmp_path / "m", change)
    program = json.loads((tmp_path / "m" / "program.json").read_bytes())
    assert Fraction(program["errors"]["outputs"]["both"]) < honest  # the forgery claims more
    assert "not one fit of units" in refused(results, "fit")


@pytest.mark.parametrize("values", [{}, "", []], ids=repr)
def test_a_fit_for_no_value_is_refused(folders, tmp_path: Path, values: Any) -> None:
    def change(program: Any) -> None:
        program["nodes"][of_kind(program, "values")]["fit"].update(values=values, bound="1/1000000")
        program["errors"] = None

    assert "not one fit of units" in refused(forged(folders["fit"], tmp_path / "m", change), "fit")


def test_fits_of_other_nodes_and_of_units_without_arguments_are_refused(folders, tmp_path: Path) -> None:
    line = {"z": ["0", "1"], "values": ["0"], "bound": "1/1000"}
    shifted = {"function": ["Add", "z", "1"], **line}
    nodes: dict[str, dict[str, Any]] = {
        "no argument: the slope would be the bias": units([], ["1"], shifted),
        "a transpose": {**units([0], ["1", "0"], {"function": "z", **line}), "op": "transpose", "shape": [1, "n"]},
        "a second argument that is not there": units([0], ["1", "0"], {"function": ["Add", "z", "y"], **line}),
    }
    for number, (what, node) in enumerate(nodes.items()):

        def change(program: Any, node: Any = node) -> None:
            appended(program, **node)
            program["errors"] = None

        assert refused(forged(folders["fit"], tmp_path / str(number), change), "fit"), what


def test_what_no_output_depends_on_has_to_be_a_program_too(folders, tmp_path: Path) -> None:
    """Four columns for one argument: the fit would read the first two."""

    def change(program: Any) -> None:
        fit = {"function": "z", "z": ["0", "1"], "values": ["0"], "bound": "1/1000"}
        appended(program, **units([0], ["1", "0", "0", "7"], fit))
        program["errors"] = None

    assert refused(forged(folders["fit"], tmp_path / "m", change), "identity")


def test_an_empty_domain_of_a_product_is_refused(folders, tmp_path: Path) -> None:
    def change(program: Any) -> None:
        fit = program["nodes"][of_kind(program, "split")]["fit"]
        fit["z"] = fit["z"][::-1]
        program["errors"] = None

    assert "an empty domain" in refused(forged(folders["fit"], tmp_path / "m", change), "fit")


def test_a_branch_cut_is_no_smooth_function() -> None:
    """arg(−1 + i z) = −i (log(i z − 1) − ½ log(1 + z²)) is π − atan z right of 0, −π − atan z left of it. Its derivative
    does not see the jump: π − z is 2π away on [−1/100, 0)."""
    i = ["Pow", "-1", "1/2"]
    inner = ["Add", ["log", ["Add", "-1", ["Mul", i, "z"]]], ["Mul", "-1/2", ["log", ["Add", "1", ["Pow", "z", "2"]]]]]
    f = checker.formula(["Mul", "-1", i, inner], {"z": checker.z})
    assert complex(f.subs(checker.z, Fraction(-1, 200))).real < -3 < 3 < complex(f.subs(checker.z, Fraction(1, 200))).real
    lo, hi = Fraction(-1, 100), Fraction(1, 50)
    line = [(Fraction(1), -lo, Fraction(-1)), (Fraction(0), Fraction(1), Fraction(314159, 100000) - lo)]
    with pytest.raises(checker.Refused):
        checker.near(f, line, lo, hi, Fraction(1, 100))
    low, high = error_checker.enclosed(checker, f, lo, hi)
    assert low <= -Fraction(31, 10) and high >= Fraction(31, 10)


@pytest.mark.parametrize(("tree", "lo"), [(["Pow", "z", "1/3"], -1), (["Pow", "-1", "z"], 0), (["log", "-1"], 0)], ids=str)
def test_complex_values_are_refused(tree: Any, lo: int) -> None:
    f = checker.formula(tree, {"z": checker.z})
    with pytest.raises(checker.Refused):
        checker.near(f, [], Fraction(lo), Fraction(1), Fraction(10))


# -- places, sizes, residuals ------------------------------------------------------------------------------------------------


def test_what_is_encoded_negated_is_run_negated(folders, tmp_path: Path) -> None:
    def change(program: Any) -> None:
        for place in program["encoding"]:
            place["negated"] = True

    assert "is not what the weights compute" in refused(forged(folders["polynomial"], tmp_path / "m", change), "identity")


def test_sizes_called_rows_and_negative_dimensions_are_refused(folders, tmp_path: Path) -> None:
    contents = {path.name: path.read_bytes() for path in folders["polynomial"].iterdir()}

    def refuses(change: Change) -> bool:
        program = json.loads(contents["program.json"])
        change(program)
        try:
            checker.Model({**contents, "program.json": json.dumps(program, ensure_ascii=False, indent=1).encode() + b"\n"})
        except (checker.Refused, AttributeError):
            return True
        return False

    assert not refuses(lambda p: None)
    for change in (
        lambda p: p["sizes"].update(rows=-1),
        lambda p: p["parameters"].update(keys=float("inf")),
        lambda p: p["nodes"][0].update(shape=[-1, 2]),
        lambda p: p["nodes"][0].update(shape=[True, 2]),
        lambda p: p.update(layers=[float(i) for i in p["layers"]]),
    ):
        assert refuses(change)


def test_a_matrix_of_another_name_is_none_of_the_layer(folders) -> None:
    """As many units as rows: W_3 would pass for a missing W_2."""
    contents = {path.name: path.read_bytes() for path in folders["polynomial"].iterdir()}
    weights = json.loads(contents["weights.json"])
    shape = next(iter(weights.values()))["shape"]
    for names, fine in ((("W_1", "W_2"), True), (("W_1", "W_3"), False), (("W_2", "W_3"), False)):
        more = {**weights, **{f"layer.0.ffn.{name}": {"shape": shape, "entries": []} for name in names}}
        files = {**contents, "weights.json": normal_form.dump(more)}
        if fine:
            checker.Model(files)
            continue
        with pytest.raises(checker.Refused):
            checker.Model(files)


def test_residuals_are_of_what_their_statement_says(folders, tmp_path: Path) -> None:
    """2/3 · I is an inverse of Aᵀ A within 2/3, no inverse square root; one row is no symmetric matrix."""
    two_thirds = {"shape": [2, 2], "entries": [[0, 0, "2/3"], [1, 1, "2/3"]]}
    for number, (target, role, rows, text) in enumerate(
        (("inverse_sqrt", "A", "d", "no residual of this kind"), ("sign", "S", "d", "no residual of this kind"),
         ("inverse", "S", 1, "is square"), ("inverse", "B", "d", "no residual of this kind"))
    ):  # fmt: skip

        def change(program: Any, target: str = target, role: str = role, rows: Any = rows) -> None:
            node = appended(program, op="input", args=[], shape=[rows, "d"], name="M", symmetric=False)
            solution = appended(program, op="constant", args=[], shape=["d", "d"], value=two_thirds)
            claim = {"target": target, "solution": solution, "given": {role: [node, "1"]}, "chain": [["1", "-2/3"]]}
            program["residuals"].append({**claim, "from": "1/2", "to": "2", "tol": "7/10"})

        assert text in refused(forged(folders["polynomial"], tmp_path / str(number), change), "residual"), target


# -- hypotheses --------------------------------------------------------------------------------------------------------------


def test_a_hypothesis_about_a_computed_node_is_printed_as_such(folders, tmp_path: Path) -> None:
    """Whatever the file calls the node: its words would be about the input of that name."""

    def change(program: Any) -> None:
        k = of_kind(program, "values")
        inner = program["nodes"][k]["args"][0]
        program["nodes"][inner]["name"] = "x"
        program["errors"]["given"].append({"node": inner, "kind": "within", "from": "0", "to": "1/100"})

    results = forged(folders["fit"], tmp_path / "m", change)
    said = next(detail for name, _, detail in results if name == "errors")
    assert "entries of node" in said and "x in [0, 1/100]" not in said


# -- models that were altered by hand ----------------------------------------------------------------------------------------


def test_nothing_in_a_folder_is_executed(tmp_path: Path) -> None:
    """Formulas are text in model.json; so are the polynomials that units are, which `verify` reads."""
    model = hw.constructions.get("newton_inverse").compile(d=2, steps=1, start="input")
    mark = tmp_path / "executed"
    attack = f"__import__('pathlib').Path({str(mark)!r}).touch() or 2"
    folder = hw.save(model, tmp_path / "model")
    contents = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.json"}
    data = json.loads(contents["model.json"])
    data["bounds"]["formulas"][0] = attack
    contents["model.json"] = normal_form.dump(data)
    for name, text in {**contents, "manifest.json": checkpoint._manifest(contents)}.items():
        (folder / name).write_bytes(text)
    with pytest.raises(hw.ModelFolderError, match="is not allowed in an expression"):
        hw.load(folder)

    @hw.program
    def square(x: hw.Vector["n"]):
        return x * x

    artifact = hw.compile(square, dims={"n": 2}, arch=hw.GATED).artifact
    assert artifact.lowered is not None
    fits = tuple(replace(fit, expression=attack) for fit in artifact.lowered.approximations)
    changed = replace(artifact, lowered=replace(artifact.lowered, approximations=fits))
    assert fits and not verify_artifact(changed).all_proved
    assert not mark.exists()


def test_expressions_are_read_as_they_are_and_nothing_else_is() -> None:
    steps, d = sympy.symbols("steps d")
    names = {"steps": steps, "d": d}
    for text in ("2*Max(steps, 1)", "ceiling(log(2*steps + 1, 3))", "4*d + 2 - steps/2", "-d**2", "7"):
        assert read_expression(text, names) == sympy.sympify(text, locals=names)
    assert read_expression("ceiling(log(2*steps + 1, 3)) + d", {"steps": 4, "d": 2}) == 4
    for text in ("n", "d.name", "print(d)", "[d]", "lambda: d", "d if d else d", "1.5", "'d'", "9**9**9", "(", "log(d, base=2)",
                 "Max.__class__"):  # fmt: skip
        with pytest.raises(ValueError, match=r"no expression|not allowed|too large"):
            read_expression(text, names)


def test_a_bound_that_is_not_what_its_formula_gives_is_refuted() -> None:
    """"At most 1 = 2 layers" is false, however few there are."""
    model = hw.constructions.get("newton_inverse").compile(d=2, steps=1, start="input")
    bounds = model.bounds
    assert bounds is not None and verify_artifact(model.artifact, bounds).all_proved
    others = [
        replace(bounds, formulas=("1", *bounds.formulas[1:])),
        replace(bounds, rows=bounds.rows + 1),
        replace(bounds, parameters={**bounds.parameters, "steps": 7}),
        replace(bounds, parameters={}),
        replace(bounds, formulas=(None, *bounds.formulas[1:])),
    ]
    for other in others:
        assert any(isinstance(claim.verdict, hw.Refuted) for claim in other.check(model.artifact))


def test_the_fewest_layers_of_an_inverse_are_not_those_of_a_root() -> None:
    """`known` is what a compile writes; a bound for inverses must not follow from it for other targets."""
    model = hw.constructions.get("inverse_sqrt").compile(d=2, spectrum=(Fraction(1, 16), 1), tol=0.1)
    graph = model.artifact.graph
    (residual,) = graph.residuals
    for known in ("factor", "matrix"):
        assert stated_bounds(graph, replace(residual, known=known)) == ()


def test_an_error_that_is_no_number_is_refuted(folders) -> None:
    artifact = checkpoint.load(folders["fit"]).artifact
    assert artifact.lowered is not None
    errors = dict.fromkeys(artifact.lowered.errors, float("nan"))
    certificate = verify_artifact(replace(artifact, lowered=replace(artifact.lowered, errors=errors)))
    assert isinstance(certificate["error"], hw.Refuted)
