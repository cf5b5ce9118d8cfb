"""Reads a `.pt2` file as a program of graphs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from builder.core.operator_schemas import Schemas
from builder.core.typed import parse_json
from builder.errors import ModelError
from builder.lite.archive import Archive, open_archive
from builder.lite.read import open_model
from builder.lite.source import Source, open_source
from builder.pt2.convert_program import ExportedProgram, ProgramConverter
from builder.pt2.document import Document, PayloadConfig, Version, Versioned
from builder.pt2.state_dicts import read_state_dict
from builder.pt2.weights import Payloads, StateDict, Weights

_SCHEMA_MAJORS = (7, 8)
"""Versions of the JSON (torch/_export/serde/schema.py): 7 is torch 2.5, 8 is 2.6 and later."""
_NEWEST_OPERATORS = 10
"""The newest version of ATen's operators that releases know (kProducedFileFormatVersion)."""
_MOST_SHOWN = 25
_MAX_DOCUMENT = 64 << 20
"""Largest size in bytes of a record of JSON."""
_FREE, _RATIO = 4 << 20, 4
"""A record of JSON may have 4 MiB, plus 4 bytes for each byte of the file: a compressed one could
ask for a lot of memory, since its values take 25 times as many bytes."""
_HINT = "save the program of torch.export.export with torch.export.save, torch 2.5 to 2.15"
_OTHER = "it is a zip archive, but not a file of torch.export.save"
_OLD = "serialized_exported_program.json"
_MODEL = re.compile(r"models/([\w.\- ]{1,200})\.json")
_NOT_JSON = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|(-?Infinity|NaN)')
"""A string, which stays as it is, or a number that JSON does not have. A string without an end is
one too, and nothing is tried twice: otherwise each quote would be followed to the end of the file.
"""
_KINDS = ("weights", "constants")
_SHORT = 64
"""Largest size of a record with one word."""
_T = TypeVar("_T")


def read_program(
    path: Path, schemas: Schemas, raising: Mapping[str, str] = MappingProxyType({})
) -> ExportedProgram:
    """Returns the program in a `.pt2` file as a graph of the operators of a release.

    Buffers and parameters that the program changes become attributes of the module, so they keep
    their values from call to call. All others become constants. Weights are read when wanted.

    Args:
        path: the file.
        schemas: of the operators of the release that is to run the program.
        raising: patterns of names of operators that raise in every runtime -> why. A program of
            torch.export has no branches that are never taken, so these are refused.

    Raises:
        ModelError: the file is missing, damaged or hostile, or has a format that builder does not
            know, or the program has parts that builder cannot convert; all of them are named.
    """
    with open_model(path) as stream:
        if not stream.peek(1):
            raise ModelError("the file is empty")
        source = open_source(stream)
        if _has_no_folder(source):
            old = open_archive(source, has_folder=False)
            if _OLD not in old:
                raise ModelError(_OTHER, hint=_HINT)
            files = _Files(
                archive=old,
                size=source.size,
                document=_OLD,
                weights="serialized_state_dict.pt",
                constants="serialized_constants.pt",
            )
        else:
            files = _find_files(open_archive(source), source.size)
        return _read(files, schemas, raising)


def _has_no_folder(source: Source) -> bool:
    """Returns whether the name of the first record has no folder, as until torch 2.7."""
    # The length of the name stands at byte 26 (APPNOTE.TXT, section 4.3.7).
    head = bytes(source.read(0, 30))
    name = source.read(30, int.from_bytes(head[26:28], "little"))
    return head[:4] == b"PK\x03\x04" and b"/" not in bytes(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Files:
    """The names of the records of one program."""

    archive: Archive
    size: int
    """Bytes of the whole file."""
    document: str
    weights: str
    """A pickle (`.pt`), or a table of other records (`.json`)."""
    constants: str

    def read(self, record: str) -> bytes:
        """Returns a record of JSON."""
        return self.archive.read(record, limit=min(_MAX_DOCUMENT, _FREE + _RATIO * self.size))


def _read(files: _Files, schemas: Schemas, raising: Mapping[str, str]) -> ExportedProgram:
    text = files.read(files.document)
    # The version is read alone: a newer file would else fail at a field that has changed, and the
    # error would not say why.
    _check_version(_parse(text, Versioned, files.document).schema_version)
    content = _parse(text, Document, files.document)
    operators = content.opset_version.get("aten", _NEWEST_OPERATORS)
    if not 0 < operators <= _NEWEST_OPERATORS:
        raise ModelError(
            f"its operators have version {operators}, newer than {_NEWEST_OPERATORS}",
            hint="use a newer builder, or export with an older torch",
        )
    payloads = [_read_payloads(files, record) for record in (files.weights, files.constants)]
    return ProgramConverter(content, schemas, raising, payloads).make(operators)


def _read_payloads(files: _Files, record: str) -> Payloads:
    if record.endswith(".json"):
        config = _parse(files.read(record), PayloadConfig, record)
        return Weights(files.archive, f"{record.rpartition('/')[0]}/", config)
    return StateDict(read_state_dict(files.archive.view(record), record))


def _find_files(archive: Archive, size: int) -> _Files:
    """Returns the names of the records in an archive of torch 2.8 or later."""
    _check_archive(archive)
    models = [match[1] for match in map(_MODEL.fullmatch, archive) if match]
    if len(models) != 1:
        names = ", ".join(f"{name!r:.60}" for name in models[:_MOST_SHOWN]) or "none"
        raise ModelError(
            f"it has {len(models)} programs ({names}); builder reads files with one", hint=_HINT
        )
    tables = {kind: f"data/{kind}/{models[0]}_{kind}_config.json" for kind in _KINDS}
    # Torch 2.8 pickled the weights.
    pickles = {kind: f"data/{kind}/{models[0]}.pt" for kind in _KINDS}
    found = {kind: pickles[kind] if pickles[kind] in archive else tables[kind] for kind in _KINDS}
    return _Files(archive=archive, size=size, document=f"models/{models[0]}.json", **found)


def _check_archive(archive: Archive) -> None:
    if "archive_format" not in archive or _is_other(archive, "archive_format", b"pt2"):
        raise ModelError(_OTHER, hint=_HINT)
    if _is_other(archive, "archive_version", b"0"):
        raise ModelError("its archive has a version newer than 0", hint="use a newer builder")
    if _is_other(archive, "byteorder", b"little"):
        raise ModelError("its weights are not little-endian", hint="export on another machine")


def _is_other(archive: Archive, record: str, wanted: bytes) -> bool:
    return record in archive and archive.read(record, limit=_SHORT).strip() != wanted


def _check_version(version: Version) -> None:
    if version.major not in _SCHEMA_MAJORS:
        known, found = " and ".join(map(str, _SCHEMA_MAJORS)), f"{version.major}.{version.minor}"
        raise ModelError(
            f"its program has schema version {found}; builder reads {known}",
            hint="use a newer builder, or export with torch 2.9 to 2.15",
        )


def _parse(text: bytes, kind: type[_T], where: str) -> _T:
    try:
        try:
            return parse_json(text, kind, where, most=_MAX_DOCUMENT)
        # The usual file needs no second look, which costs as much as the first.
        except ValueError:
            if not any(word in text for word in (b"Infinity", b"NaN")):
                raise
            # Python writes them without quotes until torch 2.7, which is not JSON.
            quoted = _NOT_JSON.sub(
                lambda match: (match[1] and b'"' + match[1] + b'"') or match[0], text
            )
            return parse_json(quoted, kind, where, most=_MAX_DOCUMENT + len(text))
    except ValueError as error:
        raise ModelError(str(error), hint="export the model again") from None
