"""Every ```python block of the README and of docs/ runs, page by page, and prints the ```text block below it."""

from __future__ import annotations

import contextlib
import io
import math
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from headwright.runtime import cli

ROOT = Path(__file__).resolve().parents[2]
NUMBER = re.compile(r"-?\d+\.\d+(?:e[-+]?\d+)?|\d+e[-+]?\d+")
FENCE = re.compile(r"^( *)```python[^\n]*\n(.*?)^\1```\n(?:\1```text\n(.*?)^\1```)?", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[int, str, str | None]]:
    """(first line, code, the text block right below or None) of every Python block."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        indent = len(match[1])
        lines = [line[indent:] for line in match[2].splitlines()]
        printed = None if match[3] is None else "\n".join(line[indent:] for line in match[3].splitlines())
        found.append((text[: match.start()].count("\n") + 2, "\n".join(lines) + "\n", printed))
    return found


def same_text(output: str, printed: str) -> bool:
    """Whether a page shows what was printed: word for word, and numbers as far as rounding lets machines agree."""
    ours, theirs = ([line.rstrip() for line in text.splitlines()] for text in (output, printed))
    if [NUMBER.sub("#", line) for line in ours] != [NUMBER.sub("#", line) for line in theirs]:
        return False
    pairs = zip(NUMBER.findall("\n".join(ours)), NUMBER.findall("\n".join(theirs)), strict=True)
    return all(math.isclose(float(a), float(b), rel_tol=1e-6, abs_tol=1e-12) for a, b in pairs)


PAGES = [page for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))] if page.exists() and blocks(page)]


def test_the_block_reader_finds_indented_and_plain_blocks(tmp_path) -> None:
    page = tmp_path / "page.md"
    first, second = "a\n```python\nx = 1\n```\n```text\n1\n2\n```\n", "- b\n  ```python\n  y = x\n  ```\n```text\nno\n```\n"
    page.write_text(first + second, encoding="utf-8")
    assert blocks(page) == [(3, "x = 1\n", "1\n2"), (11, "y = x\n", None)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_example_runs_and_prints_what_the_page_says(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # examples may write files
    namespace: dict[str, object] = {"__name__": "__main__"}
    for line, code, printed in blocks(page):
        padded = "\n" * (line - 1) + code  # so that an error shows the line of the page
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile(padded, str(page), "exec", dont_inherit=True), namespace)
        if printed is not None:
            assert same_text(output.getvalue(), printed), f"line {line} prints\n{output.getvalue()}"


SHELL = re.compile(r"^```bash\n((?:(?!```).)*?)^```\n```text\n(.*?)^```", re.MULTILINE | re.DOTALL)
SESSIONS = [
    (page, number, commands.splitlines(), printed)
    for page in sorted((ROOT / "docs").rglob("*.md"))
    for number, (commands, printed) in enumerate(SHELL.findall(page.read_text(encoding="utf-8")))
    if not commands.startswith("headwright pareto")  # takes 10 s; tests/integration/test_pareto.py reads its tables
]


@pytest.mark.parametrize(("page", "number", "commands", "printed"), SESSIONS, ids=[f"{s[0].stem}-{s[1]}" for s in SESSIONS])
def test_commands_print_what_the_page_says(page, number, commands, printed, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    output = io.StringIO()
    for command in commands:
        program, *arguments = shlex.split(command)
        if program == "python":
            output.write(subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True).stdout)
        else:
            assert program == "headwright"
            with contextlib.redirect_stdout(output):
                assert cli.main(arguments) == 0, command
    assert same_text(output.getvalue(), printed)


def test_the_readme_and_the_docs_have_examples() -> None:
    assert ROOT / "README.md" in PAGES
    assert len(PAGES) >= 2
