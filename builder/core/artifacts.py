"""What a build leaves behind, and what is said of it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedLibrary:
    """A library of the toolchain's that a runtime needs beside it, such as `libc++_shared.so`."""

    library: Path
    """Stripped."""
    unstripped: Path
    """As the toolchain has it, perhaps with symbols."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkResult:
    """A linked runtime and what it took to get there."""

    library: Path
    """Stripped shared library; for Apple's platforms a static one."""
    unstripped: Path
    image: Path | None = None
    """What a program's linker makes of a static library, stripped: sizes are of it."""
    merged: Path | None = None
    """The object that link-time optimisation made for `image`."""
    map_file: Path
    units_map: Path | None = None
    """Map of the same units linked by their machine code, where the library is optimised as a
    whole: it tells which unit a function comes from."""
    runner: Path | None
    """None where the library has no C API that it could call."""
    units: tuple[str, ...]
    """Ids of the translation units that were linked, sorted."""
    inputs: tuple[str, ...] = ()
    """Files of the source trees that these were compiled from, with headers: relative, sorted."""
    units_compiled: int
    """Compiled in this run; less than `units` has when objects were there already."""
    units_known: int
    rounds: int
    seconds: float
    carried: tuple[CarriedLibrary, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A laid-out folder that a user consumes."""

    root: Path
    library: Path
    runner: Path
    manifest: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorPrice:
    """What one operator costs; both in bytes of the stripped library."""

    exclusive: int
    """What would go if the operator went."""
    inclusive: int
    """All it reaches, shared with others or not."""
    models: tuple[str, ...]
    """Names of the models that want it, sorted; empty when it came along with others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeReport:
    """Where the bytes of one stripped library go; all sizes in bytes."""

    file: int
    compressed: int
    """The whole file through zlib level 9, as a download would carry it."""
    sections: Mapping[str, int]
    parts: Mapping[str, int]
    """Library part -> bytes of its live input sections."""
    units: Mapping[str, int]
    """Translation unit -> bytes of its live input sections."""
    operators: Mapping[str, OperatorPrice] = field(default_factory=dict)
    """Operator -> price; empty where the linker tells too little to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputDifference:
    """One output of the runtime beside PyTorch's."""

    index: int
    spec: str
    max_absolute: float | None
    """None when there is nothing to compare with; infinite when it cannot be compared."""
    max_relative: float | None
    """Largest `|a - b| / max(|b|, 1)`; so it is absolute below 1 and relative above."""
    tolerance: float
    ok: bool
    problem: str = ""
    """Why it is not ok, when that is not the size of the difference; or why ok says little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchReport:
    """How long forward calls of a model take on a built runtime."""

    model: str
    abi: str
    runs: tuple[float, ...]
    """Seconds of the quickest call of each run of the program, in order."""
    calls: int
    """Forward calls in each run."""
    threads: int | None
    """None: as many as the runtime chooses."""

    @property
    def quickest(self) -> float:
        """Seconds."""
        return min(self.runs)

    @property
    def median(self) -> float:
        """Seconds, over the runs."""
        return statistics.median(self.runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """Outcome of running a model on a built runtime."""

    model: str
    reference: str
    """Where the expected outputs come from; `none` when nothing was compared."""
    outputs: tuple[OutputDifference, ...]
    seconds: float
    """Of the quickest forward call."""

    @property
    def ok(self) -> bool:
        """True when every output is within its tolerance."""
        return all(output.ok for output in self.outputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of `builder doctor`."""

    subject: str
    ok: bool
    detail: str
    remedy: str = ""
    """Command to type; empty when ok."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """All that `builder doctor` found."""

    findings: tuple[Finding, ...]
    ready: bool
    """True when this machine can build for itself."""
