"""What each command does: a function from parsed arguments to a `Result` (text for people, JSON, exit status)."""

from __future__ import annotations

import argparse
import sys
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .. import constructions
from ..compiler.architecture import ARCHITECTURES, Architecture
from ..compiler.errors import CompileError, InputError
from ..constructions.parameters import REQUIRED, Parameter
from ..proofs_check.certificate import Certificate, Proved
from ..proofs_check.exact import exact_degree
from . import atomic, checkpoint
from .api import verify as verify_model
from .architectures import by_name, to_json, to_text
from .compiled import Compiled
from .progress import stage, track
from .subjects import all_subjects, compile_subject, describe, open_subject, parse_settings


@dataclass(frozen=True)
class Result:
    """text: printed without --json; data: printed with it; status: 0 when everything asked for holds, else 1."""

    text: str
    data: Any
    status: int = 0


def note(message: str) -> None:
    print(message, file=sys.stderr)


def list_constructions(arguments: argparse.Namespace) -> Result:
    found = [constructions.get(name) for name in constructions.names()]
    data, blocks = [], []
    for c in found:
        claim = c.claim
        figures = {"depth": claim.depth, "heads": claim.heads, "rows": claim.rows, "error": claim.error}
        data.append(
            {
                "name": c.name,
                "summary": c.summary,
                "parameters": [_parameter_json(p) for p in c.parameters],
                "paper": claim.paper,
                "statement": claim.statement,
                "says": claim.says,
                "corrected": claim.corrected,
                "formulas": figures,
            }
        )
        lines = [c.name, f"  {c.summary}", f"  {claim.paper}, {claim.statement}: {claim.says}"]
        given = [
            f"{'layers' if key == 'depth' else key} ≤ {figures[key]}" for key in ("depth", "heads", "rows") if figures[key]
        ]
        lines += [f"  checked: {', '.join(given)}; error {claim.error}" if given else f"  error {claim.error}"]
        lines += [f"  corrected: {claim.corrected}"] if claim.corrected else []
        width = max(len(p.name) for p in c.parameters)
        lines += [f"    {p.name:<{width}}  {p.meaning}{_default(p)}" for p in c.parameters]
        blocks.append("\n".join(lines))
    return Result("\n\n".join(blocks), {"constructions": data})


def _parameter_json(p: Parameter) -> dict[str, Any]:
    required = p.default is REQUIRED
    found = {"name": p.name, "kind": p.kind, "meaning": p.meaning, "required": required}
    found["default"] = None if required else p.default
    return {**found, "choices": list(p.choices), "low": p.low, "high": p.high}


def _default(p: Parameter) -> str:
    choices = f"; one of {', '.join(map(str, p.choices))}" if p.choices else ""
    span = f"; {p.low} to {p.high}" if p.low is not None and p.high is not None else ""
    return choices + span + ("" if p.default is REQUIRED else "; optional" if p.default is None else f"; default {p.default}")


def compile_model(arguments: argparse.Namespace) -> Result:
    settings = parse_settings(arguments.set)
    if arguments.output is not None:  # before the work: a target that will be refused
        checkpoint.check_target(arguments.output, arguments.force)
    with stage(f"compiling {arguments.name}", quiet=arguments.json or not sys.stderr.isatty()):
        model = compile_subject(arguments.name, settings, arguments.optimize, _arch(arguments), arguments.max_ffn_width)
    lines = [repr(model), *_sizes_text(model)]
    saved = None
    if arguments.output is not None:
        saved = str(checkpoint.save(model, arguments.output, overwrite=arguments.force))
        lines += [f"saved in {arguments.output}", f"next: headwright verify {_folder(arguments.output)}"]
    else:
        lines += ["not saved: add -o DIR"]
    return Result("\n".join(lines), {"name": model.name, "construction": model.construction, **_sizes(model), "saved": saved})


def _folder(path: str) -> str:
    """The path as `verify` takes it for a folder, also when a construction has that name."""
    return f"./{path}" if path in constructions.names() else path


def _sizes(model: Compiled) -> dict[str, Any]:
    return {
        "sizes": dict(model.artifact.graph.sizes),
        "layers": model.depth,
        "distinct_layers": len(model.artifact.unique_layers),
        "heads_per_layer": model.heads_per_layer,
        "max_heads": model.max_heads,
        "rows": model.d_model,
        "tokens": model.n_tokens,
        "ffn_width": model.ffn_width,
        "parameters": model.n_parameters,
        "unique_parameters": model.n_unique_parameters,
        "nonzeros": model.nonzeros,
    }


