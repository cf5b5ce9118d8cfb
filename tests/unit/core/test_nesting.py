from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.core.arrays import sample_inputs, to_array
from builder.core.nesting import (
    Group,
    GroupKind,
    Number,
    is_flat,
    list_arguments,
    list_leaves,
    parse_input,
)
from builder.core.tensors import DType, ReferenceCase, TensorSpec
from builder.errors import ConfigurationError

tensors = st.builds(
    TensorSpec, st.sampled_from(DType), st.lists(st.integers(0, 9), max_size=4).map(tuple)
)
numbers = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
)
specs = st.recursive(
    st.one_of(tensors, numbers.map(Number)),
    lambda inner: st.one_of(
        st.builds(
            Group,
            st.sampled_from([GroupKind.LIST, GroupKind.TUPLE]),
            st.lists(inner, max_size=3).map(tuple),
        ),
        st.dictionaries(st.text(max_size=5), inner, max_size=3).map(
            lambda items: Group(GroupKind.DICT, tuple(items.values()), tuple(items))
        ),
    ),
    max_leaves=8,
)


@given(specs)
def test_what_is_printed_is_read(spec):
    assert parse_input(str(spec)) == spec


@pytest.mark.parametrize(
    "text",
    [
        "",
        "float33[1]",
        "float32[1",
        "float32[-1]",
        "float32[1.5]",
        "float32[True]",
        "f(1)",
        "{1: 2}",
        "{**float32}",
        "'text'",
        "1 + 2",
        "__import__('os')",
        "[" * 500,
    ],
)
def test_what_is_no_input_is_refused(text):
    with pytest.raises(ConfigurationError, match="not an input"):
        parse_input(text)


def test_leaves_are_sampled_in_order_and_numbers_are_themselves():
    given_ = (parse_input('{"a": [float32[2,3], 7], "b": (0.5,)}'), parse_input("int64[4]"))
    assert [str(leaf) for leaf in list_leaves(given_)] == ["float32[2,3]", "7", "0.5", "int64[4]"]
    sampled = sample_inputs(given_, seed=0)
    assert [str(t.spec) for t in sampled] == ["float32[2,3]", "int64[]", "float64[]", "int64[4]"]
    assert (to_array(sampled[1]).item(), to_array(sampled[2]).item()) == (7, 0.5)


def test_only_groups_are_not_flat():
    assert is_flat((Number(1), TensorSpec(DType.BOOL, ())))
    assert not is_flat((Group(GroupKind.LIST, ()),))


def test_a_reference_case_tells_the_arguments_it_was_made_of():
    given_ = (parse_input('{"a": [float32[2,3], 7], "b": (0.5,)}'), parse_input("int64[4]"))
    case = ReferenceCase(
        inputs=sample_inputs(given_, seed=0),
        outputs=(),
        torch_version="2.6",
        model_sha256="f" * 64,
        structure=str(Group(GroupKind.TUPLE, given_)),
    )
    assert list_arguments(case) == given_
    plain = replace(case, structure="")
    assert list_arguments(plain) == tuple(tensor.spec for tensor in case.inputs)
    with pytest.raises(ConfigurationError, match="does not fit the inputs"):
        list_arguments(replace(case, structure="(int64[4],)"))


@pytest.mark.parametrize("text", ["9223372036854775808", "-9223372036854775809", "0x" + "f" * 5000])
def test_integers_have_64_bits(text):
    with pytest.raises(ConfigurationError, match="not an input"):
        parse_input(text)
    assert parse_input("-9223372036854775808") == Number(-(2**63))
    assert parse_input("9223372036854775807") == Number(2**63 - 1)


def test_a_spec_is_no_book():
    with pytest.raises(ConfigurationError, match="100,002 characters"):
        parse_input("[" + "1," * 50_000 + "]")
