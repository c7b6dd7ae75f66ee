"""Traced expressions: ordinary Python operators that record a typed graph.

`Expr` is what the user's variables hold while the program runs under tracing; its `Tracer` builds the graph.
"""

from __future__ import annotations

import numbers
from fractions import Fraction
from typing import Any

import numpy as np

from .approximate.scalar_function import named
from .dims import Dim, describe_shape, size_of
from .errors import ProgramError, ShapeError, TraceError, location_of, user_frame
from .pointwise import Pointwise
from .refusing import Refusing
from .tracer import Tracer, as_exact_array, as_rational

#: numpy's names of the binary operators, and Python's.
_OPERATORS = {"add": "add", "subtract": "sub", "multiply": "mul", "divide": "truediv", "matmul": "matmul"}


class Expr(Refusing):
    """A traced value with 0, 1 or 2 dimensions. Operators follow numpy; what needs a number now is an error."""

    __hash__ = object.__hash__

    def __init__(self, tracer: Tracer, number: int, ndim: int) -> None:
        self.tracer, self.number, self.ndim = tracer, number, ndim

    @property
    def dims(self) -> tuple[Dim, ...]:
        """The symbolic shape, for example ("n", "d")."""
        return self.tracer.nodes[self.number].shape[: self.ndim]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape as numbers, as numpy gives it."""
        return tuple(size_of(dim, self.tracer.sizes) for dim in self.dims)

    @property
    def T(self) -> Expr:
        return self if self.ndim < 2 else Expr(self.tracer, self.tracer.transpose(self.number), 2)

    def transpose(self) -> Expr:
        return self.T

    def __add__(self, other: Any) -> Expr:
        return _add(self, other, 1, "+")

    def __radd__(self, other: Any) -> Expr:
        return _add(self, other, 1, "+")

    def __sub__(self, other: Any) -> Expr:
        return _add(self, other, -1, "-")

    def __rsub__(self, other: Any) -> Expr:
        return _add(-self, other, 1, "-")

    def __neg__(self) -> Expr:
        return Expr(self.tracer, self.tracer.scale(Fraction(-1), self.number), self.ndim)

    def __pos__(self) -> Expr:
        return self

    def __mul__(self, other: Any) -> Expr:
        return _multiply(self, other)

    def __rmul__(self, other: Any) -> Expr:
        return _multiply(self, other)

    def __truediv__(self, other: Any) -> Expr:
        if isinstance(other, (Expr, np.ndarray)) and not (isinstance(other, np.ndarray) and other.ndim == 0):
            if isinstance(other, Expr):
                return self * pointwise(Pointwise(named("reciprocal")), other)
            raise TraceError(
                f"cannot divide {self.tracer.name_of(self.number)} by an array of shape {other.shape}",
                where=location_of(user_frame()),
                fix="multiply by its entrywise reciprocal: A * (1 / array)",
            )
        factor = as_rational(other.item() if isinstance(other, np.ndarray) else other, "the divisor")
        if factor == 0:
            raise ProgramError(
                f"division of {self.tracer.name_of(self.number)} by zero: the divisor is {other!r}",
                where=location_of(user_frame()),
                fix="check the compile-time constant that it was computed from",
            )
        return _multiply(self, 1 / factor)

    def __rtruediv__(self, other: Any) -> Expr:
        return _multiply(pointwise(Pointwise(named("reciprocal")), self), other)

    def __matmul__(self, other: Any) -> Expr:
        return _matmul(self, lift(self.tracer, other, "@"))

    def __rmatmul__(self, other: Any) -> Expr:
        return _matmul(lift(self.tracer, other, "@"), self)

    def __pow__(self, power: Any, modulo: Any = None) -> Expr:
        if not isinstance(power, int) or isinstance(power, bool) or power < 1 or modulo is not None:
            self._refuse(
                f"take the power {power!r} of",
                "entrywise powers are positive integers; others are hw.apply(lambda z: z**p, value, domain=(lo, hi)), and "
                "inverses of matrices hw.solve",
            )
        return self if power == 1 else self * self ** (power - 1)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Expr:
        """numpy arrays and scalars on the left of an operator come here; other numpy functions are refused."""
        name = _OPERATORS.get(ufunc.__name__)
        if method == "__call__" and name is not None and not kwargs and len(inputs) == 2:
            left, right = inputs
            if isinstance(left, Expr):
                return getattr(left, f"__{name}__")(right)  # type: ignore[no-any-return]
            return getattr(right, f"__r{name}__")(left)  # type: ignore[no-any-return]
        self._refuse(f"apply numpy.{ufunc.__name__} to", "use @, +, -, *, .T and hw functions instead of numpy functions")

    def __repr__(self) -> str:
        return f"<traced {self.tracer.name_of(self.number)} : {describe_shape(self.dims)}>"

    def __abs__(self) -> Expr:
        return pointwise(Pointwise(named("abs")), self)

    def __len__(self) -> int:
        if self.ndim:
            return self.shape[0]
        self._refuse("take the length of", "a scalar has no length")

    def __getitem__(self, key: Any) -> Expr:
        """Z[:n] and Z[n:] of a stacked value (see `hw.vstack`), n = hw.dim("n"); other indices are refused."""
        first = str(self.dims[0]).split("+", 1) if self.ndim else []
        if len(first) == 2 and isinstance(key, slice) and key.step is None:
            n, rest = (int(part) if part.isdigit() else part for part in first)
            at = size_of(n, self.tracer.sizes)
            whole = self.tracer.nodes[self.number].shape
            if (key.start, key.stop) in ((None, at), (0, at)):
                return Expr(self.tracer, self.tracer.node("top", (self.number,), None, (n, whole[1])), self.ndim)
            if (key.start, key.stop) in ((at, None), (at, self.shape[0])):
                return Expr(self.tracer, self.tracer.node("bottom", (self.number,), None, (rest, whole[1])), self.ndim)
        if len(first) == 2 and self.ndim == 1 and first[1] == "1" and key == self.shape[0] - 1 and key is not True:
            return Expr(self.tracer, self.tracer.node("bottom", (self.number,), None, (1, 1)), 0)
        self._refuse("index", "select with a constant matrix, for example np.eye(d)[i] @ x")


def lift(tracer: Tracer, value: Any, operator: str) -> Expr:
    """A number or array as a traced constant."""
    if isinstance(value, Expr):
        if value.tracer is not tracer:
            raise ProgramError(
                f"{value.tracer.name_of(value.number)}, a value of another program, is used here",
                where=location_of(user_frame()),
                rule="each compile traces the program anew: values do not outlive it",
                fix="pass it as an input, or call the other program inside this one",
            )
        return value
    if isinstance(value, (np.ndarray, list, tuple)):
        array = _array(value, operator)
        if array.ndim > 2 or not array.size:
            raise ShapeError(
                f"a compile-time array used with {operator} has the shape {array.shape}: expected 1 or 2 dimensions, not empty",
                where=location_of(user_frame()),
                fix="pass a vector or a matrix of numbers",
            )
        exact = as_exact_array(array, "a compile-time array")
        full = exact.reshape(array.shape[0] if array.ndim else 1, array.shape[1] if array.ndim == 2 else 1)
        return Expr(tracer, tracer.constant(full), array.ndim)
    if isinstance(value, (numbers.Number, Fraction)):
        rational = as_rational(value, f"the operand of {operator}")
        return Expr(tracer, tracer.constant(np.array([[rational]], dtype=object)), 0)
    raise TraceError(
        f"cannot use a {type(value).__name__} with {operator}: expected a traced value, a number or an array",
        where=location_of(user_frame()),
        fix="convert it to a number or a numpy array first",
    )


def _array(value: Any, operator: str) -> np.ndarray:
    try:
        return np.asarray(value)
    except ValueError as error:
        raise TraceError(
            f"a {type(value).__name__} used with {operator} is no array: {error}",
            where=location_of(user_frame()),
            rule="rows of a compile-time array have the same length and hold numbers; traced values are not stacked in lists",
            fix="pass a numpy array, or hw.vstack of two inputs",
        ) from error


def _is_constant(expr: Expr) -> bool:
    return expr.tracer.nodes[expr.number].op in ("constant", "zeros")


def _unify(tracer: Tracer, a: Expr, b: Expr, pairs: list[tuple[int, int]]) -> tuple[Expr, Expr] | None:
    """Gives compile-time arrays the dimension names of the other operand; None when the dimensions differ."""
    shape_a, shape_b = list(tracer.nodes[a.number].shape), list(tracer.nodes[b.number].shape)
    for i, j in pairs:
        x, y = shape_a[i], shape_b[j]
        if x == y:
            continue
        if isinstance(x, int) and isinstance(y, str) and _is_constant(a) and size_of(y, tracer.sizes) == x:
            shape_a = _renamed(shape_a, i, y)
        elif isinstance(y, int) and isinstance(x, str) and _is_constant(b) and size_of(x, tracer.sizes) == y:
            shape_b = _renamed(shape_b, j, x)
        else:
            return None
    return (
        Expr(tracer, tracer.retag(a.number, (shape_a[0], shape_a[1])), a.ndim),
        Expr(tracer, tracer.retag(b.number, (shape_b[0], shape_b[1])), b.ndim),
    )


def _renamed(shape: list[Dim], index: int, name: str) -> list[Dim]:
    """A compile-time array's shape with one dimension named; a square one maps that dimension to itself."""
    square = shape[0] == shape[1]
    return [name if square or i == index else dim for i, dim in enumerate(shape)]


