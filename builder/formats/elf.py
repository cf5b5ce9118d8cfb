"""Reads little-endian ELF files of 32 and 64 bits, as far as prices and policies need them.

pyelftools creates an object for each entry, and a library has a hundred thousand entries.
The layouts are in the System V ABI, chapters 4 and 5.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from builder.formats.name_table import NameTable

# Numbers of the System V ABI: section types (SHT_...), section flags (SHF_...), symbol types
# (STT_...), symbol bindings (STB_...) and segment types (PT_...).
NULL, PROGBITS, SYMTAB, STRTAB, RELA, NOBITS, DYNSYM = 0, 1, 2, 3, 4, 8, 11
INIT_ARRAY, FINI_ARRAY = 14, 15
ALLOC, EXECUTABLE, THREAD_DATA = 2, 4, 0x400
SECTION_SYMBOL, THREAD_LOCAL = 3, 6
LOCAL, WEAK = 0, 2
LOAD, DYNAMIC = 1, 2
MAGIC = b"\x7fELF"
"""The first bytes of every ELF file."""
DAMAGE = (struct.error, ValueError, IndexError, OverflowError)
"""Exceptions that reading a damaged file raises."""
# Elf64_Rela: r_info is split into the symbol (upper half) and the type (lower half).
_RELA = struct.Struct("<QIIq")
_STRTAB, _MAX_ENTRIES, _LONGEST_NAME = 5, 100_000, 4096
"""DT_STRTAB; limits for the dynamic section and for names in bytes, since no field is trusted."""


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
        """Address of the first byte behind the section."""
        return self.address + self.size


class Segment(NamedTuple):
    """A program header."""

    kind: int
    flags: int
    """A sum of 1 (executable), 2 (writable) and 4 (readable)."""
    offset: int
    address: int
    size: int
    """Bytes in the file."""
    memory: int
    """Bytes in memory; those that the file does not have are zero."""
    alignment: int

    @property
    def end(self) -> int:
        """Address of the first byte behind the segment."""
        return self.address + self.memory


class Symbol(NamedTuple):
    """An entry of a symbol table."""

    name: str
    kind: int
    binding: int
    """0 for local, 1 for global, 2 for weak symbols."""
    section: int
    """Index of the section that holds the symbol; 0 when another file defines it."""
    address: int
    size: int


class Relocation(NamedTuple):
    """A place that the linker filled in with an address."""

    place: int
    kind: int
    symbol: int
    addend: int


@dataclass(frozen=True)
class _Layout:
    """The structures of 32-bit or of 64-bit files; the two have the same fields in other orders."""

    header: struct.Struct
    section: struct.Struct
    segment: struct.Struct
    segment_order: tuple[int, ...]
    """Indices of the kind, flags, offset, address, size, memory and alignment."""
    symbol: struct.Struct
    symbol_order: tuple[int, ...]
    """Indices of the name, info, section, address and size."""
    dynamic: struct.Struct


# Big-endian files have another sixth byte: no platform of builder loads them.
# The keys are the first bytes of a file: magic number, class (32 or 64 bits), little-endian.
_LAYOUTS = {
    MAGIC + b"\x01\x01": _Layout(
        header=struct.Struct("<16sHHIIIIIHHHHHH"),
        section=struct.Struct("<10I"),
        segment=struct.Struct("<8I"),
        segment_order=(0, 6, 1, 2, 4, 5, 7),
        symbol=struct.Struct("<IIIBBH"),
        symbol_order=(0, 3, 5, 1, 2),
        dynamic=struct.Struct("<II"),
    ),
    MAGIC + b"\x02\x01": _Layout(
        header=struct.Struct("<16sHHIQQQIHHHHHH"),
        section=struct.Struct("<IIQQQQIIQQ"),
        segment=struct.Struct("<IIQQQQQQ"),
        segment_order=(0, 1, 2, 3, 5, 6, 7),
        symbol=struct.Struct("<IBBHQQ"),
        symbol_order=(0, 1, 3, 4, 5),
        dynamic=struct.Struct("<QQ"),
    ),
}


@dataclass(frozen=True)
class Elf:
    """The contents of one file; each part is read when it is first used.

    For a damaged file, every property and method raises one of `DAMAGE` or returns wrong values.
    """

    contents: bytes

    @cached_property
    def data(self) -> memoryview:
        """The whole file."""
        return memoryview(self.contents)

    @property
    def is_elf(self) -> bool:
        """Whether this is a little-endian ELF file; any other file has no sections."""
        return self.contents[:6] in _LAYOUTS

    @property
    def bits(self) -> int:
        """32 or 64."""
        return 32 * self.contents[4]

    @property
    def machine(self) -> int:
        """`e_machine`: 3 is x86, 40 ARM, 62 x86-64, 183 AArch64."""
        return int(self._header[2])

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """The section headers, in the order of the file."""
        if not self.is_elf:
            return ()
        header, layout = self._header, self._layout.section
        start, count, names = header[6], header[12], header[13]
        raw = [layout.unpack_from(self.data, start + i * layout.size) for i in range(count)]
        # Section names are in a table that is itself a section; its number is in the header.
        text = b"" if not raw else bytes(self.data[raw[names][4] : raw[names][4] + raw[names][5]])
        table = NameTable(text, longest=_LONGEST_NAME)
        return tuple(Section(table.at(r[0]), r[1], r[2], r[3], r[4], r[5], r[6], r[7]) for r in raw)

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """The program headers, in the order of the file."""
        start, count, layout = self._header[5], self._header[10], self._layout
        raw = (
            layout.segment.unpack_from(self.data, start + i * layout.segment.size)
            for i in range(count)
        )
        return tuple(Segment(*(entry[place] for place in layout.segment_order)) for entry in raw)

    @cached_property
    def dynamic(self) -> tuple[tuple[int, int], ...]:
        """Tags and values of the dynamic section, up to the entry that ends it."""
        dynamic_segments = [segment for segment in self.segments if segment.kind == DYNAMIC]
        # A second one could hide from this reader what a loader really loads.
        if len(dynamic_segments) > 1:
            raise ValueError("the file has several dynamic segments, but loaders read only one")
        entries = []
        for segment in dynamic_segments:
            size = self._layout.dynamic.size
            for index in range(min(segment.size // size, _MAX_ENTRIES)):
                entry = self._layout.dynamic.unpack_from(self.data, segment.offset + index * size)
                if entry[0] == 0:  # DT_NULL ends the section
                    break
                entries.append((int(entry[0]), int(entry[1])))
        return tuple(entries)

    @cached_property
    def symbols(self) -> tuple[Symbol, ...]:
        """The full symbol table; it is empty in a stripped file."""
        return tuple(self._read_symbols(SYMTAB))

    @cached_property
    def exported(self) -> tuple[Symbol, ...]:
        """The dynamic symbol table."""
        return tuple(self._read_symbols(DYNSYM))

    def dynamic_texts(self, tag: int) -> tuple[str, ...]:
        """Returns the strings of the dynamic entries with `tag`, whose values are offsets."""
        # A loader finds strings by address, not by section: section headers may be missing or
        # wrong.
        table = next((value for known, value in self.dynamic if known == _STRTAB), 0)
        values = [value for known, value in self.dynamic if known == tag]
        if not values:
            return ()
        start = self._offset(table)
        return tuple(self._texts.at(start + value) for value in values)

    def content(self, section: Section) -> memoryview:
        """Returns the bytes of `section` in the file."""
        return self.data[section.offset : section.offset + section.size]

    def relocations(self, section: Section) -> Iterator[Relocation]:
        """Yields the entries of a RELA section of a 64-bit file."""
        for place, kind, symbol, addend in _RELA.iter_unpack(self.content(section)):
            yield Relocation(place, kind, symbol, addend)

    @cached_property
    def _texts(self) -> NameTable:
        return NameTable(self.contents, longest=_LONGEST_NAME)

    @property
    def _layout(self) -> _Layout:
        if not self.is_elf:
            raise ValueError("the file is not a little-endian ELF file")
        return _LAYOUTS[self.contents[:6]]

    @cached_property
    def _header(self) -> tuple[int, ...]:
        return self._layout.header.unpack_from(self.data)

    def _offset(self, address: int) -> int:
        for segment in self.segments:
            if segment.kind == LOAD and 0 <= address - segment.address < segment.size:
                return segment.offset + address - segment.address
        raise ValueError(f"no segment is loaded at address {address:#x}")

    def _read_symbols(self, kind: int) -> Iterator[Symbol]:
        table = next((section for section in self.sections if section.kind == kind), None)
        if table is None:
            return
        names = NameTable(bytes(self.content(self.sections[table.link])))
        name, info, section, address, size = self._layout.symbol_order
        for entry in self._layout.symbol.iter_unpack(self.content(table)):
            yield Symbol(
                names.at(entry[name]),
                entry[info] & 15,  # ELF32_ST_TYPE; the upper half is ELF32_ST_BIND
                entry[info] >> 4,
                entry[section],
                entry[address],
                entry[size],
            )
