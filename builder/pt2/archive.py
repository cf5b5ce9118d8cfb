"""Gives the records of a `.pt2` archive; those of weights are mapped, and read when wanted."""

from __future__ import annotations

import mmap
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipInfo

from builder.errors import ModelError
from builder.system.zips import open_zip_file

MAX_MEMBERS = 200_000
"""Largest number of members in an archive; a large model has a few thousand weights."""
MAX_DOCUMENT = 64 << 20
"""Largest size in bytes of a record that is parsed, such as `models/model.json`."""
_FREE, _RATIO = 4 << 20, 4
"""A compressed document may unpack to 4 MiB, plus 4 bytes for each of its compressed bytes."""
_WEIGHT_FREE, _WEIGHT_RATIO = 4 << 20, 16
"""The same for a weight, which is not parsed."""
_LOCAL_HEADER, _LOCAL_SIGNATURE = 30, b"PK\x03\x04"
"""Size and signature of the header before a member (APPNOTE.TXT, section 4.3.7)."""
_ENCRYPTED = 0x1
_HINT = "copy the file or export the model again; `unzip -t FILE` shows the damage"


class Archive:
    """The records of an open archive; it stays readable as long as it, or a record, is in use."""

    def __init__(self, data: memoryview, members: dict[str, ZipInfo]) -> None:
        self._data = data
        self._members = members
        self.names = tuple(members)
        """Names of all members, with their folders, in the order of the archive."""

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def read(self, name: str) -> bytes:
        """Returns a document, which is small, after a check of its checksum.

        Raises:
            ModelError: it is missing, damaged, encrypted or too large.
        """
        member = self._find(name)
        limit = min(MAX_DOCUMENT, _FREE + _RATIO * min(member.compress_size, len(self._data)))
        if member.file_size > limit:
            raise ModelError(f"{name!r:.120} has {member.file_size:,} bytes, more than {limit:,}")
        return bytes(self._content(member))

    def size(self, name: str) -> int:
        """Returns the number of bytes of a record; nothing of it is read.

        Raises:
            ModelError: it is missing or encrypted, or would unpack to very many bytes.
        """
        member = self._find(name)
        limit = _WEIGHT_FREE + _WEIGHT_RATIO * min(member.compress_size, len(self._data))
        if member.file_size > limit:
            raise ModelError(f"{name!r:.120} would unpack to {member.file_size:,} bytes")
        if member.compress_type == ZIP_STORED and member.file_size != member.compress_size:
            raise ModelError(f"{name!r:.120} has two different sizes", hint=_HINT)
        return member.file_size

    def reader(self, name: str) -> Callable[[], memoryview]:
        """Returns a function that returns a record, mapped if it is stored uncompressed.

        The function raises ModelError when the record is damaged.
        """
        member = self._find(name)
        return lambda: self._content(member)

    def _find(self, name: str) -> ZipInfo:
        member = self._members.get(name)
        if member is None:
            raise ModelError(f"its archive does not contain {name!r:.120}", hint=_HINT)
        if member.flag_bits & _ENCRYPTED:
            raise ModelError(f"{name!r:.120} is encrypted", hint="decrypt the archive first")
        if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise ModelError(f"{name!r:.120} uses a compression that PyTorch cannot read")
        return member

    def _content(self, member: ZipInfo) -> memoryview:
        packed = self._packed(member)
        content = packed if member.compress_type == ZIP_STORED else _inflate(packed, member)
        if len(content) != member.file_size or zlib.crc32(content) != member.CRC:
            raise _damaged(member)
        return content

    def _packed(self, member: ZipInfo) -> memoryview:
        header = self._data[member.header_offset : member.header_offset + _LOCAL_HEADER]
        if len(header) != _LOCAL_HEADER or header[:4] != _LOCAL_SIGNATURE:
            raise _damaged(member)
        # The local header has a name and extra fields of its own lengths, before the content.
        names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        start = member.header_offset + _LOCAL_HEADER + names
        packed = self._data[start : start + member.compress_size]
        if len(packed) != member.compress_size:
            raise _damaged(member)
        return packed


def _inflate(packed: memoryview, member: ZipInfo) -> memoryview:
    try:
        # One byte more than promised tells a longer record from one that just fits.
        content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, member.file_size + 1)
    except zlib.error as error:
        raise _damaged(member) from error
    return memoryview(content)


def _damaged(member: ZipInfo) -> ModelError:
    return ModelError(f"{member.filename!r:.120} is damaged or truncated", hint=_HINT)


def open_archive(path: Path) -> Archive:
    """Returns the archive at `path`.

    Raises:
        ModelError: the file is not a zip archive, is damaged, or has two members with one name.
        OSError: it cannot be opened.
    """
    what = "its list of members (the end of the file)"
    with path.open("rb") as stream:
        with open_zip_file(stream, what, ModelError, most=MAX_MEMBERS) as file:
            members = dict(file.NameToInfo)
            if len(members) != len(file.infolist()):
                # Readers that take the first or the last one would see different models.
                raise ModelError("its archive has several members with one name", hint=_HINT)
        if not os.fstat(stream.fileno()).st_size:
            raise ModelError("the file is empty")
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    return Archive(memoryview(mapped), members)
