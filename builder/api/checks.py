"""Checks of built runtimes and packages, which do not run them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from builder.api.models import read_models
from builder.api.requirements import find_dtypes
from builder.api.settings import PackageCheck
from builder.core.backends import Chosen, find_needed
from builder.core.dtypes import EVERYTHING
from builder.core.targets import parse_target
from builder.errors import ConfigurationError, Hint, Use
from builder.platforms.android import platform as android
from builder.platforms.android.check import check_libraries
from builder.platforms.apple import platform as apple
from builder.platforms.apple.build import check_xcframework
from builder.platforms.linux import platform as linux
from builder.sources.releases import load_release
from builder.verify.coverage import Coverage, build_hint, find_obstacles, merge_obstacles

if TYPE_CHECKING:
    from builder.core.release import Release
    from builder.core.runtime_manifest import Manifest
    from builder.verify.policy import PolicyReport


def check(model: Path, runtime: Path, *, release: Release | None = None) -> Coverage:
    """Returns why a built runtime or package cannot run a model, and the build that would help.

    The model and the manifest are read, and nothing is run.

    Args:
        model: a lite file.
        runtime: the output folder of a build, an AAR or an xcframework.
        release: the release of PyTorch for the command that would help; the default release when
            None.

    Raises:
        ConfigurationError: there is no runtime, or the AAR has no manifest.
        ModelError: the model cannot be read.
        VerificationError: a manifest cannot be read.
    """
    backends = (release or load_release()).backends
    (info,) = read_models((model,))
    manifests = _read_manifests(runtime)
    choice = find_dtypes(info, model)
    # A runtime with all kernels runs any dtype, so nothing is left unknown.
    untold = choice.dtypes == EVERYTHING and any(
        manifest.dtypes != EVERYTHING for manifest in manifests.values()
    )
    # The hint must name the options without which a new build would lack the same.
    used = find_needed(backends.values(), info.operators, info.custom_classes, info.marks)
    targets = [target for abi in manifests if (target := parse_target(abi))]
    needed = [
        one
        for one in used
        if one.chosen is Chosen.OPTION and any(one.runs_on(target.platform) for target in targets)
    ]
    found = {
        abi: find_obstacles(info, manifest, dtypes=choice.dtypes)
        for abi, manifest in manifests.items()
    }
    return Coverage(
        obstacles=merge_obstacles(found),
        rebuild=build_hint(model, *manifests, accelerators=needed),
        note=f"dtypes are not checked: {choice.reason}" if untold else "",
    )


def check_package(
    path: Path, options: PackageCheck | None = None, *, release: Release | None = None
) -> PolicyReport:
    """Returns which rules of its platform a package breaks, and which could not be checked.

    Args:
        path: an AAR or an xcframework, whoever built it, an output folder with one, or a shared
            library for Android.
        options: what to compare the libraries with.
        release: the release of PyTorch whose backends say which frameworks an xcframework may
            link; the default one when None.

    Raises:
        ConfigurationError: there is no package, it is damaged, or it has no use for an option.
    """
    options = options or PackageCheck()
    android_only = (options.min_api, options.page_size, options.ndk)
    report = check_xcframework(path, release=release or load_release(), apple_sdk=options.apple_sdk)
    # Only now is it known which kind of package the path is.
    if report is not None:
        if any(android_only):
            raise ConfigurationError(
                "API levels, page sizes and an NDK do not apply to xcframeworks",
                hint=Hint(
                    "leave out ", Use("min_api"), ", ", Use("page_size"), " and ", Use("ndk")
                ),
            )
        return report
    if options.apple_sdk:
        raise ConfigurationError(
            "an SDK of Apple's applies to xcframeworks only",
            hint=Hint("leave out ", Use("apple_sdk")),
        )
    return check_libraries(
        path, min_api=options.min_api, page_size=options.page_size, ndk=options.ndk
    )


def _read_manifests(path: Path) -> Mapping[str, Manifest]:
    """Returns ABI -> manifest of what is at `path`; packages of platforms come before folders."""
    # An output folder has both; a package covers all ABIs of its platform at once.
    for read in (apple.read_manifests, android.read_manifests):
        manifests = read(path)
        if manifests is not None:
            return manifests
    return linux.read_manifests(path)
