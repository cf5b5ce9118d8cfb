"""`builder ops`: shows the root operators of models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from builder import api
from builder.api.models import OperatorsRequest
from builder.cli.console import echo, print_json, print_line, print_table
from builder.cli.gates import list_given
from builder.cli.settings_options import settings_options
from builder.core.counts import number_of

if TYPE_CHECKING:
    from builder.core.model_facts import OperatorList


_LIMITS = ("--time-limit", "--memory-limit")


@click.command("ops")
@settings_options(OperatorsRequest, "request")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(request: OperatorsRequest, as_json: bool) -> None:
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
    if not request.run_torchscript and list_given(_LIMITS):
        raise click.UsageError(
            "--time-limit and --memory-limit have an effect only with --run-torchscript: without "
            "it, no model is run."
        )
    op_list = api.list_operators(request)
    # Code of a file was run. That is said each time, although the user asked for it.
    if any(model.is_torchscript for model in op_list.models):
        echo("PyTorch ran code of TorchScript files in a confined process", err=True)
    if request.output is not None:
        # To stderr, so that --json on stdout stays JSON.
        counted = number_of(len(op_list.operators), "operator")
        echo(f"wrote {counted} to {request.output}", err=True)
    if as_json:
        print_json("ops", _to_json(op_list))
    elif request.output is None:
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
    echo(f"operators     {len(op_list.operators)}")
    echo()
    rows = [
        (operator, ", ".join(op_list.operators.sources(operator))) for operator in op_list.operators
    ]
    print_table(("operator", "wanted by"), rows)
