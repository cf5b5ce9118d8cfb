"""Writes folders so that they are either complete or absent."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.system.files import umask
from builder.system.scratch import scratch_folder
from builder.system.trees import make_folders

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
"""Constants of linux/fcntl.h and linux/fs.h."""


@contextmanager
def replacement_folder(
    path: Path, *, refuse: Callable[[Path], None] = lambda _: None
) -> Iterator[Path]:
    """Yields a new folder next to `path`, which replaces `path` unless the block raises.

    Args:
        path: the folder to replace; it need not exist.
        refuse: is called with `path` just before; it raises when `path` must not be replaced.
    """
    make_folders(path.parent)
    with scratch_folder(path.parent) as temporary:
        temporary.chmod(0o777 & ~umask())
        yield temporary
        # As late as possible: what it looks at may change while the block runs.
        refuse(path)
        swap_folder(temporary, path)


def link_folder(path: Path, target: str) -> None:
    """Makes `path` a symbolic link to `target`, unless it is that link already.

    A folder at `path` is removed: some programs copy a link as a folder.
    """
    if path.is_symlink() and str(path.readlink()) == target:
        return
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    temporary = path.with_name(f".{path.name}.link")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(path)


def swap_folder(new: Path, path: Path) -> None:
    """Renames `new` to `path`; the old folder at `path` gets the name `new`, or is removed.

    If the system can exchange two names, `path` exists at every moment.
    """
    if not path.exists():
        new.rename(path)
    elif not _exchange(new, path):
        with scratch_folder(path.parent) as aside:
            path.rename(aside / path.name)
            new.rename(path)


def _exchange(one: Path, other: Path) -> bool:
    """Exchanges two names in one step (renameat2(2)); returns False when that is not possible."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}:
        return False
    raise OSError(number, os.strerror(number), str(other))
