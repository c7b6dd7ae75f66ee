"""`headwright pareto`: figures from compiled models, residuals from their weights, and nothing passed over in silence."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from fractions import Fraction

import mpmath
import numpy as np
import pytest

import headwright as hw
from headwright.proofs_check.minimax import chebyshev, layers_needed
from headwright.runtime import pareto
from headwright.runtime.cli import main
from headwright.runtime.measuring import distance, prediction_matrix, spectral_data
from headwright.runtime.outside import PLACES, run_layers, run_precisely, to_fixed, to_float
from headwright.runtime.pages import power, scientific
from headwright.runtime.pareto import Cell, Point, Report, Subject, compute, subjects
from headwright.runtime.pareto_plot import colours_of, plot_pareto
from headwright.runtime.pareto_report import compact_table, in_d, notes

D = 4
SMALL = ["--kappa", "10", "--tol", "1e-2", "--d", "2", "--workers", "1"]
CELL = (10.0, 1e-2)


@pytest.fixture(scope="module")
def report() -> Report:
    """One cell of everything; what claims more than eight layers is not compiled."""
    return compute(CELL[:1], CELL[1:], d=D, most_layers=8)


@pytest.fixture(scope="module")
def rounded() -> Report:
    """A cell that Newton's iteration does not reach in float64."""
    return compute((1e6,), (1e-12,), d=D, names=["least_squares"])


def run_points(report: Report) -> list[Point]:
    return [p for p in report.points if p.source == "run"]


def subject(name: str, **options: object) -> Subject:
    return Subject(hw.constructions.get(name), options)


# -- what is drawn -----------------------------------------------------------------------------------------------------


def test_every_least_squares_construction_is_drawn_or_left_out_with_a_reason() -> None:
    reading = {n for n in hw.constructions.names() if {"A", "y"} <= hw.constructions.get(n).program.inputs.keys()}
    assert {s.construction.name for s in subjects()} == reading - pareto.LEFT_OUT.keys()
    assert reading >= {*pareto.RULES, *pareto.LEFT_OUT, pareto.PAPER[0]}


def test_every_choice_of_a_construction_is_drawn() -> None:
    assert [s.title for s in subjects(["least_squares"])] == ["least_squares init=gram", "least_squares init=identity"]


def test_a_construction_whose_steps_follow_from_no_rule_is_refused_by_name(monkeypatch) -> None:
    monkeypatch.setattr(pareto, "RULES", {})
    with pytest.raises(hw.CompileError, match=r"least_squares init=gram: nothing says how steps, alpha follows"):
        subjects(["least_squares"])


@pytest.mark.parametrize(("kappa", "tol", "layers"), [(1e2, 1e-6, 20), (1e4, 1e-6, 33), (1e6, 1e-6, 46), (1e4, 1e-12, 34)])
def test_the_papers_depth_is_three_and_the_steps_from_the_best_alpha(kappa: float, tol: float, layers: int) -> None:
    assert 3 + pareto.arguments(subject("least_squares", init="gram"), Cell(kappa, tol))["steps"] == layers


@pytest.mark.parametrize("init", ["gram", "identity"])
@pytest.mark.parametrize("cell", [Cell(10, 1e-2), Cell(1e4, 1e-12), Cell(1e12, 1e-2)], ids=str)
def test_newton_takes_the_fewest_steps(init: str, cell: Cell) -> None:
    found = pareto.arguments(subject("least_squares", init=init), cell)
    ends = [Fraction(end) ** (2 if init == "gram" else 1) for end in cell.spectrum]
    rho = max(abs(1 - Fraction(found["alpha"]) * end) for end in ends)
    with mpmath.workdps(60):
        left = [mpmath.mpf(rho.numerator) / rho.denominator]
        for _ in range(found["steps"]):
            left.append(left[-1] ** 2)
    assert left[-1] <= cell.tol < left[-2]


