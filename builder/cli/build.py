"""`builder build`: the selective runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from builder import api
from builder.cli.apple import describe_apple, print_apple
from builder.cli.console import ConsoleProgress, echo, format_bytes, print_json, print_table
from builder.cli.gates import FiniteRange, refuse_idle_budgets, refuse_idle_options
from builder.cli.options import (
    aar_options,
    abis_option,
    accelerator_options,
    apple_options,
    dtypes_option,
    flavour_options,
    inputs_argument,
    max_compressed_option,
    max_size_option,
    min_api_option,
    min_ios_option,
    toolchain_options,
)
from builder.cli.plan import print_plans
from builder.core.budgets import Budget, Budgets
from builder.core.policies import describe_findings

if TYPE_CHECKING:
    from builder.api import AarOutcome, AppleOutcome, BuildOutcome
    from builder.core.accelerators import Accelerator
    from builder.core.android import AarOptions
    from builder.core.apple import AppleOptions
    from builder.core.dtypes import DtypeSet
    from builder.core.plan import Flavour
    from builder.core.toolchain import ToolchainOptions


@click.command("build")
@inputs_argument
@abis_option
@flavour_options
@dtypes_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("out"),
    show_default=True,
    help="Folder to write <abi>/ into, maven/ for Android and apple/ for Apple's systems.",
)
@click.option("--jobs", "-j", type=click.IntRange(1, 10_000), help="Compilations at once.")
@toolchain_options
@min_api_option
@min_ios_option
@aar_options
@apple_options
@accelerator_options
@click.option(
    "--skip-unknown",
    is_flag=True,
    help="Leave out, by name, operators that cannot be built, instead of refusing.",
)
@click.option("--verbose", is_flag=True, help="Say where the full logs are.")
@click.option("--dry-run", is_flag=True, help="Print the plan and build nothing.")
@click.option(
    "--lock-timeout",
    type=FiniteRange(min=0),
    help="Seconds to wait for another builder on the same objects; without it, for ever.",
)
@max_size_option
@max_compressed_option
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def command(
    models: tuple[Path, ...],
    abis: tuple[str, ...],
    min_api: int | None,
    min_ios: str | None,
    flavour: Flavour,
    dtypes: DtypeSet | None,
    output: Path,
    jobs: int | None,
    tools: ToolchainOptions,
    aar: AarOptions,
    apple: AppleOptions,
    accelerators: tuple[Accelerator, ...],
    skip_unknown: bool,
    verbose: bool,
    dry_run: bool,
    lock_timeout: float | None,
    max_size: tuple[Budget, ...],
    max_compressed: tuple[Budget, ...],
    as_json: bool,
) -> None:
    """Builds a runtime with only the operators that the models need.

    MODEL is a lite file (.ptl), a TorchScript file (.pt), or an operator list (.yaml, .txt). The
    sources are fetched when they are not there. Killed at any point, the next run continues.
    Above a budget the exit code is 8; the runtime is written all the same.

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
    """
    request = api.BuildRequest(
        inputs=models,
        flavour=flavour,
        dtypes=dtypes,
        tools=tools,
        jobs=jobs,
        lock_timeout=-1 if lock_timeout is None else lock_timeout,
        skip_unknown=skip_unknown,
        accelerators=accelerators,
    )
    targets = api.locate_targets(abis, min_api=min_api, min_ios=min_ios)
    budgets = Budgets(file=max_size, compressed=max_compressed)
    refuse_idle_options(targets)
    refuse_idle_budgets(budgets, [target.abi for target in targets])
    api.refuse_frameworks(accelerators, targets, tools.apple_sdk)
    if any(target.is_android for target in targets):
        api.refuse_unpackable(aar)
    apple = replace(apple, resources=aar.assets)
    if any(target.is_apple for target in targets):
        api.refuse_duplicates(apple)
    api.refuse_outputs(targets, output, aar)
    if dry_run:
        print_plans(api.plan_builds(request, targets), as_json=as_json)
        return
    progress = ConsoleProgress()
    outcomes = [api.build_runtime(request, target, output, progress=progress) for target in targets]
    android = [outcome for outcome in outcomes if outcome.plan.target.is_android]
    packed = api.build_aar(request, android, output, options=aar, progress=progress)
    slices = [outcome for outcome in outcomes if outcome.plan.target.is_apple]
    framework = api.build_apple(slices, output, options=apple, progress=progress)
    if as_json:
        print_json(_to_json(outcomes, packed, framework))
    else:
        _print_summary(outcomes, packed)
        if framework:
            print_apple(framework)
    if verbose:
        for outcome in outcomes:
            echo(f"logs: {outcome.logs}", err=True)
    for outcome in outcomes:
        abi = outcome.plan.target.abi
        size = packed.sizes[abi] if packed and abi in packed.sizes else outcome.size
        api.refuse_excess(size, budgets, abi=abi, root=outcome.package.root)


def _print_summary(outcomes: Sequence[BuildOutcome], packed: AarOutcome | None) -> None:
    for outcome in outcomes:
        linked = outcome.linked
        print_table(
            ("runtime", str(outcome.package.root)),
            (
                ("root operators", _count_roots(outcome)),
                *((("operators left out", ", ".join(outcome.skipped)),) if outcome.skipped else ()),
                ("kernels for", str(outcome.plan.dtypes)),
                ("translation units linked", f"{len(linked.units)} of {linked.units_known}"),
                ("compiled in this run", linked.units_compiled),
                ("rounds", linked.rounds),
                ("seconds", f"{linked.seconds:.1f}"),
                ("stripped size in bytes", format_bytes(outcome.size.file)),
                ("compressed in bytes", format_bytes(outcome.size.compressed)),
            ),
        )
    if packed:
        print_table(
            ("AAR", str(packed.written.aar)),
            (
                *(
                    (
                        f"{abi} in bytes",
                        f"{format_bytes(s.file)}, compressed {format_bytes(s.compressed)}",
                    )
                    for abi, s in packed.sizes.items()
                ),
                ("symbols", str(packed.written.symbols)),
                (
                    "rules kept",
                    f"{len(packed.report.rules)} on {len(packed.report.files)} libraries",
                ),
            ),
        )
        for line in describe_findings(packed.report.unchecked):
            echo(line)
        echo("Gradle takes it by:")
        echo(f'  maven {{ url = uri("{packed.written.repository}") }}')
        echo(f'  implementation("{packed.written.coordinates}")')


def _to_json(
    outcomes: Sequence[BuildOutcome], packed: AarOutcome | None, framework: AppleOutcome | None
) -> dict[str, object]:
    return {
        "aar": _describe_aar(packed) if packed else None,
        "apple": describe_apple(framework) if framework else None,
        "runtimes": [_describe_runtime(outcome) for outcome in outcomes],
    }


def _describe_aar(packed: AarOutcome) -> dict[str, object]:
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


def _describe_runtime(outcome: BuildOutcome) -> dict[str, object]:
    linked = outcome.linked
    return {
        "abi": outcome.plan.target.abi,
        "compressed_size": outcome.size.compressed,
        "dtypes": outcome.plan.dtypes.to_json(),
        "library": str(outcome.package.library),
        "logs": str(outcome.logs),
        "manifest": str(outcome.package.manifest),
        "operators": _count_roots(outcome),
        "plan_key": outcome.plan.key,
        "rounds": linked.rounds,
        "runner": str(outcome.package.runner) if linked.runner else None,
        "seconds": round(linked.seconds, 3),
        "size": outcome.size.file,
        "skipped": list(outcome.skipped),
        "units_compiled": linked.units_compiled,
        "units_known": linked.units_known,
        "units_linked": len(linked.units),
    }


def _count_roots(outcome: BuildOutcome) -> int:
    return sum(str(o) not in outcome.skipped for o in outcome.plan.operator_list.operators)
