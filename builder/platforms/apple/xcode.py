"""Compilers for Apple's platforms under macOS: Xcode's, named by xcrun. Tried with a fake only."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from builder.core.targets import Target
from builder.core.toolchain import AppleSdk, Bitcode, CxxLibrary, LinkerKind, Tool, Toolchain
from builder.errors import ToolchainError
from builder.platforms.apple.clang import FRAMEWORKS, describe_system, describe_to_cmake, probe
from builder.platforms.apple.facts import AppleFacts, load_facts
from builder.platforms.apple.sdk import read_sdk
from builder.system.process import Runner
from builder.toolchains.tools import locate_build_tools

_INSTALL = "install Xcode, then: sudo xcode-select --switch /Applications/Xcode.app"
_VERSION = re.compile(r"^Xcode (\S+)\s+Build version (\S+)", re.MULTILINE)


def is_mac() -> bool:
    """Returns whether this machine runs macOS."""
    return sys.platform == "darwin"


def locate_xcode_toolchain(
    runner: Runner, target: Target, *, cmake_file: Path, chosen: Path | None = None
) -> Toolchain:
    """Asks xcrun for Xcode's tools and SDK, and tries them for `target`.

    Args:
        runner: runs xcrun; DEVELOPER_DIR of its environment chooses among several Xcodes.
        target: an ABI of Apple's with its deployment target.
        cmake_file: builder's `cmake/apple/ios.cmake`.
        chosen: an SDK instead of Xcode's own.

    Raises:
        ToolchainError: there is no Xcode, or it lacks the platform or the deployment target.
    """
    facts = load_facts(target)
    # One version for all tools: they print versions of their own, which say less.
    xcode = _read_version(runner)
    sdk = read_sdk(chosen, target) if chosen else find_xcode_sdk(runner, target)
    clang = _find(runner, facts, "clang", xcode)
    toolchain = Toolchain(
        target=target,
        cc=clang,
        cxx=_find(runner, facts, "clang++", f"{xcode}, {sdk.name}"),
        linker=_find(runner, facts, "ld", xcode),
        linker_kind=LinkerKind.XCODE,
        strip=_find(runner, facts, "strip", xcode),
        archiver=_find(runner, facts, "libtool", xcode),
        **locate_build_tools(runner),
        system_flags=describe_system(facts, sdk, own=False),
        bitcode=Bitcode.BESIDE,
        frameworks=FRAMEWORKS,
        cxx_library=CxxLibrary.SYSTEM,
        sdk=sdk,
        configuration=describe_to_cmake(facts, sdk, None, cmake_file),
    )
    probe(runner, toolchain, facts)
    return toolchain


def find_xcode_sdk(runner: Runner, target: Target) -> AppleSdk:
    """Returns the SDK that xcrun names for `target`.

    Raises:
        ToolchainError: there is none, or it lacks the deployment target.
    """
    return read_sdk(Path(_ask(runner, load_facts(target), "--show-sdk-path")), target)


def parse_xcode_version(output: str) -> str | None:
    """Returns e.g. `Xcode 15.3 15E204a` of what `xcodebuild -version` prints; None without."""
    found = _VERSION.search(output)
    return f"Xcode {found[1]} {found[2]}" if found else None


def _read_version(runner: Runner) -> str:
    program = runner.find_program("xcodebuild")
    completed = runner.run((str(program), "-version")) if program else None
    version = parse_xcode_version(completed.output) if completed else None
    if version is None:
        said = completed.output.strip() if completed else "there is no xcodebuild on PATH"
        raise ToolchainError(f"Xcode does not work: {said}", hint=_INSTALL)
    return version


def _ask(runner: Runner, facts: AppleFacts, *question: str) -> str:
    completed = runner.run(("xcrun", "--sdk", facts.sdk, *question))
    if completed.returncode != 0 or not completed.output.strip():
        raise ToolchainError(
            f"xcrun --sdk {facts.sdk} {' '.join(question)}: {completed.output.strip()}",
            hint=f"install the platform: xcodebuild -downloadPlatform iOS; or {_INSTALL}",
        )
    # Warnings of xcrun come before the answer.
    return completed.output.strip().splitlines()[-1]


def _find(runner: Runner, facts: AppleFacts, name: str, version: str) -> Tool:
    path = Path(_ask(runner, facts, "--find", name))
    return Tool(name=name, path=path, version=f"{name} of {version}")
