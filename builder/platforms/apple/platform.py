"""Apple's systems, as the registry knows them: their package is an xcframework."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from builder.core.plan import Interface
from builder.core.release import Release
from builder.core.runtime_manifest import Manifest
from builder.core.targets import Target
from builder.packaging.result_folder import refuse_foreign_folder
from builder.platforms.apple.measure import measure_xcframework
from builder.platforms.apple.repository import FOLDER
from builder.platforms.apple.toolchain import fetch_toolchain_sources, locate_toolchain
from builder.platforms.contents import refuse_same_names

if TYPE_CHECKING:
    from builder.platforms.package_options import PackageOptions

__all__ = [
    "fetch_toolchain_sources",
    "list_interfaces",
    "locate_toolchain",
    "read_manifests",
    "refuse_package",
]


def list_interfaces(options: PackageOptions) -> tuple[Interface, ...]:  # noqa: ARG001
    """Returns nothing: the xcframework has the library of the folder, with the C API."""
    return ()


def refuse_package(
    release: Release,  # noqa: ARG001
    targets: Sequence[Target],  # noqa: ARG001
    output: Path,
    options: PackageOptions,
) -> None:
    """Raises what writing the xcframework would raise after everything has been compiled.

    Raises:
        ConfigurationError: two resources with the same name, or files below `output` that builder
            did not write.
    """
    refuse_same_names(options.assets, called="resources")
    refuse_foreign_folder(output / FOLDER)


def read_manifests(path: Path) -> Mapping[str, Manifest] | None:
    """Returns what the xcframework at `path`, or in that output folder, says; None without one.

    Raises:
        ConfigurationError: somebody else built it.
        VerificationError: its manifest cannot be read.
    """
    manifest = measure_xcframework(path)
    if manifest is None:
        return None
    return {abi: entry.runtime for abi, entry in manifest.slices.items()}
