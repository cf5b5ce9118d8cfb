"""Clang and an SDK for Apple's systems: Xcode's under macOS, LLVM's and open headers elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from builder.core.toolchain import ToolchainOptions
from builder.errors import Hint, Run, ToolchainError, Use
from builder.platforms.apple.clang import locate_apple_toolchain, locate_llvm
from builder.platforms.apple.facts import OPEN_FEATURE, load_facts
from builder.platforms.apple.open_sdk import locate_open_sdk
from builder.platforms.apple.sdk import describe_open_sdk, read_sdk, refuse_closed
from builder.platforms.apple.xcode import find_xcode_sdk, is_mac, locate_xcode_toolchain
from builder.sources.trees import find_sources, locate_sources
from builder.system.folders import cache_folder, data_folder
from builder.system.process import Runner

if TYPE_CHECKING:
    from builder.core.release import Release
    from builder.core.targets import Target
    from builder.core.toolchain import AppleSdk, Toolchain
    from builder.system.progress import Progress


def find_sdk(release: Release, target: Target, chosen: Path | None = None) -> AppleSdk | None:
    """Returns an SDK for `target` of Apple's platforms; None where there is none.

    Args:
        release: the release of PyTorch that pins the open headers.
        target: what to build for.
        chosen: the folder that the user named.

    Raises:
        ToolchainError: what the user named is unfit.
    """
    if chosen is not None:
        return read_sdk(chosen, target)
    try:
        if is_mac():
            return find_xcode_sdk(Runner.inherit_for_tools(), target)
        return _locate_open_sdk(release, target)
    # The caller only asks, and that there is none is an answer.
    except ToolchainError:
        return None


def locate_toolchain(
    runner: Runner, release: Release, target: Target, options: ToolchainOptions
) -> Toolchain:
    """Returns clang and an SDK for `target`: Xcode's under macOS, LLVM's elsewhere.

    Raises:
        ToolchainError: one of them is missing or unfit; the hint says what to install.
    """
    cmake_file = data_folder("cmake") / "apple/ios.cmake"
    if is_mac():
        return locate_xcode_toolchain(
            runner, target, cmake_file=cmake_file, chosen=options.apple_sdk
        )
    chosen = options.apple_sdk
    sdk = read_sdk(chosen, target) if chosen else _locate_open_sdk(release, target)
    environment = runner.environment
    return locate_apple_toolchain(
        runner,
        target,
        sdk,
        cmake_file=cmake_file,
        cc=environment.get("CC"),
        cxx=environment.get("CXX"),
    )


def _locate_open_sdk(release: Release, target: Target) -> AppleSdk:
    # The refusal comes before the search: fetching would not help for such a target.
    refuse_closed(target)
    tree = find_sources(release, OPEN_FEATURE)
    if tree is None:
        raise ToolchainError(
            f"there is no SDK for {target}, and the open headers are not fetched",
            hint=Hint(
                Run("fetch", (Use("features", OPEN_FEATURE),)),
                ", or ",
                Use("tools.apple_sdk", "DIR"),
            ),
        )
    return describe_open_sdk(
        locate_open_sdk(tree.root, data_folder("cmake") / "apple", cache_folder())
    )


def fetch_toolchain_sources(
    release: Release, target: Target, options: ToolchainOptions, *, progress: Progress
) -> None:
    """Fetches what `locate_toolchain` assembles an SDK from, where `target` needs that.

    Raises:
        ToolchainError: a tool is missing, so that it would be of no use.
        SourceError: it cannot be fetched.
    """
    # Xcode and the user's own folder have all headers. Some of Apple's systems have no open ones.
    if not target.is_apple or options.apple_sdk or is_mac() or not load_facts(target).open:
        return
    if find_sources(release, OPEN_FEATURE) is None:
        # The tools are looked for again with the headers, but these are a download of 76 MB.
        runner = Runner.inherit_for_tools()
        chosen = runner.environment
        locate_llvm(runner, target, cc=chosen.get("CC"), cxx=chosen.get("CXX"))
    locate_sources(release, progress=progress, feature=OPEN_FEATURE)
