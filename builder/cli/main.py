"""The command `builder`: runs a subcommand, and turns errors into exit codes."""

from __future__ import annotations

import errno
import io
import platform
import re
import shlex
import sys
import traceback
from pathlib import Path

import click

from builder import __version__
from builder.cli.commands import COMMANDS, LazyGroup
from builder.cli.console import echo, escape_names
from builder.errors import BuilderError, ExitCode

_CLICK_SENTENCE = re.compile(r"(?:Argument|Could not|Got|Invalid|Missing|No such|Option|Value)\b")
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
            echo(traceback.format_exc(), err=True, nl=False)
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
        _CLICK_SENTENCE.sub(lambda start: start[0].lower(), message).removesuffix("."),
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
    _print_error(*_describe_defect(error))
    return ExitCode.INTERNAL


def _show(text: str) -> str:
    # The options of the group are flags, so the first other word is the command.
    from builder.cli.hints import show_hint

    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    return show_hint(text, command) if command in COMMANDS else text


def _describe_defect(error: Exception) -> tuple[str, str]:
    """Returns message and hint for an unexpected error; the hint lists what to report."""
    package = Path(__file__).parents[1]
    steps = traceback.extract_tb(error.__traceback__)
    inside = [step for step in steps if Path(step.filename).is_relative_to(package)]
    # Only the innermost line of builder's own is shown; --debug shows all.
    where = [f"{Path(s.filename).relative_to(package.parent)}:{s.lineno}" for s in inside[-1:]]
    kind = type(error).__name__
    what = f"{kind}: {error}" if str(error) else kind
    command = shlex.join(["builder", *sys.argv[1:]])
    machine = f"{platform.system()} {platform.machine()}"
    return (
        f"this is a bug of builder: {', '.join((what, *where))}",
        "please report it with the input file and these lines:\n"
        f"  builder {__version__}, Python {platform.python_version()}, {machine}\n"
        f"  {command}\n"
        f"and with the output of: {shlex.join(['builder', '--debug', *sys.argv[1:]])}",
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
