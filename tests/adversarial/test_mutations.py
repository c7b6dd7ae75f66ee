"""Changed weights must not be proved: every single-block mutation of small models, and the kill rate.

A mutant is killed when `identity` and `exact` are not both Proved. A survivor must be genuinely the same function:
the same outputs in exact arithmetic on random inputs, at several sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pytest

import headwright as hw
from headwright.compiler.artifact import Artifact
from headwright.compiler.weights import Block, BlockMatrix, HeadWeights, LayerWeights
from headwright.proofs_check import strategies as hws
from headwright.runtime.compiled import Compiled


def compile_least_squares(n: int = 3, d: int = 2) -> hw.Compiled:
    return hw.constructions.get("least_squares").compile(n=n, d=d, steps=2, alpha=Fraction(1, 4), init="identity")


def compile_newton(n: int = 3, d: int = 2) -> hw.Compiled:
    return hw.constructions.get("newton_inverse").compile(d=d, steps=2, start="input")


RANDOM = hws.from_source(
    't0 = A.T @ (B - 2 * A)\nt1 = t0 @ M + M.T\nt2 = t1 @ u\nreturn {"t1": t1, "w": t2 - s * u, "p": t2 @ t2}'
)


def compile_random(n: int = 3, d: int = 2) -> hw.Compiled:
    return hw.compile(RANDOM, dims={"n": n, "d": d, "k": 2})


MODELS: dict[str, Callable[..., hw.Compiled]] = {
    "least_squares": compile_least_squares,
    "newton_inverse": compile_newton,
    "random program": compile_random,
}
OTHER_SIZES = ((4, 2), (2, 3), (5, 4))

Change = Callable[[Artifact], Artifact | None]  # None: the change makes no sense at this size


@dataclass(frozen=True)
class Mutation:
    name: str
    apply: Change


def with_heads(artifact: Artifact, layer: int, heads: tuple[HeadWeights, ...]) -> Artifact:
    layers = list(artifact.layers)
    layers[layer] = LayerWeights(heads)
    return replace(artifact, layers=tuple(layers))


def with_matrix(artifact: Artifact, layer: int, head: int, name: str, matrix: BlockMatrix) -> Artifact:
    heads = list(artifact.layers[layer].heads)
    heads[head] = replace(heads[head], **{name: matrix})
    return with_heads(artifact, layer, tuple(heads))


def overlaps(blocks: tuple[Block, ...]) -> bool:
    cells = [(b.row + i, b.col + i) for b in blocks for i in range(b.size)]
    return len(cells) != len(set(cells))


def fits(matrix: BlockMatrix) -> bool:
    inside = all(0 <= b.row <= matrix.d_model - b.size and 0 <= b.col <= matrix.d_model - b.size for b in matrix.blocks)
    return inside and not overlaps(matrix.blocks)


def edit(layer: int, head: int, name: str, blocks: Callable[[BlockMatrix], tuple[Block, ...] | None]) -> Change:
    def apply(artifact: Artifact) -> Artifact | None:
        matrix: BlockMatrix = getattr(artifact.layers[layer].heads[head], name)
        changed = blocks(matrix)
        if changed is None:
            return None
        new = BlockMatrix(matrix.d_model, tuple(sorted(changed)))
        return with_matrix(artifact, layer, head, name, new) if fits(new) and new != matrix else None

    return apply


def swapped(blocks: tuple[Block, ...], index: int, block: Block | None) -> tuple[Block, ...]:
    return blocks[:index] + ((block,) if block is not None else ()) + blocks[index + 1 :]


def block_mutations(artifact: Artifact) -> Iterator[Mutation]:
    for i, layer in enumerate(artifact.layers):
        for j, head in enumerate(layer.heads):
            for name in ("W_V", "W_K", "W_Q"):
                where = f"layer {i + 1} head {j + 1} {name}"
                for k in range(len(getattr(head, name).blocks)):
                    changes: dict[str, Callable[[Block], Block | None]] = {
                        "negated": lambda b: replace(b, coefficient=-b.coefficient),
                        "doubled": lambda b: replace(b, coefficient=2 * b.coefficient),
                        "nudged": lambda b: replace(b, coefficient=b.coefficient + Fraction(1, 10**9)),
                        "dropped": lambda b: None,
                        "read one row lower": lambda b: replace(b, col=b.col + 1),
                        "read one row higher": lambda b: replace(b, col=b.col - 1),
                        "written one row lower": lambda b: replace(b, row=b.row + 1),
                        "written one row higher": lambda b: replace(b, row=b.row - 1),
                        "shortened": lambda b: replace(b, size=b.size - 1) if b.size > 1 else None,
                    }
                    for what, change in changes.items():

                        def blocks(
                            m: BlockMatrix, k: int = k, change: Callable = change, what: str = what
                        ) -> tuple[Block, ...] | None:
                            if k >= len(m.blocks):
                                return None
                            new = change(m.blocks[k])
                            return None if new is None and what != "dropped" else swapped(m.blocks, k, new)

                        yield Mutation(f"{where} block {k + 1} {what}", edit(i, j, name, blocks))

                    def moved(m: BlockMatrix, to: int, k: int) -> tuple[Block, ...] | None:
                        return swapped(m.blocks, k, replace(m.blocks[k], col=to)) if k < len(m.blocks) else None

                    for index in range(len(artifact.partition)):

                        def elsewhere(
                            a: Artifact, i: int = i, j: int = j, name: str = name, k: int = k, index: int = index
                        ) -> Artifact | None:
                            if index >= len(a.partition) or k >= len(getattr(a.layers[i].heads[j], name).blocks):
                                return None
                            start, height = a.partition[index]
                            block = getattr(a.layers[i].heads[j], name).blocks[k]
                            same = block.dim in (height, 1)
                            return edit(i, j, name, lambda m: moved(m, start, k))(a) if same else None

                        yield Mutation(f"{where} block {k + 1} reads block of rows {index}", elsewhere)


def structure_mutations(artifact: Artifact) -> Iterator[Mutation]:
    for i, layer in enumerate(artifact.layers):
        for j in range(len(layer.heads)):
            yield Mutation(
                f"layer {i + 1} without head {j + 1}",
                lambda a, i=i, j=j: with_heads(a, i, a.layers[i].heads[:j] + a.layers[i].heads[j + 1 :]),
            )
            yield Mutation(
                f"layer {i + 1} with head {j + 1} twice",
                lambda a, i=i, j=j: with_heads(a, i, (*a.layers[i].heads, a.layers[i].heads[j])),
            )
            for k in range(j):

                def swap_q(a: Artifact, i: int = i, j: int = j, k: int = k) -> Artifact:
                    heads = list(a.layers[i].heads)
                    heads[j], heads[k] = replace(heads[j], W_Q=heads[k].W_Q), replace(heads[k], W_Q=heads[j].W_Q)
                    return with_heads(a, i, tuple(heads))

                yield Mutation(f"layer {i + 1}: the queries of heads {k + 1} and {j + 1} swapped", swap_q)
            yield Mutation(
                f"layer {i + 1} head {j + 1}: W_K and W_V swapped",
                lambda a, i=i, j=j: with_heads(
                    a,
                    i,
                    (
                        *a.layers[i].heads[:j],
                        replace(a.layers[i].heads[j], W_V=a.layers[i].heads[j].W_K, W_K=a.layers[i].heads[j].W_V),
                        *a.layers[i].heads[j + 1 :],
                    ),
                ),
            )
            for name in ("W_V", "W_K", "W_Q"):
                for index in range(len(artifact.partition)):

                    def spurious(a: Artifact, i: int = i, j: int = j, name: str = name, index: int = index) -> Artifact | None:
                        if index >= len(a.partition):
                            return None
                        start, height = a.partition[index]
                        size = height if isinstance(height, int) else a.graph.sizes[height]
                        extra = Block(start, start, size, Fraction(1), height)
                        return edit(i, j, name, lambda m: (*m.blocks, extra))(a)

                    yield Mutation(f"layer {i + 1} head {j + 1} {name}: spurious block on rows {index}", spurious)
        for k in range(i):

            def swap_layers(a: Artifact, i: int = i, k: int = k) -> Artifact | None:
                layers = list(a.layers)
                layers[i], layers[k] = layers[k], layers[i]
                return replace(a, layers=tuple(layers)) if tuple(layers) != a.layers else None

            yield Mutation(f"layers {k + 1} and {i + 1} swapped", swap_layers)


def is_proved(artifact: Artifact) -> bool:
    certificate = hw.verify(Compiled(artifact))
    return isinstance(certificate["identity"], hw.Proved) and isinstance(certificate["exact"], hw.Proved)


def named(outputs: object) -> dict[str, np.ndarray]:
    return {k: np.asarray(v) for k, v in (outputs if isinstance(outputs, dict) else {"output": outputs}).items()}


def same_function(artifact: Artifact, original: Artifact, trials: int = 3) -> bool:
    rng = np.random.default_rng(11)
    mutant, model = Compiled(artifact).exact, Compiled(original).exact
    for _ in range(trials):
        inputs = {}
        for spec in original.graph.inputs:
            shape = [d if isinstance(d, int) else original.graph.sizes[d] for d in spec.shape]
            inputs[spec.name] = np.array(rng.integers(-50, 51, shape).tolist(), dtype=object)
        got, want = named(mutant.run(**inputs)), named(model.run(**inputs))
        if any((got[name] != want[name]).any() for name in want):
            return False
    return True


@pytest.mark.parametrize("kind", ["blocks", "structure"])
@pytest.mark.parametrize("name", MODELS)
def test_no_mutant_that_changes_the_function_is_proved(name: str, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    make = MODELS[name]
    original = make().artifact
    assert is_proved(original)
    others = [make(*sizes).artifact for sizes in OTHER_SIZES]
    mutations = list((block_mutations if kind == "blocks" else structure_mutations)(original))
    made, killed, survivors = 0, 0, []
    for mutation in mutations:
        mutant = mutation.apply(original)
        if mutant is None or mutant == original:
            continue
        made += 1
        if not is_proved(mutant):
            killed += 1
            continue
        survivors.append(mutation.name)
        assert same_function(mutant, original), f"proved although the function changed: {mutation.name}"
        for other in others:
            if [len(layer.heads) for layer in other.layers] == [len(layer.heads) for layer in original.layers]:
                there = mutation.apply(other)
                if there is not None and len(other.partition) == len(original.partition):
                    assert is_proved(there) <= same_function(there, other), f"{mutation.name} at sizes {other.graph.sizes}"
    with capsys.disabled():
        print(f"\n{name}, {kind}: {killed} of {made} mutants killed, {len(survivors)} shown equivalent")
    assert killed >= 10, "too few mutants to mean anything"
    # what is left are blocks that only one of W_K and W_Q has, or that read rows of zeros
    assert all("spurious block" in survivor for survivor in survivors), survivors


@pytest.mark.parametrize("name", MODELS)
def test_a_refusal_is_never_for_lack_of_difference(name: str) -> None:
    """The sanity of the oracle: a mutant that `exact` refutes really computes something else."""
    original = MODELS[name]().artifact
    for mutation in list(block_mutations(original))[::7]:
        mutant = mutation.apply(original)
        if mutant is not None and isinstance(hw.verify(Compiled(mutant))["exact"], hw.Refuted):
            assert not same_function(mutant, original, trials=5), mutation.name


def test_a_refutation_is_a_counterexample_that_names_output_and_values() -> None:
    artifact = compile_newton().artifact
    head = artifact.layers[0].heads[0]
    block = head.W_V.blocks[0]
    wrong = with_matrix(
        artifact,
        0,
        0,
        "W_V",
        BlockMatrix(head.W_V.d_model, (replace(block, coefficient=block.coefficient * 2), *head.W_V.blocks[1:])),
    )
    certificate = hw.verify(Compiled(wrong))
    assert isinstance(certificate["exact"], hw.Refuted) and isinstance(certificate["identity"], hw.Refuted)
    assert "output" in certificate["exact"].counterexample and "from the weights" in certificate["exact"].counterexample
    assert not certificate.all_proved and "REFUTED" in str(certificate)


def test_blocks_that_overlap_are_refused_or_mean_the_same_to_proof_and_runtime() -> None:
    """`BlockMatrix` says that blocks do not overlap. Two halves on one place must not be proved while the dense
    matrix holds only one of them."""
    artifact = compile_newton().artifact
    head = artifact.layers[0].heads[0]
    first = head.W_V.blocks[0]
    half = replace(first, coefficient=first.coefficient / 2)
    try:
        mutant = with_matrix(artifact, 0, 0, "W_V", BlockMatrix(head.W_V.d_model, (half, half, *head.W_V.blocks[1:])))
        model = Compiled(mutant)
        proved = is_proved(mutant)
    except (hw.HeadwrightError, AssertionError, ValueError):
        return
    if proved:
        inputs = {"A": np.array([[1.0, 2.0], [0.0, 1.0]]), "X0": np.array([[1.0, 0.0], [1.0, 1.0]])}
        want = Compiled(artifact)(**inputs)
        assert np.array_equal(model(**inputs), want)
        assert np.array_equal(model.run(inputs, dense=True), want), "proved, but the dense weights compute something else"
