"""`headwright similarity`: the algorithms are what they are called, the figures are the paper's, and files are complete."""

from __future__ import annotations

import json

import numpy as np
import pytest

import headwright as hw
from headwright.runtime import similarity as study
from headwright.runtime import similarity_facts as facts
from headwright.runtime.cli import main
from headwright.runtime.similarity import Moments, Similarities, Study, Subject, compute, draw
from headwright.runtime.similarity_compiled import compiled_matches
from headwright.runtime.similarity_plot import plot_similarity

ZERO, OLS = Subject("zero"), Subject("least squares")
SMALL = ["--kappa", "1", "--batch", "8", "--d", "3", "--n", "6"]


@pytest.fixture(scope="module")
def paper() -> Study:
    """The paper's sizes, some hundred prompts."""
    return compute((1.0,), batch=512, quiet=True)


@pytest.fixture(scope="module")
def found(paper: Study) -> Similarities:
    return paper.found[0]


@pytest.fixture(scope="module")
def prompts() -> tuple[np.ndarray, np.ndarray, Moments]:
    X, y = draw(np.random.default_rng(3), 4.0, 3, 7, 4)
    return X, y, Moments.of(X, y)


# -- the algorithms ----------------------------------------------------------------------------------------------------


def test_least_squares_is_the_shortest_solution(prompts) -> None:
    X, y, moments = prompts
    W = study.least_squares(moments)
    for t in range(1, 8):
        want = np.linalg.lstsq(X[0, :t], y[0, :t], rcond=None)[0]
        assert W[0, t] == pytest.approx(want, rel=1e-8, abs=1e-10)


def test_gradient_descent_is_its_steps(prompts) -> None:
    _, _, moments = prompts
    w, rate = np.zeros(moments.b.shape), 0.01
    for _ in range(9):
        w = w - rate * ((moments.S @ w[..., None])[..., 0] - moments.b)
    assert study.gradient_descent(moments, 9, rate) == pytest.approx(w, rel=1e-9, abs=1e-12)


def test_newton_is_its_steps_and_stalls_with_the_spectral_norm(prompts) -> None:
    _, _, moments = prompts
    S = moments.S[0, -1]
    M = 2 / np.linalg.norm(S @ S) * S
    printed = 2 / np.linalg.norm(S @ S, 2) * S
    for _ in range(5):
        M, printed = 2 * M - M @ S @ M, 2 * printed - printed @ S @ printed
    assert study.newton(moments, [5], np.float64)[0][0, -1] == pytest.approx(M @ moments.b[0, -1], rel=1e-10)
    assert np.linalg.norm(np.eye(4) - printed @ S, 2) == pytest.approx(1, abs=1e-9)
    assert np.linalg.norm(np.eye(4) - M @ S, 2) < 0.999


def test_chebyshev_leaves_the_minimax_residual(prompts) -> None:
    """At the ends of the spectrum the residual polynomial has size 1/T_m, and nowhere more."""
    _, _, moments = prompts
    S, b = moments.S[0, -1], moments.b[0, -1]
    values, vectors = np.linalg.eigh(S)
    exact = np.linalg.solve(S, b)
    for steps in (1, 2, 3):
        left = vectors.T @ (exact - study.chebyshev(moments, steps)[0, -1]) / (vectors.T @ exact)
        z = (values[-1] + values[0]) / (values[-1] - values[0])
        assert np.abs(left[[0, -1]]) == pytest.approx(1 / np.cosh(steps * np.arccosh(z)), rel=1e-6)
        assert np.abs(left).max() <= np.abs(left[0]) * (1 + 1e-9)


def test_after_one_example_every_method_points_along_it(prompts) -> None:
    X, _, moments = prompts
    for W in (study.chebyshev(moments, 1), study.gradient_descent(moments, 3, 0.01), study.least_squares(moments)):
        cosine = (W[:, 1] * X[:, 0]).sum(-1) / np.linalg.norm(W[:, 1], axis=-1) / np.linalg.norm(X[:, 0], axis=-1)
        assert np.abs(cosine) == pytest.approx(1)


def test_newton_forgets_the_first_example() -> None:
    """‖SSᵀ‖_F = ‖SSᵀ‖₂ for a single example, and α = 2 over it leaves M_1 = 0: exactly so where S is [[1, 0], [0, 0]]."""
    X = np.zeros((1, 2, 2))
    X[0, :, 0] = 1
    assert (study.newton(Moments.of(X, np.ones((1, 2))), [1])[0][0, 1] == 0).all()


@pytest.mark.parametrize("match", compiled_matches(), ids=lambda match: match.construction)
def test_the_algorithms_are_what_compiled_transformers_compute(match) -> None:
    assert match.difference < 1e-12 and match.layers >= match.steps


# -- the measure -------------------------------------------------------------------------------------------------------


