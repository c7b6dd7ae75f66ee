"""Fresh processes that share work: they end with it, and at once, without a word, after Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context
from typing import Any, TypeAlias

from ..compiler.errors import HeadwrightError

#: Starts `function(*job)` for every job, in the order of the jobs.
Submit: TypeAlias = Callable[[Callable[..., Any], Iterable[tuple[Any, ...]]], list[Future[Any]]]


@contextmanager
def worker_pool(workers: int, command: str) -> Iterator[Submit]:
    """A function that starts jobs in `workers` fresh processes. Any exception inside ends them at once.

    Raises HeadwrightError, naming the command, where a process has ended before its work was done.
    """
    others = set(active_children())
    with ProcessPoolExecutor(workers, get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:

        def submit(function: Callable[..., Any], jobs: Iterable[tuple[Any, ...]]) -> list[Future[Any]]:
            with _interrupts_held():
                return [pool.submit(function, *job) for job in jobs]

        try:
            yield submit
        except BaseException as error:
            # nothing is cancelled: the pool stumbles over that when its processes end
            for process in set(active_children()) - others:
                process.terminate()
            if not isinstance(error, BrokenExecutor):
                raise
            what = f"a process that `{command}` started has ended before its work was done"
            raise HeadwrightError(what, fix="run it in one process: --workers 1") from error


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """SIGINT waits until the end. A process that is started inside never gets it: Ctrl-C goes to all of a terminal's processes,
    and one that is still importing would print a traceback."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
