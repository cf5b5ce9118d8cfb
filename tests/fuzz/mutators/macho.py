"""Mutates universal files, static libraries and Mach-O objects by their fields."""

from __future__ import annotations

import contextlib
import random
import struct
from collections.abc import Iterator
from functools import lru_cache

from tests.fuzz.mutators import raw
from tests.fuzz.mutators.fields import Field, mutate_fields

_MAGIC, _MOST = b"\xcf\xfa\xed\xfe", 200
_SECTION = ((32, 8), (40, 8), (48, 4), (56, 4), (60, 4), (64, 4))


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Returns a library that was changed: what contains objects, or the objects."""
    if data[:4] == b"\xca\xfe\xba\xbe" and rng.random() < 0.2:
        numbers = [Field(4 * place, 4, "universal") for place in range(min(len(data) // 4, 20))]
        return mutate_fields(data, numbers, rng, order="big")
    if rng.random() < 0.1:
        return _change_member(data, rng)
    return mutate_fields(data, _list_fields(data), rng)


@lru_cache(maxsize=4)
def _list_fields(data: bytes) -> tuple[Field, ...]:
    return tuple(find_fields(data))


def find_fields(data: bytes) -> Iterator[Field]:
    """Yields the fields of all objects in a file."""
    start = data.find(_MAGIC)
    while start >= 0:
        with contextlib.suppress(struct.error):
            yield from _find(data, start)
        start = data.find(_MAGIC, start + 4)


def _find(data: bytes, start: int) -> Iterator[Field]:
    yield from (Field(start + at, 4, "header") for at in (4, 12, 16, 20))
    (count,) = struct.unpack_from("<I", data, start + 16)
    at = start + 32
    for _ in range(min(count, _MOST)):
        command, size = struct.unpack_from("<II", data, at)
        yield from (Field(at + place, 4, "command") for place in range(0, min(size, 24), 4))
        if command == 0x19:
            (sections,) = struct.unpack_from("<I", data, at + 64)
            yield Field(at + 64, 4, "command")
            for section in range(min(sections, _MOST)):
                yield from (
                    Field(at + 72 + section * 80 + place, width, "section")
                    for place, width in _SECTION
                )
        elif command == 2:
            table, symbols = struct.unpack_from("<II", data, at + 8)
            for symbol in range(min(symbols, _MOST)):
                place = start + table + symbol * 16
                widths = ((0, 4), (4, 1), (5, 1), (6, 2), (8, 8))
                yield from (Field(place + one, width, "symbol") for one, width in widths)
        at += max(size, 8)


def _change_member(data: bytes, rng: random.Random) -> bytes:
    """Changes the header of a file in a static library: name, size or end."""
    ends = [at for at in range(len(data) - 1) if data[at : at + 2] == b"`\n"][:50]
    if not ends:
        return raw.mutate(data, rng)
    start = rng.choice(ends) - 58
    at, width = rng.choice(((0, 16), (48, 10), (58, 2)))
    text = rng.choice((b"#1/20", b"#1/-5", b"#1/x", b"-1", b"9999999999", b"1_0", b"", b"0", b"/"))
    changed = bytearray(data)
    changed[max(start + at, 0) : max(start + at, 0) + width] = text[:width].ljust(width)
    return bytes(changed)
