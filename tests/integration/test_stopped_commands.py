"""Long commands that are stopped: Ctrl-C goes to all processes of a terminal, and leaves no traceback, folder or process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headwright.compiler.errors import HeadwrightError, InputError
from headwright.runtime import atomic, cli
from headwright.runtime.workers import worker_pool

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

STOPPED = """
import os, signal, sys, time
from headwright.runtime import cli, {module} as work

{patch}

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background has it ignored
    sys.exit(cli.main({arguments!r}))
"""

#: Says that it works, in a command of this process, or as soon as the processes that share the work have been started.
HERE = "def measure(*given):\n    print('started', flush=True)\n    time.sleep(60)\n\nwork.compute = measure"
SHARED = (
    "before = work.track\n\ndef told(found, *rest):\n    print('started', flush=True)\n    return before(found, *rest)\n\n"
    "work.track = told"
)
PARETO = ["pareto", "--kappa", "100", "--tol", "0.01", "0.001", "--construction", "least_squares", "--no-picture"]


def living(group: int) -> list[str]:
    """The processes of a group, without those that have ended and wait for their parent to notice (Linux; else none)."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of = place.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # ended meanwhile
            continue
        if int(of) == group and state != "Z":
            found.append(place.parent.name)
    return found


@posix
@pytest.mark.parametrize(
    ("module", "patch", "arguments"),
    [
        ("rates", HERE, ["rates", "--no-picture"]),
        ("pareto", SHARED, PARETO),
    ],
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_command_says_so_in_json_and_leaves_nothing(module, patch, arguments, number, tmp_path: Path) -> None:
    script = tmp_path / "stopped.py"
    script.write_text(STOPPED.format(module=module, patch=patch, arguments=[*arguments, "--json", "-o", "made/here"]))
    place = tmp_path / "place"
    place.mkdir()
    run, pipe = [sys.executable, str(script)], subprocess.PIPE
    process = subprocess.Popen(run, cwd=place, text=True, stdout=pipe, stderr=pipe, start_new_session=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    time.sleep(0.3)  # processes that share the work are importing now
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert json.loads(out)["error"]["type"] == "Stopped"
    assert "Traceback" not in err
    assert list(place.iterdir()) == []
    deadline = time.monotonic() + 10
    while living(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert living(process.pid) == []


def test_a_process_that_ends_early_is_named() -> None:
    with pytest.raises(HeadwrightError, match="`mutate` started has ended") as caught, worker_pool(2, "mutate") as submit:
        for future in submit(os._exit, [(3,), (3,)]):
            future.result()
    assert caught.value.fix == "run it in one process: --workers 1"


def test_an_output_folder_stays_only_where_something_was_put_into_it(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), atomic.output_folder(tmp_path / "a" / "b"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with atomic.output_folder(tmp_path / "a" / "b") as folder:
        (folder / "file").touch()
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["file"]


@pytest.mark.skipif(not Path("/proc/sys").is_dir(), reason="a folder that nobody can write to")
@pytest.mark.parametrize("command", ["pareto", "rates", "similarity", "mutate", "demo", "ledger", "bench"])
def test_a_folder_that_cannot_be_written_to_is_refused_before_the_work(command: str, capsys) -> None:
    target = "/proc/sys/figures.md" if command == "bench" else "/proc/sys"
    assert cli.main([command, "-o", target]) == 2
    assert "/proc/sys cannot be written to" in capsys.readouterr().err
    with pytest.raises(InputError), atomic.output_folder("/proc/sys"):
        pass