def _add(a: Expr, other: Any, sign: int, operator: str) -> Expr:
    tracer = a.tracer
    tracer.note_names()
    b = lift(tracer, other, operator)
    if a.ndim != b.ndim and 0 in (a.ndim, b.ndim):
        a, b = (_fill(a, b), b) if a.ndim == 0 else (a, _fill(b, a))
    unified = _unify(tracer, a, b, [(0, 0), (1, 1)]) if a.ndim == b.ndim else None
    if unified is None:
        verb = "add" if operator == "+" else "subtract"
        names = (tracer.name_of(a.number), describe_shape(a.dims), tracer.name_of(b.number), describe_shape(b.dims))
        raise ShapeError(
            f"cannot {verb} {names[0]} {names[1]} and {names[2]} {names[3]}: the shapes differ",
            where=location_of(user_frame()),
            rule="operands of + and - have the same dimensions, by name; only scalars are broadcast",
            fix=_suggest_sum(a, b),
        )
    a, b = unified
    return Expr(tracer, tracer.add(a.number, tracer.scale(Fraction(sign), b.number)), a.ndim)


def _suggest_sum(a: Expr, b: Expr) -> str:
    if a.ndim == b.ndim == 2 and a.dims == b.dims[::-1]:
        return f"did you mean {b.tracer.name_of(b.number)}.T?"
    if {a.ndim, b.ndim} == {1, 2}:
        return 'broadcast explicitly with an outer product, for example hw.outer(hw.ones("n"), v)'
    return "check the dimension names in the program's signature"


