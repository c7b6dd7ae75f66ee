"""The command line: `headwright list | compile | run | verify | ledger | explain | bench | pareto | rates | similarity |
mutate | demo`.

Exit status: 0 when everything asked for holds; 1 when a claim is refuted or unknown; 2 for wrong usage or bad
input; 130 after Ctrl-C. With --json, stdout holds exactly one JSON object, also for an error.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

from .. import __version__
from ..compiler.errors import HeadwrightError
from ..compiler.pipeline import GOALS
from . import commands, mutate, pareto, rates, similarity
from .atomic import stopped_by_sigterm

_SET = "sizes and constants: integers, floats, fractions p/q, true, false, text, or name=@array.npy"
_BENCHMARKS = Path("docs/benchmarks")  # in a checkout, the figures go where they are kept
_SUBJECT = "a construction (see `headwright list`), file.py:program, or a model folder"


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are JSON too when --json is given."""

    def error(self, message: str) -> NoReturn:
        if "--json" in _given:
            fix = f"{self.prog} --help"
            _print_json({"error": {"type": "UsageError", "what": message, "where": None, "rule": None, "fix": fix}})
        super().error(message)


_given: list[str] = []  # the arguments of the running `main`, for `_Parser.error`


def build_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="headwright",
        description="Compiles matrix algorithms to transformer weights, runs them, and proves that they are the algorithm.",
        epilog="start with:\n  headwright demo\n"
        "exit status: 0 all holds, 1 a claim fails, 2 wrong usage or input, 130 interrupted",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"headwright {__version__}")
    found = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)

    shows = "show the constructions, their parameters and their papers' figures"
    _command(found, "list", commands.list_constructions, shows, "headwright list")

    made = _command(
        found,
        "compile",
        commands.compile_model,
        "compile a construction, or a program of your own, and save the model in a folder",
        "headwright compile least_squares --set d=8 n=32 steps=6 alpha=0.001 -o my_model\n"
        "  headwright compile my_programs.py:smooth --set n=16 step=1/8 -o smooth_model",
    )
    made.add_argument("name", metavar="NAME", help="a construction (see `headwright list`), or path/to/file.py:program_name")
    _settings(made)
    made.add_argument("--optimize", metavar="GOAL", help=f"what to minimise: {', '.join(GOALS)}")
    made.add_argument("--arch", metavar="ARCH", help="the architecture: see `headwright explain --arch`")
    width = "the most feed-forward units in a layer: wider layers become several"
    made.add_argument("--max-ffn-width", metavar="N", type=int, help=width)
    made.add_argument("-o", "--output", metavar="DIR", help="the folder to write; complete or absent at every moment")
    made.add_argument("--force", action="store_true", help="replace an earlier model folder")

    ran = _command(
        found, "run", commands.run_model, "run a saved model on arrays", "headwright run my_model --input x.npz --output y.npz"
    )
    ran.add_argument("model", metavar="DIR", help="a model folder")
    ran.add_argument("--input", metavar="X.npz", required=True, help="inputs by name (numpy.savez); batch dimensions may lead")
    ran.add_argument("--output", metavar="Y.npz", help='where to write the outputs by name (a single one is "output")')

    verified = _command(
        found,
        "verify",
        commands.verify,
        "print the certificate: identity for all dimensions, exact equality, the paper's figures",
        "headwright verify least_squares --set steps=20\n  headwright verify my_model\n  headwright verify --all\n"
        '  headwright verify --ledger "Lemma B.8"',
    )
    verified.add_argument("name", metavar="NAME|DIR", nargs="?", help=_SUBJECT)
    verified.add_argument("--all", action="store_true", help="every construction with every option, and the ledger")
    of_papers = "every statement of the papers, or those called NAME, each with its counterexample: see `headwright ledger`"
    verified.add_argument("--ledger", action="store_true", help=of_papers)
    _settings(verified)

    stated = _command(
        found,
        "ledger",
        commands.show_ledger,
        "check every statement of the papers: which hold, which are false as printed, and what is true instead",
        "headwright ledger\n  headwright ledger -o docs/reference",
    )
    stated.add_argument("-o", "--output", metavar="DIR", help="write ledger.md and ledger.json there")

    explained = _command(
        found,
        "explain",
        commands.explain,
        "show, layer by layer, what every head computes and which rows hold what",
        "headwright explain least_squares --set d=8 n=32 steps=6\n  headwright explain --arch",
    )
    explained.add_argument("name", metavar="NAME|DIR", nargs="?", help=_SUBJECT)
    _settings(explained)
    listed = "on this architecture; without NAME, what it can express; without a name of its own, all of them"
    explained.add_argument("--arch", metavar="ARCH", nargs="?", const="", help=listed)

    measured = _command(
        found,
        "bench",
        commands.bench,
        "time the compiled model against the same algorithm written in torch",
        "headwright bench --quick -o benchmark.md",
    )
    measured.add_argument("--quick", action="store_true", help="d = 8 and 32 only (half a minute)")
    place = _BENCHMARKS / "structured.md" if _BENCHMARKS.is_dir() else Path("headwright-benchmark.md")
    where = f"writes FILE.md and FILE.json (default: {place})"
    measured.add_argument("-o", "--output", metavar="FILE", default=str(place), help=where)

    drawn = _command(
        found,
        "pareto",
        commands.pareto,
        "compile and run every least-squares construction, and draw layers, rows and heads beside the lower bound",
        "headwright pareto -o pareto_output\n  headwright pareto --kappa 100 --tol 1e-6 --construction chebyshev --no-picture",
    )
    _frontier(drawn)

    timed = _command(
        found,
        "rates",
        commands.rates,
        "error against layers for every least-squares construction, compiled and run",
        "headwright rates -o rates_output\n  headwright rates --kappa 100 --most-layers 16 --no-picture",
    )
    timed.add_argument(
        "--kappa", type=_between(float, 1, 1e12), nargs="+", default=rates.KAPPAS, metavar="K",
        help=f"condition numbers of AᵀA, above 1 (default: {' '.join(f'{k:g}' for k in rates.KAPPAS)})",
    )  # fmt: skip
    timed.add_argument("--d", type=_between(int, 1, 33), default=rates.D, help="features (default: %(default)s)")
    most = "deeper ones are not made (default: %(default)s)"
    timed.add_argument("--most-layers", type=_between(int, 0, 10**4), default=rates.MOST_LAYERS, metavar="L", help=most)
    where = "folder for rates.png, rates.md and rates.json (default: %(default)s)"
    timed.add_argument("-o", "--output", metavar="DIR", default="rates_output", help=where)
    timed.add_argument("--no-picture", action="store_true", help="draw nothing (matplotlib is not needed then)")

    alike = _command(
        found,
        "similarity",
        commands.similarity,
        "compare the errors and weights of Newton, gradient descent, Chebyshev and least squares on prompts, beside Fu et al.",
        "headwright similarity -o similarity_output\n  headwright similarity --kappa 1 --batch 640 --no-picture",
    )
    _similarity(alike)

    changed = _command(
        found,
        "mutate",
        commands.mutate,
        "change compiled models in every single place, and count who notices: verify, and the independent checker",
        "headwright mutate --only newton_inverse\n  headwright mutate -o docs/benchmarks",
    )
    _mutations(changed)

    shown = _command(
        found,
        "demo",
        commands.demo,
        "in-context regression on real patients: compile, run, compare, prove, draw",
        "headwright demo -o demo_output",
    )
    shown.add_argument(
        "-o", "--output", metavar="DIR", default="demo_output", help="folder for what it makes (default: %(default)s)"
    )
    shown.add_argument("--steps", type=_steps, default=20, help="Newton steps, at least 3 (default: %(default)s)")
    shown.add_argument("--no-picture", action="store_true", help="draw nothing (matplotlib is not needed then)")
    return parser