def test_similarity_is_a_cosine() -> None:
    E = np.array([[[1.0, 0.0]], [[3.0, 4.0]], [[0.0, 0.0]]])
    assert study.cosines(E)[0] == pytest.approx(np.array([[1, 0.6, 0], [0.6, 1, 0], [0, 0, 0]]))


def test_similarity_is_symmetric_and_one_on_the_diagonal(found: Similarities) -> None:
    assert np.diag(found.error) == pytest.approx(1)
    assert found.error == pytest.approx(found.error.T) and np.abs(found.error).max() <= 1 + 1e-12
    assert np.diag(found.weights)[1:] == pytest.approx(1) and found.weights == pytest.approx(found.weights.T)


def test_similarity_of_weights_loses_the_first_example(found: Similarities) -> None:
    """There Newton's weights are round-off of either sign: 39 of 40 cosines are left (0.974 in the paper, 1 without)."""
    for subject in found.family(study.EXACT_NEWTON)[19:]:
        assert found.at(OLS, subject, "weights") == pytest.approx(39 / 40, abs=1 / 400)
    assert found.at(OLS, Subject("gradient descent", 4096), "weights") > 0.999


def test_the_same_arguments_give_the_same_figures() -> None:
    first, second = (compute((1.0,), batch=4, d=3, n=5, quiet=True).found[0].error for _ in range(2))
    assert (first == second).all()


# -- the paper ---------------------------------------------------------------------------------------------------------


def test_printed_figures_agree_where_nothing_stands_against_it(paper: Study) -> None:
    compared = facts.compare(paper)
    assert facts.holds(paper) and len(compared) == sum(p.kappa == 1 for p in facts.PRINTED)
    certain = [c for c in compared if not c.printed.cannot and c.printed.family == "Newton" and c.error < 0.0015]
    assert len(certain) >= 7  # the others have a standard error of 0.003 with so few prompts
    assert all(abs(c.difference) <= facts.TOLERANCE for c in certain)


def test_a_wrong_figure_is_noticed(paper: Study, monkeypatch) -> None:
    wrong = [facts.Printed("nowhere", "error", 1.0, "least squares", "Newton", 14, 0.95)]
    monkeypatch.setattr(facts, "PRINTED", wrong)
    assert not facts.holds(paper)


def test_two_newton_steps_are_a_doubling_of_gradient_descent(found: Similarities) -> None:
    """Figure 26a, from the fifth step on."""
    printed = {k: steps for k, steps in facts.NEWTON_TO_DESCENT.items() if k >= 5}
    assert {k: found.best(Subject("Newton", k), "gradient descent").steps for k in printed} == printed


def test_the_fall_after_step_22_is_round_off(found: Similarities) -> None:
    single, double = ([found.at(OLS, s) for s in found.family(f)[20:]] for f in ("Newton", study.EXACT_NEWTON))
    assert single[-1] < single[0] - 0.01 and double == sorted(double)


def test_printed_figures_are_for_the_papers_sizes_only() -> None:
    assert facts.compare(compute((1.0,), batch=2, d=3, n=4, quiet=True)) == []


# -- the command -------------------------------------------------------------------------------------------------------


def test_the_command_writes_a_page_figures_and_a_picture(tmp_path, capsys) -> None:
    assert main(["similarity", *SMALL, "-o", str(tmp_path / "out"), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["similarity.json", "similarity.md", "similarity.png"]
    assert (data["d"], data["n"], data["batch"], data["printed"]) == (3, 6, 8, [])
    page = (tmp_path / "out" / "similarity.md").read_text(encoding="utf-8")
    assert "](similarity.png)" in page and "newton_relu_attention" in page
    assert (tmp_path / "out" / "similarity.png").read_bytes().startswith(b"\x89PNG")


def test_the_picture_shows_the_printed_figures(paper: Study, tmp_path) -> None:
    assert plot_similarity(paper, tmp_path / "paper.png").stat().st_size > 50_000


def test_without_a_picture_none_is_written(tmp_path, capsys) -> None:
    assert main(["similarity", *SMALL, "--no-picture", "-o", str(tmp_path)]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["similarity.json", "similarity.md"]
    assert "gradient descent" in capsys.readouterr().out


@pytest.mark.parametrize(("option", "value"), [("--batch", "1"), ("--d", "1"), ("--n", "x"), ("--kappa", "0.5")])
def test_bad_sizes_are_refused(option: str, value: str, tmp_path, capsys) -> None:
    assert main(["similarity", option, value, "-o", str(tmp_path)]) == 2
    assert option in capsys.readouterr().err


def test_bad_sizes_from_python_are_refused() -> None:
    with pytest.raises(hw.InputError, match=r"similarity: d is 1: expected at least 2"):
        compute(d=1)
