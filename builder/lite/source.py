"""Bytes that a reader takes parts of: those of an open file, or of memory."""

from __future__ import annotations

import io
import os
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A range of bytes. Nothing is mapped: a file that somebody cuts would kill who reads it."""

    size: int
    """Number of bytes; of a file, when it was opened."""
    read: Callable[[int, int], memoryview]
    """Returns the bytes from an offset on, as many as are asked for; fewer where they end."""


def source_of(data: memoryview) -> Source:
    """Returns `data` as a source; parts of it are not copied."""
    return Source(size=len(data), read=lambda at, count: data[at : at + count])


def open_source(stream: io.BufferedReader) -> Source:
    """Returns a file as a source, which may be closed, replaced or removed meanwhile."""
    file = _File(os.dup(stream.fileno()))
    return Source(size=file.size, read=file.read)


class _File:
    """An open file, closed with the last one who reads it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.size = os.fstat(number).st_size
        # Storages read later, so the file stays open as long as one of them lives.
        weakref.finalize(self, os.close, number)

    def read(self, at: int, count: int) -> memoryview:
        """Returns the bytes from `at` on, `count` of them or those that there are."""
        parts: list[bytes] = []
        # The size when the file was opened counts. One that grows meanwhile would give other bytes
        # than were checked.
        count = min(count, self.size - at)
        # One call returns 2 GiB at most.
        while count > 0 and (part := os.pread(self.number, count, at)):
            parts.append(part)
            at, count = at + len(part), count - len(part)
        return memoryview(parts[0] if len(parts) == 1 else b"".join(parts))


class SourceStream(io.RawIOBase):
    """A source as a stream, without a copy of all of it."""

    def __init__(self, source: Source) -> None:
        self._source, self._at = source, 0

    def seekable(self) -> bool:
        """Returns True."""
        return True

    def readable(self) -> bool:
        """Returns True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Goes to a position, and returns it; ValueError for one before the start."""
        position = (0, self._at, self._source.size)[whence] + offset
        if position < 0:
            raise ValueError(f"there is no position {position}")
        self._at = position
        return position

    def tell(self) -> int:
        """Returns the position."""
        return self._at

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 - a writable buffer
        """Copies the next bytes into `buffer`, and returns how many there are."""
        part = self._source.read(self._at, len(buffer))
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)
