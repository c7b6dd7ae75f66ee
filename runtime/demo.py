"""`headwright demo`: the main job on real data. Every prediction that it prints comes out of the weight matrices.

442 diabetes patients, ten measurements each (Efron et al. 2004, shipped with scikit-learn). 300 of them are the
context; the compiled transformer predicts the disease progression of the other 142 in one forward pass.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..compiler.errors import HeadwrightError
from ..proofs_check.exact import exact_degree
from . import checkpoint
from .api import compile as compile_program
from .api import verify
from .progress import stage

CONTEXT, SEED = 300, 0


@dataclass(frozen=True)
class Patients:
    """Standardised measurements with a column of ones: A (300, 11), y (300,) in context; Q (142, 11), answers (142,) unseen."""

    A: np.ndarray
    y: np.ndarray
    Q: np.ndarray
    answers: np.ndarray

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        return {"A": self.A, "y": self.y, "Q": self.Q}


@dataclass(frozen=True)
class DemoReport:
    """conclusion: the last lines; data: all figures; holds: everything is proved and the answers agree."""

    conclusion: str
    data: dict[str, Any]
    holds: bool


def run_demo(folder: Path, *, steps: int, picture: bool, quiet: bool = False) -> DemoReport:
    """Prints the demo as it goes (unless quiet), writes the model and the pictures into `folder`."""
    from .explain import explain_text

    _need(picture)
    _prepare_folder(folder)
    say: Callable[[str], None] = (lambda text: None) if quiet else (lambda text: print(text, flush=True))

    patients = load_patients()
    n, d = patients.A.shape
    say(_heading("1. The data"))
    say(f"442 diabetes patients, {d - 1} measurements each and one answer: how far the disease is a year later.")
    say(f"{n} patients are the context; the other {len(patients.Q)} are asked about, all in one forward pass.")
    say("Measurements are standardised with the statistics of the context; a column of ones is the intercept.")

    from .demo_program import predict_patients

    alpha = Fraction(1, n * d)
    say(_heading("2. The algorithm, in ten lines of Python"))
    say("import headwright as hw\n\n" + inspect.getsource(predict_patients.fn))
    say(f"alpha = 1/{n * d}: every column of A has mean square 1, so trace(AᵀA) = n·d = {n * d}, and no eigenvalue")
    say("of AᵀA is above its trace. The bound needs only the sizes, so alpha can be a weight.")

    say(_heading("3. Compiled: the algorithm as transformer layers"))
    dims = {"n": n, "d": d, "m": len(patients.Q)}
    started = time.perf_counter()
    with stage("compiling", quiet):
        model = compile_program(predict_patients, dims=dims, steps=steps, alpha=alpha)
    seconds = time.perf_counter() - started
    say(f"{model!r}\ncompiled in {seconds:.2f} s; {model.n_parameters:,} parameters, {model.n_unique_parameters:,} stored\n")
    say(explain_text(model.artifact, model.bounds, exact_degree(model.artifact.graph)))

    say(_heading("4. The proof"))
    with stage("proving", quiet):
        started = time.perf_counter()
        certificate = verify(model)
        proof_seconds = time.perf_counter() - started
    say(f"{certificate}\nproved in {proof_seconds:.2f} s" if certificate.all_proved else str(certificate))

    say(_heading(f"5. {len(patients.Q)} unseen patients"))
    model(**patients.inputs)  # the first call plans the blocks
    started = time.perf_counter()
    predicted = model(**patients.inputs)
    run_seconds = time.perf_counter() - started
    dense = model.run(patients.inputs, dense=True)
    earlier = compile_program(predict_patients, dims=dims, steps=steps - 2, alpha=alpha)(**patients.inputs)
    lstsq, sklearn = _by_lstsq(patients), _by_sklearn(patients)
    rounding = float(n * np.finfo(float).eps * np.linalg.cond(patients.A) ** 2 * np.abs(lstsq).max())
    others = {"lstsq": lstsq, "sklearn": sklearn, "dense": dense}
    worst = {name: float(np.abs(predicted - other).max()) for name, other in others.items()}
    moved = float(np.abs(predicted - earlier).max())
    answers = {"transformer": predicted, "lstsq": lstsq, "sklearn": sklearn}
    scores = {name: _r2(patients.answers, found) for name, found in answers.items()}
    say(_answers(patients.answers, predicted, lstsq))
    say(f"one forward pass: {run_seconds * 1e3:.1f} ms, float64\n")
    names = {"transformer": "transformer", "lstsq": "numpy.linalg.lstsq", "sklearn": "sklearn LinearRegression"}
    say("  R² on the unseen patients\n" + "\n".join(f"    {names[key]:<28}{score:.12f}" for key, score in scores.items()))
    differences = {
        "numpy.linalg.lstsq": worst["lstsq"],
        "sklearn LinearRegression": worst["sklearn"],
        "the dense weight matrices": worst["dense"],
        f"{steps - 2} steps instead of {steps}": moved,
    }
    say("  largest difference of a prediction to")
    say("\n".join(f"    {name:<28}{value:.1e}" for name, value in differences.items()))
    say(f"  what rounding allows, n · u · cond(AᵀA) · max |prediction|: {rounding:.1e}")

    agrees = max(worst.values()) <= rounding
    written = {"model": str(checkpoint.save(model, folder / "model", overwrite=True))}
    if picture:
        say(_heading("6. Pictures"))
        written |= _draw(model, patients, folder, quiet)
    conclusion = "\nwritten: " + ", ".join(written.values()) + "\n" + _conclude(certificate.all_proved, worst, rounding, steps)
    data = {
        "layers": model.depth,
        "heads": model.max_heads,
        "rows": model.d_model,
        "steps": steps,
        "alpha": str(alpha),
        "r2": scores,
        "largest_difference": {**worst, "fewer_steps": moved},
        "rounding_allows": rounding,
        "agrees": agrees,
        "certificate": certificate.to_json(),
        "seconds": {"compile": seconds, "verify": proof_seconds, "run": run_seconds},
        "written": written,
    }
    return DemoReport(conclusion, data, certificate.all_proved and agrees)


def load_patients() -> Patients:
    """The patients, shuffled with a fixed seed, standardised with the context's mean and deviation."""
    from sklearn.datasets import load_diabetes

    X, y = load_diabetes(return_X_y=True, scaled=False)
    order = np.random.default_rng(SEED).permutation(len(y))
    X, y = X[order], y[order]
    mean, deviation = X[:CONTEXT].mean(axis=0), X[:CONTEXT].std(axis=0)
    rows = np.hstack([(X - mean) / deviation, np.ones((len(X), 1))])
    return Patients(rows[:CONTEXT], y[:CONTEXT], rows[CONTEXT:], y[CONTEXT:])


