"""Lists the files of a folder with their digests, and finds what has changed since then.

Reading every file of a source tree is slow. So the size and times of each file with the right
contents are recorded as well. A file is not read again while its inode is unchanged; st_ctime shows
that, and no program can set it back.
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
"""Paths of each kind in a message."""
_IGNORED = frozenset({"__pycache__"})
"""Folders that Python creates by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """The differences of a folder from its listing; paths are POSIX, relative and sorted."""

    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.missing or self.changed or self.added)

    def __str__(self) -> str:
        """Returns one line for each path; if there are many, the rest is only counted."""
        lines = []
        for kind in ("changed", "missing", "added"):
            paths = getattr(self, kind)
            lines += [f"  {kind}: {path}" for path in paths[:_SHOWN]]
            if len(paths) > _SHOWN:
                lines.append(f"  and {len(paths) - _SHOWN} more {kind}")
        return "\n".join(lines)


def list_files(root: Path, *, ignored: Collection[str] = ()) -> dict[str, str]:
    """Returns path -> SHA-256 for every file below `root`.

    For a symbolic link, it is the digest of the path of its target. Folders that Python creates and
    folders with a name in `ignored` are left out.
    """
    return {path: _digest(root / path) for path in sorted(dict(_walk(root, ignored)))}


def seal(root: Path, stamps: Path, *, ignored: Collection[str] = ()) -> str:
    """Returns the listing of `root` as text, and writes the file `stamps` for `find_changes`."""
    # Times are taken before the contents are read: a file that changes in between is read again.
    taken = dict(_walk(root, ignored))
    listing = render_listing({path: _digest(root / path) for path in taken})
    write_atomically(stamps, _render_stamps(taken, listing))
    return listing


def is_as_sealed(root: Path, listing: Path, stamps: Path) -> bool:
    """Returns whether `root` is as the file `listing` describes it; False without that file."""
    try:
        text = listing.read_text()
    except (OSError, UnicodeDecodeError):
        return False
    return not find_changes(root, text, stamps)


def render_listing(files: Mapping[str, str]) -> str:
    """Returns the listing as text, in the format of `sha256sum`."""
    return "".join(f"{sha256}  {path}\n" for path, sha256 in sorted(files.items()))


def parse_listing(text: str) -> dict[str, str]:
    """Returns path -> SHA-256 for the text from `render_listing`."""
    # 64 hexadecimal digits and two spaces, as sha256sum writes them.
    return {line[66:]: line[:64] for line in text.splitlines()}


def compare(root: Path, listing: str, *, ignored: Collection[str] = ()) -> Differences:
    """Reads every file below `root` and compares all with the text of a listing."""
    return _compare(parse_listing(listing), list_files(root, ignored=ignored))


def find_changes(
    root: Path, listing: str, stamps: Path, *, ignored: Collection[str] = ()
) -> Differences:
    """Compares a folder with a listing; reads only files that changed after `stamps` was written.

    Args:
        root: the folder.
        listing: text of the expected listing.
        stamps: file with sizes and times, outside of `root` or in an ignored folder. It is written
            again when files were read and all are right; a failure to write it is not an error.
        ignored: names of folders to leave out.
    """
    expected, known = parse_listing(listing), _read_stamps(stamps, listing)
    current = dict(_walk(root, ignored))
    actual = {
        path: expected[path]
        if known.get(path) == stamp and path in expected
        else _digest(root / path)
        for path, stamp in current.items()
    }
    differences = _compare(expected, actual)
    # Only after all files were right: the stamps then vouch for these times.
    # Files were read and are right, so their new times need not be asked for again.
    if not differences and known != current:
        with suppress(OSError):
            write_atomically(stamps, _render_stamps(current, listing))
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
    # os.scandir and not rglob: it knows the kinds of entries without asking for each.
    waiting = [(os.fspath(root), "")]
    while waiting:
        folder, prefix = waiting.pop()
        # A folder may vanish while it is read.
        with suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in _IGNORED and entry.name not in ignored:
                        waiting.append((entry.path, f"{prefix}{entry.name}/"))
                else:
                    status = entry.stat(follow_symlinks=False)
                    # st_ctime changes with every write, and no program can set it.
                    times = f"{status.st_mtime_ns} {status.st_ctime_ns}"
                    yield f"{prefix}{entry.name}", f"{status.st_size} {times}"


def _read_stamps(stamps: Path, listing: str) -> dict[str, str]:
    """Returns path -> size and times; nothing when `stamps` belongs to another listing."""
    try:
        head, *lines = stamps.read_text().splitlines()
    except (OSError, ValueError):
        return {}
    # Stamps of another listing would vouch for contents that nobody compared.
    if head != _name(listing):
        return {}
    split = (line.split(" ", 3) for line in lines if line.count(" ") >= 3)
    return {path: f"{size} {modified} {changed}" for size, modified, changed, path in split}


def _render_stamps(stamps: Mapping[str, str], listing: str) -> str:
    lines = (f"{stamp} {path}" for path, stamp in sorted(stamps.items()))
    return "\n".join((_name(listing), *lines)) + "\n"


def _name(listing: str) -> str:
    return hashlib.sha256(listing.encode()).hexdigest()


def _digest(path: Path) -> str:
    """Returns the digest of a file or link; empty when it was removed in the meantime."""
    with suppress(FileNotFoundError):
        # Opening a link would digest what it points to, perhaps outside of the folder.
        if path.is_symlink():
            return hashlib.sha256(f"link {path.readlink()}".encode()).hexdigest()
        return digest_file(path)
    return ""
