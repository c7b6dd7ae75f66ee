"""One record per operation: shape rule, meaning, how it enters the algebra, and what it needs of an architecture.

Meaning is given once and evaluated in several arithmetics (floats, rationals, integers modulo a prime): see
`Arithmetic`. A test proves the table complete.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from operator import mul
from typing import Any

import numpy as np

from .dims import Shape, size_of


@dataclass(frozen=True)
class Constant:
    """A compile-time array: its exact entries, hashed by value. Entries are ints or Fractions."""

    shape: tuple[int, int]
    entries: tuple[Fraction, ...]

    @staticmethod
    def of(array: np.ndarray) -> Constant:
        return Constant((array.shape[0], array.shape[1]), tuple(array.ravel().tolist()))

    @property
    def symmetric(self) -> bool:
        array = self.array()
        return self.shape[0] == self.shape[1] and bool((array == array.T).all())

    @property
    def rows(self) -> tuple[tuple[Fraction, ...], ...]:
        """The entries as Fractions, row by row."""
        return tuple(tuple(map(Fraction, row)) for row in self.array().tolist())

    def array(self) -> np.ndarray:
        out = np.empty(self.shape, dtype=object)
        out[...] = np.array(self.entries, dtype=object).reshape(self.shape)
        return out


@dataclass(frozen=True)
class Arithmetic:
    """A number system for numpy arrays: its dtype, how exact arrays enter it (`array`), products with a rational
    (`scale`), matrix products, max(0, ·) (`relu`), the normal form of a sum (`reduce`), entrywise products (`times`)."""

    name: str
    dtype: type
    array: Callable[[np.ndarray], np.ndarray]
    scale: Callable[[np.ndarray, Fraction], np.ndarray]
    matmul: Callable[[np.ndarray, np.ndarray], np.ndarray]
    relu: Callable[[np.ndarray], np.ndarray]
    reduce: Callable[[np.ndarray], np.ndarray] = lambda value: value
    times: Callable[[np.ndarray, np.ndarray], np.ndarray] = mul

    def ones(self, shape: tuple[int, ...]) -> np.ndarray:
        return self.array(np.ones(shape, dtype=int).astype(object))


def _to_float(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64)


def _relu(array: np.ndarray) -> np.ndarray:
    out: np.ndarray = np.maximum(array, 0)
    return out


FLOAT64 = Arithmetic("float64", np.float64, _to_float, lambda a, c: a * float(c), lambda a, b: a @ b, _relu)
EXACT = Arithmetic("rational", object, lambda a: a, lambda a, c: a * c, lambda a, b: a.dot(b), _relu)

Evaluate = Callable[[Sequence[Any], Any, Mapping[str, int], Arithmetic], Any]


@dataclass(frozen=True)
class Op:
    """All that is known about one operation.

    role: "leaf" (no arguments), "linear" (stays inside linear forms), "product" (needs a head),
          "positionwise" (needs the feed-forward part), "units" (a sum of ReLU units: what `lower` makes of positionwise
          operations), "tokens" (where things are placed and read: no computation).
    """

    name: str
    role: str
    shape: Callable[[Sequence[Shape], Any], Shape]
    evaluate: Evaluate
    show: Callable[[Sequence[str], Any], str]


def _declared(_: Sequence[Shape], node: Any) -> Shape:
    shape: Shape = node.shape
    return shape


def _same(shapes: Sequence[Shape], _: Any) -> Shape:
    return shapes[0]


def _transposed(shapes: Sequence[Shape], _: Any) -> Shape:
    return shapes[0][1], shapes[0][0]


def _product(shapes: Sequence[Shape], _: Any) -> Shape:
    return shapes[0][0], shapes[1][1]


def _diagonal(shapes: Sequence[Shape], _: Any) -> Shape:
    return shapes[0][0], shapes[0][0]


def _filled(value: int) -> Evaluate:
    def evaluate(_: Sequence[Any], node: Any, sizes: Mapping[str, int], arithmetic: Arithmetic) -> Any:
        rows, cols = (size_of(dim, sizes) for dim in node.shape)
        return arithmetic.array(np.full((rows, cols), value, dtype=object))

    return evaluate


def _identity(_: Sequence[Any], node: Any, sizes: Mapping[str, int], arithmetic: Arithmetic) -> Any:
    return arithmetic.array(np.eye(size_of(node.shape[0], sizes), dtype=int).astype(object))


def _scale(args: Sequence[Any], node: Any, _: Mapping[str, int], arithmetic: Arithmetic) -> Any:
    return arithmetic.scale(args[0], node.attr)


def _times(args: Sequence[Any], _: Any, __: Mapping[str, int], arithmetic: Arithmetic) -> Any:
    return arithmetic.times(args[0], args[1])


def _spread(args: Sequence[Any], node: Any, sizes: Mapping[str, int], arithmetic: Arithmetic) -> Any:
    out: np.ndarray = np.zeros((size_of(node.shape[0], sizes),) * 2, dtype=arithmetic.dtype)
    np.fill_diagonal(out, args[0][0, 0])
    return out


def _units(args: Sequence[Any], node: Any, sizes: Mapping[str, int], arithmetic: Arithmetic) -> Any:
    shape = tuple(size_of(dim, sizes) for dim in node.shape)
    return np.broadcast_to(node.attr.evaluate(args, arithmetic), shape)


def _show_units(args: Sequence[str], node: Any) -> str:
    name: str = node.attr.name  # a formula says already what it is of
    return f"{name}({', '.join(args)})" if name.isidentifier() else name


def _diag(args: Sequence[Any], *_: Any) -> Any:
    return np.diag(args[0][:, 0])


def _pointwise(args: Sequence[Any], node: Any, *_: Any) -> Any:
    return node.attr.numpy(args[0])


def _stack(args: Sequence[Any], *_: Any) -> Any:
    return np.concatenate([args[0], args[1]])


def _top(args: Sequence[Any], node: Any, sizes: Mapping[str, int], _: Arithmetic) -> Any:
    return args[0][: size_of(node.shape[0], sizes)]


def _bottom(args: Sequence[Any], node: Any, sizes: Mapping[str, int], _: Arithmetic) -> Any:
    return args[0][-size_of(node.shape[0], sizes) :]


_RECORDS = (
    Op("input", "leaf", _declared, lambda *_: None, lambda _, node: f"input {node.attr}"),
    Op("constant", "leaf", _declared, lambda _, node, s, ar: ar.array(node.attr.array()), lambda *_: "constant"),
    Op("eye", "leaf", _declared, _identity, lambda _, node: f"eye({node.shape[0]})"),
    Op("zeros", "leaf", _declared, _filled(0), lambda *_: "zeros"),
    Op("ones", "leaf", _declared, _filled(1), lambda *_: "ones"),
    Op("add", "linear", _same, lambda a, n, s, ar: ar.reduce(a[0] + a[1]), lambda a, _: f"{a[0]} + {a[1]}"),
    Op("scale", "linear", _same, _scale, lambda a, node: f"{node.attr} · {a[0]}"),
    Op("transpose", "linear", _transposed, lambda a, *_: a[0].T, lambda a, _: f"{a[0]}.T"),
    Op("matmul", "product", _product, lambda a, n, s, ar: ar.matmul(a[0], a[1]), lambda a, _: f"{a[0]} @ {a[1]}"),
    Op("spread", "product", _declared, _spread, lambda a, node: f"{a[0]} · eye({node.shape[0]})"),
    Op("vstack", "tokens", _declared, _stack, lambda a, _: f"vstack({a[0]}, {a[1]})"),
    Op("top", "tokens", _declared, _top, lambda a, node: f"{a[0]}[:{node.shape[0]}]"),
    Op("bottom", "tokens", _declared, _bottom, lambda a, node: f"{a[0]}[-{node.shape[0]}:]"),
    Op("hadamard", "positionwise", _same, _times, lambda a, _: f"{a[0]} * {a[1]}"),
    Op("rowscale", "positionwise", lambda shapes, _: shapes[1], _times, lambda a, _: f"diag({a[0]}) @ {a[1]}"),
    Op("units", "units", _declared, _units, _show_units),
    Op("diag", "positionwise", _diagonal, _diag, lambda a, _: f"diag({a[0]})"),
    Op("pointwise", "positionwise", _same, _pointwise, lambda a, node: f"{node.attr.name}({a[0]})"),
)

OPS: Mapping[str, Op] = {record.name: record for record in _RECORDS}
