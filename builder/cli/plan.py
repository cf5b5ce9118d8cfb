"""`builder plan`: prints what a build would do."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from builder import api
from builder.api.settings import BuildSettings
from builder.cli.configured import (
    ChosenProduct,
    ConfigurationAsked,
    choose_products,
    configuration_options,
    naming_product,
)
from builder.cli.console import ConsoleProgress, print_json, print_table, printing_json
from builder.cli.locked import LockAsked, find_lock, lock_options, read_locked
from builder.cli.settings_options import settings_options

if TYPE_CHECKING:
    from builder.api.build_locks import LockedProduct
    from builder.api.products import Values
    from builder.core.plan import BuildPlan

_NOT_IN_PLANS = ("budgets", "request.jobs", "request.lock_timeout")
"""Settings that decide neither a plan nor whether a build begins."""


@click.command("plan")
@settings_options(BuildSettings, "settings", without=_NOT_IN_PLANS, typed="given")
@configuration_options(export=False)
@lock_options("Make the plans with the tools of the lock, which need not be on this machine")
@click.option("--json", "as_json", is_flag=True, help="Print the whole plan as JSON.")
def command(
    settings: BuildSettings,
    given: Values,
    asked: ConfigurationAsked,
    lock: LockAsked,
    as_json: bool,
) -> None:
    """Prints what `builder build` would do for the same arguments, without building.

    What builder build refuses before it compiles anything is refused here too, with the same words
    and the same exit code. builder build --dry-run does the same.

    Builds whose plans have the same key produce the same bytes. Without MODEL, the settings are
    those of the file builder.yaml in this folder, if there is one.

    With --locked, neither compiler nor NDK nor SDK is needed: their versions are those of the file
    that builder lock has written. If the models, the settings, the sources or builder itself are
    no longer those of the lock, the plans are printed, and the exit code is not 0.

    \b
    Examples:
      builder plan mobilenet_v2.ptl
      builder plan ops.yaml --abi linux-x86_64 --json
      builder plan --config app/builder.yaml --product detector
      builder plan --locked
    """
    products = choose_products(settings, given, asked, locked=lock.is_asked)
    if not lock.is_asked:
        print_plans(plan_products(products), as_json=as_json)
        return
    locked = read_locked(products, lock, asked)
    made = []
    for one, known in zip(products, locked, strict=True):
        with naming_product(one, products):
            made.append((one, _plan_locked(one, known)))
    answer = printing_json("plan", _describe_plans(made))
    if not as_json:
        print_plans(made, as_json=False)
    # At the end: a plan that is not that of the lock is of use for finding out why.
    with answer if as_json else nullcontext():
        for (one, plans), known in zip(made, locked, strict=True):
            api.refuse_other_plans(plans, one.settings.request, known)
        # A part of the products or of the ABIs says nothing of the others.
        if not asked.products and ("targets", "abis") not in given:
            path = find_lock(lock, asked)
            wanted = {one.name: one.targets for one in products}
            api.refuse_stale(path, api.read_lock(path), wanted)


def plan_products(
    products: Sequence[ChosenProduct],
) -> list[tuple[ChosenProduct, Sequence[BuildPlan]]]:
    """Returns the plans of each product, made as `builder build` makes them."""
    builds = [one.make_build() for one in products]
    plans = api.plan_builds(builds, progress=ConsoleProgress())
    return list(zip(products, plans, strict=True))


def _plan_locked(product: ChosenProduct, locked: LockedProduct) -> list[BuildPlan]:
    settings = product.settings
    return api.plan_locked(settings.request, product.targets, locked)


def print_plans(
    made: Sequence[tuple[ChosenProduct, Sequence[BuildPlan]]], *, as_json: bool
) -> None:
    """Prints each plan of each product as a table, or all of them as JSON."""
    if as_json:
        print_json("plan", _describe_plans(made))
        return
    for product, plans in made:
        for plan in plans:
            _print_plan(product.name, plan)


def _describe_plans(
    made: Sequence[tuple[ChosenProduct, Sequence[BuildPlan]]],
) -> dict[str, object]:
    described = [
        {**plan.to_json(), **({"product": product.name} if product.name else {})}
        for product, plans in made
        for plan in plans
    ]
    return {"plans": described}


def _print_plan(name: str, plan: BuildPlan) -> None:
    labels = ", ".join(accelerator.label for accelerator in plan.accelerators)
    print_table(
        ("plan", plan.key),
        (
            *((("product", name),) if name else ()),
            ("abi", plan.target.abi),
            *((("oldest API level", plan.target.min_os),) if plan.target.is_android else ()),
            ("profile", plan.flavour.name),
            ("root operators", len(plan.operator_list.operators)),
            ("custom classes", ", ".join(plan.operator_list.custom_classes) or "-"),
            ("kernels for", str(plan.dtypes)),
            ("because", plan.dtypes_reason),
            ("core", str(plan.core)),
            *((("because", plan.core_reason),) if plan.core_reason != "as asked" else ()),
            *((("accelerators", labels),) if labels else ()),
            ("static dispatch", ", ".join(plan.static_dispatch)),
            ("PyTorch", plan.release.version),
            ("sources", plan.release.source_digest[:16]),
            ("optional sources", ", ".join(name for name, _ in plan.features) or "-"),
            ("object folder", plan.objects_key),
        ),
    )