@pytest.mark.parametrize("cell", [Cell(10, 1e-2), Cell(100, 1e-12), Cell(1e4, 1e-6)], ids=str)
def test_chebyshev_takes_the_fewest_steps(cell: Cell) -> None:
    steps = pareto.arguments(subject("chebyshev"), cell)["steps"]
    low, high = map(Fraction, cell.spectrum)
    t = (high + low) / (high - low)
    assert chebyshev(steps - 1, t) < 1 / Fraction(cell.tol) <= chebyshev(steps, t)


# -- the points --------------------------------------------------------------------------------------------------------


def test_figures_are_counted_in_compiled_models(report: Report) -> None:
    for p in run_points(report):
        if p.construction in ("least_squares_minimal", "least_squares"):
            model = hw.constructions.get(p.construction).compile(n=2 * D, d=D, **p.arguments)
            assert (p.layers, p.heads, p.rows) == (model.depth, model.max_heads, model.d_model)


def test_every_point_that_was_run_reaches_its_tolerance_and_none_is_below_the_bound(report: Report) -> None:
    assert report.holds and report.bounds == {CELL: layers_needed(0.1, 1.0, 1e-2)}
    for p in run_points(report):
        assert p.verdict == "reached" and p.residual <= p.tol and p.layers >= report.bounds[CELL] and p.rows >= p.rows_bound
    assert report.at(*CELL, "least_squares_minimal").layers == report.bounds[CELL]


def test_deep_constructions_are_not_compiled_and_said_so(report: Report) -> None:
    p = report.at(*CELL, "chebyshev")
    assert (p.source, p.verdict, p.residual) == ("formula", "not run", None)
    assert (p.layers, p.heads, p.rows) == (9, 1, D + 1)
    assert "*9*" in "\n".join(compact_table(report)) and "more than 8 layers" in "\n".join(notes(report))


def test_the_papers_figures_are_no_model(report: Report) -> None:
    p = report.at(*CELL, "Theorem 4.2")
    assert (p.source, p.verdict, p.residual, p.front) == ("paper", "not run", None, False)
    assert (p.layers, p.heads, p.rows) == (p.arguments["steps"] + 3, 2, 4 * D + 3)


def test_the_front_holds_what_nothing_else_beats(report: Report) -> None:
    for p in run_points(report):
        rivals = [q for q in run_points(report) if q.answers == p.answers and q != p]
        beaten = [q for q in rivals if q.layers <= p.layers and q.heads <= p.heads and q.rows <= p.rows]
        strictly = [q for q in beaten if (q.layers, q.heads, q.rows) != (p.layers, p.heads, p.rows)]
        assert p.front == (not strictly)
    assert not any(p.front for p in report.points if p.source != "run")


def test_rows_follow_the_same_formula_at_another_size(report: Report) -> None:
    for p in run_points(report):
        found = next(s for s in subjects([p.construction]) if s.title == p.title)
        model = found.construction.compile(**{**p.arguments, **pareto._sizes(found, D + 2)})
        assert in_d(model.d_model, D + 2) == in_d(p.rows, D)


def test_processes_give_the_same_figures() -> None:
    here, there = (compute(*[[x] for x in CELL], d=2, names=["least_squares"], workers=w) for w in (1, 2))
    assert [replace(p, residual=None) for p in here.points] == [replace(p, residual=None) for p in there.points]


# -- the residual ------------------------------------------------------------------------------------------------------


def test_the_residual_is_the_worst_over_the_interval() -> None:
    """The data have both ends of the spectrum, where these polynomials are largest: measured = theory."""
    A = spectral_data(10, 2 * D, D)
    model = hw.constructions.get("chebyshev").compile(n=2 * D, d=D, m=1, spectrum=(0.1, 1.0), steps=4)
    assert distance(prediction_matrix(model, A)) == pytest.approx(float(1 / chebyshev(4, Fraction(11, 9))), rel=1e-12)
    newton = hw.constructions.get("least_squares").compile(n=2 * D, d=D, steps=3, alpha=Fraction(20, 11), init="identity")
    assert distance(prediction_matrix(newton, A)) == pytest.approx((9 / 11) ** 8, rel=1e-12)


