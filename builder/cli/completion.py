"""`builder completion`: prints a script for completion in the shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "fish", "zsh")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Prints the script that completes commands and options of builder in a shell.

    \b
    Examples:
      builder completion bash > ~/.local/share/bash-completion/completions/builder
      builder completion zsh > ~/.zfunc/_builder
    """
    from builder.cli.main import cli  # at the top it would be circular: main imports commands

    completer = get_completion_class(shell)
    assert completer is not None
    click.echo(completer(cli, {}, "builder", "_BUILDER_COMPLETE").source())