def _sizes_text(model: Compiled) -> list[str]:
    distinct = len(model.artifact.unique_layers)
    units = [f"  FFN width   {model.ffn_width} units at most in a layer"] if model.ffn_width else []
    return [
        f"  layers      {model.depth} ({distinct} distinct)",
        f"  heads       {model.max_heads} at most in a layer, {sum(model.heads_per_layer)} in all",
        f"  rows        {model.d_model} (d_model), {model.n_tokens} tokens",
        *units,
        f"  parameters  {model.n_parameters:,} ({model.n_unique_parameters:,} unique, {model.nonzeros:,} not zero)",
    ]


def run_model(arguments: argparse.Namespace) -> Result:
    model = checkpoint.load(arguments.model)
    inputs = read_npz(arguments.input)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outputs = model.run(inputs)
    messages = [str(w.message) for w in caught]
    named = outputs if isinstance(outputs, dict) else {"output": outputs}
    arrays = {name: np.asarray(value) for name, value in named.items()}
    if arguments.output is not None:
        try:
            atomic.write_file(arguments.output, lambda file: _write_npz(file, arrays))
        except OSError as error:
            what = f"{arguments.output} cannot be written: {error.strerror or error}"
            raise InputError(what, fix="choose another --output") from error
    lines = [f"warning: {message}" for message in messages]
    for name, array in arrays.items():
        preview = np.array2string(array, threshold=20, edgeitems=3, precision=6)
        lines += [f"{name}  shape {array.shape}, {array.dtype}", _indent(preview)]
    lines += [f"saved in {arguments.output}"] if arguments.output is not None else []
    shown = {n: {"shape": list(a.shape), "dtype": str(a.dtype), "preview": a.ravel()[:8].tolist()} for n, a in arrays.items()}
    return Result("\n".join(lines), {"outputs": shown, "saved": arguments.output, "warnings": messages})


