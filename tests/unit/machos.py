"""Small Mach-O objects and static libraries, written byte by byte."""

from __future__ import annotations

import struct

ARM64, X86_64 = 0x0100000C, 0x01000007
IOS, SIMULATOR = 2, 7
INITIALISERS, TEXT, STRINGS = 0x9, 0x80000400, 0x2
LOCAL = 0x0E
EXTERNAL, PRIVATE, UNDEFINED, WEAK_REFERENCE = 0x0F, 0x1F, 0x01, 0x40


def make_object(
    *,
    cpu: int = ARM64,
    kind: int = 1,
    platform: int | None = IOS,
    version: int = 0x000E0000,
    exports: tuple[str, ...] = ("_torchlite_load", "_torchlite_forward"),
    private: tuple[str, ...] = (),
    undefined: tuple[str, ...] = (),
    optional: tuple[str, ...] = (),
    sections: tuple[tuple[str, str, int, bytes], ...] = (
        ("__TEXT", "__text", TEXT, b"\xc0\x03\x5f\xd6"),
        ("__DATA", "__mod_init_func", INITIALISERS, bytes(8)),
    ),
    defined: tuple[tuple[str, int, int], ...] = (),
    relocations: dict[str, bytes] | None = None,
) -> bytes:
    """Returns an object; `defined` are local symbols with section and address.

    Sections follow each other from address 0 on; `relocations` are by the name of their section.
    """
    symbols = [
        *((name, EXTERNAL, 0) for name in exports),
        *((name, PRIVATE, 0) for name in private),
        *((name, UNDEFINED, 0) for name in undefined),
        *((name, UNDEFINED, WEAK_REFERENCE) for name in optional),
    ]
    commands = 2 + (platform is not None)
    size = 72 + 80 * len(sections) + 24 + (24 if platform is not None else 0)
    start = 32 + size
    body, headers = b"".join(content for *_, content in sections), b""
    address = 0
    for segment, name, flags, content in sections:
        entries = (relocations or {}).get(name, b"")
        headers += struct.pack(
            "<16s16sQQIIIIIIII",
            *(name.encode(), segment.encode(), address, len(content)),
            *(start + address, 0, start + len(body), len(entries) // 8, flags, 0, 0, 0),
        )
        body += entries
        address += len(content)
    texts, table = b"\0", b""
    for name, section, value in defined:
        table += struct.pack("<IBBHQ", len(texts), LOCAL, section, 0, value)
        texts += name.encode() + b"\0"
    for name, symbol_kind, description in symbols:
        table += struct.pack("<IBBHQ", len(texts), symbol_kind, 1, description, 0)
        texts += name.encode() + b"\0"
    segment_size = 72 + 80 * len(sections)
    load = struct.pack(
        "<II16sQQQQIIII", 0x19, segment_size, b"", 0, 0, 0, 0, 7, 7, len(sections), 0
    )
    load += headers
    if platform is not None:
        load += struct.pack("<IIIIII", 0x32, 24, platform, version, 0, 0)
    place = start + len(body)
    load += struct.pack(
        "<IIIIII", 2, 24, place, len(symbols) + len(defined), place + len(table), len(texts)
    )
    header = struct.pack("<4sIIIIIII", b"\xcf\xfa\xed\xfe", cpu, 0, kind, commands, size, 0, 0)
    return header + load + body + table + texts


def make_archive(**members: bytes) -> bytes:
    """Returns a static library; `a_o=...` is the member `a.o`, with a name as BSD writes it."""
    data = b"!<arch>\n"
    for key, content in {"__.SYMDEF": b"index", **members}.items():
        name = key.replace("_o", ".o").encode()
        name += bytes(-len(name) % 8)
        size = len(name) + len(content)
        header = f"#1/{len(name)}".ljust(16) + "0".ljust(12) + "0".ljust(6) * 2 + "644".ljust(8)
        data += (header + str(size).ljust(10) + "`\n").encode() + name + content
        data += b"\n" * (size % 2)
    return data
