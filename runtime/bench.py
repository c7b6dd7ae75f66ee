"""`headwright bench`: the compiled model against the same algorithm written directly in torch.

Two comparisons for `least_squares` (X_0 = αI, eight steps), each a ratio of medians in one process:
structured: `model.run` and the bare block module, against the ten lines written by hand with batched torch products;
dense:      `model.torch_module()`, against a hand loop of eq. (3.1a) over dense weight matrices.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import constructions
from .api import verify
from .atomic import write_file
from .compiled import Compiled
from .progress import track

STEPS = 8
DIMENSIONS, BATCHES = (8, 32, 128, 512), (1, 64)
WEIGHTS_LIMIT, STREAM_LIMIT = 2 * 2**30, 8 * 2**30  # bytes: dense weights of one layer stack, everything alive in a run
_HEAVY = 5e10  # multiplications: a run above this takes seconds, and is done once, with one thread


def measure(quick: bool = False) -> dict[str, Any]:
    """All figures: machine, run times, compile and verify times. quick: d = 8 and 32 only."""
    default = torch.get_num_threads()
    dimensions = [d for d in DIMENSIONS if d <= 32] if quick else list(DIMENSIONS)
    cases = [(threads, d, batch) for threads in sorted({1, default}) for d in dimensions for batch in BATCHES]
    rows = []
    try:
        for threads, d, batch in track(cases, "benchmark", unit="case"):
            torch.set_num_threads(threads)
            rows.append(_measure_case(threads, d, batch))
    finally:
        torch.set_num_threads(default)
    sizes = [(32, 128)] if quick else [(32, 128), (256, 1024)]
    compiles = [_measure_compile(d, n) for d, n in track(sizes, "compile", unit="model")]
    return {"machine": machine(), "program": "least_squares, init=identity", "steps": STEPS, "runs": rows, "compile": compiles}


def machine() -> dict[str, Any]:
    """Processor, cores, versions and dtype."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "default_threads": torch.get_num_threads(),
        "dtype": "float64",
        "busy_cores_at_start": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


# -- run times -----------------------------------------------------------------------------------------------------


def direct(A: Tensor, y: Tensor, q: Tensor, steps: int, alpha: float) -> Tensor:
    """The same algorithm, written directly with batched torch products: A (…, n, d), y (…, n), q (…, d) → (…)."""
    S = A.mT @ A
    X = (alpha * torch.eye(A.shape[-1], dtype=A.dtype)).expand(S.shape)
    for _ in range(steps):
        X = 2 * X - X @ S @ X
    b = A.mT @ y.unsqueeze(-1)
    return (q.unsqueeze(-2) @ (X @ b))[..., 0, 0]


def direct_as_written(A: Tensor, y: Tensor, q: Tensor, steps: int, alpha: float) -> Tensor:
    """The same, the last product from left to right: q X Aᵀ y."""
    S = A.mT @ A
    X = (alpha * torch.eye(A.shape[-1], dtype=A.dtype)).expand(S.shape)
    for _ in range(steps):
        X = 2 * X - X @ S @ X
    return (q.unsqueeze(-2) @ X @ A.mT @ y.unsqueeze(-1))[..., 0, 0]


def hand_loop(weights: list[list[tuple[Tensor, Tensor, Tensor]]], H: Tensor) -> Tensor:
    """Eq. (3.1a): H + Σ W_V H (W_K H)ᵀ (W_Q H), layer by layer, with dense (D, D) matrices."""
    for heads in weights:
        H = H + sum(((W_V @ H) @ (W_K @ H).mT) @ (W_Q @ H) for W_V, W_K, W_Q in heads)
    return H


