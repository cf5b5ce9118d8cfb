"""`build`: the one place that knows the order of a build, from the request to the packages."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from builder.api.build_locks import LockedProduct, refuse_other_build
from builder.api.build_report import BuildReport
from builder.api.finished import find_finished, name_build, remember_finished
from builder.api.link import (
    PlannedTarget,
    link_libraries,
    list_interfaces,
    plan_target,
    refuse_edited_trees,
)
from builder.core.plan import BuildRequest, Interface
from builder.core.release import Release
from builder.core.targets import Platform, Target
from builder.native.build_folders import Layout
from builder.native.prepare_sources import describe_edited
from builder.packaging.cmake_folder import refuse_cmake_folder, write_cmake_folder
from builder.packaging.result_folder import MANIFEST, refuse_foreign_folder
from builder.platforms.android import build as android
from builder.platforms.apple import build as apple
from builder.platforms.contents import describe_library
from builder.platforms.folder import measure_library, package_runtime
from builder.platforms.package_options import PackageOptions
from builder.platforms.registry import platform_of
from builder.platforms.results import TargetResult
from builder.sources.releases import load_release
from builder.system.folders import cache_folder, data_folder
from builder.system.outputs import refuse_unwritable
from builder.system.progress import Progress
from builder.toolchains.launchers import refuse_unknown

_RUNTIME_BYTES = 4 << 20
"""Bytes on disk of the smallest runtime, with its headers, licences and manifest."""


def build(
    request: BuildRequest,
    targets: Sequence[Target],
    output: Path,
    options: PackageOptions | None = None,
    *,
    progress: Progress,
    locked: LockedProduct | None = None,
) -> BuildReport:
    """Builds selective runtimes for `targets` and the packages of their platforms.

    Each target gets its folder `output/<abi>`; those for Android also go into an AAR below
    `output/maven`, those for Apple's systems into an xcframework in `output/apple`. The process
    may be killed at any point; the next call continues. Only one builder works on one
    configuration's objects at a time; others wait. Where `output` has the results of the same build
    already, and all their files are whole, nothing is built: they are the answer.

    Args:
        request: what to build.
        targets: what to build for; see `locate_targets`.
        output: the folder to write into; only what builder wrote there is replaced.
        options: the user's choices for the packages.
        progress: is told what is done.
        locked: what the build must be made with; see `choose_locked`.

    Raises:
        ModelError: a file cannot be read, or an operator is unknown and `skip_unknown` is not set.
        SourceError: the sources cannot be fetched.
        ToolchainError: a tool is missing.
        NativeBuildError: a step of the build failed, or another builder holds the lock.
        ConfigurationError: `output` cannot be written, or has files that builder did not write; or
            `locked` has other options or operators. Other tools than the locked ones are a
            ToolchainError, and other sources a SourceError.
        PackagingError: the disk is full.
        VerificationError: a library breaks a rule of its platform.
    """
    started = time.monotonic()
    options = options or PackageOptions()
    release = request.pytorch or load_release()
    # All targets of one build use the release that was read here, also if its folder changes
    # meanwhile.
    request = replace(request, pytorch=release)
    refuse_unknown(request.tools.launcher)
    refuse_outputs(targets, output, options, release=release)
    # All targets are planned before one is built, so that what is refused costs no compilation.
    groups = [
        [plan_target(request, target, Interface.C, progress=progress) for target in group]
        for group in _split(targets)
    ]
    if locked is not None:
        everything = [one for group in groups for one in group]
        refuse_other_build(everything, request, options, locked)
    reports = [
        _build_group(request, planned, output, options, progress=progress) for planned in groups
    ]
    if _has_shared(targets):
        write_cmake_folder(output, data_folder("cmake") / "package")
    runtimes = {one.plan.target: one for report in reports for one in report.runtimes}
    return BuildReport(
        runtimes=tuple(runtimes[target] for target in targets),
        aar=next((report.aar for report in reports if report.aar), None),
        apple=next((report.apple for report in reports if report.apple), None),
        seconds=time.monotonic() - started,
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
    if _has_shared(targets):
        refuse_cmake_folder(output)
    # Both of Apple's platforms have one module, which is asked once.
    modules = {id(module): module for module in map(platform_of, targets)}
    for module in modules.values():
        own = [target for target in targets if platform_of(target) is module]
        module.refuse_package(release, own, output, options)


def _has_shared(targets: Sequence[Target]) -> bool:
    """Returns whether the runtime of one of `targets` is a shared library, which CMake can find."""
    return any(not target.is_apple for target in targets)


def _split(targets: Sequence[Target]) -> Iterator[tuple[Target, ...]]:
    """Yields targets whose libraries go into one package together, the others alone."""
    packed = ("is_android", "is_apple")
    for kind in packed:
        group = tuple(target for target in targets if getattr(target, kind))
        if group:
            yield group
    for target in targets:
        if not any(getattr(target, kind) for kind in packed):
            yield (target,)


def _build_group(
    request: BuildRequest,
    planned: Sequence[PlannedTarget],
    output: Path,
    options: PackageOptions,
    *,
    progress: Progress,
) -> BuildReport:
    interfaces = list_interfaces(planned[0].plan.target, options)
    name = name_build(planned, interfaces, request, options)
    if finished := find_finished(name, planned, output, options):
        # The results are of sources that nobody had edited, but these may be edited now.
        for one in planned:
            refuse_edited_trees(one)
            # They are made again by the next build that needs them, and this one needs none.
            if edited := describe_edited(Layout.of(cache_folder(), one.plan)):
                progress.note(f"in the next build that compiles anything: {edited}")
        for runtime in finished.runtimes:
            progress.note(f"{runtime.package.root} is up to date: {runtime.plan.key}")
        return finished
    runtimes = [
        _build_target(request, one, interfaces, output, options, progress=progress)
        for one in planned
    ]
    # One package holds all ABIs of a platform, so it comes after the last link.
    report = _write_package(request, runtimes, output, options, progress=progress)
    remember_finished(name, report)
    return report


def _write_package(
    request: BuildRequest,
    runtimes: Sequence[TargetResult],
    output: Path,
    options: PackageOptions,
    *,
    progress: Progress,
) -> BuildReport:
    report = BuildReport(runtimes=tuple(one.summarise() for one in runtimes))
    if runtimes[0].plan.target.is_android:
        aar = android.write_package(
            runtimes,
            output,
            options=options.android,
            assets=options.assets,
            page_size=request.tools.page_size,
            progress=progress,
        )
        return replace(report, aar=aar)
    if runtimes[0].plan.target.is_apple:
        packed = apple.write_package(
            runtimes,
            output,
            options=options.apple,
            resources=options.assets,
            progress=progress,
        )
        return replace(report, apple=packed)
    return report


def _build_target(
    request: BuildRequest,
    planned: PlannedTarget,
    interfaces: Sequence[Interface],
    output: Path,
    options: PackageOptions,
    *,
    progress: Progress,
) -> TargetResult:
    started = time.monotonic()
    static = options.linux.static and planned.plan.target.platform is Platform.LINUX
    with link_libraries(planned, request, interfaces, static=static, progress=progress) as linked:
        first, *others = linked.values()
        package, main = package_runtime(first, output / planned.plan.target.abi)
        libraries = {Interface.C: main} | {
            one.build.plan.interface: describe_library(one, measure_library(one)) for one in others
        }
    return TargetResult(
        package=package,
        libraries=libraries,
        logs=first.build.layout.logs,
        seconds=time.monotonic() - started,
        skipped=tuple(sorted(map(str, first.serving.skipped))),
    )
