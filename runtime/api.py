"""`compile` and `verify`: the two verbs around a compiled model."""

from __future__ import annotations

from collections.abc import Mapping
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
    **constants: Any,
) -> Compiled:
    """Compiles a program to exact transformer weights.

    dims: the sizes of the named dimensions. constants: the program's keyword-only parameters.
    optimize: "balanced" (fewest layers for the values as named, then few parameters and heads), "depth" (fewest layers,
    also by looking through named values), "heads" or "width".

    Raises ProgramError (ShapeError, TraceError, ArchitectureError) for the program, CompileError for the arguments;
    both name the user's line.
    """
    return compile_within(program, dims, arch, optimize, constants, {})


def compile_within(
    program: Program,
    dims: Mapping[str, int],
    arch: Architecture,
    optimize: str,
    constants: Mapping[str, Any],
    within: Mapping[str, int],
) -> Compiled:
    """`compile`, with limits on "heads" and "rows" that come before other goals at equal depth."""
    if not isinstance(program, Program):
        raise CompileError(
            f"hw.compile got a {type(program).__name__}: expected a program",
            fix="decorate the function with @hw.program",
        )
    if not isinstance(dims, Mapping):
        raise CompileError(f"dims is a {type(dims).__name__}: expected a dict of sizes", fix='pass dims={"n": 32, "d": 8}')
    checked = program.check_constants(constants)
    graph = program.trace(dims, constants)
    return Compiled(compile_graph(graph, arch, optimize, within), program, checked)


def verify(model: Compiled) -> Certificate:
    """The certificate of a model: one verdict a claim (see `headwright.proofs_check`)."""
    return verify_artifact(model.artifact, model.bounds)
