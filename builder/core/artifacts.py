"""Results of builds, and reports about them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedLibrary:
    """A shared library of the toolchain that a runtime needs, such as `libc++_shared.so`."""

    library: Path
    """The stripped library."""
    unstripped: Path
    """The library of the toolchain, which may have symbols."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkResult:
    """A linked runtime and the facts of its link."""

    library: Path
    """Stripped shared library; a static library for Apple's platforms."""
    unstripped: Path
    image: Path | None = None
    """A stripped image that a linker made of the static library; sizes are measured on it."""
    merged: Path | None = None
    """The object that link-time optimisation made for `image`."""
    map_file: Path
    units_map: Path | None = None
    """Map of a link of the same units without link-time optimisation; None when `library` was made
    without it. The map shows which unit each function comes from."""
    runner: Path | None
    """The program that runs models; None when the library has no C API that it could call."""
    units: tuple[str, ...]
    """Ids of the translation units that were linked, sorted."""
    inputs: tuple[str, ...] = ()
    """Files of the source trees, headers included, that were compiled: relative paths, sorted."""
    units_compiled: int
    """Units compiled in this run; fewer than `units` when objects of earlier runs were used."""
    units_known: int
    rounds: int
    seconds: float
    carried: tuple[CarriedLibrary, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A finished folder with a runtime, ready for a user."""

    root: Path
    library: Path
    runner: Path
    manifest: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorPrice:
    """The cost of one operator, in bytes of the stripped library."""

    exclusive: int
    """Bytes that the library would lose without the operator."""
    inclusive: int
    """Bytes of everything that the operator reaches, shared with other operators or not."""
    models: tuple[str, ...]
    """Sorted names of the models that use it; empty when no model asked for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeReport:
    """The sizes of one stripped library and of its parts; all sizes are in bytes."""

    file: int
    compressed: int
    """The whole file compressed by zlib level 9, which is close to the size of a download."""
    sections: Mapping[str, int]
    parts: Mapping[str, int]
    """Library part -> bytes of its live input sections."""
    units: Mapping[str, int]
    """Translation unit -> bytes of its live input sections."""
    operators: Mapping[str, OperatorPrice] = field(default_factory=dict)
    """Operator -> price; empty when the linker gave too little information."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputDifference:
    """One output of the runtime, compared with PyTorch's."""

    index: int
    spec: str
    max_absolute: float | None
    """None when there is no expected output; infinite when the two cannot be compared."""
    max_relative: float | None
    """Largest `|a - b| / max(|b|, 1)`: absolute where `|b|` is below 1, relative elsewhere."""
    tolerance: float
    ok: bool
    problem: str = ""
    """Why the output is not ok, unless the difference is too large; or why ok proves little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchReport:
    """Times of forward calls of a model on a built runtime."""

    model: str
    abi: str
    runs: tuple[float, ...]
    """Seconds of the quickest call in each run of the program, in order."""
    calls: int
    """Forward calls in each run."""
    threads: int | None
    """Number of threads; None when the runtime chooses."""

    @property
    def quickest(self) -> float:
        """Seconds of the quickest of all runs."""
        return min(self.runs)

    @property
    def median(self) -> float:
        """Median of the runs, in seconds."""
        return statistics.median(self.runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """Outcome of running a model on a built runtime."""

    model: str
    reference: str
    """Origin of the expected outputs; `none` when nothing was compared."""
    outputs: tuple[OutputDifference, ...]
    seconds: float
    """Seconds of the quickest forward call."""

    @property
    def ok(self) -> bool:
        """Whether every output is within its tolerance."""
        return all(output.ok for output in self.outputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of `builder doctor`."""

    subject: str
    ok: bool
    detail: str
    remedy: str = ""
    """The command that solves the problem; empty when `ok`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The complete result of `builder doctor`."""

    findings: tuple[Finding, ...]
    ready: bool
    """Whether this machine can build runtimes for itself."""
