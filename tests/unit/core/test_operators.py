from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.core.operators import Operator, OperatorSet

words = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,6}", fullmatch=True)
operators = st.builds(
    lambda namespace, name, overload: Operator(f"{namespace}::{name}", overload),
    words,
    words,
    st.just("") | words,
)
sets = st.dictionaries(
    operators, st.frozensets(st.sampled_from("abc"), min_size=1), max_size=6
).map(OperatorSet)


@given(operators)
def test_names_are_read_as_they_are_written(operator):
    assert Operator.parse(str(operator)) == operator
    assert Operator.parse(f"  {operator}\n") == operator
    assert str(operator).startswith(f"{operator.namespace}::")


@pytest.mark.parametrize(
    "text",
    ["", "add", "aten::", "::add", "aten:add", "aten::add.a.b", "aten::a b", "aten::ä", "1::a"],
)
def test_other_texts_are_no_operators(text):
    with pytest.raises(ValueError, match="not an operator"):
        Operator.parse(text)


@given(sets, sets, sets)
def test_union(a, b, c):
    assert a | b == b | a
    assert (a | b) | c == a | (b | c)
    assert a | a == a
    assert a | OperatorSet() == a
    assert set(a | b) == set(a) | set(b)
    for operator in a | b:
        assert set((a | b).sources(operator)) == {*a.sources(operator), *b.sources(operator)}


@given(sets, sets)
def test_difference(a, b):
    assert set(a - b) == set(a) - set(b)
    assert a - a == OperatorSet()
    assert (a - b) | b == b | (a - b)
    assert all((a - b).sources(operator) == a.sources(operator) for operator in a - b)


@given(sets)
def test_iteration_is_sorted_and_agrees_with_membership(a):
    assert list(a) == sorted(a)
    assert len(a) == len(list(a))
    assert all(operator in a for operator in a)
    assert Operator("never::there") not in a


@given(sets, sets)
def test_equal_sets_have_equal_hashes(a, b):
    assert (a == b) == (dict(a.wanted_by) == dict(b.wanted_by))
    assert hash(a) == hash(OperatorSet(dict(reversed(a.wanted_by.items()))))


def test_sources_of_what_nobody_wants():
    assert OperatorSet().sources(Operator("aten::add")) == ()
    assert OperatorSet() != {}
