"""`builder build`: the selective runtime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from builder.cli.console import ConsoleProgress, format_bytes, print_json, print_table
from builder.cli.options import abi_option, inputs_argument
from builder.cli.plan import print_plan

if TYPE_CHECKING:
    from builder.api import BuildOutcome


@click.command("build")
@inputs_argument
@abi_option
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
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def command(
    models: tuple[Path, ...],
    abi: str,
    output: Path,
    jobs: int | None,
    skip_unknown: bool,
    verbose: bool,
    dry_run: bool,
    lock_timeout: float,
    as_json: bool,
) -> None:
    """Builds a runtime with only the operators that the models need.

    MODEL is a lite file (.ptl), a TorchScript file (.pt), or an operator list (.yaml). The sources
    are fetched when they are not there. Killed at any point, the next run continues.

    \b
    Examples:
      builder build mobilenet_v2.ptl --abi linux-x86_64 -o out
      builder build detector.ptl classifier.ptl -o out --jobs 8
      builder build ops.yaml --dry-run
      builder build model_ops.yaml --skip-unknown
    """
    from builder import api

    target = api.locate_target(abi)
    if dry_run:
        plan = api.plan_build(models, target, toolchain=api.locate_toolchain(target))
        print_plan(plan, as_json=as_json)
        return
    outcome = api.build_runtime(
        models,
        target,
        output,
        progress=ConsoleProgress(),
        jobs=jobs,
        lock_timeout=lock_timeout,
        skip_unknown=skip_unknown,
    )
    if as_json:
        print_json(_to_json(outcome))
        return
    _print_summary(outcome)
    if verbose:
        click.echo(f"logs: {outcome.logs}", err=True)


def _print_summary(outcome: BuildOutcome) -> None:
    linked = outcome.linked
    print_table(
        ("runtime", str(outcome.package.root)),
        (
            ("root operators", _count_roots(outcome)),
            *((("operators left out", ", ".join(outcome.skipped)),) if outcome.skipped else ()),
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
