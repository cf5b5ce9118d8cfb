from __future__ import annotations

import struct

from builder.formats.eh_frame import Frame, parse_frames

ADDRESS = 0x1000
PCREL_SDATA4 = 0x1B


def record(identity: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack("<II", len(body) + 4, identity) + body


def common(augmentation: bytes, data: bytes) -> bytes:
    return record(0, b"\x01" + augmentation + b"\0\x01\x78\x10" + bytes([len(data)]) + data)


def test_functions_with_and_without_exception_tables():
    plain = common(b"zR", bytes([PCREL_SDATA4]))
    caught = common(b"zPLR", bytes([0x9B, 0, 0, 0, 0, PCREL_SDATA4, PCREL_SDATA4]))
    data = plain
    where = ADDRESS + len(data) + 8
    data += record(len(data) + 4, struct.pack("<iIB", 0x5000 - where, 64, 0) + b"\x0e\x10")
    first = len(data)
    data += caught
    place = len(data) + 4 - first
    where = ADDRESS + len(data) + 8
    tables = struct.pack("<iIBi", 0x6000 - where, 32, 4, 0x7000 - (where + 9))
    data += record(place, tables)
    place = len(data) + 4 - first
    where = ADDRESS + len(data) + 8
    data += record(place, struct.pack("<iIBi", 0x6020 - where, 32, 4, 0))
    data += bytes(4)
    assert list(parse_frames(data, ADDRESS)) == [
        Frame(0x5000, 20, None),
        Frame(0x6000, 24, 0x7000),
        Frame(0x6020, 24, None),
    ]


def test_an_empty_section():
    assert list(parse_frames(b"", ADDRESS)) == []
    assert list(parse_frames(bytes(4), ADDRESS)) == []
