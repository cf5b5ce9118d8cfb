"""`builder bench`: how fast a model runs on a built runtime."""

from __future__ import annotations

import click

from builder import api
from builder.cli.console import ConsoleProgress, echo, print_json, print_table
from builder.cli.settings_options import settings_options
from builder.cli.shared_options import InputTexts, adb_option, complete
from builder.core.artifacts import Profile
from builder.core.counts import number_of
from builder.verify.request import BenchRequest


@click.command("bench")
@settings_options(BenchRequest, "request", without=("inputs",))
@adb_option
@settings_options(InputTexts, "texts", without=("second_shapes",))
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(request: BenchRequest, adb: bool, texts: InputTexts, as_json: bool) -> None:
    """Measures how long calls of MODEL take on a built runtime, here or on a device.

    The inputs are those that were saved by the export. Random inputs, which --shape or --input
    describe, replace them. Times vary from run to run: to compare two runtimes, run them
    alternately on the same machine. --profile shows which operators take the time.

    \b
    Examples:
      builder bench mobilenet_v2.ptl --runtime out
      builder bench mobilenet_v2.ptl --runtime out/arm64-v8a --adb --threads 1
      builder bench mobilenet_v2.ptl --runtime out --threads 1 --profile
    """
    request = complete(request, texts, adb=adb)
    report = api.bench(request, progress=ConsoleProgress(quiet=as_json))
    if as_json:
        print_json(
            "bench",
            {
                "abi": report.abi,
                "calls": report.calls,
                "median_seconds": report.median,
                "method": report.method,
                "model": report.model,
                "profile": _format_profile(report.profile) if report.profile else None,
                "quickest_seconds": report.quickest,
                "runs": list(report.runs),
                "threads": report.threads,
            },
        )
        return
    print_table(
        ("model", f"{report.model} on {report.abi}"),
        (
            ("method", report.method),
            ("fastest call, ms", f"{report.quickest * 1000:.2f}"),
            ("median of the runs, ms", f"{report.median * 1000:.2f}"),
            ("runs", f"{len(report.runs)} of {number_of(report.calls, 'call')}"),
            ("threads", report.threads or "the runtime's choice"),
        ),
    )
    if report.profile:
        echo()
        _print_profile(report.profile)


def _format_profile(profile: Profile) -> dict[str, object]:
    return {
        "calls": profile.calls,
        "operators": [
            {"calls": each.calls, "name": each.name, "seconds": each.seconds}
            for each in profile.operators
        ],
        "rest_seconds": profile.rest,
        "seconds": profile.seconds,
    }


def _print_profile(profile: Profile) -> None:
    """Prints what one forward call took on average, by operator."""

    def row(name: str, calls: str, seconds: float) -> tuple[str, str, str, str]:
        share = seconds / profile.seconds if profile.seconds else 0.0
        return name, calls, f"{seconds / profile.calls * 1000:.3f}", f"{share:.1%}"

    rows = [
        row(each.name, f"{each.calls / profile.calls:g}", each.seconds)
        for each in profile.operators
    ]
    # Without this line, the shares would not sum up to the whole, and nobody could say why.
    rows.append(row("outside of operators", "", profile.rest))
    print_table(("operator", "calls", "ms", "share"), rows)
    echo(f"(average of {number_of(profile.calls, 'forward call')}, which measuring makes slower)")
