"""Reads lite files: finds out the format, and reads the whole model."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING

from builder.errors import Hint, ModelError, Run, Use
from builder.lite.foreign_formats import (
    HEAD,
    SAVED,
    advise,
    advise_python,
    name_foreign,
)
from builder.lite.source import Source, open_source, source_of

if TYPE_CHECKING:
    from builder.lite.model import LiteModel

_ZIP = b"PK\x03\x04"
_FLATBUFFER = b"PTMF"
"""The file identifier of mobile_bytecode.fbs, which stands at byte 4."""
_MOST_FLATBUFFER = (1 << 31) - 1
"""Largest size of a flatbuffer, whose offsets have 31 bits."""
LITE = "a model for the lite interpreter"
TORCHSCRIPT = "a TorchScript file without bytecode for the lite interpreter"
EXPORTED = "a program of torch.export (.pt2)"
_OUTPUT = Use("output", "model.ptl")
_MISSING_HINT = Hint("check the name; lite files are made by ", Run("export", ("SOURCE", _OUTPUT)))
_EXPORT_HINT = Hint("export the model first: ", Run("export", ("SOURCE", _OUTPUT)))


class TorchScriptError(ModelError):
    """The file is TorchScript without bytecode: only running its code can list its operators."""


def read_lite(path: Path) -> LiteModel:
    """Reads the lite file at `path` whole, without torch; nothing in it is run.

    Tensors, extra files and other records are read when they are wanted. The file may be replaced
    or removed as long as the model is in use; one that is cut meanwhile is damaged.

    Raises:
        TorchScriptError: the file is TorchScript without bytecode.
        ModelError: the file is missing, damaged or hostile, or has an unknown format.
    """
    with open_model(path) as stream:
        return read_lite_stream(stream, path)


def parse_lite(data: bytes) -> LiteModel:
    """Reads the bytes of a lite file as `read_lite` does."""
    content = memoryview(data)
    if data[:4] == _ZIP:
        return _read_zip(source_of(content), Path("model.ptl"))
    if data[4:8] == _FLATBUFFER:
        return _read_flatbuffer(content)
    raise _unknown(data[:HEAD], Path("model.ptl"))


@contextmanager
def open_model(path: Path) -> Iterator[BufferedReader]:
    """Yields the file at `path`; errors that its content causes name the path.

    Raises:
        ModelError: there is no such file, or it cannot be read.
    """
    if path.is_dir():
        raise ModelError(f"{path} is a folder, not a model file", hint="name the .ptl file in it")
    if not path.is_file():
        from builder.system.files import describe_absent

        raise ModelError(f"{path} {describe_absent(path)}", hint=_MISSING_HINT)
    # Some files of the system, such as /proc/kmsg, say so, and make a reader wait.
    if path.stat().st_size == 0:
        raise ModelError(f"{path}: the file is empty", hint=_EXPORT_HINT)
    with path.open("rb") as stream, refusing_excess(path):
        try:
            yield stream
        except ModelError as error:
            # The class stays, because callers tell TorchScriptError from others.
            raise type(error)(f"{path}: {error.message}", hint=error.hint) from error
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error.strerror}") from error


@contextmanager
def refusing_excess(path: Path) -> Iterator[None]:
    """Turns what Python raises for want of memory or of depth into errors of the file at `path`.

    Raises:
        ModelError: the work on the file took more memory, or more nested calls, than there are.
    """
    try:
        yield
    except MemoryError:
        raise ModelError(f"{path} is larger than the memory") from None
    except RecursionError:
        raise ModelError(
            f"{path} is nested more deeply than any model",
            hint="do not use this file; export the model again from a source you trust",
        ) from None


def is_flatbuffer(stream: BufferedReader) -> bool:
    """Returns whether a stream begins as a lite file in the flatbuffer format."""
    stream.seek(0)
    return stream.read(HEAD)[4:8] == _FLATBUFFER


def read_lite_stream(stream: BufferedReader, path: Path) -> LiteModel:
    """Reads a lite file as `read_lite` does; `path` is for messages.

    Raises:
        TorchScriptError: the file is TorchScript without bytecode.
        ModelError: the file is damaged or hostile, or has an unknown format.
    """
    stream.seek(0)
    head = stream.read(HEAD)
    if head[:4] == _ZIP:
        return _read_zip(open_source(stream), path)
    if head[4:8] == _FLATBUFFER:
        return _read_flatbuffer(_read_all(stream))
    raise _unknown(head, path)


def _read_all(stream: BufferedReader) -> memoryview:
    # Its tables lie anywhere in it, and none of them behind what an offset can tell.
    size = os.fstat(stream.fileno()).st_size
    if size > _MOST_FLATBUFFER:
        raise ModelError(f"a flatbuffer has at most {_MOST_FLATBUFFER:,} bytes")
    stream.seek(0)
    # As much as is asked for is allocated at once.
    return memoryview(stream.read(size))


def _read_flatbuffer(content: memoryview) -> LiteModel:
    # Each reader is loaded for its own format, since `builder ops` is judged by how fast it starts.
    from builder.lite.mobile_module import parse_mobile_module

    return parse_mobile_module(content)


def _read_zip(source: Source, path: Path) -> LiteModel:
    from builder.lite.archive import open_archive
    from builder.lite.bytecode import BYTECODE
    from builder.lite.zip_model import CONSTANTS, DATA, read_zip_model, refuse_hostile

    archive = open_archive(source)
    if BYTECODE in archive:
        archive.refuse_outsiders()
        return read_zip_model(archive)
    if CONSTANTS in archive and DATA in archive:
        # Before advice that leads to running the file: a hostile one is named as such.
        refuse_hostile(archive)
        raise TorchScriptError(
            "it is TorchScript without bytecode for the lite interpreter; only running its "
            "code could show which operators it calls, and nothing was run",
            hint=Hint(
                "if you trust the file, export it as a lite file, which runs its code: ",
                *(name_conversion(path), "; to see only its operators, use "),
                Run("ops", (Use("run_torchscript"),)),
                ", which runs the code in a confined process",
            ),
        )
    if DATA in archive:
        raise ModelError(
            f"it is {SAVED}, so it cannot run without Python", hint=advise(SAVED, path)
        )
    if archive.is_exported_program:
        raise ModelError(f"it is {EXPORTED}, not a lite file", hint=hint_to_convert(path))
    raise ModelError("it is a zip archive, but not a PyTorch model", hint=_EXPORT_HINT)


def hint_to_convert(path: Path) -> Hint:
    """Returns what to do with a program of torch.export, which builder converts without torch."""
    return Hint("export it as a lite file: ", name_conversion(path))


def name_conversion(path: Path) -> Run:
    """Returns the command that makes a lite file of a file of another kind, beside it."""
    return Run("export", (str(path), Use("output", lite_path(path))))


def lite_path(path: Path) -> Path:
    """Returns where the lite file made of `path` belongs; never `path` itself."""
    lite = path.with_suffix(".ptl")
    return path.with_name("model.ptl") if lite == path else lite


def name_kind(path: Path) -> str:
    """Returns which kind of model a regular file is, from its first bytes and its list of members.

    The result is `LITE`, `TORCHSCRIPT`, `EXPORTED` or the description of another kind; it is empty
    for all other files. No record of the file is read.
    """
    from builder.lite.archive import open_archive
    from builder.lite.bytecode import BYTECODE
    from builder.lite.zip_model import CONSTANTS, DATA

    with path.open("rb") as stream:
        # As in `open_model`: reading such a file may wait.
        head = stream.read(HEAD) if os.fstat(stream.fileno()).st_size else b""
        if head[4:8] == _FLATBUFFER:
            return LITE
        if head[:4] != _ZIP:
            return name_foreign(head, path.suffix)
        try:
            archive = open_archive(open_source(stream))
        # A damaged archive has no kind. Whoever reads it as a model gives the reason.
        except ModelError:
            return ""
    if archive.is_exported_program:
        return EXPORTED
    # The order matters: a lite file may have all three records, and TorchScript has the last two.
    kinds = {BYTECODE: LITE, CONSTANTS: TORCHSCRIPT, DATA: SAVED}
    return next((kind for record, kind in kinds.items() if record in archive), "")


def refuse_foreign(path: Path) -> None:
    """Checks that a file is a lite file, TorchScript or a program of torch.export.

    Only enough of it is read to tell its kind, and nothing in it is run.

    Raises:
        ModelError: the file is missing, damaged, or of another kind.
    """
    if not path.is_file():
        read_lite(path)
    if path.suffix == ".py":
        raise ModelError(f"{path} is Python code", hint=advise_python(path))
    if name_kind(path) not in {LITE, TORCHSCRIPT, EXPORTED}:
        read_lite(path)


def _unknown(head: bytes, path: Path) -> ModelError:
    if not head:
        return ModelError("the file is empty", hint=_EXPORT_HINT)
    what = name_foreign(head, path.suffix)
    if what:
        return ModelError(f"it is {what}, and builder cannot read it", hint=advise(what, path))
    return ModelError(
        f"it is not a model that builder can read; its first bytes are {head[:8].hex(' ')}",
        hint=_EXPORT_HINT,
    )
