"""The identity of this builder: a digest of its own files."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from builder.system.files import digest_file
from builder.system.folders import data_folder, locate_licence, package_folder

_DATA = ("cmake", "java", "swift")
"""Folders whose files go into packages; releases of PyTorch are part of each plan."""
_LEFT_OUT = frozenset(("__pycache__", "data"))
"""What Python writes by itself, and where an installed builder has its data folders."""


@functools.cache
def digest_own_files() -> str:
    """Returns a digest of all modules of builder and of all that it puts into packages.

    It is the same for a checkout and an installed builder of the same files.
    """
    state = hashlib.sha256()
    for name, path in _list_files():
        state.update(f"{name} {digest_file(path)}\n".encode())
    return state.hexdigest()


def _list_files() -> Iterator[tuple[str, Path]]:
    roots = {"builder": package_folder("."), **{name: data_folder(name) for name in _DATA}}
    for name, root in roots.items():
        for parent, folders, files in os.walk(root):
            # os.walk enters what is left in this list, in its order.
            folders[:] = sorted(set(folders) - _LEFT_OUT)
            for file in sorted(files):
                path = Path(parent) / file
                yield f"{name}/{path.relative_to(root).as_posix()}", path
    yield "LICENSE", locate_licence()
