"""What Metal and Core ML take of an SDK, and what they add to a link."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from builder.core.accelerators import Accelerator
from builder.core.toolchain import AppleSdk, Toolchain
from builder.errors import ToolchainError
from builder.platforms.apple.facts import load_table

_FRAMEWORKS = "System/Library/Frameworks"
_OBJECTIVE_C = "usr/include/objc/objc.h"
_LLD = "-fuse-ld=lld"


def list_frameworks(accelerators: Iterable[Accelerator]) -> tuple[str, ...]:
    """Returns the frameworks that `accelerators` are built on, sorted."""
    table = load_table()["frameworks"]
    return tuple(sorted({name for one in accelerators for name in table[one]}))


def refuse_without_frameworks(sdk: AppleSdk, accelerators: Iterable[Accelerator]) -> None:
    """Raises ToolchainError where an SDK has not what one of `accelerators` is compiled against."""
    for one in accelerators:
        if sdk.is_open:
            raise ToolchainError(
                f"{one.option} takes an SDK of Apple's: the open headers have no frameworks, and "
                f"{one.label} is one",
                hint="build under macOS with Xcode, or name an SDK: --apple-sdk DIR",
            )
        lacking = list(_find_lacking(sdk, one))
        if lacking:
            raise ToolchainError(
                f"{sdk.name} has not what {one.option} is compiled against: {', '.join(lacking)}",
                hint="name a complete SDK: --apple-sdk DIR",
            )


def with_accelerators(toolchain: Toolchain, accelerators: Iterable[Accelerator]) -> Toolchain:
    """Returns `toolchain` whose links know the frameworks of `accelerators`.

    Raises:
        ToolchainError: its SDK lacks one.
    """
    chosen = tuple(accelerators)
    if not chosen or toolchain.sdk is None:
        return toolchain
    refuse_without_frameworks(toolchain.sdk, chosen)
    named = [part for name in list_frameworks(chosen) for part in ("-framework", name)]
    absent = load_table()["compiler_runtime"]["symbols"] if _LLD in toolchain.link_flags else ()
    left_open = [f"-Wl,-U,{symbol}" for symbol in absent]
    frameworks = (*named, "-lobjc", *left_open, *toolchain.frameworks)
    return dataclasses.replace(toolchain, frameworks=frameworks)


def _find_lacking(sdk: AppleSdk, accelerator: Accelerator) -> Iterable[str]:
    for name in list_frameworks((accelerator,)):
        folder = sdk.root / _FRAMEWORKS / f"{name}.framework"
        if not (folder / "Headers").is_dir() or not (folder / f"{name}.tbd").is_file():
            yield f"{name}.framework"
    if not (sdk.root / _OBJECTIVE_C).is_file():
        yield "Objective-C's headers"
