"""`builder plan`: prints what a build would do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from builder import api
from builder.api.settings import CONFIGURATION, BuildSettings
from builder.cli.console import print_json, print_table
from builder.cli.gates import refuse_idle_options
from builder.cli.settings_options import settings_options

if TYPE_CHECKING:
    from builder.core.plan import BuildPlan
    from builder.core.targets import Target

_NOT_IN_PLANS = (
    *("budgets", "output", "packages", "request.jobs", "request.lock_timeout"),
    "request.skip_unknown",
)
"""Settings that decide nothing of a plan."""


@click.command("plan")
@settings_options(BuildSettings, "settings", without=_NOT_IN_PLANS)
@click.option("--json", "as_json", is_flag=True, help="Print the whole plan as JSON.")
def command(settings: BuildSettings, as_json: bool) -> None:
    """Prints what `builder build` would do for the same arguments, without building.

    Builds whose plans have the same key produce the same bytes.

    \b
    Examples:
      builder plan mobilenet_v2.ptl
      builder plan ops.yaml --abi linux-x86_64 --json
    """
    refuse_no_models(settings, _describe_file())
    targets = locate_targets(settings)
    refuse_idle_options(targets)
    print_plans(api.plan_builds(settings.request, targets), as_json=as_json)


def _describe_file() -> str:
    if not Path(CONFIGURATION).is_file():
        return ""
    return f". builder plan does not read {CONFIGURATION}; builder build --dry-run does"


def refuse_no_models(settings: BuildSettings, advice: str) -> None:
    """Raises UsageError, which ends with `advice`, for a build of nothing."""
    if not settings.request.inputs and not settings.request.ops_lists:
        raise click.UsageError(f"Missing argument 'MODEL...', or --ops-list NAME{advice}.")


def locate_targets(settings: BuildSettings) -> tuple[Target, ...]:
    """Returns the targets of a build; BuilderError for settings that do not go together."""
    request, wanted = settings.request, settings.targets
    api.list_inputs(request)  # an operator list that does not exist is refused before all else
    targets = api.locate_targets(wanted.abis, min_api=wanted.min_api, min_ios=wanted.min_ios)
    # An SDK without the frameworks would fail after everything else is compiled.
    api.refuse_frameworks(request.accelerators, targets, request.tools.apple_sdk)
    return targets


def print_plans(plans: Sequence[BuildPlan], *, as_json: bool) -> None:
    """Prints each plan as a table, or all of them as JSON."""
    if as_json:
        print_json("plan", {"plans": [plan.to_json() for plan in plans]})
        return
    for plan in plans:
        _print_plan(plan)


def _print_plan(plan: BuildPlan) -> None:
    labels = ", ".join(accelerator.label for accelerator in plan.accelerators)
    print_table(
        ("plan", plan.key),
        (
            ("abi", plan.target.abi),
            *((("oldest API level", plan.target.min_os),) if plan.target.is_android else ()),
            ("profile", plan.flavour.name),
            ("root operators", len(plan.operator_list.operators)),
            ("custom classes", ", ".join(plan.operator_list.custom_classes) or "-"),
            ("kernels for", str(plan.dtypes)),
            ("because", plan.dtypes_reason),
            *((("accelerators", labels),) if labels else ()),
            ("static dispatch", ", ".join(plan.static_dispatch)),
            ("PyTorch", plan.release.version),
            ("sources", plan.release.source_digest[:16]),
            ("optional sources", ", ".join(name for name, _ in plan.features) or "-"),
            ("object folder", plan.objects_key),
        ),
    )
