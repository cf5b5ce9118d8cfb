from __future__ import annotations

import click
import pytest
from click.shell_completion import BashComplete, ShellComplete
from click.testing import CliRunner

from builder.cli.commands import COMMANDS
from builder.cli.completion import SHELLS, command
from builder.cli.main import cli


@pytest.fixture(autouse=True)
def _no_process(monkeypatch):
    """click asks the installed bash for its version; tests/contract/test_shells.py lets it."""
    monkeypatch.setattr(BashComplete, "_check_version", staticmethod(lambda: None))


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_of_a_shell(shell):
    result = CliRunner().invoke(command, [shell], catch_exceptions=False)
    assert result.exit_code == 0
    assert f"_BUILDER_COMPLETE={shell}_complete" in result.output


@pytest.mark.parametrize("arguments", [[], ["tcsh"]])
def test_other_shells_are_refused(arguments):
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 2
    assert "bash" in result.output


def complete(arguments: list[str], incomplete: str) -> list[str]:
    completer = ShellComplete(cli, {}, "builder", "_BUILDER_COMPLETE")
    return [item.value for item in completer.get_completions(arguments, incomplete)]


def test_commands_and_options_are_completed():
    assert complete([], "") == sorted(COMMANDS)
    assert complete([], "ve") == ["verify"]
    assert set(complete(["build"], "--")) >= {"--abi", "--output", "--jobs", "--json"}
    assert complete(["completion"], "") == list(SHELLS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_called_what_it_is_listed_as(name):
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    assert found.name == name


def test_there_are_no_other_commands():
    assert cli.get_command(click.Context(cli), "console") is None
