"""The generated pages of docs/reference say what the command line, schemas and lock say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from builder.cli.console import SCHEMA_VERSIONS
from builder.errors import ExitCode
from make_reference import REFERENCE, list_fields, read_schema

PRINT_ALL = """
import json, make_reference
print(json.dumps({str(path): text for path, text in make_reference.render_pages().items()}))
"""


@pytest.fixture(scope="module")
def pages() -> dict[Path, str]:
    """From a fresh process, since click remembers the help option of a command's first use."""
    command = (sys.executable, "-c", PRINT_ALL)
    tools = REFERENCE.parents[1] / "tools"
    printed = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tools).stdout
    return {Path(path): text for path, text in json.loads(printed).items()}


def test_every_generated_page_is_up_to_date(pages):
    stale = [path.name for path, text in pages.items() if path.read_text() != text]
    assert stale == [], "run tools/make_reference.py"


def test_no_page_is_left_of_a_command_that_is_gone(pages):
    generated = {path.name for path in pages if path.parent.name == "commands"}
    assert {path.name for path in (REFERENCE / "commands").iterdir()} == generated


@pytest.mark.parametrize("name", sorted(SCHEMA_VERSIONS))
def test_the_fields_of_inner_objects_are_listed(name):
    schema = read_schema(name)
    listed = {
        path.strip("`")
        for form in schema.get("oneOf", [schema])
        for path, _, _ in list_fields(form, schema.get("$defs", {}), "")
    }
    assert "schema" in listed
    if name == "verify":
        assert "outputs[].max_relative" in listed
    if name == "size":
        assert {
            "runtime.operators.*.exclusive",
            "what_if.bytes",
            "aar.libraries.*.*.file",
        } <= listed


def test_every_exit_code_is_described():
    text = (REFERENCE / "exit-codes.md").read_text()
    assert [code.name for code in ExitCode if f"| {code.value} |" not in text] == []
