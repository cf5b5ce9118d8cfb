"""Reads README and docs: blocks of code, commands in them, links, and the output that they show."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
)
_FENCE = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")
_PROGRESS = re.compile(r"==> |    \[\d+/\d+")
_NUMBER = re.compile(r"\d[\d,.]*(?:e[-+]?\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    text: str

    @property
    def id(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A command in a console block, and the output that the page shows for it."""

    id: str
    command: str
    output: str


def read_blocks(*languages: str, page: str = "") -> list[Block]:
    """Returns the blocks of all pages or one, or those in some languages."""
    return [
        Block(
            page=str(path.relative_to(ROOT)),
            line=text.count("\n", 0, match.start()) + 1,
            language=match[1],
            text=match[2],
        )
        for path in PAGES
        if page in {"", str(path.relative_to(ROOT))}
        for text in (path.read_text(),)
        for match in _FENCE.finditer(text)
        if not languages or match[1] in languages
    ]


def read_prose(page: Path) -> str:
    """Returns a page without its blocks."""
    return _FENCE.sub("", page.read_text())


def read_shown() -> list[Shown]:
    """Returns the commands of all console blocks, with the output that follows each."""
    found = []
    for block in read_blocks("console"):
        before, *parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
        assert before == "", f"{block.id}: output without a command"
        for part in parts:
            command, _, output = part.partition("\n")
            found.append(Shown(id=block.id, command=command, output=output))
    return found


def split_commands(text: str) -> Iterator[list[str]]:
    """Yields the words of each simple command in shell text, without redirections."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;>")
        lexer.whitespace_split = True
        words: list[str] = []
        tokens = list(lexer)
        for position, token in enumerate(tokens):
            if token in {"&&", "|", ";"}:
                yield words
                words = []
            elif ">" not in {token, tokens[position - 1] if position else ""}:
                words.append(token)
        if words:
            yield words


def drop_assignments(words: list[str]) -> list[str]:
    """Returns a command without the variables that are set in front of it."""
    return words[next((i for i, w in enumerate(words) if not re.match(r"\w+=", w)), len(words)) :]


def list_links(page: Path) -> list[str]:
    """Returns the targets of a page's links."""
    return _LINK.findall(read_prose(page))


def list_anchors(page: Path) -> set[str]:
    """Returns the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", read_prose(page), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


def agrees(shown: str, real: str, *, mask_numbers: bool = False) -> bool:
    """Returns whether a command's real output is what a page shows.

    In the page, `...` stands for anything within a line, and for any lines where it stands alone.
    Widths of columns do not count; with `mask_numbers` the values of numbers do not count either.
    Lines of progress in the real output are left out.
    """
    pattern = ""
    for line in shown.splitlines():
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            parts = _normalise(line, mask_numbers=mask_numbers).split("...")
            pattern += ".*?".join(map(re.escape, parts)) + r"\n"
    lines = (line for line in real.splitlines() if not _PROGRESS.match(line))
    text = "".join(_normalise(line, mask_numbers=mask_numbers) + "\n" for line in lines)
    return re.fullmatch(pattern, text) is not None


def list_headers(text: str) -> list[str]:
    """Returns the header lines of the tables in an output."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return [line for line, below in pairwise(lines) if re.fullmatch(r"-+(?: -+)+", below)]


def _normalise(line: str, *, mask_numbers: bool) -> str:
    line = re.sub(r"-{3,}", "---", " ".join(line.split()))
    return _NUMBER.sub("0", line) if mask_numbers else line
