"""A report as a value, and its text as Markdown and as an HTML page.

A report is written once, as titles, sentences and tables. All texts in it may quote foreign files:
both forms show them as they are, and nothing in them becomes markup, a link or a mention.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from string import Template

_UNSAFE = re.compile(
    r"[^ \w.,;:%+/()='\"-]|_|(?<=\d)\.(?= )|:(?=//)|(?<=www)\."
    r"|%(?=[\w\"])|:(?=[\w+-]+:)|(?<=[A-Z0-9])-(?=\d)|[0-9a-fA-F]{7,}",
    re.ASCII,
)
"""Characters that Markdown, HTML or a forge give a meaning to, and all that are not ASCII; and what
forges may take for the name of a commit."""
_PART_OF_COMMIT = 6
"""Digits that are no name of a commit: GitHub and GitLab look for seven and more."""
_SPLIT = "@#!$~&%:-[*^"
"""Forges look for names and numbers behind these characters in the finished page."""
_NUMBER = re.compile(r"[-+]?[\d,]+(\.\d+)?(e[-+]?\d+)?%?")
_PAGE = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="generator" content="builder">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light dark; --back: #fff; --text: #1b1f24; --soft: #59636e; }
@media (prefers-color-scheme: dark) {
  :root { --back: #14171c; --text: #e6e9ed; --soft: #9aa4af; }
}
body { background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif;
  max-width: 1240px; margin: 1.5rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; } p { color: var(--soft); }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .2rem .6rem; border-bottom: 1px solid #8884; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
</style>
</head>
<body>
<h1>$title</h1>
$body
</body>
</html>
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Columns with names, and rows of texts."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What stands below one heading: sentences, then a table."""

    title: str
    sentences: tuple[str, ...] = ()
    table: Table | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A report with a title."""

    title: str
    sentences: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()


def render_markdown(document: Document) -> str:
    """Returns a document as Markdown with GitHub's tables, which GitLab reads too."""
    return "\n".join(_write_markdown(document)) + "\n"


def render_html(document: Document) -> str:
    """Returns a document as one HTML page that needs no other file."""
    body = "\n".join(_write_html(document))
    return _PAGE.substitute(title=_join(document.title), body=body)


def render_markdown_table(table: Table) -> str:
    """Returns one table as Markdown."""
    return "\n".join(_write_table(table)) + "\n"


def _write_markdown(document: Document) -> Iterator[str]:
    yield f"## {_quote(' '.join(_split(document.title)))}"
    for sentence in document.sentences:
        yield from ("", _say(sentence))
    for section in document.sections:
        yield from ("", f"### {_quote(' '.join(_split(section.title)))}")
        for sentence in section.sentences:
            yield from ("", _say(sentence))
        if section.table is not None and section.table.rows:
            yield ""
            yield from _write_table(section.table)


def _write_table(table: Table) -> Iterator[str]:
    right = _find_numbers(table)
    yield f"| {' | '.join(map(_quote, table.header))} |"
    yield f"|{'|'.join('--:' if is_right else '---' for is_right in right)}|"
    for row in table.rows:
        yield f"| {' | '.join(map(_quote, row))} |"


def _write_html(document: Document) -> Iterator[str]:
    yield from (f"<p>{_break(sentence)}</p>" for sentence in document.sentences)
    for section in document.sections:
        yield f"<h2>{_join(section.title)}</h2>"
        yield from (f"<p>{_break(sentence)}</p>" for sentence in section.sentences)
        if section.table is not None and section.table.rows:
            yield from _write_html_table(section.table)


def _write_html_table(table: Table) -> Iterator[str]:
    right = _find_numbers(table)
    yield "<table>"
    yield f"<thead>{_write_row('th', table.header, right)}</thead>"
    yield "<tbody>"
    yield from (_write_row("td", row, right) for row in table.rows)
    yield "</tbody>"
    yield "</table>"


def _write_row(tag: str, cells: tuple[str, ...], right: list[bool]) -> str:
    numbers = [' class="number"' if is_right else "" for is_right in right]
    made = (
        f"<{tag}{number}>{_break(cell)}</{tag}>"
        for cell, number in zip(cells, numbers, strict=True)
    )
    return f"<tr>{''.join(made)}</tr>"


def _find_numbers(table: Table) -> list[bool]:
    """Returns for each column whether all its cells are numbers or empty."""
    return [
        any(cells) and all(cell in {"", "-"} or _NUMBER.fullmatch(cell) for cell in cells)
        for cells in ([row[n] for row in table.rows] for n in range(len(table.header)))
    ]


def _say(text: str) -> str:
    """Returns a sentence, which stands alone in its line."""
    quoted = _quote(text.strip())
    # A list or a line across the page begins with a sign or a number, and a command of GitLab with
    # a slash (https://docs.gitlab.com/user/project/quick_actions/).
    return re.sub(r"^(\d*)([-+=./)])", lambda sign: f"{sign[1]}&#{ord(sign[2])};", quoted)


def _quote(text: str) -> str:
    """Returns a text as Markdown shows it, whatever is in it; line breaks stay."""
    return "<br>".join(_UNSAFE.sub(_escape, line) for line in _split(text))


def _escape(match: re.Match[str]) -> str:
    if match[0] == "_":
        return "\\_"
    if len(match[0]) > 1:
        return "<!-- -->".join(re.findall(rf".{{1,{_PART_OF_COMMIT}}}", match[0]))
    # A reference is a character and no markup to Markdown, but to what looks for names afterwards.
    # GitLab looks for the name of a project before `>`.
    before = "<!-- -->" if match[0] == ">" else ""
    return f"{before}&#{ord(match[0])};" + ("<!-- -->" if match[0] in _SPLIT else "")


def _break(text: str) -> str:
    return "<br>".join(map(escape, _split(text)))


def _join(text: str) -> str:
    return escape(" ".join(_split(text)))


def _split(text: str) -> Iterator[str]:
    """Yields the lines of a text; control characters become visible."""
    for line in text.splitlines():
        yield "".join(one if one.isprintable() else ascii(one)[1:-1] for one in line)
