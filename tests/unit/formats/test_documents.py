"""Reports as Markdown and HTML: whatever a foreign file is called, it stays text."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser

import pytest

from builder.formats.documents import (
    Document,
    Section,
    Table,
    render_html,
    render_markdown,
    render_markdown_table,
)

HOSTILE = [
    "</td><script>alert(1)</script>",
    "[click](https://example.com)",
    "![x](https://example.com/x.png)",
    "https://example.com",
    "www.example.com",
    "@everyone and #1 and !2 and $3 and ~4",
    "**bold** _it_ `code` | cell",
    "# title\n| a | b |\n---",
    "<!-- builder-release 0 -->",
    "\x1b[31mred\x00\u202e",
    "- item",
    "1. item",
    "1) item",
    "/close it: now",
    "    code",
    "GH-12, %1 and :smile:",
    "ABC-12 and X9-1",
    "fixed in deadbeef, 1234567 and DEFACED",
    "org/repo@a94a8fe5ccb19ba61c4c0873d391e987982fbbd3",
    "[vulnerability:123] [work_item:3] *iteration:4 ^alert group/project>",
]
_REFERENCES = re.compile(r"[0-9a-fA-F]{7}|[A-Z0-9]-\d|[@#!$&*^[]\w|\w>")
"""What GitHub or GitLab may take for a commit, an issue, a request, a project or a person."""


def make(text: str) -> Document:
    table = Table(header=("name", "bytes"), rows=((text, "1,234"), ("b", "-")))
    section = Section(title=text, sentences=(text,), table=table)
    return Document(title=text, sentences=(text,), sections=(section,))


def test_markdown_of_a_plain_report():
    table = Table(header=("operator", "bytes"), rows=(("aten::add.Tensor", "1,234"),))
    section = Section(title="Operators", sentences=("Two.",), table=table)
    assert render_markdown(Document(title="Release", sections=(section,))) == (
        "## Release\n\n### Operators\n\nTwo.\n\n"
        "| operator | bytes |\n|---|--:|\n| aten::add.Tensor | 1,234 |\n"
    )
    assert render_markdown_table(table).startswith("| operator | bytes |\n")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_becomes_markup_in_markdown(text):
    made = render_markdown(make(text)).replace("<br>", " ").replace("<!-- -->", "\0")
    for markup in ("<", "](", "](h", "**", "`", "://", "www.", "builder-release 0 -->", "\x1b"):
        assert markup not in made
    lines = made.splitlines()
    assert sum(line.startswith("| ") for line in lines) == 3
    # Each cell is one cell.
    assert {line.count(" | ") for line in lines if line.startswith("| ")} == {1}
    assert not any(line.startswith(("- ", "1. ", "1) ", "# ", "---", "/", "  ")) for line in lines)
    for sign in "@#!$~[*^":
        # A forge looks for names behind these in the page, where a reference is a character.
        assert f"&#{ord(sign)};" not in made.replace(f"&#{ord(sign)};\0", "")
    # What a forge sees of the page: a comment ends a text.
    assert not _REFERENCES.search(unescape(made))


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_becomes_markup_in_html(text):
    tags = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append(tag)

        def handle_comment(self, data):
            tags.append("comment")

    page = render_html(make(text))
    Reader().feed(page)
    allowed = "html head meta title style body h1 p h2 table thead tr th tbody td br"
    assert set(tags) <= set(allowed.split())
    assert "\x1b" not in page


def test_columns_of_numbers_are_on_the_right_in_both_forms():
    rows = (("a", "+1,234", "-1.20%", ""), ("b", "0", "-", "2"))
    table = Table(header=("x", "change", "share", "empty"), rows=rows)
    section = Section(title="t", table=table)
    document = Document(title="t", sections=(section,))
    assert "|---|--:|--:|--:|" in render_markdown(document)
    assert render_html(document).count('<th class="number">') == 3


def test_a_table_without_rows_is_left_out():
    section = Section(title="t", table=Table(header=("a",), rows=()))
    document = Document(title="t", sections=(section,))
    assert "|" not in render_markdown(document)
    assert "<table>" not in render_html(document)
