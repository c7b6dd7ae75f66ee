"""Exact evaluation at given dimensions: the weights and the program in the same exact arithmetic.

Over the rationals when numbers stay short; otherwise modulo the prime 2^61 − 1, where an identity that holds at
random points is false with probability at most degree / 2^61 (Schwartz–Zippel).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from fractions import Fraction

import numpy as np

from ..compiler.artifact import Artifact
from ..compiler.dims import size_of
from ..compiler.graph import SYMMETRIC, Graph, evaluate
from ..compiler.layout import Placed
from ..compiler.ops import EXACT, OPS, Arithmetic
from ..compiler.units import activate
from ..compiler.weights import BlockMatrix, LayerWeights
from .certificate import Proved, Refuted, Unknown, Verdict
from .labels import mislabelled, named_nodes
from .modular import MODULAR, PRIME


def apply(matrix: BlockMatrix, H: np.ndarray, arithmetic: Arithmetic) -> np.ndarray:
    """matrix @ H for a block matrix, in the given arithmetic."""
    out: np.ndarray = np.zeros((matrix.shape[0], H.shape[1]), dtype=arithmetic.dtype)
    for block in matrix.blocks:
        part = H[block.col : block.col + block.width]
        if block.matrix:
            part = arithmetic.matmul(arithmetic.array(np.array(block.matrix, dtype=object)), part)
        part = arithmetic.scale(part, block.coefficient)
        out[block.row : block.row + block.size] = arithmetic.reduce(out[block.row : block.row + block.size] + part)
    return out


def run(artifact: Artifact, H: np.ndarray, arithmetic: Arithmetic) -> np.ndarray:
    """The layers on the residual stream H, shape (d_model, n_tokens), exactly."""
    *_, last = streams(artifact, H, arithmetic)
    return last


def streams(artifact: Artifact, H: np.ndarray, arithmetic: Arithmetic) -> Iterator[np.ndarray]:
    """The residual stream at every boundary: H, then after each layer."""
    yield H
    sizes, arch = artifact.graph.sizes, artifact.architecture
    factor, n_keys = arch.factor(sizes), arch.keys(sizes, artifact.n_tokens)
    for layer in artifact.layers:
        total = H
        for head in layer.heads:
            V, K, Q = (apply(matrix, H, arithmetic) for matrix in head.matrices)
            if arch.attention != "linear":
                added = attend_by_scores(V[:, :n_keys], K[:, :n_keys], Q, arch.attention, arithmetic)
                total = arithmetic.reduce(total + arithmetic.scale(added, factor))
                continue
            # zero rows and zero tokens take no part in the products
            used = np.flatnonzero((K != 0).any(axis=1) & (Q != 0).any(axis=1))
            written = np.flatnonzero((V != 0).any(axis=1))
            keys = np.flatnonzero((V != 0).any(axis=0)[:n_keys] & (K != 0).any(axis=0)[:n_keys])
            queries = np.flatnonzero((Q != 0).any(axis=0))
            if min(map(len, (used, written, keys, queries))):
                scores = arithmetic.matmul(V[np.ix_(written, keys)], K[np.ix_(used, keys)].T)
                update: np.ndarray = np.zeros(H.shape, dtype=arithmetic.dtype)
                update[np.ix_(written, queries)] = arithmetic.matmul(scores, Q[np.ix_(used, queries)])
                total = arithmetic.reduce(total + arithmetic.scale(update, factor))
        if layer.ffn is not None:
            gate = None if layer.ffn.W_3 is None else apply(layer.ffn.W_3, total, arithmetic)
            units = activate(arch.ffn or "relu", apply(layer.ffn.W_1, total, arithmetic), gate, arithmetic)
            total = arithmetic.reduce(total + apply(layer.ffn.W_2, units, arithmetic))
        H = total
        yield H


def attend_by_scores(V: np.ndarray, K: np.ndarray, Q: np.ndarray, kind: str, arithmetic: Arithmetic) -> np.ndarray:
    """V f(Kᵀ Q), f relu, or softmax where all scores are 0: it has no other values that are rational."""
    scores = arithmetic.matmul(K.T, Q)
    if kind == "relu":
        return arithmetic.matmul(V, arithmetic.relu(scores))
    if scores.any():
        raise ValueError("softmax of scores that are not 0 has no exact value")
    ones = arithmetic.ones(scores.shape)
    return arithmetic.matmul(V, arithmetic.scale(ones, Fraction(1, len(scores))))


def encode(artifact: Artifact, inputs: Mapping[str, np.ndarray], arithmetic: Arithmetic) -> np.ndarray:
    """H_0: inputs (two-dimensional, in the arithmetic), constants, identities and ones in their rows; zeros elsewhere."""
    H: np.ndarray = np.zeros((artifact.d_model, artifact.n_tokens), dtype=arithmetic.dtype)
    for placed in artifact.encoding:
        node = artifact.graph.nodes[placed.node]
        if placed.kind == "zeros":
            continue
        if placed.kind == "eye":
            value: np.ndarray = np.eye(placed.height, dtype=arithmetic.dtype)
        elif placed.kind == "input":
            value = inputs[node.attr]
        elif placed.kind == "spread":
            value = np.zeros((placed.height, placed.width), dtype=arithmetic.dtype)
            np.fill_diagonal(value, inputs[artifact.graph.nodes[node.args[0]].attr][0, 0])
        else:
            value = evaluate(artifact.graph, inputs, arithmetic, [placed.node])[placed.node]
        H[placed.row : placed.row + placed.height, : placed.width] = value.T if placed.flipped else value
    return H


def decode(artifact: Artifact, H: np.ndarray, arithmetic: Arithmetic = EXACT) -> dict[str, np.ndarray]:
    """The outputs, read from their rows, two-dimensional, in the arithmetic of H."""
    out = {}
    for p in artifact.decoding:
        block = H[p.row : p.row + p.height, p.token : p.token + p.width]
        block = arithmetic.scale(block, Fraction(-1)) if p.negated else block
        out[p.name] = block.T if p.flipped else block
    return out


def random_inputs(graph: Graph, seed: int, low: int, high: int) -> dict[str, np.ndarray]:
    """Random integer inputs, two-dimensional object arrays; symmetric where the program says so."""
    rng = random.Random(seed)
    out = {}
    symmetric = {fact.node for fact in graph.facts if fact.kind in SYMMETRIC}
    for spec in graph.inputs:
        rows, cols = (size_of(dim, graph.sizes) for dim in graph.nodes[spec.node].shape)
        values = np.array([rng.randint(low, high) for _ in range(rows * cols)], dtype=object).reshape(rows, cols)
        out[spec.name] = np.triu(values) + np.triu(values, 1).T if spec.node in symmetric else values
    return out


def wrong_encoding(graph: Graph, placed: Placed) -> str | None:
    """Why a placed block is no leaf of the program (encoding must not compute); None when it is one."""
    if placed.kind in ("eye", "zeros"):
        return None
    op = graph.nodes[placed.node].op
    args = {graph.nodes[arg].op for arg in graph.nodes[placed.node].args}
    placeable = {
        "input": set(),
        "constant": set(),
        "ones": set(),
        "spread": {"input"},
        "vstack": {"input", "zeros", "transpose"},
    }
    flipped = [graph.nodes[arg].args[0] for arg in graph.nodes[placed.node].args if graph.nodes[arg].op == "transpose"]
    computed = any(graph.nodes[arg].op != "input" for arg in flipped)
    if placed.kind != op or op not in placeable or not args <= placeable[op] or computed:
        return f"the encoding places {placed.name} as {placed.kind}, but it is computed ({op})"
    return None


def program_at(
    graph: Graph, arithmetic: Arithmetic, seed: int
) -> tuple[dict[str, np.ndarray], dict[int, np.ndarray]]:
    """Random inputs of that seed, and what the program's outputs and named values are there."""
    low, high = (-9, 9) if arithmetic is EXACT else (0, PRIME - 1)
    inputs = {n: arithmetic.array(v) for n, v in random_inputs(graph, seed, low, high).items()}
    wanted = [output.node for output in graph.outputs] + named_nodes(graph)
    return inputs, evaluate(graph, inputs, arithmetic, wanted)


