"""Mutates input specs, as `--input`, `--shape` and reference cases have them."""

from __future__ import annotations

import random

from tests.fuzz.mutators import texts


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Returns a spec with words and signs of Python changed."""
    return texts.mutate_bytes(data, rng, texts.PYTHON)
