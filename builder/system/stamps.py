"""Tells cheaply whether files are still what they were: by inode, size and times.

st_ctime changes with every write and every rename, and no program can set it back. The stamp of a
folder changes when a name in it comes or goes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

ABSENT = ""
"""The stamp of a path at which nothing is."""


def take_stamps(paths: Iterable[Path]) -> dict[str, str]:
    """Returns path -> stamp of what each path leads to; of a link, that is its target."""
    return {os.fspath(path): _stamp(os.fspath(path)) for path in paths}


def are_unchanged(stamps: Mapping[str, str]) -> bool:
    """Returns whether all paths still have the stamps that `take_stamps` returned."""
    return all(_stamp(path) == stamp for path, stamp in stamps.items())


def _stamp(path: str) -> str:
    try:
        status = os.stat(path)  # noqa: PTH116 - hundreds of paths, and no Path is needed
    except OSError:
        return ABSENT
    numbers = (status.st_dev, status.st_ino, status.st_size)
    return " ".join(map(str, (*numbers, status.st_mtime_ns, status.st_ctime_ns)))
