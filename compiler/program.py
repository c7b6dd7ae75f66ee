"""The front door of the language: `@program`, input types, and the functions a program may call.

A program is traced with `Program.trace` (giving a `Graph`) and has a numpy meaning, `Program.reference`, that
runs the user's own Python on numpy arrays and never touches the compiler.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from .binding import as_numeric, bind_sizes, definition_of
from .dims import Dim, describe_shape, stacked
from .errors import CompileError, InputError, ProgramError, ShapeError, TraceError, location_of, user_frame
from .expr import Expr, lift
from .graph import Graph, OutputSpec
from .tracer import Tracer


@dataclass(frozen=True)
class InputType:
    """The annotation of a run-time input; written `Matrix["n", "d"]`, `Vector["n"]` or `Scalar`."""

    dims: tuple[Dim, ...]


_LIKE = {"Matrix": 'write hw.Matrix["n", "d"]', "Vector": 'write hw.Vector["n"]'}


def _input_type(kind: str, count: int, dims: Any) -> InputType:
    dims = dims if isinstance(dims, tuple) else (dims,)
    for dim in dims:
        if not (isinstance(dim, str) and dim.isidentifier()) and not (isinstance(dim, int) and dim >= 1):
            raise ProgramError(
                f"{dim!r} is not a dimension",
                where=location_of(user_frame()),
                rule="a dimension is a name such as 'd' or an integer of at least 1",
                fix=_LIKE[kind],
            )
    if len(dims) != count:
        what = f"{kind} takes {count} dimension{'s' * (count > 1)}, got {len(dims)}"
        raise ProgramError(what, where=location_of(user_frame()), fix=_LIKE[kind])
    return InputType(dims)


class Matrix:
    """`Matrix["n", "d"]`: a run-time input with n rows and d columns."""

    def __class_getitem__(cls, dims: Any) -> InputType:
        return _input_type("Matrix", 2, dims)


class Vector:
    """`Vector["n"]`: a run-time input with n entries (one-dimensional, as in numpy)."""

    def __class_getitem__(cls, dims: Any) -> InputType:
        return _input_type("Vector", 1, dims)


class Scalar:
    """A run-time input with no dimensions."""


@dataclass(frozen=True)
class _Numeric:
    """The context of a reference run: sizes, and the dtype of eye, zeros and ones."""

    sizes: Mapping[str, int]
    dtype: np.dtype


_CONTEXT: ContextVar[Tracer | _Numeric | None] = ContextVar("headwright_context", default=None)


@contextmanager
def _entered(context: Tracer | _Numeric) -> Iterator[None]:
    token = _CONTEXT.set(context)
    try:
        yield
    finally:
        _CONTEXT.reset(token)


def _context(function: str) -> Tracer | _Numeric:
    context = _CONTEXT.get()
    if context is None:
        raise TraceError(
            f"hw.{function} is used outside a program",
            where=location_of(user_frame()),
            rule="dimensions have sizes only while a program runs",
            fix="call it inside a function decorated with @hw.program, run by hw.compile or .reference",
        )
    return context


def dim(name: Dim) -> int:
    """The size of a named dimension, as a Python integer. Raises ProgramError for an unknown name."""
    context = _context("dim")
    if isinstance(name, int) and not isinstance(name, bool) and name >= 1:
        return name
    if name not in context.sizes:
        raise ProgramError(
            f"unknown dimension {name!r}: the sizes are known of {', '.join(map(repr, context.sizes)) or 'none'}",
            where=location_of(user_frame()),
            fix=f"use a dimension of the signature, or pass dims={{{name!r}: …}}",
        )
    if isinstance(context, Tracer):
        context.asked.add(str(name))
    return context.sizes[str(name)]


def _filled(function: str, op: str, dims: tuple[Dim, ...]) -> Any:
    context = _context(function)
    if not 1 <= len(dims) <= 2:
        raise ProgramError(
            f"hw.{function} takes one or two dimensions, got {len(dims)}",
            where=location_of(user_frame()),
            fix=f'write hw.{function}("n") or hw.{function}("n", "d")',
        )
    sizes = [dim(d) for d in dims]
    if isinstance(context, _Numeric):
        return (np.zeros if op == "zeros" else np.ones)(sizes, dtype=context.dtype)
    if op == "zeros":
        return Expr(context, context.zeros((dims[0], dims[1] if len(dims) == 2 else 1)), len(dims))
    column = context.node("ones", (), None, (dims[0], 1))
    if len(dims) == 1:
        return Expr(context, column, 1)
    row = context.transpose(context.node("ones", (), None, (dims[1], 1)))
    return Expr(context, context.matmul(column, row), 2)


def eye(name: Dim) -> Any:
    """The identity matrix of a dimension, for example `hw.eye("d")`."""
    context, size = _context("eye"), dim(name)
    if isinstance(context, _Numeric):
        return np.eye(size, dtype=int).astype(context.dtype)
    return Expr(context, context.node("eye", (), None, (name, name)), 2)


def zeros(*dims: Dim) -> Any:
    """A vector (one dimension) or matrix (two) of zeros."""
    return _filled("zeros", "zeros", dims)


def ones(*dims: Dim) -> Any:
    """A vector (one dimension) or matrix (two) of ones."""
    return _filled("ones", "ones", dims)


def outer(u: Any, v: Any) -> Any:
    """The outer product u vᵀ of two vectors: shape (len u, len v)."""
    if not isinstance(u, Expr) and not isinstance(v, Expr):
        return np.outer(u, v)
    tracer = u.tracer if isinstance(u, Expr) else v.tracer
    tracer.note_names()
    left, right = lift(tracer, u, "outer"), lift(tracer, v, "outer")
    if left.ndim != 1 or right.ndim != 1:
        raise ShapeError(
            f"hw.outer takes two vectors, got {describe_shape(left.dims)} and {describe_shape(right.dims)}",
            where=location_of(user_frame()),
            fix="use @ for matrices",
        )
    return Expr(tracer, tracer.matmul(left.number, tracer.transpose(right.number)), 2)


def vstack(a: Any, b: Any) -> Any:
    """Two inputs (or an input and zeros) with the same columns, one above the other: shape (n + m, d) or (n + m,); a
    vector below a matrix is one more row.

    In the stream they share rows, b on the tokens behind a: examples and queries. `Z[:n]` (with n = hw.dim("n")) reads
    the part of the examples; `Z[n:]` may be returned. Raises ShapeError or TraceError for anything but inputs.
    """
    if not isinstance(a, Expr) or not isinstance(b, Expr):
        if isinstance(a, Expr) or isinstance(b, Expr):
            raise TraceError(
                f"hw.vstack takes two inputs, got {' and '.join(type(x).__name__ for x in (a, b) if not isinstance(x, Expr))}",
                where=location_of(user_frame()),
                fix="make the array an input, or write hw.zeros",
            )
        return np.vstack([a, b]) if np.ndim(a) == 2 else np.concatenate([a, b])
    a.tracer.note_names()
    if any(x.tracer.nodes[x.number].op not in ("input", "zeros") for x in (a, b)):
        raise TraceError(
            f"hw.vstack takes inputs and zeros, got {a.tracer.name_of(a.number)} and {b.tracer.name_of(b.number)}",
            where=location_of(user_frame()),
            rule="stacking is placing, not computing: attention does not move computed values between tokens",
            fix="stack the inputs, then compute with the stack",
        )
    if a.ndim == 2 and b.ndim == 1:  # one more row
        b = Expr(b.tracer, b.tracer.transpose(b.number), 2)
    if not a.ndim or a.ndim != b.ndim or a.tracer.nodes[a.number].shape[1] != b.tracer.nodes[b.number].shape[1]:
        raise ShapeError(
            f"hw.vstack cannot stack {describe_shape(a.dims)} and {describe_shape(b.dims)}: the columns differ",
            where=location_of(user_frame()),
            fix="give both the same number of columns, by name",
        )
    shape = (stacked(a.dims[0], b.dims[0]), a.tracer.nodes[a.number].shape[1])
    return Expr(a.tracer, a.tracer.node("vstack", (a.number, b.number), None, shape), a.ndim)


def diag(v: Any) -> Any:
    """The diagonal matrix with the entries of the vector v."""
    if not isinstance(v, Expr):
        return np.diag(v)
    if v.ndim != 1:
        raise ShapeError(
            f"hw.diag takes a vector, got {v.tracer.name_of(v.number)} {describe_shape(v.dims)}",
            where=location_of(user_frame()),
            fix="hw.diag(v) @ A scales the rows of A; a diagonal is read with products, or with A * hw.eye(\"d\")",
        )
    n = v.dims[0]
    return Expr(v.tracer, v.tracer.node("diag", (v.number,), None, (n, n)), 2)


class Program:
    """A traced program: made by `@program`. Calling it inside another program runs its Python there."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        if not inspect.isfunction(fn):
            raise ProgramError(f"@hw.program got a {type(fn).__name__}: expected a function", fix="decorate a `def`")
        functools.update_wrapper(self, fn)
        self.fn = fn
        code = fn.__code__
        self.where = definition_of(code.co_filename, code.co_firstlineno)
        self.inputs, self.defaults = self._read_signature()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.fn(*args, **kwargs)

    def _read_signature(self) -> tuple[dict[str, tuple[Dim, ...]], dict[str, Any]]:
        inputs: dict[str, tuple[Dim, ...]] = {}
        constants: dict[str, Any] = {}
        try:
            parameters = inspect.signature(
                self.fn, eval_str=True, locals=dict(inspect.getclosurevars(self.fn).nonlocals)
            ).parameters
        except NameError as error:
            raise ProgramError(
                f"an annotation of {self.fn.__name__} cannot be read: {error}",
                where=self.where,
                fix='annotate inputs with hw.Matrix["n", "d"], hw.Vector["n"] or hw.Scalar',
            ) from error
        for name, parameter in parameters.items():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise ProgramError(
                    f"*{name} is not allowed in a program: expected inputs and constants by name",
                    where=self.where,
                    fix="name every input and constant",
                )
            if parameter.kind is parameter.KEYWORD_ONLY:
                constants[name] = parameter.default
                continue
            kind = parameter.annotation
            if kind is Scalar:
                kind = InputType(())
            if not isinstance(kind, InputType):
                raise ProgramError(
                    f"input {name} of {self.fn.__name__} has no usable annotation",
                    where=self.where,
                    rule="positional parameters are run-time inputs, keyword-only parameters are compile-time constants",
                    fix=f'write {name}: hw.Matrix["n", "d"], hw.Vector["n"] or hw.Scalar, or move it behind *',
                )
            inputs[name] = kind.dims
        return inputs, constants

    def check_constants(self, constants: Mapping[str, Any]) -> dict[str, Any]:
        """The constants with defaults filled in. Raises CompileError for missing or unknown names."""
        unknown = [name for name in constants if name not in self.defaults]
        missing = [n for n, default in self.defaults.items() if n not in constants and default is inspect.Parameter.empty]
        if unknown or missing:
            problems = [f"unknown constant {name}" for name in unknown] + [f"missing constant {name}" for name in missing]
            raise CompileError(
                f"{self.fn.__name__}: " + ", ".join(problems),
                where=self.where,
                rule=f"its constants are: {', '.join(self.defaults) or 'none'}; its inputs are: {', '.join(self.inputs)}",
                fix="pass exactly the keyword-only parameters of the program",
            )
        return {**{n: d for n, d in self.defaults.items() if d is not inspect.Parameter.empty}, **constants}

    def dimension_names(self) -> list[str]:
        return list(dict.fromkeys(d for dims in self.inputs.values() for d in dims if isinstance(d, str)))

    def check_sizes(self, sizes: Mapping[str, Any]) -> dict[str, int]:
        """The sizes as Python integers. Raises CompileError when one is missing or below 1."""
        checked: dict[str, int] = {}
        for name in [*self.dimension_names(), *(n for n in sizes if n not in self.dimension_names())]:
            if name not in sizes:
                raise CompileError(
                    f"{self.fn.__name__}: no size for dimension {name!r}",
                    where=self.where,
                    fix=f"pass dims={{{', '.join(f'{n!r}: …' for n in self.dimension_names())}}}",
                )
            size = sizes[name]
            if isinstance(size, (bool, np.bool_)) or not isinstance(size, (int, np.integer)) or size < 1:
                raise CompileError(
                    f"{self.fn.__name__}: dimension {name} is {size!r}: expected an integer of at least 1",
                    where=self.where,
                    fix=f"pass a positive size for {name}",
                )
            checked[name] = int(size)
        return checked

    def trace(self, sizes: Mapping[str, Any], constants: Mapping[str, Any], also: Collection[str] = ()) -> Graph:
        """Runs the program once on symbols; `also`: dimensions that something else than the program needs.

        Raises ProgramError (ShapeError, TraceError) naming the user's line, CompileError for sizes that nothing needs.
        """
        tracer = Tracer(self.fn.__name__, self.check_sizes(sizes))
        values = [Expr(tracer, tracer.input(name, dims, self.where), len(dims)) for name, dims in self.inputs.items()]
        with _entered(tracer):
            result = self.fn(*values, **self.check_constants(constants))
        single = not isinstance(result, dict)
        named = {"output": result} if single else result
        if result is None or not named:
            raise ProgramError(
                f"program {self.fn.__name__} returns nothing",
                where=self.where,
                rule="a program returns one expression, or a dict of named expressions",
                fix="end it with `return …`",
            )
        outputs = []
        for name, value in named.items():
            if not isinstance(name, str) or isinstance(value, (dict, list, tuple, str)) or value is None:
                raise ProgramError(
                    f"output {name!r} of {self.fn.__name__} is a {type(value).__name__}: expected a traced value with a name",
                    where=self.where,
                    fix='return a dict of named outputs, for example {"w": w, "prediction": p}',
                )
            expr = lift(tracer, value, "return")
            outputs.append(OutputSpec(name, expr.number, expr.dims))
        known = {*self.dimension_names(), *tracer.asked}
        if unknown := [name for name in sizes if name not in {*known, *also}]:
            raise CompileError(
                f"{self.fn.__name__}: dims has {', '.join(map(repr, unknown))}, which the program does not use",
                where=self.where,
                rule=f"its dimensions are {', '.join(sorted(known)) or 'none'}",
                fix="leave it out, or check its spelling",
            )
        return tracer.finish(outputs, single)

    def reference(self, **arguments: Any) -> Any:
        """The numpy meaning: this program's own Python, run on numpy arrays.

        Takes the inputs and constants by name. Inputs may have leading batch dimensions. Integer arrays are
        computed in float64, object arrays (ints, Fractions) exactly. Raises InputError for wrong shapes or names.
        """
        constants = self.check_constants({n: v for n, v in arguments.items() if n not in self.inputs})
        missing = [name for name in self.inputs if name not in arguments]
        if missing:
            raise InputError(
                f"{self.fn.__name__}: missing input {', '.join(missing)}", where=self.where, fix="pass every input by name"
            )
        arrays = {name: as_numeric(arguments[name]) for name in self.inputs}
        sizes = bind_sizes(self.fn.__name__, self.inputs, {name: a.shape for name, a in arrays.items()}, where=self.where)
        batch = np.broadcast_shapes(*(a.shape[: a.ndim - len(self.inputs[name])] for name, a in arrays.items()))
        full = {n: np.broadcast_to(a, batch + a.shape[a.ndim - len(self.inputs[n]) :]) for n, a in arrays.items()}
        context = _Numeric(sizes, np.result_type(*arrays.values()) if arrays else np.dtype(np.float64))
        if context.dtype != object:  # a Fraction times a float array would be an object array
            constants = {n: float(v) if isinstance(v, Fraction) else v for n, v in constants.items()}
        with _entered(context):
            runs = [self.fn(*(full[n][i] for n in self.inputs), **constants) for i in np.ndindex(*batch)]
        if isinstance(runs[0], dict):
            return {k: np.stack([np.asarray(r[k]) for r in runs]).reshape(batch + np.shape(runs[0][k])) for k in runs[0]}
        return np.stack([np.asarray(r) for r in runs]).reshape(batch + np.shape(runs[0]))[()]


def program(fn: Callable[..., Any]) -> Program:
    """Decorator: makes a Python function a headwright program.

    Positional parameters are run-time inputs, annotated `Matrix["n", "d"]`, `Vector["n"]` or `Scalar`;
    keyword-only parameters are compile-time constants. Raises ProgramError for a signature it cannot read.
    """
    return Program(fn)
