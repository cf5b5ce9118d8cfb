"""Files that are whole or absent."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CHUNK = 1 << 20


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
    """Yields a sibling path to write to; renames it to `path` unless the block raises."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(
            0o666 & ~_umask() if not os.access(temporary, os.X_OK) else 0o777 & ~_umask()
        )
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacement_folder(path: Path) -> Iterator[Path]:
    """Yields a new sibling folder; it takes the place of `path` unless the block raises."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    temporary.chmod(0o777 & ~_umask())
    try:
        yield temporary
        swap_folder(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def link_folder(path: Path, target: str) -> None:
    """Makes `path` a symbolic link to `target`, unless it is that link already."""
    if path.is_symlink() and str(path.readlink()) == target:
        return
    temporary = path.with_name(f".{path.name}.link")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(path)


def swap_folder(new: Path, path: Path) -> None:
    """Renames `new` to `path`; what stood there is removed after it has been moved aside."""
    if not path.exists():
        new.rename(path)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent))
    path.rename(aside / path.name)
    new.rename(path)
    shutil.rmtree(aside, ignore_errors=True)


def free_bytes(path: Path) -> int:
    """Returns the bytes free to us on the file system of `path` or its nearest parent."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current
