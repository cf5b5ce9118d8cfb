"""Reads foreign zip archives within limits, and writes archives whose bytes never vary."""

from __future__ import annotations

import os
import shlex
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from builder.errors import ConfigurationError
from builder.system.files import open_regular, replacement
from builder.system.guarded_zips import COMPRESSIONS, damage_of, open_zip_file

MAX_MEMBERS = 50_000
"""Largest number of entries in an archive; the largest published AAR has 8,000."""
MAX_ENTRY = 1 << 29
"""Largest entry in bytes; the largest published library has 54 million bytes."""
_UNPACKED_FREE, _UNPACKED_RATIO = 8 << 20, 10
"""An entry may unpack to 8 MiB, and to 10 more bytes for each byte of the archive. All entries
together may have twice as many. Libraries compress to a third or a fourth of their size."""
DATE = (1981, 1, 1, 1, 1, 2)
"""The date that the Android Gradle plugin gives to the entries of its archives."""
_EVASIVE = frozenset({"", ".", ".."})
"""Parts of a path that are not the name of a file or a folder."""
_ENCRYPTED = 0x1
"""Bit of the flags of an entry."""


class Zip:
    """An open zip archive."""

    def __init__(self, file: zipfile.ZipFile, size: int) -> None:
        self._file = file
        self._path = Path(str(file.filename))
        self.name = self._path.name
        # Both limits grow with the archive, so small files cannot cost much.
        self._largest = _UNPACKED_FREE + _UNPACKED_RATIO * size
        self._left = 2 * self._largest
        members = file.infolist()
        # zipfile would read the last one of them, and other programs perhaps the first.
        if len(file.NameToInfo) != len(members):
            raise self._refuse("has several entries with the same name")
        self.names = tuple(sorted(name for name in file.NameToInfo if not name.endswith("/")))
        """Sorted names of its files; they are from outside, so never use them as output paths."""
        for name in filter(None, self.names):
            # Such a part would be taken for the name of a folder, for example of an ABI.
            if not _EVASIVE.isdisjoint(name.split("/")):
                raise self._refuse(f"has {name!r:.120}, whose path is not that of a file in it")

    def read(self, name: str, *, limit: int = MAX_ENTRY) -> bytes:
        """Returns the contents of an entry, after its checksum was verified.

        Raises:
            ConfigurationError: the entry is missing, damaged or encrypted, or has more bytes than
                `limit` or than the size of the archive allows.
        """
        member = self._file.NameToInfo.get(name)
        if member is None:
            raise self._refuse(f"has no {name}")
        if member.flag_bits & _ENCRYPTED:
            raise self._refuse(f"has {name!r:.120}, which is encrypted")
        if member.compress_type not in COMPRESSIONS:
            raise self._refuse(f"has {name!r:.120} with a compression that builder does not read")
        limit = min(limit, self._largest, self._left)
        if member.file_size > limit:
            size = f"{member.file_size:,} bytes, more than {limit:,}"
            raise self._refuse(f"has {name!r:.120}, which would unpack to {size}")
        what = f"{name!r:.120} in {self.name}"
        with damage_of(what, ConfigurationError), self._file.open(member) as stream:
            data = stream.read(limit + 1)  # the size in the header may be wrong
        # Entries may overlap in the archive, so all reads together have a limit as well.
        self._left -= len(data)
        if len(data) != member.file_size:
            raise self._refuse(f"has {name!r:.120}, which is truncated")
        return data

    def _refuse(self, why: str) -> ConfigurationError:
        hint = f"unzip -l {shlex.quote(str(self._path))} lists its entries"
        return ConfigurationError(f"{self.name} {why}", hint=hint)


@contextmanager
def open_zip(path: Path) -> Iterator[Zip]:
    """Yields the archive at `path`.

    Raises:
        ConfigurationError: the file is not a zip archive, is damaged, or has too many entries.
        OSError: it cannot be opened.
    """
    what = f"the end of {path.name}, which lists its entries,"
    with (
        _open(path) as stream,
        open_zip_file(stream, what, ConfigurationError, most=MAX_MEMBERS) as file,
    ):
        file.filename = str(path)
        yield Zip(file, stream.seek(0, os.SEEK_END))


def _open(path: Path) -> BinaryIO:
    try:
        return open_regular(path)
    except ValueError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error}", hint="name the file itself"
        ) from error


def write_zip(contents: Mapping[str, Path | bytes], archive: Path) -> None:
    """Writes contents, by their path in the archive: sorted, with one date, readable by all."""
    with replacement(archive) as temporary, zipfile.ZipFile(temporary, "w") as stream:
        # The order of a dict or a folder would differ between machines.
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
