"""The fewest rows of a plan: the integer program against a search through all allocations, and what compiling makes of it."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, product

import pytest
from hypothesis import given, settings

import headwright as hw
from headwright.compiler.allocate import Habits, allocate, bare_copies, same_variable
from headwright.compiler.dims import Dim, size_of
from headwright.compiler.errors import ArchitectureError
from headwright.compiler.exact_rows import ExactRows, TooLarge
from headwright.compiler.ir import Copy, Plan, Term, whole
from headwright.compiler.pipeline import candidates, distinct_plans, habits_for
from headwright.compiler.place import is_identity, output_copies, ways
from headwright.proofs_check import strategies as hws

NODES = 300


def fewest(plan: Plan, more: int | None = 0) -> int:
    exact = ExactRows(plan, most=5000, more=more)
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


def choices(plan: Plan) -> Iterator[Taken]:
    """Every choice of orientations and ways."""
    for outputs in product(*output_copies(plan)):
        stack = [({}, [c for c in map(lambda c: whole(plan, c), outputs) if not is_identity(c)])]
        while stack:
            terms, waiting = stack.pop()
            waiting = [c for c in waiting if c not in terms and plan.values[c.atom].poly is not None]
            if not waiting:
                yield Taken(terms, outputs)
                continue
            copy, *rest = waiting
            different = [{(*sorted(sources(plan, (t,))), *bare_copies(t)): t for t in found}.values() for found in ways(plan, copy)]
            for picked in product(*different):
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
    return min(rows for taken in choices(plan) for layer in timings(plan, taken, depth) for rows in slot_choices(plan, taken, layer))


def slot_choices(plan: Plan, taken: Taken, layer: dict[Copy, int]) -> Iterator[int]:
    sizes = dict(plan.graph.sizes)
    outputs = {whole(plan, c) for c in taken.outputs}
    order = sorted(taken.terms, key=lambda c: (layer[c], c))
    readers: dict[Copy, list[int]] = {}
    for u in order:
        for c in sources(plan, taken.terms[u]):
            readers.setdefault(c, []).append(layer[u])
    last = {c: 10**6 if c in outputs else max(at) for c, at in readers.items()} | {c: 10**6 for c in outputs}
    leaves = sorted(c for c in readers.keys() | outputs if c not in taken.terms and not is_identity(c))
    bare = {u: [entry for term in taken.terms[u] for entry in bare_copies(term)] for u in order}
    own = {u: {c: f for c, f in bare[u] if [b for b, _ in bare[u]].count(c) == 1} for u in order}

    def place_next(index: int, slots: list[tuple[Copy, ...]], cleared: list[frozenset[Dim]], over: dict[Copy, Copy]) -> Iterator[int]:
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


@pytest.mark.parametrize("sizes", [{"n": 5, "d": 4, "k": 3}, {"n": 2, "d": 3, "k": 7}], ids=str)
@pytest.mark.parametrize("body", TINY)
def test_the_optimum_is_that_of_a_search_through_all_allocations(body: str, sizes: dict[str, int]) -> None:
    for plan in traced(body, sizes):
        depth = max((plan.values[atom].level for _, atom, _ in plan.outputs), default=0)
        for more in (0, 1):
            assert fewest(plan, more) == every_allocation(plan, depth + more)
