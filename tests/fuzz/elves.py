"""A small ELF library, written byte by byte: what the rules for Android look at is in it."""

from __future__ import annotations

import struct
from typing import NamedTuple

_ALLOC = 2
_START = 64 + 4 * 56
"""Of what stands behind the headers."""


class _Part(NamedTuple):
    name: str
    kind: int
    flags: int
    content: bytes
    link: int = 0


def make_elf(*, machine: int = 183, symbols: tuple[str, ...] = ("JNI_OnLoad", "malloc")) -> bytes:
    """Returns a shared library of 64 bits that needs libc.so, with a full symbol table."""
    texts = b"\0libc.so\0libpytorch_jni_lite.so\0"
    table = bytes(24)
    for number, name in enumerate(symbols):
        table += struct.pack("<IBBHQQ", len(texts), 0x12, 0, 1 - number % 2, 0x1000, 4)
        texts += name.encode() + b"\0"
    dynamic = (
        (1, 1),
        (14, 9),
        (5, _START + len(table)),
        (10, len(texts)),
        (30, 8),
        (0x6FFFFEF5, 0),
        (0, 0),
    )
    parts = [
        _Part("", 0, 0, b""),
        _Part(".dynsym", 11, _ALLOC, table, link=2),
        _Part(".dynstr", 3, _ALLOC, texts),
        _Part(".dynamic", 6, _ALLOC, b"".join(struct.pack("<QQ", *entry) for entry in dynamic)),
        _Part(".rodata", 1, _ALLOC, b"a text\0/home/user/project/file.cpp\0/proc/cpuinfo\0"),
        _Part(".text", 1, _ALLOC | 4, b"\xc0\x03\x5f\xd6"),
        _Part(".note.gnu.build-id", 7, _ALLOC, struct.pack("<III4s4s", 4, 4, 3, b"GNU", b"1234")),
        _Part(".symtab", 2, 0, table, link=8),
        _Part(".strtab", 3, 0, texts),
        _Part(".shstrtab", 3, 0, b""),
    ]
    names = b"".join(part.name.encode() + b"\0" for part in parts)
    parts[-1] = parts[-1]._replace(content=names)
    return _lay_out(parts, names, machine)


def _lay_out(parts: list[_Part], names: bytes, machine: int) -> bytes:
    start = _START
    places, body = [], b""
    for part in parts:
        body += bytes(-len(body) % 8)
        places.append(start + len(body))
        body += part.content
    segments = [
        (1, 5, 0, start + len(body), 0x4000),
        (2, 6, places[3], len(parts[3].content), 8),
        (0x6474E551, 6, 0, 0, 16),
        (0x6474E552, 4, places[3], len(parts[3].content), 1),
    ]
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        *(b"\x7fELF\x02\x01\x01", 3, machine, 1, 0, 64, start + len(body), 0),
        *(64, 56, len(segments), 64, len(parts), len(parts) - 1),
    )
    for kind, flags, offset, size, alignment in segments:
        header += struct.pack("<IIQQQQQQ", kind, flags, *[offset] * 3, size, size, alignment)
    table, at = b"", 0
    for part, place in zip(parts, places, strict=True):
        address = place if part.flags else 0
        size = len(part.content)
        table += struct.pack(
            "<IIQQQQIIQQ", at, part.kind, part.flags, address, place, size, part.link, 0, 8, 0
        )
        at += len(part.name) + 1
    return header + body + table
