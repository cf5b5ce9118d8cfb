"""Opens foreign zip archives with zipfile, which alone would trust what they say of themselves."""

from __future__ import annotations

import errno
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from builder.errors import BuilderError

_MAX_DIRECTORY = 64 << 20
"""Largest list of entries in bytes."""
_MAX_EXTRA = 4096
"""Largest extra fields of one entry in bytes; zipfile needs quadratic time for them."""
_SMALL_READ = 1 << 17
"""A read of at most so many bytes is harmless; the end of the archive and its comment fit in."""
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
