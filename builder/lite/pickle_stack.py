"""Reads the bytes of a pickle: the stack, the memo and the opcodes that all pickles share."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from builder.core.counts import number_of
from builder.errors import ModelError


class PickleStack:
    """The bytes of a pickle, the values on its stack with marks between them, and its memo."""

    def __init__(self, data: bytes, record: str) -> None:
        self._data = data
        self.record = record
        """Name of the pickle in the archive, for messages."""
        self._at = 0
        self.values: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def damage(self, why: str) -> ModelError:
        """Returns an error that says where the pickle is damaged, and why it cannot be read."""
        return ModelError(f"{self.record} is damaged at byte {self._at}: {why}")

    def begin(self) -> None:
        """Reads the head of a pickle of protocol 2, the only one that PyTorch writes."""
        if self.take(2) != b"\x80\x02":
            raise self.damage("it is not a protocol 2 pickle")

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

    def tuple_of(self, count: int) -> None:
        """Replaces the last `count` values by a tuple of them."""
        self.push(tuple(reversed([self.pop() for _ in range(count)])))

    def tuple_to_mark(self) -> None:
        """Replaces the last mark and all values after it by a tuple of these values."""
        self.push(tuple(self.pop_to_mark()))

    def put(self, layout: struct.Struct) -> None:
        """Remembers the last value."""
        if not self.values:
            raise self.damage("there is no value to remember")
        self._memo[self.number(layout)] = self.values[-1]

    def get(self, layout: struct.Struct) -> None:
        """Pushes a value that was remembered."""
        index = self.number(layout)
        if index not in self._memo:
            raise self.damage(f"memo {index} was never set")
        self.push(self._memo[index])


Step = Callable[[PickleStack], None]
STOP = ord(".")
UINT8 = struct.Struct("<B")
UINT32 = struct.Struct("<I")
_UINT16 = struct.Struct("<H")
_INT32 = struct.Struct("<i")
_FLOAT64 = struct.Struct(">d")  # BINFLOAT is big-endian, unlike the integers (pickletools)


def _constant(value: object) -> Step:
    return lambda machine: machine.push(value)


def _fixed(layout: struct.Struct) -> Step:
    return lambda machine: machine.push(machine.number(layout))


COMMON_STEPS: Mapping[int, Step] = {
    ord("("): PickleStack.mark,
    ord(")"): _constant(()),
    ord("N"): _constant(None),
    0x88: _constant(True),
    0x89: _constant(False),
    ord("K"): _fixed(UINT8),
    ord("M"): _fixed(_UINT16),
    ord("J"): _fixed(_INT32),
    ord("G"): _fixed(_FLOAT64),
    ord("t"): PickleStack.tuple_to_mark,
    0x85: lambda machine: machine.tuple_of(1),
    0x86: lambda machine: machine.tuple_of(2),
    0x87: lambda machine: machine.tuple_of(3),
    ord("q"): lambda machine: machine.put(UINT8),
    ord("r"): lambda machine: machine.put(UINT32),
    ord("h"): lambda machine: machine.get(UINT8),
    ord("j"): lambda machine: machine.get(UINT32),
}
"""Opcode -> function that executes it, for the opcodes that mean the same in all pickles."""
