"""The data of facts.toml, typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

from builder.core.targets import Target, format_os_version
from builder.core.typed import parse_toml

OPEN_FEATURE = "apple"
"""Feature of the pinned sources that the open SDK is assembled from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSdkFacts:
    """The SDK of open headers."""

    name: str
    newest: str
    """The newest deployment target that it knows, e.g. `16.9`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompilerRuntime:
    """Symbols of clang's own run-time library that LLVM's packages for Linux lack."""

    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StubFacts:
    """One stub library of the open SDK."""

    path: str
    """Below the root of the SDK."""
    install_name: str
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStubs:
    """The stub libraries of the open SDK."""

    targets: tuple[str, ...]
    read_for: str
    """The target whose symbols the headers' tree lists."""
    accelerate: StubFacts


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


@dataclass(frozen=True, slots=True, kw_only=True)
class AppleTable:
    """The content of facts.toml."""

    oldest: str
    """The oldest deployment target, e.g. `12.0`."""
    install: str
    """How to get the tools, for hints."""
    open: OpenSdkFacts
    abis: Mapping[str, AppleFacts]
    """ABI -> facts, whose `triple` has `{version}` for the deployment target."""
    compiler_runtime: CompilerRuntime
    stubs: OpenStubs


@cache
def load_table() -> AppleTable:
    """Returns the content of facts.toml."""
    text = resources.files("builder.platforms.apple").joinpath("facts.toml").read_text()
    return parse_toml(text, AppleTable, "facts.toml")


def load_facts(target: Target) -> AppleFacts:
    """Returns what holds for `target` and its deployment target."""
    facts = load_table().abis[target.abi]
    return replace(facts, triple=facts.triple.format(version=format_os_version(target.min_os)))
