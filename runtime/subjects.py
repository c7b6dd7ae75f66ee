"""What a command line names: a construction, a program in a user's file, or a model folder; and its `--set` values."""

from __future__ import annotations

import importlib.util
import itertools
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from .. import constructions
from ..compiler.architecture import Architecture
from ..compiler.errors import CompileError, HeadwrightError, InputError, Location, ProgramError
from ..compiler.program import Program
from ..constructions.parameters import REQUIRED, Parameter
from . import checkpoint
from .api import compile as compile_program
from .compiled import Compiled

T = TypeVar("T")
_USERS_PROGRAM = re.compile(r"(?P<file>.+\.py)(:(?P<name>\w+))?")


def parse_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """`["d=8", "alpha=1/10", "spectrum=0.1,2", "B=@b.npy"]` as values: ints, floats, fractions, true and false, tuples of
    these, arrays, else text.

    Raises CompileError for a pair that cannot be read or a name given twice.
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.isidentifier() or not text:
            raise CompileError(f"--set got {pair!r}: expected name=value", fix="write for example --set d=8 n=32 alpha=1/10")
        if name in values:
            raise CompileError(f"--set gives {name} twice", fix=f"keep one {name}=…")
        values[name] = parse_value(text)
    return values


def parse_value(text: str) -> Any:
    """One value of `--set`."""
    if text.startswith("@"):
        return _array(text[1:])
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    if re.fullmatch(r"[+-]?\d+/\d+", text):
        top, bottom = text.split("/")
        if int(bottom) == 0:
            raise CompileError(f"--set got {text!r}: the denominator is 0", fix="give a fraction p/q with q ≥ 1")
        return Fraction(int(top), int(bottom))
    if "," in text:
        return tuple(parse_value(part) for part in text.split(","))
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        return text


def _array(file: str) -> np.ndarray:
    try:
        loaded = np.load(file, allow_pickle=False)
    except FileNotFoundError as error:
        raise InputError(f"{file} does not exist", fix="save the array with numpy.save") from error
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{file} is not a .npy file of numbers: {error}", fix="save the array with numpy.save") from error
    if not isinstance(loaded, np.ndarray):
        loaded.close()
        raise InputError(f"{file} holds several arrays: expected one", fix="save the array with numpy.save")
    return loaded


def compile_subject(
    name: str,
    settings: Mapping[str, Any],
    optimize: str | None,
    arch: Architecture | None = None,
    max_ffn_width: int | None = None,
) -> Compiled:
    """Compiles a construction, or `file.py:program`. Raises CompileError with the nearest names for an unknown one."""
    match = _USERS_PROGRAM.fullmatch(name)
    chosen: dict[str, Any] = {} if arch is None else {"arch": arch}
    if max_ffn_width is not None:
        chosen["max_ffn_width"] = max_ffn_width
    if match is None:
        if optimize is not None:
            chosen["optimize"] = optimize
        return constructions.get(name).compile(**chosen, **_without_clash(name, settings))
    program = load_program(Path(match["file"]), match["name"])
    dims = {n: settings[n] for n in program.dimension_names() if n in settings}
    constants = {n: value for n, value in settings.items() if n not in dims}
    checked, goal = _without_clash(name, constants), optimize or "balanced"
    return _in_users_code(Path(match["file"]), lambda: compile_program(program, dims=dims, optimize=goal, **chosen, **checked))


def _without_clash(name: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    for reserved in ("optimize", "arch", "max_ffn_width", "dims", "program"):
        if reserved in settings:
            option = f"use --{reserved.replace('_', '-')}, or " if reserved not in ("dims", "program") else ""
            raise CompileError(f"{name}: --set cannot give {reserved}", fix=f"{option}rename the program's constant")
    return settings


def load_program(file: Path, name: str | None) -> Program:
    """The program of that name in a Python file, which is executed; without a name, the only program in it."""
    if not file.is_file():
        raise CompileError(f"{file} does not exist", fix="write path/to/file.py:program_name")
    spec = importlib.util.spec_from_file_location(f"headwright_user_{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module, loader = importlib.util.module_from_spec(spec), spec.loader
    sys.modules[module.__name__] = module
    sys.path.insert(0, str(file.resolve().parent))  # as `python file.py` does: its own imports work
    try:
        _in_users_code(file, lambda: loader.exec_module(module))
    finally:
        sys.path.remove(str(file.resolve().parent))
    found = {n: value for n, value in vars(module).items() if isinstance(value, Program)}
    own = {n: value for n, value in found.items() if value.fn.__module__ == module.__name__}
    if name is None and len(own) == 1:
        return next(iter(own.values()))
    if name is None or name not in found:
        what = f"has no program named {name}" if name else f"has {len(own)} programs: name one"
        fix = f"write {file}:{next(iter(own))}" if own else "decorate a function with @hw.program"
        raise CompileError(f"{file} {what}; its programs are: {', '.join(own) or 'none'}", fix=fix)
    return found[name]


def _in_users_code(file: Path, run: Callable[[], T]) -> T:
    """Runs the user's Python; an exception that is not ours becomes a ProgramError with their line."""
    try:
        return run()
    except HeadwrightError:
        raise
    except SyntaxError as error:
        where = Location(str(error.filename or file), error.lineno or 0, (error.text or "").strip())
        raise ProgramError(f"{file} is not valid Python: {error.msg}", where=where, fix="mend that line") from error
    except Exception as error:
        lines = [f for f in traceback.extract_tb(error.__traceback__) if os.path.abspath(f.filename) == os.path.abspath(file)]
        if not lines:
            raise
        where = Location(lines[-1].filename, lines[-1].lineno or 0, (lines[-1].line or "").strip())
        what = f"{file} raised {type(error).__name__}: {error}"
        raise ProgramError(what, where=where, fix="mend that line: the file is run, and its programs traced") from error


