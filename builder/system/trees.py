"""Walks and removes folders that may be nested deeper than Python's recursion reaches."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path


def walk_tree(
    folder: Path, *, on_error: Callable[[OSError], object] | None = None
) -> Iterator[Path]:
    """Yields each file and each link below `folder`, sorted in each folder; enters no link.

    `on_error` gets the errors of folders that cannot be read; without it, they are left out.
    """
    # os.walk of Python 3.11 calls itself for each level.
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        try:
            with os.scandir(current) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            if on_error is not None:
                on_error(error)
            continue
        folders = []
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(current / entry.name)
            else:
                yield current / entry.name
        waiting += reversed(folders)


def remove_tree(folder: Path) -> None:
    """Removes a folder and all that is in it, however deep; it must be on one file system.

    Raises:
        OSError: something in it cannot be removed; what could be, is gone.
    """
    try:
        shutil.rmtree(folder, ignore_errors=True)
    except RecursionError:
        _flatten(folder)
        shutil.rmtree(folder, ignore_errors=True)
    if os.path.lexists(folder):
        # Again, now for the error.
        shutil.rmtree(folder)


def _flatten(folder: Path) -> None:
    """Moves all folders that are below `folder` directly into it, under new names."""
    names = (f"flat-{number}" for number in count())
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        with os.scandir(current) as found:
            inner = [entry.name for entry in found if entry.is_dir(follow_symlinks=False)]
        for name in inner:
            moved = folder / next(name for name in names if not os.path.lexists(folder / name))
            (current / name).rename(moved)
            waiting.append(moved)
