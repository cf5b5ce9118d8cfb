"""What the native stage works with, and what it made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder.core.artifacts import LinkResult
from builder.core.backends import LocatedBackend
from builder.core.cores import Core
from builder.core.plan import BuildPlan
from builder.core.sources import SourceTree
from builder.core.toolchain import Toolchain
from builder.core.units import UnitGraph
from builder.native.build_folders import Layout
from builder.native.flags import Tuning, load_tuning
from builder.native.interfaces import Library, find_library
from builder.native.ninja import CompileFolder, Prefix
from builder.system.process import Runner
from builder.system.progress import Progress

if TYPE_CHECKING:
    from builder.core.selection import ServedOperators
    from builder.core.toolchain import ArchiveTools


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeBuild:
    """Everything the native stage works with."""

    plan: BuildPlan
    tree: SourceTree
    toolchain: Toolchain
    layout: Layout
    runtime: Path
    """builder's own C++ sources."""
    backends: tuple[LocatedBackend, ...] = ()
    """The plan's backends."""
    headers: tuple[Path, ...] = ()
    """Folders of headers that the plan's interface needs and the toolchain does not have."""
    runner: Runner
    progress: Progress
    jobs: int | None = None
    archive_tools: ArchiveTools | None = None
    """What makes a static library too; none is made when None."""

    @property
    def interface(self) -> Library:
        """The library to link."""
        return find_library(self.plan.interface, self.plan.core)

    @property
    def library_name(self) -> str:
        """The name of the file with the library."""
        return self.interface.name_for(self.plan.target)

    @property
    def features(self) -> tuple[LocatedBackend, ...]:
        """The backends with optional sources, which stand in a tree of their own."""
        return tuple(one for one in self.backends if one.backend.sources)

    @property
    def tuning(self) -> Tuning:
        """What the plan's profile makes of upstream's flags."""
        plan = self.plan
        # A static library is linked with other frames, in a library or program that has an index.
        own_unwinding = plan.core is Core.OWN and self.archive_tools is None
        return load_tuning(
            plan.flavour, self.toolchain, plan.static_dispatch, own_unwinding=own_unwinding
        )


def compile_folder(build: NativeBuild) -> CompileFolder:
    """Returns the folder that objects of `build` go to."""
    layout = build.layout
    return CompileFolder(
        root=layout.root,
        ninja_file=(layout.plan_folder / "build.ninja").relative_to(layout.root),
        objects=layout.objects.relative_to(layout.root).as_posix(),
        prefixes=(
            # The configured folder lies inside the root, so it comes first.
            Prefix(layout.configured, layout.configured.name, "generated"),
            Prefix(layout.root, "."),
            Prefix(build.tree.root, layout.source.name),
            Prefix(build.runtime, layout.runtime.name),
            *(Prefix(one.tree.root, one.backend.name) for one in build.features),
            *((Prefix(root, layout.sdk.name),) if (root := build.toolchain.system_root) else ()),
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedRuntime:
    """A library in the cache, and what it was made from."""

    build: NativeBuild
    graph: UnitGraph
    linked: LinkResult
    serving: ServedOperators
