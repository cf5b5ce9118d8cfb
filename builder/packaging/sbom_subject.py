"""What a software bill of materials is about: a package, and the files in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from builder.core.components import Component
from builder.core.runtime_manifest import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The package that the bill of materials describes."""

    kind: str
    """Type of the package URL: `maven`, `cocoapods` or `generic`."""
    name: str
    version: str
    group: str = ""
    qualifiers: Mapping[str, str] = field(default_factory=dict)
    """Qualifiers of the package URL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedFile:
    """A library or program in the package."""

    path: str
    """Path in the package, POSIX."""
    sha256: str
    components: tuple[Component, ...]
    """The components in the file."""
    manifests: tuple[Manifest, ...] = ()
    """The manifests of the runtimes in the file."""
