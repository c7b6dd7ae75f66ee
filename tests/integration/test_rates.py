"""`headwright rates`: every point is a model that was run, and none is below what layers allow."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

import headwright as hw
from headwright.proofs_check.minimax import chebyshev, residual_lower_bound
from headwright.runtime import rates
from headwright.runtime.cli import main
from headwright.runtime.rates import Report, compute

KAPPA = 10.0


@pytest.fixture(scope="module")
def report() -> Report:
    return compute((KAPPA,), d=3, most_layers=6)


def test_every_least_squares_construction_has_a_curve_or_a_reason() -> None:
    reading = {n for n in hw.constructions.names() if {"A", "y"} <= hw.constructions.get(n).program.inputs.keys()}
    drawn = {series.construction for series in rates.SERIES}
    assert reading == drawn | rates.LEFT_OUT.keys() and not drawn & rates.LEFT_OUT.keys()


def test_no_error_is_below_the_bound_for_its_layers(report: Report) -> None:
    """The bound is for the worst spectrum in the interval; these data have both ends, where the errors are largest."""
    for p in report.points:
        if p.layers:
            assert p.error >= float(residual_lower_bound(p.layers, Fraction(1, 10), Fraction(1), "examples")) * (1 - 1e-9), p


def test_chebyshev_has_the_minimax_error_of_its_steps(report: Report) -> None:
    for p in report.curve(KAPPA, "chebyshev"):
        assert p.error == pytest.approx(float(1 / chebyshev(p.layers, Fraction(11, 9))), rel=1e-9)


def test_gradient_descent_contracts_by_one_factor_and_newton_squares(report: Report) -> None:
    rho = 9 / 11
    for p in report.curve(KAPPA, "gradient_descent"):
        assert p.error == pytest.approx(rho**p.layers, rel=1e-9)
    for p in report.curve(KAPPA, "least_squares, X₀ = αI"):
        assert p.error == pytest.approx(rho ** (2**p.arguments["steps"]), rel=1e-6)


def test_second_order_overtakes_first_order(report: Report) -> None:
    deepest = max(p.layers for p in report.points)
    at = {p.title: p.error for p in report.points if p.layers == deepest}
    assert at["least_squares, X₀ = αI"] < at["chebyshev"] < at["gradient_descent"]
    assert report.layers_for(KAPPA, "least_squares_minimal", 1e-3) == 4


def test_the_command_writes_picture_page_and_figures(capsys, tmp_path) -> None:
    folder = tmp_path / "new" / "out"
    assert main(["rates", "--kappa", "4", "--d", "2", "--most-layers", "2", "-o", str(folder)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["rates.json", "rates.md", "rates.png"]
    data = json.loads((folder / "rates.json").read_text("utf-8"))
    assert {p["title"] for p in data["points"]} >= {s.title for s in rates.SERIES if s.order == "first"}
    assert all(p["layers"] <= 2 for p in data["points"])
    assert "](rates.png)" in (folder / "rates.md").read_text("utf-8") and "`chebyshev`" in capsys.readouterr().out


@pytest.mark.parametrize("bad", [["--kappa", "1"], ["--kappa", "many"], ["--most-layers", "0"], ["--d", "1"], ["-o", __file__]])
def test_bad_usage_has_status_2(bad: list[str], capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["rates", "--kappa", "4", "--d", "2", "--most-layers", "2", *bad]) == 2
    assert "Traceback" not in capsys.readouterr().err