def _measure_case(threads: int, d: int, batch: int) -> dict[str, Any]:
    n = 4 * d
    alpha = 1.0 / (2 * n * d)
    model = constructions.get("least_squares").compile(n=n, d=d, steps=STEPS, alpha=alpha, init="identity")
    case: dict[str, Any] = {"threads": threads, "d": d, "n": n, "batch": batch, "layers": model.depth, "rows": model.d_model}
    stream = 8 * batch * model.d_model * model.n_tokens
    heavy = batch * (2 * STEPS * d**3 + n * d**2) > _HEAVY
    if 3 * stream > STREAM_LIMIT:
        return {**case, "skipped": f"a run takes about {3 * stream / 2**30:.1f} GiB"}
    if heavy and threads > 1:
        return {**case, "skipped": "a run takes seconds; measured with one thread only"}
    generator = torch.Generator().manual_seed(0)
    shape = () if batch == 1 else (batch,)
    A, y, q = (torch.randn(*shape, *s, dtype=torch.float64, generator=generator) for s in ((n, d), (n,), (d,)))
    inputs = {"A": A, "y": y, "q": q}
    H = model.encode(**inputs)
    structured = model.structured
    runs: dict[str, Callable[[], object]] = {
        "direct": lambda: direct(A, y, q, STEPS, alpha),
        "model_run": lambda: model.run(inputs, check=False),
        "structured": lambda: structured.run(structured.split(H)),
    }
    if not heavy:
        runs["direct_as_written"] = lambda: direct_as_written(A, y, q, STEPS, alpha)
        runs["structured_joined"] = lambda: structured(H)
    with torch.no_grad():
        case |= _compare(runs, once=heavy)
        case |= _measure_dense(model, H, batch, threads)
    return case


def _measure_dense(model: Compiled, H: Tensor, batch: int, threads: int) -> dict[str, Any]:
    D, N = model.d_model, model.n_tokens
    stored = 8 * model.n_unique_parameters
    work = batch * sum(model.heads_per_layer) * D * D * N * 5
    if stored > WEIGHTS_LIMIT or 6 * 8 * H.numel() > STREAM_LIMIT:
        return {"dense_skipped": f"weights {stored / 2**30:.1f} GiB, a run about {6 * 8 * H.numel() / 2**30:.1f} GiB"}
    if work > _HEAVY and threads > 1:
        return {"dense_skipped": "a run takes seconds; measured with one thread only"}
    module = model.torch_module().requires_grad_(False)
    weights = [[(h.W_V, h.W_K, h.W_Q) for h in module.layers[i].heads] for i in module.order]  # type: ignore[union-attr]
    return _compare({"dense": lambda: module(H), "hand_loop": lambda: hand_loop(weights, H)}, once=work > _HEAVY)


def _compare(runs: dict[str, Callable[[], object]], budget: float = 0.6, once: bool = False) -> dict[str, float]:
    """Median seconds of each: rounds of all of them in turn, so that a slow moment of the machine hits all alike.

    once: a single run of each without warm-up, for runs of seconds.
    """
    slowest = 0.0
    if once:
        return {name: _seconds(run) for name, run in runs.items()}
    for _ in range(2):  # warm-up
        for run in runs.values():
            slowest = max(slowest, _seconds(run))
    rounds = min(200, max(3, int(budget / (slowest * len(runs)))))
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            times[name].append(_seconds(run))
    return {name: statistics.median(found) for name, found in times.items()}


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


# -- compile and verify --------------------------------------------------------------------------------------------


def _measure_compile(d: int, n: int, steps: int = 20) -> dict[str, Any]:
    """Seconds to compile and to verify, and the peak memory of a fresh process that compiles (it includes torch)."""
    construction = constructions.get("least_squares")
    sizes: dict[str, Any] = {"d": d, "n": n, "steps": steps, "alpha": 1.0 / (2 * n * d)}
    started = time.perf_counter()
    model = construction.compile(**sizes)
    compile_seconds = time.perf_counter() - started
    started = time.perf_counter()
    proved = verify(model).all_proved
    verify_seconds = time.perf_counter() - started
    return {
        "d": d,
        "n": n,
        "steps": steps,
        "compile_seconds": compile_seconds,
        "verify_seconds": verify_seconds,
        "all_proved": proved,
        "fresh_process": _fresh_process(sizes),
    }


