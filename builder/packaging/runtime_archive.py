"""Writes folders as archives whose bytes never vary."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

from builder.system.files import replacement

_LEVEL = 6
"""Of zlib: 9 takes twice the time for a thousandth of the bytes."""


def write_tar(folder: Path, target: Path, top: str) -> None:
    """Writes the files of `folder` to `target`, a gzip of a tar; each name begins with `top`.

    Equal files give equal bytes: times and owners of the files are left out.
    """
    with (
        replacement(target) as temporary,
        temporary.open("wb") as raw,
        # The name and the time of the archive would stand in its header.
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=_LEVEL, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in sorted(folder.rglob("*")):
            entry = tarfile.TarInfo(f"{top}/{path.relative_to(folder).as_posix()}")
            if path.is_symlink():
                # The name without a version, by which programs are linked; it leads to a neighbour.
                entry.type, entry.linkname = tarfile.SYMTYPE, path.readlink().name
                archive.addfile(entry)
            elif path.is_file():
                entry.size = path.stat().st_size
                entry.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
                with path.open("rb") as stream:
                    archive.addfile(entry, stream)
