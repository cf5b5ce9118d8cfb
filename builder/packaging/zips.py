"""Writes zip archives that have the same bytes for the same contents."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from builder.system.files import replacement

DATE = (1981, 1, 1, 1, 1, 2)
"""The date that the Android Gradle plugin gives to the entries of its archives."""


def write_zip(contents: Mapping[str, Path | bytes], archive: Path) -> None:
    """Writes contents, by their path in the archive: sorted, with one date, readable by all."""
    with replacement(archive) as temporary, zipfile.ZipFile(temporary, "w") as stream:
        for name, content in sorted(contents.items()):
            entry = zipfile.ZipInfo(name, DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, on every machine, so that the bytes are the same
            entry.external_attr = 0o100644 << 16  # a regular file with mode 644
            data = content if isinstance(content, bytes) else content.read_bytes()
            stream.writestr(entry, data, compresslevel=9)


def list_folder(folder: Path, prefix: str = "") -> dict[str, Path]:
    """Returns path in `folder`, after `prefix` -> file, for all files below `folder`."""
    return {
        prefix + path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.is_file()
    }
