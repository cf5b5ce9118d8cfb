"""`builder export`: a PyTorch model becomes a lite file that is known to be right."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from builder.export.requests import ExportResult


@click.command("export")
@click.argument("source")
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="The lite file to write."
)
@click.option(
    "--shape",
    "shapes",
    multiple=True,
    metavar="N,N,...",
    help="Shape of one input, or `scalar`; repeat it for several inputs.",
)
@click.option(
    "--dtype",
    "dtypes",
    multiple=True,
    metavar="NAME",
    help="Type of the inputs: one for all (default float32), or one per --shape.",
)
@click.option(
    "--trace", "capture", flag_value="trace", help="Record one run of the model (default)."
)
@click.option("--script", "capture", flag_value="script", help="Compile it, with its control flow.")
@click.option(
    "--optimize/--no-optimize", default=True, help="Run optimize_for_mobile (default: yes)."
)
@click.option(
    "--reference/--no-reference",
    default=True,
    help="Save inputs and eager outputs beside the model, for `builder verify` (default: yes).",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    help="Largest relative difference of float outputs (default: 1e-4 for float32).",
)
@click.option("--seed", default=0, show_default=True, help="Of random weights and inputs.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    source: str,
    output: Path,
    shapes: tuple[str, ...],
    dtypes: tuple[str, ...],
    capture: str | None,
    optimize: bool,
    reference: bool,
    tolerance: float | None,
    seed: int,
    as_json: bool,
) -> None:
    """Exports SOURCE for the lite interpreter, optimised for mobile, and checks the file.

    SOURCE is the name of a torchvision model (random weights, nothing is downloaded), a
    package.module:factory that returns a torch.nn.Module, or a TorchScript file (.pt). The
    saved file is run and compared with eager PyTorch; beyond the tolerance nothing is written.

    \b
    Examples:
      builder export mobilenet_v2 -o mobilenet_v2.ptl
      builder export mypackage.nets:make -o net.ptl --script --shape 1,16 --dtype int64
      builder export model.pt -o model.ptl --shape 1,3,224,224 --no-optimize
    """
    from builder import api
    from builder.cli.console import ConsoleProgress, print_json
    from builder.core.inputs import parse_specs
    from builder.export.requests import Capture, ExportRequest

    request = ExportRequest(
        source=source,
        output=output,
        folder=Path.cwd(),
        inputs=parse_specs(shapes, dtypes),
        capture=Capture(capture or Capture.AUTO),
        optimize=optimize,
        reference=reference,
        tolerance=tolerance,
        seed=seed,
    )
    result = api.export_model(request, progress=ConsoleProgress(quiet=as_json))
    if as_json:
        print_json(_to_json(result))
    else:
        _print_result(result)


def _to_json(result: ExportResult) -> dict[str, object]:
    from builder.cli.comparison import differences_json

    return {
        "capture": result.capture,
        "inputs": [{"dtype": str(i.dtype), "shape": list(i.shape)} for i in result.inputs],
        "optimized": result.optimized,
        "outputs": differences_json(result.differences),
        "path": str(result.path),
        "reference": str(result.reference) if result.reference else None,
        "sha256": result.sha256,
        "size": result.size,
        "torch_version": result.torch_version,
    }


def _print_result(result: ExportResult) -> None:
    from builder.cli.comparison import print_differences
    from builder.cli.console import format_bytes
    from builder.system.machine import host_abi

    optimized = "optimised for mobile" if result.optimized else "not optimised"
    click.echo(
        f"wrote {result.path}: {format_bytes(result.size)} bytes, {result.capture}, {optimized}, "
        f"torch {result.torch_version}"
    )
    if result.reference:
        click.echo(f"wrote {result.reference}: inputs and eager outputs for builder verify")
    click.echo("lite file beside eager PyTorch:")
    print_differences(result.differences)
    click.echo(f"next: builder build {shlex.quote(str(result.path))} --abi {host_abi()} -o out")
