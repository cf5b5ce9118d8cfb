"""Locks that let only one builder use a folder at a time."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.errors import BuilderError, NativeBuildError
from builder.system.trees import make_folders

_PAUSE = 0.05
"""Seconds between two attempts to take a lock."""
_HELD: list[int] = []
"""File descriptors of the locks that this process holds."""


def list_held() -> tuple[int, ...]:
    """Returns the file descriptors of all held locks; a process that inherits one holds it too.

    `builder.system.process` passes them to the supervisors of tools. So a lock becomes free only
    after the builder that took it and everything that it started have ended.
    """
    return tuple(_HELD)


@contextmanager
def folder_lock(
    folder: Path,
    *,
    timeout: float = -1,
    on_wait: Callable[[str], None] = lambda _: None,
    error: type[BuilderError] = NativeBuildError,
) -> Iterator[None]:
    """Holds the lock of `folder`, which the kernel releases when the process dies.

    Args:
        folder: is created when it is missing; the lock file is `<name>.lock` next to it.
        timeout: seconds to wait for another builder; negative waits forever.
        on_wait: is called once before waiting, with a text that names the holder of the lock.
        error: type of the error when the time is over, or the file system has no locks.
    """
    with path_lock(folder, timeout=timeout, on_wait=on_wait, error=error):
        folder.mkdir(exist_ok=True)
        yield


@contextmanager
def path_lock(
    folder: Path,
    *,
    timeout: float = -1,
    on_wait: Callable[[str], None] = lambda _: None,
    error: type[BuilderError] = NativeBuildError,
    what: str = "",
    hint: str = "wait for it, or choose another cache with BUILDER_CACHE=<folder>",
) -> Iterator[None]:
    """Holds the lock of a name, as `folder_lock` does; nothing is made at `folder` itself.

    `what` is what a message says is in use, and `hint` what to do then.
    """
    make_folders(folder.parent)
    # Beside the folder, because the folder itself may be replaced.
    path = folder.parent / f"{folder.name}.lock"
    owner = folder.parent / f"{folder.name}.owner"
    # O_CLOEXEC: tools do not inherit the lock; only their supervisors do, by name.
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        if not _try(lock, path, error):
            text = f"another builder{_describe(owner)} is using {what or folder}"
            on_wait(text)
            if not _wait(lock, path, timeout, error):
                raise error(text, hint=hint)
        # Tools that start from now on keep the lock until they have ended.
        _HELD.append(lock)
        try:
            # Only for the message of other builders that wait; the lock itself is in the kernel.
            owner.write_text(json.dumps({"pid": os.getpid()}))
            yield
        finally:
            # Removed before the lock is free, so it never names a builder that has gone.
            owner.unlink(missing_ok=True)
            _HELD.remove(lock)
    finally:
        os.close(lock)


def is_locked(folder: Path) -> bool:
    """Returns whether a builder, or a tool that it started, holds the lock of `folder`."""
    try:
        lock = os.open(folder.parent / f"{folder.name}.lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False  # nobody has ever locked it
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # on a file system without locks, no builder runs
    finally:
        os.close(lock)
    return False


def _try(lock: int, path: Path, error: type[BuilderError]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as reason:
        raise error(
            f"{path} cannot be locked: {reason.strerror}",
            hint="choose a cache on another file system with BUILDER_CACHE=<folder>",
        ) from reason
    return True


def _wait(lock: int, path: Path, timeout: float, error: type[BuilderError]) -> bool:
    """Returns whether the lock was taken within `timeout` seconds."""
    # The kernel wakes a waiting process at once, and asking again and again is not needed.
    if timeout < 0:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return True
    end = time.monotonic() + timeout
    while not _try(lock, path, error):
        if time.monotonic() >= end:
            return False
        time.sleep(_PAUSE)
    return True


def _describe(owner: Path) -> str:
    try:
        return f" (process {json.loads(owner.read_text())['pid']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
