"""`builder plan`: prints what a build would do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from builder import api
from builder.cli.console import print_json, print_table
from builder.cli.gates import refuse_idle_options
from builder.cli.options import (
    abis_option,
    accelerator_options,
    dtypes_option,
    flavour_options,
    inputs_argument,
    min_api_option,
    min_ios_option,
    toolchain_options,
)

if TYPE_CHECKING:
    from builder.core.backends import Backend
    from builder.core.dtypes import DtypeSet
    from builder.core.plan import BuildPlan, Flavour
    from builder.core.toolchain import ToolchainOptions


@click.command("plan")
@inputs_argument
@abis_option
@flavour_options
@dtypes_option
@toolchain_options
@min_api_option
@min_ios_option
@accelerator_options
@click.option("--json", "as_json", is_flag=True, help="Print the whole plan as JSON.")
def command(
    models: tuple[Path, ...],
    abis: tuple[str, ...],
    min_api: int | None,
    min_ios: str | None,
    flavour: Flavour,
    dtypes: DtypeSet | None,
    tools: ToolchainOptions,
    accelerators: tuple[Backend, ...],
    as_json: bool,
) -> None:
    """Prints what `builder build` would do for the same arguments, without building.

    Builds whose plans have the same key produce the same bytes.

    \b
    Examples:
      builder plan mobilenet_v2.ptl
      builder plan ops.yaml --abi linux-x86_64 --json
    """
    request = api.BuildRequest(
        inputs=models, flavour=flavour, dtypes=dtypes, tools=tools, accelerators=accelerators
    )
    targets = api.locate_targets(abis, min_api=min_api, min_ios=min_ios)
    refuse_idle_options(targets)
    api.refuse_frameworks(accelerators, targets, tools.apple_sdk)
    print_plans(api.plan_builds(request, targets), as_json=as_json)


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
            ("PyTorch", plan.source_version),
            ("sources", plan.source_digest[:16]),
            ("optional sources", ", ".join(name for name, _ in plan.features) or "-"),
            ("shared objects", plan.objects_key),
        ),
    )
