"""The pages hang together: every page is in the table of contents, every link leads somewhere, no merge was left half done."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s#]*)(#[^)\s]*)?\)")
CODE = re.compile(r"```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def links(page: Path) -> list[tuple[str, str]]:
    """(address, anchor) of every link that does not leave the repository."""
    text = CODE.sub("", page.read_text(encoding="utf-8"))
    return [(address, anchor) for address, anchor in LINK.findall(text) if "://" not in address]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings: lower case, punctuation dropped, spaces to hyphens."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {"#" + re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_pages_and_headings(page: Path) -> None:
    for address, anchor in links(page):
        target = (page.parent / address).resolve() if address else page
        assert target.exists(), f"{address} does not exist"
        if anchor:
            assert anchor in anchors(target), f"{address}{anchor}: no such heading"


def test_the_table_of_contents_has_every_page() -> None:
    listed = {(DOCS / address).resolve() for address, _ in links(DOCS / "README.md")}
    assert sorted(set(DOCS.rglob("*.md")) - listed - {DOCS / "README.md"}) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_merge_was_left_half_done(page: Path) -> None:
    assert re.findall(r"^(?:<{7}|={7}|>{7})(?: .*)?$", page.read_text(encoding="utf-8"), re.MULTILINE) == []
