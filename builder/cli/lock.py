"""`builder lock`: writes down what builds are made with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from builder import api
from builder.api.settings import LOCK, BuildSettings
from builder.cli.configured import (
    ConfigurationAsked,
    choose_products,
    configuration_options,
    naming_product,
)
from builder.cli.console import ConsoleProgress, echo, print_table
from builder.cli.locked import place_lock
from builder.cli.option_types import PathType
from builder.cli.settings_options import settings_options
from builder.system.outputs import refuse_unwritable

if TYPE_CHECKING:
    from builder.api.products import Values

_NOT_IN_LOCKS = (
    *("budgets", "output", "request.jobs", "request.lock_timeout", "request.skip_unknown"),
    *("packages.apple", "packages.linux.static", "packages.assets"),
    *("packages.android.group", "packages.android.artifact", "packages.android.version"),
)
"""Settings that decide nothing of a lock; Prefab modules and JVMs have other libraries."""


@click.command("lock")
@settings_options(BuildSettings, "settings", without=_NOT_IN_LOCKS, typed="given")
@configuration_options(export=False, verb="Lock")
@click.option(
    "-o",
    "--output",
    "path",
    type=PathType(dir_okay=False),
    metavar="FILE",
    help=f"The lock to write (default: {LOCK} beside the file with the settings, or in this "
    "folder).",
)
def command(
    settings: BuildSettings, given: Values, asked: ConfigurationAsked, path: Path | None
) -> None:
    """Writes down what builds are made with, so that builder build --locked refuses anything else.

    The lock has, for each product and ABI, the versions of the tools, the release of PyTorch with
    its sources and patches, the options, the operators, and the keys of the plans. Nothing is
    compiled. Put the file under version control. It fits as long as the models need the same
    operators, also if their weights change.

    \b
    Examples:
      builder lock
      builder lock mobilenet_v2.ptl --abi linux-x86_64
      builder lock --config app/builder.yaml -o app/builder.lock
    """
    products = choose_products(settings, given, asked)
    path = path or place_lock(asked)
    # Before the plans, which take a while.
    refuse_unwritable(path)
    locked, progress = {}, ConsoleProgress()
    for one in products:
        request, options = one.settings.request, one.settings.packages
        with naming_product(one, products):
            locked[one.name] = api.lock_build(request, one.targets, options, progress=progress)
    api.write_lock(path, locked)
    print_table(
        ("lock", str(path)),
        (
            (f"{product} {abi}".strip(), target.tools.cxx)
            for product, build in locked.items()
            for abi, target in build.targets.items()
        ),
    )
    echo("next: builder build --locked")
