"""The platforms that builder knows, and the functions that each of them must have.

A platform is a folder below `builder/platforms` with a module `platform.py` that has the functions
of `PlatformModule`. CONTRIBUTING.md, "Add a platform", lists all steps to add one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from builder.core.plan import Interface
from builder.core.release import Release
from builder.core.runtime_manifest import Manifest
from builder.core.targets import Platform, Target
from builder.core.toolchain import Toolchain, ToolchainOptions
from builder.platforms.android import platform as android
from builder.platforms.apple import platform as apple
from builder.platforms.linux import platform as linux
from builder.platforms.package_options import PackageOptions
from builder.system.process import Runner
from builder.system.progress import Progress


class PlatformModule(Protocol):
    """The functions of `platform.py` of a platform."""

    def fetch_toolchain_sources(
        self, release: Release, target: Target, options: ToolchainOptions, *, progress: Progress
    ) -> None:
        """Fetches what `locate_toolchain` needs beyond the packages of the system."""

    def locate_toolchain(
        self, runner: Runner, release: Release, target: Target, options: ToolchainOptions
    ) -> Toolchain:
        """Returns what compiles `release` for `target`; ToolchainError says what is missing."""

    def list_interfaces(self, options: PackageOptions) -> tuple[Interface, ...]:
        """Returns the interfaces that its package wants besides the C API."""

    def refuse_package(
        self,
        release: Release,
        targets: Sequence[Target],
        output: Path,
        options: PackageOptions,
    ) -> None:
        """Raises, before anything is compiled, what writing its package would raise."""

    def read_manifests(self, path: Path) -> Mapping[str, Manifest] | None:
        """Returns ABI -> manifest of its package at `path`; None where there is none."""


# Devices and simulators of Apple are two platforms with one package.
PLATFORMS: Mapping[Platform, PlatformModule] = {
    Platform.ANDROID: android,
    Platform.IOS: apple,
    Platform.IOS_SIMULATOR: apple,
    Platform.LINUX: linux,
}


def platform_of(target: Target) -> PlatformModule:
    """Returns the module of a target's platform."""
    return PLATFORMS[target.platform]
