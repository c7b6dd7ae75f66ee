"""Every ```python block of the README and of docs/ runs, page by page, in one namespace a page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^( *)```python[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[int, str]]:
    """(first line, code) of every Python block."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        indent = len(match[1])
        lines = [line[indent:] for line in match[2].splitlines()]
        found.append((text[: match.start()].count("\n") + 2, "\n".join(lines) + "\n"))
    return found


PAGES = [page for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))] if page.exists() and blocks(page)]


def test_the_block_reader_finds_indented_and_plain_blocks(tmp_path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n```python\nx = 1\n```\n- b\n  ```python\n  y = x\n  ```\n```text\nno\n```\n", encoding="utf-8")
    assert blocks(page) == [(3, "x = 1\n"), (7, "y = x\n")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_example_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # examples may write files
    namespace: dict[str, object] = {"__name__": "__main__"}
    for line, code in blocks(page):
        padded = "\n" * (line - 1) + code  # so that an error shows the line of the page
        exec(compile(padded, str(page), "exec", dont_inherit=True), namespace)


ALL = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", ALL, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_no_merge_is_left_over(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text)) if "://" not in target]
    missing = [target for target in links if target and not (page.parent / target).exists()]
    assert not missing, missing
    assert not re.search(r"^(<{7}|={7}$|>{7})", text, re.MULTILINE)


def test_every_page_is_listed() -> None:
    listed = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    pages = {str(page.relative_to(ROOT / "docs")) for page in ALL if page.parent != ROOT} - {"README.md"}
    assert not {page for page in pages if f"({page})" not in listed}


def test_the_readme_and_the_docs_have_examples() -> None:
    assert ROOT / "README.md" in PAGES
    assert len(PAGES) >= 2
