"""Targets, toolchains, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from builder.api.diagnosis import inspect_targets, inspect_tools
from builder.core.artifacts import Diagnosis, Finding
from builder.core.targets import MIN_API, TARGETS, Platform, parse_os_version, parse_target
from builder.core.toolchain import ToolchainOptions
from builder.errors import ConfigurationError, Hint, Run, Use
from builder.platforms.apple.facts import load_table
from builder.platforms.apple.xcode import is_mac
from builder.platforms.linux.toolchain import find_host_target
from builder.platforms.registry import platform_of
from builder.sources.releases import load_release
from builder.sources.trees import find_sources
from builder.system.folders import cache_folder
from builder.system.own_cache import refuse_unusable
from builder.system.process import Runner
from builder.toolchains.environment import inspect_machine, inspect_torch
from builder.toolchains.launchers import locate_launcher
from builder.toolchains.remembered import recall_toolchain, remember_toolchain

if TYPE_CHECKING:
    from builder.core.release import Release
    from builder.core.targets import Target
    from builder.core.toolchain import Toolchain


def locate_target(abi: str, *, min_api: int | None = None, min_ios: str | None = None) -> Target:
    """Returns the target named `abi`; ConfigurationError lists the known ones otherwise.

    Args:
        abi: as the setting `targets.abis` names it.
        min_api: Android's API level, instead of the oldest that builder knows.
        min_ios: Apple's deployment target, e.g. `15.0`, instead of builder's own.

    Raises:
        ConfigurationError: there is no such target, or it cannot have this level or version.
    """
    target = parse_target(abi)
    if target is None:
        known = ", ".join(str(target) for target in TARGETS)
        raise ConfigurationError(
            f"unknown ABI {abi!r}; known are {known}",
            hint=Hint("see which of them can be built here: ", Run("doctor")),
        )
    if min_ios is not None:
        return _with_deployment_target(target, min_ios)
    if min_api is None:
        return target
    if target.platform is not Platform.ANDROID or min_api < MIN_API:
        raise ConfigurationError(
            f"{target} cannot have API level {min_api}: only Android's ABIs have one, {MIN_API} "
            "or higher",
            hint=Hint("leave out ", Use("targets.min_api")),
        )
    return replace(target, min_os=min_api)


def _with_deployment_target(target: Target, version: str) -> Target:
    oldest = load_table().oldest
    try:
        wanted = parse_os_version(version)
    except ValueError as error:
        raise ConfigurationError(
            str(error), hint=Hint("e.g. ", Use("targets.min_ios", "15.0"))
        ) from None
    if not target.is_apple or wanted < parse_os_version(oldest):
        raise ConfigurationError(
            f"{target} cannot need iOS {version}: only Apple's ABIs have such a version, {oldest} "
            "or newer",
            hint=Hint("leave out ", Use("targets.min_ios")),
        )
    return replace(target, min_os=wanted)


def locate_targets(
    abis: Sequence[str], *, min_api: int | None = None, min_ios: str | None = None
) -> tuple[Target, ...]:
    """Returns the targets named `abis`, each once.

    `min_api` is for those of Android, `min_ios` for those of Apple.

    Raises:
        ConfigurationError: there is no such target, or `min_api` or `min_ios` fits none of them.
    """
    # Repeated names are built once, in the order of their first mention.
    targets = [locate_target(abi) for abi in dict.fromkeys(abis)]
    if min_api is not None and not any(target.is_android for target in targets):
        raise ConfigurationError(
            f"API level {min_api} is for Android's ABIs, and this build is for {', '.join(abis)}",
            hint=_name_abi("arm64-v8a", "targets.min_api"),
        )
    if min_ios is not None and not any(target.is_apple for target in targets):
        raise ConfigurationError(
            f"iOS {min_ios} is for Apple's ABIs, and this build is for {', '.join(abis)}",
            hint=_name_abi("ios-arm64", "targets.min_ios"),
        )
    # A build may be for Android and Apple at once, and each of both limits is for its own targets.
    return tuple(
        locate_target(
            t.abi,
            min_api=min_api if t.is_android else None,
            min_ios=min_ios if t.is_apple else None,
        )
        for t in targets
    )


def _name_abi(abi: str, setting: str) -> Hint:
    return Hint("name one, e.g. ", Use("targets.abis", abi), ", or leave out ", Use(setting))


def locate_toolchain(
    target: Target,
    *,
    release: Release | None = None,
    options: ToolchainOptions | None = None,
) -> Toolchain:
    """Returns what compiles for `target`; under Linux, CC and CXX of the environment are honoured.

    Args:
        target: what to build for.
        release: the release of PyTorch to build, which pins the open headers for Apple's systems;
            the default release when None.
        options: what the user chose; compilations are handed to nobody without them.

    Raises:
        ConfigurationError: there is no such launcher.
        ToolchainError: something is missing or cannot be used; the hint says what to install.
    """
    # A caller from Python did not ask for ccache, so it is not used behind its back.
    runner, options = Runner.inherit_for_tools(), options or ToolchainOptions(launcher="none")
    toolchain = recall_toolchain(cache_folder(), target.id, runner.environment, options)
    if toolchain is None:
        release = release or load_release()
        toolchain = platform_of(target).locate_toolchain(runner, release, target, options)
        # Where it is not known what was read, nothing could tell that it changed.
        if toolchain.headers:
            remember_toolchain(cache_folder(), toolchain, runner.environment, options)
    return replace(toolchain, launcher=locate_launcher(runner, options.launcher, toolchain.cc))


def diagnose(release: Release | None = None) -> Diagnosis:
    """Returns what is installed, and for each target what it still needs; fetches nothing.

    The sources are those of `release`, or else those of the default release of PyTorch.
    """
    runner, release = Runner.inherit_for_tools(), release or load_release()
    targets = inspect_targets(runner, release)
    host = find_host_target(TARGETS)
    findings = (
        *inspect_machine(cache_folder()),
        *inspect_torch(),
        *inspect_tools(runner, cc=runner.environment.get("CC")),
        _inspect_sources(release),
        *targets,
    )
    own = {f"target {t}" for t in TARGETS if t == host or (t.is_apple and is_mac())}
    # Ready means that a build for this machine would work, or for Apple on a Mac.
    ready = any(finding.ok for finding in targets if finding.subject in own)
    return Diagnosis(findings=findings, ready=ready and _is_usable(cache_folder()))


def _is_usable(cache: Path) -> bool:
    try:
        refuse_unusable(cache)
    except ConfigurationError:
        return False
    return True


def _inspect_sources(release: Release) -> Finding:
    tree = find_sources(release)
    if tree is None:
        return Finding(subject="sources", ok=False, detail="not fetched", remedy=Hint(Run("fetch")))
    return Finding(subject="sources", ok=True, detail=f"PyTorch {tree.version} in {tree.root}")