def _fill(scalar: Expr, like: Expr) -> Expr:
    """A scalar broadcast to the shape of `like`, as a product with ones."""
    tracer = scalar.tracer
    rows, cols = tracer.nodes[like.number].shape
    ones = tracer.node("ones", (), None, (rows, 1))
    column = _scalar_times(tracer, scalar.number, ones)
    if like.ndim == 1:
        return Expr(tracer, column, 1)
    return Expr(tracer, tracer.matmul(column, tracer.transpose(tracer.node("ones", (), None, (cols, 1)))), 2)


def _multiply(a: Expr, other: Any) -> Expr:
    tracer = a.tracer
    tracer.note_names()
    if isinstance(other, np.ndarray) and other.ndim == 0:
        other = other.item()
    if not isinstance(other, (Expr, np.ndarray, list, tuple)):
        return Expr(tracer, tracer.scale(as_rational(other, "the factor"), a.number), a.ndim)
    b = lift(tracer, other, "*")
    if a.ndim == 0 or b.ndim == 0:
        scalar, value = (a, b) if a.ndim == 0 else (b, a)
        return Expr(tracer, _scalar_times(tracer, scalar.number, value.number), value.ndim)
    unified = _unify(tracer, a, b, [(0, 0), (1, 1)]) if a.ndim == b.ndim else None
    if unified is None:
        raise ShapeError(
            f"cannot multiply {tracer.name_of(a.number)} {describe_shape(a.dims)} by {tracer.name_of(b.number)} "
            f"{describe_shape(b.dims)} entry by entry: the shapes differ",
            where=location_of(user_frame()),
            rule="u * v is the elementwise product of equal shapes; the matrix product is u @ v",
            fix="did you mean @?",
        )
    a, b = unified
    if a.ndim == 1 and (_is_constant(a) or _is_constant(b)):
        factor, value = (a, b) if _is_constant(a) else (b, a)
        return Expr(tracer, tracer.matmul(_constant_diagonal(tracer, factor.number), value.number), 1)
    return Expr(tracer, tracer.node("hadamard", (a.number, b.number), None, tracer.nodes[a.number].shape), a.ndim)


