"""Finds Python packages that are installed, without importing them."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

_VERSION = re.compile(r"__version__ *= *['\"]([^'\"]+)['\"]")
_PART = 1 << 20
"""Bytes of a file that are searched at a time."""


@dataclass(frozen=True, slots=True)
class InstalledPackage:
    """An installed Python package, found without importing it."""

    name: str
    version: str
    """Version from its metadata or from its `version.py`; `unknown` without either of them."""
    folder: Path


def find_package(name: str) -> InstalledPackage | None:
    """Returns the installed package `name`, or None; nothing of it is imported."""
    spec = importlib.util.find_spec(name)
    # A package without a folder is a single module, or the remains of one.
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations)))
    return InstalledPackage(name, _package_version(name, folder), folder)


def file_contains(path: Path, needle: bytes) -> bool:
    """Returns whether the file contains the bytes `needle`; False when it cannot be read."""
    try:
        with path.open("rb") as stream:
            tail = b""
            # A library has hundreds of megabytes, of which few are held at a time.
            while part := stream.read(_PART):
                if needle in (content := tail + part):
                    return True
                # The needle may lie across the end of a part.
                tail = content[-len(needle) :]
    except OSError:
        pass
    return False


def _package_version(name: str, folder: Path) -> str:
    # This loads the parsers of e-mail, and only few commands ask for a package.
    import importlib.metadata

    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
    try:
        # Debian's torch has no metadata, but a version.py.
        match = _VERSION.search((folder / "version.py").read_text())
    except OSError:
        match = None
    return match[1] if match else "unknown"
