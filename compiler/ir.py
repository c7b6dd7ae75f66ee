"""The intermediate representations between the expression graph and the weights.

    Plan      values as sums of at most ternary products        (made by `select`)
    Placement every value with its stored orientation, every term with its V, K and Q   (made by `place`)
    Schedule  a layer for every copy                            (made by `schedule`)
    Layout    a slot of rows for every copy, erasures           (made by `allocate`)
    heads     terms merged by rank                              (made by `merge`)

All are frozen; each pass is a function from one to the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

from .algebra import Algebra, Letter, Poly
from .dims import Dim, Shape
from .errors import Location
from .graph import Graph, OutputSpec
from .units import Units


@dataclass(frozen=True)
class Leaf:
    """What encoding places in the stream: an input, a compile-time array, ones, zeros, or an input scalar times I."""

    kind: str  # "input" | "constant" | "ones" | "zeros" | "eye" | "spread"
    node: int


@dataclass(frozen=True)
class Value:
    """A matrix that the stream holds at some time. Leaves are there from the start; others are sums of words of at
    most three letters over values of lower level."""

    atom: int
    name: str
    shape: Shape
    level: int
    leaf: Leaf | None = None
    poly: Poly | None = None
    node: int | None = None
    where: Location | None = None
    view: Letter | None = None  # the first rows of this letter, a stacked value: read from its rows, never stored
    units: Units | None = None  # a feed-forward value: units over `args`, linear polynomials in other values
    args: tuple[Poly, ...] = ()

    @property
    def computed(self) -> bool:
        """Whether some layer writes it."""
        return self.poly is not None or self.units is not None


@dataclass(frozen=True)
class Plan:
    """The chosen products. `forms` holds linear forms that words use as if they were letters (never stored); `ones` the
    atoms of the columns of ones that feed-forward units take their biases from."""

    graph: Graph
    algebra: Algebra
    values: Mapping[int, Value]
    forms: Mapping[int, Poly]
    outputs: tuple[tuple[OutputSpec, int, bool], ...]  # (output, atom, transposed?)
    ones: Mapping[Dim, int] = field(default_factory=dict)
    folded: frozenset[int] = frozenset()  # constants that words may have beyond three letters: folded into weights


#: The letter of a constant that is folded into weights, or nothing.
Fold: TypeAlias = Letter | tuple[()]


@dataclass(frozen=True)
class Copy:
    """A value as it is stored: `flipped` means that the rows hold its transpose. Identities have atom -1.

    With fewer columns than the value it is a view: the first tokens of the copy that `whole` gives. `fold`: a compile-time
    constant that multiplies the rows from the left while they are read (a letter); it is part of the weights.
    """

    atom: int
    flipped: bool
    rows: Dim
    cols: Dim
    fold: Fold = ()

    def __lt__(self, other: Copy) -> bool:
        return (self.atom, self.flipped, str(self.rows)) < (other.atom, other.flipped, str(other.rows))


def whole(plan: Plan, copy: Copy) -> Copy:
    """The stored copy that a view reads; any other copy is itself."""
    if copy.atom not in plan.values:
        return copy
    rows, cols = plan.values[copy.atom].shape
    return Copy(copy.atom, copy.flipped, *((cols, rows) if copy.flipped else (rows, cols)))


Form: TypeAlias = tuple[tuple[Fraction, Copy], ...]


@dataclass(frozen=True)
class Term:
    """One ternary product V Kᵀ Q of linear forms in stored copies, scaled and added to the copy under construction."""

    coefficient: Fraction
    V: Form
    K: Form
    Q: Form


@dataclass(frozen=True)
class Local:
    """A copy that the feed-forward part writes: `units` over linear forms in stored copies. A form of one row stands
    for all rows; `bias` is the row of ones that biases read."""

    units: Units
    args: tuple[Form, ...]
    bias: Form | None

    @property
    def reads(self) -> tuple[Form, ...]:
        return self.args if self.bias is None else (*self.args, self.bias)


@dataclass(frozen=True)
class Placement:
    """What is stored how: for every copy that attention computes its terms (each with equal alternatives), for every
    copy that the feed-forward part computes its units, and what is encoded."""

    plan: Plan
    terms: Mapping[Copy, tuple[tuple[Term, ...], ...]]
    encoded: tuple[Copy, ...]
    outputs: tuple[tuple[OutputSpec, Copy, bool], ...]  # (output, copy, read transposed?)
    local: Mapping[Copy, Local] = field(default_factory=dict)
    limits: Mapping[int, Fraction] = field(default_factory=dict)  # of values, where `damping` knows them
    keys: Dim | None = None  # only the first so many tokens are keys; None: all are

    @property
    def computed(self) -> tuple[Copy, ...]:
        return (*self.terms, *self.local)


@dataclass(frozen=True)
class Schedule:
    """The layer (1, 2, …) that writes each computed copy; encoded copies are there at 0.

    `last_read` is the first layer whose attention may write over the copy: the one that reads it last, or the one after
    it where the feed-forward part reads it; depth + 1 for outputs. `last_time` counts in half layers: attention of
    layer ℓ reads at 2ℓ − 1, its feed-forward part at 2ℓ.
    """

    placement: Placement
    layer: Mapping[Copy, int]
    depth: int
    last_read: Mapping[Copy, int]
    last_time: Mapping[Copy, int] = field(default_factory=dict)

    def time_of(self, copy: Copy) -> int:
        """When a copy is read last, in half layers; from `last_read` where units play no part."""
        return self.last_time.get(copy, max(2 * self.last_read[copy] - 1, 0))


@dataclass(frozen=True, order=True)
class Slot:
    """A block of consecutive rows, of one dimension's height."""

    number: int
    height: Dim


