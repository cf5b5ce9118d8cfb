from __future__ import annotations

import pytest

from builder.core.known import KnownOperators, parse_known

KNOWN = KnownOperators(
    exact=frozenset({"aten::add.Tensor", "aten::relu", "aten::len.t"}),
    any_overload=frozenset({"aten::len"}),
)


@pytest.mark.parametrize("name", ["aten::add.Tensor", "aten::relu", "aten::len.str", "aten::len"])
def test_names_that_are_there(name):
    assert KNOWN.has(name)


@pytest.mark.parametrize("name", ["aten::add", "aten::add.Scalar", "aten::relu.out", "aten::le"])
def test_names_that_are_not(name):
    assert not KNOWN.has(name)


def test_what_is_written_is_read_and_says_nothing_twice():
    text = KNOWN.render()
    assert text == "aten::add.Tensor\naten::len*\naten::relu\n"
    read = parse_known(["# a comment\n", *text.splitlines(keepends=True)])
    assert all(read.has(name) for name in ("aten::add.Tensor", "aten::len.t", "aten::relu"))
