"""Paths of the build machine that a file's bytes may tell."""

from __future__ import annotations

import re
from collections.abc import Iterator

_PATH = re.compile(
    rb"(?<![\w./:@%*+~-])"
    rb"(?:/[A-Za-z][\w.+-]+(?:/[\w.+-]{2,})+/?|[A-Za-z]:[\\/]{1,2}\w[\w.+-]+[\\/][\w.+\\/-]+)"
)
"""An absolute path of two folders or more; of one, since texts hold `/code` and `and/or`, not."""


def find_paths(data: bytes | memoryview) -> Iterator[str]:
    """Yields what looks like an absolute path in the bytes of a file."""
    yield from (match[0].decode(errors="replace") for match in _PATH.finditer(data))
