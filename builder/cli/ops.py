"""`builder ops`: the root operators of models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder.cli.console import print_json, print_table

if TYPE_CHECKING:
    from builder.core.model import OperatorList


@click.command("ops")
@click.argument(
    "models", metavar="MODEL...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option(
    "-o",
    "--output",
    metavar="FILE.yaml",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the operator list that `builder build` and PyTorch's own selective build read.",
)
def command(models: tuple[Path, ...], as_json: bool, output: Path | None) -> None:
    """Shows the root operators that one or many models call, and who wants what.

    MODEL is a lite file (.ptl, zip or flatbuffer), a TorchScript file (.pt, needs torch), or an
    operator list (.yaml, or .txt with a name per line). Nothing in a lite file is executed.

    \b
    Examples:
      builder ops mobilenet_v2.ptl
      builder ops detector.ptl classifier.ptl -o ops.yaml
      builder ops ops.yaml new_model.ptl --json
    """
    from builder import api

    if output is not None:
        api.refuse_list(output)
    op_list = api.list_operators(models)
    if output is not None:
        api.write_operators(output, op_list)
        click.echo(f"wrote {len(op_list.operators)} operators to {output}", err=True)
    if as_json:
        print_json(_to_json(op_list))
    elif output is None:
        _print_tables(op_list)


def _to_json(op_list: OperatorList) -> dict[str, Any]:
    return {
        "bytecode_versions": list(op_list.bytecode_versions),
        "custom_classes": list(op_list.custom_classes),
        "models": [
            {
                "bytecode_version": model.bytecode_version,
                "name": model.name,
                "sha256": model.sha256,
            }
            for model in op_list.models
        ],
        "operators": {
            str(operator): list(op_list.operators.sources(operator))
            for operator in op_list.operators
        },
    }


def _print_tables(op_list: OperatorList) -> None:
    for model in op_list.models:
        version = model.bytecode_version
        lite = "no bytecode" if version is None else f"bytecode version {version}"
        click.echo(f"model         {model.name} ({lite}, sha256 {model.sha256[:16]}...)")
    if op_list.custom_classes:
        click.echo(f"custom class  {', '.join(op_list.custom_classes)}")
    click.echo(f"operators     {len(op_list.operators)}\n")
    rows = [
        (operator, ", ".join(op_list.operators.sources(operator))) for operator in op_list.operators
    ]
    print_table(("operator", "wanted by"), rows)
