"""Unpacks foreign archives safely: nothing is written outside of the destination."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self, cast

from builder.errors import SourceError
from builder.system.guarded_zips import COMPRESSIONS, DAMAGE, open_zip_file
from builder.system.trees import make_folders

MAX_MEMBERS = 500_000
"""Entries that any archive may have."""
_MEMBERS_FREE, _BYTES_A_MEMBER = 2_000, 256
"""An archive may have 2,000 entries, and one more for every 256 bytes; sources have one entry for
3,000 bytes."""
MAX_NAME = 1024
"""Characters in the path of an entry, or of what a link points to."""
_LONGEST_PART = 255
"""Bytes in the name of a file or folder, the limit of Linux (limits.h, NAME_MAX)."""
WHEEL = ".whl"
_UNPACKED_FREE, _UNPACKED_RATIO = 32 << 20, 50
"""An archive may unpack to 32 MiB, and to 50 more bytes for each of its own bytes."""
_READS_AT_THE_END = 10
"""Empty reads after the end of the data; tarfile trusts the size in the header of an entry."""
_MAX_EXTENDED = 4096
"""Bytes of one extended header, which contains a long name or attributes."""
_STEPS_A_BYTE = 10
"""tarfile takes time in the square of the size of an extended header. Ten of these steps count as
one byte of the limit for all headers, which is the largest number of unpacked bytes."""
_EXTENDED = frozenset(
    {
        *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
        *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    }
)


@dataclass(slots=True, kw_only=True)
class _Extraction:
    """State of one extraction; links are made after all files were written."""

    archive: Path
    destination: Path
    max_bytes: int
    bytes: int = 0
    members: int = 0
    files: set[str] = field(default_factory=set)
    links: dict[str, str] = field(default_factory=dict)

    def refuse(self, name: str, why: str) -> SourceError:
        """Returns the error that the entry `name` must not be unpacked, because it `why`."""
        return SourceError(
            f"{self.archive.name} is not safe to unpack: {name!r} {why}",
            hint="do not use this archive; the archive that the lock file pins has no such entry",
        )


def extract_archive(
    archive: Path,
    destination: Path,
    *,
    strip: int = 0,
    inside: str = "",
    wanted: Callable[[str], bool] = lambda _: True,
    max_bytes: int = 4 << 30,
) -> int:
    """Unpacks a tar archive (plain, gzip, bzip2, xz) or a wheel, and returns the bytes written.

    Args:
        archive: a tar archive, which is read once from start to end, or a wheel, which is a zip
            archive.
        destination: a folder, in which folders may exist; an existing file is an error.
        strip: number of leading path components that are removed; shorter paths are left out.
        inside: the folder to unpack, after stripping; everything when it is empty.
        wanted: says for each path, after stripping and relative to `inside` (POSIX), whether it is
            unpacked.
        max_bytes: largest sum of file sizes.

    Raises:
        SourceError: the archive is damaged, or has an absolute path, `..`, a link that leads
            out of `destination`, a device, the same name twice, or more than `max_bytes`.
    """
    state = _Extraction(archive=archive, destination=destination, max_bytes=max_bytes)
    make_folders(destination)
    try:
        if archive.suffix == WHEEL:
            _extract_wheel(state, strip, inside, wanted)
        else:
            _extract_tar(state, strip, inside, wanted)
    except (*DAMAGE, tarfile.TarError, lzma.LZMAError, MemoryError) as error:
        raise SourceError(
            f"{archive.name} cannot be read as an archive: {error or type(error).__name__}"
        ) from error
    except OSError as error:
        # gzip and bz2 raise OSError without a number for damaged data, and bad offsets are EINVAL.
        if error.errno not in {None, errno.EINVAL}:
            raise
        raise SourceError(f"{archive.name} cannot be read as an archive: {error}") from error
    # Last, so that no file can be written through a link.
    _make_links(state)
    return state.bytes


def strip_components(name: str, strip: int) -> str | None:
    """Returns `name` without its first `strip` components; None when nothing is left.

    Raises:
        ValueError: the name is absolute, has `..`, or has characters that no source file has.
    """
    # Control characters forge lines of terminals, and a backslash separates folders elsewhere.
    if len(name) > MAX_NAME or any(ord(c) < 32 or c == "\\" for c in name):
        raise ValueError("has a name that no source file has")
    if name.startswith("/"):
        raise ValueError("is an absolute path")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ValueError("has `..` in its path")
    return "/".join(parts[strip:]) or None


def _enter(name: str | None, folder: str) -> str | None:
    """Returns `name` relative to `folder`; None when it is not in the folder."""
    if name is None or not folder:
        return name
    return name.removeprefix(f"{folder}/") if name.startswith(f"{folder}/") else None


def _extract_member(
    state: _Extraction,
    tar: tarfile.TarFile,
    member: tarfile.TarInfo,
    strip: int,
    inside: str,
    wanted: Callable[[str], bool],
) -> None:
    name = _admit(state, member.name, strip, inside)
    # Hard links are refused too: they could give a file of the system another name here.
    if not (member.isreg() or member.isdir() or member.issym()):
        raise state.refuse(member.name, "is neither a file, a folder nor a symbolic link")
    if name is None or not wanted(name):
        return
    if member.isdir():
        _make_folder(state, name)
    elif member.issym():
        _plan_link(state, name, member.linkname)
    else:
        source = tar.extractfile(member)
        assert source is not None
        _write_file(state, name, source, member.size, executable=bool(member.mode & 0o100))


def _extract_tar(
    state: _Extraction, strip: int, inside: str, wanted: Callable[[str], bool]
) -> None:
    with state.archive.open("rb") as packed:
        limit = _UNPACKED_FREE + _UNPACKED_RATIO * state.archive.stat().st_size
        # By the first bytes and not by the name, which a mirror may have changed.
        head = packed.peek(6)
        opener = next((o for magic, o in _UNPACKERS.items() if head.startswith(magic)), None)
        stream = opener(packed) if opener else packed
        bounded = cast("IO[bytes]", _Bounded(stream, limit, state.archive.name))
        # `r|` reads a stream from start to end, and never seeks.
        with tarfile.open(fileobj=bounded, mode="r|", tarinfo=_limit_headers(limit)) as tar:
            for member in tar:
                _extract_member(state, tar, member, strip, inside, wanted)


_UNPACKERS: Mapping[bytes, Callable[[IO[bytes]], IO[bytes]]] = {
    b"\x1f\x8b": gzip.open,  # type: ignore[dict-item]
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
"""First bytes of a compressed file -> function that decompresses it."""


class _Bounded:
    """A decompressed stream that raises an error when it is far larger than the packed file."""

    def __init__(self, stream: IO[bytes], limit: int, name: str) -> None:
        self._stream, self._left, self._name = stream, limit, name
        self._beyond = 0

    def read(self, size: int) -> bytes:
        """Returns the next bytes."""
        data = self._stream.read(size)
        self._left -= len(data)
        # tarfile reads on at the end of the data for as long as a header says.
        self._beyond += not data
        if self._beyond > _READS_AT_THE_END:
            raise EOFError("an entry is longer than the archive")
        if self._left < 0:
            raise SourceError(
                f"{self._name} is not safe to unpack: its contents are far larger than the archive",
                hint="do not use this archive; sources compress to a tenth, not to a hundredth",
            )
        return data


def _limit_headers(limit: int) -> type[tarfile.TarInfo]:
    """Returns a class of entries that refuses long extended headers (see `_STEPS_A_BYTE`)."""
    left = limit

    class Member(tarfile.TarInfo):
        @classmethod
        def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
            """Returns the entry for a header; ReadError for an extended header that is too long."""
            nonlocal left
            member = super().frombuf(buf, encoding, errors)
            if member.type in _EXTENDED:
                # The square is what tarfile's parser of such headers costs.
                left -= member.size**2 // _STEPS_A_BYTE
                if not 0 <= member.size <= _MAX_EXTENDED or left < 0:
                    raise tarfile.ReadError(f"an extended header has {member.size:,} bytes")
            return member

    return Member


def _extract_wheel(
    state: _Extraction, strip: int, inside: str, wanted: Callable[[str], bool]
) -> None:
    """Unpacks a wheel, which has only plain files (PEP 427); types of entries are ignored."""
    what = f"the end of {state.archive.name}, which lists its entries,"
    limit = _UNPACKED_FREE + _UNPACKED_RATIO * state.archive.stat().st_size
    with (
        state.archive.open("rb") as stream,
        open_zip_file(stream, what, SourceError, most=MAX_MEMBERS) as wheel,
    ):
        # Entries of a zip archive may share bytes, so their sum is not bounded by its size.
        if sum(info.file_size for info in wheel.infolist()) > limit:
            raise state.refuse("it", f"unpacks to more than {limit:,} bytes")
        for info in wheel.infolist():
            if info.compress_type not in COMPRESSIONS:
                raise state.refuse(info.filename, "has a compression that builder does not read")
            name = _admit(state, info.filename, strip, inside)
            # A wheel lists folders too, by names that end with a slash; files bring their folders.
            if name is not None and not info.filename.endswith("/") and wanted(name):
                with wheel.open(info) as source:
                    _write_file(state, name, source, info.file_size, executable=False)


def _admit(state: _Extraction, entry: str, strip: int, inside: str) -> str | None:
    """Counts an entry; returns its path below `inside`, or None when it is not in that folder."""
    state.members += 1
    most = min(MAX_MEMBERS, _MEMBERS_FREE + state.archive.stat().st_size // _BYTES_A_MEMBER)
    if state.members > most:
        raise state.refuse(entry, f"is one of more than {most:,} entries")
    try:
        return _enter(strip_components(entry, strip), inside)
    except ValueError as error:
        raise state.refuse(entry, str(error)) from None


def _make_folder(state: _Extraction, name: str) -> None:
    # Otherwise a link to a folder, and a file below it, would write outside.
    if any(parent in state.links for parent in _lineage(name)):
        raise state.refuse(name, "goes through a link")
    with _named(state, name):
        make_folders(state.destination / name)


def _write_file(
    state: _Extraction, name: str, source: IO[bytes], size: int, *, executable: bool
) -> None:
    state.bytes += size
    if state.bytes > state.max_bytes:
        raise state.refuse(name, f"makes it larger than {state.max_bytes:,} bytes")
    if name in state.files or name in state.links:
        raise state.refuse(name, "is in the archive twice")
    parent = name.rpartition("/")[0]
    if parent:
        _make_folder(state, parent)
    state.files.add(name)
    target = state.destination / name
    # "x" makes an existing file an error, so nothing is ever overwritten.
    with _named(state, name), target.open("xb") as stream:
        shutil.copyfileobj(source, stream, 1 << 20)
    # The only bit of the mode that is taken over; setuid, for example, is not.
    target.chmod(0o755 if executable else 0o644)


@contextmanager
def _named(state: _Extraction, name: str) -> Iterator[None]:
    """Turns errors of the file system about a bad name into the error that refuses the entry."""
    try:
        yield
    except (FileExistsError, IsADirectoryError, NotADirectoryError):
        raise state.refuse(name, "would overwrite a file, or is both a file and a folder") from None
    except OSError as error:
        if error.errno not in {errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ}:
            raise
        raise state.refuse(name, "has a name that this file system does not support") from None


def _plan_link(state: _Extraction, name: str, target: str) -> None:
    # Twice the same name, or a link in place of a file, is how archives hide what they write.
    if name in state.files or name in state.links:
        raise state.refuse(name, "is in the archive twice")
    if _leads_out(name, target):
        raise state.refuse(name, "is a link that leads out of the destination")
    # Looking at such a link is an error of the system, for whoever finds it later.
    longest = max(len(os.fsencode(part)) for part in target.split("/"))
    if len(target) > MAX_NAME or longest > _LONGEST_PART:
        raise state.refuse(name, "is a link to a name that no source file has")
    state.links[name] = target


def _leads_out(name: str, target: str) -> bool:
    """Returns whether any step of the target path of a link is above the root."""
    if target.startswith("/") or not target or any(ord(c) < 32 for c in target):
        return True
    depth = name.count("/")
    # Each step counts: `a/../../b` leaves the root on its way, even if it comes back.
    for part in target.split("/"):
        depth += {"": 0, ".": 0, "..": -1}.get(part, 1)
        if depth < 0:
            return True
    return False


def _make_links(state: _Extraction) -> None:
    """Makes links after all files, so that no file is written through one; drops broken links."""
    root = state.destination.resolve()
    made = []
    # Sorted, so that a parent is looked at before what is below it.
    for name, target in sorted(state.links.items()):
        if any(parent in state.links for parent in _lineage(name)[:-1]):
            raise state.refuse(name, "goes through a link")
        path = state.destination / name
        with _named(state, name):
            make_folders(path.parent)
            if path.is_symlink() or path.exists():
                raise state.refuse(name, "would overwrite a file")
            path.symlink_to(target)
        made.append((name, path))
    for name, path in made:
        try:
            # After all links exist: several harmless ones can lead out together.
            resolved = path.resolve(strict=False)
        except (OSError, RuntimeError):
            raise state.refuse(name, "is a link to itself") from None
        if not resolved.is_relative_to(root):
            raise state.refuse(name, "is a link that leads out of the destination")
    # The target of a link may be a file that was not wanted.
    for _, path in made:
        if not path.exists():
            path.unlink()


def _lineage(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
