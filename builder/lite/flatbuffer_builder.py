"""Lays out flatbuffers from front to back (FlatBuffers documentation, "Internals").

The library `flatbuffers` writes from back to front, and needs all bytes in memory. Here large
vectors of bytes come last, and are copied one after the other.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

from builder.errors import ModelError

_OFFSET = struct.Struct("<I")
_LIMIT = (1 << 31) - 1
"""Largest file; offsets between a table and its description have a sign."""
# The runtime uses weights where they lie in the file. 64 bytes are PyTorch's own alignment
# (c10/core/alignment.h).
_BLOB_ALIGNMENT = 64
# 16 MiB, so that no stream has to take a whole weight in one call.
_CHUNK = 1 << 24


@dataclass(frozen=True, slots=True)
class Struct:
    """A number or a struct with a place of its own, for a union; or a vector of them."""

    data: bytes
    alignment: int
    count: int | None = None
    """Number of elements of a vector; None for a single one."""


@dataclass(frozen=True, slots=True)
class Vector:
    """A vector of tables or strings."""

    items: Iterable[Node]
    count: int


@dataclass(frozen=True, slots=True)
class Blob:
    """A vector of bytes, which are read when they are written."""

    size: int
    read: Callable[[], memoryview]


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number that stands in a table."""

    format: str
    """Of the module struct, such as `I`."""
    value: float


@dataclass(frozen=True, slots=True)
class Table:
    """A table: number of the field -> its content. A field without a content has its default."""

    fields: dict[int, Scalar | Node | None]


Node: TypeAlias = Table | Struct | Vector | Blob | bytes
"""What an offset points to; `bytes` are a string, and equal ones are written once."""


def numbers(layout: struct.Struct, values: Sequence[float]) -> Struct:
    """Returns a vector of numbers."""
    data = b"".join(map(layout.pack, values))
    return Struct(data, max(layout.size, 4), len(values))


def write_flatbuffer(root: Table, identifier: bytes, stream: BinaryIO) -> None:
    """Writes a file with the table `root` and a file identifier of four bytes.

    Raises:
        ModelError: the file would have more than 2 GiB.
    """
    _Builder().write(root, identifier, stream)


class _Builder:
    def __init__(self) -> None:
        self._data = bytearray()
        self._vtables: dict[bytes, int] = {}
        # Offsets point forward, and several may point to one string: strings follow all tables.
        self._strings: dict[bytes, list[int]] = {}
        self._blobs: list[tuple[int, Blob]] = []

    def write(self, root: Table, identifier: bytes, stream: BinaryIO) -> None:
        # The first offset is filled in when the root has its place.
        self._data += _OFFSET.pack(0) + identifier
        self._refer(0, root)
        for text, places in self._strings.items():
            self._align(4)
            for place in places:
                self._point(place, len(self._data))
            # Readers in C expect the zero, which the length does not count.
            self._data += _OFFSET.pack(len(text)) + text + b"\0"
        starts = self._place_blobs()
        stream.write(self._data)
        at = len(self._data)
        for start, (_, blob) in zip(starts, self._blobs, strict=True):
            content = blob.read()
            stream.write(bytes(start - at) + _OFFSET.pack(len(content)))
            for part in range(0, len(content), _CHUNK):
                stream.write(content[part : part + _CHUNK])
            at = start + _OFFSET.size + len(content)

    def _place_blobs(self) -> list[int]:
        """Returns where the length of each blob stands, in front of its content."""
        starts, end = [], len(self._data)
        for place, blob in self._blobs:
            start = end + -(end + _OFFSET.size) % _BLOB_ALIGNMENT
            end = start + _OFFSET.size + blob.size
            if end > _LIMIT:
                raise ModelError(
                    "the model is too large for a flatbuffer, which has at most 2 GiB",
                    hint="write it as a zip file",
                )
            self._point(place, start)
            starts.append(start)
        return starts

    def _align(self, alignment: int, before: int = 0) -> None:
        """Adds bytes until what follows after `before` more bytes is aligned."""
        self._data += bytes(-(len(self._data) + before) % alignment)

    def _point(self, place: int, target: int) -> None:
        if target > _LIMIT:
            raise ModelError("the model is too large for a flatbuffer, which has at most 2 GiB")
        _OFFSET.pack_into(self._data, place, target - place)

    def _refer(self, place: int, node: Node) -> None:
        """Writes `node`, and at byte `place` an offset to it."""
        if isinstance(node, bytes):
            self._strings.setdefault(node, []).append(place)
        elif isinstance(node, Blob):
            self._blobs.append((place, node))
        elif isinstance(node, Struct):
            self._struct(place, node)
        elif isinstance(node, Vector):
            self._vector(place, node)
        else:
            self._table(place, node)

    def _struct(self, place: int, node: Struct) -> None:
        head = b"" if node.count is None else _OFFSET.pack(node.count)
        self._align(4)
        self._align(node.alignment, len(head))
        self._point(place, len(self._data))
        self._data += head + node.data

    def _vector(self, place: int, node: Vector) -> None:
        self._align(4)
        start = len(self._data)
        self._point(place, start)
        self._data += _OFFSET.pack(node.count) + bytes(4 * node.count)
        for index, item in enumerate(node.items):
            self._refer(start + 4 * (index + 1), item)

    def _table(self, place: int, node: Table) -> None:
        fields = {index: value for index, value in node.fields.items() if value is not None}
        sizes = {
            index: struct.calcsize(f"<{value.format}") if isinstance(value, Scalar) else 4
            for index, value in fields.items()
        }
        places, size, widest = {}, 4, 4
        # Large fields first, so that all of them are aligned without gaps but one.
        for index in sorted(fields, key=lambda index: -sizes[index]):
            size += -size % sizes[index]
            places[index], size = size, size + sizes[index]
            widest = max(widest, sizes[index])
        vtable = self._vtable(
            [places.get(index, 0) for index in range(max(places, default=-1) + 1)], size
        )
        self._align(widest)
        start = len(self._data)
        self._point(place, start)
        # The description stands in front of the table, so the distance back to it is positive.
        self._data += struct.pack("<i", start - vtable) + bytes(size - 4)
        for index, value in fields.items():
            if isinstance(value, Scalar):
                struct.pack_into(f"<{value.format}", self._data, start + places[index], value.value)
            else:
                self._refer(start + places[index], value)

    def _vtable(self, places: list[int], size: int) -> int:
        """Returns where the description of a table stands: its sizes, and where its fields are."""
        # Tables of one kind have equal descriptions, so the file has each only once.
        content = struct.pack(f"<{2 + len(places)}H", 4 + 2 * len(places), size, *places)
        if content not in self._vtables:
            self._align(2)
            self._vtables[content] = len(self._data)
            self._data += content
        return self._vtables[content]
