"""What the command line says of itself; BUILDER_UPDATE_GOLDEN=1 records it anew."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from builder.cli.commands import COMMANDS
from builder.cli.main import cli

FOLDER = Path(__file__).parent / "help"
PRINT_ALL = """
import json
from click.testing import CliRunner
from builder.cli.commands import COMMANDS
from builder.cli.main import cli

def read(*arguments):
    given = {"prog_name": "builder", "terminal_width": 100, "catch_exceptions": False}
    return CliRunner().invoke(cli, [*arguments, "--help"], **given).output

print(json.dumps({"builder": read(), **{name: read(name) for name in COMMANDS}}))
"""


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """What a wide terminal shows, without what depends on this machine.

    From a fresh process, since click remembers the help option of a command's first use.
    """
    command = (sys.executable, "-c", PRINT_ALL)
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {
        name: re.sub(r"(\[default:\s+linux-)\w+", r"\1<this machine>", text)
        for name, text in json.loads(printed).items()
    }


@pytest.mark.parametrize("name", ["builder", *sorted(COMMANDS)])
def test_help(golden, helps, name):
    golden(FOLDER / f"{name}.txt", helps[name])


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_has_examples_and_explains_its_options(helps, name):
    _, _, examples = helps[name].partition("Examples:")
    assert re.search(rf"^ +builder {name}( |$)", examples, re.MULTILINE)
    command = cli.get_command(click.Context(cli), name)
    options = [p for p in command.params if isinstance(p, click.Option)]
    assert [option.name for option in options if not option.help] == []


def test_no_help_is_left_of_a_command_that_is_gone():
    assert {path.stem for path in FOLDER.glob("*.txt")} == {"builder", *COMMANDS}
