from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.formats.unwind_info import Unwinding, parse_unwind_info


def make_table():
    header = struct.pack("<7I", 1, 28, 0, 28, 0, 28, 3)
    tables, pages = 28 + 3 * 12, 28 + 3 * 12 + 8
    page = struct.pack("<IHH", 2, 8, 2) + struct.pack("<4I", 0x4000, 1, 0x4010, 2)
    other = struct.pack("<IHHHH", 3, 12, 2, 0, 0) + struct.pack("<II", 0x0, 0x01000020)
    index = struct.pack("<III", 0x4000, pages, tables)
    index += struct.pack("<III", 0x5000, pages + len(page), tables)
    index += struct.pack("<III", 0x6000, 0, tables + 8)
    return header + index + struct.pack("<II", 0x4010, 0x7000) + page + other


def test_entries_of_both_kinds_of_pages_and_exception_tables():
    assert list(parse_unwind_info(make_table())) == [
        Unwinding(0x4000, 8),
        Unwinding(0x4010, 8),
        Unwinding(0x5000, 4),
        Unwinding(0x5020, 4),
        Unwinding(0x4010, 8, 0x7000),
    ]


@pytest.mark.parametrize("end", [0, 20, 30, 60, 80, 100])
def test_a_cut_table_is_refused(end):
    with pytest.raises(ValueError, match="unwinding"):
        list(parse_unwind_info(make_table()[:end]))


@given(st.integers(0, len(make_table()) - 1), st.integers(0, 255))
def test_damage_is_a_value_error_or_another_answer(place, byte):
    data = bytearray(make_table())
    data[place] = byte
    with contextlib.suppress(ValueError):
        assert len(list(parse_unwind_info(bytes(data)))) < 200_000
