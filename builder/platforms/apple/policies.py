"""The data of policies.toml, typed and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from builder.core.targets import parse_os_version
from builder.core.typed import parse_toml
from builder.verify.policy import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolPolicy:
    """A set of symbols."""

    symbols: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    """Patterns of more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPolicy:
    """What a slice exports."""

    required: tuple[str, ...]
    allowed: tuple[str, ...]
    """Patterns of what it may export."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SincePolicy:
    """Symbols that systems have since a version."""

    version: str
    """The version, e.g. `15.0`."""
    patterns: tuple[str, ...]

    @property
    def min_os(self) -> int:
        """The version, as in `Target.min_os`."""
        return parse_os_version(self.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class StubPolicy:
    """Where an SDK says what its libraries have."""

    libraries: Mapping[str, tuple[str, ...]]
    """Name -> paths below the SDK, of which one is enough."""
    optional: tuple[str, ...]
    """Those of `libraries` that an SDK can lack."""
    inside: tuple[str, ...]
    """Patterns of what the libraries re-export."""
    framework: str
    """Path of the stub of a framework, by its name."""
    reexported: tuple[str, ...]
    """Patterns of what a framework re-exports, by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathPolicy:
    """Starts of paths that a library may hold."""

    device: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplePolicies:
    """See policies.toml."""

    rules: tuple[Rule, ...]
    exports: ExportPolicy
    linker: SymbolPolicy
    """Symbols that every linker makes by itself."""
    objective: SymbolPolicy
    """Symbols that only an SDK with frameworks can tell."""
    stubs: StubPolicy
    since: tuple[SincePolicy, ...]
    paths: PathPolicy


@cache
def load_apple_policies() -> ApplePolicies:
    """Returns the policies that ship with builder."""
    text = resources.files("builder.platforms.apple").joinpath("policies.toml").read_text()
    return parse_apple_policies(text)


def parse_apple_policies(text: str) -> ApplePolicies:
    """Returns the policies of TOML; ValueError where a key is wrong."""
    return parse_toml(text, ApplePolicies, "policies.toml")
