"""Runs readers on mutated files, in child processes whose time and memory are limited.

Each mutation is a function of the format, the seed and its number, so a finding can be repeated.
"""

from __future__ import annotations

import faulthandler
import hashlib
import json
import mmap
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import FrameType

from tests.fuzz.formats import Format

BATCH = 2000
"""Mutations of one process; the next one starts with a fresh heap."""
_PAGE = resource.getpagesize()


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What reading one file may take."""

    seconds: float = 2.0
    """Of CPU."""
    bytes: int = 256 << 20
    """Of address space, beyond that of the process before."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A file that a reader did not stand."""

    number: int
    what: str
    data: bytes

    @property
    def name(self) -> str:
        """A file's name."""
        return hashlib.sha256(self.data).hexdigest()[:12]


@dataclass(kw_only=True)
class Tally:
    """What mutations of one format led to."""

    read: int = 0
    refused: int = 0
    slowest: float = 0.0
    """Seconds of CPU."""
    peak: int = 0
    """Bytes of memory beyond those before."""
    findings: list[Finding] = field(default_factory=list)

    @property
    def count(self) -> int:
        """All mutations."""
        return self.read + self.refused + len(self.findings)


@dataclass(frozen=True, kw_only=True)
class Run:
    """Mutations of one format."""

    name: str
    kind: Format
    seed: int
    limits: Limits = Limits()

    def make(self, number: int) -> bytes:
        """Returns the mutation of that number."""
        return self._kind.mutate(random.Random(f"{self.name}/{self.seed}/{number}"))

    @cached_property
    def _kind(self) -> Format:
        """The format, whose seeds are made once."""
        seeds = self.kind.seeds()
        return replace(self.kind, seeds=lambda: seeds)

    def go(self, start: int, end: int) -> Iterator[Tally]:
        """Yields what each batch of the mutations from `start` to before `end` led to."""
        while start < end:
            tally = Tally()
            start = self._run_batch(start, min(start + BATCH, end), tally)
            yield tally

    def _run_batch(self, start: int, end: int, tally: Tally) -> int:
        """Adds to `tally`; returns the number to go on with, after one that killed the process."""
        place = mmap.mmap(-1, 8)
        with tempfile.TemporaryDirectory(prefix="builder-fuzz-") as scratch:
            results = Path(scratch, "results")
            child = os.fork()
            if not child:
                _become_worker(self, start, end, place, Path(scratch), results)
            _, status = os.waitpid(child, 0)
            lines = results.read_text().splitlines() if results.exists() else []
        for line in lines:
            self._note(json.loads(line), tally)
        if os.WIFSIGNALED(status) or os.WEXITSTATUS(status):
            number = int.from_bytes(place[:8], "little")
            killer = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else "exit"
            why = f"the process ended by {killer}"
            tally.findings.append(Finding(number=number, what=why, data=self.make(number)))
            tally.read += number - start - tally.count + 1
            return number + 1
        return end

    def _note(self, result: dict[str, object], tally: Tally) -> None:
        if "number" in result:
            number = int(str(result["number"]))
            what = str(result["what"])
            tally.findings.append(Finding(number=number, what=what, data=self.make(number)))
            return
        for key, value in result.items():
            setattr(tally, key, value)


class _OverTimeError(BaseException):
    """The reader took too long; no handler of its takes this for its own."""


def _become_worker(
    run: Run, start: int, end: int, place: mmap.mmap, scratch: Path, results: Path
) -> None:
    """Reads the mutations of a batch in this process, a child, and ends it."""
    code = 1
    try:
        signal.signal(signal.SIGPROF, _stop)
        faulthandler.disable()  # pytest's would tell a crash that is meant to be found
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        warnings.simplefilter("ignore")
        with results.open("w") as stream:
            totals: dict[str, float] = {"read": 0, "refused": 0, "slowest": 0.0}
            base = _peak()
            folder = scratch / "work"
            folder.mkdir()
            peak = 0.0
            for number in range(start, end):
                place[:8] = number.to_bytes(8, "little")
                data = run.make(number)
                before = _peak()
                verdict, seconds = read_limited(run.kind, data, folder, run.limits)
                peak = peak if _peak() == before else _peak() - base  # else it was the mutator's
                totals["slowest"] = max(totals["slowest"], seconds)
                if verdict in {"read", "refused"}:
                    totals[verdict] += 1
                else:
                    stream.write(json.dumps({"number": number, "what": verdict}) + "\n")
                    stream.flush()
            stream.write(json.dumps({**totals, "peak": peak}) + "\n")
        code = 0
    except BaseException:  # noqa: BLE001 - a child of fork must not return
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def judge(kind: Format, data: bytes, limits: Limits) -> Tally:
    """Returns what reading one file in a process of its own led to."""
    once = replace(kind, seeds=lambda: (data,), rounds=(0,))
    (tally,) = Run(name="once", kind=once, seed=0, limits=limits).go(0, 1)
    return tally


def _stop(number: int, frame: FrameType | None) -> None:
    raise _OverTimeError


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def read_limited(kind: Format, data: bytes, folder: Path, limits: Limits) -> tuple[str, float]:
    """Returns `read`, `refused` or what went wrong, and the seconds of CPU; limits this process.

    The folder may hold what the same reader left: each writes all that it reads.
    """
    space = int(Path("/proc/self/statm").read_text().split()[0]) * _PAGE + limits.bytes
    used = time.process_time()
    hard_space, hard_time = (resource.getrlimit(what)[1] for what in _LIMITED)
    resource.setrlimit(resource.RLIMIT_AS, (space, hard_space))
    resource.setrlimit(resource.RLIMIT_CPU, (int(used + limits.seconds) + 3, hard_time))
    signal.setitimer(signal.ITIMER_PROF, limits.seconds)
    try:
        verdict = _read(kind, data, folder)
    except _OverTimeError:
        verdict = f"more than {limits.seconds} seconds of CPU"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (hard_space, hard_space))
        resource.setrlimit(resource.RLIMIT_CPU, (hard_time, hard_time))
    return verdict, time.process_time() - used


_LIMITED = (resource.RLIMIT_AS, resource.RLIMIT_CPU)


def _read(kind: Format, data: bytes, folder: Path) -> str:
    try:
        kind.read(data, folder)
    except kind.refusals:
        return "refused"
    except MemoryError:
        return "more memory than allowed"
    except Exception as error:  # noqa: BLE001 - this is what is looked for
        return "".join(traceback.format_exception(error, limit=-6))
    return "read"
