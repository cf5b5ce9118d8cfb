"""Arguments and options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from builder.core.budgets import Budget, parse_budget
from builder.core.dtypes import DtypeSet
from builder.core.profile import Flavour, Profile
from builder.system.machine import host_abi
from builder.system.places import locate_op_list


def inputs_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds MODEL... and --ops-list, which `command` gets as `models`."""
    argument = click.argument(
        "models", metavar="MODEL...", nargs=-1, type=click.Path(path_type=Path)
    )
    lists = click.option(
        "--ops-list",
        "names",
        multiple=True,
        metavar="NAME",
        help="An operator list that ships with builder, e.g. mobilenet_v2, or a file.",
    )

    @functools.wraps(command)
    def with_lists(*, models: tuple[Path, ...], names: tuple[str, ...], **others: object) -> object:
        if not models and not names:
            raise click.UsageError("Missing argument 'MODEL...', or --ops-list NAME.")
        return command(models=(*models, *map(locate_op_list, names)), **others)

    return argument(lists(with_lists))


abi_option = click.option(
    "--abi",
    default=host_abi(),
    show_default=True,
    help="What to build for; `builder doctor` lists the known ones.",
)


def flavour_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --profile and --strip-error-messages, which `command` gets as one `flavour`."""
    messages = click.option(
        "--strip-error-messages",
        is_flag=True,
        help="Failed checks name their condition and file only; the library gets smaller.",
    )
    profiles = click.option(
        "--profile",
        type=click.Choice([str(profile) for profile in Profile]),
        default=str(Profile.SIZE),
        show_default=True,
        help="What to optimise for.",
    )

    @functools.wraps(command)
    def with_flavour(*, profile: str, strip_error_messages: bool, **others: object) -> object:
        flavour = Flavour(profile=Profile(profile), strip_error_messages=strip_error_messages)
        return command(flavour=flavour, **others)

    return profiles(messages(with_flavour))


def _parse_dtypes(ctx: click.Context, param: click.Parameter, value: str) -> DtypeSet | None:
    del ctx, param
    if value == "auto":
        return None
    try:
        return DtypeSet.of(name.strip() for name in value.split(","))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


dtypes_option = click.option(
    "--dtypes",
    metavar="LIST",
    default="auto",
    show_default=True,
    callback=_parse_dtypes,
    help="Compile kernels for these dtypes only, e.g. float32,int64,bool. all: for every dtype. "
    "auto: for those that can occur in the models, for all where that cannot be known.",
)


class BudgetType(click.ParamType):  # type: ignore[type-arg]
    """`2.5MB`, or `linux-x86_64=2.5MB` for one ABI."""

    name = "[ABI=]SIZE"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Budget:
        """Returns the budget, or fails as click has it."""
        try:
            return value if isinstance(value, Budget) else parse_budget(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


max_size_option = click.option(
    "--max-size",
    type=BudgetType(),
    multiple=True,
    help="Exit with 8 when the stripped library is larger: 2.5MB, 900KiB; once more per ABI.",
)
max_compressed_option = click.option(
    "--max-compressed",
    type=BudgetType(),
    multiple=True,
    help="The same for the library as a download compresses it.",
)
