from __future__ import annotations

import contextlib
import os
import pickle
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import ExitCode, ModelError
from builder.lite.objects import CustomObject, Dict, List
from builder.lite.pickles import parse_pickle

START = b"\x80\x02"


def parse(body: bytes):
    return parse_pickle(START + body, record="data.pkl")


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


class Calls:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**31), max_value=2**31 - 1)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def plain(value):
    match value:
        case List():
            return [plain(item) for item in value.items]
        case Dict():
            return {key: plain(item) for key, item in value.items}
        case tuple():
            return tuple(map(plain, value))
    return value


@given(VALUES)
def test_plain_values_are_what_python_reads(value):
    assert plain(parse_pickle(pickle.dumps(value, protocol=2), record="x")) == value


def test_long_integers_have_eight_bytes():
    assert parse(b"\x8a\x08" + struct.pack("<q", -(2**40)) + b".") == -(2**40)
    with pytest.raises(ModelError, match="long integer"):
        parse(b"\x8a\x01\x05.")


@pytest.mark.parametrize(
    ("function", "named"),
    [(os.system, "posix.system"), (eval, "__builtin__.eval"), (os.putenv, "posix.putenv")],
)
def test_calls_are_refused_and_not_made(tmp_path, function, named):
    proof = tmp_path / "called"
    hostile = pickle.dumps([Calls(function, f"touch {proof}")], protocol=2)
    with pytest.raises(ModelError, match="nothing was run") as caught:
        parse_pickle(hostile, record="bytecode.pkl")
    assert f"bytecode.pkl tries to call {named};" in caught.value.message
    assert caught.value.exit_code == ExitCode.MODEL
    assert caught.value.hint
    assert not proof.exists()


@pytest.mark.parametrize(
    "name",
    [
        b"os\nsystem\n",
        b"torch\nload\n",
        b"torch._utils\n_rebuild_parameter\n",
        b"torch.jit._pickle\nevil\n",
        b"torch.jit.frontend\nexec\n",
        b"builtins\ngetattr\n",
        b"__torch__x\nModel\n",
    ],
)
def test_globals_outside_of_torchscript_are_refused(name):
    with pytest.raises(ModelError, match="never executes"):
        parse(b"c" + name + b".")


def test_escape_sequences_do_not_reach_the_terminal():
    with pytest.raises(ModelError) as caught:
        parse(b"c\x1b]0;owned\x07\nsystem\n.")
    assert caught.value.message.isprintable()


def test_objects_tensors_and_type_tags_are_inert():
    storage = (
        b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"K\x04tQ"
    )
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\x00K\x04\x85K\x01\x85\x89NtR"
    tagged = (
        b"ctorch.jit._pickle\nrestore_type_tag\n(]"
        + text("List[__torch__.torch.classes.a.B]")
        + b"tR"
    )
    integers = b"ctorch.jit._pickle\nbuild_intlist\n(](K\x01K\x02etR"
    obj = b"c__torch__.torch.classes.ns\nCls\n)\x81}(" + text("t") + tensor + b"ub"
    made, first, second = parse(b"(" + obj + tagged + integers + b"t.")
    assert isinstance(made, CustomObject)
    assert made.class_name == "ns.Cls"
    ((key, found),) = made.state.items
    assert (key, found.dtype, found.sizes, found.strides) == ("t", "float32", (4,), (1,))
    assert (first.type, first.items) == ("List[__torch__.torch.classes.a.B]", [])
    assert (second.type, second.items) == ("List[int]", [1, 2])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b".",
        b"K",
        b"K\x01K\x02.",
        b"X\xff\xff\xff\xffabc.",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc.",
        b"cnever ends",
        b"h\x05.",
        b"j\xff\xff\xff\xff.",
        b"q\x00.",
        b"t.",
        b"\x87.",
        b"(K\x01(\x85tt.",
        b"K\x01K\x02a.",
        b"(K\x01e.",
        b"}(K\x01u.",
        b"}]K\x01s.",
        b"})K\x01s.",
        b"K\x01)R.",
        b"NQ.",
        b")\x81.",
        b"\x95.",
        b"i__main__\nX\n.",
        b"ctorch.jit._pickle\nrestore_type_tag\n)R.",
        b"ctorch.jit._pickle\nbuild_intlist\n)R.",
    ],
)
def test_malformed_pickles_are_model_errors(body):
    with pytest.raises(ModelError, match=r"data\.pkl is damaged"):
        parse(body)


def test_only_protocol_two_is_read():
    with pytest.raises(ModelError, match="protocol 2"):
        parse_pickle(pickle.dumps(1, protocol=4), record="data.pkl")


def test_a_memo_of_any_number_takes_no_memory():
    assert parse(b"K\x07r\xff\xff\xff\xff.") == 7


def test_shared_lists_are_not_expanded():
    doubled = b"]" + b"q\x00" + b"".join(b"(h\x00h\x00lq\x00" for _ in range(200))
    found = parse(b"(" + doubled + b"t.")
    assert len(found) == 201


@pytest.mark.parametrize(
    ("opener", "closer"), [(b"]", b"a"), (b"(", b"t"), (b"}K\x01", b"s"), (b"", b"\x85")]
)
def test_deep_nesting_neither_recurses_nor_crashes(opener, closer):
    depth = 200_000
    assert parse(opener * depth + b"N" + closer * depth + b".") is not None


def test_the_number_of_opcodes_is_limited(monkeypatch):
    monkeypatch.setattr("builder.lite.effort._FREE", 100)
    with pytest.raises(ModelError, match="more steps to read"):
        parse(b"(" + b"]" * 100 + b"t.")
    assert len(parse(b"(" + b"N" * 50 + b"t.")) == 50


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_a_model_error(body):
    with contextlib.suppress(ModelError):
        parse(body)
