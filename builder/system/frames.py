"""Messages between builder and a Python process of its own: JSON, and bytes that go with it.

Nothing in a message is ever executed (no pickle), and a reader says how many bytes it accepts: the
other side may have run a hostile model.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

MAX_HEADER = 1 << 20
"""Bytes of the JSON; names, shapes and texts of errors take far less."""
_LENGTHS = struct.Struct(">IQ")
"""Bytes of the JSON, and of all that follows it."""


class BrokenFrameError(Exception):
    """The other side ended, or sent what is no message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One message."""

    header: Mapping[str, Any]
    blobs: Sequence[bytes] = field(default=())


def write_frame(stream: BinaryIO, frame: Frame) -> None:
    """Writes `frame` and flushes."""
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
        stream: where it comes from.
        limit: most bytes of its blobs together.
        header_limit: most bytes of its JSON.

    Raises:
        BrokenFrameError: there is none, it is larger, or it is no message.
    """
    length, rest = _LENGTHS.unpack(_take(stream, _LENGTHS.size))
    if length > header_limit or rest > limit:
        raise BrokenFrameError(f"an answer of {length + rest:,} bytes, more than {limit:,}")
    header, sizes = _parse_header(_take(stream, length))
    if sum(sizes) != rest:
        raise BrokenFrameError("an answer whose parts are not as long as it says")
    return Frame(header=header, blobs=tuple(_take(stream, size) for size in sizes))


def _parse_header(data: bytes) -> tuple[dict[str, Any], list[int]]:
    try:
        value = json.loads(data)
        header, sizes = value["header"], value["sizes"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise BrokenFrameError("an answer that is no JSON") from None
    if not isinstance(header, dict) or not isinstance(sizes, list):
        raise BrokenFrameError("an answer of another form")
    if not all(type(size) is int and size >= 0 for size in sizes):
        raise BrokenFrameError("an answer with impossible sizes")
    return header, sizes


def _take(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) != count:
        raise BrokenFrameError("it ended in the middle of an answer")
    return data
