"""The command `builder`: runs a subcommand, and turns errors into exit codes."""

from __future__ import annotations

import errno
import io
import re
import sys

import click

from builder import __version__
from builder.cli.commands import COMMANDS, LazyGroup
from builder.cli.console import echo, escape_names
from builder.errors import BuilderError, ExitCode

_CLICK_SENTENCE = r"(?:Argument|Could not|Got|Invalid|Missing|No such|Option|Value)\b"
"""How click's own messages begin; others may begin with the name of a file, which is kept."""


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 success, 2 configuration, 3 model or operators, 4 sources, 5 toolchain, "
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
    """Runs the command line and ends the process with its exit code."""
    debug = "--debug" in sys.argv[1:]
    escape_names(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # the locale may lack characters
    try:
        # click's own mode would print errors unescaped, and exit with 1 for some of them.
        code = cli.main(prog_name="builder", standalone_mode=False)
    except click.ClickException as error:
        sys.exit(_report_usage(error))
    # click turns Ctrl-C into Abort in places.
    except (click.Abort, KeyboardInterrupt):
        echo("interrupted; run the same command again to continue", err=True)
        sys.exit(130)  # as shells report SIGINT: 128 + 2
    except Exception as error:  # noqa: BLE001 - no exception reaches a user as a traceback
        if debug:
            from builder.cli.defects import format_traceback

            echo(format_traceback(error), err=True, nl=False)
        sys.exit(_report(error))
    sys.exit(code if isinstance(code, int) else 0)


def _report_usage(error: click.ClickException) -> ExitCode:
    """Prints what is wrong with the arguments in the style of all other errors."""
    message = error.format_message()
    context = error.ctx if isinstance(error, click.UsageError) else None
    # click raises the help itself, where a group gets no arguments at all.
    if context is not None and message == context.get_help():
        echo(message, err=True)
        return ExitCode.CONFIGURATION
    command = "builder" if context is None else context.command_path
    _print_error(
        re.sub(_CLICK_SENTENCE, lambda start: start[0].lower(), message).removesuffix("."),
        f"see how it is used: {command} --help",
    )
    return ExitCode.CONFIGURATION


def _report(error: Exception) -> ExitCode:
    """Prints the message and the hint of an error, and returns its exit code."""
    match error:
        case BuilderError():
            _print_error(error.message, _show(error.hint) if error.hint else None)
            return error.exit_code
        case OSError():
            full = error.errno == errno.ENOSPC
            _print_error(_describe_os_error(error), "free some space" if full else None)
            return ExitCode.CONFIGURATION
    from builder.cli.defects import describe_defect

    _print_error(*describe_defect(error))
    return ExitCode.INTERNAL


def _show(text: str) -> str:
    # The options of the group are flags, so the first other word is the command.
    from builder.cli.hints import show_hint

    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    return show_hint(text, command) if command in COMMANDS else text


def _describe_os_error(error: OSError) -> str:
    where = f": {error.filename}" if error.filename else ""
    return f"{error.strerror or error}{where}"


def _print_error(message: str, hint: str | None) -> None:
    echo(message, mark=click.style("error: ", fg="red", bold=True), err=True)
    if hint:
        echo(hint, mark=click.style("hint: ", fg="cyan", bold=True), err=True)


if __name__ == "__main__":
    main()
