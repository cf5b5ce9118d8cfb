"""Zip archives that others made: read entry by entry and within limits."""

from __future__ import annotations

import errno
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.errors import BuilderError, ConfigurationError

MAX_MEMBERS = 200_000
"""Of an archive; the largest published AAR has 8,000."""
MAX_ENTRY = 1 << 29
"""Bytes of one entry that is read whole; the largest published library has 54 million."""
MAX_BYTES = 4 << 30
"""Of all entries that are read."""
_DAMAGE = (
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
"""What zipfile is known to raise for damaged files."""
_ENCRYPTED = 0x1


class Zip:
    """An open archive."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file
        self.name = Path(str(file.filename)).name
        members = file.infolist()
        if len(members) > MAX_MEMBERS:
            raise self._refuse(f"has {len(members):,} entries, {MAX_MEMBERS:,} is a lot")
        if len(file.NameToInfo) != len(members):
            raise self._refuse("holds several entries of one name")
        self._left = MAX_BYTES
        self.names = tuple(sorted(m.filename for m in members if not m.is_dir()))
        """Its files, sorted; as they are written there, so no paths to write to."""

    def read(self, name: str, *, limit: int = MAX_ENTRY) -> bytes:
        """Returns the content of an entry, its checksum verified.

        Raises:
            ConfigurationError: it is missing, damaged, encrypted, or has more than `limit` bytes.
        """
        member = self._file.NameToInfo.get(name)
        if member is None:
            raise self._refuse(f"has no {name}")
        if member.flag_bits & _ENCRYPTED:
            raise self._refuse(f"has {name!r:.120} encrypted")
        limit = min(limit, self._left)
        if member.file_size > limit:
            size = f"{member.file_size:,} bytes, more than {limit:,}"
            raise self._refuse(f"has {name!r:.120}, which would unpack to {size}")
        what = f"{name!r:.120} in {self.name}"
        with damage_of(what, ConfigurationError), self._file.open(member) as stream:
            data = stream.read(limit + 1)
        self._left -= len(data)
        if len(data) != member.file_size:
            raise self._refuse(f"has {name!r:.120} truncated")
        return data

    def _refuse(self, why: str) -> ConfigurationError:
        return ConfigurationError(f"{self.name} {why}", hint=f"unzip -t {self.name}")


@contextmanager
def open_zip(path: Path) -> Iterator[Zip]:
    """Yields the archive at `path`.

    Raises:
        ConfigurationError: it is none, damaged, or has more entries than any such file needs.
    """
    with path.open("rb") as stream:
        with damage_of(f"the end of {path.name}, which lists its entries,", ConfigurationError):
            file = zipfile.ZipFile(stream)
        with file:
            file.filename = str(path)
            yield Zip(file)


@contextmanager
def damage_of(what: str, kind: type[BuilderError]) -> Iterator[None]:
    """Turns what zipfile raises for a damaged file into an error that names `what`."""
    hint = "copy or make the file again; `unzip -t FILE` shows what is wrong with it"
    try:
        yield
    except _DAMAGE as error:
        raise kind(
            f"{what} is damaged or truncated ({type(error).__name__}: {error})", hint=hint
        ) from error
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise kind(f"{what} points outside of the file", hint=hint) from error
