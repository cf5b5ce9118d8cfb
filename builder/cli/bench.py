"""`builder bench`: how fast a model runs on a built runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from builder import api
from builder.cli.console import ConsoleProgress, echo, print_json, print_table
from builder.cli.option_types import PathType
from builder.cli.settings_options import settings_options
from builder.cli.shared_options import InputTexts, adb_option, complete
from builder.core.artifacts import Profile
from builder.core.counts import number_of
from builder.verify.request import BenchRequest

if TYPE_CHECKING:
    from builder.api import BenchReport

_NAMES = {"cpu": "CPU", "vulkan": "Vulkan", "metal": "Metal"}


@click.command("bench")
@settings_options(BenchRequest, "request", without=("inputs",))
@click.argument("others", metavar="[MODEL]...", nargs=-1, type=PathType())
@adb_option
@settings_options(InputTexts, "texts", without=("second_shapes",))
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(
    request: BenchRequest, others: tuple[Path, ...], adb: bool, texts: InputTexts, as_json: bool
) -> None:
    """Measures how long calls of MODEL take on a built runtime, here or on a device.

    The inputs are those that were saved by the export. Random inputs, which --shape or --input
    describe, replace them. Times vary from run to run: to compare two runtimes, run them
    alternately on the same machine. --profile shows which operators take the time.

    Several models run in turn, each in as many runs. Where they are for the CPU and for a GPU, one
    for each device with the same inputs, a table compares the devices.

    \b
    Examples:
      builder bench mobilenet_v2.ptl --runtime out
      builder bench mobilenet_v2.ptl --runtime out/arm64-v8a --adb --threads 1
      builder bench mobilenet_v2.ptl --runtime out --threads 1 --profile
      builder bench cpu.ptl gpu.ptl --runtime out --adb
    """
    request = complete(request, texts, adb=adb)
    progress = ConsoleProgress(quiet=as_json)
    if not others:
        report = api.bench(request, progress=progress)
        if as_json:
            print_json("bench", _format_report(report))
        else:
            _print_report(report)
        return
    if request.profile:
        raise click.UsageError("--profile is for one model: its table is long.")
    requests = [request, *(replace(request, model=one) for one in others)]
    reports = api.bench_together(requests, progress=progress)
    if as_json:
        print_json("bench", {"models": [_format_report(report) for report in reports]})
        return
    _print_reports(reports)


def _format_report(report: BenchReport) -> dict[str, object]:
    return {
        "abi": report.abi,
        "calls": report.calls,
        "device": report.device,
        "inputs": list(report.inputs),
        "median_seconds": report.median,
        "method": report.method,
        "model": report.model,
        "profile": _format_profile(report.profile) if report.profile else None,
        "quickest_seconds": report.quickest,
        "runs": list(report.runs),
        "threads": report.threads,
    }


def _print_report(report: BenchReport) -> None:
    print_table(
        ("model", f"{report.model} on {report.abi}"),
        (
            ("method", report.method),
            ("fastest call, ms", _format_time(report.quickest)),
            ("median of the runs, ms", _format_time(report.median)),
            ("runs", f"{len(report.runs)} of {number_of(report.calls, 'call')}"),
            ("threads", _describe_threads(report)),
        ),
    )
    if report.profile:
        echo()
        _print_profile(report.profile)


def _print_reports(reports: Sequence[BenchReport]) -> None:
    print_table(
        ("model", "device", "fastest call, ms", "median of the runs, ms"),
        [
            (one.model, _name(one.device), _format_time(one.quickest), _format_time(one.median))
            for one in reports
        ],
    )
    if by_inputs := _compare_devices(reports):
        echo()
        devices = sorted({one.device for one in reports})
        print_table(
            ("inputs", *(f"{_name(one)}, ms" for one in devices)),
            [
                (inputs, *(_format_time(times[one]) for one in devices))
                for inputs, times in by_inputs.items()
            ],
        )
    first = reports[0]
    echo(
        f"({number_of(len(first.runs), 'run')} of {number_of(first.calls, 'call')} on {first.abi}, "
        f"threads: {_describe_threads(first)})"
    )


def _compare_devices(reports: Sequence[BenchReport]) -> dict[str, dict[str, float]]:
    """Returns inputs -> device -> fastest call; nothing unless each has one model for each."""
    found: dict[str, dict[str, float]] = {}
    for one in reports:
        times = found.setdefault(", ".join(one.inputs), {})
        if one.device in times:
            return {}
        times[one.device] = one.quickest
    devices = {one.device for one in reports}
    whole = all(times.keys() == devices for times in found.values())
    return found if whole and len(devices) > 1 else {}


def _name(device: str) -> str:
    return _NAMES.get(device, device)


def _format_time(seconds: float) -> str:
    return f"{seconds * 1000:.2f}"


def _describe_threads(report: BenchReport) -> str:
    return str(report.threads or "the runtime's choice")


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
