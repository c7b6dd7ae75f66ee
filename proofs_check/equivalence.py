"""Whether a changed model still does what is stated of it: for mutants that a judge accepts.

Three answers. *Unread*: an argument about supports alone, for all data and whatever the new weights are: the entries of the
stream in which the two networks can differ never meet an output. *Equal*: the outputs are the same polynomials, in the inputs
and in one indeterminate for the absolute value of each argument of a relu (up to sign), at a random point modulo a random
prime (Schwartz 1980; Zippel 1979). *Different*: by exact rational outputs at some data. Nothing here is shared with what
judges a mutant but the meaning of a weight matrix and of an operation.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from ..compiler.artifact import Artifact
from ..compiler.graph import evaluate
from ..compiler.ops import EXACT, OPS, Arithmetic
from ..compiler.weights import BlockMatrix, LayerWeights
from .exact import decode, encode, random_inputs, run

#: Bits by which the prime is longer than the degree asks for: the chance of calling different models equal is below 2^-80.
SAFETY = 80


@dataclass(frozen=True)
class Answer:
    """kind: "unread", "equal", "weaker" (what is stated follows from what was), "different" or "undecided"; `how` says by
    what argument."""

    kind: str
    how: str

    @property
    def equivalent(self) -> bool:
        return self.kind in ("unread", "equal", "weaker")


def compare(mutant: Artifact, original: Artifact) -> Answer:
    """Whether the outputs of the mutant's weights are what the mutant's program says, where the original's are."""
    if mutant.graph is original.graph and unread(mutant, original):
        return Answer("unread", "what differs meets no output, whatever the data are")
    causal = mutant.architecture.causal and any(layer.heads for layer in mutant.layers)
    if causal or mutant.architecture.attention == "softmax":
        return Answer("undecided", "no exact arithmetic for this attention")
    try:
        if _equal(mutant):
            return Answer("equal", f"at a random point modulo a random prime, wrong with probability below 2^-{SAFETY}")
        return _difference(mutant)
    except (ValueError, KeyError, IndexError, TypeError) as failure:
        return Answer("different", f"it has no meaning: {type(failure).__name__} {failure}")


# -- supports ----------------------------------------------------------------------------------------------------------

_Stream = tuple[np.ndarray, np.ndarray]  # entries that may be nonzero in either network, and entries that may differ


def unread(mutant: Artifact, original: Artifact) -> bool:
    """Whether the entries in which the streams can differ stay away from the outputs. Only weights may be changed.

    Sound: an entry of a sum of products differs only where some product has a factor that differs and no factor that is
    zero in both networks. Activations keep zeros: relu(0) = 0.
    """
    same = replace(mutant, layers=original.layers) == original
    if not same or len(mutant.layers) != len(original.layers) or original.architecture.attention == "softmax":
        return False
    nonzero = np.zeros((original.d_model, original.n_tokens), dtype=bool)
    for placed in original.encoding:
        if placed.kind != "zeros":
            full = np.eye(placed.height, placed.width, dtype=bool) if placed.kind in ("eye", "spread") else True
            nonzero[placed.row : placed.row + placed.height, : placed.width] = full
    stream = (nonzero, np.zeros_like(nonzero))
    keys = original.architecture.keys(original.graph.sizes, original.n_tokens)
    for ours, theirs in zip(mutant.layers, original.layers, strict=True):
        stream = _through(ours, theirs, stream, keys)
    _, differs = stream
    return not any(differs[p.row : p.row + p.height, p.token : p.token + p.width].any() for p in original.decoding)


def _through(ours: LayerWeights, theirs: LayerWeights, stream: _Stream, keys: int) -> _Stream:
    nonzero, differs = stream
    for j in range(max(len(ours.heads), len(theirs.heads))):
        pair = [layer.heads[j].matrices if j < len(layer.heads) else None for layer in (ours, theirs)]
        V, K, Q = (_read([None if m is None else m[k] for m in pair], stream) for k in range(3))
        V, K = (V[0][:, :keys], V[1][:, :keys]), (K[0][:, :keys], K[1][:, :keys])
        scores = _times((K[0].T, K[1].T), Q)
        added = _times(V, scores)
        nonzero, differs = nonzero | added[0], differs | added[1]
    stream = (nonzero, differs)
    if ours.ffn is None and theirs.ffn is None:
        return stream
    units = [layer.ffn for layer in (ours, theirs)]
    inside = _read([None if ffn is None else ffn.W_1 for ffn in units], stream)
    if any(ffn is not None and ffn.W_3 is not None for ffn in units):
        gate = _read([None if ffn is None else ffn.W_3 for ffn in units], stream)
        inside = inside[0] & gate[0], (inside[1] & gate[0]) | (inside[0] & gate[1])
    added = _read([None if ffn is None else ffn.W_2 for ffn in units], inside)
    return nonzero | added[0], differs | added[1]


def _read(pair: list[BlockMatrix | None], stream: _Stream) -> _Stream:
    """W H, for the W of either network. Nothing (None) is a matrix of zeros."""
    filled = [None if matrix is None else matrix.exact() for matrix in pair]
    shape = max(m.shape for m in filled if m is not None)
    ours, theirs = (np.full(shape, Fraction(0), dtype=object) if m is None else _grown(m, shape) for m in filled)
    rows = stream[0].shape[0]
    ours, theirs = ours[:, :rows], theirs[:, :rows]
    either, changed = (ours != 0) | (theirs != 0), ours != theirs
    return _meet(either, stream[0]), _meet(either, stream[1]) | _meet(changed.astype(bool), stream[0])


