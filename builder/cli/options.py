"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from builder.core.profile import Profile
from builder.system.machine import host_architecture

_Command = TypeVar("_Command", bound=Callable[..., Any])

inputs_argument = click.argument(
    "models", metavar="MODEL...", nargs=-1, required=True, type=click.Path(path_type=Path)
)

abi_option = click.option(
    "--abi",
    default=f"linux-{host_architecture()}",
    show_default=True,
    help="What to build for; `builder doctor` lists the known ones.",
)


def flavour_options(command: _Command) -> _Command:
    """Adds --profile and --strip-error-messages."""
    messages = click.option(
        "--strip-error-messages",
        is_flag=True,
        help="Failed checks name their condition and file only; the library gets smaller.",
    )
    profile = click.option(
        "--profile",
        type=click.Choice([str(profile) for profile in Profile]),
        default=str(Profile.SIZE),
        show_default=True,
        help="What to optimise for.",
    )
    return profile(messages(command))
