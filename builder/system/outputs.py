"""Checks the places for results before the work, so that neither files nor time are lost."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.errors import BuilderError, ConfigurationError, Hint, PackagingError
from builder.system.files import describe_absent, free_bytes
from builder.system.scratch import scratch_folder, sweep

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_MIB = 1 << 20
_SHOWN = 200
"""Characters of a path that is too long."""
_HINT = "choose another path for it"
_LONGEST = 3_500
"""Bytes of a path of a result. Linux allows 4,095 (PATH_MAX); files in a result have longer paths,
and so have temporary ones."""


def refuse_unwritable(path: Path, *, needed: int = 0) -> None:
    """Raises an error when `path` cannot be written; removes leftovers of killed runs there.

    The function tries to write, because permissions do not show read-only file systems.

    Args:
        path: path of a result; neither it nor its parent folders need to exist.
        needed: number of bytes that will be written at least.

    Raises:
        ConfigurationError: a parent is not a folder, or nothing can be written to it.
        PackagingError: there is not enough space.
    """
    folder = _find_folder(path)
    # Leftovers count against the free space.
    sweep(folder)
    try:
        # A test by writing: access(2) says nothing of quotas and read-only mounts.
        with scratch_folder(folder):
            free = free_bytes(folder)
    except OSError as error:
        if error.errno in _FULL:
            raise no_space(folder, PackagingError, hint=_HINT) from error
        raise ConfigurationError(
            f"cannot write {path}: no file can be created in {folder} ({error.strerror})",
            hint=_HINT,
        ) from error
    # After the test by writing, whose failure says more.
    if free < needed:
        raise PackagingError(
            f"{folder} has {free / _MIB:.1f} MiB free, "
            f"but {path.name} needs {needed / _MIB:.0f} MiB",
            hint=f"free some space there, or {_HINT}",
        )


def refuse_foreign_file(path: Path, is_ours: Callable[[Path], bool], kind: str) -> None:
    """Raises ConfigurationError when there is a file at `path` for which `is_ours` is false.

    An empty file may be replaced. `kind` describes the expected file in the message.
    """
    try:
        if not path.exists():
            if path.is_symlink():  # whoever made the link would choose where a file appears
                raise ConfigurationError(f"{path} {describe_absent(path)}", hint=_HINT)
            return
        if path.is_dir():
            raise ConfigurationError(f"{path} is a folder", hint="give the path of a file in it")
        if not path.is_file():
            raise ConfigurationError(f"{path} is not a regular file", hint=_HINT)
        # Programs such as mktemp create an empty file to reserve a name.
        replaceable = path.stat().st_size == 0 or is_ours(path)
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}", hint=_HINT) from error
    if not replaceable:
        article = "an" if kind[0] in "aeiou" else "a"
        raise ConfigurationError(
            f"{path} is not {article} {kind}, and would be overwritten",
            hint="move it away, or choose another path for it",
        )


@contextmanager
def writing_file(path: Path) -> Iterator[None]:
    """Raises ConfigurationError with the folder of `path` when the disk gets full in the block."""
    with writing_into(path.parent, ConfigurationError, hint=_HINT):
        yield


@contextmanager
def writing_into(folder: Path, error: type[BuilderError], *, hint: str) -> Iterator[None]:
    """Raises `error` with `folder` and its free space when the disk gets full in the block."""
    try:
        yield
    except OSError as reason:
        if not is_full(reason):
            raise
        raise no_space(folder, error, hint=hint) from reason


def no_space(folder: Path, error: type[BuilderError], *, hint: str) -> BuilderError:
    """Returns the error for a full disk of `folder`."""
    free = free_bytes(folder) / _MIB
    return error(
        f"no space is left for {folder} ({free:.1f} MiB free)",
        hint=Hint("free some space there, or ", hint),
    )


def is_full(error: OSError) -> bool:
    """Returns whether the error means that a disk or a quota is full."""
    # shutil.Error collects errors of several files, and keeps only their texts.
    if isinstance(error, shutil.Error):
        return "No space left on device" in str(error) or "quota exceeded" in str(error)
    return error.errno in _FULL


def _find_folder(path: Path) -> Path:
    """Returns the nearest existing folder above `path`."""
    folder = path.absolute().parent
    if len(os.fsencode(path.absolute())) > _LONGEST:
        raise ConfigurationError(
            f"cannot write {str(path)[:_SHOWN]}...: its path has more than {_LONGEST:,} bytes",
            hint=_HINT,
        )
    try:
        path.exists()  # raises an error for a name that is too long
        # A link that leads nowhere exists for the system, though not for Path.exists.
        while not folder.exists() and not folder.is_symlink():
            folder = folder.parent
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}", hint=_HINT) from error
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else describe_absent(folder)
        raise ConfigurationError(f"cannot write {path}: {folder} {what}", hint=_HINT)
    return folder
