"""Reads what prices need of a 64-bit little-endian ELF file: sections, symbols, relocations.

pyelftools makes an object of each entry; a library has a hundred thousand of them.
The layouts are those of the System V ABI, chapters 4 and 5.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

PROGBITS, SYMTAB, RELA, NOBITS, DYNSYM = 1, 2, 4, 8, 11
INIT_ARRAY, FINI_ARRAY = 14, 15
ALLOC, EXECUTABLE, THREAD_DATA = 2, 4, 0x400
SECTION_SYMBOL, THREAD_LOCAL = 3, 6
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELA = struct.Struct("<QIIq")
_IDENT = b"\x7fELF\x02\x01"


class Section(NamedTuple):
    """A section header."""

    name: str
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int

    @property
    def end(self) -> int:
        """Address behind its last byte."""
        return self.address + self.size


class Symbol(NamedTuple):
    """An entry of a symbol table."""

    name: str
    kind: int
    binding: int
    """0 local, 1 global, 2 weak."""
    section: int
    """Index of the section that holds it; 0 when it is defined elsewhere."""
    address: int
    size: int


class Relocation(NamedTuple):
    """A place that the linker filled in with an address."""

    place: int
    kind: int
    symbol: int
    addend: int


@dataclass(frozen=True)
class Elf:
    """One file, read as it is asked for."""

    path: Path

    @cached_property
    def data(self) -> memoryview:
        """The whole file."""
        return memoryview(self.path.read_bytes())

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """Section headers in file order; empty when this is no 64-bit little-endian ELF file."""
        if len(self.data) < _HEADER.size or bytes(self.data[:6]) != _IDENT:
            return ()
        header = _HEADER.unpack_from(self.data)
        start, count, names = header[6], header[12], header[13]
        raw = [_SECTION.unpack_from(self.data, start + i * _SECTION.size) for i in range(count)]
        text = bytes(self.data[raw[names][4] : raw[names][4] + raw[names][5]])
        return tuple(
            Section(_name(text, r[0]), r[1], r[2], r[3], r[4], r[5], r[6], r[7]) for r in raw
        )

    @cached_property
    def symbols(self) -> tuple[Symbol, ...]:
        """The full symbol table; empty in a stripped file."""
        return tuple(self._read_symbols(SYMTAB))

    @cached_property
    def exported(self) -> tuple[Symbol, ...]:
        """The dynamic symbol table."""
        return tuple(self._read_symbols(DYNSYM))

    @property
    def machine(self) -> int:
        """`e_machine`: 62 is x86-64, 183 is AArch64."""
        return int(_HEADER.unpack_from(self.data)[2])

    def content(self, section: Section) -> memoryview:
        """Returns the bytes of `section` in the file."""
        return self.data[section.offset : section.offset + section.size]

    def relocations(self, section: Section) -> Iterator[Relocation]:
        """Yields the entries of a RELA section."""
        for place, kind, symbol, addend in _RELA.iter_unpack(self.content(section)):
            yield Relocation(place, kind, symbol, addend)

    def _read_symbols(self, kind: int) -> Iterator[Symbol]:
        for table in (section for section in self.sections if section.kind == kind):
            text = bytes(self.content(self.sections[table.link]))
            for name, info, _, section, address, size in _SYMBOL.iter_unpack(self.content(table)):
                yield Symbol(_name(text, name), info & 15, info >> 4, section, address, size)


def _name(text: bytes, start: int) -> str:
    return text[start : text.index(0, start)].decode(errors="replace")
