"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

from builder.core.budgets import Budget, parse_budget
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
