"""`builder ops`: shows the root operators of models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder import api
from builder.cli.console import echo, print_json, print_line, print_table
from builder.cli.gates import list_given
from builder.cli.options import pytorch_option
from builder.cli.settings import settings_options
from builder.core.counts import number_of
from builder.system.children import Limits

if TYPE_CHECKING:
    from builder.core.model import OperatorList


_LIMITS = ("--time-limit", "--memory-limit")


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
    help="Write an operator list to this file; `builder build` and PyTorch's own selective build "
    "read it.",
)
@click.option(
    "--run-torchscript",
    is_flag=True,
    help="Read TorchScript files (.pt) too. PyTorch loads them, which runs code of the model, in a "
    "separate process with the limits below. The process cannot write files, start programs or use "
    "the network. This needs torch, and Linux on x86_64 or aarch64.",
)
@settings_options(Limits, "limits")
@pytorch_option
def command(
    models: tuple[Path, ...],
    as_json: bool,
    output: Path | None,
    run_torchscript: bool,
    limits: Limits,
    pytorch: str | None,
) -> None:
    """Shows the root operators that models call, and which model calls which operator.

    MODEL is a lite file (.ptl, zip or flatbuffer), or an operator list (.yaml, or .txt with one
    name per line). No code in these files is executed. TorchScript files (.pt) are refused without
    --run-torchscript; if you trust such a file, you can also turn it into a lite file with
    `builder export`.

    \b
    Examples:
      builder ops mobilenet_v2.ptl
      builder ops detector.ptl classifier.ptl -o ops.yaml
      builder ops ops.yaml new_model.ptl --json
      builder ops model.pt --run-torchscript --time-limit 30
    """
    if not run_torchscript and list_given(_LIMITS):
        raise click.UsageError(
            "--time-limit and --memory-limit have an effect only with --run-torchscript: without "
            "it, no model is run."
        )
    if output is not None:
        # Before the models are read, which may take a while.
        api.refuse_list(output)
    allowed = limits if run_torchscript else None
    readable = api.load_bytecode_versions(pytorch)
    op_list = api.list_operators(models, torchscript=allowed, readable=readable)
    if any(model.is_torchscript for model in op_list.models):
        echo("PyTorch ran code of TorchScript files in a confined process", err=True)
    if output is not None:
        api.write_operators(output, op_list)
        # To stderr, so that --json on stdout stays JSON.
        echo(f"wrote {number_of(len(op_list.operators), 'operator')} to {output}", err=True)
    if as_json:
        print_json("ops", _to_json(op_list))
    elif output is None:
        _print_tables(op_list)


def _to_json(op_list: OperatorList) -> dict[str, Any]:
    return {
        "bytecode_versions": list(op_list.bytecode_versions),
        "custom_classes": list(op_list.custom_classes),
        "models": [
            {
                "bytecode_version": model.bytecode_version,
                "methods": list(model.methods),
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
        print_line(f"model         {model.name} ({lite}, sha256 {model.sha256[:16]}...)")
        for method in model.methods:
            print_line(f"method        {method}")
    if op_list.custom_classes:
        print_line(f"custom class  {', '.join(op_list.custom_classes)}")
    echo(f"operators     {len(op_list.operators)}\n")
    rows = [
        (operator, ", ".join(op_list.operators.sources(operator))) for operator in op_list.operators
    ]
    print_table(("operator", "wanted by"), rows)
