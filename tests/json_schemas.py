"""Holds the JSON that commands print to the schemas that builder ships."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator

from builder.cli.console import SCHEMA_VERSIONS


@cache
def read_schema(command: str) -> dict[str, Any]:
    """Returns the shipped schema of a command's `--json` output."""
    return json.loads(resources.files("builder").joinpath(f"schemas/{command}.json").read_text())


@cache
def make_validator(command: str) -> Draft202012Validator:
    return Draft202012Validator(forbid_unknown_fields(read_schema(command)))


def forbid_unknown_fields(schema: Any) -> Any:
    """Returns the schema closed: a shipped one lets newer versions of builder add fields."""
    if isinstance(schema, list):
        return [forbid_unknown_fields(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: forbid_unknown_fields(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        closed["additionalProperties"] = False
    return closed


def check_output(arguments: tuple[str, ...], text: str) -> None:
    """Fails unless `text`, which `builder ARGUMENTS` printed, follows the command's schema.

    A command that fails before it has an answer prints the error alone.
    """
    commands = [argument for argument in arguments if argument in SCHEMA_VERSIONS]
    command = "plan" if "--dry-run" in arguments else commands[0]
    value = json.loads(text)
    is_error = set(value) == {"error", "schema"}
    make_validator("error" if is_error else command).validate(value)
