"""`build`: the one place that knows the order of a build, from the request to the packages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from builder.api.link import link_libraries
from builder.core.budgets import Budgets
from builder.core.plan import BuildRequest, Interface
from builder.core.release import Release
from builder.core.targets import Target
from builder.packaging.result_folder import MANIFEST, refuse_foreign_folder
from builder.platforms.android import build as android
from builder.platforms.android.build import AarResult
from builder.platforms.apple import build as apple
from builder.platforms.apple.build import AppleResult
from builder.platforms.contents import describe_library
from builder.platforms.folder import measure_library, package_runtime
from builder.platforms.package_options import PackageOptions
from builder.platforms.registry import platform_of
from builder.platforms.results import TargetResult
from builder.size.budget_check import refuse_excess
from builder.sources.releases import load_release
from builder.system.outputs import refuse_unwritable
from builder.system.progress import Progress

_RUNTIME_BYTES = 4 << 20
"""Bytes on disk of the smallest runtime, with its headers, licences and manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildReport:
    """Everything that `build` made."""

    runtimes: tuple[TargetResult, ...]
    """One for each target, in the order given."""
    aar: AarResult | None = None
    """The AAR; None when no target is for Android."""
    apple: AppleResult | None = None
    """The xcframework; None when no target is for Apple's systems."""

    def hold(self, budgets: Budgets) -> None:
        """Compares the bytes that the libraries add to apps with `budgets`.

        Raises:
            VerificationError: a library is larger than its budget; what was built is kept.
        """
        for runtime in self.runtimes:
            abi = runtime.plan.target.abi
            # The library in an AAR has other entry points than the one in the folder, and it is
            # what an app gets.
            size = self.aar.sizes[abi] if self.aar and abi in self.aar.sizes else runtime.size
            refuse_excess(size, budgets, abi=abi, root=runtime.package.root)


def build(
    request: BuildRequest,
    targets: Sequence[Target],
    output: Path,
    options: PackageOptions | None = None,
    *,
    progress: Progress,
) -> BuildReport:
    """Builds selective runtimes for `targets` and the packages of their platforms.

    Each target gets its folder `output/<abi>`; those for Android also go into an AAR below
    `output/maven`, those for Apple's systems into an xcframework in `output/apple`. The process
    may be killed at any point; the next call continues. Only one builder works on one
    configuration's objects at a time; others wait.

    Args:
        request: what to build.
        targets: what to build for; see `locate_targets`.
        output: the folder to write into; only what builder wrote there is replaced.
        options: the user's choices for the packages.
        progress: is told what is done.

    Raises:
        ModelError: a file cannot be read, or an operator is unknown and `skip_unknown` is not set.
        SourceError: the sources cannot be fetched.
        ToolchainError: a tool is missing.
        NativeBuildError: a step of the build failed, or another builder holds the lock.
        ConfigurationError: `output` cannot be written, or has files that builder did not write.
        PackagingError: the disk is full.
        VerificationError: a library breaks a rule of its platform.
    """
    options = options or PackageOptions()
    release = request.pytorch or load_release()
    # All targets of one build use the release that was read here, also if its folder changes
    # meanwhile.
    request = replace(request, pytorch=release)
    refuse_outputs(targets, output, options, release=release)
    runtimes = tuple(
        _build_target(request, target, output, options, progress=progress) for target in targets
    )
    # One package holds all ABIs of a platform, so packages come after the last link.
    for_android = [one for one in runtimes if one.plan.target.is_android]
    for_apple = [one for one in runtimes if one.plan.target.is_apple]
    return BuildReport(
        runtimes=runtimes,
        aar=android.write_package(
            for_android,
            output,
            options=options.android,
            assets=options.assets,
            page_size=request.tools.page_size,
            progress=progress,
        )
        if for_android
        else None,
        apple=apple.write_package(
            for_apple,
            output,
            options=options.apple,
            resources=options.assets,
            progress=progress,
        )
        if for_apple
        else None,
    )


def refuse_outputs(
    targets: Sequence[Target],
    output: Path,
    options: PackageOptions | None = None,
    *,
    release: Release | None = None,
) -> None:
    """Checks that a build can write its results, and raises an error if it cannot.

    Nothing is compiled and nothing is written.

    Args:
        targets: what to build for.
        output: the folder to write into.
        options: what the user chooses of packages.
        release: the release of PyTorch to build, whose version names packages; the default release
            when None.

    Raises:
        ConfigurationError: nothing can be written below `output`, a folder there has files that
            builder did not write, or `options` cannot be fulfilled.
        ToolchainError: a tool for packages is missing.
        PackagingError: there is too little space.
    """
    options, release = options or PackageOptions(), release or load_release()
    for target in targets:
        # All folders are on one disk, so each one needs the space of all.
        refuse_unwritable(output / target.abi, needed=_RUNTIME_BYTES * len(targets))
        refuse_foreign_folder(output / target.abi, MANIFEST)
    # Both of Apple's platforms have one module, which is asked once.
    modules = {id(module): module for module in map(platform_of, targets)}
    for module in modules.values():
        own = [target for target in targets if platform_of(target) is module]
        module.refuse_package(release, own, output, options)


def _build_target(
    request: BuildRequest,
    target: Target,
    output: Path,
    options: PackageOptions,
    *,
    progress: Progress,
) -> TargetResult:
    interfaces = (Interface.C, *platform_of(target).list_interfaces(options))
    with link_libraries(request, target, interfaces, progress=progress) as linked:
        # The C API comes first in `interfaces`: every target has a folder with it.
        first, *others = linked.values()
        package, main = package_runtime(first, output / target.abi)
        libraries = {Interface.C: main} | {
            one.build.plan.interface: describe_library(one, measure_library(one)) for one in others
        }
    return TargetResult(
        package=package,
        libraries=libraries,
        logs=first.build.layout.logs,
        skipped=tuple(sorted(map(str, first.serving.skipped))),
    )