def _by_lstsq(patients: Patients) -> np.ndarray:
    answer: np.ndarray = patients.Q @ np.linalg.lstsq(patients.A, patients.y, rcond=None)[0]
    return answer


def _by_sklearn(patients: Patients) -> np.ndarray:
    from sklearn.linear_model import LinearRegression

    fitted = LinearRegression().fit(patients.A[:, :-1], patients.y)
    answer: np.ndarray = fitted.predict(patients.Q[:, :-1])
    return answer


def _r2(answers: np.ndarray, predicted: np.ndarray) -> float:
    return float(1 - ((answers - predicted) ** 2).sum() / ((answers - answers.mean()) ** 2).sum())


def _answers(answers: np.ndarray, predicted: np.ndarray, lstsq: np.ndarray) -> str:
    lines = [f"  {'patient':>7}  {'answer':>7}  {'transformer':>18}  {'numpy.linalg.lstsq':>18}"]
    for i in range(5):
        lines.append(f"  {CONTEXT + i + 1:>7}  {answers[i]:>7.0f}  {predicted[i]:>18.10f}  {lstsq[i]:>18.10f}")
    return "\n".join([*lines, f"  {'…':>7}"])


def _conclude(proved: bool, worst: dict[str, float], rounding: float, steps: int) -> str:
    proof = "The weights are proved to be this algorithm, for all dimensions" if proved else "NOT everything is proved"
    if worst["dense"] > rounding:
        return f"{proof}; but the blocks are {worst['dense']:.1e} away from the dense matrices: more than rounding explains."
    if max(worst.values()) > rounding:
        return (
            f"{proof}; but after {steps} steps the algorithm itself is still {worst['lstsq']:.1e} away from least squares.\n"
            "Give it more steps: headwright demo --steps 20"
        )
    return f"{proof}; its predictions are those of least squares to {worst['lstsq']:.1e}."


def _draw(model: Any, patients: Patients, folder: Path, quiet: bool) -> dict[str, str]:
    from .plots import plot_stream, plot_weights

    with stage("drawing the weights", quiet):
        weights = plot_weights(model, folder / "weights.png")
    with stage("drawing the residual stream", quiet):
        stream = plot_stream(model, patients.inputs, folder / "residual_stream.png")
    return {"weights": str(weights), "residual_stream": str(stream)}


def _need(picture: bool) -> None:
    packages = {"sklearn": "scikit-learn", **({"matplotlib": "matplotlib"} if picture else {})}
    missing = [package for module, package in packages.items() if find_spec(module) is None]
    if missing:
        hint = " (or leave the pictures out: --no-picture)" if "matplotlib" in missing else ""
        what = f"the demo needs {' and '.join(missing)}, which this Python does not have"
        raise HeadwrightError(what, fix=f"pip install {' '.join(missing)}{hint}")


def _prepare_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        checkpoint.check_target(folder / "model", overwrite=True)
    except OSError as error:
        what = f"{folder} cannot be made: {error.strerror or error}"
        raise HeadwrightError(what, fix="choose another folder with -o") from error


def _heading(text: str) -> str:
    return f"\n── {text} " + "─" * max(3, 96 - len(text))
