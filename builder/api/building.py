"""Building runtimes, from the plan to the package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder.api.components import find_components
from builder.api.libraries import link_library
from builder.api.outputs import refuse_outputs
from builder.api.packaging import package_runtime
from builder.core.plan import Interface

if TYPE_CHECKING:
    from builder.core.artifacts import LinkResult, Package, SizeReport
    from builder.core.components import Component
    from builder.core.plan import BuildPlan, BuildRequest
    from builder.core.targets import Target
    from builder.system.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOutcome:
    """What `build_runtime` made."""

    plan: BuildPlan
    package: Package
    linked: LinkResult
    size: SizeReport
    logs: Path
    skipped: tuple[str, ...] = ()
    """Operators that were asked for and left out, as the caller allowed."""
    sdk: Path | None = None
    """Of Apple's platforms: what was compiled against."""
    components: tuple[Component, ...] = ()
    """What of others is in the library."""


def build_runtime(
    request: BuildRequest, target: Target, output: Path, *, progress: Progress
) -> BuildOutcome:
    """Builds the selective runtime for `target` and lays it out in `output/<abi>`.

    Safe to kill at any point: the next call continues. Only one builder works on one
    configuration's objects at a time; others wait.

    Raises:
        ModelError: a file cannot be read, or an operator is unknown and not to be skipped.
        SourceError: the sources cannot be had.
        ToolchainError: a tool is missing.
        NativeBuildError: a step of the build failed, or another builder holds the lock.
        ConfigurationError: `output` cannot be written, or has what builder did not write.
        PackagingError: its disk is full.
    """
    refuse_outputs((target,), output)
    with link_library(request, target, Interface.C, progress=progress) as runtime:
        components = find_components(runtime)
        package, size = package_runtime(runtime, components, output / target.abi)
    return BuildOutcome(
        plan=runtime.build.plan,
        package=package,
        linked=runtime.linked,
        size=size,
        logs=runtime.build.layout.logs,
        skipped=tuple(sorted(map(str, runtime.serving.skipped))),
        sdk=sdk.root if (sdk := runtime.build.toolchain.sdk) else None,
        components=components,
    )
