"""`builder export`: a PyTorch model becomes a lite file that is known to be right."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from builder import api
from builder.cli.comparison import differences_json, print_differences
from builder.cli.console import ConsoleProgress, echo, format_bytes, print_json
from builder.cli.export_options import (
    PairType,
    input_options,
    optimise_options,
    quantise_options,
    saving_options,
)
from builder.cli.gates import FiniteRange
from builder.cli.options import limits_options
from builder.cli.stages import print_stages, stages_json
from builder.core.tensors import TensorSpec
from builder.system.children import Limits
from builder.system.machine import host_abi

if TYPE_CHECKING:
    from builder.core.nesting import InputSpec
    from builder.export.request import ExportResult, Optimisation, Quantisation, Saving


@click.command("export")
@click.argument("source")
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="The lite file to write."
)
@click.option(
    "--arg",
    "arguments",
    multiple=True,
    type=PairType(),
    help="An argument of the factory, or of torchvision's builder: num_classes=10.",
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    help="A state dict to load (.pt, .pth, .safetensors); no code in it is executed.",
)
@input_options
@click.option(
    "--calibrate",
    metavar="FOLDER|MODULE:LOADER",
    help="Real inputs, to calibrate and to compare with: a folder of images, .npy or .npz, or what "
    "gives inputs one by one.",
)
@quantise_options
@click.option(
    "--trace", "capture", flag_value="trace", help="Record one run of the model (default)."
)
@click.option("--script", "capture", flag_value="script", help="Compile it, with its control flow.")
@click.option(
    "--method", "methods", multiple=True, metavar="NAME", help="A method to keep beside forward."
)
@click.option("--channels-last", is_flag=True, help="Lay images out as NHWC.")
@optimise_options
@saving_options
@click.option(
    "--reference/--no-reference",
    default=True,
    help="Save inputs and eager outputs beside the model, for `builder verify` (default: yes).",
)
@click.option(
    "--tolerance",
    type=FiniteRange(min=0),
    help="Largest relative difference of float outputs (default: 1e-4 for float32).",
)
@limits_options
@click.option("--keep", is_flag=True, help="Write the file even if it differs by more.")
@click.option("--seed", default=0, show_default=True, help="Of random weights and inputs.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    source: str,
    output: Path,
    arguments: tuple[tuple[str, str], ...],
    weights: Path | None,
    inputs: tuple[InputSpec, ...],
    second_inputs: tuple[InputSpec, ...],
    calibrate: str | None,
    quantisation: Quantisation | None,
    capture: str | None,
    methods: tuple[str, ...],
    channels_last: bool,
    optimisation: Optimisation,
    saving: Saving,
    reference: bool,
    tolerance: float | None,
    keep: bool,
    seed: int,
    limits: Limits | None,
    as_json: bool,
) -> None:
    """Exports SOURCE for the lite interpreter, optimised for mobile, and checks the file.

    SOURCE is the name of a torchvision model (random weights, nothing is downloaded), a
    package.module:factory that returns a torch.nn.Module, a TorchScript file (.pt) or a lite file
    (.ptl). The saved file is run and compared with eager PyTorch, with the quantised model if it
    is quantised; beyond the tolerance nothing is written and the exit code is 8.

    An export runs code with your rights: the factory and what it imports, the model's Python code,
    the loader of --calibrate, and the TorchScript in a file. Export only what you trust. The saved
    file runs in a process of its own with limits, so that a crash or an endless loop is told.

    \b
    Examples:
      builder export mobilenet_v2 -o mobilenet_v2.ptl
      builder export mypackage.nets:make -o net.ptl --script --shape 1,16 --dtype int64
      builder export resnet18 --weights mine.pt --arg num_classes=10 -o mine.ptl
      builder export mobilenet_v2 -o small.ptl --quantize static --calibrate photos/
      builder export model.pt -o model.ptl --shape 1,3,224,224 --no-optimize
      builder export model.ptl -o older.ptl --bytecode-version 5
    """
    from builder.export.request import Capture, ExportRequest

    api.refuse_model(output, source)
    request = ExportRequest(
        source=source,
        output=output,
        folder=Path.cwd(),
        arguments=arguments,
        weights=weights,
        inputs=inputs,
        second_inputs=second_inputs,
        calibrate=calibrate,
        quantisation=quantisation,
        capture=Capture(capture or Capture.AUTO),
        methods=methods,
        channels_last=channels_last,
        optimisation=optimisation,
        saving=saving,
        reference=reference,
        tolerance=tolerance,
        keep=keep,
        seed=seed,
        limits=limits or Limits(),
    )
    result = api.export(request, progress=ConsoleProgress(quiet=as_json))
    if as_json:
        print_json("export", _to_json(result))
    else:
        _print_result(result)
    if result.failure is not None:
        raise result.failure


def _to_json(result: ExportResult) -> dict[str, object]:
    return {
        "bytecode_version": result.bytecode_version,
        "capture": result.capture,
        "inputs": [_input_json(spec) for spec in result.inputs],
        "ok": result.failure is None,
        "optimized": result.optimized,
        "outputs": differences_json(result.differences),
        "path": str(result.path) if result.path else None,
        "reference": str(result.reference) if result.reference else None,
        "remarks": list(result.remarks),
        "sha256": result.sha256,
        "size": result.size,
        "stages": stages_json(result.stages),
        "torch_version": result.torch_version,
    }


def _input_json(spec: InputSpec) -> object:
    if isinstance(spec, TensorSpec):
        return {"dtype": str(spec.dtype), "shape": list(spec.shape)}
    return str(spec)


def _print_result(result: ExportResult) -> None:
    for remark in result.remarks:
        echo(f"note: {remark}", err=True)
    optimized = "optimised for mobile" if result.optimized else "not optimised"
    echo(
        f"{'wrote' if result.path else 'not written'}"
        f"{f' {result.path}' if result.path else ''}: {format_bytes(result.size)} bytes, "
        f"{result.capture}, {optimized}, bytecode version {result.bytecode_version}, "
        f"torch {result.torch_version}"
    )
    if result.reference:
        echo(f"wrote {result.reference}: inputs and eager outputs for builder verify")
    print_stages(result.stages)
    if len(result.differences) > 1 or not all(d.ok and not d.problem for d in result.differences):
        echo("the lite file, output by output:")
        print_differences(result.differences)
    if result.path:
        echo(f"next: builder build {shlex.quote(str(result.path))} --abi {host_abi()} -o out")
