"""Walks and removes folders that may be nested deeper than Python's recursion reaches."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path


def make_folders(path: Path) -> None:
    """Creates a folder and those around it that are missing, however many; it may be there.

    Raises:
        FileExistsError: something else is at `path`.
        OSError: one of the folders cannot be created.
    """
    # Path.mkdir and os.makedirs call themselves for each folder that is missing.
    missing = []
    while not path.is_dir():
        missing.append(path)
        if path == path.parent:
            break
        path = path.parent
    for folder in reversed(missing):
        # Another builder may make it at the same time.
        folder.mkdir(exist_ok=True)


def walk_tree(
    folder: Path,
    *,
    on_error: Callable[[OSError], object] | None = None,
    empty_folders: bool = False,
) -> Iterator[Path]:
    """Yields each file and each link below `folder`, sorted in each folder; enters no link.

    Args:
        folder: where to begin.
        on_error: gets the errors of folders that cannot be read; without it, they are left out.
        empty_folders: whether folders below `folder` are yielded that have nothing in them.
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
        if empty_folders and not entries and current != folder:
            yield current
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
