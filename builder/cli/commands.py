"""The commands of `builder`: their names, and how the module of one is found."""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "bench": "Measure how fast a model runs on a built runtime.",
    "build": "Build a runtime with only the operators that models need.",
    "cache": "Show what is in the cache, and remove what is not needed.",
    "check": "Check whether a runtime can run a model, or whether a package follows the rules.",
    "completion": "Print a script for completion in the shell.",
    "doctor": "Show what is installed and what each target still needs.",
    "export": "Export a model for the lite interpreter, optimise it and check it.",
    "fetch": "Download the pinned sources and unpack them into a source tree.",
    "graph": "Show what the methods of a model compute, as a graph of operators.",
    "init": "Write the file builder.yaml for the models in this folder.",
    "lock": "Write down what builds are made with, for builder build --locked.",
    "ops": "Show the root operators of models, or write an operator list.",
    "plan": "Print what a build would do, without building.",
    "release": "Make the packages of builder.yaml, show that they work, and report.",
    "size": "Show which parts and operators of a runtime take how many bytes.",
    "verify": "Run a model on a built runtime and compare its outputs with PyTorch's.",
}
"""Names of the commands and their help in one line; a module is imported only when it is used."""


class LazyGroup(click.Group):
    """Imports the module of a command only when that command runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the command names."""
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Returns the command; None if no command has this name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        # Each command imports its own part of builder, which makes `--help` quick.
        module = importlib.import_module(f"builder.cli.{cmd_name}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Returns the command that is named first; UsageError names similar ones."""
        name = args[0]
        if name in COMMANDS or name.startswith("-"):
            return super().resolve_command(ctx, args)
        import difflib

        # click would look for similar names among commands that are registered, and none is.
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        if near:
            raise click.UsageError(f"No such command {name!r}. Did you mean {near[0]!r}?", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))
