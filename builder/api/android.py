"""The AAR: one library for each ABI, our Java classes, and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder.api.checking import check_package
from builder.api.components import find_carried, find_components
from builder.api.libraries import link_library
from builder.api.packaging import find_licences, list_pins, make_manifest, refuse_same_names
from builder.api.sources import load_source_lock
from builder.core.android import (
    AndroidLibrary,
    AndroidPackage,
    JavaPart,
    Prefab,
    choose_coordinates,
)
from builder.core.plan import Interface
from builder.packaging.android.repository import write_aar
from builder.packaging.java import compile_library, write_javadoc
from builder.size.measuring import measure
from builder.system.places import data_folder
from builder.system.process import Runner
from builder.system.scratch import scratch_folder
from builder.toolchains.jdk import locate_jdk
from builder.verify.policing import refuse_violations

if TYPE_CHECKING:
    from builder.api.building import BuildOutcome
    from builder.core.android import AarOptions, WrittenAar
    from builder.core.artifacts import SizeReport
    from builder.core.plan import BuildRequest
    from builder.core.policies import PolicyReport
    from builder.core.toolchain import Jdk
    from builder.native.job import LinkedRuntime, NativeBuild
    from builder.system.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class AarOutcome:
    """What `build_aar` made."""

    written: WrittenAar
    sizes: Mapping[str, SizeReport]
    """Of the library of each ABI."""
    report: PolicyReport
    """What the rules for libraries on Android say of them."""


def refuse_unpackable(options: AarOptions) -> None:
    """Raises at once what `build_aar` would raise after everything has been compiled.

    Raises:
        ConfigurationError: coordinates that Maven cannot have, or two assets of one name.
        ToolchainError: there is no JDK.
    """
    choose_coordinates(options, load_source_lock().version)
    locate_jdk(Runner.inherit())
    refuse_same_names(options.assets, called="assets")


def build_aar(
    request: BuildRequest,
    runtimes: Sequence[BuildOutcome],
    output: Path,
    *,
    options: AarOptions,
    progress: Progress,
) -> AarOutcome | None:
    """Links the JNI library for the target of each of `runtimes`, and writes them as an AAR.

    None without `runtimes`. Objects are those of the runtimes, so little is compiled.

    Raises:
        BuilderError: as `build_runtime`; ToolchainError without a JDK; ConfigurationError for
            coordinates that Maven cannot have; VerificationError when a library breaks a rule.
    """
    if not runtimes:
        return None
    coordinates = choose_coordinates(options, runtimes[0].plan.source_version)
    runner = Runner.inherit()
    jdk = locate_jdk(runner)
    interface = Interface.JNI_AND_C if options.prefab else Interface.JNI
    libraries: list[AndroidLibrary] = []
    sizes: dict[str, SizeReport] = {}
    licences: dict[str, Path] = {}
    for runtime in runtimes:
        target = runtime.plan.target
        with link_library(request, target, interface, progress=progress) as one:
            libraries.append(_describe_library(one))
            linked, objects = one.linked, one.build.layout.objects
            sizes[target.abi] = measure(
                linked.library, linked.map_file, objects, units_map=linked.units_map
            )
            licences |= find_licences(one.build)
    progress.step(f"packaging {coordinates}")
    with scratch_folder() as scratch:
        package = AndroidPackage(
            coordinates=coordinates,
            min_api=min(runtime.plan.target.min_os for runtime in runtimes),
            libraries=tuple(libraries),
            java=_compile_java(scratch, jdk, runner=runner),
            licences=licences,
            pins=list_pins(),
            assets={path.name: path for path in options.assets},
            prefab=_offer_to_c(one.build) if options.prefab else None,
        )
        report = check_package(package, page_size=request.tools.page_size, ndk=_find_ndk(one))
        refuse_violations(report, str(coordinates))
        return AarOutcome(written=write_aar(package, output), sizes=sizes, report=report)


def _find_ndk(one: LinkedRuntime) -> Path | None:
    ndk = one.build.toolchain.ndk
    return ndk.root if ndk else None


def _describe_library(one: LinkedRuntime) -> AndroidLibrary:
    build = one.build
    return AndroidLibrary(
        abi=build.plan.target.abi,
        library=one.linked.library,
        unstripped=one.linked.unstripped,
        manifest=make_manifest(build.plan, one.serving.operators),
        page_size=build.toolchain.page_size or 0,
        flags=(f"profile={build.plan.flavour.name}", *build.plan.link_flags),
        others=one.linked.carried,
        components=find_components(one),
        other_components=find_carried(one),
    )


def _compile_java(scratch: Path, jdk: Jdk, *, runner: Runner) -> JavaPart:
    java, classes, javadoc = data_folder("java"), scratch / "classes", scratch / "javadoc"
    compile_library(java, classes, jdk, runner=runner)
    write_javadoc(java, javadoc, jdk, runner=runner)
    return JavaPart(
        sources=java / "src", classes=classes, javadoc=javadoc, rules=java / "proguard.txt"
    )


def _offer_to_c(build: NativeBuild) -> Prefab:
    toolchain = build.toolchain
    return Prefab(
        header=build.runtime / "torchlite.h",
        ndk=toolchain.ndk.revision[0] if toolchain.ndk else 0,
        stl="c++_shared" if toolchain.beside else "none",
    )
