"""The site of the documents: built without a warning, with every page, link and search word."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import pytest
from documents import PAGES, ROOT

from docs_site.staging import move_links, render_navigation, stage_pages


class _Page(HTMLParser):
    """Collects the links and the anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"href", "src"} and value:
                self.links.append(value)
            elif name in {"id", "name"} and value:
                self.anchors.add(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = (sys.executable, ROOT / "tools/make_site.py", "-o", folder)
    made = subprocess.run(command, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    return folder


def test_each_page_of_docs_is_in_the_site(site):
    docs = ROOT / "docs"
    pages = {page.relative_to(docs).with_suffix(".html") for page in docs.rglob("*.md")}
    expected = {str(page) for page in pages} - {"README.html"} | {"index.html"}
    found = {str(path.relative_to(site)) for path in site.rglob("*.html")}
    assert expected <= found
    assert {"project/SECURITY.html", "project/benchmarks/peers.html"} <= found


def test_each_link_and_picture_of_the_site_leads_somewhere(site):
    pages = {path: _Page(path.read_text()) for path in site.rglob("*.html")}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            known = pages[target].anchors if target in pages else None
            if not target.is_file() or (parts.fragment and unquote(parts.fragment) not in known):
                broken.append(f"{path.relative_to(site)}: {link}")
    assert sum(len(page.links) for page in pages.values()) > 1000
    assert broken == []


def test_nothing_of_the_site_comes_from_elsewhere(site):
    """A page must not load scripts, styles, fonts or pictures from other servers."""
    pattern = r"<(?:script|img|iframe|link rel=\"stylesheet\")[^>]*?(?:src|href)=\"(?:https?:)?//"
    loaded = [str(p) for p in site.rglob("*.html") if re.search(pattern, p.read_text())]
    assert loaded == []


def test_the_search_knows_titles_and_words_of_the_pages(site):
    index = (site / "searchindex.js").read_text()
    titles = [re.match(r"# (.+)", page.read_text()) for page in PAGES if "docs" in page.parts]
    words = {word.lower() for title in titles if title for word in re.findall(r"\w{4,}", title[1])}
    assert len(words) > 50
    assert [word for word in sorted(words) if word not in index.lower()] == []
    assert "torchlite_forward" in index


def test_a_link_that_leads_nowhere_fails(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/README.md").write_text("# Title\n\n- [gone](gone.md)\n")
    with pytest.raises(ValueError, match=r"docs/gone\.md is not a file"):
        stage_pages(tmp_path, tmp_path / "site")


def test_links_out_of_docs_move_and_blocks_stay():
    page = PurePosixPath("docs/how-to/a.md")
    text = "[s](../../SECURITY.md#x) [b](b.md) [w](https://a.b/c)\n```text\n[s](../no.md)\n```\n"
    moved, linked = move_links(text, page)
    assert moved == (
        "[s](../project/SECURITY.md#x) [b](b.md) [w](https://a.b/c)\n```text\n[s](../no.md)\n```\n"
    )
    assert linked == [PurePosixPath("SECURITY.md"), PurePosixPath("docs/how-to/b.md")]


def test_an_item_with_several_links_is_a_tree_of_its_own():
    index = "# T\n\n## One\n\n- [a](a.md)\n- Others: [b](b.md),\n  [c](c.md)\n\n## Two\n\nText.\n"
    found = re.findall(r":caption: (.+)\n\n((?:.+\n)+?)```", render_navigation(index))
    assert found == [("One", "a\n"), ("Others", "b\nc\n")]
