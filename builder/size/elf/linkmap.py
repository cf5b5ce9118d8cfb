"""Reads the link map of lld, which has the size and the object of each input section."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

# The columns are VMA, LMA, size, alignment and the name, with two more levels of indentation.
_OUTPUT = re.compile(r"^ *(?P<address>[0-9a-f]+) +[0-9a-f]+ +[0-9a-f]+ +\d+ (?P<section>\S+)$")
_INPUT = re.compile(
    r"^ *(?P<address>[0-9a-f]+) +[0-9a-f]+ +(?P<size>[0-9a-f]+) +\d+ {9}"
    r"(?P<owner>\S.*):\((?P<name>[^()]*)\)$"
)
_SYMBOL_COLUMN = 65
"""Column in which the names of symbols start."""
_NO_BYTES = (".bss", ".tbss")
"""Sections without bytes in the file."""
_OPTIMISED = ".lto.o"
"""End of the name of an owner that link-time optimisation made."""
_COPY = re.compile(r"(\.(\d+|cold|llvm|part))+$")
"""Endings that the optimiser appends to the names of copies and parts of functions."""


@dataclass(frozen=True, slots=True)
class InputSection:
    """An input section that is part of the library."""

    owner: str
    """Path of the object, or `archive.a(member.o)`, or `<internal>`."""
    section: str
    """Name of the output section that contains it."""
    address: int
    size: int
    """Bytes."""
    name: str = ""
    """Name of the section in the object, e.g. `.text._ZN2at3addEv`."""


def parse_map(lines: Iterable[str]) -> Iterator[InputSection]:
    """Yields the input sections that are loaded from the file, so not `.bss` and `.symtab`."""
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
                    name=match["name"],
                )
            continue
        match = _OUTPUT.match(line)
        if match:
            output = match["section"]
            # Sections for the linker and for debuggers have no address, and are not loaded.
            loaded = int(match["address"], 16) > 0 and not output.startswith(_NO_BYTES)


def is_optimised(owner: str) -> bool:
    """Returns whether an owner in the map is the object that link-time optimisation made."""
    return owner.endswith(_OPTIMISED)


def read_pieces(map_file: Path, units_map: Path | None = None) -> list[InputSection]:
    """Returns the input sections of a link.

    Args:
        map_file: map of the link from lld.
        units_map: map of a link of the same units without link-time optimisation. If the library
            was optimised, the owners of sections are looked up there by name.
    """
    with map_file.open(errors="replace") as stream:
        pieces = list(parse_map(stream))
    if units_map is None:
        return pieces
    with units_map.open(errors="replace") as stream:
        owners = {piece.name: piece.owner for piece in parse_map(stream)}

    def restore(piece: InputSection) -> InputSection:
        if not is_optimised(piece.owner):
            return piece
        # The optimiser renames copies: the original name still tells the unit.
        owner = owners.get(piece.name) or owners.get(_COPY.sub("", piece.name))
        return replace(piece, owner=owner) if owner else piece

    return [restore(piece) for piece in pieces]


def parse_names(lines: Iterable[str]) -> dict[int, str]:
    """Returns address -> the first symbol at it, as C++ code writes its name."""
    names: dict[int, str] = {}
    for line in lines:
        if line[_SYMBOL_COLUMN - 16 : _SYMBOL_COLUMN].isspace():
            names.setdefault(int(line[:16], 16), line[_SYMBOL_COLUMN:].rstrip("\n"))
    return names
