"""Each model of the zoo on a runtime that was built from its list."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from builder.system.machine import host_abi
from zoo_models.rows import Entry

HEADER = (
    "| list | what | operators | library bytes | compressed | largest difference | ms |\n"
    "|---|---|--:|--:|--:|--:|--:|\n"
)
_TAIL = 2000


class FailedError(Exception):
    """builder failed; the text says how."""


def run_builder(*arguments: object, cwd: Path | None = None) -> dict[str, Any]:
    """Returns the JSON that a builder command prints; FailedError when it prints none.

    A command that ends with exit code 8 has printed what it found.
    """
    command = (sys.executable, "-m", "builder.cli.main", *map(str, arguments))
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    try:
        value: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise FailedError(f"{' '.join(command)}\n{done.stderr[-_TAIL:]}") from None
    return value


def run_entry(entry: Entry, work: Path, *, jobs: int) -> dict[str, object]:
    """Builds a runtime from the list, runs the model on it, and returns the row."""
    out, model = work / entry.name, work / f"{entry.name}.ptl"
    row: dict[str, object] = {"name": entry.name, "what": entry.what, "ok": False, "problem": ""}
    try:
        (built,) = run_builder(
            "build", "--ops-list", entry.name, "--abi", host_abi(), "-o", out, "-j", jobs, "--json"
        )["runtimes"]
        ran = run_builder("verify", model, "--runtime", out, "--repeat", 5, "--json")
    except FailedError as error:
        return row | {"problem": str(error)}
    relative = [output["max_relative"] for output in ran["outputs"]]
    return row | {
        "ok": ran["ok"],
        "problem": "" if ran["ok"] else "its outputs differ",
        "operators": built["operators"],
        "size": built["size"],
        "compressed": built["compressed_size"],
        "difference": max((value for value in relative if value is not None), default=None),
        "seconds": ran["seconds"],
    }


def render_table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Returns the table in Markdown."""
    return HEADER + "".join(_render(row) for row in rows)


def _render(row: Mapping[str, Any]) -> str:
    if "size" not in row:
        return f"| `{row['name']}` | {row['what']} | **fails** | | | | |\n"
    difference = "-" if row["difference"] is None else f"{row['difference']:.2g}"
    shown = difference if row["ok"] else f"**{difference}**"
    return (
        f"| `{row['name']}` | {row['what']} | {row['operators']} | {row['size']:,} "
        f"| {row['compressed']:,} | {shown} | {row['seconds'] * 1000:.1f} |\n"
    )
