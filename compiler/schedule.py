"""A layer for every copy. A copy can be written once everything that its terms read is in the stream.

Both schedules have the fewest layers for the chosen products (the longest chain of reads); they differ in when
copies off that chain are made, which changes how long rows are occupied.
"""

from __future__ import annotations

from .ir import Copy, Placement, Schedule, whole


def schedule(placement: Placement, late: bool) -> Schedule:
    """As soon as possible, or (`late`) as late as the readers of each copy allow."""
    reads = {copy: _read_copies(placement, copy) for copy in placement.terms}
    early: dict[Copy, int] = dict.fromkeys(placement.encoded, 0)
    order = sorted(placement.terms, key=lambda copy: (placement.plan.values[copy.atom].level, copy))
    for copy in order:
        early[copy] = 1 + max((early[source] for source in reads[copy]), default=0)
    depth = max((early[copy] for copy in placement.terms), default=0)
    output_copies = {copy for _, copy, _ in placement.outputs}
    layer = dict(early)
    last_read = dict.fromkeys(early, 0)
    for copy in output_copies:
        last_read[copy] = depth + 1
    readers: dict[Copy, list[Copy]] = {}
    for reader, sources in reads.items():
        for source in sources:
            readers.setdefault(source, []).append(reader)
    for copy in reversed(order):
        if late:
            layer[copy] = min([layer[reader] - 1 for reader in readers.get(copy, [])] + [depth])
        for source in reads[copy]:
            last_read[source] = max(last_read[source], layer[copy])
    return Schedule(placement, layer, depth, last_read)


def _read_copies(placement: Placement, copy: Copy) -> set[Copy]:
    """Everything that some alternative of some term reads."""
    terms = [term for alternatives in placement.terms[copy] for term in alternatives]
    return {whole(placement.plan, c) for term in terms for form in (term.V, term.K, term.Q) for _, c in form}
