"""The symbols of Android's system libraries, read from the stub libraries of an NDK."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from builder.platforms.android.libraries import read_facts
from builder.platforms.android.ndk import list_stub_levels

_SYSROOT = "toolchains/llvm/prebuilt/*/sysroot/usr/lib"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stubs:
    """The stub libraries of one ABI and API level."""

    folder: Path | None
    """None when there are none."""
    missing: str = ""
    """Why there are none; empty when there are."""

    def symbols(self, library: str) -> frozenset[str] | None:
        """Returns what `library` exports; None when it has no stub."""
        # The name comes from a foreign library and must not lead out of the folder.
        if self.folder is None or "/" in library:
            return None
        return _read_symbols(self.folder / library)


def find_stubs(ndk: Path | None, triple: str, api: int) -> Stubs:
    """Returns the stubs of an API level.

    Args:
        ndk: an NDK, or its `sysroot/usr/lib`.
        triple: folder of the ABI in there.
        api: API level; folders of others say other things, so they are not taken instead, except
            that which the NDK itself takes for a level without libraries (20 and 25).
    """
    if ndk is None:
        return Stubs(folder=None, missing="needs the stub libraries of an NDK")
    for level in list_stub_levels(ndk, api):
        inside = f"{triple}/{level}"
        # The folder of an NDK, or the part of it that somebody has copied.
        for folder in (ndk / inside, *sorted(ndk.glob(f"{_SYSROOT}/{inside}"))):
            if folder.is_dir():
                return Stubs(folder=folder)
    return Stubs(folder=None, missing=f"{ndk} has no stub libraries {triple}/{api}")


@cache
def _read_symbols(file: Path) -> frozenset[str] | None:
    try:
        return frozenset(read_facts(file.read_bytes()).exports or ())
    except (OSError, ValueError):
        return None
