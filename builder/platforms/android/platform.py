"""Android, as the registry knows it: its package is an AAR in a Maven repository."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from builder.core.plan import Interface
from builder.core.release import Release
from builder.core.runtime_manifest import Manifest
from builder.core.targets import Target
from builder.core.toolchain import Toolchain, ToolchainOptions
from builder.platforms.android.aar import choose_aar, read_aar_manifest
from builder.platforms.android.build import choose_interface, refuse_unpackable
from builder.platforms.android.repository import REPOSITORY, refuse_foreign
from builder.platforms.android.toolchain import locate_ndk_toolchain
from builder.system.machine import host_abi
from builder.system.outputs import refuse_unwritable
from builder.system.process import Runner
from builder.system.progress import Progress

if TYPE_CHECKING:
    from builder.platforms.package_options import PackageOptions


def fetch_toolchain_sources(
    release: Release, target: Target, options: ToolchainOptions, *, progress: Progress
) -> None:
    """Does nothing: the NDK is the user's."""


def locate_toolchain(
    runner: Runner,
    release: Release,  # noqa: ARG001
    target: Target,
    options: ToolchainOptions,
) -> Toolchain:
    """Returns the NDK's clang for `target`; ToolchainError says what is missing."""
    return locate_ndk_toolchain(runner, target, options)


def list_interfaces(options: PackageOptions) -> tuple[Interface, ...]:
    """Returns the interface of the library in the AAR."""
    return (choose_interface(options.android),)


def refuse_package(
    release: Release,
    targets: Sequence[Target],  # noqa: ARG001
    output: Path,
    options: PackageOptions,
) -> None:
    """Raises what writing the AAR would raise after everything has been compiled.

    Raises:
        ConfigurationError: coordinates that Maven cannot have, two assets with the same name, or
            files below `output` that builder did not write.
        ToolchainError: there is no JDK.
    """
    coordinates = refuse_unpackable(options.android, options.assets, release)
    refuse_unwritable(output / REPOSITORY / coordinates.folder / coordinates.version)
    # All this is asked before compiling, which takes minutes.
    refuse_foreign(coordinates, output)


def read_manifests(path: Path) -> Mapping[str, Manifest] | None:
    """Returns what the AAR at `path`, or in that output folder, says; None without one.

    Raises:
        ConfigurationError: the AAR says nothing of itself.
        VerificationError: its manifest cannot be read.
    """
    aar = choose_aar(path, host_abi=host_abi())
    if aar is None:
        return None
    libraries = read_aar_manifest(aar).libraries
    return {abi: library.runtime for abi, library in libraries.items()}
