"""Pins of foreign sources, and the tree made from them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePin:
    """One source, its upstream identity and the archive whose bytes are checked."""

    name: str
    """Short name, e.g. `xnnpack`."""
    path: str
    """Where it goes in the tree, POSIX, relative; `.` for PyTorch itself."""
    version: str
    """Upstream version or snapshot, for people."""
    url: str
    """Upstream git repository."""
    commit: str
    """Upstream tag or commit that the archive was made from."""
    package: str
    """Distribution source package that carries the archive."""
    file: str
    """The archive's name in the distribution's pool."""
    sha256: str
    """Lower-case hex digest of the archive."""
    strip: int
    """Leading path components to drop when extracting."""
    licence: str
    """SPDX expression."""
    excluded: tuple[str, ...] = ()
    """Top-level folders of the archive that no mobile build reads; not extracted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePatch:
    """A patch of ours to the unmodified tree."""

    name: str
    text: str
    """Unified diff."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLock:
    """Everything that decides the bytes of the source tree."""

    version: str
    """PyTorch version."""
    pins: tuple[SourcePin, ...]
    patches: tuple[SourcePatch, ...]

    @property
    def digest(self) -> str:
        """Hex digest over pins and patches; names the tree's folder."""
        state = hashlib.sha256()
        for pin in self.pins:
            state.update(repr((pin.path, pin.sha256, pin.strip, pin.excluded)).encode())
        for patch in self.patches:
            state.update(repr((patch.name, patch.text)).encode())
        return state.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTree:
    """A complete, verified, patched source tree on disk."""

    root: Path
    version: str
    digest: str
    """The lock's digest."""
