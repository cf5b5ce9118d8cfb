"""Temporary files and folders, which the next run removes if this one was killed.

Their names start with `PREFIX`, and the process that made one holds a lock on it (flock(2)). The
kernel releases the lock when the process ends. So a name without a lock belongs to a dead process.
"""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from builder.system.trees import remove_tree

PREFIX = ".builder-tmp-"
_RANDOM = re.compile(r"[a-z0-9_]{8}")
"""The random end of a name from tempfile; other names are not touched."""


@contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """Yields a new folder in `parent` or the temporary folder; removes it at the end."""
    where = parent or Path(tempfile.gettempdir())
    # Every use cleans up after killed runs, so no other step has to.
    sweep(where)
    folder, lock = _make_owned(lambda: Path(tempfile.mkdtemp(prefix=PREFIX, dir=where)))
    try:
        yield folder
    finally:
        _remove(folder)
        os.close(lock)


@contextmanager
def scratch_file(parent: Path) -> Iterator[Path]:
    """Yields a new empty file in `parent`; a file with that name is removed at the end."""
    file, lock = _make_owned(lambda: _make_file(parent))
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)
        os.close(lock)


def is_scratch_name(name: str) -> bool:
    """Returns whether builder names its temporary files and folders like this."""
    # Only names that tempfile makes; anything else with the prefix is somebody's own.
    return name.startswith(PREFIX) and bool(_RANDOM.fullmatch(name.removeprefix(PREFIX)))


def sweep(parent: Path) -> int:
    """Removes leftovers of this user's killed runs from `parent`; returns their number."""
    removed = 0
    with suppress(OSError):
        for path in sorted(parent.glob(f"{PREFIX}*")):
            if is_scratch_name(path.name):
                removed += _remove_orphan(path)
    return removed


def _make_file(parent: Path) -> Path:
    handle, name = tempfile.mkstemp(prefix=PREFIX, dir=parent)
    os.close(handle)
    return Path(name)


def _make_owned(make: Callable[[], Path]) -> tuple[Path, int]:
    """Returns the path that `make` created, and the descriptor of its lock.

    Another run may remove the path before it is locked; in that case it is created again.
    """
    while True:
        path = make()
        with suppress(FileNotFoundError):
            lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            with suppress(
                OSError
            ):  # on a file system without locks, nothing is removed by other runs
                fcntl.flock(lock, fcntl.LOCK_EX)
            # Between the creation and the lock, another run may have taken it for an orphan.
            if path.exists():
                return path, lock
            os.close(lock)


def _remove(folder: Path) -> None:
    # The next run tries again to remove what is left.
    with suppress(OSError):
        remove_tree(folder)


def _remove_orphan(path: Path) -> bool:
    # Anybody can make such a name in a shared folder, so links and pipes must do no harm.
    try:
        if path.is_symlink() and path.lstat().st_uid == os.geteuid():
            path.unlink()  # a folder's place was taken by a link, which was put aside
            return True
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        # Other users of a shared folder have their own leftovers.
        if os.fstat(lock).st_uid != os.geteuid():
            return False
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.is_dir():
            _remove(path)
        else:
            path.unlink(missing_ok=True)
    except OSError:
        return False  # the process that made it still runs
    finally:
        os.close(lock)
    return not path.exists()
