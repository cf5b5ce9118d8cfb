"""What a finished tree consists of, so that it can be checked file by file."""

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
"""Folder of the tree that holds what builder itself writes there."""
_MARKER = "complete.json"
_LISTING = "files.sha256"
_STAMPS = "stamps.txt"
_IGNORED = (FOLDER,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """The file that makes a tree complete; written last."""

    digest: str
    """The lock's digest."""
    files: int
    bytes: int
    listing: str
    """sha256 of the listing."""
    providers: tuple[tuple[str, str], ...]
    """Source name and the provider it came from, sorted."""


def write_marker(root: Path, digest: str, providers: dict[str, str]) -> Marker:
    """Lists the files of `root` and marks it as complete, in this order.

    Everything is flushed to disk before the marker is written: a marked tree is whole even
    after a power cut.
    """
    listing = listings.seal(root, root / FOLDER / _STAMPS, ignored=_IGNORED)
    files = listings.parse_listing(listing)
    write_atomically(root / FOLDER / _LISTING, listing)
    marker = Marker(
        digest=digest,
        files=len(files),
        bytes=sum((root / path).lstat().st_size for path in files),
        listing=hashlib.sha256(listing.encode()).hexdigest(),
        providers=tuple(sorted(providers.items())),
    )
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
    """Returns the marker if `root` is the complete tree of the lock with `digest`."""
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
        return None
    return marker if marker.digest == digest else None


def remove_marker(root: Path) -> None:
    """Makes `root` incomplete, so that the next run makes it anew."""
    (root / FOLDER / _MARKER).unlink(missing_ok=True)


def compare(root: Path, marker: Marker) -> Differences:
    """Reads every file of the tree again and compares it with the listing."""
    listing = _read_listing(root, marker)
    if isinstance(listing, Differences):
        return listing
    return listings.compare(root, listing, ignored=_IGNORED)


def find_changes(root: Path, marker: Marker) -> Differences:
    """The same, but reads only what has changed since it was read; takes a tenth of the time."""
    listing = _read_listing(root, marker)
    if isinstance(listing, Differences):
        return listing
    return listings.find_changes(root, listing, root / FOLDER / _STAMPS, ignored=_IGNORED)


def _read_listing(root: Path, marker: Marker) -> str | Differences:
    try:
        text = (root / FOLDER / _LISTING).read_text()
    except (OSError, UnicodeDecodeError):
        return Differences(missing=(f"{FOLDER}/{_LISTING}",))
    if hashlib.sha256(text.encode()).hexdigest() != marker.listing:
        return Differences(changed=(f"{FOLDER}/{_LISTING}",))
    return text
