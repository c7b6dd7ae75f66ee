"""`headwright mutate`: wrong models made from right ones by a single change, and who notices.

Two judges see every mutant: `hw.verify`, and the independent checker on the mutant saved as a model folder, with its hashes
and floats made anew, so that only the mathematics can refuse it. A mutant that a judge accepts is proved to be the same
function (`proofs_check.equivalence`), or it is a survivor: then the judge is wrong, and the command ends with status 1.
Changes of what only program.json states, errors and fits, are for the checker alone.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeAlias

from ..compiler.artifact import Artifact
from ..compiler.errors import HeadwrightError
from ..proofs_check import checker
from ..proofs_check.certificate import Proved, Refuted
from ..proofs_check.equivalence import Answer, compare
from ..proofs_check.exact import decode, encode, exact_degree, malformed, points, program_at, run, streams
from ..proofs_check.modular import MODULAR
from ..proofs_check.mutations import Claimed, Family, Mutant, block_families, structure_families, weight_families
from ..proofs_check.mutations_of_claims import families_of_claims
from ..proofs_check.mutations_of_errors import STATED, stated_families, weaker
from ..proofs_check.verify import verify_artifact
from . import checkpoint, normal_form
from .compiled import Compiled
from .progress import track
from .workers import worker_pool

SAMPLE, SEED = 1000, 0

#: A model with at most so many changes of weights that are not 0 is small: all of them are tried.
SMALL = 2000

ACCEPTED, REFUTED, UNKNOWN, REFUSED, UNCHECKED, CRASHED = "accepted", "refuted", "unknown", "refused", "unchecked", "crashed"
CHECKER = "checker"  # the judge that goes by files
UNSEEN = "unseen"  # the files that the judge goes by are the model's own, byte for byte


@dataclass(frozen=True)
class Opinion:
    """What a judge says of a mutant, and which claim decided it."""

    outcome: str
    detail: str = ""

    @property
    def killed(self) -> bool:
        return self.outcome not in (ACCEPTED, UNSEEN)


Judge: TypeAlias = Callable[[Claimed], Opinion]


def by_verify(original: Artifact) -> Judge:
    """`hw.verify`: accepted when every claim is proved. Where the outputs differ at the point at which `verify` compares them,
    it refutes; so this is looked at first, from the first layer on that is not the original's."""
    inputs, want = program_at(original.graph, MODULAR, 0)
    degree = max((d for d in exact_degree(original.graph).values() if d), default=1)
    before = list(streams(original, encode(original, inputs, MODULAR), MODULAR))

    def refuted(artifact: Artifact) -> bool:
        if replace(artifact, layers=original.layers) != original or (MODULAR, 0) not in points(artifact, degree):
            return False
        same = sum(1 for _ in takewhile(lambda pair: pair[0] is pair[1], zip(artifact.layers, original.layers, strict=False)))
        rest = replace(artifact, layers=artifact.layers[same:])
        got = decode(rest, run(rest, before[same], MODULAR), MODULAR)
        return any((got[output.name] != want[output.node]).any() for output in original.graph.outputs)

    def judge(claimed: Claimed) -> Opinion:
        if not malformed(claimed.artifact) and refuted(claimed.artifact):
            return Opinion(REFUTED, "exact")
        certificate = verify_artifact(claimed.artifact, claimed.bounds, claimed.theory)
        bad = [claim for claim in certificate.claims if not isinstance(claim.verdict, Proved)]
        if not bad:
            return Opinion(ACCEPTED)
        wrong = [claim.name for claim in bad if isinstance(claim.verdict, Refuted)]
        return Opinion(REFUTED, wrong[0]) if wrong else Opinion(UNKNOWN, bad[0].name)

    return judge


