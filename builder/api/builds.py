"""`build`: the one place that knows the order of a build, from the request to the packages."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from builder.api.build_locks import LockedProduct, refuse_other_build
from builder.api.build_report import BuildReport
from builder.api.finished import find_finished, name_build, remember_finished
from builder.api.link import (
    PlannedTarget,
    WantedLibraries,
    link_libraries,
    list_interfaces,
    plan_target,
    refuse_edited_trees,
    refuse_missing_tools,
)
from builder.core.plan import BuildPlan, BuildRequest, Interface
from builder.core.release import Release
from builder.core.targets import Platform, Target
from builder.errors import name_product, naming
from builder.native.build_folders import Layout
from builder.native.job import LinkedRuntime
from builder.native.prepare_sources import describe_edited
from builder.packaging.cmake_folder import refuse_cmake_folder, write_cmake_folder
from builder.packaging.result_folder import MANIFEST, refuse_foreign_folder
from builder.platforms.android import build as android
from builder.platforms.apple import build as apple
from builder.platforms.contents import describe_library
from builder.platforms.folder import measure_library, package_runtime
from builder.platforms.linux.java import list_java_files
from builder.platforms.package_options import PackageOptions
from builder.platforms.registry import platform_of
from builder.platforms.results import TargetResult
from builder.sources.releases import load_release
from builder.system.folders import cache_folder, data_folder
from builder.system.outputs import refuse_unwritable
from builder.system.own_cache import refuse_unusable
from builder.system.progress import Progress
from builder.system.scratch import scratch_folder
from builder.toolchains.launchers import refuse_unknown

_RUNTIME_BYTES = 4 << 20
"""Bytes on disk of the smallest runtime, with its headers, licences and manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductBuild:
    """One of several builds that are made together."""

    request: BuildRequest
    """What to build."""
    targets: Sequence[Target]
    """What to build for; see `locate_targets`."""
    output: Path
    """The folder to write into; only what builder wrote there is replaced."""
    options: PackageOptions = field(default_factory=PackageOptions)
    """The user's choices for the packages."""
    locked: LockedProduct | None = None
    """What the build must be made with; see `choose_locked`."""
    name: str = ""
    """What progress calls it; empty if it is the only one."""


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
    one = ProductBuild(
        request=request,
        targets=targets,
        output=output,
        options=options or PackageOptions(),
        locked=locked,
    )
    (report,) = build_products([one], progress=progress)
    return report


def build_products(builds: Sequence[ProductBuild], *, progress: Progress) -> list[BuildReport]:
    """Makes several builds as `build` makes one; they share the jobs that each has.

    All builds are planned before anything is compiled. Then the libraries of all targets are made
    together: units that several of them need are compiled once, and while one library is linked,
    others are linked or compiled. Builds with other settings of `jobs`, launcher or lock wait.

    Args:
        builds: what to build; no output is inside of another one.
        progress: is told what is done.

    Raises:
        BuilderError: as `build`. What the other builds have compiled so far is kept.
    """
    started = time.monotonic()
    planned = [_plan(one, progress, builds) for one in builds]
    groups = [group for one in planned for group in one.groups]
    for group in groups:
        with naming(group.product):
            group.find_finished(progress)
    for batch in _split_batches(groups):
        _build_batch(batch, progress, started)
    reports = []
    for one in planned:
        if _has_shared(one.build.targets):
            write_cmake_folder(one.build.output, data_folder("cmake") / "package")
        reports.append(_merge(one, time.monotonic() - started))
    return reports


@dataclass(slots=True, kw_only=True)
class _Group:
    """The targets of one build whose libraries go into one package, and what was made of them."""

    build: ProductBuild
    planned: Sequence[PlannedTarget]
    interfaces: Sequence[Interface]
    product: str
    """What errors begin with; empty where that is clear."""
    key: str = ""
    """The name of its results, once these were looked for; see `name_build`."""
    results: dict[Target, TargetResult] = field(default_factory=dict)
    report: BuildReport | None = None

    def find_finished(self, progress: Progress) -> None:
        """Sets the report if the output folder has the results already."""
        build = self.build
        self.key = name_build(self.planned, self.interfaces, build.request, build.options)
        self.report = find_finished(self.key, self.planned, build.output, build.options)
        if self.report is None:
            return
        # The results are of sources that nobody had edited, but these may be edited now.
        for one in self.planned:
            refuse_edited_trees(one)
            # They are made again by the next build that needs them, and this one needs none.
            if edited := describe_edited(Layout.of(cache_folder(), one.plan)):
                progress.note(f"in the next build that compiles anything: {edited}")
        for runtime in self.report.runtimes:
            progress.note(f"{runtime.package.root} is up to date: {runtime.plan.key}")

    def write(self, progress: Progress) -> None:
        """Writes the package once all targets are built: it holds all ABIs of a platform."""
        if len(self.results) < len(self.planned):
            return
        runtimes = [self.results[one.plan.target] for one in self.planned]
        self.report = _write_package(
            runtimes, self.build.request, self.build.output, self.build.options, progress=progress
        )
        remember_finished(self.key, self.report)


@dataclass(frozen=True, slots=True, kw_only=True)
class _PlannedBuild:
    build: ProductBuild
    groups: Sequence[_Group]


