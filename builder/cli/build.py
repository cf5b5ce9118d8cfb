"""`builder build`: the selective runtime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from builder.cli.console import ConsoleProgress, format_bytes, print_json, print_table
from builder.cli.options import (
    abi_option,
    dtypes_option,
    flavour_options,
    inputs_argument,
    max_compressed_option,
    max_size_option,
)
from builder.cli.plan import print_plan
from builder.core.budgets import Budget, Budgets

if TYPE_CHECKING:
    from builder.api import BuildOutcome
    from builder.core.dtypes import DtypeSet
    from builder.core.profile import Flavour


@click.command("build")
@inputs_argument
@abi_option
@flavour_options
@dtypes_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("out"),
    show_default=True,
    help="Folder to write <abi>/ into.",
)
@click.option("--jobs", "-j", type=click.IntRange(min=1), help="Compilations at once.")
@click.option(
    "--launcher",
    metavar="NAME",
    envvar="BUILDER_LAUNCHER",
    default="auto",
    show_default=True,
    show_envvar=True,
    help="What to hand compilations to: ccache, sccache, distcc, icecc, ccache+distcc, "
    "ccache+icecc or none; auto takes ccache or sccache if there is one.",
)
@click.option(
    "--skip-unknown",
    is_flag=True,
    help="Leave out, by name, operators that cannot be built, instead of refusing.",
)
@click.option("--verbose", is_flag=True, help="Say where the full logs are.")
@click.option("--dry-run", is_flag=True, help="Print the plan and build nothing.")
@click.option(
    "--lock-timeout",
    type=float,
    default=-1,
    help="Seconds to wait for another builder on the same objects; without it, for ever.",
)
@max_size_option
@max_compressed_option
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def command(
    models: tuple[Path, ...],
    abi: str,
    flavour: Flavour,
    dtypes: DtypeSet | None,
    output: Path,
    jobs: int | None,
    launcher: str,
    skip_unknown: bool,
    verbose: bool,
    dry_run: bool,
    lock_timeout: float,
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
      builder build detector.ptl classifier.ptl -o out --jobs 8
      builder build model.ptl --profile debug
      builder build model.ptl -o out --launcher ccache+distcc
      builder build ops.yaml --max-size 2.5MB
      builder build ops.yaml --dry-run
      builder build ops.yaml --dtypes float32,int64,bool
      builder build model_ops.yaml --skip-unknown
    """
    from builder import api

    target = api.locate_target(abi)
    if dry_run:
        toolchain = api.locate_toolchain(target, launcher=launcher)
        plan = api.plan_build(models, target, toolchain=toolchain, flavour=flavour, dtypes=dtypes)
        print_plan(plan, as_json=as_json)
        return
    outcome = api.build_runtime(
        models,
        target,
        output,
        progress=ConsoleProgress(),
        flavour=flavour,
        dtypes=dtypes,
        jobs=jobs,
        launcher=launcher,
        lock_timeout=lock_timeout,
        skip_unknown=skip_unknown,
    )
    if as_json:
        print_json(_to_json(outcome))
    else:
        _print_summary(outcome)
    if verbose:
        click.echo(f"logs: {outcome.logs}", err=True)
    budgets = Budgets(file=max_size, compressed=max_compressed)
    api.refuse_excess(outcome.size, budgets, abi=target.abi, root=outcome.package.root)


def _print_summary(outcome: BuildOutcome) -> None:
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


def _to_json(outcome: BuildOutcome) -> dict[str, object]:
    linked = outcome.linked
    return {
        "compressed_size": outcome.size.compressed,
        "dtypes": outcome.plan.dtypes.to_json(),
        "library": str(outcome.package.library),
        "logs": str(outcome.logs),
        "manifest": str(outcome.package.manifest),
        "operators": _count_roots(outcome),
        "plan_key": outcome.plan.key,
        "rounds": linked.rounds,
        "runner": str(outcome.package.runner),
        "seconds": round(linked.seconds, 3),
        "size": outcome.size.file,
        "skipped": list(outcome.skipped),
        "units_compiled": linked.units_compiled,
        "units_known": linked.units_known,
        "units_linked": len(linked.units),
    }


def _count_roots(outcome: BuildOutcome) -> int:
    return sum(str(o) not in outcome.skipped for o in outcome.plan.operator_list.operators)
