"""Reads a lite zip file: its functions, its objects and its other records."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from builder.errors import ModelError
from builder.lite.archive import MAX_RECORD, Archive, Records
from builder.lite.bytecode import (
    BYTECODE,
    DEBUG_HANDLES,
    add_debug_handles,
    check_version,
    parse_bytecode,
)
from builder.lite.model import LiteModel
from builder.lite.objects import ScriptObject, Storage
from builder.lite.pickles import parse_pickle
from builder.lite.rebuild import UnsupportedError
from builder.lite.scalar_types import BY_DTYPE

DATA, CONSTANTS = "data.pkl", "constants.pkl"
EXTRA = "extra/"
VERSIONS = (".data/version", "version")
_OWN = frozenset({BYTECODE, DATA, CONSTANTS, DEBUG_HANDLES, *VERSIONS, "byteorder"})
"""Records that a `LiteModel` has values for."""
_OWN_FOLDERS = (EXTRA, "data/", "constants/", "bytecode/", "mobile_debug_handles/", ".data/")


def read_zip_model(archive: Archive) -> LiteModel:
    """Returns the model in a lite zip file; its tensors and other records are not read yet.

    Raises:
        ModelError: the file is damaged.
    """
    # Two entries on the same bytes make a small file cost as much as a large one.
    archive.refuse_overlaps()
    _refuse_big_endian(archive)
    # Files of older versions keep the tensors of code in a folder of their own; later ones share
    # those of the constants.
    old = any(record.startswith("bytecode/") for record in archive)
    storages = _Storages(archive)
    version, functions = parse_bytecode(
        _read(archive, BYTECODE, storages, "bytecode/" if old else "constants/"), archive.effort
    )
    root = _read(archive, DATA, storages, "data/")
    if not isinstance(root, ScriptObject):
        raise ModelError(f"{DATA} contains no module")
    has_constants = CONSTANTS in archive
    constants = _read(archive, CONSTANTS, storages, "constants/") if has_constants else None
    if not isinstance(constants, tuple | None):
        raise ModelError(f"{CONSTANTS} contains no tuple")
    if DEBUG_HANDLES in archive:
        handles = _read(archive, DEBUG_HANDLES, storages, "mobile_debug_handles/")
        functions = add_debug_handles(functions, handles, archive.effort)
    return LiteModel(
        bytecode_version=version,
        operator_version=read_archive_version(archive),
        functions=functions,
        root=root,
        script_constants=constants,
        extra_files=Records(archive, _strip_names(archive, EXTRA)),
        records=Records(archive, {name: name for name in archive if _is_other(name)}),
    )


def _read(archive: Archive, record: str, storages: _Storages, folder: str) -> object:
    return parse_pickle(
        archive.read_pickle(record),
        record=record,
        effort=archive.effort,
        find_storage=partial(storages.find, folder),
    )


def read_archive_version(archive: Archive) -> int | None:
    """Returns the operator version in the record `version`; None if there is no such record.

    Raises:
        ModelError: it is no number, or no runtime loads files of this version.
    """
    record = next((name for name in VERSIONS if name in archive), None)
    if record is None:
        return None
    # Real numbers have two digits; a long one would only be slow to parse.
    text = archive.read(record, limit=MAX_RECORD)[:20].strip()
    if not text.isdigit():
        raise ModelError(f"its version record is not a number: {text!r}")
    return check_version(int(text))


def _refuse_big_endian(archive: Archive) -> None:
    if "byteorder" in archive and archive.read("byteorder", limit=MAX_RECORD) != b"little":
        raise ModelError("its tensors are big-endian, and no runtime of builder reads them")


def _is_other(record: str) -> bool:
    return record not in _OWN and not record.startswith(_OWN_FOLDERS)


def _strip_names(archive: Archive, folder: str) -> dict[str, str]:
    return {name.removeprefix(folder): name for name in archive if name.startswith(folder)}


class _Storages:
    """The storages of an archive; pickles that name the same record share one value."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._known: dict[tuple[str, str, int], Storage] = {}

    def find(self, folder: str, key: str, dtype: str, elements: int, location: str) -> Storage:
        """Returns the storage in the record `folder` + `key`.

        Raises:
            ModelError: the record is missing, or has another size.
        """
        record = folder + key
        known = self._known.get((record, dtype, elements))
        if known is not None:
            return known
        size = elements * BY_DTYPE[dtype].size
        # PyTorch does not read the record of an empty storage, which may be missing.
        rest = self._archive.size_of(record) - size if elements else 0
        # The record may be longer by less than one element; more would be hidden data.
        if not 0 <= rest < BY_DTYPE[dtype].size:
            raise ModelError(f"{record} does not have the size of its tensor: {size:,} bytes")
        read = partial(_read_storage, self._archive, record, size)
        storage = Storage(dtype=dtype, elements=elements, read=read, location=location)
        self._known[record, dtype, elements] = storage
        return storage


def _read_storage(archive: Archive, record: str, size: int) -> memoryview:
    return archive.view(record)[:size] if size else memoryview(b"")


def refuse_hostile(archive: Archive) -> None:
    """Raises ModelError when the objects of a TorchScript file name functions to call."""
    for record in (DATA, CONSTANTS):
        # What builder does not know is not hostile, and only that is asked here.
        with suppress(UnsupportedError):
            parse_pickle(archive.read_pickle(record), record=record, effort=archive.effort)
