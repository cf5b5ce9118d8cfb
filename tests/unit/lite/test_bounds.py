"""What a model asks for is bounded by its size, whatever its parts refer to."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from builder.errors import ModelError
from builder.lite.archive import open_archive
from builder.lite.bytecode import parse_bytecode
from builder.lite.effort import Effort
from builder.lite.model import LiteModel
from builder.lite.objects import ScriptObject
from builder.lite.pickles import parse_pickle
from builder.lite.source import source_of
from builder.lite.zip_model import read_zip_model
from builder.models.lite_contents import collect_contents

DATA = Path(__file__).parents[2] / "data/models"
FREE = Effort.of(0).left


def code(instructions, operators=(), types=()):
    return (
        ("instructions", instructions),
        ("operators", operators),
        ("constants", ()),
        ("types", types),
        ("register_size", 1),
    )


TO = (("aten::to", "dtype", 5),)


@pytest.mark.parametrize(
    "instruction",
    [
        ("STOREN", 0, 2_000_000_000),
        ("STOREN", 0, -1),
        ("STOREN", 2**31, 1),
        ("LOADC", -(2**31) - 1, 0),
        ("LOADC", 2**62, 0),
    ],
)
def test_numbers_that_the_format_cannot_hold_are_refused(instruction):
    with pytest.raises(ModelError, match="32 bits and 16 bits"):
        parse_bytecode((8, ("m.f", code((instruction,), TO))))


def test_registers_are_paid_for():
    store = ("STOREN", 0, 65_535)
    functions = parse_bytecode((8, ("m.f", code((store,) * 10, TO))))[1]
    model = LiteModel(
        bytecode_version=8, operator_version=3, functions=functions, root=ScriptObject("M")
    )
    with pytest.raises(ModelError, match="more steps"):
        collect_contents(model, Effort.of(0))


def test_a_function_occurs_once():
    function = ("m.f", code((("RET", 0, 0),)))
    with pytest.raises(ModelError, match="several functions of the model have the name"):
        parse_bytecode((8, function, function))


@pytest.mark.parametrize("shared", ["instructions", "operators", "types", "schema"])
def test_functions_that_share_their_parts_are_paid_for_each(shared):
    many = 1000
    part = {
        "instructions": ((("RET", 0, 0),) * many, (), ()),
        "operators": ((), TO * many, ()),
        "types": ((), (), ("int",) * many),
        "schema": ((), (), ()),
    }[shared]
    argument = (("name", "x"), ("type", "int"), ("default_value", None))
    schema = (("arguments", (argument,) * many), ("returns", ()))
    functions = ((f"m.f{i}", code(*part), schema) for i in range(FREE // many))
    with pytest.raises(ModelError, match="more steps"):
        parse_bytecode((8, *functions))


def test_a_type_that_is_referred_to_often_is_looked_at_once():
    long = "List[" * 5_000_000
    functions = ((f"m.f{i}", code((), (), (long,) * 10)) for i in range(1000))
    assert len(parse_bytecode((8, *functions))[1]) == 1000


@pytest.mark.parametrize("opcode", [b"]", b"}", b"(", b"N", b"K\0", b"q\0"])
def test_opcodes_without_content_are_limited(opcode):
    body = b"\x80\x02N(N" + opcode * (FREE + 20_000)
    with pytest.raises(ModelError, match="more steps"):
        parse_pickle(body, record="data.pkl", effort=Effort.of(10_000))


def test_globals_take_more_than_other_opcodes():
    body = b"\x80\x02(" + b"c__torch__\nA\n" * (FREE // 4 + 1000)
    with pytest.raises(ModelError, match="more steps"):
        parse_pickle(body, record="data.pkl", effort=Effort.of(10_000))


def test_a_vocabulary_is_read_whatever_its_size():
    """An opcode for every seven bytes, as PyTorch writes dicts from words to numbers."""
    count = FREE // 3 + 100_000
    words = (
        b"X\x0b\0\0\0word%07dr" % i + struct.pack("<I", i) + b"J\1\1\0\0" for i in range(count)
    )
    value = parse_pickle(b"\x80\x02}(" + b"".join(words) + b"u.", record="data.pkl")
    assert len(value.items) == count


def test_a_record_may_ask_for_as_much_as_its_bytes_in_the_file():
    effort = Effort.of(0)
    effort.allow(10_000_000, packed=10_000)  # it unpacks to a thousand times as much
    assert effort.left - FREE == 40_000
    effort.allow(10_000_000, packed=10_000_000)
    assert effort.left - FREE == 10_040_000


@pytest.mark.parametrize("name", ["control", "conv", "hooked", "lstm", "quantised"])
def test_what_pytorch_writes_takes_less_than_a_step_for_each_byte(name):
    data = (DATA / f"{name}.ptl").read_bytes()
    archive = open_archive(source_of(memoryview(data)))
    read_zip_model(archive)
    assert archive.effort.left > FREE
