"""The command `builder`: runs a subcommand, and turns errors into exit codes."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from itertools import takewhile
from typing import TYPE_CHECKING

import click

from builder import __version__
from builder.cli.commands import LazyGroup
from builder.cli.console import (
    drop_closed_streams,
    echo,
    escape_names,
    forget_json,
    has_printed_json,
    print_json,
)
from builder.errors import ExitCode

if TYPE_CHECKING:
    from builder.cli.failures import Failure


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 success, 2 configuration, 3 model or operators, 4 sources, 5 toolchain, "
    "6 native build, 7 packaging, 8 verification, 9 rules, 10 size, 70 a bug of builder, "
    "130 interrupted.",
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
    _open_closed_streams()
    escape_names(sys.argv[1:])
    forget_json()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # the locale may lack characters
    streams = (sys.stdout, sys.stderr)
    try:
        # Nobody answered the signal while modules were imported (builder/__main__.py).
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        # click's own mode would print errors unescaped, and exit with 1 for some of them.
        code = cli.main(prog_name="builder", standalone_mode=False)
    except SystemExit as ended:
        # click's answer to a closed pipe, which is that of its reader when click printed the help.
        closed = drop_closed_streams(*streams)
        sys.exit(0 if closed else _report(ended.__context__ or ended))
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - no user sees a traceback
        sys.exit(_report(error))
    sys.exit(code if isinstance(code, int) else 0)


def _open_closed_streams() -> None:
    """Opens the standard streams that the caller has closed, for nothing.

    Otherwise the next file or pipe would get the number of a stream, and programs that builder
    starts would write into it.
    """
    for descriptor, mode in enumerate(("r", "w", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number, which is this one.
            os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, True)
            name = ("stdin", "stdout", "stderr")[descriptor]
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8", closefd=False))


def _report(error: BaseException) -> int:
    """Prints an error as text and, if the user wants JSON, as JSON; returns the exit code."""
    # Who presses the keys again is still told what the first time has done.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return _tell(error)
    finally:
        signal.signal(signal.SIGINT, before)


def _tell(error: BaseException) -> int:
    # click raises the help itself, where a group gets no arguments at all.
    if (text := _find_help(error)) is not None:
        echo(text, err=True)
        return ExitCode.CONFIGURATION
    from builder.cli.failures import describe_failure

    if "--debug" in sys.argv[1:] and not isinstance(error, click.ClickException):
        from builder.cli.defects import format_traceback

        echo(format_traceback(error), err=True, nl=False)
    failure = describe_failure(error)
    # Nobody can be told when stderr is what failed; the exit code still says it.
    with suppress(OSError):
        _print_error(failure)
    # An answer that was printed before has the error as a field.
    if _wants_json(sys.argv[1:]) and not has_printed_json():
        # stdout may be what failed; the text on stderr has said so.
        with suppress(OSError):
            print_json("error", {"error": failure.to_json()})
    return failure.exit_code


def _find_help(error: BaseException) -> str | None:
    context = error.ctx if isinstance(error, click.UsageError) else None
    text = None if context is None else context.get_help()
    return text if isinstance(error, click.UsageError) and error.format_message() == text else None


def _wants_json(arguments: Sequence[str]) -> bool:
    # Behind `--`, everything is an argument.
    return "--json" in takewhile(lambda argument: argument != "--", arguments)


def _print_error(failure: Failure) -> None:
    if failure.code == "interrupted":
        echo(failure.message, err=True)
        return
    echo(failure.message, mark=click.style("error: ", fg="red", bold=True), err=True)
    if failure.hint:
        echo(failure.hint, mark=click.style("hint: ", fg="cyan", bold=True), err=True)


if __name__ == "__main__":
    main()
