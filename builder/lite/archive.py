"""Reads single records of a PyTorch zip archive, within limits."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping

from builder.errors import ModelError
from builder.lite.effort import Effort
from builder.lite.source import Source, SourceStream
from builder.system.guarded_zips import COMPRESSIONS, damage_of, open_zip_file

MAX_MEMBERS = 200_000
"""Largest number of members in an archive; large models have a few thousand."""
MAX_RECORD = 64 << 20
"""Largest size in bytes of a pickle that is read."""
_UNPACKED_FREE, _UNPACKED_RATIO = 4 << 20, 16
"""A compressed record may unpack to 4 MiB, plus 16 bytes for each of its compressed bytes."""
_ALL_FREE, _ALL_RATIO = 256 << 20, 32
"""All records together may unpack to 256 MiB, plus 32 bytes for each byte of the archive."""
_ENCRYPTED = 0x1
"""Bit 0 of a member's general purpose flags (APPNOTE.TXT, section 4.4.4)."""
_LOCAL = struct.Struct("<4s22xHH")
"""Header in front of a member: signature, and lengths of its name and of its extra fields."""
_HINT = "copy the file or export the model again; `unzip -t FILE` shows the damage"


class Archive:
    """An open zip archive in the form that PyTorch writes, mostly with one top folder."""

    def __init__(self, file: zipfile.ZipFile, source: Source, *, has_folder: bool) -> None:
        """Takes an open archive and all bytes of its file."""
        self._file, self._source = file, source
        self.effort = Effort.of(0)
        """The work that the records may cause; each pickle that is read adds to it."""
        self._checked: set[str] = set()
        members = file.infolist()
        if not members:
            raise ModelError("it is an empty zip archive")
        # NameToInfo has one entry per name, so fewer entries than members mean equal names.
        if len(file.NameToInfo) != len(members):
            # Readers that take the first or the last one would see different models.
            raise ModelError("its archive contains several members with the same name", hint=_HINT)
        self._folder = f"{members[0].filename.partition('/')[0]}/" if has_folder else ""

    def __contains__(self, record: str) -> bool:
        return self._path(record) in self._file.NameToInfo

    @property
    def is_exported_program(self) -> bool:
        """Whether torch.export wrote it: up to PyTorch 2.6 without a top folder, later with one."""
        names = self._file.NameToInfo
        return "serialized_exported_program.json" in names or "archive_format" in self

    def __iter__(self) -> Iterator[str]:
        """Yields the names of all records, without the top folder."""
        start = self._path("")
        for name in self._file.NameToInfo:
            if name.startswith(start) and not name.endswith("/"):
                yield name.removeprefix(start)

    def read_pickle(self, record: str) -> bytes:
        """Returns the content of a pickle, and allows the work of reading it.

        Raises:
            ModelError: as `read` does, or the record is larger than `MAX_RECORD`.
        """
        data = self.read(record, limit=MAX_RECORD)
        self.effort.allow(
            len(data), packed=min(self._find(record).compress_size, self._source.size)
        )
        return data

    def read(self, record: str, *, limit: int | None = None) -> bytes:
        """Returns the content of `record` after a check of its checksum.

        Raises:
            ModelError: the record is missing, damaged or encrypted, or has more bytes than `limit`
                or than its packed bytes allow.
        """
        member = self._find(record)
        # The size in the list of members is a claim; no record can have more packed bytes than the
        # file has.
        packed = min(member.compress_size, self._source.size)
        most = _UNPACKED_FREE + _UNPACKED_RATIO * packed
        limit = most if limit is None else min(limit, most)
        if member.file_size > limit:
            raise ModelError(
                f"{record} would unpack to {member.file_size:,} bytes, more than {limit:,}"
            )
        with damage_of(record, ModelError), self._file.open(member) as stream:
            # One byte more than allowed tells a longer record from one that just fits.
            data = stream.read(limit + 1)
        # The sizes in the archive must be true: the runtime reads by them.
        if len(data) != member.file_size:
            raise ModelError(f"{record} is truncated: {len(data):,} of {member.file_size:,} bytes")
        return data

    def size_of(self, record: str) -> int:
        """Returns the bytes of `record` when it is unpacked; ModelError when it is missing."""
        return self._find(record).file_size

    def view(self, record: str) -> memoryview:
        """Returns the content of `record`; if it is stored in memory, without copying it.

        Raises:
            ModelError: as `read` does.
        """
        member = self._find(record)
        if member.compress_type != zipfile.ZIP_STORED:
            return memoryview(self.read(record))
        start, size = member.header_offset, member.file_size
        head = self._source.read(start, _LOCAL.size) if start >= 0 else b""
        if len(head) == _LOCAL.size:
            signature, name, extra = _LOCAL.unpack(head)
            content = self._source.read(start + _LOCAL.size + name + extra, size)
            if signature == b"PK\x03\x04" and len(content) == size:
                return self._check(record, content, member.CRC)
        raise ModelError(f"{record} is damaged: it lies outside of the file", hint=_HINT)

    def _check(self, record: str, content: memoryview, checksum: int) -> memoryview:
        if record not in self._checked and zlib.crc32(content) != checksum:
            raise ModelError(f"{record} is damaged: its checksum is wrong", hint=_HINT)
        self._checked.add(record)
        return content

    def refuse_outsiders(self) -> None:
        """Raises ModelError when a member is not in the top folder, as PyTorch's readers do."""
        for name in self._file.NameToInfo:
            if not name.startswith(self._folder):
                raise ModelError(
                    f"its archive has the member {name!r:.200} outside of its folder "
                    f"{self._folder!r:.200}",
                    hint=_HINT,
                )

    def refuse_overlaps(self) -> None:
        """Raises ModelError when all records together are much larger than the file."""
        # A reader of single records need not care; who copies all of them would fill a disk.
        members = self._file.infolist()
        if sum(member.compress_size for member in members) > self._source.size or (
            sum(member.file_size for member in members) > _ALL_FREE + _ALL_RATIO * self._source.size
        ):
            raise ModelError("its records are larger than the file: they share their bytes")

    def _find(self, record: str) -> zipfile.ZipInfo:
        member = self._file.NameToInfo.get(self._path(record))
        if member is None:
            raise ModelError(f"its archive does not contain {record}", hint=_HINT)
        if member.flag_bits & _ENCRYPTED:
            raise ModelError(f"{record} is encrypted", hint="decrypt the archive first")
        # miniz, which PyTorch reads archives with, knows deflate and stored only.
        if member.compress_type not in COMPRESSIONS:
            raise ModelError(f"{record} uses a compression that PyTorch cannot read")
        return member

    def _path(self, record: str) -> str:
        return self._folder + record


class Records(Mapping[str, bytes]):
    """Records of an archive, each read when its key is looked up."""

    def __init__(self, archive: Archive, names: Mapping[str, str]) -> None:
        """Takes the archive, and key -> name of the record."""
        self._archive, self._names = archive, names

    def __getitem__(self, key: str) -> bytes:
        return self._archive.read(self._names[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def open_archive(source: Source, *, has_folder: bool = True) -> Archive:
    """Returns the archive in `source`, all bytes of a file; it reads from them later on too.

    Args:
        source: the file.
        has_folder: whether all records stand in one folder, as PyTorch's own reader wants it.

    Raises:
        ModelError: the archive is damaged or truncated.
    """
    what = "its list of members (the end of the file)"
    stream = io.BufferedReader(SourceStream(source))
    file = open_zip_file(stream, what, ModelError, most=MAX_MEMBERS)
    return Archive(file, source, has_folder=has_folder)
