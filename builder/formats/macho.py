"""Reads 64-bit Mach-O files and static libraries of them, as far as prices and policies need it.

The layouts are in <mach-o/loader.h>, <mach-o/nlist.h>, <mach-o/fat.h> and <ar.h>.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from builder.formats.damage import describe_damage
from builder.formats.name_table import NameTable

OBJECT, EXECUTABLE, DYLIB = 1, 2, 6
"""File types (MH_OBJECT, MH_EXECUTE, MH_DYLIB)."""
ARCHITECTURES = {0x0100000C: "arm64", 0x01000007: "x86_64"}
"""`cputype` -> the name of the architecture in xcframeworks."""
PLATFORMS = {1: "macos", 2: "ios", 6: "maccatalyst", 7: "ios-simulator"}
"""Platform number in LC_BUILD_VERSION -> name."""
INITIALISERS = frozenset({0x9, 0x16})
"""Types of sections that list functions to run at load time, by pointer or by offset."""
ZERO_FILL = frozenset({0x1, 0xC, 0x12})
"""Types of sections that have no bytes in the file."""
INSTRUCTIONS = 0x80000000
"""Attribute of sections that hold nothing but code."""
# Universal files are big-endian, whatever the architectures in them are.
_FAT, _FAT_ENTRY = struct.Struct(">II"), struct.Struct(">IIIII")
_FAT_MAGIC, _FAT_ALIGNMENT = 0xCAFEBABE, 3
"""FAT_MAGIC; a universal file aligns its parts to 2 to the power of 3 bytes."""
_SUBTYPES = {"arm64": 0, "x86_64": 3}
"""CPU_SUBTYPE_ARM64_ALL and CPU_SUBTYPE_X86_64_ALL (<mach/machine.h>)."""
_MAGIC, _ARCHIVE = b"\xcf\xfa\xed\xfe", b"!<arch>\n"
_SEGMENT, _SYMTAB, _BUILD_VERSION = 0x19, 0x2, 0x32
# The high bit (LC_REQ_DYLD) marks commands that the loader must understand.
_LOADS = frozenset({0xC, 0x80000018, 0x8000001F, 0x80000023})
"""LC_LOAD_DYLIB and its variants for weak, re-exported and upward libraries."""
_RPATH = 0x8000001C
# Fields of an entry in the symbol table: masks of n_type and bits of n_desc (<mach-o/nlist.h>).
_STAB, _PRIVATE, _EXTERNAL, _KIND, _UNDEFINED = 0xE0, 0x10, 0x01, 0x0E, 0
_WEAK_REFERENCE, _WEAK_DEFINITION = 0x40, 0x80
_IN_SECTION = 0x0E
_HEADER = struct.Struct("<4sIIIIIII")
_COMMAND = struct.Struct("<II")
_SECTION = struct.Struct("<16s16sQQIIIIIIII")
_SYMBOL = struct.Struct("<IBBHQ")
_MAX_COMMANDS, _MAX_SECTIONS, _RELOCATION = 10_000, 10_000, 8
"""Limits for files that were made to be slow to read; bytes of one relocation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachSection:
    """A section of a Mach-O file, with its contents."""

    segment: str
    name: str
    flags: int
    address: int
    size: int
    """Bytes."""
    content: bytes
    """The bytes of the section; empty when the file has none, as for zero-filled sections."""
    relocations: bytes
    """The relocation entries, of 8 bytes each; empty in a file that is already linked."""

    @property
    def kind(self) -> int:
        """The section type, for example one of INITIALISERS."""
        return self.flags & 0xFF


class MachSymbol(NamedTuple):
    """An entry of a symbol table."""

    name: str
    section: int
    """Number of the section that holds it, counted from 1; 0 when another file defines it."""
    address: int
    is_external: bool
    """Whether other objects of the same link can use the symbol."""
    is_weak: bool
    """Whether other objects may define the symbol too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachFile:
    """The contents of an object, executable or library."""

    architecture: str
    """A name from ARCHITECTURES, or the number of an unknown architecture."""
    kind: int
    platform: str
    """A name from PLATFORMS, or the number of an unknown platform; empty without one."""
    min_os: int
    """The oldest system that loads the file, in the form of `Target.min_os`."""
    sections: tuple[MachSection, ...]
    symbols: tuple[MachSymbol, ...]
    """The whole symbol table, in its order."""
    exports: frozenset[str]
    """Symbols that other files can use; names in C start with an underscore here."""
    private: frozenset[str]
    """Symbols that only the other objects of the same link can use."""
    undefined: frozenset[str]
    """Symbols that another file has to define."""
    optional: frozenset[str]
    """The symbols in `undefined` that may be missing when the file is loaded."""
    libraries: tuple[str, ...]
    run_paths: tuple[str, ...]

    @property
    def shared(self) -> frozenset[str]:
        """Those of `private` that no other object of a link may define too."""
        return self.private - {one.name for one in self.symbols if one.is_weak}


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a static library."""

    name: str
    contents: bytes


