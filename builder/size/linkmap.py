"""Reads lld's link map: which input section of which object became how many bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_OUTPUT = re.compile(r"^ *[0-9a-f]+ +[0-9a-f]+ +([0-9a-f]+) +\d+ (\S+)$")
_INPUT = re.compile(r"^ *[0-9a-f]+ +[0-9a-f]+ +([0-9a-f]+) +\d+ {9}(\S.*):\(([^()]*)\)$")
_NO_BYTES = (".bss", ".tbss")


@dataclass(frozen=True, slots=True)
class InputSection:
    """A live input section."""

    owner: str
    """Path of the object, or `archive.a(member.o)`, or `<internal>`."""
    section: str
    """Output section it went to."""
    size: int
    """Bytes."""


def parse_map(lines: Iterable[str]) -> Iterator[InputSection]:
    """Yields the input sections that take bytes in the file (nothing of `.bss`)."""
    output = ""
    for line in lines:
        line = line.rstrip("\n")
        match = _INPUT.match(line)
        if match:
            if not output.startswith(_NO_BYTES):
                yield InputSection(match[2], output, int(match[1], 16))
            continue
        match = _OUTPUT.match(line)
        if match:
            output = match[2]
