"""What `builder doctor` says about programs and targets."""

from __future__ import annotations

from collections.abc import Callable

from builder.core.artifacts import Finding
from builder.core.release import Release
from builder.core.targets import TARGETS, Target
from builder.core.toolchain import Bitcode, Tool, Toolchain, ToolchainOptions
from builder.errors import Install, ToolchainError
from builder.platforms.android.ndk import describe_trials, locate_ndk
from builder.platforms.registry import platform_of
from builder.system.process import Runner
from builder.toolchains.clang import locate_clang, locate_linker
from builder.toolchains.jdk import locate_jdk
from builder.toolchains.launchers import find_launchers
from builder.toolchains.shader_compiler import (
    INSTALL_GLSLC,
    INSTALL_HEADERS,
    find_glslc,
    find_headers,
)
from builder.toolchains.tools import find_major, locate_packaged_tool


def inspect_tools(runner: Runner, *, cc: str | None = None) -> tuple[Finding, ...]:
    """Returns one finding per program a host build uses."""
    clang = _try("clang", lambda: locate_clang(runner, cc))
    # lld is wanted in clang's release; without clang, any lld counts.
    major = find_major(clang.detail) if clang.ok else 0
    launchers = find_launchers(runner)
    return (
        clang,
        _try("lld", lambda: locate_linker(runner, major)),
        _try("cmake", lambda: locate_packaged_tool(runner, "cmake")),
        _try("ninja", lambda: locate_packaged_tool(runner, "ninja")),
        _inspect_ndk(runner),
        _inspect_jdk(runner),
        _inspect_glslc(runner),
        _inspect_headers(runner, cc),
        Finding(
            subject="launchers",
            ok=bool(launchers),
            detail="; ".join(map(_describe, launchers)) or "none installed (optional)",
            remedy="" if launchers else Install("ccache"),
        ),
    )


def inspect_targets(runner: Runner, release: Release) -> tuple[Finding, ...]:
    """Returns one finding per target: whether `release` can be built here, and what is missing."""
    has_ndk = _inspect_ndk(runner).ok
    return tuple(
        Finding(subject=f"target {t}", ok=False, detail="needs an Android NDK, see ndk above")
        # Otherwise every ABI of Android would repeat what is wrong with the NDK.
        if t.is_android and not has_ndk
        else _inspect_target(runner, release, t)
        for t in TARGETS
    )


def _inspect_target(runner: Runner, release: Release, target: Target) -> Finding:
    subject, alone = f"target {target}", ToolchainOptions(launcher="none")
    try:
        toolchain = platform_of(target).locate_toolchain(runner, release, target, alone)
    except ToolchainError as error:
        return Finding(subject=subject, ok=False, detail=error.message, remedy=error.hint or "")
    return Finding(subject=subject, ok=True, detail=_summarise(toolchain))


def _inspect_ndk(runner: Runner) -> Finding:
    try:
        ndk = locate_ndk(runner)
    except ToolchainError as error:
        return Finding(subject="ndk", ok=False, detail=error.message, remedy=error.hint or "")
    levels = f"API levels {ndk.oldest_api} to {ndk.newest_api}"
    detail = f"{ndk.version}, {levels} ({ndk.root}); {describe_trials(ndk)}"
    return Finding(subject="ndk", ok=True, detail=detail)


def _inspect_jdk(runner: Runner) -> Finding:
    try:
        jdk = locate_jdk(runner)
    except ToolchainError as error:
        return Finding(subject="jdk", ok=False, detail=error.message, remedy=error.hint or "")
    return Finding(subject="jdk", ok=True, detail=f"{jdk.version} ({jdk.home})")


def _inspect_glslc(runner: Runner) -> Finding:
    glslc = find_glslc(runner)
    if glslc is None:
        detail = "not installed (only builds for Vulkan need it)"
        return Finding(subject="glslc", ok=False, detail=detail, remedy=INSTALL_GLSLC)
    return Finding(subject="glslc", ok=True, detail=_describe(glslc))


def _inspect_headers(runner: Runner, cc: str | None) -> Finding:
    subject = "vulkan headers"
    try:
        clang = str(locate_clang(runner, cc).path)
    except ToolchainError:
        return Finding(subject=subject, ok=False, detail="clang looks for them, see clang above")
    headers = find_headers(runner, (clang,))
    if headers is None:
        detail = "not installed (only builds for Vulkan on Linux need them)"
        return Finding(subject=subject, ok=False, detail=detail, remedy=INSTALL_HEADERS)
    return Finding(subject=subject, ok=True, detail=f"version {headers}")


def _try(subject: str, locate: Callable[[], Tool]) -> Finding:
    try:
        tool = locate()
    except ToolchainError as error:
        return Finding(subject=subject, ok=False, detail=error.message, remedy=error.hint or "")
    return Finding(subject=subject, ok=True, detail=_describe(tool))


def _summarise(toolchain: Toolchain) -> str:
    trial = ", experimental" if toolchain.sdk and toolchain.sdk.is_open else ""
    if toolchain.bitcode is Bitcode.NONE:
        trial = ", without link-time optimisation"
    return f"can be built here{trial}: {toolchain.cxx.version}; {toolchain.linker.version}"


def _describe(tool: Tool) -> str:
    return f"{tool.version} ({tool.path})"