def open_subject(
    name: str, settings: Mapping[str, Any], note: Callable[[str], None], arch: Architecture | None = None
) -> tuple[str, Compiled]:
    """The model that `verify` and `explain` are about, and its title. A construction gets small sizes where none are set."""
    known = name in constructions.names()
    if known and Path(name).is_dir():
        note(f"{name} is the construction; for the folder write {os.path.join('.', name)}")
    a_path = (Path(name).exists() or os.sep in name) and not _USERS_PROGRAM.fullmatch(name)
    if a_path and not known:
        if arch is not None:
            raise CompileError("--arch is for constructions and programs: a model folder has its own", fix="leave --arch out")
        if settings:
            raise CompileError("--set is for constructions and programs: a model folder has its sizes", fix="leave --set out")
        return name, checkpoint.load(name)
    if not known:
        return name, compile_subject(name, settings, None, arch)
    values = default_settings(constructions.get(name).parameters, settings)
    chosen = {n: v for n, v in values.items() if n not in settings and v is not None}
    needed = [n for n in constructions.get(name).needs(values) if values[n] is None]
    for parameter in constructions.get(name).parameters:
        if parameter.name in needed:
            values[parameter.name] = chosen[parameter.name] = _small(parameter, 0)
    if chosen:
        note("sizes chosen: " + describe_settings(chosen) + "  (give others with --set)")
    return describe(name, values), compile_subject(name, values, None, arch)


def describe(name: str, values: Mapping[str, Any]) -> str:
    return f"{name} ({describe_settings({n: v for n, v in values.items() if v is not None})})"


def describe_settings(values: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={_as_text(value)}" for name, value in values.items())


def _as_text(value: Any) -> str:
    """A value as `--set` takes it."""
    if isinstance(value, tuple):
        return ",".join(map(_as_text, value))
    return "@array" if isinstance(value, np.ndarray) else str(value)


def default_settings(parameters: Sequence[Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """Small values for the parameters that are not given: sizes 4, 5, 6 (all distinct), 3 steps, small fractions."""
    values = {}
    for number, parameter in enumerate(parameters):
        default = _small(parameter, number) if parameter.default is REQUIRED else parameter.default
        values[parameter.name] = given.get(parameter.name, default)
    return {**values, **given}


def _small(parameter: Parameter, number: int) -> Any:
    if parameter.kind == "size" and parameter.low is None:
        return 6 - number if number < 3 else 4 + number
    if parameter.kind in ("size", "count"):
        low = parameter.low if parameter.low is not None else 2
        return low + 1 if parameter.high is None else min(low + 1, parameter.high)
    if parameter.kind == "choice":
        return parameter.choices[0]
    if parameter.kind in ("numbers", "matrices"):
        first = Fraction(1, 4) if parameter.name == "b" else Fraction(-1, 2)
        return (first, first / 2)
    if parameter.kind == "covariance":
        return 2
    if parameter.name == "mu":  # a ridge as large as the data keeps models of iterations small
        return Fraction(1)
    return (Fraction(1, 16), Fraction(1)) if parameter.kind == "interval" else Fraction(1, 16)


def all_subjects() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every construction with every value of its choices, and with and without its optional sizes."""
    for name in constructions.names():
        construction = constructions.get(name)
        options = []
        for number, parameter in enumerate(construction.parameters):
            if parameter.kind == "choice":
                options.append([(parameter.name, choice) for choice in parameter.choices])
            elif parameter.default is None and parameter.kind == "size":
                options.append([(parameter.name, None), (parameter.name, _small(parameter, number))])
        for combination in itertools.product(*options):
            values = default_settings(construction.parameters, dict(combination))
            if values.get("form") == "vector":  # at the mu of `_small`, constant step sizes are not certified nearer
                values |= {"tol": Fraction(1, 10), "steps": 2}
            for parameter in construction.parameters:
                if parameter.name in construction.needs(values) and values[parameter.name] is None:
                    values[parameter.name] = _small(parameter, 0)
            yield name, values
