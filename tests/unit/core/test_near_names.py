from __future__ import annotations

import pytest

from builder.core.near_names import near_names
from builder.core.operators import Operator

KNOWN = ("aten::add.Scalar", "aten::add.Tensor", "aten::add.out", "aten::relu", "aten::relu_")


def test_overloads_of_the_same_operator_come_first():
    assert near_names("aten::add.Tensr", KNOWN)[0] == "aten::add.Tensor"
    assert set(near_names("aten::add", KNOWN)) == set(KNOWN[:3])


def test_misspelt_names_are_found():
    assert "aten::relu" in near_names("aten::rellu", KNOWN)


def test_nothing_is_suggested_for_nonsense():
    assert near_names("mine::thing", KNOWN) == ()


def test_limit_and_the_name_itself():
    assert len(near_names("aten::add", KNOWN, limit=2)) == 2
    assert "aten::relu" not in near_names("aten::relu", KNOWN)


@pytest.mark.parametrize("text", ["aten::add\n", "aten::add.out\n", "add", "aten::", "a::b.c.d"])
def test_names_are_checked_to_their_end(text):
    name, _, overload = text.partition(".")
    with pytest.raises(ValueError, match="not an operator"):
        Operator(name, overload)


def test_a_library_of_endless_operators_is_compared_in_part():
    known = {f"aten::add_{number}" for number in range(100_000)} | {"aten::" + "a" * 100_000}
    assert len(near_names("aten::add_", known)) == 3
