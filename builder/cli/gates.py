"""Refuses options that would have no effect, so that nobody relies on a check that is not made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from builder.errors import ConfigurationError

if TYPE_CHECKING:
    from builder.core.budgets import Budgets
    from builder.core.targets import Target

_ANDROID = (
    *("--ndk", "--stl", "--page-size", "--group", "--artifact", "--aar-version", "--prefab"),
)
_APPLE = ("--apple-sdk", "--pod-version", "--xcframework-url")
_LINUX = ("--jni", "--static", "--sysroot")
_PACKAGED = ("--asset",)


def refuse_idle_options(targets: Sequence[Target]) -> None:
    """Raises ConfigurationError for options on the command line that apply to none of `targets`.

    Values from environment variables are accepted, because they are meant for all builds.
    """
    abis = ", ".join(map(str, targets))
    android = any(target.is_android for target in targets)
    apple = any(target.is_apple for target in targets)
    linux = not all(target.is_android or target.is_apple for target in targets)
    for names, fits, whose, example in (
        (_ANDROID, android, "Android", "arm64-v8a"),
        (_APPLE, apple, "Apple's systems", "ios-arm64"),
        (_LINUX, linux, "Linux", "linux-x86_64"),
        (_PACKAGED, android or apple, "Android or Apple's systems", "arm64-v8a"),
    ):
        idle = [] if fits else list_given(names)
        if idle:
            options = " ".join(idle)
            raise ConfigurationError(
                f"{options} has no effect: it is for {whose}, and this build is for {abis}",
                hint=f"add an ABI for {whose}, e.g. --abi {example}, or leave out {options}",
            )


def refuse_idle_budgets(budgets: Budgets, abis: Sequence[str]) -> None:
    """Raises ConfigurationError for a budget of an ABI that is not among `abis`."""
    for name, budget in budgets.list_idle(abis):
        option = f"--{name.replace('_', '-')}"
        raise ConfigurationError(
            f"{option} {budget.text}: there is no ABI {budget.abi} here, only {', '.join(abis)}",
            hint=f"give a budget for one of these, or one for all: {option} SIZE",
        )


def list_given(options: Sequence[str]) -> list[str]:
    """Returns which of these options of the current command are given on its command line."""
    context = click.get_current_context()
    parameters = {parameter.opts[0]: str(parameter.name) for parameter in context.command.params}
    return [
        option
        for option in options
        # Defaults are always there, so only the source tells what was typed.
        if option in parameters
        and context.get_parameter_source(parameters[option]) is ParameterSource.COMMANDLINE
    ]
