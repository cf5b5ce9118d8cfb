"""The symbols of Android's system libraries, read from the stub libraries of an NDK."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from builder.verify.binaries import read_facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Stubs:
    """The stub libraries of one ABI and API level."""

    folder: Path | None
    """None when there are none."""
    missing: str = ""
    """Why there are none; empty when there are."""

    def symbols(self, library: str) -> frozenset[str] | None:
        """Returns what `library` exports; None when it has no stub."""
        if self.folder is None or "/" in library:
            return None
        return _read_symbols(self.folder / library)


def find_stubs(root: Path | None, triple: str, api: int) -> Stubs:
    """Returns the stubs of an API level.

    Args:
        root: an NDK's `sysroot/usr/lib`, or None.
        triple: folder of the ABI in there.
        api: API level; folders of others say other things, so they are not taken instead.
    """
    if root is None:
        return Stubs(folder=None, missing="needs the stub libraries of an NDK: --stubs FOLDER")
    folder = root / triple / str(api)
    if folder.is_dir():
        return Stubs(folder=folder)
    return Stubs(folder=None, missing=f"{root} has no stub libraries {triple}/{api}")


@cache
def _read_symbols(file: Path) -> frozenset[str] | None:
    try:
        return frozenset(read_facts(file.read_bytes()).exports or ())
    except (OSError, ValueError):
        return None
