"""What the proof is told of feed-forward units must not help wrong weights: names, times, sizes of blocks.

Changed weights of units are among the mutants of `test_mutations`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest
import sympy

import headwright as hw
from headwright.compiler.artifact import Artifact
from headwright.compiler.weights import Block, FeedForwardWeights
from headwright.proofs_check.exact import check_exactly
from headwright.proofs_check.mutations import Claimed, entries_of, places, with_entry, with_layer, with_matrix
from headwright.proofs_check.symbolic import prove_for_all_dimensions


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


def ffn_of(artifact: Artifact) -> tuple[int, FeedForwardWeights]:
    return next((i, layer.ffn) for i, layer in enumerate(artifact.layers) if layer.ffn is not None)


def test_a_part_of_a_unit_block_does_not_hide_behind_the_whole() -> None:
    """A block of W_1 on some rows of a block of units changes those units, although no block of W_2 has its size."""
    original = MODELS["network"]().artifact
    number, ffn = ffn_of(original)
    whole = next(b for b in ffn.W_1.blocks if b.size > 1)
    part = Block(whole.row, whole.col, 1, Fraction(1), 1)
    wider = replace(ffn, W_1=replace(ffn.W_1, blocks=tuple(sorted((*ffn.W_1.blocks, part)))))
    mutant = with_layer(Claimed(original), number, replace(original.layers[number], ffn=wider)).artifact
    verdict = prove_for_all_dimensions(mutant)
    assert isinstance(verdict, hw.Unknown) and "overlap" in verdict.reason
    assert isinstance(check_exactly(mutant, 3), hw.Refuted)


@pytest.mark.parametrize("name", MODELS)
def test_wrong_hints_make_a_proof_fail_or_change_nothing(name: str) -> None:
    """Names are untrusted: a wrong time, place or node may only lose the proof of weights that are right."""
    original = MODELS[name]().artifact
    doubled = (
        with_matrix(Claimed(original), place, with_entry(place.matrix, *at, 2 * value))
        for place in places(original)
        for at, value in entries_of(place.matrix).items()
        if place.name == "W_1"
    )
    broken = next(m.artifact for m in doubled if m is not None and isinstance(check_exactly(m.artifact, 3), hw.Refuted))
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
