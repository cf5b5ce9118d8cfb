from __future__ import annotations

import struct

import pytest

from builder.errors import ModelError
from builder.lite.flatbuffer import Buffer


def one_table(*fields: bytes) -> bytes:
    """A root table whose vtable stands before it and whose 4-byte fields follow it."""
    size = 4 + 2 * len(fields)
    padding = -size % 4
    slots = [4 + 4 * index for index in range(len(fields))]
    vtable = struct.pack(f"<HH{len(fields)}H", size, 4 + 4 * len(fields), *slots)
    vtable += bytes(padding)
    table = struct.pack("<i", len(vtable)) + b"".join(fields)
    return struct.pack("<I", 4 + len(vtable)) + vtable + table


def root(content: bytes):
    return Buffer(memoryview(content)).root()


def test_numbers_and_absent_fields():
    table = root(one_table(struct.pack("<I", 77)))
    assert table.uint32(0) == 77
    assert table.uint8(0) == 77
    assert (table.uint32(1), table.string(5), table.table(5)) == (0, "", None)
    assert list(table.tables(9)) == []


def test_texts_and_vectors_of_texts():
    content = one_table(struct.pack("<I", 8), struct.pack("<I", 16))
    content += struct.pack("<I4s", 3, b"abc\0")
    content += bytes(4) + struct.pack("<II", 1, 4) + struct.pack("<I", 2) + b"de"
    table = root(content)
    assert table.string(0) == "abc"
    assert list(table.strings(1)) == ["de"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x01",
        struct.pack("<I", 2**32 - 1),
        struct.pack("<I", 0),
        struct.pack("<Ii", 4, 2**31 - 1),
        struct.pack("<Ii", 4, -(2**31)),
    ],
)
def test_offsets_out_of_the_file_are_model_errors(content):
    with pytest.raises(ModelError, match="flatbuffer is"):
        root(content)


@pytest.mark.parametrize("length", [5, 2**20, 2**32 - 1])
def test_lengths_beyond_the_end_are_model_errors(length):
    content = one_table(struct.pack("<I", 4)) + struct.pack("<I", length) + b"abcd"
    with pytest.raises(ModelError, match="truncated"):
        root(content).string(0)
    with pytest.raises(ModelError, match="truncated"):
        list(root(content).tables(0))


def texts_of(count: int, region: bytes, *, step: int) -> bytes:
    """A root table with a vector of texts: every `step` bytes of `region` one begins."""
    offsets = (4 * (count - index) + step * index for index in range(count))
    content = one_table(struct.pack("<I", 4)) + struct.pack("<I", count)
    return content + b"".join(struct.pack("<I", offset) for offset in offsets) + region


def test_shared_parts_cannot_multiply_the_work(monkeypatch):
    monkeypatch.setattr("builder.lite.flatbuffer._FREE_STEPS", 100)
    table = root(texts_of(500, struct.pack("<I", 6400) + bytes(6400), step=0))
    assert set(table.strings(0)) == {"\0" * 6400}
    with pytest.raises(ModelError, match="more steps to read"):
        [list(table.strings(0)) for _ in range(30)]


def test_equal_texts_are_decoded_once():
    table = root(texts_of(500, struct.pack("<I", 6400) + bytes(6400), step=0))
    assert len(list(table.strings(0))) == 500
    assert table.buffer.texts == 6400


def test_overlapping_texts_cannot_multiply_the_memory():
    region = struct.pack("<I", 4096) * 4000
    with pytest.raises(ModelError, match="more steps to read"):
        list(root(texts_of(2900, region, step=4)).strings(0))
