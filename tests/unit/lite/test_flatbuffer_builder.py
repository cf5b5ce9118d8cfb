from __future__ import annotations

import io
import struct

from hypothesis import given
from hypothesis import strategies as st

from builder.lite.flatbuffer import Buffer
from builder.lite.flatbuffer_builder import (
    Blob,
    Scalar,
    Struct,
    Table,
    Vector,
    numbers,
    write_flatbuffer,
)

UINT32, INT64 = struct.Struct("<I"), struct.Struct("<q")


def build(root: Table) -> Buffer:
    stream = io.BytesIO()
    write_flatbuffer(root, b"TEST", stream)
    assert stream.getvalue()[4:8] == b"TEST"
    return Buffer(memoryview(stream.getvalue()))


def test_fields_of_all_kinds_are_read_again():
    inner = Table({0: b"same", 3: Scalar("i", -5)})
    root = build(
        Table(
            {
                0: Scalar("B", 7),
                1: b"same",
                2: Vector([inner, Table({}), inner], 3),
                4: numbers(INT64, [1, -(2**63)]),
                5: Scalar("d", 0.25),
                6: Struct(INT64.pack(9), 8),
                7: Vector([b"x", b"same", b""], 3),
                8: Blob(3, lambda: memoryview(b"abc")),
                9: None,
                10: numbers(UINT32, []),
            }
        )
    ).root()
    assert (root.uint8(0), root.string(1)) == (7, "same")
    tables = list(root.tables(2))
    assert [(one.string(0), one.int32(3, default=1)) for one in tables] == [
        *(("same", -5), ("", 1), ("same", -5))
    ]
    assert list(root.structs(4, INT64)) == [(1,), (-(2**63),)]
    assert root.number(5, struct.Struct("<d"), default=0) == 0.25
    assert root.struct(6, INT64) == (9,)
    assert list(root.strings(7)) == ["x", "same", ""]
    assert bytes(root.bytes(8)) == b"abc"
    assert root.table(9) is None
    assert root.table(20) is None
    assert list(root.structs(10, UINT32)) == []


def test_equal_strings_and_descriptions_of_tables_are_written_once():
    def size(count: int) -> int:
        return len(build(Table({0: Vector([Table({0: b"text"})] * count, count)})).data)

    assert size(101) - size(1) == 100 * (4 + 8)


@given(st.lists(st.binary(max_size=200), max_size=6), st.binary(max_size=9))
def test_blobs_come_last_and_are_aligned(contents, text):
    blobs = [Table({0: Blob(len(one), lambda one=one: memoryview(one))}) for one in contents]
    buffer = build(Table({0: text, 1: Vector(blobs, len(blobs))}))
    found = [table.bytes(0) for table in buffer.root().tables(1)]
    assert [bytes(one) for one in found] == contents
    place = len(buffer.data)
    for index in range(len(contents) - 1, -1, -1):
        # What follows a blob is padding, and the length of the next one.
        start = place - len(contents[index])
        start -= start % 64
        assert buffer.data[start : start + len(contents[index])] == contents[index]
        assert buffer.data[start - 4 : start] == UINT32.pack(len(contents[index]))
        place = start - 4


@given(st.dictionaries(st.integers(0, 20), st.sampled_from("bBhHiIqd"), max_size=12))
def test_numbers_of_any_size_stand_aligned_in_a_table(formats):
    fields = {index: Scalar(one, index) for index, one in formats.items()}
    buffer = build(Table({0: Vector([Table(fields)] * 2, 2)}))
    for table in buffer.root().tables(0):
        for index, one in formats.items():
            layout = struct.Struct(f"<{one}")
            assert table.number(index, layout, default=-1) == index
            assert table._find(index) % layout.size == 0
