"""The bytes of a pickle and the stack that its opcodes work on; all of it checked."""

from __future__ import annotations

import struct
from typing import Any

from builder.errors import ModelError


class PickleStack:
    """A pickle that is read from its start, the values so far, and the marks among them."""

    def __init__(self, data: bytes, record: str) -> None:
        self._data = data
        self.record = record
        """The pickle's name in the archive, for messages."""
        self._at = 0
        self.values: list[Any] = []
        self._marks: list[int] = []

    def damage(self, why: str) -> ModelError:
        """Returns the error that says `why` the pickle cannot be read, and where."""
        return ModelError(f"{self.record} is damaged at byte {self._at}: {why}")

    def take(self, count: int) -> bytes:
        """Returns the next `count` bytes."""
        end = self._at + count
        if end > len(self._data):
            raise self.damage(f"it ends after {len(self._data)} bytes, {end} are needed")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def number(self, layout: struct.Struct) -> Any:  # noqa: ANN401 - int or float
        """Returns the next number."""
        return layout.unpack(self.take(layout.size))[0]

    def line(self) -> str:
        """Returns the rest of the line."""
        end = self._data.find(b"\n", self._at, self._at + 4096)
        if end < 0:
            raise self.damage("a name does not end")
        return self.take(end + 1 - self._at)[:-1].decode("utf-8", "replace")

    def push(self, value: object) -> None:
        """Puts `value` on the stack."""
        self.values.append(value)

    def pop(self) -> Any:  # noqa: ANN401 - a pickle is anything
        """Takes the last value since the last mark off the stack."""
        floor = self._marks[-1] if self._marks else 0
        if len(self.values) <= floor:
            raise self.damage("a value is missing on the stack")
        return self.values.pop()

    def pop_to_mark(self) -> list[Any]:
        """Takes all values since the last mark off the stack, and the mark."""
        if not self._marks:
            raise self.damage("a mark is missing")
        start = self._marks.pop()
        values = self.values[start:]
        del self.values[start:]
        return values

    def top(self, kind: type[Any]) -> Any:  # noqa: ANN401 - list or dict
        """Returns the last value, which stays on the stack."""
        if not self.values or not isinstance(self.values[-1], kind):
            raise self.damage(f"a {kind.__name__} is expected on the stack")
        return self.values[-1]

    def mark(self) -> None:
        """Remembers where the stack ends."""
        self._marks.append(len(self.values))
