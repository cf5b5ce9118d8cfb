"""Mutates lite files in zip form: the pickles by meaning, the other records, and the archive."""

from __future__ import annotations

import random
import zipfile
from dataclasses import replace

from tests.fuzz.mutators import pickles, raw, zips
from tests.fuzz.mutators.zips import Entry

_WEIGHTS = {"bytecode.pkl": 12, "data.pkl": 6, "constants.pkl": 3, "version": 1}


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Returns a file with its records changed, in an archive with right checksums mostly."""
    if rng.random() < 0.05:
        return raw.mutate(data, rng)
    try:
        entries = zips.unpack(data)
    except ValueError:
        return raw.mutate(data, rng)
    if not entries or rng.random() < 0.08:
        return zips.spoil(entries, rng)
    for _ in range(rng.choice((1, 1, 1, 2))):
        weights = [_WEIGHTS.get(entry.name.decode().partition("/")[2], 2) for entry in entries]
        place = rng.choices(range(len(entries)), weights)[0]
        entries[place] = _change(entries[place], rng)
    return zips.pack(entries)


def _change(entry: Entry, rng: random.Random) -> Entry:
    if entry.name.endswith(b".pkl"):
        return replace(entry, content=pickles.mutate(entry.content, rng))
    content = entry.content
    match rng.randrange(7):
        case 0:
            return replace(entry, content=content[: rng.randrange(len(content) + 1)])
        case 1:
            return replace(entry, content=content + rng.randbytes(rng.choice((1, 4, 64, 4096))))
        case 2:
            return replace(entry, content=b"")
        case 3:
            return replace(entry, method=zipfile.ZIP_DEFLATED)
        case 4:
            much = content.ljust(1, b"\0") * rng.choice((2, 100, 20_000))
            return replace(entry, content=much[: 4 << 20], method=zipfile.ZIP_DEFLATED)
        case 5:
            return replace(entry, content=str(raw.pick_number(rng)).encode())
        case _:
            return replace(entry, content=raw.mutate(content, rng))
