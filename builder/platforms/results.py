"""What building makes: a library for each interface of a target, and packages of several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.core.artifacts import LinkResult, Package, SizeReport
from builder.core.components import Component
from builder.core.manifest import Manifest
from builder.core.plan import BuildPlan, Interface
from builder.core.toolchain import Toolchain


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryResult:
    """The library of one interface, and what packages say of it."""

    linked: LinkResult
    plan: BuildPlan
    toolchain: Toolchain
    size: SizeReport
    manifest: Manifest
    """Without files."""
    components: tuple[Component, ...]
    """Third-party components in the library, and builder itself."""
    carried_components: tuple[Component, ...]
    """Those in the libraries of the toolchain that go beside it."""
    licences: Mapping[str, Path]
    """Name -> file."""
    header: Path
    """`torchlite.h`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetResult:
    """What was built for one target."""

    package: Package
    """The folder `<output>/<abi>`."""
    libraries: Mapping[Interface, LibraryResult]
    """`Interface.C` is in the folder, others in the packages of their platform."""
    logs: Path
    skipped: tuple[str, ...] = ()
    """Operators that were asked for and left out, as the caller allowed."""

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
        """What the link of the library in the folder left."""
        return self.main.linked

    @property
    def size(self) -> SizeReport:
        """Where the bytes of the library in the folder go."""
        return self.main.size
