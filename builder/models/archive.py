"""Reads single records of a PyTorch zip archive, within limits."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from builder.errors import ModelError
from builder.models.effort import Effort
from builder.system.zips import COMPRESSIONS, damage_of, open_zip_file

MAX_MEMBERS = 200_000
"""Largest number of members in an archive; large models have a few thousand."""
MAX_RECORD = 64 << 20
"""Largest size in bytes of a record (a pickle) that is read; tensors are never read."""
_UNPACKED_FREE, _UNPACKED_RATIO = 4 << 20, 16
"""A compressed record may unpack to 4 MiB, plus 16 bytes for each of its compressed bytes."""
_ENCRYPTED = 0x1
"""Bit 0 of a member's general purpose flags (APPNOTE.TXT, section 4.4.4)."""
_HINT = "copy the file or export the model again; `unzip -t FILE` shows the damage"


class Archive:
    """An open zip archive in the form that PyTorch writes, with one top folder."""

    def __init__(self, file: zipfile.ZipFile, size: int) -> None:
        self._file, self._size = file, size
        self.effort = Effort.of(0)
        """The work that the records may cause; each record that is read adds to it."""
        members = file.infolist()
        if not members:
            raise ModelError("it is an empty zip archive")
        # NameToInfo has one entry per name, so fewer entries than members mean equal names.
        if len(file.NameToInfo) != len(members):
            # Readers that take the first or the last one would see different models.
            raise ModelError("its archive contains several members with the same name", hint=_HINT)
        self._folder = members[0].filename.partition("/")[0]

    def __contains__(self, record: str) -> bool:
        return self._path(record) in self._file.NameToInfo

    @property
    def is_exported_program(self) -> bool:
        """Whether torch.export wrote it: up to PyTorch 2.6 without a top folder, later with one."""
        names = self._file.NameToInfo
        return "serialized_exported_program.json" in names or "archive_format" in self

    def read(self, record: str) -> bytes:
        """Returns the content of `record` after a check of its checksum.

        Raises:
            ModelError: the record is missing, damaged, encrypted, or larger than `MAX_RECORD`.
        """
        member = self._file.NameToInfo.get(self._path(record))
        if member is None:
            raise ModelError(f"its archive does not contain {record}", hint=_HINT)
        if member.flag_bits & _ENCRYPTED:
            raise ModelError(f"{record} is encrypted", hint="decrypt the archive first")
        # miniz, which PyTorch reads archives with, knows deflate and stored only.
        if member.compress_type not in COMPRESSIONS:
            raise ModelError(f"{record} uses a compression that PyTorch cannot read")
        # The size in the list of members is a claim; no record can have more packed bytes than the
        # file has.
        packed = min(member.compress_size, self._size)
        limit = min(MAX_RECORD, _UNPACKED_FREE + _UNPACKED_RATIO * packed)
        if member.file_size > limit:
            raise ModelError(
                f"{record} would unpack to {member.file_size:,} bytes, more than {limit:,}"
            )
        with damage_of(record, ModelError), self._file.open(member) as stream:
            # One byte more than allowed tells a longer record from one that just fits.
            data = stream.read(limit + 1)
        self.effort.allow(len(data), packed=packed)
        # The sizes in the archive must be true: the runtime reads by them.
        if len(data) != member.file_size:
            raise ModelError(f"{record} is truncated: {len(data):,} of {member.file_size:,} bytes")
        return data

    def _path(self, record: str) -> str:
        return f"{self._folder}/{record}"


@contextmanager
def open_archive(stream: BinaryIO) -> Iterator[Archive]:
    """Yields the archive in `stream`; raises ModelError when it is damaged or truncated."""
    what = "its list of members (the end of the file)"
    with open_zip_file(stream, what, ModelError, most=MAX_MEMBERS) as file:
        yield Archive(file, stream.seek(0, os.SEEK_END))
