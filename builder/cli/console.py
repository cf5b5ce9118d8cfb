"""Prints results and progress on a terminal, in a log and as JSON."""

from __future__ import annotations

import os
import re
import select
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

import click

from builder.errors import BuilderError, Hint

SCHEMA_VERSIONS = {
    "bench": 1,
    "build": 1,
    "cache": 1,
    "check": 1,
    "doctor": 1,
    "error": 1,
    "export": 1,
    "fetch": 1,
    "graph": 1,
    "ops": 1,
    "plan": 1,
    "release": 1,
    "size": 1,
    "verify": 1,
}
"""Versions of the `--json` outputs; raised when a field is removed or changes its meaning."""
_WIDEST = 120
"""Largest width to which cells are padded: a name in a foreign file may be thousands of characters
long."""
_CLEAR = "\r\033[K"
"""Moves the cursor to the start of the line and clears the rest of it (ECMA-48, CR and EL)."""
_BIDI = "\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"
"""Characters that change the order in which a terminal shows text, or that end a line (Unicode
Standard Annex 9, and the separators U+2028 and U+2029)."""
_CONTROLS = rf"[\x00-\x08\x0b-\x1f\x7f-\x9f{_BIDI}\ud800-\udfff]"
_CONTROLS_OF_CELLS = rf"[\x00-\x1f\x7f-\x9f{_BIDI}\ud800-\udfff]"
_CONTROLS_OF_JSON = rf"[\x7f-\x9f{_BIDI}\ud800-\udfff]"
"""Patterns, which few texts need: `str.isprintable` is false for each of these characters."""
_COMMANDS_OF_LINES = re.compile(r"^([^\S\n]*)::(?=.*::)", re.MULTILINE)
_COMMANDS_IN_LINES = re.compile(r"##(?=\[|vso\[)", re.IGNORECASE)
"""What GitHub's and Azure's logs obey: `::name::` at the start of a line, also behind spaces, and
`##[name]` and `##vso[name]` anywhere in it."""


def echo(text: str = "", *, mark: str = "", err: bool = False, nl: bool = True) -> None:
    """Prints a text, which may quote a foreign file: its control characters are escaped.

    Everything that the command line prints goes through this function or through `print_json`.

    Args:
        text: the text; its line breaks and tabs are kept.
        mark: a prefix that is printed unchanged, so it may contain colours; only builder's own.
            The lines after the first are indented then, so that none looks as if it had a mark.
        err: whether the text goes to stderr.
        nl: whether a line break follows the text.
    """
    # Names first: afterwards their line breaks could not be told from builder's own.
    for name in _names:
        text = text.replace(name, escape_controls(name, _CONTROLS_OF_CELLS))
    if mark:
        text = re.sub(r"\n(?=[^\s])", "\n  ", text)
    _write(mark + escape_controls(text), err=err, nl=nl)


def _write(text: str, *, err: bool = False, nl: bool = True) -> None:
    try:
        click.echo(_defuse(text), err=err, nl=nl)
    except BrokenPipeError:
        # The reader, such as `head`, has enough. The work goes on, for the sake of its exit code.
        _write_to_nothing(sys.stderr if err else sys.stdout)
    except OSError as error:
        stream = "standard error" if err else "standard output"
        raise OSError(error.errno, error.strerror, stream) from error


def _defuse(text: str) -> str:
    """Returns a text in which nothing is a command to a log of CI."""
    if "##" in text:
        text = _COMMANDS_IN_LINES.sub(r"#\\x23", text)
    if "::" in text:
        text = _COMMANDS_OF_LINES.sub(r"\1\\x3a:", text)
    return text


def drop_closed_streams(*streams: TextIO) -> bool:
    """Makes streams write to nothing whose readers have closed them; returns whether one had."""
    closed = [one for one in streams if _is_closed(one)]
    for stream in closed:
        _write_to_nothing(stream)
    return bool(closed)


def _is_closed(stream: TextIO) -> bool:
    """Returns whether the stream is a pipe that nobody reads any more (poll(2))."""
    asked = select.poll()
    asked.register(stream, select.POLLOUT)
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in asked.poll(0))


def _write_to_nothing(stream: TextIO) -> None:
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, stream.fileno())
    os.close(nothing)


def escape_names(arguments: Iterable[str]) -> None:
    """Makes `echo` escape the line breaks in names of files that are on the command line.

    A shell's pattern, such as `*.ptl`, can give a name that somebody else has chosen; in a message
    its line breaks must not look like lines of builder's own.
    """
    parts = {part for argument in arguments for part in argument.replace("=", "/").split("/")}
    odd = {part for part in parts if escape_controls(part, _CONTROLS_OF_CELLS) != part}
    # A name may be a part of another one.
    _names[:] = sorted(odd, key=len, reverse=True)


_names: list[str] = []


def print_line(text: str) -> None:
    """Prints one line that may quote foreign files; their line breaks are escaped too."""
    echo(escape_controls(text, _CONTROLS_OF_CELLS))


def escape_controls(text: str, controls: str = _CONTROLS) -> str:
    """Returns `text` with control characters (C0, C1, bidirectional) written like `\\x1b`."""
    if text.isprintable():
        return text
    return re.sub(controls, _escape, text)


