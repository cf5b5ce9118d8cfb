"""Where results go: looked at before the work, so that neither a file nor an hour is lost."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.errors import BuilderError, ConfigurationError, PackagingError
from builder.system.files import free_bytes
from builder.system.scratch import scratch_folder, sweep

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_MIB = 1 << 20
_HINT = "choose another place with -o"


def refuse_unwritable(path: Path, *, needed: int = 0) -> None:
    """Raises when a file or folder cannot become `path`; removes what killed runs left there.

    It is tried, since permissions do not tell of file systems that take nothing.

    Args:
        path: need not exist, nor the folders that it is in.
        needed: bytes that will be written at least.

    Raises:
        ConfigurationError: something on the way is no folder, or nothing can be written to it.
        PackagingError: there is too little space.
    """
    folder = _find_folder(path)
    sweep(folder)
    try:
        with scratch_folder(folder):
            free = free_bytes(folder)
    except OSError as error:
        if error.errno in _FULL:
            raise no_space(folder, PackagingError, hint=_HINT) from error
        raise ConfigurationError(
            f"cannot write {path}: nothing can be made in {folder} ({error.strerror})", hint=_HINT
        ) from error
    if free < needed:
        raise PackagingError(
            f"{folder} has {free / _MIB:.1f} MiB free, {path.name} needs {needed / _MIB:.0f} MiB",
            hint=f"free some space there, or {_HINT}",
        )


def refuse_foreign_file(path: Path, is_ours: Callable[[Path], bool], kind: str) -> None:
    """Raises ConfigurationError when there is a file at `path` that is no `kind` of builder's.

    An empty file is nobody's.
    """
    try:
        if not path.exists():
            return
        if path.is_dir():
            raise ConfigurationError(f"{path} is a folder", hint="name a file in it")
        if not path.is_file():
            raise ConfigurationError(f"{path} is no regular file", hint=_HINT)
        replaceable = path.stat().st_size == 0 or is_ours(path)
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}", hint=_HINT) from error
    if not replaceable:
        raise ConfigurationError(
            f"{path} is no {kind}, and would be lost",
            hint="move it away, or choose another place with -o",
        )


@contextmanager
def writing_file(path: Path) -> Iterator[None]:
    """Raises ConfigurationError, which names the folder of `path`, when its disk is full inside."""
    with writing_into(path.parent, ConfigurationError, hint=_HINT):
        yield


@contextmanager
def writing_into(folder: Path, error: type[BuilderError], *, hint: str) -> Iterator[None]:
    """Raises `error`, which names `folder` and what is free there, when its disk is full inside."""
    try:
        yield
    except OSError as reason:
        if not is_full(reason):
            raise
        raise no_space(folder, error, hint=hint) from reason


def no_space(folder: Path, error: type[BuilderError], *, hint: str) -> BuilderError:
    """Returns the error that the disk of `folder` is full."""
    free = free_bytes(folder) / _MIB
    return error(
        f"no space is left for {folder} ({free:.1f} MiB free)", hint=f"free some there, or {hint}"
    )


def is_full(error: OSError) -> bool:
    """Says whether a disk or a quota is full; shutil.Error has only the texts of what it met."""
    if isinstance(error, shutil.Error):
        return "No space left on device" in str(error) or "quota exceeded" in str(error)
    return error.errno in _FULL


def _find_folder(path: Path) -> Path:
    """Returns the nearest folder that exists above `path`."""
    folder = path.absolute().parent
    try:
        path.exists()  # too long a name is an error here
        while not folder.exists() and not folder.is_symlink():
            folder = folder.parent
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}", hint=_HINT) from error
    if not folder.is_dir():
        raise ConfigurationError(f"cannot write {path}: {folder} is no folder", hint=_HINT)
    return folder
