"""Mutates safetensors files: the header by meaning, its length, and the bytes behind it."""

from __future__ import annotations

import random

from tests.fuzz.mutators import raw, values


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Returns a file with its header or its content changed."""
    size = int.from_bytes(data[:8], "little")
    header, content = data[8 : 8 + size], data[8 + size :]
    match rng.randrange(8):
        case 0:
            return raw.mutate(data, rng)
        case 1:
            return (raw.pick_number(rng, size) % 2**64).to_bytes(8, "little") + header + content
        case 2:
            content = content[: rng.randrange(len(content) + 1)]
        case 3:
            content += rng.randbytes(rng.choice((1, 8, 4096)))
        case _:
            header = values.mutate_json(header, rng)
    return len(header).to_bytes(8, "little") + header + content
