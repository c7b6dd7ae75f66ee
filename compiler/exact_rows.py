"""The fewest rows for the products of a plan, as an integer program.

What is free: which orientation of each value is stored, how each product reads it as V, K and Q, in which layer each
copy is written (within a given number of layers), and which dead rows each copy takes over. What `allocate`
demands and is modelled here:

    a copy is written after all that it reads, and keeps its rows until its last reading;
    rows are taken over a layer after their last reading, or in the same layer where `may_subtract` allows it;
    clearing rows reads an identity, identities keep their rows, and a sum over a term of its own clears nothing.

What is left out: which columns hold leftovers, and which of several identities clears which rows. So the optimum is a
lower bound for every schedule and allocation of these products that computes a value once in an orientation; `allocate`
realises the solution where it can.

Unknowns, for copies c, u and layers t:  W[c, t] c is written by layer t;  R[c, t] c is read in layer t or later;
O[c, t] c holds rows after layer t;  M[c, u, t] u takes over the rows of c in layer t, which still reads c;  twins.
For one height of blocks the rows are the largest Σ_c O[c, t] − Σ M[c, u, t]: intervals are coloured with as many
colours as ever overlap, and a pair that M joins is one interval.
"""

from __future__ import annotations

from fractions import Fraction

from .allocate import same_variable
from .dims import Dim, size_of
from .engine import Answer, Linear, Problem, solve, total
from .ir import Copy, Placement, Plan, Schedule, whole
from .options import Options, Way, reads_of
from .place import identity_copy, is_identity, ways

_ONE: Linear = {-1: 1}
_ZERO: Linear = {}


class TooLarge(Exception):
    """The program has more unknowns than allowed."""

    def __init__(self, most: int) -> None:
        super().__init__(f"larger than {most:,} unknowns")