@dataclass(frozen=True, order=True)
class Ref:
    """A slot as a head reads it. `first` means: only the first row, which makes an identity the unit row e_1. `fold`: a
    constant, with `rows` rows, that multiplies it from the left."""

    slot: Slot
    first: bool = False
    fold: Fold = ()
    rows: Dim = field(default=0, compare=False)

    @property
    def height(self) -> Dim:
        return 1 if self.first else self.rows if self.fold else self.slot.height


@dataclass(frozen=True)
class SlotTerm:
    """One product V Kᵀ Q over slots, added to `target`. `misread`: what `damping` says about its key."""

    target: Slot
    V: Ref
    K: Ref
    Q: Ref
    coefficient: Fraction
    misread: Fraction = Fraction(0)


@dataclass(frozen=True)
class SlotUnits:
    """Feed-forward units over slots, added to `target`: one sum of references for every argument."""

    target: Slot
    args: tuple[tuple[tuple[Ref, Fraction], ...], ...]
    bias: Ref | None
    units: Units


#: One term of a copy as equal alternatives, each a sum of products over slots.
Alternatives: TypeAlias = tuple[tuple[SlotTerm, ...], ...]


@dataclass(frozen=True)
class Layout:
    """Rows for everything: `layers` are the terms of each layer; `slot_of` says where a copy lives; `twins` are slots in
    which an encoded copy starts a second time."""

    schedule: Schedule
    slots: tuple[Slot, ...]
    slot_of: Mapping[Copy, Slot]
    layers: tuple[tuple[Alternatives, ...], ...]
    twins: tuple[tuple[Slot, Copy], ...] = ()
    local: tuple[tuple[SlotUnits, ...], ...] = ()  # for every layer, what its feed-forward part adds


@dataclass(frozen=True)
class SlotHead:
    """A head over slots. V: (target, source, coefficient). K and Q are stacked: each entry of `KQ` is one piece of the
    stack, with the linear forms that K and Q put there; the contraction adds the pieces."""

    V: tuple[tuple[Slot, Ref, Fraction], ...]
    KQ: tuple[tuple[tuple[tuple[Ref, Fraction], ...], tuple[tuple[Ref, Fraction], ...]], ...]
