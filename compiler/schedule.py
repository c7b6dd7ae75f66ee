"""A layer for every copy. A copy can be written once everything that its terms read is in the stream.

Both schedules have the fewest layers for the chosen products (the longest chain of reads); they differ in when
copies off that chain are made, which changes how long rows are occupied.
"""

from __future__ import annotations

from .ir import Copy, Placement, Schedule, whole


def schedule(placement: Placement, late: bool) -> Schedule:
    """As soon as possible, or (`late`) as late as the readers of each copy allow."""
    reads = {copy: _read_copies(placement, copy) for copy in placement.computed}
    early: dict[Copy, int] = dict.fromkeys(placement.encoded, 0)
    local = placement.local.keys()
    order = sorted(reads, key=lambda copy: (placement.plan.values[copy.atom].level, copy in local, copy))
    for copy in order:
        if copy in local:  # the feed-forward part reads what attention of its own layer wrote
            early[copy] = max([1, *(early[source] + (source in local) for source in reads[copy])])
        else:
            early[copy] = 1 + max((early[source] for source in reads[copy]), default=0)
    depth = max((early[copy] for copy in reads), default=0)
    layer = dict(early)
    last_time = dict.fromkeys(early, 0)
    for _, copy, _ in placement.outputs:
        last_time[copy] = 2 * depth + 1
    readers: dict[Copy, list[Copy]] = {}
    for reader, sources in reads.items():
        for source in sources:
            readers.setdefault(source, []).append(reader)
    for copy in reversed(order):
        if late:
            before = [layer[r] if r in local and copy not in local else layer[r] - 1 for r in readers.get(copy, [])]
            layer[copy] = min([*before, depth])
        for source in reads[copy]:
            last_time[source] = max(last_time[source], 2 * layer[copy] - (copy not in local))
    last_read = {copy: time // 2 + 1 if time else 0 for copy, time in last_time.items()}
    return Schedule(placement, layer, depth, last_read, last_time)


def _read_copies(placement: Placement, copy: Copy) -> set[Copy]:
    """Everything that some alternative of some term reads."""
    if copy in placement.local:
        forms = placement.local[copy].reads
    else:
        terms = [term for alternatives in placement.terms[copy] for term in alternatives]
        forms = tuple(form for term in terms for form in (term.V, term.K, term.Q))
    return {whole(placement.plan, c) for form in forms for _, c in form}
