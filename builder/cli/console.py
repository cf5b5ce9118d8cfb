"""How results and progress look on a terminal, in a log and in JSON."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

SCHEMA_VERSIONS = {
    "bench": 1,
    "build": 1,
    "check": 1,
    "doctor": 1,
    "export": 1,
    "fetch": 1,
    "ops": 1,
    "plan": 1,
    "size": 1,
    "verify": 1,
}
"""Versions of `--json` outputs: raised when a field goes away or changes its meaning."""
_WIDEST = 120
"""Columns that cells are padded to: one name of a foreign file may have thousands of letters."""
_CLEAR = "\r\033[K"
"""Goes back to the start of the line, and clears it."""
_BIDI = "\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"
"""They change in which order a terminal shows what stands beside them, or where lines end."""
_CONTROLS = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f{_BIDI}\ud800-\udfff]")
_CONTROLS_OF_CELLS = re.compile(rf"[\x00-\x1f\x7f-\x9f{_BIDI}\ud800-\udfff]")
_CONTROLS_OF_JSON = re.compile(rf"[\x7f-\x9f{_BIDI}\ud800-\udfff]")


def echo(text: str = "", *, mark: str = "", err: bool = False, nl: bool = True) -> None:
    """Prints a text, which may hold anything that a file says: control characters are escaped.

    Everything that the command line prints goes through here, or through `print_json`.

    Args:
        text: lines and tabs stay as they are.
        mark: stands before it, and is builder's own: it may have colours.
        err: whether it goes to stderr.
        nl: whether a new line ends it.
    """
    click.echo(mark + escape_controls(text), err=err, nl=nl)


def escape_controls(text: str, controls: re.Pattern[str] = _CONTROLS) -> str:
    """Returns `text` with control characters, C1 and bidirectional ones too, as `\\x1b`."""
    return controls.sub(_escape, text)


def print_json(command: str, value: Mapping[str, Any]) -> None:
    """Prints the answer of a command as JSON, with the version of its schema.

    Args:
        command: the command whose schema the value follows, `builder/schemas/<command>.json`.
        value: what is printed, without the version.
    """
    click.echo(render_json(command, value))


def render_json(command: str, value: Mapping[str, Any]) -> str:
    """Returns `value` with the version of the command's schema as sorted JSON."""
    versioned = {**value, "schema": SCHEMA_VERSIONS[command]}
    text = json.dumps(versioned, indent=2, sort_keys=True, ensure_ascii=False)
    return _CONTROLS_OF_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints columns aligned; numbers to the right. Plain text, so that it pipes well."""
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


class ConsoleProgress:
    """Progress on stderr: one live line on a terminal, sparse lines in a log."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live = sys.stderr.isatty()
        self._started = time.monotonic()
        self._last = 0.0

    def step(self, text: str) -> None:
        """Prints the stage that begins, and starts its clock."""
        self._started = time.monotonic()
        self._last = 0.0
        self._line(text, click.style("==> ", fg="blue", bold=True))

    def note(self, text: str) -> None:
        """Prints a remark."""
        self._line(text, "    ")

    def advance(self, done: int, total: int, what: str) -> None:
        """Shows count, time to go and what is being worked on."""
        now = time.monotonic()
        finished = done >= total
        if self._quiet or (not finished and now - self._last < (0.1 if self._live else 15)):
            return
        self._last = now
        spent = now - self._started
        eta = f", {_duration(spent / done * (total - done))} to go" if 0 < done < total else ""
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
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file's name that is no UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def format_bytes(count: int) -> str:
    """Returns `1,234,567`: exact, since sizes are compared."""
    return f"{count:,}"


def _duration(seconds: float) -> str:
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
