"""Mutates operator lists."""

from __future__ import annotations

import random

from tests.fuzz.mutators import texts


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Returns a list with lines, words or YAML's own signs changed."""
    return texts.mutate_bytes(data, rng, texts.YAML)
