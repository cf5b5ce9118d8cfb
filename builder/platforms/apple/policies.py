"""The data of policies.toml, typed and checked."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from builder.core.targets import parse_os_version
from builder.verify.policy import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class SincePolicy:
    """Symbols that systems have since a version."""

    version: int
    """As in `Target.min_os`."""
    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StubPolicy:
    """Where an SDK says what its libraries have."""

    libraries: Mapping[str, tuple[str, ...]]
    """Name -> paths below the SDK, of which one is enough."""
    optional: tuple[str, ...]
    inside: tuple[str, ...]
    """Patterns of what the libraries re-export."""
    framework: str
    """Path of the stub of a framework, by its name."""
    reexported: tuple[str, ...]
    """Patterns of what a framework re-exports, by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplePolicies:
    """See policies.toml."""

    rules: tuple[Rule, ...]
    required: tuple[str, ...]
    """Symbols that a slice exports."""
    allowed: tuple[str, ...]
    """Patterns of what it may export."""
    linker: tuple[str, ...]
    """Symbols that every linker makes by itself."""
    linker_patterns: tuple[str, ...]
    """Patterns of more."""
    objective: tuple[str, ...]
    """Patterns of symbols that only an SDK with frameworks can tell."""
    stubs: StubPolicy
    since: tuple[SincePolicy, ...]
    device_paths: tuple[str, ...]


@cache
def load_apple_policies() -> ApplePolicies:
    """Returns the policies that ship with builder."""
    text = resources.files("builder.platforms.apple").joinpath("policies.toml").read_text()
    return parse_apple_policies(text)


def parse_apple_policies(text: str) -> ApplePolicies:
    """Returns the policies of TOML; TypeError, KeyError or ValueError where a key is wrong."""
    data = tomllib.loads(text)
    exports, stubs = data.pop("exports"), data.pop("stubs")
    kept = {key: tuple(stubs.pop(key)) for key in ("optional", "inside", "reexported")}
    framework, linker = stubs.pop("framework"), data.pop("linker")
    policies = ApplePolicies(
        rules=tuple(Rule(**rule) for rule in data.pop("rules")),
        required=tuple(exports["required"]),
        allowed=tuple(exports["allowed"]),
        linker=tuple(linker["symbols"]),
        linker_patterns=tuple(linker["patterns"]),
        objective=tuple(data.pop("objective")["patterns"]),
        stubs=StubPolicy(
            libraries={n: tuple(paths) for n, paths in stubs.items()}, framework=framework, **kept
        ),
        since=tuple(
            SincePolicy(
                version=parse_os_version(entry["version"]), patterns=tuple(entry["patterns"])
            )
            for entry in data.pop("since")
        ),
        device_paths=tuple(data.pop("paths")["device"]),
    )
    if data:
        raise ValueError(f"policies.toml has keys that nothing reads: {', '.join(sorted(data))}")
    return policies
