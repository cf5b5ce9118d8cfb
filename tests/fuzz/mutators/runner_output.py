"""Mutates what the program of a runtime prints: lines of text, and one of JSON."""

from __future__ import annotations

import random

from tests.fuzz.mutators import raw, values

LINES = (
    b"this runtime lacks operators of the model: a::b.c.d.",
    b"this runtime lacks operators of the model: aten::add.Tensor, aten::mul",
    b"this runtime lacks operators of the model: " + b"a::b, " * 1000,
    b'this runtime was built without kernels for dtype Half, and "x" was asked for it',
    b'{"outputs": [], "seconds": 1}',
    b"{",
    b"\x1b[31m",
    b"\xff\xfe",
)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Returns the output with lines changed, added, dropped or mixed."""
    lines = data.split(b"\n")
    for _ in range(rng.choice((1, 1, 2, 3))):
        place = rng.randrange(len(lines)) if lines else 0
        match rng.randrange(5):
            case 0 if lines:
                del lines[place]
            case 1:
                lines.insert(place, rng.choice(LINES))
            case _ if lines:
                line = lines[place]
                change = values.mutate_json if line.startswith(b"{") else raw.mutate
                lines[place] = change(line, rng)
    return b"\n".join(lines)
