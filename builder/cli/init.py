"""`builder init`: writes a file builder.yaml for the models that are there."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

import click

from builder import api
from builder.api.settings import CONFIGURATION
from builder.cli.console import echo
from builder.cli.option_types import PathType
from builder.errors import ConfigurationError
from builder.system.files import write_new
from builder.system.outputs import refuse_unwritable, writing_file


@click.command("init")
@click.argument("models", nargs=-1, metavar="[MODEL]...", type=PathType())
@click.option(
    "-o",
    "--output",
    type=PathType(dir_okay=False),
    default=CONFIGURATION,
    show_default=True,
    help="The file to write; it must not be there yet.",
)
@click.option(
    "--schema",
    type=PathType(dir_okay=False),
    help="Also write the JSON schema of the file here, and name it in the file for editors.",
)
def command(models: tuple[Path, ...], output: Path, schema: Path | None) -> None:
    """Writes a commented file builder.yaml, which builder build reads when no model is given.

    Without MODEL, the file names all lite files (.ptl) in its folder and in the folders directly
    below it. Every setting that you may want to change stands in it as a comment.

    \b
    Examples:
      builder init
      builder init detector.ptl --schema builder.schema.json
    """
    if schema is not None and schema.resolve() == output.resolve():
        raise ConfigurationError(
            f"the file and its schema cannot both be {output}", hint="choose another --schema"
        )
    for path in (output, *((schema,) if schema else ())):
        # A link that leads nowhere is there too, and would be replaced.
        if os.path.lexists(path):
            raise _refuse_present(path)
    for path in (output, *((schema,) if schema else ())):
        refuse_unwritable(path)
    text = api.render_configuration(models, output, schema)
    if schema is not None:
        content = resources.files("builder").joinpath("schemas/builder-yaml.json").read_text()
        _write_new(schema, content)
    _write_new(output, text)
    echo(f"wrote {output}")
    where = "" if str(output) == CONFIGURATION else f" --config {output}"
    echo(f"next: builder build{where} --dry-run")


def _write_new(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # The models were read meanwhile, and somebody may have made the file.
    try:
        with writing_file(path):
            write_new(path, text)
    except FileExistsError:
        raise _refuse_present(path) from None


def _refuse_present(path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"{path} is there already", hint="move it away, or choose another file with -o"
    )
