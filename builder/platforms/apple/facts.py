"""The data of facts.toml, typed."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from builder.core.targets import Target, format_os_version

OPEN_FEATURE = "apple"
"""Feature of the pinned sources that the open SDK is assembled from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppleFacts:
    """One ABI of facts.toml."""

    triple: str
    """With the deployment target, e.g. `arm64-apple-ios14.0`."""
    arch: str
    sdk: str
    """As xcrun calls it."""
    folder: str
    """What the SDK's folder is called before its version."""
    open: bool
    """Whether builder's open SDK serves."""


@cache
def load_table() -> dict[str, Any]:
    """Returns facts.toml."""
    return tomllib.loads(
        resources.files("builder.platforms.apple").joinpath("facts.toml").read_text()
    )


def load_facts(target: Target) -> AppleFacts:
    """Returns what holds for `target` and its deployment target."""
    entry = dict(load_table()["abis"][target.abi])
    version = format_os_version(target.min_os)
    return AppleFacts(**(entry | {"triple": entry["triple"].format(version=version)}))
