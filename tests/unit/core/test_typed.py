"""Text of JSON and TOML becomes dataclasses, or one kind of error that names file and key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from builder.core.dtypes import DtypeSet
from builder.core.operators import Operator
from builder.core.setting_fields import Text
from builder.core.typed import InnerPath, Sha256, Size, parse_json, parse_toml, to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    size: Size = 0
    digest: Sha256 | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    name: str
    operators: tuple[Text[Operator], ...] = ()
    dtypes: Text[DtypeSet] | None = None
    home: Path | None = None
    parts: Mapping[InnerPath, Part] = field(default_factory=dict)
    rows: tuple[Part, ...] = ()
    part: Part | None = None

    def __post_init__(self) -> None:
        if self.name == "wrong":
            raise ValueError("the name is wrong")


def test_values_that_are_written_as_text_are_read():
    thing = parse_toml(
        'name = "a"\noperators = ["aten::add.Tensor"]\ndtypes = ["float32"]\nhome = "/x"\n',
        Thing,
        "x.toml",
    )
    assert thing.operators == (Operator("aten::add", "Tensor"),)
    assert thing.dtypes == DtypeSet.of(["float32"])
    assert thing.home == Path("/x")
    assert parse_json('{"name": "a", "dtypes": "int8, bool"}', Thing, "it").dtypes == DtypeSet.of(
        ["int8", "bool"]
    )


def test_fields_can_be_given_and_are_then_no_keys():
    assert parse_toml("", Thing, "x.toml", given={"name": "b"}).name == "b"
    with pytest.raises(ValueError, match="unknown key 'name'"):
        parse_toml('name = "a"', Thing, "x.toml", given={"name": "b"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name", r"^x\.toml: Expected '='"),
        ("", r"^x\.toml: Object missing required field `name`$"),
        ('name = "wrong"', r"^x\.toml: the name is wrong$"),
        ('name = "a"\nnane = 1', r"^x\.toml: unknown key 'nane'; did you mean 'name'\?$"),
        ('name = "a"\npart.zzz = 1', r"^x\.toml: part: unknown key 'zzz'; known are digest"),
        ('name = "a"\nparts.p.zzz = 1', r"^x\.toml: parts\.p: unknown key 'zzz'"),
        ('name = "a"\n[[rows]]\nzzz = 1', r"^x\.toml: rows: unknown key 'zzz'"),
        ('name = "a"\nparts."../p".size = 1', r"^x\.toml: key in parts: Expected `str` matching"),
        ('name = "a"\noperators = ["relu"]', r"^x\.toml: operators\[0\]: not an operator: 'relu'"),
        ('name = "a"\noperators = [1]', r"^x\.toml: operators\[0\]: expected text, not 1$"),
        ('name = "a"\noperators = [["a"]]', r"^x\.toml: operators\[0\]: expected text"),
        ('name = "a"\ndtypes = ["float99"]', r"^x\.toml: dtypes: unknown dtypes: float99"),
        ('name = "a"\nhome = 1', r"^x\.toml: home: expected text, not 1$"),
        ('name = "a"\npart.size = -1', r"^x\.toml: part\.size: Expected `int` >= 0$"),
        ('name = "a"\npart.size = true', r"^x\.toml: part\.size: Expected `int`, got `bool`$"),
        ('name = "a"\npart.digest = "ab"', r"^x\.toml: part\.digest: Expected `str` matching"),
    ],
)
def test_toml_that_cannot_be_meant_is_refused_with_file_and_key(text, message):
    with pytest.raises(ValueError, match=message):
        parse_toml(text, Thing, "x.toml")


DIGEST = "0" * 64


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "^it: Input data was truncated$"),
        ("[" * 200_000, "^it: Expected `object`, got `array`$"),
        ('{"z":' * 200_000, "^it: it is nested too deeply$"),
        ('{"name": "a", "z": ' + "[" * 200_000, "^it: it is nested too deeply$"),
        ('{"name": "\\ud800"}', "^it: "),
        ('{"name": "a\ud800"}', "^it: "),
        (b'{"name": "\xff"}', "^it: "),
        ('{"name": "a", "part": {"size": NaN}}', "^it: JSON is malformed"),
        ('{"name": "a", "part": {"size": 1e400}}', "^it: "),
        ('{"name": "a", "part": {"size": 1' + "0" * 400 + "}}", "^it: part.size: Expected `int`"),
        ('{"name": "a", "part": {"digest": "' + DIGEST + '\\n"}}', "^it: part.digest: Expected"),
        ('{"name": "a", "parts": {"a/../../b": {}}}', "^it: key in parts: Expected"),
        ('{"name": "a", "operators": ["' + "x" * 100_000 + '"]}', "^it: .{,300}$"),
    ],
)
def test_hostile_json_is_a_value_error_of_bounded_length(text, message):
    with pytest.raises(ValueError, match=message):
        parse_json(text, Thing, "it")


def test_the_length_of_json_is_bounded():
    text = '{"name": "a"}'
    assert parse_json(text, Thing, "it", most=len(text)).name == "a"
    with pytest.raises(ValueError, match="it: it has 13 characters, more than 12"):
        parse_json(text, Thing, "it", most=len(text) - 1)


def test_the_last_of_two_equal_keys_counts():
    assert parse_json('{"name": "a", "name": "b"}', Thing, "it").name == "b"


@pytest.mark.parametrize("schema", ["3", '"1"', "-1", "null", "true"])
def test_a_newer_schema_is_refused_before_anything_else(schema):
    with pytest.raises(ValueError, match=r"schema"):
        parse_json(f'{{"name": 5, "schema": {schema}}}', Thing, "it", newest=2)
    with pytest.raises(ValueError, match="field `schema`"):
        parse_json('{"name": "a"}', Thing, "it", newest=2)
    assert parse_json('{"name": "a", "schema": 2}', Thing, "it", newest=2).name == "a"


def test_what_is_written_is_read():
    thing = Thing(name="a", parts={"b/c": Part(size=2, digest=DIGEST)}, rows=(Part(),))
    assert parse_json(json.dumps(to_json(thing)), Thing, "it") == thing


@pytest.mark.parametrize("encode", [str, str.encode])
def test_a_byte_order_mark_before_json_is_ignored(encode):
    text = '\ufeff{"schema": 1, "a": "\ufeff"}'
    assert parse_json(encode(text), object, "it", newest=1) == {"schema": 1, "a": "\ufeff"}
    with pytest.raises(ValueError, match="malformed"):
        parse_json(encode(f"\ufeff{text}"), object, "it")
