"""`builder build`: builds a runtime with only the operators that models need."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from builder import api
from builder.api.settings import BuildSettings
from builder.cli.apple import describe_apple, print_apple
from builder.cli.configured import (
    ChosenProduct,
    ConfigurationAsked,
    choose_products,
    configuration_options,
    naming_product,
)
from builder.cli.console import (
    ConsoleProgress,
    echo,
    format_bytes,
    format_duration,
    print_table,
    printing_json,
)
from builder.cli.locked import LockAsked, lock_options, read_locked
from builder.cli.plan import plan_products, print_plans
from builder.cli.settings_options import settings_options
from builder.core.cores import Core
from builder.core.counts import number_of
from builder.verify.policy import describe_findings

if TYPE_CHECKING:
    from builder.api import AarResult, BuildReport, RuntimeResult
    from builder.api.products import Values


@click.command("build")
@settings_options(BuildSettings, "settings", typed="given")
@configuration_options()
@lock_options("Refuse, before anything is compiled, a build that is not as in the lock")
@click.option("--verbose", is_flag=True, help="Print where the full logs are.")
@click.option("--dry-run", is_flag=True, help="Print the plan and do not build anything.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    settings: BuildSettings,
    given: Values,
    asked: ConfigurationAsked,
    lock: LockAsked,
    verbose: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Builds a runtime with only the operators that the models need.

    MODEL is a lite file (.ptl) or an operator list (.yaml, .txt). Without any, the settings are
    those of the file builder.yaml in this folder, if there is one; options of the
    command line override the file.

    If the sources of PyTorch are not on this machine yet, they are fetched first. If a build is
    interrupted, run the same command again and it continues. If the output folder has the whole
    results of the same build already, nothing is done. If a size budget is exceeded, the runtime is
    written, but the exit code is 8.

    \b
    Examples:
      builder build mobilenet_v2.ptl --abi linux-x86_64 -o out
      builder build model.ptl --abi arm64-v8a --abi armeabi-v7a --asset model.ptl -o out
      builder build model.ptl --abi ios-arm64 --abi ios-simulator-arm64 -o out
      builder build metal.ptl --abi ios-arm64 --metal -o out
      builder build detector.ptl classifier.ptl -o out --jobs 8
      builder build model.ptl --profile debug
      builder build model.ptl -o out --launcher ccache+distcc
      builder build ops.yaml --max-size 2.5MB
      builder build ops.yaml --dry-run
      builder build ops.yaml --dtypes float32,int64,bool
      builder build model_ops.yaml --skip-unknown
      builder build mobilenet_v2.ptl --pytorch 2.6.0
      builder build --config app/builder.yaml --product detector
      builder build --locked
    """
    if dry_run and asked.export:
        raise click.UsageError("--dry-run runs nothing, and --export runs code of models.")
    if dry_run and lock.is_asked:
        raise click.UsageError("--dry-run compares nothing: use builder plan --locked.")
    # Before anything is read: a typing error should cost no time.
    products = choose_products(settings, given, asked)
    if dry_run:
        print_plans(plan_products(products), as_json=as_json)
        return
    locked = read_locked(products, lock, asked) if lock.is_asked else (None,) * len(products)
    builds = [one.make_build(known) for one, known in zip(products, locked, strict=True)]
    reports = api.build_products(builds, progress=ConsoleProgress())
    for report in () if as_json else reports:
        _print_summary(report)
    if verbose:
        for runtime in (one for report in reports for one in report.runtimes):
            echo(f"logs: {runtime.logs}", err=True)
    answer = printing_json("build", _describe_products(products, reports))
    # Budgets come last: a runtime that is too large is written and shown before the command fails.
    with answer if as_json else nullcontext():
        for one, report in zip(products, reports, strict=True):
            with naming_product(one, products):
                report.hold(one.settings.budgets)


def _describe_products(
    products: Sequence[ChosenProduct], reports: Sequence[BuildReport]
) -> dict[str, object]:
    described = {one.name: _to_json(report) for one, report in zip(products, reports, strict=True)}
    # A file without products, and a build without a file, have one without a name.
    return described.get("", {"products": described})


