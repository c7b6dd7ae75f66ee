"""Random programs until so many different ones have been tried: hypothesis draws some again and again, and counts those too."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from .strategies import Case


def try_distinct(
    strategy: SearchStrategy[Case], number: int, check: Callable[[Case], object], start: int = 0, draws: int = 500
) -> set[str]:
    """Calls `check` with a case of each of `number` different programs; returns their sources.

    draws: of one round; a round that finds fewer new programs than one in ten draws is the last, and an AssertionError.
    start: the seed of the first round; the same one draws the same programs. A failure is shrunk and raised by hypothesis, as
    in a test.
    """
    seen: set[str] = set()
    round_number = start
    while len(seen) < number:
        before = len(seen)

        @seed(round_number)
        @settings(
            max_examples=draws,
            deadline=None,
            database=None,
            derandomize=False,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy)
        def one(case: Case) -> None:
            if len(seen) < number and case.source not in seen:
                check(case)
                seen.add(case.source)

        one()
        round_number += 1
        if len(seen) < number and len(seen) - before < draws // 10:
            raise AssertionError(f"the strategy has run dry after {len(seen)} different programs of {number}")
    return seen
