"""Reads flatbuffer tables with bounds checks (FlatBuffers documentation, "Internals").

Offsets come from an untrusted file: each one is checked. Tables may share parts, so a budget keeps
the work in proportion to the size of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from builder.errors import ModelError
from builder.lite.effort import too_much

_FREE_STEPS, _FREE_TEXT, _TEXT_RATIO = 500_000, 1 << 20, 2
"""A file may cause 500,000 steps plus one per byte, and 1 MiB of strings plus two bytes per byte.
Files that PyTorch writes need a third of that; overlapping parts need more."""
_UINT8 = struct.Struct("<B")
_UINT16 = struct.Struct("<H")
_UINT32 = struct.Struct("<I")
_INT32 = struct.Struct("<i")


@dataclass(slots=True)
class Buffer:
    """The bytes of a flatbuffer file; every read checks that the bytes exist."""

    data: memoryview
    steps: int = field(default=0, init=False)
    texts: int = field(default=0, init=False)
    """Number of bytes of the strings that were read."""
    files: int = field(default=0, init=False)
    """Number of bytes of the contents of files and storages that were looked up."""
    _known: dict[int, str] = field(default_factory=dict, init=False)
    """Start of a string -> the string; PyTorch writes equal strings only once."""

    def root(self) -> Table:
        """Returns the root table."""
        return self.table(0)

    def table(self, at: int) -> Table:
        """Returns the table that the offset stored at byte `at` points to."""
        # Offsets are unsigned and point forward; only the offset to a vtable is signed.
        position = at + self.uint32(at)
        vtable = position - self.number(position, _INT32)
        size = self.number(vtable, _UINT16)
        # A vtable begins with two uint16 (its own size and the table's), then one per field.
        if size < 4 or size % 2:
            # Two uint16 at least, and whole fields.
            raise ModelError(f"the flatbuffer is damaged: a vtable of {size} bytes at {vtable}")
        return Table(self, position, vtable, size)

    def string(self, at: int) -> str:
        """Returns the string that the offset stored at byte `at` points to."""
        start, length = self.vector(at, 1)
        # Counted once: equal strings of a real file share their bytes.
        if start not in self._known:
            self.texts += length
            if self.texts > _FREE_TEXT + _TEXT_RATIO * len(self.data):
                raise too_much()
            text = bytes(self.data[start : start + length]).decode("utf-8", "surrogateescape")
            self._known[start] = text
        return self._known[start]

    def vector(self, at: int, width: int) -> tuple[int, int]:
        """Returns start and length of the vector at the offset stored at byte `at`."""
        head = at + self.uint32(at)
        length = self.uint32(head)
        # Checked before the elements are read, so a wrong length cannot cause a long loop.
        if head + 4 + length * width > len(self.data):
            raise ModelError(f"the flatbuffer is truncated: {length} elements at byte {head}")
        return head + 4, length

    def uint32(self, at: int) -> int:
        """Returns the number at byte `at`."""
        return int(self.number(at, _UINT32))

    def number(self, at: int, layout: struct.Struct) -> Any:  # noqa: ANN401 - int or float
        """Returns the number of `layout` at byte `at`."""
        self.spend(1)
        if at < 0 or at + layout.size > len(self.data):
            raise ModelError(
                f"the flatbuffer is truncated or damaged: it points to byte {at} "
                f"of {len(self.data)}"
            )
        return layout.unpack_from(self.data, at)[0]

    def spend(self, steps: int) -> None:
        """Counts steps; raises ModelError when there are more than a real model needs."""
        self.steps += steps
        if self.steps > _FREE_STEPS + len(self.data):
            raise too_much()


@dataclass(frozen=True, slots=True)
class Table:
    """One table; the fields have numbers in the order of the schema."""

    buffer: Buffer
    position: int
    vtable: int
    vtable_size: int

    def _find(self, index: int) -> int | None:
        # The first field stands behind two uint16; a short vtable lacks the last fields.
        slot = 4 + 2 * index
        if slot + 2 > self.vtable_size:
            return None
        offset = self.buffer.number(self.vtable + slot, _UINT16)
        # Zero means that the field is absent and has its default (FlatBuffers, "Internals").
        return self.position + offset if offset else None

    def uint8(self, index: int) -> int:
        """Returns field `index`, an unsigned byte; 0 when absent."""
        at = self._find(index)
        return 0 if at is None else int(self.buffer.number(at, _UINT8))

    def uint32(self, index: int) -> int:
        """Returns field `index`, an unsigned number; 0 when absent."""
        at = self._find(index)
        return 0 if at is None else self.buffer.uint32(at)

    def int32(self, index: int, *, default: int) -> int:
        """Returns field `index`, a number; `default` when absent."""
        at = self._find(index)
        return default if at is None else int(self.buffer.number(at, _INT32))

    def number(self, index: int, layout: struct.Struct, *, default: float) -> float:
        """Returns field `index`, a number of `layout`; `default` when absent."""
        at = self._find(index)
        return default if at is None else self.buffer.number(at, layout)

    def bytes(self, index: int) -> memoryview:
        """Returns the bytes of field `index`, a string or a vector of bytes; none when absent."""
        at = self._find(index)
        if at is None:
            return memoryview(b"")
        start, length = self.buffer.vector(at, 1)
        # Files and storages do not overlap, so that all of them are no larger than the file.
        self.buffer.files += length
        if self.buffer.files > len(self.buffer.data):
            raise too_much()
        return self.buffer.data[start : start + length]

    def string(self, index: int) -> str:
        """Returns field `index`, a string; empty when absent."""
        at = self._find(index)
        return "" if at is None else self.buffer.string(at)

    def table(self, index: int) -> Table | None:
        """Returns field `index`, a table; None when absent."""
        at = self._find(index)
        return None if at is None else self.buffer.table(at)

    def tables(self, index: int) -> Iterator[Table]:
        """Yields the tables of the vector in field `index`; none when absent."""
        for at in self._elements(index):
            yield self.buffer.table(at)

    def strings(self, index: int) -> Iterator[str]:
        """Yields the strings of the vector in field `index`; none when absent."""
        for at in self._elements(index):
            yield self.buffer.string(at)

    def structs(self, index: int, layout: struct.Struct) -> Iterator[tuple[int, ...]]:
        """Yields the structs, or numbers, of the vector in field `index`; none when absent."""
        for at in self._elements(index, layout.size):
            self.buffer.spend(1)
            yield layout.unpack_from(self.buffer.data, at)

    def struct(self, index: int, layout: struct.Struct) -> tuple[Any, ...]:
        """Returns the struct that the offset in field `index`, a union, points to.

        Raises:
            ModelError: the field is absent, or its offset leaves the file.
        """
        at = self._find(index)
        if at is None:
            raise ModelError("the flatbuffer is damaged: a value has no content")
        position = at + self.buffer.uint32(at)
        # Reading the last byte checks that the whole struct lies in the file.
        self.buffer.number(position + layout.size - 1, _UINT8)
        return layout.unpack_from(self.buffer.data, position)

    def _elements(self, index: int, width: int = 4) -> range:
        at = self._find(index)
        if at is None:
            return range(0)
        start, length = self.buffer.vector(at, width)
        return range(start, start + width * length, width)
