"""Zip archives of the same bytes each time."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from builder.system.files import replacement

DATE = (1981, 1, 1, 1, 1, 2)
"""As the Android Gradle plugin dates the entries of its archives."""


def write_zip(contents: Mapping[str, Path | bytes], archive: Path) -> None:
    """Packs contents by their path in the archive: sorted, of one date, readable by all."""
    with replacement(archive) as temporary, zipfile.ZipFile(temporary, "w") as stream:
        for name, content in sorted(contents.items()):
            entry = zipfile.ZipInfo(name, DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, wherever it is written
            entry.external_attr = 0o100644 << 16
            data = content if isinstance(content, bytes) else content.read_bytes()
            stream.writestr(entry, data, compresslevel=9)


def list_folder(folder: Path, prefix: str = "") -> dict[str, Path]:
    """Returns the files below `folder` by their path in it, behind `prefix`."""
    return {
        prefix + path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.is_file()
    }
