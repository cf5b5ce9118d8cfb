"""`builder bench`: how fast a model runs on a built runtime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from builder import api
from builder.cli.console import ConsoleProgress, print_json, print_table
from builder.cli.options import random_inputs_options, runtime_option, via_options
from builder.core.counts import number_of
from builder.verify.request import BenchRequest

if TYPE_CHECKING:
    from builder.core.nesting import InputSpec


@click.command("bench")
@click.argument("model", type=click.Path(path_type=Path))
@runtime_option
@via_options
@click.option(
    "--runs",
    default=5,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="How many times the program is started.",
)
@click.option(
    "--calls",
    default=20,
    show_default=True,
    type=click.IntRange(1, 10_000),
    help="Forward calls in each run; the fastest call is the result of the run.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 1024),
    help="Threads of the runtime; by default, the runtime chooses how many.",
)
@random_inputs_options
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(
    model: Path,
    runtime: Path,
    via: str,
    runs: int,
    calls: int,
    threads: int | None,
    inputs: tuple[InputSpec, ...],
    as_json: bool,
) -> None:
    """Measures how long forward calls of MODEL take on a built runtime, here or on a device.

    The inputs are those that were saved by the export. Times vary from run to run: to compare two
    runtimes, run them alternately on the same machine.

    \b
    Examples:
      builder bench mobilenet_v2.ptl --runtime out
      builder bench mobilenet_v2.ptl --runtime out/arm64-v8a --adb --threads 1
    """
    request = BenchRequest(
        model=model,
        runtime=runtime,
        inputs=inputs,
        via=via,
        runs=runs,
        calls=calls,
        threads=threads,
    )
    report = api.bench(request, progress=ConsoleProgress(quiet=as_json))
    if as_json:
        print_json(
            "bench",
            {
                "abi": report.abi,
                "calls": report.calls,
                "median_seconds": report.median,
                "model": report.model,
                "quickest_seconds": report.quickest,
                "runs": list(report.runs),
                "threads": report.threads,
            },
        )
        return
    print_table(
        ("model", f"{report.model} on {report.abi}"),
        (
            ("fastest call, ms", f"{report.quickest * 1000:.2f}"),
            ("median of the runs, ms", f"{report.median * 1000:.2f}"),
            ("runs", f"{len(report.runs)} of {number_of(report.calls, 'call')}"),
            ("threads", report.threads or "the runtime's choice"),
        ),
    )
