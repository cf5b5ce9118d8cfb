"""Judging what was built without running it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from builder.api.models import find_dtypes, read_models
from builder.core.accelerators import find_used
from builder.core.dtypes import EVERYTHING
from builder.core.policies import Binary
from builder.core.targets import MIN_API, parse_target
from builder.errors import ConfigurationError
from builder.selection.rules import load_rules
from builder.system.machine import host_abi
from builder.system.zips import open_zip
from builder.verify import aars, policing
from builder.verify.aars import choose_aar, read_aar_manifest
from builder.verify.coverage import Coverage, build_hint, find_obstacles, merge_obstacles
from builder.verify.policing import guess_abi, merge_reports
from builder.verify.runtime import locate_runtime
from builder.verify.xcframeworks import choose_xcframework, read_manifest

if TYPE_CHECKING:
    from builder.core.android import AndroidPackage
    from builder.core.manifest import Manifest
    from builder.core.policies import PolicyReport


def check_model(model: Path, runtime: Path) -> Coverage:
    """Returns what keeps a built runtime or AAR from running a model, and what would help.

    Both are read, neither is run; so the answer covers what they say of themselves.

    Raises:
        ConfigurationError: no runtime there, or an AAR that says nothing of itself.
        ModelError: the model cannot be read.
        VerificationError: a manifest cannot be read.
    """
    (info,) = read_models((model,))
    manifests = _read_manifests(runtime)
    choice = find_dtypes(info, model)
    untold = choice.dtypes == EVERYTHING and any(
        manifest.dtypes != EVERYTHING for manifest in manifests.values()
    )
    used = find_used(info.operators, info.custom_classes, load_rules().accelerators)
    targets = (parse_target(abi) for abi in manifests)
    needed = used if any(target and target.is_apple for target in targets) else ()
    found = {
        abi: find_obstacles(info, manifest, dtypes=choice.dtypes)
        for abi, manifest in manifests.items()
    }
    return Coverage(
        obstacles=merge_obstacles(found),
        rebuild=build_hint(model, *manifests, accelerators=needed),
        note=f"dtypes are not checked: {choice.reason}" if untold else "",
    )


def check_libraries(
    path: Path,
    *,
    min_api: int | None = None,
    page_size: int | None = None,
    ndk: Path | None = None,
) -> PolicyReport:
    """Returns which rules for Android the libraries of an AAR break, and what cannot be told.

    Args:
        path: an AAR, whoever built it, an output folder with one, or a shared library.
        min_api: lowest API level; the one that the AAR declares when None.
        page_size: alignment in bytes wanted on 64-bit ABIs; the rules' own when None.
        ndk: an NDK, whose stub libraries tell what systems have.

    Raises:
        ConfigurationError: there is no AAR and no library, or it is damaged.
    """
    aar = aars.find_aar(path)
    if aar is None:
        contents = _read_library(path)
        binaries = [Binary(path=path.name, abi=guess_abi(contents), contents=contents)]
        api = MIN_API if min_api is None else min_api
        return policing.check_libraries(binaries, min_api=api, page_size=page_size, ndk=ndk)
    with open_zip(aar) as archive:
        declared = aars.find_min_api(archive)
        api = declared or MIN_API if min_api is None else min_api
        report = policing.check_libraries(
            aars.read_binaries(archive),
            min_api=api,
            page_size=page_size,
            ndk=ndk,
            has_prefab=aars.has_prefab(archive),
        )
        manifest = aars.find_aar_manifest(archive)
        if manifest is None:
            return report
        return merge_reports(report, tuple(aars.check_contents(archive, manifest)))


def check_package(
    package: AndroidPackage, *, page_size: int | None = None, ndk: Path | None = None
) -> PolicyReport:
    """Returns the same of an AAR that is not written yet."""
    binaries = (
        Binary(path=f"jni/{one.abi}/{name}", abi=one.abi, contents=file.library.read_bytes())
        for one in package.libraries
        for name, file in one.files.items()
    )
    return policing.check_libraries(
        binaries,
        min_api=package.min_api,
        page_size=page_size,
        ndk=ndk,
        has_prefab=package.prefab is not None,
    )


def _read_manifests(runtime: Path) -> Mapping[str, Manifest]:
    framework = choose_xcframework(runtime, host_abi=host_abi())
    if framework is not None:
        slices = read_manifest(framework).slices
        return {abi: entry.runtime for abi, entry in slices.items()}
    aar = choose_aar(runtime, host_abi=host_abi())
    if aar is None:
        manifest = locate_runtime(runtime, host_abi=host_abi(), to_run=False).manifest
        return {manifest.abi: manifest}
    libraries = read_aar_manifest(aar).libraries
    return {abi: library.runtime for abi, library in libraries.items()}


def _read_library(path: Path) -> bytes:
    if not path.is_file():
        raise ConfigurationError(
            f"no AAR at {path}, and no shared library",
            hint="to ask whether a runtime can run a model: builder check MODEL RUNTIME",
        )
    return path.read_bytes()
