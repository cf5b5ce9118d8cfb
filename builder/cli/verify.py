"""`builder verify`: the model on the built runtime, beside PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from builder.cli.options import via_options

if TYPE_CHECKING:
    from builder.core.artifacts import VerifyReport


@click.command("verify")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--runtime",
    required=True,
    type=click.Path(path_type=Path),
    help="What `builder build -o` wrote, one ABI's folder in it, or its library.",
)
@click.option(
    "--reference",
    type=click.Path(path_type=Path),
    help="Saved inputs and outputs (default: those beside the model).",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    help="Largest relative difference of float outputs (default: 1e-4 for float32).",
)
@click.option(
    "--shape",
    "shapes",
    multiple=True,
    metavar="N,N,...",
    help="Shape of one random input, or `scalar`; used instead of saved inputs.",
)
@click.option("--dtype", "dtypes", multiple=True, metavar="NAME", help="Type of the random inputs.")
@click.option("--seed", default=0, show_default=True, help="Of the random inputs.")
@click.option(
    "--repeat", default=1, show_default=True, type=click.IntRange(1, 10_000), help="Forward calls."
)
@via_options
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(
    model: Path,
    runtime: Path,
    reference: Path | None,
    tolerance: float | None,
    shapes: tuple[str, ...],
    dtypes: tuple[str, ...],
    seed: int,
    repeat: int,
    via: str,
    as_json: bool,
) -> int:
    """Runs MODEL on a built runtime and compares its outputs with those of eager PyTorch.

    Inputs and expected outputs are those saved at export; torch is not needed. Exit code 8
    when an output differs by more than its tolerance, or the runtime lacks something.

    \b
    Examples:
      builder verify mobilenet_v2.ptl --runtime out
      builder verify mobilenet_v2.ptl --runtime out/linux-x86_64 --tolerance 1e-5 --json
      builder verify mobilenet_v2.ptl --runtime out/arm64-v8a --adb
      builder verify other.ptl --runtime out --shape 1,16 --dtype int64
    """
    from builder import api
    from builder.cli.console import ConsoleProgress, print_json
    from builder.core.inputs import parse_specs
    from builder.errors import ExitCode
    from builder.verify.requests import VerifyRequest

    request = VerifyRequest(
        model=model,
        runtime=runtime,
        reference=reference,
        tolerance=tolerance,
        inputs=parse_specs(shapes, dtypes),
        seed=seed,
        repeat=repeat,
        via=via,
    )
    report = api.verify_model(request, progress=ConsoleProgress(quiet=as_json))
    if as_json:
        print_json(_to_json(report))
    else:
        _print_report(report)
    return int(ExitCode.OK if report.ok else ExitCode.VERIFICATION)


def _to_json(report: VerifyReport) -> dict[str, object]:
    from builder.cli.comparison import differences_json

    return {
        "model": report.model,
        "ok": report.ok,
        "outputs": differences_json(report.outputs),
        "reference": report.reference,
        "seconds": report.seconds,
    }


def _print_report(report: VerifyReport) -> None:
    from builder.cli.comparison import print_differences

    compared = all(output.max_absolute is not None for output in report.outputs)
    click.echo(f"{report.model}: one forward call took {report.seconds * 1000:.1f} ms")
    click.echo(f"expected outputs: {report.reference}")
    print_differences(report.outputs)
    if not report.ok:
        click.echo("the runtime's outputs are not what they should be", err=True)
    elif not compared:
        click.echo("it runs; nothing was compared, for lack of expected outputs")
