from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lite.alike import differ
from lite.made import make_tensor

from builder.errors import ModelError
from builder.lite.objects import CustomObject, Device, Dict, List, Quantizer, ScriptObject, Tensor
from builder.lite.pickler import pickle_value
from builder.lite.pickles import parse_pickle


def round_trip(value: object) -> object:
    storages = []

    def key_of(storage):
        if storage not in storages:
            storages.append(storage)
        return str(storages.index(storage))

    data = pickle_value(value, key_of)
    return parse_pickle(data, record="data.pkl", find_storage=lambda key, *_: storages[int(key)])


PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.complex_numbers()
    | st.text()
    | st.just(Device("cpu"))
)
KEYS = st.text() | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.floats(allow_nan=False)
NAMES = st.sampled_from(["", "List[int]", "List[Tensor]", "List[float]", "List[List[int]]"])
VALUES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=6).map(tuple)
        | st.builds(List, NAMES, st.lists(inner))
        | st.builds(
            Dict,
            NAMES | st.just("Dict[str, Any]"),  # a damaged flatbuffer gives a dict any type
            st.dictionaries(KEYS, inner).map(lambda items: list(items.items())),
        )
        | st.builds(ScriptObject, st.just("__torch__.A"), st.dictionaries(st.text(), inner))
        | st.builds(CustomObject, st.just("ns.B"), inner)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_written_is_read_again(value):
    assert differ(value, round_trip(value)) == ""


def test_bytes_that_are_no_text_come_out_as_they_were():
    text = b"\xff\xfeabc\x80".decode("utf-8", "surrogateescape")
    assert b"\xff\xfeabc\x80" in pickle_value(text, str)
    assert round_trip(text) == text


def test_tensors_keep_their_storage_their_view_and_their_quantizer():
    one = make_tensor(1, 2, 3, 4)
    other = Tensor(storage=one.storage, sizes=(2,), strides=(2,), offset=1, requires_grad=True)
    channels = Quantizer(axis=1, scale=make_tensor(1), zero_point=make_tensor(2))
    quantized = make_tensor(1, 2, quantizer=channels)
    whole = make_tensor(5, quantizer=Quantizer(scale=0.5, zero_point=-2))
    value = (one, other, one, quantized, whole)
    found = round_trip(value)
    assert differ(value, found) == ""
    assert found[0] is found[2]
    assert found[0].storage is found[1].storage


def test_one_object_in_two_places_stays_one():
    shared = List("List[int]", [1])
    part = ScriptObject("__torch__.P", {"list": shared})
    found = round_trip(ScriptObject("__torch__.M", {"a": part, "b": part, "c": (shared, shared)}))
    assert found.attributes["a"] is found.attributes["b"]
    assert found.attributes["a"].attributes["list"] is found.attributes["c"][0]
    assert found.attributes["c"][0] is found.attributes["c"][1]


def test_shared_parts_are_written_once():
    value: object = ("a",)
    for _ in range(60):
        value = (value, value)
    assert len(pickle_value(value, str)) < 1000


def test_two_equal_lists_stay_two():
    first, second = round_trip((List("List[int]", [1]), List("List[int]", [1])))
    assert first is not second


def test_more_values_than_a_byte_counts_are_remembered():
    shared = [List("List[str]", [str(number)]) for number in range(300)]
    value = (*shared, *shared)
    assert differ(value, round_trip(value)) == ""


def test_a_state_may_be_none_or_a_dict():
    for state in (None, Dict("Dict[str, int]", [("a", 1)]), ()):
        value = ScriptObject("__torch__.A", state=state, has_state=True)
        assert differ(value, round_trip(value)) == ""


def test_any_depth_is_written():
    value: object = 1
    for _ in range(50_000):
        value = (value,)
    assert len(pickle_value(value, str)) == 50_000 + 5


def test_what_contains_itself_is_refused():
    value = List("List[Any]")
    value.items.append((value,))
    with pytest.raises(ModelError, match="contains itself"):
        pickle_value(value, str)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (2**63, "does not fit"),
        (object(), "of the kind object"),
        ([1], "of the kind list"),
        (ScriptObject("os.system"), "of the class"),
        (ScriptObject("__torch__.A\nos\nsystem"), "of the class"),
        (CustomObject("a\x00b", ()), "of the class"),
    ],
)
def test_what_no_lite_file_can_have_is_refused(value, words):
    with pytest.raises(ModelError, match=words):
        pickle_value((value,), str)
