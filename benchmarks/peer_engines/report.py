"""Medians, ratios to the best peer, and the page with the tables."""

from __future__ import annotations

import os
import platform
import re
import statistics
import subprocess
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from builder import __version__
from builder.system.machine import count_cores

Measurement: TypeAlias = dict[str, Any]
Summary: TypeAlias = dict[str, Any]

ENGINES = ("builder", "onnxruntime", "litert", "executorch", "ncnn", "mnn")
PEERS = ENGINES[1:]
TITLES = {
    "builder": "**builder**",
    "onnxruntime": "ONNX Runtime",
    "litert": "LiteRT",
    "executorch": "ExecuTorch",
    "ncnn": "ncnn",
    "mnn": "MNN",
}
PACKAGES = {
    "onnxruntime": "onnxruntime",
    "litert": "ai_edge_litert",
    "executorch": "executorch",
    "ncnn": "ncnn",
    "mnn": "mnn",
}
"""Engine -> the distribution that it comes in."""
LIBRARIES = {
    "onnxruntime": ("onnxruntime/capi/libonnxruntime.so.*",),
    "litert": ("ai_edge_litert/libLiteRt.so",),
    "executorch": (
        "executorch/lib/libexecutorch.so",
        "executorch/lib/libexecutorch_backend_xnnpack.so",
        "executorch/lib/libexecutorch_kernels_optimized.so",
        "executorch/lib/libexecutorch_threadpool.so",
    ),
    "ncnn": ("ncnn/ncnn.*.so",),
    "mnn": ("_mnncengine.*.so",),
}
"""Files of a wheel that an app would carry: the engine with its operators for CPUs."""
RATIOS: dict[str, tuple[int, Callable[[Measurement], float]]] = {
    "CPU": (1, lambda row: row["cpu"]),
    "wall": (1, lambda row: row["wall"]),
    "CPU, 2 threads": (2, lambda row: row["cpu"]),
    "wall, 2 threads": (2, lambda row: row["wall"]),
    "load": (1, lambda row: row["load"]["cpu"]),
    "first": (1, lambda row: row["first"]["cpu"]),
}
"""Column -> threads, and what it is of a measurement; all are seconds."""
_HEADING = """# builder's runtime beside others

`benchmarks/peers.py` wrote this page: {when}, {machine}, load average
{load:.0f}, up to {rounds} rounds; {versions}.

Times are ratios to the best peer of the column, so that less than 1 is better than every peer.
CPU is the CPU time of a forward call, user and system, of all threads; load is from the file to a
model that is ready; first is the first forward call after it. Memory is what the process needs at
most, in bytes, above what it needs once the engine is imported. Libraries are those of the
wheels, with all operators: each peer could be built smaller. The difference is the largest
absolute one from eager PyTorch. A dash, or a missing row, means that there is nothing to measure;
the reason stands below the tables. Where the load average is above the number of CPUs, wall times
say little, and so do figures with two threads: threads that wait awake for each other use CPU time.
"""
COLUMNS = (*RATIOS, "memory", "library", "file", "difference")


def summarise(
    name: str, measured: Sequence[Measurement], failures: Mapping[str, str], python: Path
) -> Summary:
    """Returns medians of all rounds: seconds by column, bytes, and the largest difference.

    Args:
        name: of the network.
        measured: what each process measured.
        failures: engine -> why it has no figures.
        python: of the peers' environment.
    """
    engines = {}
    for engine in ENGINES:
        rows = [row for row in measured if row["engine"] == engine]
        single = [row for row in rows if row["threads"] == 1]
        if single:
            engines[engine] = {
                **{title: _median(rows, *column) for title, column in RATIOS.items()},
                "rounds": len(single),
                "memory": int(statistics.median(row["memory"] for row in single)),
                "library": _library_size(engine, python) or single[-1].get("library"),
                "file": single[-1]["file"],
                "difference": max(row["difference"] for row in rows),
            }
    return {"network": name, "engines": engines, "failures": dict(failures)}


def _median(
    rows: Sequence[Measurement], threads: int, figure: Callable[[Measurement], float]
) -> float | None:
    values = [figure(row) for row in rows if row["threads"] == threads]
    return statistics.median(values) if values else None


def _library_size(engine: str, python: Path) -> int | None:
    """Returns bytes of a peer's libraries; None for builder, whose networks have one each."""
    found = [
        path for pattern in LIBRARIES.get(engine, ()) for path in _packages(python).glob(pattern)
    ]
    return sum(path.stat().st_size for path in found) or None


def _packages(python: Path) -> Path:
    (found,) = python.parent.parent.glob("lib/python*/site-packages")
    return found


def render_report(summaries: Sequence[Summary], python: Path) -> str:
    """Returns the page: what was measured where, and a table for each network."""
    rounds = max((row["rounds"] for x in summaries for row in x["engines"].values()), default=0)
    heading = _HEADING.format(
        when=datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"),
        machine=f"{platform.machine()}, {count_cores()} CPUs, {_name_processor()}",
        rounds=rounds,
        load=os.getloadavg()[2],
        versions=", ".join((f"builder {__version__}", *_versions(python))),
    )
    return "\n".join((heading, *map(_table, summaries)))


def _versions(python: Path) -> list[str]:
    code = "import importlib.metadata as m, sys; print(*map(m.version, sys.argv[1:]))"
    names = (*PACKAGES.values(), "torch")
    done = subprocess.run((python, "-c", code, *names), capture_output=True, text=True, check=True)
    titles = (*(TITLES[engine] for engine in PACKAGES), "networks and converters by torch")
    return [
        f"{title} {version}" for title, version in zip(titles, done.stdout.split(), strict=True)
    ]


def _name_processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1].strip() if found else "unknown processor"


def _table(summary: Summary) -> str:
    engines: Mapping[str, Measurement] = summary["engines"]
    lines = [f"## {summary['network']}", "", f"| engine | {' | '.join(COLUMNS)} |"]
    lines += ["|---|" + "--:|" * len(COLUMNS)]
    for engine, row in engines.items():
        cells = (_cell(column, row[column], engines) for column in COLUMNS)
        lines.append(f"| {TITLES[engine]} | {' | '.join(cells)} |")
    for engine, reason in summary["failures"].items():
        lines += ["", f"{TITLES[engine]}: {reason}"]
    return "\n".join((*lines, ""))


def _cell(column: str, value: float | None, engines: Mapping[str, Measurement]) -> str:
    if value is None:
        return "-"
    if column not in RATIOS:
        return f"{value:.1e}" if column == "difference" else f"{int(value):,}"
    others = [engines[peer][column] for peer in PEERS if peer in engines]
    known = [other for other in others if other]
    return f"{value / min(known):.2f}" if known else "-"
