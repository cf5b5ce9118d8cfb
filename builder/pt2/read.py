"""Reads a `.pt2` file as a program of graphs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeVar

from builder.core.schemas import Schemas
from builder.core.typed import parse_json
from builder.errors import ModelError
from builder.pt2.archive import MAX_DOCUMENT, Archive, open_archive
from builder.pt2.document import Document, PayloadConfig, Version, Versioned
from builder.pt2.program import ExportedProgram, ProgramMaker
from builder.pt2.weights import Weights

_SCHEMA_MAJORS = (7, 8)
"""Versions of the JSON (torch/_export/serde/schema.py): 7 is torch 2.5, 8 is 2.6 and later."""
_NEWEST_OPERATORS = 10
"""The newest version of ATen's operators that releases know (kProducedFileFormatVersion)."""
_MOST_SHOWN = 25
_RECORDS_HINT = "export.save of torch 2.9 and later writes files that builder reads"
_T = TypeVar("_T")


def read_program(path: Path, schemas: Schemas) -> ExportedProgram:
    """Returns the program in a `.pt2` file as a graph of the operators of a release.

    Buffers and parameters that the program changes become attributes of the module, so they keep
    their values from call to call. All others become constants. Weights are read when wanted.

    Raises:
        ModelError: the file is missing, damaged or hostile, or has a format that builder does not
            know, or the program has parts that builder cannot convert; all of them are named.
    """
    try:
        return _read(open_archive(path), schemas)
    except ModelError as error:
        raise ModelError(f"{path}: {error.message}", hint=error.hint) from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error


def _read(archive: Archive, schemas: Schemas) -> ExportedProgram:
    folder, model = _find_model(archive)
    text = archive.read(f"{folder}models/{model}.json")
    where = f"models/{model}.json"
    _check_version(_parse(text, Versioned, where).schema_version)
    content = _parse(text, Document, where)
    operators = content.opset_version.get("aten", _NEWEST_OPERATORS)
    if not 0 < operators <= _NEWEST_OPERATORS:
        raise ModelError(
            f"its operators have version {operators}, newer than {_NEWEST_OPERATORS}",
            hint="use a newer builder, or export with an older torch",
        )
    payloads = []
    for kind in ("weights", "constants"):
        config = f"{folder}data/{kind}/{model}_{kind}_config.json"
        read = _parse(archive.read(config), PayloadConfig, config)
        payloads.append(Weights(archive, f"{folder}data/{kind}/", read))
    return ProgramMaker(content, schemas, payloads).make(operators)


def _find_model(archive: Archive) -> tuple[str, str]:
    """Returns the folder of the archive, with a slash, and the name of its only program."""
    if "serialized_exported_program.json" in archive:
        raise ModelError(
            "it was written by torch 2.8 or older, whose files have pickled weights",
            hint=f"{_RECORDS_HINT}: load this one there and save it again",
        )
    folder = f"{archive.names[0].partition('/')[0]}/" if archive.names else ""
    kind, version = f"{folder}archive_format", f"{folder}archive_version"
    if kind not in archive or archive.read(kind).strip() != b"pt2":
        raise ModelError("it is a zip archive, but not a file of torch.export.save")
    if version in archive and archive.read(version).strip() != b"0":
        raise ModelError("its archive has a version newer than 0", hint="use a newer builder")
    order = f"{folder}byteorder"
    if order in archive and archive.read(order).strip() != b"little":
        raise ModelError("its weights are not little-endian", hint="export on another machine")
    pattern = re.compile(re.escape(folder) + r"models/([^/]{1,200})\.json")
    models = [match[1] for match in map(pattern.fullmatch, archive.names) if match]
    if len(models) != 1:
        names = ", ".join(f"{name!r:.60}" for name in models[:_MOST_SHOWN]) or "none"
        raise ModelError(
            f"it has {len(models)} programs ({names}); builder reads files with one",
            hint="save one program of torch.export with torch.export.save",
        )
    if f"{folder}data/weights/{models[0]}.pt" in archive:
        raise ModelError("its weights are pickled, as torch 2.8 did it", hint=_RECORDS_HINT)
    return folder, models[0]


def _check_version(version: Version) -> None:
    if version.major not in _SCHEMA_MAJORS:
        known, found = " and ".join(map(str, _SCHEMA_MAJORS)), f"{version.major}.{version.minor}"
        raise ModelError(
            f"its program has schema version {found}; builder reads {known}",
            hint="use a newer builder, or export with torch 2.9 to 2.15",
        )


def _parse(text: bytes, kind: type[_T], where: str) -> _T:
    try:
        return parse_json(text, kind, where, most=MAX_DOCUMENT)
    except ValueError as error:
        raise ModelError(str(error), hint="export the model again") from None
