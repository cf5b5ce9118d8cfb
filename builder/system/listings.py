"""What a folder consisted of when it was complete, and how it differs from that now.

Reading every file of a source tree takes a second. So the sizes and times of files are kept too,
once their contents were right: a file whose inode has not changed since (st_ctime, which no program
can set back) is not read again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from builder.system.files import digest_file, write_atomically

_SHOWN = 20
_IGNORED = frozenset({"__pycache__"})
"""Folders that Python writes by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """How a folder differs from its listing; paths are POSIX, relative and sorted."""

    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.missing or self.changed or self.added)

    def __str__(self) -> str:
        """Returns a line for each path, and a count where there are many."""
        lines = []
        for kind in ("changed", "missing", "added"):
            paths = getattr(self, kind)
            lines += [f"  {kind}: {path}" for path in paths[:_SHOWN]]
            if len(paths) > _SHOWN:
                lines.append(f"  and {len(paths) - _SHOWN} more {kind}")
        return "\n".join(lines)


def list_files(root: Path, *, ignored: Collection[str] = ()) -> dict[str, str]:
    """Returns path -> sha256 of every file below `root`; of a link, that of its target's name.

    Folders that Python writes, and those called as one of `ignored`, are left out.
    """
    return {path: _digest(root / path) for path in sorted(dict(_walk(root, ignored)))}


def seal(root: Path, stamps: Path, *, ignored: Collection[str] = ()) -> str:
    """Returns the text of the listing of `root`, and writes what `find_changes` reads beside it."""
    found = dict(_walk(root, ignored))  # before the contents, which may change in between
    listing = render_listing({path: _digest(root / path) for path in found})
    write_atomically(stamps, _render_stamps(found, listing))
    return listing


def is_as_sealed(root: Path, listing: Path, stamps: Path) -> bool:
    """Says whether `root` consists of what the file `listing` says; False without that file."""
    try:
        text = listing.read_text()
    except (OSError, UnicodeDecodeError):
        return False
    return not find_changes(root, text, stamps)


def render_listing(files: Mapping[str, str]) -> str:
    """Returns the text of path -> sha256, as `sha256sum` writes it."""
    return "".join(f"{sha256}  {path}\n" for path, sha256 in sorted(files.items()))


def parse_listing(text: str) -> dict[str, str]:
    """Returns the path -> sha256 of a text of `render_listing`."""
    return {line[66:]: line[:64] for line in text.splitlines()}


def compare(root: Path, listing: str, *, ignored: Collection[str] = ()) -> Differences:
    """Reads every file below `root` and compares it with the text of a listing."""
    return _compare(parse_listing(listing), list_files(root, ignored=ignored))


def find_changes(
    root: Path, listing: str, stamps: Path, *, ignored: Collection[str] = ()
) -> Differences:
    """The same, but reads only files that have changed since `stamps` was written.

    Args:
        root: the folder.
        listing: text of what it should consist of.
        stamps: file with sizes and times, outside of `root` or in an ignored folder; is written
            again when files were read and all are right. That it cannot be written is no error.
        ignored: names of folders to leave out.
    """
    expected, known = parse_listing(listing), _read_stamps(stamps, listing)
    found = dict(_walk(root, ignored))
    actual = {
        path: expected[path]
        if known.get(path) == stamp and path in expected
        else _digest(root / path)
        for path, stamp in found.items()
    }
    differences = _compare(expected, actual)
    if not differences and known != found:
        with suppress(OSError):
            write_atomically(stamps, _render_stamps(found, listing))
    return differences


def _compare(expected: Mapping[str, str], actual: Mapping[str, str]) -> Differences:
    common = expected.keys() & actual.keys()
    return Differences(
        missing=tuple(sorted(expected.keys() - actual.keys())),
        changed=tuple(sorted(path for path in common if expected[path] != actual[path])),
        added=tuple(sorted(actual.keys() - expected.keys())),
    )


def _walk(root: Path, ignored: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yields the path and the stamp of each file and link below `root`."""
    waiting = [(os.fspath(root), "")]
    while waiting:
        folder, prefix = waiting.pop()
        with suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in _IGNORED and entry.name not in ignored:
                        waiting.append((entry.path, f"{prefix}{entry.name}/"))
                else:
                    status = entry.stat(follow_symlinks=False)
                    times = f"{status.st_mtime_ns} {status.st_ctime_ns}"
                    yield f"{prefix}{entry.name}", f"{status.st_size} {times}"


def _read_stamps(stamps: Path, listing: str) -> dict[str, str]:
    """Returns path -> stamp; nothing where they were written for another listing."""
    try:
        head, *lines = stamps.read_text().splitlines()
    except (OSError, ValueError):
        return {}
    if head != _name(listing):
        return {}
    split = (line.split(" ", 3) for line in lines if line.count(" ") >= 3)
    return {path: f"{size} {modified} {changed}" for size, modified, changed, path in split}


def _render_stamps(found: Mapping[str, str], listing: str) -> str:
    lines = (f"{stamp} {path}" for path, stamp in sorted(found.items()))
    return "\n".join((_name(listing), *lines)) + "\n"


def _name(listing: str) -> str:
    return hashlib.sha256(listing.encode()).hexdigest()


def _digest(path: Path) -> str:
    """Returns the digest of a file that may be gone again, which is no digest."""
    with suppress(FileNotFoundError):
        if path.is_symlink():
            return hashlib.sha256(f"link {path.readlink()}".encode()).hexdigest()
        return digest_file(path)
    return ""
