"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

from builder.system.machine import host_architecture

inputs_argument = click.argument(
    "models", metavar="MODEL...", nargs=-1, required=True, type=click.Path(path_type=Path)
)

abi_option = click.option(
    "--abi",
    default=f"linux-{host_architecture()}",
    show_default=True,
    help="What to build for; `builder doctor` lists the known ones.",
)
