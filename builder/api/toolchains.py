"""Targets, toolchains, and what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builder.core.artifacts import Diagnosis, Finding
    from builder.core.targets import Target
    from builder.core.toolchain import Toolchain


def locate_target(abi: str) -> Target:
    """Returns the target named `abi`; ConfigurationError lists the known ones otherwise."""
    from builder.core.targets import TARGETS, parse_target
    from builder.errors import ConfigurationError

    target = parse_target(abi)
    if target is None:
        known = ", ".join(str(target) for target in TARGETS)
        raise ConfigurationError(
            f"unknown ABI {abi!r}; known are {known}",
            hint="see which of them can be built here: builder doctor",
        )
    return target


def locate_toolchain(target: Target, *, launcher: str = "none") -> Toolchain:
    """Returns what compiles for `target`; CC and CXX of the environment are honoured.

    Args:
        target: what to build for.
        launcher: what compilations are handed to (builder.toolchains.launchers).

    Raises:
        ConfigurationError: there is no such launcher.
        ToolchainError: something is missing or unfit; the hint says what to install.
    """
    from dataclasses import replace

    from builder.system.process import Runner
    from builder.toolchains.host import locate_host_toolchain
    from builder.toolchains.launchers import locate_launcher

    runner = Runner.inherit()
    chosen = runner.environment
    toolchain = locate_host_toolchain(runner, target, cc=chosen.get("CC"), cxx=chosen.get("CXX"))
    return replace(toolchain, launcher=locate_launcher(runner, launcher, toolchain.cc))


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
