"""Reads `__TEXT,__unwind_info`: which entries of the table belong to which function.

The layout is that of <mach-o/compact_unwind_encoding.h>.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

_HEADER, _INDEX, _PAIR = struct.Struct("<7I"), struct.Struct("<III"), struct.Struct("<II")
_PAGE = struct.Struct("<IHH")
_REGULAR, _COMPRESSED = 2, 3


class Unwinding(NamedTuple):
    """An entry for one function, and equal ones behind it."""

    function: int
    """Distance from the start of the image."""
    size: int
    """Bytes of the entry."""
    exceptions: int | None = None
    """Distance of its exception table from the start of the image."""


def parse_unwind_info(data: bytes) -> Iterator[Unwinding]:
    """Yields the entries of a section; ValueError when it is damaged."""
    try:
        yield from _parse(data)
    except struct.error as error:
        raise ValueError(f"a table of unwinding that cannot be read: {error}") from error


def _parse(data: bytes) -> Iterator[Unwinding]:
    version, _, _, _, _, start, count = _HEADER.unpack_from(data)
    if version != 1 or not count or start + count * _INDEX.size > len(data):
        raise ValueError("no table of unwinding that can be read")
    index = [_INDEX.unpack_from(data, start + i * _INDEX.size) for i in range(count)]
    left = len(data) // 4
    for base, page, _ in index[:-1]:
        for entry in _parse_page(data, base, page) if page else ():
            left -= 1
            if left < 0:
                raise ValueError("a table of unwinding whose pages overlap")
            yield entry
    for place in range(index[0][2], index[-1][2], _PAIR.size):
        function, table = _PAIR.unpack_from(data, place)
        yield Unwinding(function, _PAIR.size, table)


def _parse_page(data: bytes, base: int, page: int) -> Iterator[Unwinding]:
    kind, first, count = _PAGE.unpack_from(data, page)
    if kind not in {_REGULAR, _COMPRESSED}:
        raise ValueError(f"a page of unwinding of kind {kind}")
    size = 8 if kind == _REGULAR else 4
    for entry in range(count):
        (word,) = struct.unpack_from("<I", data, page + first + entry * size)
        yield Unwinding(word if kind == _REGULAR else base + (word & 0xFFFFFF), size)