def check_exactly(artifact: Artifact, degree: int) -> Verdict:
    """Compares the layers with the program at random points, without rounding. Refuted gives the inputs."""
    if artifact.architecture.causal and any(layer.heads for layer in artifact.layers):
        return Unknown("heads with a causal mask are not evaluated exactly")
    problems = [p for placed in artifact.encoding if (p := wrong_encoding(artifact.graph, placed))]
    if problems or (problem := malformed(artifact)):
        return Refuted(problems[0] if problems else problem)
    try:
        return _compare(artifact, degree)
    except (KeyError, IndexError, ValueError) as failure:
        return Unknown(f"the artifact is inconsistent: {type(failure).__name__} {failure}")


def inconsistent(graph: Graph) -> str:
    """Where the program has no meaning at its sizes; "" where it has."""
    for node in graph.nodes:
        size = tuple(size_of(dim, graph.sizes) for dim in node.shape)
        if node.op == "constant" and size != node.attr.shape:
            return f"a constant of shape {node.attr.shape} stands where the program has {node.shape} = {size}"
    return ""


def malformed(artifact: Artifact) -> str:
    """What layers have that the architecture lacks, and what reaches beyond the stream; "" where all is well."""
    layers = enumerate(artifact.layers, start=1)
    found = [problem for number, layer in layers if (problem := _beyond(artifact, layer, number))]
    for p in artifact.decoding:
        size = tuple(size_of(dim, artifact.graph.sizes) for dim in p.shape)
        if (size[::-1] if p.flipped else size) != (p.height, p.width) or p.token < 0 or p.token + p.width > artifact.n_tokens:
            found.append(f"output {p.name} is not read inside the stream, with the shape of its value")
    return found[0] if found else ""


