"""Pinned third-party sources, and the source tree made from them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledSource:
    """A third-party component inside a pinned source, with its own licence."""

    name: str
    path: str
    """Path inside the source, POSIX, relative."""
    url: str
    """Upstream git repository."""
    licence: str
    """SPDX expression."""
    version: str = ""
    """Upstream version; empty when the source has changed it or does not contain it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePin:
    """One source: its upstream identity, and the archive whose digest is checked."""

    name: str
    """Short name, e.g. `xnnpack`."""
    path: str
    """Path in the source tree, POSIX, relative; `.` for PyTorch itself."""
    version: str
    """Upstream version or snapshot, for people."""
    url: str
    """Upstream git repository."""
    commit: str
    """Upstream commit that the archive was made from."""
    package: str
    """Source package of the distribution, or Python package, that contains the archive."""
    file: str
    """File name of the archive in the package pool of the distribution, or of the wheel."""
    sha256: str
    """Lower-case hexadecimal digest of the archive."""
    strip: int
    """Number of leading path components that are removed when the archive is unpacked."""
    licence: str
    """SPDX expression."""
    size: int
    """Bytes of the archive."""
    unpacked: int
    """Bytes of the files that are unpacked."""
    inside: str = ""
    """Folder of the archive, after `strip`, that contains the source; in git it is the root."""
    excluded: tuple[str, ...] = ()
    """Folders and files, relative to `path`, that no build reads; `.` excludes everything."""
    kept: tuple[str, ...] = ()
    """Folders and files inside of `excluded` that are unpacked all the same."""
    feature: str = ""
    """The feature that needs this source; empty for sources that every build needs."""
    bundled: tuple[BundledSource, ...] = ()

    @property
    def is_wheel(self) -> bool:
        """Whether the archive is a wheel from pip; `version` is then the version of the package."""
        return self.file.endswith(".whl")

    def carries(self, path: str) -> bool:
        """Returns whether `path` (POSIX, relative to the root of the source) is unpacked.

        The longest entry of `excluded` and `kept` that names the path or one of its parents
        decides.
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
    """A patch of builder for the unmodified source tree."""

    name: str
    text: str
    """Unified diff."""
    reason: str
    """Why the patch is needed, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLock:
    """Everything that decides the bytes of a source tree."""

    version: str
    """PyTorch version."""
    pins: tuple[SourcePin, ...]
    patches: tuple[SourcePatch, ...]
    feature: str = ""
    """The feature that these optional sources belong to; empty for PyTorch's own tree."""
    snapshots: tuple[str, ...] = ()
    """Times at which Debian's pool had the archives, as in URLs of snapshot.debian.org."""

    @property
    def features(self) -> tuple[str, ...]:
        """The features that optional pins belong to, sorted."""
        return tuple(sorted({pin.feature for pin in self.pins} - {""}))

    def select(self, feature: str = "") -> SourceLock:
        """Returns the lock of PyTorch's own tree, or of the tree of a feature.

        Each feature has a separate tree, so that adding one changes neither PyTorch's tree nor the
        objects that were compiled from it.
        """
        return SourceLock(
            version=self.version,
            pins=tuple(pin for pin in self.pins if pin.feature == feature),
            # Patches are for PyTorch's own files.
            patches=() if feature else self.patches,
            feature=feature,
            snapshots=self.snapshots,
        )

    @property
    def digest(self) -> str:
        """Hexadecimal digest of pins and patches; it is part of the name of the tree's folder."""
        state = hashlib.sha256()
        for pin in self.pins:
            identity = (pin.path, pin.sha256, pin.commit, pin.strip, pin.excluded, pin.kept)
            # Left out when empty, so that trees made before this field existed keep their digest.
            inside = (pin.inside,) if pin.inside else ()
            # Names, licences and URLs are not in the digest: they do not change a byte of the tree.
            state.update(repr((*identity, *inside)).encode())
        for patch in self.patches:
            state.update(repr((patch.name, patch.text)).encode())
        return state.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTree:
    """A complete, verified, patched source tree on disk.

    The tree of a feature has its sources at the paths that they would have in PyTorch's tree.
    """

    root: Path
    version: str
    digest: str
    """The digest of the lock that it was made from."""
