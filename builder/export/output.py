"""Checks what an export is to write, and writes it; this module does not need torch."""

from __future__ import annotations

import os
from pathlib import Path

from builder.core.model_facts import BytecodeVersions
from builder.core.tensors import ReferenceCase
from builder.errors import ConfigurationError, Hint, Use
from builder.export.request import Saving
from builder.system.files import describe_absent, write_atomically
from builder.system.outputs import writing_file
from builder.system.reference_cases import write_reference
from builder.system.reference_headers import reference_path


def check_saving(saving: Saving, readable: BytecodeVersions) -> None:
    """Raises ConfigurationError when `saving` asks for what cannot be written, or cannot be read.

    Args:
        saving: how the file is to be written.
        readable: the versions of bytecode that builder's runtimes read.
    """
    version = saving.bytecode_version
    if version is not None and version not in readable:
        raise ConfigurationError(
            f"the runtimes of builder cannot read bytecode version {version}",
            hint=f"they read versions {readable}",
        )
    for name, path in saving.extra_files:
        if not path.is_file():
            raise ConfigurationError(
                f"the file {path} for {name} in the lite file {describe_absent(path)}"
            )


def check_writable(output: Path) -> None:
    """Raises ConfigurationError when the file `output` cannot be written."""
    folder = output.parent
    # Missing folders are created later, so the nearest existing one decides.
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if output.is_dir():
        raise ConfigurationError(
            f"{output} is a folder",
            hint=Hint("name a file in it: ", Use("output", output / "model.ptl")),
        )
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigurationError(
            f"cannot write {output}: {folder} is not a writable folder",
            hint="choose another path for it",
        )


def write_model(output: Path, content: bytes, case: ReferenceCase | None) -> Path | None:
    """Writes the lite file and its reference case; returns the path of the reference case, if any.

    An older reference case is deleted first, so that an interruption never leaves a reference
    case that belongs to another file.
    """
    sidecar = reference_path(output)
    sidecar.unlink(missing_ok=True)
    with writing_file(output):
        write_atomically(output, content)
        if case is None:
            return None
        write_reference(sidecar, case)
    return sidecar