def _command(
    found: Any, name: str, run: Callable[[argparse.Namespace], commands.Result], summary: str, example: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = found.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:].removesuffix(".") + ".",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object for machines")
    parser.set_defaults(run=run)
    return parser


def _settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--set", metavar="NAME=VALUE", nargs="+", action="extend", default=[], help=_SET)


def _frontier(parser: argparse.ArgumentParser) -> None:
    """What `pareto` is asked for."""
    kappas, tolerances = pareto.KAPPAS, pareto.TOLERANCES
    numbers = " ".join(f"{kappa:g}" for kappa in kappas), " ".join(f"{tol:g}" for tol in tolerances)
    parser.add_argument(
        "--kappa", type=_between(float, 1, 1e12), nargs="+", default=kappas, metavar="K",
        help=f"condition numbers of AᵀA, above 1 (default: {numbers[0]})",
    )  # fmt: skip
    parser.add_argument(
        "--tol", type=_between(float, 1e-30, 1), nargs="+", default=tolerances, metavar="E",
        help=f"bounds of ‖I − SX‖₂, below 1 (default: {numbers[1]})",
    )  # fmt: skip
    parser.add_argument("--d", type=_between(int, 1, 33), default=pareto.D, help="features (default: %(default)s)")
    parser.add_argument("--construction", nargs="+", metavar="NAME", help="only these (default: all for least squares)")
    parser.add_argument(
        "--most-layers", type=_between(int, 0, 10**9), default=pareto.MOST_LAYERS, metavar="L",
        help="deeper ones are not compiled: drawn hollow, by their formula (default: %(default)s)",
    )  # fmt: skip
    workers, shared = min(2, os.cpu_count() or 1), "processes that share the work (default: %(default)s)"
    parser.add_argument("--workers", type=_between(int, 0, 65), default=workers, metavar="W", help=shared)
    _picture_folder(parser, "pareto")


