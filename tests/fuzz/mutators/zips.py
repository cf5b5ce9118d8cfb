"""Writes zip archives as they should not be: entries that lie about size, name, method, checksum.

`pack` makes well-formed archives, and `Entry` says where one is to be wrong.
"""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from builder.system.guarded_zips import DAMAGE
from tests.fuzz.mutators import raw

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")


@dataclass(frozen=True)
class Entry:
    """A member; what it says of itself may be overridden."""

    name: bytes
    content: bytes
    method: int = 0
    lies: dict[str, int] = field(default_factory=dict)
    """Of flags, crc, packed, unpacked, offset, version, method_said, attributes."""


def unpack(data: bytes) -> list[Entry]:
    """Returns the entries of an archive that is fine; ValueError when it is not."""
    return list(_unpack(data))


@lru_cache(maxsize=32)
def _unpack(data: bytes) -> list[Entry]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return [
                Entry(info.filename.encode("utf-8", "surrogateescape"), archive.read(info))
                for info in archive.infolist()
            ]
    except (*DAMAGE, OSError) as error:
        raise ValueError("no archive") from error


def pack(entries: Sequence[Entry], *, end_lies: dict[str, int] | None = None) -> bytes:
    """Returns the archive; `end_lies` may hold count, size and start of the central directory."""
    body, central = bytearray(), bytearray()
    for entry in entries:
        packed = entry.content
        if entry.method == zipfile.ZIP_DEFLATED:
            packer = zlib.compressobj(wbits=-15)
            packed = packer.compress(entry.content) + packer.flush()
        told = {
            "flags": 0x800,
            "crc": zlib.crc32(entry.content),
            "packed": len(packed),
            "unpacked": len(entry.content),
            "offset": len(body),
            "version": 20,
            "method_said": entry.method,
            "attributes": 0,
        }
        told |= entry.lies
        fields = [
            *(told["version"] % 2**16, told["flags"] % 2**16, told["method_said"] % 2**16, 0, 33),
            *(told[key] % 2**32 for key in ("crc", "packed", "unpacked")),
            len(entry.name),
        ]
        body += _LOCAL.pack(b"PK\3\4", *fields, 0) + entry.name + packed
        places = (told["attributes"] % 2**32, told["offset"] % 2**32)
        central += _CENTRAL.pack(*(b"PK\1\2", 20, *fields, 0, 0, 0, 0, *places))
        central += entry.name
    end = {"count": len(entries), "size": len(central), "start": len(body)} | (end_lies or {})
    count = end["count"] % 2**16
    tail = _END.pack(b"PK\5\6", 0, 0, count, count, end["size"] % 2**32, end["start"] % 2**32, 0)
    return bytes(body + central + tail)


def spoil(entries: list[Entry], rng: random.Random) -> bytes:
    """Returns the archive with one thing about its entries, or its end, wrong."""
    entries = list(entries)
    place = rng.randrange(len(entries)) if entries else 0
    end_lies: dict[str, int] = {}
    match rng.randrange(8):
        case 0 if entries:
            del entries[place]
        case 1 if entries:
            entries.append(entries[place])
        case 2 if entries:
            name = raw.pick_text(rng, entries[place].name.decode("utf-8", "replace"))
            entries[place] = replace(entries[place], name=name.encode("utf-8", "replace")[:60000])
        case 3 if entries:
            entries[place] = replace(entries[place], method=rng.choice((0, 8)))
        case 4 if entries:
            key = rng.choice(("flags", "crc", "packed", "unpacked", "offset", "version"))
            lies = {key: raw.pick_number(rng)}
            entries[place] = replace(entries[place], lies=lies)
        case 5 if entries:
            entries[place] = replace(
                entries[place], lies={"method_said": rng.choice((1, 8, 12, 99))}
            )
        case 6:
            end_lies = {rng.choice(("count", "size", "start")): raw.pick_number(rng)}
        case _:
            rng.shuffle(entries)
    return pack(entries, end_lies=end_lies)
