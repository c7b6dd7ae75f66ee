"""Changed feed-forward weights must not be proved: every single-block mutation of W_1 and W_2 of small models.

As in `test_mutations`: a mutant is killed when identity and exact equality are not both Proved, and a survivor must be the
same function. The identity proof alone is tried too: it has to be sound without the help of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import sympy

import headwright as hw
from headwright.compiler.artifact import Artifact
from headwright.compiler.dims import size_of
from headwright.compiler.weights import Block, BlockMatrix, FeedForwardWeights
from headwright.proofs_check.exact import check_exactly
from headwright.proofs_check.symbolic import prove_for_all_dimensions
from headwright.runtime.compiled import Compiled


@hw.program
def network(A: hw.Matrix["n", "d"], w: hw.Vector["d"]):
    return hw.relu(A @ A.T @ A) @ w


@hw.program
def hinges(A: hw.Matrix["n", "d"], x: hw.Vector["d"]):
    """Biases, and a value that later units clear or overwrite."""
    z = hw.apply(lambda t: sympy.Max(t, Fraction(1, 2)) - 3 * sympy.Max(-t, 2), A @ x, domain=(-9, 9), tol=0.1)
    return hw.relu(A.T @ z - 1 * hw.ones("d"))


@hw.program
def scaled_rows(A: hw.Matrix["n", "d"], y: hw.Vector["n"]):
    """One row of the stream is read for all rows of a block."""
    hw.signs(y)
    B = hw.diag(y) @ A
    return {"B": B, "S": B.T @ hw.relu(A)}


MODELS: dict[str, Callable[[], hw.Compiled]] = {
    "network": lambda: hw.compile(network, dims={"n": 3, "d": 2}),
    "hinges": lambda: hw.compile(hinges, dims={"n": 3, "d": 2}),
    "scaled rows": lambda: hw.compile(scaled_rows, dims={"n": 3, "d": 2}),
}


def with_ffn(artifact: Artifact, layer: int, ffn: FeedForwardWeights | None) -> Artifact:
    layers = list(artifact.layers)
    layers[layer] = replace(layers[layer], ffn=ffn)
    return replace(artifact, layers=tuple(layers))


def inside(matrix: BlockMatrix) -> bool:
    rows, cols = matrix.shape
    return all(b.row >= 0 and b.col >= 0 and b.row + b.size <= rows and b.col + b.width <= cols for b in matrix.blocks)


def changes_of(block: Block, artifact: Artifact, reads: bool) -> Iterator[tuple[str, Block | None]]:
    yield "dropped", None
    yield "negated", replace(block, coefficient=-block.coefficient)
    yield "doubled", replace(block, coefficient=2 * block.coefficient)
    yield "nudged", replace(block, coefficient=block.coefficient + Fraction(1, 10**9))
    for step in (-1, 1):
        yield f"row {step:+d}", replace(block, row=block.row + step)
        yield f"column {step:+d}", replace(block, col=block.col + step)
    if block.size > 1:
        yield "shortened", replace(block, size=block.size - 1)
        yield "shortened to one named row", replace(block, size=1, dim=1)
    yield "of one column or not", replace(block, column=not block.column)
    for start, height in artifact.partition:
        size = size_of(height, artifact.graph.sizes)
        if size == block.size or (reads and block.column):
            where = {"col": start} if reads else {"row": start}
            yield f"at rows {start}", replace(block, **where)


def mutants(artifact: Artifact) -> Iterator[tuple[str, Artifact]]:
    for number, layer in enumerate(artifact.layers):
        ffn = layer.ffn
        if ffn is None:
            continue
        yield f"layer {number + 1} without its feed-forward part", with_ffn(artifact, number, None)
        for name in ("W_1", "W_2"):
            matrix: BlockMatrix = getattr(ffn, name)
            blocks = matrix.blocks
            options = [
                (f"block {k} {what}", (*blocks[:k], *([] if new is None else [new]), *blocks[k + 1 :]))
                for k, block in enumerate(blocks)
                for what, new in changes_of(block, artifact, name == "W_1")
            ]
            options += [
                (f"blocks {k}, {k + 1} swapped", (*blocks[:k], replace(b, row=a.row), replace(a, row=b.row), *blocks[k + 2 :]))
                for k, (a, b) in enumerate(pairwise(blocks))
                if a.size == b.size
            ]
            options += [(f"block {k} twice", (*blocks, block)) for k, block in enumerate(blocks)]
            options += [
                (f"block {k} spurious at unit {unit}", (*blocks, replace(block, **{"row" if name == "W_1" else "col": unit})))
                for k, block in enumerate(blocks[:2])
                for unit in range(matrix.shape[0 if name == "W_1" else 1])
            ]
            for what, new in options:
                changed = replace(matrix, blocks=tuple(sorted(new)))
                if inside(changed) and changed != matrix:
                    mutant = with_ffn(artifact, number, replace(ffn, **{name: changed}))
                    yield f"layer {number + 1} {name}: {what}", mutant


def outputs(artifact: Artifact, trials: int = 6) -> list[dict[str, np.ndarray]]:
    """Exact outputs at random integers, small and large: on either side of the corners."""
    found, rng = [], np.random.default_rng(11)
    model = Compiled(artifact).exact
    for trial in range(trials):
        inputs = {}
        for spec in artifact.graph.inputs:
            shape = [size_of(d, artifact.graph.sizes) for d in spec.shape]
            bound = 2 if trial < trials // 2 else 50
            inputs[spec.name] = np.array(rng.integers(-bound, bound + 1, shape).tolist(), dtype=object)
        result = model.run(**inputs)
        found.append({k: np.asarray(v) for k, v in (result if isinstance(result, dict) else {"": result}).items()})
    return found


def same(a: list[dict[str, np.ndarray]], b: list[dict[str, np.ndarray]]) -> bool:
    return all((x[name] == y[name]).all() for x, y in zip(a, b, strict=True) for name in y)


@pytest.mark.parametrize("name", MODELS)
def test_no_changed_unit_is_proved(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    original = MODELS[name]().artifact
    assert isinstance(prove_for_all_dimensions(original), hw.Proved) and isinstance(check_exactly(original, 3), hw.Proved)
    want = outputs(original)
    made, killed, equal = 0, 0, []
    for what, mutant in mutants(original):
        made += 1
        identity = prove_for_all_dimensions(mutant)
        exact = check_exactly(mutant, 3)
        if isinstance(identity, hw.Proved) or isinstance(exact, hw.Proved):
            assert same(outputs(mutant), want), f"proved although the function changed: {what}"
        if isinstance(identity, hw.Proved) and isinstance(exact, hw.Proved):
            equal.append(what)
        else:
            killed += 1
        if isinstance(exact, hw.Refuted):
            assert "output" in exact.counterexample
    with capsys.disabled():
        print(f"\n{name}: {killed} of {made} mutants killed, {len(equal)} shown equivalent")
    assert killed >= 100
    assert len(equal) <= made // 20, equal


def test_the_oracle_sees_a_changed_unit() -> None:
    original = MODELS["hinges"]().artifact
    for what, mutant in list(mutants(original))[::17]:
        if isinstance(check_exactly(mutant, 3), hw.Refuted):
            assert not same(outputs(mutant), outputs(original)), what


def test_a_part_of_a_unit_block_does_not_hide_behind_the_whole() -> None:
    """A block of W_1 on some rows of a block of units changes those units, although no block of W_2 has its size."""
    original = MODELS["network"]().artifact
    number, ffn = next((i, layer.ffn) for i, layer in enumerate(original.layers) if layer.ffn is not None)
    whole = next(b for b in ffn.W_1.blocks if b.size > 1)
    part = Block(whole.row, whole.col, 1, Fraction(1), 1)
    mutant = with_ffn(original, number, replace(ffn, W_1=replace(ffn.W_1, blocks=tuple(sorted((*ffn.W_1.blocks, part))))))
    verdict = prove_for_all_dimensions(mutant)
    assert isinstance(verdict, hw.Unknown) and "overlap" in verdict.reason
    assert isinstance(check_exactly(mutant, 3), hw.Refuted)


@pytest.mark.parametrize("name", MODELS)
def test_wrong_hints_make_a_proof_fail_or_change_nothing(name: str) -> None:
    """Names are untrusted: a wrong time, place or node may only lose the proof of weights that are right."""
    original = MODELS[name]().artifact
    doubled = (mutant for what, mutant in mutants(original) if what.endswith("doubled"))
    broken = next(mutant for mutant in doubled if isinstance(check_exactly(mutant, 3), hw.Refuted))
    for k, hint in enumerate(original.hints):
        for wrong in (
            replace(hint, local=not hint.local),
            replace(hint, boundary=hint.boundary % original.depth + 1),
            replace(hint, flipped=not hint.flipped),
            replace(hint, row=original.hints[(k + 1) % len(original.hints)].row),
            replace(hint, node=original.graph.outputs[0].node),
        ):
            hints = (*original.hints[:k], wrong, *original.hints[k + 1 :])
            assert not isinstance(prove_for_all_dimensions(replace(broken, hints=hints)), hw.Proved), wrong
