from __future__ import annotations

import io
import struct

import pytest
from lite.alike import find_difference
from lite.made import make_function, make_model, make_tensor

from builder.errors import ModelError
from builder.lite.mobile_module import parse_mobile_module
from builder.lite.mobile_module_writer import write_mobile_module
from builder.lite.model import Argument, Instruction
from builder.lite.objects import (
    CustomObject,
    Device,
    Dict,
    List,
    Quantizer,
    ScriptObject,
    Storage,
    Tensor,
)


def write(model) -> bytes:
    stream = io.BytesIO()
    write_mobile_module(model, stream)
    return stream.getvalue()


def round_trip(model):
    return parse_mobile_module(memoryview(write(model)))


def alike(model) -> str:
    return find_difference(model, round_trip(model), leave_out=("bytecode_version",))


def test_values_of_all_kinds():
    shared = List("List[str]", ["a", "b"])
    part = ScriptObject("__torch__.P", {"list": shared})
    channels = Quantizer(axis=1, scale=make_tensor(1), zero_point=make_tensor(2))
    values = {
        "none": None,
        "true": True,
        "int": -(2**63),
        "real": -0.0,
        "complex": 1 - 2j,
        "text": "grüß\0",
        "device": Device("cpu"),
        "empty": (),
        "tuple": (1, 1.0, True, "1"),
        "ints": List("List[int]", [1, 2**62]),
        "reals": List("List[float]", [0.5, float("inf")]),
        "bools": List("List[bool]", [True, False]),
        "dict": Dict("Dict[int, Tensor]", [(2, make_tensor(1)), (1, make_tensor(2))]),
        "part": part,
        "same": (part, shared),
        "custom": CustomObject("ns.C", (make_tensor(3), None)),
        "whole": make_tensor(1, 2, quantizer=Quantizer(scale=0.25, zero_point=3)),
        "channels": make_tensor(1, 2, quantizer=channels, requires_grad=True),
    }
    assert alike(make_model(values)) == ""


def test_functions_sources_and_files():
    functions = (
        make_function(
            constants=(1, "text", make_tensor(1)),
            arguments=(
                Argument("self", "__torch__.M"),
                Argument("x", "List[int]", List("List[int]", [1])),
                Argument("y", "float", 0.5),
            ),
            debug_handles=(1, -1, 2**40),
        ),
        make_function("__torch__.M.other", arguments=None, results=None),
    )
    model = make_model(
        {"a": make_tensor(1)},
        functions=functions,
        extra_files={"x.txt": b"\0\xff", "": b""},
        records={"code/__torch__/a.py": b"def", "code/__torch__.py": b""},
        script_constants=(make_tensor(7), "c"),
    )
    assert alike(model) == ""
    assert round_trip(model).bytecode_version == 9


@pytest.mark.parametrize("version", [11, 2**31 - 1])
def test_versions_that_no_runtime_loads_are_refused(version):
    """Such a file could be read, but not the zip that builder makes of it."""
    assert round_trip(make_model(operator_version=10)).operator_version == 10
    assert round_trip(make_model(operator_version=None)).operator_version is None
    with pytest.raises(ModelError, match=f"has version {version}; runtimes load versions 1 to 10"):
        round_trip(make_model(operator_version=version))


def test_other_records_have_no_place():
    assert dict(round_trip(make_model(records={"map.debug_pkl": b"1"})).records) == {}


def test_a_state_names_the_method_that_takes_it():
    state = ScriptObject("__torch__.S", state=None, has_state=True)
    setter = make_function("__torch__.S.__setstate__")
    model = make_model({"s": state}, functions=(make_function(constants=(state,)), setter))
    # The method comes first in the list of values, so the order of the functions is another one.
    found = round_trip(model)
    assert {one.name for one in found.functions} == {one.name for one in model.functions}
    assert found.root.attributes["s"].has_state
    with pytest.raises(ModelError, match="no method __setstate__"):
        write(make_model({"s": state}))


def test_storages_are_aligned_and_written_once():
    tensor = make_tensor(1.25, 2.5)
    other = Tensor(storage=tensor.storage, sizes=(1,), strides=(1,), offset=1)
    data = write(make_model({"a": tensor, "b": other, "c": make_tensor(9.75)}))
    content = struct.pack("<2f", 1.25, 2.5)
    assert data.count(content) == 1
    assert data.index(content) % 64 == 0
    assert data.index(struct.pack("<f", 9.75)) % 64 == 0


def test_equal_values_are_written_once_and_other_zeros_are_kept():
    small = write(make_model({"a": (1, 2.0, "x") * 1}))
    large = write(make_model({"a": (1, 2.0, "x") * 1000}))
    assert len(large) - len(small) == 4 * 2997
    found = round_trip(make_model({"a": (0.0, -0.0, 0, False)})).root.attributes["a"]
    assert list(map(repr, found)) == ["0.0", "-0.0", "0", "False"]


def test_a_file_of_more_than_two_gibibytes_is_refused_before_it_is_written():
    storage = Storage(dtype="float32", elements=1 << 29, read=lambda: memoryview(b""))
    stream = io.BytesIO()
    with pytest.raises(ModelError, match="at most 2 GiB") as caught:
        write_mobile_module(
            make_model({"a": Tensor(storage=storage, sizes=(1,), strides=(1,))}), stream
        )
    assert "zip" in caught.value.hint
    assert stream.getvalue() == b""


@pytest.mark.parametrize(
    ("attributes", "changes", "words"),
    [
        ({}, {"types": ("__torch__.T[NamedTuple, [[a, Tensor]]]",)}, "cannot express"),
        ({}, {"instructions": (Instruction("NEW"),)}, "unknown instruction"),
        ({"a": 2**63}, {}, "does not fit"),
        ({"a": List("List[bool]", [1])}, {}, "other items"),
        ({"a": object()}, {}, "of the kind object"),
        ({"a": make_tensor(1, sizes=(1 << 31,), strides=(0,))}, {}, "32 bits"),
        (
            {"a": ScriptObject("__torch__.P", {"x": 1}), "b": ScriptObject("__torch__.P")},
            {},
            "other attributes",
        ),
    ],
)
def test_what_the_format_cannot_have_is_refused(attributes, changes, words):
    with pytest.raises(ModelError, match=words):
        write(make_model(attributes, functions=(make_function(**changes),)))


def test_what_contains_itself_is_refused():
    value = List("List[Any]")
    value.items.append((value,))
    with pytest.raises(ModelError, match="contains itself"):
        write(make_model({"a": value}))
