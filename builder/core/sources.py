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
    size: int
    """Bytes of the archive."""
    unpacked: int
    """Bytes of the files that are extracted."""
    excluded: tuple[str, ...] = ()
    """Folders and files that no mobile build reads, relative to `path`; not extracted."""
    kept: tuple[str, ...] = ()
    """Exceptions inside of `excluded`."""
    feature: str = ""
    """The feature that needs this source; empty for the ones every build needs."""

    def carries(self, path: str) -> bool:
        """True when `path` (POSIX, relative to the source's own root) belongs to the tree.

        The longest entry of `excluded` and `kept` that names the path or one of its
        parents decides.
        """
        parts = path.split("/")
        for end in range(len(parts), 0, -1):
            prefix = "/".join(parts[:end])
            if prefix in self.kept:
                return True
            if prefix in self.excluded:
                return False
        return True


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
    def features(self) -> tuple[str, ...]:
        """The features that optional pins belong to, sorted."""
        return tuple(sorted({pin.feature for pin in self.pins} - {""}))

    def select(self, features: frozenset[str]) -> SourceLock:
        """Returns the lock with the pins that every build needs and those of `features`."""
        pins = tuple(pin for pin in self.pins if not pin.feature or pin.feature in features)
        return SourceLock(version=self.version, pins=pins, patches=self.patches)

    @property
    def digest(self) -> str:
        """Hex digest over pins and patches; names the tree's folder."""
        state = hashlib.sha256()
        for pin in self.pins:
            identity = (pin.path, pin.sha256, pin.commit, pin.strip, pin.excluded, pin.kept)
            state.update(repr(identity).encode())
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
