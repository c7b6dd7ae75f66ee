"""`compile` and `verify`: the two verbs around a compiled model."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from ..compiler.architecture import LINEAR, Architecture
from ..compiler.errors import CompileError
from ..compiler.pipeline import compile_graph
from ..compiler.program import Program
from ..proofs_check.certificate import Certificate
from ..proofs_check.verify import verify_artifact
from .compiled import Compiled


def compile(
    program: Program,
    *,
    dims: Mapping[str, int],
    arch: Architecture = LINEAR,
    optimize: str = "balanced",
    time_limit: float | None = None,
    tol: float | None = None,
    max_ffn_width: int | None = None,
    **constants: Any,
) -> Compiled:
    """Compiles a program to exact transformer weights.

    dims: the sizes of the named dimensions. constants: the program's keyword-only parameters.
    optimize: "balanced" (fewest layers for the values as named, then few parameters and heads), "depth" (fewest layers,
    also by looking through named values), "heads" or "width" (fewest rows). "depth" and "width" prove how few rows these
    products can have, with HiGHS (the extra `headwright[search]`); without it the greedy plan stays.

    time_limit: seconds after which no further plan is tried (the first is always finished); `model.artifact.search` says
    whether all were. Without a limit, the same input gives the same weights.

    tol: every entry of every output is proved within tol of the program's, where that has functions that ReLU units
    approximate; knots go where they matter. By default every function is within 1e-4. A program with a constant `tol` of its
    own gets this value as that constant instead.

    max_ffn_width: the most feed-forward units (d_ff) in a layer. The units of a wider layer are spread over layers without
    heads that follow it; nothing else changes. By default there is no limit. A constant of that name gets the value instead.

    Raises ProgramError (ShapeError, TraceError, ArchitectureError) for the program, CompileError for the arguments;
    both name the user's line.
    """
    if isinstance(program, Program) and "tol" in program.defaults:
        constants, tol = constants if tol is None else {**constants, "tol": tol}, None
    if isinstance(program, Program) and max_ffn_width is not None and "max_ffn_width" in program.defaults:
        constants, max_ffn_width = {**constants, "max_ffn_width": max_ffn_width}, None
    return compile_within(program, dims, arch, optimize, constants, {}, time_limit, tol, max_ffn_width)


def compile_within(
    program: Program,
    dims: Mapping[str, int],
    arch: Architecture,
    optimize: str,
    constants: Mapping[str, Any],
    within: Mapping[str, int],
    time_limit: float | None = None,
    tol: float | None = None,
    max_ffn_width: int | None = None,
) -> Compiled:
    """`compile`, with limits on "heads" and "rows" that come before other goals at equal depth."""
    if not isinstance(program, Program):
        raise CompileError(
            f"hw.compile got a {type(program).__name__}: expected a program",
            fix="decorate the function with @hw.program",
        )
    if not isinstance(dims, Mapping):
        raise CompileError(f"dims is a {type(dims).__name__}: expected a dict of sizes", fix='pass dims={"n": 32, "d": 8}')
    number = isinstance(time_limit, (int, float)) and not isinstance(time_limit, bool)
    if time_limit is not None and not (number and time_limit >= 0):
        raise CompileError(
            f"time_limit is {time_limit!r}: expected seconds, at least 0", fix="pass time_limit=30, or leave it out"
        )
    checked = program.check_constants(constants)
    of_arch = (str(arch.scale).removeprefix("1/"), str(arch.key_mask)) if isinstance(arch, Architecture) else ()
    graph = program.trace(dims, constants, of_arch)
    number = isinstance(tol, (int, float, Fraction)) and not isinstance(tol, bool)
    if tol is not None and not (number and 0 < tol < float("inf")):
        what = f"{graph.name}: tol is {tol!r}: expected a finite number above 0"
        raise CompileError(what, where=program.where, fix="pass tol=1e-4, or leave it out")
    if max_ffn_width is not None and not (type(max_ffn_width) is int and max_ffn_width > 0):
        what = f"{graph.name}: max_ffn_width is {max_ffn_width!r}: expected a whole number above 0"
        raise CompileError(what, where=program.where, fix="pass max_ffn_width=256, or leave it out")
    within_tol = None if tol is None else Fraction(tol)
    return Compiled(compile_graph(graph, arch, optimize, within, time_limit, within_tol, max_ffn_width), program, checked)


def verify(model: Compiled) -> Certificate:
    """The certificate of a model: one verdict a claim (see `headwright.proofs_check`)."""
    return verify_artifact(model.artifact, model.bounds, model.theory)
