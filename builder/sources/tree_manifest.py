"""Records the files of a finished source tree, so that every file can be checked later."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from builder.system import listings
from builder.system.files import write_atomically
from builder.system.listings import Differences

FOLDER = ".builder"
"""Folder in the tree for the files that builder itself writes there."""
_MARKER = "complete.json"
_LISTING = "files.sha256"
_STAMPS = "stamps.txt"
_IGNORED = (FOLDER,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """The contents of the file that marks a tree as complete; it is written last."""

    digest: str
    """Digest of the lock."""
    files: int
    """Number of files in the tree."""
    bytes: int
    """Bytes of all files together."""
    listing: str
    """SHA-256 of the listing."""
    providers: tuple[tuple[str, str], ...]
    """Name of each source and the provider that it came from, sorted."""


def write_marker(root: Path, digest: str, providers: dict[str, str]) -> Marker:
    """Lists the files of `root`, and then marks the tree as complete.

    Everything is flushed to disk before the marker is written, so a marked tree is complete even
    after a power failure.
    """
    listing = listings.seal(root, root / FOLDER / _STAMPS, ignored=_IGNORED)
    files = listings.parse_listing(listing)
    write_atomically(root / FOLDER / _LISTING, listing)
    marker = Marker(
        digest=digest,
        files=len(files),
        # lstat: a link counts with its own size, and what it points to counts by itself.
        bytes=sum((root / path).lstat().st_size for path in files),
        listing=hashlib.sha256(listing.encode()).hexdigest(),
        providers=tuple(sorted(providers.items())),
    )
    # One sync for thousands of files is much quicker than an fsync of each.
    os.sync()
    content = {
        "bytes": marker.bytes,
        "digest": marker.digest,
        "files": marker.files,
        "listing": marker.listing,
        "providers": dict(marker.providers),
    }
    write_atomically(root / FOLDER / _MARKER, json.dumps(content, indent=2) + "\n")
    return marker


def read_marker(root: Path, digest: str) -> Marker | None:
    """Returns the marker if `root` is the complete tree for the lock with `digest`."""
    try:
        content = json.loads((root / FOLDER / _MARKER).read_text())
        marker = Marker(
            digest=content["digest"],
            files=content["files"],
            bytes=content["bytes"],
            listing=content["listing"],
            providers=tuple(sorted(content["providers"].items())),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # a damaged marker counts as none, so the tree is made again
    return marker if marker.digest == digest else None


def remove_marker(root: Path) -> None:
    """Marks `root` as incomplete, so that the next run makes it again."""
    (root / FOLDER / _MARKER).unlink(missing_ok=True)


def compare(root: Path, marker: Marker) -> Differences:
    """Reads every file of the tree, and compares it with the listing."""
    listing = _read_listing(root, marker)
    if isinstance(listing, Differences):
        return listing
    return listings.compare(root, listing, ignored=_IGNORED)


def find_changes(root: Path, marker: Marker) -> Differences:
    """Compares the tree with the listing; reads only files that changed since the last time."""
    listing = _read_listing(root, marker)
    if isinstance(listing, Differences):
        return listing
    return listings.find_changes(root, listing, root / FOLDER / _STAMPS, ignored=_IGNORED)


def _read_listing(root: Path, marker: Marker) -> str | Differences:
    try:
        text = (root / FOLDER / _LISTING).read_text()
    except (OSError, UnicodeDecodeError):
        return Differences(missing=(f"{FOLDER}/{_LISTING}",))
    # Who edits a source might edit the listing as well.
    if hashlib.sha256(text.encode()).hexdigest() != marker.listing:
        return Differences(changed=(f"{FOLDER}/{_LISTING}",))
    return text
