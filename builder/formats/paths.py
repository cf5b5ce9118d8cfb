"""Finds absolute paths in a file, which would reveal the build machine."""

from __future__ import annotations

import re
from collections.abc import Iterator

_PATH = re.compile(
    rb"(?<![\w./:@%*+~-])"
    rb"(?:/[A-Za-z][\w.+-]+(?:/[\w.+-]{2,})+/?|[A-Za-z]:[\\/]{1,2}\w[\w.+-]+[\\/][\w.+\\/-]+)"
)
"""An absolute path with at least two folders; shorter ones are too often words, as in `and/or`."""


def find_paths(data: bytes | memoryview) -> Iterator[str]:
    """Yields everything in the bytes of a file that looks like an absolute path."""
    yield from (match[0].decode(errors="replace") for match in _PATH.finditer(data))
