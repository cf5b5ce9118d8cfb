"""Reads Mach-O files of 64 bits and static libraries of them: what policies need of them.

The layouts are those of <mach-o/loader.h>, <mach-o/nlist.h> and <ar.h>.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from builder.formats.name_table import NameTable

OBJECT, EXECUTABLE, DYLIB = 1, 2, 6
ARCHITECTURES = {0x0100000C: "arm64", 0x01000007: "x86_64"}
"""`cputype` -> as xcframeworks call it."""
PLATFORMS = {1: "macos", 2: "ios", 6: "maccatalyst", 7: "ios-simulator"}
"""LC_BUILD_VERSION's platform -> name."""
INITIALISERS = frozenset({0x9, 0x16})
"""Section types of pointers, or offsets, to functions that run when an image is loaded."""
ZERO_FILL = frozenset({0x1, 0xC, 0x12})
"""Section types without bytes in the file."""
INSTRUCTIONS = 0x80000000
"""Attribute of sections that hold code only."""
_FAT, _FAT_ENTRY = struct.Struct(">II"), struct.Struct(">IIIII")
_FAT_MAGIC, _FAT_ALIGNMENT = 0xCAFEBABE, 3
_SUBTYPES = {"arm64": 0, "x86_64": 3}
_MAGIC, _ARCHIVE = b"\xcf\xfa\xed\xfe", b"!<arch>\n"
_SEGMENT, _SYMTAB, _BUILD_VERSION = 0x19, 0x2, 0x32
_LOADS = frozenset({0xC, 0x80000018, 0x8000001F, 0x80000023})
"""LC_LOAD_DYLIB, and its weak, re-exporting and upward kin."""
_RPATH = 0x8000001C
_STAB, _PRIVATE, _EXTERNAL, _KIND, _UNDEFINED = 0xE0, 0x10, 0x01, 0x0E, 0
_WEAK_REFERENCE, _WEAK_DEFINITION = 0x40, 0x80
_IN_SECTION = 0x0E
_HEADER = struct.Struct("<4sIIIIIII")
_COMMAND = struct.Struct("<II")
_SECTION = struct.Struct("<16s16sQQIIIIIIII")
_SYMBOL = struct.Struct("<IBBHQ")
_MAX_COMMANDS, _MAX_SECTIONS, _RELOCATION = 10_000, 10_000, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class MachSection:
    """A section."""

    segment: str
    name: str
    flags: int
    address: int
    size: int
    """Bytes."""
    content: bytes
    """Empty where the file holds none."""
    relocations: bytes
    """Entries of 8 bytes for the linker; none in what is linked already."""

    @property
    def kind(self) -> int:
        """Its type, e.g. one of INITIALISERS."""
        return self.flags & 0xFF


