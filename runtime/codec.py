"""Frozen dataclasses to JSON and back, exactly: fractions as "p/q", ranges as [start, stop], no pickle, no code.

The types come from the annotations of the dataclasses, so a new field of the artifact is saved without a line here.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import math
import types
import typing
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from ..compiler.approximate.scalar_function import BoundedFunction, ScalarFunction
from ..compiler.ops import Constant
from ..compiler.pointwise import Pointwise, function_from_text, function_text
from ..compiler.units import Units

#: What may stand in a field annotated `Any` (the attribute of a node), by the tag that it is saved under.
_TAGGED: dict[str, type] = {
    "text": str,
    "number": int,
    "fraction": Fraction,
    "array": Constant,
    "units": Units,
    "function": Pointwise,
}


def to_json(value: Any) -> Any:
    """The JSON form of a dataclass and of what its fields hold. Raises TypeError for a type that has none."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Fraction):
        return _fraction_text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, range):
        return [value.start, value.stop]
    if isinstance(value, ScalarFunction):
        return {"name": value.name, "expression": function_text(value)}
    if isinstance(value, BoundedFunction):
        raise TypeError(f"{value.name} is a Python function: only expressions can be saved")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        hints = _hints(type(value))
        return {name: (_tag if hint is Any else to_json)(getattr(value, name)) for name, hint in hints.items()}
    if isinstance(value, collections.abc.Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_json(item) for item in value]
    raise TypeError(f"a {type(value).__name__} has no JSON form")


def from_json(kind: Any, data: Any) -> Any:
    """The value of type `kind` whose JSON form is `data`. Raises ValueError when `data` is not one."""
    origin = typing.get_origin(kind)
    if kind is ScalarFunction:
        _expect(isinstance(data, dict) and set(data) == {"name", "expression"}, kind, data)
        return function_from_text(from_json(str, data["name"]), from_json(str, data["expression"]))
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _dataclass(kind, data)
    if origin in (typing.Union, types.UnionType):
        return _union(typing.get_args(kind), data)
    if origin is tuple:
        return _tuple(typing.get_args(kind), data)
    if origin in (dict, collections.abc.Mapping):
        key, item = typing.get_args(kind)
        _expect(isinstance(data, dict), kind, data)
        return {(int(k) if key is int else k): from_json(item, v) for k, v in data.items()}
    if kind is Any:
        return _untag(data)
    if kind not in _SIMPLE:
        raise ValueError(f"no reader for {kind}")
    return _SIMPLE[kind](data)


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _fraction_text(value: Fraction) -> str:
    """ "p/q"; in base 16 where decimal digits would pass Python's limit for reading integers back."""
    long = max(value.numerator.bit_length(), value.denominator.bit_length()) > 12000
    top, bottom = (hex(value.numerator), hex(value.denominator)) if long else (str(value.numerator), str(value.denominator))
    return top if value.denominator == 1 else f"{top}/{bottom}"


def _tag(value: Any) -> Any:
    if value is None:
        return None
    for tag, kind in _TAGGED.items():
        if type(value) is kind:
            return {tag: to_json(value)}
    raise TypeError(f"a node attribute of type {type(value).__name__} cannot be saved")


def _untag(data: Any) -> Any:
    if data is None:
        return None
    _expect(isinstance(data, dict) and len(data) == 1 and next(iter(data)) in _TAGGED, "a tagged value", data)
    ((tag, inner),) = data.items()
    return from_json(_TAGGED[tag], inner)


def _dataclass(kind: type, data: Any) -> Any:
    hints = _hints(kind)
    _expect(isinstance(data, dict) and set(data) == set(hints), kind, data)
    return kind(**{name: from_json(hint, data[name]) for name, hint in hints.items()})


def _union(kinds: tuple[Any, ...], data: Any) -> Any:
    if data is None and type(None) in kinds:
        return None
    for kind in kinds:
        if kind is not type(None):
            try:
                return from_json(kind, data)
            except ValueError:
                continue
    raise ValueError(f"expected one of {kinds}, got {_brief(data)}")


def _tuple(kinds: tuple[Any, ...], data: Any) -> tuple[Any, ...]:
    _expect(isinstance(data, list), "a list", data)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(from_json(kinds[0], item) for item in data)
    _expect(len(data) == len(kinds), f"{len(kinds)} entries", data)
    return tuple(from_json(kind, item) for kind, item in zip(kinds, data, strict=True))


def _exactly(kind: type) -> Callable[[Any], Any]:
    def read(data: Any) -> Any:
        _expect(type(data) is kind, kind.__name__, data)
        return data

    return read


def _fraction(data: Any) -> Fraction:
    _expect(isinstance(data, str), "a fraction p/q", data)
    top, _, bottom = data.partition("/")
    denominator = int(bottom, 0) if bottom else 1
    _expect(denominator > 0, "a fraction p/q", data)
    return Fraction(int(top, 0), denominator)


def _float(data: Any) -> float:
    _expect(type(data) in (int, float) or data in ("inf", "-inf", "nan"), "a number", data)
    return float(data)


def _range(data: Any) -> range:
    _expect(isinstance(data, list) and len(data) == 2 and all(type(i) is int for i in data), "[start, stop]", data)
    return range(*data)


_SIMPLE: dict[Any, Callable[[Any], Any]] = {
    type(None): _exactly(type(None)),
    bool: _exactly(bool),
    int: _exactly(int),
    str: _exactly(str),
    float: _float,
    Fraction: _fraction,
    range: _range,
}


def _expect(holds: bool, kind: Any, data: Any) -> None:
    if not holds:
        name = kind.__name__ if isinstance(kind, type) else str(kind)
        raise ValueError(f"expected {name}, got {_brief(data)}")


def _brief(data: Any) -> str:
    text = repr(data)
    return text if len(text) <= 60 else text[:57] + "…"
