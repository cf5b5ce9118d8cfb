"""Mutates text stubs: YAML of version 4, JSON of version 5."""

from __future__ import annotations

import random

from tests.fuzz.mutators import texts, values


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Returns a stub that was changed."""
    if data.lstrip().startswith(b"{") and rng.random() < 0.8:
        return values.mutate_json(data, rng)
    return texts.mutate_bytes(data, rng, texts.YAML)
