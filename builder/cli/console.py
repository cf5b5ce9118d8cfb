"""How results and progress look on a terminal, in a log and in JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

import click


def print_json(value: Any) -> None:  # noqa: ANN401 - JSON is anything
    """Prints `value` as sorted JSON with a final newline."""
    click.echo(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False))


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints columns aligned; numbers to the right. Plain text, so that it pipes well."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max([len(h), *(len(row[i]) for row in cells)]) for i, h in enumerate(header)]
    click.echo("  ".join(h.ljust(w) for h, w in zip(header, widths, strict=True)).rstrip())
    click.echo("  ".join("-" * w for w in widths))
    for row in cells:
        aligned = (
            cell.rjust(width) if _is_number(cell) else cell.ljust(width)
            for cell, width in zip(row, widths, strict=True)
        )
        click.echo("  ".join(aligned).rstrip())


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
        self._line(click.style("==> ", fg="blue", bold=True) + text)

    def note(self, text: str) -> None:
        """Prints a remark."""
        self._line("    " + text)

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
            click.echo("\r\033[K" + text[:100] + ("\n" if finished else ""), nl=False, err=True)
        else:
            click.echo(text, err=True)

    def _line(self, text: str) -> None:
        if not self._quiet:
            click.echo(("\r\033[K" if self._live else "") + text, err=True)


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