class MachSymbol(NamedTuple):
    """An entry of a symbol table."""

    name: str
    section: int
    """Number of the section that holds it, from 1 on; 0 when it is defined elsewhere."""
    address: int
    is_external: bool
    """Whether other objects of the link see it."""
    is_weak: bool
    """Whether others may define it too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachFile:
    """An object, executable or library."""

    architecture: str
    """One of ARCHITECTURES, or the number of another."""
    kind: int
    platform: str
    """One of PLATFORMS, the number of another, or empty where it says none."""
    min_os: int
    """As in `Target.min_os`."""
    sections: tuple[MachSection, ...]
    symbols: tuple[MachSymbol, ...]
    """The whole table, in its order."""
    exports: frozenset[str]
    """Symbols that others can use; with the underscore that C's names have."""
    private: frozenset[str]
    """Symbols for the other objects of the same link."""
    undefined: frozenset[str]
    """Symbols that must come from elsewhere."""
    optional: frozenset[str]
    """Those of `undefined` that may be missing when it is loaded."""
    libraries: tuple[str, ...]
    run_paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a static library."""

    name: str
    contents: bytes


def read_macho(data: bytes) -> MachFile:
    """Returns what a Mach-O file of 64 bits says; ValueError when it is none, or damaged."""
    try:
        return _read(data)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"no Mach-O file that can be read: {error}") from error


def is_archive(data: bytes) -> bool:
    """Returns whether these are the bytes of a static library."""
    return data.startswith(_ARCHIVE)


def read_members(data: bytes) -> Iterator[Member]:
    """Yields the files of a static library, but for its index; ValueError when it is damaged."""
    if not is_archive(data):
        raise ValueError("no static library")
    offset = len(_ARCHIVE)
    while offset < len(data):
        header = data[offset : offset + 60]
        if len(header) < 60 or header[58:] != b"`\n":
            raise ValueError("a static library that is damaged")
        name, size = header[:16].decode(errors="replace").strip(), int(header[48:58])
        content = data[offset + 60 : offset + 60 + size]
        if len(content) != size:
            raise ValueError("a static library that is truncated")
        if name.startswith("#1/"):
            length = int(name[3:])
            name = content[:length].rstrip(b"\0").decode(errors="replace")
            content = content[length:]
        offset += 60 + size + size % 2
        if not name.startswith(("__.SYMDEF", "/")):
            yield Member(name, content)


def join_architectures(files: Mapping[str, bytes]) -> bytes:
    """Returns a universal file of files by architecture; a single one as it is."""
    if len(files) == 1:
        return next(iter(files.values()))
    numbers = {name: number for number, name in ARCHITECTURES.items()}
    step = 1 << _FAT_ALIGNMENT
    offset = _FAT.size + len(files) * _FAT_ENTRY.size
    header, body = _FAT.pack(_FAT_MAGIC, len(files)), b""
    for name, data in sorted(files.items()):
        start = -(-(offset + len(body)) // step) * step
        body += b"\0" * (start - offset - len(body)) + data
        entry = (numbers[name], _SUBTYPES[name], start, len(data), _FAT_ALIGNMENT)
        header += _FAT_ENTRY.pack(*entry)
    return header + body


def split_architectures(data: bytes) -> dict[str, bytes] | None:
    """Returns architecture -> file of a universal file; None where it is none.

    Raises:
        ValueError: it is damaged.
    """
    if len(data) < _FAT.size or _FAT.unpack_from(data)[0] != _FAT_MAGIC:
        return None
    found: dict[str, bytes] = {}
    left = len(data)
    for index in range(min(_FAT.unpack_from(data)[1], _MAX_COMMANDS)):
        place = _FAT.size + index * _FAT_ENTRY.size
        if place + _FAT_ENTRY.size > len(data):
            raise ValueError("a universal file that is truncated")
        cpu, _, start, size, _ = _FAT_ENTRY.unpack_from(data, place)
        if start + size > len(data):
            raise ValueError("a universal file that is truncated")
        left -= size
        if left < 0:
            raise ValueError("a universal file whose parts overlap")
        found[ARCHITECTURES.get(cpu, str(cpu))] = data[start : start + size]
    return found


def _read(data: bytes) -> MachFile:
    magic, cpu, _, kind, count, _, _, _ = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise ValueError("no Mach-O file of 64 bits")
    platform, min_os = "", 0
    sections: list[MachSection] = []
    table: tuple[MachSymbol, ...] = ()
    symbols: tuple[frozenset[str], ...] = (frozenset(),) * 4
    libraries: list[str] = []
    run_paths: list[str] = []
    for command, offset, size in _list_commands(data, count):
        if command == _SEGMENT:
            _add_sections(sections, data, offset)
        elif command == _SYMTAB:
            table, symbols = _read_symbols(data, offset)
        elif command == _BUILD_VERSION:
            number, encoded = struct.unpack_from("<II", data, offset + 8)
            platform, min_os = PLATFORMS.get(number, str(number)), _decode_version(encoded)
        elif command in _LOADS:
            libraries.append(_read_text(data, offset, size))
        elif command == _RPATH:
            run_paths.append(_read_text(data, offset, size))
    exports, private, undefined, optional = symbols
    return MachFile(
        architecture=ARCHITECTURES.get(cpu, str(cpu)),
        kind=kind,
        platform=platform,
        min_os=min_os,
        sections=tuple(sections),
        symbols=table,
        exports=exports,
        private=private,
        undefined=undefined,
        optional=optional,
        libraries=tuple(libraries),
        run_paths=tuple(run_paths),
    )


def _list_commands(data: bytes, count: int) -> Iterator[tuple[int, int, int]]:
    if count > _MAX_COMMANDS:
        raise ValueError(f"{count} load commands")
    offset, tables = _HEADER.size, 0
    for _ in range(count):
        command, size = _COMMAND.unpack_from(data, offset)
        if size < _COMMAND.size or offset + size > len(data):
            raise ValueError("a load command that leaves the file")
        tables += command == _SYMTAB
        if tables > 1:
            raise ValueError("several symbol tables")
        yield command, offset, size
        offset += size


def _add_sections(sections: list[MachSection], data: bytes, offset: int) -> None:
    """Adds the sections of a segment; ValueError when all hold more bytes than the file has."""
    left = len(data) - sum(len(one.content) + len(one.relocations) for one in sections)
    for section in _read_sections(data, offset):
        left -= len(section.content) + len(section.relocations)
        if left < 0 or len(sections) >= _MAX_SECTIONS:
            raise ValueError("sections that overlap, or far too many of them")
        sections.append(section)


def _read_sections(data: bytes, offset: int) -> Iterator[MachSection]:
    (count,) = struct.unpack_from("<I", data, offset + 64)
    if count > _MAX_SECTIONS:
        raise ValueError(f"{count} sections")
    for index in range(count):
        name, segment, address, size, start, _, entries, number, flags, *_ = _SECTION.unpack_from(
            data, offset + 72 + index * _SECTION.size
        )
        filled = flags & 0xFF not in ZERO_FILL
        if (filled and start + size > len(data)) or entries + number * _RELOCATION > len(data):
            raise ValueError("a section that leaves the file")
        yield MachSection(
            segment=segment.rstrip(b"\0").decode(),
            name=name.rstrip(b"\0").decode(),
            flags=flags,
            address=address,
            size=size,
            content=data[start : start + size] if filled else b"",
            relocations=data[entries : entries + number * _RELOCATION],
        )


def _read_symbols(
    data: bytes, offset: int
) -> tuple[tuple[MachSymbol, ...], tuple[frozenset[str], ...]]:
    """Returns the table; and exported, private, undefined and optional names."""
    table, count, texts, size = struct.unpack_from("<IIII", data, offset + 8)
    if table + count * _SYMBOL.size > len(data) or texts + size > len(data):
        raise ValueError("a symbol table that leaves the file")
    symbols: list[MachSymbol] = []
    found: tuple[set[str], ...] = (set(), set(), set(), set())
    names = NameTable(data[texts : texts + size])
    for index in range(count):
        start, kind, section, description, value = _SYMBOL.unpack_from(
            data, table + index * _SYMBOL.size
        )
        is_stab, is_external = bool(kind & _STAB), bool(kind & _EXTERNAL)
        name = names.at(start)
        place = section if kind & _KIND == _IN_SECTION and not is_stab else 0
        weak = bool(description & _WEAK_DEFINITION)
        symbols.append(MachSymbol(name, place, value if place else 0, is_external, weak))
        if is_stab or not is_external:
            continue
        if kind & _KIND == _UNDEFINED and not value:
            found[2].add(name)
            if description & _WEAK_REFERENCE:
                found[3].add(name)
        else:
            found[1 if kind & _PRIVATE else 0].add(name)
    return tuple(symbols), tuple(map(frozenset, found))


def _read_text(data: bytes, offset: int, size: int) -> str:
    (start,) = struct.unpack_from("<I", data, offset + 8)
    return data[offset + start : offset + size].partition(b"\0")[0].decode(errors="replace")


def _decode_version(encoded: int) -> int:
    return (encoded >> 16) * 10000 + (encoded >> 8 & 0xFF) * 100 + (encoded & 0xFF)