def _grown(matrix: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    out = np.full(shape, Fraction(0), dtype=object)
    out[: matrix.shape[0], : matrix.shape[1]] = matrix
    return out


def _times(a: _Stream, b: _Stream) -> _Stream:
    return _meet(a[0], b[0]), _meet(a[1], b[0]) | _meet(a[0], b[1])


def _meet(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    found: np.ndarray = a.astype(bool).astype(np.int64) @ b.astype(np.int64) > 0
    return found


# -- polynomials -------------------------------------------------------------------------------------------------------


def _equal(artifact: Artifact) -> bool:
    """Whether weights and program are the same polynomials (and relus): one point modulo a prime of many bits."""
    bits = _degree(artifact).bit_length() + _numbers(artifact).bit_length() + SAFETY + 16
    arithmetic = random_field(bits)
    seed = secrets.randbits(64)
    high = 2 ** (bits + 8)
    inputs = {n: arithmetic.array(v) for n, v in random_inputs(artifact.graph, seed, 0, high).items()}
    return not any(_apart(artifact, inputs, arithmetic))


def _apart(artifact: Artifact, inputs: dict[str, np.ndarray], arithmetic: Arithmetic) -> Iterable[str]:
    got = decode(artifact, run(artifact, encode(artifact, inputs, arithmetic), arithmetic), arithmetic)
    want = evaluate(artifact.graph, inputs, arithmetic)
    if set(got) != {o.name for o in artifact.graph.outputs}:
        raise ValueError(f"the outputs are {sorted(got)}")
    for output in artifact.graph.outputs:
        if got[output.name].shape != want[output.node].shape:
            yield f"output {output.name} has shape {got[output.name].shape}"
        elif (different := got[output.name] != want[output.node]).any():
            i, j = np.argwhere(different)[0]
            yield f"output {output.name}[{i}, {j}] is {got[output.name][i, j]}, the program's {want[output.node][i, j]}"


def _difference(artifact: Artifact) -> Answer:
    """Exact rational outputs at random integers of several sizes."""
    for seed, bound in enumerate((1, 2, 9, 50, 1000) * 4):
        inputs = random_inputs(artifact.graph, seed, -bound, bound)
        for found in _apart(artifact, inputs, EXACT):
            return Answer("different", f"{found[:160]} (random integers in ±{bound}, seed {seed})")
    return Answer("undecided", "other expressions in relu, with equal values at twenty random points")


def _degree(artifact: Artifact) -> int:
    """A bound on the degree of weights and program, with one indeterminate for every relu."""
    network, program = 1, [0] * len(artifact.graph.nodes)
    for layer in artifact.layers:
        network = (3 * network if layer.heads else network) * (2 if layer.ffn is not None else 1)
    for index, node in enumerate(artifact.graph.nodes):
        below = [program[arg] for arg in node.args]
        product = OPS[node.op].role == "product" or node.op in ("hadamard", "rowscale")
        grown = 2 * max(below, default=0) + 1 if node.op == "units" else max(below, default=1)
        program[index] = sum(below) if product else grown
    return max(network, *program, 1)


def _numbers(artifact: Artifact) -> int:
    """Bits of all weights and of the program's numbers: how many primes can divide a coefficient that is not zero."""
    blocks = [block for layer in artifact.layers for matrix in layer.matrices for block in matrix.blocks]
    parts = [c for block in blocks for c in [block.coefficient, *_flat(block.matrix)]]
    bits = sum(c.numerator.bit_length() + c.denominator.bit_length() for c in parts)
    bits += sum(4 * len(repr(node.attr)) for node in artifact.graph.nodes)
    return max(bits * artifact.d_model * artifact.n_tokens * _degree(artifact), 1)


def _flat(rows: Iterable[Iterable[Fraction]]) -> list[Fraction]:
    return [value for row in rows for value in row]


def random_field(bits: int) -> Arithmetic:
    """Integers modulo a random prime of that many bits and one; |a| of a new argument, up to sign, is a new random number."""
    prime = 4
    while not sympy.isprime(prime):
        prime = (1 << bits) | secrets.randbits(bits) | 1
    half, absolute = pow(2, -1, prime), {0: 0}

    def residue(value: Any) -> int:
        exact = Fraction(value)
        return exact.numerator * pow(exact.denominator, -1, prime) % prime

    def array(values: np.ndarray) -> np.ndarray:
        out = np.empty(values.shape, dtype=object)
        out.ravel()[:] = [residue(v) for v in values.ravel().tolist()]
        return out

    def relu(values: np.ndarray) -> np.ndarray:
        out = np.empty(values.shape, dtype=object)
        for at, x in np.ndenumerate(values):
            key = min(x, prime - x) if x else 0
            if key not in absolute:
                absolute[key] = secrets.randbelow(prime)
            out[at] = (x + absolute[key]) * half % prime
        return out

    return Arithmetic(
        f"integers modulo a prime of {bits + 1} bits",
        object,
        array,
        lambda a, c: np.asarray(a * residue(c) % prime),
        lambda a, b: np.asarray(a.dot(b) % prime) if a.shape[1] else np.zeros((a.shape[0], b.shape[1]), dtype=object),
        relu,
        lambda value: value % prime,
        lambda a, b: np.asarray(a * b % prime),
    )

