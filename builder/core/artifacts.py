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
    static: Path | None = None
    """The static library for Linux, where it was asked for."""
    link_name: str = ""
    """The name without a version by which the linker looks for the shared library."""
    unstripped: Path
    """The library with its symbols."""
    image: Path | None = None
    """A stripped image that a linker made of the static library; sizes are measured on it."""
    merged: Path | None = None
    """The object that link-time optimisation made for `image`."""
    map_file: Path
    """The map that the linker wrote."""
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
    """Number of units that the build could choose from."""
    rounds: int
    """Number of links until no symbol was undefined."""
    seconds: float
    """How long compiling and linking took."""
    carried: tuple[CarriedLibrary, ...] = ()
    """Libraries of the toolchain that the runtime needs beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A finished folder with a runtime, ready for a user."""

    root: Path
    """The folder."""
    library: Path
    """The library in it."""
    runner: Path
    """The program that runs models."""
    manifest: Path
    """The file `manifest.json`."""


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
    """The whole file."""
    compressed: int
    """The whole file compressed by zlib level 9, which is close to the size of a download."""
    sections: Mapping[str, int]
    """Section of the library -> bytes."""
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
    """Number of the output, from 0."""
    spec: str
    """Dtype and shape."""
    max_absolute: float | None
    """None when there is no expected output; infinite when the two cannot be compared."""
    max_relative: float | None
    """Largest `|a - b| / max(|b|, 1)`: absolute where `|b|` is below 1, relative elsewhere."""
    tolerance: float
    """Largest relative difference that is allowed."""
    ok: bool
    """Whether the output is as expected."""
    problem: str = ""
    """Why the output is not ok, unless the difference is too large; or why ok proves little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTime:
    """What the calls of one operator took together."""

    name: str
    """Name of the operator, e.g. `aten::add.Tensor`."""
    calls: int
    nanoseconds: int
    """Time by the clock, without the interpreter's own."""

    @property
    def seconds(self) -> float:
        """The time in seconds."""
        return self.nanoseconds * 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Times of the operators in some forward calls; measuring makes these calls a little slower."""

    calls: int
    """Forward calls that were measured."""
    seconds: float
    """Time of these calls together: of their operators, of the interpreter and of the copying of
    inputs and results."""
    operators: tuple[OperatorTime, ...]
    """The operator that took longest comes first."""

    @property
    def rest(self) -> float:
        """Seconds of the calls that no operator took."""
        # All these times are measured, so the difference may fall a little below zero.
        return max(0.0, self.seconds - sum(each.seconds for each in self.operators))


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchReport:
    """Times of calls of a model on a built runtime."""

    model: str
    """File name of the model."""
    abi: str
    """ABI of the runtime."""
    runs: tuple[float, ...]
    """Seconds of the quickest call in each run of the program, in order."""
    calls: int
    """Calls in each run."""
    threads: int | None
    """Number of threads; None when the runtime chooses."""
    method: str = "forward"
    """The method that was called."""
    profile: Profile | None = None
    """Times of the operators; None unless they were asked for."""
    device: str = "cpu"
    """What the model was exported for, such as `cpu`, `vulkan` or `metal`."""
    inputs: tuple[str, ...] = ()
    """The tensors in the inputs, such as `float32[1,3,224,224]`."""

    @property
    def quickest(self) -> float:
        """Seconds of the quickest of all runs."""
        # Other work on the machine can only make a run slower, so the quickest is nearest to the
        # truth.
        return min(self.runs)

    @property
    def median(self) -> float:
        """Median of the runs, in seconds."""
        return statistics.median(self.runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """The result of running a model on a built runtime."""

    model: str
    """File name of the model."""
    reference: str
    """Origin of the expected outputs; `none` when nothing was compared."""
    outputs: tuple[OutputDifference, ...]
    """One for each tensor in the outputs of the model."""
    seconds: float
    """Seconds of the quickest call."""
    method: str = "forward"
    """The method that was called."""

    @property
    def ok(self) -> bool:
        """Whether every output is within its tolerance."""
        return all(output.ok for output in self.outputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of `builder doctor`."""

    subject: str
    """The program or the target."""
    ok: bool
    """Whether it can be used."""
    detail: str
    """Version and path of the program, or what is missing."""
    remedy: str = ""
    """The command that solves the problem; empty when `ok`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The complete result of `builder doctor`."""

    findings: tuple[Finding, ...]
    """The lines, in the order in which they are printed."""
    ready: bool
    """Whether this machine can build runtimes for itself."""
