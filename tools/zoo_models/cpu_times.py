"""CPU time of forward calls on a built runtime: other programs disturb it less than wall time."""

from __future__ import annotations

import resource
from pathlib import Path
from statistics import median

from builder.api import BenchReport, BenchRequest, bench
from builder.system.progress import Silent

_ROUNDS, _SECONDS, _MOST_CALLS = 3, 0.5, 1000
"""Measurements of each file, in turn; about how long the calls of one take; most calls in one."""


def compare_files(new: Path, old: Path, runtime: Path) -> float:
    """Returns the CPU time of a call of `new` as a multiple of that of `old`, with one thread."""
    calls = min(max(round(_SECONDS / _bench(new, runtime, 3).quickest), 2), _MOST_CALLS)
    return median(
        _time_call(new, runtime, calls) / _time_call(old, runtime, calls) for _ in range(_ROUNDS)
    )


def _time_call(model: Path, runtime: Path, calls: int) -> float:
    # The difference leaves out loading, and the first call.
    return max(_measure(model, runtime, calls + 1) - _measure(model, runtime, 1), 1e-6) / calls


def _measure(model: Path, runtime: Path, calls: int) -> float:
    """Returns the CPU time in seconds of a process that calls the model."""
    before = _children()
    _bench(model, runtime, calls)
    return _children() - before


def _bench(model: Path, runtime: Path, calls: int) -> BenchReport:
    request = BenchRequest(model=model, runtime=runtime, runs=1, calls=calls, threads=1)
    return bench(request, progress=Silent())


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
