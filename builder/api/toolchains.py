"""Targets, toolchains, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builder.core.artifacts import Diagnosis, Finding
    from builder.core.targets import Target
    from builder.core.toolchain import Toolchain, ToolchainOptions


def locate_target(abi: str, *, min_api: int | None = None) -> Target:
    """Returns the target named `abi`; ConfigurationError lists the known ones otherwise.

    Args:
        abi: as `--abi` has it.
        min_api: Android's API level, instead of the oldest that builder knows.

    Raises:
        ConfigurationError: there is none, or it has no API level, or none so old.
    """
    from dataclasses import replace

    from builder.core.targets import MIN_API, TARGETS, Platform, parse_target
    from builder.errors import ConfigurationError

    target = parse_target(abi)
    if target is None:
        known = ", ".join(str(target) for target in TARGETS)
        raise ConfigurationError(
            f"unknown ABI {abi!r}; known are {known}",
            hint="see which of them can be built here: builder doctor",
        )
    if min_api is None:
        return target
    if target.platform is not Platform.ANDROID or min_api < MIN_API:
        raise ConfigurationError(
            f"API level {min_api} for {target}: only Android's ABIs have one, from {MIN_API} on",
            hint="leave out --min-api",
        )
    return replace(target, min_os=min_api)


def locate_targets(abis: Sequence[str], *, min_api: int | None = None) -> tuple[Target, ...]:
    """Returns the targets named `abis`, each once; `min_api` is for those of Android.

    Raises:
        ConfigurationError: there is no such target, or none of Android for `min_api`.
    """
    from builder.errors import ConfigurationError

    targets = [locate_target(abi) for abi in dict.fromkeys(abis)]
    if min_api is None:
        return tuple(targets)
    if not any(target.is_android for target in targets):
        raise ConfigurationError(
            f"--min-api {min_api}: none of {', '.join(abis)} is an ABI of Android",
            hint="name one, e.g. --abi arm64-v8a, or leave out --min-api",
        )
    return tuple(locate_target(t.abi, min_api=min_api if t.is_android else None) for t in targets)


def locate_toolchain(target: Target, *, options: ToolchainOptions | None = None) -> Toolchain:
    """Returns what compiles for `target`; under Linux, CC and CXX of the environment are honoured.

    Args:
        target: what to build for.
        options: what the user chose; compilations are handed to nobody without them.

    Raises:
        ConfigurationError: there is no such launcher.
        ToolchainError: something is missing or unfit; the hint says what to install.
    """
    from dataclasses import replace

    from builder.core.targets import Platform
    from builder.core.toolchain import ToolchainOptions
    from builder.system.process import Runner
    from builder.toolchains.android import locate_android_toolchain
    from builder.toolchains.host import locate_host_toolchain
    from builder.toolchains.launchers import locate_launcher

    runner, options = Runner.inherit(), options or ToolchainOptions(launcher="none")
    chosen = runner.environment
    match target.platform:
        case Platform.ANDROID:
            toolchain = locate_android_toolchain(runner, target, options)
        case Platform.LINUX:
            cc, cxx = chosen.get("CC"), chosen.get("CXX")
            toolchain = locate_host_toolchain(runner, target, cc=cc, cxx=cxx)
    return replace(toolchain, launcher=locate_launcher(runner, options.launcher, toolchain.cc))


def diagnose() -> Diagnosis:
    """Returns what is installed, and for each target what it still needs; changes nothing."""
    from builder.core.artifacts import Diagnosis
    from builder.core.targets import TARGETS
    from builder.system.places import cache_folder
    from builder.system.process import Runner
    from builder.toolchains.environment import inspect_machine, inspect_torch
    from builder.toolchains.findings import inspect_targets, inspect_tools
    from builder.toolchains.host import find_host_target

    runner = Runner.inherit()
    cc, cxx = runner.environment.get("CC"), runner.environment.get("CXX")
    targets = inspect_targets(runner, cc=cc, cxx=cxx)
    host = find_host_target(TARGETS)
    findings = (
        *inspect_machine(cache_folder()),
        *inspect_torch(),
        *inspect_tools(runner, cc=cc),
        _inspect_sources(),
        *targets,
    )
    ready = any(finding.ok for finding in targets if finding.subject == f"target {host}")
    return Diagnosis(findings=findings, ready=ready)


def _inspect_sources() -> Finding:
    from builder.api.sources import find_sources
    from builder.core.artifacts import Finding

    tree = find_sources()
    if tree is None:
        return Finding(subject="sources", ok=False, detail="not fetched", remedy="builder fetch")
    return Finding(subject="sources", ok=True, detail=f"PyTorch {tree.version} in {tree.root}")
