"""Linux, as the registry knows it: its package is the folder of the ABI, which every target has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from builder.core.plan import Interface
from builder.core.release import Release
from builder.core.runtime_manifest import Manifest
from builder.core.targets import Target
from builder.core.toolchain import Toolchain, ToolchainOptions
from builder.platforms.linux.toolchain import locate_host_toolchain
from builder.system.machine import host_abi
from builder.system.process import Runner
from builder.system.progress import Progress
from builder.toolchains.jdk import locate_jdk
from builder.verify.runtime import locate_runtime

if TYPE_CHECKING:
    from builder.platforms.package_options import PackageOptions


def fetch_toolchain_sources(
    release: Release, target: Target, options: ToolchainOptions, *, progress: Progress
) -> None:
    """Does nothing: compilers come from the distribution."""


def locate_toolchain(
    runner: Runner,
    release: Release,  # noqa: ARG001
    target: Target,
    options: ToolchainOptions,
) -> Toolchain:
    """Returns clang with what it needs for `target`; CC and CXX of the environment are honoured.

    Raises:
        ToolchainError: something is missing or does not work, or this is not a Linux machine.
    """
    chosen = runner.environment
    return locate_host_toolchain(
        runner, target, cc=chosen.get("CC"), cxx=chosen.get("CXX"), sysroot=options.sysroot
    )


def list_interfaces(options: PackageOptions) -> tuple[Interface, ...]:
    """Returns the interface for Java where it is asked for; the folder has the C API."""
    return (Interface.JNI,) if options.linux.jni else ()


def refuse_package(
    release: Release,  # noqa: ARG001
    targets: Sequence[Target],  # noqa: ARG001
    output: Path,  # noqa: ARG001
    options: PackageOptions,
) -> None:
    """Raises ToolchainError where the folder is to have Java classes, and there is no JDK."""
    if options.linux.jni:
        locate_jdk(Runner.inherit_for_tools())


def read_manifests(path: Path) -> Mapping[str, Manifest]:
    """Returns the manifest of a runtime's folder.

    Raises:
        ConfigurationError: there is no runtime.
        VerificationError: its manifest cannot be read.
    """
    manifest = locate_runtime(path, host_abi=host_abi(), to_run=False).manifest
    return {manifest.abi: manifest}