def _fresh_process(sizes: dict[str, Any]) -> dict[str, float] | None:
    """Compile time and peak memory in a process of its own; None where the system does not count memory."""
    if sys.platform == "win32":
        return None
    package = __name__.partition(".")[0]
    script = (
        "import json, pathlib, resource, sys, time\n"
        f"import {package} as hw\n"
        "def peak():\n"  # on Linux ru_maxrss starts at the parent's peak (it outlives exec); VmHWM is this program's own
        "    status = pathlib.Path('/proc/self/status')\n"
        "    lines = status.read_text().splitlines() if status.exists() else []\n"
        "    own = [int(line.split()[1]) for line in lines if line.startswith('VmHWM')]\n"
        "    return own[0] if own else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "started = time.perf_counter()\n"
        "hw.constructions.get('least_squares').compile(**json.loads(sys.argv[1]))\n"
        "seconds = time.perf_counter() - started\n"
        "print(json.dumps([seconds, before, peak()]))\n"
    )
    root = str(Path(sys.modules[package].__file__ or "").parent.parent)
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    command, environment = [sys.executable, "-c", script, json.dumps(sizes)], {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    seconds, before, peak = json.loads(done.stdout)
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, the others KiB
    return {"compile_seconds": seconds, "imported_mib": before * unit / 2**20, "peak_mib": peak * unit / 2**20}


# -- the report ----------------------------------------------------------------------------------------------------


def to_markdown(report: dict[str, Any]) -> str:
    """The figures as a page with tables."""
    m = report["machine"]
    lines = [
        "# Benchmark: compiled models against hand-written torch",
        "",
        f"{m['processor']}, {m['cores']} cores, {m['system']}; Python {m['python']}, torch {m['torch']} "
        f"(default: {m['default_threads']} threads), {m['dtype']}. Made by `headwright bench`; medians of repeated runs after "
        "warm-up (one run where it takes seconds), in one process.",
        "",
        *_busy(m),
        f"Program: `least_squares` with X_0 = αI, T = {report['steps']} steps, n = 4d.",
        "",
        "- **direct**: the same algorithm in torch, the last product as q (X (Aᵀ y)); **as written**: as q X Aᵀ y.",
        "- **run**: `model.run(inputs, check=False)`, from inputs to outputs; **blocks**: the bare structured layers on H_0;",
        "  **blocks + join**: the same and H_L put together, (D, N).",
        "- **dense**: `model.torch_module()` on H_0; **hand loop**: eq. (3.1a) with dense weights in six lines of torch.",
        "- Ratios are time / time of the hand-written counterpart: below 1 is faster than it.",
        "",
        "| threads | d | batch | layers | rows | direct, ms | run | blocks | blocks + join | hand loop, ms | dense |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    notes = []
    for row in report["runs"]:
        head = f"| {row['threads']} | {row['d']} | {row['batch']} | {row['layers']} | {row['rows']} "
        where = f"d = {row['d']}, batch {row['batch']}, {row['threads']} threads"
        if "skipped" in row:
            lines.append(head + "| skipped | | | | | |")
            notes.append(f"{where}: skipped ({row['skipped']}).")
            continue
        names = ("model_run", "structured", "structured_joined")
        ratios = " | ".join(f"{row[name] / row['direct']:.2f}" if name in row else "" for name in names)
        text = head + f"| {row['direct'] * 1e3:.3g} | {ratios} "
        if "dense" in row:
            text += f"| {row['hand_loop'] * 1e3:.3g} | {row['dense'] / row['hand_loop']:.2f} |"
        else:
            text += "| skipped | |"
            notes.append(f"{where}: dense skipped ({row['dense_skipped']}).")
        lines.append(text)
    lines += ["", *(f"- {note}" for note in dict.fromkeys(notes)), ""]
    lines += ["## Compiling and proving", ""]
    lines += [f"`least_squares` (X_0 = αS, the paper's start), T = {report['compile'][0]['steps']}.", ""]
    lines += ["| d | n | compile, s | verify, s | proved | fresh process: compile, s | peak, MiB | after import, MiB |"]
    lines += ["|--:|--:|--:|--:|---|--:|--:|--:|"]
    for c in report["compile"]:
        fresh = c["fresh_process"]
        row = f"| {c['d']} | {c['n']} | {c['compile_seconds']:.2f} | {c['verify_seconds']:.2f} "
        row += f"| {'yes' if c['all_proved'] else 'NO'} "
        row += (
            "| | | |"
            if fresh is None
            else "| "
            + " | ".join((f"{fresh['compile_seconds']:.2f}", f"{fresh['peak_mib']:.0f}", f"{fresh['imported_mib']:.0f}"))
            + " |"
        )
        lines.append(row)
    return "\n".join(lines) + "\n"


def _busy(machine: dict[str, Any]) -> list[str]:
    load = machine.get("busy_cores_at_start")
    if load is None or load < 0.25 * machine["cores"]:
        return []
    return [
        f"**The machine was not idle** (load {load} on {machine['cores']} cores at the start): single ratios may be far off.",
        "",
    ]


def write(report: dict[str, Any], target: Path) -> list[str]:
    """Writes FILE.md and FILE.json, each complete or not at all; returns their names."""
    page, data = target.with_suffix(".md"), target.with_suffix(".json")
    write_file(page, lambda file: file.write(to_markdown(report).encode()))
    write_file(data, lambda file: file.write((json.dumps(report, indent=1, ensure_ascii=False) + "\n").encode()))
    return [str(page), str(data)]
