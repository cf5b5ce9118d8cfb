"""`builder plan`: all that a build would do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from builder.cli.console import print_json, print_table
from builder.cli.options import abi_option, dtypes_option, flavour_options, inputs_argument

if TYPE_CHECKING:
    from builder.core.dtypes import DtypeSet
    from builder.core.plan import BuildPlan
    from builder.core.profile import Flavour


@click.command("plan")
@inputs_argument
@abi_option
@flavour_options
@dtypes_option
@click.option("--json", "as_json", is_flag=True, help="Print the whole plan as JSON.")
def command(
    models: tuple[Path, ...],
    abi: str,
    flavour: Flavour,
    dtypes: DtypeSet | None,
    as_json: bool,
) -> None:
    """Prints what `builder build` would do for the same arguments, and builds nothing.

    Two plans with one key give the same bytes.

    \b
    Examples:
      builder plan mobilenet_v2.ptl
      builder plan ops.yaml --abi linux-x86_64 --json
    """
    from builder import api

    target = api.locate_target(abi)
    toolchain = api.locate_toolchain(target)
    plan = api.plan_build(models, target, toolchain=toolchain, flavour=flavour, dtypes=dtypes)
    print_plan(plan, as_json=as_json)


def print_plan(plan: BuildPlan, *, as_json: bool) -> None:
    """Prints `plan` as JSON or as a table."""
    if as_json:
        print_json(plan.to_json())
        return
    print_table(
        ("plan", plan.key),
        (
            ("abi", plan.target.abi),
            ("profile", plan.flavour.name),
            ("root operators", len(plan.operator_list.operators)),
            ("custom classes", ", ".join(plan.operator_list.custom_classes) or "-"),
            ("kernels for", str(plan.dtypes)),
            ("because", plan.dtypes_reason),
            ("static dispatch", ", ".join(plan.static_dispatch)),
            ("PyTorch", plan.source_version),
            ("sources", plan.source_digest[:16]),
            ("optional sources", ", ".join(name for name, _ in plan.features) or "-"),
            ("shared objects", plan.objects_key),
        ),
    )
