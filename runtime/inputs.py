"""Run-time inputs: checked by name, shape, dtype and value, and brought to one torch dtype, device and batch shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..compiler.binding import bind_sizes
from ..compiler.dims import describe_shape
from ..compiler.errors import InputError
from ..compiler.graph import Graph


@dataclass(frozen=True)
class Prepared:
    """Tensors of shape batch + (rows, cols), and what the caller should get back."""

    tensors: Mapping[str, Tensor]
    batch: tuple[int, ...]
    numpy: bool
    dtype: torch.dtype
    device: torch.device

    @property
    def in_float64(self) -> Prepared:
        """The same numbers in float64, without gradients."""
        wide = {name: tensor.detach().to(torch.float64) for name, tensor in self.tensors.items()}
        return replace(self, tensors=wide, dtype=torch.float64)


def prepare(graph: Graph, inputs: Mapping[str, Any]) -> Prepared:
    """Checks and converts. Raises InputError naming the input: what was expected, what came, how to fix it."""
    try:
        return _prepare(graph, inputs)
    except InputError as error:
        if error.where is None and graph.inputs:  # the line that declares the inputs
            where = graph.nodes[graph.inputs[0].node].where
            raise InputError(error.what, where=where, rule=error.rule, fix=error.fix) from error
        raise


def _prepare(graph: Graph, inputs: Mapping[str, Any]) -> Prepared:
    declared = {spec.name: spec.shape for spec in graph.inputs}
    check_names(graph, inputs)
    torch_names = [n for n in declared if isinstance(inputs[n], Tensor)]
    if torch_names and len(torch_names) < len(declared):
        other = next(n for n in declared if n not in torch_names)
        raise InputError(
            f"{graph.name}: {torch_names[0]} is a torch tensor and {other} is a {type(inputs[other]).__name__}",
            rule="inputs are all numpy (the answer is numpy) or all torch (the answer is torch)",
            fix=f"convert {other} with torch.as_tensor",
        )
    tensors = {n: _tensor(graph.name, n, inputs[n]) for n in declared}
    bind_sizes(graph.name, declared, {n: tuple(t.shape) for n, t in tensors.items()}, graph.sizes)
    if len({t.device for t in tensors.values()}) > 1:
        placed = ", ".join(f"{n} on {t.device}" for n, t in tensors.items())
        raise InputError(f"{graph.name}: inputs are on different devices: {placed}", fix="move them to one device")
    dtype = torch.float64
    for i, tensor in enumerate(tensors.values()):
        dtype = torch.promote_types(dtype, tensor.dtype) if i else tensor.dtype
    device = next((t.device for t in tensors.values()), torch.device("cpu"))
    for n, tensor in tensors.items():
        _check_finite(graph.name, n, tensor)
    try:
        batch = np.broadcast_shapes(*(tuple(t.shape[: t.ndim - len(declared[n])]) for n, t in tensors.items()))
    except ValueError as error:
        shapes = ", ".join(f"{n} {tuple(t.shape[: t.ndim - len(declared[n])])}" for n, t in tensors.items())
        raise InputError(
            f"{graph.name}: batch dimensions do not broadcast: {shapes}", fix="give them one batch shape"
        ) from error
    if 0 in batch:
        raise InputError(f"{graph.name}: the batch is empty: {tuple(batch)}", fix="pass at least one problem")
    full = {n: _two_dimensional(t.to(dtype), len(declared[n])) for n, t in tensors.items()}
    return Prepared(full, tuple(batch), not torch_names, dtype, device)


def check_names(graph: Graph, inputs: Mapping[str, Any]) -> None:
    """Raises InputError unless exactly the declared inputs are given."""
    declared = {spec.name: spec.shape for spec in graph.inputs}
    missing = [name for name in declared if name not in inputs]
    unknown = [name for name in inputs if name not in declared]
    if missing or unknown:
        problems = [f"missing input {n}" for n in missing] + [f"unknown input {n}" for n in unknown]
        takes = ", ".join(f"{n} {describe_shape(shape)}" for n, shape in declared.items())
        raise InputError(f"{graph.name}: {', '.join(problems)}", rule=f"it takes: {takes}", fix="pass every input by name")


def _tensor(program: str, name: str, value: Any) -> Tensor:
    if isinstance(value, Tensor):
        if not value.dtype.is_floating_point:
            raise InputError(
                f"{program}: input {name} has dtype {value.dtype}: expected a floating-point tensor",
                fix=f"pass {name}.to(torch.float64)",
            )
        return value
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"{program}: input {name} is not an array: {error}", fix="pass a rectangular array") from error
    if array.dtype.kind in "biu":
        array = array.astype(np.float64)
    if array.dtype not in (np.float32, np.float64):
        hint = "pass real numbers" if array.dtype.kind == "c" else f"convert {name} with .astype(float)"
        raise InputError(f"{program}: input {name} has dtype {array.dtype}: expected float64, float32 or integers", fix=hint)
    return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))


def _check_finite(program: str, name: str, tensor: Tensor) -> None:
    bad = ~torch.isfinite(tensor.detach())
    if bool(bad.any()):
        index = tuple(int(i) for i in bad.nonzero()[0])
        where = f"{name}[{', '.join(map(str, index))}]" if index else name
        raise InputError(
            f"{program}: {where} is {tensor[index].item()}: expected finite numbers ({int(bad.sum())} such entries)",
            fix="remove or impute the rows with missing values",
        )


def _two_dimensional(tensor: Tensor, ndim: int) -> Tensor:
    """Vectors become columns and scalars 1 × 1, behind the batch dimensions."""
    for _ in range(2 - ndim):
        tensor = tensor.unsqueeze(-1)
    return tensor
