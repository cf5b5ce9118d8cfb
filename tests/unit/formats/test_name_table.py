from __future__ import annotations

import pytest

from builder.formats import name_table as names
from builder.formats.name_table import NameTable


def test_names_end_at_a_zero_and_may_be_the_end_of_others():
    table = NameTable(b"\0.rela.text\0\xff\0")
    assert [table.at(start) for start in (0, 1, 6, 12)] == ["", ".rela.text", ".text", "\ufffd"]


@pytest.mark.parametrize("start", [-1, -4, 3, 4, 2**32])
def test_names_outside_of_the_table_are_refused(start):
    with pytest.raises(ValueError, match="does not end"):
        NameTable(b"\0abc"[:4]).at(start)


def test_names_have_a_longest_one():
    assert NameTable(b"abc\0", longest=3).at(0) == "abc"
    with pytest.raises(ValueError, match="far too long"):
        NameTable(b"abcd\0", longest=3).at(0)


def test_a_name_that_many_share_is_decoded_once():
    table = NameTable(b"n" * 60_000 + b"\0")
    assert table.at(0) is table.at(0)
    assert len({id(table.at(0)) for _ in range(100_000)}) == 1


def test_names_that_overlap_are_refused_where_they_are_too_much(monkeypatch):
    monkeypatch.setattr(names, "_FREE", 1000)
    table = NameTable(b"n" * 1000 + b"\0")
    with pytest.raises(ValueError, match="overlap"):
        [table.at(start) for start in range(1000)]
