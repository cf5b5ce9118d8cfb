"""What a finished tree consists of, so that it can be checked file by file."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from builder.system.files import digest_file, write_atomically

FOLDER = ".builder"
"""Folder of the tree that holds what builder itself writes there."""
_MARKER = "complete.json"
_LISTING = "files.sha256"
_IGNORED = frozenset({FOLDER, "__pycache__"})


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """How a tree differs from its listing; paths are POSIX, relative and sorted."""

    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.missing or self.changed or self.added)


def list_files(root: Path) -> dict[str, str]:
    """Returns path -> sha256 of every file below `root`; of a link, that of its target's name.

    Folders that Python and builder write themselves are left out.
    """
    listed = {}
    for folder, folders, files in os.walk(root):
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        folders[:] = [name for name in folders if name not in _IGNORED and name not in links]
        for name in (*files, *links):
            path = Path(folder) / name
            listed[path.relative_to(root).as_posix()] = _digest(path)
    return dict(sorted(listed.items()))


def write_marker(root: Path, digest: str, providers: dict[str, str]) -> Marker:
    """Lists the files of `root` and marks it as complete, in this order.

    Everything is flushed to disk before the marker is written: a marked tree is whole even
    after a power cut.
    """
    files = list_files(root)
    listing = "".join(f"{sha256}  {path}\n" for path, sha256 in files.items())
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
    try:
        text = (root / FOLDER / _LISTING).read_text()
    except (OSError, UnicodeDecodeError):
        return Differences(missing=(f"{FOLDER}/{_LISTING}",))
    if hashlib.sha256(text.encode()).hexdigest() != marker.listing:
        return Differences(changed=(f"{FOLDER}/{_LISTING}",))
    expected = {line[66:]: line[:64] for line in text.splitlines()}
    actual = list_files(root)
    common = expected.keys() & actual.keys()
    return Differences(
        missing=tuple(sorted(expected.keys() - actual.keys())),
        changed=tuple(sorted(path for path in common if expected[path] != actual[path])),
        added=tuple(sorted(actual.keys() - expected.keys())),
    )


def _digest(path: Path) -> str:
    if path.is_symlink():
        return hashlib.sha256(f"link {path.readlink()}".encode()).hexdigest()
    return digest_file(path)
