"""`builder export`: turns a PyTorch model into a lite file and checks its outputs."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from builder import api
from builder.cli.comparison import differences_json, print_differences
from builder.cli.console import ConsoleProgress, echo, format_bytes, print_json
from builder.cli.export_stages import print_stages, stages_json
from builder.cli.hints import show_hint
from builder.cli.settings_options import parameter_name, settings_options
from builder.cli.shared_options import InputTexts
from builder.core.counts import number_of
from builder.core.tensors import TensorSpec
from builder.export.request import ExportRequest, MobileBackend, Pass
from builder.system.machine import host_abi

if TYPE_CHECKING:
    from builder.core.nesting import InputSpec
    from builder.export.request import ExportResult, Optimisation, VulkanSplit


_GIVEN = ("inputs", "second_inputs")
"""Settings that no single option gives."""
_CAPTURE = parameter_name(("capture",))


@click.command("export")
@settings_options(InputTexts, "texts")
@settings_options(ExportRequest, "request", without=_GIVEN)
@click.option("--trace", _CAPTURE, flag_value="trace", help="The same as --via trace.")
@click.option("--script", _CAPTURE, flag_value="script", help="The same as --via script.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(request: ExportRequest, texts: InputTexts, as_json: bool) -> None:
    """Exports SOURCE for the lite interpreter, optimised for mobile, and checks the file.

    SOURCE is the name of a torchvision model (with random weights, nothing is downloaded), a
    package.module:factory that returns a torch.nn.Module, a program of torch.export (.pt2), a
    TorchScript file (.pt) or a lite file (.ptl). builder runs the saved file and compares its
    outputs with those of eager PyTorch, or with those of the quantised model if you quantise. If
    they differ by more than the tolerance, no file is written and the exit code is 8. With --prove
    or --runtime, a runtime of builder runs the file too.

    Lite files and .pt2 files need no torch: builder rewrites them itself, and compares where a
    torch is installed. Nothing in them runs outside of a separate process with limits. All other
    exports run code with your rights: the factory and what it imports, the model's Python code,
    the loader of --calibrate, and the TorchScript in a file. Export only what you trust. The saved
    file runs in that separate process too, so that a crash or an endless loop becomes an error
    message.

    \b
    Examples:
      builder export mobilenet_v2 -o mobilenet_v2.ptl
      builder export mypackage.nets:make -o net.ptl --via script --shape 1,16 --dtype int64
      builder export resnet18 --weights mine.pt --arg num_classes=10 -o mine.ptl
      builder export mobilenet_v2 -o small.ptl --quantize static --calibrate photos/
      builder export model.ptl -o faster.ptl
      builder export program.pt2 -o model.ptl
      builder export model.pt -o model.ptl --shape 1,3,224,224 --no-optimize
      builder export model.ptl -o older.ptl --bytecode-version 5
      builder export program.pt2 -o model.ptl --prove
      builder export model.ptl -o faster.ptl --runtime out
    """
    # The words of the command line become values here, so that a mistake in them costs no import of
    # torch.
    inputs, second = texts.parse(), texts.parse_second()
    request = replace(request, folder=Path.cwd(), inputs=inputs, second_inputs=second)
    _refuse_idle(request.optimisation)
    # Before torch is imported and the model runs, which both take long.
    api.refuse_model(request.output, request.source)
    result = api.export(request, progress=ConsoleProgress(quiet=as_json))
    if as_json:
        print_json("export", _to_json(result))
    else:
        # Linux has no NNAPI.
        for_android = request.optimisation.backend is MobileBackend.NNAPI
        _print_result(result, abi="arm64-v8a" if for_android else host_abi())
    if result.failure is not None:
        # The table of stages is printed before, since it shows where the difference begins.
        raise result.failure


def _refuse_idle(optimisation: Optimisation) -> None:
    chosen = optimisation.left_out or optimisation.backend is not MobileBackend.CPU
    if chosen and not optimisation.enabled:
        raise click.UsageError("--skip-pass and --backend have no effect with --no-optimize")
    for_vulkan = optimisation.backend is MobileBackend.VULKAN
    if optimisation.allow_cpu and not for_vulkan:
        raise click.UsageError("--allow-cpu has an effect with --backend vulkan only")
    if for_vulkan and (idle := optimisation.left_out & {Pass.PREPACK, Pass.CHANNELS_LAST}):
        names = " and ".join(sorted(idle))
        raise click.UsageError(f"--skip-pass {names} has no effect with --backend vulkan")


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
        "remarks": [show_hint(remark, "export") for remark in result.remarks],
        "sha256": result.sha256,
        "size": result.size,
        "stages": stages_json(result.stages),
        "torch_version": result.torch_version,
        "vulkan": _vulkan_json(result.vulkan) if result.vulkan else None,
    }


def _vulkan_json(split: VulkanSplit) -> dict[str, object]:
    return {
        "cpu": split.cpu,
        "gpu": split.gpu,
        "on_cpu": list(split.on_cpu),
        "transfers": split.transfers,
    }


def _input_json(spec: InputSpec) -> object:
    if isinstance(spec, TensorSpec):
        return {"dtype": str(spec.dtype), "shape": list(spec.shape)}
    return str(spec)


def _print_result(result: ExportResult, *, abi: str) -> None:
    for remark in result.remarks:
        echo(f"note: {show_hint(remark, 'export')}", err=True)
    optimized = "optimised for mobile" if result.optimized else "not optimised"
    echo(
        f"{'wrote' if result.path else 'not written'}"
        f"{f' {result.path}' if result.path else ''}: {format_bytes(result.size)} bytes, "
        f"{result.capture}, {optimized}, bytecode version {result.bytecode_version}"
        f"{f', torch {result.torch_version}' if result.torch_version else ''}"
    )
    if result.vulkan:
        _print_vulkan(result.vulkan)
    if result.reference:
        echo(f"wrote {result.reference}: inputs and expected outputs, for builder verify")
    print_stages(result.stages)
    # The table of stages has already shown a single output that agrees.
    if len(result.differences) > 1 or not all(d.ok and not d.problem for d in result.differences):
        echo("the lite file, output by output:")
        print_differences(result.differences)
    if result.path:
        echo(f"next: builder build {shlex.quote(str(result.path))} --abi {abi} -o out")


def _print_vulkan(split: VulkanSplit) -> None:
    if not split.cpu:
        echo(f"for Vulkan: the GPU runs all operators, in {number_of(split.gpu, 'call')}")
        return
    echo(
        f"for Vulkan: the GPU runs {number_of(split.gpu, 'call')} of operators and the CPU "
        f"{number_of(split.cpu, 'call')}, with {number_of(split.transfers, 'transfer')} of tensors "
        "between them"
    )
    for line in split.on_cpu:
        echo(f"  on the CPU: {line}")
