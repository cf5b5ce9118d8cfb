"""Pins of foreign sources, and the tree made from them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledSource:
    """Code of others inside of a pinned source, with a licence of its own."""

    name: str
    path: str
    """Where it is in the source, POSIX, relative."""
    url: str
    """Upstream git repository."""
    licence: str
    """SPDX expression."""
    version: str = ""
    """Upstream version; empty where the source has changed it, or does not say."""


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
    """Distribution source package, or Python package, that carries the archive."""
    file: str
    """The archive's name in the distribution's pool, or the wheel's."""
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
    inside: str = ""
    """Folder of the archive, after `strip`, that is the source; in git it is the root."""
    excluded: tuple[str, ...] = ()
    """Folders and files that no build reads, relative to `path`; `.` for all of them."""
    kept: tuple[str, ...] = ()
    """Exceptions inside of `excluded`."""
    feature: str = ""
    """The feature that needs this source; empty for the ones every build needs."""
    bundled: tuple[BundledSource, ...] = ()

    @property
    def is_wheel(self) -> bool:
        """Whether pip delivers the archive; the version is the package's."""
        return self.file.endswith(".whl")

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
        return "." not in self.excluded


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePatch:
    """A patch of ours to the unmodified tree."""

    name: str
    text: str
    """Unified diff."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLock:
    """Everything that decides the bytes of a source tree."""

    version: str
    """PyTorch version."""
    pins: tuple[SourcePin, ...]
    patches: tuple[SourcePatch, ...]
    feature: str = ""
    """The feature whose optional sources these are; empty for PyTorch's own tree."""

    @property
    def features(self) -> tuple[str, ...]:
        """The features that optional pins belong to, sorted."""
        return tuple(sorted({pin.feature for pin in self.pins} - {""}))

    def select(self, feature: str = "") -> SourceLock:
        """Returns the lock of PyTorch's own tree, or of the tree with a feature's sources alone.

        A tree of its own for each feature leaves PyTorch's tree, and the objects made from it,
        as they are.
        """
        return SourceLock(
            version=self.version,
            pins=tuple(pin for pin in self.pins if pin.feature == feature),
            patches=() if feature else self.patches,
            feature=feature,
        )

    @property
    def digest(self) -> str:
        """Hex digest over pins and patches; names the tree's folder."""
        state = hashlib.sha256()
        for pin in self.pins:
            identity = (pin.path, pin.sha256, pin.commit, pin.strip, pin.excluded, pin.kept)
            inside = (pin.inside,) if pin.inside else ()
            state.update(repr((*identity, *inside)).encode())
        for patch in self.patches:
            state.update(repr((patch.name, patch.text)).encode())
        return state.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTree:
    """A complete, verified, patched source tree on disk.

    A feature's tree has its sources where PyTorch's tree would have them.
    """

    root: Path
    version: str
    digest: str
    """The lock's digest."""
