"""The packages for Apple: one xcframework with a slice for each platform, and what takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from builder.formats.macho import join_architectures
from builder.packaging.headers import list_headers
from builder.platforms.apple import xcframework as xcframeworks
from builder.platforms.apple.check import AppleBinary, check_slices
from builder.platforms.apple.facts import load_facts
from builder.platforms.apple.frameworks import list_frameworks
from builder.platforms.apple.package import (
    FRAMEWORKS,
    AppleLibrary,
    ApplePackage,
    AppleSlice,
    default_version,
)
from builder.platforms.apple.repository import write_apple
from builder.platforms.apple.toolchain import find_sdk
from builder.platforms.apple.xcode import is_mac
from builder.platforms.contents import list_pins
from builder.system.folders import data_folder
from builder.system.process import Runner
from builder.system.scratch import scratch_folder
from builder.verify.policy import merge_reports, refuse_violations

if TYPE_CHECKING:
    from builder.core.artifacts import SizeReport
    from builder.core.release import Release
    from builder.core.runtime_manifest import Manifest
    from builder.core.targets import Platform, Target
    from builder.platforms.apple.package import AppleOptions, WrittenApple
    from builder.platforms.results import TargetResult
    from builder.system.progress import Progress
    from builder.verify.policy import PolicyReport


@dataclass(frozen=True, slots=True, kw_only=True)
class AppleResult:
    """The xcframework of a build."""

    written: WrittenApple
    """Where it was written."""
    sizes: Mapping[str, SizeReport]
    """ABI -> sizes of what its library adds to an app."""
    archives: Mapping[str, int]
    """ABI -> bytes of its static library."""
    report: PolicyReport
    """The findings of the rules for libraries on Apple's platforms."""


def write_package(
    runtimes: Sequence[TargetResult],
    output: Path,
    *,
    options: AppleOptions,
    resources: tuple[Path, ...] = (),
    progress: Progress,
) -> AppleResult:
    """Writes the static libraries of `runtimes` as `output/apple`.

    Args:
        runtimes: at least one.
        output: the folder that the user named.
        options: what the user chose of the xcframework.
        resources: files for the Swift module's bundle, each by its own name.
        progress: is told what is packaged.

    Raises:
        VerificationError: a library breaks a rule.
        PackagingError: a file is missing.
    """
    release = runtimes[0].plan.release
    libraries = tuple(_describe_library(one) for one in runtimes)
    # Before the packages are written: nothing that breaks a rule is left where apps look.
    report = check_slices((_to_binary(one, release) for one in libraries), _list_sdks(runtimes))
    refuse_violations(report, "the xcframework", platform="Apple's systems")
    version = options.version or default_version(release.version)
    progress.step(f"packaging LibTorchLite {version} for {', '.join(_abis(libraries))}")
    with scratch_folder() as scratch:
        package = ApplePackage(
            version=version,
            libraries=libraries,
            slices=_join_slices(libraries, scratch),
            headers=list_headers(),
            sources=data_folder("swift"),
            licences={n: path for one in runtimes for n, path in one.main.licences.items()},
            frameworks=tuple(
                sorted(
                    {name for one in libraries for name in _list_frameworks(release, one.manifest)}
                )
            ),
            pins=list_pins(release),
            options=options,
            resources=resources,
        )
        written = write_apple(
            package, output, xcode=Runner.inherit_for_tools() if is_mac() else None
        )
    return AppleResult(
        written=written,
        # The size of a static library says little: an app links only what it reaches.
        sizes={runtime.plan.target.abi: runtime.size for runtime in runtimes},
        archives={one.target.abi: one.archive.stat().st_size for one in libraries},
        report=report,
    )


def check_xcframework(
    path: Path, *, release: Release, apple_sdk: Path | None = None
) -> PolicyReport | None:
    """Returns which rules the libraries of an xcframework break; None where `path` has none.

    Args:
        path: any xcframework, or an output folder with one.
        release: the release of PyTorch whose backends say which frameworks a library may link.
        apple_sdk: an SDK with the symbols of Apple's libraries; Xcode's or the open headers when
            None.

    Raises:
        ConfigurationError: the xcframework is damaged.
    """
    framework = xcframeworks.find_xcframework(path)
    if framework is None:
        return None
    binaries = tuple(xcframeworks.read_binaries(framework, partial(_list_frameworks, release)))
    sdks = {one.target.platform: _find_sdk(release, one.target, apple_sdk) for one in binaries}
    # Without an SDK some rules cannot be checked, and the report names them.
    report = check_slices(binaries, {name: root for name, root in sdks.items() if root})
    manifest = xcframeworks.find_manifest(framework)
    # An xcframework of somebody else has no list of contents to compare.
    if manifest is None:
        return report
    return merge_reports(report, tuple(xcframeworks.check_contents(framework, manifest)))


def _list_frameworks(release: Release, manifest: Manifest | None) -> tuple[str, ...]:
    """Returns the frameworks that a slice may link: any known one, where it has no manifest."""
    # A slice of somebody else may link any framework that a backend of builder could need.
    known = release.backends
    names = known if manifest is None else manifest.accelerators
    return tuple(sorted({*FRAMEWORKS, *list_frameworks(known[n] for n in names if n in known)}))


def _find_sdk(release: Release, target: Target, chosen: Path | None) -> Path | None:
    sdk = find_sdk(release, target, chosen)
    return sdk.root if sdk else None


def _describe_library(runtime: TargetResult) -> AppleLibrary:
    one = runtime.main
    return AppleLibrary(
        target=one.plan.target,
        arch=load_facts(one.plan.target).arch,
        archive=runtime.package.library,
        manifest=one.manifest,
        linked=one.size.file,
        compressed=one.size.compressed,
        flags=(f"profile={one.plan.flavour.name}",),
        components=one.components,
    )


def _to_binary(library: AppleLibrary, release: Release) -> AppleBinary:
    return AppleBinary(
        path=f"{library.target.abi}/{library.archive.name}",
        target=library.target,
        arch=library.arch,
        contents=library.archive.read_bytes(),
        frameworks=_list_frameworks(release, library.manifest),
    )


def _join_slices(libraries: Sequence[AppleLibrary], scratch: Path) -> tuple[AppleSlice, ...]:
    """Returns a library for each platform; for several CPU architectures, a universal one."""
    slices = []
    for platform in sorted({library.target.platform for library in libraries}):
        own = {one.arch: one.archive for one in libraries if one.target.platform is platform}
        archive = scratch / f"{platform}.a"
        # A slice holds one file per platform; a universal file holds several architectures.
        archive.write_bytes(join_architectures({a: p.read_bytes() for a, p in own.items()}))
        slices.append(AppleSlice(platform=platform, archs=tuple(sorted(own)), archive=archive))
    return tuple(slices)


def _list_sdks(runtimes: Sequence[TargetResult]) -> dict[Platform, Path]:
    toolchains = {one.plan.target.platform: one.main.toolchain for one in runtimes}
    return {name: one.sdk.root for name, one in toolchains.items() if one.sdk is not None}


def _abis(libraries: Sequence[AppleLibrary]) -> list[str]:
    return [library.target.abi for library in libraries]
