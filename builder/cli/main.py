"""The `builder` command: finds the command's module, and turns errors into exit codes."""

from __future__ import annotations

import errno
import importlib
import io
import platform
import shlex
import sys
import traceback
from pathlib import Path

import click

from builder import __version__
from builder.cli.console import echo
from builder.errors import BuilderError, ExitCode

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
    "6 native build, 7 packaging, 8 verification, 70 a bug of builder, 130 interrupted.",
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
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # locales without all letters
    try:
        code = cli.main(prog_name="builder", standalone_mode=False)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        echo(shown.getvalue(), err=True, nl=False)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        echo("interrupted; run the same command again to continue", err=True)
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - no exception reaches a user as a traceback
        if debug:
            echo(traceback.format_exc(), err=True, nl=False)
        sys.exit(_report(error))
    sys.exit(code if isinstance(code, int) else 0)


def _report(error: Exception) -> ExitCode:
    """Prints what is to be said of an error, and returns its exit code."""
    match error:
        case BuilderError():
            _print_error(error.message, error.hint)
            return error.exit_code
        case OSError():
            full = error.errno == errno.ENOSPC
            _print_error(_describe_os_error(error), "free some space" if full else None)
            return ExitCode.CONFIGURATION
    _print_error(*_describe_defect(error))
    return ExitCode.INTERNAL


def _describe_defect(error: Exception) -> tuple[str, str]:
    """Returns message and hint for what no part of builder expects: what to report."""
    package = Path(__file__).parents[1]
    steps = traceback.extract_tb(error.__traceback__)
    own = [step for step in steps if Path(step.filename).is_relative_to(package)]
    where = [f"{Path(s.filename).relative_to(package.parent)}:{s.lineno}" for s in own[-1:]]
    kind = type(error).__name__
    what = f"{kind}: {error}" if str(error) else kind
    command = shlex.join(["builder", *sys.argv[1:]])
    machine = f"{platform.system()} {platform.machine()}"
    return (
        f"this is a bug of builder: {', '.join((what, *where))}",
        "please report it, with the file that it happens with and these lines:\n"
        f"  builder {__version__}, Python {platform.python_version()}, {machine}\n"
        f"  {command}\n"
        f"and what this shows: {shlex.join(['builder', '--debug', *sys.argv[1:]])}",
    )


def _describe_os_error(error: OSError) -> str:
    where = f": {error.filename}" if error.filename else ""
    return f"{error.strerror or error}{where}"


def _print_error(message: str, hint: str | None) -> None:
    echo(message, mark=click.style("error: ", fg="red", bold=True), err=True)
    if hint:
        echo(hint, mark=click.style("hint: ", fg="cyan", bold=True), err=True)


if __name__ == "__main__":
    main()