def _beyond(artifact: Artifact, layer: LayerWeights, number: int) -> str | None:
    """What a layer has that its architecture lacks."""
    kind = artifact.architecture.ffn
    for matrix in layer.matrices:
        rows, cols = matrix.shape
        for b in matrix.blocks:
            if min(b.row, b.col) < 0 or b.row + b.size > rows or b.col + b.width > cols:
                return f"layer {number}: a weight block at ({b.row}, {b.col}) reaches beyond its matrix"
    if layer.ffn is not None and kind is None:
        return f"layer {number} has a feed-forward part, and the architecture has none"
    if layer.ffn is not None and (layer.ffn.W_3 is not None) != (kind == "gate"):
        return f"layer {number}: W_3 belongs to gates, and to nothing else"
    return None


def points(artifact: Artifact, degree: int) -> list[tuple[Arithmetic, int]]:
    """Where weights and program are compared: arithmetics and seeds."""
    units = any(layer.ffn is not None for layer in artifact.layers)
    short = degree <= 40 and sum(len(layer.heads) for layer in artifact.layers) <= 24
    rational = short and not (units and artifact.depth > 3)
    # at a few rational points many units are off: with units, a point modulo the prime decides
    trials = [(EXACT, 0), (EXACT, 1)] if rational else []
    return trials + ([(MODULAR, 0)] if units or artifact.architecture.attention == "relu" or not rational else [])


