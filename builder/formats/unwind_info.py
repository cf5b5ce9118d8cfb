"""Reads `__TEXT,__unwind_info`: the entries of the unwinding table for each function.

The layout is in <mach-o/compact_unwind_encoding.h>.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

_HEADER, _INDEX, _PAIR = struct.Struct("<7I"), struct.Struct("<III"), struct.Struct("<II")
_PAGE = struct.Struct("<IHH")
_REGULAR, _COMPRESSED = 2, 3
"""UNWIND_SECOND_LEVEL_REGULAR and UNWIND_SECOND_LEVEL_COMPRESSED: kinds of pages."""


class Unwinding(NamedTuple):
    """An entry for one function and for those after it that unwind in the same way."""

    function: int
    """Distance of the function from the start of the image."""
    size: int
    """Bytes of the entry."""
    exceptions: int | None = None
    """Distance of the function's exception table from the start of the image."""


def parse_unwind_info(data: bytes) -> Iterator[Unwinding]:
    """Yields the entries of a section; ValueError when it is damaged."""
    try:
        yield from _parse(data)
    except struct.error as error:
        raise ValueError(f"the unwinding table cannot be read: {error}") from error


def _parse(data: bytes) -> Iterator[Unwinding]:
    version, _, _, _, _, start, count = _HEADER.unpack_from(data)
    if version != 1 or not count or start + count * _INDEX.size > len(data):
        raise ValueError("the unwinding table cannot be read")
    # A first-level index has one entry per page, sorted by function.
    index = [_INDEX.unpack_from(data, start + i * _INDEX.size) for i in range(count)]
    left = len(data) // 4  # the smallest entry has 4 bytes
    for base, page, _ in index[:-1]:  # the last entry only marks the end
        # A page offset of zero means that the page has no entries of its own.
        for entry in _parse_page(data, base, page) if page else ():
            left -= 1
            if left < 0:
                raise ValueError("the pages of the unwinding table overlap")
            yield entry
    # The exception tables (LSDA) of all pages are in one array, between the offsets of the first
    # and the last entry.
    for place in range(index[0][2], index[-1][2], _PAIR.size):
        function, table = _PAIR.unpack_from(data, place)
        yield Unwinding(function, _PAIR.size, table)


def _parse_page(data: bytes, base: int, page: int) -> Iterator[Unwinding]:
    kind, first, count = _PAGE.unpack_from(data, page)
    if kind not in {_REGULAR, _COMPRESSED}:
        raise ValueError(f"a page of the unwinding table has the unknown kind {kind}")
    # Regular entries hold an address and an encoding; compressed ones have both in 4 bytes.
    size = 8 if kind == _REGULAR else 4
    for entry in range(count):
        (word,) = struct.unpack_from("<I", data, page + first + entry * size)
        # Compressed entries count from the page; their upper 8 bits are an index of an encoding.
        yield Unwinding(word if kind == _REGULAR else base + (word & 0xFFFFFF), size)
