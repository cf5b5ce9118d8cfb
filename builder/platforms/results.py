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
    header: Path
    """The file `torchlite.h`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetResult:
    """What was built for one target."""

    package: Package
    """The folder `<output>/<abi>`."""
    libraries: Mapping[Interface, LibraryResult]
    """The library of `Interface.C` is in the folder, others are in packages."""
    logs: Path
    """The folder with the logs of the build."""
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
