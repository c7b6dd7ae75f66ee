"""The fewest rows of a plan: the integer program against a search through all allocations, and what compiling makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, product

import pytest
from hypothesis import given, settings

from headwright.compiler.allocate import allocate, bare_copies, same_variable
from headwright.compiler.dims import Dim, size_of
from headwright.compiler.engine import Problem, solve, total
from headwright.compiler.errors import ArchitectureError
from headwright.compiler.exact_rows import ExactRows, TooLarge
from headwright.compiler.head_counts import fewest_heads
from headwright.compiler.ir import Copy, Plan, Ref, Slot, SlotTerm, Term, whole
from headwright.compiler.merge import merge
from headwright.compiler.pipeline import candidates, distinct_plans, habits_for
from headwright.compiler.place import is_identity, output_copies, ways
from headwright.proofs_check import strategies as hws

NODES = 300


def fewest(plan: Plan, more: int = 0) -> int:
    exact = ExactRows(plan, 5000, more)
    answer = exact.solve(None, NODES)
    assert answer.status == "optimal" and answer.bound == answer[exact.rows]
    return answer.bound


# -- every allocation, one by one --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Taken:
    """A choice for every term: copies that are stored, with the terms that make them."""

    terms: dict[Copy, tuple[Term, ...]]
    outputs: tuple[Copy, ...]


def sources(plan: Plan, terms: tuple[Term, ...]) -> set[Copy]:
    return {whole(plan, c) for term in terms for form in (term.V, term.K, term.Q) for _, c in form}


def different(plan: Plan, found: list[Term]) -> list[Term]:
    """One of the ways that read the same and add the same as it is."""
    return list({(*sorted(sources(plan, (term,))), *bare_copies(term)): term for term in found}.values())


def choices(plan: Plan) -> Iterator[Taken]:
    """Every choice of orientations and ways."""
    for outputs in product(*output_copies(plan)):
        stack = [({}, [c for c in (whole(plan, c) for c in outputs) if not is_identity(c)])]
        while stack:
            terms, waiting = stack.pop()
            waiting = [c for c in waiting if c not in terms and plan.values[c.atom].poly is not None]
            if not waiting:
                yield Taken(terms, outputs)
                continue
            copy, *rest = waiting
            for picked in product(*(different(plan, found) for found in ways(plan, copy))):
                read = sorted(c for c in sources(plan, picked) if not is_identity(c))
                stack.append(({**terms, copy: picked}, [*rest, *read]))


def timings(plan: Plan, taken: Taken, depth: int) -> Iterator[dict[Copy, int]]:
    """Every layer for every copy, later than what it reads."""
    order = sorted(taken.terms, key=lambda c: plan.values[c.atom].level)
    for layers in product(range(1, depth + 1), repeat=len(order)):
        layer = dict(zip(order, layers, strict=True))
        reads = ((u, c) for u in order for c in sources(plan, taken.terms[u]) if c in layer)
        if all(layer[c] < layer[u] for u, c in reads):
            yield layer


def cheapest_identities(demands: list[frozenset[Dim]], sizes: dict[str, int]) -> int:
    """The rows of identities of which each demand finds one; the first row of any serves for size 1."""
    dims = sorted({1, *(dim for demand in demands for dim in demand)}, key=str)
    best = None
    for count in range(len(dims) + 1):
        for owned in combinations(dims, count):
            served = {*owned, 1} if owned else set()
            if all(demand & served for demand in demands):
                cost = sum(size_of(dim, sizes) for dim in owned)
                best = cost if best is None else min(best, cost)
    assert best is not None
    return best


def every_allocation(plan: Plan, depth: int) -> int:
    """The fewest rows over all choices, layers and slots by the rules of `allocate`, each tried."""
    schedules = ((taken, layer) for taken in choices(plan) for layer in timings(plan, taken, depth))
    return min(rows for taken, layer in schedules for rows in slot_choices(plan, taken, layer))


def slot_choices(plan: Plan, taken: Taken, layer: dict[Copy, int]) -> Iterator[int]:
    sizes = dict(plan.graph.sizes)
    outputs = {whole(plan, c) for c in taken.outputs}
    order = sorted(taken.terms, key=lambda c: (layer[c], c))
    readers: dict[Copy, list[int]] = {}
    for u in order:
        for c in sources(plan, taken.terms[u]):
            readers.setdefault(c, []).append(layer[u])
    last = {c: 10**6 if c in outputs else max(at) for c, at in readers.items()} | dict.fromkeys(outputs, 10**6)
    leaves = sorted(c for c in readers.keys() | outputs if c not in taken.terms and not is_identity(c))
    bare = {u: [entry for term in taken.terms[u] for entry in bare_copies(term)] for u in order}
    own = {u: {c: f for c, f in bare[u] if [b for b, _ in bare[u]].count(c) == 1} for u in order}

    def place_next(
        index: int, slots: list[tuple[Copy, ...]], cleared: list[frozenset[Dim]], over: dict[Copy, Copy]
    ) -> Iterator[int]:
        if index == len(order):
            demands = [frozenset({c.rows}) for c in outputs if is_identity(c)]
            for u in order:
                for term in taken.terms[u]:
                    grown = u in over and [c for c, _ in bare_copies(term)] == [over[u]]
                    demands += [] if grown else [frozenset({c.rows}) for c in sources(plan, (term,)) if is_identity(c)]
            yield sum(size_of(held[0].rows, sizes) for held in slots) + cheapest_identities(demands + cleared, sizes)
            return
        u = order[index]
        yield from place_next(index + 1, [*slots, (u,)], cleared, over)
        for c, factor in own[u].items():
            if factor == 1 and c in leaves:  # a twin
                yield from place_next(index + 1, [*slots, (c, u)], cleared, {**over, u: c})
        for number, held in enumerate(slots):
            old = held[-1]
            written = layer.get(old, 0)
            if old.rows != u.rows or written >= layer[u] or last[old] > layer[u]:
                continue
            same = last[old] == layer[u]
            if same and not (abs(own[u].get(old, Fraction(0))) >= Fraction(1, 4) or same_variable(plan, u, old)):
                continue
            after = [*slots[:number], (*held, u), *slots[number + 1 :]]
            if same and own[u].get(old) == 1:
                yield from place_next(index + 1, after, cleared, {**over, u: old})
            else:
                yield from place_next(index + 1, after, [*cleared, frozenset({u.rows, u.cols, old.cols})], over)

    yield from place_next(0, [(c,) for c in leaves], [], {})


def traced(body: str, sizes: dict[str, int]) -> list[Plan]:
    graph = hws.from_source(body).trace(sizes, {})
    return list(distinct_plans(graph, ("all", "minor")))


TINY = [
    "t = M @ M\nreturn {'t': t}",
    "t = A.T @ A\nw = t @ u\nreturn {'w': w}",
    "t = M + M @ M @ M\nreturn {'t': t}",
    "t = 2 * M - M @ M @ M\nv = t @ u\nreturn {'v': v}",
    "t = M @ R\nv = A @ t\nreturn {'v': v, 't': t}",
    "t = -1 * u - u\nv = s * t\nreturn {'v': v, 't': t}",
    "t = A @ u\nv = A.T @ t\nw = v + u\nreturn {'w': w}",
    "t = M @ M + hw.eye('d')\nreturn {'t': t, 'u': u}",
    "t = u @ M @ u\nreturn {'t': t}",
    "t = A.T @ y\nv = M @ t\nw = M @ v\nreturn {'w': w}",
]


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("body", TINY)
def test_the_optimum_is_that_of_a_search_through_all_allocations(body: str, more: int) -> None:
    for plan in traced(body, {"n": 5, "d": 4, "k": 3}):
        depth = max((plan.values[atom].level for _, atom, _ in plan.outputs), default=0)
        assert fewest(plan, more) == every_allocation(plan, depth + more)


def test_the_optimum_weighs_blocks_by_their_sizes() -> None:
    for plan in traced("t = M @ R\nv = A @ t\nreturn {'v': v, 't': t}", {"n": 2, "d": 3, "k": 7}):
        assert fewest(plan) == every_allocation(plan, 2)


@settings(max_examples=30)
@given(hws.cases(max_steps=4))
def test_no_allocation_of_a_plan_has_fewer_rows_and_its_solution_has_as_many(case: hws.Case) -> None:
    sizes = case.sizes
    for plan in list(distinct_plans(case.program.trace(sizes, {}), ("minor",)))[:2]:
        exact = ExactRows(plan, 5000)
        answer = exact.solve(None, NODES)
        assert answer.bound is not None
        for scheduled, habits in candidates([plan]):
            try:
                layout = allocate(scheduled, habits)
            except ArchitectureError:
                continue
            assert sum(size_of(slot.height, sizes) for slot in layout.slots) >= answer.bound, case.source
        best = exact.schedule(answer)
        layouts = [allocate(best, habits) for habits in habits_for(best, by_height=(False, True))]
        assert min(sum(size_of(slot.height, sizes) for slot in layout.slots) for layout in layouts) == answer.bound, case.source


def test_more_layers_never_need_more_rows() -> None:
    body = "t = A @ M\nv = A @ R\nreturn {'t': t, 'v': v, 'w': A @ u}"
    found = [[fewest(plan, more) for more in range(3)] for plan in traced(body, {"n": 5, "d": 4, "k": 3})]
    assert all(rows == sorted(rows, reverse=True) for rows in found)
    assert any(rows[-1] < rows[0] for rows in found)


def test_only_solutions_below_a_cut_are_looked_for() -> None:
    (plan, *_) = traced(TINY[1], {"n": 5, "d": 4, "k": 3})
    exact, least = ExactRows(plan, 5000), fewest(plan)
    assert exact.solve(least, NODES).status == "none"
    assert exact.solve(least + 1, NODES).bound == least


def test_a_program_with_too_many_unknowns_is_refused_by_name() -> None:
    (plan, *_) = traced(TINY[1], {"n": 5, "d": 4, "k": 3})
    with pytest.raises(TooLarge, match="larger than 10 unknowns"):
        ExactRows(plan, 10)


# -- the engine --------------------------------------------------------------------------------------------------------


def test_the_engine_solves_a_knapsack_as_trying_all_does() -> None:
    values, weights = (3, 5, 6, 9, 4), (2, 4, 5, 7, 3)
    problem = Problem()
    left_out = [problem.unknown() for _ in values]
    taken = total((-1, {-1: sum(weights) - 11}), *zip(weights, left_out, strict=True))
    problem.at_least(taken)
    answer = solve(problem, total(*zip(values, left_out, strict=True)), NODES)
    subsets = (pick for pick in product((0, 1), repeat=5) if sum(w * (1 - x) for w, x in zip(weights, pick, strict=True)) <= 11)
    best = min(sum(v * x for v, x in zip(values, pick, strict=True)) for pick in subsets)
    assert (answer.status, answer.bound) == ("optimal", best)
    assert answer[taken] >= 0


def test_an_unsolvable_program_has_no_answer() -> None:
    problem = Problem()
    problem.at_least(problem.unknown(), 2)
    assert solve(problem, {0: 1}, NODES).status == "none"


# -- heads -------------------------------------------------------------------------------------------------------------


def test_heads_are_bounded_over_all_alternatives() -> None:
    a, b, c = (Ref(Slot(i, "d")) for i in range(3))
    target, other = Slot(3, "d"), Slot(4, "d")
    first = (SlotTerm(target, a, b, c, Fraction(1)),)
    joins, alone = (SlotTerm(other, b, b, c, Fraction(2)),), (SlotTerm(other, b, c, c, Fraction(2)),)
    assert fewest_heads(((first,), (alone, joins))) == 1 == len(merge(((first,), (alone, joins))))
    assert fewest_heads(((first,), (alone,))) == 2


def test_terms_beyond_the_combinations_tried_only_lower_the_bound() -> None:
    a, b, c = (Ref(Slot(i, "d")) for i in range(3))
    fixed = tuple(((SlotTerm(Slot(9 + i, "d"), ref, a, ref, Fraction(1)),),) for i, ref in enumerate((a, b, c)))
    open_ = tuple(
        tuple((SlotTerm(Slot(20 + i, "d"), a, k, q, Fraction(1)),) for k in (a, b, c) for q in (a, b, c)) for i in range(6)
    )
    assert fewest_heads(fixed) == 3
    assert 3 <= fewest_heads(fixed + open_) <= len(merge(fixed + open_))
