"""Mutates binary files whose fields are known: a number changes, or two are exchanged."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from tests.fuzz.mutators import raw


class Field(NamedTuple):
    """A number in a file."""

    at: int
    width: int
    """Bytes."""
    group: str
    """Which structure has it: all structures are changed as often."""


def mutate_fields(
    data: bytes, fields: Sequence[Field], rng: random.Random, *, order: str = "little"
) -> bytes:
    """Returns `data` with one to three of its fields changed, or some of its bytes."""
    fields = [f for f in fields if f.at >= 0 and f.at + f.width <= len(data)]
    if not fields or rng.random() < 0.2:
        return raw.mutate(data, rng)
    changed = bytearray(data)
    groups = sorted({field.group for field in fields})
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        group = rng.choice(groups)
        field = rng.choice([f for f in fields if f.group == group])
        old = int.from_bytes(changed[field.at : field.at + field.width], order)
        new = _pick(old, changed, fields, rng, order) % 2 ** (8 * field.width)
        changed[field.at : field.at + field.width] = new.to_bytes(field.width, order)
    if rng.random() < 0.05:
        del changed[rng.randrange(len(changed)) :]
    return bytes(changed)


def _pick(
    old: int, data: bytearray, fields: Sequence[Field], rng: random.Random, order: str
) -> int:
    if rng.random() < 0.3:
        other = rng.choice(fields)
        return int.from_bytes(data[other.at : other.at + other.width], order)
    if rng.random() < 0.2:
        return rng.choice((len(data), len(data) - 1, len(data) // 2, len(data) + 1))
    return raw.pick_number(rng, old)