def plan_builds(
    builds: Sequence[ProductBuild], *, progress: Progress
) -> list[tuple[BuildPlan, ...]]:
    """Returns for each build what it would do for each of its targets; nothing is compiled.

    What `build_products` refuses before it compiles anything is refused here too, except for what
    only the sources or a launcher's helpers tell. Of sources, only headers for Apple's systems are
    fetched, since plans depend on them.

    Args:
        builds: what would be built.
        progress: is told what is fetched.

    Raises:
        BuilderError: as `build`.
    """
    made = []
    for build in builds:
        plans = {}
        for group in _plan(build, progress, builds).groups:
            for one in group.planned:
                with naming(group.product):
                    refuse_edited_trees(one)
                plans[one.plan.target] = one.plan
        made.append(tuple(plans[target] for target in build.targets))
    return made


def _plan(build: ProductBuild, progress: Progress, builds: Sequence[ProductBuild]) -> _PlannedBuild:
    """Plans one of `builds`; what is noticed early is refused."""
    product = name_product(build.name, len(builds))
    with naming(product):
        return _plan_product(build, product, progress)


def _plan_product(build: ProductBuild, product: str, progress: Progress) -> _PlannedBuild:
    release = build.request.pytorch or load_release()
    # All targets of one build use the release that was read here, also if its folder changes
    # meanwhile.
    request = replace(build.request, pytorch=release)
    build = replace(build, request=request)
    refuse_unknown(request.tools.launcher)
    refuse_unusable(cache_folder())
    refuse_outputs(build.targets, build.output, build.options, release=release)
    # All targets are planned before one is built, so that what is refused costs no compilation.
    planned = [
        [plan_target(request, target, Interface.C, progress=progress) for target in group]
        for group in _split(build.targets)
    ]
    everything = [one for group in planned for one in group]
    for one in everything:
        refuse_missing_tools(one, request, build.options)
    if build.locked is not None:
        refuse_other_build(everything, request, build.options, build.locked)
    groups = []
    for group in planned:
        interfaces = list_interfaces(group[0].plan.target, build.options)
        groups.append(_Group(build=build, planned=group, interfaces=interfaces, product=product))
    return _PlannedBuild(build=build, groups=groups)


_Wanted = tuple[_Group, PlannedTarget]


def _split_batches(groups: Sequence[_Group]) -> Iterator[list[_Wanted]]:
    """Yields what is made together: no plan twice, and with the same settings of the work."""
    rest = [(group, one) for group in groups if group.report is None for one in group.planned]
    while rest:
        batch: list[_Wanted] = []
        later: list[_Wanted] = []
        for group, one in rest:
            is_alike = not batch or _list_settings(batch[0][0]) == _list_settings(group)
            # Equal plans have one folder in the cache.
            is_new = all(one.plan.key != other.plan.key for _, other in batch)
            (batch if is_alike and is_new else later).append((group, one))
        yield batch
        rest = later


def _list_settings(group: _Group) -> tuple[object, ...]:
    request = group.build.request
    return request.jobs, request.tools.launcher, request.lock_timeout


def _build_batch(batch: Sequence[_Wanted], progress: Progress, started: float) -> None:
    wanted = [
        WantedLibraries(
            planned=one,
            request=group.build.request,
            interfaces=group.interfaces,
            static=group.build.options.linux.static and one.plan.target.platform is Platform.LINUX,
            title=_title(group, one) if len(batch) > 1 else "",
            product=group.product,
        )
        for group, one in batch
    ]
    with link_libraries(wanted, progress=progress) as linked:
        for (group, one), libraries in zip(batch, linked, strict=True):
            with naming(group.product):
                group.results[one.plan.target] = _package(group, one, libraries, started)
    # One package holds all ABIs of a platform, so it comes after the last link.
    for group in {id(group): group for group, _ in batch}.values():
        with naming(group.product):
            group.write(progress)


def _title(group: _Group, one: PlannedTarget) -> str:
    return f"{group.build.name} {one.plan.target.abi}".strip()


def _package(
    group: _Group,
    planned: PlannedTarget,
    linked: Mapping[Interface, LinkedRuntime],
    started: float,
) -> TargetResult:
    first, *others = linked.values()
    libraries = {
        one.build.plan.interface: describe_library(one, measure_library(one)) for one in others
    }
    root, has_java = group.build.output / planned.plan.target.abi, _has_java(group, planned)
    with scratch_folder() as scratch:
        files = list_java_files(libraries[Interface.JNI], scratch) if has_java else ()
        package, main = package_runtime(first, root, others=files)
    return TargetResult(
        package=package,
        libraries={Interface.C: main, **libraries},
        logs=first.build.layout.logs,
        seconds=time.monotonic() - started,
        skipped=tuple(sorted(map(str, first.serving.skipped))),
    )


def _has_java(group: _Group, planned: PlannedTarget) -> bool:
    """Returns whether the folder of a target is to have what a JVM needs."""
    return group.build.options.linux.jni and planned.plan.target.platform is Platform.LINUX


def _merge(planned: _PlannedBuild, seconds: float) -> BuildReport:
    reports = [group.report for group in planned.groups if group.report is not None]
    runtimes = {one.plan.target: one for report in reports for one in report.runtimes}
    return BuildReport(
        runtimes=tuple(runtimes[target] for target in planned.build.targets),
        aar=next((report.aar for report in reports if report.aar), None),
        apple=next((report.apple for report in reports if report.apple), None),
        seconds=seconds,
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


def _write_package(
    runtimes: Sequence[TargetResult],
    request: BuildRequest,
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
