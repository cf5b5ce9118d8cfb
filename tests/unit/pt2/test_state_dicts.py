"""State dicts of torch.save, byte by byte: what is read, and what is refused."""

from __future__ import annotations

import pytest
from pt2_files import PICKLED_TENSOR, STATE_DICT, pack

from builder.errors import ModelError
from builder.pt2.state_dicts import read_state_dict

GOOD = STATE_DICT
ENTRY = b"X\x01\x00\x00\x00w" + PICKLED_TENSOR


def saved(data, **records):
    contents = {"a/data.pkl": data, "a/data/0": b"\x00" * 16}
    contents |= {f"a/{name}": value for name, value in records.items()}
    return memoryview(pack(contents))


def refuse(data, **records):
    with pytest.raises(ModelError) as error:
        read_state_dict(saved(data, **records), "weights.pt")
    return error.value.message


def test_a_dict_of_one_tensor():
    found = read_state_dict(saved(GOOD), "weights.pt")
    tensor = found["w"]
    assert (tensor.dtype, tensor.sizes, tensor.strides, tensor.offset) == ("float32", (2,), (1,), 1)
    assert tensor.storage.elements == 4
    assert bytes(tensor.storage.read()) == b"\x00" * 16


def test_an_empty_file():
    assert read_state_dict(memoryview(b""), "weights.pt") == {}


def test_tensors_share_a_storage():
    data = b"\x80\x02}(" + ENTRY + b"X\x01\x00\x00\x00v" + PICKLED_TENSOR + b"u."
    found = read_state_dict(saved(data), "weights.pt")
    assert found["w"].storage is found["v"].storage


@pytest.mark.parametrize("name", [b"_rebuild_parameter", b"_rebuild_parameter_with_state"])
def test_a_parameter_is_its_tensor(name):
    hooks = b"ccollections\nOrderedDict\n)R"
    state = b"}X\x01\x00\x00\x00s\x88s" if name.endswith(b"state") else b""
    parameter = (
        b"ctorch._utils\n" + name + b"\n(" + PICKLED_TENSOR + b"\x88" + hooks + state + b"tR"
    )
    data = b"\x80\x02}X\x01\x00\x00\x00w" + parameter + b"s."
    assert read_state_dict(saved(data), "weights.pt")["w"].sizes == (2,)
    assert "wrong arguments" in refuse(data.replace(b"(" + PICKLED_TENSOR, b"("))
    assert "calls os.system" in refuse(data.replace(hooks, b"cos\nsystem\n"))


def test_nothing_is_called():
    message = refuse(b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.")
    assert "data.pkl of weights.pt calls os.system" in message
    assert "nothing was run" in message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x80\x04.", "not a protocol 2 pickle"),
        (b"\x80\x02N.", "other values than tensors"),
        (b"\x80\x02}X\x01\x00\x00\x00aK\x01s.", "other values than tensors"),
        (b"\x80\x02", "it ends after"),
        (b"\x80\x02}Ns.", "a dict is expected"),
        (b"\x80\x02}NNs.", "the keys of a dict are not strings"),
        (b"\x80\x02}(X\x01\x00\x00\x00au.", "the keys of a dict are not strings"),
        (b"\x80\x02h\x01.", "memo 1 was never set"),
        (b"\x80\x02q\x01.", "no value to remember"),
        (b"\x80\x02Nb.", "dict is expected"),
        (b"\x80\x02NNR.", "wrong arguments"),
        (b"\x80\x02NQ.", "a persistent ID is not a storage"),
        (b"\x80\x02ctorch\nQInt8Storage\n.", "other values than tensors"),
        (b"\x80\x02ctorch\nTensor\n.", "calls torch.Tensor"),
        (b"\x80\x02i.", "has no opcode"),
        (GOOD.replace(b"K\x01K\x02\x85", b"K\x01N"), "a tensor is incomplete"),
        (GOOD.replace(b"K\x02\x85", b"J\xff\xff\xff\xff\x85"), "a tensor is incomplete"),
        (GOOD.replace(b"\x00\x00\x000X", b"\x00\x00\x001X"), "does not contain data/1"),
        (GOOD.replace(b"\x00\x00\x000X", b"\x00\x00\x00/X"), "a persistent ID is not a storage"),
        (
            GOOD.replace(b"ctorch\nFloatStorage\n", b"ccollections\nOrderedDict\n"),
            "a persistent ID is not a storage",
        ),
        (GOOD.replace(b"u.", ENTRY.replace(b"FloatStorage", b"IntStorage") + b"u."), "two dtypes"),
        (GOOD.replace(b"FloatStorage", b"UInt16Storage"), "tensors of uint16"),
    ],
)
def test_others_are_refused(data, message):
    assert message in refuse(data)


def test_other_byte_orders_are_refused():
    assert "not little-endian" in refuse(GOOD, byteorder=b"big")


def test_the_work_is_limited():
    assert "more steps" in refuse(b"\x80\x02(" + b"}" * 2_000_000)
