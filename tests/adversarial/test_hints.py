"""Names, row partition, encoding and decoding are hints: wrong ones may cost a proof, and never make a false one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

import headwright as hw
from headwright.compiler.artifact import Artifact
from headwright.compiler.graph import evaluate
from headwright.compiler.layout import Placed
from headwright.compiler.ops import EXACT
from headwright.proofs_check import strategies as hws
from headwright.runtime.compiled import Compiled

RANDOM = hws.from_source(
    't0 = A.T @ (B - 2 * A)\nt1 = t0 @ M + M.T\nt2 = t1 @ u\nreturn {"t1": t1, "w": t2 - s * u, "p": t2 @ t2}'
)

MODELS = {
    "least_squares": lambda: hw.constructions.get("least_squares").compile(n=3, d=2, steps=2, alpha=Fraction(1, 4)),
    "newton_inverse": lambda: hw.constructions.get("newton_inverse").compile(d=2, steps=2, start="input"),
    "random program": lambda: hw.compile(RANDOM, dims={"n": 3, "d": 2, "k": 2}),
}


def is_proved(artifact: Artifact) -> bool:
    """Both proofs. Hints that contradict the shapes may also stop `verify` by an error: no certificate, no proof."""
    try:
        certificate = hw.verify(Compiled(artifact))
    except (ValueError, KeyError, IndexError):
        return False
    return isinstance(certificate["identity"], hw.Proved) and isinstance(certificate["exact"], hw.Proved)


def computes_its_program(artifact: Artifact) -> bool:
    """Whether the weights, as the runtime runs them, compute the program of the artifact (integers: no rounding)."""
    rng = np.random.default_rng(2)
    model, graph = Compiled(artifact), artifact.graph
    for _ in range(3):
        inputs = {}
        for spec in graph.inputs:
            shape = [d if isinstance(d, int) else graph.sizes[d] for d in spec.shape]
            inputs[spec.name] = rng.integers(-4, 5, shape).astype(float)
        flat = {n: np.array(a.tolist(), dtype=object).reshape(a.shape + (1,) * (2 - a.ndim)) for n, a in inputs.items()}
        want = evaluate(graph, flat, EXACT)
        H = model.encode(**inputs)
        for layer in model.layers:
            H = H + sum((h.W_V @ H) @ (h.W_K @ H).T @ (h.W_Q @ H) for h in layer.heads)
        got = model.decode(H)
        got = {"output": got} if graph.single_output else got
        for output in graph.outputs:
            expected = want[output.node].astype(float).reshape(np.shape(got[output.name]))
            # α = 1/4 and small integers: a few dozen bits, so float64 is exact
            if not np.array_equal(got[output.name], expected):
                return False
    return True


def hint_changes(artifact: Artifact) -> Iterator[tuple[str, Artifact]]:
    for i, hint in enumerate(artifact.hints):
        changes = {
            "another node": replace(hint, node=(hint.node or 0) + 1 if (hint.node or 0) + 1 < len(artifact.graph.nodes) else 0),
            "the output node": replace(hint, node=artifact.graph.outputs[0].node),
            "no node": replace(hint, node=None),
            "flipped": replace(hint, flipped=not hint.flipped),
            "a layer earlier": replace(hint, boundary=hint.boundary - 1),
            "a layer later": replace(hint, boundary=hint.boundary + 1),
            "another row": replace(hint, row=(hint.row + 1) % artifact.d_model),
            "another block": replace(hint, row=artifact.partition[0][0]),
            "transposed shape": replace(hint, rows=hint.cols, cols=hint.rows),
        }
        for what, new in changes.items():
            yield f"hint {i} with {what}", replace(artifact, hints=(*artifact.hints[:i], new, *artifact.hints[i + 1 :]))
        yield f"without hint {i}", replace(artifact, hints=artifact.hints[:i] + artifact.hints[i + 1 :])
    yield "no hints at all", replace(artifact, hints=())


def partition_changes(artifact: Artifact) -> Iterator[tuple[str, Artifact]]:
    parts = artifact.partition
    for i, (start, height) in enumerate(parts):
        yield f"without part {i}", replace(artifact, partition=parts[:i] + parts[i + 1 :])
        yield f"part {i} of height 1", replace(artifact, partition=(*parts[:i], (start, 1), *parts[i + 1 :]))
        yield f"part {i} shifted", replace(artifact, partition=(*parts[:i], (start + 1, height), *parts[i + 1 :]))
        yield (
            f"part {i} named n",
            replace(artifact, partition=(*parts[:i], (start, "n" if height == "d" else "d"), *parts[i + 1 :])),
        )
    yield "reversed", replace(artifact, partition=parts[::-1])
    yield "empty", replace(artifact, partition=())


def encoding_changes(artifact: Artifact) -> Iterator[tuple[str, Artifact]]:
    placed = artifact.encoding
    for i, one in enumerate(placed):
        yield f"without {one.name}", replace(artifact, encoding=placed[:i] + placed[i + 1 :])
        yield (
            f"{one.name} flipped",
            replace(artifact, encoding=(*placed[:i], replace(one, flipped=not one.flipped), *placed[i + 1 :])),
        )
        yield f"{one.name} as zeros", replace(artifact, encoding=(*placed[:i], replace(one, kind="zeros"), *placed[i + 1 :]))
        for j in range(i):
            other = placed[j]
            if (one.height, one.width) == (other.height, other.width):
                rows = list(placed)
                rows[i], rows[j] = replace(one, row=other.row), replace(other, row=one.row)
                yield f"{one.name} and {other.name} exchanged", replace(artifact, encoding=tuple(rows))
    for i, one in enumerate(artifact.decoding):
        for start, height in artifact.partition:
            if start != one.row and height == (one.shape[1] if one.flipped else one.shape[0]):
                yield (
                    f"{one.name} read at {start}",
                    replace(artifact, decoding=(*artifact.decoding[:i], replace(one, row=start), *artifact.decoding[i + 1 :])),
                )
        yield (
            f"{one.name} read transposed",
            replace(
                artifact, decoding=(*artifact.decoding[:i], replace(one, flipped=not one.flipped), *artifact.decoding[i + 1 :])
            ),
        )


@pytest.mark.parametrize("changes", [hint_changes, partition_changes, encoding_changes])
@pytest.mark.parametrize("name", MODELS)
def test_a_wrong_hint_never_makes_a_false_proof(name: str, changes) -> None:
    original = MODELS[name]().artifact
    assert is_proved(original) and computes_its_program(original)
    tried, lost = 0, 0
    for what, changed in changes(original):
        if changed == original:
            continue
        tried += 1
        if not is_proved(changed):
            lost += 1
            continue
        assert computes_its_program(changed), f"proved, but wrong: {what}"
    assert tried >= 5
    assert lost > 0, "no wrong hint costs the proof: are they read at all?"


def test_encoding_that_computes_is_not_proved() -> None:
    """Encoding may only place inputs, zeros, ones, identities and compile-time constants. An artifact without layers
    whose encoding evaluates the whole program does nothing inside the transformer."""

    @hw.program
    def gram(A: hw.Matrix["n", "d"]):
        return A.T @ A

    artifact = hw.compile(gram, dims={"n": 3, "d": 2}).artifact
    node = artifact.graph.outputs[0].node
    for kind in ("constant", "ones", "input"):
        cheat = replace(
            artifact,
            d_model=2,
            n_tokens=2,
            layers=(),
            encoding=(Placed(kind, "S", node, 0, 2, 2, False, ("d", "d")),),
            decoding=(Placed("output", "output", node, 0, 2, 2, False, ("d", "d")),),
            partition=((0, "d"),),
            hints=(),
        )
        try:
            certificate = hw.verify(Compiled(cheat))
        except (hw.HeadwrightError, KeyError):
            continue
        assert not isinstance(certificate["identity"], hw.Proved), f"a {kind} that is computed data was taken for a leaf"
        assert not certificate.all_proved


def test_an_assumed_symmetry_is_printed_with_the_proof_and_checked_on_the_data() -> None:
    @hw.program
    def uses(M: hw.Matrix["d", "d"]):
        hw.symmetric(M)
        return M.T @ M

    model = hw.compile(uses, dims={"d": 2})
    verdict = hw.verify(model)["identity"]
    assert isinstance(verdict, hw.Proved) and "given M symmetric" in verdict.how
    S = np.array([[1.0, 2.0], [2.0, 5.0]])
    assert np.array_equal(model(M=S), S @ S)
    with pytest.raises(hw.AssumptionError, match="M is not symmetric") as caught:
        model(M=np.array([[1.0, 2.0], [0.0, 5.0]]))
    assert caught.value.where.code == "hw.symmetric(M)" and caught.value.fix


def test_a_model_is_not_proved_against_another_program() -> None:
    @hw.program
    def left(A: hw.Matrix["d", "d"], B: hw.Matrix["d", "d"]):
        return A @ B

    @hw.program
    def right(A: hw.Matrix["d", "d"], B: hw.Matrix["d", "d"]):
        return B @ A

    model = hw.compile(left, dims={"d": 2})
    other = hw.compile(right, dims={"d": 2})
    assert not is_proved(replace(model.artifact, graph=other.artifact.graph))


def test_equality_at_one_size_is_not_taken_for_an_identity() -> None:
    """At d = 1 every product commutes: equal there, different for d ≥ 2. The identity must not be Proved."""

    @hw.program
    def left(A: hw.Matrix["d", "d"], B: hw.Matrix["d", "d"]):
        return A @ B

    @hw.program
    def right(A: hw.Matrix["d", "d"], B: hw.Matrix["d", "d"]):
        return B @ A

    model, other = (hw.compile(p, dims={"d": 1}) for p in (left, right))
    certificate = hw.verify(Compiled(replace(model.artifact, graph=other.artifact.graph)))
    assert isinstance(certificate["exact"], hw.Proved)
    assert isinstance(certificate["identity"], hw.Unknown)
    assert not certificate.all_proved
