"""Mutates size data: `size.json`, a zero byte, and the compressed graph of references."""

from __future__ import annotations

import gzip
import random
import zlib

from tests.fuzz.mutators import raw, values

SEPARATOR = b"\0\0size data\0\0"
"""Between the two files."""


def join(report: bytes, references: bytes) -> bytes:
    """Returns both files as one input."""
    return report + SEPARATOR + references


def split(data: bytes) -> tuple[bytes, bytes]:
    """Returns the two files of an input."""
    report, _, references = data.partition(SEPARATOR)
    return report, references


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Returns both files, one of them changed; the graph inside of its compression mostly."""
    report, references = split(data)
    if rng.random() < 0.4:
        return join(values.mutate_json(report, rng), references)
    if rng.random() < 0.25:
        return join(report, raw.mutate(references, rng))
    try:
        text = gzip.decompress(references)
    except (OSError, EOFError, zlib.error):
        return join(report, raw.mutate(references, rng))
    return join(report, gzip.compress(values.mutate_json(text, rng), 1, mtime=0))
