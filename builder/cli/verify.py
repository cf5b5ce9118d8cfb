"""`builder verify`: runs a model on a built runtime and compares its outputs with PyTorch's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from builder import api
from builder.cli.comparison import differences_json, print_differences
from builder.cli.console import ConsoleProgress, echo, print_json
from builder.cli.settings_options import settings_options
from builder.cli.shared_options import InputTexts, adb_option, complete
from builder.errors import ExitCode
from builder.verify.request import VerifyRequest

if TYPE_CHECKING:
    from builder.core.artifacts import VerifyReport


@click.command("verify")
@settings_options(VerifyRequest, "request", without=("inputs",))
@adb_option
@settings_options(InputTexts, "texts", without=("second_shapes",))
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(request: VerifyRequest, adb: bool, texts: InputTexts, as_json: bool) -> int:
    """Runs MODEL on a built runtime and compares its outputs with those of eager PyTorch.

    The inputs and the expected outputs are those that the export saved; torch is not needed. If
    there are none, describe random inputs with --shape or --input, which replace saved ones. If
    torch is installed, it first runs the model on them to find the expected outputs, in a separate
    process with limits that cannot write files, start programs or use the network.

    The exit code is 8 if an output differs by more than its tolerance, or if the runtime lacks
    something that the model needs.

    \b
    Examples:
      builder verify mobilenet_v2.ptl --runtime out
      builder verify mobilenet_v2.ptl --runtime out/linux-x86_64 --tolerance 1e-5 --json
      builder verify mobilenet_v2.ptl --runtime out/arm64-v8a --adb
      builder verify other.ptl --runtime out --shape 1,16 --dtype int64
      builder verify coder.ptl --runtime out --method decode --input 'float32[2,3]' --input 2
      builder verify bundled.ptl --runtime out --bundled-input 0
    """
    request = complete(request, texts, adb=adb)
    if request.reference is not None and request.inputs:
        raise click.UsageError(
            "--reference contains inputs: leave out --shape, --dtype and --input"
        )
    if request.bundled_input is not None and (request.reference is not None or request.inputs):
        raise click.UsageError(
            "--bundled-input takes the inputs of the file: leave out --reference, --shape, --dtype "
            "and --input"
        )
    report = api.verify(request, progress=ConsoleProgress(quiet=as_json))
    if as_json:
        print_json("verify", _to_json(report))
    else:
        _print_report(report)
    # A difference is a result and not an error, so the report is printed in full first.
    return int(ExitCode.OK if report.ok else ExitCode.VERIFICATION)


def _to_json(report: VerifyReport) -> dict[str, object]:
    return {
        "method": report.method,
        "model": report.model,
        "ok": report.ok,
        "outputs": differences_json(report.outputs),
        "reference": report.reference,
        "seconds": report.seconds,
    }


def _print_report(report: VerifyReport) -> None:
    compared = all(output.max_absolute is not None for output in report.outputs)
    echo(f"{report.model}: one {report.method} call took {report.seconds * 1000:.1f} ms")
    echo(f"expected outputs: {report.reference}")
    print_differences(report.outputs)
    if not report.ok:
        echo("the outputs of the runtime differ from the expected outputs", err=True)
    elif not compared:
        echo("the model runs, but there are no expected outputs to compare with")
