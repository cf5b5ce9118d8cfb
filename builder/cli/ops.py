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
    from collections.abc import Sequence

    from builder.api.signatures import DescribedMethod, DescribedModel
    from builder.core.model_facts import OperatorList


_LIMITS = ("--time-limit", "--memory-limit")


@click.command("ops")
@settings_options(OperatorsRequest, "request")
@click.option(
    "--signature",
    is_flag=True,
    help="Show the methods of the models and their inputs, instead of operators. Dtypes and shapes "
    "are those of the reference case beside a model.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(request: OperatorsRequest, signature: bool, as_json: bool) -> None:
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
      builder ops detector.ptl --signature
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
    described = api.describe_methods(request) if signature else ()
    if as_json:
        print_json("ops", _to_json(op_list, described))
    elif signature:
        _print_signatures(described)
    elif request.output is None:
        _print_tables(op_list)


def _to_json(op_list: OperatorList, described: Sequence[DescribedModel]) -> dict[str, Any]:
    signatures = {
        (one.name, one.sha256): {"signatures": [_describe_method(method) for method in one.methods]}
        for one in described
    }
    return {
        "bytecode_versions": list(op_list.bytecode_versions),
        "custom_classes": list(op_list.custom_classes),
        "models": [
            {
                "bytecode_version": model.bytecode_version,
                "methods": list(model.methods),
                "name": model.name,
                "sha256": model.sha256,
                **signatures.get((model.name, model.sha256), {}),
            }
            for model in op_list.models
        ],
        "operators": {
            str(operator): list(op_list.operators.sources(operator))
            for operator in op_list.operators
        },
    }


def _describe_method(method: DescribedMethod) -> dict[str, Any]:
    return {
        "inputs": [
            {
                "default": one.argument.default or None,
                "dtype": str(one.tensor.dtype) if one.tensor else None,
                "example": None if one.example is None else str(one.example),
                "name": one.argument.name,
                "required": one.argument.is_required,
                "shape": list(one.tensor.shape) if one.tensor else None,
                "type": str(one.argument.kind),
            }
            for one in method.inputs
        ],
        "name": method.signature.method,
        "outputs": [str(kind) for kind in method.signature.returns],
    }


def _print_signatures(described: Sequence[DescribedModel]) -> None:
    for number, model in enumerate(described):
        if number:
            echo()
        print_line(f"model   {model.name} (sha256 {model.sha256[:16]}...)")
        if not model.methods:
            echo("its file has no signatures: it was written by an old version of PyTorch")
        for method in model.methods:
            print_line(f"method  {method.signature}")
        rows = [
            (
                method.signature.method,
                one.argument.name,
                one.argument.kind,
                one.argument.default or ("-" if one.argument.is_required else "None"),
                "-" if one.example is None else one.example,
            )
            for method in model.methods
            for one in method.inputs
        ]
        if rows:
            echo()
            print_table(("method", "input", "type", "default", "example"), rows)


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