def _compare(artifact: Artifact, degree: int) -> Verdict:
    trials = points(artifact, degree)
    for arithmetic, seed in trials:
        inputs, want = program_at(artifact.graph, arithmetic, seed)
        stream = list(streams(artifact, encode(artifact, inputs, arithmetic), arithmetic))
        got = decode(artifact, stream[-1], arithmetic)
        for output in artifact.graph.outputs:
            if got[output.name].shape != want[output.node].shape:
                found, expected = got[output.name].shape, want[output.node].shape
                return Refuted(f"output {output.name} is read with shape {found}, and the program's has {expected}")
            different = got[output.name] != want[output.node]
            if different.any():
                i, j = np.argwhere(different)[0]
                entry = f"{got[output.name][i, j]} from the weights, {want[output.node][i, j]} from the program"
                where = f"output {output.name}[{i}, {j}] at sizes {dict(artifact.graph.sizes)}, random inputs of seed {seed}"
                return Refuted(f"{where}: {entry} ({arithmetic.name})")
        if wrong := mislabelled(artifact, stream, want, arithmetic):
            return Refuted(wrong)
    units = any(layer.ffn is not None for layer in artifact.layers)
    if (units and artifact.architecture.ffn != "gate") or artifact.architecture.attention == "relu":  # no polynomials
        return Proved("equal as expressions in relu, at a random point modulo 2^61 − 1 (|a| replaced by a²/(a² + r))")
    if units:
        return Proved("equal at a random point modulo 2^61 − 1")
    if (MODULAR, 0) not in trials:
        return Proved("equal at 2 random integer inputs in [-9, 9], rational arithmetic, no tolerance")
    chance = f"{float(degree) / 2.0**61:.1e}" if degree < 2**1000 else "not bounded"
    return Proved(f"equal at a random point modulo 2^61 − 1 (a difference is missed with probability below {chance})")


def exact_degree(graph: Graph, seed: int = 0) -> dict[str, int | None]:
    """The joint degree of every output in the entries of the inputs, or None where leading terms may cancel.

    Each value carries its formal degree and its homogeneous leading part at a random point modulo a prime: where
    that part is not zero, the degree is attained.
    """
    arithmetic = MODULAR
    inputs = {n: arithmetic.array(v) for n, v in random_inputs(graph, seed, 0, PRIME - 1).items()}
    leading: dict[int, tuple[int, np.ndarray]] = {}
    fixed: set[int] = set()  # nodes that no input is above
    for index, node in enumerate(graph.nodes):
        if node.op != "input" and fixed.issuperset(node.args):
            fixed.add(index)
    one = evaluate(graph, inputs, arithmetic, sorted(fixed))
    unknown: set[int] = set()
    for index, node in enumerate(graph.nodes):
        parts = [leading.get(arg, (0, np.zeros((1, 1), dtype=arithmetic.dtype))) for arg in node.args]
        unknown |= {index} if any(arg in unknown for arg in node.args) else set()
        if node.op == "input":
            leading[index] = (1, inputs[node.attr])
        elif index in one:
            leading[index] = (0, one[index])
        elif node.op == "vstack":  # of inputs
            leading[index] = (1, OPS[node.op].evaluate([part for _, part in parts], node, graph.sizes, arithmetic))
        elif node.op == "add":
            (da, a), (db, b) = parts
            total = arithmetic.reduce(a + b) if da == db else (a if da > db else b)
            leading[index] = (max(da, db), total)
            if da == db and da > 0 and not total.any():
                unknown.add(index)
        elif OPS[node.op].role in ("linear", "product", "tokens"):  # of the leading parts; degrees of factors add
            part = OPS[node.op].evaluate([part for _, part in parts], node, graph.sizes, arithmetic)
            leading[index] = (sum(degree for degree, _ in parts), part)
        else:
            unknown.add(index)
            shape = tuple(size_of(dim, graph.sizes) for dim in node.shape)
            leading[index] = (0, np.zeros(shape, dtype=arithmetic.dtype))
    out: dict[str, int | None] = {}
    for output in graph.outputs:
        degree, part = leading.get(output.node, (0, np.zeros((1, 1), dtype=arithmetic.dtype)))
        known = part.any() or output.node in one  # a constant has degree 0, zero too
        out[output.name] = degree if known and output.node not in unknown else None
    return out


def depth_lower_bound(degree: int) -> int:
    """⌈log₃ degree⌉: a layer of linear attention at most triples the degree in the entries of H_0."""
    layers, reach = 0, 1
    while reach < degree:
        layers, reach = layers + 1, 3 * reach
    return layers
