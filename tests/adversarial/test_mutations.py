"""Wrong models must not be proved: single changes of small models, shown to `hw.verify`, to the checker and to the proof alone.

`headwright mutate` shows far more (docs/benchmarks/mutation.md). A mutant that is accepted must be proved to be the same
function; and the harness must see a judge that accepts too much.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import sympy

import headwright as hw
from headwright.compiler.artifact import Artifact
from headwright.compiler.weights import Block, BlockMatrix
from headwright.proofs_check import strategies as hws
from headwright.proofs_check.equivalence import compare, unread
from headwright.proofs_check.exact import check_exactly, exact_degree
from headwright.proofs_check.mutations import (
    Claimed,
    block_families,
    entries_of,
    places,
    structure_families,
    weight_families,
    with_entry,
    with_matrix,
)
from headwright.proofs_check.symbolic import prove_for_all_dimensions
from headwright.runtime import mutate, mutate_report
from headwright.runtime.cli import main
from headwright.runtime.compiled import Compiled
from headwright.runtime.mutate import ACCEPTED, REFUTED, Opinion
from headwright.runtime.mutate_subjects import subjects

RANDOM = hws.from_source(
    't0 = A.T @ (B - 2 * A)\nt1 = t0 @ M + M.T\nt2 = t1 @ u\nreturn {"t1": t1, "w": t2 - s * u, "p": t2 @ t2}'
)


def least_squares(n: int = 3, d: int = 2) -> hw.Compiled:
    return hw.constructions.get("least_squares").compile(n=n, d=d, steps=2, alpha=Fraction(1, 4), init="identity")


def newton(n: int = 3, d: int = 2) -> hw.Compiled:
    return hw.constructions.get("newton_inverse").compile(d=d, steps=2, start="input")


def random_program(n: int = 3, d: int = 2) -> hw.Compiled:
    return hw.compile(RANDOM, dims={"n": n, "d": d, "k": 2})


@hw.program
def hinges(A: hw.Matrix["n", "d"], x: hw.Vector["d"]):
    """Biases, and a value that later units clear or overwrite."""
    z = hw.apply(lambda t: sympy.Max(t, Fraction(1, 2)) - 3 * sympy.Max(-t, 2), A @ x, domain=(-9, 9), tol=0.1)
    return hw.relu(A.T @ z - 1 * hw.ones("d"))


def with_units(n: int = 3, d: int = 2) -> hw.Compiled:
    return hw.compile(hinges, dims={"n": n, "d": d})


@hw.program
def scaled(A: hw.Matrix["n", "d"], y: hw.Vector["n"]):
    """One row of the stream is read for all rows of a block."""
    hw.signs(y)
    B = hw.diag(y) @ A
    return {"B": B, "S": B.T @ hw.relu(A)}


def scaled_rows(n: int = 3, d: int = 2) -> hw.Compiled:
    return hw.compile(scaled, dims={"n": n, "d": d})


MODELS = {
    "least_squares": least_squares, "newton_inverse": newton, "random program": random_program, "units": with_units,
    "scaled rows": scaled_rows,
}  # fmt: skip

#: Of so many changes of a block one is tried, for the time that all of them take.
STRIDE = {"least_squares": 3, "newton_inverse": 1, "random program": 4, "units": 4, "scaled rows": 6}


@cache
def subject(title: str) -> Compiled:
    (found,) = [s for s in subjects() if s.title.startswith(title)]
    return found.make()


def claimed(model: Compiled) -> Claimed:
    return Claimed(model.artifact, model.bounds, model.theory)


def degree_of(artifact: Artifact) -> int:
    return max((d for d in exact_degree(artifact.graph).values() if d), default=1)


# -- the harness -------------------------------------------------------------------------------------------------------

SAMPLED = (
    "gd_plus_plus", "newton_inverse (d=2 steps=3 start=input", "least_squares (n=3 d=2 m=4 steps=3 alpha=1/16 init=gram",
    "least_squares_minimal (n=3 d=2 m=4 spectrum=1/16,1 tol=1/16 prefer=layers)", "products on gated", "network on masked",
)  # fmt: skip


@pytest.mark.parametrize("title", SAMPLED)
def test_verify_kills_every_mutant_that_is_not_proved_the_same(title: str) -> None:
    model = subject(title)
    result = mutate.examine(title, model, {"verify": mutate.by_verify(model.artifact)}, sample=50, small=0)
    assert not result.survivors and not result.crashes
    assert result.mutants >= 40 and result.count("verify", REFUTED) > result.mutants // 3
    assert result.count("verify", ACCEPTED) == result.equivalent("verify")


@pytest.mark.parametrize("title", ["newton_inverse (d=2 steps=3 start=input", "products on gated"])
def test_the_checker_kills_every_wrong_weight(title: str, tmp_path: Path) -> None:
    model = subject(title)
    judge, _ = mutate.by_checker(model, tmp_path)
    original = claimed(model)
    killed = 0
    for family in (*weight_families(original), *structure_families(original)):
        for mutant in family.sample(6, mutate.random.Random(1)):
            opinion = judge(mutant.claimed)
            killed += opinion.killed
            assert opinion.killed or compare(mutant.claimed.artifact, model.artifact).equivalent, mutant.place
    assert killed >= 15
    assert judge(original) == Opinion(ACCEPTED)


def test_a_judge_that_counts_instead_of_computing_lets_mutants_survive() -> None:
    """The harness can fail: sizes alone say nothing about weights."""
    model = subject("newton_inverse (d=2 steps=3 start=input")
    assert model.bounds is not None

    def by_sizes(found: Claimed) -> Opinion:
        refuted = any(not isinstance(c.verdict, hw.Proved) for c in model.bounds.check(found.artifact))
        return Opinion(REFUTED) if refuted else Opinion(ACCEPTED)

    judges = {"sizes": by_sizes, "verify": mutate.by_verify(model.artifact)}
    result = mutate.examine("newton", model, judges, sample=60, small=0)
    assert {s.judge for s in result.survivors} == {"sizes"} and not result.holds
    assert {s.answer for s in result.survivors} <= {"different", "undecided"}
    assert Counter(s.kind for s in result.survivors)["weight nudged"] >= 3
    report = mutate_report.Report(60, 0, (result,))
    assert not report.holds and any(line.startswith("SURVIVES sizes") for line in mutate_report.summary(report))


def test_a_judge_that_crashes_is_reported() -> None:
    model = subject("newton_inverse (d=2 steps=3 start=input")

    def falls(found: Claimed) -> Opinion:
        raise RuntimeError("too deep")

    result = mutate.examine("newton", model, {"verify": falls}, sample=8, small=0)
    assert not result.holds and result.crashes and "too deep" in result.crashes[0]


def test_the_command_writes_both_files_or_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["mutate", "--only", "optimal_single_layer", "--sample", "10", "--workers", "1", "--json", "-o", str(tmp_path)]
    status = main(asked)
    data = json.loads(capsys.readouterr().out)
    assert status == (0 if data["holds"] else 1) and data["models"][0]["mutants"] >= 40
    stored = json.loads((tmp_path / "mutation.json").read_text(encoding="utf-8"))
    assert {**stored, "written": data["written"]} == data
    assert "optimal_single_layer" in (tmp_path / "mutation.md").read_text(encoding="utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mutation.json", "mutation.md"]
    assert main(["mutate", "--only", "no_such_model"]) == 2
    assert "mutate knows no model 'no_such_model'" in capsys.readouterr().err


def test_a_small_model_has_every_change_of_its_weights_and_a_large_one_a_sample() -> None:
    found = mutate.families(claimed(subject("gd_plus_plus")))
    weights = {f.kind: f.count for f in found if f.kind.startswith("weight ")}
    every, sampled = mutate.quotas(found, 100), mutate.quotas(found, 100, small=0)
    assert {kind: every[kind] for kind in weights} == weights
    assert 100 <= sum(every.values()) - sum(weights.values()) <= 100 + len(found)
    assert 100 <= sum(sampled.values()) <= 100 + len(found)


# -- mutants -----------------------------------------------------------------------------------------------------------


def test_one_entry_changes_and_nothing_else() -> None:
    original = claimed(random_program())
    for family in weight_families(original):
        for mutant in family.sample(12, mutate.random.Random(2)):
            pairs = zip(places(original.artifact), places(mutant.claimed.artifact), strict=True)
            changed = [(a, b) for a, b in pairs if entries_of(a.matrix) != entries_of(b.matrix)]
            assert len(changed) == 1, mutant.place
            before, after = (entries_of(place.matrix) for place in changed[0])
            different = [at for at in before.keys() | after.keys() if before.get(at) != after.get(at)]
            assert len(different) == (2 if family.kind == "weight moved" else 1), mutant.place
            assert np.array_equal(changed[0][1].matrix.dense(), changed[0][1].matrix.exact().astype(float))


def test_what_differs_without_being_read_is_seen_and_what_is_read_is_not() -> None:
    model = newton()
    artifact = model.artifact
    key = next(p for p in places(artifact) if p.name == "W_K")
    free = next(i for i in range(artifact.d_model) if all(i != at[0] for at in entries_of(key.matrix)))
    original = claimed(model)
    alone = with_matrix(original, key, with_entry(key.matrix, free, 0, Fraction(7)))  # a row of the key space without a query
    assert alone is not None and unread(alone.artifact, artifact)
    assert compare(alone.artifact, artifact).kind == "unread"
    row, col = next(iter(entries_of(key.matrix)))
    doubled = with_matrix(original, key, with_entry(key.matrix, row, col, Fraction(7)))
    assert doubled is not None and not unread(doubled.artifact, artifact)
    assert compare(doubled.artifact, artifact).kind == "different"


# -- the proof for all dimensions, alone -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_the_proof_for_all_dimensions_is_sound_by_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every change of a block, a head, a layer: what the proof accepts is the same function, also at other sizes."""
    made, accepted = 0, []
    original = claimed(MODELS[name]())
    assert isinstance(prove_for_all_dimensions(original.artifact), hw.Proved)
    others = [claimed(MODELS[name](*sizes)) for sizes in ((4, 2), (2, 3))]
    families = [(*block_families(c), *structure_families(c)) for c in (original, *others)]
    for k, family in enumerate(families[0]):
        for index in range(k % 2, family.count, STRIDE[name]):
            mutant = family.make(index)
            made += mutant is not None
            if mutant is None or not isinstance(prove_for_all_dimensions(mutant.claimed.artifact), hw.Proved):
                continue
            accepted.append(mutant.place)
            assert compare(mutant.claimed.artifact, original.artifact).equivalent, mutant.place
            for there, at in zip(others, families[1:], strict=True):
                same_place = at[k].make(index) if k < len(at) and at[k].count == family.count else None
                if same_place is not None and isinstance(prove_for_all_dimensions(same_place.claimed.artifact), hw.Proved):
                    assert compare(same_place.claimed.artifact, there.artifact).equivalent, same_place.place
    with capsys.disabled():
        print(f"\n{name}: the proof alone refuses {made - len(accepted)} of {made}, {len(accepted)} are the same")
    assert made - len(accepted) >= 60


