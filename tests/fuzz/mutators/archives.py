"""Mutates archives of sources: tar, compressed or not, and wheels."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import tarfile
import zlib

from tests.fuzz.mutators import raw, zips

_PACKERS = {b"\x1f\x8b": gzip, b"BZh": bz2, b"\xfd7zXZ": lzma}
_KINDS = (
    *(tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE),
    *(tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE, tarfile.XHDTYPE),
    *(tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_SPARSE, b"Z"),
)
_NAMES = (
    "a",
    "a/b",
    "dir",
    "dir/file",
    "../x",
    "/x",
    "a/../../x",
    "n" * 300,
    "d/" * 40,
    "a\\b",
    ".",
)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Returns an archive with entries changed, added or damaged, packed as it was."""
    if data.startswith(b"PK"):
        return _mutate_wheel(data, rng)
    if rng.random() < 0.15:
        return raw.mutate(data, rng)
    packer = next((p for magic, p in _PACKERS.items() if data.startswith(magic)), None)
    try:
        plain = packer.decompress(data) if packer else data
        changed = _mutate_tar(plain, rng)
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, tarfile.TarError):
        return raw.mutate(data, rng)
    if packer is gzip:
        return gzip.compress(changed, 1, mtime=0)
    return packer.compress(changed) if packer else changed


def _mutate_wheel(data: bytes, rng: random.Random) -> bytes:
    try:
        entries = zips.unpack(data)
    except ValueError:
        return raw.mutate(data, rng)
    name = rng.choice(_NAMES).encode()
    entries.insert(rng.randrange(len(entries) + 1), zips.Entry(name, b"x", rng.choice((0, 8))))
    return zips.spoil(entries, rng) if rng.random() < 0.7 else zips.pack(entries)


def _mutate_tar(data: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.3:
        return _change_header(data, rng)
    stream = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(data)) as old,
        tarfile.open(
            fileobj=stream, mode="w", format=rng.choice((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))
        ) as new,
    ):
        members = [(one, old.extractfile(one)) for one in old.getmembers()]
        contents = [(one, file.read() if file else b"") for one, file in members]
        for _ in range(rng.choice((1, 2, 3))):
            contents.insert(rng.randrange(len(contents) + 1), _make_entry(rng))
        for one, content in contents:
            if rng.random() < 0.1:
                one.name = rng.choice(_NAMES)
            new.addfile(one, io.BytesIO(content))
    return stream.getvalue()


def _make_entry(rng: random.Random) -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(rng.choice(_NAMES))
    entry.type, entry.mode = rng.choice(_KINDS), rng.choice((0o644, 0o4755, 0o777))
    entry.linkname = rng.choice(_NAMES)
    content = rng.randbytes(rng.choice((0, 1, 600))) if entry.isreg() else b""
    entry.size = len(content)
    if rng.random() < 0.1:
        entry.pax_headers = {rng.choice(("path", "size", "mtime", "x")): rng.choice(raw.TEXTS)}
    return entry, content


def _change_header(data: bytes, rng: random.Random) -> bytes:
    """Changes a field of a header, and mends its checksum."""
    heads = [at for at in range(0, len(data) - 511, 512) if data[at + 257 : at + 262] == b"ustar"]
    if not heads:
        return raw.mutate(data, rng)
    start = rng.choice(heads)
    header = bytearray(data[start : start + 512])
    at, width = rng.choice(
        ((0, 100), (100, 8), (124, 12), (136, 12), (156, 1), (157, 100), (345, 155))
    )
    text = rng.choice(
        (
            b"../x",
            b"77777777777",
            b"-1",
            b"\x80" + b"\xff" * 11,
            b"x",
            b"",
            b"5",
            b"g",
            b"L",
            b"S",
            b"9",
        )
    )
    header[at : at + width] = text[:width].ljust(width, b"\0")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return data[:start] + bytes(header) + data[start + 512 :]
