"""What building makes: a library for each interface of a target, and packages of several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.core.artifacts import LinkResult, Package, SizeReport
from builder.core.components import Component
from builder.core.plan import BuildPlan, Interface
from builder.core.runtime_manifest import Manifest
from builder.core.toolchain import Toolchain


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryResult:
    """The library of one interface, with everything that packages need to know of it."""

    linked: LinkResult
    """The files and the facts of its link."""
    plan: BuildPlan
    """What was built."""
    toolchain: Toolchain
    """The tools that built it."""
    size: SizeReport
    """Where its bytes go."""
    manifest: Manifest
    """The manifest of the runtime, without a list of files."""
    components: tuple[Component, ...]
    """Third-party components in the library, and builder itself."""
    carried_components: tuple[Component, ...]
    """Third-party components in libraries of the toolchain that it needs beside it."""
    licences: Mapping[str, Path]
    """Name -> file with the licence text."""
    headers: Mapping[str, Path]
    """The headers, by their paths below an include folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeResult:
    """The runtime for one target, as a user finds it in the output folder."""

    plan: BuildPlan
    """What was built."""
    package: Package
    """The folder `<output>/<abi>`."""
    runner: Path | None
    """The program in it that runs models; None where there is none."""
    size: SizeReport
    """Where the bytes of the library in the folder go."""
    units_linked: int
    """Translation units that are in the library."""
    units_known: int
    """Number of units that the build could choose from."""
    units_compiled: int
    """Units that were compiled in this run."""
    rounds: int
    """Number of links until no symbol was undefined."""
    seconds: float
    """How long everything took for this target, fetching and configuring included."""
    logs: Path
    """The folder with the logs of the build."""
    skipped: tuple[str, ...] = ()
    """Operators that were left out because they cannot be built, sorted."""
    is_reused: bool = False
    """Whether the folder had it already, so that this run wrote nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetResult:
    """The libraries that were built for one target, for its packages."""

    package: Package
    """The folder `<output>/<abi>`."""
    libraries: Mapping[Interface, LibraryResult]
    """The library of `Interface.C` is in the folder, others are in packages."""
    logs: Path
    """The folder with the logs of the build."""
    seconds: float = 0.0
    """How long it took until the folder was written."""
    skipped: tuple[str, ...] = ()
    """Operators that were left out because they cannot be built, sorted."""

    @property
    def main(self) -> LibraryResult:
        """The library in the folder."""
        return self.libraries[Interface.C]

    @property
    def plan(self) -> BuildPlan:
        """What was built."""
        return self.main.plan

    @property
    def linked(self) -> LinkResult:
        """The files and the facts of the link of the library in the folder."""
        return self.main.linked

    @property
    def size(self) -> SizeReport:
        """Where the bytes of the library in the folder go."""
        return self.main.size

    def summarise(self) -> RuntimeResult:
        """Returns what of it a user is told."""
        linked = self.linked
        return RuntimeResult(
            plan=self.plan,
            package=self.package,
            runner=self.package.runner if linked.runner else None,
            size=self.size,
            units_linked=len(linked.units),
            units_known=linked.units_known,
            units_compiled=linked.units_compiled,
            rounds=linked.rounds,
            seconds=self.seconds,
            logs=self.logs,
            skipped=self.skipped,
        )