class ExactRows:
    """The integer program of a plan, with `more` layers than it needs.

    Raises TooLarge beyond `most` unknowns, and ArchitectureError where an output cannot be written.
    """

    def __init__(self, plan: Plan, most: int, more: int = 0) -> None:
        self.most = most
        self.depth = more + max((plan.values[atom].level for _, atom, _ in plan.outputs), default=0)
        self.options = Options(plan, self.depth)
        self.plan, self.outputs = plan, self.options.outputs
        self.terms, self.leaves, self.early = self.options.terms, self.options.leaves, self.options.early
        self._order, self._late = self.options.order, self.options.late
        self.problem = Problem()
        self._model()

    # -- the program ---------------------------------------------------------------------------------------

    def _model(self) -> None:
        self._eyes: dict[Dim, Linear] = {}
        self._takes: dict[tuple[Copy, Copy, int], Linear] = {}
        self._twins: dict[Copy, Linear] = {}
        self._grows: dict[Copy, set[Copy]] = {}  # the terms over which a sum may be written without clearing
        unknown = self.problem.unknown
        if sum(1 + self._late[c] - self.early(c) for c in self._order) > self.most:
            raise TooLarge(self.most)
        self._exists: dict[Copy, Linear] = {c: unknown() for c in (*self._order, *sorted(self.leaves))}
        self._written = {c: self._windows(c) for c in self._order}
        self._picked = {c: [self._pick(c, found) for found in self.terms[c]] for c in self._order}
        self._chosen = [self._outputs(found) for found in self.outputs]
        self._read: dict[Copy, list[tuple[Copy | None, Linear]]] = {}
        for chosen in self._chosen:
            for c, x in chosen.items():
                self._read.setdefault(c, []).append((None, x))
        for u in self._order:
            self._reading(u)
        self._held = {(c, t): self._holding(c, t) for c in self._exists for t in range(self.depth + 1)}
        self._takeovers()
        self._identities()
        self._count_rows()
        if len(self.problem.highs) > self.most:
            raise TooLarge(self.most)

    def _windows(self, c: Copy) -> list[Linear]:
        """W[c, 0 … depth]: nothing before the window of c, its existence after it, rising between."""
        exists, out = self._exists[c], []
        before: Linear = _ZERO
        for t in range(self.depth + 1):
            if t >= self._late[c]:
                now: Linear = exists
            else:
                now = self.problem.unknown() if t >= self.early(c) else _ZERO
            if now is not before:
                self.problem.at_least(total((1, now), (-1, before)))
            if now is not exists and now:
                self.problem.at_least(total((1, exists), (-1, now)))
            out.append(now)
            before = now
        return out

    def written(self, c: Copy, t: int) -> Linear:
        """W[c, t]; leaves are there from the start."""
        if t < 0:
            return _ZERO
        return self._exists[c] if c in self.leaves else self._written[c][min(t, self.depth)]

    def _pick(self, c: Copy, found: list[Way]) -> list[Linear]:
        """One of the ways of a term, if the copy exists."""
        if len(found) == 1:
            return [self._exists[c]]
        picks: list[Linear] = [self.problem.unknown() for _ in found]
        both = total((1, self._exists[c]), *((-1, x) for x in picks))
        self.problem.at_least(both)
        self.problem.at_least(total((-1, both)))
        return picks

    def _outputs(self, found: dict[Copy, bool]) -> dict[Copy, Linear]:
        """One of the copies that an output may be read from."""
        copies = [whole(self.plan, c) for c in found]
        stored = [c for c in copies if c in self._exists]
        if not stored:  # an identity, which keeps its rows anyway
            return {}
        if len(stored) == 1:
            self.problem.at_least(self._exists[stored[0]], 1)
            return {stored[0]: _ONE}
        picks: dict[Copy, Linear] = {c: self.problem.unknown() for c in stored}
        self.problem.at_least(total(*((1, x) for x in picks.values())), 1)
        for c, x in picks.items():
            self.problem.at_least(total((1, self._exists[c]), (-1, x)))
        return picks

    def _reading(self, u: Copy) -> None:
        """u reads what its ways read: that exists, is written before, and lasts."""
        readings: dict[Copy, list[Linear]] = {}
        for found, picks in zip(self.terms[u], self._picked[u], strict=True):
            for c in sorted({c for way in found for c in way.copies}):
                some = [(1, x) for way, x in zip(found, picks, strict=True) if c in way.copies]
                readings.setdefault(c, []).append(self._exists[u] if len(some) == len(found) else total(*some))
        for c, forms in readings.items():
            if self._exists[u] in forms:
                reads: Linear = self._exists[u]
            elif len(forms) == 1:
                reads = forms[0]
            else:
                reads = self.problem.unknown(integral=False)
                for form in forms:
                    self.problem.at_least(total((1, reads), (-1, form)))
            self.problem.at_least(total((1, self._exists[c]), (-1, reads)))
            self._read.setdefault(c, []).append((u, reads))
            if c in self.leaves:
                continue
            for t in range(self.early(u), self.depth + 1):  # W[u, t] ≤ W[c, t − 1], if u reads c
                if t - 1 < self._late[c]:
                    after = total((1, self.written(c, t - 1)), (-1, self.written(u, t)), (1, self._exists[u]), (-1, reads))
                    self.problem.at_least(after)

    def _holding(self, c: Copy, t: int) -> Linear:
        """O[c, t]: written by layer t and read in layer t or later, or just written."""
        forms: list[Linear] = []
        for u, reads in self._read.get(c, []):
            if u is None or t <= self.early(u):
                forms.append(total((1, self.written(c, t)), (1, reads), (-1, self._exists[c])))
            elif t <= self._late[u]:
                forms.append(total((1, self.written(c, t)), (-1, self.written(u, t - 1)), (1, reads), (-1, self._exists[c])))
        if c in self.terms and self.early(c) <= t <= self._late[c]:
            forms.append(total((1, self.written(c, t)), (-1, self.written(c, t - 1))))
        if c in self.leaves and t == 0:
            forms.append(self._exists[c])
        forms = [form for form in forms if any(form.values())]
        if not forms:
            return _ZERO
        held = self.problem.unknown(integral=False)
        for form in forms:
            self.problem.at_least(total((1, held), (-1, form)))
        return held

    # -- taking over rows ----------------------------------------------------------------------------------

    def _own(self, u: Copy, least: Fraction, exactly: bool = False) -> dict[Copy, Linear]:
        """The copies that u may add as they are, `least` times or more; and when it does."""
        out: dict[Copy, Linear] = {}
        for found, picks in zip(self.terms[u], self._picked[u], strict=True):
            for way, x in zip(found, picks, strict=True):
                for c, factor in way.bare:
                    if (factor == 1 if exactly else abs(factor) >= least) and not is_identity(c):
                        out[c] = total((1, out.get(c, _ZERO)), (1, x))
        return out

    def _takeovers(self) -> None:
        givers: dict[Copy, list[Linear]] = {}
        for u in self._order:
            own, exact = self._own(u, Fraction(1, 4)), self._own(u, Fraction(1), exactly=True)
            self._grows[u] = set(exact)
            takers: list[Linear] = []
            for c in self._exists:
                always = same_variable(self.plan, u, c)
                if c == u or c.rows != u.rows or not (always or c in own) or self.early(c) >= self._late[u]:
                    continue
                for t in range(max(1, self.early(u)), self._late[u] + 1):
                    held = self._held[c, t]
                    if not held:
                        continue
                    take = self._takes[c, u, t] = self.problem.unknown()
                    takers.append(take)
                    givers.setdefault(c, []).append(take)
                    self.problem.at_least(total((1, held), (-1, take)))
                    self.problem.at_least(total((1, self.written(u, t)), (-1, self.written(u, t - 1)), (-1, take)))
                    for reader, reads in self._read[c]:  # nothing reads c after layer t
                        later = self.written(reader, t) if reader is not None else _ZERO
                        if reader is None or t < self._late[reader]:
                            self.problem.at_least(total((1, _ONE), (-1, take), (1, later), (-1, reads)))
                    if not always:
                        self.problem.at_least(total((1, own[c]), (-1, take)))
            twin = [x for c, x in exact.items() if c in self.leaves]
            if twin:
                self._twins[u] = self.problem.unknown()
                takers.append(self._twins[u])
                self.problem.at_least(total((-1, self._twins[u]), *((1, x) for x in twin)))
            if takers:
                self.problem.at_least(total((1, self._exists[u]), *((-1, take) for take in takers)))
        for takes in givers.values():
            self.problem.at_least(total((1, _ONE), *((-1, take) for take in takes)))

    def _in_place(self, u: Copy, c: Copy) -> Linear:
        """Whether u is written over its term c, or over a twin of it."""
        takes = [(1, take) for (old, new, _), take in self._takes.items() if (old, new) == (c, u)]
        return total(*takes, (1, self._twins.get(u, _ZERO) if c in self.leaves else _ZERO))

    # -- rows ----------------------------------------------------------------------------------------------

    def _identities(self) -> None:
        needs: dict[Dim, list[Linear]] = {}
        for u in self._order:
            for found, picks in zip(self.terms[u], self._picked[u], strict=True):
                for way, x in zip(found, picks, strict=True):
                    over: Linear = _ZERO
                    if len(way.bare) == 1 and way.bare[0][1] == 1:
                        over = self._in_place(u, way.bare[0][0])
                    for dim in sorted(way.eyes, key=str):
                        needs.setdefault(dim, []).append(total((1, x), (-1, over)))
        for output in (c for found in self.outputs for c in found if is_identity(c)):
            needs.setdefault(output.rows, []).append(_ONE)
        dims = {*needs, *(d for c in self._exists for d in (c.rows, c.cols, *self._columns_read(c)))}
        self._eyes = {dim: self.problem.unknown() for dim in sorted(dims, key=str)}
        self._first: Linear = self.problem.unknown()  # an identity of one row, where no larger one serves
        for dim, forms in needs.items():
            for form in forms:
                self.problem.at_least(total((1, self._available(dim)), (-1, form)))

    def _columns_read(self, c: Copy) -> set[Dim]:
        """The columns that the queries of a copy may fill: more than its own where it reads a view."""
        queries = (q for found in self.terms.get(c, []) for way in found for _, q in way.term.Q)
        return {whole(self.plan, q).cols for q in queries}

    def _available(self, dim: Dim) -> Linear:
        """Identities that serve as one of this size: for size 1 the first row of any."""
        if dim != 1:
            return self._eyes[dim]
        return total((1, self._first), *((1, eye) for other, eye in self._eyes.items()))

    def _count_rows(self) -> None:
        sizes = self.plan.graph.sizes
        rows: list[tuple[int, Linear]] = [(1, self._first)]
        rows += [(size_of(dim, sizes), eye) for dim, eye in self._eyes.items()]
        for height in sorted({c.rows for c in self._exists}, key=str):
            copies = [c for c in self._exists if c.rows == height]
            slots: Linear = self.problem.unknown(len(copies) + len(self._twins))
            rows.append((size_of(height, sizes), slots))
            for t in range(self.depth + 1):
                busy = [(-1, self._held[c, t]) for c in copies]
                saved = [(1, take) for (c, _, at), take in self._takes.items() if at == t and c.rows == height]
                twins = [(-1, self._waiting(u, t)) for u in self._twins if u.rows == height]
                self.problem.at_least(total((1, slots), *busy, *saved, *twins))
            # every copy starts in a new slot, or over a term of its own, or where something is cleared
            takes = [(1, take) for (c, u, _), take in self._takes.items() if u.rows == height and c in self._grows[u]]
            cleared = total(*((1, self._exists[c]) for c in copies), (-1, slots), *((-1, take) for _, take in takes))
            dims = {height, *(d for c in copies for d in (c.cols, *self._columns_read(c)))}
            some = total(*((len(copies), self._available(d)) for d in sorted(dims, key=str)))
            self.problem.at_least(total((1, some), (-1, cleared)))
        self.rows = total(*rows)

    def _waiting(self, u: Copy, t: int) -> Linear:
        """The rows of a twin, until u is written over it: at least twin − W[u, t]."""
        if t >= self._late[u]:
            return _ZERO
        waiting = self.problem.unknown(integral=False)
        self.problem.at_least(total((1, waiting), (-1, self._twins[u]), (1, self.written(u, t))))
        return waiting

    # -- solving -------------------------------------------------------------------------------------------

    def solve(self, below: int | None, nodes: int, seconds: float | None = None) -> Answer:
        """The fewest rows; with `below`, only solutions with fewer than that count."""
        problem = Problem(self.problem.highs, self.problem.integral, list(self.problem.rows))
        if below is not None:
            problem.at_least(total((-1, self.rows)), 1 - below)
        return solve(problem, self.rows, nodes, seconds)

    def schedule(self, answer: Answer) -> Schedule:
        """The solution as a placement and a schedule. Equal ways that read only what is there anyway are kept."""
        picked: dict[Copy, list[Way]] = {}
        outputs = []
        for (spec, _, _), found, chosen in zip(self.plan.outputs, self.outputs, self._chosen, strict=True):
            copy = next(c for c in found if is_identity(c) or answer[chosen[whole(self.plan, c)]])
            outputs.append((spec, copy, found[copy]))
        waiting = [whole(self.plan, copy) for _, copy, _ in outputs]
        while waiting:
            copy = waiting.pop()
            if copy not in picked and copy in self.terms:
                picks = zip(self.terms[copy], self._picked[copy], strict=True)
                picked[copy] = [next(w for w, x in zip(found, xs, strict=True) if answer[x]) for found, xs in picks]
                waiting += [c for way in picked[copy] for c in sorted(way.copies)]
        layer = {c: next(t for t in range(self.depth + 1) if answer[self.written(c, t)]) for c in picked}
        eyes = {identity_copy(dim) for dim, eye in self._eyes.items() if answer[eye]}
        if answer[self._first]:
            eyes.add(identity_copy(1))
        encoded = eyes | {c for taken in picked.values() for way in taken for c in way.copies if c in self.leaves}
        encoded |= {whole(self.plan, copy) for _, copy, _ in outputs if copy not in picked}
        layer |= dict.fromkeys(encoded, 0)
        last = dict.fromkeys(layer, 0)
        for u in picked:
            for c in (c for way in picked[u] for c in way.copies):
                last[c] = max(last[c], layer[u])
        last |= {whole(self.plan, copy): self.depth + 1 for _, copy, _ in outputs}

        def at_hand(copy: Copy, u: Copy) -> bool:
            if is_identity(copy):
                return copy in eyes or (copy == identity_copy(1) and bool(eyes))
            return copy in layer and layer[copy] < layer[u] <= last[copy]

        terms = {}
        for u in sorted(picked):
            terms[u] = tuple(
                (way.term, *(t for t in others if t != way.term and all(at_hand(c, u) for c in reads_of(self.plan, t))))
                for way, others in zip(picked[u], ways(self.plan, u), strict=True)
            )
        return Schedule(Placement(self.plan, terms, tuple(sorted(encoded)), tuple(outputs)), layer, self.depth, last)
