"""Writes lite zip files, as caffe2/serialize/inline_container.cc lays them out."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO

from builder.errors import ModelError
from builder.lite.bytecode import BYTECODE, DEBUG_HANDLES
from builder.lite.bytecode_writer import render_bytecode, render_debug_handles
from builder.lite.model import LiteModel
from builder.lite.objects import Storage
from builder.lite.pickler import pickle_value
from builder.lite.zip_model import CONSTANTS, DATA, EXTRA
from builder.system.zips import DATE

FIRST_BYTECODE, LAST_BYTECODE = 4, 8
"""The bytecode versions of zip files that runtimes of PyTorch read; later ones are flatbuffers."""
_FIRST_WITH_SCHEMAS = 5
_FIRST_FORMAT = 3
"""Version of the operators in the oldest files that runtimes read (caffe2/serialize/versions.h)."""
_ALIGNMENT = 64
"""Of the content of each record in the file; runtimes use tensors where they are mapped."""
_FOLDER = "archive"
_SMALL = 200
"""Records of more bytes are compressed where PyTorch does so."""
_CHUNK = 1 << 24
_HEADER, _FIELD, _ZIP64_FIELD = 30, 4, 20
"""Bytes of a header without its name, of an extra field without its content, and of the field with
sizes in 64 bits (APPNOTE.TXT, sections 4.3.7 and 4.5.3)."""
_NAME = re.compile(r"[^\0\ud800-\udfff]{0,8000}[^\0\ud800-\udfff/]")
_LARGE = 1 << 30
"""Records of more bytes have this field."""


def write_zip_model(model: LiteModel, stream: BinaryIO) -> None:
    """Writes a lite zip file, whose bytes depend on nothing but the model.

    Versions of the bytecode that zip files cannot have become the nearest one. The storages are
    copied one after the other.

    Args:
        model: what to write.
        stream: an empty file, which can be read and positioned too.

    Raises:
        ModelError: the model has values that lite files cannot have, or is read from a file that is
            damaged.
    """
    with zipfile.ZipFile(stream, "w", allowZip64=True) as file:
        _Writer(file).write(model)


class _Writer:
    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file

    def write(self, model: LiteModel) -> None:
        for name, content in sorted(model.extra_files.items()):
            self._record(EXTRA + name, content)
        self._pickle(DATA, model.root, _Keys("data/", "{}"))
        for name in sorted(model.records):
            content = model.records[name]
            self._record(name, content, packed=_is_source(name) and len(content) > _SMALL)
        # Both records may use the same storages.
        keys = _Keys("constants/", "{}.storage")
        if model.script_constants is not None:
            self._pickle(CONSTANTS, model.script_constants, keys)
        version = _choose_version(model)
        old = _Keys("bytecode/", "{}") if version < _FIRST_WITH_SCHEMAS else keys
        self._pickle(BYTECODE, render_bytecode(version, model.functions), old)
        handles = render_debug_handles(version, model.functions)
        if handles is not None:
            self._pickle(DEBUG_HANDLES, handles, _Keys("mobile_debug_handles/", "{}"))
        self._record("version", b"%d\n" % (model.operator_version or _FIRST_FORMAT))

    def _pickle(self, record: str, value: object, keys: _Keys) -> None:
        data = pickle_value(value, keys.find)
        for name, storage in keys.take_new():
            self._storage(name, storage)
        self._record(record, data)

    def _storage(self, name: str, storage: Storage) -> None:
        content = storage.read()
        with self._open(name, len(content), packed=False) as record:
            # In parts, so that a mapped file need not be in memory whole.
            for start in range(0, len(content), _CHUNK):
                record.write(content[start : start + _CHUNK])

    def _record(self, name: str, content: bytes, *, packed: bool = False) -> None:
        with self._open(name, len(content), packed=packed) as record:
            record.write(content)

    @contextmanager
    def _open(self, name: str, size: int, *, packed: bool) -> Iterator[IO[bytes]]:
        if not _NAME.fullmatch(name):
            raise ModelError(f"a zip file cannot have a record with the name {name!r:.80}")
        entry = zipfile.ZipInfo(f"{_FOLDER}/{name}", DATE)
        entry.create_system = 0  # on every machine, so that the bytes are the same
        entry.file_size = size
        entry.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
        # Packed bytes may be more than the unpacked ones.
        large = size > _LARGE
        head = _HEADER + len(entry.filename.encode()) + (_ZIP64_FIELD if large else 0)
        padding = -(self._file.start_dir + head + _FIELD) % _ALIGNMENT
        entry.extra = b"FB" + padding.to_bytes(2, "little") + bytes(padding)
        with self._file.open(entry, "w", force_zip64=large) as record:
            yield record
        # Only the header in front of the record has the padding.
        entry.extra = b""


class _Keys:
    """Gives each storage in a folder its key, and knows which ones are not written yet."""

    def __init__(self, folder: str, pattern: str) -> None:
        self._folder, self._pattern = folder, pattern
        self._keys: dict[Storage, str] = {}
        self._written = 0

    def find(self, storage: Storage) -> str:
        return self._keys.setdefault(storage, self._pattern.format(len(self._keys)))

    def take_new(self) -> Iterable[tuple[str, Storage]]:
        """Yields the names and storages of the records that were not taken before."""
        new = list(self._keys.items())[self._written :]
        self._written = len(self._keys)
        return [(self._folder + key, storage) for storage, key in new]


def _choose_version(model: LiteModel) -> int:
    without_schema = [one.name for one in model.functions if one.arguments is None]
    if not without_schema:
        return min(max(model.bytecode_version, FIRST_BYTECODE), LAST_BYTECODE)
    return FIRST_BYTECODE


def _is_source(name: str) -> bool:
    return name.startswith("code/") or name.endswith("debug_pkl")
