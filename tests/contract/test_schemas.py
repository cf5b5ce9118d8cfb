"""The JSON schemas in the package: one for each command with `--json`, valid and described.

That outputs follow them is held by a fixture in tests/conftest.py for all that a command prints in
the process of a test, and by tests/native/conftest.py for commands on real runtimes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from typing import Any

import click
import jsonschema
import pytest

from builder.cli.commands import COMMANDS
from builder.cli.console import SCHEMA_VERSIONS
from builder.cli.main import cli
from builder.errors import ExitCode
from tests.json_schemas import check_output, make_validator, read_schema

VERIFIED = {
    "method": "forward",
    "model": "m.ptl",
    "ok": True,
    "outputs": [],
    "reference": "none",
    "schema": 1,
    "seconds": 0.5,
}


def has_json(name: str) -> bool:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    return any("--json" in parameter.opts for parameter in command.params)


def properties(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        yield from schema.get("properties", {}).items()
        for value in schema.values():
            yield from properties(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from properties(value)


def test_every_command_with_json_has_a_schema_and_a_version():
    files = resources.files("builder").joinpath("schemas").iterdir()
    of_commands = {path.name.removesuffix(".json") for path in files} - {
        "builder-lock",
        "builder-yaml",
    }
    assert of_commands == set(SCHEMA_VERSIONS)
    assert {name for name in COMMANDS if has_json(name)} == set(SCHEMA_VERSIONS) - {"error"}


@pytest.mark.parametrize("name", sorted(SCHEMA_VERSIONS))
def test_each_is_a_valid_schema_of_the_version_that_is_printed(name):
    schema = read_schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    versions = [value["const"] for key, value in properties(schema) if key == "schema"]
    assert set(versions) == {SCHEMA_VERSIONS[name]}


@pytest.mark.parametrize("name", sorted(SCHEMA_VERSIONS))
def test_every_property_is_described_in_a_sentence(name):
    described = dict(properties(read_schema(name)))
    assert len(described) > 3
    assert [
        key
        for key, value in described.items()
        if not value.get("description", "").endswith(".") or not value["description"][0].isupper()
    ] == []


@pytest.mark.parametrize(
    "change",
    [
        *({"schema": 2}, {"seconds": "0.5"}, {"outputs": [{}]}, {"more": 1}),
        {"outputs": [{"index": -1}]},
    ],
)
def test_an_output_that_differs_is_refused(change):
    make_validator("verify").validate(VERIFIED)
    with pytest.raises(jsonschema.ValidationError):
        make_validator("verify").validate(VERIFIED | change)


@pytest.mark.parametrize("name", sorted(set(SCHEMA_VERSIONS) - {"error"}))
def test_an_answer_with_an_error_has_the_error_that_a_command_without_an_answer_has(name):
    forms = read_schema(name).get("oneOf", [read_schema(name)])
    errors = [form["properties"]["error"] for form in forms if "error" in form["properties"]]
    shared = read_schema(name).get("$defs", {}).get("error")
    assert bool(errors) == (shared is not None)
    if shared is not None:
        alone = dict(read_schema("error")["properties"]["error"])
        assert shared == {key: value for key, value in alone.items() if key != "description"}
        assert {error["$ref"] for error in errors} == {"#/$defs/error"}


def test_every_kind_of_error_is_in_the_schema():
    codes = read_schema("error")["properties"]["error"]["properties"]["code"]["enum"]
    known = {code.name.lower() for code in ExitCode if code}
    assert set(codes) == known | {"interrupted"}


def test_a_field_that_is_missing_is_refused():
    with pytest.raises(jsonschema.ValidationError):
        check_output(("verify", "--json"), json.dumps({"schema": 1}))


CONFIGURATION = {
    "inputs": ["a.ptl"],
    "targets": {"abis": ["arm64-v8a"], "min_api": 24},
    "profile": "size",
    "dtypes": ["float32", "int64"],
    "jobs": 4,
    "tools": {"launcher": "none", "stl": "c++_shared"},
    "accelerators": ["metal"],
    "assets": ["a.ptl"],
    "android": {"group": "com.example", "prefab": True},
    "budgets": {"max_size": ["2.5MB", "arm64-v8a=2MB"]},
    "exports": [
        {
            "source": "mobilenet_v2",
            "output": "a.ptl",
            "arguments": {"num_classes": "10"},
            "inputs": ["float32[1,3,224,224]"],
            "quantisation": {"method": "static"},
            "optimisation": {"left_out": ["channels-last"]},
            "limits": {"memory": "8GiB", "seconds": 60},
        }
    ],
}


def validate_configuration(value: object) -> None:
    schema = read_schema("builder-yaml")
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(value)


def test_the_schema_of_a_configuration_takes_settings_by_group():
    validate_configuration({})
    validate_configuration(CONFIGURATION)


@pytest.mark.parametrize(
    "change",
    [
        {"input": ["a.ptl"]},
        {"inputs": "a.ptl"},
        {"jobs": 0},
        {"jobs": "4"},
        {"profile": "fast"},
        {"accelerators": ["cuda"]},
        {"targets": {"abi": ["arm64-v8a"]}},
        {"targets": {"abis": []}},
        {"android": {"assets": ["a.ptl"]}},
        {"exports": [{"source": "mobilenet_v2"}]},
        {"exports": [{"source": "m", "output": "m.ptl", "quantisation": {"flow": "fx"}}]},
    ],
)
def test_the_schema_of_a_configuration_refuses_what_no_setting_is(change):
    with pytest.raises(jsonschema.ValidationError):
        validate_configuration(CONFIGURATION | change)


def test_every_setting_of_a_configuration_is_described():
    described = dict(properties(read_schema("builder-yaml")))
    assert {"inputs", "launcher", "max_size", "left_out", "seconds"} <= set(described)
    assert [key for key, value in described.items() if len(value["description"]) < 10] == []
