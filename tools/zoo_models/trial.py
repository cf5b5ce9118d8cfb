"""Each model of the zoo on a runtime that was built from its list."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from builder.oplists.read import read_op_list
from builder.system.folders import data_folder
from builder.system.machine import host_abi
from zoo_models.cpu_times import compare_files
from zoo_models.rows import Entry

HEADER = (
    "| list | what | operators | library bytes | compressed | for earlier files "
    "| file bytes | earlier | largest difference | earlier | CPU time |\n"
    "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
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


def earlier_file(entry: Entry, work: Path) -> Path:
    """Returns where the file by torch's own optimiser is."""
    return work / "earlier" / f"{entry.name}.ptl"


def build_entry(entry: Entry, work: Path, *, jobs: int) -> dict[str, object]:
    """Builds a runtime from the list into `work`, and returns its part of the row."""
    out = work / entry.name
    (built,) = run_builder(
        "build", "--ops-list", entry.name, "--abi", host_abi(), "-o", out, "-j", jobs, "--json"
    )["runtimes"]
    return {
        "operators": built["operators"],
        "size": built["size"],
        "compressed": built["compressed_size"],
        "others": _price_others(entry, out),
    }


def run_entry(entry: Entry, work: Path, runtime: Path) -> dict[str, object]:
    """Runs both files of the model on a runtime, and returns their part of the row."""
    model, earlier = work / f"{entry.name}.ptl", earlier_file(entry, work)
    new, old = (run_builder("verify", m, "--runtime", runtime, "--json") for m in (model, earlier))
    return {
        "ok": new["ok"],
        "file": model.stat().st_size,
        "earlier_file": earlier.stat().st_size,
        "difference": _largest(new),
        "earlier_difference": _largest(old),
        "earlier_ok": old["ok"],
        "cpu_time": compare_files(model, earlier, runtime),
    }


def _largest(report: Mapping[str, Any]) -> float | None:
    relative = [output["max_relative"] for output in report["outputs"]]
    return max((value for value in relative if value is not None), default=None)


def _price_others(entry: Entry, out: Path) -> int:
    """Returns the bytes that the library has only for files that builder does not write today."""
    made = read_op_list(data_folder("ops_lists") / f"{entry.name}.yaml")
    wanted_by = made.operators.wanted_by
    only = [str(o) for o, sources in wanted_by.items() if not any("builder" in s for s in sources)]
    if not only:
        return 0
    options = [text for name in only for text in ("--what-if", name)]
    priced: int = run_builder("size", out, *options, "--json")["what_if"]["bytes"]
    return priced


def render_table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Returns the table in Markdown."""
    return HEADER + "".join(_render(row) for row in rows)


def _render(row: Mapping[str, Any]) -> str:
    sizes = (_count(row, key) for key in ("operators", "size", "compressed", "others"))
    files = (_count(row, key) for key in ("file", "earlier_file"))
    kinds = ("", "earlier_")
    differences = (_show(row.get(f"{k}difference"), row.get(f"{k}ok", True)) for k in kinds)
    cpu_time = f"{row['cpu_time']:.2f}" if "cpu_time" in row else "-"
    name = f"`{row['name']}`" if not row["problem"] else f"`{row['name']}` **fails**"
    cells = (name, row["what"], *sizes, *files, *differences, cpu_time)
    return f"| {' | '.join(cells)} |\n"


def _count(row: Mapping[str, Any], key: str) -> str:
    return f"{row[key]:,}" if key in row else "-"


def _show(difference: float | None, ok: bool) -> str:
    shown = "-" if difference is None else f"{difference:.2g}"
    return shown if ok else f"**{shown}**"
