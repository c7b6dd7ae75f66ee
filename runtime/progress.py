"""Progress on stderr for whatever takes longer than a second or two: a tqdm bar on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


def track(items: Iterable[T], what: str, total: int | None = None, unit: str = "it") -> Iterator[T]:
    """Yields the items and shows how many are done. `total`: their number, when `items` has no length."""
    bar = _bar()
    if bar is not None:
        yield from bar(items, desc=what, total=total, unit=unit, leave=False, file=sys.stderr)
        return
    count = total if total is not None else len(items) if isinstance(items, Sized) else None
    started = shown = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if now - shown > 2.0:
            of = f" of {count}" if count is not None else ""
            print(f"{what}: {done}{of} ({now - started:.0f} s)", file=sys.stderr, flush=True)
            shown = now
        yield item


@contextmanager
def stage(what: str, quiet: bool = False) -> Iterator[None]:
    """Says on stderr what is being done, and how long it took when that was more than a second."""
    if quiet:
        yield
        return
    live = sys.stderr.isatty()
    print(f"{what} …", end="" if live else "\n", file=sys.stderr, flush=True)
    started = time.monotonic()
    try:
        yield
    finally:
        seconds = time.monotonic() - started
        if live:
            print("\r\033[K" + (f"{what}: {seconds:.1f} s\n" if seconds > 1 else ""), end="", file=sys.stderr, flush=True)
        elif seconds > 1:
            print(f"{what}: {seconds:.1f} s", file=sys.stderr, flush=True)


def _bar() -> Callable[..., Iterable[Any]] | None:
    """tqdm, when it is installed and somebody is watching."""
    if not sys.stderr.isatty():
        return None
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    bar: Callable[..., Iterable[Any]] = tqdm
    return bar