def by_checker(model: Compiled, folder: Path) -> tuple[Judge, tuple[str, ...]]:
    """The checker, on a folder that is written for each mutant; and the claims that it does not decide for the model itself.

    A mutant is killed by a verdict that is worse than the one on the model. It is unseen where it changes nothing but
    model.json, which only `headwright` reads: then what the other files state is what they state of the model. So it is where
    only errors and their hypotheses change: the files state an error that is derived anew, not the mutant's, and it holds.
    """

    def results(claimed: Claimed) -> tuple[dict[str, str], dict[str, bytes]]:
        copy = Compiled(claimed.artifact, None, model.constants)
        copy.construction, copy.bounds, copy.theory = model.construction, claimed.bounds, claimed.theory
        with tempfile.TemporaryDirectory(dir=folder) as place:
            found: dict[str, str] = {}
            if claimed.stated is None:
                saved = checkpoint.save(copy, Path(place) / "mutant")
            else:
                saved = checkpoint.restate(original, Path(place) / "mutant", claimed.stated)
            for name, verdict, _ in checker.check(saved):
                found[name] = max(found.get(name, ""), verdict, key=_SEVERITY.index)  # of several of one name the worst
            return found, {path.name: path.read_bytes() for path in saved.iterdir() if path.name not in _OURS}

    original = checkpoint.save(model, folder / "original")
    before, stated = results(Claimed(model.artifact, model.bounds, model.theory))

    def judge(claimed: Claimed) -> Opinion:
        try:
            found, files = results(claimed)
        except checker.Refused:
            return Opinion(REFUSED, "format")
        except (HeadwrightError, ValueError, IndexError) as failure:  # it has no weights to write
            return Opinion(REFUSED, f"not saved: {type(failure).__name__}")
        worse = [name for name in before if found.get(name, "missing") not in ("HOLDS", before[name])]
        refused = [name for name in worse if found.get(name) != "UNCHECKED"]
        if worse:
            return Opinion(REFUSED, refused[0]) if refused else Opinion(UNCHECKED, worse[0])
        mutant = claimed.artifact
        anew = mutant.layers == model.artifact.layers and mutant.lowered != model.artifact.lowered
        return Opinion(UNSEEN) if anew or (files == stated and mutant != model.artifact) else Opinion(ACCEPTED)

    return judge, tuple(name for name, verdict in before.items() if verdict != "HOLDS")


#: Files of which the checker looks at hashes only.
_OURS = (checkpoint.MODEL, checkpoint.README, checkpoint.MANIFEST)

#: Verdicts of the checker, from good to bad.
_SEVERITY = ("", "HOLDS", "UNCHECKED", "REFUSED")


def scratch() -> str | None:
    """A folder in memory for what is written and read once; None: the usual one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


# -- one model --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Survivor:
    """A mutant that a judge accepts though it is not proved to be the same."""

    kind: str
    place: str
    judge: str
    answer: str
    how: str


@dataclass
class Tally:
    """Mutants of one kind. opinions: for every judge how often each outcome; equivalent: proved equal, by argument, among
    those that some judge accepts."""

    possible: int = 0
    mutants: int = 0
    opinions: dict[str, dict[str, int]] = field(default_factory=dict)
    equivalent: dict[str, int] = field(default_factory=dict)
    accepted_equivalent: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What became of the mutants of one model."""

    title: str
    sample: int
    seed: int
    layers: int
    rows: int
    weights: int
    unchecked: tuple[str, ...]
    tallies: Mapping[str, Tally]
    survivors: tuple[Survivor, ...]
    crashes: tuple[str, ...]
    seconds: float

    @property
    def mutants(self) -> int:
        return sum(t.mutants for t in self.tallies.values())

    def count(self, judge: str, *outcomes: str) -> int:
        return sum(t.opinions[judge].get(o, 0) for t in self.tallies.values() if judge in t.opinions for o in outcomes)

    def shown(self, judge: str) -> int:
        """How many mutants the judge saw."""
        return sum(sum(t.opinions.get(judge, {}).values()) for t in self.tallies.values())

    def equivalent(self, judge: str) -> int:
        """Mutants that the judge accepts and that are proved to be the same."""
        return sum(t.accepted_equivalent.get(judge, 0) for t in self.tallies.values())

    @property
    def holds(self) -> bool:
        return not self.survivors and not self.crashes


def families(claimed: Claimed) -> list[Family]:
    """All kinds of changes that the model has."""
    made = [*weight_families(claimed), *block_families(claimed), *structure_families(claimed), *families_of_claims(claimed)]
    return [family for family in made if family.count]


def quotas(found: Sequence[Family], sample: int, small: int = SMALL) -> dict[str, int]:
    """How many mutants of each kind are tried. In a small model every change of a weight that is there, and `sample` others;
    in a large one `sample` in all. Half of what is drawn are changes of one weight."""
    shares = {f.kind: 1.0 if f.kind.startswith("weight ") or f.kind == "spurious weight" else 0.5 for f in found}
    single = {f.kind: f.count for f in found if f.kind.startswith("weight ")}
    out = single if sum(single.values()) <= small else dict[str, int]()
    left = float(sample)
    for family in sorted((f for f in found if f.kind not in out), key=lambda f: f.count):
        share = left * shares[family.kind] / sum(shares[f.kind] for f in found if f.kind not in out)
        out[family.kind] = min(family.count, round(share) + 1)  # what small families do not need goes to the others
        left -= out[family.kind]
    return out


def mutants(found: Sequence[Family], number: Mapping[str, int], seed: int) -> Iterator[Mutant]:
    """The mutants to try, so many of each kind; the same for the same seed."""
    for family in found:
        yield from family.sample(number[family.kind], random.Random(f"{seed} {family.kind}"))


