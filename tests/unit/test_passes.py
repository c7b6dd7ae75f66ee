"""Invariants of the passes: select → place → schedule → allocate → merge → weights."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headwright as hw
from headwright.compiler import weights
from headwright.compiler.algebra import Poly
from headwright.compiler.allocate import Habits, allocate
from headwright.compiler.dims import size_of
from headwright.compiler.graph import Graph, evaluate
from headwright.compiler.ir import Copy, Layout, Plan, Ref, Slot, SlotHead, SlotTerm
from headwright.compiler.layout import label_rows
from headwright.compiler.merge import coefficients, merge
from headwright.compiler.ops import EXACT
from headwright.compiler.place import Taste, is_identity, place
from headwright.compiler.schedule import schedule
from headwright.compiler.select import Choices, select
from headwright.compiler.weights import Block, BlockMatrix, build_layer, slot_starts
from headwright.proofs_check import strategies as hws


def program_graph(case: hws.Case) -> Graph:
    return case.program.trace(case.sizes, {})


def plans(graph: Graph) -> Iterator[Plan]:
    for forms in (True, False):
        for inline in (Choices().inline, "all"):
            for parts in (2, 3):
                yield select(graph, Choices(forms=forms, inline=inline, parts=parts))


def layouts(graph: Graph) -> Iterator[Layout]:
    plan = select(graph, Choices())
    for flip in (False, True):
        placement = place(plan, (flip,) * len(plan.outputs), Taste())
        for late in (False, True):
            for early_erase in (False, True):
                yield allocate(schedule(placement, late=late), Habits(early_erase))


def values_of(plan: Plan, case: hws.Case) -> dict[int, np.ndarray]:
    """What the stored values and forms of a plan are, in exact arithmetic, on the inputs of the case."""
    two_d = {n: a.reshape(a.shape + (1,) * (2 - a.ndim)) for n, a in case.inputs.items()}
    sizes, found = plan.graph.sizes, {}

    def polynomial(poly: Poly) -> np.ndarray:
        total = np.zeros([size_of(d, sizes) for d in poly.shape], dtype=object)
        for word, c in poly:
            product = np.eye(size_of(poly.shape[0], sizes), dtype=int).astype(object)
            for atom, flipped in word:
                product = product.dot(matrix(atom).T if flipped else matrix(atom))
            total = total + c * product
        return total

    def matrix(atom: int) -> np.ndarray:
        if atom not in found:
            value = plan.values.get(atom)
            if value is None:
                found[atom] = polynomial(plan.forms[atom])
            elif value.poly is not None:
                found[atom] = polynomial(value.poly)
            elif value.leaf.kind == "eye":
                found[atom] = np.eye(size_of(value.shape[0], sizes), dtype=int).astype(object)
            else:
                found[atom] = evaluate(plan.graph, two_d, EXACT, [value.leaf.node])[value.leaf.node]
        return found[atom]

    return {atom: matrix(atom) for atom in plan.values}


@given(hws.cases())
def test_selection_preserves_meaning(case: hws.Case) -> None:
    graph = program_graph(case)
    want = case.program.reference(**case.inputs)
    for plan in plans(graph):
        values = values_of(plan, case)
        assert [spec.name for spec, _, _ in plan.outputs] == [o.name for o in graph.outputs]
        for spec, atom, flipped in plan.outputs:
            value = values[atom].T if flipped else values[atom]
            assert (value.reshape(np.shape(want[spec.name])) == want[spec.name]).all(), case.source


@given(hws.cases())
def test_selected_words_fit_one_head_and_read_what_exists(case: hws.Case) -> None:
    for plan in plans(program_graph(case)):
        for value in plan.values.values():
            if value.poly is None:
                continue
            assert value.poly.degree() <= 3, "a word longer than one head can multiply"
            for atom in value.poly.letters():
                read = plan.forms[atom].letters() if atom in plan.forms else {atom}
                assert all(plan.values[a].level < value.level for a in read), "a value reads one that is not there yet"


@given(hws.cases())
def test_no_copy_is_read_before_it_is_written_or_after_its_last_reading(case: hws.Case) -> None:
    plan = select(program_graph(case), Choices())
    for flip in (False, True):
        placement = place(plan, (flip,) * len(plan.outputs), Taste())
        depths = set()
        for late in (False, True):
            scheduled = schedule(placement, late=late)
            depths.add(scheduled.depth)
            for copy, all_alternatives in placement.terms.items():
                for alternatives in all_alternatives:
                    for term in alternatives:
                        for _, source in (*term.V, *term.K, *term.Q):
                            if not is_identity(source):
                                assert scheduled.layer[source] < scheduled.layer[copy] <= scheduled.depth
                                assert scheduled.last_read[source] >= scheduled.layer[copy]
            for _, copy, _ in placement.outputs:
                assert scheduled.last_read[copy] == scheduled.depth + 1
        assert len(depths) == 1, "a late schedule is as deep as an early one"


@given(hws.cases())
def test_no_two_live_copies_share_a_slot(case: hws.Case) -> None:
    graph = program_graph(case)
    for layout in layouts(graph):
        plan = layout.schedule
        for boundary in range(plan.depth + 1):
            holders: dict[Slot, Copy] = {}
            for copy, slot in layout.slot_of.items():
                assert slot.height == copy.rows
                begin, end = (0, plan.depth + 1) if is_identity(copy) else (plan.layer[copy], plan.last_read[copy])
                if begin <= boundary < end or (begin == boundary == end):
                    assert slot not in holders, f"{copy} and {holders[slot]} share {slot} after layer {boundary}"
                    holders[slot] = copy
        starts, d_model = slot_starts(layout.slots, graph.sizes)
        for labels in label_rows(layout, starts):
            rows = [r for block in labels.values() for r in block]
            assert len(rows) == len(set(rows)) and all(0 <= r < d_model for r in rows)


SLOTS = [Slot(i, "d") for i in range(3)]
REFS = st.sampled_from([Ref(slot) for slot in SLOTS])
TERMS = st.builds(
    SlotTerm,
    st.sampled_from(SLOTS),
    REFS,
    REFS,
    REFS,
    st.sampled_from([Fraction(c) for c in (-3, -2, -1, 1, 2, 5)] + [Fraction(1, 3)]),
)


def heads_as_terms(heads: tuple) -> list[SlotTerm]:
    return [
        SlotTerm(target, source, k, q, v * a * b)
        for head in heads
        for target, source, v in head.V
        for keys, queries in head.KQ
        for k, a in keys
        for q, b in queries
    ]


@given(st.lists(TERMS, max_size=8))
def test_merged_heads_are_exactly_the_terms_without_cancellation_and_no_fewer_than_the_rank(terms: list[SlotTerm]) -> None:
    heads = merge(tuple(((term,),) for term in terms))
    wanted = coefficients(terms)
    made = heads_as_terms(heads)
    assert coefficients(made) == wanted
    for term in made:  # no part of an entry is opposed to the entry, or larger than it
        entry = wanted[term.target, term.V][term.K, term.Q]
        assert term.coefficient * entry > 0 and abs(term.coefficient) <= abs(entry)
    lefts, rights = sorted(wanted), sorted({r for row in wanted.values() for r in row})
    if not wanted:
        assert heads == ()
        return
    # an independent rank: of integers small enough for float64 (entries ≤ 120 after clearing thirds, at most 8 × 8)
    dense = np.array([[float(3 * wanted[left].get(right, 0)) for right in rights] for left in lefts])
    assert np.linalg.matrix_rank(dense) <= len(heads) <= len(wanted)


@given(st.lists(st.lists(TERMS, min_size=1, max_size=2).map(tuple), min_size=1, max_size=3), st.data())
def test_merging_picks_one_of_the_alternatives_of_every_term(firsts: list, data: st.DataObject) -> None:
    alternatives = tuple((first, data.draw(st.lists(TERMS, min_size=1, max_size=2).map(tuple))) for first in firsts)
    heads = merge(alternatives)
    choices = [[]]
    for pair in alternatives:
        choices = [[*chosen, *option] for chosen in choices for option in pair]
    assert coefficients(heads_as_terms(heads)) in [coefficients(chosen) for chosen in choices]
    assert len(heads) == min(len(merge(tuple(((term,),) for term in chosen))) for chosen in choices)


def test_merging_terms_that_cancel_leaves_no_head() -> None:
    a, b = Ref(SLOTS[0]), Ref(SLOTS[1])
    term = SlotTerm(SLOTS[2], a, b, b, Fraction(1))
    assert merge((((term,),), ((SlotTerm(SLOTS[2], a, b, b, Fraction(-1)),),))) == ()


def test_a_newton_step_merges_to_one_head() -> None:
    X, At, I = (Ref(slot) for slot in SLOTS)
    terms = (SlotTerm(SLOTS[0], X, I, I, Fraction(1)), SlotTerm(SLOTS[0], X, At, X, Fraction(-1)))
    (head,) = merge(tuple(((term,),) for term in terms))
    assert ((SLOTS[0], X, Fraction(1)),) == head.V


@given(st.lists(TERMS, min_size=1, max_size=6))
def test_matrices_of_a_layer_compute_its_terms(terms: list[SlotTerm]) -> None:
    sizes, d = {"d": 2}, 2
    starts, d_model = slot_starts(tuple(SLOTS), sizes)
    layer = build_layer(merge(tuple(((term,),) for term in terms)), (), starts, d_model, sizes)
    assert layer.ffn is None
    H = np.array(np.random.default_rng(1).integers(-3, 4, (d_model, 3)).tolist(), dtype=object)
    update = np.zeros((d_model, 3), dtype=object)
    for head in layer.heads:
        V, K, Q = (m.exact().dot(H) for m in head.matrices)
        update = update + V.dot(K.T).dot(Q)
    want = np.zeros((d_model, 3), dtype=object)
    for t in terms:
        V, K, Q = (H[starts[r.slot] : starts[r.slot] + d] for r in (t.V, t.K, t.Q))
        rows = slice(starts[t.target], starts[t.target] + d)
        want[rows] = want[rows] + t.coefficient * V.dot(K.T).dot(Q)
    assert (update == want).all()


def test_dense_weights_are_the_nearest_floats_to_the_exact_ones() -> None:
    matrix = BlockMatrix(5, (Block(0, 2, 2, Fraction(1, 3), "d"), Block(4, 0, 1, Fraction(-2), 1)))
    want = np.zeros((5, 5))
    want[0, 2] = want[1, 3] = 1 / 3
    want[4, 0] = -2
    assert np.array_equal(matrix.dense(), want)
    assert matrix.exact()[1, 3] == Fraction(1, 3)
    assert matrix.nonzeros == np.count_nonzero(want)


def test_compiling_twice_gives_the_same_weights() -> None:
    arguments = {"n": 5, "d": 3, "steps": 3, "alpha": 0.01}
    first, second = (hw.constructions.get("least_squares").compile(**arguments).artifact for _ in range(2))
    assert first == second


@pytest.mark.parametrize("goal", ["balanced", "depth", "heads", "width"])
@given(hws.cases(max_steps=4))
def test_every_goal_gives_the_same_function(goal: str, case: hws.Case) -> None:
    model = hw.compile(case.program, dims=case.sizes, optimize=goal)
    want = case.program.reference(**case.inputs)
    got = model.exact.run(**case.inputs)
    assert all((np.asarray(got[name]) == np.asarray(want[name])).all() for name in want)


def test_the_goals_reach_what_they_promise() -> None:
    @hw.program
    def chain(A: hw.Matrix["d", "d"], B: hw.Matrix["d", "d"]):
        X = A
        for _ in range(2):
            X = 2 * X - X @ B @ X
        return X @ A @ B

    models = {goal: hw.compile(chain, dims={"d": 3}, optimize=goal) for goal in ("balanced", "depth", "heads", "width")}
    assert models["depth"].depth == min(m.depth for m in models.values())
    assert models["width"].d_model == min(m.d_model for m in models.values())
    assert models["heads"].max_heads == min(m.max_heads for m in models.values())


def test_repeated_layers_are_stored_once() -> None:
    short, long = (hw.constructions.get("newton_inverse").compile(d=3, steps=steps, start="input") for steps in (2, 9))
    assert long.n_unique_parameters == short.n_unique_parameters == 3 * long.d_model**2
    assert long.n_parameters == 9 * long.n_unique_parameters


def test_a_stack_higher_than_the_stream_is_multiplied_out_exactly() -> None:
    """(K H)ᵀ (Q H) = Hᵀ (Kᵀ Q) H: one head, whose W_Q is a sum of blocks again; coefficients that cancel leave none."""
    first, second = Slot(0, "d"), Slot(1, "d")
    A, B, e = Ref(first), Ref(second), Ref(first, first=True)
    one, two, half = Fraction(1), Fraction(2), Fraction(1, 2)
    stack = (
        (((A, one), (B, two)), ((B, half),)),
        (((B, one),), ((A, two), (B, -one))),
        (((e, two),), ((e, half),)),
    )
    starts, d_model = slot_starts((first, second), {"d": 3})
    (head,) = build_layer((SlotHead(((first, B, one),), stack),), (), starts, d_model, {"d": 3}).heads
    I = np.eye(3, dtype=int).astype(object) * one
    expected = np.block([[np.diag([one, 0, 0]), I / 2], [2 * I, 0 * I]])
    assert (head.W_K.exact().T.dot(head.W_Q.exact()) == expected).all()
    assert len(head.W_Q.blocks) == 3


@pytest.mark.parametrize(
    ("name", "sizes"), [("least_squares", {"n": 5, "d": 3}), ("newton_inverse_order", {"d": 3, "order": 3})]
)
def test_models_with_every_stack_multiplied_out_are_proved_as_well(name, sizes, monkeypatch) -> None:
    plain = hw.constructions.get(name).compile(**sizes, steps=3, alpha=Fraction(1, 8))
    monkeypatch.setattr(weights, "_fits", lambda heights, d_model: False)
    model = hw.constructions.get(name).compile(**sizes, steps=3, alpha=Fraction(1, 8))
    assert model.artifact.layers != plain.artifact.layers and model.heads_per_layer == plain.heads_per_layer
    assert hw.verify(model).all_proved
