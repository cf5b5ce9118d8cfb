"""Reads files that anybody may have put there, and writes files that are complete or absent."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from builder.system.scratch import scratch_file
from builder.system.trees import make_folders

MAX_LIBRARY = 1 << 29
"""Bytes of a library that somebody may have put there; a whole PyTorch Mobile has a tenth."""


def digest_file(path: Path) -> str:
    """Returns the SHA-256 of a file in lower-case hexadecimal; raises OSError as open() does."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_files(*folders: Path, suffixes: tuple[str, ...]) -> str:
    """Returns a digest of the names and contents of all files with `suffixes` in `folders`."""
    state = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            # Names count too: a file that moves changes what is included.
            if path.suffix in suffixes and path.is_file():
                state.update(f"{path.relative_to(folder).as_posix()}\n".encode())
                state.update(f"{digest_file(path)}\n".encode())
    return state.hexdigest()


_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
"""A pipe without a reader would make a blocking open wait."""
_STREAMS = frozenset(("/dev/stdout", "/dev/stderr"))
_NOT_REGULAR = "it is not a regular file"
_ABSENT = "does not exist"
_ABSENCE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
"""Errors for a path without a file."""


def leads_nowhere(path: Path) -> bool:
    """Says whether a path is a symbolic link that leads to no file, or to itself."""
    # Path's own functions raise an error where a folder above may not be searched.
    return os.path.islink(path) and not os.path.exists(path)  # noqa: PTH110, PTH114


def find_lost_link(path: Path) -> Path | None:
    """Returns the path itself, or the first folder above it, where that is a link to nothing."""
    return next(filter(leads_nowhere, (path, *path.parents)), None)


def describe_absent(path: Path) -> str:
    """Returns what a sentence about a path without a file ends with, such as `does not exist`.

    Where a symbolic link is the reason, it says where the link leads.
    """
    try:
        path.stat()
    except OSError as error:
        if error.errno not in _ABSENCE:
            return f"cannot be read: {error.strerror}"
    else:
        return "is not a regular file"
    link = find_lost_link(path)
    if link is None:
        return _ABSENT
    led = f"is a link to {link.readlink()}, {_describe_target(link)}"
    return led if link == path else f"{_ABSENT}: {link} {led}"


def describe_unreadable(path: Path, error: OSError) -> str:
    """Returns what a sentence about a file ends with that raised `error` when it was opened."""
    absent = describe_absent(path) if error.errno in {errno.ENOENT, errno.ELOOP} else _ABSENT
    return absent if absent != _ABSENT else f"cannot be read: {error.strerror}"


def _describe_target(link: Path) -> str:
    try:
        link.stat()
    except OSError as error:
        if error.errno != errno.ENOENT:
            return f"which cannot be followed ({error.strerror})"
    return "which does not exist"


def open_regular(path: Path) -> BufferedReader:
    """Opens a file for reading that anybody may have put there.

    A device or a named pipe in its place is never read: it may have no end, or wait for ever.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is not a regular file.
    """
    # A pipe without a writer would make a blocking open wait.
    stream = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")  # noqa: PTH123, SIM115 - the caller closes it
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise ValueError(_NOT_REGULAR)
    return stream


def read_regular(path: Path, most: int) -> bytes:
    """Returns the content of a file that anybody may have put there; see `open_regular`.

    Args:
        path: the file, or a link to it.
        most: bytes that it may have.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is not a regular file, or has more bytes.
    """
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > most:
            raise ValueError(f"it has more than {most:,} bytes")
        # read() reserves all that it is asked for, and a file may grow while it is read.
        return stream.read(size)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes `content` to a new file in the same folder, flushes it, and renames it to `path`."""
    make_folders(path.parent)
    data = content.encode() if isinstance(content, str) else content
    with replacement(path) as temporary, temporary.open("wb") as stream:
        stream.write(data)
        stream.flush()
        # Without this, a power failure after the rename could leave an empty file.
        os.fsync(stream.fileno())


def write_new(path: Path, content: str) -> None:
    """Writes a file that must not be there yet; a link in its place is not followed.

    Raises:
        FileExistsError: something is at `path`.
        OSError: the file cannot be written; it is not there then.
    """
    with path.open("x", encoding="utf-8") as file:
        try:
            file.write(content)
            file.flush()
        except OSError:
            path.unlink(missing_ok=True)
            raise


def copy_file(source: Path, target: Path, *, mode: int = 0o644) -> None:
    """Copies the bytes of a file into a folder, which is created; `mode` are its permissions."""
    make_folders(target.parent)
    shutil.copyfile(source, target)
    target.chmod(mode)


def write_if_changed(path: Path, content: str) -> bool:
    """Writes `content` unless `path` has it already; returns whether it was written.

    An unchanged file keeps its time, so ninja does not rebuild what depends on it.
    """
    if path.is_file() and path.read_bytes() == content.encode():
        return False
    write_atomically(path, content)
    return True


@contextmanager
def replacement(path: Path) -> Iterator[Path]:
    """Yields a new file in the same folder; renames it to `path` unless the block raises.

    If `path` is a symbolic link, its target is replaced.
    """
    # A rename onto the link would replace the link itself.
    path = path.resolve() if path.is_symlink() else path
    make_folders(path.parent)
    with scratch_file(path.parent) as temporary:
        yield temporary
        # tempfile makes files that only their owner can read.
        temporary.chmod(0o666 & ~umask() if not os.access(temporary, os.X_OK) else 0o777 & ~umask())
        temporary.replace(path)


def free_bytes(path: Path) -> int:
    """Returns the free bytes on the file system of `path`, which need not exist."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def umask() -> int:
    """Returns the permissions that new files of this process do not get."""
    # The only way to read the mask is to set another one and to restore it.
    current = os.umask(0o022)
    os.umask(current)
    return current


def append_text(path: Path, text: str) -> None:
    """Appends to a file that other programs write too, such as the summary of a job of CI.

    Raises:
        OSError: it cannot be opened, or written.
        ValueError: it is neither a file nor a stream of this process.
    """
    descriptor = os.open(path, _APPEND | os.O_CREAT, 0o666)
    with open(descriptor, "a", encoding="utf-8") as stream:  # noqa: PTH123 - of a descriptor
        _refuse_pipe(path, descriptor)
        os.set_blocking(descriptor, True)
        stream.write(text)


def refuse_no_appending(path: Path) -> None:
    """Raises an error if `append_text` could not write to `path`; nothing is made or changed.

    Raises:
        OSError: it cannot be opened, or made.
        ValueError: it is neither a file nor a stream of this process.
    """
    if path.is_fifo() and not _is_own_stream(path):
        raise ValueError(_NOT_REGULAR)
    try:
        descriptor = os.open(path, _APPEND)
    except FileNotFoundError:
        if os.path.lexists(path) or not path.parent.is_dir():
            raise
        with tempfile.TemporaryFile(dir=path.parent):
            return
    try:
        _refuse_pipe(path, descriptor)
    finally:
        os.close(descriptor)


def _refuse_pipe(path: Path, descriptor: int) -> None:
    kind = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(kind) and not stat.S_ISCHR(kind) and not _is_own_stream(path):
        raise ValueError(_NOT_REGULAR)


def _is_own_stream(path: Path) -> bool:
    return path.is_relative_to("/dev/fd") or str(path) in _STREAMS