def examine(
    title: str,
    model: Compiled,
    judges: Mapping[str, Judge],
    sample: int = SAMPLE,
    seed: int = SEED,
    small: int = SMALL,
    unchecked: Sequence[str] = (),
    program: Mapping[str, Any] | None = None,
    shown: Callable[[Iterator[Mutant], int], Iterator[Mutant]] = lambda found, total: found,
) -> Result:
    """Shows the mutants to every judge. small: a model with more changes of its weights is sampled; `program`: the contents of
    program.json, of which the statements are changed for the judge named `checker`; `shown`: a progress bar."""
    begun = time.monotonic()
    original = Claimed(model.artifact, model.bounds, model.theory, program)
    found, stated = families(replace(original, stated=None)), [] if program is None else stated_families(original, program)
    tallies = {f.kind: Tally(f.count, opinions={name: {} for name in judges}) for f in (*found, *stated)}
    survivors: list[Survivor] = []
    crashes: list[str] = []
    number = {**quotas(found, sample, small), **quotas(stated, sample)}
    for mutant in shown(mutants([*found, *stated], number, seed), sum(number.values())):
        tally = tallies[mutant.kind]
        tally.mutants += 1
        accepting = []
        for name, judge in judges.items():
            if mutant.kind in STATED and name != CHECKER:
                continue
            try:
                opinion = judge(mutant.claimed)
            except Exception as failure:  # a judge has to say what is wrong, not to fall over it
                opinion = Opinion(CRASHED, f"{type(failure).__name__} {failure}")
                crashes.append(f"{name}: {mutant.kind}: {mutant.place}: {opinion.detail}")
            tally.opinions[name][opinion.outcome] = tally.opinions[name].get(opinion.outcome, 0) + 1
            accepting += [name] if opinion.outcome == ACCEPTED else []
        if accepting:
            answer = classify(mutant, original)
            for name in accepting if answer.equivalent else ():
                tally.accepted_equivalent[name] = tally.accepted_equivalent.get(name, 0) + 1
            if answer.equivalent:
                tally.equivalent[answer.kind] = tally.equivalent.get(answer.kind, 0) + 1
            else:
                survivors += [Survivor(mutant.kind, mutant.place, name, answer.kind, answer.how) for name in accepting]
    weights = sum(m.nonzeros for layer in model.artifact.layers for m in layer.matrices)
    return Result(
        title, sample, seed, model.depth, model.d_model, weights, tuple(unchecked),
        {k: t for k, t in tallies.items() if t.mutants}, tuple(survivors), tuple(crashes), time.monotonic() - begun,
    )  # fmt: skip


def classify(mutant: Mutant, original: Claimed) -> Answer:
    """Whether what is stated of the mutant is still true."""
    if mutant.false:
        return Answer("different", mutant.false)
    changed = mutant.claimed
    if changed.stated is not None and original.stated is not None:
        why = weaker(changed.stated, original.stated)
        return Answer("weaker", why) if why else Answer("undecided", "another statement about errors")
    same = (changed.bounds, changed.theory) == (original.bounds, original.theory)
    if not same or changed.artifact.lowered != original.artifact.lowered:
        return Answer("undecided", "a statement about errors")
    return compare(changed.artifact, original.artifact)


# -- all models --------------------------------------------------------------------------------------------------------


def run_subject(title: str, sample: int, seed: int, quiet: bool = True) -> Result:
    """Compiles one model and shows its mutants to both judges."""
    from .mutate_subjects import subjects

    (model,) = [subject.make() for subject in subjects() if subject.title == title]
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        checking, unchecked = by_checker(model, Path(folder))
        judges = {"verify": by_verify(model.artifact), CHECKER: checking}
        program = json.loads(normal_form.checked_files(model)[normal_form.PROGRAM])
        bar = (lambda found, total: track(found, title[:40], total, "mutant")) if not quiet else lambda found, total: found
        return examine(title, model, judges, sample, seed, SMALL, unchecked, program, bar)


def campaign(titles: Sequence[str], sample: int, seed: int, workers: int = 1, quiet: bool = False) -> tuple[Result, ...]:
    """The results of all models, in their order. With several workers, fresh processes share the models."""
    if min(workers, len(titles)) <= 1:
        return tuple(run_subject(title, sample, seed, quiet) for title in titles)
    shown = (lambda found: found) if quiet else lambda found: track(found, "mutating", len(titles), "model")
    with worker_pool(workers, "mutate") as submit:
        order = titles[::-1]  # the large ones first
        waiting = dict(zip(submit(run_subject, ((title, sample, seed) for title in order)), order, strict=True))
        done = {waiting[future]: future.result() for future in shown(as_completed(waiting))}
    return tuple(done[title] for title in titles)