def print_json(command: str, value: Mapping[str, Any]) -> None:
    """Prints the answer of a command as JSON, with the version of its schema.

    Args:
        command: the command whose schema the value follows, `builder/schemas/<command>.json`.
        value: the fields to print, without the version.
    """
    _write(render_json(command, value))
    _printed.append(command)


@contextmanager
def printing_json(command: str, value: Mapping[str, Any]) -> Iterator[None]:
    """Prints the answer of a command as `print_json` does, after the checks in the block.

    If the block raises a BuilderError, the answer has it as the field `error`, so that there is one
    JSON document on stdout in any case.
    """
    try:
        yield
    except BuilderError as error:
        from builder.cli.failures import describe_failure

        print_json(command, {**value, "error": describe_failure(error).to_json()})
        raise
    print_json(command, value)


def has_printed_json() -> bool:
    """Returns whether this run of the command line has printed JSON."""
    return bool(_printed)


def forget_json() -> None:
    """Begins a run of the command line, which has printed no JSON yet."""
    _printed.clear()


_printed: list[str] = []


def render_json(command: str, value: Mapping[str, Any]) -> str:
    """Returns `value` with the version of the command's schema as sorted JSON."""
    # A table for people is the usual output, and needs no module for JSON.
    import json

    versioned = {**value, "schema": SCHEMA_VERSIONS[command]}
    text = json.dumps(versioned, indent=2, sort_keys=True, ensure_ascii=False)
    # json.dumps escapes C0 only, and a terminal obeys the others as well.
    text = re.sub(_CONTROLS_OF_JSON, lambda match: f"\\u{ord(match[0]):04x}", text)
    # A log of CI looks into JSON too; the escape there has the same meaning.
    return _COMMANDS_IN_LINES.sub(r"#\\u0023", text)


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints aligned columns, numbers to the right, as plain text that other programs can read.

    Inside of `printing_markdown`, the table is printed as Markdown.
    """
    if _markdown:
        from builder.formats.documents import Table, render_markdown_table

        texts = tuple(tuple(map(str, row)) for row in rows)
        _write(render_markdown_table(Table(header=tuple(header), rows=texts)), nl=False)
        return
    cells = [[escape_controls(str(cell), _CONTROLS_OF_CELLS) for cell in row] for row in rows]
    widths = [
        min(max([len(h), *(len(row[i]) for row in cells)]), _WIDEST) for i, h in enumerate(header)
    ]
    echo("  ".join(h.ljust(w) for h, w in zip(header, widths, strict=True)).rstrip())
    echo("  ".join("-" * w for w in widths))
    for row in cells:
        aligned = (
            cell.rjust(width) if _is_number(cell) else cell.ljust(width)
            for cell, width in zip(row, widths, strict=True)
        )
        echo("  ".join(aligned).rstrip())


@contextmanager
def printing_markdown(*, wanted: bool = True) -> Iterator[None]:
    """Makes `print_table` print Markdown in the block, if it is wanted."""
    _markdown.extend([True] * wanted)
    try:
        yield
    finally:
        _markdown.clear()


_markdown: list[bool] = []


class ConsoleProgress:
    """Shows progress on stderr: one line that changes on a terminal, a few lines in a log."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        # A log keeps every line, so only a terminal gets one that changes.
        self._live = sys.stderr.isatty()
        self._started = time.monotonic()
        self._last = 0.0

    def step(self, text: str) -> None:
        """Prints which step begins, and restarts the clock for the estimate of the time to go."""
        self._started = time.monotonic()
        self._last = 0.0
        self._line(text, click.style("==> ", fg="blue", bold=True))

    def note(self, text: str) -> None:
        """Prints a remark; settings and commands in it are shown as they are typed."""
        if isinstance(text, Hint):
            from builder.cli.failures import show_typed

            text = show_typed(text)
        self._line(text, "    ")

    def advance(self, done: int, total: int, what: str) -> None:
        """Shows the count, an estimate of the time to go, and the current item."""
        now = time.monotonic()
        finished = done >= total
        # Often enough for a terminal; a log should not fill with lines.
        if self._quiet or (not finished and now - self._last < (0.1 if self._live else 15)):
            return
        self._last = now
        spent = now - self._started
        eta = (
            f", {format_duration(spent / done * (total - done))} to go" if 0 < done < total else ""
        )
        text = f"    [{done}/{total}{eta}] {what}"
        if self._live:
            echo(escape_controls(text)[:100], mark=_CLEAR, nl=finished, err=True)
        else:
            echo(text, err=True)

    def _line(self, text: str, mark: str) -> None:
        if not self._quiet:
            echo(text, mark=(_CLEAR if self._live else "") + mark, err=True)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # PEP 383: a byte of a file name that is not UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def format_bytes(count: int) -> str:
    """Returns a count like `1,234,567`; it is not rounded, because users compare sizes."""
    return f"{count:,}"


def format_duration(seconds: float) -> str:
    """Returns a time like `12s` or `3m05s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


def _is_number(text: str) -> bool:
    return (
        bool(text)
        and text.lstrip("+-")
        .replace(",", "")
        .replace(".", "")
        .replace("e-", "")
        .rstrip("%x")
        .isdigit()
    )