def read_macho(data: bytes) -> MachFile:
    """Returns the contents of a 64-bit Mach-O file; ValueError for a damaged or any other file."""
    try:
        return _read(data)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"the Mach-O file cannot be read: {describe_damage(error)}") from error


def rename_symbols(data: bytes, names: Mapping[str, str]) -> bytes:
    """Returns a 64-bit object with other names for some of its symbols, by their old names.

    The new names are appended to the table of names, for others may end as an old one does.

    Raises:
        ValueError: the file is damaged, or is not a 64-bit Mach-O file.
    """
    try:
        return _rename(bytearray(data), names)
    except (struct.error, IndexError) as error:
        raise ValueError(f"the Mach-O file cannot be read: {describe_damage(error)}") from error


def _rename(data: bytearray, names: Mapping[str, str]) -> bytes:
    magic, _, _, _, count, _, _, _ = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise ValueError("the file is not a 64-bit Mach-O file")
    commands = _list_commands(bytes(data), count)
    offset = next((at for kind, at, _ in commands if kind == _SYMTAB), None)
    if offset is None:
        return bytes(data)
    table, count, texts, size = struct.unpack_from("<IIII", data, offset + 8)
    if table + count * _SYMBOL.size > len(data) or texts + size > len(data):
        raise ValueError("the symbol table lies outside of the file")
    known, added = NameTable(bytes(data[texts : texts + size])), bytearray()
    for index in range(count):
        place = table + index * _SYMBOL.size
        new = names.get(known.at(_SYMBOL.unpack_from(data, place)[0]))
        if new is not None:
            struct.pack_into("<I", data, place, size + len(added))
            added += new.encode() + b"\0"
    if not added:
        return bytes(data)
    strings = bytes(data[texts : texts + size]) + bytes(added)
    # The table stays where it is if nothing is behind it, and goes to the end otherwise.
    start = texts if texts + size == len(data) else -(-len(data) // 8) * 8
    struct.pack_into("<II", data, offset + 16, start, len(strings))
    return bytes(data[:start]).ljust(start, b"\0") + strings


def is_archive(data: bytes) -> bool:
    """Returns whether `data` starts as a static library (`ar` archive) does."""
    return data.startswith(_ARCHIVE)


def read_members(data: bytes) -> Iterator[Member]:
    # The layout is in <ar.h>: a header of 60 text bytes in front of each member.
    """Yields the files of a static library except its index; ValueError when it is damaged."""
    if not is_archive(data):
        raise ValueError("the file is not a static library")
    offset = len(_ARCHIVE)
    while offset < len(data):
        header = data[offset : offset + 60]
        if len(header) < 60 or header[58:] != b"`\n":
            raise ValueError("the static library is damaged")
        # The name has 16 bytes; the size has ten, in decimal digits.
        name, size = header[:16].decode(errors="replace").strip(), int(header[48:58])
        content = data[offset + 60 : offset + 60 + size]
        if len(content) != size:
            raise ValueError("the static library is truncated")
        if name.startswith("#1/"):  # BSD: a long name stands at the start of the content
            length = int(name[3:])
            name = content[:length].rstrip(b"\0").decode(errors="replace")
            content = content[length:]
        offset += 60 + size + size % 2  # members start at even offsets
        if not name.startswith(("__.SYMDEF", "/")):  # the index of BSD and of GNU archives
            yield Member(name, content)


def join_architectures(files: Mapping[str, bytes]) -> bytes:
    """Returns a universal file of one file per architecture; a single file stays as it is."""
    if len(files) == 1:
        return next(iter(files.values()))
    numbers = {name: number for number, name in ARCHITECTURES.items()}
    step = 1 << _FAT_ALIGNMENT
    offset = _FAT.size + len(files) * _FAT_ENTRY.size
    header, body = _FAT.pack(_FAT_MAGIC, len(files)), b""
    for name, data in sorted(files.items()):
        start = -(-(offset + len(body)) // step) * step  # rounded up
        body += b"\0" * (start - offset - len(body)) + data
        entry = (numbers[name], _SUBTYPES[name], start, len(data), _FAT_ALIGNMENT)
        header += _FAT_ENTRY.pack(*entry)
    return header + body


def split_architectures(data: bytes) -> dict[str, bytes] | None:
    """Returns architecture -> file of a universal file; None for any other file.

    Raises:
        ValueError: the universal file is damaged.
    """
    if len(data) < _FAT.size or _FAT.unpack_from(data)[0] != _FAT_MAGIC:
        return None
    files: dict[str, bytes] = {}
    left = len(data)
    for index in range(min(_FAT.unpack_from(data)[1], _MAX_COMMANDS)):
        place = _FAT.size + index * _FAT_ENTRY.size
        if place + _FAT_ENTRY.size > len(data):
            raise ValueError("the universal file is truncated")
        cpu, _, start, size, _ = _FAT_ENTRY.unpack_from(data, place)
        if start + size > len(data):
            raise ValueError("the universal file is truncated")
        left -= size  # so that copies of one part cannot need more memory than the file has bytes
        if left < 0:
            raise ValueError("the parts of the universal file overlap")
        files[ARCHITECTURES.get(cpu, str(cpu))] = data[start : start + size]
    return files


def _read(data: bytes) -> MachFile:
    magic, cpu, _, kind, count, _, _, _ = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise ValueError("the file is not a 64-bit Mach-O file")
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
        raise ValueError(f"the file has {count} load commands, more than {_MAX_COMMANDS}")
    offset, tables = _HEADER.size, 0
    for _ in range(count):
        command, size = _COMMAND.unpack_from(data, offset)
        if size < _COMMAND.size or offset + size > len(data):
            raise ValueError("a load command lies outside of the file")
        tables += command == _SYMTAB
        # A second table would be read again and again: the format allows one.
        if tables > 1:
            raise ValueError("the file has several symbol tables")
        yield command, offset, size
        offset += size


def _add_sections(sections: list[MachSection], data: bytes, offset: int) -> None:
    """Adds the sections of a segment; ValueError when together they are larger than the file."""
    # Contents are copied, so sections that overlap could need more memory than the file has bytes.
    left = len(data) - sum(len(s.content) + len(s.relocations) for s in sections)
    for section in _read_sections(data, offset):
        left -= len(section.content) + len(section.relocations)
        if left < 0 or len(sections) >= _MAX_SECTIONS:
            raise ValueError("sections of the file overlap, or there are too many of them")
        sections.append(section)


def _read_sections(data: bytes, offset: int) -> Iterator[MachSection]:
    # nsects of segment_command_64, which has 72 bytes; the sections follow it.
    (count,) = struct.unpack_from("<I", data, offset + 64)
    if count > _MAX_SECTIONS:
        raise ValueError(f"a segment has {count} sections, more than {_MAX_SECTIONS}")
    for index in range(count):
        name, segment, address, size, start, _, entries, number, flags, *_ = _SECTION.unpack_from(
            data, offset + 72 + index * _SECTION.size
        )
        # Zero-filled sections have an offset too, which says nothing.
        filled = flags & 0xFF not in ZERO_FILL
        if (filled and start + size > len(data)) or entries + number * _RELOCATION > len(data):
            raise ValueError("a section lies outside of the file")
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
    """Returns the symbol table, and the exported, private, undefined and optional names."""
    table, count, texts, size = struct.unpack_from("<IIII", data, offset + 8)
    if table + count * _SYMBOL.size > len(data) or texts + size > len(data):
        raise ValueError("the symbol table lies outside of the file")
    symbols: list[MachSymbol] = []
    exports: set[str] = set()
    private: set[str] = set()
    undefined: set[str] = set()
    optional: set[str] = set()
    names = NameTable(data[texts : texts + size])
    for index in range(count):
        start, kind, section, description, value = _SYMBOL.unpack_from(
            data, table + index * _SYMBOL.size
        )
        # Entries for debuggers (STABs) define nothing, and may use `section` for other numbers.
        is_stab, is_external = bool(kind & _STAB), bool(kind & _EXTERNAL)
        name = names.at(start)
        # The value of a symbol outside of a section is no address: it may be the size of a common
        # variable.
        place = section if kind & _KIND == _IN_SECTION and not is_stab else 0
        weak = bool(description & _WEAK_DEFINITION)
        symbols.append(MachSymbol(name, place, value if place else 0, is_external, weak))
        if is_stab or not is_external:
            continue
        # An undefined symbol with a value is a common variable, which this file defines.
        if kind & _KIND == _UNDEFINED and not value:
            undefined.add(name)
            if description & _WEAK_REFERENCE:
                optional.add(name)
        elif kind & _PRIVATE:
            private.add(name)
        else:
            exports.add(name)
    return tuple(symbols), tuple(map(frozenset, (exports, private, undefined, optional)))


def _read_text(data: bytes, offset: int, size: int) -> str:
    # lc_str: the distance of the text from the start of its command.
    (start,) = struct.unpack_from("<I", data, offset + 8)
    return data[offset + start : offset + size].partition(b"\0")[0].decode(errors="replace")


def _decode_version(encoded: int) -> int:
    """Decodes X.Y.Z, stored as 16, 8 and 8 bits (build_version_command), for `MachFile.min_os`."""
    return (encoded >> 16) * 10000 + (encoded >> 8 & 0xFF) * 100 + (encoded & 0xFF)
