"""One builder at a time in one folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from builder.errors import BuilderError, NativeBuildError


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
        folder: is created when missing; the lock file is its sibling `<name>.lock`.
        timeout: seconds to wait for another builder; negative waits for ever.
        on_wait: is told, once, who holds the lock before waiting for it.
        error: what to raise when the time is over.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    path = folder.parent / f"{folder.name}.lock"
    owner = folder.parent / f"{folder.name}.owner"
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        text = f"another builder{_describe(owner)} is using {folder}"
        on_wait(text)
        try:
            lock.acquire(timeout=timeout)
        except filelock.Timeout:
            raise error(
                text, hint="wait for it, or choose another cache with BUILDER_CACHE=<folder>"
            ) from None
    try:
        owner.write_text(json.dumps({"pid": os.getpid()}))
        folder.mkdir(exist_ok=True)
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def _describe(owner: Path) -> str:
    try:
        return f" (process {json.loads(owner.read_text())['pid']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
