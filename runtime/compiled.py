"""`Compiled`: a compiled program that can be called, inspected, and turned into a torch module."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..compiler.architecture import Architecture
from ..compiler.artifact import Artifact
from ..compiler.binding import bind_sizes
from ..compiler.dims import size_of
from ..compiler.errors import AssumptionError, DivergenceWarning, InputError, PrecisionWarning
from ..compiler.graph import Node, evaluate
from ..compiler.layout import Labels, Placed
from ..compiler.ops import EXACT, FLOAT64
from ..compiler.weights import FeedForwardWeights
from ..proofs_check import exact
from .checks import check_facts, divergence
from .inputs import Prepared, check_names, prepare
from .model import Attention, FeedForward, Head, Layer, Transformer
from .precision import below_floor, coarser_than_fits, lost_in_rounding, too_far_out
from .structured import Structured
from .views import LayerView, views

if TYPE_CHECKING:
    from ..compiler.program import Program
    from ..proofs_check.bounds import Bounds
    from ..proofs_check.newton_model import NewtonTheory


class ExactModel:
    """The same weights as rationals: `layers[i].heads[j].W_V` has Fraction entries, and `run` never rounds."""

    def __init__(self, artifact: Artifact) -> None:
        self._artifact = artifact
        self.layers = views(artifact.layers, rational=True)

    def run(self, **inputs: Any) -> Any:
        """Runs the weights in rational arithmetic on arrays of ints or Fractions (unbatched).

        Raises InputError for wrong names or shapes, AssumptionError where a stated symmetry does not hold.
        """
        arrays = {}
        graph = self._artifact.graph
        declared = {spec.name: spec.shape for spec in graph.inputs}
        check_names(graph, inputs)
        bind_sizes(graph.name, declared, {n: np.shape(v) for n, v in inputs.items()}, graph.sizes)
        for spec in graph.inputs:
            array = np.asarray(inputs[spec.name]).astype(object)
            if array.ndim != len(spec.shape):
                raise InputError(
                    f"{graph.name}: input {spec.name} has batch dimensions", fix="run exactly one problem at a time"
                )
            arrays[spec.name] = array.reshape(array.shape + (1,) * (2 - array.ndim))
        stated = [fact for fact in graph.facts if fact.kind == "symmetric"]
        values = evaluate(graph, arrays, EXACT, [fact.node for fact in stated]) if stated else {}
        for fact in stated:
            if (values[fact.node] != values[fact.node].T).any():
                name = graph.describe(fact.node)
                what, fix = f"{graph.name}: {name} is not symmetric", f"symmetrise the data that {name} is computed from"
                raise AssumptionError(what, where=fact.where, rule="the program states that it is", fix=fix)
        H = exact.run(self._artifact, exact.encode(self._artifact, arrays, EXACT), EXACT)
        found = exact.decode(self._artifact, H)
        outputs = {o.name: found[o.name].reshape(found[o.name].shape[: len(o.shape)]) for o in self._artifact.graph.outputs}
        shaped = {name: value.item() if value.ndim == 0 else value for name, value in outputs.items()}
        return shaped["output"] if self._artifact.graph.single_output else shaped


class Compiled:
    """A program compiled to weights. Call it with the inputs by name: numpy in, numpy out; torch in, torch out."""

    def __init__(self, artifact: Artifact, program: Program | None = None, constants: Mapping[str, Any] | None = None) -> None:
        self.artifact, self.program = artifact, program
        self.constants = dict(constants or {})
        self.name = artifact.graph.name
        self._warned: set[torch.dtype] = set()
        self.construction: str | None = None  # set by `Construction.compile`
        self.bounds: Bounds | None = None  # the figures of the paper's claim at these sizes, if one is cited
        self.theory: NewtonTheory | None = None  # what follows for the iterates, for constructions that say so

    # -- sizes ---------------------------------------------------------------------------------------------

    @property
    def depth(self) -> int:
        """The number of layers."""
        return self.artifact.depth

    @property
    def d_model(self) -> int:
        """The number of rows of the residual stream."""
        return self.artifact.d_model

    @property
    def n_tokens(self) -> int:
        """The number of columns of the residual stream."""
        return self.artifact.n_tokens

    @property
    def heads_per_layer(self) -> list[int]:
        return self.artifact.heads_per_layer

    @property
    def max_heads(self) -> int:
        return self.artifact.max_heads

    @property
    def ffn_width(self) -> int:
        """The largest number of feed-forward units in a layer."""
        return self.artifact.ffn_width

    @property
    def n_parameters(self) -> int:
        """Entries of all weight matrices, a repeated layer counted every time."""
        return self.artifact.n_parameters

    @property
    def n_unique_parameters(self) -> int:
        """Entries of all weight matrices, a repeated layer counted once."""
        return self.artifact.n_unique_parameters

    @property
    def nonzeros(self) -> int:
        """Nonzero weights, a repeated layer counted every time."""
        return self.artifact.nonzeros

    # -- weights -------------------------------------------------------------------------------------------

    @cached_property
    def layers(self) -> tuple[LayerView, ...]:
        """`layers[i].heads[j].W_V`, `.W_K`, `.W_Q` are dense float64 arrays of shape (d_model, d_model)."""
        return views(self.artifact.layers, rational=False)

    @cached_property
    def exact(self) -> ExactModel:
        """The weights as exact rationals."""
        return ExactModel(self.artifact)

    @property
    def rounding(self) -> float:
        """The largest relative error of a weight in float64 against its exact value."""
        errors = (
            abs(float((c - Fraction(float(c))) / c))
            for layer in self.artifact.unique_layers
            for matrix in layer.matrices
            for b in matrix.blocks
            for c in ([b.coefficient] if not b.matrix else b.entries()[2])
        )
        return max(errors, default=0.0)

    @property
    def arch(self) -> Architecture:
        return self.artifact.architecture

    @property
    def attention(self) -> str:
        """ "linear", "relu" or "softmax"."""
        return self.arch.attention

    @property
    def attention_scale(self) -> float:
        """The number in front of all heads."""
        return float(self.arch.factor(self.artifact.graph.sizes))

    @property
    def key_mask(self) -> np.ndarray:
        """1 for tokens that may be keys, 0 for others, shape (n_tokens,)."""
        return (np.arange(self.n_tokens) < self.arch.keys(self.artifact.graph.sizes, self.n_tokens)).astype(float)

    @property
    def rows(self) -> list[Labels]:
        """For every layer boundary (0: the input, i: after layer i): named values and the rows that hold them."""
        return list(self.artifact.rows)

    def torch_module(self, dtype: torch.dtype = torch.float64, tied: bool = True) -> Transformer:
        """The model as a plain module whose parameters are the weight matrices; maps H_0 to H_L.

        tied: layers with equal weights are one module, stored once; else each has parameters of its own.
        """
        stored = self.artifact.unique_layers if tied else list(self.artifact.layers)
        layers = [
            Layer(
                [Head(head.W_V.dense(), head.W_K.dense(), head.W_Q.dense(), dtype, self._attention) for head in layer.heads],
                None if layer.ffn is None else self._feed_forward(layer.ffn, dtype),
                self._attention.scale,
            )
            for layer in stored
        ]
        return Transformer(layers, self.artifact.order if tied else None)

    @property
    def _attention(self) -> Attention:
        keys = self.arch.keys(self.artifact.graph.sizes, self.n_tokens)
        return Attention(self.attention, keys if keys < self.n_tokens else None, self.arch.causal, self.attention_scale)

    def _feed_forward(self, ffn: FeedForwardWeights, dtype: torch.dtype) -> FeedForward:
        gate = None if ffn.W_3 is None else ffn.W_3.dense()
        return FeedForward(ffn.W_1.dense(), ffn.W_2.dense(), dtype, self.arch.ffn or "relu", gate)

    @cached_property
    def structured(self) -> Structured:
        """The layers on blocks instead of dense matrices; maps an encoded H_0 to H_L."""
        return self._structured(None)

    @cached_property
    def _outputs_only(self) -> Structured:
        """The same, without computing what no output needs."""
        needed = [0] * self.d_model
        for p in self.artifact.decoding:  # several outputs may be parts of the same rows
            rows = slice(p.row, p.row + p.height)
            needed[rows] = [max(width, p.token + p.width) for width in needed[rows]]
        return self._structured(needed)

    def _structured(self, needed: list[int] | None) -> Structured:
        support = [1] * self.d_model
        for placed in self.artifact.encoding:
            support[placed.row : placed.row + placed.height] = [placed.width] * placed.height
        identities = tuple((p.row, p.height) for p in self.artifact.encoding if p.kind == "eye")
        return Structured(
            self.artifact.layers, self.d_model, self.n_tokens, support, identities, needed, self._attention, self.arch.ffn
        )

    @cached_property
    def _dense(self) -> dict[torch.dtype, Transformer]:
        return {}

    # -- running -------------------------------------------------------------------------------------------

    def __call__(self, **inputs: Any) -> Any:
        """Runs the layers. Inputs may have leading batch dimensions. Raises InputError, AssumptionError, DivergenceError."""
        return self.run(inputs)

    def run(self, inputs: Mapping[str, Any], *, dense: bool = False, check: bool = True) -> Any:
        """Like a call; `dense` multiplies by the dense matrices, `check=False` skips facts and the divergence report."""
        prepared = prepare(self.artifact.graph, inputs)
        check = check and not torch.compiler.is_compiling()
        if check:
            check_facts(self.artifact.program, prepared)
            first = self._warn_first(prepared)
            if self.artifact.lowered is not None and self.artifact.lowered.inside:
                check_facts(replace(self.artifact.graph, facts=self.artifact.lowered.inside), prepared)
        H = self._encode(prepared)
        outputs = self._decode_dense(H) if dense else self._decode_structured(H)
        if check:
            self._report(prepared, H, outputs)
            if first and prepared.dtype != torch.float64:
                self._compare(prepared, outputs)
        return self._deliver(outputs, prepared.numpy)

    def encode(self, **inputs: Any) -> Any:
        """H_0, shape (…, d_model, n_tokens): inputs, identities, ones and constants in their places, zeros elsewhere."""
        prepared = prepare(self.artifact.graph, inputs)
        H = self._encode(prepared)
        return H.numpy() if prepared.numpy else H

    def decode(self, H: Any) -> Any:
        """The outputs, read from a residual stream of shape (…, d_model, n_tokens)."""
        numpy = not isinstance(H, Tensor)
        stream = torch.as_tensor(np.asarray(H)) if numpy else H
        if stream.ndim < 2 or tuple(stream.shape[-2:]) != (self.d_model, self.n_tokens):
            raise InputError(
                f"{self.name}: H has shape {tuple(stream.shape)}: expected (…, {self.d_model}, {self.n_tokens})",
                fix="pass what the layers return for model.encode(…)",
            )
        return self._deliver(self._shape(self._read(stream)), numpy)

    def reference(self, **inputs: Any) -> Any:
        """The numpy meaning of the program on these inputs, with the constants it was compiled for."""
        if self.program is not None:
            return self.program.reference(**inputs, **self.constants)
        graph = self.artifact.program
        prepared = prepare(graph, inputs)
        flat = {
            n: t.expand(*prepared.batch, *t.shape[-2:]).reshape(-1, *t.shape[-2:]).numpy() for n, t in prepared.tensors.items()
        }
        count = int(np.prod(prepared.batch))
        runs = [evaluate(graph, {n: a[i] for n, a in flat.items()}, FLOAT64) for i in range(count)]
        out = {}
        for o in graph.outputs:
            stacked = np.stack([run[o.node] for run in runs])
            out[o.name] = stacked.reshape(prepared.batch + stacked.shape[1 : 1 + len(o.shape)])[()]
        return out["output"] if graph.single_output else out

    def _encode(self, prepared: Prepared) -> Tensor:
        H = torch.zeros((*prepared.batch, self.d_model, self.n_tokens), dtype=prepared.dtype, device=prepared.device)
        for placed in self.artifact.encoding:
            if placed.kind == "zeros":
                continue
            value = self._leaf(placed, prepared)
            block = value.mT if placed.flipped else value
            H[..., placed.row : placed.row + placed.height, : placed.width] = block
        return H

    def _leaf(self, placed: Placed, prepared: Prepared) -> Tensor:
        node = self.artifact.graph.nodes[placed.node]
        if placed.kind == "input":
            return prepared.tensors[node.attr]
        if placed.kind == "vstack":
            return self._stacked(node, prepared)
        if placed.kind == "eye":
            return torch.eye(placed.height, dtype=prepared.dtype, device=prepared.device)
        if placed.kind == "spread":
            scalar = prepared.tensors[self.artifact.graph.nodes[node.args[0]].attr]
            return scalar * torch.eye(placed.height, dtype=prepared.dtype, device=prepared.device)
        return torch.as_tensor(self._constants[placed.node], dtype=prepared.dtype, device=prepared.device)

    def _stacked(self, node: Node, prepared: Prepared) -> Tensor:
        """The inputs (or zeros) of an `hw.vstack`, one above the other."""
        graph, parts = self.artifact.graph, []
        for arg in node.args:
            spec = graph.nodes[arg]
            source = graph.nodes[spec.args[0]] if spec.op == "transpose" else spec
            size = [size_of(dim, graph.sizes) for dim in spec.shape]
            zeros = torch.zeros(size, dtype=prepared.dtype, device=prepared.device)
            value = prepared.tensors[source.attr] if source.op == "input" else zeros
            parts.append(value.mT if spec.op == "transpose" else value)
        return torch.cat([part.expand(*prepared.batch, *part.shape[-2:]) for part in parts], dim=-2)

    @cached_property
    def _constants(self) -> dict[int, np.ndarray]:
        nodes = [p.node for p in self.artifact.encoding if p.kind in ("constant", "ones")]
        return evaluate(self.artifact.graph, {}, FLOAT64, nodes) if nodes else {}

    def _decode_structured(self, H: Tensor) -> dict[str, Tensor]:
        groups = self._outputs_only.run(self._outputs_only.split(H))
        read = {}
        for p in self.artifact.decoding:
            part = self._outputs_only.rows(groups, p.row, p.height, p.token + p.width)
            full = torch.nn.functional.pad(part, (0, p.token + p.width - part.shape[-1]))
            read[p.name] = full[..., p.token :]
        return self._shape(read)

    def _decode_dense(self, H: Tensor) -> dict[str, Tensor]:
        if H.dtype not in self._dense:
            self._dense[H.dtype] = self.torch_module(H.dtype).requires_grad_(False)
        stream = self._dense[H.dtype].to(H.device)(H)
        return self._shape(self._read(stream))

    def _read(self, stream: Tensor) -> dict[str, Tensor]:
        return {p.name: stream[..., p.row : p.row + p.height, p.token : p.token + p.width] for p in self.artifact.decoding}

    def _shape(self, read: Mapping[str, Tensor]) -> dict[str, Tensor]:
        ndim = {o.name: len(o.shape) for o in self.artifact.graph.outputs}
        out = {}
        for p in self.artifact.decoding:
            value = read[p.name].mT if p.flipped else read[p.name]
            value = -value if p.negated else value
            out[p.name] = value if ndim[p.name] == 2 else value[..., 0] if ndim[p.name] == 1 else value[..., 0, 0]
        return out

    def _deliver(self, outputs: Mapping[str, Tensor], numpy: bool) -> Any:
        final = {n: (t.detach().cpu().numpy()[()] if numpy else t) for n, t in outputs.items()}
        return final["output"] if self.artifact.graph.single_output else final

    def _warn_first(self, prepared: Prepared) -> bool:
        """PrecisionWarning when rounding in this format is above a tolerance. Whether it is the first run, and all was well."""
        said, first = [too_far_out(self.artifact, prepared)], prepared.dtype not in self._warned
        if first:
            self._warned.add(prepared.dtype)
            said += [below_floor(self.artifact.graph, prepared.dtype), coarser_than_fits(self.artifact, prepared.dtype)]
        for text in filter(None, said):
            warnings.warn(text, PrecisionWarning, stacklevel=4)
        return first and not any(said)

    def _compare(self, prepared: Prepared, outputs: Mapping[str, Tensor]) -> None:
        """PrecisionWarning when rounding moves an output by more than what is proved of it."""
        with torch.no_grad():
            fine = self._decode_structured(self._encode(prepared.in_float64))
        certified = None if self.theory is None else self.theory.distance
        text = lost_in_rounding(self.artifact, outputs, fine, certified)
        if text:
            warnings.warn(text, PrecisionWarning, stacklevel=4)

    def _report(self, prepared: Prepared, H: Tensor, outputs: Mapping[str, Tensor]) -> None:
        """Raises DivergenceError when an output overflowed; warns when a repeated layer made it useless."""
        largest = max((float(t.detach().abs().max()) for t in outputs.values()), default=0.0)
        if not np.isfinite(largest):
            raise divergence(self.artifact, self.structured, H)
        start = max((float(t.detach().abs().max()) for t in prepared.tensors.values()), default=1.0)
        repeated = len(self.artifact.unique_layers) < self.depth
        if repeated and largest * torch.finfo(prepared.dtype).eps > max(1.0, start):
            warnings.warn(
                f"{self.name}: an output reached {largest:.1e} from inputs of at most {start:.1e} while a layer was repeated; "
                f"the iteration probably diverges (is a step size or initial scale too large for these data?)",
                DivergenceWarning,
                stacklevel=3,
            )

    def __repr__(self) -> str:
        sizes = ", ".join(f"{k}={v}" for k, v in self.artifact.graph.sizes.items())
        return (
            f"<{self.name}({sizes}): {self.depth} layers, {self.max_heads} heads, {self.d_model} rows, {self.n_tokens} tokens>"
        )
