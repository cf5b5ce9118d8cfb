"""What the benchmarks share: rows that outlive an interruption, timing, and tables.

A table's heading names everything that its figures depend on.
"""

from __future__ import annotations

import dataclasses
import json
import platform
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from builder import __version__, api
from builder.core.toolchain import Toolchain
from builder.errors import BuilderError
from builder.system.files import write_atomically
from builder.system.machine import count_cores, host_architecture
from builder.system.process import Runner
from builder.system.reference_cases import read_reference
from builder.system.reference_headers import reference_path
from builder.verify.hosts import LocalHost
from builder.verify.runner import run_model
from builder.verify.runtime import locate_runtime

TURNS = 20
CALLS = 5
"""Forward calls in a turn."""
_CPU_INFO = Path("/proc/cpuinfo")

_Row = TypeVar("_Row")


def keep_row(path: Path, kind: type[_Row], measure: Callable[[], _Row]) -> _Row:
    """Returns the `kind` that an earlier run left in `path`; otherwise measures and leaves it."""
    if path.is_file():
        return kind(**json.loads(path.read_text()))
    row = measure()
    write_atomically(path, json.dumps(dataclasses.asdict(row)))  # type: ignore[call-overload]
    return row


def time_models(roots: Mapping[str, Path], model: Path, toolchain: Toolchain) -> dict[str, float]:
    """Returns the seconds of a forward call by name of the runtime, for those that run here.

    It is the quickest of many on one thread, with the inputs saved beside `model`. The runtimes
    take turns, so that other work on this machine slows down all of them. Under an emulator
    nothing is measured.

    Args:
        roots: name -> folder of a built runtime.
        model: lite file.
        toolchain: that built them.
    """
    if toolchain.target.architecture != host_architecture():
        return {}
    running, quickest = dict(roots), dict[str, float]()
    for name in [*roots] * TURNS:
        try:
            if name in running:
                seconds = _time_model(running[name], model)
                quickest[name] = min(seconds, quickest.get(name, seconds))
        except BuilderError as error:
            print(f"no latency of {name}: {error.message}", file=sys.stderr)
            del running[name]
    return quickest


def _time_model(root: Path, model: Path) -> float:
    inputs = read_reference(reference_path(model)).inputs
    runtime = locate_runtime(root, host_abi=root.name)
    with tempfile.TemporaryDirectory() as scratch:
        return run_model(
            runtime,
            model,
            inputs,
            scratch=Path(scratch),
            host=LocalHost(runner=Runner.inherit()),
            repeat=CALLS,
            threads=1,
        ).seconds


def format_ratio(value: float | None, base: float | None) -> str:
    """Returns `value / base`, or a dash where one of them is not known."""
    return f"{value / base:.2f}" if value and base else "-"


def print_table(
    title: str,
    model: Path,
    toolchain: Toolchain,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    output: Path | None,
) -> None:
    """Prints a page with a table of texts and numbers, and writes it to `output` if given."""
    rule = ("---", *["---:"] * (len(columns) - 1))
    lines = (_join(columns, " "), _join(rule, ""), *(_join(row, " ") for row in rows))
    text = "\n".join((f"# {title}", "", _heading(model, toolchain), "", *lines)) + "\n"
    print(text)
    if output:
        output.write_text(text)


def _join(cells: Sequence[str], space: str) -> str:
    return f"|{space}{f'{space}|{space}'.join(cells)}{space}|"


def _heading(model: Path, toolchain: Toolchain) -> str:
    machine = (platform.machine(), f"{count_cores()} CPUs", *_name_processor())
    versions = (
        toolchain.cxx.version,
        toolchain.linker.version,
        f"builder {__version__}",
        f"PyTorch {api.load_release().version}",
    )
    return (
        f"Model {model.name}, {toolchain.target}, {datetime.now(UTC):%Y-%m-%dT%H:%MZ}, "
        f"on {', '.join(machine)}; {', '.join(versions)}."
    )


def _name_processor() -> list[str]:
    """Returns what Linux calls the processor; nothing on machines that tell no name."""
    found = re.search(r"^model name\s*: (.+)$", _CPU_INFO.read_text(), re.MULTILINE)
    return [found[1].strip()] if found else []
