from __future__ import annotations

import io
import json
import struct

import pytest

from builder.system.frames import MAX_HEADER, BrokenFrameError, Frame, read_frame, write_frame


def encode(frame: Frame) -> bytes:
    stream = io.BytesIO()
    write_frame(stream, frame)
    return stream.getvalue()


def pack(header: bytes, blobs: bytes = b"", *, length: int | None = None, rest: int | None = None):
    """A frame whose lengths may lie."""
    lengths = struct.pack(
        ">IQ",
        len(header) if length is None else length,
        len(blobs) if rest is None else rest,
    )
    return lengths + header + blobs


def read(data: bytes, limit: int = 1000) -> Frame:
    return read_frame(io.BytesIO(data), limit=limit)


@pytest.mark.parametrize(
    "frame",
    [
        Frame(header={}),
        Frame(header={"text": "ü\n", "number": 1.5}, blobs=(b"", b"abc", b"\0" * 100)),
    ],
)
def test_a_frame_comes_back(frame):
    found = read(encode(frame))
    assert (found.header, tuple(found.blobs)) == (frame.header, tuple(frame.blobs))


def test_every_cut_is_seen():
    data = encode(Frame(header={"a": 1}, blobs=(b"12", b"3")))
    for end in range(len(data)):
        with pytest.raises(BrokenFrameError):
            read(data[:end])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        pack(b"{"),
        pack(b"[]"),
        pack(b"\xff\xfe"),
        pack(b"[" * 200_000),
        pack(b'{"header": {}}'),
        pack(b'{"header": 1, "sizes": []}'),
        pack(b'{"header": {}, "sizes": 3}'),
        pack(b'{"header": {}, "sizes": [-1, 1]}'),
        pack(b'{"header": {}, "sizes": [true]}', b"1"),
        pack(b'{"header": {}, "sizes": [2]}', b"1"),
        pack(b'{"header": {}, "sizes": []}', rest=7),
        pack(b"{}", length=MAX_HEADER + 1),
        pack(json.dumps({"header": {}, "sizes": [1001]}).encode(), b"x" * 1001),
        pack(b'{"header": {}, "sizes": [1e400]}'),
    ],
)
def test_what_is_no_frame_is_refused(data):
    with pytest.raises(BrokenFrameError):
        read(data)


def test_nothing_is_read_beyond_the_limit():
    stream = io.BytesIO(pack(b'{"header": {}, "sizes": [1001]}', b"x" * 1001))
    with pytest.raises(BrokenFrameError, match="more than 1,000"):
        read_frame(stream, limit=1000)
    assert stream.tell() == 12
