"""Reads model files: finds out the format, and what the model needs."""

from __future__ import annotations

import hashlib
import os
import shlex
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING

from builder.core.model import BytecodeVersions, ModelFormat, ModelInfo
from builder.errors import ModelError
from builder.models.lite_contents import LiteContents

if TYPE_CHECKING:
    from builder.models.archive import Archive

_ZIP = b"PK\x03\x04"
_FLATBUFFER = b"PTMF"
"""The file identifier of mobile_bytecode.fbs, which stands at byte 4."""
LITE = "a model for the lite interpreter"
TORCHSCRIPT = "a TorchScript file without bytecode for the lite interpreter"
EXPORTED = "a program of torch.export (.pt2)"
_SAVED = "a file of torch.save (a state dict or a whole Python module)"
_EXPORT_HINT = "export the model first: builder export SOURCE -o model.ptl"
PYTHON_HINT = (
    "export the model from its Python code: builder export package.module:factory -o model.ptl"
)
_FOREIGN = {
    b"\x80": "a pickle in PyTorch's old format (a state dict or a whole Python module)",
    b"GGUF": "a GGUF file",
    b"\x08": "an ONNX model",
}
"""First bytes of other kinds of model files -> description of the kind."""


class TorchScriptError(ModelError):
    """The file is TorchScript without bytecode: only running its code can list its operators."""


def read_model(path: Path) -> ModelInfo:
    """Reads what the lite model at `path` needs, without torch; tensors are not read.

    Raises:
        TorchScriptError: the file is TorchScript without bytecode.
        ModelError: the file is missing, damaged or hostile, or has an unknown format.
    """
    if path.is_dir():
        raise ModelError(f"{path} is a folder, not a model file", hint="name the .ptl file in it")
    if not path.is_file():
        what = "is not a regular file" if path.exists() else "does not exist"
        raise ModelError(f"{path} {what}", hint=_EXPORT_HINT)
    with path.open("rb") as stream:
        try:
            return _read(path, stream)
        except ModelError as error:
            raise type(error)(f"{path}: {error.message}", hint=error.hint) from error
        except OSError as error:  # a file may be larger than the memory that it is mapped to
            raise ModelError(f"{path} cannot be read: {error.strerror}") from error


def _read(path: Path, stream: BufferedReader) -> ModelInfo:
    # Eight bytes hold the magic number of a zip archive, and the identifier of a flatbuffer at byte
    # 4.
    head = stream.read(8)
    stream.seek(0)
    if head[:4] == _ZIP:
        kind, contents = ModelFormat.LITE_ZIP, _read_zip(path, stream)
    elif head[4:] == _FLATBUFFER:
        kind, contents = ModelFormat.LITE_FLATBUFFER, _read_flatbuffer(stream)
    else:
        raise _unknown(head)
    # Read again from the start: the digest covers the whole file, whatever the readers skipped.
    stream.seek(0)
    return ModelInfo(
        name=path.name,
        sha256=hashlib.file_digest(stream, "sha256").hexdigest(),
        size=os.fstat(stream.fileno()).st_size,
        format=kind,
        bytecode_version=contents.bytecode_version,
        operator_version=contents.operator_version,
        operators=tuple(sorted(contents.operators)),
        custom_classes=tuple(sorted(contents.custom_classes)),
        methods=tuple(sorted(contents.methods)),
        dtypes=contents.dtypes,
        signatures=tuple(s for _, s in sorted(contents.signatures.items()) if s is not None),
    )


def name_kind(path: Path) -> str:
    """Returns which kind of model a regular file is, from its first bytes and its list of members.

    The result is `LITE`, `TORCHSCRIPT`, `EXPORTED` or the description of another kind; it is empty
    for all other files. No record of the file is read.
    """
    from builder.models.archive import open_archive
    from builder.models.bytecode import BYTECODE

    with path.open("rb") as stream:
        head = stream.read(8)
        if head[4:] == _FLATBUFFER:
            return LITE
        if head[:4] != _ZIP:
            return _name_foreign(head)
        try:
            with open_archive(stream) as archive:
                if archive.is_exported_program:
                    return EXPORTED
                kinds = {BYTECODE: LITE, "constants.pkl": TORCHSCRIPT, "data.pkl": _SAVED}
                return next((kind for record, kind in kinds.items() if record in archive), "")
        except ModelError:
            return ""


def _read_zip(path: Path, stream: BufferedReader) -> LiteContents:
    from builder.models.archive import open_archive
    from builder.models.bytecode import BYTECODE, read_lite_archive

    with open_archive(stream) as archive:
        if BYTECODE in archive:
            return read_lite_archive(archive)
        if "constants.pkl" in archive and "data.pkl" in archive:
            # Before advice that leads to running the file: a hostile one is named as such.
            _refuse_hostile(archive)
            raise TorchScriptError(
                "it is TorchScript without bytecode for the lite interpreter; only running its "
                "code could show which operators it calls, and nothing was run",
                hint="if you trust the file, export it as a lite file, which runs its code: "
                f"builder export {shlex.quote(str(path))} -o model.ptl; to see only its "
                "operators, use builder ops --run-torchscript, which runs the code in a confined "
                "process",
            )
        if "data.pkl" in archive:
            raise ModelError(f"it is {_SAVED}, so it cannot run without Python", hint=PYTHON_HINT)
        if archive.is_exported_program:
            raise ModelError(f"it is {EXPORTED}, which builder cannot read", hint=PYTHON_HINT)
    raise ModelError("it is a zip archive, but not a PyTorch model", hint=_EXPORT_HINT)


def _refuse_hostile(archive: Archive) -> None:
    from builder.models.pickles import parse_pickle

    for record in ("data.pkl", "constants.pkl"):
        parse_pickle(archive.read(record), record=record, effort=archive.effort)


def _read_flatbuffer(stream: BufferedReader) -> LiteContents:
    import mmap

    from builder.models.mobile_module import parse_mobile_module

    # Mapped and not read: the tensors in a large file are never touched.
    with (
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        memoryview(mapped) as data,
    ):
        return parse_mobile_module(data)


def _unknown(head: bytes) -> ModelError:
    if not head:
        return ModelError("the file is empty", hint=_EXPORT_HINT)
    what = _name_foreign(head)
    is_what = f"it is {what}" if what else f"it begins with {head!r}"
    return ModelError(f"{is_what}, not a model that builder can read (.ptl)", hint=_EXPORT_HINT)


def _name_foreign(head: bytes) -> str:
    if head[4:6] == b"ET":
        return "an ExecuTorch program"
    return next((name for magic, name in _FOREIGN.items() if head.startswith(magic)), "")


def check_bytecode_version(info: ModelInfo, readable: BytecodeVersions) -> None:
    """Raises ModelError when the bytecode version of a model is not among those in `readable`."""
    version = info.bytecode_version
    if version is None or version in readable:
        return
    raise ModelError(
        f"{info.name} has bytecode version {version}; the runtime reads versions {readable}",
        hint="export the model again with `builder export`"
        if version < readable.min
        else f"builder export {info.name} -o model.ptl --bytecode-version {readable.max - 1}",
    )
