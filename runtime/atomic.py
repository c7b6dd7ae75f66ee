"""Files and folders that are either complete or absent: build under a temporary name, flush to disk, rename.

`temporary_folder` and `write_file` clean up after any exception, Ctrl-C and SIGTERM. What a SIGKILL leaves behind is
removed by the next write to the same target.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import BinaryIO

from ..compiler.errors import InputError

if sys.platform != "win32":
    import fcntl


def temporary_name(target: Path, kind: str = "tmp") -> Path:
    """A fresh hidden sibling of `target`: `.NAME.tmp-1a2b3c4d`."""
    return target.parent / f".{target.name}.{kind}-{secrets.token_hex(4)}"


def leftovers(target: Path, kind: str = "tmp") -> list[Path]:
    """Siblings that an interrupted write to the same target left behind."""
    pattern = re.compile(re.escape(f".{target.name}.{kind}-") + "[0-9a-f]{8}")
    if not target.parent.is_dir():
        return []
    return sorted(path for path in target.parent.iterdir() if pattern.fullmatch(path.name))


@contextmanager
def temporary_folder(target: Path) -> Iterator[Path]:
    """An empty folder beside `target`. The caller renames it; if it still exists at the end, it is removed."""
    remove_stale(target)
    folder = temporary_name(target)
    with stopped_by_sigterm():
        try:
            folder.mkdir()
            lock = _lock(folder)
            try:
                yield folder
            finally:
                if lock is not None:
                    os.close(lock)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def output_folder(target: str | Path) -> Iterator[Path]:
    """A folder for files that are written later: made where it is missing, and removed again where nothing was put into it.

    Raises InputError, before any work, where it cannot be made or written to.
    """
    folder = Path(target)
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            trial = temporary_name(folder / "trial")
            trial.touch(exist_ok=False)
            trial.unlink()
        except OSError as error:
            what = f"{folder} cannot be {'written to' if folder.is_dir() else 'made'}: {error.strerror or error}"
            raise InputError(what, fix="choose another folder with -o") from error
        yield folder
    finally:
        for place in made:
            with suppress(OSError):  # not empty
                place.rmdir()


def write_file(target: str | Path, write: Callable[[BinaryIO], object]) -> None:
    """Calls `write` with an open binary file, then renames it to `target` (replacing a file of that name)."""
    target = Path(target)
    for path in leftovers(target):
        if not _in_use(path):
            path.unlink(missing_ok=True)
    temporary = temporary_name(target)
    with stopped_by_sigterm():
        try:
            with open(temporary, "xb") as file:
                if sys.platform != "win32":
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    sync_folder(target.parent)


def remove_stale(target: Path) -> None:
    """Removes temporary folders that an earlier, killed write to the same target left (not those of a running one)."""
    for path in leftovers(target):
        if not _in_use(path):
            shutil.rmtree(path, ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Makes renames in the folder durable, where the system can."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """SIGTERM raises SystemExit(143) inside, so that clean-up runs; a handler that the caller has set stays."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _lock(folder: Path) -> int | None:
    """A lock that ends with this process, however it ends: it tells a running write from a killed one."""
    if sys.platform == "win32":
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def _in_use(path: Path) -> bool:
    if sys.platform == "win32":
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
