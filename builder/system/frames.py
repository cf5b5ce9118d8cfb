"""Messages between builder and its Python child processes: JSON, and binary data after it.

Nothing in a message is ever executed (no pickle), and a reader limits the number of bytes, because
the other process may have run a hostile model.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

MAX_HEADER = 1 << 20
"""Largest number of bytes in the JSON; names, shapes and error messages need far less."""
# Big-endian, as in network protocols; both ends are on one machine.
_LENGTHS = struct.Struct(">IQ")
"""Number of bytes in the JSON, and number of bytes after it."""


class BrokenFrameError(Exception):
    """The other process ended, or sent something that is not a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One message."""

    header: Mapping[str, Any]
    """The JSON object."""
    blobs: Sequence[bytes] = field(default=())
    """Binary data, such as the bytes of tensors."""


def write_frame(stream: BinaryIO, frame: Frame) -> None:
    """Writes `frame` and flushes the stream."""
    # The sizes stand in the header, so that a reader knows all lengths before it reads any blob.
    sizes = [len(blob) for blob in frame.blobs]
    header = json.dumps({"header": frame.header, "sizes": sizes}).encode()
    stream.write(_LENGTHS.pack(len(header), sum(sizes)))
    stream.write(header)
    for blob in frame.blobs:
        stream.write(blob)
    stream.flush()


def read_frame(stream: BinaryIO, *, limit: int, header_limit: int = MAX_HEADER) -> Frame:
    """Returns the next message.

    Args:
        stream: the stream to read.
        limit: largest number of bytes in all blobs together.
        header_limit: largest number of bytes in the JSON.

    Raises:
        BrokenFrameError: the stream has ended, or the message is too large or invalid.
    """
    length, rest = _LENGTHS.unpack(_take(stream, _LENGTHS.size))
    # Both lengths are checked before memory is taken for them.
    if length > header_limit or rest > limit:
        raise BrokenFrameError(f"it has {length + rest:,} bytes, more than {limit:,}")
    header, sizes = _parse_header(_take(stream, length))
    if sum(sizes) != rest:
        raise BrokenFrameError("its parts do not have the lengths in its header")
    return Frame(header=header, blobs=tuple(_take(stream, size) for size in sizes))


def _parse_header(data: bytes) -> tuple[dict[str, Any], list[int]]:
    try:
        value = json.loads(data)
        header, sizes = value["header"], value["sizes"]
    # JSON can have any form, and RecursionError is what deep nesting raises.
    except (ValueError, LookupError, TypeError, RecursionError):
        raise BrokenFrameError("its header is not JSON") from None
    if not isinstance(header, dict) or not isinstance(sizes, list):
        raise BrokenFrameError("its header does not have the expected fields")
    if not all(type(size) is int and size >= 0 for size in sizes):
        raise BrokenFrameError("its header has impossible sizes")
    return header, sizes


def _take(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    # A buffered read returns less than asked for only at the end of the stream.
    if len(data) != count:
        raise BrokenFrameError("it ended before it was complete")
    return data
