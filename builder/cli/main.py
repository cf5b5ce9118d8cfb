"""The `builder` command: finds the command's module, and turns errors into exit codes."""

from __future__ import annotations

import importlib
import sys
import traceback

import click

from builder import __version__
from builder.errors import BuilderError

COMMANDS = {
    "bench": "Time a model on a built runtime, here or on a device.",
    "build": "Build the selective runtime for models or operator lists.",
    "check": "Say whether a built runtime can run a model, without running it.",
    "completion": "Print the shell completion script.",
    "doctor": "Say what is installed and what each target still needs.",
    "export": "Export a model for the lite interpreter, optimised and checked.",
    "fetch": "Materialise the pinned source tree.",
    "ops": "Show the root operators of models; write an operator list.",
    "plan": "Print all that a build would do.",
    "size": "Show where the bytes of a built runtime go.",
    "verify": "Run a model on a built runtime and compare with PyTorch.",
}
"""Command names and their one-line help; modules are imported only when used."""


class LazyGroup(click.Group):
    """Imports the module of a command only when that command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the command names."""
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Returns the command, or None when there is none of that name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"builder.cli.{cmd_name}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 fine, 2 configuration, 3 model or operators, 4 sources, 5 toolchain, "
    "6 native build, 7 packaging, 8 verification, 130 interrupted.",
)
@click.version_option(__version__, prog_name="builder")
@click.option("--debug", is_flag=True, help="Show tracebacks of errors.")
def cli(debug: bool) -> None:
    """Turns PyTorch models into the smallest mobile runtime that can run them.

    \b
    Examples:
      builder export mobilenet_v2 -o mobilenet_v2.ptl
      builder ops mobilenet_v2.ptl
      builder build mobilenet_v2.ptl --abi linux-x86_64 -o out
      builder verify mobilenet_v2.ptl --runtime out
    """
    del debug


def main() -> None:
    """Runs the command line and exits with its code."""
    debug = "--debug" in sys.argv[1:]
    try:
        code = cli.main(prog_name="builder", standalone_mode=False)
    except BuilderError as error:
        if debug:
            traceback.print_exc()
        _print_error(error.message, error.hint)
        sys.exit(int(error.exit_code))
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; run the same command again to continue", err=True)
        sys.exit(130)
    except OSError as error:
        if debug:
            traceback.print_exc()
        _print_error(_describe_os_error(error), "free some space" if error.errno == 28 else None)
        sys.exit(2)
    sys.exit(code if isinstance(code, int) else 0)


def _describe_os_error(error: OSError) -> str:
    where = f": {error.filename}" if error.filename else ""
    return f"{error.strerror or error}{where}"


def _print_error(message: str, hint: str | None) -> None:
    click.echo(click.style("error: ", fg="red", bold=True) + message, err=True)
    if hint:
        click.echo(click.style("hint: ", fg="cyan", bold=True) + hint, err=True)


if __name__ == "__main__":
    main()
