"""Files that are whole or absent."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.system.scratch import scratch_file, scratch_folder

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
"""Of linux/fcntl.h and linux/fs.h."""


def digest_file(path: Path) -> str:
    """Returns the SHA-256 of `path` as lower-case hex; OSError as open() raises it."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_files(*folders: Path, suffixes: tuple[str, ...]) -> str:
    """Returns a digest over names and contents of the files below `folders` with `suffixes`."""
    state = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix in suffixes and path.is_file():
                state.update(f"{path.relative_to(folder).as_posix()}\n".encode())
                state.update(f"{digest_file(path)}\n".encode())
    return state.hexdigest()


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes `content` to a sibling, syncs it, and renames it to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    with replacement(path) as temporary, temporary.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def write_if_changed(path: Path, content: str) -> bool:
    """Writes `content` unless `path` holds it, which keeps its time for ninja; True if written."""
    if path.is_file() and path.read_bytes() == content.encode():
        return False
    write_atomically(path, content)
    return True


@contextmanager
def replacement(path: Path) -> Iterator[Path]:
    """Yields a sibling path to write to; renames it to `path` unless the block raises.

    Where `path` is a link, the file that it leads to is replaced.
    """
    path = path.resolve() if path.is_symlink() else path
    path.parent.mkdir(parents=True, exist_ok=True)
    with scratch_file(path.parent) as temporary:
        yield temporary
        temporary.chmod(
            0o666 & ~_umask() if not os.access(temporary, os.X_OK) else 0o777 & ~_umask()
        )
        temporary.replace(path)


@contextmanager
def replacement_folder(
    path: Path, *, refuse: Callable[[Path], None] = lambda _: None
) -> Iterator[Path]:
    """Yields a new sibling folder; it takes the place of `path` unless the block raises.

    `refuse` is given `path` just before that, and raises when it must not be replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(path.parent) as temporary:
        temporary.chmod(0o777 & ~_umask())
        yield temporary
        refuse(path)
        swap_folder(temporary, path)


def link_folder(path: Path, target: str) -> None:
    """Makes `path` a symbolic link to `target`, unless it is that link already.

    A folder in its place, which some programs make of a link that they copy, is removed.
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
    """Gives `new` the name `path`; what stood there has the name `new` then, or is gone.

    There is no moment without `path` where the system can exchange two names.
    """
    if not path.exists():
        new.rename(path)
    elif not _exchange(new, path):
        with scratch_folder(path.parent) as aside:
            path.rename(aside / path.name)
            new.rename(path)


def _exchange(one: Path, other: Path) -> bool:
    """Exchanges two names at once (renameat2(2)); False where system or file system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}:
        return False
    raise OSError(number, os.strerror(number), str(other))


def free_bytes(path: Path) -> int:
    """Returns the bytes free to us on the file system of `path` or its nearest parent."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current
