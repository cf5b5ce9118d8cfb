"""Lite files: their bytes, and how they get to their place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from builder.core.tensors import ReferenceCase
from builder.errors import ConfigurationError, ModelError
from builder.export.messages import describe_torchscript_error
from builder.system.files import write_atomically
from builder.system.reference_headers import reference_path
from builder.system.references import write_reference

if TYPE_CHECKING:
    import torch


def format_lite(module: torch.jit.ScriptModule) -> bytes:
    """Returns the lite file of `module`.

    Made in memory: a file's own name would become the archive's top folder, and so a
    temporary name a part of the bytes.

    Raises:
        ModelError: something in the module cannot be written as bytecode.
    """
    try:
        return bytes(module._save_to_buffer_for_lite_interpreter())  # noqa: SLF001 - no other name
    except RuntimeError as error:
        raise ModelError(
            f"the model cannot be saved for the lite interpreter: "
            f"{describe_torchscript_error(error)}"
        ) from error


def check_writable(output: Path) -> None:
    """Raises ConfigurationError when `output` cannot become a file, before anything is done."""
    folder = output.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if output.is_dir():
        raise ConfigurationError(
            f"{output} is a folder", hint=f"name a file in it: -o {output / 'model.ptl'}"
        )
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigurationError(
            f"cannot write {output}: {folder} is no folder that can be written to",
            hint="choose another place with -o",
        )


def write_model(output: Path, content: bytes, case: ReferenceCase | None) -> Path | None:
    """Writes the lite file and its reference case; returns the path of the latter, if any.

    An older reference case goes first: whenever this is interrupted, none is left that
    belongs to another file.
    """
    sidecar = reference_path(output)
    sidecar.unlink(missing_ok=True)
    write_atomically(output, content)
    if case is None:
        return None
    write_reference(sidecar, case)
    return sidecar
