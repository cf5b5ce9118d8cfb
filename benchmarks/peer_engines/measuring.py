"""Measures one engine on one network in this process, and prints JSON.

    PYTHON -m peer_engines.measuring ENGINE FOLDER --threads 1 --processor 0

PYTHON is that of the peers' environment, also for builder's runtime, whose C API is called by
ctypes. CPU seconds are those of the whole process, with all of its threads. Memory is the largest
resident size since the engine was imported, less what was resident then.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import re
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from peer_engines.engines import ENGINES

SECONDS = 1.5
"""Of forward calls, at least, in each process."""
CALLS = 3
"""Forward calls at least, after the first and a second to warm up."""


@dataclass(slots=True)
class Clock:
    """CPU and wall seconds since it was made."""

    cpu: float
    wall: float

    @classmethod
    def start(cls) -> Clock:
        """Returns a clock that begins now."""
        return cls(time.process_time(), time.perf_counter())

    def stop(self) -> dict[str, float]:
        """Returns the seconds since the start, as `cpu` and `wall`."""
        return {"cpu": time.process_time() - self.cpu, "wall": time.perf_counter() - self.wall}


def measure(engine: str, folder: Path, *, threads: int) -> dict[str, object]:
    """Returns seconds of the load, the first and a usual forward call, bytes, and the difference.

    Calls follow one another, as in a video: with several threads, the CPU time of a call has what
    the threads of the call before still spin.
    """
    inputs = [np.ascontiguousarray(x) for x in np.load(folder / "inputs.npz").values()]
    expected = list(np.load(folder / "outputs.npz").values())
    load = ENGINES[engine](folder)
    gc.collect()
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forgets the largest size until now
    clock = Clock.start()
    forward = load(threads)
    loaded, clock = clock.stop(), Clock.start()
    outputs = [np.array(x) for x in forward(inputs)]
    first = clock.stop()
    peak = _resident("VmHWM") - before
    calls = _repeat(lambda: forward(inputs))
    return {
        "load": loaded,
        "first": first,
        "cpu": statistics.median(call["cpu"] for call in calls),
        "quickest": min(call["cpu"] for call in calls),
        "wall": statistics.median(call["wall"] for call in calls),
        "calls": len(calls),
        "memory": max(peak, _resident("VmHWM") - before),
        "difference": max(map(_difference, outputs, expected)),
    }


def _repeat(forward: Callable[[], object]) -> list[dict[str, float]]:
    forward()
    calls: list[dict[str, float]] = []
    while len(calls) < CALLS or sum(call["wall"] for call in calls) < SECONDS:
        clock = Clock.start()
        forward()
        calls.append(clock.stop())
    return calls


def _difference(output: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(output.reshape(expected.shape) - expected).max())


def _resident(key: str) -> int:
    """Returns a size of this process in bytes, as Linux counts it."""
    found = re.search(rf"^{key}:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024


def main() -> None:
    """Pins this process to as many processors as there are threads, and measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--processor", type=int, default=0, help="the first that it may use")
    options = parser.parse_args()
    there = sorted(os.sched_getaffinity(0))
    chosen = {there[(options.processor + i) % len(there)] for i in range(options.threads)}
    os.sched_setaffinity(0, chosen)
    result = measure(options.engine, options.folder, threads=options.threads)
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