def _constant_diagonal(tracer: Tracer, number: int) -> int:
    """diag(c) for a compile-time vector c: an elementwise product with a constant is a linear map."""
    node = tracer.nodes[number]
    if node.op == "zeros":
        return tracer.zeros((node.shape[0], node.shape[0]))
    column = node.attr.array()[:, 0]
    full = np.array([[Fraction(0)] * len(column)] * len(column), dtype=object)
    np.fill_diagonal(full, column)
    return tracer.constant(full, (node.shape[0], node.shape[0]))


def _scalar_times(tracer: Tracer, scalar: int, value: int) -> int:
    """A run-time scalar times a value: a 1 × 1 factor of a vector, a multiple of the identity for a matrix."""
    rows, cols = tracer.nodes[value].shape
    for factor, other in ((scalar, value), (value, scalar)):
        if tracer.nodes[factor].op == "constant" and tracer.nodes[factor].shape == (1, 1):
            return tracer.scale(tracer.nodes[factor].attr.entries[0], other)
    if cols == 1:
        return tracer.matmul(value, scalar)
    if rows == 1:
        return tracer.matmul(scalar, value)
    return tracer.matmul(value, tracer.spread(scalar, cols))


def _matmul(a: Expr, b: Expr) -> Expr:
    tracer = a.tracer
    tracer.note_names()
    if 0 in (a.ndim, b.ndim):
        scalar = a if a.ndim == 0 else b
        raise ShapeError(
            f"cannot use @ with the scalar {tracer.name_of(scalar.number)}",
            where=location_of(user_frame()),
            rule="@ multiplies vectors and matrices, as in numpy",
            fix="use * for scalar multiples",
        )
    unified = _unify(tracer, a, b, [(0 if a.ndim == 1 else 1, 0)])
    if unified is None:
        inner_a, inner_b = a.dims[-1], b.dims[0]
        raise ShapeError(
            f"cannot multiply {tracer.name_of(a.number)} {describe_shape(a.dims)} by {tracer.name_of(b.number)} "
            f"{describe_shape(b.dims)}: inner dimensions {inner_a} and {inner_b} differ",
            where=location_of(user_frame()),
            rule="dimensions are compared by name, so that the program holds for every size",
            fix=_suggest_product(a, b),
        )
    a, b = unified
    left = tracer.transpose(a.number) if a.ndim == 1 else a.number
    product = tracer.matmul(left, b.number)
    if a.ndim == 1 and b.ndim == 2:
        product = tracer.transpose(product)
    return Expr(tracer, product, a.ndim + b.ndim - 2)


def _suggest_product(a: Expr, b: Expr) -> str:
    name_a, name_b = a.tracer.name_of(a.number), b.tracer.name_of(b.number)
    if a.ndim == 2 and a.dims[0] == b.dims[0]:
        return f"did you mean {name_a}.T @ {name_b}?"
    if b.ndim == 2 and a.dims[-1] == b.dims[-1]:
        return f"did you mean {name_a} @ {name_b}.T?"
    return "check the dimension names in the program's signature"


def pointwise(attr: Pointwise, value: Expr) -> Expr:
    """A scalar function of every entry."""
    tracer = value.tracer
    tracer.note_names()
    return Expr(tracer, tracer.node("pointwise", (value.number,), attr, tracer.nodes[value.number].shape), value.ndim)
