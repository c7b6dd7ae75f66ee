"""Row allocation: a slot of rows for every copy, reusing the rows of dead ones.

Writing `new` over `old` adds `new − old` to the residual stream, in one layer or, exactly in floating point too, by
erasing old a layer before. The erasing product reads the slot against an identity I_k: it clears the first k tokens.
Columns beyond the value's own can keep leftovers; a slot's `extent` says up to which token counts it may be nonzero,
and a product V Kᵀ is used only where V or K is known to be zero beyond the tokens that are meant.
(`proofs_check.symbolic` re-proves this from the weights.)

Where the program has feed-forward units, rows are cleared by units instead: two a row, no head, no identity, and every
token is clear afterwards. Such programs read rows in their units, so these have to be clean.

A sum that contains a stored copy itself, once, is best written over that copy: nothing is erased and no identity is read.
Where the copy is an input that is read later, it is encoded a second time (a twin) and the sum written over the twin.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

from .carried import variable
from .damping import misread
from .dims import Dim, size_of
from .errors import ArchitectureError
from .ir import Alternatives, Copy, Form, Layout, Plan, Ref, Schedule, Slot, SlotTerm, SlotUnits, Term, whole
from .place import identity_copy, is_identity, sums_over_keys
from .sums import SUM
from .units import Units, linear_units

#: Units that subtract a block of rows from itself.
ERASE = Units("erase", linear_units((Fraction(1),), Fraction(-1)))


@dataclass(frozen=True)
class Habits:
    """How to allocate: the pipeline tries several.

    early_erase: clear a dead slot as soon as it is last read, not just before it is rewritten;
    over_own: prefer to write a sum over one of its own dying terms;
    twins: encode an input twice where a sum can then be written over it;
    by_height: clear a slot with the identity of its height where there is one: all tokens at once;
    by_units: clear rows by feed-forward units, though the program has none;
    units_clear: whether units can clear rows (those that only multiply cannot);
    over_read: units may write over rows that units of the same layer read (which ties these to one layer).
    """

    early_erase: bool = False
    over_own: bool = True
    twins: bool = False
    by_height: bool = False
    by_units: bool = False
    units_clear: bool = True
    over_read: bool = True


def may_use_twins(plan: Schedule) -> bool:
    """Whether some sum contains an encoded copy once, so that `Habits.twins` makes a difference."""
    values = plan.placement.plan.values
    leaves = {c for c in plan.placement.encoded if not is_identity(c) and values[c.atom].leaf is not None}
    return any(factor == 1 and own in leaves for copy in plan.placement.terms for own, factor in continued(plan, copy))


def continued(plan: Schedule, copy: Copy) -> list[tuple[Copy, Fraction]]:
    """The stored copies that appear by themselves, once, in the sum: writing over one of them needs less erasing."""
    own = [entry for alternatives in plan.placement.terms[copy] for entry in bare_copies(alternatives[0])]
    counts = Counter(c for c, _ in own)
    return [(c, factor) for c, factor in own if counts[c] == 1]


def same_variable(plan: Plan, new: Copy, old: Copy) -> bool:
    """Whether the user writes both under one name: X[3] over X[2]."""
    value, before = plan.values[new.atom], plan.values[old.atom]
    named = {value.node, before.node} <= plan.graph.labels.keys()
    return named and before.leaf is None and variable(value.name) == variable(before.name)


def bare_copies(term: Term) -> list[tuple[Copy, Fraction]]:
    """The copies that a term adds as they are: V I I or I I Q."""
    for form, others in ((term.V, (term.K, term.Q)), (term.Q, (term.V, term.K))):
        if any(copy.fold for _, copy in form):
            continue
        if all(len(other) == 1 and is_identity(other[0][1]) for other in others):
            return [(c, term.coefficient * factor * others[0][0][0] * others[1][0][0]) for factor, c in form]
    return []


def _without(term: Term, own: Copy) -> Term:
    """A bare term without one of its copies."""
    V, Q = (tuple(entry for entry in form if entry[1] != own) for form in (term.V, term.Q))
    return replace(term, V=V, Q=Q)


def allocate(plan: Schedule, habits: Habits) -> Layout:
    """Assigns slots layer by layer."""
    local = plan.placement.local.values()
    must_be_clean = {whole(plan.placement.plan, c) for units in local for form in units.reads for _, c in form}
    while True:
        try:
            return _Allocation(plan, must_be_clean, habits).layout()
        except _Leftovers as found:
            if found.copies <= must_be_clean:
                names = ", ".join(sorted(plan.placement.plan.values[copy.atom].name for copy in found.copies))
                raise ArchitectureError(
                    f"a product would sum over tokens on which {names} holds something else",
                    rule="products sum over all tokens: one of the two values that are multiplied has to be zero on the others",
                    fix="multiply by an input of its own, such as A, where the first rows Z[:n] of a stack stand twice",
                ) from found
            must_be_clean |= found.copies


def _plus(form: tuple[tuple[Ref, Fraction], ...], ref: Ref, c: Fraction) -> tuple[tuple[Ref, Fraction], ...]:
    total = dict(form)
    total[ref] = total.get(ref, Fraction(0)) + c
    return tuple((r, factor) for r, factor in total.items() if factor)


class _Leftovers(Exception):
    """Copies whose leftovers another term would read."""

    def __init__(self, copies: set[Copy]) -> None:
        self.copies = copies


@dataclass
class _State:
    """What is known of a slot while layers are filled."""

    owner: Copy | None
    extent: set[Dim] = field(default_factory=set)
    free_from: int = 0  # the first layer whose attention may overwrite the owner
    last_time: int = 0  # when the owner is read last, in half layers


class _Allocation:
    def __init__(self, plan: Schedule, must_be_clean: set[Copy], habits: Habits) -> None:
        self.plan, self.placement = plan, plan.placement
        self.sizes: Mapping[str, int] = self.placement.plan.graph.sizes
        self.must_be_clean, self.habits = must_be_clean, habits
        self.twins: dict[Slot, Copy] = {}  # slots that hold an input encoded a second time
        self.grown: dict[Copy, Copy] = {}  # sums written over one of their own terms: copy → that term
        self.states: dict[Slot, _State] = {}
        self.slot_of: dict[Copy, Slot] = {}
        self.layers: list[list[Alternatives]] = [[] for _ in range(plan.depth)]
        self.units: list[list[SlotUnits]] = [[] for _ in range(plan.depth)]
        self.by_units = habits.units_clear and (habits.by_units or bool(self.placement.local))  # how rows are cleared

    def layout(self) -> Layout:
        for copy in self.placement.encoded:
            if copy == identity_copy(1) and any(is_identity(c) and c != copy for c in self.placement.encoded):
                continue  # the first row of a larger identity serves
            slot = self.new_slot(copy)
            self.states[slot].extent = {copy.cols}
        for number in range(1, self.plan.depth + 1):
            self.fill(number)
        self.drop_unread_identities()
        layers, local = tuple(map(tuple, self.layers)), tuple(map(tuple, self.units))
        return Layout(self.plan, tuple(self.states), self.slot_of, layers, tuple(self.twins.items()), local)

    def drop_unread_identities(self) -> None:
        """Identities that only terms asked for that are now in place already."""
        products = [t for layer in self.layers for alternatives in layer for terms in alternatives for t in terms]
        read = {ref.slot for term in products for ref in (term.V, term.K, term.Q)}
        read |= {u.bias.slot for layer in self.units for u in layer if u.bias is not None}
        read |= {ref.slot for layer in self.units for u in layer for arg in u.args for ref, _ in arg}
        read |= {self.slot_of[copy] for _, copy, _ in self.placement.outputs}
        for copy, slot in list(self.slot_of.items()):
            if is_identity(copy) and slot not in read:
                del self.slot_of[copy], self.states[slot]

    # -- one layer -----------------------------------------------------------------------------------------

    def fill(self, number: int) -> None:
        copies = sorted(c for c, layer in self.plan.layer.items() if layer == number and c in self.placement.terms)
        slots = self.choose_slots(copies, number)
        leftovers = {copy: self.erase(slots[copy], copy, number) for copy in copies}
        for copy in copies:
            terms = [self.lower(copy, slots[copy], alternatives) for alternatives in self.placement.terms[copy]]
            self.layers[number - 1] += terms
            for read in (term.Q for alternatives in terms for products in alternatives for term in products):
                leftovers[copy] |= {1} if read.first else self.states[read.slot].extent
        for copy in copies:
            self.occupy(slots[copy], copy)
            self.states[slots[copy]].extent = leftovers[copy]
        for copy in sorted(c for c, layer in self.plan.layer.items() if layer == number and c in self.placement.local):
            self.fill_local(copy, number)

    def fill_local(self, copy: Copy, number: int) -> None:
        """What the feed-forward part of a layer writes: into dead rows (cleared at the latest by the same units) or new."""
        local = self.placement.local[copy]
        dead = [
            (state.last_time > 2 * number - 2, slot.number, slot)
            for slot, state in self.states.items()
            if self.by_units
            and slot.height == copy.rows
            and state.owner is not None
            and 0 < state.last_time <= 2 * number - (not self.habits.over_read)
            and not is_identity(state.owner)
            and self.plan.layer.get(state.owner, 0) <= number
        ]
        args = tuple(tuple((self.ref(c), factor) for factor, c in form) for form in local.args)
        bias = None if local.bias is None else self.ref(local.bias[0][1])
        read_now, _, slot = min(dead) if dead else (False, 0, self.new_slot(copy))
        if read_now and local.units == SUM:  # what the slot holds now is a term of the sum, perhaps
            args = (_plus(args[0], Ref(slot), Fraction(-1)),)
        elif dead:
            self.erase_by_units(slot, number if read_now else number - 1)
        if local.units != SUM or args[0]:
            self.units[number - 1].append(SlotUnits(slot, args, bias, local.units))
        self.occupy(slot, copy)

    def erase_by_units(self, slot: Slot, latest: int) -> None:
        """Clears every token of a dead slot, in the feed-forward part of layer `latest` or as soon as it is dead."""
        state = self.states[slot]
        layer = max(1, -(-state.last_time // 2)) if self.habits.early_erase else latest
        self.units[layer - 1].append(SlotUnits(slot, (((Ref(slot), Fraction(1)),),), None, ERASE))
        state.extent = set()

    def own_terms(self, copy: Copy) -> dict[Copy, Fraction]:
        return dict(continued(self.plan, copy))

    # -- slots ---------------------------------------------------------------------------------------------

    def new_slot(self, copy: Copy) -> Slot:
        slot = Slot(len(self.states), copy.rows)
        self.states[slot] = _State(None)
        self.occupy(slot, copy)
        return slot

    def occupy(self, slot: Slot, copy: Copy) -> None:
        self.slot_of[copy] = slot
        pinned = is_identity(copy) or copy not in self.plan.last_read
        end = self.plan.depth + 1
        free = end if pinned else self.plan.last_read[copy]
        last = 2 * end if pinned else self.plan.time_of(copy)
        self.states[slot] = _State(copy, {copy.cols}, free, last)

    def choose_slots(self, copies: list[Copy], number: int) -> dict[Copy, Slot]:
        """A dead slot or a new one for every copy of a layer: the cheapest pairs of copy and dead slot first."""
        chosen: dict[Copy, Slot] = {}
        dead = {slot: state for slot, state in self.states.items() if state.owner is not None and state.free_from <= number}
        offers = []
        for index, copy in enumerate(copies):
            for slot, state in dead.items():
                usable = slot.height == copy.rows and (state.free_from < number or self.may_subtract(copy, state))
                price = self.price(copy, slot, state) if usable else None
                if price is not None and price < 2 + size_of(copy.rows, self.sizes):
                    offers.append((price, index, slot.number, copy, slot))
        for _, _, _, copy, slot in sorted(offers, key=lambda offer: offer[:3]):
            if copy not in chosen and slot not in chosen.values():
                chosen[copy] = slot
        if self.habits.twins:
            for copy in copies:
                if copy not in chosen or not self.in_place(self.states[chosen[copy]], copy):
                    twin = self.twin(copy)
                    if twin is not None:
                        chosen[copy] = twin
        return {copy: chosen[copy] if copy in chosen else self.new_slot(copy) for copy in copies}

    def twin(self, copy: Copy) -> Slot | None:
        """A new slot that holds, from the start, an encoded copy that is a term of this sum."""
        for own, factor in self.own_terms(copy).items():
            value = None if is_identity(own) else self.placement.plan.values[own.atom]
            if factor == 1 and value is not None and value.leaf is not None:
                slot = Slot(len(self.states), copy.rows)
                self.states[slot] = _State(own, {own.cols})
                self.twins[slot] = own
                return slot
        return None

    def in_place(self, state: _State, copy: Copy) -> bool:
        """Whether the slot holds a term of the sum, once, and nothing else."""
        return state.owner is not None and self.own_terms(copy).get(state.owner) == 1 and state.extent <= {copy.cols}

    def may_subtract(self, copy: Copy, state: _State) -> bool:
        """Whether `new − old` may be added in the very layer that still reads old. It rounds to u·|old|, which is harmless
        where old is a part of new, or where the user's own variable is overwritten; else old is erased a layer before."""
        if state.owner is None or is_identity(state.owner):
            return False
        own = abs(self.own_terms(copy).get(state.owner, Fraction(0))) >= Fraction(1, 4)
        return own or same_variable(self.placement.plan, copy, state.owner)

    def price(self, copy: Copy, slot: Slot, state: _State) -> float | None:
        """What writing the copy over a dead slot costs in erasing; None where it must not be done."""
        own = self.own_terms(copy)
        if self.by_units:
            if self.in_place(state, copy):
                return 0.0
            clearable = state.last_time > 0 and -(-state.last_time // 2) < self.plan.layer[copy]
            return 0.5 if clearable and not is_identity(state.owner or copy) else None
        clean = self.clearing(state, copy)
        left = state.extent - {copy.cols} - ({clean} if state.extent == {clean} else set())
        if copy in self.must_be_clean and left and not self.clears_all(slot):
            return None
        if self.in_place(state, copy):
            return 0.0
        read = slot.height if self.clears_all(slot) else clean
        if self.placement.keys is not None and read not in (self.placement.keys, 1):
            return None  # an identity that reaches beyond the keys
        missing = 0.0 if self.has_identity(clean) or self.clears_all(slot) else 2.0 + size_of(clean, self.sizes)
        # erasing joins a head for free where the copy's own terms read the slot as V
        reads = any(self.slot_of.get(c) == slot for ways in self.placement.terms[copy] for _, c in ways[0].V)
        joins = (0.5 if self.habits.over_own else 1.75) if state.owner in own else 0.75 if reads else 1.0
        return missing + joins + (0.5 if state.extent != {clean} else 0.0)

    def clearing(self, state: _State, copy: Copy) -> Dim:
        """The identity that clears the slot: all of it where one at hand can, else the tokens of the new value."""
        if len(state.extent) == 1:
            (only,) = state.extent
            if only == copy.cols or self.has_identity(only):
                return only
        return copy.cols

    def clears_all(self, slot: Slot) -> bool:
        """Whether −I Iᵀ (slot) is to clear the slot: on all tokens, with an identity of its height."""
        return self.habits.by_height and self.has_identity(slot.height)

    def has_identity(self, dim: Dim) -> bool:
        return identity_copy(dim) in self.slot_of or (dim == 1 and any(map(is_identity, self.slot_of)))

    def identity(self, dim: Dim) -> Ref:
        """An identity block to read; the first row of a larger one serves for size 1."""
        copy = identity_copy(dim)
        if copy not in self.slot_of and dim == 1:
            larger = [c for c in self.slot_of if is_identity(c)]
            if larger:
                return Ref(self.slot_of[min(larger)], first=True)
        if copy not in self.slot_of:
            self.new_slot(copy)
        return Ref(self.slot_of[copy])

    def erase(self, slot: Slot, copy: Copy, number: int) -> set[Dim]:
        """Clears what the slot held, where the new value will be; returns the extent of what is left."""
        state = self.states[slot]
        if state.owner == copy:
            return set()
        if self.in_place(state, copy):
            assert state.owner is not None
            self.grown[copy] = state.owner
            return set()
        if self.by_units:
            self.erase_by_units(slot, number - 1)
            return set()
        by_height, dim = self.clears_all(slot), self.clearing(state, copy)
        eye = self.identity(slot.height if by_height else dim)
        V, Q = (eye, Ref(slot)) if by_height else (Ref(slot), eye)
        first = max(1, state.free_from)
        last = number if first >= number else number - 1
        when = first if self.habits.early_erase else last
        self.layers[when - 1].append(((SlotTerm(slot, V, eye, Q, Fraction(-1)),),))
        return set() if by_height or state.extent == {dim} else set(state.extent)

    # -- terms ---------------------------------------------------------------------------------------------

    def ref(self, copy: Copy) -> Ref:
        if is_identity(copy):
            return self.identity(copy.rows)
        return Ref(self.slot_of[whole(self.placement.plan, copy)], fold=copy.fold, rows=copy.rows)

    def lower(self, copy: Copy, slot: Slot, alternatives: tuple[Term, ...]) -> Alternatives:
        """The alternatives over slots, without those that would read leftovers."""
        own = self.grown.get(copy)
        if own is not None and own in {c for c, _ in bare_copies(alternatives[0])}:
            alternatives = (_without(alternatives[0], own),)  # it is in place
        keys, needed = self.placement.keys, alternatives[0]
        if not (needed.V and needed.K and needed.Q):
            return ((),)  # nothing but what is in place
        alternatives = tuple(term for term in alternatives if sums_over_keys(term, keys))
        if not alternatives:
            raise ArchitectureError(
                f"a layer cannot copy rows of {' + '.join(str(c.cols) for _, c in needed.V)} tokens",
                rule=f"only the first {keys} tokens are keys, so that an identity of more tokens is cut off",
                fix="add to a variable in place (r = r + …), or choose an architecture without a key mask",
            )
        sound = [term for term in alternatives if not self.reads_leftovers(term, copy)]
        if not sound:
            raise _Leftovers(self.reads_leftovers(alternatives[0], copy))
        return tuple(self.products(slot, term) for term in sound)

    def products(self, slot: Slot, term: Term) -> tuple[SlotTerm, ...]:
        plan, limits = self.placement.plan, self.placement.limits
        single = [Term(term.coefficient, (v,), (k,), (q,)) for v in term.V for k in term.K for q in term.Q]
        return tuple(
            SlotTerm(slot, self.ref(v), self.ref(k), self.ref(q), t.coefficient * a * b * c, misread(plan, limits, t))
            for t in single
            for (a, v), (b, k), (c, q) in [(*t.V, *t.K, *t.Q)]
        )

    def reads_leftovers(self, term: Term, copy: Copy) -> set[Copy]:
        """Copies whose leftovers would add up (both V and K have some), or spread to a copy that must be clean (Q)."""
        dirty_v, dirty_k = self.dirty(term.V), self.dirty(term.K)
        if self.placement.keys is not None and all(c.cols == self.placement.keys for _, c in term.V):
            dirty_v = set()  # the sum over the keys ends where the values do
        summed = dirty_v | dirty_k if dirty_v and dirty_k else set()
        return summed | (self.dirty(term.Q) if copy in self.must_be_clean else set())

    def dirty(self, form: Form) -> set[Copy]:
        stored = {c: whole(self.placement.plan, c) for _, c in form if not is_identity(c)}
        return {at for c, at in stored.items() if self.states[self.slot_of[at]].extent - {c.cols}}
