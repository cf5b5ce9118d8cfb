"""The frameworks that backends are built on: whether an SDK has them, and what a link names."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from builder.core.backends import Backend
from builder.core.toolchain import AppleSdk, LinkerKind, Toolchain
from builder.errors import Hint, ToolchainError, Use
from builder.platforms.apple.facts import load_table

_FRAMEWORKS = "System/Library/Frameworks"
_OBJECTIVE_C = "usr/include/objc/objc.h"


def list_frameworks(backends: Iterable[Backend]) -> tuple[str, ...]:
    """Returns the frameworks that `backends` are built on, sorted."""
    return tuple(sorted({name for one in backends for name in one.frameworks}))


def refuse_without_frameworks(sdk: AppleSdk, backends: Iterable[Backend]) -> None:
    """Raises ToolchainError where an SDK lacks what one of `backends` is compiled against."""
    for one in (one for one in backends if one.frameworks):
        if sdk.is_open:
            raise ToolchainError(
                f"{one.label} needs an SDK of Apple: it is a framework, and the open headers "
                "contain no frameworks",
                hint=Hint(
                    "build under macOS with Xcode, or name an SDK: ", Use("tools.apple_sdk", "DIR")
                ),
            )
        lacking = list(_find_lacking(sdk, one))
        if lacking:
            raise ToolchainError(
                f"{sdk.name} lacks parts that {one.label} needs: {', '.join(lacking)}",
                hint=Hint("name a complete SDK: ", Use("tools.apple_sdk", "DIR")),
            )


def with_frameworks(toolchain: Toolchain, backends: Iterable[Backend]) -> Toolchain:
    """Returns `toolchain` whose links name the frameworks of `backends`, and Objective-C's library.

    Raises:
        ToolchainError: its SDK lacks one.
    """
    chosen = tuple(one for one in backends if one.frameworks)
    if not chosen or toolchain.sdk is None:
        return toolchain
    refuse_without_frameworks(toolchain.sdk, chosen)
    named = [part for name in list_frameworks(chosen) for part in ("-framework", name)]
    # Xcode's clang has these symbols in its own library, which open builds of clang lack.
    is_lld = toolchain.linker_kind is LinkerKind.LLD
    absent = load_table().compiler_runtime.symbols if is_lld else ()
    left_open = [f"-Wl,-U,{symbol}" for symbol in absent]
    frameworks = (*named, "-lobjc", *left_open, *toolchain.frameworks)
    return dataclasses.replace(toolchain, frameworks=frameworks)


def _find_lacking(sdk: AppleSdk, backend: Backend) -> Iterable[str]:
    for name in backend.frameworks:
        folder = sdk.root / _FRAMEWORKS / f"{name}.framework"
        if not (folder / "Headers").is_dir() or not (folder / f"{name}.tbd").is_file():
            yield f"{name}.framework"
    if not (sdk.root / _OBJECTIVE_C).is_file():
        yield "Objective-C's headers"
