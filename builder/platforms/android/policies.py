"""The data of policies.toml, typed and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from builder.core.typed import parse_toml
from builder.verify.policy import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class AbiPolicy:
    """What the libraries of one ABI look like."""

    machine: int
    """`e_machine`."""
    page_size: int
    """Bytes."""
    stubs: str
    """Folder of the NDK's stub libraries, below `sysroot/usr/lib`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPolicy:
    """What one library exports."""

    required: tuple[str, ...]
    with_prefab: tuple[str, ...]
    """Patterns of what it exports besides, in an AAR with a prefab package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderFeature:
    """What loaders before an API level do not understand."""

    what: str
    since: int
    segment: int | None = None
    """Program header type by which it is known."""
    tag: int | None = None
    """Tag of the dynamic section by which it is known."""
    unless: int | None = None
    """Tag that makes up for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathPolicy:
    """Starts of paths that a library may hold."""

    device: tuple[str, ...]
    ndk: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """See policies.toml."""

    rules: tuple[Rule, ...]
    abis: Mapping[str, AbiPolicy]
    exports: Mapping[str, ExportPolicy]
    system_libraries: Mapping[str, int]
    """Name -> API level of its first appearance."""
    loader: tuple[LoaderFeature, ...]
    paths: PathPolicy


@cache
def load_policies() -> Policies:
    """Returns the policies that ship with builder."""
    return parse_policies(
        resources.files("builder.platforms.android").joinpath("policies.toml").read_text()
    )


def parse_policies(text: str) -> Policies:
    """Returns the policies of TOML; ValueError where a key is wrong."""
    return parse_toml(text, Policies, "policies.toml")