@pytest.mark.parametrize("name", MODELS)
def test_a_refutation_is_never_for_lack_of_difference(name: str) -> None:
    """The sanity of the oracle: a mutant that `exact` refutes is never proved to be the same."""
    original = claimed(MODELS[name]())
    degree = degree_of(original.artifact)
    for family in block_families(original):
        for mutant in family.sample(15, mutate.random.Random(3)):
            artifact = mutant.claimed.artifact
            verdict = check_exactly(artifact, degree)
            if isinstance(verdict, hw.Refuted) and "called" not in verdict.counterexample:  # a label may be what is wrong
                assert not compare(artifact, original.artifact).equivalent, mutant.place


def test_a_refutation_is_a_counterexample_that_names_output_and_values() -> None:
    model = newton()
    place = places(model.artifact)[0]
    row, col = next(iter(entries_of(place.matrix)))
    wrong = with_matrix(claimed(model), place, with_entry(place.matrix, row, col, Fraction(2)))
    assert wrong is not None
    certificate = hw.verify(Compiled(wrong.artifact))
    assert isinstance(certificate["exact"], hw.Refuted) and isinstance(certificate["identity"], hw.Refuted)
    assert "output" in certificate["exact"].counterexample and "from the weights" in certificate["exact"].counterexample
    assert not certificate.all_proved and "REFUTED" in str(certificate)


