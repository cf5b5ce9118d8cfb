"""Mutates ELF libraries by the fields of their headers, tables and strings."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from functools import lru_cache

from tests.fuzz.mutators.fields import Field, mutate_fields

_HEADER = ((16, 2), (18, 2), (32, 8), (40, 8), (54, 2), (56, 2), (58, 2), (60, 2), (62, 2))
_SECTION = ((0, 4), (4, 4), (8, 8), (16, 8), (24, 8), (32, 8), (40, 4), (44, 4))
_SEGMENT = ((0, 4), (4, 4), (8, 8), (16, 8), (32, 8), (48, 8))
_SYMBOL = ((0, 4), (4, 1), (6, 2), (8, 8), (16, 8))
_MOST = 200
"""Entries of a table."""


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Returns a library of 64 bits that was changed; the fields of others are not known here."""
    return mutate_fields(data, _list_fields(data), rng)


@lru_cache(maxsize=4)
def _list_fields(data: bytes) -> tuple[Field, ...]:
    return tuple(find_fields(data))


def find_fields(data: bytes) -> Iterator[Field]:
    """Yields the fields of a file that is not too damaged."""
    try:
        yield from _find(data)
    except struct.error:
        return


def _find(data: bytes) -> Iterator[Field]:
    yield from (Field(4, 1, "ident"), Field(5, 1, "ident"))
    yield from _table(0, 1, 64, _HEADER, "header")
    segments, sections = struct.unpack_from("<QQ", data, 32)
    segment_count, _, section_count = struct.unpack_from("<HHH", data, 56)
    yield from _table(segments, segment_count, 56, _SEGMENT, "segment")
    yield from _table(sections, section_count, 64, _SECTION, "section")
    for index in range(min(section_count, _MOST)):
        kind, _, _, start, size = struct.unpack_from("<IQQQQ", data, sections + index * 64 + 4)
        if kind in {2, 11}:
            yield from _table(start, size // 24, 24, _SYMBOL, "symbol")
        elif kind == 6:
            yield from _table(start, size // 16, 16, ((0, 8), (8, 8)), "dynamic")
        elif kind == 3:
            yield from _table(start, size, 1, ((0, 1),), "texts")


def _table(
    start: int, count: int, size: int, places: tuple[tuple[int, int], ...], group: str
) -> Iterator[Field]:
    for index in range(min(count, _MOST)):
        for at, width in places:
            yield Field(start + index * size + at, width, group)
