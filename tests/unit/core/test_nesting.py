from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.core.arrays import sample_inputs, to_array
from builder.core.nesting import (
    Constant,
    Group,
    GroupKind,
    MethodInputs,
    Named,
    Number,
    format_structure,
    list_arguments,
    list_leaves,
    parse_input,
    split_named,
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
strings = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=9)
specs = st.recursive(
    st.one_of(tensors, numbers.map(Number), st.one_of(st.none(), strings).map(Constant)),
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
        "text",
        "b'text'",
        "f'text'",
        "'a\\0b'",
        "'\\ud800'",
        "...",
        "1j",
        "1 + 2",
        "__import__('os')",
        "[" * 500,
    ],
)
def test_what_is_no_input_is_refused(text):
    with pytest.raises(ConfigurationError, match="not an input"):
        parse_input(text)


def test_inputs_have_names():
    assert parse_input(" mask = int64[1,6]") == Named("mask", parse_input("int64[1,6]"))
    assert parse_input("a=(1, {'b=1': None})") == Named("a", parse_input("(1, {'b=1': None})"))
    assert str(parse_input("a = 'b=1'")) == "a='b=1'"
    assert list_leaves([parse_input("a=[1, float32[2]]")]) == list_leaves(
        [parse_input("[1, float32[2]]")]
    )
    assert MethodInputs.parse("m=1, b=[2]").inputs == (parse_input("1"), parse_input("b=[2]"))
    assert MethodInputs.parse("m=b=2").inputs == (parse_input("b=2"),)


@pytest.mark.parametrize("text", ["=1", "a==1", "a=b=1", "[a=1]", "a.b=1", "é=1", "a="])
def test_what_is_no_name_is_refused(text):
    with pytest.raises(ConfigurationError, match="not an input"):
        parse_input(text)


def test_inputs_with_names_come_last_and_once():
    inputs = tuple(map(parse_input, ("1", "a=2", "b=3")))
    assert split_named(inputs) == ((Number(1),), {"a": Number(2), "b": Number(3)})
    with pytest.raises(ConfigurationError, match="the input 1 has no name"):
        split_named(inputs[::-1])
    with pytest.raises(ConfigurationError, match="a is given twice"):
        split_named(inputs[1:2] * 2)


def test_a_structure_has_no_name():
    case = ReferenceCase(
        inputs=(), outputs=(), torch_version="", model_sha256="", structure="a=('b',)"
    )
    with pytest.raises(ConfigurationError, match="has a name"):
        list_arguments(case)


@pytest.mark.parametrize(
    ("text", "inputs"),
    [
        ("decode", None),
        ("decode=", ()),
        ("decode=float32[2,3], 2", ("float32[2,3]", "2")),
        ("decode = (1, 2), ', ', []", ("(1, 2)", "', '", "[]")),
        ("decode=int64[]", ("int64[]",)),
    ],
)
def test_a_method_has_inputs_of_its_own(text, inputs):
    found = MethodInputs.parse(text)
    assert found.name == "decode"
    assert found.inputs == (None if inputs is None else tuple(map(parse_input, inputs)))
    assert MethodInputs.parse(str(found)) == found


@pytest.mark.parametrize(
    "text",
    ["", "=1", "de code", "a.b", "d=1)+_(2", "d=1),_(2", "d=*[1]", "d=**{}", "d=f(1)", "d=1 2"],
)
def test_what_is_no_method_with_inputs_is_refused(text):
    with pytest.raises(ValueError, match=r"is not the name of a method|not (an )?inputs?:"):
        MethodInputs.parse(text)


def test_leaves_are_sampled_in_order_and_numbers_are_themselves():
    given_ = (parse_input('{"a": [float32[2,3], 7], "b": (0.5,)}'), parse_input("int64[4]"))
    assert [str(leaf) for leaf in list_leaves(given_)] == ["float32[2,3]", "7", "0.5", "int64[4]"]
    sampled = sample_inputs(given_, seed=0)
    assert [str(t.spec) for t in sampled] == ["float32[2,3]", "int64[]", "float64[]", "int64[4]"]
    assert (to_array(sampled[1]).item(), to_array(sampled[2]).item()) == (7, 0.5)


@pytest.mark.parametrize("text", ['("a[ ]", float32[])', """{'x[]': "it's [] \\" b[]"}"""])
def test_brackets_in_strings_are_text(text):
    assert parse_input(text) == parse_input(str(parse_input(text)))
    assert "a[ ]" in str(parse_input(text)) or "b[]" in str(parse_input(text))


def test_no_tensor_stands_for_a_string_or_none():
    given_ = tuple(map(parse_input, ('["a", "b"]', "None", "float32[2]")))
    assert given_[0] == Group(GroupKind.LIST, (Constant("a"), Constant("b")))
    assert [str(leaf) for leaf in list_leaves(given_)] == ["float32[2]"]
    assert [str(tensor.spec) for tensor in sample_inputs(given_, seed=0)] == ["float32[2]"]


def test_the_leaves_alone_tell_tensors_and_numbers():
    assert format_structure((Number(1), TensorSpec(DType.BOOL, ()))) == ""
    assert format_structure((Group(GroupKind.LIST, ()),)) == "([],)"
    assert format_structure((TensorSpec(DType.BOOL, ()), Constant(None))) == "(bool[], None)"


def test_a_structure_is_no_longer_than_what_is_read():
    with pytest.raises(ConfigurationError, match="a reference case can keep 65,536"):
        format_structure((Constant("\x1b" * 20_000),))
    assert parse_input(format_structure((Constant("\x1b" * 16_000),))).items[0].value


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