def test_a_wrong_label_is_refuted_with_its_place() -> None:
    model = newton()
    rows = list(model.artifact.rows)
    first, second = list(rows[1])[:2]
    rows[1] = {**rows[1], first: rows[1][second], second: rows[1][first]}
    verdict = hw.verify(Compiled(replace(model.artifact, rows=tuple(rows))))["exact"]
    assert isinstance(verdict, hw.Refuted)
    assert "after layer 1" in verdict.counterexample and f"are called {first}" in verdict.counterexample


def test_a_program_without_a_meaning_at_its_sizes_is_refuted() -> None:
    model = subject("gd_plus_plus")
    graph = model.artifact.graph
    wrong = replace(model.artifact, graph=replace(graph, sizes={**graph.sizes, "d": graph.sizes["d"] + 1}))
    assert "a constant of shape" in str(hw.verify(Compiled(wrong)))
    assert not hw.verify(Compiled(wrong)).all_proved


def test_blocks_that_overlap_are_refused_or_mean_the_same_to_proof_and_runtime() -> None:
    """Two halves on one place must not be proved while the dense matrix holds only one of them."""
    model = newton()
    place = places(model.artifact)[0]
    first: Block = place.matrix.blocks[0]
    half = replace(first, coefficient=first.coefficient / 2)
    blocks = (half, half, *place.matrix.blocks[1:])
    layers = list(model.artifact.layers)
    head = replace(layers[0].heads[0], **{place.name: BlockMatrix(place.matrix.d_model, blocks)})
    layers[0] = replace(layers[0], heads=(head, *layers[0].heads[1:]))
    halves = Compiled(replace(model.artifact, layers=tuple(layers)))
    if hw.verify(halves).all_proved:
        inputs = {"A": np.array([[1.0, 2.0], [0.0, 1.0]]), "X0": np.array([[1.0, 0.0], [1.0, 1.0]])}
        want = model(**inputs)
        assert np.array_equal(halves(**inputs), want)
        assert np.array_equal(halves.run(inputs, dense=True), want), "proved, but the dense weights compute something else"
