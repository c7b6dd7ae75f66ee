"""The library of constructions: look up by name, compile by sizes."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..compiler.architecture import LINEAR, Architecture
from ..compiler.errors import CompileError
from ..compiler.program import Program
from ..proofs_check.newton_model import NewtonTheory
from ..runtime.api import compile_within
from ..runtime.compiled import Compiled
from .claims import PaperClaim
from .parameters import REQUIRED, Parameter


@dataclass(frozen=True)
class Variant:
    """What given options select: a program, its constants, how to optimise it, and a claim and an architecture of its own.

    `elsewhere` has programs with the same outputs for other architectures, by name, where they need another one.
    """

    program: Program
    constants: Mapping[str, Any]
    optimize: str = "balanced"
    claim: PaperClaim | None = None
    theory: NewtonTheory | None = None
    arch: Architecture | None = None
    elsewhere: Mapping[str, Program] = field(default_factory=dict)


@dataclass(frozen=True)
class Construction:
    """A named construction.

    `program` is the program for the default options; `compile(**sizes)` compiles it (or the variant that options
    ask for); `claim` is what the paper states, on `arch`, the architecture of the paper; `others` has claims for other
    architectures, by name.
    """

    name: str
    summary: str
    program: Program
    claim: PaperClaim
    parameters: tuple[Parameter, ...]
    prepare: Callable[[Mapping[str, Any]], Variant] = field(repr=False)
    needs: Callable[[Mapping[str, Any]], tuple[str, ...]] = field(default=lambda values: (), repr=False)
    arch: Architecture = LINEAR
    others: Mapping[str, PaperClaim] = field(default_factory=dict, repr=False)

    def compile(
        self,
        *,
        arch: Architecture | None = None,
        optimize: str | None = None,
        max_ffn_width: int | None = None,
        **arguments: Any,
    ) -> Compiled:
        """Compiles for the given sizes and constants (see `parameters`). Raises CompileError naming what is wrong.

        max_ffn_width: as of `hw.compile`; then the claim says nothing of layers.
        """
        values = self.check(arguments)
        variant = self.prepare(values)
        sizes = {d: values[d] for d in variant.program.dimension_names()}
        counted = self.counted(values)
        own = variant.arch or self.arch
        arch = own if arch is None else arch
        claim: PaperClaim | None = variant.claim or self.claim
        if arch != own:
            claim = None if variant.claim else self.others.get(getattr(arch, "name", ""))
        bounds = None if claim is None else claim.bounds(counted)
        limits = () if bounds is None else (("heads", bounds.heads), ("rows", bounds.rows))
        within = {n: limit for n, limit in limits if limit is not None}
        program = variant.elsewhere.get(getattr(arch, "name", ""), variant.program)
        goal = optimize or variant.optimize
        model = compile_within(program, sizes, arch, goal, variant.constants, within, max_ffn_width=max_ffn_width)
        if bounds is not None and max_ffn_width is not None:
            bounds = replace(bounds, depth=None)  # layers are added
        model.bounds, model.theory = bounds, variant.theory
        model.construction = self.name
        return model

    def counted(self, values: Mapping[str, Any]) -> dict[str, int]:
        """The integers of a claim's formulas: integer parameters, and of parameters that are sequences how many they are."""
        several = {p.name for p in self.parameters if p.kind in ("numbers", "matrices")}
        numbers = {name: value for name, value in values.items() if type(value) is int}
        return {**numbers, **{name: len(values[name]) for name in several if values[name] is not None}}

    def check(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters with defaults filled in. Raises CompileError for unknown, missing or bad ones."""
        known = {p.name: p for p in self.parameters}
        for name in arguments:
            if name not in known:
                close = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {close[0]}?" if close else f"its parameters are {', '.join(known)}"
                raise CompileError(f"{self.name}: unknown parameter {name}", fix=hint)
        given = {p.name: arguments.get(p.name, p.default) for p in self.parameters}
        missing = [p for p in self.parameters if given[p.name] is REQUIRED]
        missing += [known[name] for name in self.needs(given) if given[name] is None]
        if missing:
            text = ", ".join(f"{p.name} ({p.meaning})" for p in missing)
            raise CompileError(f"{self.name}: missing {text}", fix="pass it by name")
        return {p.name: p.check(self.name, given[p.name]) for p in self.parameters}


def _library() -> dict[str, Construction]:
    from . import first_order, fu, gradient_descent, least_squares, logistic, logistic_descent, minimal, newton, polar

    found = [
        *newton.CONSTRUCTIONS,
        *least_squares.CONSTRUCTIONS,
        *minimal.CONSTRUCTIONS,
        *first_order.CONSTRUCTIONS,
        *gradient_descent.CONSTRUCTIONS,
        *fu.CONSTRUCTIONS,
        *polar.CONSTRUCTIONS,
        *logistic.CONSTRUCTIONS,
        *logistic_descent.CONSTRUCTIONS,
    ]
    return {construction.name: construction for construction in found}


def names() -> list[str]:
    """The names of all constructions, sorted."""
    return sorted(_library())


def get(name: str) -> Construction:
    """The construction of that name. Raises CompileError with the nearest names when there is none."""
    library = _library()
    if name not in library:
        close = difflib.get_close_matches(name, library, 3)
        hint = f"did you mean {' or '.join(close)}?" if close else f"the names are {', '.join(sorted(library))}"
        raise CompileError(f"no construction is named {name!r}", fix=hint)
    return library[name]
