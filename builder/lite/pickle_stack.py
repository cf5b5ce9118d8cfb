"""Reads the bytes of a pickle, and keeps the stack on which its opcodes work, with checks."""

from __future__ import annotations

import struct
from typing import Any

from builder.core.counts import number_of
from builder.errors import ModelError


class PickleStack:
    """The bytes of a pickle, the values on its stack, and the marks between the values."""

    def __init__(self, data: bytes, record: str) -> None:
        self._data = data
        self.record = record
        """Name of the pickle in the archive, for messages."""
        self._at = 0
        self.values: list[Any] = []
        self._marks: list[int] = []

    def damage(self, why: str) -> ModelError:
        """Returns an error that says where the pickle is damaged, and why it cannot be read."""
        return ModelError(f"{self.record} is damaged at byte {self._at}: {why}")

    def take(self, count: int) -> bytes:
        """Returns the next `count` bytes."""
        end = self._at + count
        if end > len(self._data):
            raise self.damage(
                f"it ends after {number_of(len(self._data), 'byte')}, but {end} are needed"
            )
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def number(self, layout: struct.Struct) -> Any:  # noqa: ANN401 - int or float
        """Returns the next number, which has the form `layout`."""
        return layout.unpack(self.take(layout.size))[0]

    def line(self) -> str:
        """Returns the rest of the line."""
        # Bounded: without a line break, each call would search the rest of the file.
        end = self._data.find(b"\n", self._at, self._at + 4096)
        if end < 0:
            raise self.damage("a name does not end")
        return self.take(end + 1 - self._at)[:-1].decode("utf-8", "replace")

    def push(self, value: object) -> None:
        """Puts `value` on the stack."""
        self.values.append(value)

    def pop(self) -> Any:  # noqa: ANN401 - a pickle is anything
        """Removes the last value from the stack and returns it; it must follow the last mark."""
        # A value below the mark belongs to a collection that is not closed yet.
        floor = self._marks[-1] if self._marks else 0
        if len(self.values) <= floor:
            raise self.damage("a value is missing on the stack")
        return self.values.pop()

    def pop_to_mark(self) -> list[Any]:
        """Removes the last mark and all values after it from the stack; returns the values."""
        if not self._marks:
            raise self.damage("a mark is missing")
        start = self._marks.pop()
        values = self.values[start:]
        del self.values[start:]
        return values

    def top(self, kind: type[Any]) -> Any:  # noqa: ANN401 - list or dict
        """Returns the last value without removing it from the stack."""
        if not self.values or not isinstance(self.values[-1], kind):
            raise self.damage(f"a {kind.__name__} is expected on the stack")
        return self.values[-1]

    def mark(self) -> None:
        """Puts a mark at the end of the stack."""
        self._marks.append(len(self.values))
