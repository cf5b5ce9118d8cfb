"""Mutates `__unwind_info` sections: all of their words are fields."""

from __future__ import annotations

import random

from tests.fuzz.mutators.fields import Field, mutate_fields


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Returns a section that was changed."""
    words = [Field(at, 4, "head" if at < 28 else "rest") for at in range(0, len(data) - 3, 4)]
    halves = [Field(at, 2, "page") for at in range(28, len(data) - 1, 2)]
    return mutate_fields(data, [*words, *halves], rng)
