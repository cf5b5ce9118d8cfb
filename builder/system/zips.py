"""Reads foreign zip archives within limits, and writes archives whose bytes never vary."""

from __future__ import annotations

import errno
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from builder.errors import BuilderError, ConfigurationError
from builder.system.files import open_regular, replacement

MAX_MEMBERS = 50_000
"""Largest number of entries in an archive; the largest published AAR has 8,000."""
MAX_ENTRY = 1 << 29
"""Largest entry in bytes; the largest published library has 54 million bytes."""
_UNPACKED_FREE, _UNPACKED_RATIO = 8 << 20, 10
"""An entry may unpack to 8 MiB, and to 10 more bytes for each byte of the archive. All entries
together may have twice as many. Libraries compress to a third or a fourth of their size."""
_MAX_DIRECTORY = 64 << 20
"""Largest list of entries in bytes."""
_MAX_EXTRA = 4096
"""Largest extra fields of one entry in bytes; zipfile needs quadratic time for them."""
_SMALL_READ = 1 << 17
"""A read of at most so many bytes is harmless; the end of the archive and its comment fit in."""
DATE = (1981, 1, 1, 1, 1, 2)
"""The date that the Android Gradle plugin gives to the entries of its archives."""
_CENTRAL, _SIGNATURE = struct.Struct("<4s24xHHH12x"), b"PK\x01\x02"
"""Header of an entry in the central directory (APPNOTE.TXT of PKWARE, section 4.3.12)."""
COMPRESSIONS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""Compressions that are read; bzip2 and LZMA need as much memory as the archive asks for."""
DAMAGE = (
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""Exceptions that zipfile raises for damaged files."""
_ENCRYPTED = 0x1
"""Bit of the flags of an entry."""


class Zip:
    """An open zip archive."""

    def __init__(self, file: zipfile.ZipFile, size: int) -> None:
        self._file = file
        self.name = Path(str(file.filename)).name
        # Both limits grow with the archive, so small files cannot cost much.
        self._largest = _UNPACKED_FREE + _UNPACKED_RATIO * size
        self._left = 2 * self._largest
        members = file.infolist()
        # zipfile would read the last one of them, and other programs perhaps the first.
        if len(file.NameToInfo) != len(members):
            raise self._refuse("has several entries with the same name")
        self.names = tuple(sorted(name for name in file.NameToInfo if not name.endswith("/")))
        """Sorted names of its files; they are not checked, so never use them as output paths."""

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
        return ConfigurationError(f"{self.name} {why}", hint=f"unzip -t {self.name}")


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


def open_zip_file(
    stream: BinaryIO, what: str, kind: type[BuilderError], *, most: int
) -> zipfile.ZipFile:
    """Returns the archive in `stream`; its list of entries is checked before zipfile parses it.

    Args:
        stream: the archive; it stays open.
        what: text for the list of entries in messages.
        kind: type of the error for a damaged list or one with more than `most` entries.
        most: largest number of entries.
    """
    guarded = _Guarded(stream, most, lambda why: kind(f"{what} {why}"))
    with damage_of(what, kind):
        file = zipfile.ZipFile(guarded)
    # zipfile reads the list when it is created; what it reads later are entries.
    guarded.is_open = True
    if len(file.filelist) > most:
        raise kind(f"{what} has {len(file.filelist):,} entries, more than {most:,}")
    return file


class _Guarded:
    """A stream that protects zipfile, which reads the whole list of entries and trusts it."""

    def __init__(self, stream: BinaryIO, most: int, refuse: Callable[[str], BuilderError]) -> None:
        self._stream, self._most, self._refuse = stream, most, refuse
        self.is_open = False
        """Whether the list of entries was read; later reads are for entries."""
        # zipfile needs no more of a stream than these and read().
        self.seek, self.tell, self.seekable = stream.seek, stream.tell, stream.seekable

    def read(self, size: int = -1, /) -> bytes:
        """Returns bytes; refuses a list of entries that is too long or would be slow to parse."""
        if self.is_open or size <= _SMALL_READ:
            return self._stream.read(size if size >= 0 else _SMALL_READ)
        if size > _MAX_DIRECTORY:
            raise self._refuse(f"has {size:,} bytes, more than {_MAX_DIRECTORY:,}")
        data = self._stream.read(size)
        # A signature may occur in a name too; real archives stay far below the limit all the same.
        count = data.count(_SIGNATURE)
        if count > self._most:
            raise self._refuse(f"has {count:,} entries, more than {self._most:,}")
        if any(extra > _MAX_EXTRA for extra in _list_extras(data)):
            raise self._refuse(f"has more than {_MAX_EXTRA:,} bytes of extra fields for an entry")
        return data


def _list_extras(data: bytes) -> Iterator[int]:
    """Yields the lengths of the extra fields of entries, up to the end or to damaged data."""
    at = 0
    while at + _CENTRAL.size <= len(data):
        signature, name, extra, comment = _CENTRAL.unpack_from(data, at)
        # zipfile itself reports what is damaged.
        if signature != _SIGNATURE:
            return
        yield extra
        at += _CENTRAL.size + name + extra + comment


@contextmanager
def damage_of(what: str, kind: type[BuilderError]) -> Iterator[None]:
    """Turns the exceptions of zipfile for a damaged file into an error that names `what`."""
    hint = "copy or create the file again; `unzip -t FILE` shows what is wrong with it"
    try:
        yield
    except DAMAGE as error:
        raise kind(
            f"{what} is damaged or truncated ({type(error).__name__}: {error})", hint=hint
        ) from error
    except OSError as error:
        if error.errno not in {None, errno.EINVAL}:
            raise
        raise kind(f"{what} points outside of the archive", hint=hint) from error


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
