"""Reads lld's link map: which input section of which object became how many bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_OUTPUT = re.compile(r"^ *(?P<address>[0-9a-f]+) +[0-9a-f]+ +[0-9a-f]+ +\d+ (?P<section>\S+)$")
_INPUT = re.compile(
    r"^ *(?P<address>[0-9a-f]+) +[0-9a-f]+ +(?P<size>[0-9a-f]+) +\d+ {9}"
    r"(?P<owner>\S.*):\([^()]*\)$"
)
_SYMBOL_COLUMN = 65
_NO_BYTES = (".bss", ".tbss")


@dataclass(frozen=True, slots=True)
class InputSection:
    """A live input section."""

    owner: str
    """Path of the object, or `archive.a(member.o)`, or `<internal>`."""
    section: str
    """Output section it went to."""
    address: int
    size: int
    """Bytes."""


def parse_map(lines: Iterable[str]) -> Iterator[InputSection]:
    """Yields the input sections that are loaded from the file (nothing of `.bss` or `.symtab`)."""
    output, loaded = "", False
    for line in lines:
        line = line.rstrip("\n")
        match = _INPUT.match(line)
        if match:
            if loaded:
                yield InputSection(
                    owner=match["owner"],
                    section=output,
                    address=int(match["address"], 16),
                    size=int(match["size"], 16),
                )
            continue
        match = _OUTPUT.match(line)
        if match:
            output = match["section"]
            loaded = int(match["address"], 16) > 0 and not output.startswith(_NO_BYTES)


def parse_names(lines: Iterable[str]) -> dict[int, str]:
    """Returns address -> the first symbol there, as a person would write it."""
    names: dict[int, str] = {}
    for line in lines:
        if line[_SYMBOL_COLUMN - 16 : _SYMBOL_COLUMN].isspace():
            names.setdefault(int(line[:16], 16), line[_SYMBOL_COLUMN:].rstrip("\n"))
    return names
