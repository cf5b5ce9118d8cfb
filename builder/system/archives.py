"""Unpacking archives that others made: nothing is written outside of the destination."""

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
from builder.system.zips import COMPRESSIONS, DAMAGE, open_zip_file

MAX_MEMBERS = 500_000
_MEMBERS_FREE, _BYTES_A_MEMBER = 5_000, 256
"""An archive may have so many, and one for each so many bytes; sources have one for 3,000."""
MAX_NAME = 1024
WHEEL = ".whl"
_UNPACKED_FREE, _UNPACKED_RATIO = 32 << 20, 50
"""An archive may unpack to so many bytes, and so many for each of its own."""
_READS_AT_THE_END = 10
"""tarfile goes on to the end of an entry whatever its size, though there is nothing any more."""
_MAX_EXTENDED = 4096
"""Bytes of one extended header, which holds a long name or attributes."""
_STEPS_A_BYTE = 10
"""Of that time; together headers may take as many as the archive may unpack to bytes."""
_EXTENDED = frozenset(
    {
        *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
        *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    }
)


@dataclass(slots=True, kw_only=True)
class _Extraction:
    """State of one extraction; links wait until all files are written."""

    archive: Path
    destination: Path
    max_bytes: int
    bytes: int = 0
    members: int = 0
    files: set[str] = field(default_factory=set)
    links: dict[str, str] = field(default_factory=dict)

    def refuse(self, name: str, why: str) -> SourceError:
        """Returns the error that `name` must not be extracted."""
        return SourceError(
            f"{self.archive.name} is not safe to unpack: {name!r} {why}",
            hint="do not use this archive; the one that the lock file pins has no such entry",
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
        archive: a tar archive is read once, front to back; a wheel is a zip archive.
        destination: existing folders in it may be added to, existing files are an error.
        strip: leading path components to drop; what has no more is left out.
        inside: the folder to unpack, after stripping; all when empty.
        wanted: decides on each path after stripping, relative to `inside` (POSIX).
        max_bytes: largest sum of file sizes.

    Raises:
        SourceError: the archive is broken, or holds an absolute path, `..`, a link that leads
            out of `destination`, a device, a name twice, or more than `max_bytes`.
    """
    state = _Extraction(archive=archive, destination=destination, max_bytes=max_bytes)
    destination.mkdir(parents=True, exist_ok=True)
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
        if error.errno not in {None, errno.EINVAL}:
            raise
        raise SourceError(f"{archive.name} cannot be read as an archive: {error}") from error
    _make_links(state)
    return state.bytes


def strip_components(name: str, strip: int) -> str | None:
    """Returns `name` without `strip` leading components, None when nothing is left.

    Raises:
        ValueError: the name is absolute, climbs, or has characters that no source file has.
    """
    if len(name) > MAX_NAME or any(ord(c) < 32 or c == "\\" for c in name):
        raise ValueError("has a name that no source file has")
    if name.startswith("/"):
        raise ValueError("is an absolute path")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ValueError("climbs out of its folder")
    return "/".join(parts[strip:]) or None


def _enter(name: str | None, folder: str) -> str | None:
    """Returns `name` relative to `folder`; None when it is not in there."""
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
        head = packed.peek(6)
        opener = next((o for magic, o in _UNPACKERS.items() if head.startswith(magic)), None)
        stream = opener(packed) if opener else packed
        bounded = cast("IO[bytes]", _Bounded(stream, limit, state.archive.name))
        with tarfile.open(fileobj=bounded, mode="r|", tarinfo=_limit_headers(limit)) as tar:
            for member in tar:
                _extract_member(state, tar, member, strip, inside, wanted)


_UNPACKERS: Mapping[bytes, Callable[[IO[bytes]], IO[bytes]]] = {
    b"\x1f\x8b": gzip.open,  # type: ignore[dict-item]
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
"""First bytes -> what unpacks them."""


class _Bounded:
    """An unpacked archive that ends with an error where it is far larger than the packed one."""

    def __init__(self, stream: IO[bytes], limit: int, name: str) -> None:
        self._stream, self._left, self._name = stream, limit, name
        self._beyond = 0

    def read(self, size: int) -> bytes:
        """Returns the next bytes."""
        data = self._stream.read(size)
        self._left -= len(data)
        self._beyond += not data
        if self._beyond > _READS_AT_THE_END:
            raise EOFError("an entry that is longer than the archive")
        if self._left < 0:
            raise SourceError(
                f"{self._name} is not safe to unpack: it is far larger than its size tells",
                hint="do not use this archive; sources compress to a tenth, not to a hundredth",
            )
        return data


def _limit_headers(limit: int) -> type[tarfile.TarInfo]:
    """Returns entries whose extended headers are short: tarfile takes quadratic time for them."""
    left = limit

    class Member(tarfile.TarInfo):
        @classmethod
        def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
            """Returns the entry of a header; ReadError for an extended one that is too long."""
            nonlocal left
            member = super().frombuf(buf, encoding, errors)
            if member.type in _EXTENDED:
                left -= member.size**2 // _STEPS_A_BYTE
                if not 0 <= member.size <= _MAX_EXTENDED or left < 0:
                    raise tarfile.ReadError(f"extended headers of {member.size:,} bytes")
            return member

    return Member


def _extract_wheel(
    state: _Extraction, strip: int, inside: str, wanted: Callable[[str], bool]
) -> None:
    """A wheel holds plain files only (PEP 427): what else its entries claim to be is not asked."""
    what = f"the end of {state.archive.name}, which lists its entries,"
    limit = _UNPACKED_FREE + _UNPACKED_RATIO * state.archive.stat().st_size
    with (
        state.archive.open("rb") as stream,
        open_zip_file(stream, what, SourceError, most=MAX_MEMBERS) as wheel,
    ):
        if sum(info.file_size for info in wheel.infolist()) > limit:
            raise state.refuse("it", f"unpacks to more than {limit:,} bytes")
        for info in wheel.infolist():
            if info.compress_type not in COMPRESSIONS:
                raise state.refuse(info.filename, "is compressed in a way that is not read")
            name = _admit(state, info.filename, strip, inside)
            if name is not None and not info.filename.endswith("/") and wanted(name):
                with wheel.open(info) as source:
                    _write_file(state, name, source, info.file_size, executable=False)


def _admit(state: _Extraction, entry: str, strip: int, inside: str) -> str | None:
    """Counts an entry; returns its path below `inside`, None when it is not in there."""
    state.members += 1
    most = min(MAX_MEMBERS, _MEMBERS_FREE + state.archive.stat().st_size // _BYTES_A_MEMBER)
    if state.members > most:
        raise state.refuse(entry, f"is one of more than {most:,} entries")
    try:
        return _enter(strip_components(entry, strip), inside)
    except ValueError as error:
        raise state.refuse(entry, str(error)) from None


def _make_folder(state: _Extraction, name: str) -> None:
    if any(parent in state.links for parent in _lineage(name)):
        raise state.refuse(name, "goes through a link")
    with _named(state, name):
        (state.destination / name).mkdir(parents=True, exist_ok=True)


def _write_file(
    state: _Extraction, name: str, source: IO[bytes], size: int, *, executable: bool
) -> None:
    state.bytes += size
    if state.bytes > state.max_bytes:
        raise state.refuse(name, f"makes it larger than {state.max_bytes:,} bytes")
    if name in state.files or name in state.links:
        raise state.refuse(name, "is there twice")
    parent = name.rpartition("/")[0]
    if parent:
        _make_folder(state, parent)
    state.files.add(name)
    target = state.destination / name
    with _named(state, name), target.open("xb") as stream:
        shutil.copyfileobj(source, stream, 1 << 20)
    target.chmod(0o755 if executable else 0o644)


@contextmanager
def _named(state: _Extraction, name: str) -> Iterator[None]:
    """Turns what a file system says to a name that an archive should not have into our error."""
    try:
        yield
    except (FileExistsError, IsADirectoryError, NotADirectoryError):
        raise state.refuse(name, "would overwrite a file, or is a file and a folder") from None
    except OSError as error:
        if error.errno not in {errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ}:
            raise
        raise state.refuse(name, "has a name that no file can have here") from None


def _plan_link(state: _Extraction, name: str, target: str) -> None:
    if name in state.files or name in state.links:
        raise state.refuse(name, "is there twice")
    if _leads_out(name, target):
        raise state.refuse(name, "is a link that leads out")
    state.links[name] = target


def _leads_out(name: str, target: str) -> bool:
    """True when the path of a link's target climbs above the root at any of its steps."""
    if target.startswith("/") or not target or any(ord(c) < 32 for c in target):
        return True
    depth = name.count("/")
    for part in target.split("/"):
        depth += {"": 0, ".": 0, "..": -1}.get(part, 1)
        if depth < 0:
            return True
    return False


def _make_links(state: _Extraction) -> None:
    """Makes the links last, so that no file can be written through one; drops dangling ones."""
    root = state.destination.resolve()
    made = []
    for name, target in sorted(state.links.items()):
        if any(parent in state.links for parent in _lineage(name)[:-1]):
            raise state.refuse(name, "goes through a link")
        path = state.destination / name
        with _named(state, name):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_symlink() or path.exists():
                raise state.refuse(name, "would overwrite a file")
            path.symlink_to(target)
        made.append((name, path))
    for name, path in made:
        try:
            resolved = path.resolve(strict=False)
        except (OSError, RuntimeError):
            raise state.refuse(name, "is a link to itself") from None
        if not resolved.is_relative_to(root):
            raise state.refuse(name, "is a link that leads out")
    for _, path in made:
        if not os.path.exists(path):  # noqa: PTH110 - Path.exists raises for targets too long
            path.unlink()


def _lineage(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
