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

from builder.cli.console import SCHEMA_VERSIONS
from builder.cli.main import COMMANDS, cli
from tests.json_schemas import check_output, make_validator, read_schema

VERIFIED = {
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
    assert {path.name.removesuffix(".json") for path in files} == set(SCHEMA_VERSIONS)
    assert {name for name in COMMANDS if has_json(name)} == set(SCHEMA_VERSIONS)


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


def test_a_field_that_is_missing_is_refused():
    with pytest.raises(jsonschema.ValidationError):
        check_output(("verify", "--json"), json.dumps({"schema": 1}))
