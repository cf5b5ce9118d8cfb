"""Backends that a user asks for: whether a target and its SDK can have them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from builder.errors import ConfigurationError, Hint, Use
from builder.platforms.apple.frameworks import refuse_without_frameworks
from builder.platforms.apple.sdk import describe_open_sdk, read_sdk
from builder.platforms.apple.xcode import find_xcode_sdk, is_mac
from builder.system.process import Runner

if TYPE_CHECKING:
    from builder.core.backends import Backend
    from builder.core.targets import Target


def refuse_frameworks(
    accelerators: Sequence[Backend], targets: Sequence[Target], apple_sdk: Path | None = None
) -> None:
    """Raises an error when `accelerators` cannot be built for `targets`; builds nothing.

    Args:
        accelerators: the backends that the user asks for.
        targets: what to build for; those that are not Apple's leave them out.
        apple_sdk: the folder that the user named.

    Raises:
        ConfigurationError: no target is one of Apple's.
        ToolchainError: there is no Apple SDK, or it lacks a framework.
    """
    if not accelerators:
        return
    own = [target for target in targets if target.is_apple]
    if not own:
        names = ", ".join(one.label for one in accelerators)
        options = (part for one in accelerators for part in (" ", Use("accelerators", one.name)))
        raise ConfigurationError(
            f"{names} can be built for Apple's ABIs only, and this build is for "
            f"{', '.join(map(str, targets))}",
            hint=Hint(
                *("name one, e.g. ", Use("targets.abis", "ios-arm64"), ", or leave out", *options)
            ),
        )
    for target in own:
        _refuse_for(target, accelerators, apple_sdk)


def _refuse_for(target: Target, accelerators: Sequence[Backend], apple_sdk: Path | None) -> None:
    # What is asked here is what the build will use: the same order as in `toolchain`.
    if apple_sdk is not None:
        sdk = read_sdk(apple_sdk, target)
    elif is_mac():
        sdk = find_xcode_sdk(Runner.inherit_for_tools(), target)
    else:
        sdk = describe_open_sdk(Path("open"))  # not assembled: that it is open says enough
    refuse_without_frameworks(sdk, accelerators)
