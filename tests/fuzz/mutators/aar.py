"""Mutates AARs: the libraries, manifests and other files in them, and the archive."""

from __future__ import annotations

import random
from dataclasses import replace

from tests.fuzz.mutators import elf, raw, values, zips


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Returns an AAR with an entry changed, or with something wrong about its list."""
    if rng.random() < 0.1:
        return raw.mutate(data, rng)
    try:
        entries = zips.unpack(data)
    except ValueError:
        return raw.mutate(data, rng)
    if not entries or rng.random() < 0.4:
        return zips.spoil(entries, rng)
    place = rng.randrange(len(entries))
    entry = entries[place]
    change = raw.mutate
    if entry.name.endswith(b".so"):
        change = elf.mutate
    elif entry.name.endswith(b".json"):
        change = values.mutate_json
    method = rng.choice((0, 8))
    entries[place] = replace(entry, content=change(entry.content, rng), method=method)
    return zips.pack(entries)
