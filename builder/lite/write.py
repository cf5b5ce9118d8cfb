"""Writes lite files."""

from __future__ import annotations

from pathlib import Path

from builder.core.model_facts import ModelFormat
from builder.lite.mobile_module_writer import write_mobile_module
from builder.lite.model import LiteModel
from builder.lite.zip_writer import write_zip_model
from builder.system.files import replacement


def write_lite(model: LiteModel, path: Path, *, kind: ModelFormat) -> None:
    """Writes a model as a lite file; `path` is replaced when the new file is complete.

    Raises:
        ModelError: the model has values that files of this format cannot have, or was read from a
            file that is damaged.
        OSError: the file cannot be written.
    """
    write = write_mobile_module if kind is ModelFormat.LITE_FLATBUFFER else write_zip_model
    with replacement(path) as temporary, temporary.open("w+b") as stream:
        write(model, stream)