def test_the_data_have_the_spectrum() -> None:
    A = spectral_data(1e4, 2 * D, D)
    assert np.linalg.eigvalsh(A.T @ A) == pytest.approx(np.geomspace(1e-4, 1, D), rel=1e-9)


@pytest.mark.parametrize("name", ["least_squares_weights", "least_squares_minimal"])
def test_weights_and_predictions_are_read_the_same_way(name: str) -> None:
    """Column j is for the labels A e_j, row i for the query e_i: with one column of A left out of the labels, M has it 0."""
    A = spectral_data(10, 2 * D, D)
    model = hw.constructions.get(name).compile(n=2 * D, d=D, spectrum=(0.1, 1.0), tol=1e-2)
    M = prediction_matrix(model, A)
    for j in range(D):
        if name == "least_squares_weights":
            column = model(A=A, y=A[:, j])
        else:
            column = np.array([model(A=A, y=A[:, j], q=e) for e in np.eye(D)])
        assert M[:, j] == pytest.approx(column, rel=1e-9, abs=1e-12)


def test_fixed_point_is_exact_where_nothing_is_rounded(rng) -> None:
    model = hw.constructions.get("least_squares").compile(n=4, d=3, steps=2, alpha=Fraction(1, 8), init="identity")
    data = {name: rng.integers(-8, 9, shape) / 4 for name, shape in (("A", (4, 3)), ("y", 4), ("q", 3))}
    H = to_float(run_precisely(model.layers, to_fixed(model.encode(**data))))
    exact = model.exact.run(**{name: np.vectorize(Fraction, otypes=[object])(value) for name, value in data.items()})
    assert model.decode(H) == float(exact)
    assert run_layers(model.layers, model.encode(**data)) == pytest.approx(H, rel=1e-9)


def test_fixed_point_stops_at_numbers_beyond_a_float() -> None:
    model = hw.constructions.get("least_squares").compile(n=2, d=2, steps=12, alpha=2**10, init="identity")
    with pytest.raises(OverflowError):
        run_precisely(model.layers, to_fixed(model.encode(A=np.eye(2), y=np.ones(2), q=np.ones(2))))
    assert to_fixed(np.array([0.5]))[0] == 1 << (PLACES - 1)


def test_round_off_is_told_from_a_miss_and_shown(rounded: Report) -> None:
    assert rounded.holds
    for p in run_points(rounded):
        assert p.verdict == "round-off" and p.precise <= p.tol < p.residual
        assert f"† `{p.title}` at κ = 10⁶, ε = 10⁻¹²: float64 leaves {p.residual:.1e}" in "\n".join(notes(rounded))


@pytest.mark.parametrize(("alpha", "steps"), [(1.0, 1), (8.0, 12)])
def test_too_few_steps_or_divergence_is_a_miss_with_status_1(monkeypatch, capsys, tmp_path, alpha: float, steps: int) -> None:
    monkeypatch.setitem(pareto.RULES, "least_squares", lambda cell, options: {"alpha": alpha, "steps": steps})
    assert main(["pareto", *SMALL, "--construction", "least_squares", "-o", str(tmp_path), "--json"]) == 1
    data = json.loads(capsys.readouterr().out, parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))
    assert data["holds"] is False
    assert {p["verdict"] for p in data["points"] if p["source"] == "run"} == {"missed"}
    assert "MISSES its tolerance" in (tmp_path / "pareto.md").read_text(encoding="utf-8")


def test_a_model_above_its_claim_is_reported(report: Report) -> None:
    above = replace(report, points=(replace(run_points(report)[0], exceeds=("at most 1 heads; the model has 2",)),))
    assert not above.holds and "ABOVE" in "\n".join(notes(above))


# -- the command -------------------------------------------------------------------------------------------------------