def _write_npz(file: BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    """As numpy.savez, for outputs of any name (`file` and `allow_pickle` are arguments of savez itself)."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def _indent(text: str) -> str:
    return "\n".join("  " + line for line in text.splitlines())


def read_npz(path: str) -> Mapping[str, np.ndarray]:
    """The arrays of an .npz file, by name. Raises InputError when it is not one, or holds Python objects."""
    fix = "write it with numpy.savez(path, A=A, y=y, …)"
    if Path(path).is_file() and not zipfile.is_zipfile(path):
        with open(path, "rb") as file:
            alone = file.read(6) == b"\x93NUMPY"
        what = "holds one array without a name" if alone else "is not a complete .npz file"
        raise InputError(f"{path} {what}: expected an .npz file of named arrays", fix=fix)
    try:
        with np.load(path, allow_pickle=False) as loaded:
            arrays = {name: loaded[name] for name in loaded.files}
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist", fix=fix) from error
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        objects = "allow_pickle" in str(error)
        what = "holds Python objects, which are never loaded" if objects else f"is not a complete .npz file: {error}"
        raise InputError(f"{path} {what}", fix=fix) from error
    unnamed = [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]
    if unnamed:
        raise InputError(f"{path}: {', '.join(unnamed)} is not an array", fix=fix)
    return arrays


def verify(arguments: argparse.Namespace) -> Result:
    named = arguments.name is not None and not arguments.ledger
    if sum((arguments.all, arguments.ledger, named)) != 1:
        raise CompileError(
            "verify takes one NAME or DIR, or --all, or --ledger", fix="for example: headwright verify least_squares"
        )
    if arguments.set and not named:
        raise CompileError(
            f"--set does not go with {'--all' if arguments.all else '--ledger'}",
            fix="verify one construction: headwright verify NAME --set …",
        )
    if arguments.ledger:
        return _ledger(None, statement=arguments.name)
    if arguments.all:
        return _verify_all()
    title, model = open_subject(arguments.name, parse_settings(arguments.set), note)
    with stage(f"verifying {title}", quiet=arguments.json or not sys.stderr.isatty()):
        certificate = verify_model(model)
    verdict = "everything is proved" if certificate.all_proved else "NOT everything is proved"
    data = {"all_proved": certificate.all_proved, "certificates": [{"model": title, **certificate.to_json()}]}
    return Result(f"{certificate}\n{verdict}", data, 0 if certificate.all_proved else 1)


def _verify_all() -> Result:
    subjects = list(all_subjects())
    rows, found, certificates = [], [], {}
    for name, values in track(subjects, "verifying", unit="model"):
        model = constructions.get(name).compile(**values)
        certificate = certificates[describe(name, values)] = verify_model(model)
        found.append({"model": describe(name, values), **certificate.to_json()})
        bad = [f"{type(c.verdict).__name__} {c.name}" for c in certificate.claims if not isinstance(c.verdict, Proved)]
        figures = (str(model.depth), str(model.max_heads), str(model.d_model))
        rows.append((describe(name, values), *figures, ", ".join(bad) or f"proved ({len(certificate.claims)} claims)"))
    holds = all(entry["all_proved"] for entry in found)
    proved = sum(entry["all_proved"] for entry in found)
    text = table(("model", "layers", "heads", "rows", "verdict"), rows)
    text += f"\n{proved} of {len(found)} models: every claim proved"
    statements = _ledger(certificates)
    data = {"all_proved": holds, "certificates": found, "ledger": statements.data}
    return Result(f"{text}\n\n{statements.text}", data, 0 if holds and statements.status == 0 else 1)


def _ledger(
    certificates: Mapping[str, Certificate] | None, folder: str | None = None, statement: str | None = None
) -> Result:
    from . import ledger

    outcomes = ledger.decide_all(ledger.chosen(statement, certificates))
    data = ledger.to_json(outcomes)
    full = statement is not None and len(outcomes) <= ledger.IN_FULL
    shown = ledger.in_full(outcomes) + "\n" if full else table(ledger.HEADER, ledger.rows_of(outcomes))
    text = f"{shown}\n{ledger.summary(outcomes)}"
    if folder is not None:
        data["written"] = ledger.write(outcomes, folder)
        text += "\nwritten: " + ", ".join(data["written"])
    return Result(text, data, 0 if data["all_confirmed"] else 1)


def show_ledger(arguments: argparse.Namespace) -> Result:
    if arguments.output is None:
        return _ledger(None, None)
    if not Path(arguments.output).is_dir():  # before the work
        raise InputError(f"{arguments.output} is not a folder", fix=f"create it first: mkdir -p {arguments.output}")
    with atomic.output_folder(arguments.output):
        return _ledger(None, arguments.output)


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Columns of text; columns of figures are flush right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    right = [all(row[i].replace(".", "").isdigit() for row in rows) for i in range(len(header))]
    align: list[Callable[[str, int], str]] = [str.rjust if r else str.ljust for r in right]
    lines = ["  ".join(a(cell, w) for a, cell, w in zip(align, row, widths, strict=True)).rstrip() for row in (header, *rows)]
    return "\n".join([lines[0], "  ".join("-" * w for w in widths), *lines[1:]])


def explain(arguments: argparse.Namespace) -> Result:
    from .explain import explain_json, explain_text

    if arguments.name is None:
        if arguments.arch is None:
            raise CompileError("explain needs a construction, a model folder or --arch", fix="headwright explain least_squares")
        chosen = ARCHITECTURES if arguments.arch == "" else (by_name(arguments.arch),)
        return Result(to_text(chosen), [to_json(a) for a in chosen])
    _, model = open_subject(arguments.name, parse_settings(arguments.set), note, _arch(arguments))
    degrees = exact_degree(model.artifact.graph)
    return Result(explain_text(model.artifact, model.bounds, degrees), explain_json(model.artifact, model.bounds, degrees))


def _arch(arguments: argparse.Namespace) -> Architecture | None:
    """The architecture that --arch names; None where it is not given."""
    if arguments.arch == "":
        raise CompileError("--arch needs a name here", fix="`headwright explain --arch` lists them")
    return None if arguments.arch is None else by_name(arguments.arch)


def bench(arguments: argparse.Namespace) -> Result:
    from . import bench as benchmark

    target = Path(arguments.output)
    if target.suffix not in ("", ".json", ".md"):
        raise CompileError(f"-o got {target}: expected a name ending in .md or .json", fix=f"use {target.with_suffix('.md')}")
    if not target.parent.is_dir():
        raise CompileError(f"{target.parent} is not a folder", fix=f"create it first: mkdir -p {target.parent}")
    with atomic.output_folder(target.parent):
        report = benchmark.measure(quick=arguments.quick)
        files = benchmark.write(report, target)
    markdown = benchmark.to_markdown(report)
    return Result(markdown + "\nwritten: " + ", ".join(files), {**report, "written": files})


def pareto(arguments: argparse.Namespace) -> Result:
    from . import pareto as frontier
    from . import pareto_plot, pareto_report

    picture = _draws(arguments)
    asked = (arguments.kappa, arguments.tol, arguments.d, arguments.construction, arguments.most_layers, arguments.workers)
    with atomic.output_folder(arguments.output) as folder:
        report = frontier.compute(*asked)
        drawn = [str(pareto_plot.plot_pareto(report, folder / "pareto.png"))] if picture else []
        files = [*drawn, *pareto_report.write(report, folder, "pareto.png" if picture else None)]
    verdict = "every model that was run reaches its tolerance" if report.holds else "NOT every model holds what it should"
    lines = [*pareto_report.compact_table(report), "", *filter(None, pareto_report.notes(report)), "", verdict]
    text = "\n".join([*lines, "written: " + ", ".join(files)])
    return Result(text, {**report.to_json(), "written": files}, 0 if report.holds else 1)


def rates(arguments: argparse.Namespace) -> Result:
    from . import rates as measured
    from . import rates_plot

    picture = _draws(arguments)
    with atomic.output_folder(arguments.output) as folder:
        report = measured.compute(arguments.kappa, arguments.d, arguments.most_layers)
        drawn = [str(rates_plot.plot_rates(report, folder / "rates.png"))] if picture else []
        files = [*drawn, *measured.write(report, folder, "rates.png" if picture else None)]
    text = "\n".join([*measured.table(report), "", "written: " + ", ".join(files)])
    return Result(text, {**report.to_json(), "written": files})


def similarity(arguments: argparse.Namespace) -> Result:
    from . import similarity as study
    from . import similarity_facts, similarity_plot, similarity_report
    from .similarity_compiled import compiled_matches

    picture, sizes = _draws(arguments), (arguments.batch, arguments.d, arguments.n, arguments.seed)
    with atomic.output_folder(arguments.output) as folder:
        found, matched = study.compute(arguments.kappa, *sizes), compiled_matches(arguments.seed)
        drawn = [str(similarity_plot.plot_similarity(found, folder / "similarity.png"))] if picture else []
        files = [*drawn, *similarity_report.write(found, matched, folder, "similarity.png" if picture else None)]
    holds = similarity_facts.holds(found)
    verdict = "" if holds else "\nNOT every printed figure that should agree does"
    text = "\n".join([*similarity_report.summary(found, matched), verdict, "written: " + ", ".join(files)])
    return Result(text, {**similarity_report.to_json(found, matched), "written": files}, 0 if holds else 1)


def _draws(arguments: argparse.Namespace) -> bool:
    """Whether a picture is drawn; that it can be is found out before minutes of work."""
    from . import plots

    picture = not arguments.no_picture
    if picture:
        plots.load_matplotlib("(or leave the picture out: --no-picture)")
    return picture


def mutate(arguments: argparse.Namespace) -> Result:
    from . import mutate as harness
    from . import mutate_report as reporting
    from .mutate_subjects import subjects

    titles = [subject.title for subject in subjects(arguments.only)]
    with nullcontext() if arguments.output is None else atomic.output_folder(arguments.output) as folder:
        found = harness.campaign(titles, arguments.sample, arguments.seed, arguments.workers, quiet=arguments.json)
        report = reporting.Report(arguments.sample, arguments.seed, found, tuple(arguments.only or ()))
        if arguments.add and folder is not None:
            report = reporting.added_to(report, folder)
        files = [] if folder is None else reporting.write(report, folder)
    verdict = "every mutant is killed or proved to be the same" if report.holds else "NOT every mutant is killed"
    lines = [table(reporting.HEADER, reporting.rows_of(found)), "", *reporting.summary(report), verdict]
    lines += [f"written: {', '.join(files)}"] if files else []
    return Result("\n".join(lines), {**report.to_json(), "written": files}, 0 if report.holds else 1)


def demo(arguments: argparse.Namespace) -> Result:
    from .demo import run_demo

    with atomic.output_folder(arguments.output) as folder:
        report = run_demo(folder, steps=arguments.steps, picture=not arguments.no_picture, quiet=arguments.json)
    return Result(report.conclusion, report.data, 0 if report.holds else 1)
