"""The mark of builder's cache: only in such a folder does builder remove anything.

Users may give any folder as the cache, also one that has files of their own. So builder marks a
folder before it first writes there, and only if there is nothing that somebody else may have made.
The mark is the file of the Cache Directory Tagging Specification, by which programs for backups
leave caches out, with a line of builder's own.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from builder.errors import BuilderError, ConfigurationError
from builder.system.files import read_regular, write_atomically
from builder.system.outputs import refuse_unwritable
from builder.system.scratch import is_scratch_name

PARTS = ("downloads", "git", "sources", "native", "apple", "finished", "toolchains")
"""The folders that builder makes in its cache."""
TAG = "CACHEDIR.TAG"
"""File name of the mark."""
OTHER_CACHE = "choose another folder for it: BUILDER_CACHE=<folder>"
_SIGNATURE = "Signature: 8a477f597d28d172789f06886806bc55"
"""What the specification requires at the start of the file."""
_LINE = "# This folder is the cache of builder. The command `builder cache` removes files from it."
_MOST = 1 << 16
_LOCKS = frozenset(
    f"{part}{suffix}" for part in ("downloads", "git") for suffix in (".lock", ".owner")
)


def claim_cache(cache: Path) -> str:
    """Marks a folder as builder's cache before builder writes there; it is created if needed.

    A folder with anything that builder does not make gets no mark. A failure to write the mark is
    not an error: whoever writes the contents reports it.

    Returns:
        A sentence for people that says why the folder has no mark; empty if it has one.
    """
    try:
        if is_marked(cache):
            return ""
        if foreign := list_foreign(cache):
            reason = f"it has files that builder did not make, such as {foreign[0].name}"
        else:
            write_atomically(cache / TAG, f"{_SIGNATURE}\n{_LINE}\n")
            return ""
    except OSError as error:
        reason = f"{TAG} cannot be written there ({error.strerror})"
    return f"{cache} gets no mark, so builder cache will remove nothing from it: {reason}"


def refuse_unusable(cache: Path) -> None:
    """Raises ConfigurationError for a folder that cannot be read, or cannot be made.

    One that can be read and not written to may have all that is needed.
    """
    try:
        if cache.is_dir():
            with os.scandir(cache):
                return
        refuse_unwritable(cache / TAG)
    except BuilderError as error:
        reason = error.message
    except OSError as error:
        reason = f"it cannot be read ({error.strerror})"
    else:
        return
    raise ConfigurationError(f"the cache {cache} cannot be used: {reason}", hint=OTHER_CACHE)


def is_marked(cache: Path) -> bool:
    """Returns whether builder has marked the folder as its cache."""
    if read_type(cache / TAG) != stat.S_IFREG:
        return False
    try:
        lines = read_regular(cache / TAG, _MOST).decode().splitlines()
    except (OSError, ValueError):
        return False
    return lines[:1] == [_SIGNATURE] and _LINE in lines


def list_foreign(cache: Path) -> tuple[Path, ...]:
    """Returns what is in the root of a cache and is not builder's, such as links; sorted.

    Raises:
        OSError: the folder cannot be read; there is nothing foreign in a folder that is absent.
    """
    try:
        return tuple(path for path in sorted(cache.iterdir()) if not _is_own(path))
    except FileNotFoundError:
        return ()


def list_parts(cache: Path) -> tuple[Path, ...]:
    """Returns the folders in which builder keeps things; links to folders are left out."""
    return tuple(cache / part for part in PARTS if read_type(cache / part) == stat.S_IFDIR)


def read_type(path: Path) -> int:
    """Returns the type of what is at `path`, as `stat.S_IFMT`; a link is not followed.

    The result is 0 where nothing is.
    """
    try:
        return stat.S_IFMT(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _is_own(path: Path) -> bool:
    kind = read_type(path)
    if path.name in PARTS:
        return kind == stat.S_IFDIR
    if path.name == TAG:
        return is_marked(path.parent)
    # 0: another builder has just removed its lock or its temporary file.
    if path.name in _LOCKS:
        return kind in {0, stat.S_IFREG}
    return is_scratch_name(path.name) and kind in {0, stat.S_IFREG, stat.S_IFDIR}