def _similarity(parser: argparse.ArgumentParser) -> None:
    """What `similarity` is asked for."""
    kappas = " ".join(f"{kappa:g}" for kappa in similarity.KAPPAS)
    parser.add_argument(
        "--kappa", type=_between(float, 0.999999, 1e6), nargs="+", default=similarity.KAPPAS, metavar="K",
        help=f"condition numbers of the covariance of x (default: {kappas})",
    )  # fmt: skip
    for name, least, most, what in (
        ("batch", 2, 10**6, "prompts for each κ"),
        ("d", 2, 200, "features"),
        ("n", 2, 1000, "examples in a prompt"),
        ("seed", 0, 2**31, "of the prompts"),
    ):
        default = getattr(similarity, name.upper())
        given: dict[str, Any] = {"type": _between(int, least - 1, most), "default": default, "metavar": name[0].upper()}
        parser.add_argument(f"--{name}", **given, help=f"{what} (default: %(default)s)")
    _picture_folder(parser, "similarity")


def _mutations(parser: argparse.ArgumentParser) -> None:
    """What `mutate` is asked for."""
    parser.add_argument("--only", nargs="+", metavar="NAME", help="models whose titles begin with this (default: all)")
    most = "mutants of a large model, and of a kind of change in a small one (default: %(default)s)"
    parser.add_argument("--sample", type=_between(int, 0, 10**9), default=mutate.SAMPLE, metavar="N", help=most)
    seed = "of what is drawn (default: %(default)s)"
    parser.add_argument("--seed", type=_between(int, -1, 2**31), default=mutate.SEED, metavar="S", help=seed)
    workers, shared = min(2, os.cpu_count() or 1), "processes that share the models (default: %(default)s)"
    parser.add_argument("--workers", type=_between(int, 0, 65), default=workers, metavar="W", help=shared)
    parser.add_argument("-o", "--output", metavar="DIR", help="write mutation.md and mutation.json there")
    parser.add_argument("--add", action="store_true", help="keep there what an earlier run says of other models")


def _picture_folder(parser: argparse.ArgumentParser, name: str) -> None:
    files = f"folder for {name}.png, {name}.md and {name}.json (default: %(default)s)"
    parser.add_argument("-o", "--output", metavar="DIR", default=f"{name}_output", help=files)
    parser.add_argument("--no-picture", action="store_true", help="draw nothing (matplotlib is not needed then)")


def _between(kind: type[int] | type[float], low: float, high: float) -> Callable[[str], float]:
    """Reads a number strictly between two others."""

    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = kind(low)
        if not low < value < high:
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{text!r} is not {what} above {low:g} and below {high:g}")
        return value

    return read


def _steps(text: str) -> int:
    try:
        steps = int(text)
    except ValueError:
        steps = 0
    if not 3 <= steps <= 200:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of steps from 3 to 200")
    return steps


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit status."""
    given = list(sys.argv[1:] if argv is None else argv)
    _given[:] = given
    try:
        arguments = build_parser().parse_args(given)
    except SystemExit as stop:  # --help, --version, wrong usage
        return stop.code if isinstance(stop.code, int) else 2
    try:
        with stopped_by_sigterm():
            result: commands.Result = arguments.run(arguments)
            if arguments.json:
                _print_json(result.data)
            else:
                print(result.text)
            sys.stdout.flush()
        return result.status
    except HeadwrightError as error:
        if arguments.json:
            _print_json({"error": _error_json(error)})
        print(f"headwright: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        _stopped(arguments.json, "interrupted")
        return 130
    except BrokenPipeError:  # the reader has closed: `headwright list | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except SystemExit as stop:  # SIGTERM, see `stopped_by_sigterm`
        _stopped(arguments.json, "terminated")
        return stop.code if isinstance(stop.code, int) else 1


def _stopped(as_json: bool, what: str) -> None:
    if as_json:
        _print_json({"error": {"type": "Stopped", "what": what, "where": None, "rule": None, "fix": None}})
    print(f"\nheadwright: {what}", file=sys.stderr)


def _error_json(error: HeadwrightError) -> dict[str, Any]:
    where = None if error.where is None else {"file": error.where.file, "line": error.where.line, "code": error.where.code}
    return {"type": type(error).__name__, "what": error.what, "where": where, "rule": error.rule, "fix": error.fix}


def _print_json(data: Any) -> None:
    print(json.dumps(data, indent=2, ensure_ascii=False, default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, Fraction):
        return str(value)
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"a {type(value).__name__} has no JSON form")


if __name__ == "__main__":
    sys.exit(main())
