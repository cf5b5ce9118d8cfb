"""Reads what a model file needs from a runtime."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from builder.core.model_facts import BytecodeVersions, ModelFormat, ModelInfo
from builder.errors import Hint, ModelError, Run, Use
from builder.lite.effort import Effort
from builder.lite.read import is_flatbuffer, open_model, read_lite_stream
from builder.models.lite_contents import collect_contents


def read_model(path: Path) -> ModelInfo:
    """Reads what the lite model at `path` needs, without torch; tensors are not read.

    Raises:
        TorchScriptError: the file is TorchScript without bytecode.
        ModelError: the file is missing, damaged or hostile, or has an unknown format.
    """
    with open_model(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        model = read_lite_stream(stream, path)
        contents = collect_contents(model, Effort.of(size))
        flatbuffer = is_flatbuffer(stream)
        # Read again from the start: the digest covers the whole file, whatever the readers skipped.
        stream.seek(0)
        return ModelInfo(
            name=path.name,
            sha256=hashlib.file_digest(stream, "sha256").hexdigest(),
            size=size,
            format=ModelFormat.LITE_FLATBUFFER if flatbuffer else ModelFormat.LITE_ZIP,
            bytecode_version=model.bytecode_version,
            operator_version=model.operator_version,
            operators=tuple(sorted(contents.operators)),
            custom_classes=tuple(sorted(contents.custom_classes)),
            marks=tuple(sorted(contents.marks)),
            methods=tuple(sorted(contents.methods)),
            dtypes=contents.dtypes,
            signatures=tuple(s for _, s in sorted(contents.signatures.items()) if s is not None),
        )


def check_bytecode_version(info: ModelInfo, readable: BytecodeVersions) -> None:
    """Raises ModelError when the bytecode version of a model is not among those in `readable`."""
    version = info.bytecode_version
    if version is None or version in readable:
        return
    raise ModelError(
        f"{info.name} has bytecode version {version}; the runtime reads versions {readable}",
        # builder cannot write what it cannot read: the file's source is exported again.
        hint=Hint("export the model again with ", Run("export", ("SOURCE",)))
        if version < readable.min
        else Hint(
            "export the model again with ",
            Run("export", ("SOURCE", Use("bytecode_version", readable.max - 1))),
        ),
    )
