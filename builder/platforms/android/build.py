"""The AAR: one library for each ABI, our Java classes, and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder.core.plan import Interface
from builder.platforms.android.check import check_package
from builder.platforms.android.java import compile_library, write_javadoc
from builder.platforms.android.package import (
    AndroidLibrary,
    AndroidPackage,
    JavaPart,
    Prefab,
    choose_coordinates,
)
from builder.platforms.android.repository import write_aar
from builder.platforms.contents import list_pins, refuse_same_names
from builder.system.folders import data_folder
from builder.system.process import Runner
from builder.system.scratch import scratch_folder
from builder.toolchains.jdk import locate_jdk
from builder.verify.policy import refuse_violations

if TYPE_CHECKING:
    from builder.core.artifacts import SizeReport
    from builder.core.release import Release
    from builder.core.toolchain import Jdk
    from builder.platforms.android.package import AarOptions, Coordinates, WrittenAar
    from builder.platforms.results import LibraryResult, TargetResult
    from builder.system.progress import Progress
    from builder.verify.policy import PolicyReport


@dataclass(frozen=True, slots=True, kw_only=True)
class AarResult:
    """The AAR of a build."""

    written: WrittenAar
    """Where it was written."""
    sizes: Mapping[str, SizeReport]
    """ABI -> sizes of its library."""
    report: PolicyReport
    """The findings of the rules for libraries on Android."""


def refuse_unpackable(options: AarOptions, assets: Sequence[Path], release: Release) -> Coordinates:
    """Raises at once what `write_package` would raise; returns what the AAR is called.

    Raises:
        ConfigurationError: coordinates that Maven cannot have, or two assets of one name.
        ToolchainError: there is no JDK.
    """
    coordinates = choose_coordinates(options, release.version)
    locate_jdk(Runner.inherit_for_tools())
    refuse_same_names(assets, called="assets")
    return coordinates


def write_package(
    runtimes: Sequence[TargetResult],
    output: Path,
    *,
    options: AarOptions,
    assets: Sequence[Path] = (),
    page_size: int | None = None,
    progress: Progress,
) -> AarResult:
    """Writes the JNI libraries of `runtimes` as an AAR in a Maven repository below `output`.

    Args:
        runtimes: at least one; each has a library with the interface of `choose_interface`.
        output: the folder that the user named.
        options: what the user chose of the AAR.
        assets: files for `assets/`, each by its own name.
        page_size: alignment in bytes wanted of 64-bit libraries; the rules' own when None.
        progress: is told what is packaged.

    Raises:
        ToolchainError: there is no JDK.
        ConfigurationError: coordinates that Maven cannot have.
        VerificationError: a library breaks a rule.
        PackagingError: something cannot be written.
    """
    # The targets were linked with this interface, see `builder.api.builds`.
    interface = choose_interface(options)
    libraries = [runtime.libraries[interface] for runtime in runtimes]
    last, release = libraries[-1], libraries[-1].plan.release
    coordinates = choose_coordinates(options, release.version)
    runner = Runner.inherit_for_tools()
    jdk = locate_jdk(runner)
    progress.step(f"packaging {coordinates}")
    with scratch_folder() as scratch:
        package = AndroidPackage(
            coordinates=coordinates,
            # An AAR declares one level for all ABIs, and 64-bit ones begin later than 32-bit ones.
            min_api=min(one.plan.target.min_os for one in libraries),
            libraries=tuple(map(_describe_library, libraries)),
            java=_compile_java(scratch, jdk, runner=runner),
            licences={name: path for one in libraries for name, path in one.licences.items()},
            pins=list_pins(release),
            assets={path.name: path for path in assets},
            prefab=_offer_to_c(last) if options.prefab else None,
        )
        ndk = last.toolchain.ndk
        # Before anything is written: an AAR that breaks a rule must not be found by a build of an
        # app.
        report = check_package(package, page_size=page_size, ndk=ndk.root if ndk else None)
        refuse_violations(report, str(coordinates))
        written = write_aar(package, output)
    return AarResult(
        written=written,
        sizes={one.plan.target.abi: one.size for one in libraries},
        report=report,
    )


def choose_interface(options: AarOptions) -> Interface:
    """Returns what the library in an AAR is called through."""
    return Interface.JNI_AND_C if options.prefab else Interface.JNI


def _describe_library(one: LibraryResult) -> AndroidLibrary:
    return AndroidLibrary(
        abi=one.plan.target.abi,
        library=one.linked.library,
        unstripped=one.linked.unstripped,
        manifest=one.manifest,
        page_size=one.toolchain.page_size or 0,
        flags=(f"profile={one.plan.flavour.name}", *one.plan.link_flags),
        others=one.linked.carried,
        components=one.components,
        other_components=one.carried_components,
    )


def _compile_java(scratch: Path, jdk: Jdk, *, runner: Runner) -> JavaPart:
    java, classes, javadoc = data_folder("java"), scratch / "classes", scratch / "javadoc"
    compile_library(java, classes, jdk, runner=runner)
    write_javadoc(java, javadoc, jdk, runner=runner)
    return JavaPart(
        sources=java / "src", classes=classes, javadoc=javadoc, rules=java / "proguard.txt"
    )


def _offer_to_c(one: LibraryResult) -> Prefab:
    toolchain = one.toolchain
    return Prefab(
        headers=one.headers,
        ndk=toolchain.ndk.revision[0] if toolchain.ndk else 0,
        stl="c++_shared" if toolchain.beside else "none",
    )