def test_the_command_writes_picture_page_and_figures(capsys, tmp_path) -> None:
    arguments = [
        "pareto",
        *SMALL,
        "--construction",
        "least_squares_minimal",
        "least_squares",
        "-o",
        str(tmp_path / "new" / "out"),
    ]
    assert main(arguments) == 0
    text, folder = capsys.readouterr().out, tmp_path / "new" / "out"
    assert sorted(path.name for path in folder.iterdir()) == ["pareto.json", "pareto.md", "pareto.png"]
    assert (folder / "pareto.png").read_bytes().startswith(b"\x89PNG\r\n")
    page, data = (folder / "pareto.md").read_text(encoding="utf-8"), json.loads((folder / "pareto.json").read_text("utf-8"))
    assert "](pareto.png)" in page and "every model that was run reaches its tolerance" in text
    table = next(line for line in page.splitlines() if line.startswith("| `least_squares_minimal`"))
    assert table in text and "**3**" in table
    assert [p["layers"] for p in data["points"] if p["construction"] == "least_squares_minimal"] == [3]
    assert data["lower_bounds"] == [{"kappa": 10.0, "tol": 0.01, "layers": 3}]


BAD = {
    "kappa 1": (["--kappa", "1"], ["'1'", "above 1"]),
    "kappa is text": (["--kappa", "many"], ["'many'"]),
    "kappa is nan": (["--kappa", "nan"], ["'nan'"]),
    "tol 0": (["--tol", "0"], ["'0'", "below 1"]),
    "d 1": (["--d", "1"], ["'1'", "whole number"]),
    "half a d": (["--d", "2.5"], ["'2.5'"]),
    "no such construction": (["--construction", "least_square"], ["least_square", "least_squares"]),
    "not least squares": (["--construction", "newton_inverse"], ["newton_inverse", "chebyshev"]),
    "output is a file": (["-o", __file__], ["cannot be made"]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_usage_has_status_2_and_names_what_is_wrong(name: str, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, words = BAD[name]
    assert main(["pareto", *SMALL, *arguments]) == 2
    text = capsys.readouterr().err
    assert all(word in text for word in words) and "Traceback" not in text


def test_without_matplotlib_the_command_says_so_before_the_work(monkeypatch, capsys, tmp_path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    target = tmp_path / "out"
    asked = ["pareto", *SMALL, "--construction", "least_squares_minimal", "-o", str(target)]
    assert main(asked) == 2
    error = capsys.readouterr().err
    assert "pip install matplotlib" in error and "--no-picture" in error and not target.exists()
    assert main([*asked, "--no-picture"]) == 0
    assert sorted(path.name for path in target.iterdir()) == ["pareto.json", "pareto.md"]


# -- the picture -------------------------------------------------------------------------------------------------------


def test_the_picture_shows_the_figures(report: Report, rounded: Report, tmp_path) -> None:
    """The same report gives the same file; a point elsewhere, or another verdict, gives another picture."""
    pytest.importorskip("matplotlib")
    first, again, moved, missed = (tmp_path / f"{i}.png" for i in range(4))
    plot_pareto(report, first)
    plot_pareto(report, again)
    plot_pareto(replace(report, points=tuple(replace(p, layers=p.layers + 3) for p in report.points)), moved)
    plot_pareto(rounded, missed)
    assert first.read_bytes() == again.read_bytes() != moved.read_bytes()
    assert len({path.read_bytes() for path in (first, moved, missed)}) == 3


def test_no_two_constructions_share_a_colour_and_each_keeps_its_own(report: Report, rounded: Report) -> None:
    colours = colours_of(report)
    assert len(set(colours.values())) == len(report.titles)
    assert colours_of(rounded).items() <= colours.items()


def test_numbers_are_written_as_people_do() -> None:
    assert [in_d(rows, 8) for rows in (18, 27, 32, 9, 8, 5)] == ["2d + 2", "3d + 3", "4d", "d + 1", "d", "5"]
    assert [power(x) for x in (10, 100, 1e6, 1e-12, 30)] == ["10", "10²", "10⁶", "10⁻¹²", "30"]
    assert [scientific(x) for x in (5.4e-11, 0.02, math.inf)] == ["5·10⁻¹¹", "2·10⁻²", "inf"]
