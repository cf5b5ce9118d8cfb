from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from builder.cli.options import inputs_argument
from builder.errors import ConfigurationError
from builder.system.folders import data_folder


@click.command()
@inputs_argument
def command(models: tuple[Path, ...]) -> None:
    click.echo("\n".join(map(str, models)))


def run(*arguments: str) -> list[str]:
    return CliRunner().invoke(command, arguments, catch_exceptions=False).output.splitlines()


def test_models_and_lists_of_the_zoo_may_be_mixed() -> None:
    shipped = str(data_folder("ops_lists") / "mobilenet_v2.yaml")
    assert run("a.ptl", "--ops-list", "mobilenet_v2") == ["a.ptl", shipped]
    assert run("--ops-list", "mobilenet_v2") == [shipped]


def test_nothing_or_an_unknown_list_is_refused() -> None:
    said = CliRunner().invoke(command, [])
    assert said.exit_code == 2
    assert "--ops-list NAME" in said.output
    with pytest.raises(ConfigurationError, match="no operator list 'mobilenet'"):
        run("--ops-list", "mobilenet")