def _print_summary(report: BuildReport) -> None:
    for runtime in report.runtimes:
        _print_runtime(runtime)
    if report.aar:
        _print_aar(report.aar)
    if report.apple:
        print_apple(report.apple)
    if not all(runtime.is_reused for runtime in report.runtimes):
        echo(f"the whole build took {format_duration(report.seconds)}")


def _print_runtime(runtime: RuntimeResult) -> None:
    print_table(
        ("runtime", str(runtime.package.root)),
        (
            ("root operators", _count_roots(runtime)),
            *((("operators left out", ", ".join(runtime.skipped)),) if runtime.skipped else ()),
            ("kernels for", str(runtime.plan.dtypes)),
            *(
                (("core", str(runtime.plan.core)),)
                if runtime.plan.core is not Core.UPSTREAM
                else ()
            ),
            ("translation units linked", f"{runtime.units_linked} of {runtime.units_known}"),
            *_list_effort(runtime),
            ("stripped size in bytes", format_bytes(runtime.size.file)),
            ("compressed in bytes", format_bytes(runtime.size.compressed)),
        ),
    )


def _list_effort(runtime: RuntimeResult) -> tuple[tuple[str, object], ...]:
    if runtime.is_reused:
        return (("nothing to do", "it was there already"),)
    return (
        ("compiled in this run", runtime.units_compiled),
        ("rounds", runtime.rounds),
        ("seconds", f"{runtime.seconds:.1f}"),
    )


def _print_aar(aar: AarResult) -> None:
    sizes = (
        (f"{abi} in bytes", f"{format_bytes(s.file)}, compressed {format_bytes(s.compressed)}")
        for abi, s in aar.sizes.items()
    )
    rules = f"{len(aar.report.rules)} on {number_of(len(aar.report.files), 'library', 'libraries')}"
    print_table(
        ("AAR", str(aar.written.aar)),
        (*sizes, ("symbols", str(aar.written.symbols)), ("rules kept", rules)),
    )
    for line in describe_findings(aar.report.unchecked):
        echo(line)
    echo("to use it from Gradle, add:")
    echo(f'  maven {{ url = uri("{aar.written.repository}") }}')
    echo(f'  implementation("{aar.written.coordinates}")')


def _to_json(report: BuildReport) -> dict[str, object]:
    return {
        "aar": _describe_aar(report.aar) if report.aar else None,
        "apple": describe_apple(report.apple) if report.apple else None,
        "runtimes": [_describe_runtime(runtime) for runtime in report.runtimes],
        "seconds": round(report.seconds, 3),
    }


def _describe_aar(packed: AarResult) -> dict[str, object]:
    written = packed.written
    return {
        "coordinates": str(written.coordinates),
        "path": str(written.aar),
        "rules": list(packed.report.rules),
        "rules_unchecked": describe_findings(packed.report.unchecked),
        "repository": str(written.repository),
        "sizes": {
            abi: {"compressed_size": size.compressed, "size": size.file}
            for abi, size in packed.sizes.items()
        },
        "symbols": str(written.symbols),
    }


def _describe_runtime(runtime: RuntimeResult) -> dict[str, object]:
    return {
        "abi": runtime.plan.target.abi,
        "compressed_size": runtime.size.compressed,
        "dtypes": runtime.plan.dtypes.to_json(),
        "library": str(runtime.package.library),
        "logs": str(runtime.logs),
        "manifest": str(runtime.package.manifest),
        "operators": _count_roots(runtime),
        "plan_key": runtime.plan.key,
        "reused": runtime.is_reused,
        "rounds": runtime.rounds,
        "runner": str(runtime.runner) if runtime.runner else None,
        "seconds": round(runtime.seconds, 3),
        "size": runtime.size.file,
        "skipped": list(runtime.skipped),
        "units_compiled": runtime.units_compiled,
        "units_known": runtime.units_known,
        "units_linked": runtime.units_linked,
    }


def _count_roots(runtime: RuntimeResult) -> int:
    # The plan has all that were asked for, also those that were left out later.
    return sum(str(o) not in runtime.skipped for o in runtime.plan.operator_list.operators)
